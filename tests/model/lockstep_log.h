/* Random logs for the lock-step test: entries of plausible traffic, made while looking at the
 * model.
 * Owns:      the entries; names and bodies are borrowed from tables that live as long as the
 *            process.
 * Threads:   one. */
#ifndef CB_TESTS_MODEL_LOCKSTEP_LOG_H
#define CB_TESTS_MODEL_LOCKSTEP_LOG_H

#include "common/base/cb_rng.h"
#include "model/model.h"

/* The number of a request that is to get the session's next number when it is applied, so that a
 * log stays meaningful when entries are taken out of it. */
#define LOCKSTEP_NEXT UINT64_MAX

struct lockstep_entry {
    uint64_t index;
    struct jsm_entry entry;    /* as it was applied last: its items are `numbered` */
    struct jsm_item *items;    /* as generated */
    struct jsm_item *numbered; /* made by lockstep_number */
};

struct lockstep_log {
    struct lockstep_entry *entries;
    uint32_t n;
};

/* What kind of traffic: relative weights of the ops, and how fast time moves. */
struct lockstep_profile {
    const char *name;
    uint32_t proxies, conns, tubes, items_max, jobs_soft_max;
    uint32_t ttr_max, delay_max; /* seconds */
    uint32_t jump_percent;       /* entries that jump to the next deadline or past it */
    uint32_t session_percent;    /* items that concern sessions */
    uint32_t flood_permille; /* entries that are CB_ENTRY_COMMANDS_MAX requests of one session */
    uint32_t ack_percent;    /* entries with an ACK */
    uint8_t weights[JSM_OP_END];
};

extern const struct lockstep_profile lockstep_profiles[];
extern const uint32_t lockstep_profile_count;

/* Appends the next random entry to `log`. */
void lockstep_generate(struct lockstep_log *log,
                       struct cb_rng *rng,
                       const struct lockstep_profile *profile,
                       const struct model *m);
/* Makes e->entry, with the numbers that the requests have now; `m` is the model before this entry.
 */
void lockstep_number(struct lockstep_entry *e, const struct model *m);
void lockstep_print(const struct lockstep_entry *e);
void lockstep_log_fini(struct lockstep_log *log);

#endif
