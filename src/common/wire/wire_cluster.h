/* The messages between node and node, and command-line tool and node (proto/cluster.proto).
 *
 * Owns:     a decoded message owns its arrays and what its spans borrow from, until the next decode
 *           into it, its _clear or its _fini; not the bytes that were decoded. A name that a peer
 *           sends ends at its first NUL.
 * Threads:  one per message.
 * Errors:   enum wire_error. Lengths and numbers of elements are checked, texts are printable.
 * Source:   proto/cluster.proto; the meaning of a field stands there. */
#ifndef CB_COMMON_WIRE_WIRE_CLUSTER_H
#define CB_COMMON_WIRE_WIRE_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_buf.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_span.h"
#include "common/wire/wire_error.h"

struct wire_arena;

struct wire_member {
    uint64_t id;
    struct cb_span name;
    struct cb_span grpc;
    struct cb_span raft;
    struct cb_span role;
};

struct wire_status_counter {
    struct cb_span name;
    uint64_t value;
};

/* StatusRequest has no fields: its bytes are none, and whatever comes is accepted. */
struct wire_status {
    struct cb_span name;
    uint64_t id;
    struct cb_span role;
    uint64_t term;
    uint64_t leader;
    uint64_t commit;
    uint64_t applied;
    struct cb_span version;
    uint32_t protocol;
    uint32_t entry_format;
    uint32_t record_format;
    struct wire_member *members;
    uint32_t n_members, cap_members;
    bool serving;
    uint64_t durable;
    bool free_known;
    uint64_t free;
    uint64_t reserve;
    bool puts_refused;
    struct cb_span waits; /* at most CB_WAITS_TEXT_MAX */
    struct wire_status_counter *counters;
    uint32_t n_counters, cap_counters;
    struct wire_arena *arena; /* decode only */
};

enum wire_identify_state {
    WIRE_IDENTIFY_EMPTY = 1,
    WIRE_IDENTIFY_PREPARED,
    WIRE_IDENTIFY_BOOTSTRAPPED,
    WIRE_IDENTIFY_JOINING,
    WIRE_IDENTIFY_STATE_END
};

struct wire_identify_request {
    uint64_t cluster;
    uint64_t id;
};

struct wire_identify_reply {
    uint32_t state; /* enum wire_identify_state */
    uint64_t cluster;
    uint64_t id;
    bool is_gone;
    bool free_known;
    uint64_t free;
    struct cb_span name; /* decoded: lies in `name_bytes`, so the struct stays where it is */
    uint8_t name_bytes[CB_NODE_NAME_MAX];
};

struct wire_clock_request {
    uint64_t cluster;
    uint64_t id;
};

struct wire_clock_reply {
    uint64_t cluster;
    uint64_t id;
    bool knows;
    uint64_t now_ns; /* at most CB_CLUSTER_CLOCK_MAX */
    uint64_t index;  /* these two are 0 unless it knows, and then they are not */
    uint64_t term;
};

struct wire_state_request {
    uint64_t cluster;
    uint64_t id;
    uint64_t copy;
    uint64_t part; /* 0 while `copy` is */
    uint64_t at_least;
};

enum wire_state_result {
    WIRE_STATE_PART = 1,
    WIRE_STATE_BEHIND,
    WIRE_STATE_UNKNOWN,
    WIRE_STATE_FAILED,
    WIRE_STATE_RESULT_END
};

struct wire_state_reply {
    uint64_t cluster;
    uint64_t id;
    uint32_t result; /* enum wire_state_result */
    uint64_t copy;   /* the rest is 0 or none unless that is WIRE_STATE_PART; this then is not */
    uint64_t part;
    bool is_last;
    struct cb_span bytes;     /* 1 to CB_STATE_PART_MAX */
    struct wire_arena *arena; /* decode only: where `bytes` are */
};

/* A zeroed message is an empty one. _clear empties it and keeps the memory. */
void wire_status_clear(struct wire_status *m);
void wire_status_fini(struct wire_status *m);
void wire_state_reply_fini(struct wire_state_reply *m);
/* A zeroed element at the end of the array; its memory moves with the next. */
struct wire_member *wire_status_add_member(struct wire_status *m);
struct wire_status_counter *wire_status_add_counter(struct wire_status *m);

/* Append the message. */
void wire_status_encode(const struct wire_status *m, struct cb_buf *out);
void wire_identify_request_encode(const struct wire_identify_request *m, struct cb_buf *out);
void wire_identify_reply_encode(const struct wire_identify_reply *m, struct cb_buf *out);
void wire_clock_request_encode(const struct wire_clock_request *m, struct cb_buf *out);
void wire_clock_reply_encode(const struct wire_clock_reply *m, struct cb_buf *out);
void wire_state_request_encode(const struct wire_state_request *m, struct cb_buf *out);
void wire_state_reply_encode(const struct wire_state_reply *m, struct cb_buf *out);

/* `m` of a status is zeroed or was decoded into before; of the others it is overwritten, so that a
 * state reply needs its _fini first. On an error it holds nothing to be used, or to be freed. */
CB_MUST_USE enum wire_error wire_status_decode(struct wire_status *m, struct cb_span bytes);
CB_MUST_USE enum wire_error wire_identify_request_decode(struct wire_identify_request *m,
                                                         struct cb_span bytes);
CB_MUST_USE enum wire_error wire_identify_reply_decode(struct wire_identify_reply *m,
                                                       struct cb_span bytes);
CB_MUST_USE enum wire_error wire_clock_request_decode(struct wire_clock_request *m,
                                                      struct cb_span bytes);
CB_MUST_USE enum wire_error wire_clock_reply_decode(struct wire_clock_reply *m,
                                                    struct cb_span bytes);
CB_MUST_USE enum wire_error wire_state_request_decode(struct wire_state_request *m,
                                                      struct cb_span bytes);
CB_MUST_USE enum wire_error wire_state_reply_decode(struct wire_state_reply *m,
                                                    struct cb_span bytes);

#endif
