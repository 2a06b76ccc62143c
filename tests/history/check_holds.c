/* Reservations: P5, P6, and P7 as far as it is about the holder.
 *
 * A reservation is certain from the end of its reserve's window to the first of: the window of the
 * holder's first command that may have ended it, its connection's end, and ttr after its reserve's
 * or last touch's window began. A touch, release or bury that succeeded proves it up to there,
 * whatever the clocks say. No other may get the job in that time. */
#include <inttypes.h>
#include <stdlib.h>

#include "common/base/cb_mem.h"
#include "history/check_internal.h"

static int compare_event(const void *a, const void *b)
{
    const struct check_event *x = a;
    const struct check_event *y = b;
    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    return (x->place > y->place) - (x->place < y->place);
}

void check_events_sort(struct check *c, const struct check_job *job)
{
    qsort(c->events + job->events_first, job->events_count, sizeof(*c->events), compare_event);
}

size_t check_events_begun(const struct check *c, const struct check_job *job, uint64_t t)
{
    const struct check_event *events = c->events + job->events_first;
    size_t low = 0;
    size_t high = job->events_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (events[mid].key <= t) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static bool is_reserve(const struct hist_record *r)
{
    return (r->op == HIST_RESERVE || r->op == HIST_RESERVE_JOB) && r->result == HIST_OK;
}

static bool needs_hold(enum hist_op op)
{
    return op == HIST_TOUCH || op == HIST_RELEASE || op == HIST_BURY;
}

static struct check_hold *hold_begin(struct check *c, struct check_job *job, size_t place)
{
    struct check_hold *hold = &c->holds[c->holds_count++];
    job->holds_count++;
    *hold = (struct check_hold){
        .place = place, .w = c->at[place].w, .touched = c->at[place].w.lo, .end_lo = HIST_NEVER};
    return hold;
}

static bool is_held(const struct check_hold *hold)
{
    return hold != NULL && !hold->is_ended && hold->denied == NULL;
}

static void follow_success(struct check *c, struct check_hold *hold, const struct hist_record *r)
{
    uint64_t lo = check_beside(c, r)->w.lo;
    if (needs_hold(r->op)) {
        check_judged(c, HIST_P7);
        if (!is_held(hold)) {
            check_fail(c, HIST_P7,
                       CHECK_ABOUT(hold == NULL ? NULL : &c->records[hold->place], r, NULL),
                       "job %" PRIu64 " was not held by who did this with it", r->id);
            return;
        }
        hold->proven = check_max(hold->proven, lo);
    }
    if (r->op == HIST_TOUCH) {
        hold->touched = check_max(hold->touched, lo);
    } else if (is_held(hold)) {
        hold->is_ended = true;
        hold->ended_by = r->op == HIST_DELETE ? NULL : r;
        hold->end_lo = check_min(hold->end_lo, lo);
    }
}

/* What one connection did with one job, in the order of its commands. */
static void follow(struct check *c, struct check_hold *hold, const struct hist_record *r)
{
    if (!needs_hold(r->op) && r->op != HIST_DELETE) {
        return;
    }
    if (check_did(r)) {
        follow_success(c, hold, r);
    } else if (is_held(hold) && r->result == HIST_NOT_FOUND && hold->end_lo == HIST_NEVER) {
        hold->denied = r;
    } else if (is_held(hold) && check_may_have(r) && r->op != HIST_TOUCH) {
        hold->end_lo = check_min(hold->end_lo, check_beside(c, r)->w.lo);
    }
}

static void find_holds(struct check *c, struct check_job *job)
{
    struct check_event *events = c->events + job->events_first;
    job->holds_first = c->holds_count;
    for (size_t i = 0; i < job->events_count; i++) {
        events[i].key = c->at[events[i].place].conn;
    }
    check_events_sort(c, job);
    struct check_hold *hold = NULL;
    for (size_t i = 0; i < job->events_count; i++) {
        const struct hist_record *r = &c->records[events[i].place];
        if (i > 0 && events[i].key != events[i - 1].key) {
            hold = NULL;
        }
        if (is_reserve(r)) {
            hold = hold_begin(c, job, events[i].place);
        } else {
            follow(c, hold, r);
        }
    }
}

static int compare_hold(const void *a, const void *b)
{
    const struct check_hold *x = a;
    const struct check_hold *y = b;
    if (x->w.hi != y->w.hi) {
        return x->w.hi < y->w.hi ? -1 : 1;
    }
    return (x->place > y->place) - (x->place < y->place);
}

/* Of the first `count` holds those that certainly began before `t`: the one that lasts longest. */
static const struct check_hold *
longest_before(const struct check *c, const struct check_job *job, size_t count, uint64_t t)
{
    const struct check_hold *holds = c->holds + job->holds_first;
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (holds[mid].w.hi < t) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low == 0 ? NULL : &holds[holds[low - 1].best];
}

const struct check_hold *
check_held_over(const struct check *c, const struct check_job *job, const struct check_window *w)
{
    const struct check_hold *hold = longest_before(c, job, job->holds_count, w->lo);
    return hold != NULL && hold->until > w->hi ? hold : NULL;
}

/* When the ttr can have run out at the earliest. */
static uint64_t
lease_end(const struct check *c, const struct check_job *job, const struct check_hold *hold)
{
    if (job->put == NULL) {
        return 0;
    }
    return check_sub(check_add(hold->touched, check_ttr_ns(job->put)), c->options->clock_error_ns);
}

static void bound_hold(struct check *c, const struct check_job *job, struct check_hold *hold)
{
    const struct check_conn *conn = &c->conns[c->at[hold->place].conn];
    hold->touched = check_max(hold->touched, hold->w.lo);
    uint64_t lease = lease_end(c, job, hold);
    hold->until = check_min(check_min(lease, hold->end_lo), conn->alive_ns);
    hold->until = check_max(hold->until, hold->proven);
    if (hold->denied == NULL) {
        return;
    }
    check_judged(c, HIST_P7);
    if (check_beside(c, hold->denied)->w.hi < check_min(lease, hold->end_lo)) {
        check_fail(c, HIST_P7, CHECK_ABOUT(&c->records[hold->place], hold->denied, NULL),
                   "job %" PRIu64 " was held, and its ttr had not run out", job->id);
    }
}

static void conflict(struct check *c,
                     const struct check_job *job,
                     const struct check_hold *first,
                     const struct check_hold *second)
{
    bool proven = second->w.hi < first->proven;
    check_fail(c, proven ? HIST_P5 : HIST_P6,
               CHECK_ABOUT(job->put, &c->records[first->place], &c->records[second->place]),
               proven ? "job %" PRIu64 " was given away while its holder held it, and went on to"
                      : "job %" PRIu64 " was given away before its holder's ttr had run out",
               job->id);
}

/* `i` among those of the job; what stands before it is done. */
static void judge_hold(struct check *c, const struct check_job *job, size_t i)
{
    struct check_hold *holds = c->holds + job->holds_first;
    struct check_hold *hold = &holds[i];
    if (i > 0) {
        check_judged(c, HIST_P5);
        c->out->judged[HIST_P6] += holds[i - 1].is_ended ? 0 : 1;
    }
    const struct check_hold *before = longest_before(c, job, i, hold->w.lo);
    bool is_found = before != NULL && before->until > hold->w.hi;
    if (is_found) {
        conflict(c, job, before, hold);
    } else if (before != NULL && before->until > hold->w.lo) {
        hold->w.lo = before->until; /* it had to wait for that */
        c->at[hold->place].w.lo = hold->w.lo;
    }
    bound_hold(c, job, hold);
    hold->best = i;
    if (i == 0) {
        return;
    }
    const struct check_hold *longest = &holds[holds[i - 1].best];
    if (!is_found && hold->until > hold->w.hi && longest->until > hold->w.hi) {
        conflict(c, job, longest, hold);
    }
    if (longest->until > hold->until) {
        hold->best = holds[i - 1].best;
    }
}

/* What others did with the job, or saw of it, while it was certainly held. */
static void
judge_bystander(struct check *c, const struct check_job *job, const struct hist_record *r)
{
    bool looks =
        check_is_peek_queue(r->op) ||
        (r->op == HIST_STATS_JOB && r->state != HIST_STATE_NONE && r->state != HIST_RESERVED);
    if (!check_did(r) || (!looks && r->op != HIST_DELETE && r->op != HIST_KICK_JOB)) {
        return;
    }
    enum hist_property property = looks ? HIST_P6 : HIST_P7;
    const struct check_hold *hold = check_held_over(c, job, &check_beside(c, r)->w);
    check_judged(c, property);
    if (hold != NULL) {
        check_fail(c, property, CHECK_ABOUT(&c->records[hold->place], r, NULL),
                   looks ? "job %" PRIu64 " was seen as not reserved while it was held"
                         : "job %" PRIu64 " was taken from its holder",
                   job->id);
    }
}

static void judge_job(struct check *c, struct check_job *job)
{
    struct check_event *events = c->events + job->events_first;
    qsort(c->holds + job->holds_first, job->holds_count, sizeof(*c->holds), compare_hold);
    for (size_t i = 0; i < job->holds_count; i++) {
        judge_hold(c, job, i);
    }
    for (size_t i = 0; i < job->events_count; i++) {
        judge_bystander(c, job, &c->records[events[i].place]);
        events[i].key = c->at[events[i].place].w.lo;
    }
    check_events_sort(c, job);
}

void check_holds(struct check *c)
{
    c->holds = cb_malloc((c->events_count + 1) * sizeof(*c->holds));
    for (size_t i = 0; i < c->jobs_count; i++) {
        find_holds(c, &c->jobs[i]);
        judge_job(c, &c->jobs[i]);
    }
}
