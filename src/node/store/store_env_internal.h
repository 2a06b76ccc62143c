/* What the files of store_env share; for them and store_bulk.c alone.
 * Threads: as store_env.h. */
#ifndef CB_NODE_STORE_STORE_ENV_INTERNAL_H
#define CB_NODE_STORE_STORE_ENV_INTERNAL_H

#include <lmdb.h>
#include <stdatomic.h>

#include "node/store/store_env.h"

#define STORE_CHECKSUM_SIZE 8
#define STORE_META_KEY "meta"       /* of the meta record, in the table "node" */
#define STORE_LOCAL_PREFIX "local/" /* of the keys of local values in the table "node" */

struct store_env {
    char *path;
    MDB_env *env;
    MDB_dbi records;
    MDB_dbi node;
    atomic_uint refs;
};

/* The one place that translates LMDB's codes; `what` completes "cannot ...". 0 is STORE_OK. */
enum store_result
store_env_result(const struct store_env *e, int rc, const char *what, struct store_error *err);
enum store_result store_env_corrupt(const struct store_env *e,
                                    struct cb_span key,
                                    const char *what,
                                    struct store_error *err);

static inline MDB_val store_val(struct cb_span s)
{
    union {
        const void *in;
        void *out; /* LMDB's struct has no const; what it is given here it only reads */
    } p = {.in = s.ptr};
    return (MDB_val){.mv_size = s.len, .mv_data = p.out};
}

static inline struct cb_span store_span(MDB_val v)
{
    return cb_span(v.mv_data, v.mv_size);
}

/* Reads a stored value; false when it is not what was written under `key`. */
bool store_env_open_value(struct cb_span key,
                          MDB_val stored,
                          struct cb_span *value,
                          uint64_t *checksum);
/* Puts checksum and value; an LMDB code. */
int store_env_put(MDB_cursor *cursor,
                  struct cb_span key,
                  struct cb_span value,
                  uint64_t checksum,
                  unsigned flags);

enum store_result store_env_begin_read(struct store_env *e, MDB_txn **txn, struct store_error *err);
/* `state_txn` is the transaction whose state `txn` sees: its own number when it reads, the one
 * before when it writes and has not put the meta record yet. STORE_CORRUPT: another one wrote it.
 */
enum store_result store_env_get_meta(struct store_env *e,
                                     MDB_txn *txn,
                                     uint64_t state_txn,
                                     struct store_meta *out,
                                     struct store_error *err);
int store_env_put_meta(struct store_env *e, MDB_txn *txn, const struct store_meta *meta);
/* What a failed write really was. The last write that a full disk takes is a short one, which LMDB
 * reports as EIO: then it is ENOSPC. The transaction is written anew as a whole. */
int store_env_write_error(const struct store_env *e, int rc);

#endif
