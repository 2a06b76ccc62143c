/* The directory of a store and what lies in it:
 *
 *     lock       held with flock as long as a process has the store open
 *     identity   whose data this is; written once, readable
 *     db/        the database
 *     db.new/    one that is coming in, or is being created; swapped in when it is whole
 *     db.old/    the one before a swap; goes at once
 *
 * A swap is two renames: db -> db.old, db.new -> db. Whatever moment the machine stops at, what is
 * there says which came last (store_lmdb_open.c).
 *
 * Owns:     the lock and the paths.
 * Threads:  one at a time.
 * Errors:   store_result. */
#ifndef CB_NODE_STORE_STORE_DIR_H
#define CB_NODE_STORE_STORE_DIR_H

#include "node/store/store_result.h"

#include <stdbool.h>

#define STORE_FORMAT 1u /* of the directory; an older program refuses a newer one */

#define STORE_DB "db"
#define STORE_DB_NEW "db.new"
#define STORE_DB_OLD "db.old"

struct store_dir {
    char *path;
    int fd;
    int lock_fd;
    /* Called after each change of the directory with a name for it; tests stop the process there.
     */
    void (*on_step)(void *data, const char *step);
    void *step_data;
};

/* Creates the directory (0700) when it is not there, and locks it. */
CB_MUST_USE enum store_result
store_dir_open(struct store_dir *d, const char *path, struct store_error *err);
void store_dir_close(struct store_dir *d);

/* STORE_NOT_FOUND when the directory has none yet. */
CB_MUST_USE enum store_result store_dir_read_identity(const struct store_dir *d,
                                                      struct store_identity *out,
                                                      struct store_error *err);
/* The same, without opening the directory or locking it; it may not be there at all. */
CB_MUST_USE enum store_result
store_dir_peek_identity(const char *path, struct store_identity *out, struct store_error *err);
/* As store_dir_read_identity; STORE_WRONG_IDENTITY. */
CB_MUST_USE enum store_result store_dir_check_identity(const struct store_dir *d,
                                                       const char *node,
                                                       const char *cluster,
                                                       struct store_error *err);
CB_MUST_USE enum store_result store_dir_write_identity(const struct store_dir *d,
                                                       const char *node,
                                                       const char *cluster,
                                                       struct store_error *err);

/* The caller frees it with cb_free. */
char *store_dir_join(const struct store_dir *d, const char *name);
bool store_dir_has(const struct store_dir *d, const char *name);
/* An empty directory for a database. */
CB_MUST_USE enum store_result
store_dir_make(const struct store_dir *d, const char *name, struct store_error *err);
/* Durable on return. */
CB_MUST_USE enum store_result store_dir_rename(const struct store_dir *d,
                                               const char *from,
                                               const char *to,
                                               struct store_error *err);
/* Makes the names in the directory of a database durable. */
CB_MUST_USE enum store_result
store_dir_sync(const struct store_dir *d, const char *name, struct store_error *err);
/* A database and its directory, whole or in part; nothing when it is not there. */
CB_MUST_USE enum store_result
store_dir_remove(const struct store_dir *d, const char *name, struct store_error *err);
void store_dir_step(const struct store_dir *d, const char *step);

#endif
