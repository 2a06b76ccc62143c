#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/cb_assert.h"
#include "proxy/server/server_internal.h"

#define BACKLOG 1024 /* beanstalkd's */

static int fail(int fd, struct cb_buf *error, const char *where, const char *what)
{
    cb_buf_printf(error, "cannot listen on %s: %s: %s", where, what, strerror(errno));
    if (fd >= 0) {
        (void)close(fd);
    }
    return -1;
}

static int bind_and_listen(
    int fd, const struct sockaddr *to, socklen_t len, const char *where, struct cb_buf *error)
{
    if (bind(fd, to, len) != 0) {
        if (errno == EADDRINUSE) {
            cb_buf_printf(error,
                          "cannot listen on %s: another process does; choose another port with -p",
                          where);
            (void)close(fd);
            return -1;
        }
        return fail(fd, error, where, "bind");
    }
    return listen(fd, BACKLOG) != 0 ? fail(fd, error, where, "listen") : fd;
}

static int open_inet(
    const struct sockaddr *to, socklen_t len, bool only_v6, const char *where, struct cb_buf *error)
{
    int on = 1;
    int v6 = only_v6;
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return fail(fd, error, where, "socket");
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (to->sa_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6, sizeof v6);
    }
    return bind_and_listen(fd, to, len, where, error);
}

static int open_tcp(const struct cb_addr *address, struct cb_buf *error)
{
    char where[CB_ADDRESS_MAX];
    char port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    cb_addr_format(address, where);
    (void)snprintf(port, sizeof port, "%u", address->port);
    int e = getaddrinfo(address->host, port, &hints, &found);
    if (e != 0) {
        cb_buf_printf(error, "cannot listen on %s: %s; give -l an address of this host", where,
                      gai_strerror(e));
        return -1;
    }
    int fd = open_inet(found->ai_addr, found->ai_addrlen, true, where, error);
    freeaddrinfo(found);
    return fd;
}

/* True when nothing stands in the way: no file, or a socket that nobody listens on, which is
 * removed. */
static bool make_way(const struct sockaddr_un *at, struct cb_buf *error)
{
    struct stat st;
    if (lstat(at->sun_path, &st) != 0) {
        return true; /* bind says what else is wrong */
    }
    if (!S_ISSOCK(st.st_mode)) {
        cb_buf_printf(error,
                      "cannot listen on unix:%s: a file that is no socket is there; move it away",
                      at->sun_path);
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_served = fd >= 0 && connect(fd, (const struct sockaddr *)at, sizeof *at) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (is_served) {
        cb_buf_printf(error, "cannot listen on unix:%s: another process does", at->sun_path);
        return false;
    }
    (void)unlink(at->sun_path);
    return true;
}

static int open_unix(const char *path, struct cb_buf *error)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof at.sun_path) {
        cb_buf_printf(error, "cannot listen on unix:%s: the path is longer than %zu bytes", path,
                      sizeof at.sun_path - 1);
        return -1;
    }
    memcpy(at.sun_path, path, len);
    if (!make_way(&at, error)) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return fail(fd, error, path, "socket");
    }
    return bind_and_listen(fd, (const struct sockaddr *)&at, sizeof at, path, error);
}

int server_socket_open(const struct cb_addr *address, struct cb_buf *error)
{
    return address->kind == CB_ADDR_UNIX ? open_unix(address->host, error)
                                         : open_tcp(address, error);
}

int server_socket_open_any(uint16_t port, struct cb_buf *error)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct cb_buf ignored = CB_BUF_NULL;
    int fd = open_inet((const struct sockaddr *)&v6, sizeof v6, false, "all addresses", &ignored);
    cb_buf_fini(&ignored);
    if (fd >= 0) {
        return fd;
    }
    return open_inet((const struct sockaddr *)&v4, sizeof v4, false, "all addresses", error);
}

static bool is_listening(int fd)
{
    int on = 0;
    int type = 0;
    socklen_t len = sizeof on;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on != 0 &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

bool server_socket_describe(int fd, char out[static CB_ADDRESS_MAX], bool *is_unix)
{
    union {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_storage storage;
    } at = {.storage = {0}};
    socklen_t len = sizeof at;
    char host[INET6_ADDRSTRLEN + 32];
    char port[8];
    if (!is_listening(fd) || getsockname(fd, &at.any, &len) != 0) {
        return false;
    }
    *is_unix = at.any.sa_family == AF_UNIX;
    if (*is_unix) {
        (void)snprintf(out, CB_ADDRESS_MAX, "unix:%s", at.un.sun_path);
        return true;
    }
    if (getnameinfo(&at.any, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return false;
    }
    if (at.any.sa_family == AF_INET6) {
        (void)snprintf(out, CB_ADDRESS_MAX, "[%s]:%s", host, port);
    } else {
        (void)snprintf(out, CB_ADDRESS_MAX, "%s:%s", host, port);
    }
    return true;
}
