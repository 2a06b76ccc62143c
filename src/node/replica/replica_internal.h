/* What the files of this folder share. How the pieces lie around libraft:
 *
 *     owner -> replica_propose -> libraft -> r->raft.io: wrapped send, append, truncate, snapshot_*
 *     wire  -> wrapped recv (replica_guard_recv.c) -> libraft -> fsm -> owner's apply
 *
 * The raft_io that was handed in is wrapped in place: its functions are kept in `io` and replaced.
 * In place, because raft_uv keeps a pointer to that struct and updates its `capacity`. */
#ifndef CB_NODE_REPLICA_REPLICA_INTERNAL_H
#define CB_NODE_REPLICA_REPLICA_INTERNAL_H

#include <raft.h>

#include "common/base/cb_list.h"
#include "node/replica/replica.h"

/* Entries whose sizes are known: a power of two, more than libraft keeps. */
#define REPLICA_SIZES 4096

/* Of entries: to[i] is the sum of those from `first` to i, for the newest of each slot. */
struct replica_sizes {
    uint64_t first, next;
    uint64_t to[REPLICA_SIZES];
    uint64_t snapshot, before; /* the sum up to the last snapshot, as far as it is known */
};

/* The longest sentence for the operator. */
#define REPLICA_MESSAGE_MAX 512

/* Another member. */
struct replica_peer {
    uint64_t id;         /* 0: the slot is free */
    uint64_t heard_ms;   /* when something came from it; 0: never */
    uint64_t told_ms;    /* when it was last told to fetch the state; 0: never, or in vain */
    uint64_t wanted_ms;  /* told, or asked for a part of it here, or had more of the log */
    uint64_t told_index; /* of the snapshot */
    uint64_t had;        /* of the log, when that was last looked at */
    bool is_behind;      /* told, and it has not come close to the end of the log yet */
    bool is_slow;        /* it had the state, and was too far behind for the log again */
};

/* What a configuration is known by. */
struct replica_conf_mark {
    uint64_t committed;   /* index of the one that is known to be committed */
    uint64_t uncommitted; /* of the present one, 0: it is that */
};

/* A snapshot that is being taken or installed; libraft has at most one at a time. */
struct replica_put {
    bool active;
    bool install; /* trailing == 0 */
    bool submitted;
    uint64_t submitted_ms; /* of awake_ms */
    bool held_for_appends; /* counted once */
    bool cut_held;         /* install: the stored pair is being lowered */
    bool state_ready;      /* install: the owner has stored the state */
    unsigned trailing;
    struct replica_mark mark; /* of `snapshot` */
    uint64_t needs;           /* where the owner's state has to be, <= mark.index */
    uint64_t after_append;    /* appends up to this number come first */
    struct raft_io_snapshot_put *req;
    const struct raft_snapshot *snapshot;
    raft_io_snapshot_put_cb cb;
    struct raft_io_snapshot_put put; /* ours */
    struct raft_snapshot mended;     /* g16 */
};

struct replica {
    struct raft raft;
    struct raft_fsm fsm;
    struct raft_io io;       /* the functions as handed in */
    struct raft_io *raft_io; /* what was handed in, now with ours */
    raft_io_tick_cb raft_tick;
    raft_io_recv_cb raft_recv;

    struct replica_config config;
    struct replica_member members[CB_CLUSTER_NODES_MAX];
    struct replica_events events;
    struct replica_env env;
    struct replica_counters counters;
    char message[REPLICA_MESSAGE_MAX];
    enum replica_start_result refusal;
    bool initialised; /* raft_init was called */
    bool started;     /* raft_start has returned 0 */
    unsigned depth;   /* calls into libraft that are under way */
    bool leads;       /* replica_alone.c: as of the last call into libraft */

    /* replica_propose.c */
    struct cb_list requests;     /* struct request: raft_apply's own, oldest first */
    struct replica_mark applied; /* up to where the owner's state goes */
    uint64_t delivered;          /* the last index that libraft gave to the fsm */
    uint64_t live_above;         /* what the log held at start */
    struct replica_view view;    /* as last told */
    struct raft_transfer transfer;

    /* replica_disk.c */
    struct replica_sizes sizes; /* replica_threshold.c */
    struct cb_list disk_ops;    /* struct disk_op, in the order of libraft's calls */
    struct cb_list finished;    /* struct disk_op: appends on disk, not yet told to libraft */
    bool hold_appends;
    bool lowering;       /* the first of `disk_ops` waits for replica_lowered */
    uint64_t next_index; /* of the next entry appended */
    uint64_t append_seq; /* number of the last append */
    struct replica_mark appended;
    uint64_t awake_ms, last_tick_ms; /* replica_disk.c, "the watchdog" */
    uint64_t disk_moved_ms;          /* of awake_ms: a write ended, or the disk was full */
    uint64_t disk_full_ms;           /* the same: when it was last seen full */
    raft_term voted_term;            /* the last vote, so that a second one in a term is seen */
    raft_id voted_for;

    /* replica_gone.c */
    uint64_t link_ended; /* the leader's id, when its connection has ended */
    uint64_t heard_term; /* in which a leader spoke last, and when */
    uint64_t heard_ms;
    uint64_t stands_in_term; /* its leader is gone: for election at stands_at_ms; 0: no */
    uint64_t stands_at_ms;

    /* replica_members.c */
    struct raft_change change;                         /* libraft's while it lasts */
    struct replica_conf_mark told;                     /* to the owner */
    struct replica_member known[CB_CLUSTER_NODES_MAX]; /* by the word of another; id 0: free */
    size_t known_next;                                 /* the oldest */
    uint64_t promote_at_ms;                            /* not before then, after one that failed */

    /* replica_snapshot.c */
    struct replica_put put;
    struct replica_mark install_applied; /* where the state being installed goes */
    uint64_t durable;                    /* as the owner told */
    struct replica_peer peers[CB_CLUSTER_NODES_MAX];
    struct cb_list tells;   /* replica_behind.c: InstallSnapshots on their way */
    uint64_t pin_room;      /* bytes that the log which is kept may grow by */
    uint64_t propose_at_ms; /* no entry before then */
    bool is_slow;           /* proposals take their time */
    struct cb_list gets;
    struct replica_mark loaded_snapshot; /* while libraft sends what snapshot_get loaded (g6) */
};

/* Every call into libraft lies between these two; leaving the outermost tells the owner what has
 * changed, at a moment when libraft may be called again. */
void replica_enter(struct replica *r);
void replica_leave(struct replica *r);
_Noreturn void replica_die(struct replica *r, const char *fmt, ...) CB_PRINTF(2, 3);
struct replica *replica_of_io(const struct raft_io *io);
uint64_t replica_now_ms(struct replica *r);
/* The term of the entry at `index` as libraft has it in memory, 0 when it has none. */
uint64_t replica_trail_term(const struct raft *raft, uint64_t index);
/* The id's address in the group's present configuration, else as was told of it, else NULL. */
const char *replica_address_of(const struct replica *r, uint64_t id);
/* One voter per member; `out` is to be closed. */
void replica_configuration(const struct replica_config *c, struct raft_configuration *out);

/* replica_propose.c */
int replica_fsm_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result);
void replica_release_requests(struct replica *r, bool all);

/* replica_members.c */
void replica_member_text(const struct replica_member *m, char out[static CB_RAFT_SERVER_MAX]);
/* The part of such a text that is the address. */
const char *replica_text_address(const char *text);
/* At the end of a call into libraft, when it may be called again. */
void replica_members_tell(struct replica *r);
/* One that is a member by the word of another, or as replica_config says; NULL: none is. */
const struct replica_member *replica_known(const struct replica *r, uint64_t id);
/* As leader: brings members that have no vote closer to one. */
void replica_members_tick(struct replica *r);

/* replica_guard_recv.c: false means that the message was dropped and what it owned is freed. */
CB_MUST_USE bool replica_guard_recv(struct replica *r, struct raft_message *m);

/* replica_alone.c */
/* Leads without an election, in a term that is not its own yet: nothing may be sent. */
bool replica_alone_must_wait(const struct replica *r);
/* At the end of a call into libraft. */
void replica_alone_check(struct replica *r);

/* replica_voteless.c */
/* Hands the message to libraft. */
void replica_voteless_recv(struct replica *r, struct raft_io *io, struct raft_message *m);

/* replica_gone.c */
/* Another member asks for a vote: is there a leader in its way? */
void replica_gone_vote_asked(struct replica *r);
void replica_gone_heard_of(struct replica *r, uint64_t id);
/* The leader of `term` has spoken. */
void replica_gone_heard_leader(struct replica *r, uint64_t term);
/* Inside of replica_enter, libraft not at work. */
void replica_gone_check(struct replica *r);

/* replica_guard_send.c */
int replica_io_send(struct raft_io *io,
                    struct raft_io_send *req,
                    const struct raft_message *message,
                    raft_io_send_cb cb);

/* replica_disk.c */
int replica_io_load(struct raft_io *io,
                    raft_term *term,
                    raft_id *voted_for,
                    struct raft_snapshot **snapshot,
                    raft_index *start_index,
                    struct raft_entry *entries[],
                    size_t *n_entries);
int replica_io_set_term(struct raft_io *io, raft_term term);
int replica_io_set_vote(struct raft_io *io, raft_id id);
int replica_io_append(struct raft_io *io,
                      struct raft_io_append *req,
                      const struct raft_entry entries[],
                      unsigned n,
                      raft_io_append_cb cb);
int replica_io_truncate(struct raft_io *io, raft_index index);
/* Holds the cut that comes with an installed snapshot: everything above `mark` goes. */
void replica_disk_cut_for_install(struct replica *r, struct replica_mark mark);
/* The installed snapshot at `mark` is on disk: the log begins after it. */
void replica_disk_installed(struct replica *r, struct replica_mark mark);
/* True when appends up to number `seq` are on disk. */
bool replica_disk_done_up_to(const struct replica *r, uint64_t seq);
void replica_disk_check(struct replica *r);
void replica_disk_drop(struct replica *r);

/* replica_snapshot.c */
int replica_io_snapshot_put(struct raft_io *io,
                            unsigned trailing,
                            struct raft_io_snapshot_put *req,
                            const struct raft_snapshot *snapshot,
                            raft_io_snapshot_put_cb cb);
int replica_io_snapshot_get(struct raft_io *io,
                            struct raft_io_snapshot_get *req,
                            raft_io_snapshot_get_cb cb);
int replica_fsm_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs);
int replica_fsm_restore(struct raft_fsm *fsm, struct raft_buffer *buf);
/* Goes on with a snapshot that was held, when nothing holds it any more. */
void replica_put_continue(struct replica *r);
void replica_gets_drop(struct replica *r);

/* replica_behind.c */
/* The slot of a member. */
struct replica_peer *replica_peer_of(struct replica *r, uint64_t id);
/* Tells the member to fetch the state; calls `cb` once, perhaps now. */
void replica_send_install(struct replica *r,
                          struct raft_io_send *req,
                          const struct raft_message *message,
                          raft_io_send_cb cb);
/* Keeps the log while a member fetches the state. */
void replica_pin_log(struct replica *r);
/* An entry may be proposed now, as far as the room of a log that is kept goes. */
bool replica_has_pin_room(struct replica *r);
void replica_pin_room_taken(struct replica *r, size_t len);
void replica_tells_drop(struct replica *r);

/* replica_threshold.c */
void replica_size_note(struct replica *r, uint64_t index, size_t len);
/* `pinned`: a member fetches the state. */
void replica_threshold_set(struct replica *r, bool pinned);

#endif
