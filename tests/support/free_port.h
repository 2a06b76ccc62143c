/* A port of loopback that nobody had a moment ago. */
#ifndef CB_SUPPORT_FREE_PORT_H
#define CB_SUPPORT_FREE_PORT_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/cb_assert.h"

static inline uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CB_ASSERT(bind(fd, (const struct sockaddr *)(const void *)&a, sizeof(a)) == 0);
    CB_ASSERT(getsockname(fd, (struct sockaddr *)(void *)&a, &len) == 0);
    close(fd);
    return ntohs(a.sin_port);
}

#endif
