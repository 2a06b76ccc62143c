/* One connection to each other member, for all that this one asks over gRPC once it takes part. */
#include "node/node_internal.h"

#include "common/base/cb_mem.h"

struct peer {
    struct rpc_client *client; /* NULL: the slot is free */
    uint64_t id;
    char grpc[CB_ADDRESS_MAX];
};

struct node_peers {
    struct peer peers[CB_CLUSTER_NODES_MAX];
};

void node_peers_create(struct node *n)
{
    n->peers = cb_calloc(1, sizeof(*n->peers));
}

static void on_client_closed(void *ctx)
{
    (void)ctx; /* rpc_close waits for it */
}

static void leave(struct peer *p)
{
    if (p->client != NULL) {
        rpc_client_close(p->client, on_client_closed, NULL);
        p->client = NULL;
    }
}

/* That of the id, else a free one. */
static struct peer *slot_of(struct node *n, uint64_t id)
{
    struct peer *spare = NULL;
    for (size_t i = 0; i < CB_CLUSTER_NODES_MAX; i++) {
        struct peer *p = &n->peers->peers[i];
        if (p->client != NULL && p->id == id) {
            return p;
        }
        spare = p->client == NULL ? p : spare;
    }
    CB_ASSERT(spare != NULL); /* those of who has left were freed */
    return spare;
}

struct rpc_client *node_peer(struct node *n, uint64_t id)
{
    const struct node_member *m = node_member(n, id);
    if (m == NULL) {
        return NULL;
    }
    struct peer *p = slot_of(n, id);
    if (p->client == NULL) {
        const struct rpc_client_config config = {.target = m->grpc};
        p->id = id;
        memcpy(p->grpc, m->grpc, sizeof(p->grpc));
        p->client = rpc_client_create(n->rpc, &config);
    }
    return p->client;
}

void node_peers_changed(struct node *n)
{
    for (size_t i = 0; i < CB_CLUSTER_NODES_MAX; i++) {
        struct peer *p = &n->peers->peers[i];
        if (p->client != NULL && strcmp(node_grpc_of(n, p->id), p->grpc) != 0) {
            leave(p);
        }
    }
}

void node_peers_close(struct node *n)
{
    for (size_t i = 0; i < CB_CLUSTER_NODES_MAX; i++) {
        leave(&n->peers->peers[i]);
    }
}
