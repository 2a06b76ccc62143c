/* What is known of each tube over time. */
#include "common/base/cb_mem.h"
#include "history/check_internal.h"

static const struct hist_record *event(const struct check *c, const struct check_job *job, size_t i)
{
    return &c->records[c->events[job->events_first + i].place];
}

/* Until when what falls due after `d` from a window has certainly done so; HIST_NEVER: unknown. */
static uint64_t due_end(const struct check *c, const struct check_window *w, uint64_t d)
{
    const struct hist_check_options *o = c->options;
    if (o->late_max_ns == 0) {
        return HIST_NEVER;
    }
    return check_add(check_add(w->hi, d), check_add(o->clock_error_ns, o->late_max_ns));
}

/* A pause may last until its time is over or another has taken its place. */
static void add_pauses(struct check *c, struct check_tube *t, const struct check_spans *commands)
{
    for (size_t i = 0; i < commands->count; i++) {
        const struct check_span *s = &commands->all[i];
        const struct hist_record *r = &c->records[s->place];
        if (r->delay_s == 0) {
            continue;
        }
        uint64_t end = due_end(c, &c->at[s->place].w, check_delay_ns(r));
        for (size_t j = check_spans_begun(commands, s->hi, true); j < commands->count; j++) {
            if (check_did(&c->records[commands->all[j].place])) {
                end = check_min(end, commands->all[j].hi);
                break;
            }
        }
        check_spans_add(&t->pauses, s->lo, check_max(end, s->lo), s->place);
    }
    check_spans_seal(&t->pauses);
}

static void collect_pauses(struct check *c)
{
    struct check_spans *commands = cb_calloc(c->tubes_count, sizeof(*commands));
    for (size_t i = 0; i < c->count; i++) {
        const struct hist_record *r = &c->records[i];
        if (r->op == HIST_PAUSE_TUBE && check_may_have(r)) {
            check_spans_add(&commands[r->tube], c->at[i].w.lo, c->at[i].w.hi, i);
        }
    }
    for (uint32_t i = 0; i < c->tubes_count; i++) {
        check_spans_seal(&commands[i]);
        add_pauses(c, &c->tubes[i], &commands[i]);
        check_spans_fini(&commands[i]);
    }
    cb_free(commands);
}

/* Any of its tubes may have lost a job to it; element 0: it is not certain which it watched. */
static void add_unanswered(struct check *c, size_t place)
{
    const uint32_t *tubes;
    size_t count;
    static const uint32_t any[1] = {0};
    uint64_t gone = check_max(c->conns[c->at[place].conn].gone_ns, c->at[place].w.lo);
    if (!check_watched(c, place, &tubes, &count)) {
        tubes = any;
        count = 1;
    }
    for (size_t i = 0; i < count; i++) {
        check_spans_add(&c->tubes[tubes[i]].reserves, c->at[place].w.lo, gone, place);
    }
}

static void collect_commands(struct check *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct hist_record *r = &c->records[i];
        if (r->op == HIST_KICK && check_may_have(r) && !(check_did(r) && r->count == 0)) {
            check_spans_add(&c->tubes[r->tube].kicks, c->at[i].w.lo, c->at[i].w.hi, i);
        } else if (r->op == HIST_RESERVE &&
                   (r->result == HIST_UNKNOWN || r->result == HIST_ERROR)) {
            add_unanswered(c, i);
        }
    }
}

/* Where the first answered change that is certainly after `w` ends. */
static uint64_t
changed_by(const struct check *c, const struct check_job *job, const struct check_window *w)
{
    for (size_t i = check_events_begun(c, job, w->hi); i < job->events_count; i++) {
        const struct hist_record *r = event(c, job, i);
        if (check_is_change(r->op) && check_did(r)) {
            return check_beside(c, r)->w.hi;
        }
    }
    return HIST_NEVER;
}

/* `r` put the job aside, or may have. */
static void add_aside(struct check *c,
                      struct check_tube *t,
                      const struct check_job *job,
                      const struct hist_record *r,
                      const struct check_window *w)
{
    uint64_t changed = check_max(changed_by(c, job, w), w->lo);
    bool is_answered = check_did(r);
    if (r->op == HIST_BURY || r->result == HIST_INSERTED_BURIED || !is_answered) {
        check_spans_add(&t->buried_may, w->lo, changed, 0);
    }
    if (r->op != HIST_BURY && r->delay_s != 0) {
        uint64_t due = due_end(c, w, check_delay_ns(r));
        check_spans_add(&t->delayed_may, w->lo, check_max(check_min(due, changed), w->lo), 0);
    }
}

static void add_job(struct check *c, const struct check_job *job)
{
    struct check_tube *in[2] = {&c->tubes[0], &c->tubes[job->put->tube]};
    for (unsigned i = 0; i < 2; i++) {
        check_spans_add(&in[i]->jobs_may, job->put_w.lo, check_max(job->dead_from, job->put_w.lo),
                        0);
        if (job->is_seen && job->put_w.hi < job->alive_until) {
            check_spans_add(&in[i]->jobs_must, job->put_w.hi, job->alive_until, 0);
        }
    }
    add_aside(c, in[1], job, job->put, &job->put_w);
    for (size_t i = 0; i < job->events_count; i++) {
        const struct hist_record *r = event(c, job, i);
        if ((r->op == HIST_BURY || r->op == HIST_RELEASE) && check_may_have(r)) {
            add_aside(c, in[1], job, r, &check_beside(c, r)->w);
        }
    }
}

static void add_unresolved(struct check *c, size_t place)
{
    const struct hist_record *put = &c->records[place];
    struct check_tube *t = &c->tubes[put->tube];
    uint64_t lo = c->at[place].w.lo;
    check_spans_add(&c->tubes[0].jobs_may, lo, HIST_NEVER, 0);
    check_spans_add(&t->jobs_may, lo, HIST_NEVER, 0);
    check_spans_add(&t->buried_may, lo, HIST_NEVER, 0);
    if (put->delay_s != 0) {
        check_spans_add(&t->delayed_may, lo, HIST_NEVER, 0);
    }
}

void check_tubes(struct check *c)
{
    c->tubes_count = history_tube_count(c->history) + 1;
    c->tubes = cb_calloc(c->tubes_count, sizeof(*c->tubes));
    collect_pauses(c);
    collect_commands(c);
    for (size_t i = 0; i < c->jobs_count; i++) {
        if (c->jobs[i].put != NULL) {
            add_job(c, &c->jobs[i]);
        }
    }
    for (size_t i = 0; i < c->unresolved_count; i++) {
        add_unresolved(c, c->unresolved[i]);
    }
    for (uint32_t i = 0; i < c->tubes_count; i++) {
        check_spans_seal(&c->tubes[i].kicks);
        check_spans_seal(&c->tubes[i].reserves);
        check_spans_seal(&c->tubes[i].jobs_may);
        check_spans_seal(&c->tubes[i].jobs_must);
        check_spans_seal(&c->tubes[i].buried_may);
        check_spans_seal(&c->tubes[i].delayed_may);
    }
}

size_t check_unanswered(const struct check *c, uint32_t tube, const struct check_window *w)
{
    return check_spans_meeting(&c->tubes[tube].reserves, w->lo, w->hi) +
           check_spans_meeting(&c->tubes[0].reserves, w->lo, w->hi);
}
