/* The commands (protocol, one function each). Each runs at the machine's time, after what was due.
 */
#include "node/jsm/jsm_internal.h"

static void count(struct jsm *m, enum jsm_counter counter)
{
    m->counters[counter]++;
}

static void answer(struct jsm_conn *c, uint64_t request, enum jsm_outcome outcome)
{
    jsm_result(c, request, outcome, 0, 0, NULL);
}

static bool has_room(const struct jsm *m, const struct jsm_command *cmd)
{
    const struct jsm_limits *l = &m->limits;
    bool fits =
        l->bytes == 0 || (m->body_bytes <= l->bytes && cmd->body.len <= l->bytes - m->body_bytes);
    return fits && !m->is_short_of_space && (l->jobs == 0 || m->jobs.len < l->jobs);
}

static void put(struct jsm_conn *c, uint64_t request, const struct jsm_command *cmd)
{
    struct jsm *m = c->session->machine;
    jsm_conn_set_producer(c);
    if (!has_room(m, cmd)) {
        answer(c, request, JSM_OUT_OF_MEMORY);
        return;
    }
    struct jsm_tube *t = c->used;
    struct jsm_job *j = jsm_job_create(m, m->next_job_id++, t, jsm_body_create(m, cmd->body));
    j->pri = cmd->pri;
    j->delay = cmd->delay;
    j->ttr = cmd->ttr > 0 ? cmd->ttr : 1;
    j->created_ns = m->now_ns > cmd->age_ns ? m->now_ns - cmd->age_ns : 0;
    m->total_jobs++;
    t->total_jobs++;
    jsm_mark(m, &t->stored);
    jsm_result(c, request, JSM_INSERTED, j->id, 0, NULL);
    if (cmd->delay > 0) {
        jsm_job_to_delayed(j, cmd->delay);
    } else {
        jsm_job_to_ready(j);
        jsm_offer(j);
    }
}

static void watch(struct jsm_conn *c, uint64_t request, const struct jsm_command *cmd)
{
    jsm_conn_watch(c, jsm_tube_get_or_make(c->session->machine, cmd->tube));
    jsm_result(c, request, JSM_WATCHING, 0, c->n_watches, NULL);
}

static void ignore(struct jsm_conn *c, uint64_t request, const struct jsm_command *cmd)
{
    const struct jsm_tube *t = jsm_tube_find(c->session->machine, cmd->tube);
    struct jsm_watch *w = t != NULL ? jsm_conn_find_watch(c, t) : NULL;
    if (w != NULL && c->n_watches == 1) {
        answer(c, request, JSM_NOT_IGNORED);
        return;
    }
    if (w != NULL) {
        jsm_conn_ignore(c, w);
    }
    jsm_result(c, request, JSM_WATCHING, 0, c->n_watches, NULL);
}

static void reserve_job(struct jsm_conn *c, uint64_t request, const struct jsm_command *cmd)
{
    struct jsm_job *j = jsm_job_settled(c->session->machine, cmd->id);
    if (j == NULL || j->state == JSM_JOB_RESERVED) {
        answer(c, request, JSM_NOT_FOUND);
        return;
    }
    jsm_conn_set_worker(c);
    jsm_job_to_reserved(j, c);
    jsm_result(c, request, JSM_RESERVED, j->id, 0, j);
}

static void delete_job(struct jsm_conn *c, uint64_t request, const struct jsm_command *cmd)
{
    struct jsm_job *j = jsm_job_settled(c->session->machine, cmd->id);
    if (j == NULL || (j->state == JSM_JOB_RESERVED && j->holder != c)) {
        answer(c, request, JSM_NOT_FOUND);
        return;
    }
    j->tube->cmd_delete++;
    jsm_mark(c->session->machine, &j->tube->stored);
    jsm_job_delete(j);
    answer(c, request, JSM_DELETED);
}

/* The job if this connection holds it, else NULL. */
static struct jsm_job *held_job(const struct jsm_conn *c, uint64_t id)
{
    struct jsm_job *j = jsm_job_get(c->session->machine, id);
    return j != NULL && j->holder == c ? j : NULL;
}

static void release(struct jsm_conn *c, uint64_t request, const struct jsm_command *cmd)
{
    struct jsm_job *j = held_job(c, cmd->id);
    if (j == NULL) {
        answer(c, request, JSM_NOT_FOUND);
        return;
    }
    j->pri = cmd->pri;
    j->delay = cmd->delay;
    j->releases++;
    answer(c, request, JSM_RELEASED);
    if (cmd->delay > 0) {
        jsm_job_to_delayed(j, cmd->delay);
    } else {
        jsm_job_to_ready(j);
        jsm_offer(j);
    }
}

static void bury(struct jsm_conn *c, uint64_t request, const struct jsm_command *cmd)
{
    struct jsm_job *j = held_job(c, cmd->id);
    if (j == NULL) {
        answer(c, request, JSM_NOT_FOUND);
        return;
    }
    j->pri = cmd->pri;
    j->buries++;
    jsm_job_to_buried(j);
    answer(c, request, JSM_BURIED);
}

static void touch(struct jsm_conn *c, uint64_t request, const struct jsm_command *cmd)
{
    struct jsm_job *j = held_job(c, cmd->id);
    if (j != NULL) {
        jsm_job_touch(j);
    }
    answer(c, request, j != NULL ? JSM_TOUCHED : JSM_NOT_FOUND);
}

static void kick_one(struct jsm_job *j)
{
    j->kicks++;
    jsm_job_to_ready(j);
    jsm_offer(j);
}

/* Buried jobs if there are any, else delayed ones, never both (protocol, "kick"). More than the
 * entry has steps for become ready at once all the same, and are handed out later. */
static void kick(struct jsm_conn *c, uint64_t request, const struct jsm_command *cmd)
{
    struct jsm_tube *t = c->used;
    struct jsm *m = t->machine;
    enum jsm_job_state from = t->buried.len > 0 ? JSM_JOB_BURIED : JSM_JOB_DELAYED;
    struct jsm_row *row = from == JSM_JOB_BURIED ? &t->buried : &t->delayed;
    uint64_t n = cmd->count < row->len ? cmd->count : row->len;
    uint64_t steps = jsm_first_waiter(t) != NULL ? n * JSM_MATCH_STEPS : n;
    if (steps > m->steps && t->n_splices < JSM_SPLICES_MAX) {
        jsm_splice_make(t, from, n);
        jsm_match(m);
    } else {
        n = steps > m->steps ? 1 : n;
        m->steps -= steps < m->steps ? (uint32_t)steps : m->steps;
        for (uint64_t i = 0; i < n; i++) {
            kick_one(jsm_row_first(row));
        }
    }
    jsm_result(c, request, JSM_KICKED, 0, (uint32_t)n, NULL);
}

static void kick_job(struct jsm_conn *c, uint64_t request, const struct jsm_command *cmd)
{
    struct jsm_job *j = jsm_job_settled(c->session->machine, cmd->id);
    if (j == NULL || (j->state != JSM_JOB_BURIED && j->state != JSM_JOB_DELAYED)) {
        answer(c, request, JSM_NOT_FOUND);
        return;
    }
    kick_one(j);
    answer(c, request, JSM_KICKED_JOB);
}

static void pause_tube(struct jsm_conn *c, uint64_t request, const struct jsm_command *cmd)
{
    struct jsm_tube *t = jsm_tube_find(c->session->machine, cmd->tube);
    answer(c, request, t != NULL ? JSM_PAUSED : JSM_NOT_FOUND);
    if (t != NULL) {
        jsm_tube_pause(t, cmd->delay);
    }
}

static void open_conn(struct jsm_session *s, uint64_t number)
{
    struct jsm *m = s->machine;
    if (jsm_conn_get(s, number) != NULL || s->n_conns >= CB_CONNS_PER_SESSION_MAX) {
        return;
    }
    struct jsm_conn *c = jsm_conn_create(s, number, m->next_seq++);
    jsm_conn_use(c, m->tubes[0]);
    jsm_conn_watch(c, m->tubes[0]);
    m->total_connections++;
}

static void half_close(struct jsm_conn *c)
{
    c->is_half_closed = true;
    jsm_mark(c->session->machine, &c->stored);
    if (!c->wait.active) {
        return;
    }
    if (!jsm_must_queue(c)) {
        jsm_wait_end(c, JSM_TIMED_OUT);
        return;
    }
    /* There may be a job for it when those ahead are served: its time is over, but it goes last. */
    c->wait.has_deadline = true;
    c->wait.deadline_ns = c->session->machine->now_ns;
    jsm_conn_update_timer(c);
}

static void run_command(struct jsm_conn *c, uint64_t request, const struct jsm_command *cmd)
{
    struct jsm *m = c->session->machine;
    switch (cmd->op) {
    case JSM_OP_PUT:
        count(m, JSM_CMD_PUT);
        put(c, request, cmd);
        return;
    case JSM_OP_PUT_REJECTED:
        count(m, JSM_CMD_PUT);
        jsm_conn_set_producer(c);
        return;
    case JSM_OP_USE:
        count(m, JSM_CMD_USE);
        jsm_conn_use(c, jsm_tube_get_or_make(m, cmd->tube));
        answer(c, request, JSM_USING);
        return;
    case JSM_OP_WATCH:
        count(m, JSM_CMD_WATCH);
        watch(c, request, cmd);
        return;
    case JSM_OP_IGNORE:
        count(m, JSM_CMD_IGNORE);
        ignore(c, request, cmd);
        return;
    case JSM_OP_RESERVE:
        count(m, JSM_CMD_RESERVE);
        jsm_reserve(c, request, false, 0);
        return;
    case JSM_OP_RESERVE_WITH_TIMEOUT:
        count(m, JSM_CMD_RESERVE_WITH_TIMEOUT);
        jsm_reserve(c, request, true, cmd->count);
        return;
    case JSM_OP_RESERVE_JOB:
        reserve_job(c, request, cmd);
        return;
    case JSM_OP_DELETE:
        count(m, JSM_CMD_DELETE);
        delete_job(c, request, cmd);
        return;
    case JSM_OP_RELEASE:
        count(m, JSM_CMD_RELEASE);
        release(c, request, cmd);
        return;
    case JSM_OP_BURY:
        count(m, JSM_CMD_BURY);
        bury(c, request, cmd);
        return;
    case JSM_OP_TOUCH:
        count(m, JSM_CMD_TOUCH);
        touch(c, request, cmd);
        return;
    case JSM_OP_KICK:
        count(m, JSM_CMD_KICK);
        kick(c, request, cmd);
        return;
    case JSM_OP_KICK_JOB:
        kick_job(c, request, cmd);
        return;
    case JSM_OP_PAUSE_TUBE:
        count(m, JSM_CMD_PAUSE_TUBE);
        pause_tube(c, request, cmd);
        return;
    case JSM_OP_CONN_OPEN:
    case JSM_OP_CONN_HALF_CLOSE:
    case JSM_OP_CONN_CLOSE:
    case JSM_OP_END:
        break;
    }
    CB_UNREACHABLE("op of request");
}

/* A proxy sends nothing on a connection that waits but its end, and nothing on an unknown one; if
 * one does, the request takes its number and has no effect. */
void jsm_request(struct jsm_session *s, uint64_t number, const struct jsm_command *cmd)
{
    if (cmd->op == JSM_OP_CONN_OPEN) {
        open_conn(s, cmd->conn);
        return;
    }
    struct jsm_conn *c = jsm_conn_get(s, cmd->conn);
    if (c == NULL || c->is_hidden) {
        return;
    }
    if (cmd->op == JSM_OP_CONN_CLOSE) {
        jsm_conn_close(c);
    } else if (cmd->op == JSM_OP_CONN_HALF_CLOSE) {
        half_close(c);
    } else if (!c->wait.active) {
        run_command(c, number, cmd);
    }
}
