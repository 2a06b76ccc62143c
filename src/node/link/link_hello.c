#include "node/link/link_hello.h"

#include "common/base/cb_bytes.h"

void link_hello_encode(const struct link_hello *h, struct cb_buf *out)
{
    cb_put_u64(out, h->cluster);
    cb_put_u64(out, h->from);
    cb_put_u64(out, h->to);
    cb_put_bytes(out, cb_span_str(h->address));
}

/* It ends up in log lines. */
static bool is_printable(struct cb_span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~' || s.ptr[i] == '"') {
            return false;
        }
    }
    return s.len > 0;
}

bool link_hello_decode(struct link_hello *h, struct cb_span bytes)
{
    struct cb_reader r;
    cb_reader_init(&r, bytes);
    *h = (struct link_hello){.cluster = cb_get_u64(&r)};
    h->from = cb_get_u64(&r);
    h->to = cb_get_u64(&r);
    struct cb_span address = cb_get_bytes(&r, sizeof h->address - 1);
    if (!cb_reader_done(&r) || h->from == 0 || !is_printable(address)) {
        return false;
    }
    memcpy(h->address, address.ptr, address.len);
    return true;
}
