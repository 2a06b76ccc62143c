/* A node's store: commits become durable some time after they were asked for, all that are queued
 * together, on virtual time. Behind it lies LMDB, or the double in memory. */
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/base/cb_mem.h"
#include "node/store/store_lmdb.h"
#include "sim/sim.h"

#define SLOW_MAX_NS (1500 * CB_NS_PER_MS)
#define FULL_RETRY_NS CB_NS_PER_S

struct sim_store {
    struct store base;
    struct store *inner;
    struct sim_node *node;
    struct cb_list queue;  /* struct store_batch, its meta in place */
    struct cb_list copies; /* struct sim_copy: open */
    size_t queued_bytes;
    bool commit_is_due;
    void (*notify)(void *data);
    /* LMDB's writer tells here. */
    pthread_mutex_t lock;
    pthread_cond_t told;
    uint64_t tellings;
};

static struct sim_store *of(struct store *s)
{
    return CB_CONTAINER(s, struct sim_store, base);
}

static void on_inner_durable(void *data)
{
    struct sim_store *s = data;
    CB_ASSERT(pthread_mutex_lock(&s->lock) == 0);
    s->tellings++;
    CB_ASSERT(pthread_cond_signal(&s->told) == 0);
    CB_ASSERT(pthread_mutex_unlock(&s->lock) == 0);
}

/* One at a time: how LMDB's writer would gather them depends on real time. */
static void commit_inner(struct sim_store *s, struct store_batch *b)
{
    uint64_t before = s->tellings;
    struct store_meta meta = b->meta;
    store_commit(s->inner, b, &meta);
    CB_ASSERT(pthread_mutex_lock(&s->lock) == 0);
    while (s->tellings == before) {
        CB_ASSERT(pthread_cond_wait(&s->told, &s->lock) == 0);
    }
    CB_ASSERT(pthread_mutex_unlock(&s->lock) == 0);
}

static void commit_queue(struct sim_store *s)
{
    struct cb_list *l;
    while ((l = cb_list_first(&s->queue)) != NULL) {
        cb_list_remove(l);
        commit_inner(s, CB_CONTAINER(l, struct store_batch, link));
    }
    s->queued_bytes = 0;
}

static void schedule_commit(struct sim_store *s, uint64_t in_ns);

static void on_commit(void *arg)
{
    struct sim_store *s = arg;
    s->commit_is_due = false;
    if (s->node->disk_is_full) {
        schedule_commit(s, FULL_RETRY_NS);
        return;
    }
    commit_queue(s);
    s->notify(s->node);
}

static void schedule_commit(struct sim_store *s, uint64_t in_ns)
{
    if (!s->commit_is_due) {
        s->commit_is_due = true;
        fake_at(&s->node->fake->process, sim_now(s->node->sim) + in_ns, on_commit, sim_drop_nothing,
                s);
    }
}

static void op_commit(struct store *base, struct store_batch *b, const struct store_meta *meta)
{
    struct sim_store *s = of(base);
    struct sim *sim = s->node->sim;
    bool is_slow = sim_has(sim, SIM_FAULT_SLOW_DISK) && sim_one_in(sim, 20);
    b->meta = *meta;
    s->queued_bytes += store_batch_bytes(b);
    cb_list_push_back(&s->queue, &b->link);
    schedule_commit(s, sim_between(sim, 0, is_slow ? SLOW_MAX_NS : 4 * sim->options.disk_ns));
}

static void op_durable(struct store *base, struct store_meta *out)
{
    store_durable(of(base)->inner, out);
}

static size_t op_pending_bytes(struct store *base)
{
    return of(base)->queued_bytes;
}

static bool op_is_full(struct store *base)
{
    return of(base)->node->disk_is_full;
}

static enum store_result op_load(struct store *base,
                                 store_record_fn fn,
                                 void *data,
                                 struct store_meta *meta,
                                 struct store_error *err)
{
    return store_load(of(base)->inner, fn, data, meta, err);
}

static enum store_result
op_read(struct store *base, struct cb_span key, struct cb_buf *out, struct store_error *err)
{
    return store_read(of(base)->inner, key, out, err);
}

static enum store_result op_read_many(struct store *base,
                                      const struct cb_span *keys,
                                      size_t n,
                                      store_value_fn fn,
                                      void *data,
                                      struct store_error *err)
{
    return store_read_many(of(base)->inner, keys, n, fn, data, err);
}

static enum store_result
op_set_local(struct store *base, const char *name, struct cb_span value, struct store_error *err)
{
    return store_set_local(of(base)->inner, name, value, err);
}

static enum store_result
op_get_local(struct store *base, const char *name, struct cb_buf *out, struct store_error *err)
{
    return store_get_local(of(base)->inner, name, out, err);
}

/* The copy is the inner store's own: there is nothing that the simulation adds to reading. */
/* So that they end with a process that dies in the middle of something and closes nothing. */
struct sim_copy {
    struct store_copy base;
    struct cb_list link; /* in sim_store.copies */
    struct store_copy *inner;
};

static enum store_result copy_next(struct store_copy *base,
                                   size_t size,
                                   struct cb_buf *out,
                                   bool *is_last,
                                   struct store_error *err)
{
    return store_copy_next(CB_CONTAINER(base, struct sim_copy, base)->inner, size, out, is_last,
                           err);
}

static void copy_close(struct store_copy *base)
{
    struct sim_copy *c = CB_CONTAINER(base, struct sim_copy, base);
    store_copy_close(c->inner);
    cb_list_remove(&c->link);
    cb_free(c);
}

static enum store_result
op_copy_open(struct store *base, struct store_copy **out, struct store_error *err)
{
    static const struct store_copy_ops copy_ops = {.next = copy_next, .close = copy_close};
    struct store_copy *inner;
    enum store_result result = store_copy_open(of(base)->inner, &inner, err);
    if (result != STORE_OK) {
        return result;
    }
    struct sim_copy *c = cb_calloc(1, sizeof *c);
    c->base = (struct store_copy){.ops = &copy_ops, .meta = *store_copy_meta(inner)};
    c->inner = inner;
    cb_list_push_back(&of(base)->copies, &c->link);
    *out = &c->base;
    return STORE_OK;
}

static void close_copies(struct sim_store *s)
{
    CB_LIST_FOREACH_SAFE(it, tmp, &s->copies)
    {
        copy_close(&CB_CONTAINER(it, struct sim_copy, link)->base);
    }
}

static void op_discard_incoming(struct store *base)
{
    of(base)->node->installs = false;
    store_discard_incoming(of(base)->inner);
}

static enum store_result refuse_incoming(struct store *base, struct store_error *err)
{
    op_discard_incoming(base);
    return store_fail(err, STORE_FULL, "the simulated disk is full");
}

static enum store_result op_incoming_begin(struct store *base, struct store_error *err)
{
    if (of(base)->node->disk_is_full) {
        return refuse_incoming(base, err);
    }
    of(base)->node->installs = true;
    sim_faults_moment(of(base)->node->sim);
    return store_incoming_begin(of(base)->inner, err);
}

/* The disk may have become full since the bytes before; a crash between two takes what was fed, and
 * one after the last leaves a whole state for the next start. */
static enum store_result
op_incoming_feed(struct store *base, struct cb_span bytes, bool *is_whole, struct store_error *err)
{
    if (of(base)->node->disk_is_full) {
        return refuse_incoming(base, err);
    }
    enum store_result result = store_incoming_feed(of(base)->inner, bytes, is_whole, err);
    of(base)->node->installs = result == STORE_OK;
    return result;
}

static enum store_result op_load_incoming(struct store *base,
                                          store_record_fn fn,
                                          void *data,
                                          struct store_meta *meta,
                                          struct store_error *err)
{
    return store_load_incoming(of(base)->inner, fn, data, meta, err);
}

static enum store_result op_swap(struct store *base, struct store_error *err)
{
    struct sim_store *s = of(base);
    if (s->node->disk_is_full && !cb_list_is_empty(&s->queue)) {
        snprintf(err->text, sizeof err->text, "the simulated disk is full");
        return STORE_FULL;
    }
    commit_queue(s);
    s->node->installs = false;
    return store_swap(s->inner, err);
}

static void op_close(struct store *base)
{
    struct sim_store *s = of(base);
    commit_queue(s);
    store_close(s->inner);
    cb_free(s);
}

static const struct store_ops ops = {
    .commit = op_commit,
    .durable = op_durable,
    .pending_bytes = op_pending_bytes,
    .is_full = op_is_full,
    .load = op_load,
    .read = op_read,
    .read_many = op_read_many,
    .set_local = op_set_local,
    .get_local = op_get_local,
    .copy_open = op_copy_open,
    .incoming_begin = op_incoming_begin,
    .incoming_feed = op_incoming_feed,
    .load_incoming = op_load_incoming,
    .swap = op_swap,
    .discard_incoming = op_discard_incoming,
    .close = op_close,
};

static struct store *open_lmdb(struct sim_store *s)
{
    const struct store_lmdb_options options = {
        .dir = s->node->dir,
        .node = s->node->fake->address,
        .cluster = "sim",
        .map_size = 256 * CB_MIB,
        .notify = on_inner_durable,
        .notify_data = s,
    };
    struct store *inner;
    struct store_error err;
    if (store_lmdb_open(&options, &inner, &err) != STORE_OK) {
        sim_fail(s->node->sim, "start", "node %u cannot open its store: %s", (unsigned)s->node->id,
                 err.text);
    }
    return inner;
}

struct store *sim_store_open(struct sim_node *n, void (*notify)(void *data))
{
    struct sim_store *s = cb_calloc(1, sizeof *s);
    s->base.ops = &ops;
    s->node = n;
    s->notify = notify;
    cb_list_init(&s->queue);
    cb_list_init(&s->copies);
    CB_ASSERT(pthread_mutex_init(&s->lock, NULL) == 0);
    CB_ASSERT(pthread_cond_init(&s->told, NULL) == 0);
    const struct store_mem_options mem = {
        .disk = n->disk, .is_immediate = true, .notify = on_inner_durable, .notify_data = s};
    s->inner = n->disk != NULL ? store_mem_open(&mem) : open_lmdb(s);
    return &s->base;
}

/* A commit under way has reached the disk, or not: nobody was told. */
void sim_store_crash(struct store *store)
{
    struct sim_store *s = of(store);
    struct sim *sim = s->node->sim;
    struct cb_list *l;
    if (!cb_list_is_empty(&s->queue) && !s->node->disk_is_full && sim_one_in(sim, 2)) {
        sim->counters.store_crashes_late++;
        commit_queue(s);
    }
    sim->counters.store_crashes_early += !cb_list_is_empty(&s->queue);
    while ((l = cb_list_first(&s->queue)) != NULL) {
        cb_list_remove(l);
        store_batch_destroy(CB_CONTAINER(l, struct store_batch, link));
    }
    close_copies(s);
    if (s->node->disk != NULL) {
        store_mem_crash(s->inner);
    } else {
        store_close(s->inner);
    }
    cb_free(s);
}
