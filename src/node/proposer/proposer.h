/* The leader's desk: takes what streams of proxies deliver, orders it into log entries, and sends
 * back what the machine made of them (design D2 to D5).
 *
 * Everything that it reads or touches is handed in: the log, streams, clocks, one timer. So a
 * simulation runs exactly this code.
 * Owns:     what a leader keeps in memory alone: streams, requests not yet proposed, leases, reads
 *           that wait, counts not yet in an entry. All of it is dropped with the leadership.
 * Does not: own the machine (it only reads it) or apply entries: the owner does, then calls
 *           proposer_applied.
 * Threads:  one. Functions of the environment must not call back, except as said there.
 * Errors:   what a peer does wrong ends its stream, nothing else. */
#ifndef CB_NODE_PROPOSER_PROPOSER_H
#define CB_NODE_PROPOSER_PROPOSER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_span.h"
#include "common/sys/cb_clock.h"
#include "common/wire/wire_queue.h"
#include "node/entry/entry.h"
#include "node/jsm/jsm.h"
#include "node/proposer/prop_clock.h"

struct proposer;
struct proposer_stream;

enum proposer_append {
    PROPOSER_APPENDED,   /* it may come to be; proposer_applied tells when it has */
    PROPOSER_NOT_LEADER, /* no longer, or leadership is being handed over */
    PROPOSER_NO_SPACE,   /* a majority has no room on disk */
    PROPOSER_BUSY,       /* too many entries wait for a majority: soon again */
};

/* Why a stream was ended. */
enum proposer_end {
    PROPOSER_END_NOT_LEADER, /* the text is the leader's address, empty when none is known */
    PROPOSER_END_SUPERSEDED, /* a larger incarnation of the name has the session */
    PROPOSER_END_REPLACED,   /* a later attach of the same session, or its lease ended: attach again
                              */
    PROPOSER_END_INVALID,    /* what it sent breaks the protocol */
    PROPOSER_END_VERSION,    /* it speaks another version of the protocol */
    PROPOSER_END_FULL,       /* CB_SESSIONS_MAX */
};

enum proposer_log {
    PROPOSER_LOG_SERVES,
    PROPOSER_LOG_STEPS_DOWN,
    PROPOSER_LOG_NO_SPACE,
    PROPOSER_LOG_SPACE_AGAIN,
    PROPOSER_LOG_PUTS_REFUSED, /* number: 1: from here on; 0: no more */
    PROPOSER_LOG_SESSION_OPENED,
    PROPOSER_LOG_SESSION_EXPIRED,
    PROPOSER_LOG_CLOCK_FROM_WALL, /* number: seconds that the cluster clock was moved by */
    PROPOSER_LOG_CLOCK_STANDS,    /* it goes on from the last stamp: too few members answer */
    PROPOSER_LOG_CLOCK_DIFFERS,   /* that of a member is so many seconds away from this node's wall
                                     clock; text: ahead or behind */
    PROPOSER_LOG_STREAM_REFUSED,  /* text: why */
};

/* A body that is not in memory. */
struct proposer_body_ask {
    uint64_t job;
    uint32_t len;
    bool is_kept; /* an unacknowledged result carries it: it can't be gone */
};

enum proposer_body {
    PROPOSER_BODY_HERE,  /* borrowed for this turn of the loop */
    PROPOSER_BODY_COMES, /* some time later proposer_bodies_came is called: ask again */
    PROPOSER_BODY_GONE,  /* nobody has it any more; only when not `is_kept` */
};

struct proposer_env {
    void *data;
    const struct cb_clock *clock;
    enum proposer_append (*append)(void *data, struct cb_span entry);
    /* True while nothing may be proposed: the store is too far behind the machine (design D6), or
     * the leadership is being handed over. A turn follows when that is over. */
    bool (*must_wait)(void *data);
    /* Only when can_send said so; the message is borrowed for the call. */
    void (*send)(void *data, void *owner, const struct wire_to_proxy *message);
    /* False while an earlier message is on its way: proposer_stream_writable is called after it. */
    bool (*can_send)(void *data, void *owner);
    /* The proposer has forgotten the stream and will not name its owner again. */
    void (*end)(void *data, void *owner, enum proposer_end why, const char *text);
    /* While off, no message is delivered, except at the end of the stream. */
    void (*set_reading)(void *data, void *owner, bool on);
    /* `*out` is set when it is HERE. */
    enum proposer_body (*body)(void *data,
                               const struct proposer_body_ask *ask,
                               struct cb_span *out);
    /* Call proposer_turn at this CLOCK_BOOTTIME; replaces the last one; JSM_NEVER: not at all. */
    void (*set_timer)(void *data, uint64_t at_ns);
    /* The leader began to serve, or ceased to. */
    void (*serving)(void *data, bool serving);
    void (*log)(void *data, enum proposer_log what, const char *text, uint64_t number);
};

struct proposer_config {
    uint64_t self; /* node id */
    uint64_t session_timeout_ns;
    struct jsm_limits limits; /* what the cluster may hold while this node leads */
    uint64_t stamp_wall_ns;   /* wall clock of this node when it last stored the machine's stamp; 0:
                               never */
    size_t session_queue_bytes; /* requests that wait before a stream is not read; 0:
                                   CB_SESSION_QUEUE_BYTES_MAX, which is the most */
};

/* `machine` is as loaded, before anything is replayed into it. */
struct proposer *proposer_create(const struct proposer_config *config,
                                 const struct proposer_env *env,
                                 const struct jsm *machine);
void proposer_destroy(struct proposer *p);
/* The state of another node has taken the machine's place; only while not leading. */
void proposer_set_machine(struct proposer *p, const struct jsm *machine);

/* Too few disks have room, or enough, as far as the owner knows; while this node leads, the log is
 * told so (design D9). Until it is called for the first time as leader, what the log says stays. A
 * turn follows. */
void proposer_short_of_space(struct proposer *p, bool is_short);

/* What the replica says of itself. `leader` is the address that a refused proxy is sent to, empty
 * when none is known. */
void proposer_role(struct proposer *p, bool leading, uint64_t term, const char *leader);

/* The machine has just applied this entry; `live`: as it was committed, not from what lay in the
 * log when the process started. */
void proposer_applied(struct proposer *p, const struct entry_header *header, bool live);

/* Proposes what waits and sends what is ready. To be called at the end of each turn of the loop in
 * which anything happened, and when the timer says so. */
void proposer_turn(struct proposer *p);

/* The stream lives until env->end or proposer_stream_closed. */
struct proposer_stream *proposer_stream_open(struct proposer *p, void *owner);
/* It is gone; env->end is not called for it. */
void proposer_stream_closed(struct proposer *p, struct proposer_stream *st);
/* `message` is borrowed for the call, and was checked by its decoder. May end the stream: then
 * false, and it must not be used again. */
bool proposer_stream_message(struct proposer *p,
                             struct proposer_stream *st,
                             const struct wire_to_node *message);
void proposer_stream_writable(struct proposer *p, struct proposer_stream *st);

/* Bodies that were asked for can be had now. A turn follows. */
void proposer_bodies_came(struct proposer *p);

bool proposer_is_serving(const struct proposer *p);

/* The clocks of members (prop_clock.h): what this one says when it is asked... */
struct prop_clock_word proposer_clock_tell(const struct proposer *p);
/* ...which others there are, none at first... */
void proposer_members(struct proposer *p, const uint64_t *others, uint32_t count);
/* ...what one of them says; the newest entry of this node's log is of `log_term`. A turn
 * follows... */
void proposer_clock_heard(struct proposer *p,
                          uint64_t id,
                          const struct prop_clock_word *word,
                          uint64_t log_term);
/* ...and whether nobody needs to be asked any more. */
bool proposer_clock_is_settled(const struct proposer *p);

#define PROPOSER_COUNTERS(X)                                                                       \
    X(entries_proposed, "entries put into the log by this node")                                   \
    X(entries_empty, "those of them without items")                                                \
    X(requests, "requests taken from streams")                                                     \
    X(requests_repeated, "requests that came again and were ignored")                              \
    X(requests_gap, "requests that left one out and were asked for again")                         \
    X(reads, "reads answered")                                                                     \
    X(reads_again, "reads sent back to be asked again")                                            \
    X(results_sent, "results sent")                                                                \
    X(bodies_hit, "bodies that were in memory when they were to be sent")                          \
    X(bodies_missed, "bodies that were fetched from the store to be sent")                         \
    X(messages_sent, "messages sent to proxies")                                                   \
    X(attaches, "streams attached")                                                                \
    X(streams_refused, "streams ended because of what they sent")                                  \
    X(sessions_expired, "sessions whose lease ended here")                                         \
    X(appends_refused, "proposals that the log did not take")                                      \
    X(queue_pauses, "times a stream was not read because its requests waited")

struct proposer_counters {
#define X(name, what) uint64_t name;
    PROPOSER_COUNTERS(X)
#undef X
};

const struct proposer_counters *proposer_counters_get(const struct proposer *p);

#endif
