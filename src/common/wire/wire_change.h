/* The messages by which an operator changes who belongs to the cluster (proto/cluster.proto,
 * Cluster.Change).
 *
 * Owns:     a decoded message borrows from nothing: its texts lie in it.
 * Threads:  any.
 * Errors:   enum wire_error. Texts are printable and fit; an operation has the texts that it needs.
 * Source:   proto/cluster.proto; the meaning of a field stands there. */
#ifndef CB_COMMON_WIRE_WIRE_CHANGE_H
#define CB_COMMON_WIRE_WIRE_CHANGE_H

#include <stdint.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_buf.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_span.h"
#include "common/wire/wire_error.h"

enum wire_change_op {
    WIRE_CHANGE_ADD = 1,
    WIRE_CHANGE_REMOVE,
    WIRE_CHANGE_TRANSFER,
    WIRE_CHANGE_OP_END
};

struct wire_change_request {
    uint32_t op;                     /* enum wire_change_op */
    char name[CB_NODE_NAME_MAX + 1]; /* "" for a transfer alone */
    char grpc[CB_ADDRESS_MAX];       /* to be added; else "" */
};

enum wire_change_result {
    WIRE_CHANGE_DONE = 1,
    WIRE_CHANGE_NOT_LEADER,
    WIRE_CHANGE_BUSY,
    WIRE_CHANGE_REFUSED,
    WIRE_CHANGE_UNKNOWN,
    WIRE_CHANGE_RESULT_END
};

struct wire_change_reply {
    uint32_t result; /* enum wire_change_result */
    char leader[CB_ADDRESS_MAX];
    char text[CB_CHANGE_TEXT_MAX];
};

/* Append the message. */
void wire_change_request_encode(const struct wire_change_request *m, struct cb_buf *out);
void wire_change_reply_encode(const struct wire_change_reply *m, struct cb_buf *out);

/* On an error `m` holds nothing to be used. */
CB_MUST_USE enum wire_error wire_change_request_decode(struct wire_change_request *m,
                                                       struct cb_span bytes);
CB_MUST_USE enum wire_error wire_change_reply_decode(struct wire_change_reply *m,
                                                     struct cb_span bytes);

#endif
