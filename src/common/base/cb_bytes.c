#include "common/base/cb_bytes.h"

void cb_store_le(uint8_t *p, uint64_t v, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

uint64_t cb_load_le(const uint8_t *p, size_t len)
{
    uint64_t v = 0;
    for (size_t i = 0; i < len; i++) {
        v |= (uint64_t)p[i] << (8 * i);
    }
    return v;
}

void cb_put_u8(struct cb_buf *b, uint8_t v)
{
    cb_buf_append(b, &v, 1);
}

void cb_put_u32(struct cb_buf *b, uint32_t v)
{
    cb_store_le(cb_buf_reserve(b, 4), v, 4);
    cb_buf_commit(b, 4);
}

void cb_put_u64(struct cb_buf *b, uint64_t v)
{
    cb_store_le(cb_buf_reserve(b, 8), v, 8);
    cb_buf_commit(b, 8);
}

void cb_put_varint(struct cb_buf *b, uint64_t v)
{
    uint8_t *p = cb_buf_reserve(b, 10);
    size_t n = 0;
    while (v >= 0x80) {
        p[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    p[n++] = (uint8_t)v;
    cb_buf_commit(b, n);
}

void cb_put_bytes(struct cb_buf *b, struct cb_span s)
{
    cb_put_varint(b, s.len);
    cb_buf_append(b, s.ptr, s.len);
}

void cb_reader_init(struct cb_reader *r, struct cb_span s)
{
    /* An empty span may have no pointer; arithmetic on NULL is undefined. */
    static const uint8_t nothing;
    r->p = s.len > 0 ? s.ptr : &nothing;
    r->end = r->p + s.len;
    r->failed = false;
}

static bool take(struct cb_reader *r, size_t len)
{
    if (r->failed || (size_t)(r->end - r->p) < len) {
        r->failed = true;
        return false;
    }
    return true;
}

static uint64_t get_le(struct cb_reader *r, unsigned len)
{
    if (!take(r, len)) {
        return 0;
    }
    uint64_t v = cb_load_le(r->p, len);
    r->p += len;
    return v;
}

uint8_t cb_get_u8(struct cb_reader *r)
{
    return (uint8_t)get_le(r, 1);
}

uint32_t cb_get_u32(struct cb_reader *r)
{
    return (uint32_t)get_le(r, 4);
}

uint64_t cb_get_u64(struct cb_reader *r)
{
    return get_le(r, 8);
}

uint64_t cb_get_varint(struct cb_reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (!take(r, 1)) {
            return 0;
        }
        uint8_t byte = *r->p++;
        if ((shift == 63 && byte > 1) || (shift > 0 && byte == 0)) {
            break; /* overflow, or a longer form than needed */
        }
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return v;
        }
    }
    r->failed = true;
    return 0;
}

uint64_t cb_get_varint_max(struct cb_reader *r, uint64_t max)
{
    uint64_t v = cb_get_varint(r);
    if (v > max) {
        r->failed = true;
        return 0;
    }
    return v;
}

struct cb_span cb_get_bytes(struct cb_reader *r, size_t max)
{
    uint64_t len = cb_get_varint_max(r, max);
    if (!take(r, (size_t)len)) {
        return CB_SPAN_NULL;
    }
    struct cb_span s = cb_span(r->p, (size_t)len);
    r->p += len;
    return s;
}

bool cb_reader_done(const struct cb_reader *r)
{
    return !r->failed && r->p == r->end;
}
