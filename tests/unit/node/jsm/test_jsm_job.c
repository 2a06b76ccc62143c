/* Proves sections 1.E and 1.F of the checklist: delete, release, bury, touch, kick, peek. */
#include "support/jsm_script.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

JSM_SCRIPT_TEST(item_58_delete_by_anyone_unless_reserved_by_another,
                "c1> put 0 0 60 a; c1> put 0 9 60 b; c1> put 0 0 60 c; c1> put 0 0 60 d\n"
                "c1> reserve-job 3; c1> bury 3 0; c1> reserve-job 4\n"
                "c2> delete 1 => DELETED\n"
                "c2> delete 2 => DELETED\n"
                "c2> delete 3 => DELETED\n"
                "c2> delete 4 => NOT_FOUND\n"
                "c1> delete 4 => DELETED\n"
                "c1> delete 4 => NOT_FOUND\n"
                "c1> delete 0 => NOT_FOUND\n"
                "job 4 -\n"
                "stats ready=0 reserved=0 delayed=0 buried=0\n")

JSM_SCRIPT_TEST(item_59_cmd_delete_counts_all_globally_and_successes_in_the_tube,
                "c1> put 0 0 60 a; c1> delete 7; c1> delete 1; c1> delete 1\n"
                "stats cmd-delete=3\n"
                "tube default cmd-delete=1\n")

JSM_SCRIPT_TEST(item_60_release_sets_priority_and_delay,
                "c1> put 5 0 60 a; c1> reserve\n"
                "c2> release 1 0 0 => NOT_FOUND\n"
                "c1> release 1 7 0 => RELEASED\n"
                "job 1 state=ready pri=7 delay=0 releases=1\n"
                "c1> reserve; c1> release 1 3 4 => RELEASED\n"
                "job 1 state=delayed pri=3 delay=4 releases=2 left=4\n"
                "+4\n"
                "job 1 state=ready pri=3 delay=4\n"
                "c1> release 1 0 0 => NOT_FOUND\n"
                "stats cmd-release=4\n")

JSM_SCRIPT_TEST(item_60_a_released_job_goes_to_a_waiter_at_once,
                "c1> put 0 0 60 a; c1> reserve; c2> reserve\n"
                "c1> release 1 0 0 => RELEASED\n"
                "c2< RESERVED 1 a\n"
                "job 1 reserves=2\n")

JSM_SCRIPT_TEST(item_61_bury_goes_to_the_tail,
                "c1> put 0 0 60 a; c1> put 0 0 60 b; c1> reserve-job 2; c1> reserve-job 1\n"
                "c2> bury 1 0 => NOT_FOUND\n"
                "c1> bury 2 9 => BURIED\n"
                "c1> bury 1 0 => BURIED\n"
                "head c1 buried 2\n"
                "job 2 state=buried pri=9 buries=1 left=0\n"
                "tube default buried=2\n")

JSM_SCRIPT_TEST(item_62_touch_gives_the_whole_ttr_again,
                "c1> put 0 0 10 a; c1> reserve\n"
                "c2> touch 1 => NOT_FOUND\n"
                "+9.5\n"
                "job 1 left=0.5\n"
                "c1> touch 1 => TOUCHED\n"
                "job 1 left=10\n"
                "due 10\n"
                "+10\n"
                "c1> touch 1 => NOT_FOUND\n"
                "job 1 state=ready timeouts=1\n")

JSM_SCRIPT_TEST(item_63_after_expiry_the_former_holder_may_only_delete,
                "c1> put 0 0 2 a; c1> reserve\n"
                "+2\n"
                "c1> release 1 0 0 => NOT_FOUND\n"
                "c1> bury 1 0 => NOT_FOUND\n"
                "c1> touch 1 => NOT_FOUND\n"
                "c1> delete 1 => DELETED\n")

JSM_SCRIPT_TEST(item_64_kick_takes_buried_before_delayed_never_both,
                "c1> put 0 50 60 a; c1> put 0 40 60 b; c1> put 0 0 60 c; c1> put 0 0 60 d\n"
                "c1> reserve-job 4; c1> bury 4 0; c1> reserve-job 3; c1> bury 3 0\n"
                "c1> kick 0 => KICKED 0\n"
                "c1> kick 1 => KICKED 1\n"
                "job 4 state=ready; job 3 state=buried\n"
                "c1> kick 10 => KICKED 1\n"
                "job 3 state=ready; job 1 state=delayed\n"
                "c1> kick 1 => KICKED 1\n"
                "job 2 state=ready; job 1 state=delayed\n"
                "c1> kick 10 => KICKED 1\n"
                "c1> kick 10 => KICKED 0\n"
                "stats cmd-kick=6\n")

JSM_SCRIPT_TEST(item_64_kick_works_on_the_used_tube_only,
                "c1> put 0 50 60 a\n"
                "c2> use other; c2> kick 10 => KICKED 0\n"
                "c1> kick 10 => KICKED 1\n")

JSM_SCRIPT_TEST(item_64_kicked_jobs_go_to_waiters_one_by_one,
                "c1> put 9 50 60 a; c1> put 1 60 60 b; c2> reserve; c3> reserve\n"
                "c1> kick 10 => KICKED 2\n"
                "c2< RESERVED 1 a; c3< RESERVED 2 b\n")

JSM_SCRIPT_TEST(item_65_kick_job_any_tube,
                "c1> use a; c1> put 0 50 60 x; c1> put 0 0 60 y\n"
                "c2> kick-job 1 => KICKED_JOB\n"
                "c2> kick-job 1 => NOT_FOUND\n"
                "c2> kick-job 2 => NOT_FOUND\n"
                "c2> kick-job 3 => NOT_FOUND\n"
                "c2> reserve-job 2; c2> kick-job 2 => NOT_FOUND\n"
                "c2> bury 2 0; c1> kick-job 2 => KICKED_JOB\n"
                "job 1 kicks=1; job 2 state=ready kicks=1\n"
                "stats cmd-kick=0\n")

JSM_SCRIPT_TEST(item_66_kick_keeps_priority_and_delay_field,
                "c1> put 5 50 60 x; c1> kick 1\n"
                "job 1 state=ready pri=5 delay=50 left=0 kicks=1\n"
                "c1> reserve-job 1; c1> bury 1 77; c1> kick 1\n"
                "job 1 pri=77 delay=50 kicks=2\n")

JSM_SCRIPT_TEST(item_68_peek_finds_any_state,
                "c1> put 0 0 60 a; c1> reserve\n"
                "job 1 state=reserved; job 0 -; job 2 -\n")

JSM_SCRIPT_TEST(
    item_69_heads_of_the_used_tube,
    "c1> put 9 0 60 a; c1> put 2 0 60 b; c1> put 0 9 60 c; c1> put 0 4 60 d; c1> put 0 4 60 e\n"
    "head c1 ready 2; head c1 delayed 4; head c1 buried -\n"
    "c1> pause-tube default 100; head c1 ready 2\n"
    "c1> reserve-job 1; c1> bury 1 0; head c1 buried 1\n"
    "c1> use other; head c1 ready -; head c1 delayed -; head c1 buried -\n")

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(item_58_delete_by_anyone_unless_reserved_by_another),
        cmocka_unit_test(item_59_cmd_delete_counts_all_globally_and_successes_in_the_tube),
        cmocka_unit_test(item_60_release_sets_priority_and_delay),
        cmocka_unit_test(item_60_a_released_job_goes_to_a_waiter_at_once),
        cmocka_unit_test(item_61_bury_goes_to_the_tail),
        cmocka_unit_test(item_62_touch_gives_the_whole_ttr_again),
        cmocka_unit_test(item_63_after_expiry_the_former_holder_may_only_delete),
        cmocka_unit_test(item_64_kick_takes_buried_before_delayed_never_both),
        cmocka_unit_test(item_64_kick_works_on_the_used_tube_only),
        cmocka_unit_test(item_64_kicked_jobs_go_to_waiters_one_by_one),
        cmocka_unit_test(item_65_kick_job_any_tube),
        cmocka_unit_test(item_66_kick_keeps_priority_and_delay_field),
        cmocka_unit_test(item_68_peek_finds_any_state),
        cmocka_unit_test(item_69_heads_of_the_used_tube),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
