/* Proves: the cluster clock runs on without a step through the log, neither loses the way of a
 * leader's own entries nor adds up a follower's drift, and a step of a wall clock moves it only
 * where nobody else knows the time, and then forwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "node/proposer/prop_clock.h"

static void leader_does_not_lose_its_latency(void **state)
{
    (void)state;
    struct prop_clock c;
    prop_clock_init(&c, 0, 0);
    assert_int_equal(prop_clock_lead(&c, 1000, 777), 0);
    uint64_t boot = 1000;
    for (unsigned i = 0; i < 100; i++) {
        uint64_t stamp = prop_clock_now(&c, boot);
        boot += 10; /* the way through the log */
        prop_clock_applied(&c, stamp, true, true, boot);
    }
    assert_int_equal(prop_clock_now(&c, boot), 1000);
}

static void follower_follows(void **state)
{
    (void)state;
    struct prop_clock c;
    prop_clock_init(&c, 0, 0);
    prop_clock_applied(&c, 500, true, false, 9000);
    prop_clock_applied(&c, 600, true, false, 9500); /* this oscillator is five times too fast */
    assert_int_equal(prop_clock_lead(&c, 9510, 1), 0);
    assert_int_equal(prop_clock_now(&c, 9510), 610);
}

static void never_goes_back(void **state)
{
    (void)state;
    struct prop_clock c;
    prop_clock_init(&c, 0, 0);
    prop_clock_applied(&c, 500, true, false, 100);
    prop_clock_applied(&c, 400, true, false, 100); /* clamped by the machine */
    assert_int_equal(prop_clock_now(&c, 100), 500);
    assert_int_equal(prop_clock_now(&c, 50), 500);
}

static void after_a_restart_the_wall_clock_tells(void **state)
{
    (void)state;
    struct prop_clock c;
    prop_clock_init(&c, 1000, 50000);
    prop_clock_applied(&c, 1200, false, false, 10); /* replayed */
    assert_int_equal(prop_clock_lead(&c, 10, 53000), 2800);
    assert_int_equal(prop_clock_now(&c, 11), 4001);

    /* The wall clock went back: nothing moves. */
    prop_clock_init(&c, 1000, 50000);
    prop_clock_applied(&c, 1200, false, false, 10);
    assert_int_equal(prop_clock_lead(&c, 10, 20000), 0);
    assert_int_equal(prop_clock_now(&c, 10), 1200);
}

static void a_live_node_ignores_the_wall(void **state)
{
    (void)state;
    struct prop_clock c;
    prop_clock_init(&c, 1000, 50000);
    prop_clock_applied(&c, 1100, true, false, 10);
    assert_int_equal(prop_clock_lead(&c, 20, 99999999), 0);
    assert_int_equal(prop_clock_now(&c, 20), 1110);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leader_does_not_lose_its_latency),
        cmocka_unit_test(follower_follows),
        cmocka_unit_test(never_goes_back),
        cmocka_unit_test(after_a_restart_the_wall_clock_tells),
        cmocka_unit_test(a_live_node_ignores_the_wall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
