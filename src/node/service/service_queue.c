/* Queue.Session: bytes of a stream to messages for the proposer, and back. */
#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"
#include "node/service/service_internal.h"

struct stream {
    struct service *service;
    struct rpc_stream *rpc;
    struct proposer_stream *st; /* NULL: the proposer does not know it, or not any more */
};

static enum rpc_code code_of(enum proposer_end why)
{
    switch (why) {
    case PROPOSER_END_NOT_LEADER:
        return RPC_UNAVAILABLE;
    case PROPOSER_END_SUPERSEDED:
        return RPC_FAILED_PRECONDITION;
    case PROPOSER_END_REPLACED:
        return RPC_ABORTED;
    case PROPOSER_END_INVALID:
        return RPC_INVALID_ARGUMENT;
    case PROPOSER_END_VERSION:
        return RPC_UNIMPLEMENTED;
    case PROPOSER_END_FULL:
        return RPC_RESOURCE_EXHAUSTED;
    }
    CB_UNREACHABLE("end of a stream");
}

void service_stream_end(void *owner, enum proposer_end why, const char *text)
{
    struct stream *s = owner;
    s->st = NULL;
    if (why == PROPOSER_END_NOT_LEADER) {
        const char *leader = text[0] != '\0' ? text : NULL;
        rpc_stream_finish(s->rpc, RPC_UNAVAILABLE, "not the leader", leader);
    } else {
        rpc_stream_finish(s->rpc, code_of(why), text, NULL);
    }
}

bool service_stream_can_send(void *owner)
{
    return rpc_stream_can_send(((struct stream *)owner)->rpc);
}

void service_stream_send(void *owner, const struct wire_to_proxy *message)
{
    struct stream *s = owner;
    struct cb_buf bytes;
    cb_buf_init(&bytes);
    wire_to_proxy_encode(message, &bytes);
    rpc_stream_send(s->rpc, &bytes);
    cb_buf_fini(&bytes);
}

void service_stream_set_reading(void *owner, bool on)
{
    struct stream *s = owner;
    if (on) {
        rpc_stream_resume_reading(s->rpc);
    } else {
        rpc_stream_pause_reading(s->rpc);
    }
}

static void forget(struct stream *s)
{
    if (s->st != NULL) {
        proposer_stream_closed(s->service->proposer, s->st);
        s->st = NULL;
    }
}

static void on_malformed(struct stream *s, enum wire_error error)
{
    char peer[CB_ADDRESS_MAX];
    rpc_stream_peer(s->rpc, peer);
    s->service->counters.malformed++;
    cb_log(CB_LOG_WARN, "stream.malformed", "peer=%s err=\"%s\"", peer, wire_error_text(error));
    forget(s);
    rpc_stream_finish(s->rpc, RPC_INVALID_ARGUMENT, wire_error_text(error), NULL);
}

static void on_message(void *ctx, struct rpc_stream *rpc, struct cb_span bytes)
{
    (void)rpc; /* is s->rpc */
    struct stream *s = ctx;
    if (s->st == NULL) {
        return;
    }
    struct wire_to_node *m = &s->service->message;
    enum wire_error error = wire_to_node_decode(m, bytes);
    if (error != WIRE_OK) {
        on_malformed(s, error);
        return;
    }
    /* Whether it ended is known by s->st: service_stream_end was called then. */
    (void)proposer_stream_message(s->service->proposer, s->st, m);
}

static void on_writable(void *ctx, struct rpc_stream *rpc)
{
    (void)rpc;
    struct stream *s = ctx;
    if (s->st != NULL) {
        proposer_stream_writable(s->service->proposer, s->st);
    }
}

static void on_end(void *ctx, struct rpc_stream *rpc)
{
    forget(ctx);
    rpc_stream_finish(rpc, RPC_OK, "", NULL);
}

static void on_closed(void *ctx, struct rpc_stream *rpc, const struct rpc_status *status)
{
    (void)rpc;
    (void)status;
    forget(ctx);
    cb_free(ctx);
}

static const struct rpc_stream_callbacks callbacks = {
    .on_message = on_message,
    .on_writable = on_writable,
    .on_end = on_end,
    .on_closed = on_closed,
};

void service_queue_on_stream(void *ctx, struct rpc_stream *rpc)
{
    struct service *service = ctx;
    struct stream *s = cb_calloc(1, sizeof(*s));
    s->service = service;
    s->rpc = rpc;
    service->counters.streams++;
    rpc_stream_accept(rpc, &callbacks, s);
    if (service->proposer == NULL) {
        rpc_stream_finish(rpc, RPC_UNAVAILABLE, "not the leader", NULL);
        return;
    }
    s->st = proposer_stream_open(service->proposer, s);
}
