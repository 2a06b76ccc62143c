/* What was answered about one job, against the state that it certainly was in: P7, P10, P12. */
#include <inttypes.h>

#include "history/check_internal.h"

static const char *const state_words[HIST_STATE_END] = {
    [HIST_READY] = "ready",
    [HIST_RESERVED] = "reserved",
    [HIST_DELAYED] = "delayed",
    [HIST_BURIED] = "buried",
};

/* The state that the answer says it was in. */
static enum hist_state seen_state(const struct hist_record *r)
{
    static const enum hist_state of_op[HIST_OP_END] = {[HIST_PEEK_READY] = HIST_READY,
                                                       [HIST_PEEK_DELAYED] = HIST_DELAYED,
                                                       [HIST_PEEK_BURIED] = HIST_BURIED};
    return r->op == HIST_STATS_JOB ? r->state : of_op[r->op];
}

static void fail(struct check *c,
                 enum hist_property property,
                 const struct check_certain *s,
                 const struct hist_record *r,
                 const char *what)
{
    check_fail(c, property, CHECK_ABOUT(s->by, r, NULL), "job %" PRIu64 " was %s, and %s",
               c->jobs[s->job].id, state_words[s->state], what);
}

/* Delete and reserve-job fail only for jobs that are reserved, or not there. */
static void
judge_denied(struct check *c, const struct check_certain *s, const struct hist_record *r)
{
    uint32_t tube = c->jobs[s->job].put->tube;
    if (s->state == HIST_READY && check_unanswered(c, tube, &check_beside(c, r)->w) != 0) {
        return;
    }
    check_judged(c, HIST_P7);
    if (r->result == HIST_NOT_FOUND) {
        fail(c, HIST_P7, s, r, "this did not find it");
    }
}

/* One that succeeded changes the state: check_states has judged it. */
static void judge_kick(struct check *c, const struct check_certain *s, const struct hist_record *r)
{
    check_judged(c, HIST_P10);
    if (s->state != HIST_READY && r->result == HIST_NOT_FOUND) {
        fail(c, HIST_P10, s, r, "could not be kicked");
    }
}

/* A job that is reserved may be held through a reserve without an answer. */
static void judge_look(struct check *c, const struct check_certain *s, const struct hist_record *r)
{
    enum hist_state seen = seen_state(r);
    if (seen == HIST_STATE_NONE || seen == HIST_RESERVED || r->result != HIST_OK) {
        return;
    }
    bool is_late = s->state == HIST_READY && seen == HIST_DELAYED;
    bool is_early = s->state == HIST_DELAYED && seen == HIST_READY;
    enum hist_property property = is_late || is_early ? HIST_P12 : HIST_P10;
    check_judged(c, property);
    if (seen != s->state) {
        fail(c, property, s, r, "was seen in another state");
    }
}

static void judge(struct check *c, const struct check_job *job, const struct hist_record *r)
{
    const struct check_certain *s = check_certain_over(c, job, &check_beside(c, r)->w);
    if (s == NULL) {
        return;
    }
    if (r->op == HIST_DELETE || r->op == HIST_RESERVE_JOB) {
        judge_denied(c, s, r);
    } else if (r->op == HIST_KICK_JOB) {
        judge_kick(c, s, r);
    } else {
        judge_look(c, s, r);
    }
}

void check_by_id(struct check *c)
{
    for (size_t i = 0; i < c->jobs_count; i++) {
        const struct check_job *job = &c->jobs[i];
        for (size_t e = 0; e < job->events_count && job->certain_count > 0; e++) {
            judge(c, job, &c->records[c->events[job->events_first + e].place]);
        }
    }
}
