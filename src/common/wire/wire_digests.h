/* The messages by which nodes compare their states (proto/cluster.proto, Cluster.Digests).
 *
 * Owns:     a decoded message borrows from nothing.
 * Threads:  any.
 * Errors:   enum wire_error. Indexes rise, and there are as many digests.
 * Source:   proto/cluster.proto; the meaning of a field stands there. */
#ifndef CB_COMMON_WIRE_WIRE_DIGESTS_H
#define CB_COMMON_WIRE_WIRE_DIGESTS_H

#include <stdint.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_buf.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_span.h"
#include "common/wire/wire_error.h"

struct wire_digests_request {
    uint64_t cluster;
    uint64_t id;
};

struct wire_digests_reply {
    uint64_t cluster;
    uint64_t id;
    uint32_t n;
    uint64_t index[CB_DIGESTS_TOLD];
    uint64_t digest[CB_DIGESTS_TOLD];
};

/* Append the message. */
void wire_digests_request_encode(const struct wire_digests_request *m, struct cb_buf *out);
void wire_digests_reply_encode(const struct wire_digests_reply *m, struct cb_buf *out);

/* On an error `m` holds nothing to be used. */
CB_MUST_USE enum wire_error wire_digests_request_decode(struct wire_digests_request *m,
                                                        struct cb_span bytes);
CB_MUST_USE enum wire_error wire_digests_reply_decode(struct wire_digests_reply *m,
                                                      struct cb_span bytes);

#endif
