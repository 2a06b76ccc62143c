#include "model/lockstep_compare.h"

#include "common/base/cb_assert.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* What is being compared: put into words only when it differs, since that is seldom. */
struct diff {
    char *why;
    const char *what;
    uint64_t which;
    const char *part; /* NULL: the whole of it */
    uint64_t which_part;
};

static void
about_part(struct diff *d, const char *what, uint64_t which, const char *part, uint64_t which_part)
{
    d->what = what;
    d->which = which;
    d->part = part;
    d->which_part = which_part;
}

static void about(struct diff *d, const char *what, uint64_t which)
{
    about_part(d, what, which, NULL, 0);
}

static void explain(struct diff *d, const char *fmt, ...) CB_PRINTF(2, 3);

static void explain(struct diff *d, const char *fmt, ...)
{
    char what[LOCKSTEP_WHY_MAX / 4], how[LOCKSTEP_WHY_MAX / 2];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(how, sizeof how, fmt, ap);
    va_end(ap);
    if (d->part == NULL) {
        (void)snprintf(what, sizeof what, "%s %" PRIu64, d->what, d->which);
    } else {
        (void)snprintf(what, sizeof what, "%s %" PRIu64 ", %s %" PRIu64, d->what, d->which, d->part,
                       d->which_part);
    }
    (void)snprintf(d->why, LOCKSTEP_WHY_MAX, "%s: %s", what, how);
}

static bool same(struct diff *d, const char *field, uint64_t model, uint64_t machine)
{
    if (model != machine) {
        explain(d, "%s: model %" PRIu64 ", machine %" PRIu64, field, model, machine);
    }
    return model == machine;
}

static bool
same_span(struct diff *d, const char *field, struct cb_span model, struct cb_span machine)
{
    bool equal = cb_span_eq(model, machine);
    if (!equal) {
        explain(d, "%s: model '%.*s', machine '%.*s'", field, (int)(model.len % 100),
                (const char *)model.ptr, (int)(machine.len % 100), (const char *)machine.ptr);
    }
    return equal;
}

/* What is not in memory has its length. */
static bool same_body(struct diff *d, struct cb_span model, struct cb_span machine, bool is_away)
{
    if (is_away) {
        return same(d, "bytes of an absent body", 0, machine.ptr != NULL) &&
               same(d, "its length", model.len, machine.len);
    }
    return same_span(d, "body", model, machine);
}

#define SAME(field) same(d, #field, (uint64_t)a->field, (uint64_t)b->field)
#define SAME_SPAN(field) same_span(d, #field, a->field, b->field)

static bool same_jobs(struct diff *d, const struct jsm_job_view *a, const struct jsm_job_view *b)
{
    return SAME(id) && SAME_SPAN(tube) && SAME(state) && SAME(pri) && SAME(delay) && SAME(ttr) &&
           SAME(age_ns) && SAME(left_ns) && SAME(reserves) && SAME(timeouts) && SAME(releases) &&
           SAME(buries) && SAME(kicks) && same_body(d, a->body, b->body, b->is_away);
}

static bool same_tubes(struct diff *d, const struct jsm_tube_view *a, const struct jsm_tube_view *b)
{
    return SAME_SPAN(name) && SAME(urgent) && SAME(ready) && SAME(reserved) && SAME(delayed) &&
           SAME(buried) && SAME(total_jobs) && SAME(cmd_delete) && SAME(cmd_pause_tube) &&
           SAME(using) && SAME(watching) && SAME(waiting) && SAME(pause) && SAME(pause_left_ns);
}

static bool same_results(struct diff *d, const struct jsm_result *a, const struct jsm_result *b)
{
    return SAME(number) && SAME(request) && SAME(conn) && SAME(outcome) && SAME(id) &&
           SAME(count) && same_body(d, a->body, b->body, b->is_away);
}

static bool same_stats(struct diff *d, const struct model *m, const struct jsm *j)
{
    struct jsm_view va, vb;
    const struct jsm_view *a = &va, *b = &vb;
    model_read_stats(m, &va);
    jsm_read_stats(j, &vb);
    for (uint32_t i = 0; i < JSM_COUNTER_COUNT; i++) {
        about(d, "stats, counter", i);
        if (!SAME(counters[i])) {
            return false;
        }
    }
    about(d, "stats", 0);
    return SAME(urgent) && SAME(ready) && SAME(reserved) && SAME(delayed) && SAME(buried) &&
           SAME(job_timeouts) && SAME(total_jobs) && SAME(tubes) && SAME(connections) &&
           SAME(producers) && SAME(workers) && SAME(waiting) && SAME(total_connections);
}

static bool same_list(struct diff *d, const struct model *m, const struct jsm *j)
{
    about(d, "list of tubes", 0);
    if (!same(d, "count", m->n_tubes, jsm_read_tube_count(j))) {
        return false;
    }
    for (uint32_t i = 0; i < m->n_tubes; i++) {
        struct jsm_tube_view a, b;
        struct cb_span name = model_span(m->tubes[i]->name);
        about(d, "tube at place", i);
        if (!same_span(d, "name", name, jsm_read_tube_name(j, i))) {
            return false;
        }
        model_view_tube(m, m->tubes[i], &a);
        if (!same(d, "found", true, jsm_read_tube(j, name, &b)) || !same_tubes(d, &a, &b)) {
            return false;
        }
    }
    struct jsm_tube_view b;
    about(d, "unknown tube", 0);
    return same(d, "found", false, jsm_read_tube(j, cb_span_str("nowhere"), &b));
}

static bool same_all_jobs(struct diff *d, const struct model *m, const struct jsm *j)
{
    struct jsm_job_view a, b;
    uint64_t next = 0;
    for (uint32_t i = 0; i <= m->n_jobs; i++) {
        uint64_t id = i < m->n_jobs ? m->jobs[i]->id : m->last_id + 1;
        about(d, "no job", id - 1);
        if (id - 1 > next && !same(d, "found", false, jsm_read_job(j, id - 1, &b))) {
            return false;
        }
        next = id;
        about(d, "job", id);
        if (!same(d, "found", i < m->n_jobs, jsm_read_job(j, id, &b))) {
            return false;
        }
        if (i < m->n_jobs) {
            model_view_job(m, m->jobs[i], &a);
            if (!same_jobs(d, &a, &b)) {
                return false;
            }
        }
    }
    return true;
}

static bool
same_heads(struct diff *d, const struct model *m, const struct jsm *j, const struct model_conn *c)
{
    static const enum jsm_job_state states[] = {JSM_JOB_READY, JSM_JOB_DELAYED, JSM_JOB_BURIED};
    for (int i = 0; i < 3; i++) {
        struct jsm_job_view a, b;
        const struct model_job *head = model_head(m, c->used, states[i]);
        about_part(d, "conn", c->number, "head of state", states[i]);
        if (!same(d, "found", head != NULL,
                  jsm_read_head(j, c->session->id, c->number, states[i], &b))) {
            return false;
        }
        if (head != NULL) {
            model_view_job(m, head, &a);
            if (!same_jobs(d, &a, &b)) {
                return false;
            }
        }
    }
    return true;
}

static bool
same_conn(struct diff *d, const struct model *m, const struct jsm *j, const struct model_conn *c)
{
    uint64_t session = c->session->id;
    struct cb_span used;
    about_part(d, "session", session, "conn", c->number);
    if (!same(d, "found", true, jsm_read_used(j, session, c->number, &used)) ||
        !same_span(d, "used", model_span(c->used->name), used) ||
        !same(d, "watched", c->n_watched, jsm_read_watched_count(j, session, c->number))) {
        return false;
    }
    for (uint32_t i = 0; i < c->n_watched; i++) {
        if (!same_span(d, "watched name", model_span(c->watched[i]->name),
                       jsm_read_watched_name(j, session, c->number, i))) {
            return false;
        }
    }
    return same_heads(d, m, j, c);
}

static bool same_conns(struct diff *d, const struct model *m, const struct jsm *j)
{
    for (uint32_t i = 0; i < m->n_conns; i++) {
        if (!m->conns[i]->session->ended && !same_conn(d, m, j, m->conns[i])) {
            return false;
        }
    }
    struct cb_span used;
    about(d, "unknown conn", 1000000);
    return m->n_sessions == 0 ||
           same(d, "found", false, jsm_read_used(j, m->sessions[0]->id, 1000000, &used));
}

/* Results do not change once made: unless asked for all, those at the ends are looked at. */
static bool same_kept(struct diff *d,
                      const struct model_session *s,
                      const struct jsm_session *js,
                      enum lockstep_results depth)
{
    if (depth == LOCKSTEP_RESULTS_NONE) {
        return true;
    }
    for (uint64_t n = s->acked; n <= s->last_result + 1; n++) {
        if (depth == LOCKSTEP_RESULTS_ENDS && n > s->acked + 2 && n + 300 < s->last_result) {
            n = s->last_result - 300;
        }
        struct jsm_result a, b;
        bool kept = model_result(s, n, &a);
        about_part(d, "session", s->id, "result", n);
        if (!same(d, "kept", kept, jsm_session_result(js, n, &b)) ||
            (kept && !same_results(d, &a, &b))) {
            return false;
        }
    }
    return true;
}

static bool same_session(struct diff *d,
                         const struct model_session *s,
                         const struct jsm *j,
                         const struct jsm_session *js,
                         enum lockstep_results depth)
{
    struct jsm_incarnation inc = jsm_session_incarnation(js);
    about(d, "session", s->id);
    return same(d, "id", s->id, jsm_session_id(js)) &&
           same(d, "get", true, jsm_session_get(j, s->id) == js) &&
           same(d, "find", true, jsm_session_find(j, model_span(s->name)) == js) &&
           same_span(d, "name", model_span(s->name), jsm_session_name(js)) &&
           same_span(d, "address", model_span(s->address), jsm_session_address(js)) &&
           same(d, "started", s->incarnation.started_ns, inc.started_ns) &&
           same(d, "random", s->incarnation.random, inc.random) &&
           same(d, "last request", s->last_request, jsm_session_last_request(js)) &&
           same(d, "last result", s->last_result, jsm_session_last_result(js)) &&
           same(d, "acked", s->acked, jsm_session_acked_result(js)) &&
           same(d, "suspended", s->suspended, jsm_session_is_suspended(js)) &&
           same_kept(d, s, js, depth);
}

bool lockstep_same_sessions(const struct model *m,
                            const struct jsm *j,
                            enum lockstep_results depth,
                            char why[LOCKSTEP_WHY_MAX])
{
    struct diff diff = {.why = why}, *d = &diff;
    const struct jsm_session *js = NULL;
    for (uint32_t i = 0; i < m->n_sessions; i++) {
        js = jsm_session_next(j, js);
        about(d, "session at place", i);
        if (!same(d, "exists", true, js != NULL) ||
            !same_session(d, m->sessions[i], j, js, depth)) {
            return false;
        }
    }
    about(d, "sessions", m->n_sessions);
    return same(d, "end", true, jsm_session_next(j, js) == NULL) &&
           same(d, "unknown id", true, jsm_session_get(j, UINT64_MAX) == NULL) &&
           same(d, "unknown name", true, jsm_session_find(j, cb_span_str("none")) == NULL);
}

bool lockstep_same_result(uint64_t session,
                          const struct jsm_result *model,
                          const struct jsm_result *machine,
                          char why[LOCKSTEP_WHY_MAX])
{
    struct diff d = {.why = why};
    about_part(&d, "session", session, "result", model->number);
    return same_results(&d, model, machine);
}

bool lockstep_same_step(const struct model *m,
                        const struct jsm *j,
                        uint64_t index,
                        char why[LOCKSTEP_WHY_MAX])
{
    struct diff diff = {.why = why}, *d = &diff;
    uint32_t n;
    const uint64_t *touched = jsm_touched_sessions(j, &n);
    about(d, "step to index", index);
    struct jsm_limits limits = jsm_limits_now(j);
    if (!same(d, "index", index, jsm_index(j)) || !same(d, "stamp", m->now, jsm_stamp_ns(j)) ||
        !same(d, "limit of jobs", m->limits.jobs, limits.jobs) ||
        !same(d, "limit of bytes", m->limits.bytes, limits.bytes) ||
        !same(d, "short of space", m->short_of_space, jsm_is_short_of_space(j)) ||
        !same(d, "the clock's entry", m->clock_index, jsm_clock_index(j)) ||
        !same(d, "next due", jsm_is_settling(j) ? m->now : model_next_due_ns(m),
              jsm_next_due_ns(j)) ||
        !same(d, "dropped", m->dropped, jsm_dropped_requests(j)) ||
        !same(d, "touched", m->n_touched, n)) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!same(d, "touched session", m->touched[i], touched[i])) {
            return false;
        }
    }
    return true;
}

bool lockstep_same_state(const struct model *m,
                         const struct jsm *j,
                         enum lockstep_results depth,
                         char why[LOCKSTEP_WHY_MAX])
{
    struct diff diff = {.why = why}, *d = &diff;
    return lockstep_same_sessions(m, j, depth, why) && same_list(d, m, j) &&
           same_all_jobs(d, m, j) &&
           same(d, "bytes of bodies", model_body_bytes(m), jsm_body_bytes(j)) &&
           same_conns(d, m, j) && same_stats(d, m, j);
}
