/* Reads all that is stored again while the store is used, from the disk and not from the page
 * cache, and checks it: a bit that has flipped there, or a sector that was lost, is found while the
 * others still have the state, and not at the next start. Every live page of both tables is read:
 * its place in the tree, its own number, the order of keys, and the checksum of each value. Free
 * pages hold nothing, and LMDB's list of them has no checksum.
 *
 * A pass is cut into steps. Each has a read transaction of its own, so that no page is kept from
 * being used again for longer than a step takes.
 *
 * Owns:     a descriptor, some pages of memory.
 * Threads:  one at a time, any; others use the store meanwhile. Destroyed before the store closes.
 * Errors:   store_result: STORE_CORRUPT names file, place and what is wrong. */
#ifndef CB_NODE_STORE_STORE_SCRUB_H
#define CB_NODE_STORE_STORE_SCRUB_H

#include "node/store/store.h"

struct store_scrub;

/* `s` was opened by store_lmdb_open. */
struct store_scrub *store_scrub_create(struct store *s);
void store_scrub_destroy(struct store_scrub *c);

/* Reads about `bytes` more. `*read`: how many it were; `*is_pass`: everything was read once more.
 */
CB_MUST_USE enum store_result store_scrub_step(
    struct store_scrub *c, size_t bytes, size_t *read, bool *is_pass, struct store_error *err);

#endif
