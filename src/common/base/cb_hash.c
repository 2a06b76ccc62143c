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
