#include "ctl/ctl_net.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/sys/cb_addr.h"

/* Below the kernel's usual range for outgoing connections, so that none of them takes a chosen
 * port. */
#define PORT_FIRST 20000
#define PORT_LAST 32000

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return to;
}

bool ctl_port_is_free(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    int one = 1;
    struct sockaddr_in at = loopback(port);
    bool ok = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
              bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 1) == 0;
    (void)close(fd); /* nothing was sent */
    return ok;
}

static bool are_free(unsigned first, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (!ctl_port_is_free((uint16_t)(first + i))) {
            return false;
        }
    }
    return true;
}

uint16_t ctl_free_ports(unsigned n)
{
    /* Start at a place of this process, so that two clusters started at once do not race. */
    static unsigned next;
    if (next == 0) {
        next = PORT_FIRST + ((unsigned)getpid() * 16) % (PORT_LAST - PORT_FIRST - 64);
    }
    for (unsigned tries = 0; tries < PORT_LAST - PORT_FIRST; tries++, next++) {
        if (next + n > PORT_LAST) {
            next = PORT_FIRST;
        }
        if (are_free(next, n)) {
            uint16_t first = (uint16_t)next;
            next += n;
            return first;
        }
    }
    return 0;
}

static int connect_to(const char *address)
{
    struct cb_addr a;
    if (cb_addr_parse(&a, address) != CB_ADDR_OK || a.kind != CB_ADDR_IPV4) {
        return -1;
    }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(a.port)};
    if (inet_pton(AF_INET, a.host, &to.sin_addr) != 1) {
        return -1;
    }
    if (to.sin_addr.s_addr == htonl(INADDR_ANY)) {
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        (void)close(fd); /* never connected */
        fd = -1;
    }
    return fd;
}

bool ctl_proxy_serves(const char *address, int timeout_ms)
{
    static const char ask[] = "list-tube-used\r\n";
    int fd = connect_to(address);
    if (fd < 0) {
        return false;
    }
    bool serves = false;
    if (send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) == (ssize_t)(sizeof(ask) - 1)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char reply[16];
        serves = poll(&p, 1, timeout_ms) == 1 && recv(fd, reply, sizeof(reply), 0) >= 6 &&
                 memcmp(reply, "USING ", 6) == 0;
    }
    (void)close(fd); /* the answer, if any, was read */
    return serves;
}
