/* A seeded generator (SplitMix64): the same seed gives the same numbers everywhere. Tests, jitter
 * and identities use it with a seed handed in; the job state machine uses none.
 * Threads:   one per generator. */
#ifndef CB_COMMON_BASE_CB_RNG_H
#define CB_COMMON_BASE_CB_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct cb_rng {
    uint64_t state;
};

void cb_rng_init(struct cb_rng *r, uint64_t seed);
uint64_t cb_rng_u64(struct cb_rng *r);
/* Uniform in [0, bound); `bound` > 0. */
uint64_t cb_rng_below(struct cb_rng *r, uint64_t bound);
/* True with probability `num`/`den`. */
bool cb_rng_chance(struct cb_rng *r, uint64_t num, uint64_t den);

#endif
