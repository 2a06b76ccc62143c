/* Several machines in one process: disks, a network and time for struct raft_io, all in memory.
 *
 * Time is virtual and moves from event to event; the same seed and calls give the same run. What a
 * machine has on disk outlives its process: fake_node_crash drops the process (all memory that
 * libraft holds, what was being written, what was on the way to it), fake_node_boot starts another.
 * A write that was reported as done is on disk; of those under way a crash keeps the first few, as
 * struct fake_disk_faults says. All faults are off until somebody sets them: the replica's own
 * tests set a few, the simulator of tests/sim all.
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
struct fake_node;

/* What events happen to: when it is gone they are dropped, while it is paused they wait. */
struct fake_process {
    struct fake_world *world;
    struct fake_node *node; /* whose memory libraft's is; NULL: it has no libraft */
    bool up;
    uint64_t epoch; /* rises with each start: what was under way for an older one is dropped */
    uint64_t paused_until_ns;
    /* After each event; NULL: nothing. */
    void (*after)(void *ctx);
    void *after_ctx;
    /* Its machine's clock. */
    int64_t drift_ppm;
    uint64_t clock_offset_ns;
};

struct fake_disk_faults {
    uint64_t min_ns, max_ns;  /* of a write; max 0: `disk_ms` */
    uint64_t snapshot_max_ns; /* of storing or loading a snapshot, now and then; 0: never */
    unsigned crash_keeps;     /* per mille: that the next write under way had reached the disk */
    unsigned crash_forgets;   /* per mille: that a reported one had not; a disk that lies */
    int load_status;          /* != 0: reading the log fails with it */
    void (*torn)(void *ctx);  /* told of each append that a crash has torn; NULL: nobody */
    void *torn_ctx;
};

/* Between all nodes. Per mille where nothing else is said. */
struct fake_net_faults {
    uint64_t min_ns, max_ns; /* of a message on its way; max 0: 1 to 2 ms */
    unsigned lost;
    unsigned late;    /* overtaken by later ones: it was on a connection that was replaced */
    unsigned twice;   /* no TCP does this; libraft ought to bear it */
    unsigned flipped; /* a bit of a snapshot's state on its way */
    unsigned held;    /* that the socket takes nothing for a while, after which all goes at once */
    unsigned told_lost; /* of those lost: that the sender is told so */
    uint64_t late_max_ns, held_max_ns;
};

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
    struct fake_process process;
    raft_id id;
    char address[32];
    struct raft_io io;
    struct fake_disk disk;
    struct cb_list heap;    /* libraft's memory in this process */
    struct cb_list writing; /* struct disk_op, in the order of their submission */
    raft_io_tick_cb tick;
    raft_io_recv_cb recv;
    unsigned tick_ms;
    uint64_t disk_busy_until_ns;
    uint64_t disk_submitted; /* ordered writes */
    uint64_t disk_done;
    /* What a test sets. */
    struct fake_disk_faults faults;
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
/* Told of each vote before it is stored, and of each that is erased: candidate 0, in the term that
 * is stored. */
typedef void (*fake_vote_hook)(void *ctx, raft_id voter, raft_term term, raft_id candidate);
void fake_world_on_vote(struct fake_world *w, fake_vote_hook hook, void *ctx);
uint64_t fake_now_ms(const struct fake_world *w);
uint64_t fake_now_ns(const struct fake_world *w);
struct fake_net_faults *fake_world_net(struct fake_world *w);
/* The socket of this link takes nothing for so long, unless it is full already. */
void fake_world_hold(struct fake_world *w, raft_id from, raft_id to, uint64_t ns);
/* The machine's own clock, which drifts, and the moment at which it will show `local_ns`. */
uint64_t fake_local_ns(const struct fake_process *p);
uint64_t fake_moment_of_ns(const struct fake_process *p, uint64_t local_ns);

/* ---- events ---- */

void fake_process_init(struct fake_process *p, struct fake_world *w);
void fake_process_start(struct fake_process *p);
void fake_process_end(struct fake_process *p);
/* Calls `run` at that time, or `drop` when this process has ended by then. */
void fake_at(struct fake_process *p,
             uint64_t at_ns,
             void (*run)(void *arg),
             void (*drop)(void *arg),
             void *arg);

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
/* When it will be; UINT64_MAX: never. */
uint64_t fake_world_next_ns(const struct fake_world *w);
/* After a longjmp out of an event: nobody is inside of any process any more. */
void fake_world_unwind(struct fake_world *w);
void fake_world_run(struct fake_world *w, uint64_t ms);
/* Delivers a copy of `m` to `n` now. */
void fake_deliver(struct fake_node *n, const struct raft_message *m);
void fake_cut_off(struct fake_node *n, bool cut);

raft_index fake_disk_last(const struct fake_disk *d);
/* The entry is on the disk, or within its snapshot. */
bool fake_disk_has(const struct fake_disk *d, raft_index index, raft_term term);
/* The disk forgets its last `count` entries. */
void fake_disk_lose(struct fake_disk *d, size_t count);

#endif
