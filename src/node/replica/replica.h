/* One member of the Raft group: libraft behind a small, safe interface (design D4, D6, D7, D9,
 * D12).
 *
 * Entries are bytes; nothing here knows about jobs. Bytes that replica_propose takes come back
 * from `apply` on every member, in one order, once a majority has them on disk.
 * Owns:      libraft's state, the guards around it, the entries on their way; not the raft_io that
 *            is handed in (replica_uv.h makes the real one, a simulation its own).
 * Does not:  know the state that the entries make: the owner keeps it and tells up to which index.
 * Threads:   the loop's only; callbacks come on it. No callback may call replica_propose or
 *            replica_transfer except `role` and `turn`: the others come from inside of libraft.
 * Errors:    an error of the disk ends the process (D9); what the owner can answer is an enum.
 * Stops:     by the end of the process alone. replica_destroy frees what this layer allocated and
 *            leaves libraft's own memory to the end of the process or to the simulation's arena:
 *            libraft's own shutdown path would race with what its wrappers hold back. */
#ifndef CB_NODE_REPLICA_REPLICA_H
#define CB_NODE_REPLICA_REPLICA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_buf.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_span.h"

struct raft_io;
struct replica;

enum replica_member_role {
    REPLICA_VOTER,
    REPLICA_STANDBY, /* is sent the log, and does not count for majorities */
    REPLICA_SPARE,   /* is sent nothing yet */
};

struct replica_member {
    uint64_t id; /* > 0; never used again for another directory (design D12) */
    char name[CB_NODE_NAME_MAX + 1];
    char address[CB_ADDRESS_MAX]; /* host:port of its raft port */
    enum replica_member_role role;
};

/* A place in the log. */
struct replica_mark {
    uint64_t index; /* 0: none */
    uint64_t term;  /* 0: not known */
};

struct replica_config {
    /* Copied by replica_create. What a first configuration is made of; once there is one it alone
     * says who the members are, and these where a member is found that it does not know yet. Roles
     * are not looked at. */
    const struct replica_member *members;
    size_t member_count;
    size_t self;
    unsigned election_ms;
    unsigned heartbeat_ms;
    unsigned snapshot_threshold; /* entries; production never goes below the defaults (design D7) */
    unsigned snapshot_trailing;
    uint64_t log_bytes; /* with larger entries there are fewer of them in memory */
    unsigned inflight_max;
    unsigned disk_timeout_ms;     /* an append that takes longer ends the process */
    uint32_t seed;                /* of the election timeouts; 0: libraft's own */
    struct replica_mark applied;  /* up to where the owner's stored state goes */
    struct replica_mark appended; /* what the owner had stored of replica_appended */
};

/* The defaults; members, marks and seed are empty. */
void replica_config_default(struct replica_config *c);

enum replica_role {
    REPLICA_FOLLOWER,
    REPLICA_CANDIDATE,
    REPLICA_LEADER,
};

struct replica_view {
    enum replica_role role;
    uint64_t term;
    uint64_t leader_id; /* 0: none known */
    /* As leader: where its term begins. It serves once it has applied an entry above. */
    uint64_t term_start_index;
};

struct replica_entry {
    uint64_t index; /* rises; there are gaps */
    uint64_t term;
    bool live; /* false: it lay in the log when the process started */
    struct cb_span bytes;
};

struct replica_events {
    void *data;
    /* Every committed entry above the owner's state, in order. */
    void (*apply)(void *data, const struct replica_entry *e);
    /* Role, term or the known leader has changed. Entries of the time before are applied before. */
    void (*role)(void *data, const struct replica_view *view);
    /* replica_members may give something else than when this was called last. May be NULL. */
    void (*members)(void *data);
    /* An id wants to speak here that is no member, as far as this one knows. It may be a leader of
     * whose addition it has not heard, and never will without its messages: the owner finds out and
     * calls replica_know, not from within the call. `address` is where it says that it is reached.
     * Comes with each attempt. May be NULL. */
    void (*stranger)(void *data, uint64_t id, const char *address);
    /* Once per turn of the loop, after what was read in it: the moment to propose a batch. */
    void (*turn)(void *data);
    /* The owner calls replica_durable once its stored state has reached `index`: a snapshot there
     * waits for it, and until then the log before it is kept. */
    void (*want_durable)(void *data, uint64_t index);
    /* The stored pair must become `mark`, durably and after any commit under way; then the owner
     * calls replica_lowered. The log is cut only then. */
    void (*lower_appended)(void *data, struct replica_mark mark);
    /* A leader has a snapshot at `mark`, and this member is too far behind for the log: the owner
     * fetches the state of another member, at the index `at_least` or above (that is below the mark
     * when only entries of libraft's own lie between), and calls replica_install_done once it lies
     * durably beside the old one, or at once when its own state goes as far. What it stores carries
     * replica_appended of this member, not the pair of the other. */
    void (*install_state)(void *data, struct replica_mark mark, uint64_t at_least);
    /* Follows replica_install_done; between the two the owner stores nothing of its old state.
     * The log now begins after `mark`: swap the installed state in. Entries at or below its own
     * index are not applied to it. */
    void (*installed)(void *data, struct replica_mark mark);
};

/* What differs between the world and a simulation; time comes from the raft_io. */
struct replica_env {
    void *data;
    uint64_t (*free_bytes)(void *data); /* on the log's disk; NULL: always enough */
    /* Must not return. NULL: cb_die. */
    void (*die)(void *data, const char *sentence);
};

struct replica *replica_create(const struct replica_config *config,
                               const struct replica_events *events,
                               const struct replica_env *env,
                               struct raft_io *io);
void replica_destroy(struct replica *r);

/* Writes the first configuration into an empty log: the same on every member. Whether the directory
 * may be taken for a new one is the owner's to decide (design D12). False: it was not empty. */
CB_MUST_USE bool replica_bootstrap(struct replica *r);

enum replica_start_result {
    REPLICA_STARTED,
    REPLICA_LOG_UNREADABLE, /* damaged: see replica_message */
    REPLICA_LOG_SHORTER,    /* it has lost entries that it acknowledged: this id must not vote */
    REPLICA_STATE_BEHIND,   /* the owner's state ends before the log begins */
};

/* Loads the log, replays what is committed above the owner's state, takes part. After anything but
 * REPLICA_STARTED the only call left is replica_destroy. */
CB_MUST_USE enum replica_start_result replica_start(struct replica *r);
/* The sentence for the operator after a start that failed: what happened and what to do. */
const char *replica_message(const struct replica *r);

enum replica_propose_result {
    REPLICA_PROPOSED,
    REPLICA_NOT_LEADER, /* or leadership is being handed over */
    REPLICA_NO_SPACE,   /* a majority has no room on disk */
    REPLICA_BUSY,       /* CB_RAFT_BACKLOG_MAX entries wait for a majority */
};

/* Only REPLICA_PROPOSED means that the entry may come to be; that it has is told by `apply` alone.
 * `bytes` are copied; 1 to CB_ENTRY_SIZE_MAX of them. */
CB_MUST_USE enum replica_propose_result replica_propose(struct replica *r, struct cb_span bytes);

/* To member `id`, 0: to the best one. False: not leader, a transfer is under way, or no such
 * member. How it ends is told by `role`. */
CB_MUST_USE bool replica_transfer(struct replica *r, uint64_t id);

/* Who belongs to the group, in the order of its configuration: those of replica_config while there
 * is none. How many. `out` has room for CB_CLUSTER_NODES_MAX. */
size_t replica_members(const struct replica *r, struct replica_member *out);
/* The index of that configuration in the log; 0: there is none. */
uint64_t replica_members_index(const struct replica *r);
/* It is known to be committed; the one before it counts no more. */
bool replica_members_are_settled(const struct replica *r);

enum replica_change_result {
    REPLICA_CHANGE_BEGUN, /* it is in the log; replica_members tells how it goes on */
    REPLICA_CHANGE_NEEDLESS,
    REPLICA_CHANGE_NOT_LEADER, /* or leadership is being handed over */
    REPLICA_CHANGE_BUSY,     /* another change is under way, or this leader has committed nothing */
    REPLICA_CHANGE_NO_SPACE, /* a majority has no room on disk */
    REPLICA_CHANGE_TAKEN,    /* the id, the name or the address is another member's */
    REPLICA_CHANGE_TOO_MANY, /* there are CB_CLUSTER_NODES_MAX members */
    REPLICA_CHANGE_UNSAFE,   /* of those who would vote then, a majority does not answer now */
    REPLICA_CHANGE_SELF,     /* the leader itself is to go: it must hand over first */
};

/* A new member (its role is not looked at). It has no vote at first; whoever leads gives it one as
 * soon as it has the log. Its process may be started later. */
CB_MUST_USE enum replica_change_result replica_add(struct replica *r,
                                                   const struct replica_member *member);
/* That id is no member any more; its process learns of it from others. */
CB_MUST_USE enum replica_change_result replica_remove(struct replica *r, uint64_t id);

/* The owner's stored state is durable up to `index`. */
void replica_durable(struct replica *r, uint64_t index);
void replica_lowered(struct replica *r);
/* There is a leader, and it has spoken within the election timeout. */
bool replica_hears_leader(struct replica *r);
/* Member `id` fetches the state here: the log is kept for it for a while. */
void replica_state_asked(struct replica *r, uint64_t id);
/* `applied`: up to where the state goes from now on. It may be below the mark of install_state when
 * only entries of libraft's own lie between. */
void replica_install_done(struct replica *r, struct replica_mark applied);

/* The end of what is durable in the log here. The owner stores it with each commit of its state. */
struct replica_mark replica_appended(const struct replica *r);
/* Entries proposed and not yet committed. */
uint64_t replica_backlog(struct replica *r);

/* While held, a follower does not confirm what it has on disk: so a store that is behind slows the
 * leader down (design D6). It does not stand for election either; a leader is not held. Callbacks
 * may hold, and not release. */
void replica_hold_appends(struct replica *r, bool hold);

/* What the transport sees of another member. The connection that it had made has ended: it may have
 * died, or not. */
void replica_link_ended(struct replica *r, uint64_t id);
/* And its host refuses a new one: its process is gone. When it led, this member does not wait for
 * the election timeout: the members that are left stand for election one after the other, by their
 * ids, until one leads. */
void replica_member_gone(struct replica *r, uint64_t id);

/* For whoever runs the loop: the end of a turn. */
void replica_turn(struct replica *r);
/* True for an id of the group's present configuration. */
bool replica_is_member(const struct replica *r, uint64_t id);
/* May that id speak here, which says that it is reached at `address`? A member may, and who was
 * told of by replica_config or replica_know. */
bool replica_accepts(struct replica *r, uint64_t id, const char *address);
/* It is a member, as another one says: one of whose addition this one has not heard yet. There is
 * room for CB_CLUSTER_NODES_MAX; the oldest is forgotten. */
void replica_know(struct replica *r, const struct replica_member *member);

/* X(name, what). g*: the guards of docs/adr on libraft, which say what libraft does without them.
 */
#define REPLICA_COUNTERS(X)                                                                        \
    X(g0_unknown_sender, "messages from an id that is no member, or that make no sense")           \
    X(heard_by_word, "messages of one that is a member by the word of another alone")              \
    X(g1_cut_at_change, "entries cut before a configuration change that was not first")            \
    X(g2_install_while_busy, "snapshots refused while one was taken or installed")                 \
    X(g3_commit_would_go_back, "messages whose commit index would have lowered ours")              \
    X(g4_rejected_below_match, "rejections of what the follower had confirmed")                    \
    X(g6_snapshot_term, "snapshots sent with the term of the one that was loaded")                 \
    X(g7_put_held_for_appends, "snapshots held until earlier appends were on disk")                \
    X(g9_stale_leader, "snapshots and first entries of a leader of an older term")                 \
    X(g10_commit_while_installing, "commit indexes held back while installing")                    \
    X(g11_vote_not_candidate, "votes that came when not a candidate")                              \
    X(g12_entries_unbatched, "entries loaded into memory of their own")                            \
    X(g13_prevote_term, "refused pre-votes sent with our own term")                                \
    X(g14_from_zero, "entries from the beginning, after the log had been cut there")               \
    X(g15_silent_leader,                                                                           \
      "votes asked for when the leader had been silent for an election timeout")                   \
    X(members_changed, "configurations that this member put into the log as leader")               \
    X(members_change_failed, "configurations that could not be put there")                         \
    X(g16_members_of_snapshot, "snapshots whose members were those of before the last change")     \
    X(g17_term_of_its_own,                                                                         \
      "times the only member with a vote began a term, which libraft would not")                   \
    X(g18_asked_without_vote, "requests for a vote taken by a member that has none here")          \
    X(leaders_gone, "times the process that led was seen to be gone")                              \
    X(successions, "elections begun because of that, without waiting for a timeout")               \
    X(sends_to_unknown, "messages to an id whose address is not known")                            \
    X(puts_held_for_store, "snapshots held until the state was durable")                           \
    X(truncates_held, "cuts of the log held until the stored pair was lower")                      \
    X(installs_sent, "snapshots sent to members that are too far behind for the log")              \
    X(proposals_slowed, "entries after which the next waited for a member far behind")             \
    X(installs_repeated, "snapshots not sent again, so soon after the last")                       \
    X(markers_bad, "snapshots received with a wrong checksum")                                     \
    X(installs, "states installed")                                                                \
    X(snapshots, "snapshots taken")                                                                \
    X(entries_applied, "entries handed to the owner")                                              \
    X(entries_skipped, "entries that the owner's state held already")                              \
    X(disk_full_waits, "times an append was late while the disk was full")

struct replica_counters {
#define X(name, what) uint64_t name;
    REPLICA_COUNTERS(X)
#undef X
};

struct replica_peer_status {
    uint64_t id;
    char name[CB_NODE_NAME_MAX + 1];
    char address[CB_ADDRESS_MAX];
    enum replica_member_role role;
    bool match_known;     /* as leader, for the others */
    uint64_t match_index; /* what the leader knows to be on its disk */
};

struct replica_status {
    struct replica_view view;
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t last_index;
    uint64_t snapshot_index;
    struct replica_mark appended;
    bool installing;
    size_t peer_count; /* this member included */
    struct replica_peer_status peers[CB_CLUSTER_NODES_MAX];
    struct replica_counters counters;
};

void replica_status(struct replica *r, struct replica_status *out);
/* True while the log has something to write and the disk is full. */
bool replica_waits_for_room(const struct replica *r);

#endif
