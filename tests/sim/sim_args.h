/* The command line of the simulator. */
#ifndef CB_TESTS_SIM_SIM_ARGS_H
#define CB_TESTS_SIM_SIM_ARGS_H

#include "sim/sim.h"

#define SIM_JOBS_MAX 64

struct sim_args {
    uint64_t seed; /* with has_seed: that one alone */
    bool has_seed;
    uint64_t first, count, seconds;
    uint64_t jobs;             /* 1 to SIM_JOBS_MAX */
    uint32_t without;          /* fault classes, as bits */
    uint64_t clients, proxies; /* at most so many; 0: as drawn */
    uint64_t skip[SIM_SKIP_MAX / 64];
    uint64_t cut_ms; /* the safety phase ends here; 0: as drawn */
    bool is_verbose, is_quiet, is_here, stops_at_first;
    const char *history, *json, *seeds_file;
};

/* False: what is said there makes no sense, or help is wanted. A name that does not exist ends the
 * process with a sentence. */
CB_MUST_USE bool sim_args_parse(struct sim_args *a, int argc, char **argv);
extern const char sim_args_usage[];

#endif
