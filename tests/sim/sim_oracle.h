/* Watches the logs of all nodes of a simulated cluster and says what must never be: it applies
 * every entry to the reference model of tests/model when it is first applied anywhere, and holds
 * every node to that (P11, P13, P15, P16 of docs/GUARANTEES.md).
 *
 * Owns:     the model, and what was at each index.
 * Does not: schedule anything, or touch what it looks at.
 * Threads:  one.
 * Errors:   a violation goes to `fail`, which does not return:
 *             D2   the first entry of a leader is not its RESUME
 *             P11  jobs made are not those deleted and those there, or not in the model's states
 *             P13  results, dropped requests or sessions differ from the model's
 *             P15  an index has two entries, an entry is left out or put in, replicas differ, or a
 *                  machine is in anything else not what the log makes of it
 *             P16  applied before it was durable on a majority */
#ifndef CB_TESTS_SIM_SIM_ORACLE_H
#define CB_TESTS_SIM_SIM_ORACLE_H

#include "common/base/cb_span.h"
#include "node/jsm/jsm.h"

struct sim_oracle;

struct sim_oracle_env {
    void *data;
    uint32_t steps; /* of an entry of the machines; 0: as in a daemon */
    /* Must not return. `property` is "P16" and the like. */
    void (*fail)(void *data, const char *property, const char *sentence);
    /* The entry (index, term) is durable now on a majority of the group; else on how many of how
     * many. */
    bool (*is_durable)(void *data, uint64_t index, uint64_t term, unsigned *on, unsigned *of);
    /* A request was answered, in the order of the log: the model's result, borrowed for the call.
     * Of the first application alone; may be NULL. */
    void (*on_result)(void *data, uint64_t session, const struct jsm_result *result);
    /* The session ends by its lease, and the reservation of that connection with it. Of the first
     * application alone; may be NULL. */
    void (*on_given_away)(void *data, uint64_t session, uint64_t conn, uint64_t job);
};

struct sim_oracle_counters {
    uint64_t entries;           /* applied first */
    uint64_t entries_again;     /* applied by another node, or after a restart */
    uint64_t results;           /* compared */
    uint64_t sessions_expired;  /* by EXPIRE items */
    uint64_t expired_with_jobs; /* of them, those that held a reservation before the entry */
    uint64_t takeovers;         /* OPENs that ended an earlier session of the name */
    uint64_t resumes;           /* RESUME items */
    uint64_t suspended_due;    /* entries at whose stamp a suspended reservation was past its ttr */
    uint64_t requests_dropped; /* requests without effect: not the next number */
    uint64_t states_compared;  /* whole machine and whole model */
    uint64_t states_loaded;    /* machines loaded from a store */
    uint64_t states_installed; /* machines that came from another node */
};

struct sim_oracle *sim_oracle_create(const struct sim_oracle_env *env);
void sim_oracle_destroy(struct sim_oracle *o);

/* `machine` of node `node` (from 1) has just applied these bytes. */
void sim_oracle_applied(struct sim_oracle *o,
                        uint64_t node,
                        uint64_t index,
                        uint64_t term,
                        struct cb_span bytes,
                        const struct jsm *machine);
/* The machine was loaded from the node's store at its start, or came from another node. */
void sim_oracle_loaded(struct sim_oracle *o, uint64_t node, const struct jsm *machine);
void sim_oracle_installed(struct sim_oracle *o, uint64_t node, const struct jsm *machine);
/* At any time: the machine is what it was at its index, and when that is the newest, it equals the
 * model in everything that can be read. (That its records load to the same is seen at restarts.) */
void sim_oracle_compare(struct sim_oracle *o, uint64_t node, const struct jsm *machine);

/* The newest index applied anywhere, and the model there (a struct model of tests/model). */
uint64_t sim_oracle_index(const struct sim_oracle *o);
const struct model *sim_oracle_model(const struct sim_oracle *o);
const struct sim_oracle_counters *sim_oracle_counters_get(const struct sim_oracle *o);

#endif
