/* What the files of the fake machines share. */
#ifndef CB_TESTS_SUPPORT_FAKE_RAFT_INTERNAL_H
#define CB_TESTS_SUPPORT_FAKE_RAFT_INTERNAL_H

#include "common/base/cb_assert.h"
#include "common/base/cb_heap.h"
#include "common/base/cb_mem.h"
#include "support/fake_raft_io.h"

struct fake_world {
    uint64_t now_ns;
    uint64_t seq;
    struct cb_heap events;
    struct cb_rng rng;
    struct raft_heap heap;
    struct fake_node *nodes[FAKE_NODES_MAX + 1];
    struct fake_node *inside[32]; /* whose memory is being allocated */
    unsigned depth;
    uint64_t link_busy_ns[FAKE_NODES_MAX + 1][FAKE_NODES_MAX + 1];
    /* The socket is full until then. */
    uint64_t link_held_ns[FAKE_NODES_MAX + 1][FAKE_NODES_MAX + 1];
    struct fake_net_faults net;
    fake_send_hook on_send;
    void *on_send_ctx;
    fake_vote_hook on_vote;
    void *on_vote_ctx;
};

static inline struct fake_node *fake_node_of(const struct raft_io *io)
{
    return io->impl;
}

#define FAKE_NS_PER_MS UINT64_C(1000000)

/* As fake_at, in the node's process. */
void fake_schedule(struct fake_node *n,
                   uint64_t at_ns,
                   void (*run)(struct fake_node *, void *),
                   void (*drop)(void *),
                   void *arg);
bool fake_chance(struct fake_world *w, unsigned per_mille);
uint64_t fake_between(struct fake_world *w, uint64_t min, uint64_t max);
/* Copies outside of any process, and of the process that runs. */
struct raft_buffer fake_copy(const void *p, size_t len);
void *fake_raft_dup(const void *p, size_t len);

/* Set the functions of their part. */
void fake_disk_use(struct raft_io *io);
void fake_net_use(struct raft_io *io);
void fake_disk_fini(struct fake_disk *d);
/* What of the writes under way has reached the disk. */
void fake_disk_crash(struct fake_node *n);

#endif
