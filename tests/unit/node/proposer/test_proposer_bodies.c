/* Proves what waits for a body that is not in memory, and for how long (ADR 14): results of the
 * session, in order, with many bodies asked for at once; of reads only those of the same
 * connection; a peek's answer stands; confirmations wait for nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "unit/node/proposer/desk.h"

static struct desk d;
static struct desk_stream a, b;

static const char body_1[] =
    "a body of one hundred bytes or so, which is more than the least that is "
    "worth being sent away.....";
static const char body_2[] =
    "another body of one hundred bytes or so, which is more than the least "
    "that is worth being sent away";

static int setup(void **state)
{
    (void)state;
    desk_init(&d);
    jsm_keep_bodies(d.machine, 1);
    desk_serve(&d, 3);
    desk_join(&d, &a, "p1");
    desk_join(&d, &b, "p2");
    desk_request(&d, &a, 1, NULL);
    desk_request(&d, &b, 1, NULL);
    desk_request(&d, &b, 2, body_1);
    desk_request(&d, &b, 3, body_2);
    desk_apply_all(&d);
    desk_shed(&d);
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

static void request(struct desk_stream *s, uint64_t number, enum wire_op op, uint64_t id)
{
    struct wire_request q = {.number = number, .conn = 1, .op = op, .id = id};
    struct wire_to_node m = {.requests = &q, .n_requests = 1};
    desk_send(&d, s, &m);
}

static void read_of(struct desk_stream *s, uint64_t read, uint64_t conn, uint32_t kind, uint64_t id)
{
    struct wire_read r = {.read = read, .conn = conn, .kind = kind, .id = id, .after = 1};
    struct wire_to_node m = {.reads = &r, .n_reads = 1};
    desk_send(&d, s, &m);
}

static const struct wire_result *find_result(const struct desk_stream *s, uint64_t request)
{
    for (unsigned i = 0; i < s->n_got; i++) {
        for (uint32_t k = 0; k < s->got[i].m.n_results; k++) {
            if (s->got[i].m.results[k].request == request) {
                return &s->got[i].m.results[k];
            }
        }
    }
    return NULL;
}

static void results_wait_in_order(void **state)
{
    (void)state;
    request(&a, 2, WIRE_OP_RESERVE, 0);
    request(&a, 3, WIRE_OP_RESERVE, 0);
    request(&a, 4, WIRE_OP_DELETE, 99);
    request(&b, 4, WIRE_OP_DELETE, 99);
    desk_apply_all(&d);
    assert_int_equal(desk_count_results(&a), 0);
    assert_non_null(find_result(&b, 4)); /* the other session does not wait */
    assert_int_equal(d.n_bodies, 2);     /* both are asked for at once */
    assert_true(d.bodies[0].was_kept && d.bodies[1].was_kept);
    assert_int_equal(desk_bodies_come(&d), 2);
    assert_int_equal(desk_count_results(&a), 3);
    assert_true(cb_span_eq(find_result(&a, 2)->body, cb_span_str(body_1)));
    assert_true(cb_span_eq(find_result(&a, 3)->body, cb_span_str(body_2)));
    assert_int_equal(proposer_counters_get(d.p)->bodies_missed, 2);
    assert_int_equal(proposer_counters_get(d.p)->bodies_hit, 0);
}

/* The proxy sees that it is heard, and what is applied. */
static void confirmations_do_not_wait(void **state)
{
    (void)state;
    unsigned before = a.n_got;
    request(&a, 2, WIRE_OP_RESERVE, 0);
    desk_apply_all(&d);
    assert_int_equal(desk_count_results(&a), 0);
    assert_true(a.n_got > before);
    assert_int_equal(desk_last(&a)->applied_request, 2);
    assert_int_equal(desk_last(&a)->confirmed_seq, a.seq);
    unsigned n = a.n_got;
    proposer_turn(d.p);
    assert_int_equal(a.n_got, n); /* nothing more to say */
}

static void what_is_in_memory_is_sent_at_once(void **state)
{
    (void)state;
    desk_request(&d, &b, 4, body_1);
    desk_apply_all(&d);
    request(&b, 5, WIRE_OP_RESERVE_JOB, 3);
    desk_apply_all(&d);
    assert_true(cb_span_eq(find_result(&b, 5)->body, cb_span_str(body_1)));
    assert_int_equal(d.n_bodies, 0);
    assert_int_equal(proposer_counters_get(d.p)->bodies_hit, 1);
}

/* A later stream of the session gets it, deleted job or not. */
static void a_result_is_sent_again(void **state)
{
    (void)state;
    uint64_t session = a.got[0].m.attached.session;
    request(&a, 2, WIRE_OP_RESERVE, 0);
    desk_apply_all(&d);
    desk_bodies_come(&d);
    request(&a, 3, WIRE_OP_DELETE, 1);
    desk_apply_all(&d);
    desk_shed(&d);
    desk_bodies_forget(&d);
    desk_close(&d, &a);
    desk_attach(&d, &a, "p1", 1, session, 0);
    desk_apply_all(&d);
    assert_null(find_result(&a, 2));
    assert_int_equal(desk_bodies_come(&d), 1);
    assert_true(cb_span_eq(find_result(&a, 2)->body, cb_span_str(body_1)));
}

/* The next leader has never had it in memory. */
static void the_next_leader_fetches_it(void **state)
{
    (void)state;
    uint64_t session = a.got[0].m.attached.session;
    request(&a, 2, WIRE_OP_RESERVE, 0);
    desk_apply_all(&d);
    desk_close(&d, &a);
    desk_close(&d, &b);
    desk_bodies_forget(&d);
    desk_restart(&d);
    desk_serve(&d, 4);
    desk_attach(&d, &a, "p1", 1, session, 0);
    desk_apply_all(&d);
    desk_bodies_come(&d);
    assert_true(cb_span_eq(find_result(&a, 2)->body, cb_span_str(body_1)));
}

static void it_looks_ahead_by_so_much(void **state)
{
    (void)state;
    enum { JOBS = CB_BODY_AHEAD_MAX + 20 };
    for (uint64_t i = 0; i < JOBS; i++) {
        desk_request(&d, &b, 4 + i, body_1);
        desk_apply_all(&d);
    }
    desk_shed(&d);
    for (uint64_t i = 0; i < JOBS; i++) {
        request(&a, 2 + i, WIRE_OP_RESERVE, 0);
    }
    desk_apply_all(&d);
    assert_int_equal(d.n_bodies, CB_BODY_AHEAD_MAX);
    while (desk_bodies_come(&d) > 0) {
    }
    assert_int_equal(desk_count_results(&a), JOBS);
    for (uint64_t i = 1; i < JOBS; i++) {
        assert_int_equal(find_result(&a, 2 + i)->number, find_result(&a, 1 + i)->number + 1);
    }
}

static void request_of(struct desk_stream *s, uint64_t number, uint64_t conn, enum wire_op op)
{
    struct wire_request q = {.number = number, .conn = conn, .op = op};
    struct wire_to_node m = {.requests = &q, .n_requests = 1};
    desk_send(&d, s, &m);
}

/* Nothing else is to be said to the proxy then. */
static void it_looks_ahead_of_grants_too(void **state)
{
    (void)state;
    request(&b, 4, WIRE_OP_RESERVE, 0);
    request(&b, 5, WIRE_OP_RESERVE, 0);
    desk_apply_all(&d);
    desk_bodies_come(&d);
    desk_ack(&d, &b, 4);
    request_of(&a, 2, 2, WIRE_OP_CONN_OPEN);
    request_of(&a, 3, 1, WIRE_OP_RESERVE);
    request_of(&a, 4, 2, WIRE_OP_RESERVE);
    desk_apply_all(&d);
    desk_bodies_forget(&d);
    struct wire_request q[] = {
        {.number = 6, .conn = 1, .op = WIRE_OP_RELEASE, .id = 1},
        {.number = 7, .conn = 1, .op = WIRE_OP_RELEASE, .id = 2},
    };
    struct wire_to_node m = {.requests = q, .n_requests = 2};
    desk_send(&d, &b, &m);
    desk_apply_all(&d);
    assert_int_equal(d.n_bodies, 2);
    (void)desk_bodies_come(&d);
    assert_non_null(find_result(&a, 3));
    assert_non_null(find_result(&a, 4));
}

static void reads_wait_each_for_itself(void **state)
{
    (void)state;
    read_of(&a, 1, 1, WIRE_READ_PEEK, 1);
    read_of(&a, 2, 1, WIRE_READ_STATS_JOB, 1); /* the same connection */
    read_of(&a, 3, 7, WIRE_READ_STATS_JOB, 1);
    desk_apply_all(&d);
    assert_null(desk_find_read(&a, 1));
    assert_null(desk_find_read(&a, 2));
    assert_non_null(desk_find_read(&a, 3));
    assert_int_equal(desk_bodies_come(&d), 1);
    assert_true(desk_find_read(&a, 1)->found && desk_find_read(&a, 2)->found);
    assert_true(cb_span_eq(desk_find_read(&a, 1)->body, cb_span_str(body_1)));
    assert_int_equal(proposer_counters_get(d.p)->bodies_missed, 1);
}

/* Whatever is at the head when the body comes. */
static void what_a_peek_found_stands(void **state)
{
    (void)state;
    read_of(&a, 1, 1, WIRE_READ_PEEK_READY, 0);
    desk_apply_all(&d);
    request(&b, 4, WIRE_OP_DELETE, 1);
    desk_apply_all(&d);
    assert_int_equal(desk_bodies_come(&d), 1); /* its record is still there */
    assert_int_equal(desk_find_read(&a, 1)->id, 1);
    assert_true(cb_span_eq(desk_find_read(&a, 1)->body, cb_span_str(body_1)));
}

static void a_peek_of_what_is_gone_looks_again(void **state)
{
    (void)state;
    read_of(&a, 1, 1, WIRE_READ_PEEK_READY, 0);
    read_of(&a, 2, 2, WIRE_READ_PEEK, 1);
    desk_apply_all(&d);
    request(&b, 4, WIRE_OP_DELETE, 1);
    desk_apply_all(&d);
    desk_shed(&d);
    (void)desk_bodies_come(&d);
    assert_false(desk_find_read(&a, 2)->found);
    assert_null(desk_find_read(&a, 1));
    assert_int_equal(desk_bodies_come(&d), 1);
    assert_int_equal(desk_find_read(&a, 1)->id, 2);
    assert_true(cb_span_eq(desk_find_read(&a, 1)->body, cb_span_str(body_2)));
}

/* More connections than are noted: all later reads wait, and all are answered. */
static void many_connections_wait(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 100; i++) {
        read_of(&a, i, i, WIRE_READ_PEEK, 1 + i % 2);
    }
    desk_apply_all(&d);
    (void)desk_bodies_come(&d);
    for (uint64_t i = 1; i <= 100; i++) {
        assert_true(desk_find_read(&a, i)->found);
        assert_int_equal(desk_find_read(&a, i)->id, 1 + i % 2);
    }
}

static void a_stream_that_closes_waits_no_more(void **state)
{
    (void)state;
    request(&a, 2, WIRE_OP_RESERVE, 0);
    read_of(&a, 1, 1, WIRE_READ_PEEK, 2);
    desk_apply_all(&d);
    desk_close(&d, &a);
    (void)desk_bodies_come(&d);
    assert_int_equal(proposer_counters_get(d.p)->bodies_missed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(results_wait_in_order),
        TEST(confirmations_do_not_wait),
        TEST(what_is_in_memory_is_sent_at_once),
        TEST(a_result_is_sent_again),
        TEST(the_next_leader_fetches_it),
        TEST(it_looks_ahead_by_so_much),
        TEST(it_looks_ahead_of_grants_too),
        TEST(reads_wait_each_for_itself),
        TEST(what_a_peek_found_stands),
        TEST(a_peek_of_what_is_gone_looks_again),
        TEST(many_connections_wait),
        TEST(a_stream_that_closes_waits_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
