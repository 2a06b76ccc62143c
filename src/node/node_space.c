/* The room on this node's disk and on those of other members (design D9): what node/core asks, over
 * gRPC, and what an operator is told of it. */
#include "node/node_internal.h"

#include <sys/statvfs.h>

#include "common/base/cb_mem.h"

#define ASK_TIMEOUT_NS CB_NS_PER_S

uint64_t node_space_free(void *data)
{
    const struct node *n = data;
    struct statvfs s;
    if (statvfs(n->options->data_dir, &s) != 0) {
        return CORE_SPACE_UNKNOWN; /* a disk that does not answer is broken, not full */
    }
    return (uint64_t)s.f_bavail * s.f_frsize;
}

/* A question on its way. */
struct space_ask {
    struct node *n;
    uint64_t id;
};

static void on_answer(void *ctx, const struct rpc_status *status, struct cb_span bytes)
{
    const struct space_ask a = *(struct space_ask *)ctx;
    struct wire_identify_reply reply;
    cb_free(ctx);
    if (a.n->is_stopping) {
        return;
    }
    if (status->code != RPC_OK || wire_identify_reply_decode(&reply, bytes) != WIRE_OK ||
        reply.cluster != a.n->cluster || reply.id != a.id) {
        core_space_answered(a.n->core, a.id, NULL);
        return;
    }
    uint64_t free_bytes = reply.free_known ? reply.free : CORE_SPACE_UNKNOWN;
    core_space_answered(a.n->core, a.id, &free_bytes);
}

void node_space_ask(void *data, uint64_t id)
{
    struct node *n = data;
    if (n->is_stopping) {
        return;
    }
    const struct space_ask a = {n, id};
    const struct wire_identify_request q = {.cluster = n->cluster, .id = n->id};
    struct cb_buf bytes = CB_BUF_NULL;
    wire_identify_request_encode(&q, &bytes);
    struct rpc_client *client = node_peer(n, id);
    CB_ASSERT(client != NULL); /* the core asks members */
    (void)rpc_client_call(client, "/coolbeans.v1.Cluster/Identify", &bytes, ASK_TIMEOUT_NS,
                          on_answer, cb_memdup(&a, sizeof(a)));
    cb_buf_fini(&bytes);
}

const char *node_space_waits(const struct node *n, char text[static CB_WAITS_TEXT_MAX])
{
    const char *what = NULL;
    if (n->room.is_waiting) {
        what = "before it can open its log";
    } else if (n->replica != NULL && replica_waits_for_room(n->replica)) {
        what = "to write its log";
    } else if (store_is_full(n->store)) {
        what = "to store its state";
    }
    if (what == NULL) {
        return "";
    }
    int len = snprintf(text, CB_WAITS_TEXT_MAX, "the disk of %s is full: it waits for room %s",
                       n->options->data_dir, what);
    CB_ASSERT(len > 0); /* cut if the path is long: it is for people */
    return text;
}
