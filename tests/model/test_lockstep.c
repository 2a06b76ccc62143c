/* Proves that the machine does what the model does, on random logs: after every entry every result,
 * every read, what is due next and who was touched are equal. And that it is deterministic: the
 * same log gives the same digests and the same drained bytes, wherever it is drained, and a machine
 * loaded from its records goes on exactly as the one that was never stopped. B lets bodies leave
 * memory, A keeps them.
 *
 *   test_lockstep [seeds=N] [first=S] [entries=E] [profile=P]
 *
 * SEED=S in the environment repeats one seed. A failing log is shrunk and printed. */
#include "common/base/cb_hash.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "model/lockstep_compare.h"
#include "model/lockstep_log.h"
#include "model/model_work.h"
#include "support/jsm_store.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { DEFAULT_SEEDS = 45, DEFAULT_ENTRIES = 700, SHRINK_TRIES = 3000 };

static struct {
    uint64_t seeds, first, entries, profile;
    uint64_t kept; /* of this seed: bytes of bodies that stay in B */
} options = {DEFAULT_SEEDS, 1, DEFAULT_ENTRIES, UINT64_MAX, 1};

/* Of the seed that runs: steps of an entry. */
static uint32_t steps;

/* Mostly few, so that much is left over to the next entries; sometimes as in a node. */
static uint32_t steps_of(uint64_t seed)
{
    static const uint32_t some[] = {CB_DUE_PER_ENTRY_MAX, 1, 2, 3, 5, 8, 13, 4, 30};
    return some[(seed / lockstep_profile_count + seed) % 9];
}

static struct jsm *with_steps(struct jsm *m)
{
    jsm_set_steps(m, steps);
    return m;
}

struct run {
    struct model *model;
    struct jsm *a; /* drained often, never reloaded */
    struct jsm *b; /* drained at other places, and replaced by what A's records load to; its
                    * bodies leave */
    struct jsm_store store_a, store_b;
    char why[LOCKSTEP_WHY_MAX];
};

/* What the logs reached: a random test that never gets there proves nothing about it. */
static struct {
    uint64_t outcomes[JSM_OUTCOME_END];
    uint64_t starved, suspended, dropped;
    uint64_t bodies_away, results_away;
} reached;

/* A session over its bound has a waiter that would get a job without it. */
static bool is_starved(const struct model *m, const struct model_session *s)
{
    for (uint32_t i = 0; s->full && i < m->n_conns; i++) {
        const struct model_conn *c = m->conns[i];
        if (c->session == s && c->waiting && model_best_job(m, c) != NULL) {
            return true;
        }
    }
    return false;
}

static void note_reached(const struct model *m)
{
    reached.dropped += m->dropped;
    for (uint32_t i = 0; i < m->n_sessions; i++) {
        const struct model_session *s = m->sessions[i];
        struct jsm_result r;
        reached.starved += is_starved(m, s);
        reached.suspended += s->suspended;
        if (model_result(s, s->last_result, &r)) {
            reached.outcomes[r.outcome]++;
        }
    }
}

static void note_away(const struct run *r)
{
    struct jsm_body_use use = jsm_body_use(r->b);
    reached.bodies_away += use.n_away;
    for (const struct jsm_session *s = jsm_session_next(r->b, NULL); use.n_away > 0 && s != NULL;
         s = jsm_session_next(r->b, s)) {
        struct jsm_result result;
        reached.results_away +=
            jsm_session_result(s, jsm_session_last_result(s), &result) && result.is_away;
    }
}

static void run_init(struct run *r)
{
    *r = (struct run){
        .model = model_create(), .a = with_steps(jsm_create()), .b = with_steps(jsm_create())};
    r->model->steps_max = steps;
    jsm_keep_bodies(r->b, options.kept);
}

static void run_fini(struct run *r)
{
    model_destroy(r->model);
    jsm_destroy(r->a);
    jsm_destroy(r->b);
    jsm_store_fini(&r->store_a);
    jsm_store_fini(&r->store_b);
}

static bool claim(struct run *r, bool truth, const char *what)
{
    if (!truth) {
        (void)snprintf(r->why, sizeof r->why, "%s", what);
    }
    return truth;
}

/* Where the machines are drained depends on the entry's index alone, so that a shrunk log keeps it.
 */
static bool drains_a(uint64_t index)
{
    return cb_hash_u64(index) % 8 == 0 || cb_hash_u64(index) % 23 == 2;
}

static bool drains_b(uint64_t index)
{
    return cb_hash_u64(index) % 29 == 1 || cb_hash_u64(index) % 23 == 2;
}

static bool reload_b(struct run *r)
{
    if (!claim(r, jsm_store_eq(&r->store_a, &r->store_b), "the stores of A and B differ") ||
        !claim(r, jsm_state_digest(r->a) == jsm_state_digest(r->b),
               "the state digests of A and B differ")) {
        return false;
    }
    /* Records that B wrote and whose bodies left it are as good as A's. */
    struct jsm *loaded = jsm_store_load(&r->store_b);
    if (!claim(r, loaded != NULL, "the records of B do not load")) {
        return false;
    }
    bool same = lockstep_same_state(r->model, loaded, LOCKSTEP_RESULTS_ALL, r->why);
    jsm_destroy(loaded);
    loaded = same ? jsm_store_load_keeping(&r->store_a, options.kept) : NULL;
    if (!same || !claim(r, loaded != NULL, "the records of A do not load")) {
        return false;
    }
    jsm_destroy(r->b);
    r->b = with_steps(loaded);
    return claim(r, jsm_index(r->b) == jsm_index(r->a), "loaded: another index") &&
           claim(r, jsm_stamp_ns(r->b) == jsm_stamp_ns(r->a), "loaded: another stamp") &&
           claim(r, jsm_next_due_ns(r->b) == jsm_next_due_ns(r->a), "loaded: another due time") &&
           claim(r, jsm_log_digest(r->b) == jsm_log_digest(r->a), "loaded: another log digest") &&
           claim(r, jsm_state_digest(r->b) == jsm_state_digest(r->a),
                 "loaded: another state digest") &&
           lockstep_same_state(r->model, r->b, LOCKSTEP_RESULTS_ALL, r->why);
}

static bool drain(struct run *r, uint64_t index)
{
    if (drains_a(index)) {
        jsm_store_drain(&r->store_a, r->a);
        if (!claim(r, jsm_dirty_bytes(r->a) == 0, "dirty after a drain")) {
            return false;
        }
    }
    if (drains_b(index)) {
        jsm_store_drain(&r->store_b, r->b);
        jsm_shed_bodies(r->b);
        note_away(r);
    }
    return !(drains_a(index) && drains_b(index)) || reload_b(r);
}

static bool step(struct run *r, struct lockstep_entry *e)
{
    lockstep_number(e, r->model);
    model_apply(r->model, e->index, &e->entry);
    jsm_apply(r->a, e->index, &e->entry);
    jsm_apply(r->b, e->index, &e->entry);
    note_reached(r->model);
    return lockstep_same_step(r->model, r->a, e->index, r->why) &&
           lockstep_same_step(r->model, r->b, e->index, r->why) &&
           lockstep_same_state(r->model, r->a, LOCKSTEP_RESULTS_ENDS, r->why) &&
           (e->index % 8 != 0 ||
            lockstep_same_state(r->model, r->b, LOCKSTEP_RESULTS_ENDS, r->why)) &&
           claim(r, jsm_log_digest(r->a) == jsm_log_digest(r->b), "the log digests differ") &&
           drain(r, e->index);
}

/* The log once more on a fresh machine: the same bytes must be drained, in the same order. */
static bool repeat(struct run *r, const struct lockstep_log *log)
{
    struct jsm *m = with_steps(jsm_create());
    struct jsm_store store = {0};
    for (uint32_t i = 0; i < log->n; i++) {
        jsm_apply(m, log->entries[i].index, &log->entries[i].entry);
        if (drains_a(log->entries[i].index)) {
            jsm_store_drain(&store, m);
        }
    }
    bool same =
        claim(r, r->store_a.idle_deletions == 0, "a drain deleted what was not there") &&
        claim(r, jsm_log_digest(m) == jsm_log_digest(r->a), "repeated: another log digest") &&
        claim(r, store.stream == r->store_a.stream, "repeated: other bytes were drained");
    jsm_destroy(m);
    jsm_store_fini(&store);
    return same;
}

/* ---- shrinking ---- */

static bool log_fails(struct lockstep_log *log, char why[LOCKSTEP_WHY_MAX])
{
    struct run r;
    run_init(&r);
    bool good = true;
    for (uint32_t i = 0; i < log->n && good; i++) {
        good = step(&r, &log->entries[i]);
    }
    if (good) {
        good = repeat(&r, log);
    }
    memcpy(why, r.why, LOCKSTEP_WHY_MAX);
    run_fini(&r);
    return !good;
}

/* Takes out runs of `chunk` entries as long as the log still fails. */
static void shrink_entries(struct lockstep_log *log, uint32_t chunk, int *tries)
{
    char why[LOCKSTEP_WHY_MAX];
    for (uint32_t at = 0; at<log->n && * tries> 0;) {
        uint32_t n = chunk < log->n - at ? chunk : log->n - at;
        struct lockstep_log without = {cb_malloc((log->n + 1) * sizeof *log->entries), log->n - n};
        memcpy(without.entries, log->entries, at * sizeof *log->entries);
        memcpy(&without.entries[at], &log->entries[at + n],
               (log->n - at - n) * sizeof *log->entries);
        (*tries)--;
        if (log_fails(&without, why)) {
            cb_free(log->entries);
            *log = without;
        } else {
            cb_free(without.entries);
            at += n;
        }
    }
}

static void shrink_items(struct lockstep_log *log, int *tries)
{
    char why[LOCKSTEP_WHY_MAX];
    for (uint32_t i = log->n; i-- > 0;) {
        struct lockstep_entry *e = &log->entries[i];
        for (uint32_t k = e->entry.n_items; k-- > 0 && *tries > 0; (*tries)--) {
            struct jsm_item item = e->items[k];
            size_t tail = (e->entry.n_items - k - 1) * sizeof item;
            memmove(&e->items[k], &e->items[k + 1], tail);
            e->entry.n_items--;
            if (!log_fails(log, why)) {
                memmove(&e->items[k + 1], &e->items[k], tail);
                e->items[k] = item;
                e->entry.n_items++;
            }
        }
    }
}

static void shrink_and_print(struct lockstep_log *log)
{
    char why[LOCKSTEP_WHY_MAX];
    int tries = SHRINK_TRIES;
    for (uint32_t chunk = log->n / 2 + 1; chunk > 0 && tries > 0; chunk /= 2) {
        shrink_entries(log, chunk, &tries);
    }
    shrink_items(log, &tries);
    shrink_entries(log, 1, &tries);
    (void)log_fails(log, why);
    for (uint32_t i = 0; i < log->n; i++) {
        lockstep_print(&log->entries[i]);
    }
    printf("shrunk to %u entries: %s\n", log->n, why);
}

/* ---- the test ---- */

static bool run_seed(uint64_t seed)
{
    const struct lockstep_profile *profile =
        &lockstep_profiles[options.profile == UINT64_MAX ? seed % lockstep_profile_count
                                                         : options.profile];
    struct lockstep_log log = {NULL, 0};
    struct cb_rng rng;
    struct run r;
    bool good = true;
    cb_rng_init(&rng, seed);
    options.kept = (uint64_t[]){1, 150, 1000}[seed / lockstep_profile_count % 3];
    steps = steps_of(seed);
    run_init(&r);
    for (uint64_t i = 0; i < options.entries && good; i++) {
        lockstep_generate(&log, &rng, profile, r.model);
        good = step(&r, &log.entries[log.n - 1]);
    }
    good = good && repeat(&r, &log);
    if (!good) {
        printf("SEED=%" PRIu64 " (%s), entry %u: %s\n", seed, profile->name, log.n, r.why);
        (void)fflush(stdout);
        shrink_and_print(&log);
    }
    run_fini(&r);
    lockstep_log_fini(&log);
    return good;
}

static void test_lockstep(void **state)
{
    (void)state;
    printf("SEED=%" PRIu64 "..%" PRIu64 "\n", options.first, options.first + options.seeds - 1);
    for (uint64_t seed = options.first; seed < options.first + options.seeds; seed++) {
        assert_true(run_seed(seed));
    }
    if (options.seeds < DEFAULT_SEEDS || options.entries < DEFAULT_ENTRIES ||
        options.profile != UINT64_MAX) {
        return;
    }
    for (int i = JSM_INSERTED; i <= JSM_OUT_OF_MEMORY; i++) {
        assert_true(reached.outcomes[i] > 0);
    }
    assert_true(reached.bodies_away > 0 && reached.results_away > 0);
    assert_true(reached.starved > 10 && reached.suspended > 0 && reached.dropped > 0);
}

static void read_options(int argc, char **argv)
{
    const struct {
        const char *name;
        uint64_t *value;
    } known[] = {{"seeds=", &options.seeds},
                 {"first=", &options.first},
                 {"entries=", &options.entries},
                 {"profile=", &options.profile}};
    const char *seed = getenv("SEED");
    if (seed != NULL) {
        options.first = strtoull(seed, NULL, 10);
        options.seeds = 1;
    }
    for (int i = 1; i < argc; i++) {
        for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
            size_t len = strlen(known[k].name);
            if (strncmp(argv[i], known[k].name, len) == 0) {
                *known[k].value = strtoull(argv[i] + len, NULL, 10);
            }
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lockstep)};
    read_options(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
