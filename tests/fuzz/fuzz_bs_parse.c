/* Proves that no bytes break the parser, and that its outcomes do not depend on where they are cut.
 *
 * The first bytes of the input choose the limit and the seed of the cuts; the rest is what the
 * client sends. transcript.c asserts what each outcome promises. */
#include "common/base/cb_mem.h"
#include "common/base/cb_rng.h"
#include "unit/proxy/protocol/transcript.h"

#define HEAD_LEN 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Pieces of 1 to `piece_max` bytes, each in memory of its own, so that a read behind it shows. */
static struct cb_buf parse(struct cb_span in, uint32_t limit, struct cb_rng *rng, size_t piece_max)
{
    struct bs_parser p;
    bs_parser_init(&p, limit);
    struct cb_buf out = CB_BUF_NULL;
    while (in.len > 0) {
        size_t len = piece_max >= in.len ? in.len : 1 + (size_t)cb_rng_below(rng, piece_max);
        uint8_t *copy = cb_memdup(in.ptr, len);
        transcript_feed(&out, &p, cb_span(copy, len));
        cb_free(copy);
        in = cb_span(in.ptr + len, in.len - len);
    }
    bs_parser_fini(&p);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size <= HEAD_LEN) {
        return 0;
    }
    uint32_t limit = data[0];
    struct cb_rng rng;
    cb_rng_init(&rng, (uint64_t)data[1] | (uint64_t)data[2] << 8 | (uint64_t)data[3] << 16);
    struct cb_span in = cb_span(data + HEAD_LEN, size - HEAD_LEN);
    struct cb_buf whole = parse(in, limit, &rng, SIZE_MAX);
    static const size_t piece_max[] = {1, 7, 300};
    for (size_t i = 0; i < sizeof(piece_max) / sizeof(piece_max[0]); i++) {
        struct cb_buf cut = parse(in, limit, &rng, piece_max[i]);
        CB_ASSERT(cb_span_eq(cb_buf_span(&whole), cb_buf_span(&cut)));
        cb_buf_fini(&cut);
    }
    cb_buf_fini(&whole);
    return 0;
}
