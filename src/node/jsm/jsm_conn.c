/* Connections of clients: the tube they use, the tubes they watch, what they hold. */
#include "node/jsm/jsm_internal.h"

struct jsm_conn *jsm_conn_create(struct jsm_session *s, uint64_t number, uint64_t seq)
{
    struct jsm_conn *c = cb_calloc(1, sizeof(*c));
    jsm_stored_init(&c->stored, JSM_RECORD_CONN);
    c->session = s;
    c->number = number;
    c->seq = seq;
    jsm_timer_init(&c->timer);
    cb_map_init(&c->watch_by_tube);
    cb_heap_init(&c->held, jsm_held_less);
    cb_list_push_back(&s->conns, &c->link);
    cb_map_put(&s->conn_by_number, number, c);
    s->n_conns++;
    s->machine->n_conns++;
    return c;
}

struct jsm_conn *jsm_conn_get(const struct jsm_session *s, uint64_t number)
{
    return cb_map_get(&s->conn_by_number, number);
}

static void leave_counts(struct jsm_conn *c)
{
    struct jsm_session *s = c->session;
    struct jsm *m = s->machine;
    s->n_conns--;
    m->n_conns--;
    m->n_producers -= c->is_producer;
    m->n_workers -= c->is_worker;
}

void jsm_conn_destroy(struct jsm_conn *c)
{
    struct jsm_session *s = c->session;
    struct jsm *m = s->machine;
    if (c->wait.active) {
        jsm_wait_leave(c);
    }
    jsm_timer_set(m, &c->timer, JSM_NEVER, JSM_DUE_TTR, 0);
    for (uint32_t i = 0; i < c->n_watches; i++) {
        cb_free(c->watches[i]);
    }
    cb_free(c->watches);
    cb_map_fini(&c->watch_by_tube);
    cb_heap_fini(&c->held);
    cb_list_remove(&c->link);
    (void)cb_map_remove(&s->conn_by_number, c->number); /* it is there: create put it */
    if (!c->is_hidden) {
        leave_counts(c);
    }
    if (c->release != NULL) {
        jsm_release_destroy(m, c->release);
    }
    cb_free(c);
}

static int compare_seq(const void *a, const void *b)
{
    uint64_t x = (*(struct jsm_job *const *)a)->seq;
    uint64_t y = (*(struct jsm_job *const *)b)->seq;
    return x < y ? -1 : x > y;
}

/* Held jobs become ready one after the other in the order of reservation, each offered at once. */
static void give_back(struct jsm_conn *c)
{
    uint32_t n = c->held.len;
    if (n == 0) {
        return;
    }
    struct jsm_job **jobs = cb_malloc(n * sizeof(*jobs));
    for (uint32_t i = 0; i < n; i++) {
        jobs[i] = jsm_job_of(c->held.nodes[i]);
    }
    qsort(jobs, n, sizeof(*jobs), compare_seq);
    for (uint32_t i = 0; i < n; i++) {
        jsm_job_to_ready(jobs[i]);
        jsm_offer(jobs[i]);
    }
    cb_free(jobs);
}

static void leave_tubes(struct jsm_conn *c)
{
    while (c->n_watches > 0) {
        /* The first goes, the last takes its place: the order in which beanstalkd's tubes die. */
        struct jsm_watch *w = c->watches[0];
        struct jsm_tube *t = w->tube;
        c->watches[0] = c->watches[--c->n_watches];
        cb_free(w);
        t->n_watching--;
        jsm_tube_release(t);
    }
    struct jsm_tube *used = c->used;
    used->n_using--;
    c->used = NULL;
    jsm_tube_release(used);
}

void jsm_conn_retire(struct jsm_conn *c)
{
    leave_counts(c);
    c->is_hidden = true;
    cb_list_remove(&c->link);
    cb_list_push_back(&c->session->hidden, &c->link);
    jsm_mark(c->session->machine, &c->stored);
}

void jsm_conn_hide(struct jsm_conn *c)
{
    leave_tubes(c);
    jsm_conn_retire(c);
}

void jsm_conn_finish(struct jsm_conn *c)
{
    jsm_forget(c->session->machine, &c->stored);
    jsm_conn_destroy(c);
}

void jsm_conn_close(struct jsm_conn *c)
{
    struct jsm *m = c->session->machine;
    if (c->wait.active) {
        jsm_wait_leave(c);
        c->wait.active = false;
    }
    if (c->held.len > m->steps) {
        jsm_release_conn(c);
        jsm_conn_hide(c);
        return;
    }
    m->steps -= c->held.len;
    give_back(c);
    leave_tubes(c);
    jsm_conn_finish(c);
}

void jsm_conn_use(struct jsm_conn *c, struct jsm_tube *t)
{
    struct jsm_tube *old = c->used;
    if (old == t) {
        return;
    }
    t->n_using++;
    c->used = t;
    if (old != NULL) {
        old->n_using--;
        jsm_tube_release(old);
    }
    jsm_mark(t->machine, &c->stored);
}

struct jsm_watch *jsm_conn_find_watch(const struct jsm_conn *c, const struct jsm_tube *t)
{
    if (c->n_watches > JSM_WATCH_SCAN_MAX) {
        return cb_map_get(&c->watch_by_tube, t->id);
    }
    for (uint32_t i = 0; i < c->n_watches; i++) {
        if (c->watches[i]->tube == t) {
            return c->watches[i];
        }
    }
    return NULL;
}

/* The map holds all watches above the limit and none below it. */
static void map_added(struct jsm_conn *c)
{
    if (c->n_watches == JSM_WATCH_SCAN_MAX + 1) {
        for (uint32_t i = 0; i < c->n_watches; i++) {
            cb_map_put(&c->watch_by_tube, c->watches[i]->tube->id, c->watches[i]);
        }
    } else if (c->n_watches > JSM_WATCH_SCAN_MAX) {
        struct jsm_watch *w = c->watches[c->n_watches - 1];
        cb_map_put(&c->watch_by_tube, w->tube->id, w);
    }
}

void jsm_conn_watch(struct jsm_conn *c, struct jsm_tube *t)
{
    CB_ASSERT(!c->wait.active);
    if (jsm_conn_find_watch(c, t) != NULL) {
        return;
    }
    struct jsm_watch *w = cb_malloc(sizeof(*w));
    *w = (struct jsm_watch){.conn = c, .tube = t};
    cb_heap_node_init(&w->node);
    if (c->n_watches == c->watches_cap) {
        c->watches_cap = c->watches_cap == 0 ? 1 : c->watches_cap * 2;
        c->watches = cb_realloc(c->watches, c->watches_cap * sizeof(struct jsm_watch *));
    }
    c->watches[c->n_watches++] = w;
    map_added(c);
    t->n_watching++;
    jsm_mark(t->machine, &c->stored);
}

void jsm_conn_ignore(struct jsm_conn *c, struct jsm_watch *w)
{
    CB_ASSERT(!c->wait.active && c->n_watches > 1);
    struct jsm_tube *t = w->tube;
    uint32_t i = 0;
    while (c->watches[i] != w) {
        i++;
    }
    if (c->n_watches > JSM_WATCH_SCAN_MAX + 1) {
        (void)cb_map_remove(&c->watch_by_tube, t->id); /* above the limit each watch is in it */
    } else {
        cb_map_fini(&c->watch_by_tube);
    }
    /* beanstalkd's list order: the last one moves into the hole. */
    c->watches[i] = c->watches[--c->n_watches];
    cb_free(w);
    t->n_watching--;
    jsm_mark(t->machine, &c->stored);
    jsm_tube_release(t);
}

void jsm_conn_set_producer(struct jsm_conn *c)
{
    if (!c->is_producer) {
        c->is_producer = true;
        c->session->machine->n_producers++;
        jsm_mark(c->session->machine, &c->stored);
    }
}

void jsm_conn_set_worker(struct jsm_conn *c)
{
    if (!c->is_worker) {
        c->is_worker = true;
        c->session->machine->n_workers++;
        jsm_mark(c->session->machine, &c->stored);
    }
}

/* Keeps the earliest of the candidates, in the order of what is due at the same time. */
static void consider(struct jsm_timer *best, uint64_t at_ns, enum jsm_due_kind kind, uint64_t id)
{
    struct jsm_timer t = {.kind = (uint8_t)kind, .at_ns = at_ns, .id = id};
    if (best->at_ns == JSM_NEVER || jsm_timer_less(&t.node, &best->node)) {
        *best = t;
    }
}

void jsm_conn_update_timer(struct jsm_conn *c)
{
    struct jsm_timer best = {.at_ns = JSM_NEVER};
    struct jsm_job *soonest = jsm_release_of(c) != NULL ? NULL : jsm_job_of(cb_heap_top(&c->held));
    if (soonest != NULL && !c->session->is_suspended) {
        consider(&best, soonest->deadline_ns, JSM_DUE_TTR, soonest->id);
    }
    if (soonest != NULL && c->wait.active) {
        uint64_t d = soonest->deadline_ns;
        consider(&best, d > JSM_MARGIN_NS ? d - JSM_MARGIN_NS : 0, JSM_DUE_MARGIN, c->wait.arrival);
    }
    if (c->wait.active && c->wait.has_deadline) {
        consider(&best, c->wait.deadline_ns, JSM_DUE_WAIT, c->wait.arrival);
    }
    jsm_timer_set(c->session->machine, &c->timer, best.at_ns, (enum jsm_due_kind)best.kind,
                  best.id);
}
