/* Cluster.State between daemons: parts of the state of a member, for one that is too far behind for
 * the log (design D7; what is asked and answered is node/core's), over gRPC. */
#include "node/node_internal.h"

#include "common/rpc/rpc_server.h"

/* The core numbers results from 0, the wire, where 0 is none, from 1. */
#define WIRE_OF_CORE 1
_Static_assert((int)CORE_STATE_PART + WIRE_OF_CORE == (int)WIRE_STATE_PART, "same results");
_Static_assert((int)CORE_STATE_BEHIND + WIRE_OF_CORE == (int)WIRE_STATE_BEHIND, "same results");
_Static_assert((int)CORE_STATE_UNKNOWN + WIRE_OF_CORE == (int)WIRE_STATE_UNKNOWN, "same results");
_Static_assert((int)CORE_STATE_FAILED + WIRE_OF_CORE == (int)WIRE_STATE_FAILED, "same results");
_Static_assert((int)WIRE_STATE_FAILED + 1 == (int)WIRE_STATE_RESULT_END, "same results");

/* When there is nobody to ask. */
#define NOBODY_MS 200

/* ---- this one asks ---- */

/* The state of another cluster, or of whoever answers at an address that was given away, is not
 * ours. */
static bool is_from(const struct node *n, const struct wire_state_reply *reply)
{
    return reply->cluster == n->cluster && reply->id == n->state_from;
}

static void on_answer(void *ctx, const struct rpc_status *status, struct cb_span bytes)
{
    const struct node *n = ctx;
    struct wire_state_reply reply;
    if (n->is_stopping) {
        return;
    }
    if (status->code != RPC_OK || wire_state_reply_decode(&reply, bytes) != WIRE_OK) {
        core_state_came(n->core, NULL);
        return;
    }
    const struct core_state_part part = {
        .result = (enum core_state_result)(reply.result - WIRE_OF_CORE),
        .copy = reply.copy,
        .part = reply.part,
        .is_last = reply.is_last,
        .bytes = reply.bytes,
    };
    core_state_came(n->core, is_from(n, &reply) ? &part : NULL);
    wire_state_reply_fini(&reply);
}

static void on_nobody(uv_timer_t *timer)
{
    const struct node *n = timer->data;
    if (!n->is_stopping) {
        core_state_came(n->core, NULL);
    }
}

void node_state_ask(void *data, uint64_t id, const struct core_state_ask *ask)
{
    struct node *n = data;
    if (n->is_stopping) {
        return; /* the core was told by core_state_stop and waits for no answer */
    }
    struct rpc_client *client = node_peer(n, id);
    if (client == NULL) { /* a leader of whom this node has not heard yet */
        CB_ASSERT(uv_timer_start(&n->state_timer, on_nobody, NOBODY_MS, 0) == 0);
        return;
    }
    const struct wire_state_request q = {
        .cluster = n->cluster,
        .id = n->id,
        .copy = ask->copy,
        .part = ask->part,
        .at_least = ask->at_least,
    };
    struct cb_buf bytes;
    cb_buf_init(&bytes);
    wire_state_request_encode(&q, &bytes);
    n->state_from = id; /* there is one question at a time */
    rpc_client_call(client, "/coolbeans.v1.Cluster/State", &bytes, CORE_STATE_LATE_NS, on_answer,
                    n);
    cb_buf_fini(&bytes);
}

/* ---- this one is asked ---- */

static bool is_other_member(const struct node *n, uint64_t id)
{
    return id != n->id && node_member(n, id) != NULL;
}

void node_state_on_asked(void *data, const struct wire_state_request *q, struct rpc_call *call)
{
    struct node *n = data;
    if (q->cluster != n->cluster || !is_other_member(n, q->id)) {
        rpc_call_fail(call, RPC_PERMISSION_DENIED, "the state is for other members alone");
        return;
    }
    const struct core_state_ask ask = {.copy = q->copy, .part = q->part, .at_least = q->at_least};
    core_state_asked(n->core, q->id, &ask, call);
}

void node_state_answer(void *data, void *call, const struct core_state_part *part)
{
    const struct node *n = data;
    const struct wire_state_reply reply = {
        .cluster = n->cluster,
        .id = n->id,
        .result = (uint32_t)part->result + WIRE_OF_CORE,
        .copy = part->copy,
        .part = part->part,
        .is_last = part->is_last,
        .bytes = part->bytes,
    };
    service_state_reply(call, &reply);
}
