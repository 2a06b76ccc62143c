/* Proves design D3 as far as it is in the machine: sessions, leases, resumption of reservations. */
#include "support/jsm_script.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

JSM_SCRIPT_TEST(a_larger_incarnation_takes_over_at_once,
                "open p1 5.7\n"
                "c1> put 0 0 60 a; c1> reserve; c2> reserve\n"
                "d1> reserve\n"
                "open p1 5.8\n"
                "d1< RESERVED 1 a\n"
                "stats connections=1 waiting=0 total-connections=3\n"
                "c1> put 0 0 60 b => INSERTED 2\n")

JSM_SCRIPT_TEST(an_equal_or_smaller_incarnation_has_no_effect,
                "open p1 5.7\n"
                "c1> put 0 0 60 a\n"
                "open p1 5.7\n"
                "open p1 5.6\n"
                "open p1 4.9\n"
                "stats connections=1\n"
                "c1> reserve => RESERVED 1 a\n")

JSM_SCRIPT_TEST(
    expire_gives_back_what_the_session_held,
    "c1> put 5 0 60 a; c1> put 1 0 60 b; c2> reserve-job 1; c1> reserve-job 2; c3> reserve\n"
    "d1> reserve; d2> reserve\n"
    "expire p1\n"
    "d1< RESERVED 2 b; d2< RESERVED 1 a\n"
    "stats connections=2 workers=2 producers=0\n")

JSM_SCRIPT_TEST(after_resume_reservations_wait_for_their_proxy,
                "c1> put 0 0 5 a; c1> reserve; d1> put 0 0 5 b; d1> reserve\n"
                "resume\n"
                "+10\n"
                "job 1 state=reserved left=0; job 2 state=reserved left=0\n"
                "due never\n"
                "attached p1\n"
                "tick\n"
                "job 1 state=ready timeouts=1; job 2 state=reserved\n"
                "attached p2; tick\n"
                "job 2 state=ready timeouts=1\n")

JSM_SCRIPT_TEST(after_resume_a_touch_that_was_on_its_way_counts,
                "c1> put 0 0 5 a; c1> reserve\n"
                "resume\n"
                "+10\n"
                "c1> touch 1 => TOUCHED\n"
                "attached p1; tick\n"
                "job 1 state=reserved left=5\n")

JSM_SCRIPT_TEST(after_resume_a_lease_that_ends_gives_the_jobs_back,
                "c1> put 0 0 5 a; c1> reserve\n"
                "resume\n"
                "+10\n"
                "expire p1\n"
                "job 1 state=ready timeouts=0\n")

JSM_SCRIPT_TEST(after_resume_delays_pauses_and_timeouts_go_on,
                "c1> put 0 3 60 a; c1> pause-tube default 4; c1> reserve-with-timeout 2\n"
                "resume\n"
                "+2\n"
                "c1< TIMED_OUT\n"
                "+2\n"
                "job 1 state=ready; tube default pause=0\n")

JSM_SCRIPT_TEST(a_session_opened_after_resume_is_not_suspended,
                "resume\n"
                "c1> put 0 0 5 a; c1> reserve\n"
                "+5\n"
                "job 1 state=ready timeouts=1\n")

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_larger_incarnation_takes_over_at_once),
        cmocka_unit_test(an_equal_or_smaller_incarnation_has_no_effect),
        cmocka_unit_test(expire_gives_back_what_the_session_held),
        cmocka_unit_test(after_resume_reservations_wait_for_their_proxy),
        cmocka_unit_test(after_resume_a_touch_that_was_on_its_way_counts),
        cmocka_unit_test(after_resume_a_lease_that_ends_gives_the_jobs_back),
        cmocka_unit_test(after_resume_delays_pauses_and_timeouts_go_on),
        cmocka_unit_test(a_session_opened_after_resume_is_not_suspended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
