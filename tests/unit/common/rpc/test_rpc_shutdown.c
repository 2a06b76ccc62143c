/* Proves that closing a server or a client with live calls ends each of them exactly once, before
 * the close calls back, and frees all (with ASan and LSan). */
#include <string.h>

#include "unit/common/rpc/rpc_fixture.h"

#define STREAMS 20

static struct outcome server_closed;
static struct outcome client_closed;
static struct rpc_call *held;
static bool stalled; /* the client's streams do not read, the server's send without end */

static void fill(struct rpc_stream *s)
{
    struct cb_buf b = CB_BUF_NULL;
    memset(cb_buf_reserve(&b, 1024 * 1024), 'x', 1024 * 1024);
    cb_buf_commit(&b, 1024 * 1024);
    rpc_stream_send(s, &b);
}

static void ignore_message(void *ctx, struct rpc_stream *s, struct cb_span message)
{
    (void)ctx;
    (void)s;
    (void)message;
}

static void on_writable(void *ctx, struct rpc_stream *s)
{
    (void)ctx;
    if (stalled) {
        fill(s);
    }
}

static void on_closed(void *ctx, struct rpc_stream *s, const struct rpc_status *status)
{
    (void)s;
    outcome_set(ctx, status);
}

static const struct rpc_stream_callbacks server_callbacks = {
    .on_message = ignore_message,
    .on_writable = on_writable,
    .on_closed = on_closed,
};
static const struct rpc_stream_callbacks client_callbacks = {
    .on_message = ignore_message,
    .on_closed = on_closed,
};

static void on_stream(void *ctx, struct rpc_stream *s)
{
    (void)ctx;
    rpc_stream_accept(s, &server_callbacks, &server_closed);
    if (stalled) {
        fill(s);
    }
}

static void on_hold(void *ctx, struct rpc_call *call, struct cb_span request)
{
    (void)ctx;
    (void)request;
    held = call;
}

static const struct rpc_method methods[] = {
    {.path = "/t/Stream", .kind = RPC_BIDI, .on_stream = on_stream},
    {.path = "/t/Hold", .kind = RPC_UNARY, .on_call = on_hold},
};

static int setup(void **state)
{
    static struct fixture f;
    memset(&server_closed, 0, sizeof server_closed);
    memset(&client_closed, 0, sizeof client_closed);
    held = NULL;
    stalled = false;
    fixture_open(&f, methods, sizeof methods / sizeof methods[0], NULL);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    return 0;
}

static void open_streams(struct fixture *f)
{
    for (int i = 0; i < STREAMS; i++) {
        struct rpc_stream *s =
            rpc_client_stream(f->client, "/t/Stream", &client_callbacks, &client_closed);
        if (stalled) {
            rpc_stream_pause_reading(s);
        }
    }
    WAIT_FOR(f, rpc_server_calls(f->server) == STREAMS);
}

static void server_with_live_streams(void **state)
{
    struct fixture *f = *state;
    open_streams(f);
    fixture_close_server(f);
    assert_int_equal(server_closed.count, STREAMS);
    assert_int_equal(server_closed.code, RPC_UNAVAILABLE);
    WAIT_FOR(f, client_closed.count == STREAMS);
    assert_int_equal(client_closed.code, RPC_UNAVAILABLE);
}

/* A peer that does not read (test_rpc_death.c has the one that cannot). */
static void server_with_stalled_streams(void **state)
{
    struct fixture *f = *state;
    stalled = true;
    open_streams(f);
    uint64_t begin = uv_hrtime();
    fixture_close_server(f); /* with a grace of 1 s */
    assert_true(uv_hrtime() - begin < 15 * CB_NS_PER_S);
    assert_int_equal(server_closed.count, STREAMS);
}

static void client_with_live_streams(void **state)
{
    struct fixture *f = *state;
    open_streams(f);
    fixture_close_client(f);
    assert_int_equal(client_closed.count, STREAMS);
    assert_int_equal(client_closed.code, RPC_CANCELLED);
    WAIT_FOR(f, server_closed.count == STREAMS);
    assert_int_equal(server_closed.code, RPC_CANCELLED);
}

static void client_with_live_calls(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    struct cb_buf b = CB_BUF_NULL;
    (void)rpc_client_call(f->client, "/t/Hold", &b, 20 * CB_NS_PER_S, outcome_done, &o);
    WAIT_FOR(f, held != NULL);
    fixture_close_client(f);
    assert_int_equal(o.count, 1);
    assert_int_equal(o.code, RPC_CANCELLED);
    rpc_call_fail(held, RPC_ABORTED, "");
}

static void set_true(void *ctx)
{
    *(bool *)ctx = true;
}

/* The server waits for the answer that its handler owes. */
static void server_with_held_call(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    struct cb_buf b = CB_BUF_NULL;
    bool closed = false;
    (void)rpc_client_call(f->client, "/t/Hold", &b, 20 * CB_NS_PER_S, outcome_done, &o);
    WAIT_FOR(f, held != NULL);
    rpc_server_close(f->server, 10 * CB_NS_PER_S, set_true, &closed);
    f->server = NULL;
    (void)uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_false(closed);
    cb_buf_append_str(&b, "still");
    rpc_call_reply(held, &b);
    WAIT_FOR(f, closed && o.count == 1);
    assert_int_equal(o.code, RPC_OK);
    outcome_fini(&o);
}

static void count_up(void *ctx)
{
    *(int *)ctx += 1;
}

/* All three at once, in the order in which a daemon calls them. */
static void everything_at_once(void **state)
{
    (void)state;
    struct fixture f;
    bool server = false;
    bool client = false;
    memset(&server_closed, 0, sizeof server_closed);
    memset(&client_closed, 0, sizeof client_closed);
    stalled = false;
    fixture_open(&f, methods, sizeof methods / sizeof methods[0], NULL);
    open_streams(&f);
    rpc_server_close(f.server, CB_NS_PER_S, set_true, &server);
    rpc_client_close(f.client, set_true, &client);
    f.server = NULL;
    f.client = NULL;
    fixture_close(&f);
    assert_true(server && client);
    assert_int_equal(server_closed.count, STREAMS);
    assert_int_equal(client_closed.count, STREAMS);
}

/* What is above the bound of the server is refused at once, and taken again when there is room. */
static void calls_of_all_peers_are_bounded(void **state)
{
    enum { PER_CLIENT = CB_RPC_CALLS_PER_CONN_MAX, CLIENTS = CB_RPC_CALLS_MAX / PER_CLIENT + 1 };
    struct fixture *f = *state;
    struct rpc_client *clients[CLIENTS];
    char target[64];
    (void)snprintf(target, sizeof target, "127.0.0.1:%u", f->port);
    for (int i = 0; i < CLIENTS; i++) {
        /* Not the pings are tested here, and all of it shares one thread. */
        struct rpc_client_config config = {.target = target, .keepalive_ms = 20000};
        clients[i] = rpc_client_create(f->rpc, &config);
        for (int j = 0; j < PER_CLIENT; j++) {
            (void)rpc_client_stream(clients[i], "/t/Stream", &client_callbacks, &client_closed);
        }
    }
    WAIT_FOR(f,
             client_closed.count == PER_CLIENT && rpc_server_calls(f->server) == CB_RPC_CALLS_MAX);
    assert_int_equal(client_closed.code, RPC_RESOURCE_EXHAUSTED);
    int closed = 0;
    for (int i = 0; i < CLIENTS; i++) {
        rpc_client_close(clients[i], count_up, &closed);
    }
    WAIT_FOR(f, closed == CLIENTS && rpc_server_calls(f->server) == 0);
    assert_int_equal(client_closed.count, CLIENTS * PER_CLIENT);
    open_streams(f);
}

static void never_used(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, methods, sizeof methods / sizeof methods[0], NULL);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(server_with_live_streams, setup, teardown),
        cmocka_unit_test_setup_teardown(server_with_stalled_streams, setup, teardown),
        cmocka_unit_test_setup_teardown(client_with_live_streams, setup, teardown),
        cmocka_unit_test_setup_teardown(client_with_live_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(server_with_held_call, setup, teardown),
        cmocka_unit_test_setup_teardown(calls_of_all_peers_are_bounded, setup, teardown),
        cmocka_unit_test(everything_at_once),
        cmocka_unit_test(never_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
