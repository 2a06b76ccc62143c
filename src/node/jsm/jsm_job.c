/* Jobs: the four states, and the one place that moves a job between them. */
#include "node/jsm/jsm_internal.h"

/* ---- orders of the queues; each is total ---- */

bool jsm_ready_less(const struct cb_heap_node *a, const struct cb_heap_node *b)
{
    const struct jsm_job *x = CB_CONTAINER(a, const struct jsm_job, node);
    const struct jsm_job *y = CB_CONTAINER(b, const struct jsm_job, node);
    return x->pri != y->pri ? x->pri < y->pri : x->id < y->id;
}

bool jsm_held_less(const struct cb_heap_node *a, const struct cb_heap_node *b)
{
    const struct jsm_job *x = CB_CONTAINER(a, const struct jsm_job, node);
    const struct jsm_job *y = CB_CONTAINER(b, const struct jsm_job, node);
    return x->deadline_ns != y->deadline_ns ? x->deadline_ns < y->deadline_ns : x->id < y->id;
}

/* ---- life ---- */

struct jsm_job *jsm_job_create(struct jsm *m, uint64_t id, struct jsm_tube *t, struct jsm_body *b)
{
    struct jsm_job *j = cb_pool_take(&m->job_pool);
    jsm_stored_init(&j->stored, JSM_RECORD_JOB);
    j->id = id;
    j->tube = t;
    j->body = b;
    m->body_bytes += b != NULL ? b->len : 0;
    cb_heap_node_init(&j->node);
    cb_map_put(&m->jobs, id, j);
    return j;
}

struct jsm_job *jsm_job_get(const struct jsm *m, uint64_t id)
{
    return cb_map_get(&m->jobs, id);
}

void jsm_job_destroy(struct jsm_job *j)
{
    struct jsm *m = j->tube->machine;
    if (j->body != NULL) { /* NULL only after a load that failed */
        m->body_bytes -= j->body->len;
        jsm_body_unlist(m, j->body);
        jsm_body_unref(m, j->body, j->id);
    }
    cb_pool_give(&m->job_pool, j);
}

/* ---- queues ---- */

static void count_state(struct jsm_job *j, enum jsm_job_state state, int by)
{
    struct jsm *m = j->tube->machine;
    uint64_t one = by > 0 ? 1 : UINT64_MAX; /* adding UINT64_MAX takes one off */
    m->n_state[state] += one;
    if (state == JSM_JOB_READY && j->pri < JSM_URGENT_BELOW) {
        j->tube->n_urgent += one;
        m->n_urgent += one;
    }
    if (state == JSM_JOB_RESERVED) {
        j->tube->n_reserved += one;
        j->holder->session->n_held += j->holder->release == NULL ? one : 0;
    }
}

static void enter_queue(struct jsm_job *j)
{
    switch ((enum jsm_job_state)j->state) {
    case JSM_JOB_READY:
        cb_heap_insert(&j->tube->ready, &j->node);
        return;
    case JSM_JOB_DELAYED:
        jsm_row_insert(&j->tube->delayed, j);
        return;
    case JSM_JOB_RESERVED:
        cb_heap_insert(&j->holder->held, &j->node);
        return;
    case JSM_JOB_BURIED:
        jsm_row_insert(&j->tube->buried, j);
        return;
    }
    CB_UNREACHABLE("state of job");
}

static void leave_queue(struct jsm_job *j)
{
    switch ((enum jsm_job_state)j->state) {
    case JSM_JOB_READY:
        cb_heap_remove(&j->tube->ready, &j->node);
        return;
    case JSM_JOB_DELAYED:
        jsm_row_remove(&j->tube->delayed, j);
        return;
    case JSM_JOB_RESERVED:
        cb_heap_remove(&j->holder->held, &j->node);
        return;
    case JSM_JOB_BURIED:
        jsm_row_remove(&j->tube->buried, j);
        return;
    }
    CB_UNREACHABLE("state of job");
}

static void update_timers(struct jsm_job *j)
{
    if (j->state == JSM_JOB_DELAYED) {
        jsm_tube_update_timer(j->tube);
    } else if (j->state == JSM_JOB_RESERVED) {
        jsm_conn_update_timer(j->holder);
    }
}

/* Leaves its queue; a new job is in none. */
static void leave(struct jsm_job *j)
{
    if (jsm_is_lazy(j)) {
        jsm_settle(j);
    }
    jsm_mark(j->tube->machine, &j->stored);
    if (j->state == 0) {
        return;
    }
    leave_queue(j);
    count_state(j, (enum jsm_job_state)j->state, -1);
    update_timers(j);
    j->holder = NULL;
    j->deadline_ns = 0;
    j->seq = 0;
    j->state = 0;
}

void jsm_job_place(struct jsm_job *j, enum jsm_job_state state)
{
    CB_ASSERT(j->state == 0);
    CB_ASSERT((j->holder != NULL) == (state == JSM_JOB_RESERVED));
    j->state = (uint8_t)state;
    enter_queue(j);
    count_state(j, state, 1);
    update_timers(j);
}

void jsm_job_settle_ready(struct jsm_job *j)
{
    j->holder = NULL;
    j->deadline_ns = 0;
    j->seq = 0;
    j->state = JSM_JOB_READY;
    j->tube->n_lazy--;
    cb_heap_insert(&j->tube->ready, &j->node);
    jsm_mark(j->tube->machine, &j->stored);
}

void jsm_job_to_ready(struct jsm_job *j)
{
    leave(j);
    jsm_job_place(j, JSM_JOB_READY);
}

void jsm_job_to_delayed(struct jsm_job *j, uint32_t delay)
{
    leave(j);
    j->seq = j->tube->machine->next_seq++;
    j->deadline_ns = jsm_time_add(j->tube->machine->now_ns, jsm_seconds(delay));
    jsm_job_place(j, JSM_JOB_DELAYED);
}

void jsm_job_to_reserved(struct jsm_job *j, struct jsm_conn *c)
{
    struct jsm *m = j->tube->machine;
    leave(j);
    j->holder = c;
    j->seq = m->next_seq++;
    j->deadline_ns = jsm_time_add(m->now_ns, jsm_seconds(j->ttr));
    j->reserves++;
    jsm_job_place(j, JSM_JOB_RESERVED);
}

void jsm_job_to_buried(struct jsm_job *j)
{
    leave(j);
    j->seq = j->tube->machine->next_seq++;
    jsm_job_place(j, JSM_JOB_BURIED);
}

void jsm_job_touch(struct jsm_job *j)
{
    CB_ASSERT(j->state == JSM_JOB_RESERVED);
    j->deadline_ns = jsm_time_add(j->tube->machine->now_ns, jsm_seconds(j->ttr));
    cb_heap_update(&j->holder->held, &j->node);
    jsm_conn_update_timer(j->holder);
    jsm_mark(j->tube->machine, &j->stored);
}

void jsm_job_delete(struct jsm_job *j)
{
    struct jsm_tube *t = j->tube;
    leave(j);
    jsm_forget(t->machine, &j->stored);
    (void)cb_map_remove(&t->machine->jobs, j->id); /* it is there: create put it */
    jsm_job_destroy(j);
    jsm_tube_release(t);
}
