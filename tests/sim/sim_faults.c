/* What goes wrong, and when: one fault after another, several at once, half of them at the leader;
 * each is mended after a while. In the end all are, and stay so. */
#include <string.h>

#include "common/base/cb_mem.h"
#include "sim/sim.h"

#define SECONDS(n) ((uint64_t)(n)*CB_NS_PER_S)
#define MILLIS(n) ((uint64_t)(n)*CB_NS_PER_MS)
#define STEP_BACK_MAX_NS SECONDS(3600)
#define STEP_ON_MAX_NS MILLIS(500)

/* ---- whom ---- */

static struct sim_node *any_node(struct sim *s)
{
    struct sim_node *leader = sim_leader(s);
    return leader != NULL && sim_one_in(s, 2) ? leader
                                              : &s->nodes[sim_between(s, 1, s->options.nodes)];
}

static struct sim_proxy *any_proxy(struct sim *s)
{
    return &s->proxies[sim_between(s, 0, s->options.proxies - 1)];
}

/* ---- mending: each fault undoes itself, unless the end has done so before ---- */

struct mend {
    struct sim *sim;
    void (*run)(struct sim *s, unsigned who, uint64_t what);
    unsigned who;
    uint64_t what;
};

static void on_mend(void *arg)
{
    struct mend m = *(struct mend *)arg;
    cb_free(arg);
    if (sim_is_safety(m.sim)) {
        m.run(m.sim, m.who, m.what);
    }
}

static void mend_in(struct sim *s,
                    uint64_t ns,
                    void (*run)(struct sim *s, unsigned who, uint64_t what),
                    unsigned who,
                    uint64_t what)
{
    struct mend m = {s, run, who, what};
    sim_at(s, sim_now(s) + ns, on_mend, cb_memdup(&m, sizeof m));
}

/* ---- the network ---- */

bool sim_link_is_cut(const struct sim *s, unsigned from, unsigned to)
{
    return s->cut[from][to] > 0;
}

static void links_changed(struct sim *s)
{
    for (unsigned from = 1; from <= s->options.nodes; from++) {
        for (unsigned to = 1; to <= s->options.nodes; to++) {
            s->nodes[from].fake->cut_to[to] = s->cut[from][to] > 0;
        }
    }
    sim_streams_links_changed(s);
}

enum { CUT_OUT = 1, CUT_IN = 2, CUT_NODES_ALONE = 4 };

static void cut_place(struct sim *s, unsigned who, uint64_t how, int by)
{
    unsigned places = SIM_NODES_MAX + 1 + s->options.proxies;
    for (unsigned other = 1; other < places; other++) {
        bool is_node = other <= SIM_NODES_MAX;
        if (other == who || (!is_node && (how & CUT_NODES_ALONE) != 0)) {
            continue;
        }
        s->cut[who][other] += (how & CUT_OUT) != 0 ? (unsigned)by : 0;
        s->cut[other][who] += (how & CUT_IN) != 0 ? (unsigned)by : 0;
    }
    links_changed(s);
}

static void mend_place(struct sim *s, unsigned who, uint64_t how)
{
    sim_trace(s, "place %u is reached again", who);
    cut_place(s, who, how, -1);
}

static void cut_for(struct sim *s, unsigned who, uint64_t how, uint64_t ns)
{
    s->counters.partitions++;
    sim_trace(s, "place %u is cut off, how %u, for %u ms", who, (unsigned)how,
              (unsigned)(ns / CB_NS_PER_MS));
    cut_place(s, who, how, 1);
    mend_in(s, ns, mend_place, who, how);
}

static unsigned any_place(struct sim *s)
{
    return sim_one_in(s, 4) ? sim_place_of_proxy(any_proxy(s)) : (unsigned)any_node(s)->id;
}

static void do_partition(struct sim *s)
{
    uint64_t how = CUT_IN | CUT_OUT | (sim_one_in(s, 3) ? CUT_NODES_ALONE : 0);
    unsigned who = any_place(s);
    cut_for(s, who, how, sim_between(s, MILLIS(50), SECONDS(12)));
}

static void do_oneway(struct sim *s)
{
    uint64_t how = sim_one_in(s, 2) ? CUT_IN : CUT_OUT;
    how |= sim_one_in(s, 3) ? CUT_NODES_ALONE : 0;
    unsigned who = any_place(s);
    cut_for(s, who, how, sim_between(s, MILLIS(50), SECONDS(12)));
}

static void do_lag(struct sim *s)
{
    s->counters.lags++;
    unsigned who = (unsigned)sim_between(s, 1, s->options.nodes);
    cut_for(s, who, CUT_IN | CUT_OUT | CUT_NODES_ALONE, sim_between(s, SECONDS(5), SECONDS(30)));
}

static void mend_loss(struct sim *s, unsigned who, uint64_t what)
{
    (void)who;
    (void)what;
    fake_world_net(s->world)->lost = 0;
    fake_world_net(s->world)->late = 0;
    fake_world_net(s->world)->twice = 0;
    fake_world_net(s->world)->flipped = 0;
}

static void do_loss(struct sim *s)
{
    fake_world_net(s->world)->lost = (unsigned)sim_between(s, 10, 400);
    mend_in(s, sim_between(s, MILLIS(500), SECONDS(10)), mend_loss, 0, 0);
}

static void do_late(struct sim *s)
{
    fake_world_net(s->world)->late = (unsigned)sim_between(s, 5, 200);
    fake_world_net(s->world)->late_max_ns =
        sim_between(s, MILLIS(1), SECONDS(sim_one_in(s, 3) ? 8 : 1));
    mend_in(s, sim_between(s, MILLIS(500), SECONDS(10)), mend_loss, 0, 0);
}

static void do_twice(struct sim *s)
{
    fake_world_net(s->world)->twice = (unsigned)sim_between(s, 5, 200);
    mend_in(s, sim_between(s, MILLIS(500), SECONDS(10)), mend_loss, 0, 0);
}

static void do_flip(struct sim *s)
{
    fake_world_net(s->world)->flipped = (unsigned)sim_between(s, 100, 1000);
    mend_in(s, sim_between(s, SECONDS(1), SECONDS(20)), mend_loss, 0, 0);
}

/* A process with the data of another cluster, or somebody who only found the port. */
static void do_stranger(struct sim *s)
{
    struct sim_node *n = any_node(s);
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

static void do_cut(struct sim *s)
{
    struct sim_proxy *p = any_proxy(s);
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
        mend_in(s, sim_between(s, 0, MILLIS(20)), leave_out, who, left - 1);
    }
}

/* Several times, since most moments find nothing on its way. */
static void do_gap(struct sim *s)
{
    unsigned who = any_proxy(s)->number;
    leave_out(s, who, sim_between(s, 10, 200));
}

/* ---- processes ---- */

static void boot(struct sim *s, unsigned who, uint64_t what)
{
    (void)what;
    if (!sim_node_is_up(&s->nodes[who])) {
        sim_node_boot(&s->nodes[who]);
    }
}

static void boot_later(struct sim_node *n)
{
    struct sim *s = n->sim;
    uint64_t ns = sim_one_in(s, 3) ? 0 : sim_between(s, 0, SECONDS(8));
    mend_in(s, ns, boot, (unsigned)n->id, 0);
}

static void crash(struct sim_node *n)
{
    if (sim_node_is_up(n)) {
        n->sim->counters.crashes++;
        sim_node_crash(n);
        boot_later(n);
    }
}

static void do_crash(struct sim *s)
{
    crash(any_node(s));
}

static void do_crash_all(struct sim *s)
{
    s->counters.crashes_all++;
    for (uint32_t id = 1; id <= s->options.nodes; id++) {
        crash(&s->nodes[id]);
    }
}

void sim_faults_died(struct sim_node *n)
{
    n->fake->append_status = 0;
    if (sim_is_safety(n->sim)) {
        boot_later(n);
    } else {
        sim_node_boot(n);
    }
}

static void do_pause(struct sim *s)
{
    uint64_t ns = sim_between(s, MILLIS(20), SECONDS(sim_one_in(s, 4) ? 20 : 3));
    bool is_proxy = sim_one_in(s, 4);
    struct fake_process *p = is_proxy ? &any_proxy(s)->process : &any_node(s)->fake->process;
    if (p->up && p->paused_until_ns <= sim_now(s)) {
        s->counters.pauses++;
        sim_trace(s, "%s stands still for %u ms", is_proxy ? "a proxy" : "a node",
                  (unsigned)(ns / CB_NS_PER_MS));
        p->paused_until_ns = sim_now(s) + ns;
    }
}

static void boot_proxy(struct sim *s, unsigned who, uint64_t what)
{
    (void)what;
    if (s->proxies[who].engine == NULL) {
        sim_proxy_boot(&s->proxies[who]);
    }
}

/* Comes back at once: so that what it has forgotten matters in the same term. */
static void crash_one_shortly(struct sim_node *n)
{
    if (sim_node_is_up(n)) {
        n->sim->counters.crashes++;
        sim_node_crash(n);
        mend_in(n->sim, sim_between(n->sim, 0, MILLIS(20)), boot, (unsigned)n->id, 0);
    }
}

static void crash_shortly(struct sim *s)
{
    crash_one_shortly(any_node(s));
}

static void on_moment(void *arg)
{
    struct sim *s = arg;
    if (!sim_is_safety(s)) {
        return;
    }
    if (sim_one_in(s, 4)) {
        uint64_t how = sim_one_in(s, 2) ? CUT_IN : CUT_OUT;
        unsigned who = (unsigned)any_node(s)->id;
        cut_for(s, who, how | CUT_NODES_ALONE, sim_between(s, MILLIS(5), SECONDS(2)));
    } else {
        crash_shortly(s);
    }
}

void sim_faults_moment(struct sim *s)
{
    if (sim_has(s, SIM_FAULT_TIMELY) && sim_is_safety(s) && sim_one_in(s, 3)) {
        sim_at(s, sim_now(s) + sim_between(s, 0, 4 * s->options.net_ns), on_moment, s);
    }
}

static void on_halfway(void *arg)
{
    struct sim_node *n = arg;
    if (sim_is_safety(n->sim)) {
        crash_one_shortly(n);
    }
}

void sim_faults_halfway(struct sim_node *n)
{
    struct sim *s = n->sim;
    if (sim_is_safety(s) && sim_has(s, SIM_FAULT_TIMELY) && sim_one_in(s, 6)) {
        uint64_t within = sim_one_in(s, 2) ? 4 * s->options.disk_ns : CB_NS_PER_S / 4;
        sim_at(s, sim_now(s) + sim_between(s, 0, within), on_halfway, n);
    }
}

static void do_proxy(struct sim *s)
{
    struct sim_proxy *p = any_proxy(s);
    if (p->engine != NULL) {
        s->counters.proxy_crashes++;
        sim_proxy_crash(p);
        uint64_t ns = sim_one_in(s, 2) ? 0 : sim_between(s, 0, 2 * s->options.session_timeout_ns);
        mend_in(s, ns, boot_proxy, p->number, 0);
    }
}

/* ---- disks ---- */

static void mend_slow(struct sim *s, unsigned who, uint64_t what)
{
    (void)what;
    s->nodes[who].fake->faults.max_ns = s->options.disk_ns * 2;
}

static void do_slow_disk(struct sim *s)
{
    struct sim_node *n = any_node(s);
    n->fake->faults.max_ns = sim_between(s, s->options.disk_ns * 2, SECONDS(1));
    mend_in(s, sim_between(s, MILLIS(100), SECONDS(10)), mend_slow, (unsigned)n->id, 0);
}

static void mend_full(struct sim *s, unsigned who, uint64_t what)
{
    (void)what;
    sim_node_set_full(&s->nodes[who], false);
}

static void do_disk_full(struct sim *s)
{
    struct sim_node *n = any_node(s);
    if (!n->disk_is_full) {
        s->counters.disks_full++;
        sim_trace(s, "n%u: disk full", (unsigned)n->id);
        sim_node_set_full(n, true);
        mend_in(s, sim_between(s, MILLIS(100), SECONDS(15)), mend_full, (unsigned)n->id, 0);
    }
}

static void do_eio(struct sim *s)
{
    struct sim_node *n = any_node(s);
    if (sim_node_is_up(n)) {
        n->fake->append_status = RAFT_IOERR;
    }
}

static void mend_rot(struct sim *s, unsigned who, uint64_t hidden)
{
    struct sim_node *n = &s->nodes[who];
    n->fake->faults.load_status = 0;
    n->fake->disk.count += hidden;
    n->rot_hidden = 0;
    boot(s, who, 0);
}

/* How many entries must go so that the log ends before what the node knows to have confirmed. */
static size_t entries_to_hide(const struct sim_node *n, uint64_t confirmed)
{
    const struct fake_disk *d = &n->fake->disk;
    uint64_t last = d->first + d->count - 1;
    bool is_in_log = confirmed > d->snapshot_index && confirmed >= d->first && last >= confirmed;
    return is_in_log ? (size_t)(last - confirmed + 1) : 0;
}

static void do_rot(struct sim *s)
{
    struct sim_node *n = any_node(s);
    if (!sim_node_is_up(n)) {
        return;
    }
    uint64_t confirmed = core_stored_appended(n->core).index;
    s->counters.crashes++;
    sim_node_crash(n);
    n->rot_hidden = sim_one_in(s, 2) ? entries_to_hide(n, confirmed) : 0;
    n->fake->faults.load_status = n->rot_hidden > 0 ? 0 : RAFT_CORRUPT;
    n->fake->disk.count -= n->rot_hidden;
    sim_node_boot(n);
    if (sim_node_is_up(n)) {
        sim_fail(s, "D12", "node %u starts with a log that has lost its end", (unsigned)n->id);
    }
    mend_in(s, sim_between(s, 0, SECONDS(8)), mend_rot, (unsigned)n->id, n->rot_hidden);
}

/* ---- the rest ---- */

/* Backwards by up to an hour, forwards by little: a node that has only replayed takes what its wall
 * clock has gained for time that has passed, as long as it does not ask the others (design D2). */
static void do_clock(struct sim *s)
{
    s->counters.clock_steps++;
    bool is_back = !sim_one_in(s, 4);
    int64_t by = (int64_t)sim_between(s, 0, is_back ? STEP_BACK_MAX_NS : STEP_ON_MAX_NS);
    any_node(s)->wall_offset_ns += is_back ? -by : by;
}

static void on_transfer(void *arg)
{
    struct sim_node *n = arg;
    if (n->is_started && replica_transfer(n->replica, 0)) {
        n->sim->counters.transfers++;
    }
}

static void do_transfer(struct sim *s)
{
    struct sim_node *n = sim_leader(s);
    if (n != NULL) {
        fake_at(&n->fake->process, sim_now(s), on_transfer, sim_drop_nothing, n);
    }
}

static void do_torn(struct sim *s)
{
    do_crash(s); /* the class makes that crash, and every other one, catch writes half done */
}

static void do_client(struct sim *s)
{
    sim_conn_reset_one(s);
}

static void (*const what_to_do[SIM_FAULT_COUNT])(struct sim *s) = {
    [SIM_FAULT_LOSS] = do_loss,
    [SIM_FAULT_LATE] = do_late,
    [SIM_FAULT_TWICE] = do_twice,
    [SIM_FAULT_FLIP] = do_flip,
    [SIM_FAULT_STRANGER] = do_stranger,
    [SIM_FAULT_PARTITION] = do_partition,
    [SIM_FAULT_ONEWAY] = do_oneway,
    [SIM_FAULT_LAG] = do_lag,
    [SIM_FAULT_CUT] = do_cut,
    [SIM_FAULT_GAP] = do_gap,
    [SIM_FAULT_CRASH] = do_crash,
    [SIM_FAULT_CRASH_ALL] = do_crash_all,
    [SIM_FAULT_TORN] = do_torn,
    [SIM_FAULT_PAUSE] = do_pause,
    [SIM_FAULT_SLOW_DISK] = do_slow_disk,
    [SIM_FAULT_DISK_FULL] = do_disk_full,
    [SIM_FAULT_EIO] = do_eio,
    [SIM_FAULT_ROT] = do_rot,
    [SIM_FAULT_CLOCK] = do_clock,
    [SIM_FAULT_TRANSFER] = do_transfer,
    [SIM_FAULT_TIMELY] = crash_shortly,
    [SIM_FAULT_PROXY] = do_proxy,
    [SIM_FAULT_CLIENT] = do_client,
};

static bool is_skipped(const struct sim *s, uint64_t number)
{
    return number < SIM_SKIP_MAX && (s->skip[number / 64] >> number % 64 & 1) != 0;
}

/* Each fault has numbers of its own: when one is left out, the others stay what and when they
 * were. */
static void on_next(void *arg)
{
    struct sim *s = arg;
    if (!sim_is_safety(s)) {
        return;
    }
    struct cb_rng rest = s->rng;
    uint64_t number = s->n_faults++;
    cb_rng_init(&s->rng, s->options.seed ^ (number + 1) * UINT64_C(0x9e3779b97f4a7c15));
    enum sim_fault f = (enum sim_fault)sim_between(s, 0, SIM_FAULT_COUNT - 1);
    while ((s->options.drawn >> f & 1) == 0) {
        f = (f + 1) % SIM_FAULT_COUNT;
    }
    sim_at(s, sim_now(s) + sim_between(s, 0, 2 * s->options.fault_gap_ns), on_next, s);
    if (sim_has(s, f) && !is_skipped(s, number)) {
        sim_trace(s, "fault %u: %s", (unsigned)number, sim_fault_name(f));
        what_to_do[f](s);
    }
    s->rng = rest;
}

void sim_faults_start(struct sim *s)
{
    fake_world_net(s->world)->min_ns = s->options.net_ns / 2;
    fake_world_net(s->world)->max_ns = s->options.net_ns * 2;
    fake_world_net(s->world)->told_lost = 500;
    if (s->options.drawn != 0) {
        sim_at(s, sim_now(s) + sim_between(s, 0, 2 * s->options.fault_gap_ns), on_next, s);
    }
}

static void mend_node(struct sim_node *n)
{
    struct sim *s = n->sim;
    sim_node_set_full(n, false);
    n->fake->append_status = 0;
    n->fake->faults.max_ns = s->options.disk_ns * 2;
    if (n->rot_hidden > 0 || n->fake->faults.load_status != 0) {
        mend_rot(s, (unsigned)n->id, n->rot_hidden);
    }
    boot(s, (unsigned)n->id, 0);
}

void sim_faults_end(struct sim *s)
{
    sim_trace(s, "all faults end");
    memset(s->cut, 0, sizeof s->cut);
    mend_loss(s, 0, 0);
    for (uint32_t id = 1; id <= s->options.nodes; id++) {
        mend_node(&s->nodes[id]);
    }
    for (uint32_t i = 0; i < s->options.proxies; i++) {
        boot_proxy(s, i, 0);
    }
    links_changed(s);
}
