/* A cluster of replicas on fake machines, each with a toy owner: its state is a digest of what was
 * applied, its store a copy of that. */
#ifndef CB_UNIT_NODE_REPLICA_REPLICA_HARNESS_H
#define CB_UNIT_NODE_REPLICA_REPLICA_HARNESS_H

#include "node/replica/replica.h"
#include "support/fake_raft_io.h"

#define HARNESS_MEMBERS 3 /* of the first configuration */
#define HARNESS_SLOTS 5   /* with those that a test adds */

struct toy_state {
    struct replica_mark applied;
    uint64_t digest;
    uint64_t count;
};

struct member {
    struct cluster *cluster;
    size_t at;
    struct fake_node *node;
    struct replica *r; /* NULL: down */
    struct replica_view view;
    unsigned view_changes;
    unsigned members_changes;
    uint64_t stranger; /* the last one */
    /* memory */
    struct toy_state state;
    struct toy_state arriving; /* installed, not yet swapped in */
    uint64_t live;             /* entries applied with that flag */
    /* disk */
    struct toy_state stored;
    struct replica_mark stored_appended;
    /* what is asked of the owner and not answered yet */
    uint64_t wanted_durable;
    struct replica_mark lower_to;
    unsigned lowerings;
    bool lower_waits;
    uint64_t needs; /* the index of the state that is to be installed */
    bool install_pending;
    bool swap_pending; /* the stored state is the new one already */
    unsigned installed;
    /* what a test sets */
    bool hold_store; /* nothing becomes durable */
    bool hold_lower;
    bool hold_install;
    struct toy_state offered; /* beside those of the other members */
    uint64_t free_bytes;
};

struct cluster {
    struct fake_world *world;
    size_t count; /* of the slots in use */
    struct member m[HARNESS_SLOTS];
    struct replica_member members[HARNESS_SLOTS];
    struct replica_config config; /* a test may change it before a boot */
    uint64_t proposed;
};

/* Bootstrapped and booted. */
void cluster_init(struct cluster *c, uint64_t seed);
/* With nothing on disk and nothing running. */
void cluster_init_empty(struct cluster *c, uint64_t seed);
void cluster_fini(struct cluster *c);

/* One more machine, with nothing on disk and nothing running: the next id. */
struct member *cluster_add_machine(struct cluster *c);

void member_bootstrap(struct member *m);
enum replica_start_result member_boot(struct member *m);
void member_crash(struct member *m);
/* The owner's answers, once they were held. */
void member_store(struct member *m);
void member_lowered(struct member *m);
/* Nothing happens while no member has a state that goes as far. */
void member_install(struct member *m);
/* The same in two steps. False: no member has such a state. */
CB_MUST_USE bool member_fetch(struct member *m);
void member_install_fetched(struct member *m);
struct replica_counters member_counters(struct member *m);
uint64_t member_commit_index(struct member *m);

/* Runs until there is a leader that all members which are up and not cut off follow. */
struct member *cluster_elect(struct cluster *c);
/* A member that is not `m`. */
struct member *cluster_other(struct cluster *c, const struct member *m);
/* Proposes `count` entries on `leader`, as fast as it takes them; runs until it has applied all. */
void cluster_write(struct cluster *c, struct member *leader, uint64_t count);
enum replica_propose_result member_propose(struct member *m, const char *text);
/* Runs until `cond` holds; fails the test after `ms`. */
void cluster_run_until(struct cluster *c, uint64_t ms, bool (*cond)(struct cluster *c));
bool cluster_converged(struct cluster *c);

#endif
