/* The cluster's clock (design D2): how nodes ask each other for it, and that it never shows more
 * time than has passed. */
#include <inttypes.h>

#include "common/wire/wire_cluster.h"
#include "sim/sim.h"

/* The drift of the fastest machine (sim_node.c), and what rounding adds. */
#define DRIFT_PER_MILLE 31

/* ---- one node asks another, as gRPC would have it ---- */

static void tell(struct sim_node *n, struct cb_buf *out)
{
    struct prop_clock_word w = core_clock_tell(n->core);
    struct wire_clock_reply m = {
        .id = n->id, .knows = w.knows, .now_ns = w.now_ns, .index = w.index, .term = w.term};
    wire_clock_reply_encode(&m, out);
}

static void take(struct sim_node *n, uint64_t id, struct cb_span answer)
{
    struct wire_clock_reply m;
    if (answer.ptr == NULL) {
        core_clock_answered(n->core, id, NULL);
        return;
    }
    if (wire_clock_reply_decode(&m, answer) != WIRE_OK) {
        sim_fail(n->sim, "wire", "what a node says of its clock does not parse");
    }
    n->sim->counters.clocks_told += m.knows;
    const struct prop_clock_word word = {m.knows, m.now_ns, m.index, m.term};
    core_clock_answered(n->core, id, &word);
}

static const struct sim_method method = {SIM_CALL_CLOCK, CORE_CLOCK_LATE_NS, tell, take};

void sim_clock_ask(void *data, uint64_t id)
{
    sim_call_ask(data, id, &method);
}

/* ---- what it shows ---- */

/* Wall clocks may be asked when all nodes that can be reached have restarted; but one alone must
 * not move anything. */
static bool is_by_walls(const struct sim *s, uint64_t ns)
{
    uint32_t n = 0;
    for (uint32_t id = 1; id <= s->options.nodes; id++) {
        n += s->nodes[id].wall_stepped_on_ns >= ns;
    }
    return n >= (s->options.first > 1 ? 2 : 1);
}

/* When the leader of the term had settled its clock; 0: none has said so. */
static uint64_t settled_ns(const struct sim *s, uint64_t term)
{
    uint64_t at = 0;
    for (uint32_t id = 1; id <= s->options.nodes; id++) {
        at = s->nodes[id].served_term == term ? s->nodes[id].served_ns : at;
    }
    return at;
}

/* A leader had to guess. What is lost by that is not made up for until it begins anew again. The
 * stamp is of then or a little later. */
static void begun(struct sim *s, uint64_t term, uint64_t stamp_ns)
{
    uint64_t at = settled_ns(s, term) + s->clock_ahead_ns;
    s->clock_lost_ns = at > stamp_ns ? at - stamp_ns : 0;
    s->counters.clocks_begun_late += s->clock_lost_ns >= CB_NS_PER_S;
    sim_trace(s, "the cluster's clock begins anew, %" PRIu64 " ms late",
              s->clock_lost_ns / CB_NS_PER_MS);
}

/* It began at 0, with the first leader; so a stamp is at most the time of the simulation, whatever
 * wall clocks do, or time that never was has passed for the cluster. */
void sim_clock_stamped(struct sim *s, uint64_t term, const struct jsm *machine)
{
    uint64_t now = sim_now(s), stamp_ns = jsm_stamp_ns(machine);
    uint64_t most = now + s->clock_ahead_ns - s->clock_lost_ns;
    most += sim_has(s, SIM_FAULT_CLOCK) ? now / 1000 * DRIFT_PER_MILLE : 0;
    s->stamped_ns = now;
    s->stamp_ns = stamp_ns;
    if (stamp_ns > most) {
        if (!is_by_walls(s, stamp_ns - most)) {
            sim_fail(s, "D2",
                     "the cluster's clock is %" PRIu64 " ms ahead of all time there was, but for "
                     "%" PRIu64 " ms that were lost, and no two wall clocks were put forward by as "
                     "much",
                     (stamp_ns - most) / CB_NS_PER_MS, s->clock_lost_ns / CB_NS_PER_MS);
        }
        sim_trace(s, "wall clocks take the cluster's clock %" PRIu64 " ms ahead",
                  (stamp_ns - most) / CB_NS_PER_MS);
        s->counters.clocks_by_wall++;
        s->clock_ahead_ns += stamp_ns - most;
    }
    if (jsm_clock_index(machine) == jsm_index(machine)) {
        begun(s, term, stamp_ns);
    }
}
