/* The form of a dump: a state on its way to another node, as a stream of bytes.
 *
 *     header   u64 magic | u32 version | u32 length, cluster | meta record | u64 checksum of all
 * before record   u32 key length (> 0) | u32 value length | u64 checksum | key | value trailer  u32
 * 0 | u32 0 | u64 number of records | u64 sum of their checksums | u64 digest
 *
 * Records come in the order of their keys. The digest rolls over the header's checksum and those of
 * the records in turn, so that a stream that lost, doubled or swapped records does not end well.
 * Numbers are little-endian.
 *
 * Threads: one per writer or reader. */
#ifndef CB_NODE_STORE_STORE_DUMP_H
#define CB_NODE_STORE_STORE_DUMP_H

#include "node/store/store.h"

struct store_dump_writer {
    store_write_fn fn;
    void *data;
    struct cb_buf buf; /* handed to `fn` when it has reached some size */
    uint64_t count;
    uint64_t sum;
    uint64_t digest;
};

void store_dump_writer_init(struct store_dump_writer *w, store_write_fn fn, void *data);
void store_dump_writer_fini(struct store_dump_writer *w);
/* In this order; false when `fn` said so. */
bool store_dump_header(struct store_dump_writer *w,
                       const char *cluster,
                       const struct store_meta *meta);
bool store_dump_record(struct store_dump_writer *w, struct cb_span key, struct cb_span value);
bool store_dump_trailer(struct store_dump_writer *w);

struct store_dump_reader {
    store_read_fn fn;
    void *data;
    struct cb_buf buf;
    size_t used; /* of `buf`, by what was returned last */
    uint64_t count;
    uint64_t sum;
    uint64_t digest;
};

void store_dump_reader_init(struct store_dump_reader *r, store_read_fn fn, void *data);
void store_dump_reader_fini(struct store_dump_reader *r);
/* STORE_WRONG_IDENTITY when it is the state of another cluster. The wall time of the meta record is
 * the sender's and becomes 0: unknown. */
CB_MUST_USE enum store_result store_dump_read_header(struct store_dump_reader *r,
                                                     const char *cluster,
                                                     struct store_meta *meta,
                                                     struct store_error *err);
/* The next record, verified, borrowed until the next call; STORE_NOT_FOUND after the last one, when
 * the trailer has proven that all were there. */
CB_MUST_USE enum store_result store_dump_read_record(struct store_dump_reader *r,
                                                     struct cb_span *key,
                                                     struct cb_span *value,
                                                     struct store_error *err);

#endif
