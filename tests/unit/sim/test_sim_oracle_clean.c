/* Proves that the simulator's oracle is quiet about nodes that do what the log says, restarted,
 * behind and installed as they may be, on the random logs of the lock-step test. */
#include "unit/sim/oracle_fixture.h"

#include "model/lockstep_log.h"
#include "support/seed.h"

enum { ENTRIES = 600 };

static uint64_t first_seed = 1;

/* An entry has no number 0; the generator's dropped requests have. */
static void number(struct lockstep_entry *e)
{
    lockstep_number(e, sim_oracle_model(fixture.oracle));
    for (uint32_t i = 0; i < e->entry.n_items; i++) {
        struct jsm_item *it = &e->numbered[i];
        bool needs_one = it->kind == JSM_ITEM_ACK || it->kind == JSM_ITEM_REQUEST;
        it->number += needs_one && it->number == 0;
    }
}

static void
random_step(struct lockstep_log *log, struct cb_rng *rng, const struct lockstep_profile *profile)
{
    uint64_t node = 1 + cb_rng_below(rng, ORACLE_NODES);
    struct oracle_node *n = &fixture.nodes[node - 1];
    if (n->at == fixture.n_log) {
        lockstep_generate(log, rng, profile, sim_oracle_model(fixture.oracle));
        struct lockstep_entry *e = &log->entries[log->n - 1];
        number(e);
        (void)oracle_append(e->index, 1 + e->index / 100, &e->entry);
    }
    oracle_apply(node, n->at);
    if (cb_rng_chance(rng, 1, 10)) {
        oracle_store(node);
    }
    if (cb_rng_chance(rng, 1, 40)) {
        oracle_restart(node);
    }
    uint64_t from = 1 + cb_rng_below(rng, ORACLE_NODES);
    if (from != node && fixture.nodes[from - 1].stored > n->at && cb_rng_chance(rng, 1, 10)) {
        oracle_install(from, node);
    }
}

static void run_clean(uint64_t seed, struct sim_oracle_counters *sum)
{
    struct lockstep_log log = {NULL, 0};
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    while (fixture.n_log < ENTRIES) {
        random_step(&log, &rng, &lockstep_profiles[seed % lockstep_profile_count]);
    }
    for (uint64_t node = 1; node <= ORACLE_NODES; node++) {
        sim_oracle_compare(fixture.oracle, node,
                           fixture.nodes[node - 1].machine); /* some are behind */
        while (fixture.nodes[node - 1].at < fixture.n_log) {
            oracle_apply(node, fixture.nodes[node - 1].at);
        }
        sim_oracle_compare(fixture.oracle, node, fixture.nodes[node - 1].machine);
    }
    assert_int_equal(sim_oracle_index(fixture.oracle), fixture.log[fixture.n_log - 1].index);
    const struct sim_oracle_counters *c = sim_oracle_counters_get(fixture.oracle);
    assert_int_equal(c->entries, fixture.n_log);
    assert_int_equal(c->results, fixture.results);
    assert_true(c->states_compared >= ORACLE_NODES + c->entries / 256);
    sum->entries_again += c->entries_again;
    sum->sessions_expired += c->sessions_expired;
    sum->expired_with_jobs += c->expired_with_jobs;
    sum->takeovers += c->takeovers;
    sum->resumes += c->resumes;
    sum->suspended_due += c->suspended_due;
    sum->requests_dropped += c->requests_dropped;
    sum->states_loaded += c->states_loaded;
    sum->states_installed += c->states_installed;
    lockstep_log_fini(&log);
}

static void test_clean_runs_pass(void **state)
{
    struct sim_oracle_counters sum = {0};
    for (uint32_t i = 0; i < lockstep_profile_count; i++) {
        (void)oracle_teardown(state);
        (void)oracle_setup(state);
        run_clean(first_seed + i, &sum);
    }
    assert_true(sum.entries_again > 0 && sum.resumes > 0 && sum.requests_dropped > 0);
    assert_true(sum.sessions_expired > sum.expired_with_jobs && sum.expired_with_jobs > 0);
    assert_true(sum.takeovers > 0 && sum.suspended_due > 0);
    assert_true(sum.states_loaded > 0 && sum.states_installed > 0);
}

int main(int argc, char **argv)
{
    first_seed = seed_of_test(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_clean_runs_pass, oracle_setup, oracle_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
