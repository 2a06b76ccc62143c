/* The state's way to another node and from it (design D7): copies, incoming states, the swap. */
#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "node/store/store_bulk.h"
#include "node/store/store_dump.h"
#include "node/store/store_guard.h"
#include "node/store/store_lmdb_internal.h"

static _Noreturn void die(const struct store_error *err)
{
    cb_die("%s: check the disk and its file system, then start the node again", err->text);
}

/* ---- copies ---- */

struct lmdb_copy {
    struct store_copy base;
    struct lmdb_store *store;
    struct store_env *env; /* that of the open, also after a swap */
    struct store_env_walk *walk;
    struct store_dump_writer writer;
    bool has_header;
};

static struct lmdb_copy *copy_of(struct store_copy *c)
{
    return CB_CONTAINER(c, struct lmdb_copy, base);
}

static enum store_result append_records(
    struct lmdb_copy *c, size_t size, struct cb_buf *out, bool *is_last, struct store_error *err)
{
    size_t end = cb_buf_len(out) + size;
    if (!c->has_header) {
        store_dump_write_header(&c->writer, c->store->cluster, &c->base.meta, out);
        c->has_header = true;
    }
    while (cb_buf_len(out) < end) {
        struct cb_span key;
        struct cb_span value;
        enum store_result result = store_env_walk_next(c->walk, &key, &value, err);
        if (result == STORE_NOT_FOUND) {
            store_dump_write_trailer(&c->writer, out);
            *is_last = true;
            return STORE_OK;
        }
        if (result != STORE_OK) {
            return result;
        }
        store_dump_write_record(&c->writer, key, value, out);
    }
    return STORE_OK;
}

static enum store_result copy_next(struct store_copy *base,
                                   size_t size,
                                   struct cb_buf *out,
                                   bool *is_last,
                                   struct store_error *err)
{
    struct lmdb_copy *c = copy_of(base);
    struct store_guard guard;
    store_guard_begin(&guard, c->store->dir.path);
    enum store_result result = append_records(c, size, out, is_last, err);
    store_guard_end(&guard);
    return result;
}

static void copy_free(struct lmdb_copy *c)
{
    store_env_unref(c->env);
    lmdb_lock(c->store);
    c->store->copies--;
    lmdb_unlock(c->store);
    cb_free(c);
}

static void copy_close(struct store_copy *base)
{
    struct lmdb_copy *c = copy_of(base);
    store_env_walk_close(c->walk);
    copy_free(c);
}

static const struct store_copy_ops copy_ops = {.next = copy_next, .close = copy_close};

/* Counts one more copy; NULL when there are too many. */
static struct lmdb_copy *copy_create(struct lmdb_store *s)
{
    struct lmdb_copy *c = NULL;
    lmdb_lock(s);
    if (s->copies < CB_STORE_COPIES_MAX) {
        s->copies++;
        c = cb_calloc(1, sizeof(*c));
        c->base.ops = &copy_ops;
        c->store = s;
        c->env = store_env_ref(s->env);
    }
    lmdb_unlock(s);
    return c;
}

enum store_result
lmdb_copy_open(struct store *base, struct store_copy **out, struct store_error *err)
{
    struct lmdb_store *s = lmdb_of(base);
    struct lmdb_copy *c = copy_create(s);
    if (c == NULL) {
        return store_fail(err, STORE_IO, "%s: %d copies of the state are open already", s->dir.path,
                          CB_STORE_COPIES_MAX);
    }
    struct store_guard guard;
    store_guard_begin(&guard, s->dir.path);
    enum store_result result = store_env_walk_open(c->env, &c->walk, &c->base.meta, err);
    store_guard_end(&guard);
    if (result != STORE_OK) {
        copy_free(c);
        return result;
    }
    *out = &c->base;
    return STORE_OK;
}

/* ---- the incoming state ---- */

/* In STORE_DB_NEW, until it is whole. */
struct lmdb_filling {
    struct store_env *env;
    struct store_bulk *bulk;
    struct store_dump_reader reader;
    bool has_header;
    struct store_meta meta; /* when it has a header */
};

void lmdb_filling_destroy(struct lmdb_filling *f)
{
    store_dump_reader_fini(&f->reader);
    store_bulk_destroy(f->bulk);
    store_env_unref(f->env);
    cb_free(f);
}

static void drop_incoming(struct lmdb_store *s)
{
    if (s->filling != NULL) {
        lmdb_filling_destroy(s->filling);
        s->filling = NULL;
    }
    lmdb_lock(s);
    struct store_env *e = s->incoming;
    s->incoming = NULL;
    lmdb_unlock(s);
    if (e != NULL) {
        store_env_unref(e);
    }
    struct store_error err;
    if (store_dir_remove(&s->dir, STORE_DB_NEW, &err) != STORE_OK) {
        die(&err);
    }
}

static enum store_result open_incoming(const struct lmdb_store *s,
                                       enum store_env_mode mode,
                                       struct store_env **out,
                                       struct store_error *err)
{
    char *path = store_dir_join(&s->dir, STORE_DB_NEW);
    enum store_result result = store_env_open(path, s->map_size, mode, out, err);
    cb_free(path);
    return result;
}

static enum store_result create_incoming(struct lmdb_store *s, struct store_error *err)
{
    struct store_env *e;
    enum store_result result = store_dir_make(&s->dir, STORE_DB_NEW, err);
    result = result == STORE_OK ? open_incoming(s, STORE_ENV_NEW_BULK, &e, err) : result;
    if (result != STORE_OK) {
        return result;
    }
    s->filling = cb_calloc(1, sizeof(*s->filling));
    s->filling->env = e;
    s->filling->bulk = store_bulk_create(e);
    store_dump_reader_init(&s->filling->reader);
    return store_dir_sync(&s->dir, STORE_DB_NEW, err);
}

enum store_result lmdb_incoming_begin(struct store *base, struct store_error *err)
{
    struct lmdb_store *s = lmdb_of(base);
    drop_incoming(s);
    enum store_result result = create_incoming(s, err);
    if (result != STORE_OK) {
        drop_incoming(s);
    }
    return result;
}

/* All records are there. The meta record makes the database whole; then it is opened as any other,
 * with locks. */
static enum store_result finish_filling(struct lmdb_store *s, struct store_error *err)
{
    struct store_env *e;
    struct store_meta meta = s->filling->meta;
    enum store_result result = store_bulk_finish(s->filling->bulk, &meta, err);
    if (result != STORE_OK) {
        return result;
    }
    lmdb_filling_destroy(s->filling); /* LMDB forbids to have a database open twice */
    s->filling = NULL;
    result = open_incoming(s, STORE_ENV_FILLED, &e, err);
    if (result != STORE_OK) {
        return result;
    }
    lmdb_lock(s);
    s->incoming = e;
    lmdb_unlock(s);
    return STORE_OK;
}

/* STORE_MORE, or STORE_NOT_FOUND after the last record. */
static enum store_result copy_records(struct lmdb_filling *f, struct store_error *err)
{
    for (;;) {
        struct cb_span key;
        struct cb_span value;
        enum store_result result = store_dump_read_record(&f->reader, &key, &value, err);
        if (result != STORE_OK) {
            return result;
        }
        result = store_bulk_append(f->bulk, key, value, err);
        if (result != STORE_OK) {
            return result == STORE_NOT_FOUND ? STORE_IO : result; /* not the end of the dump */
        }
    }
}

static enum store_result
fill(struct lmdb_store *s, struct cb_span bytes, bool *is_whole, struct store_error *err)
{
    struct lmdb_filling *f = s->filling;
    enum store_result result = STORE_OK;
    store_dump_reader_feed(&f->reader, bytes);
    if (!f->has_header) {
        result = store_dump_read_header(&f->reader, s->cluster, &f->meta, err);
        f->has_header = result == STORE_OK;
    }
    result = result == STORE_OK ? copy_records(f, err) : result;
    if (result == STORE_NOT_FOUND) {
        result = finish_filling(s, err);
        *is_whole = result == STORE_OK;
    }
    return result == STORE_MORE ? STORE_OK : result;
}

static enum store_result
feed_whole(struct lmdb_store *s, struct cb_span bytes, bool *is_whole, struct store_error *err)
{
    lmdb_lock(s);
    CB_ASSERT(s->incoming != NULL);
    lmdb_unlock(s);
    *is_whole = bytes.len == 0;
    return *is_whole ? STORE_OK : store_fail(err, STORE_BAD_DUMP, "the dump goes on after its end");
}

enum store_result lmdb_incoming_feed(struct store *base,
                                     struct cb_span bytes,
                                     bool *is_whole,
                                     struct store_error *err)
{
    struct lmdb_store *s = lmdb_of(base);
    enum store_result result =
        s->filling != NULL ? fill(s, bytes, is_whole, err) : feed_whole(s, bytes, is_whole, err);
    if (result != STORE_OK) {
        drop_incoming(s);
    }
    return result;
}

enum store_result lmdb_load_incoming(struct store *base,
                                     store_record_fn fn,
                                     void *data,
                                     struct store_meta *meta,
                                     struct store_error *err)
{
    struct lmdb_store *s = lmdb_of(base);
    lmdb_lock(s);
    struct store_env *e = s->incoming != NULL ? store_env_ref(s->incoming) : NULL;
    lmdb_unlock(s);
    CB_ASSERT(e != NULL);
    struct store_guard guard;
    store_guard_begin(&guard, s->dir.path);
    enum store_result result = store_env_scan(e, fn, data, meta, err);
    store_guard_end(&guard);
    store_env_unref(e);
    return result;
}

void lmdb_discard_incoming(struct store *base)
{
    drop_incoming(lmdb_of(base));
}

/* ---- the swap ---- */

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

enum store_result lmdb_swap(struct store *base, struct store_error *err)
{
    struct lmdb_store *s = lmdb_of(base);
    struct store_error local;
    struct store_error *e = err != NULL ? err : &local;
    enum store_result result = STORE_FULL;
    lmdb_lock(s);
    CB_ASSERT(s->incoming != NULL);
    if (store_writer_wait_idle(s)) {
        result = swap_in(s, e);
    } else {
        (void)store_fail(e, STORE_FULL, "%s: commits wait for room on the disk", s->dir.path);
    }
    lmdb_unlock(s);
    return result;
}
