/* P12: a delayed job does not come before its delay is over, unless it was kicked, or taken by its
 * id. That it comes soon afterwards is seen by check_order and check_by_id. */
#include <inttypes.h>

#include "common/base/cb_mem.h"
#include "history/check_internal.h"

static const struct hist_record *event(const struct check *c, const struct check_job *job, size_t i)
{
    return &c->records[c->events[job->events_first + i].place];
}

/* A command that ends a delay early may have come between the delayed one and `seen`. */
static bool may_be_woken(const struct check *c,
                         const struct check_job *job,
                         const struct check_window *set,
                         const struct check_window *seen)
{
    size_t begun = check_events_begun(c, job, seen->hi);
    if (begun > 0 && c->events[job->events_first + begun - 1].woken > set->lo) {
        return true;
    }
    const struct check_spans *kicks = &c->tubes[job->put->tube].kicks;
    return seen->hi >= set->lo && check_spans_meeting(kicks, set->lo, seen->hi) > 0;
}

static void judge(struct check *c,
                  const struct check_job *job,
                  const struct hist_record *by,
                  const struct check_window *set,
                  const struct hist_record *seen)
{
    const struct check_window *w = &check_beside(c, seen)->w;
    uint64_t due = check_sub(check_add(set->lo, check_delay_ns(by)), c->options->clock_error_ns);
    check_judged(c, HIST_P12);
    if (w->hi < due && !may_be_woken(c, job, set, w)) {
        check_fail(c, HIST_P12, CHECK_ABOUT(by, seen, NULL),
                   "job %" PRIu64 " came before its delay was over", job->id);
    }
}

/* The first that shows a job ready which was put with a delay. */
static void judge_put(struct check *c, const struct check_job *job)
{
    const struct hist_record *first = NULL;
    for (size_t i = 0; i < job->events_count; i++) {
        const struct hist_record *r = event(c, job, i);
        bool is_ready = (r->op == HIST_RESERVE || r->op == HIST_PEEK_READY ||
                         (r->op == HIST_STATS_JOB && r->state == HIST_READY)) &&
                        r->result == HIST_OK;
        if (is_ready &&
            (first == NULL || check_beside(c, r)->w.hi < check_beside(c, first)->w.hi)) {
            first = r;
        }
    }
    if (first != NULL) {
        judge(c, job, job->put, &job->put_w, first);
    }
}

/* The first reservation after that one: what began certainly after it is after its release too, as
 * nobody else had the job between. */
static void judge_release(struct check *c, const struct check_job *job, size_t i)
{
    const struct check_hold *holds = c->holds + job->holds_first;
    const struct hist_record *by = holds[i].ended_by;
    const struct check_window *set = &check_beside(c, by)->w;
    for (size_t j = i + 1; j < job->holds_count; j++) {
        const struct hist_record *r = &c->records[holds[j].place];
        if (holds[j].w.lo > holds[i].w.hi || r->conn == by->conn) {
            if (r->op == HIST_RESERVE) {
                judge(c, job, by, set, r);
            }
            return;
        }
    }
}

void check_delays(struct check *c)
{
    for (size_t i = 0; i < c->jobs_count; i++) {
        const struct check_job *job = &c->jobs[i];
        if (job->put == NULL) {
            continue;
        }
        if (job->put->delay_s != 0) {
            judge_put(c, job);
        }
        for (size_t h = 0; h < job->holds_count; h++) {
            const struct hist_record *by = c->holds[job->holds_first + h].ended_by;
            if (by != NULL && by->op == HIST_RELEASE && by->result == HIST_OK && by->delay_s != 0) {
                judge_release(c, job, h);
            }
        }
    }
}
