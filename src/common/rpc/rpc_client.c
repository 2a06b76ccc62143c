#include "common/rpc/rpc_client.h"

#include <grpc/byte_buffer.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "common/rpc/rpc_internal.h"

#define KEEPALIVE_MS 500
#define KEEPALIVE_TIMEOUT_MS 300
#define CONNECT_TIMEOUT_MS 1000 /* a busy host needs some */

struct rpc_client {
    struct rpc *rpc;
    grpc_channel *channel;
    struct cb_list unaries;
    struct cb_list streams;
    size_t calls; /* of both kinds, not yet ended */
    bool closing;
    struct rpc_tag idle; /* comes once when closing and no call is left */
    void (*close_cb)(void *ctx);
    void *close_ctx;
};

struct rpc_unary {
    struct rpc_client *client;
    struct cb_list link;
    grpc_call *call;
    struct rpc_tag tag;
    rpc_unary_fn done;
    void *ctx;
    grpc_byte_buffer *request;
    grpc_byte_buffer *reply;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_status_code code;
    grpc_slice details;
};

/* --- the channel --- */

static grpc_arg int_arg(const char *key, int value)
{
    union {
        const char *in;
        char *out; /* the library's struct wants a char * and does not write there */
    } name = {.in = key};
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = name.out, .value.integer = value};
}

static grpc_channel *create_channel(const struct rpc_client_config *config)
{
    uint32_t keepalive_ms = config->keepalive_ms != 0 ? config->keepalive_ms : KEEPALIVE_MS;
    uint32_t timeout_ms =
        config->keepalive_timeout_ms != 0 ? config->keepalive_timeout_ms : KEEPALIVE_TIMEOUT_MS;
    uint32_t connect_ms =
        config->connect_timeout_ms != 0 ? config->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    grpc_arg args[] = {
        int_arg(GRPC_ARG_KEEPALIVE_TIME_MS, (int)keepalive_ms),
        int_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, (int)timeout_ms),
        int_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0), /* as many as it takes */
        int_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100),
        /* In spite of its name the time for one attempt to connect. */
        int_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, (int)connect_ms),
        int_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500),
        int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)CB_STREAM_MESSAGE_MAX),
        int_arg(GRPC_ARG_ENABLE_RETRIES, 0), /* what was asked is asked again above this layer */
        int_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
        /* Else clients of one address share a connection, and one of them shows nothing new. */
        int_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
        int_arg(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0),
        int_arg(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0),
        int_arg(GRPC_ARG_ENABLE_CHANNELZ, 0),
    };
    grpc_channel_args list = {.num_args = sizeof args / sizeof args[0], .args = args};
    grpc_channel_credentials *creds = grpc_insecure_credentials_create();
    grpc_channel *channel = grpc_channel_create(config->target, creds, &list);
    grpc_channel_credentials_release(creds);
    return channel;
}

static void on_idle(struct rpc_tag *tag, bool ok)
{
    (void)ok;
    struct rpc_client *client = CB_CONTAINER(tag, struct rpc_client, idle);
    void (*cb)(void *ctx) = client->close_cb;
    void *ctx = client->close_ctx;
    struct rpc *rpc = client->rpc;
    grpc_channel_destroy(client->channel);
    cb_free(client);
    cb(ctx);
    rpc_object_closed(rpc);
}

struct rpc_client *rpc_client_create(struct rpc *rpc, const struct rpc_client_config *config)
{
    struct rpc_client *client = cb_calloc(1, sizeof *client);
    client->rpc = rpc;
    client->channel = create_channel(config);
    cb_list_init(&client->unaries);
    cb_list_init(&client->streams);
    rpc_tag_init(&client->idle, on_idle);
    rpc_object_opened(rpc);
    return client;
}

static void close_when_idle(struct rpc_client *client)
{
    if (client->closing && client->calls == 0) {
        rpc_defer(client->rpc, &client->idle);
    }
}

void rpc_client_close(struct rpc_client *client, void (*cb)(void *ctx), void *ctx)
{
    CB_ASSERT(!client->closing);
    client->closing = true;
    client->close_cb = cb;
    client->close_ctx = ctx;
    /* Cancelling frees nothing now: the tags come back from the loop. */
    CB_LIST_FOREACH(link, &client->unaries)
    {
        rpc_unary_cancel(CB_CONTAINER(link, struct rpc_unary, link));
    }
    CB_LIST_FOREACH(link, &client->streams)
    {
        rpc_stream_cancel(rpc_stream_of_link(link));
    }
    close_when_idle(client);
}

static grpc_call *create_call(struct rpc_client *client, const char *path, gpr_timespec deadline)
{
    CB_ASSERT(!client->closing);
    grpc_slice method = grpc_slice_from_copied_string(path);
    grpc_call *call =
        grpc_channel_create_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS,
                                 rpc_queue(client->rpc), method, NULL, deadline, NULL);
    grpc_slice_unref(method);
    CB_ASSERT(call != NULL);
    client->calls++;
    return call;
}

static void call_ended(struct rpc_client *client)
{
    client->calls--;
    close_when_idle(client);
}

/* --- streams --- */

static void stream_ended(void *owner, struct cb_list *link)
{
    cb_list_remove(link);
    call_ended(owner);
}

struct rpc_stream *rpc_client_stream(struct rpc_client *client,
                                     const char *path,
                                     const struct rpc_stream_callbacks *callbacks,
                                     void *ctx)
{
    grpc_call *call = create_call(client, path, gpr_inf_future(GPR_CLOCK_MONOTONIC));
    struct rpc_stream *s = rpc_stream_open(client->rpc, call, false, stream_ended, client);
    cb_list_push_back(&client->streams, rpc_stream_link(s));
    rpc_stream_accept(s, callbacks, ctx);
    rpc_stream_start(s);
    return s;
}

/* --- unary calls --- */

static void
report(struct rpc_unary *u, enum rpc_code code, const char *message, struct cb_span reply)
{
    struct rpc_status status = {.code = code, .message = message, .leader = NULL};
    u->done(u->ctx, &status, reply);
}

static void report_reply(struct rpc_unary *u)
{
    grpc_slice reply;
    if (u->reply == NULL) {
        report(u, RPC_INTERNAL, "the answer has no message", CB_SPAN_NULL);
    } else if (!rpc_bytes_borrow(u->reply, &reply)) {
        report(u, RPC_INTERNAL, "the answer is compressed", CB_SPAN_NULL);
    } else {
        report(u, RPC_OK, "", rpc_slice_span(&reply));
        grpc_slice_unref(reply);
    }
}

static void unary_free(struct rpc_unary *u)
{
    grpc_byte_buffer_destroy(u->request);
    if (u->reply != NULL) {
        grpc_byte_buffer_destroy(u->reply);
    }
    grpc_metadata_array_destroy(&u->initial);
    grpc_metadata_array_destroy(&u->trailing);
    grpc_slice_unref(u->details);
    grpc_call_unref(u->call);
    cb_list_remove(&u->link);
    cb_free(u);
}

static void on_unary(struct rpc_tag *tag, bool ok)
{
    (void)ok; /* a batch with RECV_STATUS always succeeds; the status says what happened */
    struct rpc_unary *u = CB_CONTAINER(tag, struct rpc_unary, tag);
    struct rpc_client *client = u->client;
    if (u->code == GRPC_STATUS_OK) {
        report_reply(u);
    } else {
        char *message = rpc_slice_str(u->details);
        report(u, (enum rpc_code)u->code, message, CB_SPAN_NULL);
        cb_free(message);
    }
    unary_free(u);
    call_ended(client);
}

static void start_unary(struct rpc_unary *u)
{
    grpc_op ops[6] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},  {.op = GRPC_OP_SEND_MESSAGE},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT}, {.op = GRPC_OP_RECV_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_MESSAGE},           {.op = GRPC_OP_RECV_STATUS_ON_CLIENT},
    };
    ops[1].data.send_message.send_message = u->request;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &u->initial;
    ops[4].data.recv_message.recv_message = &u->reply;
    ops[5].data.recv_status_on_client.trailing_metadata = &u->trailing;
    ops[5].data.recv_status_on_client.status = &u->code;
    ops[5].data.recv_status_on_client.status_details = &u->details;
    rpc_start_batch(u->client->rpc, u->call, ops, 6, &u->tag);
}

struct rpc_unary *rpc_client_call(struct rpc_client *client,
                                  const char *path,
                                  struct cb_buf *request,
                                  uint64_t timeout_ns,
                                  rpc_unary_fn done,
                                  void *ctx)
{
    gpr_timespec timeout = gpr_time_from_nanos((int64_t)timeout_ns, GPR_TIMESPAN);
    struct rpc_unary *u = cb_calloc(1, sizeof *u);
    u->client = client;
    u->done = done;
    u->ctx = ctx;
    u->request = rpc_bytes_give(request);
    u->details = grpc_empty_slice();
    grpc_metadata_array_init(&u->initial);
    grpc_metadata_array_init(&u->trailing);
    rpc_tag_init(&u->tag, on_unary);
    u->call = create_call(client, path, gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), timeout));
    cb_list_push_back(&client->unaries, &u->link);
    start_unary(u);
    return u;
}

void rpc_unary_cancel(struct rpc_unary *call)
{
    (void)grpc_call_cancel(call->call, NULL); /* refused only for a NULL call */
}
