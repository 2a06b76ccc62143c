#include "common/base/cb_rng.h"

#include "common/base/cb_assert.h"
#include "common/base/cb_hash.h"

void cb_rng_init(struct cb_rng *r, uint64_t seed)
{
    r->state = seed;
}

uint64_t cb_rng_u64(struct cb_rng *r)
{
    r->state += UINT64_C(0x9e3779b97f4a7c15);
    return cb_hash_u64(r->state);
}

uint64_t cb_rng_below(struct cb_rng *r, uint64_t bound)
{
    CB_ASSERT(bound > 0);
    /* Reject the incomplete last range, so that no value is likelier than another. */
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t x;
    do {
        x = cb_rng_u64(r);
    } while (x >= limit);
    return x % bound;
}

bool cb_rng_chance(struct cb_rng *r, uint64_t num, uint64_t den)
{
    return cb_rng_below(r, den) < num;
}
