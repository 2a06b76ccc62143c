/* Reserve: the best job now, or a place in the line (protocol, "reserve").
 *
 * Between entries no unpaused tube has both a ready job and a waiter that may have it, but for
 * those that are unmatched: they got so many at once that an entry's steps were too few. In all
 * others a job that becomes ready goes to the longest waiter at once, in the same entry; in these
 * everybody waits in line until the next entries have brought it up to date (ADR 13). */
#include "node/jsm/jsm_internal.h"

static void grant(struct jsm_conn *c, uint64_t request, struct jsm_job *j)
{
    jsm_job_to_reserved(j, c);
    jsm_result(c, request, JSM_RESERVED, j->id, 0, j);
}

void jsm_wait_enter(struct jsm_conn *c)
{
    struct jsm *m = c->session->machine;
    CB_ASSERT(c->wait.active);
    uint64_t behind = c->session->is_blocked ? UINT64_C(1) << 63 : 0; /* no arrival is as great */
    for (uint32_t i = 0; i < c->n_watches; i++) {
        c->watches[i]->order = behind | c->wait.arrival;
        cb_heap_insert(&c->watches[i]->tube->waiters, &c->watches[i]->node);
    }
    m->n_waiting++;
}

void jsm_wait_leave(struct jsm_conn *c)
{
    CB_ASSERT(c->wait.active);
    for (uint32_t i = 0; i < c->n_watches; i++) {
        cb_heap_remove(&c->watches[i]->tube->waiters, &c->watches[i]->node);
    }
    c->session->machine->n_waiting--;
}

static void stop_waiting(struct jsm_conn *c)
{
    jsm_wait_leave(c);
    c->wait.active = false;
    jsm_mark(c->session->machine, &c->stored);
    jsm_conn_update_timer(c);
}

void jsm_wait_end(struct jsm_conn *c, enum jsm_outcome outcome)
{
    uint64_t request = c->wait.request;
    stop_waiting(c);
    jsm_result(c, request, outcome, 0, 0, NULL);
}

static void grant_waiter(struct jsm_conn *c, struct jsm_job *j)
{
    uint64_t request = c->wait.request;
    stop_waiting(c);
    grant(c, request, j);
}

struct jsm_conn *jsm_first_waiter(const struct jsm_tube *t)
{
    struct cb_heap_node *n = cb_heap_top(&t->waiters);
    if (n == NULL || t->pause > 0) {
        return NULL;
    }
    struct jsm_conn *c = CB_CONTAINER(n, struct jsm_watch, node)->conn;
    return c->session->is_blocked ? NULL : c;
}

void jsm_offer(struct jsm_job *j)
{
    CB_ASSERT(j->state == JSM_JOB_READY);
    if (cb_heap_node_is_in(&j->tube->unmatched)) {
        return;
    }
    struct jsm_conn *c = jsm_first_waiter(j->tube);
    if (c != NULL && jsm_must_queue(c)) {
        jsm_tube_note(j->tube); /* a better one may wait for it in another tube */
    } else if (c != NULL) {
        grant_waiter(c, j);
    }
}

static struct jsm_job *best_job(const struct jsm_conn *c)
{
    struct jsm_job *best = NULL;
    for (uint32_t i = 0; i < c->n_watches; i++) {
        const struct jsm_tube *t = c->watches[i]->tube;
        struct jsm_job *j = jsm_tube_best(t);
        if (j != NULL && t->pause == 0 && (best == NULL || jsm_ready_less(&j->node, &best->node))) {
            best = j;
        }
    }
    return best;
}

/* The longest waiter of the tube gets the best job that it could have; false: there is none. */
static bool match_one(struct jsm_tube *t)
{
    struct jsm_conn *c = jsm_first_waiter(t);
    if (c == NULL || jsm_tube_best(t) == NULL) {
        return false;
    }
    grant_waiter(c, best_job(c));
    return true;
}

void jsm_match(struct jsm *m)
{
    while (m->steps > 0 && m->unmatched.len > 0) {
        struct jsm_tube *t = CB_CONTAINER(cb_heap_top(&m->unmatched), struct jsm_tube, unmatched);
        if (match_one(t)) {
            m->steps -= m->steps < JSM_MATCH_STEPS ? m->steps : JSM_MATCH_STEPS;
        } else {
            cb_heap_remove(&m->unmatched, &t->unmatched);
            jsm_mark(m, &t->stored);
        }
    }
}

bool jsm_must_queue(const struct jsm_conn *c)
{
    const struct jsm *m = c->session->machine;
    for (uint32_t i = 0; m->unmatched.len > 0 && i < c->n_watches; i++) {
        const struct jsm_tube *t = c->watches[i]->tube;
        if (cb_heap_node_is_in(&t->unmatched) && t->pause == 0) {
            return true;
        }
    }
    return false;
}

/* A held job has at most a second left. */
static bool is_deadline_soon(const struct jsm_conn *c)
{
    const struct jsm_job *j = jsm_job_of(cb_heap_top(&c->held));
    return j != NULL && j->deadline_ns <= jsm_time_add(c->session->machine->now_ns, JSM_MARGIN_NS);
}

void jsm_reserve(struct jsm_conn *c, uint64_t request, bool has_timeout, uint32_t seconds)
{
    struct jsm *m = c->session->machine;
    jsm_conn_set_worker(c);
    if (c->is_half_closed) {
        has_timeout = true;
        seconds = 0;
    }
    bool queues = jsm_must_queue(c);
    if (!queues) {
        struct jsm_job *j = best_job(c);
        if (j != NULL) {
            grant(c, request, j);
            return;
        }
        if (is_deadline_soon(c)) {
            jsm_result(c, request, JSM_DEADLINE_SOON, 0, 0, NULL);
            return;
        }
        if (has_timeout && seconds == 0) {
            jsm_result(c, request, JSM_TIMED_OUT, 0, 0, NULL);
            return;
        }
    }
    c->wait = (struct jsm_wait){
        .active = true,
        .has_deadline = has_timeout,
        .request = request,
        .arrival = m->next_seq++,
        .deadline_ns = has_timeout ? jsm_time_add(m->now_ns, jsm_seconds(seconds)) : 0,
    };
    jsm_wait_enter(c);
    jsm_mark(m, &c->stored);
    jsm_conn_update_timer(c);
    for (uint32_t i = 0; queues && i < c->n_watches; i++) {
        jsm_tube_note(c->watches[i]->tube); /* another one may have had a job for it */
    }
}
