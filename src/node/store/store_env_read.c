/* The reading half of store_env: every call has a read transaction of its own, closed when it
 * returns, so that no reader keeps old pages from being used again for longer than it must. The
 * walk, which its owner holds open, is in store_env_walk.c. */
#include "node/store/store_env.h"

#include "node/store/store_env_internal.h"

enum store_result store_env_begin_read(struct store_env *e, MDB_txn **txn, struct store_error *err)
{
    return store_env_result(e, mdb_txn_begin(e->env, NULL, MDB_RDONLY, txn), "begin to read", err);
}

enum store_result
store_env_meta(struct store_env *e, struct store_meta *out, struct store_error *err)
{
    MDB_txn *txn;
    enum store_result result = store_env_begin_read(e, &txn, err);
    if (result == STORE_OK) {
        result = store_env_get_meta(e, txn, mdb_txn_id(txn), out, err);
        mdb_txn_abort(txn);
    }
    return result;
}

static enum store_result
give_all(struct store_env_walk *w, store_record_fn fn, void *data, struct store_error *err)
{
    for (;;) {
        struct cb_span key;
        struct cb_span value;
        enum store_result result = store_env_walk_next(w, &key, &value, err);
        if (result != STORE_OK) {
            return result == STORE_NOT_FOUND ? STORE_OK : result;
        }
        if (!fn(data, key, value)) {
            return store_fail(err, STORE_STOPPED, "reading was stopped");
        }
    }
}

enum store_result store_env_scan(struct store_env *e,
                                 store_record_fn fn,
                                 void *data,
                                 struct store_meta *meta,
                                 struct store_error *err)
{
    struct store_env_walk *w;
    struct store_meta local;
    enum store_result result = store_env_walk_open(e, &w, meta != NULL ? meta : &local, err);
    if (result == STORE_OK) {
        result = give_all(w, fn, data, err);
        store_env_walk_close(w);
    }
    return result;
}

/* Verified, borrowed until the end of the transaction. */
static enum store_result get_value(struct store_env *e,
                                   MDB_txn *txn,
                                   MDB_dbi dbi,
                                   struct cb_span key,
                                   struct cb_span *value,
                                   struct store_error *err)
{
    MDB_val k = store_val(key);
    MDB_val v;
    uint64_t checksum;
    int rc = mdb_get(txn, dbi, &k, &v);
    if (rc != 0) {
        return store_env_result(e, rc, "read a record", err);
    }
    if (!store_env_open_value(key, v, value, &checksum)) {
        return store_env_corrupt(e, key, "does not match its checksum", err);
    }
    return STORE_OK;
}

static enum store_result read_value(struct store_env *e,
                                    MDB_dbi dbi,
                                    struct cb_span key,
                                    struct cb_buf *out,
                                    struct store_error *err)
{
    MDB_txn *txn;
    struct cb_span value;
    enum store_result result = store_env_begin_read(e, &txn, err);
    if (result != STORE_OK) {
        return result;
    }
    result = get_value(e, txn, dbi, key, &value, err);
    if (result == STORE_OK) {
        cb_buf_append(out, value.ptr, value.len);
    }
    mdb_txn_abort(txn);
    return result;
}

enum store_result store_env_read_many(struct store_env *e,
                                      const struct cb_span *keys,
                                      size_t n,
                                      store_value_fn fn,
                                      void *data,
                                      struct store_error *err)
{
    MDB_txn *txn;
    enum store_result result = store_env_begin_read(e, &txn, err);
    if (result != STORE_OK) {
        return result;
    }
    for (size_t i = 0; i < n && result == STORE_OK; i++) {
        struct cb_span value = CB_SPAN_NULL;
        result = get_value(e, txn, e->records, keys[i], &value, err);
        if (result == STORE_OK || result == STORE_NOT_FOUND) {
            fn(data, i, result == STORE_OK, value);
            result = STORE_OK;
        }
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
