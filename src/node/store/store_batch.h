/* Changed records on their way to the store: puts and deletes in one run of bytes.
 *
 * Owns:     copies of keys and values. store_commit takes it over.
 * Threads:  one at a time.
 * Errors:   none. */
#ifndef CB_NODE_STORE_STORE_BATCH_H
#define CB_NODE_STORE_STORE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cb_buf.h"
#include "common/base/cb_list.h"
#include "common/base/cb_span.h"
#include "node/store/store_meta.h"

struct store_batch {
    struct cb_list link;    /* in the queue of the store */
    struct store_meta meta; /* set by store_commit */
    size_t n_ops;
    struct cb_buf ops;
};

struct store_batch *store_batch_create(void);
void store_batch_destroy(struct store_batch *b);

/* Keys have 1 to CB_STORE_KEY_MAX bytes, values up to CB_STORE_VALUE_MAX. A later operation on the
 * same key wins. */
void store_batch_put(struct store_batch *b, struct cb_span key, struct cb_span value);
void store_batch_del(struct store_batch *b, struct cb_span key);

/* What it holds in memory, near enough. */
size_t store_batch_bytes(const struct store_batch *b);

struct store_op {
    uint64_t prefix; /* first bytes of the key, big-endian: most comparisons end here */
    size_t seq;      /* place among all operations */
    struct cb_span key;
    struct cb_span value;
    bool is_put;
};

/* The operations of a list of batches (by store_batch.link), merged: in the order of the keys, each
 * key once, with the last operation on it. So a record that is put and deleted within the span is
 * one harmless delete, and the tree is walked from left to right. */
struct store_merge {
    struct store_op *ops;
    size_t n_ops;
};

/* Borrows from the batches. */
void store_merge_init(struct store_merge *m, const struct cb_list *batches);
void store_merge_fini(struct store_merge *m);

#endif
