#include "model/model_work.h"

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"

struct model_bytes model_copy(struct cb_span s)
{
    uint8_t *p = cb_malloc(s.len + 1);
    if (s.len != 0) {
        memcpy(p, s.ptr, s.len);
    }
    return (struct model_bytes){p, s.len};
}

void model_touch(struct model *m, uint64_t id)
{
    for (uint32_t i = 0; i < m->n_touched; i++) {
        if (m->touched[i] == id) {
            return;
        }
    }
    PUSH(m->touched, m->n_touched, id);
}

/* ---- results ---- */

bool model_is_over(const struct model_session *s, uint64_t share)
{
    return s->last_result - s->acked > CB_RESULTS_UNACKED_MAX / share ||
           s->kept_bytes > CB_RESULT_BYTES_UNACKED_MAX / share;
}

enum { RESULTS_STEP = 1024 };

void model_answer(struct model *m, struct model_conn *c, struct jsm_result r)
{
    struct model_session *s = c->session;
    uint64_t kept = s->last_result - s->acked;
    r.number = ++s->last_result;
    r.conn = c->number;
    if (kept % RESULTS_STEP == 0) { /* by one each would copy all of them each time */
        s->results = cb_realloc(s->results, (kept + RESULTS_STEP) * sizeof *s->results);
    }
    s->results[kept] = r;
    s->kept_bytes += r.body.len;
    s->full = s->full || model_is_over(s, 1);
    model_touch(m, s->id);
    if (m->on_answer != NULL) {
        m->on_answer(m->on_answer_data, s->id, &r);
    }
}

void model_answer_plain(struct model *m,
                        struct model_conn *c,
                        uint64_t request,
                        enum jsm_outcome outcome)
{
    model_answer(m, c, (struct jsm_result){.request = request, .outcome = outcome});
}

void model_forget_results(struct model_session *s, uint64_t upto)
{
    uint64_t n = upto - s->acked;
    uint64_t kept = s->last_result - s->acked;
    for (uint64_t i = 0; i < n; i++) {
        s->kept_bytes -= s->results[i].body.len;
        cb_free((void *)(uintptr_t)s->results[i].body.ptr);
    }
    if (n != 0) {
        memmove(s->results, s->results + n, (kept - n) * sizeof *s->results);
    }
    s->acked = upto;
}

/* ---- tubes ---- */

struct model_tube *model_tube_make(struct model *m, struct cb_span name)
{
    struct model_tube *t = model_tube(m, name);
    if (t == NULL) {
        t = cb_calloc(1, sizeof *t);
        t->name = model_copy(name);
        t->number = m->last_tube++;
        PUSH(m->tubes, m->n_tubes, t);
    }
    return t;
}

/* A tube lives while it is default, used, watched or has a job; the last one takes its place. */
void model_tube_maybe_die(struct model *m, struct model_tube *t)
{
    struct jsm_tube_view v;
    model_view_tube(m, t, &v);
    if (t == m->tubes[0] ||
        v.using + v.watching + v.ready + v.delayed + v.reserved + v.buried > 0) {
        return;
    }
    for (uint32_t i = 0; i < m->n_tubes; i++) {
        if (m->tubes[i] == t) {
            m->tubes[i] = m->tubes[--m->n_tubes];
        }
    }
    cb_free(t->name.ptr);
    cb_free(t);
}

void model_unwatch(struct model *m, struct model_conn *c, uint32_t i)
{
    struct model_tube *t = c->watched[i];
    c->watched[i] = c->watched[--c->n_watched];
    model_tube_maybe_die(m, t);
}

/* ---- jobs ---- */

void model_reserve_job(struct model *m, struct model_conn *c, struct model_job *j, uint64_t request)
{
    j->state = JSM_JOB_RESERVED;
    j->holder = c;
    j->order = ++m->last_order;
    j->deadline = m->now + j->ttr * CB_NS_PER_S;
    j->reserves++;
    struct model_bytes body = model_copy(model_span(j->body));
    model_answer(m, c,
                 (struct jsm_result){.request = request,
                                     .outcome = JSM_RESERVED,
                                     .id = j->id,
                                     .body = {body.ptr, body.len}});
}

void model_stop_waiting(struct model *m, struct model_conn *c)
{
    if (c->waiting) {
        c->waiting = false;
        m->n_waiting--;
    }
}

/* Who is served next in the tube; NULL when there is nobody. */
static struct model_conn *longest_waiter(const struct model *m, const struct model_tube *t)
{
    struct model_conn *first = NULL;
    for (uint32_t i = 0; t->pause == 0 && m->n_waiting > 0 && i < m->n_conns; i++) {
        struct model_conn *c = m->conns[i];
        if (c->waiting && !c->session->full && model_watches(c, t) &&
            (first == NULL || c->arrival < first->arrival)) {
            first = c;
        }
    }
    return first;
}

struct model_job *model_best_job(const struct model *m, const struct model_conn *c)
{
    struct model_job *best = NULL;
    for (uint32_t i = 0; i < m->n_jobs; i++) {
        struct model_job *j = m->jobs[i];
        if (j->state == JSM_JOB_READY && j->tube->pause == 0 && model_watches(c, j->tube) &&
            (best == NULL || j->pri < best->pri)) {
            best = j;
        }
    }
    return best;
}

void model_make_ready(struct model *m, struct model_job *j)
{
    j->state = JSM_JOB_READY;
    j->holder = NULL;
    struct model_conn *c = j->tube->unmatched ? NULL : longest_waiter(m, j->tube);
    if (c != NULL && model_must_queue(c)) {
        j->tube->unmatched = true;
    } else if (c != NULL) {
        model_stop_waiting(m, c);
        model_reserve_job(m, c, j, c->wait_request);
    }
}

bool model_has_waiter(const struct model *m, const struct model_tube *t)
{
    return longest_waiter(m, t) != NULL;
}

void model_note(struct model_tube *t, const struct model *m)
{
    t->unmatched =
        t->unmatched || (longest_waiter(m, t) != NULL && model_head(m, t, JSM_JOB_READY) != NULL);
}

static struct model_tube *first_unmatched(const struct model *m)
{
    struct model_tube *first = NULL;
    for (uint32_t i = 0; i < m->n_tubes; i++) {
        struct model_tube *t = m->tubes[i];
        if (t->unmatched && (first == NULL || t->number < first->number)) {
            first = t;
        }
    }
    return first;
}

void model_match(struct model *m)
{
    struct model_tube *t;
    while (m->steps > 0 && (t = first_unmatched(m)) != NULL) {
        struct model_conn *c = longest_waiter(m, t);
        if (c == NULL || model_head(m, t, JSM_JOB_READY) == NULL) {
            t->unmatched = false;
            continue;
        }
        m->steps -= m->steps < MODEL_MATCH_STEPS ? m->steps : MODEL_MATCH_STEPS;
        model_stop_waiting(m, c);
        model_reserve_job(m, c, model_best_job(m, c), c->wait_request);
    }
}

bool model_must_queue(const struct model_conn *c)
{
    for (uint32_t i = 0; i < c->n_watched; i++) {
        if (c->watched[i]->unmatched && c->watched[i]->pause == 0) {
            return true;
        }
    }
    return false;
}

void model_make_ready_or_delayed(struct model *m, struct model_job *j, uint32_t delay)
{
    if (delay == 0) {
        model_make_ready(m, j);
        return;
    }
    j->state = JSM_JOB_DELAYED;
    j->holder = NULL;
    j->deadline = m->now + delay * CB_NS_PER_S;
}

void model_kick_job(struct model *m, struct model_job *j)
{
    j->kicks++;
    model_make_ready(m, j);
}

void model_delete_job(struct model *m, struct model_job *j)
{
    struct model_tube *t = j->tube;
    for (uint32_t i = 0; i < m->n_jobs; i++) {
        if (m->jobs[i] == j) {
            TAKE_OUT(m->jobs, m->n_jobs, i);
            break;
        }
    }
    cb_free(j->body.ptr);
    cb_free(j);
    model_tube_maybe_die(m, t);
}

/* The job of this connection that was reserved first, or (soonest) the one that expires first. */
static struct model_job *held(const struct model *m, const struct model_conn *c, bool soonest)
{
    struct model_job *best = NULL;
    for (uint32_t i = 0; i < m->n_jobs; i++) {
        struct model_job *j = m->jobs[i];
        if (j->state == JSM_JOB_RESERVED && j->holder == c &&
            (best == NULL || (soonest ? j->deadline < best->deadline : j->order < best->order))) {
            best = j;
        }
    }
    return best;
}

/* When this connection's soonest job enters its last CB_NS_PER_S. */
uint64_t model_margin(const struct model *m, const struct model_conn *c)
{
    const struct model_job *j = held(m, c, true);
    return j == NULL ? JSM_NEVER : j->deadline - CB_NS_PER_S;
}

/* ---- connections ---- */

void model_conn_open(struct model *m, struct model_session *s, uint64_t number)
{
    struct model_conn *c = cb_calloc(1, sizeof *c);
    c->session = s;
    c->number = number;
    c->used = m->tubes[0];
    PUSH(c->watched, c->n_watched, m->tubes[0]);
    PUSH(m->conns, m->n_conns, c);
    m->total_connections++;
}

uint32_t model_n_held(const struct model *m, const struct model_conn *c)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->n_jobs; i++) {
        n += m->jobs[i]->state == JSM_JOB_RESERVED && m->jobs[i]->holder == c;
    }
    return n;
}

void model_conn_leave(struct model *m, struct model_conn *c)
{
    while (c->n_watched > 0) {
        model_unwatch(m, c, 0);
    }
    struct model_tube *used = c->used;
    c->used = NULL;
    model_tube_maybe_die(m, used);
    for (uint32_t i = 0; i < m->n_conns; i++) {
        if (m->conns[i] == c) {
            TAKE_OUT(m->conns, m->n_conns, i);
            break;
        }
    }
    cb_free(c->watched);
    c->watched = NULL;
}

void model_conn_close(struct model *m, struct model_conn *c)
{
    model_stop_waiting(m, c);
    uint32_t n = model_n_held(m, c);
    if (n > m->steps) {
        model_release_conn(m, c);
        model_conn_leave(m, c);
        return;
    }
    m->steps -= n;
    for (struct model_job *j = held(m, c, false); j != NULL; j = held(m, c, false)) {
        model_make_ready(m, j);
    }
    model_conn_leave(m, c);
    cb_free(c);
}
