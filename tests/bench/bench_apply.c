/* The longest turn of the loop that one command, or one moment, can cost (design D1: none over
 * 50 ms).
 *
 *   bench_apply [JOBS [CONNS]]     (default 1,000,000 and 65,536)
 *
 * Each case builds a state, then applies the one entry that matters and empty ones until nothing is
 * left to do, as a leader would. It prints how long the longest of these applies took, how many
 * there were, and the longest drain of changed records, made whenever a node would make one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "node/jsm/jsm.h"

#define SPAN_BYTES (4 * CB_MIB) /* CORE_SPAN_BYTES: a node drains when so much has changed */
#define BATCH 1000

static struct jsm *m;
static uint64_t next_index;
static uint64_t stamp_ns;
static uint64_t sessions[2];
static uint64_t next_request[2];
static unsigned n_jobs, n_conns;

struct longest {
    double apply_s, drain_s;
    uint64_t first_us;
    unsigned applies;
};
static struct longest longest;

static double now_s(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts); /* cannot fail: others run here too */
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void copy_put(void *data, struct cb_span key, struct cb_span value)
{
    static uint8_t sink[64 * 1024];
    memcpy(sink, value.ptr, value.len < sizeof(sink) ? value.len : sizeof(sink));
    *(uint64_t *)data += key.len + value.len;
}

static void ignore_del(void *data, struct cb_span key)
{
    *(uint64_t *)data += key.len;
}

static void drain(void)
{
    uint64_t bytes = 0;
    const struct jsm_record_sink sink = {.data = &bytes, .put = copy_put, .del = ignore_del};
    double start = now_s();
    jsm_drain(m, &sink);
    double took = now_s() - start;
    longest.drain_s = took > longest.drain_s ? took : longest.drain_s;
}

static void apply(const struct jsm_item *items, uint32_t n)
{
    const struct jsm_entry e = {.stamp_ns = stamp_ns, .items = items, .n_items = n};
    double start = now_s();
    jsm_apply(m, next_index++, &e);
    double took = now_s() - start;
    longest.apply_s = took > longest.apply_s ? took : longest.apply_s;
    longest.applies++;
    if (jsm_dirty_bytes(m) >= SPAN_BYTES) {
        drain();
    }
}

/* ---- building states ---- */

static struct jsm_item batch[BATCH];
static uint32_t n_batch;

static void acknowledge(unsigned s)
{
    if (sessions[s] == 0) {
        return;
    }
    const struct jsm_item ack = {
        .kind = JSM_ITEM_ACK,
        .session = sessions[s],
        .number = jsm_session_last_result(jsm_session_get(m, sessions[s])),
    };
    apply(&ack, 1);
}

static void flush(void)
{
    apply(batch, n_batch);
    n_batch = 0;
    acknowledge(0);
    acknowledge(1);
}

static struct jsm_item request(unsigned s, enum jsm_op op, uint64_t conn)
{
    return (struct jsm_item){
        .kind = JSM_ITEM_REQUEST,
        .session = sessions[s],
        .number = next_request[s]++,
        .command = {.op = op, .conn = conn, .ttr = 3600, .pri = 1000},
    };
}

static void add(struct jsm_item item)
{
    batch[n_batch++] = item;
    if (n_batch == BATCH) {
        flush();
    }
}

static void open_session(unsigned s)
{
    const struct jsm_item open = {
        .kind = JSM_ITEM_OPEN, .name = cb_span_str(s == 0 ? "a" : "b"), .incarnation = {1, 1}};
    sessions[s] = next_index;
    next_request[s] = 1;
    apply(&open, 1);
    add(request(s, JSM_OP_CONN_OPEN, 1));
    flush();
}

static void begin(void)
{
    m = jsm_create();
    sessions[0] = sessions[1] = 0;
    next_index = 1;
    stamp_ns = CB_NS_PER_S;
    open_session(0);
    open_session(1);
}

/* Priorities and order of ids are at odds, as in a queue that has been used. */
static uint32_t some_pri(unsigned i)
{
    return (i * 2654435761u) >> 21; /* below 2,048: half of them urgent */
}

static void put_jobs(unsigned n, uint32_t delay)
{
    static const char body[100] = "x";
    for (unsigned i = 0; i < n; i++) {
        struct jsm_item item = request(0, JSM_OP_PUT, 1);
        item.command.pri = some_pri(i);
        item.command.delay = delay;
        item.command.body = cb_span(body, sizeof(body));
        add(item);
    }
    flush();
}

static void open_conns(unsigned s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        add(request(s, JSM_OP_CONN_OPEN, 2 + i));
    }
    flush();
}

/* Each of the connections [2, 2 + conns) of the session reserves, in turn, n times in all. */
static void reserve(unsigned s, unsigned conns, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        add(request(s, JSM_OP_RESERVE, 2 + i % conns));
    }
    flush();
}

static void bury_all(unsigned n)
{
    open_conns(0, 1);
    for (unsigned i = 0; i < n; i++) {
        struct jsm_item item = request(0, JSM_OP_RESERVE_JOB, 2);
        item.command.id = i + 1;
        add(item);
        item = request(0, JSM_OP_BURY, 2);
        item.command.id = i + 1;
        item.command.pri = some_pri(i);
        add(item);
    }
    flush();
}

/* Puts a job into each of `n` tubes; connection 2 of the other session may watch them. */
static void use_tubes(unsigned n, bool watched)
{
    static char names[BATCH][16];
    for (unsigned i = 0; i < n; i++) {
        struct jsm_item item = request(0, JSM_OP_USE, 1);
        (void)snprintf(names[n_batch], sizeof(names[0]), "t%u", i);
        item.command.tube = cb_span_str(names[n_batch]);
        add(item);
        item = request(0, JSM_OP_PUT, 1);
        add(item);
    }
    flush();
    for (unsigned i = 0; watched && i < n; i++) {
        struct jsm_item item = request(1, JSM_OP_WATCH, 2);
        (void)snprintf(names[n_batch], sizeof(names[0]), "t%u", i);
        item.command.tube = cb_span_str(names[n_batch]);
        add(item);
    }
    flush();
}

static struct jsm_item kick(void)
{
    struct jsm_item item = request(0, JSM_OP_KICK, 1);
    item.command.count = UINT32_MAX;
    return item;
}

static struct jsm_item pause_tube(uint32_t seconds)
{
    struct jsm_item item = request(0, JSM_OP_PAUSE_TUBE, 1);
    item.command.tube = cb_span_str("default");
    item.command.delay = seconds;
    return item;
}

static struct jsm_item of_session(enum jsm_item_kind kind, unsigned s)
{
    return (struct jsm_item){.kind = kind, .session = sessions[s]};
}

/* ---- cases ---- */

static void measure(const char *what, const struct jsm_item *items, uint32_t n)
{
    drain();
    longest = (struct longest){0};
    apply(items, n);
    double first_s = longest.apply_s;
    while (jsm_next_due_ns(m) <= jsm_stamp_ns(m)) {
        apply(NULL, 0);
    }
    double apply_s = longest.apply_s;
    drain();
    printf("%-58s first %8.2f ms, longest %8.2f ms of %4u; drain %8.2f ms\n", what, first_s * 1e3,
           apply_s * 1e3, longest.applies, longest.drain_s * 1e3);
    (void)fflush(stdout); /* a lost line shows */
    jsm_destroy(m);
}

static void measure_one(const char *what, struct jsm_item item)
{
    measure(what, &item, 1);
}

static void delays_end(void)
{
    begin();
    put_jobs(n_jobs, 1000);
    stamp_ns += 1001 * CB_NS_PER_S;
    measure("delays of all jobs end at one stamp", NULL, 0);
}

static void kick_buried(void)
{
    begin();
    put_jobs(n_jobs, 0);
    bury_all(n_jobs);
    measure_one("kick of all jobs, buried", kick());
}

static void kick_delayed(void)
{
    begin();
    put_jobs(n_jobs, 1000);
    measure_one("kick of all jobs, delayed", kick());
}

static void kick_for_waiters(void)
{
    begin();
    put_jobs(n_jobs, 1000);
    open_conns(1, n_conns);
    reserve(1, n_conns, n_conns);
    measure_one("kick of all jobs, with waiters", kick());
}

static void hold(unsigned conns, unsigned n)
{
    begin();
    put_jobs(n, 0);
    open_conns(1, conns);
    reserve(1, conns, n);
}

static void close_holder(void)
{
    hold(1, n_jobs / 10);
    measure_one("a connection ends that holds a tenth of the jobs",
                request(1, JSM_OP_CONN_CLOSE, 2));
    hold(1, n_jobs);
    measure_one("a connection ends that holds all jobs", request(1, JSM_OP_CONN_CLOSE, 2));
}

static void session_ends(void)
{
    hold(1, n_jobs / 10);
    measure_one("a session ends, one connection holds a tenth of the jobs",
                of_session(JSM_ITEM_EXPIRE, 1));
    hold(n_conns, n_jobs / 10);
    measure_one("a session ends, all connections hold a tenth", of_session(JSM_ITEM_EXPIRE, 1));
    hold(n_conns, n_jobs);
    measure_one("a session ends, all connections hold all jobs", of_session(JSM_ITEM_EXPIRE, 1));
    begin();
    open_conns(1, n_conns);
    measure_one("a session ends with all connections, idle", of_session(JSM_ITEM_EXPIRE, 1));
    begin();
    open_conns(1, n_conns);
    reserve(1, n_conns, n_conns);
    measure_one("a session ends with all connections, waiting", of_session(JSM_ITEM_EXPIRE, 1));
}

static void many_tubes(void)
{
    begin();
    open_conns(1, 1);
    use_tubes(n_jobs / 10, false);
    for (unsigned i = 0; i < n_jobs / 10; i++) {
        struct jsm_item item = request(1, JSM_OP_RESERVE_JOB, 2);
        item.command.id = i + 1;
        add(item);
    }
    flush();
    measure_one("a connection ends that holds jobs of as many tubes",
                request(1, JSM_OP_CONN_CLOSE, 2));
}

static void reservations_end(void)
{
    hold(n_conns, n_jobs);
    stamp_ns += 3601 * CB_NS_PER_S;
    measure("ttr of all jobs ends at one stamp, all connections", NULL, 0);
}

static void waits_end(void)
{
    begin();
    open_conns(1, n_conns);
    for (unsigned i = 0; i < n_conns; i++) {
        struct jsm_item item = request(1, JSM_OP_RESERVE_WITH_TIMEOUT, 2 + i);
        item.command.count = 100;
        add(item);
    }
    flush();
    stamp_ns += 101 * CB_NS_PER_S;
    measure("waits of all connections end at one stamp", NULL, 0);
}

static void pause_ends(void)
{
    begin();
    const struct jsm_item pause = pause_tube(100);
    add(pause);
    flush();
    put_jobs(n_jobs, 0);
    open_conns(1, n_conns);
    reserve(1, n_conns, n_conns);
    stamp_ns += 101 * CB_NS_PER_S;
    measure("a pause ends, all connections wait", NULL, 0);
}

static void acknowledgement(void)
{
    begin();
    open_conns(1, n_conns);
    put_jobs(n_conns, 0);
    for (unsigned i = 0; i <= CB_RESULTS_UNACKED_MAX; i++) {
        batch[n_batch++] = request(1, JSM_OP_DELETE, 1); /* NOT_FOUND */
        if (n_batch == BATCH) {
            apply(batch, n_batch);
            n_batch = 0;
        }
    }
    apply(batch, n_batch);
    n_batch = 0;
    struct jsm_item ack = of_session(JSM_ITEM_ACK, 1);
    ack.number = UINT64_MAX;
    measure_one("all results are acknowledged", ack);
}

static void unblocked(void)
{
    begin();
    open_conns(1, n_conns);
    reserve(1, n_conns, n_conns);
    for (unsigned i = 0; i < CB_RESULTS_UNACKED_MAX; i++) {
        batch[n_batch++] = request(1, JSM_OP_DELETE, 1); /* NOT_FOUND */
        if (n_batch == BATCH) {
            apply(batch, n_batch);
            n_batch = 0;
        }
    }
    apply(batch, n_batch);
    n_batch = 0;
    drain();
    longest = (struct longest){0};
    struct jsm_item one = request(1, JSM_OP_DELETE, 1);
    apply(&one, 1);
    printf("%-58s first %8.2f ms\n", "the bound of results is reached, all connections wait",
           longest.apply_s * 1e3);
    for (unsigned i = 0; i < n_conns; i++) {
        batch[n_batch++] = request(0, JSM_OP_PUT, 1);
        if (n_batch == BATCH) {
            apply(batch, n_batch);
            n_batch = 0;
            acknowledge(0);
        }
    }
    apply(batch, n_batch);
    n_batch = 0;
    struct jsm_item ack = of_session(JSM_ITEM_ACK, 1);
    ack.number = UINT64_MAX;
    measure_one("all results are acknowledged, waiters get jobs", ack);
}

static void resume(void)
{
    hold(n_conns, n_conns);
    measure_one("RESUME, all connections hold a job", of_session(JSM_ITEM_RESUME, 1));
    hold(n_conns, n_conns);
    const struct jsm_item item = of_session(JSM_ITEM_RESUME, 1);
    apply(&item, 1);
    measure_one("ATTACHED, all connections hold a job", of_session(JSM_ITEM_ATTACHED, 1));
}

static void growth(void)
{
    begin();
    drain();
    longest = (struct longest){0};
    put_jobs(4 * n_jobs, 0);
    printf("%-58s longest %8.2f ms; drain %8.2f ms\n",
           "put of four times as many jobs, 1,000 an entry", longest.apply_s * 1e3,
           longest.drain_s * 1e3);
    jsm_destroy(m);
}

static void many_watches(void)
{
    begin();
    open_conns(1, 1);
    unsigned n = n_jobs / 10;
    use_tubes(n, true);
    for (unsigned i = 0; i < n; i++) {
        struct jsm_item item = request(0, JSM_OP_DELETE, 1);
        item.command.id = i + 1;
        add(item);
    }
    flush();
    measure_one("a reserve that waits in as many tubes as a tenth of jobs",
                request(1, JSM_OP_RESERVE, 2));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        {"delays_end", delays_end},
        {"kick_buried", kick_buried},
        {"kick_delayed", kick_delayed},
        {"kick_for_waiters", kick_for_waiters},
        {"close_holder", close_holder},
        {"session_ends", session_ends},
        {"many_tubes", many_tubes},
        {"reservations_end", reservations_end},
        {"waits_end", waits_end},
        {"pause_ends", pause_ends},
        {"acknowledgement", acknowledgement},
        {"unblocked", unblocked},
        {"resume", resume},
        {"growth", growth},
        {"many_watches", many_watches},
    };
    n_jobs = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000;
    n_conns = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 65536;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (argc < 4 || strcmp(argv[3], cases[i].name) == 0) {
            cases[i].run();
        }
    }
    return 0;
}
