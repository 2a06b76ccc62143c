/* Proves sections 1.C and 1.G of the checklist: use, watch, ignore, the life of tubes, pause-tube.
 */
#include "support/jsm_script.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

JSM_SCRIPT_TEST(item_35_a_connection_uses_and_watches_default,
                "c1> open\n"
                "used c1 default; watched c1 default; tubes default\n"
                "tube default using=1 watching=1 waiting=0\n")

JSM_SCRIPT_TEST(item_36_use_creates_the_tube_and_leaves_the_old_one,
                "c1> use a => USING\n"
                "tubes default a; used c1 a\n"
                "c1> use b => USING\n"
                "tubes default b\n"
                "tube a -\n"
                "c1> use b => USING\n"
                "tube b using=1\n")

JSM_SCRIPT_TEST(item_37_watch_counts_and_watching_twice_does_not_add,
                "c1> watch a => WATCHING 2\n"
                "c1> watch a => WATCHING 2\n"
                "c1> ignore nowhere => WATCHING 2\n"
                "tube nowhere -\n"
                "c1> ignore default => WATCHING 1\n"
                "c1> ignore a => NOT_IGNORED\n"
                "c1> ignore default => WATCHING 1\n"
                "watched c1 a\n")

JSM_SCRIPT_TEST(item_38_a_tube_lives_while_used_watched_or_with_a_job,
                "c1> use a; c1> put 0 0 60 x; c1> use default\n"
                "tubes default a\n"
                "c1> reserve-job 1 => RESERVED 1 x\n"
                "tubes default a\n"
                "c1> bury 1 0; tubes default a\n"
                "c1> kick-job 1; c1> reserve-job 1; c1> release 1 0 100; tubes default a\n"
                "c1> delete 1 => DELETED\n"
                "tubes default\n"
                "tube a -\n"
                "c1> watch b; tubes default b\n"
                "c1> ignore b; tubes default\n")

JSM_SCRIPT_TEST(
    item_38_its_counters_and_pause_die_with_the_tube,
    "c1> use a; c1> put 0 0 60 x; c1> pause-tube a 100; c1> put 0 0 60 y; c1> delete 1\n"
    "tube a total-jobs=2 cmd-delete=1 cmd-pause-tube=1 pause=100\n"
    "c1> delete 2; c1> use default\n"
    "tube a -\n"
    "c1> use a\n"
    "tube a total-jobs=0 cmd-delete=0 cmd-pause-tube=0 pause=0\n"
    "due never\n")

JSM_SCRIPT_TEST(item_38_default_never_dies,
                "c1> watch a; c1> ignore default; c1> use a\n"
                "tube default using=0 watching=0\n"
                "c1> close\n"
                "tubes default\n")

JSM_SCRIPT_TEST(item_39_the_last_tube_moves_into_the_place_of_a_removed_one,
                "c1> watch a; c1> watch b; c1> watch c\n"
                "tubes default a b c\n"
                "c1> ignore default => WATCHING 3\n"
                "watched c1 c a b\n"
                "tubes default a b c\n"
                "c1> ignore a => WATCHING 2\n"
                "watched c1 c b\n"
                "tubes default c b\n")

JSM_SCRIPT_TEST(item_39_a_closing_connection_lets_go_of_its_list_as_beanstalkd_does,
                "c1> watch a; c1> watch b; c1> watch c; c1> watch d; c1> ignore default\n"
                "watched c1 d a b c\n"
                "c2> watch v; c2> watch w; c2> watch x; c2> watch y; c2> watch z\n"
                "tubes default a b c d v w x y z\n"
                "c1> close\n"
                "tubes default w x y z v\n")

JSM_SCRIPT_TEST(
    more_than_16_watched_tubes,
    "c1> watch a; c1> watch b; c1> watch c; c1> watch d; c1> watch e; c1> watch f; c1> watch g\n"
    "c1> watch h; c1> watch i; c1> watch j; c1> watch k; c1> watch l; c1> watch m; c1> watch n\n"
    "c1> watch o; c1> watch p; c1> watch q; c1> watch r => WATCHING 19\n"
    "c1> watch c => WATCHING 19\n"
    "c1> watch r => WATCHING 19\n"
    "c2> use r; c2> put 5 0 60 r; c2> use b; c2> put 4 0 60 b\n"
    "c1> ignore c => WATCHING 18\n"
    "watched c1 default a b r d e f g h i j k l m n o p q\n"
    "c1> reserve => RESERVED 2 b\n"
    "c1> ignore q => WATCHING 17; c1> ignore p => WATCHING 16; c1> ignore o => WATCHING 15\n"
    "c1> ignore o => WATCHING 15\n"
    "watched c1 default a b r d e f g h i j k l m n\n"
    "c1> watch n => WATCHING 15; c1> watch p => WATCHING 16; c1> watch q => WATCHING 17\n"
    "c1> watch o => WATCHING 18; c1> watch a => WATCHING 18\n"
    "c1> reserve => RESERVED 1 r\n"
    "c1> reserve\n"
    "c2> use n; c2> put 0 0 60 n\n"
    "c1< RESERVED 3 n\n")

JSM_SCRIPT_TEST(item_70_pause_holds_back_reservations_only,
                "c1> pause-tube nowhere 10 => NOT_FOUND\n"
                "tube nowhere -\n"
                "c1> put 0 0 60 x\n"
                "c1> pause-tube default 10 => PAUSED\n"
                "c1> reserve-with-timeout 0 => TIMED_OUT\n"
                "head c1 ready 1\n"
                "c1> put 0 0 60 y => INSERTED 2\n"
                "c1> reserve-job 1 => RESERVED 1 x\n"
                "c1> bury 1 0; c1> kick 5 => KICKED 1\n"
                "c1> delete 1 => DELETED\n")

JSM_SCRIPT_TEST(item_71_pause_again_replaces_and_0_unpauses_at_once,
                "c1> put 0 0 60 x\n"
                "c2> pause-tube default 10; c1> reserve\n"
                "+4.5\n"
                "tube default pause=10 pause-left=5.5 cmd-pause-tube=1 waiting=1\n"
                "c2> pause-tube default 20 => PAUSED\n"
                "tube default pause=20 pause-left=20 cmd-pause-tube=2\n"
                "c1< -\n"
                "c2> pause-tube default 0 => PAUSED\n"
                "c1< RESERVED 1 x\n"
                "tube default pause=0 pause-left=0 cmd-pause-tube=3\n")

JSM_SCRIPT_TEST(item_71_pause_is_0_after_its_end,
                "c1> pause-tube default 10\n"
                "due 10\n"
                "+9.999999999\n"
                "tube default pause=10 pause-left=0.000000001\n"
                "+0.000000001\n"
                "tube default pause=0 pause-left=0\n"
                "due never\n")

JSM_SCRIPT_TEST(
    item_72_waiters_get_jobs_the_moment_the_pause_ends,
    "c1> pause-tube default 3; c1> reserve; c2> reserve; d1> put 0 0 60 x; d1> put 0 0 60 y\n"
    "+2.9\n"
    "c1< -\n"
    "+0.1\n"
    "c1< RESERVED 1 x; c2< RESERVED 2 y\n")

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(item_35_a_connection_uses_and_watches_default),
        cmocka_unit_test(item_36_use_creates_the_tube_and_leaves_the_old_one),
        cmocka_unit_test(item_37_watch_counts_and_watching_twice_does_not_add),
        cmocka_unit_test(item_38_a_tube_lives_while_used_watched_or_with_a_job),
        cmocka_unit_test(item_38_its_counters_and_pause_die_with_the_tube),
        cmocka_unit_test(item_38_default_never_dies),
        cmocka_unit_test(item_39_the_last_tube_moves_into_the_place_of_a_removed_one),
        cmocka_unit_test(item_39_a_closing_connection_lets_go_of_its_list_as_beanstalkd_does),
        cmocka_unit_test(more_than_16_watched_tubes),
        cmocka_unit_test(item_70_pause_holds_back_reservations_only),
        cmocka_unit_test(item_71_pause_again_replaces_and_0_unpauses_at_once),
        cmocka_unit_test(item_71_pause_is_0_after_its_end),
        cmocka_unit_test(item_72_waiters_get_jobs_the_moment_the_pause_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
