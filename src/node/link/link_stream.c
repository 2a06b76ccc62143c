#include "node/link/link_stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/cb_assert.h"
#include "common/sys/cb_log.h"

#define KEEPALIVE_S 5
/* A peer that takes nothing for this long is gone: else what waits for it grows until TCP gives up.
 */
#define USER_TIMEOUT_MS 5000

/* Without these it is slower to notice a dead peer, and still right. */
static void tune(struct link_stream *s)
{
    uv_os_fd_t fd;
    unsigned timeout_ms = USER_TIMEOUT_MS;
    if (uv_tcp_nodelay(&s->tcp, 1) != 0 || uv_tcp_keepalive(&s->tcp, 1, KEEPALIVE_S) != 0 ||
        uv_fileno((const uv_handle_t *)&s->tcp, &fd) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms) != 0) {
        cb_log(CB_LOG_WARN, "link.socket", "err=\"%s\"", strerror(errno));
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    const struct link_stream *s = handle->data;
    *buf = s->buffer;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct link_stream *s = stream->data;
    if (n > 0) {
        s->events->received(s->data, cb_span(buf->base, (size_t)n));
    } else if (n < 0) {
        s->events->ended(s->data, (int)n);
    }
}

static int begin(struct link_stream *s)
{
    return uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read);
}

static void on_connect(uv_connect_t *connect, int status)
{
    struct link_stream *s = connect->data;
    if (uv_is_closing((const uv_handle_t *)&s->tcp)) {
        return;
    }
    s->events->opened(s->data, status == 0 ? begin(s) : status);
}

int link_stream_connect(struct link_stream *s, uv_loop_t *loop, const struct sockaddr *to)
{
    /* With the family given there is a socket at once. */
    int rv = uv_tcp_init_ex(loop, &s->tcp, to->sa_family);
    if (rv != 0) { /* no socket, or no such family; an empty handle can be closed */
        CB_ASSERT(uv_tcp_init(loop, &s->tcp) == 0);
    }
    s->tcp.data = s;
    s->connect.data = s;
    if (rv != 0) {
        return rv;
    }
    tune(s);
    return uv_tcp_connect(&s->connect, &s->tcp, to, on_connect);
}

static void name_peer(const struct link_stream *s, char from[static LINK_FROM_MAX])
{
    struct sockaddr_storage at;
    int len = sizeof at;
    char host[INET6_ADDRSTRLEN];
    const struct sockaddr *any = (const struct sockaddr *)&at;
    snprintf(from, LINK_FROM_MAX, "?");
    if (uv_tcp_getpeername(&s->tcp, (struct sockaddr *)&at, &len) != 0) {
        return;
    }
    if (any->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&at;
        uv_ip4_name(v4, host, sizeof host);
        snprintf(from, LINK_FROM_MAX, "%s:%u", host, ntohs(v4->sin_port));
    } else if (any->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&at;
        uv_ip6_name(v6, host, sizeof host);
        snprintf(from, LINK_FROM_MAX, "[%s]:%u", host, ntohs(v6->sin6_port));
    }
}

int link_stream_accept(struct link_stream *s,
                       uv_loop_t *loop,
                       uv_stream_t *listener,
                       char from[static LINK_FROM_MAX])
{
    CB_ASSERT(uv_tcp_init(loop, &s->tcp) == 0);
    s->tcp.data = s;
    int rv = uv_accept(listener, (uv_stream_t *)&s->tcp);
    if (rv != 0) {
        return rv;
    }
    tune(s);
    name_peer(s, from);
    return begin(s);
}

static void on_written(uv_write_t *write, int status)
{
    struct link_stream *s = write->data;
    s->is_writing = false;
    s->events->written(s->data, status);
}

int link_stream_write(struct link_stream *s, const uv_buf_t *bufs, unsigned n)
{
    CB_ASSERT(!s->is_writing);
    s->write.data = s;
    int rv = uv_write(&s->write, (uv_stream_t *)&s->tcp, bufs, n, on_written);
    s->is_writing = rv == 0;
    return rv;
}

static void on_closed(uv_handle_t *handle)
{
    struct link_stream *s = handle->data;
    s->events->closed(s->data);
}

void link_stream_close(struct link_stream *s)
{
    if (!uv_is_closing((const uv_handle_t *)&s->tcp)) {
        uv_close((uv_handle_t *)&s->tcp, on_closed);
    }
}
