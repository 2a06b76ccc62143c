/* libraft's messages over the links between members, in the place of raft_uv's own transport: that
 * one believes whatever a frame says (docs/adr/0007).
 *
 *     libraft -> guards -> io.send -> replica_wire -> link
 *     link -> replica_wire -> recv -> guards -> libraft
 *
 * raft_uv stays for the disk. It is handed a transport that does nothing, and its `send` and
 * `start` are replaced before the replica wraps them.
 * Owns:     the raft_io and, with its sockets, the link.
 * Threads:  the loop's only.
 * Errors:   a message that can't be sent is a lost one. */
#ifndef CB_NODE_REPLICA_REPLICA_NET_H
#define CB_NODE_REPLICA_REPLICA_NET_H

#include <raft.h>
#include <raft/uv.h>

#include "node/link/link.h"
#include "node/link/link_frame.h"
#include "node/replica/replica.h"

/* The one type of frames, see replica_wire.h. */
#define REPLICA_NET_MESSAGE LINK_FRAME_USER

struct replica_net {
    struct raft_io io;                  /* raft_uv's; `io.start` and `io.send` are ours */
    struct raft_uv_transport transport; /* for raft_uv_init */
    struct link *link;
    struct replica *replica; /* says who is a member; NULL: everybody may be */
    raft_io_recv_cb recv;    /* the guards; NULL until the start */
    int (*uv_start)(struct raft_io *io, unsigned ms, raft_io_tick_cb tick, raft_io_recv_cb recv);
};

/* The transport that does nothing. */
void replica_net_stub(struct raft_uv_transport *t);
/* After raft_uv_init of `io`, before replica_create. */
void replica_net_init(struct replica_net *n,
                      struct uv_loop_s *loop,
                      const struct link_config *config);

#endif
