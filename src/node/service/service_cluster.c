/* The methods of Cluster. */
#include "node/service/service_internal.h"

void service_cluster_on_status(void *ctx, struct rpc_call *call, struct cb_span request)
{
    (void)request; /* it has no fields */
    struct service *s = ctx;
    struct cb_buf bytes;
    cb_buf_init(&bytes);
    wire_status_clear(&s->status);
    s->source.status(s->source.data, &s->status);
    wire_status_encode(&s->status, &bytes);
    rpc_call_reply(call, &bytes);
    cb_buf_fini(&bytes);
}

static void refuse(struct service *s, struct rpc_call *call, enum wire_error error)
{
    s->counters.malformed++;
    rpc_call_fail(call, RPC_INVALID_ARGUMENT, wire_error_text(error));
}

void service_cluster_on_identify(void *ctx, struct rpc_call *call, struct cb_span request)
{
    struct service *s = ctx;
    struct wire_identify_request q;
    enum wire_error error = wire_identify_request_decode(&q, request);
    if (error != WIRE_OK) {
        refuse(s, call, error);
        return;
    }
    struct wire_identify_reply reply = {0};
    s->source.identify(s->source.data, &q, &reply);
    struct cb_buf bytes;
    cb_buf_init(&bytes);
    wire_identify_reply_encode(&reply, &bytes);
    rpc_call_reply(call, &bytes);
    cb_buf_fini(&bytes);
}

void service_cluster_on_clock(void *ctx, struct rpc_call *call, struct cb_span request)
{
    struct service *s = ctx;
    struct wire_clock_request q;
    enum wire_error error = wire_clock_request_decode(&q, request);
    if (error != WIRE_OK) {
        refuse(s, call, error);
        return;
    }
    struct wire_clock_reply reply = {0};
    s->source.clock(s->source.data, &reply);
    struct cb_buf bytes;
    cb_buf_init(&bytes);
    wire_clock_reply_encode(&reply, &bytes);
    rpc_call_reply(call, &bytes);
    cb_buf_fini(&bytes);
}

void service_cluster_on_digests(void *ctx, struct rpc_call *call, struct cb_span request)
{
    struct service *s = ctx;
    struct wire_digests_request q;
    enum wire_error error = wire_digests_request_decode(&q, request);
    if (error != WIRE_OK) {
        refuse(s, call, error);
        return;
    }
    struct wire_digests_reply reply = {0};
    s->source.digests(s->source.data, &reply);
    struct cb_buf bytes;
    cb_buf_init(&bytes);
    wire_digests_reply_encode(&reply, &bytes);
    rpc_call_reply(call, &bytes);
    cb_buf_fini(&bytes);
}

void service_cluster_on_state(void *ctx, struct rpc_call *call, struct cb_span request)
{
    struct service *s = ctx;
    struct wire_state_request q;
    enum wire_error error = wire_state_request_decode(&q, request);
    if (error != WIRE_OK) {
        refuse(s, call, error);
        return;
    }
    s->source.state(s->source.data, &q, call);
}

void service_state_reply(struct rpc_call *call, const struct wire_state_reply *m)
{
    struct cb_buf bytes;
    cb_buf_init(&bytes);
    wire_state_reply_encode(m, &bytes);
    rpc_call_reply(call, &bytes);
    cb_buf_fini(&bytes);
}

void service_cluster_on_change(void *ctx, struct rpc_call *call, struct cb_span request)
{
    struct service *s = ctx;
    struct wire_change_request q;
    enum wire_error error = wire_change_request_decode(&q, request);
    if (error != WIRE_OK) {
        refuse(s, call, error);
        return;
    }
    s->source.change(s->source.data, &q, call);
}

void service_change_reply(struct rpc_call *call, const struct wire_change_reply *m)
{
    struct cb_buf bytes;
    cb_buf_init(&bytes);
    wire_change_reply_encode(m, &bytes);
    rpc_call_reply(call, &bytes);
    cb_buf_fini(&bytes);
}
