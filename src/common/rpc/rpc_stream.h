/* A stream of messages in both directions, the same on the client and on the server.
 *
 * Sending: one message at a time. While one is on its way, what is to be sent gathers at the user;
 * on_writable says that the next may go, and the user packs all of it into that one (design D4). A
 * peer that does not read stops the sender after the transport's window: on_writable does not come.
 * Receiving: messages come one by one; rpc_stream_pause_reading stops that, and with it, through
 * the transport's window, the peer. A message above CB_STREAM_MESSAGE_MAX ends the stream.
 *
 * Owns:     the call; the stream frees itself after on_closed.
 * Life:     on_closed is called exactly once for every stream, whatever ended it, and is the last
 *           callback; the stream may be used until it returns. After rpc_stream_finish and
 *           rpc_stream_cancel no other callback comes than on_closed.
 * Threads:  the loop's.
 * Errors:   the status in on_closed. */
#ifndef CB_COMMON_RPC_RPC_STREAM_H
#define CB_COMMON_RPC_RPC_STREAM_H

#include <stdbool.h>

#include "common/base/cb_buf.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_span.h"
#include "common/rpc/rpc.h"

struct rpc_stream;

struct rpc_stream_callbacks {
    /* `message` is valid during the call. */
    void (*on_message)(void *ctx, struct rpc_stream *s, struct cb_span message);
    /* A send is through. May be NULL. */
    void (*on_writable)(void *ctx, struct rpc_stream *s);
    /* Server: the client will send no more. NULL: the stream is then finished with RPC_OK. */
    void (*on_end)(void *ctx, struct rpc_stream *s);
    /* On the server RPC_CANCELLED when the client went away, else what rpc_stream_finish said. */
    void (*on_closed)(void *ctx, struct rpc_stream *s, const struct rpc_status *status);
};

/* To be called on a new stream of a server, within the handler. `callbacks` must outlive the
 * stream. */
void rpc_stream_accept(struct rpc_stream *s,
                       const struct rpc_stream_callbacks *callbacks,
                       void *ctx);

/* False while a message is on its way, and when the stream is at its end. */
bool rpc_stream_can_send(const struct rpc_stream *s);
/* Takes the bytes out of `message`. Only when rpc_stream_can_send. */
void rpc_stream_send(struct rpc_stream *s, struct cb_buf *message);

/* No message is handed over until rpc_stream_resume_reading; one at most has been read already and
 * is kept; the end of the stream hands it over all the same, before on_closed. */
void rpc_stream_pause_reading(struct rpc_stream *s);
void rpc_stream_resume_reading(struct rpc_stream *s);

/* Client: no more will be sent; what is on its way still arrives. */
void rpc_stream_end(struct rpc_stream *s);
/* Server: ends the stream once what is on its way has been sent. `leader` may be NULL; else it goes
 * into the trailing metadata "cb-leader". No effect on a stream that is at its end. */
void rpc_stream_finish(struct rpc_stream *s,
                       enum rpc_code code,
                       const char *message,
                       const char *leader);
/* Ends the stream at once, either side; the peer sees RPC_CANCELLED. */
void rpc_stream_cancel(struct rpc_stream *s);

/* The peer's address as gRPC writes it, for log lines. */
void rpc_stream_peer(const struct rpc_stream *s, char out[static CB_ADDRESS_MAX]);

#endif
