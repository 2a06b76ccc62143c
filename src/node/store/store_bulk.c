#include "node/store/store_bulk.h"

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "node/store/store_env_internal.h"

#define BULK_TXN_BYTES (32 * CB_MIB) /* bounds the memory of a transaction */

struct store_bulk {
    struct store_env *e;
    MDB_txn *txn; /* NULL: none is open */
    MDB_cursor *cursor;
    size_t txn_bytes;
    uint64_t count;
    uint64_t sum;
};

struct store_bulk *store_bulk_create(struct store_env *e)
{
    struct store_bulk *b = cb_calloc(1, sizeof(*b));
    b->e = e;
    return b;
}

static void end_txn(struct store_bulk *b)
{
    mdb_cursor_close(b->cursor);
    b->cursor = NULL;
    b->txn = NULL;
    b->txn_bytes = 0;
}

void store_bulk_destroy(struct store_bulk *b)
{
    if (b->txn != NULL) {
        MDB_txn *txn = b->txn;
        end_txn(b);
        mdb_txn_abort(txn);
    }
    cb_free(b);
}

static int begin(struct store_bulk *b)
{
    int rc = mdb_txn_begin(b->e->env, NULL, 0, &b->txn);
    if (rc != 0) {
        b->txn = NULL;
        return rc;
    }
    rc = mdb_cursor_open(b->txn, b->e->records, &b->cursor);
    if (rc != 0) {
        mdb_txn_abort(b->txn);
        b->txn = NULL;
    }
    return rc;
}

static int commit(struct store_bulk *b)
{
    MDB_txn *txn = b->txn;
    end_txn(b);
    return mdb_txn_commit(txn);
}

enum store_result store_bulk_append(struct store_bulk *b,
                                    struct cb_span key,
                                    struct cb_span value,
                                    struct store_error *err)
{
    int rc = 0;
    if (b->txn != NULL && b->txn_bytes >= BULK_TXN_BYTES) {
        rc = commit(b);
    }
    if (rc == 0 && b->txn == NULL) {
        rc = begin(b);
    }
    if (rc != 0) {
        return store_env_result(b->e, store_env_write_error(b->e, rc), "write the incoming state",
                                err);
    }
    uint64_t checksum = store_record_checksum(key, value);
    rc = store_env_put(b->cursor, key, value, checksum, MDB_APPEND);
    if (rc == MDB_KEYEXIST) {
        return store_fail(err, STORE_BAD_DUMP, "the records of the dump are out of order");
    }
    b->count++;
    b->sum += checksum;
    b->txn_bytes += key.len + value.len;
    return store_env_result(b->e, store_env_write_error(b->e, rc), "write the incoming state", err);
}

enum store_result
store_bulk_finish(struct store_bulk *b, const struct store_meta *meta, struct store_error *err)
{
    if (meta->record_count != b->count || meta->record_sum != b->sum) {
        return store_fail(err, STORE_BAD_DUMP, "the dump does not hold the records of its header");
    }
    int rc = b->txn == NULL ? begin(b) : 0;
    rc = rc == 0 ? store_env_put_meta(b->e, b->txn, meta) : rc;
    rc = rc == 0 ? commit(b) : rc;
    return store_env_result(b->e, store_env_write_error(b->e, rc), "write the incoming state", err);
}
