/* A queue that is right, or wrong in one way, and clients that use it: histories for the checkers.
 *
 * One thread, one clock, one machine without replicas: each command takes effect at one moment
 * between its invocation and its answer. Connections pipeline, close, half-close and are lost with
 * what they hold, wait for and have sent; the queue's clock drifts, and now and then it stands
 * still or suspends the reservations as a change of leader does.
 *
 * Threads:  one. */
#ifndef CB_TESTS_UNIT_HISTORY_QUEUE_SIM_H
#define CB_TESTS_UNIT_HISTORY_QUEUE_SIM_H

#include "common/base/cb_heap.h"
#include "common/base/cb_rng.h"
#include "history/history_check.h"

/* X(symbol, what it does, properties of which one must be found violated) */
#define QUEUE_FAULTS(X)                                                                            \
    X(NONE, "nothing", 0)                                                                          \
    X(LOSE, "a job vanishes", IS(P1) | IS(P9) | IS(P7) | IS(P10) | IS(P11))                        \
    X(DOUBLE, "a put makes two jobs", IS(P2))                                                      \
    X(BODY, "a body changes", IS(P3))                                                              \
    X(TUBE, "a job of a tube that is not watched", IS(P3))                                         \
    X(RESURRECT, "a deleted job is ready", IS(P4))                                                 \
    X(TWICE, "a held job is given to another, and both may use it", IS(P5))                        \
    X(TTR_CUT, "a ttr is half as long", IS(P6) | IS(P7))                                           \
    X(TTR_NO_TOUCH, "a touch does nothing", IS(P6) | IS(P7))                                       \
    X(ANYBODY, "anybody may touch, release and bury", IS(P7))                                      \
    X(DENY, "a holder is refused", IS(P7))                                                         \
    X(ID, "an id is smaller than one before", IS(P8))                                              \
    X(ORDER, "the last job comes first", IS(P9))                                                   \
    X(PRI_LOST, "a release keeps the priority", IS(P9))                                            \
    X(MISS, "a reserve misses what is ready", IS(P9) | IS(P12))                                    \
    X(KICK_MORE, "a kick exceeds its bound", IS(P10))                                              \
    X(KICK_LESS, "a kick leaves one", IS(P10))                                                     \
    X(COUNT, "stats count one too many", IS(P11))                                                  \
    X(EARLY, "a delay is half as long", IS(P12))                                                   \
    X(LATE, "a delay is twice as long", IS(P12))                                                   \
    X(ERROR, "an answer is an error", IS(P14))                                                     \
    X(CLOSE, "a connection is closed", IS(P14))                                                    \
    X(STALL, "an answer is late", IS(P14))

enum queue_fault {
#define X(symbol, what, wrong) QUEUE_##symbol,
    QUEUE_FAULTS(X)
#undef X
        QUEUE_FAULT_COUNT
};

#define QUEUE_CONNS_MAX 64
#define QUEUE_TUBES 3
#define QUEUE_CLOCK_ERROR_NS UINT64_C(120000000) /* 2 % of the longest ttr and delay, and a tick */
#define QUEUE_LATENCY_NS UINT64_C(500000000)     /* the longest, of one way; most runs have less */
#define QUEUE_STANDS_NS UINT64_C(500000000)      /* the longest that the queue stands still */
#define QUEUE_FORGOTTEN_NS UINT64_C(5000000000)

enum queue_job_state { JOB_READY, JOB_DELAYED, JOB_RESERVED, JOB_BURIED, JOB_GONE };

struct queue_job {
    uint64_t id;
    uint32_t tube;
    uint32_t pri;
    uint32_t ttr_s;
    enum queue_job_state state;
    uint32_t holder; /* a place in conns */
    bool is_shared;  /* by TWICE: former holders may still use it */
    uint64_t due;    /* by the queue's clock: of the delay or the reservation */
    uint64_t buried; /* the order of burying */
    struct hist_record put;
};

struct queue_conn {
    uint32_t number;
    uint32_t used;
    uint32_t watched; /* bits by tube */
    size_t *sent;     /* places of commands that have not taken effect; a queue */
    size_t sent_first, sent_count, sent_cap;
    size_t arrived;      /* of them, how many the queue has got */
    size_t waiting;      /* the place of the reserve that waits, or SIZE_MAX */
    uint64_t wait_until; /* by the queue's clock */
    bool is_open;        /* for the queue */
    bool is_ended;       /* the client will send no more, and the queue knows */
    bool client_open;    /* answers are read */
    bool client_sends;
    uint64_t last_arrival, last_answer;
    size_t outstanding;
};

struct queue_sim {
    struct history *h;
    struct cb_rng rng;
    enum queue_fault fault;
    uint64_t faults; /* how often it was wrong */
    uint64_t now;
    int64_t drift;    /* per mille */
    uint64_t latency; /* the longest of this run */
    struct queue_conn conns[QUEUE_CONNS_MAX];
    uint32_t conns_count;
    struct queue_job *jobs;
    size_t jobs_count, jobs_cap;
    uint64_t last_id, last_buried, last_token;
    uint64_t paused_until[QUEUE_TUBES + 1];
    uint64_t stands_until;
    struct cb_heap events;
    uint64_t last_event;
};

/* The queue: commands take effect, and time passes. */
void queue_run(struct queue_sim *q, uint32_t conn); /* what has arrived of a connection */
void queue_tick(struct queue_sim *q);               /* what is due */
void queue_close(struct queue_sim *q, uint32_t conn);
uint64_t queue_clock(const struct queue_sim *q);
/* To be called by it; `a` is the record with its answer. */
void queue_answer(struct queue_sim *q, uint32_t conn, size_t place, const struct hist_record *a);

/* A whole run, which ends with a drain. The caller destroys the history. */
struct history *queue_sim(uint64_t seed, enum queue_fault fault, uint64_t *faults);

#endif
