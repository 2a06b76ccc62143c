/* kill -9 at any moment: what the next open finds is the state after some number of whole batches,
 * and at least everything that was reported durable. */
#include "unit/node/store/store_rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_DEFAULT 200
#define KEYS 16
#define SPREAD 5 /* keys written by each batch */
/* Of a child; doubled while none has come to a commit, as on a machine with much else to do. */
#define LIFE_NS UINT64_C(12000000)
#define LIFE_MAX_NS (256 * LIFE_NS)

/* Batch `index` puts `index` under SPREAD keys, and deletes one: the whole state follows from it.
 */
static struct store_batch *make_batch(uint64_t index)
{
    struct store_batch *b = store_batch_create();
    for (uint64_t i = 0; i < SPREAD; i++) {
        uint8_t key = (uint8_t)('A' + (index * 7 + i) % KEYS);
        store_batch_put(b, cb_span(&key, 1), cb_span(&index, sizeof(index)));
    }
    uint8_t key = (uint8_t)('A' + (index * 3) % KEYS);
    store_batch_del(b, cb_span(&key, 1));
    return b;
}

static void expected_state(uint64_t index, struct cb_buf *out)
{
    uint64_t model[KEYS] = {0};
    for (uint64_t n = 1; n <= index; n++) {
        for (uint64_t i = 0; i < SPREAD; i++) {
            model[(n * 7 + i) % KEYS] = n;
        }
        model[(n * 3) % KEYS] = 0;
    }
    for (size_t k = 0; k < KEYS; k++) {
        uint8_t key = (uint8_t)('A' + k);
        if (model[k] != 0) {
            (void)rig_append_record(out, cb_span(&key, 1), cb_span(&model[k], sizeof(model[k])));
        }
    }
}

struct shared {
    uint64_t durable; /* what the child has seen reported */
    uint64_t committed;
};

struct child {
    struct store *store;
    volatile struct shared *shared;
};

static void note_durable(void *data)
{
    struct child *c = data;
    struct store_meta meta;
    store_durable(c->store, &meta);
    c->shared->durable = meta.index;
}

/* Commits until it is killed, never far ahead of what is durable. */
static _Noreturn void run_child(struct rig *r, volatile struct shared *shared, uint64_t index)
{
    struct child c = {.shared = shared};
    struct timespec nap = {.tv_nsec = 50000};
    r->options.notify = note_durable;
    r->options.notify_data = &c;
    if (store_lmdb_open(&r->options, &c.store, &r->err) != STORE_OK) {
        fprintf(stderr, "child: %s\n", r->err.text);
        _exit(2);
    }
    for (;;) {
        index++;
        store_commit(c.store, make_batch(index), &(struct store_meta){.index = index});
        shared->committed = index;
        while (store_pending_bytes(c.store) > 20000) {
            (void)nanosleep(&nap, NULL);
        }
    }
}

static void kill_at_random(pid_t child, struct cb_rng *rng, uint64_t life_max_ns)
{
    int status;
    uint64_t ns = cb_rng_below(rng, life_max_ns);
    struct timespec life = {.tv_sec = (time_t)(ns / 1000000000),
                            .tv_nsec = (long)(ns % 1000000000)};
    (void)nanosleep(&life, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status)); /* it did not end by itself */
}

static uint64_t check_state(struct rig *r, const volatile struct shared *shared)
{
    struct cb_buf found = CB_BUF_NULL;
    struct cb_buf expected = CB_BUF_NULL;
    struct store_meta meta;
    rig_open(r);
    assert_int_equal(store_load(r->store, rig_append_record, &found, &meta, &r->err), STORE_OK);
    assert_true(meta.index >= shared->durable);
    expected_state(meta.index, &expected);
    assert_true(cb_span_eq(cb_buf_span(&found), cb_buf_span(&expected)));
    rig_close(r);
    cb_buf_fini(&found);
    cb_buf_fini(&expected);
    return meta.index;
}

static void test_kill_at_random_moments(void **state)
{
    (void)state;
    struct rig r;
    struct cb_rng rng;
    const char *rounds_given = getenv("ROUNDS");
    int rounds = rounds_given != NULL ? atoi(rounds_given) : ROUNDS_DEFAULT;
    volatile struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    cb_rng_init(&rng, rig_seed("kill_at_random"));
    rig_init(&r, false);
    uint64_t index = 0;
    uint64_t life_ns = LIFE_NS;
    for (int i = 0; i < rounds; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            run_child(&r, shared, index);
        }
        kill_at_random(child, &rng, life_ns);
        uint64_t found = check_state(&r, shared);
        assert_true(found >= index);
        bool is_idle = found == index && life_ns < LIFE_MAX_NS;
        life_ns = is_idle ? 2 * life_ns : LIFE_NS;
        index = found;
    }
    printf("kill_at_random: %d rounds, index %llu\n", rounds, (unsigned long long)index);
    assert_true(index > 0);
    assert_int_equal(munmap((void *)(uintptr_t)shared, sizeof(*shared)), 0);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill_at_random_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
