/* Objects of one size from large blocks: no header for each, so millions of small ones weigh what
 * they are. A freed object is used again by the pool; a block goes back when all of its objects are
 * free and another block has room.
 *
 * Owns:      its blocks; cb_pool_fini frees them with whatever still lies in them.
 * Threads:   one.
 * Errors:    none (cb_mem.h). */
#ifndef CB_COMMON_BASE_CB_POOL_H
#define CB_COMMON_BASE_CB_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/cb_list.h"

struct cb_pool {
    size_t size;            /* of an object, rounded up to what its alignment needs */
    uint32_t per_block;     /* objects */
    struct cb_list partial; /* blocks with a free object */
    struct cb_list full;    /* blocks without one */
    size_t n_blocks;
};

/* `size` is at most a 64th of a block (1 KiB). */
void cb_pool_init(struct cb_pool *p, size_t size);
void cb_pool_fini(struct cb_pool *p);
/* Zeroed. */
void *cb_pool_take(struct cb_pool *p) __attribute__((returns_nonnull));
void cb_pool_give(struct cb_pool *p, void *object);

#endif
