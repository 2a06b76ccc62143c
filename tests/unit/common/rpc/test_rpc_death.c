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

static int start_peers(void **state)
{
    (void)state;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed),
        cmocka_unit_test(frozen),
    };
    return cmocka_run_group_tests(tests, start_peers, stop_peers);
}
