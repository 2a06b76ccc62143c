/* Proves, over a real gRPC connection on loopback: a stream gets its session and its results; a
 * message that is none ends that stream with INVALID_ARGUMENT and nothing else; a node that does
 * not lead names the leader; Status, Identify, Clock and the health service answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>
#include <uv.h>

#include "common/rpc/rpc_client.h"
#include "node/entry/entry_decoder.h"
#include "node/service/service.h"
#include "support/free_port.h"

#define DEADLINE_MS 10000

static uv_loop_t loop;
static uv_timer_t deadline, tick;
static struct rpc *rpc;
static struct service *service;
static struct rpc_client *client;
static struct jsm *machine;
static struct proposer *proposer;
static uint64_t machine_index;

/* ---- a log that is applied in the next turn ---- */

static struct cb_buf log_bytes[64];
static unsigned n_log, n_applied;

static enum proposer_append append(void *data, struct cb_span entry)
{
    (void)data;
    assert_true(n_log < 64);
    cb_buf_append(&log_bytes[n_log++], entry.ptr, entry.len);
    return PROPOSER_APPENDED;
}

static bool must_wait(void *data)
{
    (void)data;
    return false;
}

static void stream_send(void *data, void *owner, const struct wire_to_proxy *message)
{
    (void)data;
    service_stream_send(owner, message);
}

static bool can_send(void *data, void *owner)
{
    (void)data;
    return service_stream_can_send(owner);
}

static void end(void *data, void *owner, enum proposer_end why, const char *text)
{
    (void)data;
    service_stream_end(owner, why, text);
}

static void set_reading(void *data, void *owner, bool on)
{
    (void)data;
    service_stream_set_reading(owner, on);
}

static enum proposer_body
no_body(void *data, const struct proposer_body_ask *ask, struct cb_span *out)
{
    (void)data;
    (void)ask;
    (void)out;
    fail_msg("all bodies are in memory");
    return PROPOSER_BODY_GONE;
}

static void set_timer(void *data, uint64_t at_ns)
{
    (void)data;
    (void)at_ns;
}

static void serving(void *data, bool is_serving)
{
    (void)data;
    service_set_serving(service, is_serving);
}

static void no_log(void *data, enum proposer_log what, const char *text, uint64_t number)
{
    (void)data;
    (void)what;
    (void)text;
    (void)number;
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
    proposer_turn(proposer);
    struct entry_decoder d;
    entry_decoder_init(&d);
    while (n_applied < n_log) {
        struct entry_header h;
        struct jsm_entry e;
        assert_int_equal(entry_decode(&d, cb_buf_span(&log_bytes[n_applied]), &h, &e), ENTRY_OK);
        jsm_apply(machine, ++machine_index, &e);
        proposer_applied(proposer, &h, true);
        cb_buf_fini(&log_bytes[n_applied++]);
    }
    entry_decoder_fini(&d);
    proposer_turn(proposer);
}

/* ---- the node's answers ---- */

static void fill_status(void *data, struct wire_status *out)
{
    (void)data;
    out->name = cb_span_str("n1");
    out->id = 1;
    out->role = cb_span_str("leader");
}

static void
fill_identify(void *data, const struct wire_identify_request *q, struct wire_identify_reply *out)
{
    (void)data;
    out->is_gone = q->id == 9;
    out->state = WIRE_IDENTIFY_PREPARED;
    out->cluster = 77;
    out->id = 1;
    out->name = cb_span_str("n1");
}

static void change(void *data, const struct wire_change_request *q, struct rpc_call *call)
{
    (void)data;
    struct wire_change_reply reply = {.result = WIRE_CHANGE_REFUSED};
    snprintf(reply.text, sizeof(reply.text), "not %s", q->name);
    service_change_reply(call, &reply);
}

static void fill_clock(void *data, struct wire_clock_reply *out)
{
    (void)data;
    *out = (struct wire_clock_reply){
        .cluster = 77, .id = 1, .knows = true, .now_ns = 900, .index = 5, .term = 2};
}

static void fill_digests(void *data, struct wire_digests_reply *out)
{
    (void)data;
    *out = (struct wire_digests_reply){.cluster = 77, .id = 1, .n = 1, .index = {5}, .digest = {9}};
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
    n_log = n_applied = 0;
    machine_index = 0;
    memset(log_bytes, 0, sizeof(log_bytes));
    assert_int_equal(uv_loop_init(&loop), 0);
    rpc = rpc_create(&loop);
    const struct service_source source = {
        .status = fill_status,
        .identify = fill_identify,
        .clock = fill_clock,
        .digests = fill_digests,
        .change = change,
    };
    service = service_create(rpc, &source);
    struct cb_buf error;
    cb_buf_init(&error);
    snprintf(address, sizeof(address), "127.0.0.1:%u", free_port());
    assert_true(service_listen(service, address, &error));
    cb_buf_fini(&error);
    machine = jsm_create();
    const struct proposer_config config = {.self = 1, .session_timeout_ns = 30 * CB_NS_PER_S};
    const struct proposer_env env = {.clock = cb_clock_system(),
                                     .append = append,
                                     .must_wait = must_wait,
                                     .send = stream_send,
                                     .can_send = can_send,
                                     .end = end,
                                     .set_reading = set_reading,
                                     .body = no_body,
                                     .set_timer = set_timer,
                                     .serving = serving,
                                     .log = no_log};
    proposer = proposer_create(&config, &env, machine);
    service_set_proposer(service, proposer);
    service_start(service);
    const struct rpc_client_config client_config = {.target = address};
    client = rpc_client_create(rpc, &client_config);
    assert_int_equal(uv_timer_init(&loop, &deadline), 0);
    assert_int_equal(uv_timer_start(&deadline, on_deadline, DEADLINE_MS, 0), 0);
    assert_int_equal(uv_timer_init(&loop, &tick), 0);
    assert_int_equal(uv_timer_start(&tick, on_tick, 1, 1), 0);
    return 0;
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static int teardown(void **state)
{
    (void)state;
    uv_close((uv_handle_t *)&deadline, NULL);
    uv_close((uv_handle_t *)&tick, NULL);
    rpc_client_close(client, nothing, NULL);
    service_close(service, nothing, NULL);
    rpc_close(rpc, nothing, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    proposer_destroy(proposer);
    jsm_destroy(machine);
    return 0;
}

/* ---- a client's side ---- */

struct peer {
    struct rpc_stream *rpc;
    struct wire_to_proxy got;
    unsigned n_got;
    bool is_closed;
    enum rpc_code code;
    char leader[64];
};

static void on_message(void *ctx, struct rpc_stream *s, struct cb_span bytes)
{
    (void)s;
    struct peer *p = ctx;
    wire_to_proxy_fini(&p->got);
    memset(&p->got, 0, sizeof(p->got));
    assert_int_equal(wire_to_proxy_decode(&p->got, bytes), WIRE_OK);
    p->n_got++;
    uv_stop(&loop);
}

static void on_writable(void *ctx, struct rpc_stream *s)
{
    (void)ctx;
    (void)s;
    uv_stop(&loop);
}

static void on_closed(void *ctx, struct rpc_stream *s, const struct rpc_status *status)
{
    (void)s;
    struct peer *p = ctx;
    p->is_closed = true;
    p->code = status->code;
    snprintf(p->leader, sizeof(p->leader), "%s", status->leader != NULL ? status->leader : "");
    uv_stop(&loop);
}

static const struct rpc_stream_callbacks callbacks = {
    .on_message = on_message, .on_writable = on_writable, .on_closed = on_closed};

static void peer_open(struct peer *p)
{
    memset(p, 0, sizeof(*p));
    p->rpc = rpc_client_stream(client, "/coolbeans.v1.Queue/Session", &callbacks, p);
}

static void peer_send(struct peer *p, const struct wire_to_node *m)
{
    while (!rpc_stream_can_send(p->rpc)) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    struct cb_buf bytes;
    cb_buf_init(&bytes);
    wire_to_node_encode(m, &bytes);
    rpc_stream_send(p->rpc, &bytes);
    cb_buf_fini(&bytes);
}

static void peer_attach(struct peer *p, const char *name)
{
    peer_open(p);
    const struct wire_to_node m = {
        .seq = 1,
        .has_attach = true,
        .attach = {
            .version = 1, .name = cb_span_str(name), .started_ns = 1, .random = 1, .number = 1}};
    peer_send(p, &m);
}

static void peer_await_message(struct peer *p)
{
    unsigned before = p->n_got;
    while (p->n_got == before) {
        assert_false(p->is_closed);
        uv_run(&loop, UV_RUN_DEFAULT);
    }
}

static void peer_await_close(struct peer *p)
{
    while (!p->is_closed) {
        uv_run(&loop, UV_RUN_DEFAULT);
    }
    wire_to_proxy_fini(&p->got);
}

static void session_and_results(void **state)
{
    (void)state;
    proposer_role(proposer, true, 1, "");
    struct peer p;
    peer_attach(&p, "p1");
    peer_await_message(&p);
    assert_true(p.got.has_attached);
    struct wire_request r[2] = {
        {.number = 1, .conn = 1, .op = WIRE_OP_CONN_OPEN},
        {.number = 2, .conn = 1, .op = WIRE_OP_PUT, .ttr = 1, .body = cb_span_str("hello")}};
    const struct wire_to_node m = {.seq = 2, .requests = r, .n_requests = 2};
    peer_send(&p, &m);
    while (p.got.n_results == 0) {
        peer_await_message(&p);
    }
    assert_int_equal(p.got.results[0].outcome, WIRE_INSERTED);
    assert_int_equal(p.got.applied_request, 2);
    rpc_stream_cancel(p.rpc);
    peer_await_close(&p);
}

static void garbage_ends_its_stream_alone(void **state)
{
    (void)state;
    proposer_role(proposer, true, 1, "");
    struct peer good, bad;
    peer_attach(&good, "p1");
    peer_await_message(&good);
    peer_open(&bad);
    struct cb_buf bytes;
    cb_buf_init(&bytes);
    cb_buf_append_str(&bytes, "\xff\xff\xff this is no message");
    rpc_stream_send(bad.rpc, &bytes);
    cb_buf_fini(&bytes);
    peer_await_close(&bad);
    assert_int_equal(bad.code, RPC_INVALID_ARGUMENT);
    assert_int_equal(service_counters_get(service)->malformed, 1);
    const struct wire_to_node m = {.seq = 2};
    peer_send(&good, &m);
    peer_await_message(&good);
    assert_int_equal(good.got.confirmed_seq, 2);
    rpc_stream_cancel(good.rpc);
    peer_await_close(&good);
}

static void follower_names_the_leader(void **state)
{
    (void)state;
    proposer_role(proposer, false, 1, "127.0.0.1:4711");
    struct peer p;
    peer_attach(&p, "p1");
    peer_await_close(&p);
    assert_int_equal(p.code, RPC_UNAVAILABLE);
    assert_string_equal(p.leader, "127.0.0.1:4711");
}

/* ---- who leads ---- */

struct watch {
    struct rpc_stream *rpc;
    struct wire_leadership got;
    unsigned n_got;
    bool is_closed;
};

static void watch_on_message(void *ctx, struct rpc_stream *s, struct cb_span bytes)
{
    (void)s;
    struct watch *w = ctx;
    assert_int_equal(wire_leadership_decode(&w->got, bytes), WIRE_OK);
    w->n_got++;
    uv_stop(&loop);
}

static void watch_on_closed(void *ctx, struct rpc_stream *s, const struct rpc_status *status)
{
    (void)s;
    (void)status;
    ((struct watch *)ctx)->is_closed = true;
    uv_stop(&loop);
}

static const struct rpc_stream_callbacks watch_callbacks = {.on_message = watch_on_message,
                                                            .on_closed = watch_on_closed};

static void watch_open(struct watch *w)
{
    struct cb_buf request;
    cb_buf_init(&request);
    memset(w, 0, sizeof(*w));
    w->rpc = rpc_client_stream(client, "/coolbeans.v1.Queue/Watch", &watch_callbacks, w);
    rpc_stream_send(w->rpc, &request);
    rpc_stream_end(w->rpc);
    cb_buf_fini(&request);
}

static void watch_await(const struct watch *w, uint64_t term, const char *leader)
{
    while (w->n_got == 0 || w->got.term != term) {
        assert_false(w->is_closed);
        uv_run(&loop, UV_RUN_DEFAULT);
    }
    assert_string_equal(w->got.leader, leader);
}

/* Whoever comes late hears of the present leader, and all of each that follows; of several in a row
 * the last one counts. */
static void who_watches_is_told_of_each_leader(void **state)
{
    (void)state;
    struct watch early, late;
    watch_open(&early);
    service_set_leader(service, 1, "");
    service_set_leader(service, 2, "n2:1");
    watch_await(&early, 2, "n2:1");
    watch_open(&late);
    watch_await(&late, 2, "n2:1");
    for (uint64_t term = 3; term <= 100; term++) {
        service_set_leader(service, term, term % 2 == 0 ? "n2:1" : "n1:1");
    }
    watch_await(&early, 100, "n2:1");
    watch_await(&late, 100, "n2:1");
    assert_true(early.n_got < 50);
    rpc_stream_cancel(early.rpc);
    while (!early.is_closed) {
        uv_run(&loop, UV_RUN_DEFAULT);
    }
    service_set_leader(service, 101, "n1:1");
    watch_await(&late, 101, "n1:1");
    static const char *const members[] = {"n1:1", "n4:1"};
    service_set_members(service, 17, members, 2);
    while (late.got.members_index != 17) {
        uv_run(&loop, UV_RUN_DEFAULT);
    }
    assert_int_equal(late.got.n_members, 2);
    assert_string_equal(late.got.members[1], "n4:1");
    assert_int_equal(late.got.term, 101);
    rpc_stream_cancel(late.rpc);
    while (!late.is_closed) {
        uv_run(&loop, UV_RUN_DEFAULT);
    }
}

/* ---- unary calls ---- */

struct answer {
    bool is_there;
    enum rpc_code code;
    uint8_t bytes[512];
    size_t len;
};

static void on_answer(void *ctx, const struct rpc_status *status, struct cb_span reply)
{
    struct answer *a = ctx;
    assert_true(reply.len <= sizeof(a->bytes));
    a->is_there = true;
    a->code = status->code;
    a->len = reply.len;
    if (reply.len > 0) {
        memcpy(a->bytes, reply.ptr, reply.len);
    }
    uv_stop(&loop);
}

static struct cb_span call(struct answer *a, const char *path, const char *request, size_t len)
{
    struct cb_buf bytes;
    cb_buf_init(&bytes);
    cb_buf_append(&bytes, request, len);
    memset(a, 0, sizeof(*a));
    rpc_client_call(client, path, &bytes, 5 * CB_NS_PER_S, on_answer, a);
    cb_buf_fini(&bytes);
    while (!a->is_there) {
        uv_run(&loop, UV_RUN_DEFAULT);
    }
    return cb_span(a->bytes, a->len);
}

static void questions_are_answered(void **state)
{
    (void)state;
    struct answer a;
    struct wire_status status;
    memset(&status, 0, sizeof(status));
    struct cb_span bytes = call(&a, "/coolbeans.v1.Cluster/Status", "", 0);
    assert_int_equal(wire_status_decode(&status, bytes), WIRE_OK);
    assert_true(cb_span_eq(status.role, cb_span_str("leader")));
    wire_status_fini(&status);

    struct wire_identify_reply reply;
    bytes = call(&a, "/coolbeans.v1.Cluster/Identify", "\x08\x4d\x10\x02", 4);
    assert_int_equal(wire_identify_reply_decode(&reply, bytes), WIRE_OK);
    assert_int_equal(reply.state, WIRE_IDENTIFY_PREPARED);
    (void)call(&a, "/coolbeans.v1.Cluster/Identify", "\xff", 1);
    assert_int_equal(a.code, RPC_INVALID_ARGUMENT);

    assert_false(reply.is_gone);
    bytes = call(&a, "/coolbeans.v1.Cluster/Identify", "\x08\x4d\x10\x09", 4);
    assert_int_equal(wire_identify_reply_decode(&reply, bytes), WIRE_OK);
    assert_true(reply.is_gone);

    struct wire_change_reply changed;
    bytes = call(&a, "/coolbeans.v1.Cluster/Change", "\x08\x02\x12\x02n4", 6);
    assert_int_equal(wire_change_reply_decode(&changed, bytes), WIRE_OK);
    assert_string_equal(changed.text, "not n4");
    (void)call(&a, "/coolbeans.v1.Cluster/Change", "\x08\x02", 2);
    assert_int_equal(a.code, RPC_INVALID_ARGUMENT);

    struct wire_clock_reply clock;
    bytes = call(&a, "/coolbeans.v1.Cluster/Clock", "\x08\x4d\x10\x02", 4);
    assert_int_equal(wire_clock_reply_decode(&clock, bytes), WIRE_OK);
    assert_true(clock.knows && clock.now_ns == 900 && clock.index == 5 && clock.term == 2);
    (void)call(&a, "/coolbeans.v1.Cluster/Clock", "\xff", 1);
    assert_int_equal(a.code, RPC_INVALID_ARGUMENT);

    struct wire_digests_reply digests;
    bytes = call(&a, "/coolbeans.v1.Cluster/Digests", "\x08\x4d\x10\x02", 4);
    assert_int_equal(wire_digests_reply_decode(&digests, bytes), WIRE_OK);
    assert_true(digests.n == 1 && digests.index[0] == 5 && digests.digest[0] == 9);
    (void)call(&a, "/coolbeans.v1.Cluster/Digests", "\xff", 1);
    assert_int_equal(a.code, RPC_INVALID_ARGUMENT);
}

static uint8_t health(void)
{
    struct answer a;
    static const char request[] = "\x0a\x12"
                                  "coolbeans.v1.Queue";
    struct cb_span bytes = call(&a, "/grpc.health.v1.Health/Check", request, sizeof(request) - 1);
    assert_int_equal(a.code, RPC_OK);
    assert_int_equal(bytes.len, 2);
    return bytes.ptr[1];
}

static void health_follows_the_leadership(void **state)
{
    (void)state;
    assert_int_equal(health(), 2);
    proposer_role(proposer, true, 1, "");
    while (!proposer_is_serving(proposer)) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    assert_int_equal(health(), 1);
    proposer_role(proposer, false, 2, "");
    assert_int_equal(health(), 2);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(session_and_results),           T(garbage_ends_its_stream_alone),
        T(follower_names_the_leader),     T(questions_are_answered),
        T(health_follows_the_leadership), T(who_watches_is_told_of_each_leader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
