/* Proves section 1.H of the checklist: what happens by time alone, and in which order. */
#include "support/jsm_script.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

JSM_SCRIPT_TEST(item_74_delayed_jobs_become_ready_by_deadline,
                "c1> reserve; c2> reserve; c3> reserve\n"
                "d1> put 0 3 60 a; d1> put 9 1 60 b; d1> put 0 2 60 c\n"
                "+5\n"
                "c1< RESERVED 2 b; c2< RESERVED 3 c; c3< RESERVED 1 a\n")

JSM_SCRIPT_TEST(item_74_then_they_sort_by_priority_and_id,
                "c1> put 0 3 60 a; c1> put 0 1 60 b\n"
                "+3\n"
                "c1> reserve => RESERVED 1 a\n")

JSM_SCRIPT_TEST(item_75_expiry_makes_ready_and_counts,
                "c1> put 7 0 2 a; c1> reserve\n"
                "+2\n"
                "job 1 state=ready pri=7 timeouts=1 reserves=1 releases=0\n"
                "stats job-timeouts=1 ready=1 reserved=0\n"
                "c1> reserve => RESERVED 1 a\n")

JSM_SCRIPT_TEST(
    item_76_a_silent_worker_never_keeps_a_job,
    "c1> put 0 0 1 a; c1> put 0 0 1 b; c1> put 0 0 1 c; c1> reserve; c2> reserve; c3> reserve\n"
    "+0.999999999\n"
    "stats reserved=3\n"
    "+0.000000001\n"
    "stats reserved=0 ready=3 job-timeouts=3\n"
    "due never\n")

JSM_SCRIPT_TEST(item_77_a_leftover_timeout_does_not_lose_the_ttr,
                "c1> put 0 0 3 a; c1> reserve\n"
                "+2.5\n"
                "c1> reserve-with-timeout 1 => DEADLINE_SOON\n"
                "c1> touch 1 => TOUCHED\n"
                "due 3\n"
                "+3\n"
                "job 1 state=ready timeouts=1\n")

JSM_SCRIPT_TEST(item_78_a_stall_never_hands_a_holder_its_own_expired_job,
                "c1> put 0 0 5 a; c1> reserve; c1> reserve-with-timeout 50\n"
                "+10\n"
                "c1< DEADLINE_SOON\n"
                "c1< -\n"
                "job 1 state=ready timeouts=1\n")

JSM_SCRIPT_TEST(due_at_the_same_time_pause_delay_ttr_margin_timeout,
                "c1> put 9 0 4 held; c1> reserve\n"
                "c2> pause-tube default 4; c2> put 5 4 60 delayed\n"
                "c3> reserve-with-timeout 4; c2> reserve-with-timeout 4\n"
                "c4> put 0 0 5 mine; c4> reserve-job 3; c4> reserve-with-timeout 4\n"
                "+4\n"
                "c3< RESERVED 2 delayed; c2< RESERVED 1 held; c4< DEADLINE_SOON\n")

JSM_SCRIPT_TEST(waiters_that_time_out_together_are_answered_by_arrival,
                "c2> reserve-with-timeout 1; c1> reserve-with-timeout 1; c3> reserve\n"
                "+1\n"
                "c2< TIMED_OUT; c1< TIMED_OUT; c3< -\n")

JSM_SCRIPT_TEST(a_stamp_that_goes_back_is_the_largest_seen,
                "c1> put 0 2 60 a\n"
                "+1\n"
                "job 1 left=1\n"
                "due 1\n")

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(item_74_delayed_jobs_become_ready_by_deadline),
        cmocka_unit_test(item_74_then_they_sort_by_priority_and_id),
        cmocka_unit_test(item_75_expiry_makes_ready_and_counts),
        cmocka_unit_test(item_76_a_silent_worker_never_keeps_a_job),
        cmocka_unit_test(item_77_a_leftover_timeout_does_not_lose_the_ttr),
        cmocka_unit_test(item_78_a_stall_never_hands_a_holder_its_own_expired_job),
        cmocka_unit_test(due_at_the_same_time_pause_delay_ttr_margin_timeout),
        cmocka_unit_test(waiters_that_time_out_together_are_answered_by_arrival),
        cmocka_unit_test(a_stamp_that_goes_back_is_the_largest_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
