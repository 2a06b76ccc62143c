/* Proves that a stream carries every message once and in order in both directions while both sides
 * batch, that a reader who pauses stops the sender within the transport's window, and that each end
 * of a stream is told exactly once how it ended. */
#include <string.h>

#include "common/base/cb_bytes.h"
#include "unit/common/rpc/rpc_fixture.h"

#define ITEMS 100000
#define BATCH_BYTES (64 * 1024)

/* One end of a stream, with what is still to be sent. */
struct end {
    struct rpc_stream *stream; /* NULL: not opened, or closed */
    struct cb_buf out;
    uint64_t received; /* items, or messages */
    uint64_t received_bytes;
    uint64_t messages_sent;
    bool ended; /* on_end was called */
    struct outcome closed;
};

static struct end server;
static struct end client;

static void flush(struct end *e)
{
    if (e->stream != NULL && cb_buf_len(&e->out) > 0 && rpc_stream_can_send(e->stream)) {
        size_t len = cb_buf_len(&e->out);
        struct cb_buf batch = CB_BUF_NULL;
        len = len > BATCH_BYTES ? BATCH_BYTES : len;
        cb_buf_append(&batch, cb_buf_span(&e->out).ptr, len);
        cb_buf_consume(&e->out, len);
        e->messages_sent++;
        rpc_stream_send(e->stream, &batch);
    }
}

static void on_writable(void *ctx, struct rpc_stream *s)
{
    struct end *e = ctx;
    assert_ptr_equal(e->stream, s);
    flush(e);
}

static void on_closed(void *ctx, struct rpc_stream *s, const struct rpc_status *status)
{
    struct end *e = ctx;
    assert_ptr_equal(e->stream, s);
    e->stream = NULL;
    outcome_set(&e->closed, status);
}

static void on_end(void *ctx, struct rpc_stream *s)
{
    (void)s;
    ((struct end *)ctx)->ended = true;
}

/* Items are numbers that must count up; the server sends each back. */
static void take_items(struct end *e, struct cb_span message)
{
    struct cb_reader r;
    cb_reader_init(&r, message);
    while (r.p != r.end) {
        assert_int_equal(cb_get_u64(&r), e->received);
        e->received++;
    }
    assert_true(cb_reader_done(&r));
}

static void client_items(void *ctx, struct rpc_stream *s, struct cb_span message)
{
    (void)s;
    take_items(ctx, message);
}

static void server_items(void *ctx, struct rpc_stream *s, struct cb_span message)
{
    struct end *e = ctx;
    (void)s;
    take_items(e, message);
    cb_buf_append(&e->out, message.ptr, message.len);
    flush(e);
}

static void count_bytes(void *ctx, struct rpc_stream *s, struct cb_span message)
{
    struct end *e = ctx;
    (void)s;
    e->received++;
    e->received_bytes += message.len;
}

static const struct rpc_stream_callbacks client_callbacks = {
    .on_message = client_items,
    .on_writable = on_writable,
    .on_closed = on_closed,
};
static const struct rpc_stream_callbacks echo_callbacks = {
    .on_message = server_items,
    .on_writable = on_writable,
    .on_closed = on_closed,
};
static const struct rpc_stream_callbacks count_callbacks = {
    .on_message = count_bytes,
    .on_writable = on_writable,
    .on_end = on_end,
    .on_closed = on_closed,
};

static void on_echo(void *ctx, struct rpc_stream *s)
{
    (void)ctx;
    server.stream = s;
    rpc_stream_accept(s, &echo_callbacks, &server);
}

static void on_count(void *ctx, struct rpc_stream *s)
{
    (void)ctx;
    server.stream = s;
    rpc_stream_accept(s, &count_callbacks, &server);
}

static void on_refuse(void *ctx, struct rpc_stream *s)
{
    (void)ctx;
    server.stream = s;
    rpc_stream_accept(s, &count_callbacks, &server);
    rpc_stream_finish(s, RPC_FAILED_PRECONDITION, "not the leader", "127.0.0.1:11301");
    rpc_stream_finish(s, RPC_OK, "ignored", NULL);
    assert_false(rpc_stream_can_send(s));
}

static const struct rpc_method methods[] = {
    {.path = "/t/Echo", .kind = RPC_BIDI, .on_stream = on_echo},
    {.path = "/t/Count", .kind = RPC_BIDI, .on_stream = on_count},
    {.path = "/t/Refuse", .kind = RPC_BIDI, .on_stream = on_refuse},
};

static int setup(void **state)
{
    static struct fixture f;
    memset(&server, 0, sizeof server);
    memset(&client, 0, sizeof client);
    fixture_open(&f, methods, sizeof methods / sizeof methods[0], NULL);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    assert_null(client.stream);
    assert_null(server.stream);
    cb_buf_fini(&client.out);
    cb_buf_fini(&server.out);
    return 0;
}

static void open_stream(struct fixture *f, const char *path)
{
    client.stream = rpc_client_stream(f->client, path, &client_callbacks, &client);
}

static void echoes_in_batches(void **state)
{
    struct fixture *f = *state;
    open_stream(f, "/t/Echo");
    for (uint64_t i = 0; i < ITEMS; i++) {
        cb_put_u64(&client.out, i);
        if (i % 100 == 99) {
            flush(&client);
            (void)uv_run(&f->loop, UV_RUN_NOWAIT);
        }
    }
    WAIT_FOR(f, client.received == ITEMS);
    assert_int_equal(server.received, ITEMS);
    print_message("messages sent: client %u, server %u\n", (unsigned)client.messages_sent,
                  (unsigned)server.messages_sent);
    assert_true(client.messages_sent < ITEMS / 50);
    rpc_stream_end(client.stream);
    WAIT_FOR(f, client.closed.count == 1 && server.closed.count == 1);
    assert_int_equal(client.closed.code, RPC_OK);
    assert_int_equal(server.closed.code, RPC_OK);
}

/* 100,000 messages of one item each, both ways. */
static void echoes_single_messages(void **state)
{
    struct fixture *f = *state;
    uint64_t sent = 0;
    open_stream(f, "/t/Echo");
    fixture_expect(f);
    while (client.received < ITEMS) {
        if (sent < ITEMS && rpc_stream_can_send(client.stream)) {
            struct cb_buf b = CB_BUF_NULL;
            cb_put_u64(&b, sent++);
            rpc_stream_send(client.stream, &b);
        }
        if (sent % 10000 == 0) {
            fixture_expect(f); /* 30 s for each tenth */
        }
        assert_true(fixture_turn(f));
    }
    rpc_stream_cancel(client.stream);
    WAIT_FOR(f, client.closed.count == 1 && server.closed.count == 1);
    assert_int_equal(client.closed.code, RPC_CANCELLED);
    assert_int_equal(server.closed.code, RPC_CANCELLED);
}

/* The sender is stopped while it has sent little more than the transport's window, and nothing is
 * lost when the reader goes on. */
static void pause_stops_the_sender(void **state)
{
    enum { MESSAGES = 400, SIZE = 64 * 1024, WINDOW_MAX = 16 * 1024 * 1024 };
    struct fixture *f = *state;
    open_stream(f, "/t/Count");
    WAIT_FOR(f, server.stream != NULL);
    rpc_stream_pause_reading(server.stream);
    memset(cb_buf_reserve(&client.out, (size_t)MESSAGES * SIZE), 'x', (size_t)MESSAGES * SIZE);
    cb_buf_commit(&client.out, (size_t)MESSAGES * SIZE);
    flush(&client);
    /* Stopped: no message has got through for 300 ms. */
    uint64_t last = client.messages_sent;
    for (uint64_t since = uv_hrtime(); uv_hrtime() - since < 300 * CB_NS_PER_MS;) {
        (void)uv_run(&f->loop, UV_RUN_NOWAIT);
        uv_sleep(1);
        if (client.messages_sent != last) {
            last = client.messages_sent;
            since = uv_hrtime();
        }
    }
    print_message("sent before the stop: %u of %u\n", (unsigned)last, (unsigned)MESSAGES);
    assert_true(last * SIZE < WINDOW_MAX);
    assert_int_equal(server.received, 0);
    rpc_stream_resume_reading(server.stream);
    rpc_stream_pause_reading(server.stream);
    rpc_stream_resume_reading(server.stream);
    WAIT_FOR(f, server.received_bytes == (uint64_t)MESSAGES * SIZE);
    assert_int_equal(server.received, MESSAGES);
    rpc_stream_end(client.stream);
    WAIT_FOR(f, server.ended);
    rpc_stream_finish(server.stream, RPC_OK, "", NULL);
    WAIT_FOR(f, client.closed.count == 1 && server.closed.count == 1);
    assert_int_equal(client.closed.code, RPC_OK);
}

/* The last message before a status is not lost to a pause. */
static void pause_keeps_the_last_message(void **state)
{
    struct fixture *f = *state;
    open_stream(f, "/t/Echo");
    rpc_stream_pause_reading(client.stream);
    cb_put_u64(&client.out, 0);
    flush(&client);
    WAIT_FOR(f, server.messages_sent == 1);
    rpc_stream_end(client.stream); /* the server then finishes with RPC_OK */
    WAIT_FOR(f, client.closed.count == 1 && server.closed.count == 1);
    assert_int_equal(client.received, 1);
    assert_int_equal(client.closed.code, RPC_OK);
}

static void finish_names_the_leader(void **state)
{
    struct fixture *f = *state;
    open_stream(f, "/t/Refuse");
    WAIT_FOR(f, client.closed.count == 1 && server.closed.count == 1);
    assert_int_equal(client.closed.code, RPC_FAILED_PRECONDITION);
    assert_string_equal(client.closed.message, "not the leader");
    assert_string_equal(client.closed.leader, "127.0.0.1:11301");
    assert_int_equal(server.closed.code, RPC_FAILED_PRECONDITION);
}

static void finish_sends_what_is_on_its_way(void **state)
{
    struct fixture *f = *state;
    open_stream(f, "/t/Count");
    WAIT_FOR(f, server.stream != NULL);
    struct cb_buf b = CB_BUF_NULL;
    cb_put_u64(&b, 0);
    rpc_stream_send(server.stream, &b);
    rpc_stream_finish(server.stream, RPC_ABORTED, "enough", NULL);
    WAIT_FOR(f, client.closed.count == 1 && server.closed.count == 1);
    assert_int_equal(client.received, 1);
    assert_int_equal(client.closed.code, RPC_ABORTED);
    assert_string_equal(client.closed.leader, "");
}

static void server_cancels(void **state)
{
    struct fixture *f = *state;
    open_stream(f, "/t/Count");
    WAIT_FOR(f, server.stream != NULL);
    rpc_stream_cancel(server.stream);
    WAIT_FOR(f, client.closed.count == 1 && server.closed.count == 1);
    assert_int_equal(client.closed.code, RPC_CANCELLED);
    assert_int_equal(server.closed.code, RPC_CANCELLED);
}

/* It is not taken for the end of the client's messages. */
static void oversize_ends_the_stream(void **state)
{
    struct fixture *f = *state;
    open_stream(f, "/t/Count");
    struct cb_buf b = CB_BUF_NULL;
    memset(cb_buf_reserve(&b, CB_STREAM_MESSAGE_MAX + 1), 'x', CB_STREAM_MESSAGE_MAX + 1);
    cb_buf_commit(&b, CB_STREAM_MESSAGE_MAX + 1);
    rpc_stream_send(client.stream, &b);
    WAIT_FOR(f, client.closed.count == 1 && server.closed.count == 1);
    assert_int_equal(client.closed.code, RPC_RESOURCE_EXHAUSTED);
    assert_int_equal(server.received, 0);
    assert_false(server.ended);
}

static void unknown_method(void **state)
{
    struct fixture *f = *state;
    open_stream(f, "/t/Nothing");
    WAIT_FOR(f, client.closed.count == 1);
    assert_int_equal(client.closed.code, RPC_UNIMPLEMENTED);
}

/* A peer that opens one stream after the other reaches the bound of its connection: what is above
 * waits until one of the others ends. */
static void streams_of_one_peer_are_bounded(void **state)
{
    enum { STREAMS = CB_RPC_CALLS_PER_CONN_MAX + 20 };
    struct fixture *f = *state;
    static struct end ends[STREAMS];
    memset(ends, 0, sizeof ends);
    for (int i = 0; i < STREAMS; i++) {
        ends[i].stream = rpc_client_stream(f->client, "/t/Nothing2", &client_callbacks, &ends[i]);
    }
    for (int i = 0; i < STREAMS; i++) {
        WAIT_FOR(f, ends[i].closed.count == 1);
        assert_int_equal(ends[i].closed.code, RPC_UNIMPLEMENTED);
        assert_true(rpc_server_calls(f->server) <= CB_RPC_CALLS_PER_CONN_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(echoes_in_batches, setup, teardown),
        cmocka_unit_test_setup_teardown(echoes_single_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(pause_stops_the_sender, setup, teardown),
        cmocka_unit_test_setup_teardown(pause_keeps_the_last_message, setup, teardown),
        cmocka_unit_test_setup_teardown(finish_names_the_leader, setup, teardown),
        cmocka_unit_test_setup_teardown(finish_sends_what_is_on_its_way, setup, teardown),
        cmocka_unit_test_setup_teardown(server_cancels, setup, teardown),
        cmocka_unit_test_setup_teardown(oversize_ends_the_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_method, setup, teardown),
        cmocka_unit_test_setup_teardown(streams_of_one_peer_are_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
