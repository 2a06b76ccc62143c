/* Compares everything that can be read of a machine with the model.
 * Threads:   one.
 * Errors:    the first difference is described in `why`. */
#ifndef CB_TESTS_MODEL_LOCKSTEP_COMPARE_H
#define CB_TESTS_MODEL_LOCKSTEP_COMPARE_H

#include "model/model.h"

enum { LOCKSTEP_WHY_MAX = 512 };

/* What the last entry did: its index and time, what is due next, dropped requests, touched
 * sessions. */
bool lockstep_same_step(const struct model *m,
                        const struct jsm *j,
                        uint64_t index,
                        char why[LOCKSTEP_WHY_MAX]);

/* Which kept results are looked at. */
enum lockstep_results { LOCKSTEP_RESULTS_NONE, LOCKSTEP_RESULTS_ENDS, LOCKSTEP_RESULTS_ALL };

/* The sessions, in order, with their numbers. */
bool lockstep_same_sessions(const struct model *m,
                            const struct jsm *j,
                            enum lockstep_results depth,
                            char why[LOCKSTEP_WHY_MAX]);

/* The sessions, and every read. */
bool lockstep_same_state(const struct model *m,
                         const struct jsm *j,
                         enum lockstep_results depth,
                         char why[LOCKSTEP_WHY_MAX]);

/* One result of a session. */
bool lockstep_same_result(uint64_t session,
                          const struct jsm_result *model,
                          const struct jsm_result *machine,
                          char why[LOCKSTEP_WHY_MAX]);

#endif
