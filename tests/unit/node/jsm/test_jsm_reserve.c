/* Proves section 1.D of the checklist: the reserve family. */
#include "support/jsm_script.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

JSM_SCRIPT_TEST(item_42_smallest_priority_then_smallest_id,
                "c1> put 5 0 60 a; c1> put 1 0 60 b; c1> put 1 0 60 c; c1> put 5 0 60 d\n"
                "c1> reserve => RESERVED 2 b\n"
                "c1> reserve => RESERVED 3 c\n"
                "c1> reserve => RESERVED 1 a\n"
                "c1> release 1 5 0 => RELEASED\n"
                "c1> reserve => RESERVED 1 a\n"
                "c1> reserve => RESERVED 4 d\n")

JSM_SCRIPT_TEST(
    item_42_over_all_watched_unpaused_tubes,
    "c1> use a; c1> put 9 0 60 x; c1> use b; c1> put 3 0 60 y; c1> use c; c1> put 1 0 60 z\n"
    "c1> pause-tube c 100\n"
    "c1> watch a; c1> watch b; c1> watch c\n"
    "c1> reserve => RESERVED 2 y\n"
    "c1> reserve => RESERVED 1 x\n"
    "c1> reserve-with-timeout 0 => TIMED_OUT\n")

JSM_SCRIPT_TEST(item_43_reserve_blocks_and_times_out,
                "c1> reserve-with-timeout 0 => TIMED_OUT\n"
                "c1> reserve-with-timeout 2 => -\n"
                "due 2\n"
                "+1.999\n"
                "c1< -\n"
                "+0.001\n"
                "c1< TIMED_OUT\n"
                "c1> reserve => -\n"
                "due never\n"
                "+1000000\n"
                "c1< -\n")

JSM_SCRIPT_TEST(item_43_due_delayed_jobs_come_before_the_command,
                "c1> put 0 3 60 x\n"
                "+3\n"
                "c1> reserve-with-timeout 0 => RESERVED 1 x\n")

JSM_SCRIPT_TEST(item_45_deadline_soon_instead_of_waiting_or_timed_out,
                "c1> put 0 0 10 x; c1> reserve\n"
                "+8.999999999\n"
                "c1> reserve-with-timeout 0 => TIMED_OUT\n"
                "+0.000000001\n"
                "c1> reserve-with-timeout 0 => DEADLINE_SOON\n"
                "c1> reserve => DEADLINE_SOON\n")

JSM_SCRIPT_TEST(item_46_a_ready_job_wins_over_deadline_soon,
                "c1> put 0 0 1 x; c1> reserve; c1> put 0 0 60 y\n"
                "c1> reserve => RESERVED 2 y\n"
                "c1> reserve => DEADLINE_SOON\n")

JSM_SCRIPT_TEST(item_46_a_ready_job_in_a_paused_tube_does_not,
                "c1> put 0 0 1 x; c1> reserve; c1> put 0 0 60 y; c1> pause-tube default 100\n"
                "c1> reserve => DEADLINE_SOON\n")

JSM_SCRIPT_TEST(item_47_a_waiter_is_told_when_its_job_enters_the_last_second,
                "c1> put 0 0 5 x; c1> put 0 0 3 y; c1> reserve; c1> reserve\n"
                "c1> reserve-with-timeout 100 => -\n"
                "due 2\n"
                "+2\n"
                "c1< DEADLINE_SOON\n"
                "job 2 state=reserved left=1\n")

JSM_SCRIPT_TEST(item_48_ttr_1_is_always_in_the_margin,
                "c1> put 0 0 1 x; c1> reserve => RESERVED 1 x\n"
                "c1> reserve => DEADLINE_SOON\n")

JSM_SCRIPT_TEST(item_49_deadline_soon_repeats_and_releases_nothing,
                "c1> put 0 0 1 x; c1> reserve\n"
                "c1> reserve => DEADLINE_SOON\n"
                "c1> reserve => DEADLINE_SOON\n"
                "job 1 state=reserved\n"
                "c1> delete 1 => DELETED\n"
                "c1> reserve-with-timeout 0 => TIMED_OUT\n")

JSM_SCRIPT_TEST(
    item_50_reserve_job_takes_ready_delayed_and_buried,
    "c1> put 0 0 60 a; c1> put 0 50 60 b; c1> put 0 0 60 c; c1> reserve-job 3; c1> bury 3 0\n"
    "stats workers=1\n"
    "c2> reserve-job 9 => NOT_FOUND\n"
    "stats workers=1\n"
    "c2> reserve-job 1 => RESERVED 1 a\n"
    "c2> reserve-job 2 => RESERVED 2 b\n"
    "c2> reserve-job 3 => RESERVED 3 c\n"
    "stats workers=2 reserved=3 cmd-reserve=0\n"
    "c2> reserve-job 1 => NOT_FOUND\n"
    "c1> reserve-job 1 => NOT_FOUND\n"
    "c2> close\n"
    "job 1 state=ready; job 2 state=ready; job 3 state=ready\n")

JSM_SCRIPT_TEST(item_50_reserve_job_ignores_watch_list_pause_and_deadline_soon,
                "c1> use a; c1> put 0 0 1 x; c1> put 0 0 60 y; c1> pause-tube a 100\n"
                "c2> reserve-job 1 => RESERVED 1 x\n"
                "c2> reserve-job 2 => RESERVED 2 y\n"
                "job 2 reserves=1\n")

JSM_SCRIPT_TEST(item_51_a_connection_holds_any_number,
                "c1> put 0 0 60 a; c1> put 0 0 60 b; c1> put 0 0 60 c\n"
                "c1> reserve; c1> reserve; c1> reserve => RESERVED 3 c\n"
                "tube default reserved=3\n")

JSM_SCRIPT_TEST(item_52_workers_are_those_who_reserved,
                "c1> open; c2> open\n"
                "c1> reserve-with-timeout 0; c1> reserve-with-timeout 0\n"
                "stats workers=1\n"
                "c2> reserve\n"
                "stats workers=2 waiting=1\n")

JSM_SCRIPT_TEST(
    item_53_the_two_reserves_are_counted_apart,
    "c1> reserve-with-timeout 0; c1> reserve-with-timeout 0; c1> reserve-job 1; c1> reserve\n"
    "stats cmd-reserve=1 cmd-reserve-with-timeout=2\n")

JSM_SCRIPT_TEST(item_54_waiters_are_served_first_in_first_out,
                "c1> reserve; c2> reserve; c3> reserve; c4> reserve; d1> put 0 0 60 a\n"
                "c1< RESERVED 1 a\n"
                "c1> reserve\n"
                "d1> put 0 0 60 b; d1> put 0 0 60 c; d1> put 0 0 60 d; d1> put 0 0 60 e\n"
                "c2< RESERVED 2 b; c3< RESERVED 3 c; c4< RESERVED 4 d; c1< RESERVED 5 e\n")

JSM_SCRIPT_TEST(item_54_one_who_left_loses_the_place,
                "c1> reserve-with-timeout 1; c2> reserve\n"
                "+1\n"
                "c1< TIMED_OUT\n"
                "c1> reserve\n"
                "d1> put 0 0 60 a\n"
                "c2< RESERVED 1 a; c1< -\n")

JSM_SCRIPT_TEST(item_55_a_job_goes_to_a_waiter_of_its_own_tube,
                "c1> watch a; c1> ignore default; c1> reserve\n"
                "c2> reserve; c3> watch a; c3> reserve\n"
                "d1> put 0 0 60 x\n"
                "c2< RESERVED 1 x\n"
                "d1> use a; d1> put 0 0 60 y; d1> put 0 0 60 z\n"
                "c1< RESERVED 2 y; c3< RESERVED 3 z\n")

JSM_SCRIPT_TEST(item_56_a_newcomer_does_not_overtake_at_the_end_of_a_pause,
                "c1> pause-tube default 2; c1> reserve; d1> put 0 0 60 x\n"
                "c2> reserve => -\n"
                "+2\n"
                "c1< RESERVED 1 x; c2< -\n")

JSM_SCRIPT_TEST(item_57_the_longest_timeout,
                "c1> reserve-with-timeout 2147483647 => -\n"
                "due 2147483647\n"
                "+2147483647\n"
                "c1< TIMED_OUT\n")

JSM_SCRIPT_TEST(a_waiting_connection_ignores_all_but_its_end,
                "c1> reserve\n"
                "c1> put 0 0 60 x => -\n"
                "c1> delete 1 => -\n"
                "stats cmd-put=0 cmd-delete=0 waiting=1\n"
                "c1> close\n"
                "stats waiting=0 connections=0\n")

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(item_42_smallest_priority_then_smallest_id),
        cmocka_unit_test(item_42_over_all_watched_unpaused_tubes),
        cmocka_unit_test(item_43_reserve_blocks_and_times_out),
        cmocka_unit_test(item_43_due_delayed_jobs_come_before_the_command),
        cmocka_unit_test(item_45_deadline_soon_instead_of_waiting_or_timed_out),
        cmocka_unit_test(item_46_a_ready_job_wins_over_deadline_soon),
        cmocka_unit_test(item_46_a_ready_job_in_a_paused_tube_does_not),
        cmocka_unit_test(item_47_a_waiter_is_told_when_its_job_enters_the_last_second),
        cmocka_unit_test(item_48_ttr_1_is_always_in_the_margin),
        cmocka_unit_test(item_49_deadline_soon_repeats_and_releases_nothing),
        cmocka_unit_test(item_50_reserve_job_takes_ready_delayed_and_buried),
        cmocka_unit_test(item_50_reserve_job_ignores_watch_list_pause_and_deadline_soon),
        cmocka_unit_test(item_51_a_connection_holds_any_number),
        cmocka_unit_test(item_52_workers_are_those_who_reserved),
        cmocka_unit_test(item_53_the_two_reserves_are_counted_apart),
        cmocka_unit_test(item_54_waiters_are_served_first_in_first_out),
        cmocka_unit_test(item_54_one_who_left_loses_the_place),
        cmocka_unit_test(item_55_a_job_goes_to_a_waiter_of_its_own_tube),
        cmocka_unit_test(item_56_a_newcomer_does_not_overtake_at_the_end_of_a_pause),
        cmocka_unit_test(item_57_the_longest_timeout),
        cmocka_unit_test(a_waiting_connection_ignores_all_but_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
