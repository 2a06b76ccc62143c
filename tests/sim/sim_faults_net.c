/* What goes wrong in the network: between nodes, and between nodes and proxies. */
#include "sim/sim_faults_internal.h"

bool sim_link_is_cut(const struct sim *s, unsigned from, unsigned to)
{
    return s->cut[from][to] > 0;
}

void sim_fault_links_changed(struct sim *s)
{
    for (unsigned from = 1; from <= s->options.nodes; from++) {
        for (unsigned to = 1; to <= s->options.nodes; to++) {
            s->nodes[from].fake->cut_to[to] = s->cut[from][to] > 0;
        }
    }
    sim_streams_links_changed(s);
    sim_notice_links_changed(s);
}

static void cut_place(struct sim *s, unsigned who, uint64_t how, int by)
{
    unsigned places = SIM_NODES_MAX + 1 + s->options.proxies;
    for (unsigned other = 1; other < places; other++) {
        bool is_node = other <= SIM_NODES_MAX;
        if (other == who || (!is_node && (how & SIM_CUT_NODES_ALONE) != 0)) {
            continue;
        }
        s->cut[who][other] += (how & SIM_CUT_OUT) != 0 ? (unsigned)by : 0;
        s->cut[other][who] += (how & SIM_CUT_IN) != 0 ? (unsigned)by : 0;
    }
    sim_fault_links_changed(s);
}

static void mend_place(struct sim *s, unsigned who, uint64_t how)
{
    sim_trace(s, "place %u is reached again", who);
    cut_place(s, who, how, -1);
}

void sim_fault_cut_for(struct sim *s, unsigned who, uint64_t how, uint64_t ns)
{
    s->counters.partitions++;
    sim_trace(s, "place %u is cut off, how %u, for %u ms", who, (unsigned)how,
              (unsigned)(ns / CB_NS_PER_MS));
    cut_place(s, who, how, 1);
    sim_fault_mend_in(s, ns, mend_place, who, how);
}

static unsigned any_place(struct sim *s)
{
    return sim_one_in(s, 4) ? sim_place_of_proxy(sim_fault_any_proxy(s))
                            : (unsigned)sim_fault_any_node(s)->id;
}

static void cut_all(struct sim *s, int by)
{
    for (unsigned from = 1; from <= s->options.nodes; from++) {
        for (unsigned to = 1; to <= s->options.nodes; to++) {
            s->cut[from][to] += from != to ? (unsigned)by : 0;
        }
    }
    sim_fault_links_changed(s);
}

static void mend_all(struct sim *s, unsigned who, uint64_t what)
{
    (void)who;
    (void)what;
    sim_trace(s, "nodes reach each other again");
    cut_all(s, -1);
}

void sim_fault_switch_for(struct sim *s, uint64_t ns)
{
    s->counters.switches++;
    sim_trace(s, "no node reaches another for %u ms", (unsigned)(ns / CB_NS_PER_MS));
    cut_all(s, 1);
    sim_fault_mend_in(s, ns, mend_all, 0, 0);
}

void sim_fault_partition(struct sim *s)
{
    if (sim_one_in(s, 6)) {
        sim_fault_switch_for(s, sim_between(s, MILLIS(50), SECONDS(5)));
        return;
    }
    uint64_t how = SIM_CUT_IN | SIM_CUT_OUT | (sim_one_in(s, 3) ? SIM_CUT_NODES_ALONE : 0);
    unsigned who = any_place(s);
    sim_fault_cut_for(s, who, how, sim_between(s, MILLIS(50), SECONDS(12)));
}

void sim_fault_oneway(struct sim *s)
{
    uint64_t how = sim_one_in(s, 2) ? SIM_CUT_IN : SIM_CUT_OUT;
    how |= sim_one_in(s, 3) ? SIM_CUT_NODES_ALONE : 0;
    unsigned who = any_place(s);
    sim_fault_cut_for(s, who, how, sim_between(s, MILLIS(50), SECONDS(12)));
}

void sim_fault_lag(struct sim *s)
{
    s->counters.lags++;
    unsigned who = (unsigned)sim_between(s, 1, s->options.nodes);
    sim_fault_cut_for(s, who, SIM_CUT_IN | SIM_CUT_OUT | SIM_CUT_NODES_ALONE,
                      sim_between(s, SECONDS(5), SECONDS(30)));
}

void sim_fault_mend_loss(struct sim *s, unsigned who, uint64_t what)
{
    (void)who;
    (void)what;
    fake_world_net(s->world)->lost = 0;
    fake_world_net(s->world)->late = 0;
    fake_world_net(s->world)->held = 0;
    fake_world_net(s->world)->twice = 0;
    fake_world_net(s->world)->flipped = 0;
}

void sim_fault_loss(struct sim *s)
{
    fake_world_net(s->world)->lost = (unsigned)sim_between(s, 10, 400);
    sim_fault_mend_in(s, sim_between(s, MILLIS(500), SECONDS(10)), sim_fault_mend_loss, 0, 0);
}

void sim_fault_late(struct sim *s)
{
    fake_world_net(s->world)->late = (unsigned)sim_between(s, 5, 200);
    fake_world_net(s->world)->late_max_ns =
        sim_between(s, MILLIS(1), SECONDS(sim_one_in(s, 3) ? 8 : 1));
    fake_world_net(s->world)->held = (unsigned)sim_between(s, 0, 20);
    fake_world_net(s->world)->held_max_ns = HELD_MAX_NS;
    sim_fault_mend_in(s, sim_between(s, MILLIS(500), SECONDS(10)), sim_fault_mend_loss, 0, 0);
}

void sim_fault_twice(struct sim *s)
{
    fake_world_net(s->world)->twice = (unsigned)sim_between(s, 5, 200);
    sim_fault_mend_in(s, sim_between(s, MILLIS(500), SECONDS(10)), sim_fault_mend_loss, 0, 0);
}

void sim_fault_flip(struct sim *s)
{
    fake_world_net(s->world)->flipped = (unsigned)sim_between(s, 100, 1000);
    sim_fault_mend_in(s, sim_between(s, SECONDS(1), SECONDS(20)), sim_fault_mend_loss, 0, 0);
}

/* A process with the data of another cluster, or somebody who only found the port. */
void sim_fault_stranger(struct sim *s)
{
    struct sim_node *n = sim_fault_any_node(s);
    struct raft_message m = {.server_id = sim_between(s, SIM_NODES_MAX + 1, 100)};
    raft_term term = n->view.term + sim_between(s, 0, 3);
    if (!n->is_started || n->fake->process.paused_until_ns > sim_now(s)) {
        return;
    }
    switch (sim_between(s, 0, 3)) {
    case 0:
        m.type = RAFT_REQUEST_VOTE;
        m.request_vote = (struct raft_request_vote){.version = 2,
                                                    .term = term,
                                                    .candidate_id = m.server_id,
                                                    .last_log_index = 1000000,
                                                    .last_log_term = term};
        break;
    case 1:
        m.type = RAFT_REQUEST_VOTE_RESULT;
        m.request_vote_result =
            (struct raft_request_vote_result){.version = 2, .term = term, .vote_granted = true};
        break;
    case 2:
        m.type = RAFT_APPEND_ENTRIES;
        m.append_entries = (struct raft_append_entries){.version = 0,
                                                        .term = term,
                                                        .prev_log_index = 1,
                                                        .prev_log_term = 1,
                                                        .leader_commit = 1000000};
        break;
    default:
        m.type = RAFT_APPEND_ENTRIES_RESULT;
        m.append_entries_result = (struct raft_append_entries_result){
            .version = 1, .term = term, .last_log_index = 1000000};
        break;
    }
    sim_trace(s, "n%u hears a stranger", (unsigned)n->id);
    fake_deliver(n->fake, &m);
}

void sim_fault_cut(struct sim *s)
{
    if (sim_one_in(s, 4)) {
        sim_notice_reset(sim_fault_any_node(s));
        return;
    }
    struct sim_proxy *p = sim_fault_any_proxy(s);
    if (p->stream != NULL) {
        sim_stream_break(p->stream);
    }
}

static void leave_out(struct sim *s, unsigned who, uint64_t left)
{
    struct sim_proxy *p = &s->proxies[who];
    if (p->stream != NULL) {
        sim_stream_leave_out(p->stream);
    }
    if (left > 0) {
        sim_fault_mend_in(s, sim_between(s, 0, MILLIS(20)), leave_out, who, left - 1);
    }
}

/* Several times, since most moments find nothing on its way. */
void sim_fault_gap(struct sim *s)
{
    unsigned who = sim_fault_any_proxy(s)->number;
    leave_out(s, who, sim_between(s, 10, 200));
}
