/* A server with a health service and a method "/t/Echo" with a stream, for tests by other
 * implementations of gRPC: prints its port, toggles coolbeans.v1.Queue at each line of stdin, ends
 * in order at the end of stdin. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "common/base/cb_assert.h"
#include "common/rpc/rpc_health.h"

static struct {
    uv_loop_t loop;
    uv_poll_t input;
    struct rpc *rpc;
    struct rpc_server *server;
    struct rpc_health *health;
    bool serving;
} program;

static void on_message(void *ctx, struct rpc_stream *s, struct cb_span message)
{
    (void)ctx;
    struct cb_buf echo = CB_BUF_NULL;
    cb_buf_append(&echo, message.ptr, message.len);
    rpc_stream_send(s, &echo);
    rpc_stream_pause_reading(s); /* until it is sent */
}

static void on_writable(void *ctx, struct rpc_stream *s)
{
    (void)ctx;
    rpc_stream_resume_reading(s);
}

static void on_end(void *ctx, struct rpc_stream *s)
{
    (void)ctx;
    rpc_stream_finish(s, RPC_FAILED_PRECONDITION, "not the leader", "127.0.0.1:11301");
}

static void on_closed(void *ctx, struct rpc_stream *s, const struct rpc_status *status)
{
    (void)ctx;
    (void)s;
    (void)status;
}

static const struct rpc_stream_callbacks callbacks = {
    .on_message = on_message,
    .on_writable = on_writable,
    .on_end = on_end,
    .on_closed = on_closed,
};

static void on_echo(void *ctx, struct rpc_stream *s)
{
    (void)ctx;
    rpc_stream_accept(s, &callbacks, NULL);
}

static void on_rpc_closed(void *ctx)
{
    (void)ctx;
}

static void on_server_closed(void *ctx)
{
    (void)ctx;
    rpc_health_destroy(program.health);
    rpc_close(program.rpc, on_rpc_closed, NULL);
}

static void on_input(uv_poll_t *input, int status, int events)
{
    char line[64];
    (void)events;
    ssize_t n = status == 0 ? read(STDIN_FILENO, line, sizeof line) : 0;
    if (n <= 0) {
        uv_close((uv_handle_t *)input, NULL);
        rpc_server_close(program.server, 1000000000, on_server_closed, NULL);
        return;
    }
    program.serving = !program.serving;
    rpc_health_set(program.health, "coolbeans.v1.Queue",
                   program.serving ? RPC_HEALTH_SERVING : RPC_HEALTH_NOT_SERVING);
}

int main(void)
{
    static const struct rpc_method echo = {
        .path = "/t/Echo",
        .kind = RPC_BIDI,
        .on_stream = on_echo,
    };
    uint16_t port = 0;
    struct cb_buf error = CB_BUF_NULL;
    CB_ASSERT(uv_loop_init(&program.loop) == 0);
    program.rpc = rpc_create(&program.loop);
    program.server = rpc_server_create(program.rpc);
    program.health = rpc_health_create(program.server);
    rpc_health_set(program.health, "", RPC_HEALTH_SERVING);
    rpc_health_set(program.health, "coolbeans.v1.Queue", RPC_HEALTH_NOT_SERVING);
    rpc_server_add(program.server, &echo, 1);
    CB_ASSERT(rpc_server_listen(program.server, "127.0.0.1:0", &port, &error) == RPC_LISTEN_OK);
    rpc_server_start(program.server);
    CB_ASSERT(uv_poll_init(&program.loop, &program.input, STDIN_FILENO) == 0);
    CB_ASSERT(uv_poll_start(&program.input, UV_READABLE, on_input) == 0);
    printf("%u\n", port);
    fflush(stdout);
    (void)uv_run(&program.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&program.loop) == 0 ? 0 : 1;
}
