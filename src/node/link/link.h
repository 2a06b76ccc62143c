/* One-way links between the members of a cluster: frames that arrive whole, in order and at most
 * once, or not at all (docs/adr/0007).
 *
 * To each member there is one connection on which only this one writes; what that member says comes
 * on a connection that it has made. A connection begins with a hello (link_hello.h): who is not of
 * this cluster, or means another member, is turned away with a log line. Frames that were sent are
 * lost when the connection breaks, and it is made again by itself.
 * Owns:     the sockets, what waits to be sent; not the loop, nor the bytes of a message's body.
 * Does not: know what the frames mean, nor keep any. Encrypt or authenticate: that comes in
 *           link_stream.h. Until then whoever reaches the port can call itself a member, but can't
 *           make the process read what it did not send or keep more memory than the bounds say.
 * Threads:  the loop's only. The events and callbacks come from the loop, never from inside of a
 *           call but link_flush, and may call link_send.
 * Errors:   whatever comes from a socket ends that connection alone, counted and logged.
 * Stops:    link_destroy; or by the end of the process, without any call. */
#ifndef CB_NODE_LINK_LINK_H
#define CB_NODE_LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_buf.h"
#include "common/base/cb_span.h"

struct link;
struct uv_loop_s;

struct link_config {
    uint64_t cluster;    /* the same on all members */
    uint64_t self;       /* > 0 */
    const char *address; /* what others are told of where this one is reached; copied */
    size_t queue_max;    /* bytes that wait for one member; 0: CB_LINK_QUEUE_MAX */
    unsigned tick_ms;    /* times are counted in ticks, so that a test may have them shorter; 0:
                            CB_LINK_TICK_MS */
};

struct link_events {
    void *data;
    /* May the id, which calls itself `address`, say hello, and be kept? Asked again with each
     * tick. */
    bool (*is_member)(void *data, uint64_t id, const char *address);
    /* A frame of member `from`, which calls itself `address`. False: it makes no sense; its
     * connection is closed. The payload lives until the return. */
    bool (*received)(
        void *data, uint64_t from, const char *address, uint8_t type, struct cb_span payload);
    /* The connection of `from` has ended: what it did not finish will not come. */
    void (*ended)(void *data, uint64_t from);
    /* `id` has no connection to here, and its host refuses ours: its process is gone. Told again
     * with each attempt. */
    void (*gone)(void *data, uint64_t id);
};

struct link *
link_create(struct uv_loop_s *loop, const struct link_config *config, const struct link_events *e);
/* Everything that waits is called back first. Not from inside of an event or a callback. */
void link_destroy(struct link *l, void (*destroyed)(void *ctx), void *ctx);

/* "host:port"; a name stands for all its addresses. False: `error` is a sentence. */
CB_MUST_USE bool link_listen(struct link *l, const char *address, struct cb_buf *error);
/* The port that is listened on, 0 when there is none. */
uint16_t link_port(const struct link *l);

/* One frame. */
struct link_message {
    uint8_t type;        /* LINK_FRAME_USER and above */
    struct cb_span head; /* copied */
    /* Follows the head; the bytes, not this array, live until the callback. */
    const struct cb_span *body;
    size_t n_body;
};

/* Once for each send that was accepted. True: the network has taken all of it, which says nothing
 * about its arrival. */
typedef void (*link_sent_cb)(void *arg, bool sent);

/* Sends `count` frames in a row, all or none, to the member `to`, which is reached at `address` (a
 * changed one holds from the next connection on). False: nothing is sent and `cb`, which may be
 * NULL, is not called, since there is no connection nor one about to be, or too much waits already.
 */
CB_MUST_USE bool link_send(struct link *l,
                           uint64_t to,
                           const char *address,
                           const struct link_message *messages,
                           size_t count,
                           link_sent_cb cb,
                           void *arg);

/* What waits goes to the network before the loop sleeps, in one write for each member. This says
 * that the moment has come: for whoever knows where a turn of the loop ends. Callbacks of what is
 * lost may come. */
void link_flush(struct link *l);

/* Why a connection was closed. X(name, what, what to do) */
#define LINK_REFUSALS(X)                                                                           \
    X(garbage, "what came is no frame of this protocol",                                           \
      "find out what connects to this port and keep it away")                                      \
    X(damaged, "a frame has a wrong checksum", "check the network between the two")                \
    X(version, "it speaks another version of the protocol", "run one version on all nodes")        \
    X(too_long, "a frame is longer than any can be", "run one version on all nodes")               \
    X(nonsense, "a message makes no sense", "run one version on all nodes")                        \
    X(late, "it did not say in time who it is",                                                    \
      "find out what connects to this port and keep it away")                                      \
    X(crowd, "too many connections had not said who they are",                                     \
      "find out what connects to this port and keep it away")                                      \
    X(no_hello, "its first frame is no hello", "run one version on all nodes")                     \
    X(cluster, "it belongs to another cluster", "find out why it has this address")                \
    X(receiver, "it looks for another member here", "compare with 'coolbeans members'")            \
    X(stranger, "it is no member", "compare with 'coolbeans members'")                             \
    X(silent, "nothing has come for too long", "none: it will connect again")                      \
    X(replaced, "the member has connected anew", "none")

/* X(name, what); refusals are counted as refused_NAME beside these. */
#define LINK_COUNTERS(X)                                                                           \
    X(accepted, "connections of members that have said hello")                                     \
    X(connects, "connections made")                                                                \
    X(connects_failed, "attempts at one that failed")                                              \
    X(lost, "connections made that have ended")                                                    \
    X(frames_received, "frames that were sound, hellos and pings too")                             \
    X(frames_sent, "frames that the network has taken")                                            \
    X(sends_full, "sends refused because too much waited for that member")                         \
    X(sends_unconnected, "sends refused because there was no connection")                          \
    X(sends_broken, "frames lost with a connection, or waiting for one that did not come")

struct link_counters {
#define X(name, what) uint64_t name;
    LINK_COUNTERS(X)
#undef X
#define X(name, what, todo) uint64_t refused_##name;
    LINK_REFUSALS(X)
#undef X
};

const struct link_counters *link_counters_get(const struct link *l);

#endif
