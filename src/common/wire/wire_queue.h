/* The messages between proxy and node (proto/queue.proto) as plain structs.
 *
 * Owns:     a decoded message owns its arrays and what its spans borrow from, until the next decode
 *           into it, its _clear or its _fini; not the bytes that were decoded.
 * Does not: know what an op does, or decide anything about a session.
 * Threads:  one per message.
 * Errors:   enum wire_error. What was decoded is checked: ops, kinds, outcomes and counters are
 *           known, names valid, lengths in bounds, fields that an op does not have zero, numbers of
 *           requests and results rising by one. What protobuf-c lets pass is as it says: of a field
 *           that stands twice the last counts, submessages are merged, a number too large for its
 *           field loses its high bits, a string ends at its first NUL. A message that would become
 *           more than CB_WIRE_ARENA_MAX is WIRE_BAD_LENGTH. Encoding checks nothing: it is fed by
 *           our own code.
 * Source:   proto/queue.proto; the meaning of a field stands there. */
#ifndef CB_COMMON_WIRE_WIRE_QUEUE_H
#define CB_COMMON_WIRE_WIRE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_buf.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_span.h"
#include "common/wire/wire_error.h"

#define WIRE_PROTOCOL_VERSION 1

struct wire_arena;

enum wire_op {
#define X(sym, num) WIRE_OP_##sym = (num),
#include "common/base/cb_op.def"
#undef X
    WIRE_OP_END
};

enum wire_outcome {
#define X(sym, num) WIRE_##sym = (num),
#include "common/base/cb_outcome.def"
#undef X
    WIRE_OUTCOME_END
};

enum wire_counter {
#define X(sym, key) WIRE_CMD_##sym,
#include "common/base/cb_counter.def"
#undef X
    WIRE_COUNTER_COUNT
};

enum wire_read_kind {
    WIRE_READ_STATS = 1,
    WIRE_READ_STATS_TUBE,
    WIRE_READ_STATS_JOB,
    WIRE_READ_PEEK,
    WIRE_READ_PEEK_READY,
    WIRE_READ_PEEK_DELAYED,
    WIRE_READ_PEEK_BURIED,
    WIRE_READ_LIST_TUBES,
    WIRE_READ_LIST_TUBE_USED,
    WIRE_READ_LIST_TUBES_WATCHED,
    WIRE_READ_END
};

enum wire_job_state {
    WIRE_JOB_READY = 1,
    WIRE_JOB_DELAYED,
    WIRE_JOB_RESERVED,
    WIRE_JOB_BURIED,
    WIRE_JOB_STATE_END
};

/* ---- who leads ---- */

struct wire_leadership {
    uint64_t term;
    char leader[CB_ADDRESS_MAX]; /* not empty */
    uint64_t members_index;      /* 0: there are none below */
    uint32_t n_members;
    char members[CB_CLUSTER_NODES_MAX][CB_ADDRESS_MAX]; /* not empty */
};

/* Appends the message. */
void wire_leadership_encode(const struct wire_leadership *m, struct cb_buf *out);
CB_MUST_USE enum wire_error wire_leadership_decode(struct wire_leadership *m, struct cb_span bytes);

/* ---- proxy to node ---- */

struct wire_attach {
    uint32_t version;
    struct cb_span name; /* 1 to CB_PROXY_NAME_MAX printable bytes without blanks */
    uint64_t started_ns;
    uint64_t random;
    struct cb_span address; /* up to CB_ADDRESS_MAX printable bytes */
    uint64_t session;
    uint64_t number;
    uint64_t seen_result;
};

struct wire_request {
    uint64_t number;
    uint64_t conn;
    uint32_t op; /* enum wire_op */
    uint32_t pri;
    uint64_t id;
    uint32_t delay;
    uint32_t ttr;
    uint32_t count;
    uint64_t age_ns;
    struct cb_span tube;
    struct cb_span body;
};

struct wire_read {
    uint64_t read;
    uint64_t conn;
    uint32_t kind; /* enum wire_read_kind */
    uint64_t id;
    struct cb_span tube;
    uint64_t after;
};

struct wire_count {
    uint32_t counter; /* enum wire_counter */
    uint64_t increment;
};

struct wire_to_node {
    uint64_t seq;
    bool has_attach;
    struct wire_attach attach;
    uint64_t acked_result;
    struct wire_request *requests;
    uint32_t n_requests, cap_requests;
    struct wire_read *reads;
    uint32_t n_reads, cap_reads;
    struct wire_count *counts;
    uint32_t n_counts, cap_counts;
    bool resent;
    struct wire_arena *arena; /* decode only */
};

/* ---- node to proxy ---- */

struct wire_attached {
    uint64_t session;
    uint64_t last_request;
    uint64_t last_result;
    uint32_t session_timeout_ms;
    uint64_t node;
    uint64_t term;
};

struct wire_result {
    uint64_t number;
    uint64_t request;
    uint64_t conn;
    uint32_t outcome; /* enum wire_outcome */
    uint32_t count;
    uint64_t id;
    struct cb_span body;
};

struct wire_stats {
    uint64_t urgent, ready, reserved, delayed, buried;
    uint64_t counters[WIRE_COUNTER_COUNT];
    uint64_t job_timeouts, total_jobs;
    uint64_t tubes, connections, producers, workers, waiting, total_connections;
};

struct wire_tube_stats {
    struct cb_span name;
    uint64_t urgent, ready, reserved, delayed, buried;
    uint64_t total_jobs;
    uint64_t using, watching, waiting;
    uint64_t cmd_delete, cmd_pause_tube;
    uint32_t pause; /* seconds */
    uint64_t pause_left_ns;
};

struct wire_job_stats {
    uint64_t id;
    struct cb_span tube;
    uint32_t state; /* enum wire_job_state */
    uint32_t pri, delay, ttr;
    uint64_t age_ns, left_ns;
    uint32_t reserves, timeouts, releases, buries, kicks;
};

enum wire_stats_kind { WIRE_STATS_NONE, WIRE_STATS_ALL, WIRE_STATS_TUBE, WIRE_STATS_JOB };

struct wire_read_result {
    uint64_t read;
    bool found;
    bool again;
    uint64_t id;
    struct cb_span body;
    const struct cb_span *tubes; /* decoded: lie in the message's `tubes` */
    uint32_t n_tubes;
    enum wire_stats_kind stats_kind;
    union {
        struct wire_stats all;
        struct wire_tube_stats tube;
        struct wire_job_stats job;
    } stats;
};

struct wire_to_proxy {
    uint64_t confirmed_seq;
    bool has_attached;
    struct wire_attached attached;
    uint64_t applied_request;
    uint64_t expect;
    struct wire_result *results;
    uint32_t n_results, cap_results;
    struct wire_read_result *reads;
    uint32_t n_reads, cap_reads;
    struct cb_span *tubes; /* of all reads; decode only */
    uint32_t n_tubes, cap_tubes;
    struct wire_arena *arena; /* decode only */
};

/* A zeroed message is an empty one; _fini frees its arrays, so it is not for a message whose arrays
 * belong to somebody else. _clear empties it and keeps the memory. */
void wire_to_node_clear(struct wire_to_node *m);
void wire_to_node_fini(struct wire_to_node *m);
void wire_to_proxy_clear(struct wire_to_proxy *m);
void wire_to_proxy_fini(struct wire_to_proxy *m);

/* A zeroed element at the end of the array, for building a message; its memory moves with the
 * next. */
struct wire_request *wire_to_node_add_request(struct wire_to_node *m);
struct wire_read *wire_to_node_add_read(struct wire_to_node *m);
struct wire_count *wire_to_node_add_count(struct wire_to_node *m);
struct wire_result *wire_to_proxy_add_result(struct wire_to_proxy *m);
struct wire_read_result *wire_to_proxy_add_read(struct wire_to_proxy *m);

/* Append the whole message. Numbers that are 0 are left out. */
void wire_to_node_encode(const struct wire_to_node *m, struct cb_buf *out);
void wire_to_proxy_encode(const struct wire_to_proxy *m, struct cb_buf *out);

/* `m` is a zeroed message or one that was decoded into before. On an error it holds nothing to be
 * used, and can be decoded into again. */
CB_MUST_USE enum wire_error wire_to_node_decode(struct wire_to_node *m, struct cb_span bytes);
CB_MUST_USE enum wire_error wire_to_proxy_decode(struct wire_to_proxy *m, struct cb_span bytes);

#endif
