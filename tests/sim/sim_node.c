/* A node: a machine with a disk and a clock, and the process that runs on it. What node.c does with
 * libuv in the product is done here with events. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/cb_mem.h"
#include "sim/sim.h"

#define TURN_MAX_NS 200000 /* from an event to the end of the loop's turn */
#define WORK_NS (20 * CB_NS_PER_MS)
#define LONG_WORK_NS                                                                               \
    (4 *                                                                                           \
     CB_NS_PER_S) /* rare: the parts of a state are hundreds of works in turn; none in a run   \
                       * without faults, where clients wait for bodies that are read so */
#define DISK_TIMEOUT_MS 10000

/* ---- time ---- */

static uint64_t local_ns(void *ctx)
{
    const struct sim_node *n = ctx;
    return fake_local_ns(&n->fake->process);
}

static uint64_t wall_ns(void *ctx)
{
    const struct sim_node *n = ctx;
    return (uint64_t)((int64_t)local_ns(ctx) + n->wall_offset_ns);
}

struct timer_event {
    struct sim_node *node;
    enum core_timer which;
    uint64_t number;
};

static void schedule_timer(struct sim_node *n, enum core_timer which);

static void on_timer(void *arg)
{
    struct timer_event e = *(struct timer_event *)arg;
    struct sim_timer *t = &e.node->timers[e.which];
    cb_free(arg);
    if (t->number != e.number) {
        return;
    }
    if (local_ns(e.node) < t->at_ns) {
        schedule_timer(e.node, e.which);
        return;
    }
    t->at_ns = JSM_NEVER;
    core_timer_fired(e.node->core, e.which);
}

static void schedule_timer(struct sim_node *n, enum core_timer which)
{
    struct timer_event e = {n, which, n->timers[which].number};
    fake_at(&n->fake->process, fake_moment_of_ns(&n->fake->process, n->timers[which].at_ns),
            on_timer, cb_free, cb_memdup(&e, sizeof e));
}

static void set_timer(void *data, enum core_timer which, uint64_t at_ns)
{
    struct sim_node *n = data;
    n->timers[which].at_ns = at_ns;
    n->timers[which].number++;
    if (at_ns != JSM_NEVER) {
        schedule_timer(n, which);
    }
}

/* ---- turns of the loop ---- */

static void on_turn(void *arg)
{
    struct sim_node *n = arg;
    n->turn_is_due = false;
    n->is_turn = true;
    replica_turn(n->replica);
    core_before_sleep(n->core);
}

/* After each event of the process. */
static void after_event(void *ctx)
{
    struct sim_node *n = ctx;
    if (n->core == NULL || !n->is_started) {
        return;
    }
    sim_check_node(n);
    if (!n->turn_is_due && !n->is_turn) {
        n->turn_is_due = true;
        fake_at(&n->fake->process, sim_now(n->sim) + sim_between(n->sim, 0, TURN_MAX_NS), on_turn,
                sim_drop_nothing, n);
    }
    n->is_turn = false;
}

/* ---- what the core asks for ---- */

struct work {
    void (*run)(void *arg);
    void (*done)(void *arg);
    void *arg;
    struct sim_node *node;
};

static void on_work_done(void *arg)
{
    struct work w = *(struct work *)arg;
    cb_free(arg);
    w.done(w.arg);
}

/* Between the two the process may die: what was done is done, and nobody was told. */
static void on_work(void *arg)
{
    struct work *w = arg;
    struct sim *s = w->node->sim;
    w->run(w->arg);
    uint64_t most = sim_one_in(s, 30) && s->options.faults != 0 ? LONG_WORK_NS : WORK_NS;
    fake_at(&w->node->fake->process, sim_now(s) + sim_between(s, 0, most), on_work_done, cb_free,
            w);
}

static void work(void *data, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
    struct sim_node *n = data;
    struct work w = {run, done, arg, n};
    fake_at(&n->fake->process, sim_now(n->sim) + sim_between(n->sim, 0, CB_NS_PER_MS), on_work,
            cb_free, cb_memdup(&w, sizeof w));
}

static void stream_send(void *data, void *owner, const struct wire_to_proxy *message)
{
    (void)data;
    sim_stream_down(owner, message);
}

static bool stream_can_send(void *data, void *owner)
{
    (void)data;
    return sim_stream_node_can_send(owner);
}

static void stream_end(void *data, void *owner, enum proposer_end why, const char *text)
{
    (void)data;
    sim_stream_end(owner, why, text);
}

static void stream_set_reading(void *data, void *owner, bool on)
{
    (void)data;
    sim_stream_set_reading(owner, on);
}

static void serving(void *data, bool is_serving)
{
    struct sim_node *n = data;
    sim_trace(n->sim, "n%u %s", (unsigned)n->id, is_serving ? "serves" : "serves no more");
    if (is_serving) {
        n->served_term = core_view(n->core)->term;
        n->served_ns = sim_now(n->sim);
    }
}

static void led(void *data, uint64_t term, const char *leader)
{
    struct sim_node *n = data;
    sim_notice_led(n, term, leader);
    if (strcmp(leader, sim_node_address(n)) == 0) {
        sim_members_led(n);
    }
}

static void on_stranger(void *data, uint64_t id, const char *address)
{
    (void)address;
    sim_members_ask(data, id);
}

static void on_members(void *data)
{
    sim_members_changed(data);
    sim_notice_members(data);
}

static bool must_wait(void *data)
{
    (void)data;
    return false;
}

static const char *address_of(void *data, uint64_t id)
{
    struct sim_node *n = data;
    return id >= 1 && id <= n->sim->options.nodes ? sim_node_address(&n->sim->nodes[id]) : "";
}

const char *sim_node_address(const struct sim_node *n)
{
    static const char *const addresses[SIM_NODES_MAX + 1] = {"",     "n1:1", "n2:1", "n3:1",
                                                             "n4:1", "n5:1", "n6:1", "n7:1"};
    return addresses[n->id];
}

/* A fault explains the end of the process. */
static bool may_die(const struct sim_node *n)
{
    return n->fake->append_status != 0 || n->fake->faults.load_status != 0 || n->rot_hidden > 0 ||
           n->disk_is_full; /* in the middle of a swap of states */
}

/* It was to fetch the state of a leader that is gone (core_install.c). */
static bool is_stuck(const struct sim_node *n, const char *sentence)
{
    bool is_alone = sim_is_safety(n->sim) || sim_leader(n->sim) == NULL;
    bool is_so = is_alone && strstr(sentence, "it begins anew with its next start") != NULL;
    n->sim->counters.installs_stuck += is_so;
    return is_so;
}

static _Noreturn void die(void *data, const char *sentence)
{
    struct sim_node *n = data;
    if (!may_die(n) && !is_stuck(n, sentence)) {
        sim_fail(n->sim, "death", "node %u ended itself without a fault that explains it: %s",
                 (unsigned)n->id, sentence);
    }
    sim_trace(n->sim, "n%u dies: %s", (unsigned)n->id, sentence);
    n->sim->counters.deaths++;
    n->sim->dying = n;
    longjmp(n->sim->dead, 1);
}

static uint64_t free_bytes(void *data)
{
    const struct sim_node *n = data;
    return n->disk_is_full ? 0 : UINT64_MAX;
}

/* ---- what the checkers see ---- */

static void watch(void *data, const struct replica_entry *e, const struct jsm *machine)
{
    struct sim_node *n = data;
    if (e == NULL) {
        sim_trace(n->sim, "n%u has the state of another at %llu", (unsigned)n->id,
                  (unsigned long long)jsm_index(machine));
        sim_oracle_installed(n->sim->oracle, n->id, machine);
        return;
    }
    sim_note(n->sim, n->id, jsm_log_digest(machine));
    sim_say(n->sim, "n%u applies %llu.%llu", (unsigned)n->id, (unsigned long long)e->index,
            (unsigned long long)e->term);
    bool is_first = e->index > sim_oracle_index(n->sim->oracle);
    sim_oracle_applied(n->sim->oracle, n->id, e->index, e->term, e->bytes, machine);
    if (is_first) {
        sim_clock_stamped(n->sim, e->term, machine);
        sim_space_applied(n->sim, jsm_is_short_of_space(machine));
    }
}

/* ---- life ---- */

static void on_store_notify(void *data)
{
    struct sim_node *n = data;
    core_store_notified(n->core);
}

/* Machines whose addresses it has before there is a log. */
static uint32_t known_at_first(const struct sim_node *n)
{
    const struct sim_options *o = &n->sim->options;
    return n->id <= o->first ? o->first : o->nodes;
}

void sim_member_fill(uint64_t id, struct replica_member *out)
{
    out->id = id;
    snprintf(out->name, sizeof out->name, "n%u", (unsigned)id);
    snprintf(out->address, sizeof out->address, "%u", (unsigned)id);
}

static void make_core(struct sim_node *n)
{
    struct core_config config = {
        .self = n->id,
        .session_timeout_ns = n->sim->options.session_timeout_ns,
        .reserve_space = SIM_RESERVE_SPACE,
        .state_part_size = n->sim->options.part_size,
        .session_queue_bytes = n->sim->options.queue_bytes,
        .body_cache = n->sim->options.body_cache,
        .steps = n->sim->options.steps,
        .data_dir = n->dir,
    };
    for (uint64_t id = 1; id <= known_at_first(n); id++) {
        config.members[config.n_members++] = id;
    }
    const struct core_env env = {
        .data = n,
        .clock = &n->clock,
        .set_timer = set_timer,
        .work = work,
        .stream_send = stream_send,
        .stream_can_send = stream_can_send,
        .stream_end = stream_end,
        .stream_set_reading = stream_set_reading,
        .serving = serving,
        .led = led,
        .must_wait = must_wait,
        .members = on_members,
        .stranger = on_stranger,
        .address_of = address_of,
        .ask_clock = sim_clock_ask,
        .ask_digests = sim_digest_ask,
        .differs = sim_digest_differs,
        .free_space = sim_space_free,
        .ask_space = sim_space_ask,
        .ask_state = sim_state_ask,
        .answer_state = sim_state_answer,
        .die = die,
    };
    n->core = core_create(&config, &env, n->store);
    core_watch(n->core, watch, n);
    sim_oracle_loaded(n->sim->oracle, n->id, core_machine(n->core));
}

static void make_replica(struct sim_node *n)
{
    struct replica_member members[SIM_NODES_MAX];
    struct replica_config c;
    struct replica_events events;
    const struct replica_env env = {.data = n, .free_bytes = free_bytes, .die = die};
    struct sim *s = n->sim;
    memset(members, 0, sizeof members);
    replica_config_default(&c);
    for (uint32_t i = 0; i < known_at_first(n); i++) {
        sim_member_fill(i + 1, &members[i]);
    }
    c.members = members;
    c.member_count = known_at_first(n);
    c.self = n->id - 1;
    c.snapshot_threshold = s->options.snapshots[n->id].threshold;
    c.snapshot_trailing = s->options.snapshots[n->id].trailing;
    c.inflight_max = s->options.inflight_max;
    c.log_bytes = s->options.log_bytes;
    c.disk_timeout_ms = DISK_TIMEOUT_MS;
    c.seed = (uint32_t)sim_between(s, 1, UINT32_MAX);
    c.applied = core_stored_applied(n->core);
    c.appended = core_stored_appended(n->core);
    core_replica_events(n->core, &events);
    n->replica = replica_create(&c, &events, &env, fake_node_boot(n->fake));
    core_set_replica(n->core, n->replica);
}

static void start_replica(struct sim_node *n)
{
    fake_node_enter(n->fake);
    if (!n->is_bootstrapped && n->id <= n->sim->options.first) {
        n->is_bootstrapped = true;
        if (!replica_bootstrap(n->replica)) {
            sim_fail(n->sim, "start", "node %u is not empty", (unsigned)n->id);
        }
    }
    enum replica_start_result r = replica_start(n->replica);
    fake_node_leave(n->fake);
    if (r == REPLICA_STARTED) {
        n->is_started = true;
        core_started(n->core);
        after_event(n);
        return;
    }
    if (!may_die(n)) {
        sim_fail(n->sim, "start", "node %u does not start: %s", (unsigned)n->id,
                 replica_message(n->replica));
    }
    sim_trace(n->sim, "n%u refuses to start: %s", (unsigned)n->id, replica_message(n->replica));
    n->sim->counters.starts_refused++;
}

void sim_node_boot(struct sim_node *n)
{
    CB_ASSERT(n->core == NULL);
    const struct fake_disk *d = &n->fake->disk;
    sim_trace(n->sim, "n%u boots", (unsigned)n->id);
    sim_say(n->sim, "n%u has a snapshot at %llu with the members of %llu, entries %llu to %llu",
            (unsigned)n->id, d->snapshot_index, d->snapshot_conf_index, d->first,
            fake_disk_last(d));
    n->is_started = false;
    n->turn_is_due = n->is_turn = false;
    n->installs = false;
    n->commit_index = n->steps = 0;
    for (int i = 0; i < CORE_TIMER_COUNT; i++) {
        n->timers[i].at_ns = JSM_NEVER;
        n->timers[i].number++;
    }
    for (uint32_t id = 1; id <= SIM_NODES_MAX; id++) {
        for (int kind = 0; kind < SIM_CALL_KINDS; kind++) {
            n->calls[kind][id]++; /* those of the process before */
        }
    }
    sim_state_boot(n);
    n->store = sim_store_open(n, on_store_notify);
    make_core(n);
    make_replica(n);
    start_replica(n);
    if (!n->is_started) {
        sim_node_crash(n);
    }
}

static void add_counters(struct replica_counters *to, const struct replica_counters *c)
{
#define X(name, what) to->name += c->name;
    REPLICA_COUNTERS(X)
#undef X
}

struct replica_counters sim_node_counters(const struct sim_node *n)
{
    struct replica_counters sum = n->counters;
    if (n->is_started && n->core != NULL) {
        struct replica_status status;
        replica_status(n->replica, &status);
        add_counters(&sum, &status.counters);
    }
    return sum;
}

struct proposer_counters sim_node_proposer_counters(const struct sim_node *n)
{
    struct proposer_counters sum = n->proposer_counters;
    if (n->core != NULL) {
        const struct proposer_counters *p = proposer_counters_get(core_proposer(n->core));
#define X(name, what) sum.name += p->name;
        PROPOSER_COUNTERS(X)
#undef X
    }
    return sum;
}

static void keep_counters(struct sim_node *n)
{
    n->counters = sim_node_counters(n);
    n->proposer_counters = sim_node_proposer_counters(n);
}

void sim_node_crash(struct sim_node *n)
{
    CB_ASSERT(n->core != NULL);
    sim_trace(n->sim, "n%u is gone", (unsigned)n->id);
    fake_node_enter(n->fake);
    keep_counters(n);
    fake_node_leave(n->fake);
    n->sim->counters.installs_cut += n->installs;
    sim_streams_of_node_lost(n);
    if (n->sim->dying == n) {
        /* It died in the middle of something: what it holds may be in no order. */
        n->sim->dying = NULL;
        fake_node_crash(n->fake);
    } else {
        fake_node_crash(n->fake);
        replica_destroy(n->replica);
        core_destroy(n->core);
    }
    sim_store_crash(n->store);
    n->core = NULL;
    n->replica = NULL;
    n->store = NULL;
    n->is_started = false;
    n->view = (struct replica_view){0};
    sim_notice_node_lost(n);
}

void sim_node_set_full(struct sim_node *n, bool is_full)
{
    n->disk_is_full = is_full;
    n->fake->disk_stalled = is_full;
}

static void on_torn(void *ctx)
{
    struct sim_node *n = ctx;
    n->sim->counters.torn_appends++;
}

static void set_disk(struct sim_node *n)
{
    const struct sim_options *o = &n->sim->options;
    n->fake->faults = (struct fake_disk_faults){
        .min_ns = o->disk_ns / 2,
        .max_ns = o->disk_ns * 2,
        .snapshot_max_ns = 3 * CB_NS_PER_S,
        .crash_keeps = (o->faults >> SIM_FAULT_TORN & 1) != 0 ? 600 : 0,
        .torn = on_torn,
        .torn_ctx = n,
    };
    if (o->lmdb) {
        snprintf(n->dir, sizeof n->dir, "/dev/shm/coolbeans-sim.%d/n%u", (int)getpid(),
                 (unsigned)n->id);
    } else {
        n->disk = store_mem_disk_create("sim");
    }
}

void sim_node_init(struct sim *s, uint64_t id)
{
    struct sim_node *n = &s->nodes[id];
    n->sim = s;
    n->id = id;
    n->fake = fake_node_add(s->world, id);
    n->fake->process.after = after_event;
    n->fake->process.after_ctx = n;
    n->fake->process.clock_offset_ns = sim_between(s, 0, 100 * CB_NS_PER_S);
    n->wall_offset_ns = (int64_t)(UINT64_C(1700000000) * CB_NS_PER_S);
    if (sim_has(s, SIM_FAULT_CLOCK)) {
        n->fake->process.drift_ppm = (int64_t)sim_between(s, 0, 60000) - 30000;
        n->wall_offset_ns += (int64_t)sim_between(s, 0, 7200 * CB_NS_PER_S);
    }
    n->clock = (struct cb_clock){local_ns, local_ns, wall_ns, n};
    cb_list_init(&n->streams);
    set_disk(n);
}

struct sim_node *sim_leader(struct sim *s)
{
    for (uint32_t id = 1; id <= s->options.nodes; id++) {
        struct sim_node *n = &s->nodes[id];
        if (n->is_started && proposer_is_serving(core_proposer(n->core))) {
            return n;
        }
    }
    return NULL;
}
