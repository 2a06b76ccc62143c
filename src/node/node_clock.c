/* Cluster.Clock between daemons: what node/core asks and answers (design D2), over gRPC. */
#include "node/node_internal.h"

#include "common/base/cb_mem.h"

/* A question on its way. */
struct clock_ask {
    struct node *n;
    uint64_t id;
};

/* Another cluster's time, or that of whoever answers at an address that was given away, is not
 * ours. */
static bool is_from(const struct clock_ask *a, const struct wire_clock_reply *reply)
{
    return reply->cluster == a->n->cluster && reply->id == a->id;
}

static void on_answer(void *ctx, const struct rpc_status *status, struct cb_span bytes)
{
    const struct clock_ask a = *(struct clock_ask *)ctx;
    struct wire_clock_reply reply;
    cb_free(ctx);
    if (a.n->is_stopping) {
        return;
    }
    if (status->code != RPC_OK || wire_clock_reply_decode(&reply, bytes) != WIRE_OK ||
        !is_from(&a, &reply)) {
        core_clock_answered(a.n->core, a.id, NULL);
        return;
    }
    const struct prop_clock_word word = {
        .knows = reply.knows, .now_ns = reply.now_ns, .index = reply.index, .term = reply.term};
    core_clock_answered(a.n->core, a.id, &word);
}

void node_clock_ask(void *data, uint64_t id)
{
    struct node *n = data;
    if (n->is_stopping) {
        return;
    }
    const struct clock_ask a = {n, id};
    const struct wire_clock_request q = {.cluster = n->cluster, .id = n->id};
    struct cb_buf bytes;
    cb_buf_init(&bytes);
    wire_clock_request_encode(&q, &bytes);
    struct rpc_client *client = node_peer(n, id);
    CB_ASSERT(client != NULL); /* the core asks members */
    rpc_client_call(client, "/coolbeans.v1.Cluster/Clock", &bytes, CORE_CLOCK_LATE_NS, on_answer,
                    cb_memdup(&a, sizeof(a)));
    cb_buf_fini(&bytes);
}

void node_clock_fill(void *data, struct wire_clock_reply *out)
{
    const struct node *n = data;
    const struct prop_clock_word word = core_clock_tell(n->core);
    *out = (struct wire_clock_reply){
        .cluster = n->cluster,
        .id = n->id,
        .knows = word.knows,
        .now_ns = word.now_ns,
        .index = word.index,
        .term = word.term,
    };
}
