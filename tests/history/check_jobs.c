/* Which put made which job, and the records about each: P2, P3 and P8. */
#include <inttypes.h>
#include <stdlib.h>

#include "common/base/cb_mem.h"
#include "history/check_internal.h"

uint64_t check_ttr_ns(const struct hist_record *put)
{
    return (put->ttr_s == 0 ? 1 : put->ttr_s) * UINT64_C(1000000000);
}

uint64_t check_delay_ns(const struct hist_record *r)
{
    return r->delay_s * UINT64_C(1000000000);
}

static int compare_token(const uint64_t a[2], const uint64_t b[2])
{
    if (a[0] != b[0]) {
        return a[0] < b[0] ? -1 : 1;
    }
    return (a[1] > b[1]) - (a[1] < b[1]);
}

static int compare_put(const void *a, const void *b)
{
    const struct hist_record *x = *(const struct hist_record *const *)a;
    const struct hist_record *y = *(const struct hist_record *const *)b;
    int order = compare_token(x->token, y->token);
    return order != 0 ? order : (x > y) - (x < y);
}

struct puts {
    const struct hist_record **all; /* by token */
    size_t count;
};

static void puts_collect(const struct check *c, struct puts *p)
{
    p->all = cb_malloc((c->count + 1) * sizeof(const struct hist_record *));
    p->count = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (c->records[i].op == HIST_PUT) {
            p->all[p->count++] = &c->records[i];
        }
    }
    qsort(p->all, p->count, sizeof(const struct hist_record *), compare_put);
}

static const struct hist_record *puts_find(const struct puts *p, const uint64_t token[2])
{
    size_t low = 0;
    size_t high = p->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (compare_token(p->all[mid]->token, token) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < p->count && compare_token(p->all[low]->token, token) == 0 ? p->all[low] : NULL;
}

static void event_add(struct check *c, uint64_t id, size_t place)
{
    CB_ASSERT(c->events_count < c->events_cap);
    c->events[c->events_count++] = (struct check_event){.id = id, .place = place};
}

/* One token, one id (P2); what was answered tells first. */
static void learn_id(struct check *c, const struct hist_record *put, const struct hist_record *read)
{
    struct check_at *at = check_beside(c, put);
    check_judged(c, HIST_P2);
    if (at->job == 0) {
        at->job = read->id;
        event_add(c, read->id, check_place(c, put));
    } else if (at->job != read->id) {
        check_fail(c, HIST_P2, CHECK_ABOUT(put, read, NULL),
                   "the job put as %" PRIu64 " is also %" PRIu64, at->job, read->id);
    }
}

static bool is_visible(const struct check *c, const struct hist_record *read, uint32_t tube)
{
    const uint32_t *tubes;
    size_t count;
    if (check_is_peek_queue(read->op)) {
        return read->tube == tube;
    }
    if (read->op != HIST_RESERVE || !check_watched(c, check_place(c, read), &tubes, &count)) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (tubes[i] == tube) {
            return true;
        }
    }
    return false;
}

/* An observer may not have computed a hash: 0. */
static bool is_other_body(const struct hist_record *put, const struct hist_record *read)
{
    bool is_known = put->body_hash != 0 && read->body_hash != 0;
    return put->body_len != read->body_len || (is_known && put->body_hash != read->body_hash);
}

static void judge_read(struct check *c, const struct puts *p, const struct hist_record *read)
{
    const struct hist_record *put = puts_find(p, read->token);
    const char *wrong = NULL;
    check_judged(c, HIST_P3);
    if (put == NULL) {
        wrong = "nobody put this body";
    } else if (!check_may_have(put)) {
        wrong = "its put was refused";
    } else if (put->result == HIST_ERROR) {
        wrong = "its put was answered with an error";
    } else if (is_other_body(put, read)) {
        wrong = "its body is another";
    } else if (!is_visible(c, read, put->tube)) {
        wrong = "it was put in another tube";
    } else if (check_beside(c, read)->w.hi < check_beside(c, put)->w.lo) {
        wrong = "it was read before it was put";
    }
    if (wrong != NULL) {
        check_fail(c, HIST_P3, CHECK_ABOUT(read, put, NULL), "job %" PRIu64 ": %s", read->id,
                   wrong);
    }
    if (put != NULL) {
        learn_id(c, put, read);
    }
}

static bool names_job(const struct hist_record *r)
{
    return check_is_change(r->op) || r->op == HIST_TOUCH || r->op == HIST_PEEK ||
           r->op == HIST_STATS_JOB || check_is_peek_queue(r->op);
}

static void collect_events(struct check *c, const struct puts *p)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct hist_record *r = &c->records[i];
        if (r->op == HIST_PUT && check_did(r)) {
            c->at[i].job = r->id;
            event_add(c, r->id, i);
        }
    }
    for (size_t i = 0; i < c->count; i++) {
        const struct hist_record *r = &c->records[i];
        if (r->op == HIST_PUT || !names_job(r) || r->id == 0) {
            continue;
        }
        if (check_reads_body(r->op) && r->result == HIST_OK) {
            judge_read(c, p, r);
        }
        /* An id that was only looked for, where looking finds, is not the answer's. */
        if (r->result == HIST_OK || (r->op != HIST_RESERVE && !check_is_peek_queue(r->op))) {
            event_add(c, r->id, i);
        }
    }
}

static int compare_event(const void *a, const void *b)
{
    const struct check_event *x = a;
    const struct check_event *y = b;
    if (x->id != y->id) {
        return x->id < y->id ? -1 : 1;
    }
    return (x->place > y->place) - (x->place < y->place);
}

static void take_put(struct check *c, struct check_job *job, const struct hist_record *put)
{
    check_judged(c, HIST_P8);
    if (job->put == NULL) {
        job->put = put;
        job->put_w = check_beside(c, put)->w;
        job->is_seen = job->is_seen || check_did(put);
    } else if (job->put != put) {
        check_fail(c, HIST_P8, CHECK_ABOUT(job->put, put, NULL),
                   "id %" PRIu64 " was given to two puts", job->id);
    }
}

static bool proves_job(const struct hist_record *r)
{
    return r->op != HIST_PUT && check_did(r);
}

/* The put is behind its job in no event's window: what proves the job comes after it. */
static void narrow_put(struct check *c, struct check_job *job)
{
    for (size_t i = 0; i < job->events_count; i++) {
        size_t place = c->events[job->events_first + i].place;
        if (proves_job(&c->records[place])) {
            job->put_w.hi = check_min(job->put_w.hi, c->at[place].w.hi);
        }
    }
    for (size_t i = 0; i < job->events_count; i++) {
        size_t place = c->events[job->events_first + i].place;
        if (proves_job(&c->records[place])) {
            c->at[place].w.lo =
                check_min(check_max(c->at[place].w.lo, job->put_w.lo), c->at[place].w.hi);
        }
    }
    job->put_w.hi = check_max(job->put_w.hi, job->put_w.lo);
}

/* The puts leave the events: they stand in the jobs. */
static void group_events(struct check *c)
{
    qsort(c->events, c->events_count, sizeof(*c->events), compare_event);
    c->jobs = cb_calloc(c->events_count + 1, sizeof(*c->jobs));
    size_t kept = 0;
    struct check_job *job = NULL;
    for (size_t i = 0; i < c->events_count; i++) {
        struct check_event e = c->events[i];
        const struct hist_record *r = &c->records[e.place];
        if (job == NULL || job->id != e.id) {
            job = &c->jobs[c->jobs_count++];
            *job = (struct check_job){.id = e.id, .events_first = kept};
        }
        if (r->op == HIST_PUT) {
            take_put(c, job, r);
            continue;
        }
        job->is_seen = job->is_seen || proves_job(r);
        job->events_count++;
        c->events[kept++] = e;
    }
    c->events_count = kept;
}

struct check_job *check_job_find(const struct check *c, uint64_t id)
{
    size_t low = 0;
    size_t high = c->jobs_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (c->jobs[mid].id < id) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < c->jobs_count && c->jobs[low].id == id ? &c->jobs[low] : NULL;
}

/* Puts that may have been, and of whose job nobody knows the id. */
static void collect_unresolved(struct check *c)
{
    c->unresolved = cb_malloc((c->count + 1) * sizeof(*c->unresolved));
    for (size_t i = 0; i < c->count; i++) {
        const struct hist_record *r = &c->records[i];
        if (r->op == HIST_PUT && r->result == HIST_UNKNOWN && c->at[i].job == 0) {
            c->unresolved[c->unresolved_count++] = i;
        }
    }
}

/* Its body was read, so that its put is known, or known to be none. */
static bool is_read(const struct check *c, const struct check_job *job)
{
    for (size_t i = 0; i < job->events_count; i++) {
        const struct hist_record *r = &c->records[c->events[job->events_first + i].place];
        if (check_reads_body(r->op) && r->result == HIST_OK) {
            return true;
        }
    }
    return false;
}

/* A job known by its id alone belongs to one of those puts (P3). */
static void judge_unknown_jobs(struct check *c)
{
    size_t unknown = 0;
    const struct hist_record *last = NULL;
    for (size_t i = 0; i < c->jobs_count; i++) {
        const struct check_job *job = &c->jobs[i];
        if (job->put == NULL && job->is_seen && !is_read(c, job)) {
            check_judged(c, HIST_P3);
            unknown++;
            last = &c->records[c->events[job->events_first].place];
        }
    }
    if (unknown > c->unresolved_count) {
        check_fail(c, HIST_P3, CHECK_ABOUT(last, NULL, NULL),
                   "%zu jobs were found by their ids that nobody put, with %zu puts unanswered",
                   unknown, c->unresolved_count);
    }
}

static int compare_put_lo(const void *a, const void *b)
{
    const struct check_job *x = *(const struct check_job *const *)a;
    const struct check_job *y = *(const struct check_job *const *)b;
    if (x->put_w.lo != y->put_w.lo) {
        return x->put_w.lo < y->put_w.lo ? -1 : 1;
    }
    return (x > y) - (x < y);
}

static int compare_put_hi(const void *a, const void *b)
{
    const struct check_job *x = *(const struct check_job *const *)a;
    const struct check_job *y = *(const struct check_job *const *)b;
    if (x->put_w.hi != y->put_w.hi) {
        return x->put_w.hi < y->put_w.hi ? -1 : 1;
    }
    return (x > y) - (x < y);
}

static void judge_rise(struct check *c, const struct check_job *a, const struct check_job *b)
{
    check_judged(c, HIST_P8);
    if (a->id >= b->id) {
        check_fail(c, HIST_P8, CHECK_ABOUT(a->put, b->put, NULL),
                   "the second put came after the first, and its id %" PRIu64
                   " is not above %" PRIu64,
                   b->id, a->id);
    }
}

/* A put whose window begins after another's end has the larger id. */
static void judge_ids_in_time(struct check *c, const struct check_job **lo, size_t count)
{
    const struct check_job **hi = cb_memdup(lo, (count + 1) * sizeof(*lo));
    qsort(lo, count, sizeof(*lo), compare_put_lo);
    qsort(hi, count, sizeof(*hi), compare_put_hi);
    const struct check_job *largest = NULL;
    size_t ended = 0;
    for (size_t i = 0; i < count; i++) {
        for (; ended < count && hi[ended]->put_w.hi < lo[i]->put_w.lo; ended++) {
            largest = largest == NULL || hi[ended]->id > largest->id ? hi[ended] : largest;
        }
        if (largest != NULL) {
            judge_rise(c, largest, lo[i]);
        }
    }
    cb_free(hi);
}

/* So has one that its connection sent later. */
static void judge_ids_of_conns(struct check *c)
{
    const struct check_job **last = cb_calloc(c->conns_count + 1, sizeof(*last));
    for (size_t i = 0; i < c->count; i++) {
        const struct check_job *job = c->at[i].job == 0 ? NULL : check_job_find(c, c->at[i].job);
        if (job == NULL || job->put != &c->records[i]) {
            continue;
        }
        if (last[c->at[i].conn] != NULL) {
            judge_rise(c, last[c->at[i].conn], job);
        }
        last[c->at[i].conn] = job;
    }
    cb_free(last);
}

void check_jobs(struct check *c)
{
    struct puts puts;
    puts_collect(c, &puts);
    collect_events(c, &puts);
    cb_free(puts.all);
    group_events(c);
    collect_unresolved(c);
    judge_unknown_jobs(c);

    const struct check_job **known = cb_malloc((c->jobs_count + 1) * sizeof(*known));
    size_t count = 0;
    for (size_t i = 0; i < c->jobs_count; i++) {
        struct check_job *job = &c->jobs[i];
        if (job->put != NULL) {
            narrow_put(c, job);
            known[count++] = job;
        }
    }
    judge_ids_in_time(c, known, count);
    judge_ids_of_conns(c);
    cb_free(known);
}
