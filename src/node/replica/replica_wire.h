/* The bytes of libraft's messages between members. Pure but for the memory of what was received.
 *
 *     u8 type, u8 version, then the fields of the type as u64, u16, u8; little-endian
 *     AppendEntries    u32 count, {u64 term, u8 type, u32 length} for each, then their bytes
 *     InstallSnapshot  u8 count, {u64 id, u8 role, varint length, address} for each member, u64
 *                      length of the marker, then the marker
 *
 * The head of a message is all but the bytes of its entries or its marker, which follow it. One
 * message has one form. A field that only a later libraft has does not travel: that needs another
 * version of the link's protocol (LINK_FRAME_VERSION).
 * Owns:     nothing; what a decoded message points to is raft_malloc's, as raft_uv makes it: the
 *           array of entries and one batch for all of them, the marker and the configuration.
 * Does not: fill in who has sent a message.
 * Threads:  any.
 * Errors:   replica_wire_decode says whether the bytes are a message that libraft may see. Nothing
 *           is allocated for what they claim beyond what they bring. */
#ifndef CB_NODE_REPLICA_REPLICA_WIRE_H
#define CB_NODE_REPLICA_REPLICA_WIRE_H

#include <raft.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_buf.h"

/* Of an entry, beside its bytes. */
#define REPLICA_WIRE_ENTRY_SIZE 13

void replica_wire_head(const struct raft_message *m, struct cb_buf *out);
/* Of a message of its own with `count` of the entries of `m` from `first` on. */
void replica_wire_append_head(const struct raft_append_entries *m,
                              unsigned first,
                              unsigned count,
                              struct cb_buf *out);

CB_MUST_USE bool replica_wire_decode(struct cb_span bytes, struct raft_message *out);
/* Frees what a decoded message owns. */
void replica_wire_free(struct raft_message *m);

/* raft_malloc, or the process ends. */
void *replica_wire_alloc(size_t size);

#endif
