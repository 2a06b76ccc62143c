#include "node/http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <string.h>

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "common/sys/cb_addr.h"

/* libmicrohttpd wants to be run when a connection's time is up, also when nothing arrives. */
#define TICK_MS 1000

struct http {
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t timer;
    unsigned n_open; /* handles not yet closed */
    http_answer_fn answer;
    void *data;
};

static enum MHD_Result send_reply(struct MHD_Connection *connection, struct http_reply *reply)
{
    struct cb_span body = cb_buf_span(&reply->body);
    /* The library copies the bytes and does not change them, in spite of its type. */
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body.len, (void *)(uintptr_t)body.ptr, MHD_RESPMEM_MUST_COPY);
    if (response == NULL) {
        return MHD_NO;
    }
    enum MHD_Result ok =
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
    if (ok == MHD_YES) {
        ok = MHD_queue_response(connection, reply->status, response);
    }
    MHD_destroy_response(response);
    return ok;
}

static enum MHD_Result on_request(void *data,
                                  struct MHD_Connection *connection,
                                  const char *path,
                                  const char *method,
                                  const char *version,
                                  const char *upload,
                                  size_t *upload_len,
                                  void **state)
{
    struct http *h = data;
    (void)version;
    (void)upload;
    static int seen;
    if (*state == NULL) { /* the first call is for the headers alone */
        *state = &seen;
        return MHD_YES;
    }
    if (*upload_len > 0) { /* bodies of requests are read and dropped */
        *upload_len = 0;
        return MHD_YES;
    }
    struct http_reply reply = {
        .status = MHD_HTTP_NOT_FOUND, .content_type = "text/plain", .body = CB_BUF_NULL};
    if (strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0) {
        h->answer(h->data, path, &reply);
    } else {
        reply.status = MHD_HTTP_METHOD_NOT_ALLOWED;
    }
    enum MHD_Result ok = send_reply(connection, &reply);
    cb_buf_fini(&reply.body);
    return ok;
}

static void run(struct http *h)
{
    if (MHD_run(h->daemon) != MHD_YES) {
        cb_die("the HTTP server failed: %s", strerror(errno));
    }
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run(poll->data);
}

static void on_tick(uv_timer_t *timer)
{
    run(timer->data);
}

static bool to_sockaddr(const char *address, struct sockaddr_storage *out, struct cb_buf *error)
{
    struct cb_addr a;
    enum cb_addr_result r = cb_addr_parse(&a, address);
    memset(out, 0, sizeof(*out));
    if (r == CB_ADDR_OK && a.kind == CB_ADDR_IPV4) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)out;
        v4->sin_family = AF_INET;
        v4->sin_port = htons(a.port);
        return inet_pton(AF_INET, a.host, &v4->sin_addr) == 1;
    }
    if (r == CB_ADDR_OK && a.kind == CB_ADDR_IPV6) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(a.port);
        return inet_pton(AF_INET6, a.host, &v6->sin6_addr) == 1;
    }
    cb_buf_printf(error, "cannot serve HTTP at %s: %s", address,
                  r == CB_ADDR_OK ? "give an IPv4 or IPv6 address, not a name"
                                  : cb_addr_strerror(r));
    return false;
}

static struct MHD_Daemon *start_daemon(struct http *h, const char *address, struct cb_buf *error)
{
    struct sockaddr_storage at;
    if (!to_sockaddr(address, &at, error)) {
        return NULL;
    }
    unsigned flags = MHD_USE_EPOLL | (at.ss_family == AF_INET6 ? (unsigned)MHD_USE_IPv6 : 0u);
    errno = 0;
    struct MHD_Daemon *daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, h, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&at,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CB_HTTP_CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CB_HTTP_TIMEOUT_S, MHD_OPTION_END);
    if (daemon == NULL) {
        cb_buf_printf(error, "cannot serve HTTP at %s: %s", address, strerror(errno));
    }
    return daemon;
}

struct http *http_open(
    uv_loop_t *loop, const char *address, http_answer_fn answer, void *data, struct cb_buf *error)
{
    struct http *h = cb_calloc(1, sizeof(*h));
    h->answer = answer;
    h->data = data;
    h->daemon = start_daemon(h, address, error);
    if (h->daemon == NULL) {
        cb_free(h);
        return NULL;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    CB_ASSERT(info != NULL);
    CB_ASSERT(uv_poll_init(loop, &h->poll, info->epoll_fd) == 0);
    CB_ASSERT(uv_timer_init(loop, &h->timer) == 0);
    h->poll.data = h;
    h->timer.data = h;
    h->n_open = 2;
    CB_ASSERT(uv_poll_start(&h->poll, UV_READABLE, on_ready) == 0);
    CB_ASSERT(uv_timer_start(&h->timer, on_tick, TICK_MS, TICK_MS) == 0);
    uv_unref((uv_handle_t *)&h->poll);
    uv_unref((uv_handle_t *)&h->timer);
    return h;
}

static void on_closed(uv_handle_t *handle)
{
    struct http *h = handle->data;
    if (--h->n_open == 0) {
        MHD_stop_daemon(h->daemon); /* not before: the poll handle watched its descriptor */
        cb_free(h);
    }
}

void http_close(struct http *h)
{
    uv_close((uv_handle_t *)&h->poll, on_closed);
    uv_close((uv_handle_t *)&h->timer, on_closed);
}
