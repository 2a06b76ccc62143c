/* What goes wrong, and when: one fault after another, several at once, half of them at the leader;
 * each is mended after a while. In the end all are, and stay so. */
#include <string.h>

#include "common/base/cb_mem.h"
#include "sim/sim_faults_internal.h"

#define STEP_BACK_MAX_NS SECONDS(3600)
#define STEP_ON_MAX_NS SECONDS(3600)

/* ---- whom ---- */

struct sim_node *sim_fault_any_node(struct sim *s)
{
    struct sim_node *leader = sim_leader(s);
    return leader != NULL && sim_one_in(s, 2) ? leader
                                              : &s->nodes[sim_between(s, 1, s->options.nodes)];
}

struct sim_proxy *sim_fault_any_proxy(struct sim *s)
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

void sim_fault_mend_in(struct sim *s,
                       uint64_t ns,
                       void (*run)(struct sim *s, unsigned who, uint64_t what),
                       unsigned who,
                       uint64_t what)
{
    struct mend m = {s, run, who, what};
    sim_at(s, sim_now(s) + ns, on_mend, cb_memdup(&m, sizeof m));
}

/* ---- processes ---- */

void sim_fault_boot(struct sim *s, unsigned who, uint64_t what)
{
    (void)what;
    const struct sim_node *n = &s->nodes[who];
    if (!sim_node_is_up(n) && !n->stays_down && !n->is_retired) {
        sim_node_boot(&s->nodes[who]);
    }
}

static void boot_later(struct sim_node *n)
{
    struct sim *s = n->sim;
    uint64_t ns = sim_one_in(s, 3) ? 0 : sim_between(s, 0, SECONDS(8));
    sim_fault_mend_in(s, ns, sim_fault_boot, (unsigned)n->id, 0);
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
    crash(sim_fault_any_node(s));
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
        sim_fault_boot(n->sim, (unsigned)n->id, 0);
    }
}

static void do_pause(struct sim *s)
{
    uint64_t ns = sim_between(s, MILLIS(20), SECONDS(sim_one_in(s, 4) ? 20 : 3));
    bool is_proxy = sim_one_in(s, 4);
    struct fake_process *p =
        is_proxy ? &sim_fault_any_proxy(s)->process : &sim_fault_any_node(s)->fake->process;
    if (p->up && p->paused_until_ns <= sim_now(s)) {
        s->counters.pauses++;
        sim_trace(s, "%s stands still for %u ms", is_proxy ? "a proxy" : "a node",
                  (unsigned)(ns / CB_NS_PER_MS));
        p->paused_until_ns = sim_now(s) + ns;
        sim_streams_links_changed(s);
        sim_notice_links_changed(s);
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
static void do_proxy(struct sim *s)
{
    struct sim_proxy *p = sim_fault_any_proxy(s);
    if (p->engine != NULL) {
        s->counters.proxy_crashes++;
        sim_proxy_crash(p);
        uint64_t ns = sim_one_in(s, 2) ? 0 : sim_between(s, 0, 2 * s->options.session_timeout_ns);
        sim_fault_mend_in(s, ns, boot_proxy, p->number, 0);
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
    struct sim_node *n = sim_fault_any_node(s);
    n->fake->faults.max_ns = sim_between(s, s->options.disk_ns * 2, SECONDS(1));
    sim_fault_mend_in(s, sim_between(s, MILLIS(100), SECONDS(10)), mend_slow, (unsigned)n->id, 0);
}

static void mend_full(struct sim *s, unsigned who, uint64_t what)
{
    (void)what;
    sim_node_set_full(&s->nodes[who], false);
    s->short_ns = sim_now(s);
}

static void do_disk_full(struct sim *s)
{
    struct sim_node *n = sim_fault_any_node(s);
    if (!n->disk_is_full) {
        s->counters.disks_full++;
        sim_trace(s, "n%u: disk full", (unsigned)n->id);
        sim_node_set_full(n, true);
        sim_fault_mend_in(s, sim_between(s, MILLIS(100), SECONDS(15)), mend_full, (unsigned)n->id,
                          0);
    }
}

static void do_eio(struct sim *s)
{
    struct sim_node *n = sim_fault_any_node(s);
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
    sim_fault_boot(s, who, 0);
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
    struct sim_node *n = sim_fault_any_node(s);
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
    sim_fault_mend_in(s, sim_between(s, 0, SECONDS(8)), mend_rot, (unsigned)n->id, n->rot_hidden);
}

/* ---- the rest ---- */

/* Either way, while its node runs or is down. */
static void do_clock(struct sim *s)
{
    s->counters.clock_steps++;
    struct sim_node *n = sim_fault_any_node(s);
    bool is_back = sim_one_in(s, 2);
    uint64_t by = sim_between(s, 0, is_back ? STEP_BACK_MAX_NS : STEP_ON_MAX_NS);
    n->wall_offset_ns += is_back ? -(int64_t)by : (int64_t)by;
    n->wall_stepped_on_ns += is_back ? 0 : by;
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
    [SIM_FAULT_LOSS] = sim_fault_loss,
    [SIM_FAULT_LATE] = sim_fault_late,
    [SIM_FAULT_TWICE] = sim_fault_twice,
    [SIM_FAULT_FLIP] = sim_fault_flip,
    [SIM_FAULT_STRANGER] = sim_fault_stranger,
    [SIM_FAULT_PARTITION] = sim_fault_partition,
    [SIM_FAULT_ONEWAY] = sim_fault_oneway,
    [SIM_FAULT_LAG] = sim_fault_lag,
    [SIM_FAULT_CUT] = sim_fault_cut,
    [SIM_FAULT_GAP] = sim_fault_gap,
    [SIM_FAULT_CRASH] = do_crash,
    [SIM_FAULT_CRASH_ALL] = do_crash_all,
    [SIM_FAULT_TORN] = do_torn,
    [SIM_FAULT_PAUSE] = do_pause,
    [SIM_FAULT_SLOW_DISK] = do_slow_disk,
    [SIM_FAULT_DISK_FULL] = do_disk_full,
    [SIM_FAULT_DISK_LOW] = sim_fault_disk_low,
    [SIM_FAULT_EIO] = do_eio,
    [SIM_FAULT_ROT] = do_rot,
    [SIM_FAULT_CLOCK] = do_clock,
    [SIM_FAULT_TRANSFER] = do_transfer,
    [SIM_FAULT_TIMELY] = sim_fault_crash_shortly,
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
    sim_faults_plan_last_act(s);
}

static void mend_node(struct sim_node *n)
{
    struct sim *s = n->sim;
    sim_node_set_full(n, false);
    n->disk_is_low = false;
    s->short_ns = sim_now(s);
    n->fake->append_status = 0;
    n->fake->faults.max_ns = s->options.disk_ns * 2;
    if (n->rot_hidden > 0 || n->fake->faults.load_status != 0) {
        mend_rot(s, (unsigned)n->id, n->rot_hidden);
    }
    sim_fault_boot(s, (unsigned)n->id, 0);
}

void sim_fault_leave_down(struct sim_node *n)
{
    if (n->stays_down) {
        return;
    }
    n->sim->counters.left_down++;
    n->stays_down = true;
    if (sim_node_is_up(n)) {
        sim_node_crash(n);
    }
}

void sim_faults_boot_rest(struct sim *s)
{
    for (uint32_t id = 1; id <= s->options.nodes; id++) {
        s->nodes[id].stays_down = false;
        sim_fault_boot(s, id, 0);
    }
}

void sim_faults_end(struct sim *s)
{
    sim_trace(s, "all faults end");
    memset(s->cut, 0, sizeof s->cut);
    sim_fault_mend_loss(s, 0, 0);
    for (uint32_t i = 0; i < s->options.left_down; i++) {
        if (!s->has_last_act) {
            sim_fault_leave_down(sim_fault_any_node(s));
        }
    }
    for (uint32_t id = 1; id <= s->options.nodes; id++) {
        mend_node(&s->nodes[id]);
    }
    for (uint32_t i = 0; i < s->options.proxies; i++) {
        boot_proxy(s, i, 0);
    }
    sim_fault_links_changed(s);
}
