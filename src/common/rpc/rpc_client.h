/* A channel to one address: unary calls and streams to the server there.
 *
 * No two clients share a connection. The library connects at the first call and again by itself
 * (100 ms backoff, growing to 500 ms; connect_timeout_ms for one attempt). A call to an address
 * that cannot be reached fails with RPC_UNAVAILABLE; who wants it again starts another. A peer
 * that is silent is found by pings: after keepalive_ms + keepalive_timeout_ms what runs on the
 * connection ends with RPC_UNAVAILABLE.
 *
 * Owns:      the connection, and every call until it has ended.
 * Life:      each call's `done` and each stream's on_closed comes exactly once, also when
 *            cancelled, and before the `cb` of rpc_client_close. No callback comes after that.
 * Threads:   the loop's.
 * Errors:    statuses of calls. */
#ifndef CB_COMMON_RPC_RPC_CLIENT_H
#define CB_COMMON_RPC_RPC_CLIENT_H

#include <stdint.h>

#include "common/base/cb_buf.h"
#include "common/base/cb_span.h"
#include "common/rpc/rpc.h"
#include "common/rpc/rpc_stream.h"

struct rpc_client;
struct rpc_unary;

struct rpc_client_config {
    const char *target;            /* "host:port", a valid cb_addr with a port; copied */
    uint32_t keepalive_ms;         /* 0: 500; at least 100, which is what our servers allow */
    uint32_t keepalive_timeout_ms; /* 0: 300 */
    uint32_t connect_timeout_ms;   /* 0: 1000, at least 100; until the server has spoken */
};

/* `reply` is empty unless the status is RPC_OK; it is valid during the call. */
typedef void (*rpc_unary_fn)(void *ctx, const struct rpc_status *status, struct cb_span reply);

struct rpc_client *rpc_client_create(struct rpc *rpc, const struct rpc_client_config *config);

/* Takes the bytes of `request`. What has no answer after `timeout_ns` ends with
 * RPC_DEADLINE_EXCEEDED. The call may be cancelled until `done` is called. */
struct rpc_unary *rpc_client_call(struct rpc_client *client,
                                  const char *path,
                                  struct cb_buf *request,
                                  uint64_t timeout_ns,
                                  rpc_unary_fn done,
                                  void *ctx);
/* `done` comes later, with RPC_CANCELLED unless the answer was here already. */
void rpc_unary_cancel(struct rpc_unary *call);

/* A stream without a deadline. It can be sent on at once; what is sent waits for the connection.
 * `callbacks` must outlive it. */
struct rpc_stream *rpc_client_stream(struct rpc_client *client,
                                     const char *path,
                                     const struct rpc_stream_callbacks *callbacks,
                                     void *ctx);

/* Cancels what still runs, waits for its end, frees the client, then calls `cb` from the loop. */
void rpc_client_close(struct rpc_client *client, void (*cb)(void *ctx), void *ctx);

#endif
