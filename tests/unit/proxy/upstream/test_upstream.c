/* Proves the streams to the nodes against a real gRPC server: messages arrive as structs, a node's
 * refusal with its hint, bytes that are no message, a stream that was left says nothing more. */
#include "proxy/upstream/upstream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/cb_buf.h"
#include "common/base/cb_limits.h"
#include "common/rpc/rpc_server.h"
#include "common/sys/cb_clock.h"

#define PATIENCE_NS (20 * CB_NS_PER_S)

struct rig {
    uv_loop_t loop;
    uv_timer_t wake; /* so that a turn of the loop ends */
    struct rpc *rpc;
    struct rpc_server *server;
    struct upstream *upstream;
    struct cb_buf seen;  /* what both sides saw, in words */
    unsigned watch_says; /* how often it has said something */
    bool closed;
};

static void node_message(void *ctx, struct rpc_stream *s, struct cb_span bytes)
{
    struct rig *r = ctx;
    struct wire_to_node m = {0};
    struct cb_buf reply = CB_BUF_NULL;
    assert_int_equal(wire_to_node_decode(&m, bytes), WIRE_OK);
    cb_buf_printf(&r->seen, "node got %u; ", (unsigned)m.seq);
    switch (m.seq) {
    case 1:
        wire_to_proxy_encode(&(struct wire_to_proxy){.confirmed_seq = 1}, &reply);
        rpc_stream_send(s, &reply);
        break;
    case 2:
        cb_buf_append(&reply, "\xff", 1);
        rpc_stream_send(s, &reply);
        break;
    default:
        rpc_stream_finish(s, RPC_UNAVAILABLE, "not the leader", "other:1");
        break;
    }
    wire_to_node_fini(&m);
}

static void node_closed(void *ctx, struct rpc_stream *s, const struct rpc_status *status)
{
    struct rig *r = ctx;
    (void)s;
    (void)status;
    cb_buf_append_str(&r->seen, "node's stream ended; ");
}

static const struct rpc_stream_callbacks node_callbacks = {
    .on_message = node_message,
    .on_closed = node_closed,
};

static void node_stream(void *ctx, struct rpc_stream *s)
{
    rpc_stream_accept(s, &node_callbacks, ctx);
}

static void got_message(void *ctx, uint32_t node, const struct wire_to_proxy *m)
{
    struct rig *r = ctx;
    cb_buf_printf(&r->seen, "proxy got %u of %u; ", (unsigned)m->confirmed_seq, node);
}

static void got_garbage(void *ctx, uint32_t node, const char *why)
{
    struct rig *r = ctx;
    cb_buf_printf(&r->seen, "garbage of %u: %s; ", node, why);
}

static void got_writable(void *ctx, uint32_t node)
{
    (void)ctx;
    (void)node;
}

static void got_closed(void *ctx, uint32_t node, const char *reason, const char *leader)
{
    struct rig *r = ctx;
    cb_buf_printf(&r->seen, "closed %u: %s, %s; ", node, reason, leader != NULL ? leader : "-");
}

/* The node's side of a watch: a leader, then another one, then the end. */
static void node_watched(void *ctx, struct rpc_stream *s)
{
    struct rig *r = ctx;
    struct cb_buf bytes = CB_BUF_NULL;
    if (r->watch_says == 3) {
        rpc_stream_finish(s, RPC_UNAVAILABLE, "stops", NULL);
        return;
    }
    struct wire_leadership m = {.term = 4 + r->watch_says, .leader = "n1:1"};
    if (r->watch_says++ < 2) {
        wire_leadership_encode(&m, &bytes);
    } else {
        cb_buf_append(&bytes, "\xff", 1);
    }
    rpc_stream_send(s, &bytes);
}

static void watch_message(void *ctx, struct rpc_stream *s, struct cb_span bytes)
{
    struct rig *r = ctx;
    (void)s;
    cb_buf_printf(&r->seen, "asked with %zu bytes; ", bytes.len);
}

static void watch_end(void *ctx, struct rpc_stream *s)
{
    (void)ctx;
    (void)s;
}

static const struct rpc_stream_callbacks watch_callbacks = {
    .on_message = watch_message,
    .on_writable = node_watched,
    .on_end = watch_end,
    .on_closed = node_closed,
};

static void node_watch(void *ctx, struct rpc_stream *s)
{
    rpc_stream_accept(s, &watch_callbacks, ctx);
    node_watched(ctx, s);
}

static void got_told(void *ctx, uint32_t node, const struct wire_leadership *m)
{
    struct rig *r = ctx;
    cb_buf_printf(&r->seen, "told by %u: %s leads %u; ", node, m->leader, (unsigned)m->term);
}

static void got_unwatched(void *ctx, uint32_t node)
{
    struct rig *r = ctx;
    cb_buf_printf(&r->seen, "unwatched %u; ", node);
}

static void on_wake(uv_timer_t *timer)
{
    (void)timer;
}

static int setup(void **state)
{
    static struct rig r;
    static char address[CB_ADDRESS_MAX];
    const char *nodes[] = {address, "127.0.0.1:1"}; /* nobody listens on the second */
    uint16_t port = 0;
    struct cb_buf error = CB_BUF_NULL;
    r = (struct rig){.closed = false};
    assert_int_equal(uv_loop_init(&r.loop), 0);
    assert_int_equal(uv_timer_init(&r.loop, &r.wake), 0);
    assert_int_equal(uv_timer_start(&r.wake, on_wake, 10, 10), 0);
    r.rpc = rpc_create(&r.loop);
    r.server = rpc_server_create(r.rpc);
    const struct rpc_method methods[] = {{.path = "/coolbeans.v1.Queue/Session",
                                          .kind = RPC_BIDI,
                                          .ctx = &r,
                                          .on_stream = node_stream},
                                         {.path = "/coolbeans.v1.Queue/Watch",
                                          .kind = RPC_BIDI,
                                          .ctx = &r,
                                          .on_stream = node_watch}};
    rpc_server_add(r.server, methods, 2);
    assert_int_equal(rpc_server_listen(r.server, "127.0.0.1:0", &port, &error), RPC_LISTEN_OK);
    rpc_server_start(r.server);
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", port);
    const struct upstream_callbacks callbacks = {.ctx = &r,
                                                 .message = got_message,
                                                 .garbage = got_garbage,
                                                 .writable = got_writable,
                                                 .closed = got_closed,
                                                 .told = got_told,
                                                 .unwatched = got_unwatched};
    r.upstream = upstream_create(r.rpc, 4, &callbacks);
    for (uint32_t i = 0; i < 2; i++) {
        upstream_set_node(r.upstream, i, nodes[i]);
    }
    *state = &r;
    return 0;
}

static void rpc_closed(void *ctx)
{
    struct rig *r = ctx;
    r->closed = true;
    uv_close((uv_handle_t *)&r->wake, NULL);
}

static void server_closed(void *ctx)
{
    struct rig *r = ctx;
    rpc_close(r->rpc, rpc_closed, r);
}

static void upstream_closed(void *ctx)
{
    struct rig *r = ctx;
    rpc_server_close(r->server, CB_NS_PER_S, server_closed, r);
}

static int teardown(void **state)
{
    struct rig *r = *state;
    upstream_destroy(r->upstream, upstream_closed, r);
    assert_int_equal(uv_run(&r->loop, UV_RUN_DEFAULT), 0);
    assert_true(r->closed);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    cb_buf_fini(&r->seen);
    return 0;
}

static void send_seq(struct rig *r, uint64_t seq)
{
    upstream_send(r->upstream, 0, &(struct wire_to_node){.seq = seq});
}

/* Turns the loop until these words were seen; what came before them is forgotten. */
static void wait_for(struct rig *r, const char *words)
{
    uint64_t end = cb_clock_monotonic_ns(cb_clock_system()) + PATIENCE_NS;
    size_t len = strlen(words);
    for (;;) {
        struct cb_span s = cb_buf_span(&r->seen);
        const uint8_t *at = s.len == 0 ? NULL : memmem(s.ptr, s.len, words, len);
        if (at != NULL) {
            cb_buf_consume(&r->seen, (size_t)(at - s.ptr) + len);
            return;
        }
        if (cb_clock_monotonic_ns(cb_clock_system()) > end) {
            fail_msg("waited for '%s', saw '%.*s'", words, (int)s.len, (const char *)s.ptr);
        }
        (void)uv_run(&r->loop, UV_RUN_ONCE);
    }
}

static void messages_go_both_ways(void **state)
{
    struct rig *r = *state;
    upstream_open(r->upstream, 0);
    send_seq(r, 1);
    wait_for(r, "node got 1; proxy got 1 of 0; ");
}

static void a_refusal_names_the_leader(void **state)
{
    struct rig *r = *state;
    upstream_open(r->upstream, 0);
    send_seq(r, 9);
    wait_for(r, "closed 0: not the leader, other:1; ");
    upstream_open(r->upstream, 0); /* the next stream on the same channel */
    send_seq(r, 1);
    wait_for(r, "proxy got 1 of 0; ");
}

static void garbage_is_told(void **state)
{
    struct rig *r = *state;
    upstream_open(r->upstream, 0);
    send_seq(r, 2);
    wait_for(r, "garbage of 0: not a protocol buffer; ");
}

static void a_stream_that_was_left_is_silent(void **state)
{
    struct rig *r = *state;
    upstream_open(r->upstream, 0);
    send_seq(r, 1);
    wait_for(r, "proxy got 1 of 0; ");
    upstream_close(r->upstream, 0);
    wait_for(r, "node's stream ended; ");
    upstream_open(r->upstream, 0);
    send_seq(r, 1);
    wait_for(r, "node got 1; proxy got 1 of 0; ");
}

static void a_node_that_is_not_there_is_told(void **state)
{
    struct rig *r = *state;
    upstream_open(r->upstream, 1);
    uint64_t end = cb_clock_monotonic_ns(cb_clock_system()) + PATIENCE_NS;
    while (cb_buf_len(&r->seen) == 0) {
        assert_true(cb_clock_monotonic_ns(cb_clock_system()) < end);
        (void)uv_run(&r->loop, UV_RUN_ONCE);
    }
    assert_memory_equal(cb_buf_span(&r->seen).ptr, "closed 1: ", 10);
}

static void a_watch_tells_of_each_leader(void **state)
{
    struct rig *r = *state;
    upstream_watch(r->upstream, 0);
    wait_for(r, "told by 0: n1:1 leads 4; ");
    wait_for(r, "told by 0: n1:1 leads 5; ");
    wait_for(r, "unwatched 0; "); /* what came next was no message */
    upstream_watch(r->upstream, 0);
    wait_for(r, "unwatched 0; "); /* it was refused */
    upstream_watch(r->upstream, 1);
    wait_for(r, "unwatched 1; "); /* nobody is there */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_go_both_ways),
        TEST(a_refusal_names_the_leader),
        TEST(garbage_is_told),
        TEST(a_stream_that_was_left_is_silent),
        TEST(a_node_that_is_not_there_is_told),
        TEST(a_watch_tells_of_each_leader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
