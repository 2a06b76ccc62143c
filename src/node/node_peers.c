/* One connection to each other member, for all that this one asks over gRPC once it takes part. */
#include "node/node_internal.h"

#include "common/base/cb_mem.h"

struct node_peers {
    struct rpc_client *clients[CB_CLUSTER_NODES_MAX]; /* by id - 1; NULL: not asked yet */
};

void node_peers_create(struct node *n)
{
    n->peers = cb_calloc(1, sizeof(*n->peers));
}

struct rpc_client *node_peer(struct node *n, uint64_t id)
{
    CB_ASSERT(id >= 1 && id <= n->options->n_members);
    struct rpc_client **client = &n->peers->clients[id - 1];
    if (*client == NULL) {
        const struct rpc_client_config config = {.target = node_grpc_of(n, id)};
        *client = rpc_client_create(n->rpc, &config);
    }
    return *client;
}

static void on_client_closed(void *ctx)
{
    (void)ctx; /* rpc_close waits for it */
}

void node_peers_close(struct node *n)
{
    for (size_t i = 0; i < n->options->n_members; i++) {
        struct rpc_client **client = &n->peers->clients[i];
        if (*client != NULL) {
            rpc_client_close(*client, on_client_closed, NULL);
            *client = NULL;
        }
    }
}
