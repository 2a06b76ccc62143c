/* The seed of a random test: the first argument, else SEED of the environment, else 1. It is
 * printed, so that a failure can be had again. */
#ifndef CB_SUPPORT_SEED_H
#define CB_SUPPORT_SEED_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static inline uint64_t seed_of_test(int argc, char **argv)
{
    const char *text = argc > 1 ? argv[1] : getenv("SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 1;
    printf("SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    return seed;
}

#endif
