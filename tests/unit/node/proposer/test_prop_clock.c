/* Proves: the cluster clock runs on without a step through the log, neither loses the way of a
 * leader's own entries nor adds up a follower's drift; one that has only replayed has it from a
 * member that knows, and what is wrong with an answer makes it late, not early; a step of one wall
 * clock moves nothing, and none does where a member knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "node/proposer/prop_clock.h"

#define S CB_NS_PER_S
#define TERM 7

static struct prop_clock c;
static uint64_t next_index;

/* Another process: so many other members from id 1 on, a stored stamp, and the wall time of it. */
static void start(uint32_t n_others, uint64_t stamp_ns, uint64_t wall_ns)
{
    static const uint64_t ids[] = {1, 2};
    const struct prop_clock_entry last = {.stamp_ns = stamp_ns, .index = 50};
    prop_clock_init(&c, &last, wall_ns);
    prop_clock_members(&c, ids, n_others);
    next_index = 100;
}

static void applied(uint64_t stamp_ns, enum prop_clock_how how, uint64_t boot_ns)
{
    const struct prop_clock_entry e = {.stamp_ns = stamp_ns, .index = ++next_index, .term = TERM};
    prop_clock_applied(&c, &e, how, boot_ns);
}

static enum prop_clock_lead lead(bool may_wait, uint64_t boot_ns, uint64_t wall_ns)
{
    uint64_t moved;
    return prop_clock_lead(&c, may_wait, boot_ns, wall_ns, &moved);
}

static bool knows(uint64_t id, uint64_t now_ns, uint64_t index, uint64_t term, uint64_t boot_ns)
{
    const struct prop_clock_word w = {
        .knows = true, .now_ns = now_ns, .index = index, .term = term};
    return prop_clock_heard(&c, id, &w, TERM, boot_ns);
}

static void does_not_know(uint64_t id, uint64_t now_ns, uint64_t boot_ns)
{
    const struct prop_clock_word w = {.now_ns = now_ns};
    assert_false(prop_clock_heard(&c, id, &w, TERM, boot_ns));
}

/* ---- alone ---- */

static void leader_does_not_lose_its_latency(void **state)
{
    (void)state;
    start(0, 0, 0);
    assert_int_equal(lead(true, 1000, 777), PROP_CLOCK_FROM_WALL);
    uint64_t boot = 1000;
    for (unsigned i = 0; i < 100; i++) {
        uint64_t stamp = prop_clock_now(&c, boot);
        boot += 10; /* the way through the log */
        applied(stamp, PROP_CLOCK_OWN, boot);
    }
    assert_int_equal(prop_clock_now(&c, boot), 1000);
}

static void follower_follows(void **state)
{
    (void)state;
    start(2, 0, 0);
    applied(500, PROP_CLOCK_LIVE, 9000);
    applied(600, PROP_CLOCK_LIVE, 9500); /* this oscillator is five times too fast */
    assert_int_equal(lead(true, 9510, 1), PROP_CLOCK_RUNS);
    assert_int_equal(prop_clock_now(&c, 9510), 610);
}

static void never_goes_back(void **state)
{
    (void)state;
    start(2, 0, 0);
    applied(500, PROP_CLOCK_LIVE, 100);
    applied(400, PROP_CLOCK_LIVE, 100); /* clamped by the machine */
    assert_int_equal(prop_clock_now(&c, 100), 500);
    assert_int_equal(prop_clock_now(&c, 50), 500);
}

static void does_not_stand_still_behind_a_state(void **state)
{
    (void)state;
    start(2, 0, 0);
    applied(500, PROP_CLOCK_LIVE, 100);
    applied(90000, PROP_CLOCK_REPLAYED, 110); /* the state of a member whose time had jumped */
    assert_int_equal(prop_clock_now(&c, 110), 90000);
    assert_int_equal(prop_clock_now(&c, 111), 90001);
}

static void a_node_alone_has_its_wall_clock(void **state)
{
    (void)state;
    uint64_t moved;
    start(0, 1000, 50000);
    applied(1200, PROP_CLOCK_REPLAYED, 10);
    assert_int_equal(prop_clock_lead(&c, true, 10, 53000, &moved), PROP_CLOCK_FROM_WALL);
    assert_int_equal(moved, 2800);
    assert_int_equal(prop_clock_now(&c, 11), 4001);

    /* The wall clock went back: nothing moves. */
    start(0, 1000, 50000);
    applied(1200, PROP_CLOCK_REPLAYED, 10);
    assert_int_equal(prop_clock_lead(&c, true, 10, 20000, &moved), PROP_CLOCK_FROM_WALL);
    assert_int_equal(moved, 0);
    assert_int_equal(prop_clock_now(&c, 10), 1200);
}

static void a_live_node_ignores_the_wall(void **state)
{
    (void)state;
    start(0, 1000, 50000);
    applied(1100, PROP_CLOCK_LIVE, 10);
    assert_int_equal(lead(true, 20, 99999999), PROP_CLOCK_RUNS);
    assert_int_equal(prop_clock_now(&c, 20), 1110);
}

/* ---- members that know ---- */

static void a_member_that_knows_is_believed(void **state)
{
    (void)state;
    start(2, 1000, 50000);
    applied(1200, PROP_CLOCK_REPLAYED, 10);
    does_not_know(2, 3600 * S, 15);
    assert_true(knows(1, 5000, 80, TERM, 20));
    assert_true(prop_clock_is_settled(&c));
    assert_int_equal(lead(true, 30, 50000 + 3600 * S), PROP_CLOCK_RUNS);
    assert_int_equal(prop_clock_now(&c, 30), 5010);
}

static void no_answer_sets_it_back(void **state)
{
    (void)state;
    start(2, 1000, 0);
    applied(1200, PROP_CLOCK_REPLAYED, 10);
    assert_true(knows(1, 900, 80, TERM, 20));
    assert_int_equal(prop_clock_now(&c, 20), 1200);
    assert_false(knows(2, 700, 80, TERM, 25));
    assert_int_equal(prop_clock_now(&c, 30), 1210);
}

static void of_two_in_one_term_the_later_counts(void **state)
{
    (void)state;
    start(2, 1000, 0);
    (void)knows(1, 5000, 80, TERM, 20);
    assert_false(knows(2, 5100, 70, TERM, 20));
    assert_int_equal(prop_clock_now(&c, 20), 5100);
    assert_false(knows(1, 5050, 90, TERM, 20));
    assert_int_equal(prop_clock_now(&c, 20), 5100);
    assert_false(knows(1, 3000, 95, TERM + 1, 20)); /* that leader has lost some time */
    assert_int_equal(prop_clock_now(&c, 20), 3000);
}

static void a_clock_of_an_older_leader_is_one_voice_of_all(void **state)
{
    (void)state;
    start(2, 1000, 50000);
    assert_false(knows(1, 900000, 80, TERM - 1, 20));
    assert_false(prop_clock_is_settled(&c));
    does_not_know(2, 1000, 25);
    assert_int_equal(lead(true, 30, 50000), PROP_CLOCK_FROM_WALL);
    assert_int_equal(prop_clock_now(&c, 30), 1005);

    /* Of the leader of a moment ago nobody else has heard. */
    start(2, 1000, 50000);
    assert_false(knows(1, 9000, 80, TERM - 1, 20));
    assert_false(knows(2, 9001, 80, TERM - 1, 20));
    assert_int_equal(lead(true, 20, 3600 * S), PROP_CLOCK_FROM_WALL);
    assert_int_equal(prop_clock_now(&c, 20), 9001);
}

static void old_entries_do_not_set_back_what_a_member_said(void **state)
{
    (void)state;
    start(2, 1000, 0);
    applied(1200, PROP_CLOCK_LIVE, 10); /* catching up already, so it thinks to know */
    assert_false(knows(1, 90000, 103, TERM, 20));
    applied(1300, PROP_CLOCK_LIVE, 30); /* 102 */
    applied(1400, PROP_CLOCK_LIVE, 40); /* 103 */
    assert_int_equal(prop_clock_now(&c, 40), 90020);
    applied(90100, PROP_CLOCK_LIVE, 130); /* 104 */
    assert_int_equal(prop_clock_now(&c, 130), 90100);
}

static void who_was_told_tells_others(void **state)
{
    (void)state;
    start(2, 1000, 50000);
    struct prop_clock_word w = prop_clock_tell(&c, 10, 58000);
    assert_false(w.knows);
    assert_int_equal(w.now_ns, 9000); /* by its wall clock */
    assert_true(w.index == 50 && w.term == 0);
    (void)knows(1, 5000, 80, TERM, 20);
    w = prop_clock_tell(&c, 30, 99999);
    assert_true(w.knows && w.now_ns == 5010 && w.index == 80 && w.term == TERM);
}

static void who_has_stored_nothing_has_no_idea(void **state)
{
    (void)state;
    start(2, 0, 0);
    struct prop_clock_word w = prop_clock_tell(&c, 10, 58000);
    assert_true(!w.knows && w.now_ns == 0);
}

/* ---- nobody knows ---- */

static void one_wall_clock_moves_nothing(void **state)
{
    (void)state;
    /* Two seconds have passed; one clock after the other has stepped. */
    const int64_t steps[][3] = {{3600, 0, 0}, {0, 3600, 0}, {0, 0, 3600},
                                {-60, 0, 0},  {0, -60, 0},  {0, 0, -60}};
    for (unsigned i = 0; i < 6; i++) {
        uint64_t by_wall[3];
        for (unsigned n = 0; n < 3; n++) {
            int64_t away = 2 + steps[i][n];
            by_wall[n] = (100 + (uint64_t)(away > 0 ? away : 0)) * S;
        }
        start(2, 100 * S, 50000 * S);
        does_not_know(1, by_wall[1], 0);
        assert_int_equal(lead(true, 0, by_wall[0] + 49900 * S), PROP_CLOCK_WAITS);
        does_not_know(2, by_wall[2], S);
        assert_int_equal(lead(true, S, by_wall[0] + 49901 * S), PROP_CLOCK_FROM_WALL);
        assert_in_range(prop_clock_now(&c, S), 102 * S, 103 * S);
    }
}

static void of_two_wall_clocks_the_one_behind_counts(void **state)
{
    (void)state;
    start(2, 100 * S, 50000 * S);
    does_not_know(1, 3700 * S, 0);
    assert_int_equal(lead(true, S, 50003 * S), PROP_CLOCK_WAITS); /* the third may know */
    assert_int_equal(lead(false, S, 50003 * S), PROP_CLOCK_FROM_WALL);
    assert_int_equal(prop_clock_now(&c, S), 103 * S);

    start(2, 100 * S, 50000 * S);
    does_not_know(1, 0, 0); /* it has no idea */
    assert_int_equal(lead(false, S, 53000 * S), PROP_CLOCK_FROM_WALL);
    assert_int_equal(prop_clock_now(&c, S), 100 * S);
}

static void without_a_majority_it_stands(void **state)
{
    (void)state;
    start(2, 100 * S, 50000 * S);
    assert_int_equal(lead(true, S, 53000 * S), PROP_CLOCK_WAITS);
    assert_int_equal(lead(false, S, 53000 * S), PROP_CLOCK_STANDS);
    assert_int_equal(prop_clock_now(&c, 2 * S), 101 * S);
}

static void an_old_answer_is_none(void **state)
{
    (void)state;
    start(2, 100 * S, 50000 * S);
    does_not_know(1, 100 * S, S);
    does_not_know(2, 100 * S, 4 * S);
    assert_int_equal(lead(true, 4 * S, 50000 * S),
                     PROP_CLOCK_WAITS); /* the first may have learned */
    does_not_know(1, 100 * S, 5 * S);
    assert_int_equal(lead(true, 5 * S, 50000 * S), PROP_CLOCK_FROM_WALL);
}

static void a_guess_is_forgotten_with_the_leadership(void **state)
{
    (void)state;
    start(2, 100 * S, 50000 * S);
    assert_int_equal(lead(false, S, 53000 * S), PROP_CLOCK_STANDS);
    assert_false(prop_clock_tell(&c, S, 53000 * S).knows);
    prop_clock_yield(&c);
    assert_true(knows(1, 900 * S, 80, TERM, 2 * S));
    assert_int_equal(lead(true, 2 * S, 53000 * S), PROP_CLOCK_RUNS);
    assert_int_equal(prop_clock_now(&c, 2 * S), 900 * S);
}

static void a_guess_that_is_in_the_log_is_the_clock(void **state)
{
    (void)state;
    start(2, 100 * S, 50000 * S);
    assert_int_equal(lead(false, S, 53000 * S), PROP_CLOCK_STANDS);
    assert_false(knows(1, 900 * S, 80, TERM, S)); /* too late */
    applied(100 * S, PROP_CLOCK_OWN, 2 * S);
    assert_true(prop_clock_is_settled(&c));
    prop_clock_yield(&c);
    struct prop_clock_word w = prop_clock_tell(&c, 3 * S, 0);
    assert_true(w.knows && w.now_ns == 102 * S && w.index == next_index && w.term == TERM);
}

/* ---- members come and go ---- */

static void the_answers_of_who_stays_stay(void **state)
{
    (void)state;
    static const uint64_t ids[] = {2, 9};
    start(2, 100 * S, 50000 * S);
    does_not_know(1, 130 * S, 10 * S);
    does_not_know(2, 120 * S, 10 * S);
    prop_clock_members(&c, ids, 2);
    does_not_know(1, 140 * S, 10 * S);                                 /* it is none any more */
    assert_int_equal(lead(true, 10 * S, 50010 * S), PROP_CLOCK_WAITS); /* for the new one */
    assert_int_equal(lead(false, 10 * S, 50010 * S), PROP_CLOCK_FROM_WALL);
    assert_int_equal(prop_clock_now(&c, 10 * S), 110 * S); /* of 110 and 120 */
}

static void who_is_alone_asks_nobody(void **state)
{
    (void)state;
    static const uint64_t ids[] = {2};
    start(0, 100 * S, 50000 * S);
    assert_true(prop_clock_is_settled(&c));
    prop_clock_members(&c, ids, 1);
    assert_false(prop_clock_is_settled(&c));
    prop_clock_members(&c, ids, 0);
    assert_true(prop_clock_is_settled(&c));
}

/* ---- where time may have been lost ---- */

static uint64_t begun; /* as of the next entry */

static void applied_after(uint64_t stamp_ns, enum prop_clock_how how, uint64_t boot_ns)
{
    const struct prop_clock_entry e = {
        .stamp_ns = stamp_ns, .index = ++next_index, .term = TERM, .begun = begun};
    prop_clock_applied(&c, &e, how, boot_ns);
}

static void begins(uint64_t stamp_ns, enum prop_clock_how how, uint64_t boot_ns)
{
    begun = next_index + 1;
    applied_after(stamp_ns, how, boot_ns);
}

/* It does not advance the stamp, but the clock that stood is the cluster's. */
static void a_follower_takes_the_clock_that_stood(void **state)
{
    (void)state;
    start(2, 0, 0);
    applied(500, PROP_CLOCK_LIVE, 100);
    assert_int_equal(prop_clock_now(&c, 10100), 10500);
    begins(500, PROP_CLOCK_LIVE, 10100);
    assert_int_equal(prop_clock_now(&c, 10110), 510);
}

/* The first entry of a leader: it has the stamp of the one before, which is no time. */
static void an_entry_without_a_new_stamp_sets_nothing(void **state)
{
    (void)state;
    start(2, 0, 0);
    applied(500, PROP_CLOCK_LIVE, 100);
    applied(500, PROP_CLOCK_LIVE, 900);
    assert_int_equal(prop_clock_now(&c, 1000), 1400);
    struct prop_clock_word w = prop_clock_tell(&c, 1000, 0);
    assert_true(w.knows && w.index == next_index);

    start(2, 500, 0);
    applied(500, PROP_CLOCK_LIVE, 900);
    assert_int_equal(lead(true, 1000, 0), PROP_CLOCK_WAITS); /* it still does not know */
}

static void what_follows_from_before_is_forgotten(void **state)
{
    (void)state;
    static const enum prop_clock_how hows[] = {PROP_CLOCK_REPLAYED, PROP_CLOCK_LEADING};
    for (unsigned i = 0; i < 2; i++) {
        start(2, 1000, 50000);
        assert_true(knows(1, 90000, 80, TERM, 20));
        assert_true(prop_clock_is_settled(&c));
        begins(1500, hows[i], 30);
        assert_false(prop_clock_is_settled(&c));
        assert_int_equal(lead(true, 40, 99999), PROP_CLOCK_WAITS);
        /* Who has not got there yet has nothing to say, whatever its term; who has is believed. */
        assert_false(knows(1, 90000, begun - 1, TERM + 1, 50));
        assert_true(knows(2, 2000, begun, TERM, 50));
        assert_int_equal(prop_clock_now(&c, 60), 2010);
    }
}

/* The wall clocks of all three make 90 s of it, but two of them, one this node's own, have stored
 * nothing since the clock stood. */
static void wall_clocks_of_before_have_no_idea(void **state)
{
    (void)state;
    uint64_t moved;
    const struct prop_clock_word before = {.now_ns = 91000, .index = 60};
    start(2, 1000, 50000);
    begins(1500, PROP_CLOCK_REPLAYED, 10);
    const struct prop_clock_word since = {.now_ns = 91000, .index = begun};
    assert_int_equal(prop_clock_by_wall(&c, 140000), 0);
    assert_int_equal(prop_clock_tell(&c, 20, 140000).index, 0);
    assert_false(prop_clock_heard(&c, 1, &before, TERM, 20));
    assert_false(prop_clock_heard(&c, 2, &since, TERM, 20));
    assert_int_equal(prop_clock_lead(&c, true, 20, 140000, &moved), PROP_CLOCK_FROM_WALL);
    assert_int_equal(moved, 0);

    /* Two that have say how long it was. */
    prop_clock_yield(&c);
    assert_false(prop_clock_heard(&c, 1, &since, TERM, 20));
    assert_int_equal(prop_clock_lead(&c, true, 20, 140000, &moved), PROP_CLOCK_FROM_WALL);
    assert_int_equal(moved, 91000 - 1500);
}

/* Until the entry that says so is applied, a guess is none that others may take. */
static void a_guess_is_told_when_the_log_has_it(void **state)
{
    (void)state;
    start(0, 1000, 50000);
    assert_int_equal(lead(true, 10, 52000), PROP_CLOCK_FROM_WALL);
    assert_false(prop_clock_tell(&c, 10, 52000).knows);
    begins(3000, PROP_CLOCK_OWN, 20);
    struct prop_clock_word w = prop_clock_tell(&c, 20, 52000);
    assert_true(w.knows && w.index == begun && w.now_ns == 3010);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leader_does_not_lose_its_latency),
        cmocka_unit_test(follower_follows),
        cmocka_unit_test(never_goes_back),
        cmocka_unit_test(does_not_stand_still_behind_a_state),
        cmocka_unit_test(a_node_alone_has_its_wall_clock),
        cmocka_unit_test(a_live_node_ignores_the_wall),
        cmocka_unit_test(a_member_that_knows_is_believed),
        cmocka_unit_test(no_answer_sets_it_back),
        cmocka_unit_test(of_two_in_one_term_the_later_counts),
        cmocka_unit_test(a_clock_of_an_older_leader_is_one_voice_of_all),
        cmocka_unit_test(old_entries_do_not_set_back_what_a_member_said),
        cmocka_unit_test(who_was_told_tells_others),
        cmocka_unit_test(who_has_stored_nothing_has_no_idea),
        cmocka_unit_test(one_wall_clock_moves_nothing),
        cmocka_unit_test(of_two_wall_clocks_the_one_behind_counts),
        cmocka_unit_test(without_a_majority_it_stands),
        cmocka_unit_test(an_old_answer_is_none),
        cmocka_unit_test(a_guess_is_forgotten_with_the_leadership),
        cmocka_unit_test(a_guess_that_is_in_the_log_is_the_clock),
        cmocka_unit_test(the_answers_of_who_stays_stay),
        cmocka_unit_test(who_is_alone_asks_nobody),
        cmocka_unit_test(a_follower_takes_the_clock_that_stood),
        cmocka_unit_test(an_entry_without_a_new_stamp_sets_nothing),
        cmocka_unit_test(what_follows_from_before_is_forgotten),
        cmocka_unit_test(wall_clocks_of_before_have_no_idea),
        cmocka_unit_test(a_guess_is_told_when_the_log_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
