/* Histories written by hand, in the lines of history_file.h, with times in milliseconds. `len=N` is
 * enough of a body: it stands for the token N and a hash of its own. */
#ifndef CB_TESTS_UNIT_HISTORY_EXAMPLES_H
#define CB_TESTS_UNIT_HISTORY_EXAMPLES_H

#include "history/history_check.h"

#define MS UINT64_C(1000000)

struct example {
    const char *what;
    unsigned wrong; /* the properties that must be found violated, as bits: IS(P1) | ...; 0: none */
    const char *lines;
    struct hist_check_options options;
};

#define IS(symbol) (1u << HIST_##symbol)
/* Options of most: nothing is allowed, everything is exact. */
#define EXACT                                                                                      \
    {                                                                                              \
        .closes_allowed = 0                                                                        \
    }

/* Fails the running test unless each is judged as it says, and a property found violated or held
 * that is `property` was judged in each. */
void examples_run(const struct example *examples, size_t count, enum hist_property property);

#define EXAMPLES_RUN(examples, property)                                                           \
    examples_run(examples, sizeof(examples) / sizeof(examples[0]), HIST_##property)

#endif
