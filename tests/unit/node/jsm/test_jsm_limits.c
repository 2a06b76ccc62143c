/* Proves the bounds of the machine: what is due in one entry, results that nobody acknowledges,
 * sessions; and that requests out of order have no effect, and who was touched. */
#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "support/jsm_script.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static uint64_t ready(struct jsm_script *s)
{
    struct jsm_view v;
    jsm_read_stats(jsm_script_machine(s), &v);
    return v.ready;
}

static struct jsm_item request(const struct jsm_script *s, uint64_t number, struct jsm_command q)
{
    return (struct jsm_item){.kind = JSM_ITEM_REQUEST,
                             .session = jsm_script_session(s, 1),
                             .number = number,
                             .command = q};
}

/* `n` times the same request of c1, in one entry. */
static void repeat(struct jsm_script *s, uint32_t n, struct jsm_command q)
{
    struct jsm *m = jsm_script_machine(s);
    uint64_t last = jsm_session_last_request(jsm_session_get(m, jsm_script_session(s, 1)));
    struct jsm_item *items = cb_malloc(n * sizeof *items);
    for (uint32_t i = 0; i < n; i++) {
        items[i] = request(s, last + 1 + i, q);
    }
    jsm_script_apply(s, items, n);
    cb_free(items);
}

static void what_is_due_is_worked_off_over_entries(void **state)
{
    (void)state;
    struct jsm_script *s = jsm_script_create(false);
    jsm_script_run(s, "c1> open");
    repeat(s, CB_DUE_PER_ENTRY_MAX + 10,
           (struct jsm_command){.op = JSM_OP_PUT, .conn = 1, .delay = 1, .ttr = 60});
    jsm_script_run(s, "+5");
    assert_int_equal(ready(s), CB_DUE_PER_ENTRY_MAX);
    assert_true(jsm_next_due_ns(jsm_script_machine(s)) <= jsm_stamp_ns(jsm_script_machine(s)));
    jsm_script_run(s, "tick");
    assert_int_equal(ready(s), CB_DUE_PER_ENTRY_MAX + 10);
    jsm_script_run(s, "due never");
    jsm_script_destroy(s);
}

/* Makes session p1 have exactly `n` unacknowledged results. */
static void fill(struct jsm_script *s, uint64_t n)
{
    const struct jsm_command nothing = {.op = JSM_OP_DELETE, .conn = 1, .id = 999999};
    const struct jsm_session *p1 = jsm_session_get(jsm_script_machine(s), jsm_script_session(s, 1));
    uint64_t missing = n - (jsm_session_last_result(p1) - jsm_session_acked_result(p1));
    while (missing > 0) {
        uint32_t now = missing < 4096 ? (uint32_t)missing : 4096;
        repeat(s, now, nothing);
        missing -= now;
    }
}

static void a_session_over_its_bound_of_results_gets_no_grants(void **state)
{
    (void)state;
    char line[64];
    struct jsm_script *s = jsm_script_create(false);
    jsm_script_run(s, "c1> open; c2> reserve; c3> reserve; d1> reserve");
    fill(s, CB_RESULTS_UNACKED_MAX + 1);
    jsm_script_run(s, "e1> put 0 0 60 a\n"
                      "d1< RESERVED 1 a\n"
                      "e1> put 0 0 60 b; e1> put 0 0 60 c\n"
                      "c2< -; c3< -; stats waiting=2 ready=2\n"
                      "ack p1 32768\n"
                      "c2< -; stats waiting=2");
    (void)snprintf(line, sizeof line, "ack p1 %d", CB_RESULTS_UNACKED_MAX / 2 + 1);
    jsm_script_run(s, line);
    jsm_script_run(s, "c2< RESERVED 2 b; c3< RESERVED 3 c; stats waiting=0 ready=0");
    jsm_script_destroy(s);
}

static void at_its_bound_a_session_still_gets_grants(void **state)
{
    (void)state;
    struct jsm_script *s = jsm_script_create(false);
    jsm_script_run(s, "c1> open; c2> reserve; c3> reserve");
    fill(s, CB_RESULTS_UNACKED_MAX);
    jsm_script_run(s, "d1> put 0 0 60 a\n"
                      "c2< RESERVED 1 a\n"
                      "d1> put 0 0 60 b\n"
                      "c3< -");
    jsm_script_destroy(s);
}

static void a_session_over_its_bound_of_bytes_gets_no_grants(void **state)
{
    (void)state;
    struct jsm_script *s = jsm_script_create(false);
    uint8_t *big = cb_calloc(1, CB_JOB_SIZE_MAX);
    const uint32_t n = CB_RESULT_BYTES_UNACKED_MAX / CB_JOB_SIZE_MAX;
    const struct jsm_command put = {
        .op = JSM_OP_PUT, .conn = 1, .ttr = 60, .body = cb_span(big, CB_JOB_SIZE_MAX)};
    jsm_script_run(s, "c1> open; c2> reserve-with-timeout 0; c3> open");
    repeat(s, n + 2, put);
    cb_free(big);
    for (uint32_t i = 0; i < n; i++) {
        jsm_script_run(s, "c3> reserve");
    }
    jsm_script_run(s, "stats reserved=16; c2> reserve; c3> reserve; stats reserved=18");
    jsm_script_run(s, "c2> reserve; d1> put 0 0 60 a; c2< -; stats waiting=1 ready=1");
    jsm_script_run(s, "ack p1 1000; c2< RESERVED 19 a; stats waiting=0");
    jsm_script_destroy(s);
}

static void the_bound_on_results_survives_a_restart(void **state)
{
    (void)state;
    struct jsm_script *s = jsm_script_create(true);
    jsm_script_run(s, "c1> open; c2> reserve");
    fill(s, CB_RESULTS_UNACKED_MAX + 1);
    jsm_script_run(s, "d1> put 0 0 60 a; c2< -; ack p1 40000; c2< RESERVED 1 a");
    jsm_script_destroy(s);
}

static const char bounds_on_jobs[] = "limits 2 0\n"
                                     "c1> put 0 0 60 a => INSERTED 1\n"
                                     "c1> put 0 9 60 b => INSERTED 2\n"
                                     "c2> put 0 0 60 c => OUT_OF_MEMORY\n"
                                     "stats cmd-put=3 total-jobs=2 producers=2\n"
                                     "c1> reserve => RESERVED 1 a\n"
                                     "c2> put 0 0 60 c => OUT_OF_MEMORY\n"
                                     "c1> bury 1 0; c2> put 0 0 60 c => OUT_OF_MEMORY\n"
                                     "c1> delete 1; c2> put 0 0 60 c => INSERTED 3\n"
                                     "limits 0 0\n"
                                     "c2> put 0 0 60 d => INSERTED 4\n"
                                     "limits 1 0\n" /* what is there stays */
                                     "c1> delete 4; c1> delete 3\n"
                                     "c2> put 0 0 60 e => OUT_OF_MEMORY\n"
                                     "c1> delete 2; c2> put 0 0 60 e => INSERTED 5\n";

static const char bounds_on_bytes[] = "limits 0 10\n"
                                      "c1> put 0 0 60 12345678901 => OUT_OF_MEMORY\n"
                                      "c1> put 0 0 60 123456 => INSERTED 1\n"
                                      "c1> put 0 0 60 12345 => OUT_OF_MEMORY\n"
                                      "c1> put 0 0 60 1234 => INSERTED 2\n"
                                      "c1> put 0 0 60 => INSERTED 3\n"
                                      "c2> reserve => RESERVED 1 123456\n"
                                      "c2> delete 1; c1> put 0 0 60 123456 => INSERTED 4\n"
                                      "limits 0 3\n"
                                      "c1> put 0 0 60 => OUT_OF_MEMORY\n";

static void the_cluster_holds_no_more_than_its_bounds(void **state)
{
    (void)state;
    for (int restarts = 0; restarts < 2; restarts++) {
        struct jsm_script *s = jsm_script_create(restarts > 0);
        jsm_script_run(s, bounds_on_jobs);
        jsm_script_destroy(s);
        s = jsm_script_create(restarts > 0);
        jsm_script_run(s, bounds_on_bytes);
        jsm_script_destroy(s);
    }
}

/* Everything but a put goes on: what makes room must. */
JSM_SCRIPT_TEST(without_space_a_put_alone_is_refused,
                "c1> put 0 0 60 a => INSERTED 1\n"
                "c1> put 0 5 60 b => INSERTED 2\n"
                "c1> put 0 0 60 c => INSERTED 3\n"
                "c2> watch t; c2> reserve-with-timeout 100\n"
                "space short\n"
                "c3> put 0 0 60 d => OUT_OF_MEMORY\n"
                "c3> put 0 0 60 => OUT_OF_MEMORY\n"
                "stats cmd-put=5 total-jobs=3 producers=2\n"
                "c1> reserve => RESERVED 3 c; c1> touch 3 => TOUCHED\n"
                "c1> release 3 0 0 => RELEASED; c1> reserve => RESERVED 3 c\n"
                "c1> release 3 0 9 => RELEASED; c1> kick-job 3 => KICKED_JOB\n"
                "c1> reserve => RESERVED 3 c; c1> bury 3 0 => BURIED; c1> kick 5 => KICKED 1\n"
                "+6; job 2 state=ready; c1> delete 2 => DELETED\n"
                "c1> use t; c1> pause-tube t 1\n"
                "c1> put 0 0 60 e => OUT_OF_MEMORY\n"
                "space enough\n"
                "c1> put 0 0 60 e => INSERTED 4")

static void more_sessions_than_the_bound_are_refused(void **state)
{
    (void)state;
    char name[32];
    struct jsm_script *s = jsm_script_create(false);
    for (int i = 0; i <= CB_SESSIONS_MAX; i++) {
        (void)snprintf(name, sizeof name, "proxy-%d", i);
        struct jsm_item it = {
            .kind = JSM_ITEM_OPEN, .name = cb_span_str(name), .incarnation = {1, 1}};
        jsm_script_apply(s, &it, 1);
        bool opened = jsm_session_find(jsm_script_machine(s), it.name) != NULL;
        assert_int_equal(opened, i < CB_SESSIONS_MAX);
    }
    struct jsm_item again = {
        .kind = JSM_ITEM_OPEN, .name = cb_span_str("proxy-7"), .incarnation = {2, 0}};
    jsm_script_apply(s, &again, 1);
    const struct jsm_session *p = jsm_session_find(jsm_script_machine(s), again.name);
    assert_true(p != NULL && jsm_session_incarnation(p).started_ns == 2);
    jsm_script_destroy(s);
}

static void requests_out_of_order_have_no_effect(void **state)
{
    (void)state;
    struct jsm_script *s = jsm_script_create(true);
    const struct jsm_command put = {.op = JSM_OP_PUT, .conn = 1, .ttr = 60};
    jsm_script_run(s, "c1> put 0 0 60 a");
    struct jsm *m = jsm_script_machine(s);
    uint64_t last = jsm_session_last_request(jsm_session_get(m, jsm_script_session(s, 1)));
    const struct jsm_item items[] = {request(s, last, put), request(s, last + 2, put),
                                     request(s, last + 1, put)};
    jsm_script_apply(s, items, 3);
    jsm_script_run(s, "c1< INSERTED 1; c1< INSERTED 2; c1< -; stats total-jobs=2");
    jsm_script_destroy(s);
}

static void dropped_requests_and_touched_sessions_are_told(void **state)
{
    (void)state;
    struct jsm_script *s = jsm_script_create(false);
    jsm_script_run(s, "d1> reserve; c1> open");
    const struct jsm_command put = {.op = JSM_OP_PUT, .conn = 1, .ttr = 60};
    const struct jsm_item items[] = {request(s, 77, put), request(s, 2, put)};
    jsm_script_apply(s, items, 2);
    uint32_t n;
    struct jsm *m = jsm_script_machine(s);
    const uint64_t *touched = jsm_touched_sessions(m, &n);
    assert_int_equal(n, 2);
    assert_true(touched[0] == jsm_script_session(s, 1) && touched[1] == jsm_script_session(s, 2));
    assert_int_equal(jsm_dropped_requests(m), 1);
    jsm_script_run(s, "tick");
    (void)jsm_touched_sessions(m, &n);
    assert_int_equal(n, 0);
    assert_int_equal(jsm_dropped_requests(m), 0);
    jsm_script_destroy(s);
}

static void a_reservation_that_ran_out_without_a_leader_survives_resume(void **state)
{
    (void)state;
    struct jsm_script *s = jsm_script_create(false);
    jsm_script_run(s, "c1> put 0 0 5 a; c1> reserve => RESERVED 1 a");
    struct jsm *m = jsm_script_machine(s);
    const struct jsm_item resume = {.kind = JSM_ITEM_RESUME};
    const struct jsm_entry e = {
        .stamp_ns = jsm_stamp_ns(m) + 60 * CB_NS_PER_S, .items = &resume, .n_items = 1};
    jsm_apply(m, jsm_index(m) + 1, &e);
    struct jsm_job_view v;
    assert_true(jsm_read_job(m, 1, &v));
    assert_int_equal(v.state, JSM_JOB_RESERVED);
    jsm_script_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_due_is_worked_off_over_entries),
        cmocka_unit_test(a_session_over_its_bound_of_results_gets_no_grants),
        cmocka_unit_test(at_its_bound_a_session_still_gets_grants),
        cmocka_unit_test(a_session_over_its_bound_of_bytes_gets_no_grants),
        cmocka_unit_test(the_bound_on_results_survives_a_restart),
        cmocka_unit_test(the_cluster_holds_no_more_than_its_bounds),
        cmocka_unit_test(without_space_a_put_alone_is_refused),
        cmocka_unit_test(more_sessions_than_the_bound_are_refused),
        cmocka_unit_test(requests_out_of_order_have_no_effect),
        cmocka_unit_test(dropped_requests_and_touched_sessions_are_told),
        cmocka_unit_test(a_reservation_that_ran_out_without_a_leader_survives_resume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
