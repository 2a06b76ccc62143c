/* What each request does. */
#include "model/model_work.h"

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"

static bool has_room(const struct model *m, const struct jsm_command *q)
{
    return !m->short_of_space && (m->limits.jobs == 0 || m->n_jobs + 1 <= m->limits.jobs) &&
           (m->limits.bytes == 0 || model_body_bytes(m) + q->body.len <= m->limits.bytes);
}

static void
put(struct model *m, struct model_conn *c, uint64_t request, const struct jsm_command *q)
{
    c->producer = true;
    if (!has_room(m, q)) {
        model_answer_plain(m, c, request, JSM_OUT_OF_MEMORY);
        return;
    }
    struct model_job *j = cb_calloc(1, sizeof *j);
    j->id = ++m->last_id;
    j->tube = c->used;
    j->pri = q->pri;
    j->delay = q->delay;
    j->ttr = q->ttr == 0 ? 1 : q->ttr;
    j->created = q->age_ns > m->now ? 0 : m->now - q->age_ns;
    j->body = model_copy(q->body);
    PUSH(m->jobs, m->n_jobs, j);
    j->tube->total_jobs++;
    m->total_jobs++;
    model_answer(m, c,
                 (struct jsm_result){.request = request, .outcome = JSM_INSERTED, .id = j->id});
    model_make_ready_or_delayed(m, j, q->delay);
}

static void use(struct model *m, struct model_conn *c, struct cb_span name)
{
    struct model_tube *old = c->used;
    c->used = model_tube_make(m, name);
    model_tube_maybe_die(m, old);
}

/* False: NOT_IGNORED. */
static bool ignore(struct model *m, struct model_conn *c, struct cb_span name)
{
    for (uint32_t i = 0; i < c->n_watched; i++) {
        if (cb_span_eq(model_span(c->watched[i]->name), name)) {
            if (c->n_watched == 1) {
                return false;
            }
            model_unwatch(m, c, i);
            return true;
        }
    }
    return true;
}

static void reserve(struct model *m, struct model_conn *c, uint64_t request, uint64_t wait_end)
{
    struct model_job *best = model_best_job(m, c);
    bool queues = model_must_queue(c);
    wait_end = c->half_closed ? m->now : wait_end;
    c->worker = true;
    if (best != NULL && !queues) {
        model_reserve_job(m, c, best, request);
    } else if (model_margin(m, c) <= m->now && !queues) {
        model_answer_plain(m, c, request, JSM_DEADLINE_SOON);
    } else if (wait_end <= m->now && !queues) {
        model_answer_plain(m, c, request, JSM_TIMED_OUT);
    } else {
        c->waiting = true;
        c->arrival = ++m->last_order;
        c->wait_request = request;
        c->wait_end = wait_end;
        m->n_waiting++;
        for (uint32_t i = 0; queues && i < c->n_watched; i++) {
            model_note(c->watched[i], m);
        }
    }
}

/* More than there are steps for: all of them at once, in no order. */
static void kick_many(struct model *m, struct model_tube *t, enum jsm_job_state from, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        struct model_job *j = model_head(m, t, from);
        j->kicks++;
        j->state = JSM_JOB_READY;
    }
    model_note(t, m);
    model_match(m);
}

static uint32_t kick(struct model *m, struct model_conn *c, uint32_t bound)
{
    struct jsm_tube_view v;
    model_view_tube(m, c->used, &v);
    enum jsm_job_state from = v.buried > 0 ? JSM_JOB_BURIED : JSM_JOB_DELAYED;
    uint64_t there = v.buried > 0 ? v.buried : v.delayed;
    uint64_t n = bound < there ? bound : there;
    uint64_t steps = model_has_waiter(m, c->used) ? n * MODEL_MATCH_STEPS : n;
    if (steps > m->steps) {
        kick_many(m, c->used, from, n);
        return (uint32_t)n;
    }
    m->steps -= (uint32_t)steps;
    for (uint64_t i = 0; i < n; i++) {
        model_kick_job(m, model_head(m, c->used, from));
    }
    return (uint32_t)n;
}

static void
pause_tube(struct model *m, struct model_conn *c, uint64_t request, const struct jsm_command *q)
{
    struct model_tube *t = model_tube(m, q->tube);
    model_answer_plain(m, c, request, t == NULL ? JSM_NOT_FOUND : JSM_PAUSED);
    if (t != NULL) {
        t->cmd_pause_tube++;
        t->pause = q->delay;
        t->pause_end = m->now + q->delay * CB_NS_PER_S;
        if (t->pause == 0) {
            model_note(t, m);
            model_match(m);
        }
    }
}

static void
release(struct model *m, struct model_conn *c, uint64_t request, const struct jsm_command *q)
{
    struct model_job *j = model_job(m, q->id);
    bool mine = j != NULL && j->state == JSM_JOB_RESERVED && j->holder == c;
    model_answer_plain(m, c, request, mine ? JSM_RELEASED : JSM_NOT_FOUND);
    if (mine) {
        j->pri = q->pri;
        j->delay = q->delay;
        j->releases++;
        model_make_ready_or_delayed(m, j, q->delay);
    }
}

/* The commands on a job that any connection may give, or its holder alone. */
static enum jsm_outcome
job_command(struct model *m, struct model_conn *c, uint64_t request, const struct jsm_command *q)
{
    struct model_job *j = model_job(m, q->id);
    bool reserved = j != NULL && j->state == JSM_JOB_RESERVED;
    bool mine = reserved && j->holder == c;
    if (q->op == JSM_OP_DELETE && j != NULL && (mine || !reserved)) {
        j->tube->cmd_delete++;
        model_delete_job(m, j);
        return JSM_DELETED;
    }
    if (q->op == JSM_OP_RESERVE_JOB && j != NULL && !reserved) {
        c->worker = true;
        model_reserve_job(m, c, j, request);
        return JSM_RESERVED;
    }
    if (q->op == JSM_OP_KICK_JOB && j != NULL &&
        (j->state == JSM_JOB_BURIED || j->state == JSM_JOB_DELAYED)) {
        model_kick_job(m, j);
        return JSM_KICKED_JOB;
    }
    if (q->op == JSM_OP_BURY && mine) {
        j->state = JSM_JOB_BURIED;
        j->holder = NULL;
        j->pri = q->pri;
        j->buries++;
        j->order = ++m->last_order;
        return JSM_BURIED;
    }
    if (q->op == JSM_OP_TOUCH && mine) {
        j->deadline = m->now + j->ttr * CB_NS_PER_S;
        return JSM_TOUCHED;
    }
    return JSM_NOT_FOUND;
}

static const struct {
    enum jsm_op op;
    enum jsm_counter counter;
} counted[] = {
    {JSM_OP_PUT, JSM_CMD_PUT},
    {JSM_OP_PUT_REJECTED, JSM_CMD_PUT},
    {JSM_OP_USE, JSM_CMD_USE},
    {JSM_OP_WATCH, JSM_CMD_WATCH},
    {JSM_OP_IGNORE, JSM_CMD_IGNORE},
    {JSM_OP_RESERVE, JSM_CMD_RESERVE},
    {JSM_OP_DELETE, JSM_CMD_DELETE},
    {JSM_OP_RESERVE_WITH_TIMEOUT, JSM_CMD_RESERVE_WITH_TIMEOUT},
    {JSM_OP_RELEASE, JSM_CMD_RELEASE},
    {JSM_OP_BURY, JSM_CMD_BURY},
    {JSM_OP_TOUCH, JSM_CMD_TOUCH},
    {JSM_OP_KICK, JSM_CMD_KICK},
    {JSM_OP_PAUSE_TUBE, JSM_CMD_PAUSE_TUBE},
};

static void
command(struct model *m, struct model_conn *c, uint64_t request, const struct jsm_command *q)
{
    struct jsm_result r = {.request = request};
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
        m->counters[counted[i].counter] += counted[i].op == q->op;
    }
    switch ((int)q->op) {
    case JSM_OP_PUT_REJECTED:
        c->producer = true;
        return;
    case JSM_OP_PUT:
        put(m, c, request, q);
        return;
    case JSM_OP_RELEASE:
        release(m, c, request, q);
        return;
    case JSM_OP_PAUSE_TUBE:
        pause_tube(m, c, request, q);
        return;
    case JSM_OP_RESERVE:
        reserve(m, c, request, JSM_NEVER);
        return;
    case JSM_OP_RESERVE_WITH_TIMEOUT:
        reserve(m, c, request, m->now + q->count * CB_NS_PER_S);
        return;
    case JSM_OP_USE:
        use(m, c, q->tube);
        r.outcome = JSM_USING;
        break;
    case JSM_OP_WATCH: {
        struct model_tube *t = model_tube_make(m, q->tube);
        if (!model_watches(c, t)) {
            PUSH(c->watched, c->n_watched, t);
        }
        r.outcome = JSM_WATCHING;
        r.count = c->n_watched;
        break;
    }
    case JSM_OP_IGNORE:
        r.outcome = ignore(m, c, q->tube) ? JSM_WATCHING : JSM_NOT_IGNORED;
        r.count = r.outcome == JSM_WATCHING ? c->n_watched : 0;
        break;
    case JSM_OP_KICK:
        r.count = kick(m, c, q->count);
        r.outcome = JSM_KICKED;
        break;
    default:
        r.outcome = job_command(m, c, request, q);
        if (r.outcome == JSM_RESERVED) {
            return; /* answered with its body */
        }
    }
    model_answer(m, c, r);
}

static void half_close(struct model *m, struct model_conn *c)
{
    c->half_closed = true;
    if (c->waiting && model_must_queue(c)) {
        c->wait_end = m->now;
    } else if (c->waiting) {
        model_stop_waiting(m, c);
        model_answer_plain(m, c, c->wait_request, JSM_TIMED_OUT);
    }
}

void model_request(struct model *m, const struct jsm_item *it)
{
    struct model_session *s = model_session(m, it->session);
    if (s == NULL || it->number != s->last_request + 1) {
        m->dropped++;
        return;
    }
    s->last_request = it->number;
    model_touch(m, s->id);
    struct model_conn *c = model_conn(m, s->id, it->command.conn);
    enum jsm_op op = it->command.op;
    if (op == JSM_OP_CONN_OPEN && c == NULL && !model_is_grave(s, it->command.conn)) {
        model_conn_open(m, s, it->command.conn);
    } else if (op == JSM_OP_CONN_HALF_CLOSE && c != NULL) {
        half_close(m, c);
    } else if (op == JSM_OP_CONN_CLOSE && c != NULL) {
        model_conn_close(m, c);
    } else if (op > JSM_OP_CONN_CLOSE && c != NULL && !c->waiting) {
        command(m, c, it->number, &it->command);
    }
}
