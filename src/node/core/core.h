/* One member of the cluster without its surroundings: the log brought to the job machine, the
 * machine's records to the store, states to and from other members, and the proposer over all of
 * it (design D2, D6, D7). Everything it touches is handed in, so that a simulation runs exactly
 * this code; sockets, libuv, options and the bootstrap rule are its owner's (node.c).
 *
 * Owns:     the job machine, the proposer, the spans on their way to the store, copies of the state
 *           for other members, an install from one.
 * Does not: open or close the store, create the replica, or know an address that it was not told.
 * Threads:  the loop's. The two parts of `work` are marked in core_env.
 * Errors:   what must end the process goes to `die`, which does not return. */
#ifndef CB_NODE_CORE_CORE_H
#define CB_NODE_CORE_CORE_H

#include "common/base/cb_limits.h"
#include "common/sys/cb_clock.h"
#include "node/proposer/proposer.h"
#include "node/replica/replica.h"
#include "node/store/store.h"

struct core;

/* Records changed since the last span are handed to the store when they are this old or this many:
 * rarely, so that a job that lives shortly never reaches the disk and the log has it to itself; not
 * so rarely that a drain is felt. */
#define CORE_SPAN_NS (200 * CB_NS_PER_MS)
#define CORE_SPAN_BYTES (4 * CB_MIB)

/* Between two questions to a member for its clock. */
#define CORE_ASK_CLOCK_NS (200 * CB_NS_PER_MS)
/* An answer that comes later than this is not used: so late may the clock be by it. */
#define CORE_CLOCK_LATE_NS (500 * CB_NS_PER_MS)

/* Between two questions to a member for its digests. */
#define CORE_ASK_DIGESTS_NS (5 * CB_NS_PER_S)
/* Between two looks of a leader at the free space of the members' disks (design D9), and how long
 * an answer counts. One who is silent for longer is down, or as good as that: it can take no entry.
 */
#define CORE_SPACE_NS CB_NS_PER_S
#define CORE_SPACE_SILENT_NS (10 * CB_NS_PER_S)
/* What nobody can say of a disk: it counts as room. */
#define CORE_SPACE_UNKNOWN UINT64_MAX

/* The answer to a question for a part of a state comes within this time, or not at all. */
#define CORE_STATE_LATE_NS (5 * CB_NS_PER_S)

enum core_timer {
    CORE_TIMER_PROPOSER, /* CLOCK_BOOTTIME */
    CORE_TIMER_SPAN,     /* CLOCK_MONOTONIC */
    CORE_TIMER_INSTALL,  /* CLOCK_MONOTONIC */
    CORE_TIMER_COPY,     /* CLOCK_MONOTONIC */
    CORE_TIMER_CLOCK,    /* CLOCK_MONOTONIC */
    CORE_TIMER_DIGEST,   /* CLOCK_MONOTONIC */
    CORE_TIMER_SPACE,    /* CLOCK_MONOTONIC */
    CORE_TIMER_COUNT
};

/* The state goes to another member in parts, each asked for by itself (design D7). */
struct core_state_ask {
    uint64_t copy;     /* as the first answer named it; 0: a new one, from its part 0 on */
    uint64_t part;     /* the one after the last, or the last one again */
    uint64_t at_least; /* of a new one: the state must be at this index or above */
};

enum core_state_result {
    CORE_STATE_PART,
    CORE_STATE_BEHIND,  /* the state there does not go as far */
    CORE_STATE_UNKNOWN, /* no such copy, or no more: ask for a new one */
    CORE_STATE_FAILED,  /* it cannot be read there */
};

/* All but the result is 0 unless that is CORE_STATE_PART. */
struct core_state_part {
    enum core_state_result result;
    uint64_t copy;
    uint64_t part;
    bool is_last;
    struct cb_span bytes; /* some CB_STATE_PART_SIZE of them, and at most CB_STATE_PART_MAX */
};

/* What a state was at a place in the log (design D8). */
struct core_checkpoint {
    uint64_t index;
    uint64_t digest;
};

struct core_digest_counters {
    uint64_t checkpoint;   /* the newest one's index, 0: none since the start */
    uint64_t same, differ; /* what others told, against the same checkpoint here */
};

/* How long the loop was kept at once, at the most, since the start. */
struct core_longest {
    uint64_t apply_ns; /* by one entry */
    uint64_t drain_ns; /* by what had changed, on its way to the store */
};

struct core_env {
    void *data;
    const struct cb_clock *clock;
    /* Call core_timer_fired when the timer's clock has reached `at_ns`; replaces the last one;
     * JSM_NEVER: not at all. */
    void (*set_timer)(void *data, enum core_timer which, uint64_t at_ns);
    /* `run(arg)` on another thread, then `done(arg)` on the loop. */
    void (*work)(void *data, void (*run)(void *arg), void (*done)(void *arg), void *arg);
    /* As in proposer_env. */
    void (*stream_send)(void *data, void *owner, const struct wire_to_proxy *message);
    bool (*stream_can_send)(void *data, void *owner);
    void (*stream_end)(void *data, void *owner, enum proposer_end why, const char *text);
    void (*stream_set_reading)(void *data, void *owner, bool on);
    void (*serving)(void *data, bool serving);
    /* The leader of `term` is known: the gRPC address of it, this member's own if it is that. */
    void (*led)(void *data, uint64_t term, const char *leader);
    /* True while the owner wants nothing proposed, e.g. because it hands leadership over. */
    bool (*must_wait)(void *data);
    /* Who belongs to the cluster (replica_members), or the role of one, has changed; also
     * from within the owner's own call that changes it. */
    void (*members)(void *data);
    /* As in replica_events. */
    void (*stranger)(void *data, uint64_t id, const char *address);
    /* The gRPC address of a member, "" when there is no such id. */
    const char *(*address_of)(void *data, uint64_t id);
    /* Ask that member what core_clock_tell gives there; core_clock_answered follows, not from
     * within the call, with NULL at the latest some CORE_CLOCK_LATE_NS later. */
    void (*ask_clock)(void *data, uint64_t id);
    /* Ask that member what core_digests_tell gives there; core_digests_answered follows if there is
     * an answer. */
    void (*ask_digests)(void *data, uint64_t id);
    /* The state of this member is not that of the others: it must hand over what it leads, and end
     * with that sentence, and not come back with this state. */
    void (*differs)(void *data, const char *sentence);
    /* Bytes that are free on the disk with the data directory; CORE_SPACE_UNKNOWN. */
    uint64_t (*free_space)(void *data);
    /* Ask that member for what free_space gives there; core_space_answered follows, not from within
     * the call, sooner or later. One question to a member at a time. */
    void (*ask_space)(void *data, uint64_t id);
    /* Ask that member for a part of its state; core_state_came follows, not from within the call,
     * with NULL at the latest some CORE_STATE_LATE_NS later. One question at a time. */
    void (*ask_state)(void *data, uint64_t id, const struct core_state_ask *ask);
    /* The answer to a core_state_asked; `part` lives until the end of this call. */
    void (*answer_state)(void *data, void *call, const struct core_state_part *part);
    /* Must not return. NULL: cb_die. */
    void (*die)(void *data, const char *sentence);
};

struct core_config {
    uint64_t self; /* node id */
    /* Ids of those who belong to the cluster, until the replica knows better. */
    uint64_t members[CB_CLUSTER_NODES_MAX];
    size_t n_members;
    uint64_t session_timeout_ns;
    struct jsm_limits limits;
    uint64_t reserve_space;     /* bytes that a majority keeps free for what makes room; 0: none */
    uint64_t body_cache;        /* bytes of bodies in memory (jsm_keep_bodies); 0: all of them */
    size_t state_part_size;     /* 0: CB_STATE_PART_SIZE, which is the most */
    size_t session_queue_bytes; /* as the proposer's */
    uint32_t steps;             /* as jsm_set_steps; 0: as in a daemon */
    const char *data_dir;       /* for sentences alone; lives as long as the core */
};

/* Loads the machine from the store, which the caller opened and closes after core_destroy; ends the
 * process by `die` when what is stored is not sound. */
struct core *
core_create(const struct core_config *config, const struct core_env *env, struct store *store);
/* Frees everything, as by kill -9: nothing is committed, no function of the environment or the
 * replica is called, and work under way must not run or be told as done any more. For a simulation:
 * a daemon ends with its process. */
void core_destroy(struct core *c);
/* What is applied is committed; the caller then closes the store, which waits for it. */
void core_commit_rest(struct core *c);

/* The pairs that replica_config wants. */
struct replica_mark core_stored_applied(const struct core *c);
struct replica_mark core_stored_appended(const struct core *c);
/* For replica_create. */
void core_replica_events(struct core *c, struct replica_events *out);
/* To be called with it before replica_start. `core_started` follows once that has succeeded; the
 * other members are asked for their clocks from then on. */
void core_set_replica(struct core *c, struct replica *r);
void core_started(struct core *c);

/* What the end of each turn of the loop does. */
void core_turn(struct core *c);
/* Before the loop sleeps: lets a store that is behind slow the leader down. */
void core_before_sleep(struct core *c);
void core_timer_fired(struct core *c, enum core_timer which);
/* On the loop, some time after the store's `notify`. */
void core_store_notified(struct core *c);

/* What this member says of its clock to one that asks, at any time. */
struct prop_clock_word core_clock_tell(const struct core *c);
/* What member `id` said, checked by its decoder; NULL: nothing. A turn follows. */
void core_clock_answered(struct core *c, uint64_t id, const struct prop_clock_word *word);

/* The newest checkpoints of this member, rising; how many. */
uint32_t core_digests_tell(const struct core *c,
                           struct core_checkpoint out[static CB_DIGESTS_TOLD]);
const struct core_digest_counters *core_digest_counters_get(const struct core *c);
struct core_longest core_longest(const struct core *c);
/* What member `id` said, checked by its decoder. */
void core_digests_answered(struct core *c,
                           uint64_t id,
                           const struct core_checkpoint *told,
                           uint32_t n);
/* What member `id` said; NULL: nothing. CORE_SPACE_UNKNOWN: it does not know. A turn follows. */
void core_space_answered(struct core *c, uint64_t id, const uint64_t *free_bytes);

/* Member `from` asks for a part of the state; `call` comes back with the answer, once, from within
 * this call or later. After core_state_stop each is answered at once. */
void core_state_asked(struct core *c, uint64_t from, const struct core_state_ask *ask, void *call);
/* What a member answered to the question that is open, checked by its decoder; NULL: nothing. */
void core_state_came(struct core *c, const struct core_state_part *part);
/* Before the service is closed. No question goes out any more. */
void core_state_stop(struct core *c);
/* A worker has the store, which must not be closed meanwhile. After core_state_stop that ends soon,
 * but for a state that is being loaded. */
bool core_is_busy(const struct core *c);

struct proposer *core_proposer(struct core *c);
const struct jsm *core_machine(const struct core *c);
/* As last told by the replica. */
const struct replica_view *core_view(const struct core *c);
/* Of the machine as it is, and what of it is durable. */
const struct store_meta *core_applied(const struct core *c);
const struct store_meta *core_durable(const struct core *c);

/* For a simulation's checkers, NULL else: the machine has applied the entry `e`, or took another
 * member's state over (`e` NULL). */
typedef void (*core_watch_fn)(void *data, const struct replica_entry *e, const struct jsm *machine);
void core_watch(struct core *c, core_watch_fn fn, void *data);

#endif
