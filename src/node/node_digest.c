/* Cluster.Digests between daemons: what node/core asks and answers (design D8), over gRPC; and how
 * a node ends whose state is not that of the others. */
#include "node/node_internal.h"

#include <stdio.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"

#define DIFFERS_KEY "differs"
#define ASK_TIMEOUT_NS CB_NS_PER_S

/* A question on its way. */
struct digest_ask {
    struct node *n;
    uint64_t id;
};

static void on_answer(void *ctx, const struct rpc_status *status, struct cb_span bytes)
{
    const struct digest_ask a = *(struct digest_ask *)ctx;
    struct wire_digests_reply m;
    struct core_checkpoint told[CB_DIGESTS_TOLD];
    cb_free(ctx);
    if (a.n->is_stopping || status->code != RPC_OK ||
        wire_digests_reply_decode(&m, bytes) != WIRE_OK || m.cluster != a.n->cluster ||
        m.id != a.id) {
        return;
    }
    for (uint32_t i = 0; i < m.n; i++) {
        told[i] = (struct core_checkpoint){m.index[i], m.digest[i]};
    }
    core_digests_answered(a.n->core, a.id, told, m.n);
}

void node_digest_ask(void *data, uint64_t id)
{
    struct node *n = data;
    if (n->is_stopping) {
        return;
    }
    const struct digest_ask a = {n, id};
    const struct wire_digests_request q = {.cluster = n->cluster, .id = n->id};
    struct cb_buf bytes = CB_BUF_NULL;
    wire_digests_request_encode(&q, &bytes);
    struct rpc_client *client = node_peer(n, id);
    CB_ASSERT(client != NULL); /* the core asks members */
    rpc_client_call(client, "/coolbeans.v1.Cluster/Digests", &bytes, ASK_TIMEOUT_NS, on_answer,
                    cb_memdup(&a, sizeof(a)));
    cb_buf_fini(&bytes);
}

void node_digest_fill(void *data, struct wire_digests_reply *out)
{
    const struct node *n = data;
    struct core_checkpoint own[CB_DIGESTS_TOLD];
    *out = (struct wire_digests_reply){
        .cluster = n->cluster, .id = n->id, .n = core_digests_tell(n->core, own)};
    for (uint32_t i = 0; i < out->n; i++) {
        out->index[i] = own[i].index;
        out->digest[i] = own[i].digest;
    }
}

void node_digest_check(struct node *n)
{
    struct cb_buf text = CB_BUF_NULL;
    if (node_store_get_note(n, DIFFERS_KEY, &text)) {
        cb_die(
            "%.*s; this node must be rebuilt: empty %s, start it with --join, and run 'coolbeans "
            "replace'",
            (int)cb_buf_len(&text), (const char *)cb_buf_span(&text).ptr, n->options->data_dir);
    }
}

void node_digest_differs(void *data, const char *sentence)
{
    struct node *n = data;
    node_store_set_note(n, DIFFERS_KEY, cb_span_str(sentence));
    cb_log(CB_LOG_ERROR, "node.differs", "err=\"%s\"", sentence);
    snprintf(n->last_words, sizeof(n->last_words), "%s", sentence);
    node_stop(n, "its state differs");
}
