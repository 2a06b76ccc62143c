/* Messages of libraft at random, and whether two are the same. */
#ifndef CB_UNIT_NODE_REPLICA_WIRE_MESSAGES_H
#define CB_UNIT_NODE_REPLICA_WIRE_MESSAGES_H

#include <raft.h>

#include "common/base/cb_buf.h"
#include "common/base/cb_rng.h"

/* As replica_wire_decode would make one; to be freed with replica_wire_free. */
void wire_message_random(struct cb_rng *rng, enum raft_message_type type, struct raft_message *m);
void wire_entries_make(struct raft_append_entries *a, unsigned n, size_t len, uint64_t term);
/* Head and bytes as they go into a frame. */
void wire_message_encode(const struct raft_message *m, struct cb_buf *out);
/* Fails the test when they differ. */
void wire_message_assert_equal(const struct raft_message *a, const struct raft_message *b);

#endif
