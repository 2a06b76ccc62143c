/* An LMDB database read from its file, past LMDB and its map: what lies on the disk, not what the
 * page cache has of it. For the scrub, which looks for bytes that have changed there, and for the
 * check of a start (store_free.h).
 *
 * The layout is that of LMDB's data format 1 on 64-bit little-endian machines (mdb.c, MDB_page,
 * MDB_node, MDB_db, MDB_meta). Every number is checked before it is followed, so that a damaged
 * page ends in a sentence and never in a fault.
 *
 * Owns:     a descriptor of the file and buffers for one page of each level.
 * Does not: know of transactions: the caller keeps the state from being written over.
 * Threads:  one at a time.
 * Errors:   STORE_CORRUPT: what lies there is not what was written; the sentence names file and
 *           page. STORE_IO: the disk refuses. */
#ifndef CB_NODE_STORE_STORE_PAGES_H
#define CB_NODE_STORE_STORE_PAGES_H

#include "node/store/store.h"

struct store_pages;

/* A table at the state of one transaction. */
struct store_pages_table {
    uint64_t root; /* STORE_PAGES_NONE: it is empty */
    uint64_t entries;
};

#define STORE_PAGES_NONE UINT64_MAX

enum store_pages_from {
    STORE_PAGES_DISK,  /* past the page cache, where the file system can do that */
    STORE_PAGES_CACHE, /* as any file: what is read here need not be read again */
};

/* Opens the file anew that `fd` has open; `name` is for sentences. */
CB_MUST_USE enum store_result store_pages_open(int fd,
                                               size_t page_size,
                                               const char *name,
                                               enum store_pages_from from,
                                               struct store_pages **out,
                                               struct store_error *err);
void store_pages_close(struct store_pages *p);

/* The table as transaction `txn` has it. STORE_NOT_FOUND: the root page of that transaction is not
 * there, since a later one has taken its place. */
CB_MUST_USE enum store_result store_pages_table(struct store_pages *p,
                                                uint64_t txn,
                                                const char *table,
                                                struct store_pages_table *out,
                                                struct store_error *err);

/* Gets key and stored value; anything but STORE_OK ends the walk with that. */
typedef enum store_result (*store_pages_fn)(void *data,
                                            struct cb_span key,
                                            struct cb_span stored,
                                            struct store_error *err);

/* Every entry whose key is above `after` (none: all), in order, until `bytes` were read: then
 * STORE_MORE, and it goes on with the key of the last entry given. */
CB_MUST_USE enum store_result store_pages_walk(struct store_pages *p,
                                               const struct store_pages_table *t,
                                               struct cb_span after,
                                               size_t bytes,
                                               store_pages_fn fn,
                                               void *data,
                                               struct store_error *err);
/* Read from the file so far. */
uint64_t store_pages_bytes(const struct store_pages *p);

#endif
