#include "node/link/link_frame.h"

#include "common/base/cb_bytes.h"
#include "common/base/cb_hash.h"
#include "common/base/cb_limits.h"

#define MAGIC_SIZE 4
#define HASHED_SIZE 12 /* of the header: all before the checksum */

static const uint8_t magic[MAGIC_SIZE] = {'C', 'B', 'L', '1'};

void link_frame_header(uint8_t out[static LINK_FRAME_HEADER_SIZE],
                       uint8_t type,
                       uint32_t payload_len,
                       uint64_t payload_hash)
{
    memcpy(out, magic, MAGIC_SIZE);
    out[4] = LINK_FRAME_VERSION;
    out[5] = type;
    cb_store_le(out + 6, 0, 2);
    cb_store_le(out + 8, payload_len, 4);
    cb_store_le(out + 12, cb_hash_seeded(out, HASHED_SIZE, payload_hash), 8);
}

void link_decoder_init(struct link_decoder *d, size_t payload_max)
{
    *d = (struct link_decoder){.payload_max = payload_max, .last = LINK_FRAME_MORE};
    cb_buf_init(&d->payload);
}

void link_decoder_fini(struct link_decoder *d)
{
    cb_buf_fini(&d->payload);
}

static size_t payload_len(const struct link_decoder *d)
{
    return (size_t)cb_load_le(d->header + 8, 4);
}

static enum link_frame_result check_header(const struct link_decoder *d)
{
    if (d->header[4] != LINK_FRAME_VERSION) {
        return LINK_FRAME_OTHER_VERSION;
    }
    if (cb_load_le(d->header + 6, 2) != 0) {
        return LINK_FRAME_GARBAGE;
    }
    return payload_len(d) > d->payload_max ? LINK_FRAME_TOO_LONG : LINK_FRAME_READY;
}

/* What is no frame is told from its first bytes: whoever sent them may not send any more. */
static enum link_frame_result take_header(struct link_decoder *d, struct cb_span *in)
{
    if (d->header_len == LINK_FRAME_HEADER_SIZE) {
        return LINK_FRAME_READY;
    }
    size_t n = LINK_FRAME_HEADER_SIZE - d->header_len;
    n = n < in->len ? n : in->len;
    if (n > 0) {
        memcpy(d->header + d->header_len, in->ptr, n);
        d->header_len += n;
        *in = cb_span(in->ptr + n, in->len - n);
    }
    size_t known = d->header_len < MAGIC_SIZE ? d->header_len : MAGIC_SIZE;
    if (memcmp(d->header, magic, known) != 0) {
        return LINK_FRAME_GARBAGE;
    }
    return d->header_len < LINK_FRAME_HEADER_SIZE ? LINK_FRAME_MORE : check_header(d);
}

static enum link_frame_result
take_payload(struct link_decoder *d, struct cb_span *in, struct cb_span *payload)
{
    size_t have = cb_buf_len(&d->payload);
    size_t wanted = payload_len(d) - have;
    size_t n = wanted < in->len ? wanted : in->len;
    struct cb_span taken = n > 0 ? cb_span(in->ptr, n) : CB_SPAN_NULL;
    if (n > 0) {
        *in = cb_span(in->ptr + n, in->len - n);
    }
    if (have == 0 && n == wanted) { /* it lies in one piece already */
        *payload = taken;
        return LINK_FRAME_READY;
    }
    cb_buf_append(&d->payload, taken.ptr, taken.len);
    *payload = cb_buf_span(&d->payload);
    return n == wanted ? LINK_FRAME_READY : LINK_FRAME_MORE;
}

static enum link_frame_result
take(struct link_decoder *d, struct cb_span *in, struct link_frame *out)
{
    enum link_frame_result r = take_header(d, in);
    if (r == LINK_FRAME_READY) {
        r = take_payload(d, in, &out->payload);
    }
    if (r != LINK_FRAME_READY) {
        return r;
    }
    out->type = d->header[5];
    uint64_t hash = cb_hash(out->payload.ptr, out->payload.len);
    return cb_load_le(d->header + 12, 8) == cb_hash_seeded(d->header, HASHED_SIZE, hash)
               ? LINK_FRAME_READY
               : LINK_FRAME_DAMAGED;
}

enum link_frame_result
link_decoder_take(struct link_decoder *d, struct cb_span *in, struct link_frame *out)
{
    if (d->last == LINK_FRAME_READY) {
        d->header_len = 0;
        cb_buf_clear(&d->payload);
        cb_buf_shrink(&d->payload, CB_LINK_FRAME_KEEP);
    } else if (d->last != LINK_FRAME_MORE) {
        return d->last;
    }
    d->last = take(d, in, out);
    return d->last;
}
