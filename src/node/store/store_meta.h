/* The meta record: which moment of the log the records are the state of.
 *
 * It is written in the same transaction as the records, with a version and a checksum of its own:
 *
 *     u32 version | u64 index, term, stamp_ns, wall_ns, log_digest, state_digest, appended_index,
 *     appended_term, record_count, record_sum | u64 checksum of all before (little-endian)
 *
 * That is version 1, which a dump carries. The stored one has version 2, with u64 txn before the
 * checksum: the number of LMDB's transaction that wrote it, which LMDB's root page has too, without
 * a checksum. Stored records of version 1 are read.
 *
 * Threads: any. */
#ifndef CB_NODE_STORE_STORE_META_H
#define CB_NODE_STORE_STORE_META_H

#include <stdint.h>

#include "common/base/cb_buf.h"
#include "common/base/cb_span.h"
#include "node/store/store_result.h"

#define STORE_META_VERSION 1u
#define STORE_META_SIZE (4 + 10 * 8 + 8)
#define STORE_META_STORED_VERSION 2u
#define STORE_META_STORED_SIZE (STORE_META_SIZE + 8)
#define STORE_META_NO_TXN 0u /* of version 1; no transaction has it */

struct store_meta {
    uint64_t index; /* of the last entry applied; 0: none */
    uint64_t term;
    uint64_t stamp_ns; /* cluster clock at that entry (design D2) */
    uint64_t wall_ns;  /* this node's wall clock when it was applied */
    uint64_t log_digest;
    uint64_t state_digest;
    uint64_t appended_index; /* highest log entry this node has acknowledged (design D12) */
    uint64_t appended_term;
    uint64_t record_count; /* the store's own: how many records there are */
    uint64_t record_sum;   /* the store's own: sum of all records' checksums */
};

/* Appends STORE_META_SIZE bytes. */
void store_meta_encode(const struct store_meta *meta, struct cb_buf *out);
/* STORE_NEWER_FORMAT or STORE_CORRUPT; `where` is named in the sentence. */
CB_MUST_USE enum store_result store_meta_decode(struct cb_span bytes,
                                                const char *where,
                                                struct store_meta *out,
                                                struct store_error *err);

/* Appends STORE_META_STORED_SIZE bytes. */
void store_meta_encode_stored(const struct store_meta *meta, uint64_t txn, struct cb_buf *out);
/* As store_meta_decode; of either version. */
CB_MUST_USE enum store_result store_meta_decode_stored(struct cb_span bytes,
                                                       const char *where,
                                                       struct store_meta *out,
                                                       uint64_t *txn,
                                                       struct store_error *err);

/* The checksum a value is stored with; it depends on the key too, so that a value found under
 * another key does not pass. */
uint64_t store_record_checksum(struct cb_span key, struct cb_span value);

#endif
