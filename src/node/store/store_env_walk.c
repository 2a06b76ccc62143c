/* The walk over all records, each verified on the way. */
#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "node/store/store_env.h"
#include "node/store/store_env_internal.h"

struct store_env_walk {
    struct store_env *e;
    MDB_txn *txn;
    MDB_cursor *cursor;
    uint64_t expected_count; /* by the meta record */
    uint64_t expected_sum;
    uint64_t count;
    uint64_t sum;
    size_t last_len; /* 0: no key yet */
    uint8_t last[CB_STORE_KEY_MAX];
};

static enum store_result
begin(struct store_env_walk *w, struct store_meta *meta, struct store_error *err)
{
    enum store_result result = store_env_get_meta(w->e, w->txn, mdb_txn_id(w->txn), meta, err);
    if (result != STORE_OK) {
        return result;
    }
    w->expected_count = meta->record_count;
    w->expected_sum = meta->record_sum;
    int rc = mdb_cursor_open(w->txn, w->e->records, &w->cursor);
    w->cursor = rc == 0 ? w->cursor : NULL;
    return store_env_result(w->e, rc, "read the records", err);
}

enum store_result store_env_walk_open(struct store_env *e,
                                      struct store_env_walk **out,
                                      struct store_meta *meta,
                                      struct store_error *err)
{
    MDB_txn *txn;
    enum store_result result = store_env_begin_read(e, &txn, err);
    if (result != STORE_OK) {
        return result;
    }
    struct store_env_walk *w = cb_calloc(1, sizeof(*w));
    w->e = e;
    w->txn = txn;
    result = begin(w, meta, err);
    if (result != STORE_OK) {
        store_env_walk_close(w);
        return result;
    }
    *out = w;
    return STORE_OK;
}

void store_env_walk_close(struct store_env_walk *w)
{
    if (w->cursor != NULL) {
        mdb_cursor_close(w->cursor);
    }
    mdb_txn_abort(w->txn);
    cb_free(w);
}

static bool key_is_next(struct store_env_walk *w, struct cb_span key)
{
    size_t len = key.len < w->last_len ? key.len : w->last_len;
    int order = memcmp(key.ptr, w->last, len);
    bool is_next = order > 0 || (order == 0 && key.len > w->last_len);
    memcpy(w->last, key.ptr, key.len);
    w->last_len = key.len;
    return is_next;
}

/* A walk goes from leaf to leaf and does not look at the keys in the branches; a lookup does, and
 * with a damaged one misses records that are there. It is every key that must be looked up, not the
 * ends of the leaves alone: a damaged key in a branch can lead astray just the one key that it has
 * come to equal. */
static enum store_result
look_up(struct store_env_walk *w, struct cb_span key, struct store_error *err)
{
    MDB_val k = store_val(key);
    MDB_val v;
    int rc = mdb_get(w->txn, w->e->records, &k, &v);
    if (rc == MDB_NOTFOUND) {
        return store_env_corrupt(w->e, key, "can not be found by its key", err);
    }
    return store_env_result(w->e, rc, "read a record", err);
}

static enum store_result verify(struct store_env_walk *w,
                                struct cb_span key,
                                MDB_val stored,
                                struct cb_span *value,
                                struct store_error *err)
{
    uint64_t checksum;
    if (key.len == 0 || key.len > CB_STORE_KEY_MAX) {
        return store_env_corrupt(w->e, CB_SPAN_NULL, "has an impossible length", err);
    }
    enum store_result result = look_up(w, key, err);
    if (result != STORE_OK) {
        return result;
    }
    if (!key_is_next(w, key)) {
        return store_env_corrupt(w->e, key, "is out of order", err);
    }
    if (!store_env_open_value(key, stored, value, &checksum)) {
        return store_env_corrupt(w->e, key, "does not match its checksum", err);
    }
    w->count++;
    w->sum += checksum;
    return STORE_OK;
}

static enum store_result verify_end(const struct store_env_walk *w, struct store_error *err)
{
    if (w->count != w->expected_count || w->sum != w->expected_sum) {
        return store_fail(
            err, STORE_CORRUPT, "%s: %llu records where %llu were written, or not the same ones",
            w->e->path, (unsigned long long)w->count, (unsigned long long)w->expected_count);
    }
    return store_fail(err, STORE_NOT_FOUND, "%s: there are no more records", w->e->path);
}

enum store_result store_env_walk_next(struct store_env_walk *w,
                                      struct cb_span *key,
                                      struct cb_span *value,
                                      struct store_error *err)
{
    MDB_val k;
    MDB_val v;
    int rc = mdb_cursor_get(w->cursor, &k, &v, MDB_NEXT);
    if (rc == MDB_NOTFOUND) {
        return verify_end(w, err);
    }
    if (rc != 0) {
        return store_env_result(w->e, rc, "read the records", err);
    }
    *key = store_span(k);
    return verify(w, *key, v, value, err);
}
