#include "common/base/cb_hash.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#define XXH_INLINE_ALL
#include <xxhash.h>
#pragma GCC diagnostic pop

uint64_t cb_hash(const void *p, size_t len)
{
    return XXH3_64bits(p, len);
}

uint64_t cb_hash_seeded(const void *p, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(p, len, seed);
}

uint64_t cb_hash_pieces(const struct cb_span *pieces, size_t count)
{
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len > 0) {
            XXH3_64bits_update(&state, pieces[i].ptr, pieces[i].len);
        }
    }
    return XXH3_64bits_digest(&state);
}
