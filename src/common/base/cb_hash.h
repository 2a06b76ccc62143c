/* Hashes of bytes: checksums of what lies on disk, digests of the state. Not for secrets.
 *
 * XXH3 with its fixed default seed, so that a digest is the same on every node and in every
 * process.
 * Threads:   any. */
#ifndef CB_COMMON_BASE_CB_HASH_H
#define CB_COMMON_BASE_CB_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/cb_span.h"

uint64_t cb_hash(const void *p, size_t len);
/* The hash of all pieces as if they lay in one run. */
uint64_t cb_hash_pieces(const struct cb_span *pieces, size_t count);
/* A hash that also depends on `seed`; with the last hash as the seed it is a rolling digest. */
uint64_t cb_hash_seeded(const void *p, size_t len, uint64_t seed);

/* Mixes one number (the finaliser of SplitMix64): a bijection. */
static inline uint64_t cb_hash_u64(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    return x;
}

#endif
