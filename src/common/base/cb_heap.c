#include "common/base/cb_heap.h"

#include "common/base/cb_assert.h"
#include "common/base/cb_mem.h"

/* Arrays shrink when three quarters are unused, down to this. */
#define HEAP_CAP_MIN 8u

void cb_heap_init(struct cb_heap *h, cb_heap_less_fn less)
{
    *h = (struct cb_heap){.less = less};
}

void cb_heap_fini(struct cb_heap *h)
{
    cb_free(h->nodes);
    *h = (struct cb_heap){.less = h->less};
}

static void set_capacity(struct cb_heap *h, uint32_t cap)
{
    h->nodes = cb_realloc(h->nodes, (size_t)cap * sizeof(*h->nodes));
    h->cap = cap;
}

static void place(struct cb_heap *h, uint32_t pos, struct cb_heap_node *n)
{
    h->nodes[pos] = n;
    n->pos = pos;
}

static void sift_up(struct cb_heap *h, uint32_t pos)
{
    struct cb_heap_node *n = h->nodes[pos];
    while (pos > 0) {
        uint32_t parent = (pos - 1) / 2;
        if (!h->less(n, h->nodes[parent])) {
            break;
        }
        place(h, pos, h->nodes[parent]);
        pos = parent;
    }
    place(h, pos, n);
}

static void sift_down(struct cb_heap *h, uint32_t pos)
{
    struct cb_heap_node *n = h->nodes[pos];
    for (;;) {
        uint32_t child = 2 * pos + 1;
        if (child >= h->len) {
            break;
        }
        if (child + 1 < h->len && h->less(h->nodes[child + 1], h->nodes[child])) {
            child++;
        }
        if (!h->less(h->nodes[child], n)) {
            break;
        }
        place(h, pos, h->nodes[child]);
        pos = child;
    }
    place(h, pos, n);
}

void cb_heap_insert(struct cb_heap *h, struct cb_heap_node *n)
{
    CB_ASSERT(!cb_heap_node_is_in(n));
    CB_ASSERT(h->len < CB_HEAP_NONE / 2);
    if (h->len == h->cap) {
        set_capacity(h, h->cap == 0 ? HEAP_CAP_MIN : h->cap * 2);
    }
    place(h, h->len, n);
    h->len++;
    sift_up(h, n->pos);
}

void cb_heap_remove(struct cb_heap *h, struct cb_heap_node *n)
{
    CB_ASSERT(n->pos < h->len && h->nodes[n->pos] == n);
    uint32_t pos = n->pos;
    h->len--;
    if (pos != h->len) {
        place(h, pos, h->nodes[h->len]);
        cb_heap_update(h, h->nodes[pos]);
    }
    n->pos = CB_HEAP_NONE;
    if (h->cap > HEAP_CAP_MIN && h->len < h->cap / 4) {
        set_capacity(h, h->cap / 2);
    }
}

void cb_heap_update(struct cb_heap *h, struct cb_heap_node *n)
{
    CB_ASSERT(n->pos < h->len && h->nodes[n->pos] == n);
    sift_up(h, n->pos);
    sift_down(h, n->pos);
}
