/* The room on the nodes' disks (design D9): how a leader asks for it, and that puts are refused
 * only when disks are short of it. */
#include <inttypes.h>

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

static void tell(struct sim_node *n, struct cb_buf *out)
{
    struct wire_identify_reply m = {
        .state = WIRE_IDENTIFY_BOOTSTRAPPED, .free_known = true, .free = sim_space_free(n)};
    wire_identify_reply_encode(&m, out);
}

static void take(struct sim_node *n, uint64_t id, struct cb_span answer)
{
    struct wire_identify_reply m;
    if (answer.ptr == NULL) {
        core_space_answered(n->core, id, NULL);
        return;
    }
    if (wire_identify_reply_decode(&m, answer) != WIRE_OK || !m.free_known) {
        sim_fail(n->sim, "wire", "what a node says of its disk does not parse");
    }
    core_space_answered(n->core, id, &m.free);
}

static const struct sim_method method = {SIM_CALL_SPACE, ANSWER_LATE_NS, tell, take};

void sim_space_ask(void *data, uint64_t id)
{
    sim_call_ask(data, id, &method);
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
