/* Ports of the local machine: finding free ones, and asking a proxy whether it serves.
 *
 * Owns:     nothing.
 * Threads:  one; calls block, for a bounded time.
 * Errors:   values. */
#ifndef CB_CTL_CTL_NET_H
#define CB_CTL_CTL_NET_H

#include <stdbool.h>
#include <stdint.h>

/* True when nothing listens on 127.0.0.1:port and one could. */
bool ctl_port_is_free(uint16_t port);
/* The first of `n` consecutive free ports of 127.0.0.1; 0 when none was found. */
uint16_t ctl_free_ports(unsigned n);
/* True when the proxy there answers a read within `timeout_ms`: then a leader serves. */
bool ctl_proxy_serves(const char *address, int timeout_ms);

#endif
