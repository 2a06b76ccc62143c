/* The oracle's own parts, between its files:
 *
 *     sim_oracle.c         what was at each index, and which node is where (P15, P16)
 *     sim_oracle_entry.c   an entry's effects in model and machine (P11, P13, P15) */
#ifndef CB_TESTS_SIM_SIM_ORACLE_INTERNAL_H
#define CB_TESTS_SIM_SIM_ORACLE_INTERNAL_H

#include "common/base/cb_assert.h"
#include "model/model.h"
#include "node/entry/entry_decoder.h"
#include "sim/sim_oracle.h"

/* What the first application of an index left behind. */
struct sim_oracle_mark {
    uint64_t index, term;
    uint64_t node;       /* the first one */
    uint64_t bytes_hash; /* of the entry without its padding */
    uint64_t log_digest;
    uint64_t state_digest; /* of the first machine that was loaded there */
    uint64_t jobs;         /* in any state */
    bool has_state_digest;
};

struct sim_oracle_node {
    uint64_t id;
    size_t at; /* the place of its machine's index in `marks` */
};

struct sim_oracle_answer {
    uint64_t session, number;
};

struct sim_oracle {
    struct sim_oracle_env env;
    struct sim_oracle_counters counters;
    struct model *model; /* at the last of `marks` */
    struct entry_decoder decoder;
    struct sim_oracle_mark *marks; /* rising; [0] is that of index 0, before the first entry */
    size_t n_marks, cap_marks;
    struct sim_oracle_node *nodes; /* those that were seen */
    size_t n_nodes;
    struct sim_oracle_answer *answers; /* of the last entry, in the order of the log */
    size_t n_answers, cap_answers;
    uint64_t made, deleted; /* jobs, by the answers alone */
    uint64_t term;          /* of the proposer of the last entry */
};

_Noreturn void
sim_oracle_violated(const struct sim_oracle *o, const char *property, const char *fmt, ...)
    CB_PRINTF(3, 4);

/* For the model's on_answer; `data` is the oracle. */
void sim_oracle_answered(void *data, uint64_t session, const struct jsm_result *r);
/* Applies to the model what `machine` of `node` has just applied as the first, and compares. */
void sim_oracle_apply_entry(struct sim_oracle *o,
                            uint64_t node,
                            uint64_t index,
                            struct cb_span bytes,
                            const struct jsm *machine);
/* Everything that can be read. */
void sim_oracle_compare_state(struct sim_oracle *o, uint64_t node, const struct jsm *machine);
/* Jobs of the machine in any state. */
uint64_t sim_oracle_jobs(const struct jsm *machine);

#endif
