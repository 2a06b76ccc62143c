/* The frames around what libraft carries for us: every one has a length and a checksum, checked
 * before its bytes are used.
 *
 *     entry   u32 length, u32 checksum, bytes, zeros up to a multiple of 8 (libraft requires it)
 *     marker  u64 magic, u64 index, u64 checksum: what a snapshot holds on disk (design D7)
 *
 * Numbers are little-endian.
 * Threads: any. */
#ifndef CB_NODE_REPLICA_REPLICA_FRAME_H
#define CB_NODE_REPLICA_REPLICA_FRAME_H

#include <stdbool.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_span.h"

#define REPLICA_MARKER_SIZE 24

size_t replica_entry_frame_size(size_t len);
/* `out` has room for replica_entry_frame_size(bytes.len). */
void replica_entry_frame_write(uint8_t *out, struct cb_span bytes);
CB_MUST_USE bool replica_entry_frame_read(struct cb_span frame, struct cb_span *bytes);

void replica_marker_write(uint8_t out[static REPLICA_MARKER_SIZE], uint64_t index);
CB_MUST_USE bool replica_marker_read(struct cb_span frame, uint64_t *index);

#endif
