/* Proves that what takes several entries looks as if it had taken none (ADR 13): a kick, the end of
 * a connection or a session, waiters and jobs that are many, with so few steps an entry that each
 * state between is seen, and also loaded from its records. */
#include "support/jsm_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FIVE_BURIED                                                                                \
    "c1> put 9 0 60 a; c1> put 5 0 60 b; c1> put 7 0 60 c; c1> put 2000 0 60 d; c1> put 1 0 60 "   \
    "e\n"                                                                                          \
    "c1> reserve-job 1; c1> bury 1 9; c1> reserve-job 2; c1> bury 2 5; c1> reserve-job 3;"         \
    "c1> bury 3 7; c1> reserve-job 4; c1> bury 4 2000; c1> reserve-job 5; c1> bury 5 1\n"

JSM_SCRIPT_TEST(a_kick_of_many_is_done_when_it_is_answered,
                FIVE_BURIED "steps 1; c1> kick 4 => KICKED 4\n"
                            "tube default ready=4 buried=1 urgent=3 delayed=0\n"
                            "stats ready=4 urgent=3\n"
                            "job 1 state=ready kicks=1; job 4 state=ready kicks=1\n"
                            "job 5 state=buried kicks=0; head c1 buried 5; head c1 ready 2\n"
                            "due 0; tick; due 0; tick; job 3 state=ready kicks=1\n"
                            "tick; tick; due never; tube default ready=4 buried=1")

JSM_SCRIPT_TEST(jobs_of_a_kick_are_reserved_by_priority,
                FIVE_BURIED "steps 1; c1> kick 4\n"
                            "c2> reserve => RESERVED 2 b; c2> reserve => RESERVED 3 c\n"
                            "c2> reserve => RESERVED 1 a; c2> reserve => RESERVED 4 d\n"
                            "c2> reserve-with-timeout 0 => TIMED_OUT; job 1 kicks=1 reserves=2")

JSM_SCRIPT_TEST(a_job_of_a_kick_is_like_any_ready_one,
                FIVE_BURIED "steps 1; c1> kick 4\n"
                            "c2> kick-job 3 => NOT_FOUND; c2> delete 2 => DELETED\n"
                            "c2> reserve-job 1 => RESERVED 1 a; c2> bury 1 3 => BURIED\n"
                            "job 1 state=buried kicks=1; tube default ready=2 buried=2\n"
                            "c1> kick 9 => KICKED 2; tube default ready=4 buried=0\n"
                            "job 1 kicks=2; job 5 kicks=1; tick; tick; tick; tick; tick; due never")

JSM_SCRIPT_TEST(what_is_delayed_after_a_kick_is_not_of_it,
                "c1> put 5 50 60 a; c1> put 4 60 60 b; c1> put 3 70 60 c; steps 1\n"
                "c1> kick 2 => KICKED 2; c1> put 9 10 60 d; job 4 state=delayed kicks=0\n"
                "tube default ready=2 delayed=2; head c1 delayed 4; head c1 ready 2\n"
                "c1> kick 1 => KICKED 1; job 4 state=ready kicks=1; job 3 state=delayed\n"
                "tick; tick; tick; tick; tube default ready=3 delayed=1; due 70")

#define THREE_HELD                                                                                 \
    "d1> put 9 0 60 a; d1> put 5 0 60 b; d1> use t; d1> put 7 0 60 c; d1> reserve-job 1;"          \
    "d1> reserve-job 2; d1> reserve-job 3\n"

JSM_SCRIPT_TEST(a_connection_gives_all_back_in_one_moment,
                THREE_HELD "c1> use x; steps 2; d1> close\n"
                           "stats connections=1 reserved=3 ready=0\n"
                           "job 1 state=reserved; c1> delete 1 => NOT_FOUND\n"
                           "tick; stats ready=3 reserved=0\n"
                           "job 1 state=ready; job 3 state=ready; tube t ready=1 using=0\n"
                           "c1> reserve => RESERVED 2 b; c1> delete 2 => DELETED\n"
                           "c1> delete 3 => DELETED; tube t -; tick; tick; tick; due never")

JSM_SCRIPT_TEST(what_ended_does_not_expire,
                "d1> put 9 0 2 a; d1> put 9 0 2 b; d1> reserve; d1> reserve; c1> use x\n"
                "steps 1; d1> close; +10; +10; +10; job 1 state=ready timeouts=0\n"
                "stats job-timeouts=0")

JSM_SCRIPT_TEST(a_session_gives_all_back_in_one_moment,
                THREE_HELD "d2> watch z; c1> use x; steps 2; expire p2\n"
                           "stats reserved=3 connections=3\n"
                           "tick; tick; stats reserved=3 connections=3; job 2 state=reserved\n"
                           "tick; stats ready=3 reserved=0\n"
                           "job 2 state=ready; head c1 ready -\n"
                           "tick; stats connections=1; tube z -; tube t using=0\n"
                           "tick; tick; tick; tick; due never; c1> watch t\n"
                           "c1> reserve => RESERVED 2 b")

JSM_SCRIPT_TEST(a_later_incarnation_may_come_at_once,
                THREE_HELD "c1> use x; steps 1; open p2 5.7; d3> reserve\n"
                           "stats reserved=3; tick; tick; tick; tick; tick\n"
                           "d3< RESERVED 2 b")

JSM_SCRIPT_TEST(
    waiters_are_served_in_order_over_entries,
    "c1> use x; d1> watch t; d1> reserve; d2> watch t; d2> reserve; d3> watch t; c2> use t;"
    "d3> reserve; c1> pause-tube t 50; c1> use t; c1> put 9 0 60 a; c1> put 5 0 60 b;"
    "c1> put 7 0 60 c; c1> put 8 0 60 d; steps 1; c1> pause-tube t 0\n"
    "d1< RESERVED 2 b; d2< -\n"
    "c2> watch t; d2< RESERVED 3 c; d3< -\n"
    "c2> reserve-with-timeout 0; d3< RESERVED 4 d; c2< -\n" /* came behind it */
    "tick; c2< RESERVED 1 a; tick; due 60")

/* c2 stands in the line of t, where better jobs than the one in u are left for it. */
JSM_SCRIPT_TEST(a_job_of_another_tube_is_not_had_before_a_better_one,
                "c1> use x; d1> watch t; d1> reserve; d2> watch t; d2> reserve; d3> watch t\n"
                "d3> reserve; d4> watch t; d4> reserve; c2> watch t; c2> watch u; c3> use u\n"
                "c1> pause-tube t 50; c1> use t; c1> put 1 0 60 a; c1> put 2 0 60 b\n"
                "c1> put 3 0 60 c; c1> put 4 0 60 d; c1> put 5 0 60 e\n"
                "steps 1; c1> pause-tube t 0; c2> reserve; c3> put 9 0 60 other; c2< -\n"
                "tick; tick; c2< RESERVED 5 e; tick; tick; tube u ready=1; due 60\n"
                "c2> reserve => RESERVED 6 other")

JSM_SCRIPT_TEST(who_has_no_time_is_told_so_when_the_others_are_served,
                "c1> use x; d1> watch t; d1> reserve; d2> watch t; d2> reserve; c2> watch t\n"
                "c1> pause-tube t 50; c1> use t; c1> put 9 0 60 a; c1> put 5 0 60 b\n"
                "steps 1; c1> pause-tube t 0; d1< RESERVED 2 b\n"
                "c2> reserve-with-timeout 0; c2< -; d2< RESERVED 1 a; tick; c2< TIMED_OUT")

JSM_SCRIPT_TEST(who_is_half_closed_is_told_so_when_the_others_are_served,
                "c1> use x; d1> watch t; d1> reserve; d2> watch t; d2> reserve; c2> watch t\n"
                "c1> pause-tube t 50; c1> use t; c1> put 9 0 60 a; c1> put 5 0 60 b\n"
                "c1> put 9 0 60 c; c3> watch t; steps 1; c1> pause-tube t 0; d1< RESERVED 2 b\n"
                "c2> reserve; c2< -; d2< RESERVED 1 a; c3> reserve; c2< RESERVED 3 c; c3< -\n"
                "c3> half-close; tick; c3< TIMED_OUT")

JSM_SCRIPT_TEST(a_job_goes_before_a_half_close,
                "c1> use x; d1> watch t; d1> reserve; d2> watch t; d2> reserve; d3> watch t\n"
                "d3> reserve; c2> watch t; c1> pause-tube t 50; c1> use t; c1> put 1 0 60 a\n"
                "c1> put 2 0 60 b; c1> put 3 0 60 c; c1> put 4 0 60 d; c1> put 5 0 60 e\n"
                "steps 1; c1> pause-tube t 0; c2> reserve; c2> half-close; c2< -\n"
                "tick; c2< RESERVED 4 d")

#define EIGHT_WAIT                                                                                 \
    "d1> watch t; d1> reserve; d2> watch t; d2> reserve; d4> watch t; d4> reserve; d5> watch t;"   \
    "d5> reserve; e1> watch t; e1> reserve; e2> watch t; e2> reserve; e3> watch t; e3> reserve;"   \
    "e4> watch t; e4> reserve\n"
#define EIGHT_JOBS                                                                                 \
    "c1> put 1 0 60 a; c1> put 2 0 60 a; c1> put 3 0 60 a; c1> put 4 0 60 a; c1> put 5 0 60 a;"    \
    "c1> put 6 0 60 a; c1> put 7 0 60 a; c1> put 8 0 60 a\n"

JSM_SCRIPT_TEST(a_job_goes_before_a_deadline_that_is_near,
                EIGHT_WAIT "c1> use x; c1> put 1 0 2 h; d3> watch t; d3> reserve-job 1\n"
                           "c1> pause-tube t 50; c1> use t\n" EIGHT_JOBS "c1> put 9 0 60 last\n"
                           "steps 2; c1> pause-tube t 0; +1.5; d3> reserve; d3< -; tick; d3< -\n"
                           "e3< RESERVED 8 a; e4< -; tick; e4< RESERVED 9 a; d3< RESERVED 10 last\n"
                           "tick; d3> reserve => DEADLINE_SOON")

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kick_of_many_is_done_when_it_is_answered),
        cmocka_unit_test(jobs_of_a_kick_are_reserved_by_priority),
        cmocka_unit_test(a_job_of_a_kick_is_like_any_ready_one),
        cmocka_unit_test(what_is_delayed_after_a_kick_is_not_of_it),
        cmocka_unit_test(a_connection_gives_all_back_in_one_moment),
        cmocka_unit_test(what_ended_does_not_expire),
        cmocka_unit_test(a_session_gives_all_back_in_one_moment),
        cmocka_unit_test(a_later_incarnation_may_come_at_once),
        cmocka_unit_test(waiters_are_served_in_order_over_entries),
        cmocka_unit_test(a_job_of_another_tube_is_not_had_before_a_better_one),
        cmocka_unit_test(a_job_goes_before_a_deadline_that_is_near),
        cmocka_unit_test(who_is_half_closed_is_told_so_when_the_others_are_served),
        cmocka_unit_test(a_job_goes_before_a_half_close),
        cmocka_unit_test(who_has_no_time_is_told_so_when_the_others_are_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
