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
 * Neither side waits for anything: the writer appends, the reader is fed with what has come.
 *
 * Owns:     the reader: the bytes of one record that has not come whole.
 * Threads:  one at a time per writer or reader.
 * Errors:   store_result. */
#ifndef CB_NODE_STORE_STORE_DUMP_H
#define CB_NODE_STORE_STORE_DUMP_H

#include "node/store/store.h"

struct store_dump_writer {
    uint64_t count;
    uint64_t sum;
    uint64_t digest;
};

/* In this order, each appended to `out`: the header once, which begins, the records, the trailer
 * once. */
void store_dump_write_header(struct store_dump_writer *w,
                             const char *cluster,
                             const struct store_meta *meta,
                             struct cb_buf *out);
void store_dump_write_record(struct store_dump_writer *w,
                             struct cb_span key,
                             struct cb_span value,
                             struct cb_buf *out);
void store_dump_write_trailer(const struct store_dump_writer *w, struct cb_buf *out);

struct store_dump_reader {
    struct cb_span fed; /* borrowed, what is left of it */
    struct cb_buf kept; /* of what was fed before, when it ended within a header or a record */
    size_t used;        /* bytes of what was returned last: it goes with the next call */
    uint64_t count;
    uint64_t sum;
    uint64_t digest;
    bool has_ended; /* the trailer has been read */
};

void store_dump_reader_init(struct store_dump_reader *r);
void store_dump_reader_fini(struct store_dump_reader *r);
/* The next bytes, cut anywhere. They are borrowed until a call below gives STORE_MORE, and only
 * then come the next ones. What it keeps is less than one record, and was fed: what a record claims
 * to be takes no memory. */
void store_dump_reader_feed(struct store_dump_reader *r, struct cb_span bytes);
/* STORE_MORE: feed, and call again. STORE_WRONG_IDENTITY when it is the state of another cluster.
 * The wall time of the meta record is the sender's and becomes 0: unknown. */
CB_MUST_USE enum store_result store_dump_read_header(struct store_dump_reader *r,
                                                     const char *cluster,
                                                     struct store_meta *meta,
                                                     struct store_error *err);
/* After the header: the next record, verified, borrowed until the next call. STORE_MORE: feed, and
 * call again. STORE_NOT_FOUND after the last one, when the trailer has proven that all were there;
 * bytes after it are STORE_BAD_DUMP. */
CB_MUST_USE enum store_result store_dump_read_record(struct store_dump_reader *r,
                                                     struct cb_span *key,
                                                     struct cb_span *value,
                                                     struct store_error *err);

#endif
