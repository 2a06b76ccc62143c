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

/* The sessions with their results above `seen` results from the end, and every read. */
bool lockstep_same_state(const struct model *m,
                         const struct jsm *j,
                         bool all_results,
                         char why[LOCKSTEP_WHY_MAX]);

#endif
