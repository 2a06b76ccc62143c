/* Proves: sessions over broken streams, other incarnations, silence and changes of the leader
 * (design D3): nothing twice, nothing lost that was sent again, and who is gone is told why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "unit/node/proposer/desk.h"

static struct desk d;
static struct desk_stream a, b;

static int setup(void **state)
{
    (void)state;
    desk_init(&d);
    desk_serve(&d, 3);
    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    desk_close(&d, &a);
    desk_close(&d, &b);
    desk_fini(&d);
    return 0;
}

static void a_later_stream_takes_over(void **state)
{
    (void)state;
    uint64_t session = desk_join(&d, &a, "p1");
    desk_request(&d, &a, 1, NULL);
    desk_request(&d, &a, 2, "one");
    desk_request(&d, &a, 3, "two");
    desk_apply_all(&d);
    assert_int_equal(desk_count_results(&a), 2);
    unsigned before = d.n_log;
    desk_attach(&d, &b, "p1", 1, session, 1);
    assert_int_equal(d.n_log, before); /* it costs no entry */
    assert_true(a.has_ended);
    assert_int_equal(a.why, PROPOSER_END_REPLACED);
    assert_int_equal(b.got[0].m.attached.session, session);
    assert_int_equal(b.got[0].m.attached.last_request, 3);
    assert_int_equal(desk_count_results(&b), 1); /* above what it has seen */
    assert_int_equal(b.got[0].m.results[0].number, 2);
    /* An older attach that was on its way. */
    struct desk_stream old;
    d.attach_number = 0;
    desk_attach(&d, &old, "p1", 1, session, 0);
    assert_int_equal(old.why, PROPOSER_END_REPLACED);
    assert_false(b.has_ended);
    desk_close(&d, &old);
}

static void requests_in_flight_are_not_taken_twice(void **state)
{
    (void)state;
    uint64_t session = desk_join(&d, &a, "p1");
    desk_request(&d, &a, 1, NULL);
    desk_request(&d, &a, 2, "x"); /* proposed, not applied */
    desk_attach(&d, &b, "p1", 1, session, 0);
    assert_int_equal(b.got[0].m.attached.last_request, 0);
    desk_request(&d, &b, 1, NULL);
    desk_request(&d, &b, 2, "x");
    desk_apply_all(&d);
    assert_int_equal(desk_count_results(&b), 1);
    assert_int_equal(jsm_dropped_requests(d.machine), 0);
    struct jsm_view v;
    jsm_read_stats(d.machine, &v);
    assert_int_equal(v.ready, 1);
}

static void a_larger_incarnation_supersedes(void **state)
{
    (void)state;
    uint64_t session = desk_join(&d, &a, "p1");
    desk_attach(&d, &b, "p1", 2, 0, 0);
    desk_apply_all(&d);
    assert_true(a.has_ended);
    assert_int_equal(a.why, PROPOSER_END_SUPERSEDED);
    assert_string_equal(a.text, "superseded by 127.0.0.1:11300");
    assert_true(b.got[0].m.has_attached);
    assert_int_not_equal(b.got[0].m.attached.session, session);
    /* The smaller one does not come back. */
    unsigned before = d.n_log;
    desk_close(&d, &a);
    desk_attach(&d, &a, "p1", 1, session, 0);
    assert_int_equal(a.why, PROPOSER_END_SUPERSEDED);
    assert_int_equal(d.n_log, before);
}

static void two_openings_at_once(void **state)
{
    (void)state;
    desk_attach(&d, &a, "p1", 1, 0, 0);
    desk_attach(&d, &b, "p1", 1, 0, 0);
    desk_apply_all(&d);
    /* One session; the later attach has it. */
    assert_true(a.has_ended);
    assert_int_equal(a.why, PROPOSER_END_REPLACED);
    assert_true(b.got[0].m.has_attached);
    assert_null(jsm_session_next(d.machine, jsm_session_next(d.machine, NULL)));
}

static void the_silent_expire(void **state)
{
    (void)state;
    uint64_t silent = desk_join(&d, &a, "p1");
    uint64_t talks = desk_join(&d, &b, "p2");
    for (unsigned i = 0; i < 29; i++) {
        desk_advance(&d, CB_NS_PER_S);
        desk_ack(&d, &b, 0);
    }
    desk_apply_all(&d);
    assert_non_null(jsm_session_get(d.machine, silent));
    desk_advance(&d, CB_NS_PER_S);
    desk_apply_all(&d);
    assert_null(jsm_session_get(d.machine, silent));
    assert_non_null(jsm_session_get(d.machine, talks));
    assert_true(a.has_ended);
    assert_int_equal(a.why, PROPOSER_END_REPLACED);
    assert_false(b.has_ended);
    /* It comes back to a session that knows nothing of the old one's numbers. */
    desk_close(&d, &a);
    desk_attach(&d, &a, "p1", 1, silent, 5);
    desk_apply_all(&d);
    assert_true(a.got[0].m.has_attached);
    assert_true(a.got[0].m.attached.session > silent);
    assert_int_equal(a.got[0].m.attached.last_request, 0);
}

static void comes_back_while_it_expires(void **state)
{
    (void)state;
    uint64_t session = desk_join(&d, &a, "p1");
    desk_close(&d, &a);
    desk_advance(&d, DESK_TIMEOUT_NS);
    assert_true(d.n_log > d.n_applied); /* EXPIRE is on its way */
    desk_attach(&d, &a, "p1", 1, session, 0);
    assert_int_equal(a.n_got, 0);
    desk_apply_all(&d);
    assert_true(a.got[0].m.has_attached);
    assert_true(a.got[0].m.attached.session > session);
}

static void a_new_leader_gives_everybody_time(void **state)
{
    (void)state;
    uint64_t session = desk_join(&d, &a, "p1");
    desk_advance(&d, DESK_TIMEOUT_NS - 1);
    desk_close(&d, &a);
    desk_restart(&d);
    desk_serve(&d, 4);
    desk_advance(&d, DESK_TIMEOUT_NS - 1);
    desk_apply_all(&d);
    assert_non_null(jsm_session_get(d.machine, session));
    desk_advance(&d, 1);
    desk_apply_all(&d);
    assert_null(jsm_session_get(d.machine, session));
}

static void what_was_lost_is_sent_again(void **state)
{
    (void)state;
    uint64_t session = desk_join(&d, &a, "p1");
    desk_request(&d, &a, 1, NULL);
    desk_request(&d, &a, 2, "applied, answer lost");
    desk_apply_all(&d);
    desk_request(&d, &a, 3, "lost with the leader");
    desk_close(&d, &a);
    desk_restart(&d);
    desk_serve(&d, 4);
    desk_attach(&d, &b, "p1", 1, session, 0);
    assert_int_equal(b.got[0].m.attached.last_request, 2);
    assert_int_equal(desk_count_results(&b), 1);
    desk_request(&d, &b, 3, "lost with the leader");
    struct wire_to_node m = {.resent = true};
    const struct jsm_session *s = jsm_session_get(d.machine, session);
    assert_true(jsm_session_is_suspended(s));
    desk_send(&d, &b, &m);
    desk_apply_all(&d);
    assert_false(jsm_session_is_suspended(s));
    assert_int_equal(desk_count_results(&b), 2);
    struct jsm_view v;
    jsm_read_stats(d.machine, &v);
    assert_int_equal(v.ready, 2);
    /* Once is enough. */
    unsigned before = d.n_log;
    desk_send(&d, &b, &m);
    assert_int_equal(d.n_log, before);
}

static void steps_down_and_up(void **state)
{
    (void)state;
    uint64_t session = desk_join(&d, &a, "p1");
    desk_request(&d, &a, 1, NULL);
    desk_apply_all(&d);
    desk_request(&d, &a, 2, "in flight");
    proposer_role(d.p, false, 4, "127.0.0.1:2");
    assert_false(d.is_serving);
    assert_true(a.has_ended);
    assert_string_equal(a.text, "127.0.0.1:2");
    proposer_turn(d.p);
    assert_int_equal(d.timer_ns, JSM_NEVER);
    /* The other leader took our entry over; then we lead again. */
    desk_apply_all(&d);
    desk_serve(&d, 5);
    desk_attach(&d, &b, "p1", 1, session, 0);
    assert_int_equal(b.got[0].m.attached.last_request, 2);
    desk_request(&d, &b, 2, "in flight");
    desk_apply_all(&d);
    struct jsm_view v;
    jsm_read_stats(d.machine, &v);
    assert_int_equal(v.ready, 1);
}

static void a_full_disk_is_waited_for(void **state)
{
    (void)state;
    desk_join(&d, &a, "p1");
    desk_request(&d, &a, 1, NULL);
    desk_apply_all(&d);
    d.append_result = PROPOSER_NO_SPACE;
    unsigned before = d.n_log;
    desk_request(&d, &a, 2, "x");
    desk_request(&d, &a, 3, "y");
    assert_int_equal(proposer_counters_get(d.p)->appends_refused, 1);
    for (unsigned i = 0; i < 5; i++) {
        desk_advance(&d, 100 * CB_NS_PER_MS);
    }
    assert_int_equal(proposer_counters_get(d.p)->appends_refused, 6);
    assert_int_equal(d.n_log, before);
    assert_false(a.has_ended);
    d.append_result = PROPOSER_APPENDED;
    desk_advance(&d, 100 * CB_NS_PER_MS);
    desk_apply_all(&d);
    assert_int_equal(desk_count_results(&a), 2);
}

static void the_clock_goes_on_through_a_restart(void **state)
{
    (void)state;
    uint64_t session = desk_join(&d, &a, "p1");
    (void)session;
    uint64_t stamp = jsm_stamp_ns(d.machine);
    desk_close(&d, &a);
    desk_restart(&d);
    d.boot_ns = 5 * CB_NS_PER_S; /* another boot */
    d.wall_ns += 7 * CB_NS_PER_S;
    desk_serve(&d, 4);
    assert_int_equal(jsm_stamp_ns(d.machine), stamp + 7 * CB_NS_PER_S);
    desk_restart(&d);
    d.wall_ns -= 3600 * CB_NS_PER_S; /* stepped back */
    desk_serve(&d, 5);
    assert_int_equal(jsm_stamp_ns(d.machine), stamp + 7 * CB_NS_PER_S);
}

/* A process of three members that has only replayed leads. */
static uint64_t lead_without_a_clock(void)
{
    (void)desk_join(&d, &a, "p1");
    desk_close(&d, &a);
    d.n_others = 2;
    desk_restart(&d);
    d.boot_ns = 5 * CB_NS_PER_S;
    d.wall_ns += 3600 * CB_NS_PER_S; /* stepped on */
    proposer_role(d.p, true, 4, "");
    proposer_turn(d.p);
    desk_apply(&d);
    assert_int_equal(d.n_applied, d.n_log); /* nothing after RESUME is proposed */
    assert_false(d.is_serving);
    return jsm_stamp_ns(d.machine);
}

static void a_leader_without_a_clock_waits_for_a_member(void **state)
{
    (void)state;
    uint64_t stamp = lead_without_a_clock();
    assert_false(proposer_clock_is_settled(d.p));
    const struct prop_clock_word w = {.knows = true,
                                      .now_ns = stamp + 7 * CB_NS_PER_S,
                                      .index = jsm_clock_index(d.machine),
                                      .term = 3};
    proposer_clock_heard(d.p, 1, &w, 3);
    proposer_turn(d.p);
    assert_true(d.is_serving && proposer_clock_is_settled(d.p));
    assert_int_equal(proposer_clock_tell(d.p).now_ns, stamp + 7 * CB_NS_PER_S);
    uint64_t begun = jsm_clock_index(d.machine);
    desk_attach(&d, &a, "p2", 1, 0, 0);
    desk_apply_all(&d);
    assert_int_equal(jsm_stamp_ns(d.machine), stamp + 7 * CB_NS_PER_S);
    assert_int_equal(jsm_clock_index(d.machine), begun); /* it went on */

    /* From now on the clock is its own. */
    const struct prop_clock_word late = {
        .knows = true, .now_ns = stamp + 60 * CB_NS_PER_S, .index = 9, .term = 4};
    proposer_clock_heard(d.p, 2, &late, 4);
    assert_int_equal(proposer_clock_tell(d.p).now_ns, stamp + 7 * CB_NS_PER_S);
}

static void a_leader_without_a_clock_does_not_wait_for_ever(void **state)
{
    (void)state;
    uint64_t stamp = lead_without_a_clock();
    assert_int_equal(d.timer_ns, d.boot_ns + PROP_CLOCK_WAIT_NS);
    desk_advance(&d, PROP_CLOCK_WAIT_NS - 1);
    assert_int_equal(d.n_log, d.n_applied);
    desk_advance(&d, 1);
    assert_true(d.is_serving);
    desk_apply_all(&d);
    assert_int_equal(jsm_stamp_ns(d.machine), stamp);
    assert_int_equal(jsm_clock_index(d.machine), d.index); /* which is told to all */
}

/* It knows the time, but what it has not applied when it is elected says that some was lost since:
 * what it knows would take that time back, and let reservations run out early. */
static void what_the_log_says_of_the_clock_comes_first(void **state)
{
    (void)state;
    (void)desk_join(&d, &a, "p1");
    desk_close(&d, &a);
    proposer_role(d.p, false, 4, "127.0.0.1:2");
    uint64_t stamp = jsm_stamp_ns(d.machine);
    desk_log_clock(&d, 4, stamp + CB_NS_PER_S); /* of another, who guessed */
    d.boot_ns += 60 * CB_NS_PER_S;
    d.n_others = 2;
    const uint64_t others[] = {1, 2};
    proposer_members(d.p, others, 2);
    proposer_role(d.p, true, 5, "");
    proposer_turn(d.p);
    desk_apply_all(&d);
    assert_false(d.is_serving);
    assert_false(proposer_clock_is_settled(d.p));
    const struct prop_clock_word old = {
        .knows = true, .now_ns = stamp + 60 * CB_NS_PER_S, .index = d.index - 2, .term = 4};
    proposer_clock_heard(d.p, 1, &old, 4);
    proposer_turn(d.p);
    assert_false(d.is_serving);
    const struct prop_clock_word word = {
        .knows = true, .now_ns = stamp + 9 * CB_NS_PER_S, .index = d.index - 1, .term = 4};
    proposer_clock_heard(d.p, 2, &word, 4);
    proposer_turn(d.p);
    assert_true(d.is_serving);
    assert_int_equal(proposer_clock_tell(d.p).now_ns, stamp + 9 * CB_NS_PER_S);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_later_stream_takes_over),
        T(requests_in_flight_are_not_taken_twice),
        T(a_larger_incarnation_supersedes),
        T(two_openings_at_once),
        T(the_silent_expire),
        T(a_leader_without_a_clock_waits_for_a_member),
        T(a_leader_without_a_clock_does_not_wait_for_ever),
        T(what_the_log_says_of_the_clock_comes_first),
        T(comes_back_while_it_expires),
        T(a_new_leader_gives_everybody_time),
        T(what_was_lost_is_sent_again),
        T(steps_down_and_up),
        T(a_full_disk_is_waited_for),
        T(the_clock_goes_on_through_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
