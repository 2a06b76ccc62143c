/* The machine's changed records on their way to the store: one commit at a time, the next one with
 * whatever has changed meanwhile (design D6). */
#include "node/node_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"
#include "node/store/store_lmdb.h"

#define PHASE_KEY "bootstrap"

/* ---- open and load ---- */

static void on_commit(void *data)
{
    struct node *n = data;
    CB_ASSERT(uv_async_send(&n->spans.async) == 0);
}

static void make_dir(const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        cb_die("cannot make the directory %s: %s", path, strerror(errno));
    }
}

static void open_store(struct node *n)
{
    char dir[PATH_MAX];
    char cluster[32];
    int len = snprintf(dir, sizeof(dir), "%s/state", n->options->data_dir);
    if (len < 0 || (size_t)len >= sizeof(dir)) {
        cb_die("--data-dir: the path %s is too long", n->options->data_dir);
    }
    snprintf(cluster, sizeof(cluster), "%016" PRIx64, n->options->cluster);
    make_dir(n->options->data_dir);
    const struct store_lmdb_options options = {
        .dir = dir,
        .node = n->options->name,
        .cluster = cluster,
        .notify = on_commit,
        .notify_data = n,
    };
    struct store_error err;
    if (store_lmdb_open(&options, &n->store, &err) != STORE_OK) {
        cb_die("%s", err.text);
    }
}

static bool load_record(void *data, struct cb_span key, struct cb_span value)
{
    struct node *n = data;
    return jsm_load_record(n->machine, key, value) == JSM_LOAD_OK;
}

static void load_machine(struct node *n)
{
    struct store_error err;
    struct store_meta meta;
    uint64_t start = cb_clock_monotonic_ns(n->clock);
    enum store_result r = store_load(n->store, load_record, n, &meta, &err);
    if (r != STORE_OK && r != STORE_STOPPED) {
        cb_die("%s", err.text);
    }
    bool sound = r == STORE_OK && (meta.index == 0 || jsm_load_done(n->machine) == JSM_LOAD_OK);
    if (!sound || jsm_index(n->machine) != meta.index ||
        (meta.index > 0 && jsm_state_digest(n->machine) != meta.state_digest)) {
        cb_die("the state in %s/state is not what was stored there: the disk or the memory is "
               "damaged; "
               "rebuild this node under a new id",
               n->options->data_dir);
    }
    n->spans.applied = n->spans.durable = meta;
    cb_log(CB_LOG_INFO, "store.loaded", "index=%" PRIu64 " records=%" PRIu64 " ms=%" PRIu64,
           meta.index, meta.record_count, (cb_clock_monotonic_ns(n->clock) - start) / CB_NS_PER_MS);
}

static void load_phase(struct node *n)
{
    static const char *const names[] = {"", "prepared", "bootstrapped"};
    struct cb_buf value;
    struct store_error err;
    cb_buf_init(&value);
    enum store_result r = store_get_local(n->store, PHASE_KEY, &value, &err);
    if (r != STORE_OK && r != STORE_NOT_FOUND) {
        cb_die("%s", err.text);
    }
    n->phase = NODE_EMPTY;
    for (enum node_phase p = NODE_PREPARED; p <= NODE_BOOTSTRAPPED; p++) {
        if (cb_span_eq(cb_buf_span(&value), cb_span_str(names[p]))) {
            n->phase = p;
        }
    }
    if (r == STORE_OK && n->phase == NODE_EMPTY) {
        cb_die("the note \"" PHASE_KEY
               "\" in %s/state is unknown: a later version wrote it; run that one",
               n->options->data_dir);
    }
    cb_buf_fini(&value);
}

void node_store_set_phase(struct node *n, enum node_phase phase)
{
    struct store_error err;
    const char *name = phase == NODE_PREPARED ? "prepared" : "bootstrapped";
    if (store_set_local(n->store, PHASE_KEY, cb_span_str(name), &err) != STORE_OK) {
        cb_die("%s", err.text);
    }
    n->phase = phase;
    cb_log(CB_LOG_INFO, "node.phase", "phase=%s", name);
}

/* ---- spans ---- */

static void on_durable(uv_async_t *async);
static void on_timer(uv_timer_t *timer);

void node_store_open(struct node *n)
{
    CB_ASSERT(uv_async_init(&n->loop, &n->spans.async, on_durable) == 0);
    CB_ASSERT(uv_timer_init(&n->loop, &n->spans.timer) == 0);
    n->spans.async.data = n;
    n->spans.timer.data = n;
    open_store(n);
    load_machine(n);
    load_phase(n);
}

void node_store_applied(struct node *n, uint64_t index, uint64_t term, bool live)
{
    struct store_meta *m = &n->spans.applied;
    uint64_t stamp_ns = jsm_stamp_ns(n->machine);
    if (live) {
        m->wall_ns = cb_clock_wall_ns(n->clock);
    } else if (m->wall_ns != 0) {
        /* Replayed: when it was stamped, not now, or the time that this node was away would be lost
         * to the cluster's clock (design D2). */
        m->wall_ns += stamp_ns - m->stamp_ns;
    }
    m->index = index;
    m->term = term;
    m->stamp_ns = stamp_ns;
}

bool node_store_is_behind(const struct node *n)
{
    return jsm_dirty_bytes(n->machine) + store_pending_bytes(n->store) > CB_STORE_DIRTY_BYTES_MAX;
}

static void put_record(void *data, struct cb_span key, struct cb_span value)
{
    store_batch_put(data, key, value);
}

static void del_record(void *data, struct cb_span key)
{
    store_batch_del(data, key);
}

static void commit(struct node *n)
{
    struct node_spans *s = &n->spans;
    struct store_batch *batch = store_batch_create();
    const struct jsm_record_sink sink = {batch, put_record, del_record};
    jsm_drain(n->machine, &sink);
    s->committing = s->applied;
    s->committing.log_digest = jsm_log_digest(n->machine);
    s->committing.state_digest = jsm_state_digest(n->machine);
    if (n->replica != NULL) {
        struct replica_mark appended = replica_appended(n->replica);
        s->committing.appended_index = appended.index;
        s->committing.appended_term = appended.term;
    }
    s->is_committing = true;
    s->lowers = s->must_lower;
    s->last_ns = cb_clock_monotonic_ns(n->clock);
    store_commit(n->store, batch, &s->committing);
}

static bool is_urgent(const struct node *n, uint64_t now)
{
    const struct node_spans *s = &n->spans;
    return s->must_lower || s->wanted > s->durable.index || now - s->last_ns >= NODE_SPAN_NS ||
           jsm_dirty_bytes(n->machine) >= NODE_SPAN_BYTES;
}

void node_store_turn(struct node *n)
{
    struct node_spans *s = &n->spans;
    if (s->is_committing || (s->applied.index == s->durable.index && !s->must_lower)) {
        return;
    }
    uint64_t now = cb_clock_monotonic_ns(n->clock);
    if (is_urgent(n, now)) {
        commit(n);
    } else if (!uv_is_active((uv_handle_t *)&s->timer)) {
        uint64_t left = NODE_SPAN_NS - (now - s->last_ns);
        CB_ASSERT(uv_timer_start(&s->timer, on_timer, left / CB_NS_PER_MS + 1, 0) == 0);
    }
}

static void on_timer(uv_timer_t *timer)
{
    node_store_turn(timer->data);
}

static bool has_arrived(const struct store_meta *durable, const struct store_meta *committing)
{
    return durable->index == committing->index &&
           durable->appended_index == committing->appended_index &&
           durable->appended_term == committing->appended_term;
}

static void on_durable(uv_async_t *async)
{
    struct node *n = async->data;
    struct node_spans *s = &n->spans;
    struct store_meta durable;
    store_durable(n->store, &durable);
    if (!s->is_committing || !has_arrived(&durable, &s->committing)) {
        return;
    }
    s->is_committing = false;
    s->durable = durable;
    if (n->replica != NULL) {
        replica_durable(n->replica, durable.index);
    }
    if (s->lowers) {
        s->lowers = false;
        s->must_lower = false;
        replica_lowered(n->replica);
    }
    node_transfer_turn(n);
    node_store_turn(n);
}

void node_store_want(struct node *n, uint64_t index)
{
    if (index > n->spans.wanted) {
        n->spans.wanted = index;
    }
}

void node_store_lower(struct node *n)
{
    n->spans.must_lower = true;
}

void node_store_swapped(struct node *n)
{
    struct node_spans *s = &n->spans;
    store_durable(n->store, &s->durable);
    s->applied = s->durable;
    s->is_committing = false;
    replica_durable(n->replica, s->durable.index);
}

void node_store_close(struct node *n)
{
    if (n->spans.applied.index != n->spans.durable.index) {
        commit(n);
    }
    store_close(n->store);
}
