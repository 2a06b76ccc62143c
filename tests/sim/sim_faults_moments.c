/* Faults in the middle of what takes several steps: elections, installs, handovers. By chance alone
 * they would hardly ever meet. */
#include "sim/sim_faults_internal.h"

#define LATE_ALL 1000 /* per mille */
#define LAST_ACT_NS SECONDS(4)
#define LAG_HELD_MAX_NS SECONDS(3) /* for a hundred entries, and a snapshot */

bool sim_fault_crash_one_shortly(struct sim_node *n)
{
    if (!sim_node_is_up(n)) {
        return false;
    }
    n->sim->counters.crashes++;
    sim_node_crash(n);
    sim_fault_mend_in(n->sim, sim_between(n->sim, 0, MILLIS(20)), sim_fault_boot, (unsigned)n->id,
                      0);
    return true;
}

void sim_fault_crash_shortly(struct sim *s)
{
    (void)sim_fault_crash_one_shortly(sim_fault_any_node(s));
}

static void on_moment(void *arg)
{
    struct sim *s = arg;
    if (!sim_is_safety(s)) {
        return;
    }
    if (sim_one_in(s, 4)) {
        uint64_t how = sim_one_in(s, 2) ? SIM_CUT_IN : SIM_CUT_OUT;
        unsigned who = (unsigned)sim_fault_any_node(s)->id;
        sim_fault_cut_for(s, who, how | SIM_CUT_NODES_ALONE, sim_between(s, MILLIS(5), SECONDS(2)));
    } else {
        sim_fault_crash_shortly(s);
    }
}

void sim_faults_moment(struct sim *s)
{
    bool may = sim_has(s, SIM_FAULT_TIMELY) && sim_is_safety(s) && !sim_members_are_two(s);
    if (may && sim_one_in(s, 3)) {
        sim_at(s, sim_now(s) + sim_between(s, 0, 4 * s->options.net_ns), on_moment, s);
    }
}

static void on_halfway(void *arg)
{
    struct sim_node *n = arg;
    if (sim_is_safety(n->sim)) {
        (void)sim_fault_crash_one_shortly(n);
    }
}

void sim_faults_halfway(struct sim_node *n)
{
    struct sim *s = n->sim;
    bool may = sim_is_safety(s) && sim_has(s, SIM_FAULT_TIMELY) && !sim_members_are_two(s);
    if (may && sim_one_in(s, 6)) {
        uint64_t within = sim_one_in(s, 2) ? 4 * s->options.disk_ns : CB_NS_PER_S / 4;
        sim_at(s, sim_now(s) + sim_between(s, 0, within), on_halfway, n);
    }
}

static void on_state_sent(void *arg)
{
    struct sim *s = arg;
    if (sim_is_safety(s)) {
        sim_fault_switch_for(s, sim_between(s, MILLIS(700), MILLIS(2500)));
    }
}

static void send_late(struct sim *s)
{
    fake_world_net(s->world)->late = LATE_ALL;
    fake_world_net(s->world)->late_max_ns = SECONDS(8);
    sim_fault_mend_in(s, MILLIS(50), sim_fault_mend_loss, 0, 0);
}

/* When it arrives the same leader may lead a later term. */
static void send_late_and_switch(struct sim *s)
{
    send_late(s);
    sim_at(s, sim_now(s) + sim_between(s, 0, MILLIS(200)), on_state_sent, s);
}

void sim_faults_state_sent(struct sim *s)
{
    bool may = sim_is_safety(s) && sim_has(s, SIM_FAULT_TIMELY) && sim_has(s, SIM_FAULT_LATE);
    if (may && sim_one_in(s, 3)) {
        send_late_and_switch(s);
    }
}

static void on_unheard(void *arg)
{
    struct sim_node *n = arg;
    if (sim_is_safety(n->sim)) {
        sim_fault_cut_for(n->sim, (unsigned)n->id, SIM_CUT_OUT | SIM_CUT_NODES_ALONE,
                          sim_between(n->sim, MILLIS(300), SECONDS(2)));
    }
}

/* A member that has just joined is sent the log from its beginning: this comes late, in a later
 * term of the same leader, or when the member has compacted its own log; or the member is not heard
 * for a while, and is sent it again. */
static void sent_from_zero(struct sim *s, struct sim_node *to)
{
    s->counters.logs_from_zero++;
    if (!sim_one_in(s, 2)) {
        return;
    }
    if (!sim_has(s, SIM_FAULT_LATE) || sim_one_in(s, 3)) {
        sim_at(s, sim_now(s), on_unheard, to);
    } else if (sim_one_in(s, 2)) {
        send_late_and_switch(s);
    } else {
        send_late(s);
    }
}

/* The other leads within a round trip, and this one takes a while to notice. */
void sim_faults_handed_over(struct sim_node *n)
{
    struct sim *s = n->sim;
    if (sim_is_safety(s) && sim_has(s, SIM_FAULT_TIMELY) && sim_one_in(s, 2)) {
        s->counters.deaf_leaders++;
        sim_fault_cut_for(s, (unsigned)n->id, SIM_CUT_IN | SIM_CUT_NODES_ALONE,
                          sim_between(s, MILLIS(300), SECONDS(2)));
    }
}

/* The socket to a member that lags is full for a while, during which the log behind it may go. */
void sim_faults_entries_sent(struct sim_node *n, const struct raft_message *m)
{
    struct sim *s = n->sim;
    const struct raft_append_entries *a = &m->append_entries;
    uint64_t kept = s->options.snapshots[n->id].trailing;
    bool may = sim_is_safety(s) && sim_has(s, SIM_FAULT_TIMELY);
    if (a->n_entries > 0) {
        sim_members_entries_sent(n);
    }
    if (may && a->n_entries > 0 && a->prev_log_index == 0) {
        sent_from_zero(s, &s->nodes[m->server_id]);
    } else if (may && sim_has(s, SIM_FAULT_LATE) && a->n_entries > 0 &&
               a->prev_log_index + kept / 2 < fake_disk_last(&n->fake->disk) && sim_one_in(s, 4)) {
        s->counters.links_held++;
        fake_world_hold(s->world, n->id, m->server_id, sim_between(s, 0, LAG_HELD_MAX_NS));
    }
}

/* ---- the last act: of two nodes that are left, one has the longer log and the lower term ---- */

static void on_candidate_gone(void *arg)
{
    struct sim_node *n = arg;
    if (sim_is_safety(n->sim)) {
        sim_fault_leave_down(n);
        n->sim->has_last_act = true;
    }
}

/* Whoever votes has the new term, and the one it votes for never hears of it. */
void sim_faults_voted(struct sim *s, uint64_t voter, uint64_t candidate)
{
    sim_members_voted(s, voter, candidate);
    if (s->last_leader != 0 && candidate != s->last_leader) {
        s->last_leader = 0;
        sim_at(s, sim_now(s), on_candidate_gone, &s->nodes[candidate]);
    }
}

static void on_last_act(void *arg)
{
    struct sim *s = arg;
    const struct sim_node *leader = sim_leader(s);
    if (leader != NULL) {
        s->last_leader = leader->id;
        sim_fault_cut_for(s, (unsigned)leader->id, SIM_CUT_IN | SIM_CUT_OUT | SIM_CUT_NODES_ALONE,
                          LAST_ACT_NS);
    }
}

void sim_faults_plan_last_act(struct sim *s)
{
    if (s->options.first == 3 && s->options.nodes == 3 && s->options.left_down > 0 &&
        sim_has(s, SIM_FAULT_TIMELY) && sim_one_in(s, 2)) {
        sim_at(s, s->options.duration_ns - LAST_ACT_NS, on_last_act, s);
    }
}
