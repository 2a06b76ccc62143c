/* Between the generated structs of protobuf-c and our spans and buffers. Internal to this folder,
 * the only one that sees protobuf-c.
 *
 * Threads:  one per arena.
 * Errors:   enum wire_error of an unpack.
 * Source:   protobuf-c/protobuf-c.h. */
#ifndef CB_COMMON_WIRE_WIRE_PACK_H
#define CB_COMMON_WIRE_WIRE_PACK_H

#include <protobuf-c/protobuf-c.h>

#include "common/base/cb_buf.h"
#include "common/base/cb_span.h"
#include "common/wire/wire_arena.h"
#include "common/wire/wire_error.h"

/* The arena of a message that is decoded into: made when there is none, else empty again. */
struct wire_arena *wire_decode_arena(struct wire_arena **a);
/* NULL is none. */
void wire_decode_arena_reset(struct wire_arena *a);
void wire_decode_arena_destroy(struct wire_arena *a);

/* A generated struct in `a`, or NULL and why. */
const void *wire_unpack(struct wire_arena *a,
                        const ProtobufCMessageDescriptor *type,
                        struct cb_span bytes,
                        enum wire_error *error);

/* Checks a generated struct and fills `m` from it by copy, since it does not outlive the call. */
typedef enum wire_error (*wire_take_fn)(void *m, const void *unpacked);

/* For a message that is small enough to keep no arena. `m` stays as it is when `bytes` can't be
 * unpacked. */
enum wire_error wire_decode_copied(void *m,
                                   const ProtobufCMessageDescriptor *type,
                                   struct cb_span bytes,
                                   wire_take_fn take);

/* Appends it to `out`. */
void wire_pack(const ProtobufCMessage *m, struct cb_buf *out);

/* A copy that ends in a NUL, as protobuf-c wants strings. */
char *wire_text(struct wire_arena *a, struct cb_span s);

/* These end up in an operator's terminal: printable ASCII, at most `max` bytes. */
enum wire_error wire_check_text(struct cb_span s, size_t max);

/* Packing only reads the bytes, though the structs do not say so. */
static inline ProtobufCBinaryData wire_lend(struct cb_span s)
{
    return (ProtobufCBinaryData){.len = s.len, .data = (uint8_t *)(uintptr_t)s.ptr};
}

static inline struct cb_span wire_borrow(ProtobufCBinaryData b)
{
    return cb_span(b.data, b.len);
}

#endif
