/* Proves, over a real gRPC connection on loopback: a question for a part of the state reaches the
 * node as it was asked, and its answer, the largest one too, the asker; at once or later, also when
 * the asker has gone, and while the service closes. What is no question reaches nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>
#include <uv.h>

#include "common/base/cb_mem.h"
#include "common/rpc/rpc_client.h"
#include "common/rpc/rpc_server.h"
#include "node/service/service.h"
#include "support/free_port.h"

#define DEADLINE_MS 10000
#define HELD_MAX 4

static uv_loop_t loop;
static uv_timer_t deadline;
static struct rpc *rpc;
static struct service *service;
static struct rpc_client *client;

/* ---- the node ---- */

static struct wire_state_request asked;
static unsigned n_asked, n_held;
static bool holds, refuses; /* rather than to answer */
static struct rpc_call *held[HELD_MAX];
static struct cb_buf part;

static void answer(struct rpc_call *call)
{
    const struct wire_state_reply m = {.cluster = 77,
                                       .id = 1,
                                       .result = WIRE_STATE_PART,
                                       .copy = 9,
                                       .part = asked.part,
                                       .is_last = true,
                                       .bytes = cb_buf_span(&part)};
    service_state_reply(call, &m);
}

static void on_state(void *data, const struct wire_state_request *q, struct rpc_call *call)
{
    assert_ptr_equal(data, &part);
    asked = *q;
    n_asked++;
    if (holds) {
        assert_true(n_held < HELD_MAX);
        held[n_held++] = call;
        uv_stop(&loop);
    } else if (refuses) {
        rpc_call_fail(call, RPC_PERMISSION_DENIED, "not for you");
    } else {
        answer(call);
    }
}

/* ---- setup ---- */

static void on_deadline(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing has come");
}

static int setup(void **state)
{
    (void)state;
    char address[64];
    const struct service_source source = {.data = &part, .state = on_state};
    struct cb_buf error = CB_BUF_NULL;
    n_asked = n_held = 0;
    holds = refuses = false;
    part = CB_BUF_NULL;
    cb_buf_append_str(&part, "records");
    assert_int_equal(uv_loop_init(&loop), 0);
    rpc = rpc_create(&loop);
    service = service_create(rpc, &source);
    snprintf(address, sizeof(address), "127.0.0.1:%u", free_port());
    assert_true(service_listen(service, address, &error));
    service_start(service);
    const struct rpc_client_config config = {.target = address};
    client = rpc_client_create(rpc, &config);
    assert_int_equal(uv_timer_init(&loop, &deadline), 0);
    assert_int_equal(uv_timer_start(&deadline, on_deadline, DEADLINE_MS, 0), 0);
    return 0;
}

static void set_flag(void *ctx)
{
    *(bool *)ctx = true;
}

static void close_client(void)
{
    bool is_closed = false;
    rpc_client_close(client, set_flag, &is_closed);
    client = NULL;
    while (!is_closed) {
        uv_run(&loop, UV_RUN_ONCE);
    }
}

static int teardown(void **state)
{
    (void)state;
    bool service_closed = service == NULL;
    bool rpc_closed = false;
    uv_close((uv_handle_t *)&deadline, NULL);
    if (client != NULL) {
        close_client();
    }
    if (service != NULL) {
        service_close(service, set_flag, &service_closed);
    }
    rpc_close(rpc, set_flag, &rpc_closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(service_closed && rpc_closed);
    assert_int_equal(uv_loop_close(&loop), 0);
    cb_buf_fini(&part);
    return 0;
}

/* ---- who asks ---- */

struct question {
    bool is_over;
    enum rpc_code code;
    struct wire_state_reply reply; /* of RPC_OK */
};

static void on_answer(void *ctx, const struct rpc_status *status, struct cb_span bytes)
{
    struct question *q = ctx;
    q->is_over = true;
    q->code = status->code;
    if (q->code == RPC_OK) {
        assert_int_equal(wire_state_reply_decode(&q->reply, bytes), WIRE_OK);
    }
}

static void ask_bytes(struct question *q, struct cb_span request, uint64_t timeout_ns)
{
    struct cb_buf bytes = CB_BUF_NULL;
    cb_buf_append(&bytes, request.ptr, request.len);
    memset(q, 0, sizeof(*q));
    rpc_client_call(client, "/coolbeans.v1.Cluster/State", &bytes, timeout_ns, on_answer, q);
    cb_buf_fini(&bytes);
}

static void ask(struct question *q, uint64_t number, uint64_t timeout_ns)
{
    const struct wire_state_request m = {
        .cluster = 77, .id = 2, .copy = 9, .part = number, .at_least = 5};
    struct cb_buf bytes = CB_BUF_NULL;
    wire_state_request_encode(&m, &bytes);
    ask_bytes(q, cb_buf_span(&bytes), timeout_ns);
    cb_buf_fini(&bytes);
}

static void await_answer(const struct question *q)
{
    while (!q->is_over) {
        uv_run(&loop, UV_RUN_ONCE);
    }
}

static void await_held(unsigned n)
{
    while (n_held < n) {
        uv_run(&loop, UV_RUN_DEFAULT);
    }
}

/* ---- tests ---- */

static void the_question_is_answered_at_once(void **state)
{
    (void)state;
    struct question q;
    ask(&q, 3, 5 * CB_NS_PER_S);
    await_answer(&q);
    assert_true(asked.cluster == 77 && asked.id == 2 && asked.copy == 9);
    assert_true(asked.part == 3 && asked.at_least == 5);
    assert_int_equal(q.code, RPC_OK);
    assert_true(q.reply.copy == 9 && q.reply.part == 3 && q.reply.is_last);
    assert_true(cb_span_eq(q.reply.bytes, cb_span_str("records")));
    wire_state_reply_fini(&q.reply);
}

static void the_largest_part_comes_whole(void **state)
{
    (void)state;
    struct question q;
    cb_buf_clear(&part);
    uint8_t *bytes = cb_buf_reserve(&part, CB_STATE_PART_MAX);
    for (size_t i = 0; i < CB_STATE_PART_MAX; i++) {
        bytes[i] = (uint8_t)(i * 31 >> 3);
    }
    cb_buf_commit(&part, CB_STATE_PART_MAX);
    ask(&q, 3, 5 * CB_NS_PER_S);
    await_answer(&q);
    assert_int_equal(q.code, RPC_OK);
    assert_true(cb_span_eq(q.reply.bytes, cb_buf_span(&part)));
    wire_state_reply_fini(&q.reply);
}

static void an_answer_may_come_later(void **state)
{
    (void)state;
    struct question first, second;
    holds = true;
    ask(&first, 3, 5 * CB_NS_PER_S);
    await_held(1);
    holds = false;
    ask(&second, 4, 5 * CB_NS_PER_S);
    await_answer(&second);
    wire_state_reply_fini(&second.reply);
    assert_false(first.is_over);
    answer(held[0]);
    await_answer(&first);
    assert_int_equal(first.code, RPC_OK);
    wire_state_reply_fini(&first.reply);
}

static void the_node_may_refuse(void **state)
{
    (void)state;
    struct question q;
    refuses = true;
    ask(&q, 3, 5 * CB_NS_PER_S);
    await_answer(&q);
    assert_int_equal(q.code, RPC_PERMISSION_DENIED);
}

static void what_is_no_question_reaches_nobody(void **state)
{
    (void)state;
    struct question q;
    ask_bytes(&q, cb_span_str("\xff"), 5 * CB_NS_PER_S);
    await_answer(&q);
    assert_int_equal(q.code, RPC_INVALID_ARGUMENT);
    ask_bytes(&q, cb_span_str("\x20\x01"), 5 * CB_NS_PER_S); /* part 1 of a new copy */
    await_answer(&q);
    assert_int_equal(q.code, RPC_INVALID_ARGUMENT);
    assert_int_equal(n_asked, 0);
    assert_int_equal(service_counters_get(service)->malformed, 2);
}

static void an_asker_may_have_gone(void **state)
{
    (void)state;
    struct question late, gone;
    holds = true;
    ask(&late, 3, 300 * CB_NS_PER_MS);
    await_held(1);
    await_answer(&late);
    assert_int_equal(late.code, RPC_DEADLINE_EXCEEDED);
    ask(&gone, 3, 5 * CB_NS_PER_S);
    await_held(2);
    close_client();
    assert_true(gone.is_over && gone.code == RPC_CANCELLED);
    answer(held[0]);
    rpc_call_fail(held[1], RPC_UNAVAILABLE, "too late in any case");
}

/* What the node still holds is waited for, so that it must answer all of it. */
static void closing_waits_for_what_is_held(void **state)
{
    (void)state;
    struct question q;
    bool is_closed = false;
    holds = true;
    ask(&q, 3, 5 * CB_NS_PER_S);
    await_held(1);
    service_close(service, set_flag, &is_closed);
    service = NULL;
    for (int i = 0; i < 3; i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    assert_false(is_closed);
    answer(held[0]);
    await_answer(&q);
    assert_int_equal(q.code, RPC_OK);
    wire_state_reply_fini(&q.reply);
    while (!is_closed) {
        uv_run(&loop, UV_RUN_ONCE);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_question_is_answered_at_once),   T(the_largest_part_comes_whole),
        T(an_answer_may_come_later),           T(the_node_may_refuse),
        T(what_is_no_question_reaches_nobody), T(an_asker_may_have_gone),
        T(closing_waits_for_what_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
