/* Feeds any bytes to the decoders of the stream's messages. What decodes must also encode, and come
 * back the same. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/wire/wire_change.h"
#include "common/wire/wire_cluster.h"
#include "common/wire/wire_digests.h"
#include "common/wire/wire_queue.h"

static void try_change(struct cb_span in)
{
    struct wire_change_request q;
    struct wire_change_reply reply;
    if (wire_change_request_decode(&q, in) == WIRE_OK) {
        CB_ASSERT(strnlen(q.name, sizeof q.name) < sizeof q.name);
        CB_ASSERT((q.op == WIRE_CHANGE_ADD) == (q.grpc[0] != '\0'));
    }
    if (wire_change_reply_decode(&reply, in) == WIRE_OK) {
        CB_ASSERT(strnlen(reply.text, sizeof reply.text) < sizeof reply.text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_to_node(struct cb_span in)
{
    struct wire_to_node m = {0};
    struct cb_buf once = CB_BUF_NULL;
    struct cb_buf twice = CB_BUF_NULL;
    if (wire_to_node_decode(&m, in) == WIRE_OK) {
        wire_to_node_encode(&m, &once);
        CB_ASSERT(wire_to_node_decode(&m, cb_buf_span(&once)) == WIRE_OK);
        wire_to_node_encode(&m, &twice);
        CB_ASSERT(cb_span_eq(cb_buf_span(&once), cb_buf_span(&twice)));
    }
    cb_buf_fini(&once);
    cb_buf_fini(&twice);
    wire_to_node_fini(&m);
}

static void try_to_proxy(struct cb_span in)
{
    struct wire_to_proxy m = {0};
    struct cb_buf once = CB_BUF_NULL;
    struct cb_buf twice = CB_BUF_NULL;
    if (wire_to_proxy_decode(&m, in) == WIRE_OK) {
        wire_to_proxy_encode(&m, &once);
        CB_ASSERT(wire_to_proxy_decode(&m, cb_buf_span(&once)) == WIRE_OK);
        wire_to_proxy_encode(&m, &twice);
        CB_ASSERT(cb_span_eq(cb_buf_span(&once), cb_buf_span(&twice)));
    }
    cb_buf_fini(&once);
    cb_buf_fini(&twice);
    wire_to_proxy_fini(&m);
}

static void try_state_request(struct cb_span in)
{
    struct wire_state_request m;
    struct wire_state_request again;
    struct cb_buf once = CB_BUF_NULL;
    if (wire_state_request_decode(&m, in) == WIRE_OK) {
        CB_ASSERT(m.copy != 0 || m.part == 0);
        wire_state_request_encode(&m, &once);
        CB_ASSERT(wire_state_request_decode(&again, cb_buf_span(&once)) == WIRE_OK);
        CB_ASSERT(memcmp(&m, &again, sizeof m) == 0); /* it has no padding */
    }
    cb_buf_fini(&once);
}

static void try_state_reply(struct cb_span in)
{
    struct wire_state_reply m;
    struct wire_state_reply again;
    struct cb_buf once = CB_BUF_NULL;
    if (wire_state_reply_decode(&m, in) == WIRE_OK) {
        CB_ASSERT((m.result == WIRE_STATE_PART) == (m.copy != 0));
        CB_ASSERT((m.result == WIRE_STATE_PART) == (m.bytes.len > 0));
        wire_state_reply_encode(&m, &once);
        CB_ASSERT(wire_state_reply_decode(&again, cb_buf_span(&once)) == WIRE_OK);
        CB_ASSERT(m.part == again.part && m.is_last == again.is_last);
        CB_ASSERT(cb_span_eq(m.bytes, again.bytes));
        wire_state_reply_fini(&m);
        wire_state_reply_fini(&again);
    }
    cb_buf_fini(&once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cb_span in = cb_span(data, size);
    struct wire_status status = {0};
    struct wire_identify_reply reply;
    struct wire_leadership leadership;
    struct wire_clock_reply clock;
    struct wire_digests_reply digests;
    try_to_node(in);
    try_to_proxy(in);
    try_state_request(in);
    try_state_reply(in);
    try_change(in);
    if (wire_identify_reply_decode(&reply, in) == WIRE_OK) {
        CB_ASSERT(reply.state < WIRE_IDENTIFY_STATE_END);
    }
    if (wire_leadership_decode(&leadership, in) == WIRE_OK) {
        CB_ASSERT(strnlen(leadership.leader, sizeof leadership.leader) < sizeof leadership.leader);
    }
    if (wire_clock_reply_decode(&clock, in) == WIRE_OK) {
        CB_ASSERT(clock.now_ns <= CB_CLUSTER_CLOCK_MAX && clock.knows == (clock.term != 0));
    }
    if (wire_digests_reply_decode(&digests, in) == WIRE_OK) {
        CB_ASSERT(digests.n <= CB_DIGESTS_TOLD && (digests.n == 0 || digests.index[0] > 0));
    }
    if (wire_status_decode(&status, in) == WIRE_OK) {
        CB_ASSERT(status.n_members <= status.cap_members);
    }
    wire_status_fini(&status);
    return 0;
}
