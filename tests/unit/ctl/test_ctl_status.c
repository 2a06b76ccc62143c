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

static void expect_in_table(const struct ctl_status *s, const char *what, bool is_there)
{
    char text[4096] = "";
    FILE *f = fmemopen(text, sizeof(text), "w");
    assert_non_null(f);
    ctl_status_print_table(s, f);
    assert_int_equal(fclose(f), 0);
    if ((strstr(text, what) != NULL) != is_there) {
        print_message("%s", text);
    }
    assert_int_equal(strstr(text, what) != NULL, is_there);
}

/* Who has how much room, and what follows from it, by the word of the leader. */
static void the_table_shows_room_and_what_is_refused(void **state)
{
    (void)state;
    struct ctl_status s = members(3, 3, true);
    for (unsigned i = 0; i < 3; i++) {
        s.members[i].free_known = i != 2;
        s.members[i].free = (100 + 400 * i) * CB_MIB;
        s.members[i].reserve = 256 * CB_MIB;
    }
    expect_in_table(&s, " 100M ", true);
    expect_in_table(&s, " 500M ", true);
    expect_in_table(&s, " ?  ", true);
    expect_in_table(&s, "OUT_OF_MEMORY", false);
    s.members[1].puts_refused = true; /* it may not know yet that this is over */
    expect_in_table(&s, "OUT_OF_MEMORY", false);
    s.members[0].puts_refused = true;
    expect_in_table(&s, "too few members have 256M", true);
    expect_in_table(&s, "  n1 has 100M\n", true);
    expect_in_table(&s, "  n2 has", false);
    expect_in_table(&s, "it waits", false);
    (void)snprintf(s.members[2].waits, sizeof(s.members[2].waits), "it waits for room");
    expect_in_table(&s, "\nn3: it waits for room\n", true);
    s.members[0].free = 3 * 1024 * 1024 * CB_MIB / 2;
    expect_in_table(&s, " 1.5T ", true);
    s.members[0].free = UINT64_MAX;
    expect_in_table(&s, "T ", true);
    s.members[0].free = 0;
    expect_in_table(&s, " 0B ", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_what_leaves_a_majority),
        cmocka_unit_test(without_a_leader_nothing_is_survived),
        cmocka_unit_test(only_voters_count),
        cmocka_unit_test(the_table_shows_the_dead),
        cmocka_unit_test(the_table_shows_room_and_what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
