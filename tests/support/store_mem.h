/* The store of node/store/store.h in memory: for unit tests and simulations.
 *
 * It keeps only what was committed, and a commit happens when its user says so (store_mem_step), so
 * that every moment of a crash can be chosen. What survives a crash is a store_mem_disk.
 *
 * Owns:     the disk is the caller's; an open store borrows it.
 * Threads:  one; but an open copy may go to another. `notify` is called from store_mem_step, or
 *           from store_commit when `is_immediate`.
 * Errors:   as store.h; damage does not happen here. */
#ifndef CB_TESTS_SUPPORT_STORE_MEM_H
#define CB_TESTS_SUPPORT_STORE_MEM_H

#include "node/store/store.h"

struct store_mem_disk;

struct store_mem_disk *store_mem_disk_create(const char *cluster);
/* No store may be open on it. */
void store_mem_disk_destroy(struct store_mem_disk *d);
/* While it is full nothing becomes durable, and no incoming state comes in. */
void store_mem_disk_set_full(struct store_mem_disk *d, bool is_full);

struct store_mem_options {
    struct store_mem_disk *disk;
    bool
        is_immediate; /* each batch is durable when store_commit returns, unless the disk is full */
    void (*notify)(void *data);
    void *notify_data;
};

/* One store at a time is open on a disk. */
struct store *store_mem_open(const struct store_mem_options *options);
/* Makes the oldest batches durable, at most `n_max`, as one commit; returns how many. */
size_t store_mem_step(struct store *s, size_t n_max);
/* The end of a store as by kill -9: what was queued is gone, and an incoming state that is not
 * whole. */
void store_mem_crash(struct store *s);

#endif
