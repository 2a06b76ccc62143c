/* A whole state on its way to a member inside an InstallSnapshot, in parts, so that heartbeats come
 * between them. To be removed with that way of sending a state (replica_dump.c): the marker alone
 * is an ordinary message.
 *
 *     REPLICA_NET_STATE        the head of the InstallSnapshot, which says how long the state is
 *     REPLICA_NET_STATE_PART   u64 offset, then up to CB_RAFT_STATE_PART bytes
 *
 * Owns:     what has come of one state: a second one, of whatever member, takes its place. It grows
 *           with what comes, up to CB_RAFT_DUMP_MAX, and goes with the sender's connection.
 * Threads:  the loop's only. */
#ifndef CB_NODE_REPLICA_REPLICA_STATE_H
#define CB_NODE_REPLICA_REPLICA_STATE_H

#include <raft.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_list.h"
#include "common/base/cb_span.h"

struct replica_net;

struct replica_states {
    struct cb_list sending; /* one to each member at most */
    uint64_t from;          /* of the one that is coming; 0: none */
    struct raft_message message;
    size_t have;
    size_t cap;
};

void replica_states_init(struct replica_states *s);
void replica_states_fini(struct replica_states *s);
/* Large enough to go this way. */
bool replica_state_is_large(const struct raft_message *m);
/* False: not accepted, `cb` is not called. */
CB_MUST_USE bool replica_state_send(struct replica_net *n,
                                    struct raft_io_send *req,
                                    const struct raft_message *m,
                                    raft_io_send_cb cb);
/* False: it makes no sense. */
CB_MUST_USE bool replica_state_begin(struct replica_net *n, uint64_t from, struct cb_span head);
/* Hands on the message when that was the last part. */
CB_MUST_USE bool
replica_state_part(struct replica_net *n, uint64_t from, const char *address, struct cb_span part);
/* The connection of `from` has ended. */
void replica_state_drop(struct replica_net *n, uint64_t from);

#endif
