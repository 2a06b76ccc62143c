/* What the files of this folder share: core.c puts the parts together, core_log.c brings entries to
 * the machine and the proposer's to the log, core_span.c the machine's records to the store,
 * core_copy.c and core_install.c states to and from other members, core_clock.c asks them for their
 * clocks, core_space.c for the room on their disks, core_digest.c for digests of their states;
 * core_bodies.c fetches bodies that are not in memory. */
#ifndef CB_NODE_CORE_CORE_INTERNAL_H
#define CB_NODE_CORE_CORE_INTERNAL_H

#include "common/base/cb_list.h"
#include "common/base/cb_map.h"
#include "node/core/core.h"
#include "node/entry/entry_decoder.h"

/* The longest sentence for the operator. */
#define CORE_SENTENCE_MAX 1024

struct core_spans {
    struct store_meta applied;    /* of the machine as it is: index, term, stamp, wall */
    struct store_meta committing; /* on its way */
    struct store_meta durable;
    bool is_committing;
    bool lowers;       /* that commit carries the lowered pair */
    bool must_lower;   /* the replica waits for it */
    bool timer_is_set; /* CORE_TIMER_SPAN */
    uint64_t wanted;   /* index that must become durable soon */
    uint64_t last_ns;  /* CLOCK_MONOTONIC of the last commit */
};

struct core_install;
struct core_fetch;

/* Bodies that the proposer wants and the machine has not in memory. */
struct core_bodies {
    struct cb_map by_job;     /* job id -> struct body (core_bodies.c) */
    struct cb_list wanted;    /* to be read, in the order in which they were asked for */
    struct cb_list here;      /* that were read, in that order */
    size_t here_bytes;        /* what these take */
    struct core_fetch *fetch; /* under way; NULL: none */
    uint64_t generation;      /* of the state: a fetch from an earlier one counts for nothing */
};

/* A question for a clock. */
struct core_asked {
    uint64_t id;    /* 0: none; else its answer has not come */
    uint64_t at_ns; /* CLOCK_BOOTTIME */
};

/* What another member last told. */
struct core_digests_of {
    uint64_t id; /* 0: the slot is free */
    uint32_t n;
    struct core_checkpoint told[CB_DIGESTS_TOLD];
};

struct core_digests {
    struct core_checkpoint kept[CB_DIGESTS_KEPT]; /* a ring */
    uint64_t n;                                   /* noted so far */
    struct core_digests_of others[CB_CLUSTER_NODES_MAX];
    struct core_digest_counters counters;
    bool is_told; /* that this node differs */
};

/* A member's disk, as this leader knows it. */
struct core_disk {
    uint64_t id; /* 0: the slot is free */
    bool is_asked;
    uint64_t heard_ns; /* CLOCK_MONOTONIC of the last answer, or of when this term began for it */
    bool is_known;     /* it has answered in this term */
    bool is_low;       /* while it is known */
};

struct core_space {
    uint64_t term; /* of what is known; another one: nothing is */
    struct core_disk disks[CB_RAFT_CONF_MAX];
};

struct core {
    struct core_config config;
    struct core_env env;
    struct store *store;
    struct jsm *machine;
    struct proposer *proposer;
    struct replica *replica; /* NULL until core_set_replica */
    struct replica_view view;
    uint64_t led_term;     /* this node leads, or led last, in this one... */
    uint64_t led_log_term; /* ...and its newest entry was of this one then */
    bool in_append; /* the log may tell of a new role meanwhile: then it is looked at later */
    bool role_is_pending;
    struct entry_decoder decoder;
    struct core_spans spans;
    struct core_bodies bodies;
    uint64_t others[CB_CLUSTER_NODES_MAX]; /* the other members */
    uint32_t n_others;
    struct core_asked asked[CB_RAFT_CONF_MAX];
    bool clock_is_settled; /* nobody is asked, and no timer runs */
    struct core_digests digests;
    struct core_space space;
    struct core_longest longest;
    struct cb_list copies;        /* struct copy: states on their way to other members */
    uint64_t copy_number;         /* of the last one */
    bool is_stopped;              /* core_state_stop */
    struct core_install *install; /* the state of another member, on its way in */
    struct cb_list graves;        /* struct grave: machines that are being destroyed */
    core_watch_fn watch;
    void *watch_data;
};

/* ---- core.c ---- */

/* One without a state. */
struct jsm *core_make_machine(const struct core *c);

/* `longest`, or the time since then when that is longer. */
void core_note_longest(const struct core *c, uint64_t *longest, uint64_t since_ns);
_Noreturn void core_die(struct core *c, const char *fmt, ...) CB_PRINTF(2, 3);

/* `ids`: all members, this one too if it is one. */
void core_take_members(struct core *c, const uint64_t *ids, size_t count);

/* ---- core_log.c ---- */

void core_log_env(struct core *c, struct proposer_env *out);
/* Tells the proposer of a role that came at a bad moment. */
void core_log_settle_role(struct core *c);

/* ---- core_span.c ---- */

/* Loads the machine, or ends the process. */
void core_span_load(struct core *c);
void core_span_turn(struct core *c);
void core_span_timer_fired(struct core *c);
/* The machine has applied an entry; `live` as in proposer_applied. */
void core_span_applied(struct core *c, uint64_t index, uint64_t term, bool live);
bool core_span_is_behind(const struct core *c);
/* Starts a span as soon as none is under way. */
void core_span_want(struct core *c, uint64_t index);
void core_span_lower(struct core *c);
/* The store has another member's state now. */
void core_span_swapped(struct core *c);

/* ---- core_bodies.c ---- */

void core_bodies_init(struct core *c);
/* As in proposer_env. */
enum proposer_body
core_bodies_get(struct core *c, const struct proposer_body_ask *ask, struct cb_span *out);
/* Reads what is wanted, if nothing is being read. */
void core_bodies_turn(struct core *c);
/* Another machine is going to be loaded beside the present one, which nobody is served from: if
 * there is a bound, its bodies leave. */
void core_bodies_make_room(struct core *c);
/* The store has another member's state now. */
void core_bodies_reset(struct core *c);
bool core_bodies_is_busy(const struct core *c);
void core_bodies_drop_all(struct core *c);

/* ---- core_clock.c ---- */

/* Asks whom there is to ask, and comes again by the timer. */
void core_clock_turn(struct core *c);
/* An entry was applied, or another machine is used: the clock may have been forgotten. */
void core_clock_applied(struct core *c);

/* ---- core_digest.c ---- */

/* The machine has applied an entry. */
void core_digest_note(struct core *c);
void core_digest_swapped(struct core *c);
/* Asks the others, and comes again by the timer. */
void core_digest_turn(struct core *c);
/* ---- core_space.c ---- */

/* Looks at the disks while this member leads, and comes again by the timer. */
void core_space_turn(struct core *c);

/* ---- core_copy.c ---- */

/* Goes on with copies whose index has become durable. */
void core_copy_turn(struct core *c);
void core_copy_timer_fired(struct core *c);
void core_copy_drop_all(struct core *c);
bool core_copy_is_busy(const struct core *c);

/* ---- core_install.c ---- */

/* The log is to begin after `mark`, and with it a state at `at_least` or above. */
void core_install_start(struct core *c, struct replica_mark mark, uint64_t at_least);
void core_install_retry(struct core *c);
/* Goes on with one that waits for this member's own state to be durable. */
void core_install_turn(struct core *c);
void core_install_finish(struct core *c, struct replica_mark mark);
void core_install_drop_all(struct core *c);
bool core_install_is_busy(const struct core *c);

#endif
