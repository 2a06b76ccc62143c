/* Makes a log entry's bytes, item by item (entry.h).
 *
 * Owns:     the bytes until entry_builder_finish has handed them out.
 * Threads:  one.
 * Errors:   none: items are valid and few enough; who adds them keeps the bounds CB_ENTRY_*. */
#ifndef CB_NODE_ENTRY_ENTRY_BUILDER_H
#define CB_NODE_ENTRY_ENTRY_BUILDER_H

#include "common/base/cb_buf.h"
#include "node/entry/entry.h"

struct entry_builder {
    struct cb_buf bytes;
    uint32_t n_items;
};

void entry_builder_init(struct entry_builder *b);
void entry_builder_fini(struct entry_builder *b);

/* Drops the items, keeps the memory. */
void entry_builder_reset(struct entry_builder *b);

static inline uint32_t entry_builder_count(const struct entry_builder *b)
{
    return b->n_items;
}

/* Bytes of the entry so far, the header included. */
static inline size_t entry_builder_size(const struct entry_builder *b)
{
    return cb_buf_len(&b->bytes);
}

/* Appends the item's bytes to `out`: items can be made before it is known which entry takes them.
 */
void entry_item_encode(struct cb_buf *out, const struct jsm_item *item);

void entry_builder_add(struct entry_builder *b, const struct jsm_item *item);
/* The bytes of one item, as entry_item_encode made them. */
void entry_builder_add_encoded(struct entry_builder *b, struct cb_span item);

/* Fills in the header. The bytes are borrowed until the next reset; nothing can be added before. */
struct cb_span entry_builder_finish(struct entry_builder *b, const struct entry_header *h);

#endif
