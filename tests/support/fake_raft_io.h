/* Several machines in one process: disks, a network and time for struct raft_io, all in memory.
 *
 * Time is virtual and moves from event to event; the same seed and calls give the same run. What a
 * machine has on disk outlives its process: fake_node_crash drops the process (all memory that
 * libraft holds, what was being written, what was on the way to it), fake_node_boot starts another.
 * A write that was not reported as done is not on disk.
 *
 * Owns:     the machines and the global heap of libraft (raft_heap_set): one world at a time.
 * Threads:  one. */
#ifndef CB_TESTS_SUPPORT_FAKE_RAFT_IO_H
#define CB_TESTS_SUPPORT_FAKE_RAFT_IO_H

#include <raft.h>

#include "common/base/cb_list.h"
#include "common/base/cb_rng.h"

#define FAKE_NODES_MAX 8

struct fake_world;

struct fake_entry {
    raft_term term;
    enum raft_entry_type type;
    void *data;
    size_t len;
};

/* What a machine has on disk. */
struct fake_disk {
    raft_term term;
    raft_id vote;
    raft_index first; /* index of entries[0] */
    struct fake_entry *entries;
    size_t count;
    size_t cap;
    raft_index snapshot_index; /* 0: none */
    raft_term snapshot_term;
    raft_index snapshot_conf_index;
    struct raft_buffer snapshot_conf;
    struct raft_buffer snapshot_data;
};

struct fake_node {
    struct fake_world *world;
    raft_id id;
    char address[32];
    struct raft_io io;
    struct fake_disk disk;
    bool up;
    uint64_t epoch;      /* of the process: what was under way for an older one is dropped */
    struct cb_list heap; /* libraft's memory in this process */
    raft_io_tick_cb tick;
    raft_io_recv_cb recv;
    unsigned tick_ms;
    uint64_t disk_busy_until_ms;
    uint64_t disk_submitted; /* ordered writes */
    uint64_t disk_done;
    /* What a test sets. */
    unsigned disk_ms;                /* how long a write takes */
    unsigned snapshot_ms;            /* how long storing a snapshot takes */
    bool disk_stalled;               /* writes do not end */
    int append_status;               /* != 0: appends end with it */
    int set_term_rv;                 /* != 0: returned by set_term */
    bool cut_to[FAKE_NODES_MAX + 1]; /* by id: what it sends there is lost */
    unsigned puts;                   /* snapshots stored since boot */
};

/* Sees every message that is sent; may not keep it. */
typedef void (*fake_send_hook)(void *ctx, raft_id from, const struct raft_message *m);

struct fake_world *fake_world_create(uint64_t seed);
void fake_world_destroy(struct fake_world *w);
void fake_world_on_send(struct fake_world *w, fake_send_hook hook, void *ctx);
uint64_t fake_now_ms(const struct fake_world *w);

/* Ids are 1 to FAKE_NODES_MAX; the address is "ID". */
struct fake_node *fake_node_add(struct fake_world *w, raft_id id);
struct raft_io *fake_node_boot(struct fake_node *n);
void fake_node_crash(struct fake_node *n);
/* Calls into libraft from a test lie between these: its memory belongs to the node's process. They
 * nest. */
void fake_node_enter(struct fake_node *n);
void fake_node_leave(struct fake_node *n);

/* The next event; false when there is none. */
bool fake_world_step(struct fake_world *w);
void fake_world_run(struct fake_world *w, uint64_t ms);
/* Delivers a copy of `m` to `n` now. */
void fake_deliver(struct fake_node *n, const struct raft_message *m);
void fake_cut_off(struct fake_node *n, bool cut);

raft_index fake_disk_last(const struct fake_disk *d);
/* The disk forgets its last `count` entries. */
void fake_disk_lose(struct fake_disk *d, size_t count);

#endif
