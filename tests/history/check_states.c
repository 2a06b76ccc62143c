/* When a job is certainly ready, buried or delayed: from a command which answered that it made it
 * so, to the begin of the window of the next that may have changed it. */
#include <inttypes.h>

#include "common/base/cb_mem.h"
#include "history/check_internal.h"

/* How many events check_pri_range looks at before it gives up. */
#define PRI_EVENTS_MAX 256

/* Of a run of windows. */
struct latest {
    uint64_t hi;    /* the largest end */
    uint64_t other; /* the largest of other connections than that one's */
    uint32_t hi_conn;
};

/* The changes of one job that may have been, by the begin of their windows. */
struct changes {
    const struct hist_record **all;
    struct latest *latest; /* of all[0] to all[i] */
    size_t count;
};

static const struct hist_record *event(const struct check *c, const struct check_job *job, size_t i)
{
    return &c->records[c->events[job->events_first + i].place];
}

static struct latest latest_with(struct latest l, uint32_t conn, uint64_t hi)
{
    if (l.hi_conn == conn) {
        l.hi = check_max(l.hi, hi);
    } else if (hi > l.hi) {
        l = (struct latest){.hi = hi, .other = l.hi, .hi_conn = conn};
    } else {
        l.other = check_max(l.other, hi);
    }
    return l;
}

static void changes_collect(const struct check *c, const struct check_job *job, struct changes *ch)
{
    struct latest l = {0, 0, UINT32_MAX};
    ch->count = 0;
    for (size_t i = 0; i < job->events_count; i++) {
        const struct hist_record *r = event(c, job, i);
        if (check_is_change(r->op) && check_may_have(r)) {
            l = latest_with(l, check_beside(c, r)->conn, check_beside(c, r)->w.hi);
            ch->all[ch->count] = r;
            ch->latest[ch->count++] = l;
        }
    }
}

/* The number of those whose windows begin at or before `t`. */
static size_t changes_begun(const struct check *c, const struct changes *ch, uint64_t t)
{
    size_t low = 0;
    size_t high = ch->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (check_beside(c, ch->all[mid])->w.lo <= t) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

#define CHANGED_SOON SIZE_MAX

/* The first that may change the state that `ch->all[i]` made; CHANGED_SOON: perhaps one whose
 * window begins before its own ends. */
static size_t change_after(const struct check *c, const struct changes *ch, size_t i)
{
    const struct check_at *at = check_beside(c, ch->all[i]);
    size_t begun = changes_begun(c, ch, at->w.hi);
    const struct latest *l = &ch->latest[begun - 1];
    if ((l->hi_conn == at->conn ? l->other : l->hi) >= at->w.lo) {
        return CHANGED_SOON; /* another connection's may have come after it */
    }
    for (size_t j = i + 1; j < begun; j++) {
        if (check_beside(c, ch->all[j])->conn == at->conn) {
            return CHANGED_SOON; /* the same connection's next does so */
        }
    }
    return begun;
}

static void certain_push(struct check *c, struct check_job *job, struct check_certain s)
{
    if (s.from >= s.to) {
        return;
    }
    CB_ASSERT(c->certain_count < c->certain_cap);
    s.job = (size_t)(job - c->jobs);
    c->certain[c->certain_count++] = s;
    job->certain_count++;
}

/* A kick of the tube may have taken it. */
static uint64_t kick_after(const struct check_spans *kicks, const struct check_window *w)
{
    if (check_spans_meeting(kicks, w->lo, w->hi) > 0) {
        return 0;
    }
    size_t begun = check_spans_begun(kicks, w->hi, true);
    return begun == kicks->count ? HIST_NEVER : kicks->all[begun].lo;
}

static void add_aside(struct check *c, struct check_job *job, struct check_certain s, uint64_t to)
{
    struct check_tube *t = &c->tubes[job->put->tube];
    s.to_but_kicks = to;
    s.to = check_min(to, kick_after(&t->kicks, &s.set));
    if (s.from < s.to) {
        check_spans_add(s.state == HIST_BURIED ? &t->buried_must : &t->delayed_must, s.from, s.to,
                        0);
    }
    certain_push(c, job, s);
}

/* Delayed, and ready when it has certainly fallen due. */
static void add_delayed(struct check *c, struct check_job *job, struct check_certain s, uint64_t to)
{
    const struct hist_check_options *o = c->options;
    uint64_t delay = check_delay_ns(s.by);
    s.state = HIST_DELAYED;
    uint64_t due = check_sub(check_add(s.set.lo, delay), o->clock_error_ns);
    add_aside(c, job, s, check_min(to, due));
    if (o->late_max_ns != 0) {
        s.state = HIST_READY;
        s.is_promoted = true;
        s.from =
            check_add(check_add(s.set.hi, delay), check_add(o->clock_error_ns, o->late_max_ns));
        s.to = to;
        certain_push(c, job, s);
    }
}

static enum hist_state state_after(const struct hist_record *by)
{
    if (by->op == HIST_BURY || by->result == HIST_INSERTED_BURIED) {
        return HIST_BURIED;
    }
    return by->op != HIST_KICK_JOB && by->delay_s != 0 ? HIST_DELAYED : HIST_READY;
}

static void add_state(struct check *c,
                      struct check_job *job,
                      const struct hist_record *by,
                      const struct check_window *w,
                      uint64_t to)
{
    struct check_certain s = {
        .from = w->hi, .to = to, .state = state_after(by), .pri = by->pri, .set = *w, .by = by};
    if (s.state == HIST_BURIED) {
        add_aside(c, job, s, to);
    } else if (s.state == HIST_DELAYED) {
        add_delayed(c, job, s, to);
    } else {
        if (by->op == HIST_KICK_JOB) {
            uint32_t low;
            check_pri_range(c, job, w, &low, &s.pri);
        }
        certain_push(c, job, s);
    }
}

/* The first change of a certain state, when no other can have come before it, must be one that the
 * state allows: P10. */
static void judge_change(struct check *c,
                         const struct check_job *job,
                         const struct hist_record *by,
                         const struct check_window *w,
                         const struct changes *ch,
                         size_t next)
{
    const struct hist_record *r = ch->all[next];
    const struct check_window *changed = &check_beside(c, r)->w;
    bool alone = next + 1 == ch->count || check_beside(c, ch->all[next + 1])->w.lo > changed->hi;
    bool kicked_ready = state_after(by) == HIST_READY && r->op == HIST_KICK_JOB;
    bool reserved_buried = state_after(by) == HIST_BURIED && r->op == HIST_RESERVE;
    if (!alone || !check_did(r) || (!kicked_ready && !reserved_buried) ||
        (reserved_buried && kick_after(&c->tubes[job->put->tube].kicks, w) <= changed->hi)) {
        return;
    }
    check_judged(c, HIST_P10);
    check_fail(c, HIST_P10, CHECK_ABOUT(by, r, NULL),
               kicked_ready ? "job %" PRIu64 " was kicked, and was ready"
                            : "job %" PRIu64 " was reserved, and was buried",
               job->id);
}

/* `by` is certain, and so is that what may follow it comes after its window. */
static void follow(struct check *c,
                   struct check_job *job,
                   const struct hist_record *by,
                   const struct check_window *w,
                   const struct changes *ch,
                   size_t next)
{
    uint64_t to = next == ch->count ? HIST_NEVER : check_beside(c, ch->all[next])->w.lo;
    if (to <= w->hi) {
        return;
    }
    add_state(c, job, by, w, to);
    if (next < ch->count) {
        judge_change(c, job, by, w, ch, next);
    }
}

/* What may end a delay before its time. */
static bool may_wake(const struct hist_record *r)
{
    return (r->op == HIST_KICK_JOB || r->op == HIST_RESERVE_JOB) && check_may_have(r);
}

/* Priorities that only unanswered commands set, and until when answered ones may have. */
static void note_priorities(struct check *c, struct check_job *job)
{
    uint64_t latest = 0;
    uint64_t woken = 0;
    job->unsure_from = HIST_NEVER;
    job->unsure_low = UINT32_MAX;
    job->unsure_high = 0;
    for (size_t i = 0; i < job->events_count; i++) {
        const struct hist_record *r = event(c, job, i);
        const struct check_window *w = &check_beside(c, r)->w;
        bool sets = (r->op == HIST_RELEASE || r->op == HIST_BURY) && check_may_have(r);
        if (sets && check_did(r)) {
            latest = check_max(latest, w->hi);
        } else if (sets) {
            job->unsure_from = check_min(job->unsure_from, w->lo);
            job->unsure_low = r->pri < job->unsure_low ? r->pri : job->unsure_low;
            job->unsure_high = r->pri > job->unsure_high ? r->pri : job->unsure_high;
        }
        woken = may_wake(r) ? check_max(woken, check_add(w->hi, 1)) : woken;
        c->events[job->events_first + i].latest = latest;
        c->events[job->events_first + i].woken = woken;
    }
}

struct pri_range {
    uint32_t low;
    uint32_t high;
    bool is_known;  /* one of them is certainly before what is asked about */
    uint64_t since; /* the window of the last such one begins */
};

static void pri_include(struct pri_range *p,
                        uint32_t pri,
                        const struct check_window *set,
                        const struct check_window *asked)
{
    if (p->is_known && set->hi < p->since) {
        return; /* replaced before */
    }
    p->low = pri < p->low ? pri : p->low;
    p->high = pri > p->high ? pri : p->high;
    if (set->hi < asked->lo) {
        p->since = p->is_known ? check_max(p->since, set->lo) : set->lo;
        p->is_known = true;
    }
}

void check_pri_range(const struct check *c,
                     const struct check_job *job,
                     const struct check_window *w,
                     uint32_t *low,
                     uint32_t *high)
{
    const struct check_event *events = c->events + job->events_first;
    struct pri_range p = {UINT32_MAX, 0, false, 0};
    size_t i = check_events_begun(c, job, w->hi);
    unsigned looked = 0;
    for (; i > 0 && looked < PRI_EVENTS_MAX; i--, looked++) {
        const struct hist_record *r = &c->records[events[i - 1].place];
        if (p.is_known && events[i - 1].latest < p.since) {
            break;
        }
        if ((r->op == HIST_RELEASE || r->op == HIST_BURY) && check_did(r)) {
            pri_include(&p, r->pri, &check_beside(c, r)->w, w);
        }
    }
    bool is_cut = i > 0 && !(p.is_known && events[i - 1].latest < p.since);
    if (is_cut || job->put == NULL) {
        *low = 0;
        *high = UINT32_MAX;
        return;
    }
    pri_include(&p, job->put->pri, &job->put_w, w);
    if (job->unsure_from <= w->hi) {
        p.low = job->unsure_low < p.low ? job->unsure_low : p.low;
        p.high = job->unsure_high > p.high ? job->unsure_high : p.high;
    }
    *low = p.low;
    *high = p.high;
}

static bool makes_state(const struct hist_record *r)
{
    return (r->op == HIST_RELEASE || r->op == HIST_BURY || r->op == HIST_KICK_JOB) && check_did(r);
}

static void find_states(struct check *c, struct check_job *job, struct changes *ch)
{
    job->certain_first = c->certain_count;
    note_priorities(c, job);
    changes_collect(c, job, ch);
    if (check_did(job->put)) {
        follow(c, job, job->put, &job->put_w, ch, 0);
    }
    for (size_t i = 0; i < ch->count; i++) {
        if (!makes_state(ch->all[i])) {
            continue;
        }
        size_t next = change_after(c, ch, i);
        if (next != CHANGED_SOON) {
            follow(c, job, ch->all[i], &check_beside(c, ch->all[i])->w, ch, next);
        }
    }
}

const struct check_certain *
check_certain_over(const struct check *c, const struct check_job *job, const struct check_window *w)
{
    const struct check_certain *all = c->certain + job->certain_first;
    size_t low = 0;
    size_t high = job->certain_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (all[mid].from < w->lo) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low > 0 && all[low - 1].to > w->hi ? &all[low - 1] : NULL;
}

void check_states(struct check *c)
{
    struct changes ch;
    ch.all = cb_malloc((c->events_count + 1) * sizeof(*ch.all));
    ch.latest = cb_malloc((c->events_count + 1) * sizeof(*ch.latest));
    for (size_t i = 0; i < c->jobs_count; i++) {
        if (c->jobs[i].put != NULL) {
            find_states(c, &c->jobs[i], &ch);
        }
    }
    cb_free(ch.all);
    cb_free(ch.latest);
    for (uint32_t i = 0; i < c->tubes_count; i++) {
        check_spans_seal(&c->tubes[i].buried_must);
        check_spans_seal(&c->tubes[i].delayed_must);
    }
}
