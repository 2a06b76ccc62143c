/* What the files of this folder share: tags, the bridge, bytes. Not for other folders. */
#ifndef CB_COMMON_RPC_RPC_INTERNAL_H
#define CB_COMMON_RPC_RPC_INTERNAL_H

#include <grpc/grpc.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/base/cb_buf.h"
#include "common/base/cb_list.h"
#include "common/base/cb_span.h"
#include "common/rpc/rpc.h"
#include "common/rpc/rpc_server.h"
#include "common/rpc/rpc_stream.h"

/* What the completion queue hands back. Lies in the object that waits for it; one operation at a
 * time. */
struct rpc_tag {
    struct rpc_tag *next; /* in the inbox or the deferred list */
    void (*done)(struct rpc_tag *tag, bool ok);
    bool ok;
    /* Orders the loop's writes to the object before what the queue's thread does with the tag: the
     * library does so as well, but with locks that a race detector does not see. */
    atomic_bool armed;
};

/* --- rpc.c --- */

void rpc_tag_init(struct rpc_tag *tag, void (*done)(struct rpc_tag *tag, bool ok));
/* Before a tag is given to a grpc function other than grpc_call_start_batch. */
void rpc_tag_arm(struct rpc *rpc, struct rpc_tag *tag);
/* Starts `ops`; `tag` comes back later, from the loop. A refusal of the library is a bug of ours.
 */
void rpc_start_batch(
    struct rpc *rpc, grpc_call *call, const grpc_op *ops, size_t count, struct rpc_tag *tag);
/* `tag` comes back from the loop without an operation. */
void rpc_defer(struct rpc *rpc, struct rpc_tag *tag);
/* Servers and clients, for rpc_close. */
void rpc_object_opened(struct rpc *rpc);
void rpc_object_closed(struct rpc *rpc);
uv_loop_t *rpc_loop(struct rpc *rpc);
grpc_completion_queue *rpc_queue(struct rpc *rpc);

/* --- rpc_bytes.c --- */

/* Moves the bytes of `b` into a new byte buffer without copying them. */
grpc_byte_buffer *rpc_bytes_give(struct cb_buf *b);
/* The bytes of a received message as one slice, in place when it came as one. The caller unrefs it.
 * False when the message is compressed, which nobody may send us. */
bool rpc_bytes_borrow(grpc_byte_buffer *bytes, grpc_slice *out);
struct cb_span rpc_slice_span(const grpc_slice *slice);
/* A NUL-terminated copy. */
char *rpc_slice_str(grpc_slice slice);

/* --- rpc_stream.c --- */

/* `ended` is called after on_closed, just before the stream is freed. */
struct rpc_stream *rpc_stream_open(struct rpc *rpc,
                                   grpc_call *call,
                                   bool server,
                                   void (*ended)(void *owner, struct cb_list *link),
                                   void *owner);
/* Where the owner lists its streams. */
struct cb_list *rpc_stream_link(struct rpc_stream *s);
struct rpc_stream *rpc_stream_of_link(struct cb_list *link);
/* Before the handler of a server, after the callbacks are set on a client: no callback comes from
 * within. */
void rpc_stream_start(struct rpc_stream *s);
bool rpc_stream_is_accepted(const struct rpc_stream *s);

/* --- rpc_call.c: calls on the server that are no streams --- */

/* A unary call that was accepted: reads the request and calls `handler`. `ended` is called just
 * before it is freed. */
void rpc_call_accept(struct rpc *rpc,
                     grpc_call *call,
                     const struct rpc_method *method,
                     void (*ended)(void *owner),
                     void *owner);
/* Answers `call` with a status and nothing else. */
void rpc_call_reject(struct rpc *rpc,
                     grpc_call *call,
                     enum rpc_code code,
                     const char *message,
                     void (*ended)(void *owner),
                     void *owner);

/* --- rpc_listen.c --- */

/* Why `address` could not be bound, found by trying it again with a plain socket. */
enum rpc_listen_result rpc_listen_explain(const char *address, struct cb_buf *error);

#endif
