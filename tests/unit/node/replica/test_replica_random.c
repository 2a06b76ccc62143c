/* Proves over random faults that no applied entry is lost or replaced and that all converge:
 * crashes, cut links, slow disks and stores, handovers, members so far behind that they need the
 * state. The simulation of the whole node goes further; this one is the replica's own.
 *
 * usage: test_replica_random [SEED [COUNT]], or SEED in the environment */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/node/replica/replica_harness.h"

#define STEPS 400
#define SLICE_MS 60
#define ENTRIES_MAX 100000
#define SEEDS_DEFAULT 40

static uint64_t first_seed = 1;
static uint64_t seed_count = SEEDS_DEFAULT;
static uint64_t installs;
static uint64_t crashes;
static uint64_t truncates;

/* Each has failed once: a lost state that nobody sent again; a snapshot that ends with an entry of
 * libraft's own; an install that overtook a cut of the log; a term stored twice. */
static const uint64_t corpus[] = {6, 10, 5042, 2996};

struct run {
    struct cluster c;
    struct cb_rng rng;
    uint64_t seed;
    /* By index: the digest of the state after it, as the first member that applied it had it. */
    uint64_t history[ENTRIES_MAX];
};

static struct run run;

static bool one_in(uint64_t n)
{
    return cb_rng_chance(&run.rng, 1, n);
}

/* Whatever a member has applied is what the others have at the same index. */
static void check_histories(void)
{
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        const struct toy_state *s = &run.c.m[i].state;
        if (run.c.m[i].r == NULL || s->applied.index == 0) {
            continue;
        }
        assert_true(s->applied.index < ENTRIES_MAX);
        uint64_t *known = &run.history[s->applied.index];
        *known = *known == 0 ? s->digest : *known;
        if (*known != s->digest) {
            fail_msg("seed %llu: member %zu differs at index %llu", (unsigned long long)run.seed,
                     i + 1, (unsigned long long)s->applied.index);
        }
    }
}

static void write_some(struct member *m)
{
    for (uint64_t n = cb_rng_below(&run.rng, 40); n > 0; n--) {
        char text[32];
        snprintf(text, sizeof text, "%llu", (unsigned long long)run.c.proposed++);
        if (member_propose(m, text) != REPLICA_PROPOSED) {
            return;
        }
    }
}

static void release(struct member *m)
{
    m->hold_lower = m->hold_install = m->hold_store = false;
    m->node->disk_stalled = false;
    m->node->disk_ms = 1;
    if (m->r == NULL) {
        return;
    }
    if (m->lower_waits) {
        member_lowered(m);
    }
    if (m->install_pending) {
        member_install(m);
    } else {
        member_store(m);
    }
    fake_node_enter(m->node);
    replica_hold_appends(m->r, false);
    fake_node_leave(m->node);
}

static void crash(struct member *m)
{
    truncates += member_counters(m).truncates_held;
    installs += member_counters(m).installs;
    crashes++;
    member_crash(m);
    m->install_pending = false;
    m->lower_waits = false;
}

static void boot(struct member *m)
{
    enum replica_start_result result = member_boot(m);
    if (result != REPLICA_STARTED) {
        fail_msg("seed %llu: member %zu did not start: %s", (unsigned long long)run.seed, m->at + 1,
                 replica_message(m->r));
    }
}

static void disturb(struct member *m)
{
    switch (cb_rng_below(&run.rng, 9)) {
    case 0:
        crash(m);
        break;
    case 1:
        fake_cut_off(m->node, true);
        break;
    case 2:
        m->node->cut_to[1 + cb_rng_below(&run.rng, HARNESS_MEMBERS)] = true;
        break;
    case 3:
        m->hold_store = true;
        break;
    case 4:
        m->hold_lower = true;
        break;
    case 5:
        m->hold_install = true;
        break;
    case 6:
        m->node->disk_ms = 1 + (unsigned)cb_rng_below(&run.rng, 50);
        break;
    case 7:
        fake_node_enter(m->node);
        (void)!replica_transfer(m->r, 0);
        fake_node_leave(m->node);
        break;
    default:
        fake_node_enter(m->node);
        replica_hold_appends(m->r, true);
        fake_node_leave(m->node);
        break;
    }
}

static void step(void)
{
    struct member *m = &run.c.m[cb_rng_below(&run.rng, HARNESS_MEMBERS)];
    if (m->r == NULL) {
        if (one_in(3)) {
            boot(m);
        }
    } else if (one_in(4)) {
        disturb(m);
    } else if (one_in(3)) {
        release(m);
        fake_cut_off(m->node, false);
    }
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        if (run.c.m[i].r != NULL && run.c.m[i].view.role == REPLICA_LEADER) {
            write_some(&run.c.m[i]);
        }
    }
    fake_world_run(run.c.world, cb_rng_below(&run.rng, SLICE_MS));
    check_histories();
}

static bool all_are_at_one_place(struct cluster *c)
{
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        if (c->m[i].state.digest != c->m[0].state.digest ||
            c->m[i].state.applied.index != c->m[0].state.applied.index) {
            return false;
        }
    }
    return true;
}

/* False when it leads no more: a handover that a fault held up may still come to pass. */
static bool writes_as_leader(struct member *m)
{
    uint64_t before = m->state.count;
    uint64_t deadline = fake_now_ms(run.c.world) + 120000;
    bool is_sent = false;
    while (m->view.role == REPLICA_LEADER && m->state.count == before) {
        is_sent = is_sent || member_propose(m, "after the faults") == REPLICA_PROPOSED;
        assert_true(fake_now_ms(run.c.world) < deadline);
        assert_true(fake_world_step(run.c.world));
    }
    return m->state.count > before;
}

static void heal_and_converge(void)
{
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        release(&run.c.m[i]);
        fake_cut_off(run.c.m[i].node, false);
        if (run.c.m[i].r == NULL) {
            boot(&run.c.m[i]);
        }
    }
    while (!writes_as_leader(cluster_elect(&run.c))) {
    }
    cluster_run_until(&run.c, 120000, all_are_at_one_place);
    check_histories();
}

static void run_seed(uint64_t seed)
{
    memset(&run, 0, sizeof run);
    run.seed = seed;
    cb_rng_init(&run.rng, seed);
    cluster_init_empty(&run.c, seed);
    run.c.config.snapshot_threshold = 64;
    run.c.config.snapshot_trailing = 128;
    run.c.config.inflight_max = 16;
    run.c.config.disk_timeout_ms = 1000000; /* held disks are no broken ones here */
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        member_bootstrap(&run.c.m[i]);
        boot(&run.c.m[i]);
    }
    for (int i = 0; i < STEPS; i++) {
        step();
    }
    heal_and_converge();
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        installs += member_counters(&run.c.m[i]).installs;
        truncates += member_counters(&run.c.m[i]).truncates_held;
    }
    cluster_fini(&run.c);
}

static void what_failed_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof corpus / sizeof corpus[0]; i++) {
        print_message("seed %llu\n", (unsigned long long)corpus[i]);
        run_seed(corpus[i]);
    }
}

static void nothing_is_lost_and_all_converge(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < seed_count; i++) {
        print_message("seed %llu\n", (unsigned long long)(first_seed + i));
        run_seed(first_seed + i);
    }
    print_message("%llu crashes, %llu installs, %llu cuts\n", (unsigned long long)crashes,
                  (unsigned long long)installs, (unsigned long long)truncates);
    if (seed_count >= SEEDS_DEFAULT) {
        /* Else the faults do not reach what they are for. */
        assert_true(crashes > 0 && installs > 0 && truncates > 0);
    }
}

int main(int argc, char **argv)
{
    const char *seed = argc > 1 ? argv[1] : getenv("SEED");
    if (seed != NULL) {
        first_seed = strtoull(seed, NULL, 10);
        seed_count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_failed_once),
        cmocka_unit_test(nothing_is_lost_and_all_converge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
