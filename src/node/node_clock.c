/* Cluster.Clock between daemons: what node/core asks and answers (design D2), over gRPC. */
#include "node/node_internal.h"

#include "common/base/cb_mem.h"

struct clock_peer {
    struct node *n;
    uint64_t id;
};

struct node_clock {
    struct clock_peer peers[CB_CLUSTER_NODES_MAX]; /* by id - 1 */
};

/* Another cluster's time, or that of whoever answers at an address that was given away, is not
 * ours. */
static bool is_from(const struct clock_peer *p, const struct wire_clock_reply *reply)
{
    return reply->cluster == p->n->options->cluster && reply->id == p->id;
}

static void on_answer(void *ctx, const struct rpc_status *status, struct cb_span bytes)
{
    const struct clock_peer *p = ctx;
    struct wire_clock_reply reply;
    if (p->n->is_stopping) {
        return;
    }
    if (status->code != RPC_OK || wire_clock_reply_decode(&reply, bytes) != WIRE_OK ||
        !is_from(p, &reply)) {
        core_clock_answered(p->n->core, p->id, NULL);
        return;
    }
    const struct prop_clock_word word = {
        .knows = reply.knows, .now_ns = reply.now_ns, .index = reply.index, .term = reply.term};
    core_clock_answered(p->n->core, p->id, &word);
}

void node_clock_ask(void *data, uint64_t id)
{
    struct node *n = data;
    struct clock_peer *p = &n->clocks->peers[id - 1];
    if (n->is_stopping) {
        return;
    }
    const struct wire_clock_request q = {.cluster = n->options->cluster, .id = node_id(n)};
    struct cb_buf bytes;
    cb_buf_init(&bytes);
    wire_clock_request_encode(&q, &bytes);
    rpc_client_call(node_peer(n, id), "/coolbeans.v1.Cluster/Clock", &bytes, CORE_CLOCK_LATE_NS,
                    on_answer, p);
    cb_buf_fini(&bytes);
}

void node_clock_fill(void *data, struct wire_clock_reply *out)
{
    const struct node *n = data;
    const struct prop_clock_word word = core_clock_tell(n->core);
    *out = (struct wire_clock_reply){
        .cluster = n->options->cluster,
        .id = node_id(n),
        .knows = word.knows,
        .now_ns = word.now_ns,
        .index = word.index,
        .term = word.term,
    };
}

void node_clock_create(struct node *n)
{
    n->clocks = cb_calloc(1, sizeof(*n->clocks));
    for (size_t i = 0; i < n->options->n_members; i++) {
        n->clocks->peers[i] = (struct clock_peer){.n = n, .id = i + 1};
    }
}
