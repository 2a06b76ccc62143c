/* A connection or a session that ends with many jobs. They are prepared over several entries, which
 * shows nowhere: they are still reserved, and sorted into parts, one for each tube. When the last
 * one is in its part, all of them are ready in one moment. A session's connections are gone from
 * the counts then, one after the other, as those of independent clients would be; and the records
 * of the jobs follow (ADR 13). */
#include "node/jsm/jsm_internal.h"

struct part {
    struct jsm_lot lot;       /* in the tube's lots when the release is open */
    struct cb_heap_node node; /* release->parts */
    struct jsm_tube *tube;
    struct cb_heap jobs; /* as in a tube's ready ones */
    uint64_t n_urgent;
};

bool jsm_release_less(const struct cb_heap_node *a, const struct cb_heap_node *b)
{
    return CB_CONTAINER(a, const struct jsm_release, node)->seq <
           CB_CONTAINER(b, const struct jsm_release, node)->seq;
}

static bool part_less(const struct cb_heap_node *a, const struct cb_heap_node *b)
{
    return CB_CONTAINER(a, const struct part, node)->tube->id <
           CB_CONTAINER(b, const struct part, node)->tube->id;
}

struct jsm_release *jsm_release_of(const struct jsm_conn *c)
{
    return c->release != NULL ? c->release : c->session->release;
}

/* ---- parts ---- */

static struct part *part_of(struct jsm_release *r, struct jsm_tube *t)
{
    struct part *p = cb_map_get(&r->part_by_tube, t->id);
    if (p == NULL) {
        p = cb_calloc(1, sizeof(*p));
        p->tube = t;
        cb_heap_node_init(&p->lot.node);
        cb_heap_node_init(&p->node);
        cb_heap_init(&p->jobs, jsm_ready_less);
        cb_heap_insert(&r->parts, &p->node);
        cb_map_put(&r->part_by_tube, t->id, p);
    }
    return p;
}

static void free_part(struct jsm_release *r, struct part *p)
{
    cb_heap_remove(&r->parts, &p->node);
    (void)cb_map_remove(&r->part_by_tube, p->tube->id); /* it is there: part_of put it */
    cb_heap_fini(&p->jobs);
    cb_free(p);
}

static void add_to_part(struct part *p, struct jsm_job *j)
{
    cb_heap_insert(&p->jobs, &j->node);
    p->n_urgent += j->pri < JSM_URGENT_BELOW;
}

/* The part's lot, as its jobs are now. */
static void show_part(struct part *p)
{
    struct cb_heap *lots = &p->tube->lots;
    bool is_in = cb_heap_node_is_in(&p->lot.node);
    if (p->jobs.len == 0) {
        if (is_in) {
            cb_heap_remove(lots, &p->lot.node);
        }
        return;
    }
    p->lot.best = jsm_job_of(cb_heap_top(&p->jobs));
    if (is_in) {
        cb_heap_update(lots, &p->lot.node);
    } else {
        cb_heap_insert(lots, &p->lot.node);
    }
}

/* ---- life ---- */

static struct jsm *machine_of(const struct jsm_release *r)
{
    return r->conn != NULL ? r->conn->session->machine : r->session->machine;
}

static void mark(const struct jsm_release *r)
{
    jsm_mark(machine_of(r), r->conn != NULL ? &r->conn->stored : &r->session->stored);
}

static struct cb_heap *heap_of(struct jsm *m, const struct jsm_release *r)
{
    return r->phase == JSM_RELEASE_SETTLES ? &m->settling : &m->releases;
}

static void set_phase(struct jsm_release *r, enum jsm_release_phase phase)
{
    struct jsm *m = machine_of(r);
    cb_heap_remove(heap_of(m, r), &r->node);
    r->phase = phase;
    cb_heap_insert(heap_of(m, r), &r->node);
    mark(r);
}

struct jsm_release *jsm_release_create(struct jsm *m,
                                       struct jsm_conn *c,
                                       struct jsm_session *s,
                                       enum jsm_release_phase phase,
                                       uint64_t seq)
{
    struct jsm_release *r = cb_calloc(1, sizeof(*r));
    r->conn = c;
    r->session = s;
    r->phase = phase;
    r->seq = seq;
    cb_heap_init(&r->parts, part_less);
    cb_map_init(&r->part_by_tube);
    cb_heap_node_init(&r->node);
    cb_heap_insert(heap_of(m, r), &r->node);
    if (c != NULL) {
        c->release = r;
    } else {
        s->release = r;
    }
    return r;
}

void jsm_release_destroy(struct jsm *m, struct jsm_release *r)
{
    cb_heap_remove(heap_of(m, r), &r->node);
    while (r->parts.len > 0) {
        free_part(r, CB_CONTAINER(cb_heap_top(&r->parts), struct part, node));
    }
    cb_heap_fini(&r->parts);
    cb_map_fini(&r->part_by_tube);
    cb_free(r);
}

/* Where the preparing of a session begins: it goes through its connections in order of opening. */
static void begin(struct jsm_release *r)
{
    if (r->session != NULL) {
        r->at = r->session->conns.next;
    }
}

void jsm_release_conn(struct jsm_conn *c)
{
    struct jsm *m = c->session->machine;
    uint64_t seq = m->next_seq++;
    struct jsm_release *r = jsm_release_create(m, c, NULL, JSM_RELEASE_PREPARES, seq);
    r->steps = c->held.len;
    c->session->n_held -= c->held.len;
    jsm_conn_update_timer(c);
    mark(r);
}

void jsm_release_session(struct jsm_session *s)
{
    struct jsm *m = s->machine;
    uint64_t seq = m->next_seq++;
    enum jsm_release_phase phase = s->n_conns > 0 ? JSM_RELEASE_PREPARES : JSM_RELEASE_CLOSES;
    struct jsm_release *r = jsm_release_create(m, NULL, s, phase, seq);
    r->steps = s->n_held + s->n_conns;
    begin(r);
    CB_LIST_FOREACH(it, &s->conns)
    {
        jsm_conn_update_timer(CB_CONTAINER(it, struct jsm_conn, link));
    }
    mark(r);
}

/* ---- preparing ---- */

static void prepare_job(struct jsm_release *r, struct jsm_conn *c)
{
    struct cb_heap_node *last = c->held.nodes[c->held.len - 1]; /* the one that costs least */
    struct jsm_job *j = jsm_job_of(last);
    cb_heap_remove(&c->held, last);
    add_to_part(part_of(r, j->tube), j);
}

/* One job, or one connection that has none. */
static void prepare_one(struct jsm_release *r)
{
    if (r->conn != NULL) {
        prepare_job(r, r->conn);
        return;
    }
    CB_ASSERT(r->at != &r->session->conns);
    struct jsm_conn *c = CB_CONTAINER(r->at, struct jsm_conn, link);
    if (c->held.len > 0) {
        prepare_job(r, c);
    } else {
        r->at = r->at->next;
    }
}

/* The moment in which all of it becomes ready. */
static void open_release(struct jsm_release *r)
{
    struct jsm *m = machine_of(r);
    set_phase(r, r->conn != NULL ? JSM_RELEASE_SETTLES : JSM_RELEASE_CLOSES);
    for (uint32_t i = 0; i < r->parts.len; i++) { /* any order: none of it shows */
        struct part *p = CB_CONTAINER(r->parts.nodes[i], struct part, node);
        m->n_state[JSM_JOB_RESERVED] -= p->jobs.len;
        p->tube->n_reserved -= p->jobs.len;
        jsm_tube_add_lazy(p->tube, p->jobs.len, p->n_urgent);
        show_part(p);
        jsm_tube_note(p->tube);
    }
}

static void close_one(struct jsm_release *r)
{
    jsm_conn_hide(CB_CONTAINER(cb_list_first(&r->session->conns), struct jsm_conn, link));
    if (cb_list_is_empty(&r->session->conns)) {
        set_phase(r, JSM_RELEASE_SETTLES);
    }
}

bool jsm_release_is_idle(struct jsm_release *r)
{
    if (r->phase != JSM_RELEASE_CLOSES || !cb_list_is_empty(&r->session->conns)) {
        return false;
    }
    set_phase(r, JSM_RELEASE_SETTLES);
    return true;
}

void jsm_release_step(struct jsm_release *r)
{
    if (r->phase == JSM_RELEASE_CLOSES) {
        close_one(r);
        return;
    }
    prepare_one(r);
    r->done++;
    mark(r);
    if (r->done == r->steps) {
        open_release(r);
    }
}

/* ---- settling ---- */

void jsm_release_settle(struct jsm_release *r, struct jsm_job *j)
{
    struct part *p = cb_map_get(&r->part_by_tube, j->tube->id);
    cb_heap_remove(&p->jobs, &j->node);
    show_part(p);
    if (p->jobs.len == 0) {
        free_part(r, p);
    }
    jsm_job_settle_ready(j);
}

void jsm_release_settle_step(struct jsm_release *r)
{
    if (r->parts.len > 0) {
        const struct part *p = CB_CONTAINER(cb_heap_top(&r->parts), struct part, node);
        jsm_release_settle(r, jsm_job_of(cb_heap_top(&p->jobs)));
        return;
    }
    if (r->conn != NULL) {
        jsm_conn_finish(r->conn);
        return;
    }
    struct jsm_session *s = r->session;
    struct cb_list *first = cb_list_first(&s->hidden);
    if (first != NULL) {
        jsm_conn_finish(CB_CONTAINER(first, struct jsm_conn, link));
    } else {
        jsm_session_finish(s);
    }
}

/* ---- loading ---- */

void jsm_release_add(struct jsm_release *r, struct jsm_job *j)
{
    struct part *p = part_of(r, j->tube);
    add_to_part(p, j);
    show_part(p);
    jsm_tube_add_lazy(j->tube, 1, j->pri < JSM_URGENT_BELOW);
}

bool jsm_release_catch_up(struct jsm_release *r)
{
    if (r->phase != JSM_RELEASE_PREPARES) {
        return true;
    }
    uint64_t steps = r->conn != NULL ? r->conn->held.len : r->session->n_held + r->session->n_conns;
    if (r->steps != steps || r->done >= r->steps) {
        return false;
    }
    begin(r);
    for (uint64_t i = 0; i < r->done; i++) {
        prepare_one(r);
    }
    return true;
}
