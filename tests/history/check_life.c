/* Jobs are there until they are deleted, and not afterwards: P1 and P4. */
#include <inttypes.h>

#include "history/check_internal.h"

static const struct hist_record *event(const struct check *c, const struct check_job *job, size_t i)
{
    return &c->records[c->events[job->events_first + i].place];
}

static void find_deletes(struct check *c, struct check_job *job)
{
    job->alive_until = HIST_NEVER;
    job->dead_from = HIST_NEVER;
    for (size_t i = 0; i < job->events_count; i++) {
        const struct hist_record *r = event(c, job, i);
        if (r->op != HIST_DELETE || !check_may_have(r)) {
            continue;
        }
        const struct check_window *w = &check_beside(c, r)->w;
        job->alive_until = check_min(job->alive_until, w->lo);
        if (check_did(r) && (job->deleted == NULL || w->hi < job->dead_from)) {
            job->deleted = r;
            job->dead_from = w->hi;
        }
    }
}

static bool
is_after(const struct check *c, const struct hist_record *r, const struct check_job *job)
{
    return check_beside(c, r)->w.lo > job->dead_from ||
           (r->conn == job->deleted->conn && r > job->deleted);
}

/* P4: what is certainly after the delete does not find the job, and no delete finds it again. */
static void judge_deleted(struct check *c, const struct check_job *job)
{
    for (size_t i = 0; i < job->events_count; i++) {
        const struct hist_record *r = event(c, job, i);
        bool again = r->op == HIST_DELETE && check_did(r);
        if (r == job->deleted || (!again && !is_after(c, r, job))) {
            continue;
        }
        check_judged(c, HIST_P4);
        if (check_did(r)) {
            check_fail(c, HIST_P4, CHECK_ABOUT(job->deleted, r, NULL),
                       "job %" PRIu64 " was found after it was deleted", job->id);
        }
    }
}

/* P1: who looks for it by its id while it must be there finds it. */
static void judge_looks(struct check *c, const struct check_job *job)
{
    for (size_t i = 0; i < job->events_count; i++) {
        const struct hist_record *r = event(c, job, i);
        if (r->op != HIST_PEEK && r->op != HIST_STATS_JOB) {
            continue;
        }
        const struct check_window *w = &check_beside(c, r)->w;
        if (job->put_w.hi >= w->lo || job->alive_until <= w->hi) {
            continue;
        }
        check_judged(c, HIST_P1);
        if (r->result == HIST_NOT_FOUND) {
            check_fail(c, HIST_P1, CHECK_ABOUT(job->put, r, NULL),
                       "job %" PRIu64 " was not found, and nobody had asked to delete it", job->id);
        }
    }
}

/* P1: what was there and nobody tried to delete would have come in the drain. */
static void judge_drained(struct check *c, const struct check_job *job)
{
    check_judged(c, HIST_P1);
    if (job->alive_until == HIST_NEVER) {
        const struct hist_record *seen = job->events_count == 0 ? NULL : event(c, job, 0);
        check_fail(c, HIST_P1, CHECK_ABOUT(job->put, seen, NULL),
                   "job %" PRIu64 " did not come in the end, and nobody had deleted it", job->id);
    }
}

void check_life(struct check *c)
{
    for (size_t i = 0; i < c->jobs_count; i++) {
        struct check_job *job = &c->jobs[i];
        find_deletes(c, job);
        if (job->deleted != NULL) {
            judge_deleted(c, job);
        }
        if (job->is_seen && job->put != NULL) {
            judge_looks(c, job);
        }
        if (job->is_seen && c->options->is_drained) {
            judge_drained(c, job);
        }
    }
}
