/* What reads see: the state as of the machine's time. */
#include "node/jsm/jsm_internal.h"

void jsm_read_stats(const struct jsm *m, struct jsm_view *out)
{
    *out = (struct jsm_view){
        .urgent = m->n_urgent,
        .ready = m->n_state[JSM_JOB_READY],
        .reserved = m->n_state[JSM_JOB_RESERVED],
        .delayed = m->n_state[JSM_JOB_DELAYED],
        .buried = m->n_state[JSM_JOB_BURIED],
        .job_timeouts = m->job_timeouts,
        .total_jobs = m->total_jobs,
        .tubes = m->n_tubes > 0 ? m->n_tubes : 1, /* default is there before the first entry */
        .connections = m->n_conns,
        .producers = m->n_producers,
        .workers = m->n_workers,
        .waiting = m->n_waiting,
        .total_connections = m->total_connections,
    };
    memcpy(out->counters, m->counters, sizeof(out->counters));
}

static struct cb_span name_of(const struct jsm_tube *t)
{
    return cb_span(t->name, t->name_len);
}

/* Time from now to `at_ns`; 0 when it has passed. */
static uint64_t left_ns(const struct jsm *m, uint64_t at_ns)
{
    return at_ns > m->now_ns ? at_ns - m->now_ns : 0;
}

bool jsm_read_tube(const struct jsm *m, struct cb_span name, struct jsm_tube_view *out)
{
    const struct jsm_tube *t = jsm_tube_find(m, name);
    if (t == NULL) {
        return false;
    }
    *out = (struct jsm_tube_view){
        .name = name_of(t),
        .urgent = t->n_urgent,
        .ready = jsm_tube_n_ready(t),
        .reserved = t->n_reserved,
        .delayed = t->delayed.len,
        .buried = t->buried.len,
        .total_jobs = t->total_jobs,
        .cmd_delete = t->cmd_delete,
        .cmd_pause_tube = t->cmd_pause_tube,
        .using = t->n_using,
        .watching = t->n_watching,
        .waiting = t->waiters.len,
        .pause = t->pause,
        .pause_left_ns = t->pause > 0 ? left_ns(m, t->pause_until_ns) : 0,
    };
    return true;
}

static void view_job(const struct jsm *m, const struct jsm_job *j, struct jsm_job_view *out)
{
    bool is_lazy = jsm_is_lazy(j);
    bool is_timed = !is_lazy && (j->state == JSM_JOB_RESERVED || j->state == JSM_JOB_DELAYED);
    *out = (struct jsm_job_view){
        .id = j->id,
        .tube = name_of(j->tube),
        .state = is_lazy ? JSM_JOB_READY : (enum jsm_job_state)j->state,
        .pri = j->pri,
        .delay = j->delay,
        .ttr = j->ttr,
        .age_ns = m->now_ns - j->created_ns,
        .left_ns = is_timed ? left_ns(m, j->deadline_ns) : 0,
        .reserves = j->reserves,
        .timeouts = j->timeouts,
        .releases = j->releases,
        .buries = j->buries,
        .kicks = j->kicks + (is_lazy && j->state != JSM_JOB_RESERVED),
        .body = jsm_body_span(j->body),
        .is_away = j->body->is_away,
    };
}

bool jsm_read_job(const struct jsm *m, uint64_t id, struct jsm_job_view *out)
{
    const struct jsm_job *j = jsm_job_get(m, id);
    if (j != NULL) {
        view_job(m, j, out);
    }
    return j != NULL;
}

static const struct jsm_conn *find_conn(const struct jsm *m, uint64_t session, uint64_t conn)
{
    const struct jsm_session *s = jsm_session_get(m, session);
    const struct jsm_conn *c = s != NULL ? jsm_conn_get(s, conn) : NULL;
    return c != NULL && !c->is_hidden ? c : NULL;
}

bool jsm_read_head(const struct jsm *m,
                   uint64_t session,
                   uint64_t conn,
                   enum jsm_job_state state,
                   struct jsm_job_view *out)
{
    const struct jsm_conn *c = find_conn(m, session, conn);
    if (c == NULL) {
        return false;
    }
    CB_ASSERT(state != JSM_JOB_RESERVED);
    const struct jsm_job *j = state == JSM_JOB_READY     ? jsm_tube_best(c->used)
                              : state == JSM_JOB_DELAYED ? jsm_row_first(&c->used->delayed)
                                                         : jsm_row_first(&c->used->buried);
    if (j != NULL) {
        view_job(m, j, out);
    }
    return j != NULL;
}

bool jsm_read_used(const struct jsm *m, uint64_t session, uint64_t conn, struct cb_span *out)
{
    const struct jsm_conn *c = find_conn(m, session, conn);
    if (c != NULL) {
        *out = name_of(c->used);
    }
    return c != NULL;
}

uint32_t jsm_read_tube_count(const struct jsm *m)
{
    return m->n_tubes;
}

struct cb_span jsm_read_tube_name(const struct jsm *m, uint32_t i)
{
    CB_ASSERT(i < m->n_tubes);
    return name_of(m->tubes[i]);
}

uint32_t jsm_read_watched_count(const struct jsm *m, uint64_t session, uint64_t conn)
{
    const struct jsm_conn *c = find_conn(m, session, conn);
    return c != NULL ? c->n_watches : 0;
}

struct cb_span
jsm_read_watched_name(const struct jsm *m, uint64_t session, uint64_t conn, uint32_t i)
{
    const struct jsm_conn *c = find_conn(m, session, conn);
    CB_ASSERT(c != NULL && i < c->n_watches);
    return name_of(c->watches[i]->tube);
}
