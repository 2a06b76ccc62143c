/* Proves that a unary call gets its answer, at once, later or never, exactly once; and that what is
 * wrong with a call, a message or an address is a status or a sentence. */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/common/rpc/rpc_fixture.h"

static struct rpc_call *held; /* of /t/Hold */

static void on_echo(void *ctx, struct rpc_call *call, struct cb_span request)
{
    (void)ctx;
    struct cb_buf reply = CB_BUF_NULL;
    cb_buf_append(&reply, request.ptr, request.len);
    rpc_call_reply(call, &reply);
}

static void on_hold(void *ctx, struct rpc_call *call, struct cb_span request)
{
    (void)ctx;
    (void)request;
    held = call;
}

static void on_refuse(void *ctx, struct rpc_call *call, struct cb_span request)
{
    (void)ctx;
    (void)request;
    rpc_call_fail(call, RPC_FAILED_PRECONDITION, "not now: 100 % \"sure\"");
}

static void on_large(void *ctx, struct rpc_call *call, struct cb_span request)
{
    (void)ctx;
    (void)request;
    struct cb_buf reply = CB_BUF_NULL;
    memset(cb_buf_reserve(&reply, CB_STREAM_MESSAGE_MAX + 1), 'x', CB_STREAM_MESSAGE_MAX + 1);
    cb_buf_commit(&reply, CB_STREAM_MESSAGE_MAX + 1);
    rpc_call_reply(call, &reply);
}

static void stream_message(void *ctx, struct rpc_stream *s, struct cb_span message)
{
    (void)ctx;
    struct cb_buf echo = CB_BUF_NULL;
    cb_buf_append(&echo, message.ptr, message.len);
    rpc_stream_send(s, &echo);
}

static void stream_closed(void *ctx, struct rpc_stream *s, const struct rpc_status *status)
{
    (void)s;
    outcome_set(ctx, status);
}

static const struct rpc_stream_callbacks stream_callbacks = {
    .on_message = stream_message,
    .on_closed = stream_closed,
};

static struct outcome server_stream;

static void on_stream(void *ctx, struct rpc_stream *s)
{
    (void)ctx;
    rpc_stream_accept(s, &stream_callbacks, &server_stream);
}

static const struct rpc_method methods[] = {
    {.path = "/t/Echo", .kind = RPC_UNARY, .on_call = on_echo},
    {.path = "/t/Hold", .kind = RPC_UNARY, .on_call = on_hold},
    {.path = "/t/Refuse", .kind = RPC_UNARY, .on_call = on_refuse},
    {.path = "/t/Large", .kind = RPC_UNARY, .on_call = on_large},
    {.path = "/t/Stream", .kind = RPC_BIDI, .on_stream = on_stream},
};

static int setup(void **state)
{
    static struct fixture f;
    held = NULL;
    memset(&server_stream, 0, sizeof server_stream);
    fixture_open(&f, methods, sizeof methods / sizeof methods[0], NULL);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    return 0;
}

static void answers(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    call_and_wait(f, "/t/Echo", "hello", &o);
    assert_int_equal(o.code, RPC_OK);
    assert_true(cb_span_eq(cb_buf_span(&o.bytes), cb_span_str("hello")));
    call_and_wait(f, "/t/Echo", "", &o);
    assert_int_equal(o.code, RPC_OK);
    assert_int_equal(cb_buf_len(&o.bytes), 0);
    call_and_wait(f, "/t/Refuse", "x", &o);
    assert_int_equal(o.code, RPC_FAILED_PRECONDITION);
    assert_string_equal(o.message, "not now: 100 % \"sure\"");
    outcome_fini(&o);
}

/* Many at once: every completion reaches its own call. */
static void answers_many(void **state)
{
    enum { CALLS = 200 };
    struct fixture *f = *state;
    struct outcome o[CALLS] = {0};
    for (int i = 0; i < CALLS; i++) {
        struct cb_buf b = CB_BUF_NULL;
        cb_buf_printf(&b, "request %d", i);
        (void)rpc_client_call(f->client, "/t/Echo", &b, 20 * CB_NS_PER_S, outcome_done, &o[i]);
    }
    for (int i = 0; i < CALLS; i++) {
        char expected[32];
        (void)snprintf(expected, sizeof expected, "request %d", i);
        WAIT_FOR(f, o[i].count == 1);
        assert_int_equal(o[i].code, RPC_OK);
        assert_true(cb_span_eq(cb_buf_span(&o[i].bytes), cb_span_str(expected)));
        outcome_fini(&o[i]);
    }
}

static void answers_later(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    struct cb_buf b = CB_BUF_NULL;
    (void)rpc_client_call(f->client, "/t/Hold", &b, 20 * CB_NS_PER_S, outcome_done, &o);
    WAIT_FOR(f, held != NULL);
    assert_int_equal(rpc_server_calls(f->server), 1);
    assert_int_equal(o.count, 0);
    cb_buf_append_str(&b, "late");
    rpc_call_reply(held, &b);
    WAIT_FOR(f, o.count == 1);
    assert_true(cb_span_eq(cb_buf_span(&o.bytes), cb_span_str("late")));
    WAIT_FOR(f, rpc_server_calls(f->server) == 0);
    outcome_fini(&o);
}

static void unknown_method(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    for (int i = 0; i < 3; i++) { /* the one accept for them is posted again each time */
        call_and_wait(f, "/t/Nothing", "x", &o);
        assert_int_equal(o.code, RPC_UNIMPLEMENTED);
    }
    outcome_fini(&o);
}

/* A unary call of a streaming method that answers once is a valid exchange; the other way round the
 * server answers the first message and ends the stream. */
static void wrong_kind(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    call_and_wait(f, "/t/Stream", "x", &o);
    assert_int_equal(o.code, RPC_OK);
    WAIT_FOR(f, server_stream.count == 1);
    static struct outcome closed;
    memset(&closed, 0, sizeof closed);
    static const struct rpc_stream_callbacks callbacks = {
        .on_message = stream_message,
        .on_closed = stream_closed,
    };
    struct rpc_stream *s = rpc_client_stream(f->client, "/t/Refuse", &callbacks, &closed);
    rpc_stream_end(s); /* without a message */
    WAIT_FOR(f, closed.count == 1);
    assert_int_equal(closed.code, RPC_INVALID_ARGUMENT);
    outcome_fini(&o);
}

static void deadline(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    struct cb_buf b = CB_BUF_NULL;
    (void)rpc_client_call(f->client, "/t/Hold", &b, 200 * CB_NS_PER_MS, outcome_done, &o);
    WAIT_FOR(f, o.count == 1);
    assert_int_equal(o.code, RPC_DEADLINE_EXCEEDED);
    /* The handle outlives the client's interest. */
    WAIT_FOR(f, held != NULL);
    rpc_call_fail(held, RPC_ABORTED, "too late");
    WAIT_FOR(f, rpc_server_calls(f->server) == 0);
    assert_int_equal(o.count, 1);
}

static void cancel(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    struct cb_buf b = CB_BUF_NULL;
    struct rpc_unary *u =
        rpc_client_call(f->client, "/t/Hold", &b, 20 * CB_NS_PER_S, outcome_done, &o);
    WAIT_FOR(f, held != NULL);
    rpc_unary_cancel(u);
    rpc_unary_cancel(u);
    assert_int_equal(o.count, 0); /* never from within */
    WAIT_FOR(f, o.count == 1);
    assert_int_equal(o.code, RPC_CANCELLED);
    rpc_call_reply(held, &b);
    WAIT_FOR(f, rpc_server_calls(f->server) == 0);
    assert_int_equal(o.count, 1);
}

static void oversize(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    struct cb_buf b = CB_BUF_NULL;
    memset(cb_buf_reserve(&b, CB_STREAM_MESSAGE_MAX + 1), 'x', CB_STREAM_MESSAGE_MAX + 1);
    cb_buf_commit(&b, CB_STREAM_MESSAGE_MAX + 1);
    (void)rpc_client_call(f->client, "/t/Echo", &b, 20 * CB_NS_PER_S, outcome_done, &o);
    WAIT_FOR(f, o.count == 1);
    assert_int_equal(o.code, RPC_RESOURCE_EXHAUSTED);
    outcome_fini(&o);
    call_and_wait(f, "/t/Large", "", &o);
    assert_int_equal(o.code, RPC_RESOURCE_EXHAUSTED);
    call_and_wait(f, "/t/Echo", "fine", &o);
    assert_int_equal(o.code, RPC_OK);
    outcome_fini(&o);
}

static void set_true(void *ctx)
{
    *(bool *)ctx = true;
}

static enum rpc_listen_result
listen_on(struct fixture *f, const char *address, char *sentence, size_t size)
{
    struct cb_buf error = CB_BUF_NULL;
    bool closed = false;
    uint16_t port = 0;
    struct rpc_server *second = rpc_server_create(f->rpc);
    enum rpc_listen_result r = rpc_server_listen(second, address, &port, &error);
    (void)snprintf(sentence, size, "%.*s", (int)cb_buf_len(&error),
                   (const char *)cb_buf_span(&error).ptr);
    cb_buf_fini(&error);
    rpc_server_close(second, CB_NS_PER_S, set_true, &closed);
    WAIT_FOR(f, closed);
    return r;
}

static void busy_port(void **state)
{
    struct fixture *f = *state;
    char address[64];
    char sentence[256];
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", f->port);
    assert_int_equal(listen_on(f, address, sentence, sizeof sentence), RPC_LISTEN_BUSY);
    assert_non_null(strstr(sentence, "another process has that port"));
    assert_non_null(strstr(sentence, address));
    assert_int_equal(listen_on(f, "192.0.2.1:0", sentence, sizeof sentence), RPC_LISTEN_ERROR);
    assert_non_null(strstr(sentence, "192.0.2.1:0"));
    assert_int_equal(listen_on(f, "127.0.0.1", sentence, sizeof sentence), RPC_LISTEN_ERROR);
    assert_non_null(strstr(sentence, "port is missing"));
    assert_int_equal(listen_on(f, "localhost:0", sentence, sizeof sentence), RPC_LISTEN_OK);
}

/* A server that comes back on the same port is found without delay. */
static void reconnects(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    struct cb_buf error = CB_BUF_NULL;
    char address[64];
    call_and_wait(f, "/t/Echo", "x", &o);
    assert_int_equal(o.code, RPC_OK);
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", f->port);
    fixture_close_server(f);
    call_and_wait(f, "/t/Echo", "x", &o);
    assert_int_equal(o.code, RPC_UNAVAILABLE);
    f->server = rpc_server_create(f->rpc);
    rpc_server_add(f->server, methods, sizeof methods / sizeof methods[0]);
    assert_int_equal(rpc_server_listen(f->server, address, &f->port, &error), RPC_LISTEN_OK);
    rpc_server_start(f->server);
    uint64_t begin = uv_hrtime();
    do {
        uv_sleep(5);
        call_and_wait(f, "/t/Echo", "x", &o);
    } while (o.code == RPC_UNAVAILABLE && uv_hrtime() - begin < 10 * CB_NS_PER_S);
    print_message("reached after %u ms\n", (unsigned)((uv_hrtime() - begin) / CB_NS_PER_MS));
    assert_int_equal(o.code, RPC_OK);
    outcome_fini(&o);
}

/* Nobody listens: an answer at once, not at the deadline. */
static void refused(void **state)
{
    (void)state;
    struct fixture f;
    struct outcome o = {0};
    fixture_open_client(&f, 1);
    call_and_wait(&f, "/t/Echo", "x", &o);
    assert_int_equal(o.code, RPC_UNAVAILABLE);
    outcome_fini(&o);
    fixture_close(&f);
}

/* The system accepts, and nobody speaks: as long as the client was told to wait for that. */
static void silent_listener(void **state)
{
    (void)state;
    struct fixture f;
    struct outcome o = {0};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    char target[64];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    fixture_open_client(&f, ntohs(at.sin_port));
    fixture_close_client(&f);
    (void)snprintf(target, sizeof target, "127.0.0.1:%u", f.port);
    const struct rpc_client_config config = {.target = target, .connect_timeout_ms = 1500};
    f.client = rpc_client_create(f.rpc, &config);
    uint64_t begin = uv_hrtime();
    call_and_wait(&f, "/t/Echo", "x", &o);
    uint64_t took = uv_hrtime() - begin;
    print_message("given up after %u ms\n", (unsigned)(took / CB_NS_PER_MS));
    assert_int_equal(o.code, RPC_UNAVAILABLE);
    assert_true(took >= 1400 * CB_NS_PER_MS); /* not the default */
    outcome_fini(&o);
    fixture_close(&f);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_many, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_later, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_method, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(cancel, setup, teardown),
        cmocka_unit_test_setup_teardown(oversize, setup, teardown),
        cmocka_unit_test_setup_teardown(busy_port, setup, teardown),
        cmocka_unit_test_setup_teardown(reconnects, setup, teardown),
        cmocka_unit_test(refused),
        cmocka_unit_test(silent_listener),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
