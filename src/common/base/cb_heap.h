/* A binary min-heap of intrusive nodes under a total order, removable from any place in O(log n).
 *
 * The order must be total (break ties by an id): then the heap's top is a function of its contents
 * alone, on every machine.
 * Owns:     its array of pointers; not the nodes.
 * Threads:  one. */
#ifndef CB_COMMON_BASE_CB_HEAP_H
#define CB_COMMON_BASE_CB_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CB_HEAP_NONE UINT32_MAX

struct cb_heap_node {
    uint32_t pos; /* place in the array, CB_HEAP_NONE when in no heap */
};

/* True when `a` comes before `b`. */
typedef bool (*cb_heap_less_fn)(const struct cb_heap_node *a, const struct cb_heap_node *b);

struct cb_heap {
    struct cb_heap_node **nodes;
    uint32_t len;
    uint32_t cap;
    cb_heap_less_fn less;
};

void cb_heap_init(struct cb_heap *h, cb_heap_less_fn less);
void cb_heap_fini(struct cb_heap *h);

static inline void cb_heap_node_init(struct cb_heap_node *n)
{
    n->pos = CB_HEAP_NONE;
}

static inline bool cb_heap_node_is_in(const struct cb_heap_node *n)
{
    return n->pos != CB_HEAP_NONE;
}

/* NULL when empty. */
static inline struct cb_heap_node *cb_heap_top(const struct cb_heap *h)
{
    return h->len == 0 ? NULL : h->nodes[0];
}

/* `n` must be in no heap. */
void cb_heap_insert(struct cb_heap *h, struct cb_heap_node *n);
/* `n` must be in this heap. */
void cb_heap_remove(struct cb_heap *h, struct cb_heap_node *n);
/* To be called after the key of `n`, which is in this heap, has changed. */
void cb_heap_update(struct cb_heap *h, struct cb_heap_node *n);

#endif
