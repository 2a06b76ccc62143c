/* The reads of the model: every count is counted anew. */
#include "model/model.h"

#include "common/base/cb_limits.h"

struct cb_span model_span(struct model_bytes b)
{
    return cb_span(b.ptr, b.len);
}

struct model_session *model_session(const struct model *m, uint64_t id)
{
    for (uint32_t i = 0; i < m->n_sessions; i++) {
        if (m->sessions[i]->id == id) {
            return m->sessions[i];
        }
    }
    return NULL;
}

struct model_session *model_session_named(const struct model *m, struct cb_span name)
{
    for (uint32_t i = 0; i < m->n_sessions; i++) {
        if (cb_span_eq(model_span(m->sessions[i]->name), name)) {
            return m->sessions[i];
        }
    }
    return NULL;
}

struct model_conn *model_conn(const struct model *m, uint64_t session, uint64_t number)
{
    for (uint32_t i = 0; i < m->n_conns; i++) {
        if (m->conns[i]->session->id == session && m->conns[i]->number == number) {
            return m->conns[i];
        }
    }
    return NULL;
}

struct model_job *model_job(const struct model *m, uint64_t id)
{
    for (uint32_t i = 0; i < m->n_jobs; i++) {
        if (m->jobs[i]->id == id) {
            return m->jobs[i];
        }
    }
    return NULL;
}

struct model_tube *model_tube(const struct model *m, struct cb_span name)
{
    for (uint32_t i = 0; i < m->n_tubes; i++) {
        if (cb_span_eq(model_span(m->tubes[i]->name), name)) {
            return m->tubes[i];
        }
    }
    return NULL;
}

bool model_uses(const struct model_conn *c, const struct model_tube *t)
{
    return c->used == t;
}

bool model_watches(const struct model_conn *c, const struct model_tube *t)
{
    for (uint32_t i = 0; i < c->n_watched; i++) {
        if (c->watched[i] == t) {
            return true;
        }
    }
    return false;
}

static bool comes_before(const struct model_job *a, const struct model_job *b)
{
    if (a->state == JSM_JOB_READY) {
        return a->pri < b->pri || (a->pri == b->pri && a->id < b->id);
    }
    if (a->state == JSM_JOB_DELAYED) {
        return a->deadline < b->deadline || (a->deadline == b->deadline && a->id < b->id);
    }
    return a->order < b->order;
}

struct model_job *
model_head(const struct model *m, const struct model_tube *t, enum jsm_job_state state)
{
    struct model_job *best = NULL;
    for (uint32_t i = 0; i < m->n_jobs; i++) {
        struct model_job *j = m->jobs[i];
        if (j->tube == t && j->state == state && (best == NULL || comes_before(j, best))) {
            best = j;
        }
    }
    return best;
}

bool model_result(const struct model_session *s, uint64_t number, struct jsm_result *out)
{
    if (number <= s->acked || number > s->last_result) {
        return false;
    }
    *out = s->results[number - s->acked - 1];
    return true;
}

void model_view_job(const struct model *m, const struct model_job *j, struct jsm_job_view *out)
{
    bool timed = j->state == JSM_JOB_DELAYED || j->state == JSM_JOB_RESERVED;
    *out = (struct jsm_job_view){
        .id = j->id,
        .tube = model_span(j->tube->name),
        .state = j->state,
        .pri = j->pri,
        .delay = j->delay,
        .ttr = j->ttr,
        .age_ns = m->now - j->created,
        .left_ns = timed && j->deadline > m->now ? j->deadline - m->now : 0,
        .reserves = j->reserves,
        .timeouts = j->timeouts,
        .releases = j->releases,
        .buries = j->buries,
        .kicks = j->kicks,
        .body = model_span(j->body),
    };
}

void model_view_tube(const struct model *m, const struct model_tube *t, struct jsm_tube_view *out)
{
    *out = (struct jsm_tube_view){
        .name = model_span(t->name),
        .total_jobs = t->total_jobs,
        .cmd_delete = t->cmd_delete,
        .cmd_pause_tube = t->cmd_pause_tube,
        .pause = t->pause,
        .pause_left_ns = t->pause != 0 && t->pause_end > m->now ? t->pause_end - m->now : 0,
    };
    for (uint32_t i = 0; i < m->n_jobs; i++) {
        const struct model_job *j = m->jobs[i];
        if (j->tube == t) {
            out->urgent += j->state == JSM_JOB_READY && j->pri < 1024;
            out->ready += j->state == JSM_JOB_READY;
            out->delayed += j->state == JSM_JOB_DELAYED;
            out->reserved += j->state == JSM_JOB_RESERVED;
            out->buried += j->state == JSM_JOB_BURIED;
        }
    }
    for (uint32_t i = 0; i < m->n_conns; i++) {
        const struct model_conn *c = m->conns[i];
        out->using += model_uses(c, t);
        out->watching += model_watches(c, t);
        out->waiting += c->waiting && model_watches(c, t);
    }
}

void model_read_stats(const struct model *m, struct jsm_view *out)
{
    *out = (struct jsm_view){
        .job_timeouts = m->job_timeouts,
        .total_jobs = m->total_jobs,
        .tubes = m->n_tubes,
        .connections = m->n_conns,
        .total_connections = m->total_connections,
    };
    memcpy(out->counters, m->counters, sizeof out->counters);
    for (uint32_t i = 0; i < m->n_tubes; i++) {
        struct jsm_tube_view t;
        model_view_tube(m, m->tubes[i], &t);
        out->urgent += t.urgent;
        out->ready += t.ready;
        out->reserved += t.reserved;
        out->delayed += t.delayed;
        out->buried += t.buried;
    }
    for (uint32_t i = 0; i < m->n_conns; i++) {
        out->producers += m->conns[i]->producer;
        out->workers += m->conns[i]->worker;
        out->waiting += m->conns[i]->waiting;
    }
}
