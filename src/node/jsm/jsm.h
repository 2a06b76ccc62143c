/* The job state machine: everything that a second client could observe, as a function of the log.
 * Owns:      tubes, jobs, bodies, connections, waiting reserves, sessions and their results,
 *            counters.
 * Does not:  read a clock, do I/O, draw random numbers, log, or know that it is replicated. Two
 *            machines that applied the same entries are equal, byte for byte, in every stored
 *            record (design D1).
 * Threads:   one; the caller serialises.
 * Errors:    outcomes are values (enum jsm_outcome). Entries were range-checked by node/entry; a
 *            contradiction inside the machine is a bug and asserts.
 * Time:      nanoseconds of the cluster clock, from the entry's stamp (design D2). */
#ifndef CB_NODE_JSM_JSM_H
#define CB_NODE_JSM_JSM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cb_span.h"

#define JSM_NEVER UINT64_MAX

struct jsm;
struct jsm_session;

enum jsm_op {
#define X(sym, num) JSM_OP_##sym = (num),
#include "common/base/cb_op.def"
#undef X
    JSM_OP_END
};

enum jsm_outcome {
#define X(sym, num) JSM_##sym = (num),
#include "common/base/cb_outcome.def"
#undef X
    JSM_OUTCOME_END
};

enum jsm_counter {
#define X(sym, key) JSM_CMD_##sym,
#include "common/base/cb_counter.def"
#undef X
    JSM_COUNTER_COUNT
};

enum jsm_job_state { JSM_JOB_READY = 1, JSM_JOB_DELAYED, JSM_JOB_RESERVED, JSM_JOB_BURIED };

/* ------------------------------------------------------------------------------------------------
 * Entries
 * ---------------------------------------------------------------------------------------------- */

/* One numbered request of one connection. Fields an op does not use are 0 (cb_op.def). */
struct jsm_command {
    enum jsm_op op;
    uint64_t conn; /* the proxy's number of the connection, never reused in its session */
    uint64_t id;
    uint32_t pri;
    uint32_t delay;      /* seconds */
    uint32_t ttr;        /* seconds, 0 counts as 1 */
    uint32_t count;      /* kick's bound; reserve-with-timeout's seconds */
    uint64_t age_ns;     /* put: time from the put line to the sending of the request */
    struct cb_span tube; /* a valid tube name */
    struct cb_span body;
};

enum jsm_item_kind {
    JSM_ITEM_OPEN = 1, /* name, incarnation, address: a proxy opens its session */
    JSM_ITEM_EXPIRE, /* session: its lease ended; its waits end, then its connections are closed in
                        order */
    JSM_ITEM_RESUME, /* first item of a new leader: reservations stop expiring (design D2) */
    JSM_ITEM_ATTACHED, /* session: it is back and what it resent is applied: they expire again */
    JSM_ITEM_ACK,      /* session, number: results up to this one were received */
    JSM_ITEM_COUNTS,   /* counter, number: an increment */
    JSM_ITEM_REQUEST,  /* session, number, command */
    JSM_ITEM_LIMITS,   /* limits: from here on */
    JSM_ITEM_SPACE,    /* number: 1: from here on the disks are short of space; 0: no more */
    JSM_ITEM_CLOCK,    /* the cluster's clock begins anew: this stamp follows from no earlier one */
    JSM_ITEM_KIND_END
};

/* A proxy process: the larger incarnation of a name takes over (design D3). */
struct jsm_incarnation {
    uint64_t started_ns; /* wall clock of the proxy when it started */
    uint64_t random;
};

/* What the cluster may hold (design D10); 0: as much as there is. A put beyond it is answered
 * OUT_OF_MEMORY and has no other effect. */
struct jsm_limits {
    uint64_t jobs;
    uint64_t bytes; /* of their bodies */
};

struct jsm_item {
    enum jsm_item_kind kind;
    uint64_t session; /* log index of the entry that opened it */
    uint64_t number;  /* request number, result number, the increment of COUNTS, SPACE's word */
    enum jsm_counter counter;
    struct jsm_incarnation incarnation;
    struct cb_span name;
    struct cb_span address;
    struct jsm_command command;
    struct jsm_limits limits;
};

struct jsm_entry {
    uint64_t stamp_ns; /* the leader's cluster clock; clamped to the largest seen */
    const struct jsm_item *items;
    uint32_t n_items;
};

/* ------------------------------------------------------------------------------------------------
 * Life
 * ---------------------------------------------------------------------------------------------- */

struct jsm *jsm_create(void);
/* For tests: how many steps of work an entry does, instead of CB_DUE_PER_ENTRY_MAX. Before the
 * first entry or after loading; the same on all replicas. */
void jsm_set_steps(struct jsm *m, uint32_t steps);
void jsm_destroy(struct jsm *m);

/* Applies the entry at `index`, which is above every earlier one: first what is due at the stamp,
 * then the items in order. At most one JSM_ITEM_OPEN an entry (the session id is the index). */
void jsm_apply(struct jsm *m, uint64_t index, const struct jsm_entry *entry);

uint64_t jsm_index(const struct jsm *m);    /* of the last entry applied, 0 before the first */
uint64_t jsm_stamp_ns(const struct jsm *m); /* the machine's time: the largest stamp seen */

/* The stamp at which something becomes due; JSM_NEVER when nothing will. At or below jsm_stamp_ns
 * when an entry left work over (CB_DUE_PER_ENTRY_MAX): an empty entry goes on with it. */
uint64_t jsm_next_due_ns(const struct jsm *m);
/* Records are still to be written of what happened earlier; no read or result can tell. */
bool jsm_is_settling(const struct jsm *m);

/* As the last JSM_ITEM_LIMITS said. */
struct jsm_limits jsm_limits_now(const struct jsm *m);
/* As the last JSM_ITEM_SPACE said. While it is true a put is answered OUT_OF_MEMORY and has no
 * other effect; nothing else is refused (design D9). */
bool jsm_is_short_of_space(const struct jsm *m);
/* The index of the last entry with a JSM_ITEM_CLOCK, 0 before the first. Time may have been lost
 * there, and is not made up for: no clock that follows from an earlier entry counts (design D2). */
uint64_t jsm_clock_index(const struct jsm *m);
/* Of all jobs' bodies. */
uint64_t jsm_body_bytes(const struct jsm *m);

/* A rolling digest of every entry and every result, and of all records at each checkpoint; equal on
 * replicas at equal index: once they differ they differ for ever. O(1). */
uint64_t jsm_log_digest(const struct jsm *m);
/* The last entry was the first at or above a multiple of CB_CHECKPOINT_ENTRIES; then its digest. */
bool jsm_checkpoint(const struct jsm *m, uint64_t *digest);

/* ------------------------------------------------------------------------------------------------
 * Sessions and results
 * ---------------------------------------------------------------------------------------------- */

/* A result stays until it is acknowledged. Numbers of a session rise by one from 1. */
struct jsm_result {
    uint64_t number;
    uint64_t request; /* the request it answers */
    uint64_t conn;
    enum jsm_outcome outcome;
    uint64_t id;         /* INSERTED, RESERVED */
    uint32_t count;      /* WATCHING, KICKED */
    struct cb_span body; /* RESERVED; borrowed until the result is acknowledged */
    bool is_away;        /* the store has the body's bytes: `body` is NULL and their length */
};

/* NULL when there is no such session. Borrowed until the next jsm_apply. */
struct jsm_session *jsm_session_get(const struct jsm *m, uint64_t id);
/* By proxy name. */
struct jsm_session *jsm_session_find(const struct jsm *m, struct cb_span name);
/* In order of opening; `after` NULL gives the first; NULL after the last. */
struct jsm_session *jsm_session_next(const struct jsm *m, const struct jsm_session *after);

uint64_t jsm_session_id(const struct jsm_session *s);
struct cb_span jsm_session_name(const struct jsm_session *s);
struct cb_span jsm_session_address(const struct jsm_session *s);
struct jsm_incarnation jsm_session_incarnation(const struct jsm_session *s);
uint64_t jsm_session_last_request(const struct jsm_session *s);
uint64_t jsm_session_last_result(const struct jsm_session *s);
uint64_t jsm_session_acked_result(const struct jsm_session *s);
/* True while its reservations do not expire (after RESUME, until ATTACHED). */
bool jsm_session_is_suspended(const struct jsm_session *s);

/* The kept result with this number: false when it is not there (acknowledged, or not yet made). */
bool jsm_session_result(const struct jsm_session *s, uint64_t number, struct jsm_result *out);

/* Ids of sessions that got a result or were opened, ended or asked in the last jsm_apply, in the
 * order in which that happened first; borrowed until the next one. */
const uint64_t *jsm_touched_sessions(const struct jsm *m, uint32_t *n);

/* How many requests of the last jsm_apply had no effect because their number was not last + 1. */
uint64_t jsm_dropped_requests(const struct jsm *m);

/* ------------------------------------------------------------------------------------------------
 * Reads, as of jsm_stamp_ns
 * ---------------------------------------------------------------------------------------------- */

struct jsm_job_view {
    uint64_t id;
    struct cb_span tube;
    enum jsm_job_state state;
    uint32_t pri;
    uint32_t delay; /* seconds */
    uint32_t ttr;   /* seconds */
    uint64_t age_ns;
    uint64_t left_ns; /* reserved, delayed; 0 for ready and buried */
    uint32_t reserves, timeouts, releases, buries, kicks;
    struct cb_span body; /* borrowed until the next jsm_apply or jsm_shed_bodies */
    bool is_away;        /* as of a result */
};

struct jsm_tube_view {
    struct cb_span name;
    uint64_t urgent, ready, reserved, delayed, buried;
    uint64_t total_jobs, cmd_delete, cmd_pause_tube;
    uint64_t using, watching, waiting;
    uint32_t pause;         /* seconds, 0 when not paused */
    uint64_t pause_left_ns; /* 0 when not paused */
};

struct jsm_view {
    uint64_t urgent, ready, reserved, delayed, buried;
    uint64_t counters[JSM_COUNTER_COUNT];
    uint64_t job_timeouts, total_jobs;
    uint64_t tubes, connections, producers, workers, waiting, total_connections;
};

void jsm_read_stats(const struct jsm *m, struct jsm_view *out);
/* False: NOT_FOUND. */
bool jsm_read_tube(const struct jsm *m, struct cb_span name, struct jsm_tube_view *out);
bool jsm_read_job(const struct jsm *m, uint64_t id, struct jsm_job_view *out);
/* The head of a queue of the tube that the connection uses; `state` is READY, DELAYED or BURIED. */
bool jsm_read_head(const struct jsm *m,
                   uint64_t session,
                   uint64_t conn,
                   enum jsm_job_state state,
                   struct jsm_job_view *out);
/* False when there is no such connection. */
bool jsm_read_used(const struct jsm *m, uint64_t session, uint64_t conn, struct cb_span *out);
/* Tubes in list order: i in [0, count). */
uint32_t jsm_read_tube_count(const struct jsm *m);
struct cb_span jsm_read_tube_name(const struct jsm *m, uint32_t i);
uint32_t jsm_read_watched_count(const struct jsm *m, uint64_t session, uint64_t conn);
struct cb_span
jsm_read_watched_name(const struct jsm *m, uint64_t session, uint64_t conn, uint32_t i);

/* ------------------------------------------------------------------------------------------------
 * Stored records (design D6)
 * ---------------------------------------------------------------------------------------------- */

struct jsm_record_sink {
    void *data;
    void (*put)(void *data, struct cb_span key, struct cb_span value);
    void (*del)(void *data, struct cb_span key);
};

/* Estimate of what the next drain will write; for the bound on records not yet stored. */
uint64_t jsm_dirty_bytes(const struct jsm *m);

/* Hands over every record that changed since the last drain. A job that was born and died in
 * between is not among them. Afterwards jsm_state_digest is that of jsm_index. */
void jsm_drain(struct jsm *m, const struct jsm_record_sink *sink);

/* A digest of all stored records as of the last drain or load: a function of the state alone,
 * however it was reached and drained. O(1). */
uint64_t jsm_state_digest(const struct jsm *m);

/* ---- bodies out of memory (ADR 14) ---- */

/* As many bytes of bodies stay in memory as `bytes` says; of those beyond it the ones leave that
 * the store has and no unacknowledged result carries. 0, as at first: all stay. To be said before
 * the first record or entry; a bound can be changed for another one later. Outcomes, records and
 * digests do not depend on any of this. */
void jsm_keep_bodies(struct jsm *m, uint64_t bytes);
/* What was drained so far is durable: bodies leave, those first that were drained first. */
void jsm_shed_bodies(struct jsm *m);

#define JSM_BODY_KEY_SIZE 17
/* The key of the record of a job's body. It is in the store for as long as the job or a result that
 * is not acknowledged has the body, and has been durable since before the body left. */
void jsm_body_key(uint64_t job_id, uint8_t key[JSM_BODY_KEY_SIZE]);

struct jsm_body_use {
    uint64_t resident_bytes; /* of bodies in memory */
    uint64_t n_away;
};
struct jsm_body_use jsm_body_use(const struct jsm *m);

enum jsm_load_result { JSM_LOAD_OK, JSM_LOAD_BAD_RECORD };

/* Loading: jsm_create, jsm_load_record for every record in key order, then jsm_load_done.
 * BAD_RECORD: the bytes are not what a drain writes, or contradict each other; `m` can only be
 * destroyed then. */
enum jsm_load_result jsm_load_record(struct jsm *m, struct cb_span key, struct cb_span value);
enum jsm_load_result jsm_load_done(struct jsm *m);

#endif
