/* The proxy's session engine: clients' bytes in, their answers out, and between them one session
 * with the cluster (design D3). Sans I/O: it takes events and calls back with what is to be done,
 * so that a simulation runs it as the proxy does.
 *
 * Owns:      the clients' parsers and pipelines, the session's numbers, requests not yet applied,
 *            and the choice of the node to talk to.
 * Does not:  own a socket, read a clock, log, or know gRPC.
 * Threads:   one; no callback may call back into the engine.
 * Errors:    none of the environment. A node that breaks the protocol loses its stream; a session
 *            that the cluster no longer knows costs its clients their sockets.
 * Time:      `now_ns` of every event is CLOCK_BOOTTIME: a lease runs while the machine sleeps.
 * Source:    beanstalkd-protocol of src/proxy/protocol, messages of proto/queue.proto. */
#ifndef CB_PROXY_ENGINE_ENGINE_H
#define CB_PROXY_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cb_buf.h"
#include "common/base/cb_span.h"
#include "common/wire/wire_queue.h"
#include "proxy/protocol/bs_yaml.h"

struct engine;
struct engine_client;

/* What an operator wants to read in the log. */
enum engine_note {
    ENGINE_NOTE_ATTACHED,      /* node; number: the session */
    ENGINE_NOTE_STREAM_ENDED,  /* node; number: 1 when it had attached; text: why */
    ENGINE_NOTE_STREAM_SILENT, /* node: it did not answer in time and was left */
    ENGINE_NOTE_STREAM_LEFT,   /* node: another one leads; number: in this term */
    ENGINE_NOTE_BAD_MESSAGE,   /* node: it broke the protocol and was left */
    ENGINE_NOTE_FENCED,        /* number: clients whose sockets were closed */
    ENGINE_NOTE_SESSION_LOST,  /* number: clients whose sockets were closed */
};

struct engine_ops {
    void *ctx;
    /* There are bytes in engine_client_output. May be called again before they are written. */
    void (*client_output)(void *ctx, void *user);
    /* Reading starts switched on. */
    void (*client_reading)(void *ctx, void *user, bool on);
    /* Close the socket, with `flush` once what is in engine_client_output is written; then, or when
     * that fails, engine_client_gone. Called at most once for a client. */
    void (*client_close)(void *ctx, void *user, bool flush);

    /* At most one stream is open at a time. A message may be sent at once, the next one after
     * engine_stream_writable. */
    void (*stream_open)(void *ctx, uint32_t node);
    /* No event of this stream may come afterwards. */
    void (*stream_close)(void *ctx, uint32_t node);
    /* `m` and what it refers to are borrowed for the call. */
    void (*stream_send)(void *ctx, uint32_t node, const struct wire_to_node *m);

    /* Ask this node to say who leads, for as long as it can: engine_watch_told, and once it ends
     * engine_watch_closed. To each node one such question at a time. */
    void (*watch_open)(void *ctx, uint32_t node);

    /* The cluster has a node at `address`, whose number this is from now on; whoever had it before
     * is asked nothing any more. False: that is no address. */
    bool (*node_found)(void *ctx, uint32_t node, const char *address);

    /* A newer process with this proxy's name serves, at `address`: this one must exit. */
    void (*superseded)(void *ctx, struct cb_span address);
    /* Fills what the answer to `stats` says about this process. */
    void (*facts)(void *ctx, struct bs_stats *out);
    void (*note)(
        void *ctx, enum engine_note note, uint32_t node, uint64_t number, const char *text);
};

/* Strings are copied. */
struct engine_config {
    const char *name;
    const char *address; /* where clients connect */
    uint64_t started_ns; /* with `random`: the incarnation */
    uint64_t random;
    /* "host:port", as leader hints name them: numbers 0 to n_nodes - 1. They are never forgotten,
     * though the cluster may name others. */
    const char *const *nodes;
    uint32_t n_nodes; /* at most CB_CLUSTER_NODES_MAX */
    uint32_t job_size_max;
    uint64_t seed; /* of the jitter between attempts */
};

/* Numbers of nodes are below this. */
#define ENGINE_NODES_MAX (2 * CB_CLUSTER_NODES_MAX)

struct engine *
engine_create(const struct engine_config *config, const struct engine_ops *ops, uint64_t now_ns);
/* Of the node with that number. */
const char *engine_node_address(const struct engine *e, uint32_t node);
/* Every client must be gone. */
void engine_destroy(struct engine *e);

/* ---- clients ---- */

/* `user` comes back in the callbacks. Valid until engine_client_gone. */
struct engine_client *engine_client_connected(struct engine *e, void *user, uint64_t now_ns);
void engine_client_read(struct engine_client *c, struct cb_span bytes, uint64_t now_ns);
/* The client sends no more; it may still read. */
void engine_client_eof(struct engine_client *c, uint64_t now_ns);
/* To be written: consume or take it, and tell with engine_client_wrote what has left the
 * process. */
struct cb_buf *engine_client_output(struct engine_client *c);
void engine_client_wrote(struct engine_client *c, size_t len, uint64_t now_ns);
/* The socket is closed, for whatever reason; frees `c`. */
void engine_client_gone(struct engine_client *c, uint64_t now_ns);

/* ---- the stream ---- */

void engine_stream_writable(struct engine *e, uint32_t node, uint64_t now_ns);
void engine_stream_message(struct engine *e,
                           uint32_t node,
                           const struct wire_to_proxy *m,
                           uint64_t now_ns);
/* What was received is not a message. */
void engine_stream_garbage(struct engine *e, uint32_t node, uint64_t now_ns);
/* `text` is the status message of the stream; `leader` is the hint, or NULL. */
void engine_stream_closed(
    struct engine *e, uint32_t node, const char *text, const char *leader, uint64_t now_ns);

/* ---- who leads ---- */

/* A node says who leads, and who belongs to the cluster. */
void engine_watch_told(struct engine *e,
                       uint32_t node,
                       const struct wire_leadership *m,
                       uint64_t now_ns);
void engine_watch_closed(struct engine *e, uint32_t node, uint64_t now_ns);

/* ---- time and process ---- */

/* Puts are answered DRAINING from now on. */
void engine_drain(struct engine *e);
/* Closes all clients and takes no more; done when engine_is_stopped. */
void engine_stop(struct engine *e, uint64_t now_ns);
bool engine_is_stopped(const struct engine *e);
/* To be called at engine_wake_ns or later. */
void engine_tick(struct engine *e, uint64_t now_ns);
uint64_t engine_wake_ns(const struct engine *e);
/* At the end of a turn of the loop: sends what has gathered, when the stream takes it. */
void engine_flush(struct engine *e, uint64_t now_ns);

#endif
