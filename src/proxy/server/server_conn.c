/* One client's socket. */
#include <errno.h>

#include "common/base/cb_mem.h"
#include "proxy/server/server_internal.h"

/* A client's host that is gone is noticed after this and a few probes; beanstalkd leaves it at the
 * system's two hours. */
#define KEEPALIVE_S 60

static uint64_t now(const struct server_conn *c)
{
    return cb_clock_boottime_ns(c->server->clock);
}

static void mark(struct server_conn *c)
{
    if (!cb_list_is_linked(&c->dirty)) {
        cb_list_push_back(&c->server->dirty, &c->dirty);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct server_conn *c = handle->data;
    struct server *s = c->server;
    cb_buf_fini(&c->writing);
    cb_free(c);
    server_handle_closed(s);
}

void server_conn_close(struct server_conn *c)
{
    if (c->client == NULL) {
        return;
    }
    engine_client_gone(c->client, now(c));
    c->client = NULL;
    cb_list_remove(&c->dirty);
    cb_list_remove(&c->link);
    c->server->n_conns--;
    uv_close(&c->h.handle, on_handle_closed);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct server_conn *c = handle->data;
    (void)suggested;
    buf->base = c->server->buffer;
    buf->len = sizeof c->server->buffer;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct server_conn *c = stream->data;
    if (n > 0) {
        engine_client_read(c->client, cb_span(buf->base, (size_t)n), now(c));
    } else if (n == UV_EOF) {
        engine_client_eof(c->client, now(c));
    } else if (n < 0) {
        c->close_now = true;
        mark(c);
    }
}

static void start_reading(struct server_conn *c)
{
    int e = uv_read_start(&c->h.stream, on_alloc, on_read);
    if (e != 0 && e != UV_EALREADY) {
        c->close_now = true;
        mark(c);
    }
}

/* ---- accepting ---- */

static struct server_conn *make(struct server_listener *l)
{
    struct server_conn *c = cb_calloc(1, sizeof *c);
    struct server *s = l->server;
    c->server = s;
    cb_list_init(&c->link);
    cb_list_init(&c->dirty);
    int e = l->is_unix ? uv_pipe_init(s->loop, &c->h.pipe, 0) : uv_tcp_init(s->loop, &c->h.tcp);
    CB_ASSERT(e == 0);
    c->h.handle.data = c;
    server_handle_opened(s);
    return c;
}

void server_conn_accept(struct server_listener *l)
{
    struct server *s = l->server;
    struct server_conn *c = make(l);
    if (uv_accept(&l->h.stream, &c->h.stream) != 0 || s->n_conns >= s->clients_max) {
        server_refused(s);
        uv_close(&c->h.handle, on_handle_closed);
        return;
    }
    if (!l->is_unix) {
        /* Only a hint each: a socket that is already dead refuses them, and its read says so. */
        (void)uv_tcp_nodelay(&c->h.tcp, 1);
        (void)uv_tcp_keepalive(&c->h.tcp, 1, KEEPALIVE_S);
    }
    s->counters.accepted++;
    s->n_conns++;
    cb_list_push_back(&s->conns, &c->link);
    c->client = engine_client_connected(s->engine, c, now(c));
    start_reading(c);
}

/* ---- writing ---- */

static void on_written(uv_write_t *write, int status)
{
    struct server_conn *c = write->data;
    size_t len = cb_buf_len(&c->writing);
    cb_buf_fini(&c->writing);
    if (c->client == NULL) {
        return; /* closed meanwhile */
    }
    if (status != 0) {
        c->close_now = true;
    } else {
        engine_client_wrote(c->client, len, now(c));
    }
    mark(c);
}

static void write_later(struct server_conn *c, struct cb_buf *out)
{
    c->writing = cb_buf_take(out);
    struct cb_span s = cb_buf_span(&c->writing);
    uv_buf_t buf = {.base = (char *)c->writing.base + c->writing.start, .len = s.len};
    c->write.data = c;
    if (uv_write(&c->write, &c->h.stream, &buf, 1, on_written) != 0) {
        cb_buf_fini(&c->writing);
        c->close_now = true;
    }
}

/* False when the socket takes no more, or is broken. */
static bool write_now(struct server_conn *c, struct cb_buf *out)
{
    uv_buf_t buf = {.base = (char *)out->base + out->start, .len = cb_buf_len(out)};
    int n = uv_try_write(&c->h.stream, &buf, 1);
    if (n == UV_EAGAIN) {
        write_later(c, out);
        return false;
    }
    if (n < 0) {
        c->close_now = true;
        return false;
    }
    cb_buf_consume(out, (size_t)n);
    engine_client_wrote(c->client, (size_t)n, now(c)); /* may take commands, and so answer more */
    return true;
}

void server_conn_flush(struct server_conn *c)
{
    while (!c->close_now && cb_buf_len(&c->writing) == 0) {
        struct cb_buf *out = engine_client_output(c->client);
        if (cb_buf_len(out) == 0) {
            c->close_now = c->close_flushed;
            break;
        }
        if (!write_now(c, out)) {
            break;
        }
    }
    if (c->close_now) {
        server_conn_close(c);
    }
}

/* ---- what the engine asks for ---- */

void server_client_output(void *ctx, void *user)
{
    (void)ctx;
    mark(user);
}

void server_client_reading(void *ctx, void *user, bool on)
{
    struct server_conn *c = user;
    (void)ctx;
    if (on) {
        start_reading(c);
    } else {
        (void)uv_read_stop(&c->h.stream);
    }
}

/* Not from within: the engine is in the middle of something. */
void server_client_close(void *ctx, void *user, bool flush)
{
    struct server_conn *c = user;
    (void)ctx;
    c->close_flushed = true;
    c->close_now = c->close_now || !flush;
    (void)uv_read_stop(&c->h.stream);
    mark(c);
}
