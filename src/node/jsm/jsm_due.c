/* What happens by time alone, in one total order: time, kind, id (design D2). */
#include "node/jsm/jsm_internal.h"

bool jsm_timer_less(const struct cb_heap_node *a, const struct cb_heap_node *b)
{
    const struct jsm_timer *x = CB_CONTAINER(a, const struct jsm_timer, node);
    const struct jsm_timer *y = CB_CONTAINER(b, const struct jsm_timer, node);
    if (x->at_ns != y->at_ns) {
        return x->at_ns < y->at_ns;
    }
    return x->kind != y->kind ? x->kind < y->kind : x->id < y->id;
}

void jsm_timer_init(struct jsm_timer *t)
{
    *t = (struct jsm_timer){.at_ns = JSM_NEVER};
    cb_heap_node_init(&t->node);
}

void jsm_timer_set(
    struct jsm *m, struct jsm_timer *t, uint64_t at_ns, enum jsm_due_kind kind, uint64_t id)
{
    bool was_in = cb_heap_node_is_in(&t->node);
    if (was_in && at_ns == JSM_NEVER) {
        cb_heap_remove(&m->due, &t->node);
    }
    t->at_ns = at_ns;
    t->kind = (uint8_t)kind;
    t->id = id;
    if (at_ns == JSM_NEVER) {
        return;
    }
    if (was_in) {
        cb_heap_update(&m->due, &t->node);
    } else {
        cb_heap_insert(&m->due, &t->node);
    }
}

static void promote_delayed(struct jsm_tube *t)
{
    struct jsm_job *j = jsm_row_first(&t->delayed);
    jsm_job_to_ready(j);
    jsm_offer(j);
}

static void expire_reservation(struct jsm_conn *c)
{
    struct jsm_job *j = jsm_job_of(cb_heap_top(&c->held));
    j->timeouts++;
    c->session->machine->job_timeouts++;
    jsm_job_to_ready(j);
    jsm_offer(j);
}

static void run_one(struct jsm_timer *timer)
{
    switch ((enum jsm_due_kind)timer->kind) {
    case JSM_DUE_PAUSE_END:
        jsm_tube_unpause(CB_CONTAINER(timer, struct jsm_tube, timer));
        return;
    case JSM_DUE_DELAY:
        promote_delayed(CB_CONTAINER(timer, struct jsm_tube, timer));
        return;
    case JSM_DUE_TTR:
        expire_reservation(CB_CONTAINER(timer, struct jsm_conn, timer));
        return;
    case JSM_DUE_MARGIN:
        jsm_wait_end(CB_CONTAINER(timer, struct jsm_conn, timer), JSM_DEADLINE_SOON);
        return;
    case JSM_DUE_WAIT:
        jsm_wait_end(CB_CONTAINER(timer, struct jsm_conn, timer), JSM_TIMED_OUT);
        return;
    }
    CB_UNREACHABLE("kind of timer");
}

/* Somebody whose wait ends, but for whom there may be a job when those before it are served: that
 * goes first, as always. */
static bool must_wait(const struct jsm_timer *t)
{
    return (t->kind == JSM_DUE_WAIT || t->kind == JSM_DUE_MARGIN) &&
           jsm_must_queue(CB_CONTAINER(t, struct jsm_conn, timer));
}

void jsm_run_due(struct jsm *m)
{
    while (m->steps > 0 && m->due.len > 0) {
        struct jsm_timer *t = CB_CONTAINER(cb_heap_top(&m->due), struct jsm_timer, node);
        if (t->at_ns > m->now_ns || must_wait(t)) {
            return;
        }
        m->steps--;
        run_one(t);
    }
}

uint64_t jsm_next_due_ns(const struct jsm *m)
{
    if (!jsm_lazy_is_empty(m)) {
        return m->now_ns;
    }
    struct cb_heap_node *n = cb_heap_top(&m->due);
    return n == NULL ? JSM_NEVER : CB_CONTAINER(n, struct jsm_timer, node)->at_ns;
}
