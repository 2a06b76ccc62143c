/* What the files of this folder share. */
#ifndef CB_NODE_SERVICE_SERVICE_INTERNAL_H
#define CB_NODE_SERVICE_SERVICE_INTERNAL_H

#include "common/base/cb_list.h"
#include "common/rpc/rpc_health.h"
#include "common/rpc/rpc_server.h"
#include "node/service/service.h"

struct service {
    struct rpc_server *server;
    struct rpc_health *health;
    struct service_source source;
    struct proposer *proposer; /* NULL: the node starts or stops */
    struct service_counters counters;
    struct cb_list watchers;           /* struct watcher */
    struct wire_leadership leadership; /* its leader is empty until one is known */
    struct wire_to_node message;       /* scratch of on_message */
    struct wire_status status;         /* scratch */
    void (*closed)(void *ctx);
    void *closed_ctx;
};

/* Handlers of methods; ctx is the service. */
void service_queue_on_stream(void *ctx, struct rpc_stream *rpc);
void service_watch_on_stream(void *ctx, struct rpc_stream *rpc);
void service_cluster_on_status(void *ctx, struct rpc_call *call, struct cb_span request);
void service_cluster_on_identify(void *ctx, struct rpc_call *call, struct cb_span request);
void service_cluster_on_clock(void *ctx, struct rpc_call *call, struct cb_span request);
void service_cluster_on_digests(void *ctx, struct rpc_call *call, struct cb_span request);
void service_cluster_on_state(void *ctx, struct rpc_call *call, struct cb_span request);
void service_cluster_on_change(void *ctx, struct rpc_call *call, struct cb_span request);

#endif
