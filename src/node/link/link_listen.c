/* Listeners: one for each address of the name that was given. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_addr.h"
#include "common/sys/cb_log.h"
#include "node/link/link_internal.h"

#define BACKLOG 64 /* members, and whoever else tries */

static void on_connection(uv_stream_t *stream, int status)
{
    if (status != 0) { /* no descriptors, perhaps; who wants to connect tries again */
        cb_log(CB_LOG_WARN, "link.accept", "err=\"%s\"", uv_strerror(status));
        return;
    }
    link_in_accept(stream->data);
}

static void on_closed(uv_handle_t *handle)
{
    struct link_listener *listener = handle->data;
    struct link *l = listener->l;
    cb_free(listener);
    link_handle_closed(l);
}

void link_listener_close(struct link_listener *listener)
{
    cb_list_remove(&listener->link);
    uv_close((uv_handle_t *)&listener->tcp, on_closed);
}

static int open_listener(struct link *l, const struct sockaddr *at)
{
    struct link_listener *listener = cb_calloc(1, sizeof *listener);
    listener->l = l;
    listener->tcp.data = listener;
    cb_list_push_back(&l->listeners, &listener->link);
    CB_ASSERT(uv_tcp_init(l->loop, &listener->tcp) == 0);
    link_handle_opened(l);
    int rv = uv_tcp_bind(&listener->tcp, at, at->sa_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0);
    rv = rv != 0 ? rv : uv_listen((uv_stream_t *)&listener->tcp, BACKLOG, on_connection);
    if (rv != 0) {
        link_listener_close(listener);
    }
    return rv;
}

/* A name may have an address that this machine has not, of IPv6 in most cases: one is enough. */
static int open_listeners(struct link *l, const struct addrinfo *found)
{
    size_t n = 0;
    int why = 0;
    for (const struct addrinfo *ai = found; ai != NULL && n < CB_LINK_LISTENERS_MAX;
         ai = ai->ai_next) {
        int rv = open_listener(l, ai->ai_addr);
        if (rv == 0) {
            n++;
        } else if (rv != UV_EADDRNOTAVAIL && rv != UV_EAFNOSUPPORT) {
            return rv;
        } else {
            why = rv;
        }
    }
    return n > 0 ? 0 : why;
}

bool link_listen(struct link *l, const char *address, struct cb_buf *error)
{
    struct cb_addr a;
    enum cb_addr_result parsed = cb_addr_parse(&a, address);
    if (parsed != CB_ADDR_OK || a.kind == CB_ADDR_UNIX) {
        cb_buf_printf(error, "cannot listen on %s: %s", address,
                      parsed != CB_ADDR_OK ? cb_addr_strerror(parsed) : "it is no TCP address");
        return false;
    }
    char port[8];
    snprintf(port, sizeof port, "%u", a.port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int rv = getaddrinfo(a.host, port, &hints, &found);
    if (rv != 0) {
        cb_buf_printf(error, "cannot listen on %s: %s; give an address of this host", address,
                      gai_strerror(rv));
        return false;
    }
    rv = open_listeners(l, found);
    freeaddrinfo(found);
    if (rv == UV_EADDRINUSE) {
        cb_buf_printf(error,
                      "cannot listen on %s: another process has that port; stop it or choose "
                      "another",
                      address);
    } else if (rv != 0) {
        cb_buf_printf(error, "cannot listen on %s: %s", address, uv_strerror(rv));
    }
    return rv == 0;
}

uint16_t link_port(const struct link *l)
{
    const struct cb_list *first = cb_list_first(&l->listeners);
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
    int len = sizeof at;
    if (first == NULL ||
        uv_tcp_getsockname(&CB_CONTAINER(first, struct link_listener, link)->tcp, &at.any, &len)) {
        return 0;
    }
    return ntohs(at.any.sa_family == AF_INET6 ? at.v6.sin6_port : at.v4.sin_port);
}
