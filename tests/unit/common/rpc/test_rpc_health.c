/* Proves the health service: statuses by service, changes pushed to watchers, unknown services and
 * malformed requests. */
#include <string.h>

#include "common/rpc/rpc_health.h"
#include "unit/common/rpc/rpc_fixture.h"

#define QUEUE "coolbeans.v1.Queue"
#define CHECK "/grpc.health.v1.Health/Check"
#define WATCH "/grpc.health.v1.Health/Watch"

static struct {
    uint8_t status[16];
    size_t count;
    struct outcome closed;
} watch;

static void on_message(void *ctx, struct rpc_stream *s, struct cb_span message)
{
    (void)ctx;
    (void)s;
    assert_int_equal(message.len, 2);
    assert_int_equal(message.ptr[0], 0x08);
    assert_true(watch.count < sizeof watch.status);
    watch.status[watch.count++] = message.ptr[1];
}

static void on_closed(void *ctx, struct rpc_stream *s, const struct rpc_status *status)
{
    (void)ctx;
    (void)s;
    outcome_set(&watch.closed, status);
}

static const struct rpc_stream_callbacks callbacks = {
    .on_message = on_message,
    .on_closed = on_closed,
};

static void add_health(struct fixture *f)
{
    f->health = rpc_health_create(f->server);
    rpc_health_set(f->health, "", RPC_HEALTH_SERVING);
    rpc_health_set(f->health, QUEUE, RPC_HEALTH_NOT_SERVING);
}

static int setup(void **state)
{
    static struct fixture f;
    memset(&watch, 0, sizeof watch);
    fixture_open(&f, NULL, 0, add_health);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    rpc_health_destroy(f->health);
    return 0;
}

static void check_is(struct fixture *f, struct cb_span request, enum rpc_code code, uint8_t status)
{
    struct outcome o = {0};
    struct cb_buf b = CB_BUF_NULL;
    cb_buf_append(&b, request.ptr, request.len);
    (void)rpc_client_call(f->client, CHECK, &b, 20 * CB_NS_PER_S, outcome_done, &o);
    WAIT_FOR(f, o.count == 1);
    assert_int_equal(o.code, code);
    if (code == RPC_OK) {
        const uint8_t expected[] = {0x08, status};
        assert_true(cb_span_eq(cb_buf_span(&o.bytes), cb_span(expected, 2)));
    }
    outcome_fini(&o);
}

#define REQUEST(bytes) cb_span("" bytes, sizeof(bytes) - 1)

static void check(void **state)
{
    struct fixture *f = *state;
    check_is(f, REQUEST(""), RPC_OK, 1);
    check_is(f, REQUEST("\x0a\x00"), RPC_OK, 1);
    check_is(f, REQUEST("\x0a\x12" QUEUE), RPC_OK, 2);
    rpc_health_set(f->health, QUEUE, RPC_HEALTH_SERVING);
    check_is(f, REQUEST("\x0a\x12" QUEUE), RPC_OK, 1);
    check_is(f, REQUEST("\x0a\x03xyz"), RPC_NOT_FOUND, 0);
    /* Fields of a later version are skipped; the last service counts; a long varint is legal. */
    check_is(f, REQUEST("\x10\x96\x01\x0a\x03xyz\x0a\x92\x00" QUEUE), RPC_OK, 1);
    check_is(f, REQUEST("\x11\1\2\3\4\5\6\7\x08\x1d\1\2\3\4\x22\x02zz"), RPC_OK, 1);
}

static void malformed(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } requests[] = {
        {"\x0a", 1},                                           /* no length */
        {"\x0a\x05xy", 4},                                     /* cut off */
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", 12}, /* longer than memory */
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02x", 12}, /* overflows */
        {"\x0a\x01\x00", 3},                                   /* a NUL in the name */
        {"\x00\x00", 2},                                       /* field 0 */
        {"\x0b", 1},                                           /* a group */
        {"\x0f", 1},                                           /* no such type */
        {"\x11\1\2", 3},                                       /* eight bytes cut off */
        {"\x80", 1},                                           /* varint cut off */
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        check_is(f, cb_span(requests[i].bytes, requests[i].len), RPC_INVALID_ARGUMENT, 0);
    }
    char large[3 + 300] = "\x0a\xac\x02"; /* a name of 300 bytes */
    memset(large + 3, 'x', 300);
    check_is(f, cb_span(large, sizeof large), RPC_INVALID_ARGUMENT, 0);
}

static struct rpc_stream *open_watch(struct fixture *f, struct cb_span request)
{
    struct cb_buf b = CB_BUF_NULL;
    struct rpc_stream *s = rpc_client_stream(f->client, WATCH, &callbacks, NULL);
    cb_buf_append(&b, request.ptr, request.len);
    rpc_stream_send(s, &b);
    rpc_stream_end(s);
    return s;
}

static void watch_pushes_changes(void **state)
{
    struct fixture *f = *state;
    struct rpc_stream *s = open_watch(f, REQUEST("\x0a\x12" QUEUE));
    WAIT_FOR(f, watch.count == 1);
    assert_int_equal(watch.status[0], 2);
    rpc_health_set(f->health, QUEUE, RPC_HEALTH_SERVING);
    rpc_health_set(f->health, "", RPC_HEALTH_NOT_SERVING); /* another's */
    WAIT_FOR(f, watch.count == 2);
    assert_int_equal(watch.status[1], 1);
    rpc_health_set(f->health, QUEUE, RPC_HEALTH_SERVING); /* no change */
    rpc_health_set(f->health, QUEUE, RPC_HEALTH_NOT_SERVING);
    WAIT_FOR(f, watch.count == 3);
    assert_int_equal(watch.status[2], 2);
    rpc_stream_cancel(s);
    WAIT_FOR(f, watch.closed.count == 1 && rpc_server_calls(f->server) == 0);
}

static void watch_unknown_service(void **state)
{
    struct fixture *f = *state;
    (void)open_watch(f, REQUEST("\x0a\x03new"));
    WAIT_FOR(f, watch.count == 1);
    assert_int_equal(watch.status[0], 3);
    rpc_health_set(f->health, "new", RPC_HEALTH_SERVING);
    WAIT_FOR(f, watch.count == 2);
    assert_int_equal(watch.status[1], 1);
    /* The server's end, with a live watcher, is the watcher's. */
    fixture_close_server(f);
    WAIT_FOR(f, watch.closed.count == 1);
    assert_int_equal(watch.closed.code, RPC_UNAVAILABLE);
}

static void watch_malformed(void **state)
{
    struct fixture *f = *state;
    (void)open_watch(f, REQUEST("\x0a"));
    WAIT_FOR(f, watch.closed.count == 1);
    assert_int_equal(watch.closed.code, RPC_INVALID_ARGUMENT);
    rpc_stream_end(rpc_client_stream(f->client, WATCH, &callbacks, NULL));
    WAIT_FOR(f, watch.closed.count == 2);
    assert_int_equal(watch.closed.code, RPC_INVALID_ARGUMENT);
    assert_int_equal(watch.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(check, setup, teardown),
        cmocka_unit_test_setup_teardown(malformed, setup, teardown),
        cmocka_unit_test_setup_teardown(watch_pushes_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(watch_unknown_service, setup, teardown),
        cmocka_unit_test_setup_teardown(watch_malformed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
