/* Proves section 1.I of the checklist: the end of connections. */
#include "support/jsm_script.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

JSM_SCRIPT_TEST(item_79_held_jobs_become_ready_in_the_order_reserved,
                "c1> put 5 0 60 a; c1> put 1 0 60 b; c1> put 3 0 60 c\n"
                "c1> reserve-job 3; c1> reserve-job 1; c1> reserve-job 2\n"
                "d1> reserve; d2> reserve; d3> reserve\n"
                "c1> close\n"
                "d1< RESERVED 3 c; d2< RESERVED 1 a; d3< RESERVED 2 b\n"
                "job 1 releases=0 timeouts=0 pri=5 reserves=2\n")

JSM_SCRIPT_TEST(item_79_a_closed_waiter_gets_nothing,
                "c1> reserve; c2> reserve; c1> close\n"
                "d1> put 0 0 60 a\n"
                "c2< RESERVED 1 a\n")

JSM_SCRIPT_TEST(item_80_half_close_ends_a_wait_as_timed_out,
                "c1> reserve\n"
                "c1> half-close\n"
                "c1< TIMED_OUT\n"
                "c1> put 0 0 60 a => INSERTED 1\n"
                "stats waiting=0\n")

JSM_SCRIPT_TEST(item_80_a_grant_that_came_first_stands,
                "c1> reserve; c2> put 0 0 60 a\n"
                "c1< RESERVED 1 a\n"
                "c1> half-close => -\n"
                "c1> delete 1 => DELETED\n")

JSM_SCRIPT_TEST(item_81_a_half_closed_reserve_never_waits,
                "c1> open; c1> half-close\n"
                "c1> reserve => TIMED_OUT\n"
                "c1> put 0 0 60 a; c1> reserve => RESERVED 1 a\n"
                "c1> put 0 0 1 b; c1> reserve\n"
                "c1> reserve => DEADLINE_SOON\n")

JSM_SCRIPT_TEST(item_82_what_was_read_before_the_end_still_runs,
                "c2> put 0 0 60 a; c1> reserve; c1> half-close; c1> delete 1 => DELETED\n"
                "c1> close\n"
                "job 1 -\n")

JSM_SCRIPT_TEST(item_83_a_reserved_job_whose_answer_nobody_took_is_ready_again,
                "c1> reserve; c2> put 0 0 60 a; c1> close\n"
                "job 1 state=ready reserves=1\n")

JSM_SCRIPT_TEST(opening_twice_and_closing_the_unknown_do_nothing,
                "c1> use a; stats connections=1 total-connections=1\n"
                "c1> close; stats connections=0 total-connections=1\n")

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(item_79_held_jobs_become_ready_in_the_order_reserved),
        cmocka_unit_test(item_79_a_closed_waiter_gets_nothing),
        cmocka_unit_test(item_80_half_close_ends_a_wait_as_timed_out),
        cmocka_unit_test(item_80_a_grant_that_came_first_stands),
        cmocka_unit_test(item_81_a_half_closed_reserve_never_waits),
        cmocka_unit_test(item_82_what_was_read_before_the_end_still_runs),
        cmocka_unit_test(item_83_a_reserved_job_whose_answer_nobody_took_is_ready_again),
        cmocka_unit_test(opening_twice_and_closing_the_unknown_do_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
