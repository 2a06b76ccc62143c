/* Proves section 1.J of the checklist, as far as the machine counts: stats. */
#include "support/jsm_script.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

JSM_SCRIPT_TEST(item_90_urgent_is_ready_below_1024,
                "c1> put 1023 0 60 a; c1> put 1024 0 60 b; c1> put 0 9 60 c\n"
                "stats urgent=1; tube default urgent=1 ready=2\n"
                "c1> reserve\n"
                "stats urgent=0\n"
                "c1> release 1 1024 0; stats urgent=0\n"
                "c1> reserve; c1> release 1 0 0; stats urgent=1\n")

JSM_SCRIPT_TEST(item_91_time_left_of_reserved_and_delayed_only,
                "c1> put 0 5 60 a\n"
                "job 1 left=5 delay=5\n"
                "+2\n"
                "job 1 left=3\n"
                "+3\n"
                "job 1 state=ready left=0 delay=5\n"
                "c1> reserve; job 1 left=60\n"
                "c1> bury 1 0; job 1 left=0\n")

JSM_SCRIPT_TEST(item_93_commands_count_also_when_not_found,
                "c1> release 1 0 0; c1> bury 1 0; c1> touch 1; c1> ignore default; c1> kick 3; c1> "
                "pause-tube no 1\n"
                "c1> use a; c1> use a; c1> watch b; c1> delete 9\n"
                "stats cmd-release=1 cmd-bury=1 cmd-touch=1 cmd-ignore=1 cmd-kick=1 "
                "cmd-pause-tube=1 cmd-use=2 cmd-watch=1\n"
                "stats cmd-delete=1\n")

JSM_SCRIPT_TEST(item_93_increments_of_what_makes_no_entry,
                "count 1 3; count 15 2\n"
                "stats cmd-peek=3 cmd-stats=2\n")

JSM_SCRIPT_TEST(item_94_connections_and_waiting,
                "c1> open; c2> open; d1> watch a\n"
                "stats connections=3 total-connections=3 waiting=0 tubes=2\n"
                "tube default using=3 watching=3\n"
                "d1> reserve\n"
                "stats waiting=1; tube default waiting=1; tube a waiting=1\n"
                "d1> close\n"
                "stats connections=2 total-connections=3 waiting=0\n")

JSM_SCRIPT_TEST(item_98_counters_survive,
                "c1> put 0 0 60 a; c1> delete 1; c1> reserve-with-timeout 0\n"
                "stats total-jobs=1 cmd-put=1 cmd-delete=1 cmd-reserve-with-timeout=1\n")

JSM_SCRIPT_TEST(item_99_unknown_tube_and_job,
                "c1> open; tube nowhere -\n"
                "tubes default\n"
                "job 1 -\n")

JSM_SCRIPT_TEST(item_101_nothing_acknowledged_is_forgotten,
                "c1> put 10 0 60 a; c1> reserve; c1> release 1 5 0\n"
                "job 1 pri=5 releases=1 reserves=1\n"
                "c1> reserve; +20; c1> touch 1\n"
                "job 1 state=reserved left=60 reserves=2 age=20\n"
                "c1> pause-tube default 30; tube default pause=30\n")

JSM_SCRIPT_TEST(item_103_buried_order_and_count_survive,
                "c1> put 0 0 60 a; c1> put 0 0 60 b; c1> reserve-job 2; c1> bury 2 0; c1> "
                "reserve-job 1; c1> bury 1 0\n"
                "head c1 buried 2; job 1 buries=1; job 2 buries=1\n")

JSM_SCRIPT_TEST(item_104_ids_are_never_used_again,
                "c1> put 0 0 60 a; c1> delete 1\n"
                "c1> put 0 0 60 b => INSERTED 2\n")

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(item_90_urgent_is_ready_below_1024),
        cmocka_unit_test(item_91_time_left_of_reserved_and_delayed_only),
        cmocka_unit_test(item_93_commands_count_also_when_not_found),
        cmocka_unit_test(item_93_increments_of_what_makes_no_entry),
        cmocka_unit_test(item_94_connections_and_waiting),
        cmocka_unit_test(item_98_counters_survive),
        cmocka_unit_test(item_99_unknown_tube_and_job),
        cmocka_unit_test(item_101_nothing_acknowledged_is_forgotten),
        cmocka_unit_test(item_103_buried_order_and_count_survive),
        cmocka_unit_test(item_104_ids_are_never_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
