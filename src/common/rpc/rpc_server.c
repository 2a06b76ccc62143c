#include "common/rpc/rpc_server.h"

#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <string.h>

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "common/rpc/rpc_internal.h"
#include "common/sys/cb_addr.h"
#include "common/sys/cb_log.h"

/* One for each method, and one without a method for all other paths: the call that is awaited. An
 * accept is always posted, since the library would queue without bound what finds none. */
struct accept {
    struct rpc_server *server;
    struct rpc_method method; /* path NULL: any other */
    char *path;
    void *handle; /* the library's, of a registered method */
    struct rpc_tag tag;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    gpr_timespec deadline;
};

struct rpc_server {
    struct rpc *rpc;
    grpc_server *server;
    struct accept *accepts[CB_RPC_METHODS_MAX + 1]; /* the last is the one without a method */
    size_t count;
    size_t listeners;
    size_t posted; /* accepts that wait for a call */
    size_t calls;  /* not yet ended */
    struct cb_list streams;

    bool started;
    bool closing;
    bool shut_down;
    struct rpc_tag shutdown;
    uv_timer_t grace;
    void (*close_cb)(void *ctx);
    void *close_ctx;
};

static void close_when_idle(struct rpc_server *server);

/* --- calls --- */

static void call_ended(void *owner)
{
    struct rpc_server *server = owner;
    server->calls--;
    close_when_idle(server);
}

static void stream_ended(void *owner, struct cb_list *link)
{
    cb_list_remove(link);
    call_ended(owner);
}

static void open_stream(struct rpc_server *server, const struct rpc_method *method, grpc_call *call)
{
    struct rpc_stream *s = rpc_stream_open(server->rpc, call, true, stream_ended, server);
    cb_list_push_back(&server->streams, rpc_stream_link(s));
    rpc_stream_start(s);
    method->on_stream(method->ctx, s);
    CB_ASSERT(rpc_stream_is_accepted(s));
}

static void dispatch(struct accept *a, grpc_call *call)
{
    struct rpc_server *server = a->server;
    bool full = server->calls >= CB_RPC_CALLS_MAX;
    server->calls++;
    if (full) {
        cb_log(CB_LOG_WARN, "rpc.calls.full", "max=%u", (unsigned)CB_RPC_CALLS_MAX);
        rpc_call_reject(server->rpc, call, RPC_RESOURCE_EXHAUSTED,
                        "too many calls are open on this server", call_ended, server);
    } else if (a->path == NULL) {
        rpc_call_reject(server->rpc, call, RPC_UNIMPLEMENTED, "no such method here", call_ended,
                        server);
    } else if (a->method.kind == RPC_UNARY) {
        rpc_call_accept(server->rpc, call, &a->method, call_ended, server);
    } else {
        open_stream(server, &a->method, call);
    }
}

/* --- accepting --- */

static void post(struct accept *a)
{
    struct rpc_server *server = a->server;
    grpc_completion_queue *queue = rpc_queue(server->rpc);
    grpc_call_error e;
    a->call = NULL;
    server->posted++;
    rpc_tag_arm(server->rpc, &a->tag);
    if (a->path == NULL) {
        e = grpc_server_request_call(server->server, &a->call, &a->details, &a->metadata, queue,
                                     queue, &a->tag);
    } else {
        e = grpc_server_request_registered_call(server->server, a->handle, &a->call, &a->deadline,
                                                &a->metadata, NULL, queue, queue, &a->tag);
    }
    CB_ASSERT(e == GRPC_CALL_OK);
}

/* What the library filled in for the last call. */
static void reset(struct accept *a)
{
    grpc_call_details_destroy(&a->details);
    grpc_call_details_init(&a->details);
    grpc_metadata_array_destroy(&a->metadata);
    grpc_metadata_array_init(&a->metadata);
}

static void on_accept(struct rpc_tag *tag, bool ok)
{
    struct accept *a = CB_CONTAINER(tag, struct accept, tag);
    struct rpc_server *server = a->server;
    server->posted--;
    if (!ok) {
        close_when_idle(server); /* only the end of the server fails an accept */
        return;
    }
    grpc_call *call = a->call;
    reset(a);
    if (server->closing) {
        server->calls++;
        rpc_call_reject(server->rpc, call, RPC_UNAVAILABLE, "the server is shutting down",
                        call_ended, server);
        close_when_idle(server);
        return;
    }
    post(a);
    dispatch(a, call);
}

static void add_accept(struct rpc_server *server, const struct rpc_method *method)
{
    CB_ASSERT(!server->started && server->count <= CB_RPC_METHODS_MAX);
    struct accept *a = cb_calloc(1, sizeof *a);
    a->server = server;
    if (method != NULL) {
        CB_ASSERT(method->kind == RPC_UNARY ? method->on_call != NULL : method->on_stream != NULL);
        a->method = *method;
        a->path = cb_strdup(method->path);
        a->method.path = a->path;
        /* Without the payload: it is read under our own count of calls. */
        a->handle =
            grpc_server_register_method(server->server, a->path, NULL, GRPC_SRM_PAYLOAD_NONE, 0);
        CB_ASSERT(a->handle != NULL); /* NULL: the path was added before */
    }
    rpc_tag_init(&a->tag, on_accept);
    grpc_call_details_init(&a->details);
    grpc_metadata_array_init(&a->metadata);
    server->accepts[server->count++] = a;
}

static void free_accept(struct accept *a)
{
    grpc_call_details_destroy(&a->details);
    grpc_metadata_array_destroy(&a->metadata);
    cb_free(a->path);
    cb_free(a);
}

/* --- start --- */

static grpc_arg int_arg(const char *key, int value)
{
    /* The library's struct wants a char * and does not write there. */
    union {
        const char *in;
        char *out;
    } name = {.in = key};
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = name.out, .value.integer = value};
}

static grpc_server *create_server(void)
{
    grpc_arg args[] = {
        /* Else a second daemon binds the same port without an error and takes half the calls. */
        int_arg(GRPC_ARG_ALLOW_REUSEPORT, 0),
        /* Clients look after their connections by pings; the default would call them abusive. */
        int_arg(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 100),
        int_arg(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0),
        /* Hosts that are gone are found within 8 s, not 2 h. The timeout is TCP_USER_TIMEOUT too:
         * a write that a frozen peer does not take holds up even a forced close until then. */
        int_arg(GRPC_ARG_KEEPALIVE_TIME_MS, 5000),
        int_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 3000),
        int_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        int_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0), /* as many as it takes */
        int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)CB_STREAM_MESSAGE_MAX),
        int_arg(GRPC_ARG_MAX_CONCURRENT_STREAMS, CB_RPC_CALLS_PER_CONN_MAX),
        int_arg(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0),
        int_arg(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0),
        int_arg(GRPC_ARG_ENABLE_CHANNELZ, 0),
    };
    grpc_channel_args list = {.num_args = sizeof args / sizeof args[0], .args = args};
    return grpc_server_create(&list, NULL);
}

static void on_shutdown(struct rpc_tag *tag, bool ok);

struct rpc_server *rpc_server_create(struct rpc *rpc)
{
    struct rpc_server *server = cb_calloc(1, sizeof *server);
    server->rpc = rpc;
    server->server = create_server();
    grpc_server_register_completion_queue(server->server, rpc_queue(rpc), NULL);
    cb_list_init(&server->streams);
    rpc_tag_init(&server->shutdown, on_shutdown);
    (void)uv_timer_init(rpc_loop(rpc), &server->grace); /* cannot fail */
    server->grace.data = server;
    rpc_object_opened(rpc);
    return server;
}

void rpc_server_add(struct rpc_server *server, const struct rpc_method *methods, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CB_ASSERT(server->count < CB_RPC_METHODS_MAX);
        add_accept(server, &methods[i]);
    }
}

enum rpc_listen_result rpc_server_listen(struct rpc_server *server,
                                         const char *address,
                                         uint16_t *port,
                                         struct cb_buf *error)
{
    struct cb_addr parsed;
    CB_ASSERT(!server->started);
    /* The library would take forms that ours does not have. */
    if (cb_addr_parse(&parsed, address) != CB_ADDR_OK || parsed.kind == CB_ADDR_UNIX) {
        return rpc_listen_explain(address, error);
    }
    grpc_server_credentials *creds = grpc_insecure_server_credentials_create();
    int bound = grpc_server_add_http2_port(server->server, address, creds);
    grpc_server_credentials_release(creds);
    if (bound == 0) {
        return rpc_listen_explain(address, error);
    }
    server->listeners++;
    *port = (uint16_t)bound;
    return RPC_LISTEN_OK;
}

void rpc_server_start(struct rpc_server *server)
{
    CB_ASSERT(!server->started && server->listeners > 0);
    add_accept(server, NULL);
    server->started = true;
    grpc_server_start(server->server);
    for (size_t i = 0; i < server->count; i++) {
        post(server->accepts[i]);
    }
}

size_t rpc_server_calls(const struct rpc_server *server)
{
    return server->calls;
}

/* --- end --- */

static void on_grace_closed(uv_handle_t *handle)
{
    struct rpc_server *server = handle->data;
    void (*cb)(void *ctx) = server->close_cb;
    void *ctx = server->close_ctx;
    struct rpc *rpc = server->rpc;
    cb_free(server);
    cb(ctx);
    rpc_object_closed(rpc);
}

/* The notification may come before the last tags of calls and accepts. */
static void close_when_idle(struct rpc_server *server)
{
    if (!server->shut_down || server->calls > 0 || server->posted > 0) {
        return;
    }
    server->shut_down = false; /* once */
    grpc_server_destroy(server->server);
    for (size_t i = 0; i < server->count; i++) {
        free_accept(server->accepts[i]);
    }
    uv_close((uv_handle_t *)&server->grace, on_grace_closed);
}

static void on_shutdown(struct rpc_tag *tag, bool ok)
{
    (void)ok;
    struct rpc_server *server = CB_CONTAINER(tag, struct rpc_server, shutdown);
    server->shut_down = true;
    close_when_idle(server);
}

static void on_grace(uv_timer_t *timer)
{
    struct rpc_server *server = timer->data;
    if (!uv_is_closing((uv_handle_t *)timer)) {
        grpc_server_cancel_all_calls(server->server);
    }
}

void rpc_server_close(struct rpc_server *server,
                      uint64_t grace_ns,
                      void (*cb)(void *ctx),
                      void *ctx)
{
    CB_ASSERT(!server->closing);
    server->closing = true;
    server->close_cb = cb;
    server->close_ctx = ctx;
    rpc_tag_arm(server->rpc, &server->shutdown);
    grpc_server_shutdown_and_notify(server->server, rpc_queue(server->rpc), &server->shutdown);
    CB_LIST_FOREACH(link, &server->streams)
    {
        rpc_stream_finish(rpc_stream_of_link(link), RPC_UNAVAILABLE, "the server is shutting down",
                          NULL);
    }
    (void)uv_timer_start(&server->grace, on_grace, grace_ns / CB_NS_PER_MS, 0);
}
