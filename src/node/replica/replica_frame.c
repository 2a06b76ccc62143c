#include "node/replica/replica_frame.h"

#include "common/base/cb_bytes.h"
#include "common/base/cb_hash.h"

#define ENTRY_HEADER_SIZE 8
#define MARKER_MAGIC UINT64_C(0x31304b52414d4243) /* "CBMARK01" */

size_t replica_entry_frame_size(size_t len)
{
    return (ENTRY_HEADER_SIZE + len + 7) & ~(size_t)7;
}

void replica_entry_frame_write(uint8_t *out, struct cb_span bytes)
{
    size_t size = replica_entry_frame_size(bytes.len);
    cb_store_le(out, bytes.len, 4);
    cb_store_le(out + 4, cb_hash(bytes.ptr, bytes.len), 4);
    memcpy(out + ENTRY_HEADER_SIZE, bytes.ptr, bytes.len);
    memset(out + ENTRY_HEADER_SIZE + bytes.len, 0, size - ENTRY_HEADER_SIZE - bytes.len);
}

bool replica_entry_frame_read(struct cb_span frame, struct cb_span *bytes)
{
    if (frame.len < ENTRY_HEADER_SIZE) {
        return false;
    }
    size_t len = (size_t)cb_load_le(frame.ptr, 4);
    /* The smallest frame that holds it, and no other: compared without overflow. */
    if (len > frame.len || replica_entry_frame_size(len) != frame.len) {
        return false;
    }
    *bytes = cb_span(frame.ptr + ENTRY_HEADER_SIZE, len);
    return (uint32_t)cb_hash(bytes->ptr, len) == cb_load_le(frame.ptr + 4, 4);
}

void replica_marker_write(uint8_t out[static REPLICA_MARKER_SIZE], uint64_t index)
{
    cb_store_le(out, MARKER_MAGIC, 8);
    cb_store_le(out + 8, index, 8);
    cb_store_le(out + 16, cb_hash(out, 16), 8);
}

bool replica_marker_read(struct cb_span frame, uint64_t *index)
{
    if (frame.len != REPLICA_MARKER_SIZE || cb_load_le(frame.ptr, 8) != MARKER_MAGIC ||
        cb_load_le(frame.ptr + 16, 8) != cb_hash(frame.ptr, 16)) {
        return false;
    }
    *index = cb_load_le(frame.ptr + 8, 8);
    return true;
}
