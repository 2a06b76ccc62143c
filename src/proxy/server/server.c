#include "proxy/server/server.h"

#include <unistd.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"
#include "proxy/server/server_internal.h"

struct server *server_create(uv_loop_t *loop, const struct cb_clock *clock, uint32_t clients_max)
{
    struct server *s = cb_calloc(1, sizeof *s);
    s->loop = loop;
    s->clock = clock;
    s->clients_max = clients_max;
    cb_list_init(&s->listeners);
    cb_list_init(&s->conns);
    cb_list_init(&s->dirty);
    return s;
}

void server_handle_opened(struct server *s)
{
    s->n_handles++;
}

static void free_if_done(struct server *s)
{
    if (!s->destroying || s->n_handles > 0) {
        return;
    }
    void (*cb)(void *) = s->destroyed;
    void *ctx = s->destroyed_ctx;
    cb_free(s);
    cb(ctx);
}

void server_handle_closed(struct server *s)
{
    CB_ASSERT(s->n_handles > 0);
    s->n_handles--;
    free_if_done(s);
}

/* ---- listeners ---- */

static void listener_closed(uv_handle_t *handle)
{
    struct server_listener *l = handle->data;
    struct server *s = l->server;
    cb_free(l);
    server_handle_closed(s);
}

static bool adopt(struct server_listener *l, int fd)
{
    struct server *s = l->server;
    int e = l->is_unix ? uv_pipe_init(s->loop, &l->h.pipe, 0) : uv_tcp_init(s->loop, &l->h.tcp);
    CB_ASSERT(e == 0);
    l->h.handle.data = l;
    server_handle_opened(s);
    e = l->is_unix ? uv_pipe_open(&l->h.pipe, fd) : uv_tcp_open(&l->h.tcp, fd);
    return e == 0;
}

bool server_listen_fd(struct server *s, int fd, struct cb_buf *error)
{
    struct server_listener *l = cb_calloc(1, sizeof *l);
    l->server = s;
    if (!server_socket_describe(fd, l->address, &l->is_unix)) {
        cb_buf_printf(error, "descriptor %d is no listening stream socket", fd);
        cb_free(l);
        return false;
    }
    if (!adopt(l, fd)) {
        cb_buf_printf(error, "cannot listen on %s: the event loop refuses the socket", l->address);
        uv_close(&l->h.handle, listener_closed);
        return false;
    }
    cb_list_push_back(&s->listeners, &l->link);
    return true;
}

static bool listen_opened(struct server *s, int fd, struct cb_buf *error)
{
    if (fd < 0) {
        return false;
    }
    bool ok = server_listen_fd(s, fd, error);
    if (!ok) {
        (void)close(fd);
    }
    return ok;
}

bool server_listen(struct server *s, const struct cb_addr *address, struct cb_buf *error)
{
    return listen_opened(s, server_socket_open(address, error), error);
}

bool server_listen_any(struct server *s, uint16_t port, struct cb_buf *error)
{
    return listen_opened(s, server_socket_open_any(port, error), error);
}

void server_addresses(const struct server *s, struct cb_buf *out)
{
    CB_LIST_FOREACH(it, &s->listeners)
    {
        cb_buf_printf(out, "%s\n", CB_CONTAINER(it, struct server_listener, link)->address);
    }
}

void server_refused(struct server *s)
{
    s->counters.refused++;
    cb_log(CB_LOG_WARN, "server.refused",
           "clients=%u max=%u hint=\"raise LimitNOFILE, or add a proxy\"", s->n_conns,
           s->clients_max);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct server_listener *l = stream->data;
    if (status == 0) {
        server_conn_accept(l);
    } else {
        /* No descriptor: libuv has accepted and closed it with the one it keeps for that. */
        server_refused(l->server);
    }
}

void server_start(struct server *s, struct engine *engine)
{
    s->engine = engine;
    CB_LIST_FOREACH(it, &s->listeners)
    {
        struct server_listener *l = CB_CONTAINER(it, struct server_listener, link);
        int e = uv_listen(&l->h.stream, 1024, on_connection);
        if (e != 0) {
            cb_die("cannot accept clients on %s: %s", l->address, uv_strerror(e));
        }
    }
}

void server_stop_listening(struct server *s)
{
    CB_LIST_FOREACH_SAFE(it, tmp, &s->listeners)
    {
        struct server_listener *l = CB_CONTAINER(it, struct server_listener, link);
        cb_list_remove(it);
        uv_close(&l->h.handle, listener_closed);
    }
}

/* ---- the end of a turn ---- */

void server_flush(struct server *s)
{
    struct cb_list *first;
    while ((first = cb_list_first(&s->dirty)) != NULL) {
        struct server_conn *c = CB_CONTAINER(first, struct server_conn, dirty);
        cb_list_remove(first);
        server_conn_flush(c);
    }
}

void server_destroy(struct server *s, void (*cb)(void *ctx), void *ctx)
{
    s->destroyed = cb;
    s->destroyed_ctx = ctx;
    server_stop_listening(s);
    CB_LIST_FOREACH_SAFE(it, tmp, &s->conns)
    {
        server_conn_close(CB_CONTAINER(it, struct server_conn, link));
    }
    s->destroying = true;
    free_if_done(s);
}

struct server_counters server_counters(const struct server *s)
{
    return s->counters;
}
