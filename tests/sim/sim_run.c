/* One run: faults and work for a while, then mending, and everything must come to its end. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/cb_hash.h"
#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"
#include "sim/sim.h"

#define CONVERGE_NS (120 * CB_NS_PER_S)
/* One client takes thousands of jobs one by one, through the slowest disks and networks that are
 * drawn, each body from the store. */
#define DRAIN_NS (600 * CB_NS_PER_S)
#define TEXT_MAX 4000

uint64_t sim_now(const struct sim *s)
{
    return fake_now_ns(s->world);
}

uint64_t sim_between(struct sim *s, uint64_t min, uint64_t max)
{
    return min + cb_rng_below(&s->rng, max - min + 1);
}

bool sim_one_in(struct sim *s, uint64_t n)
{
    return cb_rng_below(&s->rng, n) == 0;
}

void sim_drop_nothing(void *arg)
{
    (void)arg;
}

void sim_at(struct sim *s, uint64_t at_ns, void (*run)(void *arg), void *arg)
{
    fake_at(&s->outside, at_ns, run, sim_drop_nothing, arg);
}

bool sim_is_safety(const struct sim *s)
{
    return !s->faults_are_over;
}

/* ---- what happened ---- */

void sim_note(struct sim *s, uint64_t a, uint64_t b)
{
    uint64_t x[4] = {s->digest, sim_now(s), a, b};
    s->digest = cb_hash(x, sizeof x);
}

static void say(struct sim *s, const char *text)
{
    uint64_t now = sim_now(s);
    printf("%4" PRIu64 ".%06" PRIu64 " %s\n", now / CB_NS_PER_S, now % CB_NS_PER_S / 1000, text);
}

void sim_trace(struct sim *s, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    s->digest ^= cb_hash_seeded(text, strlen(text), s->digest);
    if (s->verbose) {
        say(s, text);
    }
}

void sim_say(struct sim *s, const char *fmt, ...)
{
    char text[TEXT_MAX];
    if (s->verbose) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        say(s, text);
    }
}

void sim_fail(struct sim *s, const char *property, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    uint64_t now = sim_now(s);
    fflush(stdout);
    fprintf(stderr, "seed %" PRIu64 ": VIOLATION %s at %" PRIu64 ".%03" PRIu64 " s: %s\n",
            s->options.seed, property, now / CB_NS_PER_S, now % CB_NS_PER_S / CB_NS_PER_MS, text);
    _exit(SIM_EXIT_VIOLATION);
}

static uint64_t log_ns(void *ctx)
{
    return sim_now(ctx);
}

/* The nodes' and proxies' own log lines, in the trace: with its times, so that a trace is the same
 * each time. */
static void on_log_line(void *ctx, const char *line, size_t len)
{
    struct sim *s = ctx;
    if (s->verbose) {
        printf("            log: %.*s", (int)len, line);
    }
}

/* ---- the run ---- */

static void make_world(struct sim *s)
{
    const struct sim_options *o = &s->options;
    s->world = fake_world_create(o->seed ^ UINT64_C(0x6e6574));
    cb_rng_init(&s->rng, o->seed ^ UINT64_C(0x73696d));
    fake_process_init(&s->outside, s->world);
    fake_process_start(&s->outside);
    cb_list_init(&s->conns);
    cb_list_init(&s->streams);
    s->history = history_create();
    s->shared = sim_client_shared_create(s->history);
    sim_check_start(s);
}

void sim_lmdb_dir_remove(int pid)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf /dev/shm/coolbeans-sim.%d", pid);
    (void)!system(command);
}

static void make_lmdb_dir(char base[64])
{
    snprintf(base, 64, "/dev/shm/coolbeans-sim.%d", (int)getpid());
    sim_lmdb_dir_remove((int)getpid()); /* of one that had this number and was killed */
    if (mkdir(base, 0700) != 0) {
        cb_die("cannot make the directory %s", base);
    }
}

static void start(struct sim *s)
{
    const struct sim_options *o = &s->options;
    for (uint32_t id = 1; id <= o->nodes; id++) {
        sim_node_init(s, id);
    }
    for (uint32_t id = 1; id <= o->nodes; id++) {
        sim_node_boot(&s->nodes[id]);
    }
    for (uint32_t i = 0; i < o->proxies; i++) {
        sim_proxy_init(s, i);
        sim_proxy_boot(&s->proxies[i]);
    }
    for (uint32_t i = 0; i < o->clients; i++) {
        sim_conn_open(s);
    }
    sim_faults_start(s);
    sim_members_start(s);
}

static void bury(struct sim *s)
{
    struct sim_node *n = s->dying;
    fake_world_unwind(s->world);
    sim_node_crash(n);
    sim_faults_died(n);
}

/* Until `is_done` or until that time; a process that ends itself comes back here. */
static bool run_until(struct sim *s, uint64_t end_ns, bool (*is_done)(struct sim *s))
{
    if (setjmp(s->dead) != 0) {
        bury(s);
    }
    while (fake_world_next_ns(s->world) <= end_ns) {
        if (is_done != NULL && is_done(s)) {
            return true;
        }
        (void)fake_world_step(s->world);
        s->counters.events++;
    }
    return is_done != NULL && is_done(s);
}

static bool is_quiet(struct sim *s)
{
    return s->n_conns == 0 && sim_has_converged(s);
}

static void must_become_quiet(struct sim *s, uint64_t within_ns, const char *what)
{
    if (!run_until(s, sim_now(s) + within_ns, is_quiet)) {
        struct sim_node *leader = sim_leader(s);
        sim_fail(s, "P17",
                 "%s: %u connections are open, leader %u, applied %" PRIu64 " %" PRIu64 " %" PRIu64
                 " of %" PRIu64,
                 what, s->n_conns, leader != NULL ? (unsigned)leader->id : 0,
                 s->nodes[1].core != NULL ? core_applied(s->nodes[1].core)->index : 0,
                 s->nodes[2].core != NULL ? core_applied(s->nodes[2].core)->index : 0,
                 s->nodes[3].core != NULL ? core_applied(s->nodes[3].core)->index : 0,
                 sim_oracle_index(s->oracle));
    }
}

void sim_run(struct sim *s, const struct sim_options *o, bool verbose)
{
    char dir[64];
    s->options = *o;
    s->verbose = verbose;
    const struct cb_clock log_clock = {log_ns, log_ns, log_ns, s};
    const struct cb_log_config log = {.level = verbose ? CB_LOG_DEBUG : CB_LOG_ERROR,
                                      .clock = &log_clock,
                                      .sink = on_log_line,
                                      .sink_ctx = s};
    if (o->lmdb) {
        make_lmdb_dir(dir);
    }
    make_world(s);
    cb_log_init(&log);
    start(s);
    (void)run_until(s, o->duration_ns, NULL);
    s->faults_are_over = true;
    sim_faults_end(s);
    sim_conns_wind_down(s);
    must_become_quiet(s, CONVERGE_NS, "after the faults");
    if (o->left_down > 0) {
        sim_faults_boot_rest(s);
        must_become_quiet(s, CONVERGE_NS, "after the last nodes came back");
    }
    sim_conn_drain(s);
    must_become_quiet(s, DRAIN_NS, "after the drain");
    sim_check_end(s);
    sim_note(s, history_count(s->history), sim_oracle_index(s->oracle));
}
