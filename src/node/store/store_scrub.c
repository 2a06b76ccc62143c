#include "node/store/store_scrub.h"

#include <string.h>

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "node/store/store_env_internal.h"
#include "node/store/store_lmdb_internal.h"
#include "node/store/store_pages.h"

/* Commits may take a root page's place between two calls; not so often one after the other. */
#define TRIES_MAX 100

static const char *const tables[] = {"records", "node"};
#define TABLE_COUNT (sizeof(tables) / sizeof(tables[0]))

struct store_scrub {
    struct lmdb_store *store;
    struct store_env *env; /* that of `pages`, whose file stays open; NULL: none */
    struct store_pages *pages;
    size_t table;
    uint64_t seen; /* entries of it, as long as one step sees all of it */
    bool is_from_start;
    size_t last_len; /* 0: from the table's beginning */
    uint8_t last[CB_STORE_KEY_MAX];
};

struct store_scrub *store_scrub_create(struct store *s)
{
    struct store_scrub *c = cb_calloc(1, sizeof(*c));
    c->store = lmdb_of(s);
    return c;
}

static void let_go(struct store_scrub *c)
{
    if (c->pages != NULL) {
        store_pages_close(c->pages);
        c->pages = NULL;
    }
    if (c->env != NULL) {
        store_env_unref(c->env);
        c->env = NULL;
    }
}

void store_scrub_destroy(struct store_scrub *c)
{
    let_go(c);
    cb_free(c);
}

/* The present database: after a swap it is another one, to be read from its beginning. */
static enum store_result take_env(struct store_scrub *c, struct store_error *err)
{
    struct store_env *e = lmdb_env_take(c->store);
    if (e == c->env) {
        store_env_unref(e);
        return STORE_OK;
    }
    let_go(c);
    c->env = e;
    c->table = 0;
    c->last_len = 0;
    MDB_stat st;
    int fd;
    (void)mdb_env_stat(e->env, &st); /* these fail only without an environment */
    (void)mdb_env_get_fd(e->env, &fd);
    enum store_result r =
        store_pages_open(fd, st.ms_psize, e->path, STORE_PAGES_DISK, &c->pages, err);
    if (r != STORE_OK) {
        let_go(c);
    }
    return r;
}

static enum store_result check_local(struct store_scrub *c,
                                     struct cb_span key,
                                     struct cb_span stored,
                                     struct store_error *err)
{
    struct store_meta meta;
    struct cb_span value;
    uint64_t checksum;
    uint64_t txn; /* of a state that a start has compared with its root page */
    if (cb_span_eq(key, cb_span_str(STORE_META_KEY))) {
        return store_meta_decode_stored(stored, c->env->path, &meta, &txn, err);
    }
    return store_env_open_value(key, store_val(stored), &value, &checksum)
               ? STORE_OK
               : store_env_corrupt(c->env, key, "does not match its checksum", err);
}

static enum store_result
check(void *data, struct cb_span key, struct cb_span stored, struct store_error *err)
{
    struct store_scrub *c = data;
    struct cb_span value;
    uint64_t checksum;
    c->seen++;
    memcpy(c->last, key.ptr, key.len); /* checked by the walk */
    c->last_len = key.len;
    if (c->table != 0) {
        return check_local(c, key, stored, err);
    }
    return store_env_open_value(key, store_val(stored), &value, &checksum)
               ? STORE_OK
               : store_env_corrupt(c->env, key, "does not match its checksum on the disk", err);
}

/* The table at the newest state, which `*txn` keeps as it is. */
static enum store_result begin(struct store_scrub *c,
                               MDB_txn **txn,
                               struct store_pages_table *table,
                               struct store_error *err)
{
    for (unsigned i = 0;; i++) {
        enum store_result r = store_env_begin_read(c->env, txn, err);
        if (r != STORE_OK) {
            return r;
        }
        r = store_pages_table(c->pages, mdb_txn_id(*txn), tables[c->table], table, err);
        if (r == STORE_OK) {
            return STORE_OK;
        }
        mdb_txn_abort(*txn);
        if (r != STORE_NOT_FOUND) {
            return r;
        }
        if (i == TRIES_MAX) {
            return store_fail(err, STORE_CORRUPT, "%s: the newest root page is not on the disk",
                              c->env->path);
        }
    }
}

static enum store_result
check_count(const struct store_scrub *c, const struct store_pages_table *t, struct store_error *err)
{
    if (c->is_from_start && c->seen != t->entries) {
        return store_fail(err, STORE_CORRUPT,
                          "%s: the table \"%s\" has %llu entries on the disk where there should be "
                          "%llu",
                          c->env->path, tables[c->table], (unsigned long long)c->seen,
                          (unsigned long long)t->entries);
    }
    return STORE_OK;
}

enum store_result store_scrub_step(
    struct store_scrub *c, size_t bytes, size_t *read, bool *is_pass, struct store_error *err)
{
    MDB_txn *txn;
    struct store_pages_table table;
    *read = 0;
    *is_pass = false;
    enum store_result r = take_env(c, err);
    if (r != STORE_OK) {
        return r;
    }
    uint64_t before = store_pages_bytes(c->pages);
    r = begin(c, &txn, &table, err);
    if (r != STORE_OK) {
        return r;
    }
    uint8_t after[CB_STORE_KEY_MAX];
    memcpy(after, c->last, c->last_len);
    c->seen = 0;
    c->is_from_start = c->last_len == 0;
    r = store_pages_walk(c->pages, &table, cb_span(after, c->last_len), bytes, check, c, err);
    mdb_txn_abort(txn);
    *read = (size_t)(store_pages_bytes(c->pages) - before);
    if (r == STORE_OK) {
        r = check_count(c, &table, err);
        c->table = (c->table + 1) % TABLE_COUNT;
        c->last_len = 0;
        *is_pass = c->table == 0;
    }
    if (*is_pass) {
        let_go(c); /* one that was swapped out is not kept from going during a rest */
    }
    return r == STORE_MORE ? STORE_OK : r;
}
