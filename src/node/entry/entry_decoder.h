/* Reads a log entry's bytes, every range checked (entry.h).
 *
 * Owns:     the array of items, reused from entry to entry.
 * Threads:  one per decoder.
 * Errors:   enum entry_result. What comes from the log was valid when it was proposed: the node
 * that reads something else has a bad disk or another version, and stops. */
#ifndef CB_NODE_ENTRY_ENTRY_DECODER_H
#define CB_NODE_ENTRY_ENTRY_DECODER_H

#include "common/base/cb_assert.h"
#include "node/entry/entry.h"

enum entry_result {
    ENTRY_OK,
    ENTRY_TRUNCATED, /* shorter than it says, or than a header */
    ENTRY_VERSION,   /* a format that this program does not know */
    ENTRY_CHECKSUM,
    ENTRY_MALFORMED, /* right checksum, wrong content: a bug of who wrote it */
};

struct entry_decoder {
    struct jsm_item *items;
    uint32_t cap;
};

void entry_decoder_init(struct entry_decoder *d);
void entry_decoder_fini(struct entry_decoder *d);

/* On ENTRY_OK `entry->items` is borrowed until the next decode, its spans live as long as `bytes`.
 */
CB_MUST_USE enum entry_result entry_decode(struct entry_decoder *d,
                                           struct cb_span bytes,
                                           struct entry_header *header,
                                           struct jsm_entry *entry);

/* One phrase for a log line. */
const char *entry_strerror(enum entry_result r);

#endif
