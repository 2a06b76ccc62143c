/* Proves: reads are linearizable (design D5): none is answered by an entry that was proposed before
 * it arrived, nor before the request it follows; they cost one entry together; stats counts itself.
 */
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
    desk_join(&d, &a, "p1");
    desk_join(&d, &b, "p2");
    desk_request(&d, &a, 1, NULL);
    desk_request(&d, &b, 1, NULL);
    desk_apply_all(&d);
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

static void not_by_an_entry_from_before(void **state)
{
    (void)state;
    desk_request(&d, &a, 2, "x"); /* in flight when the read comes */
    desk_read(&d, &b, 1, WIRE_READ_STATS, 1);
    assert_null(desk_find_read(&b, 1));
    desk_apply(&d);
    assert_null(desk_find_read(&b, 1));
    desk_apply(&d);
    const struct wire_read_result *r = desk_find_read(&b, 1);
    assert_non_null(r);
    assert_true(r->found);
    assert_int_equal(r->stats.all.ready, 1);
}

static void one_empty_entry_serves_all(void **state)
{
    (void)state;
    d.store_is_behind = true;
    for (uint64_t i = 1; i <= 20; i++) {
        desk_read(&d, &a, i, WIRE_READ_STATS, 1);
        desk_read(&d, &b, i, WIRE_READ_PEEK, 1);
    }
    unsigned before = d.n_log;
    d.store_is_behind = false;
    proposer_turn(d.p);
    proposer_turn(d.p);
    assert_int_equal(d.n_log, before + 1);
    assert_int_equal(desk_last_items(&d), 0);
    desk_apply_all(&d);
    for (uint64_t i = 1; i <= 20; i++) {
        assert_true(desk_find_read(&a, i)->found);
        assert_false(desk_find_read(&b, i)->found); /* no job 0 */
    }
    assert_int_equal(d.n_log, before + 1); /* their counts wait for another */
}

static void rides_with_requests(void **state)
{
    (void)state;
    struct wire_request q = {
        .number = 2, .conn = 1, .op = WIRE_OP_PUT, .ttr = 1, .body = cb_span_str("j")};
    struct wire_read r = {.read = 7, .conn = 1, .kind = WIRE_READ_PEEK_READY, .after = 2};
    struct wire_to_node m = {.requests = &q, .n_requests = 1, .reads = &r, .n_reads = 1};
    unsigned before = d.n_log;
    desk_send(&d, &a, &m);
    assert_int_equal(d.n_log, before + 1);
    desk_apply_all(&d);
    assert_true(desk_find_read(&a, 7)->found);
    assert_true(cb_span_eq(desk_find_read(&a, 7)->body, cb_span_str("j")));
}

static void waits_for_its_place(void **state)
{
    (void)state;
    /* The request before it is accepted but does not get into the read's first entry. */
    d.store_is_behind = true;
    char body[60001];
    memset(body, 'x', 60000);
    body[60000] = '\0';
    desk_request(&d, &a, 2, body);
    desk_request(&d, &a, 3, body);
    desk_read(&d, &a, 8, WIRE_READ_STATS, 3);
    d.store_is_behind = false;
    unsigned before = d.n_log;
    proposer_turn(d.p);
    assert_int_equal(d.n_log, before + 2);
    desk_apply(&d);
    assert_null(desk_find_read(&a, 8));
    desk_apply(&d);
    assert_int_equal(desk_find_read(&a, 8)->stats.all.ready, 2);
    /* One whose request never arrived is sent back. */
    desk_read(&d, &a, 9, WIRE_READ_STATS, 4);
    assert_true(desk_find_read(&a, 9)->again);
    assert_int_equal(proposer_counters_get(d.p)->reads, 1);
}

static void stats_counts_itself(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 3; i++) {
        desk_read(&d, &a, i, WIRE_READ_STATS, 1);
        desk_apply_all(&d);
        assert_int_equal(desk_find_read(&a, i)->stats.all.counters[WIRE_CMD_STATS], i);
    }
    struct wire_count c = {.counter = WIRE_CMD_PUT, .increment = 5};
    struct wire_to_node m = {.counts = &c, .n_counts = 1};
    desk_send(&d, &b, &m);
    desk_read(&d, &a, 4, WIRE_READ_STATS, 1);
    desk_apply_all(&d);
    assert_int_equal(desk_find_read(&a, 4)->stats.all.counters[WIRE_CMD_PUT], 5);
    assert_int_equal(desk_find_read(&a, 4)->stats.all.counters[WIRE_CMD_STATS], 4);
}

static void lists(void **state)
{
    (void)state;
    struct wire_request q = {
        .number = 2, .conn = 1, .op = WIRE_OP_WATCH, .tube = cb_span_str("other")};
    struct wire_to_node m = {.requests = &q, .n_requests = 1};
    desk_send(&d, &a, &m);
    desk_read(&d, &a, 1, WIRE_READ_LIST_TUBES, 2);
    desk_read(&d, &a, 2, WIRE_READ_LIST_TUBE_USED, 2);
    desk_read(&d, &a, 3, WIRE_READ_LIST_TUBES_WATCHED, 2);
    desk_apply_all(&d);
    assert_int_equal(desk_find_read(&a, 1)->n_tubes, 2);
    assert_int_equal(desk_find_read(&a, 2)->n_tubes, 1);
    assert_true(cb_span_eq(desk_find_read(&a, 2)->tubes[0], cb_span_str("default")));
    assert_int_equal(desk_find_read(&a, 3)->n_tubes, 2);
    assert_true(cb_span_eq(desk_find_read(&a, 3)->tubes[1], cb_span_str("other")));
}

static void a_new_leader_answers_none_of_the_old(void **state)
{
    (void)state;
    desk_read(&d, &a, 1, WIRE_READ_STATS, 1);
    proposer_role(d.p, false, 4, "127.0.0.1:1");
    assert_true(a.has_ended);
    desk_apply_all(&d);
    assert_null(desk_find_read(&a, 1));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(not_by_an_entry_from_before),
        T(one_empty_entry_serves_all),
        T(rides_with_requests),
        T(waits_for_its_place),
        T(stats_counts_itself),
        T(lists),
        T(a_new_leader_answers_none_of_the_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
