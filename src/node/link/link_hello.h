/* The first frame of a connection: who sends, and to whom.
 *
 *     u64 cluster, u64 sender, u64 receiver, then the sender's address (varint length, bytes)
 *
 * Owns:     nothing.
 * Threads:  any.
 * Errors:   link_hello_decode says whether the bytes are a hello. */
#ifndef CB_NODE_LINK_LINK_HELLO_H
#define CB_NODE_LINK_LINK_HELLO_H

#include <stdbool.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_buf.h"
#include "common/base/cb_limits.h"

struct link_hello {
    uint64_t cluster;
    uint64_t from;
    uint64_t to;
    char address[CB_ADDRESS_MAX]; /* where others reach the sender */
};

void link_hello_encode(const struct link_hello *h, struct cb_buf *out);
CB_MUST_USE bool link_hello_decode(struct link_hello *h, struct cb_span bytes);

#endif
