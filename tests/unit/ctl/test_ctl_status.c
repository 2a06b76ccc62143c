/* Proves what `coolbeans status` concludes from the members' answers: who leads, and how many more
 * failures leave a majority. */
#include "ctl/ctl_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* `alive` voters of `voters`; the first one serves if `led`. */
static struct ctl_status members(unsigned voters, unsigned alive, bool led)
{
    struct ctl_status s = {.n = voters};
    for (unsigned i = 0; i < voters; i++) {
        struct ctl_member *m = &s.members[i];
        (void)snprintf(m->name, sizeof(m->name), "n%u", i + 1); /* always fits */
        m->voter = true;
        m->alive = i < alive;
        m->serving = led && i == 0;
    }
    ctl_status_conclude(&s);
    return s;
}

static void survives_what_leaves_a_majority(void **state)
{
    (void)state;
    static const struct {
        unsigned voters, alive, survives;
    } rows[] = {{1, 1, 0}, {3, 3, 1}, {3, 2, 0}, {5, 5, 2}, {5, 4, 1}, {5, 3, 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ctl_status s = members(rows[i].voters, rows[i].alive, true);
        assert_int_equal(s.survives, rows[i].survives);
        assert_string_equal(s.leader, "n1");
    }
}

static void without_a_leader_nothing_is_survived(void **state)
{
    (void)state;
    struct ctl_status s = members(3, 3, false);
    assert_int_equal(s.survives, 0);
    assert_string_equal(s.leader, "");
}

static void only_voters_count(void **state)
{
    (void)state;
    struct ctl_status s = members(3, 3, true);
    s.members[3] = (struct ctl_member){.name = "n4", .alive = true};
    s.n = 4;
    ctl_status_conclude(&s);
    assert_int_equal(s.survives, 1);
}

/* The table has a row for every member, the dead ones included. */
static void the_table_shows_the_dead(void **state)
{
    (void)state;
    struct ctl_status s = members(3, 2, true);
    char text[4096] = "";
    FILE *f = fmemopen(text, sizeof(text), "w");
    assert_non_null(f);
    ctl_status_print_table(&s, f);
    assert_int_equal(fclose(f), 0);
    assert_non_null(strstr(text, "n3"));
    assert_non_null(strstr(text, "down"));
    assert_non_null(strstr(text, "One more failure stops the cluster"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_what_leaves_a_majority),
        cmocka_unit_test(without_a_leader_nothing_is_survived),
        cmocka_unit_test(only_voters_count),
        cmocka_unit_test(the_table_shows_the_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
