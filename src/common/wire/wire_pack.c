#include "common/wire/wire_pack.h"

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"

struct wire_arena *wire_decode_arena(struct wire_arena **a)
{
    if (*a == NULL) {
        *a = cb_malloc(sizeof(**a));
        wire_arena_init(*a, CB_WIRE_ARENA_MAX);
    } else {
        wire_arena_reset(*a);
    }
    return *a;
}

void wire_decode_arena_reset(struct wire_arena *a)
{
    if (a != NULL) {
        wire_arena_reset(a);
    }
}

void wire_decode_arena_destroy(struct wire_arena *a)
{
    if (a != NULL) {
        wire_arena_fini(a);
        cb_free(a);
    }
}

const void *wire_unpack(struct wire_arena *a,
                        const ProtobufCMessageDescriptor *type,
                        struct cb_span bytes,
                        enum wire_error *error)
{
    const void *m = protobuf_c_message_unpack(type, &a->allocator, bytes.len, bytes.ptr);
    /* It does not say why; of what it can meet, only a full arena is not the encoding. */
    *error = m != NULL ? WIRE_OK : a->was_full ? WIRE_BAD_LENGTH : WIRE_BAD_ENCODING;
    return m;
}

enum wire_error wire_decode_copied(void *m,
                                   const ProtobufCMessageDescriptor *type,
                                   struct cb_span bytes,
                                   wire_take_fn take)
{
    enum wire_error e;
    struct wire_arena a;
    wire_arena_init(&a, CB_WIRE_ARENA_MAX);
    const void *unpacked = wire_unpack(&a, type, bytes, &e);
    if (unpacked != NULL) {
        e = take(m, unpacked);
    }
    wire_arena_fini(&a);
    return e;
}

void wire_pack(const ProtobufCMessage *m, struct cb_buf *out)
{
    size_t size = protobuf_c_message_get_packed_size(m);
    if (size == 0) {
        return;
    }
    size_t packed = protobuf_c_message_pack(m, cb_buf_reserve(out, size));
    CB_ASSERT(packed == size);
    cb_buf_commit(out, size);
}

char *wire_text(struct wire_arena *a, struct cb_span s)
{
    char *text = wire_arena_take(a, s.len + 1);
    if (s.len > 0) {
        memcpy(text, s.ptr, s.len);
    }
    text[s.len] = '\0';
    return text;
}

enum wire_error wire_check_text(struct cb_span s, size_t max)
{
    if (s.len > max) {
        return WIRE_BAD_LENGTH;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < ' ' || s.ptr[i] >= 0x7f) {
            return WIRE_BAD_RANGE;
        }
    }
    return WIRE_OK;
}
