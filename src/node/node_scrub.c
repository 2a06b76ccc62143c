/* The thread that reads what is stored again and again, slowly, and checks it: the state in LMDB
 * (store_scrub.h), then the closed segments of the log (replica_scrub.h), then a rest. A state that
 * is damaged on the disk ends the process, as it would at the next start: the others still have it.
 * A segment of the log that is damaged is reported in each pass, and the node goes on: it has those
 * entries in memory, and does not need that file unless it is started again. */
#include "node/node_internal.h"

#include <inttypes.h>
#include <stdatomic.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"
#include "node/replica/replica_scrub.h"
#include "node/store/store_scrub.h"

#define STEP_BYTES (256 * CB_KIB)
/* After a step at least, so that it is felt by nobody; after a pass, since little was stored since.
 */
#define PAUSE_MIN_NS (50 * CB_NS_PER_MS)
#define REST_NS (10 * CB_NS_PER_S)

struct node_scrub {
    struct store *store;
    const struct cb_clock *clock;
    const char *dir;
    uint64_t rate; /* bytes a second */
    uint64_t damaged_now;
    uv_thread_t thread;
    uv_mutex_t mu; /* guards is_stopping */
    uv_cond_t wake;
    bool is_stopping;
    atomic_uint_fast64_t bytes, passes, damaged;
    atomic_uint_fast64_t passed_ns; /* CLOCK_MONOTONIC of the last whole pass; 0: none */
};

/* False at the end. */
static bool wait_for(struct node_scrub *s, uint64_t ns)
{
    uint64_t end = cb_clock_monotonic_ns(s->clock) + ns;
    uv_mutex_lock(&s->mu);
    while (!s->is_stopping) {
        uint64_t now = cb_clock_monotonic_ns(s->clock);
        if (now >= end) {
            break;
        }
        (void)uv_cond_timedwait(&s->wake, &s->mu, end - now); /* the clock decides */
    }
    bool go_on = !s->is_stopping;
    uv_mutex_unlock(&s->mu);
    return go_on;
}

static bool pace(void *data, size_t bytes)
{
    struct node_scrub *s = data;
    atomic_fetch_add(&s->bytes, bytes);
    uint64_t ns = bytes * CB_NS_PER_S / s->rate;
    return wait_for(s, ns > PAUSE_MIN_NS ? ns : PAUSE_MIN_NS);
}

/* False at the end. */
static bool scrub_store(struct node_scrub *s, struct store_scrub *c)
{
    size_t step = s->rate / 4 < STEP_BYTES ? (size_t)(s->rate / 4 + 1) : STEP_BYTES;
    bool is_pass = false;
    while (!is_pass) {
        struct store_error err;
        size_t read;
        if (store_scrub_step(c, step, &read, &is_pass, &err) != STORE_OK) {
            cb_die("%s; the disk or the memory is damaged: rebuild this node under a new id",
                   err.text);
        }
        if (!pace(s, read)) {
            return false;
        }
    }
    return true;
}

static void on_damaged_segment(void *data, const char *sentence)
{
    struct node_scrub *s = data;
    s->damaged_now++;
    cb_log(CB_LOG_ERROR, "raft.damaged",
           "err=\"%s; this node goes on, but cannot start again while it needs that file: replace "
           "it, or let it run until a snapshot has taken the file away\"",
           sentence);
}

static bool scrub_log(struct node_scrub *s)
{
    const struct replica_scrub_env env = {s, pace, on_damaged_segment};
    s->damaged_now = 0;
    if (!replica_scrub_segments(s->dir, &env)) {
        return false;
    }
    atomic_store(&s->damaged, s->damaged_now);
    return true;
}

static void run(void *arg)
{
    struct node_scrub *s = arg;
    struct store_scrub *c = store_scrub_create(s->store);
    while (scrub_store(s, c) && scrub_log(s)) {
        atomic_fetch_add(&s->passes, 1);
        atomic_store(&s->passed_ns, cb_clock_monotonic_ns(s->clock));
        if (!wait_for(s, REST_NS)) {
            break;
        }
    }
    store_scrub_destroy(c);
}

void node_scrub_start(struct node *n)
{
    if (n->options->scrub_rate == 0) {
        return;
    }
    struct node_scrub *s = cb_calloc(1, sizeof(*s));
    s->store = n->store;
    s->clock = n->clock;
    s->dir = n->options->data_dir;
    s->rate = n->options->scrub_rate;
    CB_ASSERT(uv_mutex_init(&s->mu) == 0 && uv_cond_init(&s->wake) == 0);
    int rv = uv_thread_create(&s->thread, run, s);
    if (rv != 0) {
        cb_die("cannot start the scrub's thread: %s: raise the limit on threads or memory",
               uv_strerror(rv));
    }
    n->scrub = s;
}

void node_scrub_stop(struct node *n)
{
    struct node_scrub *s = n->scrub;
    if (s == NULL) {
        return;
    }
    uv_mutex_lock(&s->mu);
    s->is_stopping = true;
    uv_cond_signal(&s->wake);
    uv_mutex_unlock(&s->mu);
    CB_ASSERT(uv_thread_join(&s->thread) == 0);
    uv_cond_destroy(&s->wake);
    uv_mutex_destroy(&s->mu);
    cb_free(s);
    n->scrub = NULL;
}

void node_scrub_view(const struct node *n, struct node_scrub_view *out)
{
    *out = (struct node_scrub_view){.is_on = n->scrub != NULL};
    if (n->scrub != NULL) {
        struct node_scrub *s = n->scrub;
        uint64_t passed = atomic_load(&s->passed_ns);
        out->bytes = atomic_load(&s->bytes);
        out->passes = atomic_load(&s->passes);
        out->damaged_segments = atomic_load(&s->damaged);
        out->age_s = passed == 0 ? 0 : (cb_clock_monotonic_ns(s->clock) - passed) / CB_NS_PER_S;
    }
}
