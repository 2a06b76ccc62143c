#include "common/base/cb_pool.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_mem.h"

/* A block is aligned to its size, so that an object finds its block by its address. */
#define BLOCK_SIZE ((size_t)64 * 1024)

struct block {
    struct cb_list link;
    uint32_t n_used;
    uint32_t n_fresh; /* objects at the end that were never taken */
    void *free;       /* objects given back, each pointing to the next */
};

#define HEADER_SIZE ((sizeof(struct block) + 15) & ~(size_t)15)

void cb_pool_init(struct cb_pool *p, size_t size)
{
    CB_ASSERT(size >= sizeof(void *) && size <= BLOCK_SIZE / 64);
    p->size = (size + 7) & ~(size_t)7;
    p->per_block = (uint32_t)((BLOCK_SIZE - HEADER_SIZE) / p->size);
    p->n_blocks = 0;
    cb_list_init(&p->partial);
    cb_list_init(&p->full);
}

static void free_all(struct cb_list *blocks)
{
    CB_LIST_FOREACH_SAFE(it, tmp, blocks)
    {
        cb_free(CB_CONTAINER(it, struct block, link));
    }
}

void cb_pool_fini(struct cb_pool *p)
{
    free_all(&p->partial);
    free_all(&p->full);
    cb_pool_init(p, p->size);
}

static struct block *new_block(struct cb_pool *p)
{
    struct block *b = cb_aligned_malloc(BLOCK_SIZE, BLOCK_SIZE);
    *b = (struct block){.n_fresh = p->per_block};
    cb_list_push_front(&p->partial, &b->link);
    p->n_blocks++;
    return b;
}

void *cb_pool_take(struct cb_pool *p)
{
    struct cb_list *first = cb_list_first(&p->partial);
    struct block *b = first != NULL ? CB_CONTAINER(first, struct block, link) : new_block(p);
    char *object = b->free;
    if (object != NULL) {
        memcpy(&b->free, object, sizeof(b->free));
    } else {
        object = (char *)b + HEADER_SIZE + (p->per_block - b->n_fresh) * p->size;
        b->n_fresh--;
    }
    b->n_used++;
    if (b->n_used == p->per_block) {
        cb_list_remove(&b->link);
        cb_list_push_back(&p->full, &b->link);
    }
    memset(object, 0, p->size);
    return object;
}

void cb_pool_give(struct cb_pool *p, void *object)
{
    struct block *b = (struct block *)((uintptr_t)object & ~(BLOCK_SIZE - 1));
    CB_ASSERT(b->n_used > 0);
    if (b->n_used == p->per_block) {
        cb_list_remove(&b->link);
        cb_list_push_back(&p->partial, &b->link);
    }
    memcpy(object, &b->free, sizeof(b->free));
    b->free = object;
    b->n_used--;
    bool has_other = p->partial.next != p->partial.prev;
    if (b->n_used == 0 && has_other) {
        cb_list_remove(&b->link);
        cb_free(b);
        p->n_blocks--;
    }
}
