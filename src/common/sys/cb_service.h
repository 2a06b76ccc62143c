/* A daemon and the service manager above it: readiness, sockets handed over, the descriptor limit.
 *
 * The protocol of systemd needs an environment variable and a datagram, so no library is linked for
 * it; without a service manager all of it does nothing.
 * Owns:     nothing.
 * Threads:  one, at start; cb_service_notify and cb_service_descriptors any.
 * Errors:   a service manager that does not listen is not told: the daemon runs the same.
 * Source:   sd_notify(3), sd_listen_fds(3). */
#ifndef CB_COMMON_SYS_CB_SERVICE_H
#define CB_COMMON_SYS_CB_SERVICE_H

#include <stdint.h>

#define CB_SERVICE_FIRST_FD 3

/* "READY=1", "STOPPING=1", "STATUS=...". */
void cb_service_notify(const char *state);

/* How many sockets were handed to this process, from CB_SERVICE_FIRST_FD on; they are made
 * close-on-exec. */
int cb_service_listen_fds(void);

/* Raises the soft limit of open descriptors to the hard one; returns what holds afterwards. */
uint64_t cb_service_raise_descriptor_limit(void);

struct cb_service_descriptors {
    uint64_t used;
    uint64_t limit;
};

/* For a message: looks at each of them. */
struct cb_service_descriptors cb_service_descriptors(void);

#endif
