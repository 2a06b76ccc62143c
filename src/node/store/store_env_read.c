/* The reading half of store_env: every call has a read transaction of its own, closed when it
 * returns, so that no reader keeps old pages from being used again for longer than it must. */
#include "node/store/store_env.h"

#include <stdio.h>

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "node/store/store_env_internal.h"

static enum store_result begin_read(struct store_env *e, MDB_txn **txn, struct store_error *err)
{
    return store_env_result(e, mdb_txn_begin(e->env, NULL, MDB_RDONLY, txn), "begin to read", err);
}

enum store_result
store_env_meta(struct store_env *e, struct store_meta *out, struct store_error *err)
{
    MDB_txn *txn;
    enum store_result result = begin_read(e, &txn, err);
    if (result == STORE_OK) {
        result = store_env_get_meta(e, txn, out, err);
        mdb_txn_abort(txn);
    }
    return result;
}

struct walk {
    struct store_env *e;
    MDB_txn *txn;
    const struct store_scan *scan;
    uint64_t count;
    uint64_t sum;
    size_t last_len; /* 0: no key yet */
    uint8_t last[CB_STORE_KEY_MAX];
};

static bool key_is_next(struct walk *w, struct cb_span key)
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
static enum store_result look_up(struct walk *w, struct cb_span key, struct store_error *err)
{
    MDB_val k = store_val(key);
    MDB_val v;
    int rc = mdb_get(w->txn, w->e->records, &k, &v);
    if (rc == MDB_NOTFOUND) {
        return store_env_corrupt(w->e, key, "can not be found by its key", err);
    }
    return store_env_result(w->e, rc, "read a record", err);
}

static enum store_result walk_record(struct walk *w, MDB_val k, MDB_val v, struct store_error *err)
{
    struct cb_span key = store_span(k);
    struct cb_span value;
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
    if (!store_env_open_value(key, v, &value, &checksum)) {
        return store_env_corrupt(w->e, key, "does not match its checksum", err);
    }
    w->count++;
    w->sum += checksum;
    if (!w->scan->on_record(w->scan->data, key, value)) {
        return store_fail(err, STORE_STOPPED, "%s: reading was stopped", w->e->path);
    }
    return STORE_OK;
}

static enum store_result walk_with(struct walk *w, MDB_cursor *cursor, struct store_error *err)
{
    for (;;) {
        MDB_val k;
        MDB_val v;
        int rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
        if (rc == MDB_NOTFOUND) {
            return STORE_OK;
        }
        enum store_result result = rc == 0 ? walk_record(w, k, v, err)
                                           : store_env_result(w->e, rc, "read the records", err);
        if (result != STORE_OK) {
            return result;
        }
    }
}

static enum store_result walk_all(struct walk *w, struct store_error *err)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(w->txn, w->e->records, &cursor);
    if (rc != 0) {
        return store_env_result(w->e, rc, "read the records", err);
    }
    enum store_result result = walk_with(w, cursor, err);
    mdb_cursor_close(cursor);
    return result;
}

static enum store_result scan_in(struct store_env *e,
                                 MDB_txn *txn,
                                 const struct store_scan *scan,
                                 struct store_meta *meta,
                                 struct store_error *err)
{
    enum store_result result = store_env_get_meta(e, txn, meta, err);
    if (result != STORE_OK) {
        return result;
    }
    if (scan->on_meta != NULL && !scan->on_meta(scan->data, meta)) {
        return store_fail(err, STORE_STOPPED, "%s: reading was stopped", e->path);
    }
    struct walk w = {.e = e, .txn = txn, .scan = scan};
    result = walk_all(&w, err);
    if (result == STORE_OK && (w.count != meta->record_count || w.sum != meta->record_sum)) {
        return store_fail(err, STORE_CORRUPT,
                          "%s: %llu records where %llu were written, or not the same ones", e->path,
                          (unsigned long long)w.count, (unsigned long long)meta->record_count);
    }
    return result;
}

enum store_result store_env_scan(struct store_env *e,
                                 const struct store_scan *scan,
                                 struct store_meta *meta,
                                 struct store_error *err)
{
    MDB_txn *txn;
    struct store_meta local;
    enum store_result result = begin_read(e, &txn, err);
    if (result == STORE_OK) {
        result = scan_in(e, txn, scan, meta != NULL ? meta : &local, err);
        mdb_txn_abort(txn);
    }
    return result;
}

static enum store_result read_value(struct store_env *e,
                                    MDB_dbi dbi,
                                    struct cb_span key,
                                    struct cb_buf *out,
                                    struct store_error *err)
{
    MDB_txn *txn;
    enum store_result result = begin_read(e, &txn, err);
    if (result != STORE_OK) {
        return result;
    }
    MDB_val k = store_val(key);
    MDB_val v;
    struct cb_span value;
    uint64_t checksum;
    int rc = mdb_get(txn, dbi, &k, &v);
    if (rc != 0) {
        result = store_env_result(e, rc, "read a record", err);
    } else if (!store_env_open_value(key, v, &value, &checksum)) {
        result = store_env_corrupt(e, key, "does not match its checksum", err);
    } else {
        cb_buf_append(out, value.ptr, value.len);
    }
    mdb_txn_abort(txn);
    return result;
}

enum store_result
store_env_read(struct store_env *e, struct cb_span key, struct cb_buf *out, struct store_error *err)
{
    return read_value(e, e->records, key, out, err);
}

enum store_result store_env_get_local(struct store_env *e,
                                      const char *name,
                                      struct cb_buf *out,
                                      struct store_error *err)
{
    struct cb_buf key = CB_BUF_NULL;
    cb_buf_printf(&key, STORE_LOCAL_PREFIX "%s", name);
    enum store_result result = read_value(e, e->node, cb_buf_span(&key), out, err);
    cb_buf_fini(&key);
    return result;
}
