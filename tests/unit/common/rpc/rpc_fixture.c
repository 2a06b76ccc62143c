#include "unit/common/rpc/rpc_fixture.h"

#include <string.h>

#define DEADLINE_MS 30000

static void on_deadline(uv_timer_t *timer)
{
    timer->data = NULL; /* over */
}

static void open_loop(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(uv_timer_init(&f->loop, &f->deadline), 0);
    f->rpc = rpc_create(&f->loop);
}

static void open_client(struct fixture *f)
{
    char target[64];
    (void)snprintf(target, sizeof target, "127.0.0.1:%u", f->port);
    struct rpc_client_config config = {.target = target};
    f->client = rpc_client_create(f->rpc, &config);
}

void fixture_open_client(struct fixture *f, uint16_t port)
{
    open_loop(f);
    f->port = port;
    open_client(f);
}

void fixture_open(struct fixture *f,
                  const struct rpc_method *methods,
                  size_t count,
                  void (*before_start)(struct fixture *f))
{
    struct cb_buf error = CB_BUF_NULL;
    open_loop(f);
    f->server = rpc_server_create(f->rpc);
    rpc_server_add(f->server, methods, count);
    if (before_start != NULL) {
        before_start(f);
    }
    assert_int_equal(rpc_server_listen(f->server, "127.0.0.1:0", &f->port, &error), RPC_LISTEN_OK);
    assert_int_not_equal(f->port, 0);
    rpc_server_start(f->server);
    cb_buf_fini(&error);
    open_client(f);
}

void fixture_expect(struct fixture *f)
{
    f->deadline.data = f;
    assert_int_equal(uv_timer_start(&f->deadline, on_deadline, DEADLINE_MS, 0), 0);
}

bool fixture_turn(struct fixture *f)
{
    (void)uv_run(&f->loop, UV_RUN_ONCE);
    return f->deadline.data != NULL;
}

static void set_true(void *ctx)
{
    *(bool *)ctx = true;
}

void fixture_close_client(struct fixture *f)
{
    bool closed = false;
    rpc_client_close(f->client, set_true, &closed);
    WAIT_FOR(f, closed);
    f->client = NULL;
}

void fixture_close_server(struct fixture *f)
{
    bool closed = false;
    rpc_server_close(f->server, CB_NS_PER_S, set_true, &closed);
    WAIT_FOR(f, closed);
    f->server = NULL;
}

void fixture_close(struct fixture *f)
{
    bool closed = false;
    if (f->client != NULL) {
        fixture_close_client(f);
    }
    if (f->server != NULL) {
        fixture_close_server(f);
    }
    rpc_close(f->rpc, set_true, &closed);
    WAIT_FOR(f, closed);
    uv_close((uv_handle_t *)&f->deadline, NULL);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

void outcome_fini(struct outcome *o)
{
    cb_buf_fini(&o->bytes);
    memset(o, 0, sizeof *o);
}

void outcome_set(struct outcome *o, const struct rpc_status *status)
{
    o->count++;
    o->code = status->code;
    (void)snprintf(o->message, sizeof o->message, "%s", status->message);
    (void)snprintf(o->leader, sizeof o->leader, "%s", status->leader ? status->leader : "");
}

void outcome_done(void *ctx, const struct rpc_status *status, struct cb_span reply)
{
    struct outcome *o = ctx;
    outcome_set(o, status);
    cb_buf_append(&o->bytes, reply.ptr, reply.len);
}

void call_and_wait(struct fixture *f, const char *path, const char *request, struct outcome *o)
{
    struct cb_buf b = CB_BUF_NULL;
    cb_buf_append_str(&b, request);
    outcome_fini(o);
    (void)rpc_client_call(f->client, path, &b, 20 * CB_NS_PER_S, outcome_done, o);
    WAIT_FOR(f, o->count > 0);
}
