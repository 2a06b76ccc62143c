/* Proves that cb_map finds what was put and nothing else, against an array indexed by key, over
 * random puts and removals; keys are dense, sparse and colliding ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cb_hash.h"
#include "common/base/cb_map.h"
#include "common/base/cb_rng.h"
#include "support/seed.h"

#define KEYS 2000

static uint64_t seed;
static char values[KEYS]; /* only their addresses count */

typedef uint64_t (*key_of_fn)(size_t i);

static uint64_t dense(size_t i)
{
    return i;
}

static uint64_t high(size_t i)
{
    return UINT64_MAX - i * (UINT64_C(1) << 40);
}

/* Found once: keys whose homes are the last two and first two slots of the small tables, so that
 * runs wrap around the end. */
static uint64_t colliding_keys[KEYS];

static void find_colliding_keys(void)
{
    size_t n = 0;
    for (uint64_t key = 0; n < KEYS; key++) {
        uint64_t home = cb_hash_u64(key) & 63;
        if (home >= 62 || home < 2) {
            colliding_keys[n++] = key;
        }
    }
}

static uint64_t colliding(size_t i)
{
    return colliding_keys[i];
}

static void check_all(const struct cb_map *m, key_of_fn key_of, const bool *is_in)
{
    size_t len = 0;
    for (size_t i = 0; i < KEYS; i++) {
        assert_ptr_equal(cb_map_get(m, key_of(i)), is_in[i] ? &values[i] : NULL);
        len += is_in[i];
    }
    assert_int_equal(m->len, len);
}

static void random_operations(key_of_fn key_of, size_t keys)
{
    static bool is_in[KEYS];
    memset(is_in, 0, sizeof(is_in));
    struct cb_rng rng;
    struct cb_map m;
    cb_rng_init(&rng, seed);
    cb_map_init(&m);
    for (unsigned step = 0; step < 60000; step++) {
        size_t i = cb_rng_below(&rng, keys);
        bool is_put = cb_rng_chance(&rng, step / 15000 % 2 == 0 ? 80 : 20, 100);
        if (is_put && !is_in[i]) {
            cb_map_put(&m, key_of(i), &values[i]);
            is_in[i] = true;
        } else if (!is_put) {
            assert_ptr_equal(cb_map_remove(&m, key_of(i)), is_in[i] ? &values[i] : NULL);
            is_in[i] = false;
        }
        assert_ptr_equal(cb_map_get(&m, key_of(i)), is_in[i] ? &values[i] : NULL);
        if (step % 500 == 0) {
            check_all(&m, key_of, is_in);
        }
    }
    check_all(&m, key_of, is_in);
    cb_map_fini(&m);
}

static void dense_keys(void **state)
{
    (void)state;
    random_operations(dense, KEYS);
}

static void high_keys(void **state)
{
    (void)state;
    random_operations(high, KEYS);
}

static void few_colliding_keys(void **state)
{
    (void)state;
    find_colliding_keys();
    random_operations(colliding, 40); /* a table of 64 slots: all in one run over its end */
    random_operations(colliding, KEYS);
}

static void an_empty_map(void **state)
{
    (void)state;
    struct cb_map m;
    cb_map_init(&m);
    assert_null(cb_map_get(&m, 0));
    assert_null(cb_map_remove(&m, 0));
    cb_map_fini(&m);
}

static void memory_follows_the_contents(void **state)
{
    (void)state;
    struct cb_map m;
    cb_map_init(&m);
    for (size_t i = 0; i < KEYS; i++) {
        cb_map_put(&m, i, &values[i]);
    }
    assert_true(m.cap > KEYS);
    for (size_t i = 0; i < KEYS; i++) {
        assert_ptr_equal(cb_map_remove(&m, i), &values[i]);
    }
    assert_in_range(m.cap, 1, 16);
    cb_map_fini(&m);
}

/* A large table is moved bit by bit: entries of both tables are found and removed meanwhile. */
static void a_large_map_grows_bit_by_bit(void **state)
{
    (void)state;
    struct cb_map m;
    cb_map_init(&m);
    size_t n = 0;
    while (n < KEYS && (m.old == NULL || m.old_cap < 1024)) {
        cb_map_put(&m, n, &values[n]);
        n++;
    }
    assert_non_null(m.old);
    assert_true(m.old_at > 0 && m.old_at < m.old_cap);
    for (size_t i = 0; i < n; i += 2) {
        assert_ptr_equal(cb_map_get(&m, i), &values[i]);
        assert_ptr_equal(cb_map_remove(&m, i), &values[i]);
        assert_null(cb_map_get(&m, i));
    }
    for (size_t i = 1; i < n; i += 2) {
        assert_ptr_equal(cb_map_get(&m, i), &values[i]);
    }
    cb_map_fini(&m);
}

int main(int argc, char **argv)
{
    seed = seed_of_test(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_keys),
        cmocka_unit_test(high_keys),
        cmocka_unit_test(few_colliding_keys),
        cmocka_unit_test(an_empty_map),
        cmocka_unit_test(memory_follows_the_contents),
        cmocka_unit_test(a_large_map_grows_bit_by_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
