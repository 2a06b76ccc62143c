/* Proves section 1.B of the checklist, as far as the machine decides it: put. */
#include "support/jsm_script.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

JSM_SCRIPT_TEST(item_21_put_answers_with_an_id,
                "c1> put 10 0 60 body => INSERTED 1\n"
                "c1> put 10 0 60 body => INSERTED 2\n"
                "job 1 state=ready pri=10 ttr=60 delay=0 size=4\n")

JSM_SCRIPT_TEST(item_26_ttr_0_becomes_1_and_a_body_may_be_empty,
                "c1> put 0 0 0 => INSERTED 1\n"
                "job 1 ttr=1 size=0\n"
                "c1> reserve => RESERVED 1\n")

JSM_SCRIPT_TEST(item_28_the_id_is_assigned_at_commit,
                "c1> put-aged 5 0 0 60 slow => INSERTED 1\n"
                "c2> put 0 0 60 fast => INSERTED 2\n"
                "c2> reserve => RESERVED 1 slow\n")

JSM_SCRIPT_TEST(item_29_a_rejected_put_consumes_no_id,
                "c1> put-rejected\n"
                "c1< -\n"
                "c1> put 0 0 60 x => INSERTED 1\n")

JSM_SCRIPT_TEST(item_30_cmd_put_and_producers_count_valid_put_lines,
                "c1> open; c2> open\n"
                "stats producers=0\n"
                "c1> put-rejected\n"
                "stats cmd-put=1 producers=1 total-jobs=0\n"
                "c1> put 0 0 60 x\n"
                "c2> put 0 0 60 x\n"
                "stats cmd-put=3 producers=2\n"
                "c1> close\n"
                "stats producers=1\n"
                "count 0 5\n"
                "stats cmd-put=8 producers=1\n")

JSM_SCRIPT_TEST(item_31_total_jobs_counts_successes,
                "c1> use a\n"
                "c1> put 0 0 60 x; c1> put-rejected; c1> put 0 5 60 x\n"
                "stats total-jobs=2\n"
                "tube a total-jobs=2 ready=1 delayed=1\n"
                "tube default total-jobs=0\n")

JSM_SCRIPT_TEST(item_34_age_counts_from_the_put_line,
                "c1> put-aged 1.5 0 0 60 x\n"
                "job 1 age=1.5\n"
                "+2.25\n"
                "job 1 age=3.75\n"
                "c1> put-aged 99999 0 0 60 x\n"
                "job 2 age=1002.25\n")

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(item_21_put_answers_with_an_id),
        cmocka_unit_test(item_26_ttr_0_becomes_1_and_a_body_may_be_empty),
        cmocka_unit_test(item_28_the_id_is_assigned_at_commit),
        cmocka_unit_test(item_29_a_rejected_put_consumes_no_id),
        cmocka_unit_test(item_30_cmd_put_and_producers_count_valid_put_lines),
        cmocka_unit_test(item_31_total_jobs_counts_successes),
        cmocka_unit_test(item_34_age_counts_from_the_put_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
