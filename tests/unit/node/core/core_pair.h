/* A core that leads and one that is far behind, and the state's way between them, by hand. */
#ifndef CB_TESTS_UNIT_NODE_CORE_CORE_PAIR_H
#define CB_TESTS_UNIT_NODE_CORE_CORE_PAIR_H

#include "unit/node/core/core_rig.h"

/* Only a name: what a call is the owner's. */
#define CALL(n) ((void *)&core_pair_calls[n])
extern char core_pair_calls[8];

#define LEADER 1 /* as the follower knows it */
#define FOLLOWER 3
#define JOBS 30
#define JOB_SIZE 150000 /* several parts */

struct core_pair {
    struct core_rig leader, follower;
};

/* For cmocka: `*state` is a pair of cores on empty disks. */
int core_pair_init(void **state);
int core_pair_fini(void **state);

/* What the core has applied becomes durable. */
void core_pair_store(struct core_rig *r);
/* The leader has some jobs, and the follower an entry that makes another state. */
void core_pair_fill(struct core_pair *t);
struct replica_mark core_pair_mark(const struct core_rig *r);
/* The follower is told to fetch the state. */
void core_pair_start(struct core_pair *t);
/* Member `from` asks `r` for a part. */
void core_pair_ask(struct core_rig *r, uint64_t from, const struct core_state_ask *ask, void *call);
/* The follower's question to the leader and its answer back. */
void core_pair_carry_one(struct core_pair *t);
/* Until the follower has the whole state. Returns how many parts that took. */
unsigned core_pair_carry(struct core_pair *t);
/* All of it, and the log begins there. */
void core_pair_install(struct core_pair *t);

#endif
