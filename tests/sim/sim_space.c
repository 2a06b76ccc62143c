/* The room on the nodes' disks (design D9): how a leader asks for it, and that puts are refused
 * only when disks are short of it. */
#include <inttypes.h>

#include "common/base/cb_mem.h"
#include "common/wire/wire_cluster.h"
#include "sim/sim_faults_internal.h"

#define ROOM (4 * SIM_RESERVE_SPACE)
#define ANSWER_LATE_NS CB_NS_PER_S
/* From a look at a disk to the entry that it leads to: an answer counts for a while, and an entry
 * can wait for a majority. */
#define WORD_LATE_NS SECONDS(60)

uint64_t sim_space_free(void *data)
{
    const struct sim_node *n = data;
    return n->disk_is_full ? 0 : n->disk_is_low ? SIM_RESERVE_SPACE / 2 : ROOM;
}

/* ---- one node asks another, as gRPC would have it ---- */

struct call {
    struct sim_node *from, *to;
    uint64_t number; /* of the asker, by `to` */
    uint64_t free_bytes;
};

static void answered(const struct call *k, const uint64_t *free_bytes)
{
    uint64_t *number = &k->from->space_calls[k->to->id];
    if (*number == k->number) {
        ++*number;
        core_space_answered(k->from->core, k->to->id, free_bytes);
    }
}

static void on_answer(void *arg)
{
    struct call k = *(struct call *)arg;
    cb_free(arg);
    if (k.from->core != NULL && k.from->is_started) {
        answered(&k, &k.free_bytes);
    }
}

/* Through the bytes that a socket would have. */
static uint64_t by_wire(struct sim *s, uint64_t free_bytes)
{
    struct cb_buf bytes = CB_BUF_NULL;
    struct wire_identify_reply m = {
        .state = WIRE_IDENTIFY_BOOTSTRAPPED, .free_known = true, .free = free_bytes};
    wire_identify_reply_encode(&m, &bytes);
    if (wire_identify_reply_decode(&m, cb_buf_span(&bytes)) != WIRE_OK || !m.free_known) {
        sim_fail(s, "wire", "what a node says of its disk does not parse");
    }
    cb_buf_fini(&bytes);
    return m.free;
}

static void on_asked(void *arg)
{
    struct call *k = arg;
    struct sim *s = k->to->sim;
    if (k->to->core == NULL || sim_call_is_lost(s, k->to, k->from)) {
        cb_free(k);
        return;
    }
    k->free_bytes = by_wire(s, sim_space_free(k->to));
    fake_at(&k->from->fake->process, sim_call_arrival_ns(s), on_answer, cb_free, k);
}

static void on_deadline(void *arg)
{
    struct call k = *(struct call *)arg;
    cb_free(arg);
    if (k.from->core != NULL && k.from->is_started) {
        answered(&k, NULL);
    }
}

void sim_space_ask(void *data, uint64_t id)
{
    struct sim_node *n = data;
    struct sim *s = n->sim;
    struct call k = {.from = n, .to = &s->nodes[id], .number = n->space_calls[id]};
    fake_at(&n->fake->process, sim_now(s) + ANSWER_LATE_NS, on_deadline, cb_free,
            cb_memdup(&k, sizeof k));
    if (sim_node_is_up(k.to) && !sim_call_is_lost(s, k.from, k.to)) {
        fake_at(&k.to->fake->process, sim_call_arrival_ns(s), on_asked, cb_free,
                cb_memdup(&k, sizeof k));
    }
}

/* ---- the fault ---- */

static void mend_low(struct sim *s, unsigned who, uint64_t what)
{
    (void)what;
    struct sim_node *n = &s->nodes[who];
    n->disk_is_low = false;
    s->short_ns = sim_now(s);
}

/* Often of so many that it is a majority. */
void sim_fault_disk_low(struct sim *s)
{
    uint64_t times = sim_between(s, 1, 2 * s->options.first);
    for (uint64_t i = 0; i < times; i++) {
        struct sim_node *n = sim_fault_any_node(s);
        if (!n->disk_is_low) {
            sim_trace(s, "n%u: disk low", (unsigned)n->id);
            s->counters.disks_low++;
            n->disk_is_low = true;
            sim_fault_mend_in(s, sim_between(s, SECONDS(1), SECONDS(20)), mend_low, (unsigned)n->id,
                              0);
        }
    }
}

/* ---- what the log says ---- */

static bool any_is_short(struct sim *s)
{
    for (uint32_t id = 1; id <= s->options.nodes; id++) {
        if (sim_space_free(&s->nodes[id]) < ROOM) {
            return true;
        }
    }
    return s->short_ns != 0 && sim_now(s) - s->short_ns < WORD_LATE_NS;
}

void sim_space_applied(struct sim *s, bool is_short)
{
    if (is_short && !s->is_short) {
        s->counters.spaces_short++;
        if (!any_is_short(s)) {
            sim_fail(s, "D9", "puts are refused, and no disk was short of space for %u s",
                     (unsigned)(WORD_LATE_NS / CB_NS_PER_S));
        }
    }
    s->is_short = is_short;
}

void sim_space_end(struct sim *s)
{
    if (s->is_short) {
        sim_fail(s, "D9", "puts are still refused, though all disks have room again");
    }
}
