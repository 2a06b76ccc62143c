/* What the checkers share: when each record may have taken effect, and what is known of each job,
 * connection and tube. history_check.c runs them in the order of the declarations below; each may
 * use what those before it have found out.
 *
 * A window is the time in which a record took effect, if it did. One record is certainly before
 * another when its window ends before the other's begins, or when its connection is the same and it
 * was sent first.
 * Two moments that are equal say nothing about an order.
 *
 * Threads:  one. */
#ifndef CB_TESTS_HISTORY_CHECK_INTERNAL_H
#define CB_TESTS_HISTORY_CHECK_INTERNAL_H

#include "history/check_spans.h"
#include "history/history_check.h"

struct check_window {
    uint64_t lo;
    uint64_t hi; /* HIST_NEVER: no end */
};

/* A set of watched tubes, sorted. */
struct check_watch {
    size_t first; /* in check.watched */
    size_t count;
};

#define CHECK_WATCH_UNSURE UINT32_MAX

struct check_at { /* beside each record */
    struct check_window w;
    uint32_t conn;  /* its place in check.conns */
    uint32_t watch; /* before it: its place in check.watches, or CHECK_WATCH_UNSURE */
    uint64_t job;   /* put: the id it got, as far as that is known, else 0 */
};

struct check_conn {
    uint32_t number;
    bool is_closed;
    bool by_server;
    uint64_t closed_ns;
    uint64_t
        alive_ns;     /* certainly open until then, as its server sees it; HIST_NEVER: to the end */
    uint64_t gone_ns; /* no effect of it after that; HIST_NEVER: not known */
    uint64_t answered_ns; /* when the last command that was answered was sent */
    uint32_t watch;       /* its watched tubes so far: a place in check.watches */
};

/* From `from` to `to`, both exclusive, a job is certainly in a state. Those of one job do not
 * overlap, and are in the order of time. */
struct check_certain {
    uint64_t from;
    uint64_t to;
    enum hist_state state;        /* not HIST_RESERVED: those are check_hold */
    bool is_promoted;             /* ready since its delay has passed, if that was not too late */
    uint32_t pri;                 /* or a larger number than it is */
    size_t job;                   /* its place in check.jobs */
    uint64_t to_but_kicks;        /* `to`, as if there were no kicks of the tube */
    struct check_window set;      /* of `by` */
    const struct hist_record *by; /* what brought it there */
};

/* An answered reservation. */
struct check_hold {
    size_t place;
    struct check_window w;
    uint64_t proven;  /* certainly held until then: the holder did then what only a holder can */
    uint64_t until;   /* certainly held until then; at or before w.hi: not certainly held at all */
    uint64_t touched; /* the window of its last touch, or of the reserve, begins */
    uint64_t end_lo;  /* the window of the first own command that may have ended it begins */
    bool is_ended;    /* by the holder's own answered command */
    const struct hist_record *ended_by; /* the release or bury that did it, or NULL */
    const struct hist_record *denied; /* the first answer that says that it is not held, or NULL */
    size_t best; /* of those up to this one, by the end of their windows, has the latest `until` */
};

struct check_job {
    uint64_t id;
    const struct hist_record *put; /* NULL: not known */
    struct check_window put_w;
    bool is_seen;        /* a record proves that it exists */
    size_t events_first; /* in check.events; from check_holds on by the begin of their windows */
    size_t events_count;
    size_t holds_first; /* in check.holds; by the end of the window */
    size_t holds_count;
    size_t certain_first; /* in check.certain */
    size_t certain_count;
    const struct hist_record *deleted; /* the answered delete with the earliest answer, or NULL */
    uint64_t alive_until; /* where the first window of a delete that may have been begins */
    uint64_t dead_from;   /* where the window of `deleted` ends; HIST_NEVER */
    /* What unanswered commands may have made its priority, from when on. */
    uint64_t unsure_from;
    uint32_t unsure_low;
    uint32_t unsure_high;
};

struct check_event {
    uint64_t id;
    size_t place;
    uint64_t key;    /* sorted by: scratch */
    uint64_t latest; /* the latest window of an answered change of priority up to this one ends */
    uint64_t woken;  /* the same of what may end a delay early, plus 1; 0: none */
};

struct check_tube {
    struct check_spans pauses;    /* when it may be paused */
    struct check_spans kicks;     /* kicks that may have kicked; `place` is the record's */
    struct check_spans reserves;  /* unanswered: each may hold one of its jobs */
    struct check_spans jobs_may;  /* when a job may be there; element 0 of check.tubes: anywhere */
    struct check_spans jobs_must; /* when a job certainly is there */
    struct check_spans buried_may;
    struct check_spans delayed_may;
    struct check_spans buried_must; /* not beyond the next kick */
    struct check_spans delayed_must;
};

struct check {
    const struct history *history;
    const struct hist_check_options *options;
    struct hist_verdict *out;
    struct cb_buf *text; /* NULL: not wanted */

    const struct hist_record *records;
    size_t count;
    struct check_at *at;
    uint64_t end_ns; /* the last moment of the history */

    struct check_conn *conns;
    uint32_t conns_count;
    struct check_watch *watches;
    uint32_t watches_count;
    uint32_t watches_cap;
    uint32_t *watched;
    size_t watched_count;
    size_t watched_cap;

    struct check_event *events;
    size_t events_count;
    size_t events_cap;
    struct check_job *jobs; /* by id */
    size_t jobs_count;
    struct check_hold *holds;
    size_t holds_count;
    struct check_certain *certain;
    size_t certain_count;
    size_t certain_cap;
    size_t *unresolved; /* places of puts that may have been, and whose id nobody saw */
    size_t unresolved_count;
    struct check_tube *tubes; /* by number */
    uint32_t tubes_count;     /* with element 0 */
};

/* --- in this order --- */
void check_conns(struct check *c);   /* windows, connections, watched tubes */
void check_jobs(struct check *c);    /* P2, P3, P8; who put what, events by job */
void check_life(struct check *c);    /* P1, P4 */
void check_holds(struct check *c);   /* P5, P6, P7; narrows the windows of reserves */
void check_tubes(struct check *c);   /* what is known of each tube */
void check_states(struct check *c);  /* what is certain of each job's state; P10 */
void check_by_id(struct check *c);   /* P7, P10, P12: answers about one job */
void check_order(struct check *c);   /* P9, and P12 when it is late */
void check_kicks(struct check *c);   /* P10 */
void check_counts(struct check *c);  /* P11 */
void check_delays(struct check *c);  /* P12 */
void check_service(struct check *c); /* P14 */

/* --- shared --- */
/* Counts a violation and describes it, with up to three records (NULL: none). */
void check_fail(struct check *c,
                enum hist_property property,
                const struct hist_record *const records[3],
                const char *format,
                ...) CB_PRINTF(4, 5);
/* The three of them. */
#define CHECK_ABOUT(a, b, c) ((const struct hist_record *const[3]){a, b, c})

static inline void check_judged(struct check *c, enum hist_property property)
{
    c->out->judged[property]++;
}

static inline size_t check_place(const struct check *c, const struct hist_record *r)
{
    return (size_t)(r - c->records);
}

static inline struct check_at *check_beside(const struct check *c, const struct hist_record *r)
{
    return &c->at[check_place(c, r)];
}

/* It answered that it did what it was asked. */
static inline bool check_did(const struct hist_record *r)
{
    return r->result == HIST_OK || r->result == HIST_INSERTED_BURIED;
}

/* It may have done it. */
static inline bool check_may_have(const struct hist_record *r)
{
    return check_did(r) || r->result == HIST_UNKNOWN || r->result == HIST_ERROR;
}

static inline bool check_is_peek_queue(enum hist_op op)
{
    return op == HIST_PEEK_READY || op == HIST_PEEK_DELAYED || op == HIST_PEEK_BURIED;
}

/* Answered OK it carries a body. */
static inline bool check_reads_body(enum hist_op op)
{
    return op == HIST_RESERVE || op == HIST_RESERVE_JOB || op == HIST_PEEK ||
           check_is_peek_queue(op);
}

/* What may move a job from one state to another. */
static inline bool check_is_change(enum hist_op op)
{
    return op == HIST_RESERVE || op == HIST_RESERVE_JOB || op == HIST_DELETE ||
           op == HIST_RELEASE || op == HIST_BURY || op == HIST_KICK_JOB;
}

/* HIST_NEVER stays what it is. */
static inline uint64_t check_add(uint64_t t, uint64_t d)
{
    return t > HIST_NEVER - d ? HIST_NEVER : t + d;
}

static inline uint64_t check_sub(uint64_t t, uint64_t d)
{
    return t > d ? t - d : 0;
}

static inline uint64_t check_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t check_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The put's ttr as beanstalkd takes it, and delays, in ns. */
uint64_t check_ttr_ns(const struct hist_record *put);
uint64_t check_delay_ns(const struct hist_record *r);
/* NULL when no record names it. */
struct check_job *check_job_find(const struct check *c, uint64_t id);
/* The tubes watched before that record; false when they are not certain. */
bool check_watched(const struct check *c, size_t place, const uint32_t **tubes, size_t *count);
/* The number of a job's events whose windows begin at or before `t`; not before check_holds. */
size_t check_events_begun(const struct check *c, const struct check_job *job, uint64_t t);
/* Sorts the events of a job by `key`, then place. */
void check_events_sort(struct check *c, const struct check_job *job);
/* How many unanswered reserves may hold a job of the tube at some time of that window. */
size_t check_unanswered(const struct check *c, uint32_t tube, const struct check_window *w);
/* The priority that the job has in that window is one of those from *low to *high. */
void check_pri_range(const struct check *c,
                     const struct check_job *job,
                     const struct check_window *w,
                     uint32_t *low,
                     uint32_t *high);
/* Certainly in a state, for the whole of that window; NULL when not. */
const struct check_certain *check_certain_over(const struct check *c,
                                               const struct check_job *job,
                                               const struct check_window *w);
/* The hold in whose certain part the whole window lies, or NULL. */
const struct check_hold *
check_held_over(const struct check *c, const struct check_job *job, const struct check_window *w);

#endif
