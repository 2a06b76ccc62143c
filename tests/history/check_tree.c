#include "history/check_tree.h"

#include "common/base/cb_mem.h"

void check_tree_init(struct check_tree *t, size_t count)
{
    t->leaves = 1;
    while (t->leaves < count) {
        t->leaves *= 2;
    }
    t->max = cb_calloc(2 * t->leaves, sizeof(*t->max));
}

void check_tree_fini(struct check_tree *t)
{
    cb_free(t->max);
}

void check_tree_set(struct check_tree *t, size_t place, uint64_t value)
{
    size_t i = t->leaves + place;
    t->max[i] = value;
    for (i /= 2; i >= 1; i /= 2) {
        t->max[i] = t->max[2 * i] > t->max[2 * i + 1] ? t->max[2 * i] : t->max[2 * i + 1];
    }
}

size_t check_tree_next(const struct check_tree *t, size_t from, size_t to, uint64_t bound)
{
    if (from >= to) {
        return to;
    }
    /* Up and to the right until a subtree has one, then down to its leftmost. */
    size_t i = t->leaves + from;
    while (t->max[i] <= bound) {
        while (i % 2 == 1) {
            i /= 2;
        }
        if (i == 0) {
            return to;
        }
        i++;
    }
    while (i < t->leaves) {
        i = t->max[2 * i] > bound ? 2 * i : 2 * i + 1;
    }
    return i - t->leaves < to ? i - t->leaves : to;
}
