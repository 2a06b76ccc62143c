#include "sim/sim_args.h"

#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>

const char sim_args_usage[] =
    "usage: coolbeans-sim [options]\n"
    "  --seed N       one run; its digest is the same each time\n"
    "  --first N      the first seed of a series (default 1)\n"
    "  --count N      seeds in the series (default 100)\n"
    "  --seconds N    as many as fit into N seconds instead\n"
    "  --seeds FILE   the seeds in FILE instead, one a line, # begins a comment\n"
    "  --jobs N       runs at once (default: 2)\n"
    "  --without LIST fault classes to leave out, names with commas\n"
    "  --skip LIST    faults to leave out, by their numbers in the trace\n"
    "  --cut MS       ends the faults after so many simulated milliseconds\n"
    "  --clients N    at most so many clients at first\n"
    "  --proxies N    at most so many proxies\n"
    "  --json FILE    writes what was counted\n"
    "  --stop-at-first ends a series at the first seed that fails\n"
    "  --history FILE what the clients saw (with --seed): for history_check\n"
    "  --here         in this process, for a debugger (with --seed)\n"
    "  -v             every message and entry (with --seed)\n"
    "  -q             no progress\n";

enum kind { NUMBER, TEXT, FLAG, SEED, FAULTS, SKIP };

#define AT(field) offsetof(struct sim_args, field)

static const struct {
    const char *name;
    enum kind kind;
    size_t at;
} table[] = {
    {"seed", SEED, AT(seed)},
    {"first", NUMBER, AT(first)},
    {"count", NUMBER, AT(count)},
    {"seconds", NUMBER, AT(seconds)},
    {"seeds", TEXT, AT(seeds_file)},
    {"jobs", NUMBER, AT(jobs)},
    {"without", FAULTS, AT(without)},
    {"skip", SKIP, AT(skip)},
    {"cut", NUMBER, AT(cut_ms)},
    {"clients", NUMBER, AT(clients)},
    {"proxies", NUMBER, AT(proxies)},
    {"json", TEXT, AT(json)},
    {"stop-at-first", FLAG, AT(stops_at_first)},
    {"history", TEXT, AT(history)},
    {"here", FLAG, AT(is_here)},
};

#define OPTIONS (sizeof table / sizeof table[0])

static uint32_t faults_of(char *list)
{
    uint32_t mask = 0;
    for (char *name = strtok(list, ","); name != NULL; name = strtok(NULL, ",")) {
        int f = 0;
        while (f < SIM_FAULT_COUNT && strcmp(sim_fault_name((enum sim_fault)f), name) != 0) {
            f++;
        }
        if (f == SIM_FAULT_COUNT) {
            cb_die("there is no fault class \"%s\"", name);
        }
        mask |= 1u << f;
    }
    return mask;
}

static void parse_skip(uint64_t *skip, char *list)
{
    for (char *name = strtok(list, ","); name != NULL; name = strtok(NULL, ",")) {
        uint64_t number = strtoull(name, NULL, 10);
        if (number >= SIM_SKIP_MAX) {
            cb_die("fault %s is beyond what --skip can name", name);
        }
        skip[number / 64] |= UINT64_C(1) << number % 64;
    }
}

static void set(struct sim_args *a, enum kind kind, void *field, char *value)
{
    switch (kind) {
    case NUMBER:
        *(uint64_t *)field = strtoull(value, NULL, 10);
        return;
    case TEXT:
        *(const char **)field = value;
        return;
    case FLAG:
        *(bool *)field = true;
        return;
    case SEED:
        *(uint64_t *)field = strtoull(value, NULL, 10);
        a->has_seed = true;
        return;
    case FAULTS:
        *(uint32_t *)field = faults_of(value);
        return;
    case SKIP:
        parse_skip(field, value);
        return;
    }
    CB_UNREACHABLE("kind of an option");
}

static bool parse_letter(struct sim_args *a, int letter)
{
    a->is_verbose |= letter == 'v';
    a->is_quiet |= letter == 'q';
    return letter == 'v' || letter == 'q';
}

bool sim_args_parse(struct sim_args *a, int argc, char **argv)
{
    struct option options[OPTIONS + 2] = {[OPTIONS] = {"help", no_argument, NULL, 'h'}};
    for (size_t i = 0; i < OPTIONS; i++) {
        options[i].name = table[i].name;
        options[i].has_arg = table[i].kind == FLAG ? no_argument : required_argument;
    }
    *a = (struct sim_args){.first = 1, .count = 100, .jobs = 2};
    int letter;
    int which;
    while ((letter = getopt_long(argc, argv, "vqh", options, &which)) != -1) {
        if (letter == 0) {
            set(a, table[which].kind, (uint8_t *)a + table[which].at, optarg);
        } else if (!parse_letter(a, letter)) {
            return false;
        }
    }
    if (a->has_seed) {
        a->first = a->seed;
        a->count = a->jobs = 1;
        a->seconds = 0;
    }
    return optind == argc && a->jobs >= 1 && a->jobs <= SIM_JOBS_MAX;
}
