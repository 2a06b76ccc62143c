/* Proves that a peer's death is noticed within a deadline: a process that is killed at once, one
 * that is frozen (as a host that is gone) by the missing answers to pings. */
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/common/rpc/rpc_fixture.h"

struct peer {
    pid_t pid;
    uint16_t port;
};

static struct peer peers[2]; /* made before this process has threads */
static struct peer follower; /* a client of this process; `port` goes to it through a pipe */
static int follower_in;
static struct outcome closed;
static unsigned messages;

static void on_message(void *ctx, struct rpc_stream *s, struct cb_span message)
{
    (void)ctx;
    (void)s;
    (void)message;
    messages++;
}

static void greet(struct rpc_stream *s)
{
    struct cb_buf b = CB_BUF_NULL;
    cb_buf_append_str(&b, "tick");
    rpc_stream_send(s, &b);
}

static void on_closed(void *ctx, struct rpc_stream *s, const struct rpc_status *status)
{
    (void)s;
    if (ctx != NULL) {
        outcome_set(ctx, status);
    }
}

static const struct rpc_stream_callbacks callbacks = {
    .on_message = on_message,
    .on_closed = on_closed,
};

static void on_stream(void *ctx, struct rpc_stream *s)
{
    (void)ctx;
    rpc_stream_accept(s, &callbacks, NULL);
    greet(s);
}

static const struct rpc_method methods[] = {
    {.path = "/t/Stream", .kind = RPC_BIDI, .on_stream = on_stream},
};

/* Serves until it is killed. */
static _Noreturn void serve(int out)
{
    uv_loop_t loop;
    uint16_t port = 0;
    struct cb_buf error = CB_BUF_NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (uv_loop_init(&loop) != 0) {
        _exit(1);
    }
    struct rpc *rpc = rpc_create(&loop);
    struct rpc_server *server = rpc_server_create(rpc);
    rpc_server_add(server, methods, 1);
    if (rpc_server_listen(server, "127.0.0.1:0", &port, &error) != RPC_LISTEN_OK) {
        _exit(1);
    }
    rpc_server_start(server);
    if (write(out, &port, sizeof port) != (ssize_t)sizeof port) {
        _exit(1);
    }
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    _exit(1);
}

/* Opens a stream to the port that it reads, until it is killed. */
static _Noreturn void follow(int in)
{
    struct fixture f;
    uint16_t port = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (read(in, &port, sizeof port) != (ssize_t)sizeof port) {
        _exit(1);
    }
    fixture_open_client(&f, port);
    (void)rpc_client_stream(f.client, "/t/Flood", &callbacks, NULL);
    (void)uv_run(&f.loop, UV_RUN_DEFAULT);
    _exit(1);
}

static void start_follower(void)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    follower.pid = fork();
    assert_true(follower.pid >= 0);
    if (follower.pid == 0) {
        close(fds[1]);
        follow(fds[0]);
    }
    close(fds[0]);
    follower_in = fds[1];
}

static int start_peers(void **state)
{
    (void)state;
    start_follower();
    for (size_t i = 0; i < 2; i++) {
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        peers[i].pid = fork();
        assert_true(peers[i].pid >= 0);
        if (peers[i].pid == 0) {
            close(fds[0]);
            serve(fds[1]);
        }
        close(fds[1]);
        assert_int_equal(read(fds[0], &peers[i].port, sizeof peers[i].port), 2);
        close(fds[0]);
    }
    return 0;
}

static int stop_peers(void **state)
{
    (void)state;
    close(follower_in);
    kill(follower.pid, SIGKILL);
    waitpid(follower.pid, NULL, 0);
    for (size_t i = 0; i < 2; i++) {
        kill(peers[i].pid, SIGKILL);
        waitpid(peers[i].pid, NULL, 0);
    }
    return 0;
}

static void loses(const struct peer *peer, int signal, uint64_t within_ns)
{
    struct fixture f;
    memset(&closed, 0, sizeof closed);
    messages = 0;
    fixture_open_client(&f, peer->port);
    (void)rpc_client_stream(f.client, "/t/Stream", &callbacks, &closed);
    WAIT_FOR(&f, messages == 1);
    uint64_t begin = uv_hrtime();
    kill(peer->pid, signal);
    WAIT_FOR(&f, closed.count == 1);
    uint64_t took = uv_hrtime() - begin;
    print_message("noticed after %u ms: %s\n", (unsigned)(took / CB_NS_PER_MS), closed.message);
    assert_int_equal(closed.code, RPC_UNAVAILABLE);
    assert_true(took < within_ns);
    fixture_close(&f);
}

/* Far above what it takes (50 ms), for a machine with other things to do. */
static void killed(void **state)
{
    (void)state;
    loses(&peers[0], SIGKILL, 5 * CB_NS_PER_S);
}

/* 500 ms until the ping, 300 ms for its answer. */
static void frozen(void **state)
{
    (void)state;
    loses(&peers[1], SIGSTOP, 8 * CB_NS_PER_S);
}

static unsigned sends;

static void flood(void *ctx, struct rpc_stream *s)
{
    struct cb_buf b = CB_BUF_NULL;
    (void)ctx;
    memset(cb_buf_reserve(&b, 1024 * 1024), 'x', 1024 * 1024);
    cb_buf_commit(&b, 1024 * 1024);
    rpc_stream_send(s, &b);
    sends++;
}

static const struct rpc_stream_callbacks flood_callbacks = {
    .on_message = on_message,
    .on_writable = flood,
    .on_closed = on_closed,
};

static void on_flood(void *ctx, struct rpc_stream *s)
{
    rpc_stream_accept(s, &flood_callbacks, ctx);
    flood(ctx, s);
}

static void server_with_a_frozen_client(void **state)
{
    (void)state;
    static const struct rpc_method flood_method = {
        .path = "/t/Flood",
        .kind = RPC_BIDI,
        .ctx = &closed,
        .on_stream = on_flood,
    };
    struct fixture f;
    memset(&closed, 0, sizeof closed);
    fixture_open(&f, &flood_method, 1, NULL);
    assert_int_equal(write(follower_in, &f.port, sizeof f.port), 2);
    WAIT_FOR(&f, sends > 2);
    kill(follower.pid, SIGSTOP);
    /* Until no message has got through for 300 ms: the socket's buffers are full. */
    unsigned last = sends;
    for (uint64_t since = uv_hrtime(); uv_hrtime() - since < 300 * CB_NS_PER_MS;) {
        (void)uv_run(&f.loop, UV_RUN_NOWAIT);
        uv_sleep(1);
        if (sends != last) {
            last = sends;
            since = uv_hrtime();
        }
    }
    uint64_t begin = uv_hrtime();
    fixture_close_server(&f); /* with a grace of 1 s */
    uint64_t took = uv_hrtime() - begin;
    print_message("closed after %u ms\n", (unsigned)(took / CB_NS_PER_MS));
    assert_true(took < 10 * CB_NS_PER_S);
    assert_int_equal(closed.count, 1);
    assert_int_equal(closed.code, RPC_CANCELLED);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed),
        cmocka_unit_test(frozen),
        cmocka_unit_test(server_with_a_frozen_client),
    };
    return cmocka_run_group_tests(tests, start_peers, stop_peers);
}
