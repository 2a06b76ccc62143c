/* Borrowed bytes: a pointer and a length, owned by somebody else. Lives as long as its owner says.
 */
#ifndef CB_COMMON_BASE_CB_SPAN_H
#define CB_COMMON_BASE_CB_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cb_span {
    const uint8_t *ptr; /* may be NULL only when len is 0 */
    size_t len;
};

#define CB_SPAN_NULL ((struct cb_span){NULL, 0})

static inline struct cb_span cb_span(const void *ptr, size_t len)
{
    return (struct cb_span){(const uint8_t *)ptr, len};
}

/* The bytes of a C string without its NUL. */
static inline struct cb_span cb_span_str(const char *s)
{
    return (struct cb_span){(const uint8_t *)s, strlen(s)};
}

static inline bool cb_span_eq(struct cb_span a, struct cb_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

#endif
