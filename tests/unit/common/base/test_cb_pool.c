/* Proves that a pool hands out distinct zeroed objects in any order of taking and giving, and gives
 * blocks back. */
#include "common/base/cb_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cb_rng.h"
#include "support/seed.h"

#define N 5000

static uint64_t seed;

struct object {
    uint64_t value;
    char rest[104];
};

static void objects_are_distinct_and_zeroed(void **state)
{
    (void)state;
    static struct object *live[N];
    struct cb_pool p;
    struct cb_rng r;
    memset(live, 0, sizeof(live));
    cb_rng_init(&r, seed);
    cb_pool_init(&p, sizeof(struct object));
    for (unsigned step = 0; step < 40 * N; step++) {
        size_t i = (size_t)cb_rng_below(&r, N);
        if (live[i] == NULL) {
            live[i] = cb_pool_take(&p);
            assert_int_equal(live[i]->value, 0);
            assert_int_equal(live[i]->rest[103], 0);
            live[i]->value = i + 1;
            memset(live[i]->rest, 'x', sizeof(live[i]->rest));
        } else {
            assert_int_equal(live[i]->value, i + 1);
            cb_pool_give(&p, live[i]);
            live[i] = NULL;
        }
    }
    for (size_t i = 0; i < N; i++) {
        if (live[i] != NULL) {
            assert_int_equal(live[i]->value, i + 1);
        }
    }
    cb_pool_fini(&p);
}

static void empty_blocks_go_back_but_for_one(void **state)
{
    (void)state;
    static struct object *all[N];
    struct cb_pool p;
    cb_pool_init(&p, sizeof(struct object));
    for (size_t i = 0; i < N; i++) {
        all[i] = cb_pool_take(&p);
    }
    assert_true(p.n_blocks > 4);
    for (size_t i = 0; i < N; i++) {
        cb_pool_give(&p, all[i]);
    }
    assert_int_equal(p.n_blocks, 1);
    cb_pool_fini(&p);
}

int main(int argc, char **argv)
{
    seed = seed_of_test(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_distinct_and_zeroed),
        cmocka_unit_test(empty_blocks_go_back_but_for_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
