/* Many runs, each in a process of its own, so that a crash or an endless loop of one is a result
 * with a seed like any other.
 *
 * usage: see --help */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/cb_mem.h"
#include "history/history_check.h"
#include "sim/sim_args.h"

#define SEED_CPU_MAX_S 120
#define FAILED_MAX 20 /* then a series ends */
#define PROGRESS_NS (2 * CB_NS_PER_S)

/* What a run leaves to the one that started it, in shared memory. */
struct report {
    uint64_t sim_ns;
    uint64_t node_ns;
    uint64_t digest;
    struct sim_counters sim;
    struct replica_counters replica;
    struct proposer_counters proposer;
    struct sim_oracle_counters oracle;
    uint64_t judged[HIST_PROPERTY_COUNT];
};

struct series {
    struct sim_args args;
    struct report *slots;
    pid_t pids[SIM_JOBS_MAX];
    uint64_t seeds[SIM_JOBS_MAX];
    uint64_t started, done, failed;
    uint64_t begin_ns, told_ns;
    uint64_t *listed;
    size_t n_listed;
    struct report sum;
};

static uint64_t now_ns(void)
{
    return cb_clock_monotonic_ns(cb_clock_system());
}

/* ---- one run ---- */

static void add_words(void *to, const void *from, size_t size)
{
    uint64_t *t = to;
    const uint64_t *f = from;
    for (size_t i = 0; i < size / sizeof *t; i++) {
        t[i] += f[i];
    }
}

static void fill_report(const struct sim *s, struct report *r)
{
    r->sim_ns = sim_now(s);
    r->node_ns = sim_now(s) * s->options.nodes;
    r->digest = s->digest;
    r->sim = s->counters;
    r->oracle = *sim_oracle_counters_get(s->oracle);
    memcpy(r->judged, s->judged, sizeof r->judged);
    for (uint32_t id = 1; id <= s->options.nodes; id++) {
        struct replica_counters c = sim_node_counters(&s->nodes[id]);
        struct proposer_counters p = sim_node_proposer_counters(&s->nodes[id]);
        add_words(&r->replica, &c, sizeof c);
        add_words(&r->proposer, &p, sizeof p);
    }
}

/* What makes a failure smaller, for tests/sim/shrink.py. */
static void reduce(const struct sim_args *a, struct sim_options *o)
{
    uint64_t cut_ns = a->cut_ms * CB_NS_PER_MS;
    if (cut_ns > 0 && cut_ns < o->duration_ns) {
        o->duration_ns = cut_ns;
    }
    if (a->clients > 0 && a->clients < o->clients) {
        o->clients = (uint32_t)a->clients;
    }
    if (a->proxies > 0 && a->proxies < o->proxies) {
        o->proxies = (uint32_t)a->proxies;
    }
}

static void run_one(const struct sim_args *a, uint64_t seed, struct report *r)
{
    static struct sim sim;
    struct sim_options o;
    const struct rlimit cpu = {SEED_CPU_MAX_S, SEED_CPU_MAX_S};
    (void)setrlimit(RLIMIT_CPU, &cpu);
    sim_options_draw(&o, seed, a->without);
    reduce(a, &o);
    if (a->is_verbose) {
        sim_options_print(&o);
    }
    sim.history_file = a->history;
    memcpy(sim.skip, a->skip, sizeof sim.skip);
    sim_run(&sim, &o, a->is_verbose);
    fill_report(&sim, r);
    fflush(stdout);
    _exit(0);
}

/* ---- many ---- */

static bool next_seed(struct series *s, uint64_t *seed)
{
    const struct sim_args *a = &s->args;
    if (s->n_listed > 0) {
        if (s->started >= s->n_listed) {
            return false;
        }
        *seed = s->listed[s->started];
    } else {
        bool is_over = a->seconds > 0 ? now_ns() - s->begin_ns >= a->seconds * CB_NS_PER_S
                                      : s->started >= a->count;
        if (is_over) {
            return false;
        }
        *seed = a->first + s->started;
    }
    return s->failed < (a->stops_at_first ? 1 : FAILED_MAX);
}

static bool start_one(struct series *s, unsigned slot)
{
    uint64_t seed;
    if (!next_seed(s, &seed)) {
        return false;
    }
    s->started++;
    s->seeds[slot] = seed;
    memset(&s->slots[slot], 0, sizeof s->slots[slot]);
    fflush(stdout);
    pid_t pid = s->args.is_here ? 0 : fork();
    if (pid < 0) {
        cb_die("cannot start a process for a run");
    }
    if (pid == 0) {
        run_one(&s->args, seed, &s->slots[slot]);
    }
    s->pids[slot] = pid;
    return true;
}

static void tell_failure(struct series *s, unsigned slot, int status)
{
    s->failed++;
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "seed %" PRIu64 ": CRASH by signal %d%s\n", s->seeds[slot],
                WTERMSIG(status),
                WTERMSIG(status) == SIGXCPU ? " (it did not come to an end)" : "");
    } else if (WEXITSTATUS(status) != SIM_EXIT_VIOLATION) {
        fprintf(stderr, "seed %" PRIu64 ": CRASH with exit code %d\n", s->seeds[slot],
                WEXITSTATUS(status));
    }
    fprintf(stderr, "  again: make sim SEED=%" PRIu64 "\n", s->seeds[slot]);
}

static void end_one(struct series *s, unsigned slot, int status)
{
    sim_lmdb_dir_remove(s->pids[slot]);
    s->pids[slot] = 0;
    s->done++;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        add_words(&s->sum, &s->slots[slot], sizeof s->sum);
    } else {
        tell_failure(s, slot, status);
    }
}

static double hours(uint64_t ns)
{
    return (double)ns / 3.6e12;
}

static void tell_progress(struct series *s, bool is_last)
{
    uint64_t now = now_ns();
    if (!is_last && now - s->told_ns < PROGRESS_NS) {
        return;
    }
    s->told_ns = now;
    double real_s = (double)(now - s->begin_ns) / 1e9;
    const struct report *r = &s->sum;
    printf("%6.0f s  %" PRIu64 " seeds  %" PRIu64
           " failed  %.1f cluster-hours  %.0f x real time on "
           "%u cores  %" PRIu64 " elections  %" PRIu64 " crashes  %" PRIu64 " installs\n",
           real_s, s->done, s->failed, hours(r->sim_ns), (double)r->sim_ns / 1e9 / real_s,
           (unsigned)s->args.jobs, r->sim.elections, r->sim.crashes, r->replica.installs);
    fflush(stdout);
}

static void run_series(struct series *s)
{
    unsigned running = 0;
    for (unsigned slot = 0; slot < s->args.jobs; slot++) {
        running += start_one(s, slot);
    }
    while (running > 0) {
        int status;
        pid_t pid = wait(&status);
        for (unsigned slot = 0; slot < s->args.jobs; slot++) {
            if (s->pids[slot] == pid) {
                end_one(s, slot, status);
                running -= !start_one(s, slot);
            }
        }
        if (!s->args.is_quiet) {
            tell_progress(s, false);
        }
    }
    tell_progress(s, true);
}

/* ---- what a series has shown ---- */

typedef void (*counter_fn)(void *ctx, const char *name, uint64_t value, const char *what);

static void each_counter(const struct report *r, counter_fn fn, void *ctx)
{
#define X(name, what) fn(ctx, "sim." #name, r->sim.name, what);
    SIM_COUNTERS(X)
#undef X
#define X(name, what) fn(ctx, "replica." #name, r->replica.name, what);
    REPLICA_COUNTERS(X)
#undef X
#define X(name, what) fn(ctx, "proposer." #name, r->proposer.name, what);
    PROPOSER_COUNTERS(X)
#undef X
#define X(symbol, name, what) fn(ctx, "judged." #symbol, r->judged[HIST_##symbol], name);
    HIST_PROPERTIES(X)
#undef X
    fn(ctx, "oracle.entries", r->oracle.entries, "entries applied first");
    fn(ctx, "oracle.entries_again", r->oracle.entries_again, "entries applied again");
    fn(ctx, "oracle.results", r->oracle.results, "results compared with the model's");
    fn(ctx, "oracle.sessions_expired", r->oracle.sessions_expired, "sessions that expired");
    fn(ctx, "oracle.expired_with_jobs", r->oracle.expired_with_jobs, "of them, with jobs held");
    fn(ctx, "oracle.takeovers", r->oracle.takeovers, "sessions taken over by a new process");
    fn(ctx, "oracle.resumes", r->oracle.resumes, "RESUME items");
    fn(ctx, "oracle.suspended_due", r->oracle.suspended_due, "reservations that outlived a ttr");
    fn(ctx, "oracle.requests_dropped", r->oracle.requests_dropped, "requests out of order");
    fn(ctx, "oracle.states_compared", r->oracle.states_compared, "machines compared as a whole");
    fn(ctx, "oracle.states_loaded", r->oracle.states_loaded, "machines loaded");
    fn(ctx, "oracle.states_installed", r->oracle.states_installed, "machines from other nodes");
}

/* A table with a heading for each part of the name before the dot; ctx: the heading so far. */
static void print_counter(void *ctx, const char *name, uint64_t value, const char *what)
{
    const char **group = ctx;
    const char *rest = strchr(name, '.') + 1;
    size_t n = (size_t)(rest - name);
    if (*group == NULL || strncmp(*group, name, n) != 0) {
        printf("\n%.*s\n", (int)n - 1, name);
        *group = name;
    }
    printf("%14" PRIu64 "  %-28s %s\n", value, rest, what);
}

static void print_json(void *ctx, const char *name, uint64_t value, const char *what)
{
    (void)what;
    fprintf(ctx, ", \"%s\": %" PRIu64, name, value);
}

/* Of the runs that have ended. */
static double cpu_seconds(void)
{
    struct rusage u;
    CB_ASSERT(getrusage(RUSAGE_CHILDREN, &u) == 0);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* The digest is a sum: the same whatever the order in which the runs ended. */
static void write_json(const struct series *s)
{
    FILE *f = fopen(s->args.json, "w");
    if (f == NULL) {
        cb_die("cannot write %s", s->args.json);
    }
    fprintf(f,
            "{\"first_seed\": %" PRIu64 ", \"seeds\": %" PRIu64 ", \"failed\": %" PRIu64
            ", \"cluster_hours\": %.2f, \"node_hours\": %.2f, \"real_seconds\": %.0f, "
            "\"cpu_seconds\": %.1f, \"cores\": %u, \"digest\": \"%016" PRIx64 "\"",
            s->n_listed > 0 ? s->listed[0] : s->args.first, s->done, s->failed,
            hours(s->sum.sim_ns), hours(s->sum.node_ns), (double)(now_ns() - s->begin_ns) / 1e9,
            cpu_seconds(), (unsigned)s->args.jobs, s->sum.digest);
    each_counter(&s->sum, print_json, f);
    fprintf(f, "}\n");
    if (fclose(f) != 0) {
        cb_die("cannot write %s", s->args.json);
    }
}

/* ---- all of it ---- */

static void read_seeds(struct series *s)
{
    FILE *f = fopen(s->args.seeds_file, "r");
    char line[256];
    if (f == NULL) {
        cb_die("cannot read %s", s->args.seeds_file);
    }
    while (fgets(line, sizeof line, f) != NULL) {
        char *end;
        uint64_t seed = strtoull(line, &end, 10);
        if (end != line) {
            s->listed = cb_realloc(s->listed, (s->n_listed + 1) * sizeof s->listed[0]);
            s->listed[s->n_listed++] = seed;
        }
    }
    fclose(f);
    if (s->n_listed == 0) {
        cb_die("%s names no seed", s->args.seeds_file);
    }
}

/* A seed's process is young: a fifth of its time would go into the first touch of each page. glibc
 * asks for huge ones if it is told before it starts. */
static void use_huge_pages(char **argv)
{
    static const char name[] = "GLIBC_TUNABLES";
    if (getenv(name) == NULL) {
        int rv = setenv(name,
                        "glibc.malloc.hugetlb=1:glibc.malloc.top_pad=16777216:"
                        "glibc.malloc.trim_threshold=1000000000:"
                        "glibc.malloc.mmap_threshold=33554432",
                        1);
        CB_ASSERT(rv == 0);
        execv("/proc/self/exe", argv); /* or goes on without them */
    }
}

int main(int argc, char **argv)
{
    use_huge_pages(argv);
    static struct series s;
    if (!sim_args_parse(&s.args, argc, argv)) {
        fputs(sim_args_usage, stderr);
        return 2;
    }
    if (s.args.is_verbose) {
        (void)setvbuf(stdout, NULL, _IOLBF, 0); /* a run that crashes shows its last line, too */
    }
    if (s.args.seeds_file != NULL) {
        read_seeds(&s);
    }
    s.slots = mmap(NULL, SIM_JOBS_MAX * sizeof *s.slots, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CB_ASSERT(s.slots != MAP_FAILED);
    s.begin_ns = s.told_ns = now_ns();
    run_series(&s);
    if (s.args.has_seed && s.failed == 0 && s.n_listed == 0) {
        printf("seed %" PRIu64 ": digest %016" PRIx64 "\n", s.args.first, s.sum.digest);
    } else if (!s.args.is_quiet && s.done > 1) {
        const char *group = NULL;
        each_counter(&s.sum, print_counter, &group);
    }
    if (s.args.json != NULL) {
        write_json(&s);
    }
    return s.failed > 0 ? 1 : 0;
}
