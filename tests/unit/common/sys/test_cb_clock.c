/* Proves that the system's clocks are the kernel's, and do not go back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "common/base/cb_limits.h"
#include "common/sys/cb_clock.h"

static void system_clock(void **state)
{
    (void)state;
    const struct cb_clock *c = cb_clock_system();
    uint64_t boot = cb_clock_boottime_ns(c);
    uint64_t mono = cb_clock_monotonic_ns(c);
    assert_true(boot > 0 && mono > 0);
    assert_true(cb_clock_boottime_ns(c) >= boot);
    assert_true(cb_clock_monotonic_ns(c) >= mono);
    uint64_t wall_s = cb_clock_wall_ns(c) / CB_NS_PER_S;
    uint64_t now_s = (uint64_t)time(NULL);
    assert_true(wall_s <= now_s + 1 && now_s <= wall_s + 60);
}

static uint64_t seven(void *ctx)
{
    return *(uint64_t *)ctx;
}

static void own_clock(void **state)
{
    (void)state;
    uint64_t now = 7;
    const struct cb_clock c = {seven, seven, seven, &now};
    assert_int_equal(cb_clock_boottime_ns(&c), 7);
    now = 8;
    assert_int_equal(cb_clock_monotonic_ns(&c), 8);
    assert_int_equal(cb_clock_wall_ns(&c), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(system_clock),
        cmocka_unit_test(own_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
