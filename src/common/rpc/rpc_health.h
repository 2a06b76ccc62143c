/* The standard service grpc.health.v1.Health (Check and Watch) of a server.
 *
 * The service "" stands for the whole server. Who asks for a service that was never set gets
 * NOT_FOUND from Check and SERVICE_UNKNOWN from Watch.
 * Owns:     the statuses and the list of watchers.
 * Threads:  the loop's.
 * Errors:   a malformed request is answered INVALID_ARGUMENT.
 * Source:   health-checking.md and health.proto of gRPC. */
#ifndef CB_COMMON_RPC_RPC_HEALTH_H
#define CB_COMMON_RPC_RPC_HEALTH_H

#include "common/rpc/rpc_server.h"

struct rpc_health;

/* As in HealthCheckResponse.ServingStatus. */
enum rpc_health_status {
    RPC_HEALTH_SERVING = 1,
    RPC_HEALTH_NOT_SERVING = 2,
    RPC_HEALTH_SERVICE_UNKNOWN = 3, /* only ever sent to watchers */
};

/* Adds its methods to `server`, which has not been started. */
struct rpc_health *rpc_health_create(struct rpc_server *server);
/* After the server's close has called back. */
void rpc_health_destroy(struct rpc_health *h);

/* Tells those who watch `service`. At most CB_RPC_HEALTH_SERVICES_MAX services. */
void rpc_health_set(struct rpc_health *h, const char *service, enum rpc_health_status status);

#endif
