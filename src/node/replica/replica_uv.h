/* A replica on real disks and sockets: raft_uv below DIR/raft, links to the other members on the
 * raft port (replica_net.h).
 *
 * Owns:     the replica, the lock on DIR (DIR/raft.lock), the sockets; not the loop.
 * Does not: encrypt or authenticate: whoever reaches the port can pass for a member (design D11).
 *           Loopback or a private network only.
 * Threads:  the loop's only.
 * Errors:   as replica.h; a directory or an address that cannot be used ends the process with a
 *           sentence.
 * Stops:    with the process (replica.h). */
#ifndef CB_NODE_REPLICA_REPLICA_UV_H
#define CB_NODE_REPLICA_REPLICA_UV_H

#include "node/replica/replica.h"

struct uv_loop_s;
struct link_counters;
struct replica_uv;

struct replica_uv_config {
    const char *dir;     /* exists, is private to this process */
    const char *listen;  /* "host:port"; NULL: the member's own address */
    uint64_t cluster;    /* members of another one are turned away */
    size_t segment_size; /* of the log's files; 0: CB_RAFT_SEGMENT_SIZE */
};

/* True when DIR holds no raft log. */
bool replica_uv_is_empty(const char *dir);
/* Writes the first configuration, all or nothing. DIR must be empty, and whether it may be taken
 * for a new member's is the caller's to have found out (design D12). */
void replica_uv_bootstrap(const char *dir, const struct replica_config *config);

/* Locks DIR; makes the process ignore SIGPIPE. `config` is copied. */
struct replica_uv *replica_uv_open(struct uv_loop_s *loop,
                                   const struct replica_uv_config *uv,
                                   const struct replica_config *config,
                                   const struct replica_events *events);
struct replica *replica_uv_replica(struct replica_uv *u);
const struct link_counters *replica_uv_link_counters(const struct replica_uv *u);
/* Listens, then replica_start, and `turn` at the end of each turn of the loop. */
CB_MUST_USE enum replica_start_result replica_uv_start(struct replica_uv *u);

#endif
