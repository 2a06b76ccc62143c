/* A gRPC server: methods by path, unary or with a stream.
 *
 *     server = rpc_server_create(rpc);
 *     rpc_server_add(server, methods, count);
 *     rpc_server_listen(server, "127.0.0.1:0", &port, &error);
 *     rpc_server_start(server);
 *     ...
 *     rpc_server_close(server, grace_ns, cb, ctx);
 *
 * Methods that were not added are answered UNIMPLEMENTED; calls beyond CB_RPC_CALLS_MAX at once
 * RESOURCE_EXHAUSTED.
 *
 * Owns:     the listeners, and every call until it has ended.
 * Threads:  the loop's.
 * Errors:   listening: enum rpc_listen_result with a sentence; the rest are statuses of calls. */
#ifndef CB_COMMON_RPC_RPC_SERVER_H
#define CB_COMMON_RPC_RPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_buf.h"
#include "common/base/cb_span.h"
#include "common/rpc/rpc.h"
#include "common/rpc/rpc_stream.h"

struct rpc_server;
struct rpc_call;

enum rpc_kind {
    RPC_UNARY,
    RPC_BIDI, /* also for methods where only one side streams */
};

struct rpc_method {
    const char *path; /* "/coolbeans.v1.Queue/Session"; copied */
    enum rpc_kind kind;
    void *ctx; /* handed to the handler */
    /* RPC_UNARY: `request` is valid during the call. `call` stays valid until it is answered, with
     * rpc_call_reply or rpc_call_fail, exactly once, now or later, also when the client has gone.
     */
    void (*on_call)(void *ctx, struct rpc_call *call, struct cb_span request);
    /* RPC_BIDI: must call rpc_stream_accept; may already send or finish. */
    void (*on_stream)(void *ctx, struct rpc_stream *s);
};

enum rpc_listen_result {
    RPC_LISTEN_OK,
    RPC_LISTEN_BUSY,  /* another process has the port */
    RPC_LISTEN_ERROR, /* bad or foreign address, no right to it */
};

struct rpc_server *rpc_server_create(struct rpc *rpc);
/* Before rpc_server_start. A path may be added once. */
void rpc_server_add(struct rpc_server *server, const struct rpc_method *methods, size_t count);
/* Before rpc_server_start, once for each address. `*port` becomes the port that was
 * bound; on failure `error` (empty before) holds one sentence. Looks up a host name: may block. */
CB_MUST_USE enum rpc_listen_result rpc_server_listen(struct rpc_server *server,
                                                     const char *address,
                                                     uint16_t *port,
                                                     struct cb_buf *error);
void rpc_server_start(struct rpc_server *server);

/* Calls and streams that have not ended yet. */
size_t rpc_server_calls(const struct rpc_server *server);

/* Takes no more calls, finishes all streams with RPC_UNAVAILABLE, waits for the answers to unary
 * calls; after `grace_ns` what still hangs on a peer that does not read is cut off (3 s later when
 * the peer is frozen). Then frees the server and calls `cb`. Unary calls that a handler holds must
 * still be answered by it. on_closed of every stream comes before `cb`; no callback comes after
 * it. */
void rpc_server_close(struct rpc_server *server,
                      uint64_t grace_ns,
                      void (*cb)(void *ctx),
                      void *ctx);

/* Answers with the bytes of `reply`, which are taken. */
void rpc_call_reply(struct rpc_call *call, struct cb_buf *reply);
/* Answers with a status other than RPC_OK. */
void rpc_call_fail(struct rpc_call *call, enum rpc_code code, const char *message);

#endif
