/* A growable run of bytes, consumed from the front.
 *
 * Owns:     its memory; cb_buf_fini gives it back.
 * Threads:  one.
 * Errors:   none (cb_mem.h). It has no bound of its own: its user has one and checks it. */
#ifndef CB_COMMON_BASE_CB_BUF_H
#define CB_COMMON_BASE_CB_BUF_H

#include "common/base/cb_assert.h"
#include "common/base/cb_span.h"

struct cb_buf {
    uint8_t *base;
    size_t start; /* first byte not yet consumed */
    size_t end;   /* one past the last byte */
    size_t cap;
};

#define CB_BUF_NULL ((struct cb_buf){NULL, 0, 0, 0})

void cb_buf_init(struct cb_buf *b);
void cb_buf_fini(struct cb_buf *b);

static inline size_t cb_buf_len(const struct cb_buf *b)
{
    return b->end - b->start;
}

static inline struct cb_span cb_buf_span(const struct cb_buf *b)
{
    if (b->start == b->end) {
        return CB_SPAN_NULL; /* there may be no memory, and NULL + 0 is undefined */
    }
    return (struct cb_span){b->base + b->start, b->end - b->start};
}

/* Room for `len` more bytes, contiguous; write there, then cb_buf_commit what was written. */
uint8_t *cb_buf_reserve(struct cb_buf *b, size_t len);
void cb_buf_commit(struct cb_buf *b, size_t len);

void cb_buf_append(struct cb_buf *b, const void *p, size_t len);
void cb_buf_append_str(struct cb_buf *b, const char *s);
void cb_buf_printf(struct cb_buf *b, const char *fmt, ...) CB_PRINTF(2, 3);

/* Drops `len` bytes from the front. */
void cb_buf_consume(struct cb_buf *b, size_t len);
/* Drops all bytes, keeps the memory. */
void cb_buf_clear(struct cb_buf *b);
/* Gives back memory above `keep` bytes when the buffer is empty, so that a peak does not stay. */
void cb_buf_shrink(struct cb_buf *b, size_t keep);
/* Moves the bytes out: the caller owns the returned buffer, `b` is empty. */
struct cb_buf cb_buf_take(struct cb_buf *b);

#endif
