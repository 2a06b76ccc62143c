/* Unary calls on the server, and calls that are turned away. */
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_mem.h"
#include "common/rpc/rpc_internal.h"

struct rpc_call {
    struct rpc *rpc;
    grpc_call *call;
    struct rpc_method method; /* a copy: the call may outlive nothing of its server's table */
    void (*ended)(void *owner);
    void *owner;
    struct rpc_tag close;
    struct rpc_tag receive;
    struct rpc_tag answer;
    unsigned outstanding;
    bool answered;
    int cancelled;
    grpc_byte_buffer *request;
    grpc_byte_buffer *reply;
};

static void start(struct rpc_call *c, const grpc_op *ops, size_t count, struct rpc_tag *tag)
{
    c->outstanding++;
    rpc_start_batch(c->rpc, c->call, ops, count, tag);
}

/* The last thing that a tag's function does. A call that a handler still holds stays. */
static void release(struct rpc_call *c)
{
    if (c->outstanding > 0 || !c->answered) {
        return;
    }
    if (c->reply != NULL) {
        grpc_byte_buffer_destroy(c->reply);
    }
    grpc_call_unref(c->call);
    c->ended(c->owner);
    cb_free(c);
}

static void on_close(struct rpc_tag *tag, bool ok)
{
    (void)ok;
    struct rpc_call *c = CB_CONTAINER(tag, struct rpc_call, close);
    c->outstanding--;
    release(c);
}

static void on_answer(struct rpc_tag *tag, bool ok)
{
    (void)ok; /* a client that has gone misses it */
    struct rpc_call *c = CB_CONTAINER(tag, struct rpc_call, answer);
    c->outstanding--;
    release(c);
}

static void answer(struct rpc_call *c, enum rpc_code code, const char *message)
{
    CB_ASSERT(!c->answered);
    c->answered = true;
    grpc_op ops[3];
    size_t n = 0;
    grpc_slice details = grpc_slice_from_copied_string(message);
    ops[n++] = (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
    if (c->reply != NULL) {
        ops[n] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE};
        ops[n++].data.send_message.send_message = c->reply;
    }
    ops[n] = (grpc_op){.op = GRPC_OP_SEND_STATUS_FROM_SERVER};
    ops[n].data.send_status_from_server.status = (grpc_status_code)code;
    ops[n++].data.send_status_from_server.status_details = &details;
    start(c, ops, n, &c->answer);
    grpc_slice_unref(details);
}

void rpc_call_reply(struct rpc_call *call, struct cb_buf *reply)
{
    call->reply = rpc_bytes_give(reply);
    answer(call, RPC_OK, "");
}

void rpc_call_fail(struct rpc_call *call, enum rpc_code code, const char *message)
{
    CB_ASSERT(code != RPC_OK);
    answer(call, code, message);
}

static void on_receive(struct rpc_tag *tag, bool ok)
{
    (void)ok; /* without a message in either case */
    struct rpc_call *c = CB_CONTAINER(tag, struct rpc_call, receive);
    grpc_byte_buffer *bytes = c->request;
    grpc_slice request;
    c->outstanding--;
    c->request = NULL;
    if (bytes == NULL) {
        rpc_call_fail(c, RPC_INVALID_ARGUMENT, "the request message is missing");
    } else if (!rpc_bytes_borrow(bytes, &request)) {
        rpc_call_fail(c, RPC_INVALID_ARGUMENT, "compressed messages are not accepted");
    } else {
        c->method.on_call(c->method.ctx, c, rpc_slice_span(&request));
        grpc_slice_unref(request);
    }
    if (bytes != NULL) {
        grpc_byte_buffer_destroy(bytes);
    }
}

static struct rpc_call *
create(struct rpc *rpc, grpc_call *call, void (*ended)(void *owner), void *owner)
{
    struct rpc_call *c = cb_calloc(1, sizeof *c);
    c->rpc = rpc;
    c->call = call;
    c->ended = ended;
    c->owner = owner;
    rpc_tag_init(&c->close, on_close);
    rpc_tag_init(&c->receive, on_receive);
    rpc_tag_init(&c->answer, on_answer);
    grpc_op close = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    close.data.recv_close_on_server.cancelled = &c->cancelled;
    start(c, &close, 1, &c->close);
    return c;
}

void rpc_call_accept(struct rpc *rpc,
                     grpc_call *call,
                     const struct rpc_method *method,
                     void (*ended)(void *owner),
                     void *owner)
{
    struct rpc_call *c = create(rpc, call, ended, owner);
    c->method = *method;
    grpc_op receive = {.op = GRPC_OP_RECV_MESSAGE};
    receive.data.recv_message.recv_message = &c->request;
    start(c, &receive, 1, &c->receive);
}

void rpc_call_reject(struct rpc *rpc,
                     grpc_call *call,
                     enum rpc_code code,
                     const char *message,
                     void (*ended)(void *owner),
                     void *owner)
{
    answer(create(rpc, call, ended, owner), code, message);
}
