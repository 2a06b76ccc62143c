/* Tubes: named queues that live while used, watched or holding a job; pause. */
#include "node/jsm/jsm_internal.h"

bool jsm_watch_less(const struct cb_heap_node *a, const struct cb_heap_node *b)
{
    return CB_CONTAINER(a, const struct jsm_watch, node)->order <
           CB_CONTAINER(b, const struct jsm_watch, node)->order;
}

static void put_in_place(struct jsm *m, struct jsm_tube *t, uint32_t place)
{
    if (place >= m->tubes_cap) {
        uint32_t cap = m->tubes_cap == 0 ? 16 : m->tubes_cap;
        while (cap <= place) {
            cap *= 2;
        }
        m->tubes = cb_realloc(m->tubes, cap * sizeof(struct jsm_tube *));
        memset(m->tubes + m->tubes_cap, 0, (cap - m->tubes_cap) * sizeof(struct jsm_tube *));
        m->tubes_cap = cap;
    }
    CB_ASSERT(m->tubes[place] == NULL);
    m->tubes[place] = t;
    t->place = place;
}

struct jsm_tube *jsm_tube_create(struct jsm *m, uint64_t id, struct cb_span name, uint32_t place)
{
    CB_ASSERT(name.len > 0 && name.len <= CB_TUBE_NAME_MAX);
    struct jsm_tube *t = cb_calloc(1, sizeof(*t));
    jsm_stored_init(&t->stored, JSM_RECORD_TUBE);
    t->machine = m;
    t->id = id;
    t->name_len = (uint8_t)name.len;
    memcpy(t->name, name.ptr, name.len);
    jsm_timer_init(&t->timer);
    cb_heap_init(&t->ready, jsm_ready_less);
    cb_heap_init(&t->lots, jsm_lot_less);
    jsm_row_init(&t->delayed);
    jsm_row_init(&t->buried);
    cb_list_init(&t->splices);
    cb_heap_node_init(&t->unmatched);
    cb_heap_init(&t->waiters, jsm_watch_less);
    put_in_place(m, t, place);
    m->n_tubes++;
    cb_map_put(&m->tubes_by_id, id, t);
    HASH_ADD(hh, m->tubes_by_name, name[0], t->name_len, t);
    return t;
}

void jsm_tube_destroy(struct jsm_tube *t)
{
    struct jsm *m = t->machine;
    HASH_DELETE(hh, m->tubes_by_name, t);
    (void)cb_map_remove(&m->tubes_by_id, t->id); /* it is there: create put it */
    jsm_timer_set(m, &t->timer, JSM_NEVER, JSM_DUE_DELAY, 0);
    cb_heap_fini(&t->ready);
    while (!cb_list_is_empty(&t->splices)) { /* only when the machine dies */
        jsm_splice_destroy(CB_CONTAINER(t->splices.next, struct jsm_splice, link));
    }
    if (cb_heap_node_is_in(&t->unmatched)) {
        cb_heap_remove(&m->unmatched, &t->unmatched);
    }
    cb_heap_fini(&t->lots);
    jsm_row_fini(&t->delayed);
    jsm_row_fini(&t->buried);
    cb_heap_fini(&t->waiters);
    cb_free(t);
}

struct jsm_tube *jsm_tube_find(const struct jsm *m, struct cb_span name)
{
    struct jsm_tube *t = NULL;
    HASH_FIND(hh, m->tubes_by_name, name.ptr, (unsigned)name.len, t);
    return t;
}

struct jsm_tube *jsm_tube_get_or_make(struct jsm *m, struct cb_span name)
{
    struct jsm_tube *t = jsm_tube_find(m, name);
    if (t == NULL) {
        t = jsm_tube_create(m, m->next_tube_id++, name, m->n_tubes);
        jsm_mark(m, &t->stored);
    }
    return t;
}

uint64_t jsm_tube_n_ready(const struct jsm_tube *t)
{
    return t->ready.len + t->n_lazy;
}

uint64_t jsm_tube_n_jobs(const struct jsm_tube *t)
{
    return jsm_tube_n_ready(t) + t->delayed.len + t->buried.len + t->n_reserved;
}

struct jsm_job *jsm_tube_best(const struct jsm_tube *t)
{
    struct jsm_job *j = jsm_job_of(cb_heap_top(&t->ready));
    struct cb_heap_node *n = cb_heap_top(&t->lots);
    struct jsm_job *lazy = n == NULL ? NULL : CB_CONTAINER(n, struct jsm_lot, node)->best;
    if (j == NULL || lazy == NULL) {
        return j == NULL ? lazy : j;
    }
    return jsm_ready_less(&j->node, &lazy->node) ? j : lazy;
}

void jsm_tube_add_lazy(struct jsm_tube *t, uint64_t n, uint64_t urgent)
{
    t->n_lazy += n;
    t->n_urgent += urgent;
    t->machine->n_urgent += urgent;
    t->machine->n_state[JSM_JOB_READY] += n;
}

/* ---- what is to be matched ---- */

bool jsm_unmatched_less(const struct cb_heap_node *a, const struct cb_heap_node *b)
{
    return CB_CONTAINER(a, const struct jsm_tube, unmatched)->id <
           CB_CONTAINER(b, const struct jsm_tube, unmatched)->id;
}

void jsm_tube_set_unmatched(struct jsm_tube *t)
{
    cb_heap_insert(&t->machine->unmatched, &t->unmatched);
    jsm_mark(t->machine, &t->stored);
}

void jsm_tube_note(struct jsm_tube *t)
{
    if (!cb_heap_node_is_in(&t->unmatched) && jsm_first_waiter(t) != NULL &&
        jsm_tube_best(t) != NULL) {
        jsm_tube_set_unmatched(t);
    }
}

/* ---- its end ---- */

void jsm_tube_release(struct jsm_tube *t)
{
    struct jsm *m = t->machine;
    if (t->place == 0 || t->n_using > 0 || t->n_watching > 0 || jsm_tube_n_jobs(t) > 0) {
        return;
    }
    CB_ASSERT(t->waiters.len == 0);
    /* beanstalkd's list order: the last tube moves into the hole. */
    uint32_t last = --m->n_tubes;
    struct jsm_tube *moved = m->tubes[last];
    m->tubes[last] = NULL;
    if (moved != t) {
        m->tubes[t->place] = moved;
        moved->place = t->place;
        jsm_mark(m, &moved->stored);
    }
    jsm_forget(m, &t->stored);
    jsm_tube_destroy(t);
}

void jsm_tube_unpause(struct jsm_tube *t)
{
    t->pause = 0;
    t->pause_until_ns = 0;
    jsm_mark(t->machine, &t->stored);
    jsm_tube_update_timer(t);
    jsm_tube_note(t);
    jsm_match(t->machine);
}

void jsm_tube_pause(struct jsm_tube *t, uint32_t seconds)
{
    t->cmd_pause_tube++;
    jsm_mark(t->machine, &t->stored);
    if (seconds == 0) {
        jsm_tube_unpause(t);
        return;
    }
    t->pause = seconds;
    t->pause_until_ns = jsm_time_add(t->machine->now_ns, jsm_seconds(seconds));
    jsm_tube_update_timer(t);
}

void jsm_tube_update_timer(struct jsm_tube *t)
{
    const struct jsm_job *soonest = jsm_row_first(&t->delayed);
    uint64_t delay_ns = soonest != NULL ? soonest->deadline_ns : JSM_NEVER;
    uint64_t pause_ns = t->pause > 0 ? t->pause_until_ns : JSM_NEVER;
    if (pause_ns <= delay_ns) { /* the end of a pause comes first when both are due */
        jsm_timer_set(t->machine, &t->timer, pause_ns, JSM_DUE_PAUSE_END, t->id);
    } else {
        jsm_timer_set(t->machine, &t->timer, delay_ns, JSM_DUE_DELAY, soonest->id);
    }
}
