/* Any bytes as a log entry: they decode or they do not, and what decodes has one form, so that it
 * is built again to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_hash.h"
#include "common/base/cb_mem.h"
#include "node/entry/entry_builder.h"
#include "node/entry/entry_decoder.h"

static void check(struct cb_span bytes)
{
    struct entry_decoder d;
    entry_decoder_init(&d);
    struct entry_header h;
    struct jsm_entry e;
    if (entry_decode(&d, bytes, &h, &e) == ENTRY_OK) {
        struct entry_builder b;
        entry_builder_init(&b);
        for (uint32_t i = 0; i < e.n_items; i++) {
            entry_builder_add(&b, &e.items[i]);
        }
        struct cb_span again = entry_builder_finish(&b, &h);
        CB_ASSERT(again.len <= bytes.len && memcmp(again.ptr, bytes.ptr, again.len) == 0);
        entry_builder_fini(&b);
    }
    entry_decoder_fini(&d);
}

/* The fuzzer will not guess a checksum: it is put in, with version and length. */
static void seal(uint8_t *p, size_t len)
{
    const uint8_t prefix[8] = {
        ENTRY_FORMAT,        0, 0, 0, (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)(len >> 16),
        (uint8_t)(len >> 24)};
    memcpy(p, prefix, sizeof(prefix));
    uint64_t sum = cb_hash_seeded(p + 16, len - 16, len);
    for (unsigned i = 0; i < 8; i++) {
        p[8 + i] = (uint8_t)(sum >> (8 * i));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(cb_span(data, size));
    if (size >= ENTRY_HEADER_SIZE) {
        uint8_t *copy = cb_memdup(data, size);
        seal(copy, size);
        check(cb_span(copy, size));
        cb_free(copy);
    }
    return 0;
}
