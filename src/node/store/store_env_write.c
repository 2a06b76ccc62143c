/* The writing half of store_env: one transaction a call, durable when it returns. */
#include "node/store/store_env.h"

#include "common/base/cb_bytes.h"
#include "common/base/cb_limits.h"
#include "node/store/store_env_internal.h"

/* The checksum that is stored with `key`, 0 when there is no such record; an LMDB code. */
static int old_checksum(MDB_cursor *cursor, struct cb_span key, uint64_t *checksum, bool *exists)
{
    MDB_val k = store_val(key);
    MDB_val v;
    int rc = mdb_cursor_get(cursor, &k, &v, MDB_SET);
    *checksum = 0;
    *exists = rc == 0;
    if (rc == MDB_NOTFOUND) {
        return 0;
    }
    if (rc == 0) {
        struct cb_reader r;
        cb_reader_init(&r, store_span(v));
        *checksum = cb_get_u64(&r);
        return r.failed ? MDB_CORRUPTED : 0;
    }
    return rc;
}

static int apply_op(MDB_cursor *cursor, const struct store_op *op, uint64_t *sum)
{
    uint64_t old;
    bool exists;
    int rc = old_checksum(cursor, op->key, &old, &exists);
    if (rc != 0) {
        return rc;
    }
    if (op->is_put) {
        uint64_t checksum = store_record_checksum(op->key, op->value);
        *sum += checksum - old;
        return store_env_put(cursor, op->key, op->value, checksum, 0);
    }
    *sum -= old;
    return exists ? mdb_cursor_del(cursor, 0) : 0;
}

static int apply_ops(struct store_env *e, MDB_txn *txn, const struct store_merge *m, uint64_t *sum)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, e->records, &cursor);
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; i < m->n_ops && rc == 0; i++) {
        rc = apply_op(cursor, &m->ops[i], sum);
    }
    mdb_cursor_close(cursor);
    return rc;
}

static int
apply_in(struct store_env *e, MDB_txn *txn, const struct store_merge *m, struct store_meta *meta)
{
    int rc = apply_ops(e, txn, m, &meta->record_sum);
    MDB_stat stat;
    rc = rc == 0 ? mdb_stat(txn, e->records, &stat) : rc;
    if (rc != 0) {
        return rc;
    }
    meta->record_count = stat.ms_entries;
    return store_env_put_meta(e, txn, meta);
}

enum store_result store_env_apply(struct store_env *e,
                                  const struct store_merge *m,
                                  struct store_meta *meta,
                                  struct store_error *err)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(e->env, NULL, 0, &txn);
    if (rc != 0) {
        return store_env_result(e, rc, "begin to write", err);
    }
    struct store_meta before;
    enum store_result result = store_env_get_meta(e, txn, mdb_txn_id(txn) - 1, &before, err);
    if (result != STORE_OK) {
        mdb_txn_abort(txn);
        return result;
    }
    meta->record_sum = before.record_sum;
    rc = apply_in(e, txn, m, meta);
    if (rc != 0) {
        mdb_txn_abort(txn);
    } else {
        rc = mdb_txn_commit(txn);
    }
    return store_env_result(e, store_env_write_error(e, rc), "commit", err);
}

void store_env_touch(struct store_env *e)
{
    struct store_meta meta;
    if (store_env_meta(e, &meta, NULL) == STORE_OK) {
        enum store_result ignored = store_env_apply(e, &(struct store_merge){0}, &meta, NULL);
        (void)ignored; /* the commit that needs the room is tried anyway, and reports */
    }
}

static int put_local(struct store_env *e, MDB_txn *txn, struct cb_span key, struct cb_span value)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, e->node, &cursor);
    if (rc == 0) {
        rc = store_env_put(cursor, key, value, store_record_checksum(key, value), 0);
        mdb_cursor_close(cursor);
    }
    return rc;
}

/* The meta record is put as it is: it has the number of the transaction. */
static enum store_result
set_local(struct store_env *e, struct cb_span key, struct cb_span value, struct store_error *err)
{
    MDB_txn *txn;
    struct store_meta meta;
    int rc = mdb_txn_begin(e->env, NULL, 0, &txn);
    if (rc != 0) {
        return store_env_result(e, rc, "begin to write", err);
    }
    enum store_result result = store_env_get_meta(e, txn, mdb_txn_id(txn) - 1, &meta, err);
    if (result != STORE_OK) {
        mdb_txn_abort(txn);
        return result;
    }
    rc = put_local(e, txn, key, value);
    rc = rc == 0 ? store_env_put_meta(e, txn, &meta) : rc;
    if (rc != 0) {
        mdb_txn_abort(txn);
    } else {
        rc = mdb_txn_commit(txn);
    }
    return store_env_result(e, rc, "store a local value", err);
}

enum store_result store_env_set_local(struct store_env *e,
                                      const char *name,
                                      struct cb_span value,
                                      struct store_error *err)
{
    struct cb_buf key = CB_BUF_NULL;
    cb_buf_printf(&key, STORE_LOCAL_PREFIX "%s", name);
    enum store_result result = set_local(e, cb_buf_span(&key), value, err);
    cb_buf_fini(&key);
    return result;
}

static enum store_result copy_locals(struct store_env *from,
                                     MDB_txn *in,
                                     struct store_env *to,
                                     MDB_txn *out,
                                     struct store_error *err)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(in, from->node, &cursor);
    if (rc != 0) {
        return store_env_result(from, rc, "read the local values", err);
    }
    enum store_result result = STORE_OK;
    struct cb_span prefix = cb_span_str(STORE_LOCAL_PREFIX);
    MDB_val k = store_val(prefix);
    MDB_val v;
    rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    while (rc == 0 && result == STORE_OK && k.mv_size > prefix.len &&
           memcmp(k.mv_data, prefix.ptr, prefix.len) == 0) {
        struct cb_span value;
        uint64_t checksum;
        if (!store_env_open_value(store_span(k), v, &value, &checksum)) {
            result = store_env_corrupt(from, store_span(k), "does not match its checksum", err);
            break;
        }
        result = store_env_result(to, put_local(to, out, store_span(k), value),
                                  "copy a local value", err);
        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (result == STORE_OK && rc != 0 && rc != MDB_NOTFOUND) {
        return store_env_result(from, rc, "read the local values", err);
    }
    return result;
}

static enum store_result copy_in(struct store_env *from,
                                 MDB_txn *in,
                                 struct store_env *to,
                                 MDB_txn *out,
                                 struct store_error *err)
{
    struct store_meta old;
    struct store_meta meta;
    enum store_result result = store_env_get_meta(from, in, mdb_txn_id(in), &old, err);
    result =
        result == STORE_OK ? store_env_get_meta(to, out, mdb_txn_id(out) - 1, &meta, err) : result;
    result = result == STORE_OK ? copy_locals(from, in, to, out, err) : result;
    if (result != STORE_OK) {
        return result;
    }
    meta.appended_index = old.appended_index;
    meta.appended_term = old.appended_term;
    return store_env_result(to, store_env_put_meta(to, out, &meta), "store the meta record", err);
}

enum store_result
store_env_copy_local(struct store_env *from, struct store_env *to, struct store_error *err)
{
    MDB_txn *in;
    MDB_txn *out;
    int rc = mdb_txn_begin(from->env, NULL, MDB_RDONLY, &in);
    if (rc != 0) {
        return store_env_result(from, rc, "begin to read", err);
    }
    rc = mdb_txn_begin(to->env, NULL, 0, &out);
    if (rc != 0) {
        mdb_txn_abort(in);
        return store_env_result(to, rc, "begin to write", err);
    }
    enum store_result result = copy_in(from, in, to, out, err);
    mdb_txn_abort(in);
    if (result != STORE_OK) {
        mdb_txn_abort(out);
        return result;
    }
    return store_env_result(to, mdb_txn_commit(out), "commit", err);
}
