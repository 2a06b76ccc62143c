/* Proves that cb_rng gives the known numbers of SplitMix64 and draws evenly below a bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/cb_rng.h"
#include "support/seed.h"

static uint64_t seed;

/* The published first numbers for the seed 1234567. */
static void known_numbers(void **state)
{
    (void)state;
    static const uint64_t wanted[] = {
        UINT64_C(6457827717110365317),  UINT64_C(3203168211198807973),
        UINT64_C(9817491932198370423),  UINT64_C(4593380528125082431),
        UINT64_C(16408922859458223821),
    };
    struct cb_rng rng;
    cb_rng_init(&rng, 1234567);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        assert_true(cb_rng_u64(&rng) == wanted[i]);
    }
}

static void even_below_a_bound(void **state)
{
    (void)state;
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    for (uint64_t bound = 1; bound <= 13; bound++) {
        unsigned drawn[13] = {0};
        for (unsigned i = 0; i < 13000; i++) {
            uint64_t x = cb_rng_below(&rng, bound);
            assert_true(x < bound);
            drawn[x]++;
        }
        for (size_t i = 0; i < bound; i++) {
            /* Six standard deviations, roughly; a fair generator never comes near. */
            double mean = 13000.0 / (double)bound;
            double off = (double)drawn[i] - mean;
            assert_true(off * off <= 36.0 * mean);
        }
    }
}

/* 2^64 is no multiple of this bound: without rejection the lowest third would be half of all. */
static void even_below_a_large_bound(void **state)
{
    (void)state;
    const uint64_t third = UINT64_C(1) << 62;
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    unsigned low = 0;
    for (unsigned i = 0; i < 9000; i++) {
        low += cb_rng_below(&rng, 3 * third) < third;
    }
    assert_in_range(low, 2700, 3300);
}

static void large_bounds(void **state)
{
    (void)state;
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    bool upper_half = false;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t bound = UINT64_MAX - i;
        uint64_t x = cb_rng_below(&rng, bound);
        assert_true(x < bound);
        upper_half |= x > UINT64_MAX / 2;
    }
    assert_true(upper_half);
}

static void chances(void **state)
{
    (void)state;
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    unsigned hits = 0;
    for (unsigned i = 0; i < 10000; i++) {
        assert_false(cb_rng_chance(&rng, 0, 3));
        assert_true(cb_rng_chance(&rng, 3, 3));
        hits += cb_rng_chance(&rng, 1, 4);
    }
    assert_in_range(hits, 2200, 2800);
}

int main(int argc, char **argv)
{
    seed = seed_of_test(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_numbers),
        cmocka_unit_test(even_below_a_bound),
        cmocka_unit_test(even_below_a_large_bound),
        cmocka_unit_test(large_bounds),
        cmocka_unit_test(chances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
