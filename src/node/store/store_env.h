/* One LMDB database: two tables, "records" and "node" (the meta record and the local values).
 *
 * A stored value is u64 checksum (store_record_checksum), then the value. The meta record carries
 * the number of records and the sum of their checksums, kept up to date by each commit: with them a
 * load sees a record that is missing, an extra one, and an old version of one (a damaged page
 * number that leads to a page of an earlier state passes every check of a single record).
 *
 * Damage of the tree itself is met by LMDB: it reports it, or asserts, which ends the process with
 * a sentence; a flipped bit in a page's table of offsets can also end it by a signal (about 1 in
 * 500 flips), and then too nothing has been served. A load also looks up every key, since damaged
 * keys in the branches hide records from lookups only. Before a database is read its
 * file is made long enough (without taking room on the disk) that no page number or length that
 * LMDB lets pass leads behind its end, where a mapped read is a SIGBUS. What no checksum can see:
 * when the newest of LMDB's two root pages is damaged, it takes the other, and the state is the
 * whole one of the commit before; the replica notices by its snapshot marker, or replays the log
 * from there.
 *
 * What LMDB keeps without any checksum is compared with the rest before it reads an existing
 * database: where each page is (store_free.h), and the number of the root page's transaction, which
 * each commit writes into the meta record too.
 *
 * Every commit is fully durable: neither NOSYNC nor NOMETASYNC. NOMETASYNC would save one write of
 * 4 KiB per commit, and then the last commit reported could still be undone by a power failure
 * while the log behind it is already gone (design D6, D7). WRITEMAP is off: a stray pointer must
 * not be able to write the database.
 *
 * Owns:     the environment, by reference count.
 * Threads:  any may read and take references; one at a time writes.
 * Errors:   store_result. */
#ifndef CB_NODE_STORE_STORE_ENV_H
#define CB_NODE_STORE_STORE_ENV_H

#include "node/store/store.h"

struct store_env;

enum store_env_mode {
    STORE_ENV_EXISTING, /* every page of it is accounted for first (store_free.h) */
    STORE_ENV_FILLED,   /* the same, which this process has just written: not looked at again */
    STORE_ENV_NEW,      /* whole at once: with an empty meta record */
    /* Not whole until store_bulk.h has put the meta record. It is opened without LMDB's locks, so
     * that a transaction that writes is not bound to a thread: one at a time uses it, and whoever
     * is to read it opens it anew. */
    STORE_ENV_NEW_BULK,
};

/* The database in the directory `path`, which exists. `map_size` is address space and the most that
 * the file can grow to. One that is damaged or not whole is STORE_CORRUPT. */
CB_MUST_USE enum store_result store_env_open(const char *path,
                                             size_t map_size,
                                             enum store_env_mode mode,
                                             struct store_env **out,
                                             struct store_error *err);
struct store_env *store_env_ref(struct store_env *e);
void store_env_unref(struct store_env *e);

CB_MUST_USE enum store_result
store_env_meta(struct store_env *e, struct store_meta *out, struct store_error *err);

/* Every record in the order of its key, from one read transaction that lasts from open to close,
 * verified as store_load says. Any thread, one at a time; borrows the environment. */
struct store_env_walk;
/* `*meta` is that of the same moment. */
CB_MUST_USE enum store_result store_env_walk_open(struct store_env *e,
                                                  struct store_env_walk **out,
                                                  struct store_meta *meta,
                                                  struct store_error *err);
/* The next one, borrowed until the close; STORE_NOT_FOUND after the last one, when their number and
 * sum are those of the meta record. After anything but STORE_OK only the close may follow. */
CB_MUST_USE enum store_result store_env_walk_next(struct store_env_walk *w,
                                                  struct cb_span *key,
                                                  struct cb_span *value,
                                                  struct store_error *err);
void store_env_walk_close(struct store_env_walk *w);

/* A whole walk; `meta` may be NULL. */
CB_MUST_USE enum store_result store_env_scan(struct store_env *e,
                                             store_record_fn fn,
                                             void *data,
                                             struct store_meta *meta,
                                             struct store_error *err);
CB_MUST_USE enum store_result store_env_read(struct store_env *e,
                                             struct cb_span key,
                                             struct cb_buf *out,
                                             struct store_error *err);
/* From one read transaction; see store_read_many. */
CB_MUST_USE enum store_result store_env_read_many(struct store_env *e,
                                                  const struct cb_span *keys,
                                                  size_t n,
                                                  store_value_fn fn,
                                                  void *data,
                                                  struct store_error *err);

/* One durable transaction: the operations and the meta record. `meta` gets the number and the sum
 * of the records. STORE_FULL: nothing has changed and it may be tried again. */
CB_MUST_USE enum store_result store_env_apply(struct store_env *e,
                                              const struct store_merge *ops,
                                              struct store_meta *meta,
                                              struct store_error *err);

/* Commits the meta record as it is. LMDB gives pages that a transaction has freed to the next but
 * one, so that this can make room for one that finds none. No error: then it made none. */
void store_env_touch(struct store_env *e);

CB_MUST_USE enum store_result store_env_set_local(struct store_env *e,
                                                  const char *name,
                                                  struct cb_span value,
                                                  struct store_error *err);
CB_MUST_USE enum store_result store_env_get_local(struct store_env *e,
                                                  const char *name,
                                                  struct cb_buf *out,
                                                  struct store_error *err);
/* Local values and `appended_*` of `from` into `to`, in one durable transaction; may be done again.
 */
CB_MUST_USE enum store_result
store_env_copy_local(struct store_env *from, struct store_env *to, struct store_error *err);

#endif
