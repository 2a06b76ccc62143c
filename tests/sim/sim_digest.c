/* How nodes ask each other whether their states are equal (design D8). No fault of the simulator
 * makes them differ, so a node that finds that it does is wrong, or has found a defect. */
#include "common/base/cb_mem.h"
#include "common/wire/wire_digests.h"
#include "sim/sim.h"

struct call {
    struct sim_node *from, *to;
    uint32_t n;
    struct core_checkpoint told[CB_DIGESTS_TOLD];
};

static void on_answer(void *arg)
{
    struct call *k = arg;
    if (k->from->core != NULL && k->from->is_started) {
        k->from->sim->counters.digests_told += k->n;
        uint64_t before = core_digest_counters_get(k->from->core)->same;
        core_digests_answered(k->from->core, k->to->id, k->told, k->n);
        k->from->sim->counters.digests_equal +=
            core_digest_counters_get(k->from->core)->same - before;
    }
    cb_free(k);
}

/* Through the bytes that a socket would have. */
static void by_wire(struct call *k)
{
    struct wire_digests_reply m = {.id = k->to->id, .n = k->n};
    struct cb_buf bytes = CB_BUF_NULL;
    for (uint32_t i = 0; i < k->n; i++) {
        m.index[i] = k->told[i].index;
        m.digest[i] = k->told[i].digest;
    }
    wire_digests_reply_encode(&m, &bytes);
    if (wire_digests_reply_decode(&m, cb_buf_span(&bytes)) != WIRE_OK || m.n != k->n) {
        sim_fail(k->to->sim, "wire", "what a node says of its state does not parse");
    }
    for (uint32_t i = 0; i < k->n; i++) {
        k->told[i] = (struct core_checkpoint){m.index[i], m.digest[i]};
    }
    cb_buf_fini(&bytes);
}

static void on_asked(void *arg)
{
    struct call *k = arg;
    struct sim *s = k->to->sim;
    if (k->to->core == NULL || sim_call_is_lost(s, k->to, k->from)) {
        cb_free(k);
        return;
    }
    k->n = core_digests_tell(k->to->core, k->told);
    by_wire(k);
    fake_at(&k->from->fake->process, sim_call_arrival_ns(s), on_answer, cb_free, k);
}

void sim_digest_ask(void *data, uint64_t id)
{
    struct sim_node *n = data;
    struct sim *s = n->sim;
    struct call k = {.from = n, .to = &s->nodes[id]};
    if (sim_node_is_up(k.to) && !sim_call_is_lost(s, k.from, k.to)) {
        fake_at(&k.to->fake->process, sim_call_arrival_ns(s), on_asked, cb_free,
                cb_memdup(&k, sizeof k));
    }
}

void sim_digest_differs(void *data, const char *sentence)
{
    const struct sim_node *n = data;
    sim_fail(n->sim, "P15", "node %u: %s", (unsigned)n->id, sentence);
}
