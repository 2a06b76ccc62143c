#include "node/store/store_lmdb.h"

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
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

struct store_env *lmdb_env_take(struct lmdb_store *s)
{
    lmdb_lock(s);
    struct store_env *e = store_env_ref(s->env);
    lmdb_unlock(s);
    return e;
}

static void
lmdb_commit(struct store *base, struct store_batch *batch, const struct store_meta *meta)
{
    struct lmdb_store *s = lmdb_of(base);
    batch->meta = *meta;
    lmdb_lock(s);
    CB_ASSERT(meta->index >= s->queued_index);
    s->queued_index = meta->index;
    s->pending_bytes += store_batch_bytes(batch);
    cb_list_push_back(&s->queue, &batch->link);
    (void)pthread_cond_signal(&s->wake);
    lmdb_unlock(s);
}

static void lmdb_durable(struct store *base, struct store_meta *out)
{
    struct lmdb_store *s = lmdb_of(base);
    lmdb_lock(s);
    *out = s->durable;
    lmdb_unlock(s);
}

static size_t lmdb_pending_bytes(struct store *base)
{
    struct lmdb_store *s = lmdb_of(base);
    lmdb_lock(s);
    size_t bytes = s->pending_bytes;
    lmdb_unlock(s);
    return bytes;
}

static bool lmdb_is_full(struct store *base)
{
    struct lmdb_store *s = lmdb_of(base);
    lmdb_lock(s);
    bool is_full = s->is_full;
    lmdb_unlock(s);
    return is_full;
}

static enum store_result lmdb_load(struct store *base,
                                   store_record_fn fn,
                                   void *data,
                                   struct store_meta *meta,
                                   struct store_error *err)
{
    struct store_env *e = lmdb_env_take(lmdb_of(base));
    struct store_guard guard;
    store_guard_begin(&guard, lmdb_of(base)->dir.path);
    enum store_result result = store_env_scan(e, fn, data, meta, err);
    store_guard_end(&guard);
    store_env_unref(e);
    return result;
}

static enum store_result
lmdb_read(struct store *base, struct cb_span key, struct cb_buf *out, struct store_error *err)
{
    struct store_env *e = lmdb_env_take(lmdb_of(base));
    struct store_guard guard;
    store_guard_begin(&guard, lmdb_of(base)->dir.path);
    enum store_result result = store_env_read(e, key, out, err);
    store_guard_end(&guard);
    store_env_unref(e);
    return result;
}

static enum store_result lmdb_read_many(struct store *base,
                                        const struct cb_span *keys,
                                        size_t n,
                                        store_value_fn fn,
                                        void *data,
                                        struct store_error *err)
{
    struct store_env *e = lmdb_env_take(lmdb_of(base));
    struct store_guard guard;
    store_guard_begin(&guard, lmdb_of(base)->dir.path);
    enum store_result result = store_env_read_many(e, keys, n, fn, data, err);
    store_guard_end(&guard);
    store_env_unref(e);
    return result;
}

static enum store_result
lmdb_set_local(struct store *base, const char *name, struct cb_span value, struct store_error *err)
{
    struct store_env *e = lmdb_env_take(lmdb_of(base));
    enum store_result result = store_env_set_local(e, name, value, err);
    store_env_unref(e);
    return result;
}

static enum store_result
lmdb_get_local(struct store *base, const char *name, struct cb_buf *out, struct store_error *err)
{
    struct store_env *e = lmdb_env_take(lmdb_of(base));
    enum store_result result = store_env_get_local(e, name, out, err);
    store_env_unref(e);
    return result;
}

static void destroy(struct lmdb_store *s)
{
    CB_ASSERT(s->copies == 0);
    if (s->filling != NULL) {
        lmdb_filling_destroy(s->filling);
    }
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
    struct lmdb_store *s = lmdb_of(base);
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
    .read_many = lmdb_read_many,
    .set_local = lmdb_set_local,
    .get_local = lmdb_get_local,
    .copy_open = lmdb_copy_open,
    .incoming_begin = lmdb_incoming_begin,
    .incoming_feed = lmdb_incoming_feed,
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

enum store_result
store_lmdb_identity(const char *dir, struct store_identity *out, struct store_error *err)
{
    return store_dir_peek_identity(dir, out, err);
}
