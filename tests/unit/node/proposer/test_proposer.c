/* Proves: who serves and when; how entries are made of what waits (batches, bounds, fairness,
 * silence when idle); requests in order and once; what is due comes without anybody asking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/cb_mem.h"
#include "unit/node/proposer/desk.h"

static struct desk d;
static struct desk_stream a, b;

static int setup(void **state)
{
    (void)state;
    desk_init(&d);
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

static void follower_names_the_leader(void **state)
{
    (void)state;
    proposer_role(d.p, false, 3, "10.0.0.7:11301");
    desk_attach(&d, &a, "p1", 1, 0, 0);
    assert_true(a.has_ended);
    assert_int_equal(a.why, PROPOSER_END_NOT_LEADER);
    assert_string_equal(a.text, "10.0.0.7:11301");
    assert_int_equal(d.n_log, 0);
}

static void serves_after_its_own_entry(void **state)
{
    (void)state;
    proposer_role(d.p, true, 3, "");
    proposer_turn(d.p);
    assert_int_equal(d.n_log, 1);
    struct entry_header h;
    struct jsm_entry e = desk_entry(&d, 0, &h);
    assert_int_equal(e.n_items, 1);
    assert_int_equal(e.items[0].kind, JSM_ITEM_RESUME);
    assert_int_equal(h.term, 3);
    assert_int_equal(h.proposer, DESK_SELF);
    desk_attach(&d, &a, "p1", 1, 0, 0);
    assert_false(a.is_reading); /* held, not refused */
    assert_int_equal(d.n_log, 1);
    assert_false(d.is_serving);
    desk_apply(&d);
    assert_true(d.is_serving);
    desk_apply_all(&d);
    assert_true(a.is_reading);
    assert_true(a.got[0].m.has_attached);
    assert_int_equal(a.got[0].m.attached.term, 3);
    assert_int_equal(a.got[0].m.attached.node, DESK_SELF);
    assert_int_equal(a.got[0].m.attached.session_timeout_ms, 30000);
    desk_apply_all(&d);
}

static void a_request_is_answered(void **state)
{
    (void)state;
    desk_serve(&d, 3);
    desk_join(&d, &a, "p1");
    desk_request(&d, &a, 1, NULL);
    desk_request(&d, &a, 2, "hello");
    assert_int_equal(desk_count_results(&a), 0); /* not before a majority has it */
    desk_apply_all(&d);
    assert_int_equal(desk_count_results(&a), 1);
    const struct wire_to_proxy *m = desk_last(&a);
    assert_int_equal(m->results[0].outcome, WIRE_INSERTED);
    assert_int_equal(m->results[0].request, 2);
    assert_int_equal(m->applied_request, 2);
    assert_int_equal(m->confirmed_seq, 3);
}

static void one_client_never_waits(void **state)
{
    (void)state;
    desk_serve(&d, 3);
    desk_join(&d, &a, "p1");
    unsigned before = d.n_log;
    desk_request(&d, &a, 1, NULL);
    assert_int_equal(d.n_log, before + 1); /* in the same turn */
}

static void what_arrives_meanwhile_shares_an_entry(void **state)
{
    (void)state;
    desk_serve(&d, 3);
    desk_join(&d, &a, "p1");
    desk_join(&d, &b, "p2");
    unsigned before = d.n_log;
    desk_request(&d, &a, 1, NULL);
    desk_request(&d, &b, 1, NULL);
    for (uint64_t n = 2; n < 100; n++) {
        desk_request(&d, &a, n, "x");
        desk_request(&d, &b, n, "y");
    }
    assert_int_equal(d.n_log, before + CB_ENTRIES_IN_FLIGHT_PARTIAL);
    desk_apply(&d);
    assert_int_equal(d.n_log, before + CB_ENTRIES_IN_FLIGHT_PARTIAL + 1);
    assert_int_equal(desk_last_items(&d), 2 * 99 - CB_ENTRIES_IN_FLIGHT_PARTIAL);
    desk_apply_all(&d);
    assert_int_equal(desk_count_results(&a), 98);
    assert_int_equal(desk_count_results(&b), 98);
}

static void a_large_job_is_alone(void **state)
{
    (void)state;
    desk_serve(&d, 3);
    desk_join(&d, &a, "p1");
    char *big = cb_malloc(CB_ENTRY_SIZE_SOFT + 1);
    memset(big, 'x', CB_ENTRY_SIZE_SOFT);
    big[CB_ENTRY_SIZE_SOFT] = '\0';
    struct wire_request r[3] = {
        {.number = 1, .conn = 1, .op = WIRE_OP_CONN_OPEN},
        {.number = 2, .conn = 1, .op = WIRE_OP_PUT, .ttr = 1, .body = cb_span_str(big)},
        {.number = 3, .conn = 1, .op = WIRE_OP_PUT, .ttr = 1, .body = cb_span_str("small")},
    };
    struct wire_to_node m = {.requests = r, .n_requests = 3};
    unsigned before = d.n_log;
    desk_send(&d, &a, &m);
    /* A full entry does not wait for the one before it; what is not full does. */
    assert_int_equal(d.n_log, before + 2);
    desk_apply(&d);
    desk_apply(&d);
    assert_int_equal(d.n_log, before + 3);
    for (unsigned i = before; i < d.n_log; i++) {
        struct entry_header h;
        assert_int_equal(desk_entry(&d, i, &h).n_items, 1);
    }
    desk_apply_all(&d);
    assert_int_equal(desk_count_results(&a), 2);
    cb_free(big);
}

static void sessions_take_turns(void **state)
{
    (void)state;
    desk_serve(&d, 3);
    desk_join(&d, &a, "p1");
    desk_join(&d, &b, "p2");
    d.store_is_behind = true;
    char body[2001];
    memset(body, 'x', 2000);
    body[2000] = '\0';
    desk_request(&d, &a, 1, NULL);
    for (uint64_t n = 2; n < 300; n++) {
        desk_request(&d, &a, n, body);
    }
    desk_request(&d, &b, 1, NULL);
    d.store_is_behind = false;
    proposer_turn(d.p);
    struct entry_header h;
    struct jsm_entry e = desk_entry(&d, 4, &h); /* after RESUME, CLOCK and two OPENs */
    bool has_b = false;
    for (uint32_t i = 0; i < e.n_items; i++) {
        has_b = has_b || e.items[i].session == b.got[0].m.attached.session;
    }
    assert_true(has_b);
    assert_true(d.n_log > 5);
}

static void a_full_queue_is_not_read(void **state)
{
    (void)state;
    desk_serve(&d, 3);
    desk_join(&d, &a, "p1");
    d.store_is_behind = true;
    char *body = cb_malloc(CB_MIB + 1);
    memset(body, 'x', CB_MIB);
    body[CB_MIB] = '\0';
    desk_request(&d, &a, 1, NULL);
    uint64_t n = 2;
    while (a.is_reading) {
        assert_true(n < 20);
        desk_request(&d, &a, n++, body);
    }
    assert_true(n > 8);
    d.store_is_behind = false;
    proposer_turn(d.p);
    desk_apply_all(&d);
    assert_true(a.is_reading);
    assert_int_equal(desk_count_results(&a), n - 2);
    cb_free(body);
}

static void idle_is_silent(void **state)
{
    (void)state;
    desk_serve(&d, 3);
    desk_join(&d, &a, "p1");
    desk_request(&d, &a, 1, NULL);
    desk_request(&d, &a, 2, "x");
    desk_apply_all(&d);
    unsigned before = d.n_log;
    desk_ack(&d, &a, 1);
    struct wire_count c = {.counter = WIRE_CMD_LIST_TUBES, .increment = 3};
    struct wire_to_node m = {.counts = &c, .n_counts = 1, .acked_result = 1};
    desk_send(&d, &a, &m);
    for (unsigned i = 0; i < 100; i++) {
        desk_advance(&d, CB_NS_PER_S);
        desk_ack(&d, &a, 1);
    }
    assert_int_equal(d.n_log, before);
    assert_int_equal(desk_last(&a)->confirmed_seq, a.seq); /* but its lease is confirmed */

    /* They ride with the next request. */
    desk_request(&d, &a, 3, "y");
    assert_int_equal(d.n_log, before + 1);
    assert_int_equal(desk_last_items(&d), 3);
    struct entry_header h;
    struct jsm_entry e = desk_entry(&d, before, &h);
    assert_int_equal(e.items[0].kind, JSM_ITEM_ACK);
    assert_int_equal(e.items[0].number, 1);
    assert_int_equal(e.items[1].kind, JSM_ITEM_COUNTS);
    assert_int_equal(e.items[1].number, 3);
    desk_apply_all(&d);
}

static void large_acknowledgements_do_not_wait(void **state)
{
    (void)state;
    desk_serve(&d, 3);
    desk_join(&d, &a, "p1");
    desk_request(&d, &a, 1, NULL);
    uint64_t n = 2;
    struct wire_request r[1000];
    while (n < CB_RESULTS_UNACKED_MAX / 4 + 1100) {
        for (unsigned i = 0; i < 1000; i++) {
            r[i] = (struct wire_request){
                .number = n + i, .conn = 1, .op = WIRE_OP_DELETE, .id = UINT64_MAX};
        }
        struct wire_to_node m = {.requests = r, .n_requests = 1000};
        desk_send(&d, &a, &m);
        desk_apply_all(&d);
        n += 1000;
    }
    unsigned before = d.n_log;
    desk_ack(&d, &a, 1000);
    assert_int_equal(d.n_log, before);
    desk_ack(&d, &a, desk_count_results(&a));
    assert_int_equal(d.n_log, before + 1);
    desk_apply_all(&d);
    const struct jsm_session *s = jsm_session_get(d.machine, a.got[0].m.attached.session);
    assert_int_equal(jsm_session_acked_result(s), desk_count_results(&a));
}

/* The leader's own limits hold: the machine is told once, ahead of the requests. */
static void limits_are_put_into_the_log(void **state)
{
    (void)state;
    d.limits = (struct jsm_limits){.jobs = 1, .bytes = 10};
    desk_restart(&d);
    desk_serve(&d, 3);
    desk_apply_all(&d);
    assert_int_equal(jsm_limits_now(d.machine).jobs, 1);
    assert_int_equal(jsm_limits_now(d.machine).bytes, 10);
    desk_join(&d, &a, "p1");
    desk_request(&d, &a, 1, NULL);
    desk_request(&d, &a, 2, "12345678901");
    desk_request(&d, &a, 3, "1234567890");
    desk_request(&d, &a, 4, "");
    desk_apply_all(&d);
    const struct jsm_session *s = jsm_session_get(d.machine, a.got[0].m.attached.session);
    const enum jsm_outcome expected[] = {JSM_OUT_OF_MEMORY, JSM_INSERTED, JSM_OUT_OF_MEMORY};
    for (uint64_t n = 1; n <= 3; n++) {
        struct jsm_result r;
        assert_true(jsm_session_result(s, n, &r));
        assert_int_equal(r.outcome, expected[n - 1]);
    }
    unsigned before = d.n_log;
    proposer_turn(d.p);
    assert_int_equal(d.n_log, before);
}

/* What a leader with other options had put there does not last. */
static void other_limits_are_taken_back(void **state)
{
    (void)state;
    d.limits = (struct jsm_limits){.jobs = 1};
    desk_restart(&d);
    desk_serve(&d, 3);
    desk_apply_all(&d);
    assert_int_equal(jsm_limits_now(d.machine).jobs, 1);
    d.limits = (struct jsm_limits){0};
    desk_restart(&d);
    desk_serve(&d, 4);
    desk_apply_all(&d);
    assert_int_equal(jsm_limits_now(d.machine).jobs, 0);
}

static unsigned items_of_kind(enum jsm_item_kind kind)
{
    unsigned found = 0;
    for (unsigned i = 0; i < d.n_log; i++) {
        struct entry_header h;
        struct jsm_entry e = desk_entry(&d, i, &h);
        for (uint32_t k = 0; k < e.n_items; k++) {
            found += e.items[k].kind == kind;
        }
    }
    return found;
}

/* The log is told when that changes, ahead of the requests; a new leader says nothing before it was
 * told itself. */
static void short_disks_are_put_into_the_log(void **state)
{
    (void)state;
    desk_serve(&d, 3);
    desk_join(&d, &a, "p1");
    proposer_short_of_space(d.p, true);
    desk_request(&d, &a, 1, NULL);
    desk_request(&d, &a, 2, "x");
    desk_apply_all(&d);
    proposer_short_of_space(d.p, true);
    proposer_turn(d.p);
    desk_apply_all(&d);
    assert_int_equal(items_of_kind(JSM_ITEM_SPACE), 1);
    const struct jsm_session *s = jsm_session_get(d.machine, a.got[0].m.attached.session);
    struct jsm_result r;
    assert_true(jsm_session_result(s, 1, &r));
    assert_int_equal(r.outcome, JSM_OUT_OF_MEMORY);

    desk_close(&d, &a);
    desk_restart(&d);
    proposer_short_of_space(d.p, false); /* it does not lead */
    desk_serve(&d, 4);
    desk_apply_all(&d);
    assert_true(jsm_is_short_of_space(d.machine));
    unsigned before = d.n_log;
    proposer_short_of_space(d.p, false);
    proposer_turn(d.p);
    assert_int_equal(d.n_log, before + 1); /* alone worth an entry */
    desk_apply_all(&d);
    assert_false(jsm_is_short_of_space(d.machine));
}

static void again_and_gaps(void **state)
{
    (void)state;
    desk_serve(&d, 3);
    uint64_t session = desk_join(&d, &a, "p1");
    desk_request(&d, &a, 1, NULL);
    desk_request(&d, &a, 1, NULL); /* while in flight */
    desk_apply_all(&d);
    desk_request(&d, &a, 1, NULL);       /* while applied */
    desk_request(&d, &a, 3, "lost one"); /* a gap */
    desk_request(&d, &a, 4, "after the gap");
    assert_int_equal(desk_count_expects(&a), 2); /* for each message with a gap */
    assert_int_equal(desk_last(&a)->expect, 2);
    assert_int_equal(desk_last(&a)->confirmed_seq, a.seq);
    desk_apply_all(&d);
    const struct jsm_session *s = jsm_session_get(d.machine, session);
    assert_int_equal(jsm_session_last_request(s), 1);
    desk_request(&d, &a, 2, "two");
    desk_request(&d, &a, 3, "three");
    desk_apply_all(&d);
    assert_int_equal(jsm_session_last_request(s), 3);
    assert_int_equal(desk_count_results(&a), 2);
    assert_int_equal(proposer_counters_get(d.p)->requests_repeated, 2);
    assert_int_equal(proposer_counters_get(d.p)->requests_gap, 2);
    desk_request(&d, &a, 9, "another gap"); /* is asked for anew */
    assert_int_equal(desk_count_expects(&a), 3);
}

static void a_slow_stream_gets_it_in_one(void **state)
{
    (void)state;
    desk_serve(&d, 3);
    desk_join(&d, &a, "p1");
    desk_request(&d, &a, 1, NULL);
    desk_apply_all(&d);
    a.is_slow = true;
    for (uint64_t n = 2; n < 50; n++) {
        desk_request(&d, &a, n, "x");
        desk_apply_all(&d);
    }
    unsigned before = a.n_got;
    a.is_busy = false;
    proposer_stream_writable(d.p, a.st);
    assert_int_equal(a.n_got, before + 1);
    assert_int_equal(desk_count_results(&a), 48);
}

static void what_is_due_comes_by_itself(void **state)
{
    (void)state;
    desk_serve(&d, 3);
    desk_join(&d, &a, "p1");
    struct wire_request r[2] = {
        {.number = 1, .conn = 1, .op = WIRE_OP_CONN_OPEN},
        {.number = 2, .conn = 1, .op = WIRE_OP_RESERVE_WITH_TIMEOUT, .count = 5},
    };
    struct wire_to_node m = {.requests = r, .n_requests = 2};
    desk_send(&d, &a, &m);
    desk_apply_all(&d);
    unsigned before = d.n_log;
    assert_int_equal(d.timer_ns, d.boot_ns + 5 * CB_NS_PER_S);
    desk_advance(&d, 4 * CB_NS_PER_S);
    assert_int_equal(d.n_log, before);
    desk_advance(&d, CB_NS_PER_S);
    assert_int_equal(d.n_log, before + 1);
    assert_int_equal(desk_last_items(&d), 0);
    proposer_turn(d.p);
    assert_int_equal(d.n_log, before + 1); /* one is on its way */
    desk_apply_all(&d);
    assert_int_equal(desk_last(&a)->results[0].outcome, WIRE_TIMED_OUT);
    assert_int_equal(d.n_log, before + 1);
}

static void bad_messages_end_the_stream(void **state)
{
    (void)state;
    desk_serve(&d, 3);
    desk_join(&d, &a, "p1");
    struct wire_request r = {.number = 1, .conn = 0, .op = WIRE_OP_CONN_OPEN};
    struct wire_to_node m = {.requests = &r, .n_requests = 1};
    desk_send(&d, &a, &m);
    assert_true(a.has_ended);
    assert_int_equal(a.why, PROPOSER_END_INVALID);
    desk_open(&d, &b);
    struct wire_to_node none = {0};
    desk_send(&d, &b, &none);
    assert_int_equal(b.why, PROPOSER_END_INVALID);
    desk_close(&d, &a);
    desk_attach(&d, &a, "p1", 1, 0, 0);
    desk_apply_all(&d);
    desk_ack(&d, &a, 7); /* never sent */
    assert_true(a.has_ended);
    assert_int_equal(a.why, PROPOSER_END_INVALID);
    assert_true(d.is_serving);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(follower_names_the_leader),
        T(serves_after_its_own_entry),
        T(a_request_is_answered),
        T(one_client_never_waits),
        T(what_arrives_meanwhile_shares_an_entry),
        T(a_large_job_is_alone),
        T(sessions_take_turns),
        T(a_full_queue_is_not_read),
        T(idle_is_silent),
        T(large_acknowledgements_do_not_wait),
        T(limits_are_put_into_the_log),
        T(other_limits_are_taken_back),
        T(short_disks_are_put_into_the_log),
        T(again_and_gaps),
        T(a_slow_stream_gets_it_in_one),
        T(what_is_due_comes_by_itself),
        T(bad_messages_end_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
