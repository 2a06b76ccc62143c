/* Addresses as an operator writes them: "host:port", "[v6]:port", "unix:/path".
 *
 * Only the form is checked; no name is looked up and nothing is opened. A host is an IPv4 or IPv6
 * literal or a DNS name (RFC 1123: letters, digits, hyphens; underscores are let through).
 * Owns:     nothing.
 * Threads:  any.
 * Errors:   enum cb_addr_result; cb_addr_strerror says what to write instead. */
#ifndef CB_COMMON_SYS_CB_ADDR_H
#define CB_COMMON_SYS_CB_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_limits.h"

enum cb_addr_kind {
    CB_ADDR_IPV4,
    CB_ADDR_IPV6,
    CB_ADDR_NAME,
    CB_ADDR_UNIX,
};

enum cb_addr_result {
    CB_ADDR_OK,
    CB_ADDR_BAD_HOST,
    CB_ADDR_NO_PORT,
    CB_ADDR_BAD_PORT,
    CB_ADDR_BAD_PATH,
};

struct cb_addr {
    enum cb_addr_kind kind;
    uint16_t port;  /* 0 for a unix socket; 0 otherwise too when the system shall choose */
    char host[256]; /* host without brackets, or the path of a unix socket */
};

/* On failure `*out` is unchanged. Port 0 is accepted: a listener may mean it, a target may not. */
CB_MUST_USE enum cb_addr_result cb_addr_parse(struct cb_addr *out, const char *text);
/* A host alone (an IPv6 literal with or without brackets, or "unix:/path") and a port. */
CB_MUST_USE enum cb_addr_result
cb_addr_from_host(struct cb_addr *out, const char *host, uint16_t port);
/* One sentence without a full stop. */
const char *cb_addr_strerror(enum cb_addr_result r);

/* Writes the form that cb_addr_parse reads. */
void cb_addr_format(const struct cb_addr *a, char out[static CB_ADDRESS_MAX]);

/* True for 127.0.0.0/8, ::1, their mapped forms, "localhost" and unix sockets: no other machine
 * reaches them (design D11). Another name may resolve to loopback and is still false. */
bool cb_addr_is_loopback(const struct cb_addr *a);
/* True for 0.0.0.0, :: and the mapped form: who listens there listens on every address. */
bool cb_addr_is_wildcard(const struct cb_addr *a);

#endif
