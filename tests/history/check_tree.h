/* A row of numbers that is asked for the next above a bound, in O(log n).
 *
 * Owns:     its memory.
 * Threads:  one. */
#ifndef CB_TESTS_HISTORY_CHECK_TREE_H
#define CB_TESTS_HISTORY_CHECK_TREE_H

#include <stddef.h>
#include <stdint.h>

struct check_tree {
    uint64_t *max; /* of the leaves below; the root is max[1] */
    size_t leaves; /* a power of two */
};

/* All are 0. */
void check_tree_init(struct check_tree *t, size_t count);
void check_tree_fini(struct check_tree *t);
void check_tree_set(struct check_tree *t, size_t place, uint64_t value);
/* The first place from `from` on, and before `to`, with more than `bound`; `to`: there is none. */
size_t check_tree_next(const struct check_tree *t, size_t from, size_t to, uint64_t bound);

#endif
