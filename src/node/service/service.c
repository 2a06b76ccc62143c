#include "node/service/service.h"

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "node/service/service_internal.h"

#define QUEUE_SERVICE "coolbeans.v1.Queue"
/* For answers that are on their way when the node stops. */
#define CLOSE_GRACE_NS (200 * CB_NS_PER_MS)

struct service *service_create(struct rpc *rpc, const struct service_source *source)
{
    struct service *s = cb_calloc(1, sizeof(*s));
    s->source = *source;
    cb_list_init(&s->watchers);
    s->server = rpc_server_create(rpc);
    const struct rpc_method methods[] = {
        {.path = "/" QUEUE_SERVICE "/Session",
         .kind = RPC_BIDI,
         .ctx = s,
         .on_stream = service_queue_on_stream},
        {.path = "/" QUEUE_SERVICE "/Watch",
         .kind = RPC_BIDI,
         .ctx = s,
         .on_stream = service_watch_on_stream},
        {.path = "/coolbeans.v1.Cluster/Status",
         .kind = RPC_UNARY,
         .ctx = s,
         .on_call = service_cluster_on_status},
        {.path = "/coolbeans.v1.Cluster/Identify",
         .kind = RPC_UNARY,
         .ctx = s,
         .on_call = service_cluster_on_identify},
        {.path = "/coolbeans.v1.Cluster/Clock",
         .kind = RPC_UNARY,
         .ctx = s,
         .on_call = service_cluster_on_clock},
        {.path = "/coolbeans.v1.Cluster/Digests",
         .kind = RPC_UNARY,
         .ctx = s,
         .on_call = service_cluster_on_digests},
        {.path = "/coolbeans.v1.Cluster/State",
         .kind = RPC_UNARY,
         .ctx = s,
         .on_call = service_cluster_on_state},
        {.path = "/coolbeans.v1.Cluster/Change",
         .kind = RPC_UNARY,
         .ctx = s,
         .on_call = service_cluster_on_change},
    };
    rpc_server_add(s->server, methods, sizeof(methods) / sizeof(methods[0]));
    s->health = rpc_health_create(s->server);
    rpc_health_set(s->health, "", RPC_HEALTH_SERVING);
    service_set_serving(s, false);
    return s;
}

bool service_listen(struct service *s, const char *address, struct cb_buf *error)
{
    uint16_t port;
    return rpc_server_listen(s->server, address, &port, error) == RPC_LISTEN_OK;
}

void service_start(struct service *s)
{
    rpc_server_start(s->server);
}

void service_set_proposer(struct service *s, struct proposer *p)
{
    s->proposer = p;
}

void service_set_serving(struct service *s, bool serving)
{
    rpc_health_set(s->health, QUEUE_SERVICE, serving ? RPC_HEALTH_SERVING : RPC_HEALTH_NOT_SERVING);
}

const struct service_counters *service_counters_get(const struct service *s)
{
    return &s->counters;
}

static void on_closed(void *ctx)
{
    struct service *s = ctx;
    void (*cb)(void *) = s->closed;
    void *cb_ctx = s->closed_ctx;
    rpc_health_destroy(s->health);
    wire_to_node_fini(&s->message);
    wire_status_fini(&s->status);
    cb_free(s);
    cb(cb_ctx);
}

void service_close(struct service *s, void (*cb)(void *ctx), void *ctx)
{
    s->closed = cb;
    s->closed_ctx = ctx;
    rpc_server_close(s->server, CLOSE_GRACE_NS, on_closed, s);
}
