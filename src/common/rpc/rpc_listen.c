/* The library reports only that it could not listen; an operator needs to know why. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/rpc/rpc_internal.h"
#include "common/sys/cb_addr.h"

static enum rpc_listen_result explain_errno(const char *address, int err, struct cb_buf *error)
{
    if (err == EADDRINUSE) {
        cb_buf_printf(
            error, "cannot listen on %s: another process has that port; stop it or choose another",
            address);
        return RPC_LISTEN_BUSY;
    }
    cb_buf_printf(error, "cannot listen on %s: %s", address, strerror(err));
    return RPC_LISTEN_ERROR;
}

/* 0 or the error of binding and listening there. */
static int try_listen(const struct addrinfo *ai)
{
    int on = 1;
    int err = 0;
    int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC, ai->ai_protocol);
    if (fd < 0) {
        return errno;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(fd, 1) != 0) {
        err = errno;
    }
    close(fd);
    return err;
}

static enum rpc_listen_result
explain_host(const char *address, const struct cb_addr *a, struct cb_buf *error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    char port[8];
    (void)snprintf(port, sizeof port, "%u", a->port);
    int e = getaddrinfo(a->host, port, &hints, &found);
    if (e != 0) {
        cb_buf_printf(error, "cannot listen on %s: %s", address, gai_strerror(e));
        return RPC_LISTEN_ERROR;
    }
    int err = 0;
    for (const struct addrinfo *ai = found; ai != NULL && err == 0; ai = ai->ai_next) {
        err = try_listen(ai);
    }
    freeaddrinfo(found);
    if (err == 0) {
        cb_buf_printf(error, "cannot listen on %s: gRPC refused it, but it is free now", address);
        return RPC_LISTEN_ERROR;
    }
    return explain_errno(address, err, error);
}

enum rpc_listen_result rpc_listen_explain(const char *address, struct cb_buf *error)
{
    struct cb_addr a;
    enum cb_addr_result r = cb_addr_parse(&a, address);
    if (r != CB_ADDR_OK) {
        cb_buf_printf(error, "cannot listen on '%s': %s", address, cb_addr_strerror(r));
        return RPC_LISTEN_ERROR;
    }
    if (a.kind == CB_ADDR_UNIX) {
        cb_buf_printf(error, "cannot listen on %s: this port takes TCP addresses only", address);
        return RPC_LISTEN_ERROR;
    }
    return explain_host(address, &a, error);
}
