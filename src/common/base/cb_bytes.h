/* Little-endian numbers, varints and strings in byte runs: how log entries and stored records are
 * written. A writer appends to a cb_buf; a reader checks every bound and remembers a failure, so
 * that a decoder reads all fields and asks once at the end. Numbers at fixed offsets, where the
 * caller knows the bounds, are stored and loaded in place.
 * Threads:   one per reader. */
#ifndef CB_COMMON_BASE_CB_BYTES_H
#define CB_COMMON_BASE_CB_BYTES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cb_buf.h"
#include "common/base/cb_span.h"

void cb_put_u8(struct cb_buf *b, uint8_t v);
void cb_put_u32(struct cb_buf *b, uint32_t v);
void cb_put_u64(struct cb_buf *b, uint64_t v);
/* LEB128, 1 to 10 bytes. */
void cb_put_varint(struct cb_buf *b, uint64_t v);
/* A varint length, then the bytes. */
void cb_put_bytes(struct cb_buf *b, struct cb_span s);

struct cb_reader {
    const uint8_t *p;
    const uint8_t *end;
    bool failed; /* once true, every read gives 0 or empty */
};

void cb_reader_init(struct cb_reader *r, struct cb_span s);
uint8_t cb_get_u8(struct cb_reader *r);
uint32_t cb_get_u32(struct cb_reader *r);
uint64_t cb_get_u64(struct cb_reader *r);
/* Fails on more than 10 bytes, on overflow, and on a longer form than needed: one value, one form.
 */
uint64_t cb_get_varint(struct cb_reader *r);
/* A varint that must be <= max. */
uint64_t cb_get_varint_max(struct cb_reader *r, uint64_t max);
/* Borrowed from the reader's bytes; fails when longer than `max`. */
struct cb_span cb_get_bytes(struct cb_reader *r, size_t max);
/* True when nothing failed and every byte was read. */
bool cb_reader_done(const struct cb_reader *r);

/* `len` bytes, at most 8, at `p`, which has them: nothing is checked. What `v` has above them is
 * dropped. */
void cb_store_le(uint8_t *p, uint64_t v, size_t len);
uint64_t cb_load_le(const uint8_t *p, size_t len);

#endif
