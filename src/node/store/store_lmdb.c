#include "node/store/store_lmdb.h"

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "node/store/store_bulk.h"
#include "node/store/store_dump.h"
#include "node/store/store_guard.h"
#include "node/store/store_lmdb_internal.h"

/* ThreadSanitizer leaves a program little more address space than one full map. */
#if defined(__SANITIZE_THREAD__)
#define MAP_SIZE_DEFAULT (16 * 1024 * CB_MIB)
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MAP_SIZE_DEFAULT (16 * 1024 * CB_MIB)
#endif
#endif
#ifndef MAP_SIZE_DEFAULT
#define MAP_SIZE_DEFAULT CB_STORE_MAP_SIZE
#endif

static struct lmdb_store *of(struct store *s)
{
    return CB_CONTAINER(s, struct lmdb_store, base);
}

static void lock(struct lmdb_store *s)
{
    (void)pthread_mutex_lock(&s->mu); /* fails on a bug only, which the sanitizers see */
}

static void unlock(struct lmdb_store *s)
{
    (void)pthread_mutex_unlock(&s->mu);
}

static _Noreturn void die(const struct store_error *err)
{
    cb_die("%s: check the disk and its file system, then start the node again", err->text);
}

/* The present database, to be given back with store_env_unref. */
static struct store_env *env_take(struct lmdb_store *s)
{
    lock(s);
    struct store_env *e = store_env_ref(s->env);
    unlock(s);
    return e;
}

static void
lmdb_commit(struct store *base, struct store_batch *batch, const struct store_meta *meta)
{
    struct lmdb_store *s = of(base);
    batch->meta = *meta;
    lock(s);
    CB_ASSERT(meta->index >= s->queued_index);
    s->queued_index = meta->index;
    s->pending_bytes += store_batch_bytes(batch);
    cb_list_push_back(&s->queue, &batch->link);
    (void)pthread_cond_signal(&s->wake);
    unlock(s);
}

static void lmdb_durable(struct store *base, struct store_meta *out)
{
    struct lmdb_store *s = of(base);
    lock(s);
    *out = s->durable;
    unlock(s);
}

static size_t lmdb_pending_bytes(struct store *base)
{
    struct lmdb_store *s = of(base);
    lock(s);
    size_t bytes = s->pending_bytes;
    unlock(s);
    return bytes;
}

static bool lmdb_is_full(struct store *base)
{
    struct lmdb_store *s = of(base);
    lock(s);
    bool is_full = s->is_full;
    unlock(s);
    return is_full;
}

static enum store_result lmdb_load(struct store *base,
                                   store_record_fn fn,
                                   void *data,
                                   struct store_meta *meta,
                                   struct store_error *err)
{
    struct store_env *e = env_take(of(base));
    struct store_scan scan = {.on_record = fn, .data = data};
    struct store_guard guard;
    store_guard_begin(&guard, of(base)->dir.path);
    enum store_result result = store_env_scan(e, &scan, meta, err);
    store_guard_end(&guard);
    store_env_unref(e);
    return result;
}

static enum store_result
lmdb_read(struct store *base, struct cb_span key, struct cb_buf *out, struct store_error *err)
{
    struct store_env *e = env_take(of(base));
    enum store_result result = store_env_read(e, key, out, err);
    store_env_unref(e);
    return result;
}

static enum store_result
lmdb_set_local(struct store *base, const char *name, struct cb_span value, struct store_error *err)
{
    struct store_env *e = env_take(of(base));
    enum store_result result = store_env_set_local(e, name, value, err);
    store_env_unref(e);
    return result;
}

static enum store_result
lmdb_get_local(struct store *base, const char *name, struct cb_buf *out, struct store_error *err)
{
    struct store_env *e = env_take(of(base));
    enum store_result result = store_env_get_local(e, name, out, err);
    store_env_unref(e);
    return result;
}

struct dump_job {
    struct store_dump_writer writer;
    const char *cluster;
};

static bool dump_meta(void *data, const struct store_meta *meta)
{
    struct dump_job *job = data;
    return store_dump_header(&job->writer, job->cluster, meta);
}

static bool dump_record(void *data, struct cb_span key, struct cb_span value)
{
    struct dump_job *job = data;
    return store_dump_record(&job->writer, key, value);
}

static enum store_result
lmdb_dump(struct store *base, store_write_fn fn, void *data, struct store_error *err)
{
    struct lmdb_store *s = of(base);
    struct dump_job job = {.cluster = s->cluster};
    struct store_scan scan = {.on_meta = dump_meta, .on_record = dump_record, .data = &job};
    struct store_env *e = env_take(s);
    store_dump_writer_init(&job.writer, fn, data);
    enum store_result result = store_env_scan(e, &scan, NULL, err);
    if (result == STORE_OK && !store_dump_trailer(&job.writer)) {
        result = store_fail(err, STORE_STOPPED, "%s: the dump was stopped", s->dir.path);
    }
    store_dump_writer_fini(&job.writer);
    store_env_unref(e);
    return result;
}

static enum store_result copy_records(struct store_dump_reader *r,
                                      struct store_bulk *bulk,
                                      const struct store_meta *meta,
                                      struct store_error *err)
{
    for (;;) {
        struct cb_span key;
        struct cb_span value;
        enum store_result result = store_dump_read_record(r, &key, &value, err);
        if (result == STORE_NOT_FOUND) {
            return store_bulk_finish(bulk, meta, err);
        }
        result = result == STORE_OK ? store_bulk_append(bulk, key, value, err) : result;
        if (result != STORE_OK) {
            return result;
        }
    }
}

/* A new database at STORE_DB_NEW. */
static enum store_result fill_incoming(struct lmdb_store *s,
                                       struct store_dump_reader *r,
                                       const struct store_meta *meta,
                                       struct store_env **out,
                                       struct store_error *err)
{
    enum store_result result = store_dir_make(&s->dir, STORE_DB_NEW, err);
    if (result != STORE_OK) {
        return result;
    }
    char *path = store_dir_join(&s->dir, STORE_DB_NEW);
    struct store_env *e = NULL;
    result = store_env_open(path, s->map_size, STORE_ENV_NEW_BULK, &e, err);
    cb_free(path);
    result = result == STORE_OK ? store_dir_sync(&s->dir, STORE_DB_NEW, err) : result;
    if (result == STORE_OK) {
        struct store_bulk *bulk = store_bulk_create(e);
        result = copy_records(r, bulk, meta, err);
        store_bulk_destroy(bulk);
    }
    if (result != STORE_OK && e != NULL) {
        store_env_unref(e);
        e = NULL;
    }
    *out = e;
    return result;
}

static void drop_incoming(struct lmdb_store *s)
{
    lock(s);
    struct store_env *e = s->incoming;
    s->incoming = NULL;
    unlock(s);
    if (e != NULL) {
        store_env_unref(e);
    }
    struct store_error err;
    if (store_dir_remove(&s->dir, STORE_DB_NEW, &err) != STORE_OK) {
        die(&err);
    }
}

static enum store_result lmdb_load_dump(struct store *base,
                                        store_read_fn fn,
                                        void *data,
                                        struct store_meta *meta,
                                        struct store_error *err)
{
    struct lmdb_store *s = of(base);
    struct store_dump_reader r;
    struct store_meta local;
    struct store_env *e = NULL;
    drop_incoming(s);
    store_dump_reader_init(&r, fn, data);
    enum store_result result = store_dump_read_header(&r, s->cluster, &local, err);
    result = result == STORE_OK ? fill_incoming(s, &r, &local, &e, err) : result;
    store_dump_reader_fini(&r);
    if (result != STORE_OK) {
        drop_incoming(s);
        return result;
    }
    lock(s);
    s->incoming = e;
    unlock(s);
    if (meta != NULL) {
        *meta = local;
    }
    return STORE_OK;
}

static enum store_result lmdb_load_incoming(struct store *base,
                                            store_record_fn fn,
                                            void *data,
                                            struct store_meta *meta,
                                            struct store_error *err)
{
    struct lmdb_store *s = of(base);
    lock(s);
    struct store_env *e = s->incoming != NULL ? store_env_ref(s->incoming) : NULL;
    unlock(s);
    CB_ASSERT(e != NULL);
    struct store_scan scan = {.on_record = fn, .data = data};
    enum store_result result = store_env_scan(e, &scan, meta, err);
    store_env_unref(e);
    return result;
}

/* With `mu` held and the writer idle. */
static enum store_result swap_in(struct lmdb_store *s, struct store_error *err)
{
    struct store_meta meta;
    enum store_result result = store_env_copy_local(s->env, s->incoming, err);
    result = result == STORE_OK ? store_env_meta(s->incoming, &meta, err) : result;
    if (result == STORE_FULL) {
        return result;
    }
    if (result != STORE_OK) {
        die(err);
    }
    CB_ASSERT(meta.index >= s->durable.index);
    if (store_adopt(&s->dir, err) != STORE_OK) {
        die(err); /* the next start finishes or undoes it */
    }
    s->retired = s->env;
    s->env = s->incoming;
    s->incoming = NULL;
    s->durable = meta;
    s->queued_index = meta.index;
    (void)pthread_cond_signal(&s->wake);
    return STORE_OK;
}

static enum store_result lmdb_swap(struct store *base, struct store_error *err)
{
    struct lmdb_store *s = of(base);
    struct store_error local;
    struct store_error *e = err != NULL ? err : &local;
    enum store_result result = STORE_FULL;
    lock(s);
    CB_ASSERT(s->incoming != NULL);
    if (store_writer_wait_idle(s)) {
        result = swap_in(s, e);
    } else {
        (void)store_fail(e, STORE_FULL, "%s: commits wait for room on the disk", s->dir.path);
    }
    unlock(s);
    return result;
}

static void lmdb_discard_incoming(struct store *base)
{
    drop_incoming(of(base));
}

static void destroy(struct lmdb_store *s)
{
    if (s->incoming != NULL) {
        store_env_unref(s->incoming);
    }
    if (s->env != NULL) {
        store_env_unref(s->env);
    }
    store_dir_close(&s->dir);
    cb_free(s->cluster);
    cb_free(s);
}

static void lmdb_close(struct store *base)
{
    struct lmdb_store *s = of(base);
    store_writer_stop(s);
    destroy(s);
}

static const struct store_ops lmdb_ops = {
    .commit = lmdb_commit,
    .durable = lmdb_durable,
    .pending_bytes = lmdb_pending_bytes,
    .is_full = lmdb_is_full,
    .load = lmdb_load,
    .read = lmdb_read,
    .set_local = lmdb_set_local,
    .get_local = lmdb_get_local,
    .dump = lmdb_dump,
    .load_dump = lmdb_load_dump,
    .load_incoming = lmdb_load_incoming,
    .swap = lmdb_swap,
    .discard_incoming = lmdb_discard_incoming,
    .close = lmdb_close,
};

static enum store_result
open_database(struct lmdb_store *s, const struct store_lmdb_options *o, struct store_error *err)
{
    enum store_result result = store_settle(&s->dir, o, s->map_size, err);
    if (result != STORE_OK) {
        return result;
    }
    char *path = store_dir_join(&s->dir, STORE_DB);
    result = store_env_open(path, s->map_size, STORE_ENV_EXISTING, &s->env, err);
    cb_free(path);
    result = result == STORE_OK ? store_env_meta(s->env, &s->durable, err) : result;
    s->queued_index = s->durable.index;
    return result;
}

enum store_result
store_lmdb_open(const struct store_lmdb_options *o, struct store **out, struct store_error *err)
{
    struct lmdb_store *s = cb_calloc(1, sizeof(*s));
    s->base.ops = &lmdb_ops;
    s->map_size = o->map_size != 0 ? o->map_size : MAP_SIZE_DEFAULT;
    s->cluster = cb_strdup(o->cluster);
    s->notify = o->notify;
    s->notify_data = o->notify_data;
    s->dir.on_step = o->on_step;
    s->dir.step_data = o->step_data;
    cb_list_init(&s->queue);
    enum store_result result = store_dir_open(&s->dir, o->dir, err);
    if (result != STORE_OK) {
        cb_free(s->cluster);
        cb_free(s);
        return result;
    }
    struct store_guard guard;
    store_guard_begin(&guard, o->dir);
    result = open_database(s, o, err);
    store_guard_end(&guard);
    if (result != STORE_OK) {
        destroy(s);
        return result;
    }
    store_writer_start(s);
    *out = &s->base;
    return STORE_OK;
}
