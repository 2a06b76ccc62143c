#include "common/base/cb_buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/cb_mem.h"

#define BUF_CAP_MIN 256

void cb_buf_init(struct cb_buf *b)
{
    *b = CB_BUF_NULL;
}

void cb_buf_fini(struct cb_buf *b)
{
    cb_free(b->base);
    *b = CB_BUF_NULL;
}

uint8_t *cb_buf_reserve(struct cb_buf *b, size_t len)
{
    if (b->base == NULL && len == 0) {
        return NULL;
    }
    if (b->cap - b->end >= len) {
        return b->base + b->end;
    }
    size_t used = cb_buf_len(b);
    /* Move to the front only when that frees at least as much as it copies: amortised O(1). */
    if (b->start >= used && b->cap - used >= len) {
        memmove(b->base, b->base + b->start, used);
    } else {
        size_t cap = b->cap < BUF_CAP_MIN ? BUF_CAP_MIN : b->cap;
        while (cap - used < len) {
            CB_ASSERT(cap <= SIZE_MAX / 2);
            cap *= 2;
        }
        uint8_t *base = cb_malloc(cap);
        if (used > 0) {
            memcpy(base, b->base + b->start, used);
        }
        cb_free(b->base);
        b->base = base;
        b->cap = cap;
    }
    b->start = 0;
    b->end = used;
    return b->base + b->end;
}

void cb_buf_commit(struct cb_buf *b, size_t len)
{
    CB_ASSERT(len <= b->cap - b->end);
    b->end += len;
}

void cb_buf_append(struct cb_buf *b, const void *p, size_t len)
{
    if (len == 0) {
        return;
    }
    memcpy(cb_buf_reserve(b, len), p, len);
    b->end += len;
}

void cb_buf_append_str(struct cb_buf *b, const char *s)
{
    cb_buf_append(b, s, strlen(s));
}

void cb_buf_printf(struct cb_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *room = (char *)cb_buf_reserve(b, 128);
    int n = vsnprintf(room, b->cap - b->end, fmt, ap);
    va_end(ap);
    CB_ASSERT(n >= 0);
    size_t len = (size_t)n;
    if (len >= b->cap - b->end) {
        room = (char *)cb_buf_reserve(b, len + 1);
        va_start(ap, fmt);
        (void)vsnprintf(room, len + 1, fmt, ap); /* the length is known from the first call */
        va_end(ap);
    }
    b->end += len;
}

void cb_buf_consume(struct cb_buf *b, size_t len)
{
    CB_ASSERT(len <= cb_buf_len(b));
    b->start += len;
    if (b->start == b->end) {
        b->start = 0;
        b->end = 0;
    }
}

void cb_buf_clear(struct cb_buf *b)
{
    b->start = 0;
    b->end = 0;
}

void cb_buf_shrink(struct cb_buf *b, size_t keep)
{
    if (cb_buf_len(b) == 0 && b->cap > keep) {
        cb_buf_fini(b);
    }
}

struct cb_buf cb_buf_take(struct cb_buf *b)
{
    struct cb_buf taken = *b;
    *b = CB_BUF_NULL;
    return taken;
}
