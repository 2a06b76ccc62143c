/* Any bytes as what comes on a connection: however they are split, the same frames come out and it
 * ends the same; what waits is no more than what has come. */
#include "common/base/cb_hash.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "node/link/link_frame.h"
#include "node/link/link_hello.h"

struct outcome {
    uint64_t digest; /* of the frames */
    size_t frames;
    enum link_frame_result last;
};

static void take_frame(struct outcome *o, const struct link_frame *f)
{
    struct link_hello h;
    o->frames++;
    o->digest = cb_hash_seeded(f->payload.ptr, f->payload.len, o->digest + f->type);
    if (link_hello_decode(&h, f->payload)) {
        struct cb_buf again = CB_BUF_NULL;
        link_hello_encode(&h, &again);
        CB_ASSERT(cb_span_eq(cb_buf_span(&again), f->payload));
        cb_buf_fini(&again);
    }
}

/* In pieces of the lengths that `splits` says; 0: all that is left. */
static struct outcome run(struct cb_span in, struct cb_span splits)
{
    struct outcome o = {.last = LINK_FRAME_MORE};
    struct link_decoder d;
    size_t fed = 0;
    link_decoder_init(&d, CB_LINK_FRAME_MAX);
    for (size_t i = 0; in.len > 0; i++) {
        size_t len = splits.len == 0 ? 0 : splits.ptr[i % splits.len] % 32u;
        len = len == 0 || len > in.len ? in.len : len;
        struct cb_span piece = cb_span(in.ptr, len);
        struct link_frame f;
        fed += len;
        in = cb_span(in.ptr + len, in.len - len);
        while ((o.last = link_decoder_take(&d, &piece, &f)) == LINK_FRAME_READY) {
            take_frame(&o, &f);
        }
        CB_ASSERT(d.payload.cap <= 2 * fed + 512);
        if (o.last != LINK_FRAME_MORE) {
            break;
        }
        CB_ASSERT(piece.len == 0);
    }
    link_decoder_fini(&d);
    return o;
}

static void check(struct cb_span in)
{
    struct outcome whole = run(in, CB_SPAN_NULL);
    struct outcome split = run(in, in);
    CB_ASSERT(whole.frames == split.frames && whole.digest == split.digest);
    CB_ASSERT(whole.last == split.last);
}

/* The fuzzer will not guess a checksum: headers are put in, with the types and lengths that are
 * there. */
static void seal(uint8_t *p, size_t len)
{
    while (len >= LINK_FRAME_HEADER_SIZE) {
        size_t left = len - LINK_FRAME_HEADER_SIZE;
        size_t n = p[8] + 256u * p[9];
        n = n < left ? n : left;
        uint8_t *payload = p + LINK_FRAME_HEADER_SIZE;
        link_frame_header(p, p[5], (uint32_t)n, cb_hash(payload, n));
        p = payload + n;
        len = left - n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(cb_span(data, size));
    if (size >= LINK_FRAME_HEADER_SIZE) {
        uint8_t *copy = cb_memdup(data, size);
        seal(copy, size);
        check(cb_span(copy, size));
        cb_free(copy);
    }
    return 0;
}
