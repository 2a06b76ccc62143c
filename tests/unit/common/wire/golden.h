/* Bytes of a message as they were frozen: in hexadecimal, so that a difference can be read. */
#ifndef CB_UNIT_COMMON_WIRE_GOLDEN_H
#define CB_UNIT_COMMON_WIRE_GOLDEN_H

#include <stdio.h>

#include "common/base/cb_buf.h"

static inline void assert_golden(const struct cb_buf *b, const char *hex)
{
    struct cb_buf text = CB_BUF_NULL;
    struct cb_span s = cb_buf_span(b);
    for (size_t i = 0; i < s.len; i++) {
        cb_buf_printf(&text, "%02x", s.ptr[i]);
    }
    cb_buf_append(&text, "", 1);
    assert_string_equal((const char *)cb_buf_span(&text).ptr, hex);
    cb_buf_fini(&text);
}

#endif
