/* Parts of a state (design D7): how one node asks another for them, as gRPC would have it. */
#include "common/base/cb_mem.h"
#include "common/wire/wire_cluster.h"
#include "sim/sim.h"

/* Of the parts that are told, and of those that come: a crash at each would let no copy end. */
#define PARTS_PER_MOMENT 4

/* Of a node that dies while it holds one nothing more is heard, as of the rest of its memory. */
struct call {
    struct sim_node *from, *to;
    uint64_t number;     /* of the asker */
    struct cb_buf bytes; /* of the question, then of the answer */
};

static struct call *make_call(struct sim_node *from, struct sim_node *to)
{
    struct call *k = cb_calloc(1, sizeof *k);
    *k = (struct call){.from = from, .to = to, .number = from->state_call};
    return k;
}

static void drop_call(void *arg)
{
    struct call *k = arg;
    cb_buf_fini(&k->bytes);
    cb_free(k);
}

static void look_for_moment(struct sim_node *n)
{
    if (sim_one_in(n->sim, PARTS_PER_MOMENT)) {
        sim_faults_halfway(n);
    }
}

/* ---- the answer comes, or none in time ---- */

static bool is_awaited(const struct call *k)
{
    const struct sim_node *n = k->from;
    return n->core != NULL && n->is_started && n->asks_state && n->state_call == k->number;
}

static void came(struct sim_node *n, const struct core_state_part *part)
{
    n->asks_state = false;
    core_state_came(n->core, part);
}

static void take_answer(struct sim_node *n, struct cb_span bytes)
{
    struct wire_state_reply m;
    if (wire_state_reply_decode(&m, bytes) != WIRE_OK) {
        sim_fail(n->sim, "wire", "what a node answers of its state does not parse");
    }
    if (m.result == WIRE_STATE_PART) {
        n->sim->counters.parts_told++;
        look_for_moment(n);
    }
    const struct core_state_part part = {
        .result = (enum core_state_result)(m.result - WIRE_STATE_PART),
        .copy = m.copy,
        .part = m.part,
        .is_last = m.is_last,
        .bytes = m.bytes,
    };
    came(n, &part);
    wire_state_reply_fini(&m);
}

static void on_answer(void *arg)
{
    struct call *k = arg;
    if (is_awaited(k)) {
        take_answer(k->from, cb_buf_span(&k->bytes));
    }
    drop_call(k);
}

static void on_deadline(void *arg)
{
    struct call *k = arg;
    if (is_awaited(k)) {
        came(k->from, NULL);
    }
    drop_call(k);
}

/* ---- the other node answers ---- */

static void flip_bit(struct sim *s, struct cb_buf *bytes)
{
    uint8_t *byte = bytes->base + bytes->start + sim_between(s, 0, cb_buf_len(bytes) - 1);
    *byte ^= (uint8_t)(1u << sim_between(s, 0, 7));
    s->counters.parts_flipped++;
}

/* No network does this, but whoever takes a state over must not rely on that. */
static void damage_some(struct sim *s, const struct call *k, struct cb_buf *bytes)
{
    if (cb_buf_len(bytes) > 0 && sim_between(s, 0, 999) < fake_world_net(s->world)->flipped) {
        sim_trace(s, "n%u is sent a damaged part of n%u's state", (unsigned)k->from->id,
                  (unsigned)k->to->id);
        flip_bit(s, bytes);
    }
}

static void put_answer(struct sim *s, struct call *k, const struct core_state_part *part)
{
    struct cb_buf bytes = CB_BUF_NULL;
    cb_buf_append(&bytes, part->bytes.ptr, part->bytes.len);
    damage_some(s, k, &bytes);
    const struct wire_state_reply m = {
        .id = k->to->id,
        .result = (uint32_t)part->result + WIRE_STATE_PART,
        .copy = part->copy,
        .part = part->part,
        .is_last = part->is_last,
        .bytes = cb_buf_span(&bytes),
    };
    cb_buf_clear(&k->bytes);
    wire_state_reply_encode(&m, &k->bytes);
    cb_buf_fini(&bytes);
}

void sim_state_answer(void *data, void *call, const struct core_state_part *part)
{
    struct sim_node *n = data;
    struct sim *s = n->sim;
    struct call *k = call;
    CB_ASSERT(k->to == n);
    if (part->result == CORE_STATE_PART) {
        look_for_moment(n);
    }
    if (sim_call_is_lost(s, k->to, k->from)) {
        drop_call(k);
        return;
    }
    put_answer(s, k, part);
    fake_at(&k->from->fake->process, sim_call_arrival_ns(s), on_answer, drop_call, k);
}

static void on_asked(void *arg)
{
    struct call *k = arg;
    struct wire_state_request q;
    if (k->to->core == NULL) {
        drop_call(k);
        return;
    }
    if (wire_state_request_decode(&q, cb_buf_span(&k->bytes)) != WIRE_OK) {
        sim_fail(k->to->sim, "wire", "a question for a part of a state does not parse");
    }
    const struct core_state_ask ask = {.copy = q.copy, .part = q.part, .at_least = q.at_least};
    core_state_asked(k->to->core, q.id, &ask, k);
}

/* ---- a node asks ---- */

static void put_question(struct call *k, const struct core_state_ask *ask)
{
    const struct wire_state_request q = {
        .id = k->from->id, .copy = ask->copy, .part = ask->part, .at_least = ask->at_least};
    wire_state_request_encode(&q, &k->bytes);
}

void sim_state_ask(void *data, uint64_t id, const struct core_state_ask *ask)
{
    struct sim_node *n = data;
    struct sim *s = n->sim;
    struct sim_node *to = &s->nodes[id];
    CB_ASSERT(!n->asks_state);
    n->asks_state = true;
    n->state_call++;
    fake_at(&n->fake->process, sim_now(s) + CORE_STATE_LATE_NS, on_deadline, drop_call,
            make_call(n, to));
    if (sim_node_is_up(to) && !sim_call_is_lost(s, n, to)) {
        struct call *k = make_call(n, to);
        put_question(k, ask);
        fake_at(&to->fake->process, sim_call_arrival_ns(s), on_asked, drop_call, k);
    }
}

void sim_state_boot(struct sim_node *n)
{
    n->asks_state = false;
    n->state_call++; /* that of the process before */
}
