/* The job state machine once more: slow and obvious, as the oracle that src/node/jsm is held to.
 * Arrays and linear scans; of the machine it shares the enums and structs of jsm.h, and no code.
 *
 * Owns:      everything it holds; what it hands out is borrowed until the next model_apply.
 * Does not:  bound its cost, store records or keep digests.
 * Threads:   one.
 * Errors:    as jsm.h: outcomes are values.
 *
 * What jsm.h leaves open is decided here, by what beanstalkd does:
 *   A. put, release and pause-tube are answered before what they made ready is handed to waiters,
 *      kick and kick-job after it. That is the order of the results' numbers; no client sees it.
 *   B. A connection that ends: its wait, then its jobs one by one in the order reserved, then its
 *      watch list (the first, then the last moved into its place, and so on), then its used tube.
 *      The order in which tubes die shows in list-tubes.
 *   C. The end of a session first ends all its waits (an ending session is given nothing), then its
 *      connections in order of opening.
 *   D. Times count from the entry's stamp, also for what happens in the work that was due.
 *   E. RESUME as the first item of an entry takes effect before what is due at that entry's stamp:
 *      else the reservations that ran out while there was no leader would be lost with it.
 *   F. DEADLINE_SOON goes on in a suspended session; ttr expiry alone is suspended.
 *   G. A session over its bound of results gets nothing while it waits; a reserve that finds a
 * ready job is answered as ever. The ACK that lifts the bound makes up for it: the tubes
 *      in which it waits are matched as in K. The bound is on results and on their bodies' bytes.
 *   H. A half-closed connection never waits: a reserve is answered RESERVED, DEADLINE_SOON or
 *      TIMED_OUT.
 *   I. An ACK above the last result acknowledges all there are.
 *   J. A request of an unknown session counts as dropped. Asked (jsm_touched_sessions) is a session
 *      whose REQUEST is accepted, before the effects of it, and one whose name an OPEN has; ACK and
 *      ATTACHED do not touch. A session that ends is touched before the effects of its end.
 *   K. An entry does steps_max steps of what may be much; what is left over is done in the next
 *      ones (ADR 13). A step is: something that is due; a job kicked or given back one by one; a
 *      job or a connection of a release. Serving a waiter where many wait for many is 4 steps, or
 *      what there is: of the "unmatched" tubes the oldest is first, in it the longest waiter, which
 *      gets the best job that it can have. Where the steps are too few for a kick (4 for a job if
 *      somebody waits there), it makes all of its jobs ready in no order, and the tube unmatched. A
 *      connection or a session that ends with more than there are steps has a "release": a step for
 *      each job (and each connection of the session), in which nothing is to be seen, then all its
 *      jobs are ready at once, and the session's connections go, a step each. In a tube that is
 *      unmatched everybody waits in line, who wants to wait for no time or is half-closed too; and
 *      a tube becomes so where a job gets ready for one who stands in such a line. What time brings
 *      is never left less than half of the steps. */
#ifndef CB_TESTS_MODEL_MODEL_H
#define CB_TESTS_MODEL_MODEL_H

#include "node/jsm/jsm.h"

struct model_bytes {
    uint8_t *ptr;
    size_t len;
};

struct model_tube {
    struct model_bytes name;
    uint64_t number; /* rises with each creation */
    uint64_t total_jobs, cmd_delete, cmd_pause_tube;
    uint32_t pause; /* seconds, 0 when not paused */
    uint64_t pause_end;
    bool unmatched;
};

struct model_job {
    uint64_t id;
    struct model_tube *tube;
    enum jsm_job_state state;
    uint32_t pri, delay, ttr;
    uint64_t created;
    uint64_t deadline;         /* delayed, reserved */
    uint64_t order;            /* reserved, buried: when it became so */
    struct model_conn *holder; /* reserved */
    uint32_t reserves, timeouts, releases, buries, kicks;
    struct model_bytes body;
};

struct model_conn {
    struct model_session *session;
    uint64_t number;
    struct model_tube *used;
    struct model_tube **watched;
    uint32_t n_watched;
    bool producer, worker, half_closed, waiting;
    bool ended; /* it is gone, but what it held is still reserved */
    uint64_t wait_request, wait_end, arrival;
};

struct model_session {
    uint64_t id;
    struct model_bytes name, address;
    struct jsm_incarnation incarnation;
    uint64_t last_request, last_result, acked;
    uint64_t kept_bytes; /* of bodies in unacknowledged results */
    bool suspended, full;
    bool ended;       /* it is gone, but its connections and what they held are not */
    uint64_t *graves; /* numbers of its connections that had a release; never used again */
    uint32_t n_graves;
    struct jsm_result *results; /* [0] has the number acked + 1; bodies are owned */
};

/* What an ended connection, or an ended session, gives back. */
struct model_release {
    struct model_conn *conn; /* NULL: the session's */
    struct model_session *session;
    uint64_t steps; /* left, until its jobs are ready */
};

struct model {
    uint32_t steps_max;              /* CB_DUE_PER_ENTRY_MAX, unless a test says otherwise */
    uint32_t steps;                  /* left of this entry's */
    struct model_release **releases; /* oldest first */
    uint32_t n_releases;
    uint64_t now, last_id, last_order, last_tube, dropped;
    struct model_tube **tubes;       /* in list order */
    struct model_job **jobs;         /* by id */
    struct model_conn **conns;       /* by opening */
    struct model_session **sessions; /* by opening */
    uint32_t n_tubes, n_jobs, n_conns, n_sessions, n_touched, n_waiting;
    uint64_t *touched;
    uint64_t counters[JSM_COUNTER_COUNT];
    uint64_t job_timeouts, total_jobs, total_connections;
    struct jsm_limits limits;
    bool short_of_space;
    uint64_t clock_index; /* of the entry with the last JSM_ITEM_CLOCK */
    /* NULL, or told of each result when it is made: later in the same entry its session may end. */
    void (*on_answer)(void *data, uint64_t session, const struct jsm_result *r);
    void *on_answer_data;
};

struct model *model_create(void);
void model_destroy(struct model *m);
void model_apply(struct model *m, uint64_t index, const struct jsm_entry *entry);
uint64_t model_next_due_ns(const struct model *m);

/* NULL when there is none. */
struct model_session *model_session(const struct model *m, uint64_t id);
struct model_session *model_session_named(const struct model *m, struct cb_span name);
struct model_conn *model_conn(const struct model *m, uint64_t session, uint64_t number);
struct model_job *model_job(const struct model *m, uint64_t id);
struct model_tube *model_tube(const struct model *m, struct cb_span name);
bool model_uses(const struct model_conn *c, const struct model_tube *t);
bool model_watches(const struct model_conn *c, const struct model_tube *t);
/* The first job of the tube in this state, in the order in which reserve, time or kick takes them.
 */
struct model_job *
model_head(const struct model *m, const struct model_tube *t, enum jsm_job_state state);
struct cb_span model_span(struct model_bytes b);
/* Of all jobs. */
uint64_t model_body_bytes(const struct model *m);

/* The reads of jsm.h. */
/* The connection had a release: its number is not used again. */
bool model_is_grave(const struct model_session *s, uint64_t number);
bool model_result(const struct model_session *s, uint64_t number, struct jsm_result *out);
void model_read_stats(const struct model *m, struct jsm_view *out);
void model_view_tube(const struct model *m, const struct model_tube *t, struct jsm_tube_view *out);
void model_view_job(const struct model *m, const struct model_job *j, struct jsm_job_view *out);

#endif
