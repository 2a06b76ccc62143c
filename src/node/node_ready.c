/* Ports before the start, and the news that the node listens. */
#include "node/node_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/sys/cb_addr.h"
#include "common/sys/cb_service.h"

static int try_port(const struct addrinfo *ai)
{
    int on = 1;
    int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC, ai->ai_protocol);
    if (fd < 0) {
        return errno;
    }
    int err = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(fd, 1) != 0) {
        err = errno;
    }
    close(fd);
    return err;
}

/* A name may have an address that this machine has not, of IPv6 in most cases: one is enough. */
static int try_ports(const struct addrinfo *found)
{
    bool is_one_good = false;
    int last = 0;
    for (const struct addrinfo *ai = found; ai != NULL; ai = ai->ai_next) {
        int err = try_port(ai);
        if (err == EADDRINUSE) {
            return err;
        }
        is_one_good |= err == 0;
        last = err;
    }
    return is_one_good ? 0 : last;
}

void node_ready_check_port(const char *address, const char *what)
{
    struct cb_addr a;
    CB_ASSERT(cb_addr_parse(&a, address) == CB_ADDR_OK);
    char port[8];
    snprintf(port, sizeof(port), "%u", a.port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    int rv = getaddrinfo(a.host, port, &hints, &found);
    if (rv != 0) {
        cb_die("cannot listen on %s (%s): %s", address, what, gai_strerror(rv));
    }
    int err = try_ports(found);
    freeaddrinfo(found);
    if (err == EADDRINUSE) {
        cb_die("cannot listen on %s (%s): another process has that port; stop it or choose another",
               address, what);
    }
    if (err != 0) {
        cb_die("cannot listen on %s (%s): %s", address, what, strerror(err));
    }
}

static void write_ready_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
        cb_die("cannot write --ready-file %s: %s", path, strerror(errno));
    }
    close(fd);
}

void node_ready_tell(const struct node *n)
{
    if (n->options->ready_file != NULL) {
        write_ready_file(n->options->ready_file);
    }
    cb_service_notify("READY=1");
}

void node_ready_tell_stopping(void)
{
    cb_service_notify("STOPPING=1");
}
