#include "proxy/upstream/upstream.h"

#include "common/base/cb_mem.h"
#include "common/rpc/rpc_client.h"
#include "common/rpc/rpc_stream.h"

#define SESSION_PATH "/coolbeans.v1.Queue/Session"
#define WATCH_PATH "/coolbeans.v1.Queue/Watch"

struct upstream_node {
    struct upstream *upstream;
    struct rpc_client *client;
    struct rpc_stream *stream; /* NULL: none, or one that was left and is ending */
    struct rpc_stream *watch;
};

struct upstream {
    struct upstream_callbacks callbacks;
    struct wire_to_proxy message; /* kept for its arrays */
    void (*destroyed)(void *ctx);
    void *destroyed_ctx;
    uint32_t n_open; /* channels */
    uint32_t n_nodes;
    struct rpc *rpc;
    struct upstream_node nodes[];
};

static uint32_t number_of(const struct upstream_node *n)
{
    return (uint32_t)(n - n->upstream->nodes);
}

static void on_message(void *ctx, struct rpc_stream *s, struct cb_span bytes)
{
    struct upstream_node *n = ctx;
    struct upstream *u = n->upstream;
    if (n->stream != s) {
        return; /* it was left */
    }
    enum wire_error e = wire_to_proxy_decode(&u->message, bytes);
    if (e == WIRE_OK) {
        u->callbacks.message(u->callbacks.ctx, number_of(n), &u->message);
    } else {
        u->callbacks.garbage(u->callbacks.ctx, number_of(n), wire_error_text(e));
    }
}

static void on_writable(void *ctx, struct rpc_stream *s)
{
    struct upstream_node *n = ctx;
    if (n->stream == s) {
        n->upstream->callbacks.writable(n->upstream->callbacks.ctx, number_of(n));
    }
}

static void on_closed(void *ctx, struct rpc_stream *s, const struct rpc_status *status)
{
    struct upstream_node *n = ctx;
    if (n->stream == s) {
        n->stream = NULL;
        n->upstream->callbacks.closed(n->upstream->callbacks.ctx, number_of(n), status->message,
                                      status->leader);
    }
}

static const struct rpc_stream_callbacks stream_callbacks = {
    .on_message = on_message,
    .on_writable = on_writable,
    .on_closed = on_closed,
};

static void on_told(void *ctx, struct rpc_stream *s, struct cb_span bytes)
{
    const struct upstream_node *n = ctx;
    const struct upstream *u = n->upstream;
    struct wire_leadership m;
    enum wire_error e = wire_leadership_decode(&m, bytes);
    if (n->watch != s) {
        return;
    }
    if (e == WIRE_OK) {
        u->callbacks.told(u->callbacks.ctx, number_of(n), &m);
    } else {
        rpc_stream_cancel(s); /* what it says makes no sense: it is asked anew */
    }
}

static void on_unwatched(void *ctx, struct rpc_stream *s, const struct rpc_status *status)
{
    (void)status;
    struct upstream_node *n = ctx;
    if (n->watch == s) {
        n->watch = NULL;
        n->upstream->callbacks.unwatched(n->upstream->callbacks.ctx, number_of(n));
    }
}

static const struct rpc_stream_callbacks watch_callbacks = {
    .on_message = on_told,
    .on_closed = on_unwatched,
};

struct upstream *
upstream_create(struct rpc *rpc, uint32_t n_max, const struct upstream_callbacks *callbacks)
{
    struct upstream *u = cb_calloc(1, sizeof *u + n_max * sizeof u->nodes[0]);
    u->callbacks = *callbacks;
    u->rpc = rpc;
    u->n_nodes = n_max;
    for (uint32_t i = 0; i < n_max; i++) {
        u->nodes[i].upstream = u;
    }
    return u;
}

static void channel_closed(void *ctx)
{
    struct upstream *u = ctx;
    if (--u->n_open == 0 && u->destroyed != NULL) {
        void (*cb)(void *) = u->destroyed;
        void *cb_ctx = u->destroyed_ctx;
        wire_to_proxy_fini(&u->message);
        cb_free(u);
        cb(cb_ctx);
    }
}

void upstream_set_node(struct upstream *u, uint32_t node, const char *address)
{
    struct upstream_node *n = &u->nodes[node];
    CB_ASSERT(node < u->n_nodes && n->stream == NULL && n->watch == NULL);
    if (n->client != NULL) {
        rpc_client_close(n->client, channel_closed, u);
    }
    n->client = rpc_client_create(u->rpc, &(struct rpc_client_config){.target = address});
    u->n_open++;
}

void upstream_open(struct upstream *u, uint32_t node)
{
    struct upstream_node *n = &u->nodes[node];
    CB_ASSERT(n->stream == NULL);
    n->stream = rpc_client_stream(n->client, SESSION_PATH, &stream_callbacks, n);
}

void upstream_close(struct upstream *u, uint32_t node)
{
    struct rpc_stream *s = u->nodes[node].stream;
    if (s != NULL) {
        u->nodes[node].stream = NULL;
        rpc_stream_cancel(s);
    }
}

void upstream_send(struct upstream *u, uint32_t node, const struct wire_to_node *m)
{
    struct rpc_stream *s = u->nodes[node].stream;
    struct cb_buf bytes = CB_BUF_NULL;
    if (s == NULL || !rpc_stream_can_send(s)) {
        return; /* at its end: `closed` comes, and all is sent again elsewhere */
    }
    wire_to_node_encode(m, &bytes);
    rpc_stream_send(s, &bytes);
    cb_buf_fini(&bytes);
}

void upstream_watch(struct upstream *u, uint32_t node)
{
    struct upstream_node *n = &u->nodes[node];
    struct cb_buf request = CB_BUF_NULL; /* WatchRequest has no fields */
    CB_ASSERT(n->watch == NULL);
    n->watch = rpc_client_stream(n->client, WATCH_PATH, &watch_callbacks, n);
    rpc_stream_send(n->watch, &request);
    rpc_stream_end(n->watch);
    cb_buf_fini(&request);
}

void upstream_destroy(struct upstream *u, void (*cb)(void *ctx), void *ctx)
{
    CB_ASSERT(u->n_open > 0); /* there is a node */
    u->destroyed = cb;
    u->destroyed_ctx = ctx;
    for (uint32_t i = 0; i < u->n_nodes; i++) {
        u->nodes[i].stream = NULL;
        u->nodes[i].watch = NULL;
    }
    for (uint32_t i = 0, n = u->n_nodes; i < n; i++) {
        if (u->nodes[i].client != NULL) {
            rpc_client_close(u->nodes[i].client, channel_closed, u);
        }
    }
}
