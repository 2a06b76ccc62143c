/* What a directory can look like, and what it means. A swap and a creation end with the same
 * rename:
 *
 *     identity  db   db.new   db.old    meaning
 *     -         -    any      -         a creation that did not get far: begin anew
 *     yes       -    whole    any       the last rename is missing: do it
 *     yes       -    not      yes       can not be without damage, but the old state is
 *                                        there: take it
 *     yes       yes  whole    -         a swap was due: do it when db.new has the higher index
 *     yes       yes  not      -         an incoming state that did not arrive: drop it
 *     yes       yes  -        yes       swapped: drop the old one
 *
 * Everything else is damage, and is refused: a missing database must never be replaced by an empty
 * one, since this node's votes and acknowledgements rest on it (design D12). */
#include "common/base/cb_mem.h"
#include "node/store/store_lmdb_internal.h"

static enum store_result open_named(const struct store_dir *d,
                                    const char *name,
                                    size_t map_size,
                                    enum store_env_mode mode,
                                    struct store_env **out,
                                    struct store_error *err)
{
    char *path = store_dir_join(d, name);
    enum store_result result = store_env_open(path, map_size, mode, out, err);
    cb_free(path);
    return result;
}

/* `*out` is NULL when STORE_DB_NEW is not there or not whole; that is no failure. */
static enum store_result open_incoming(const struct store_dir *d,
                                       size_t map_size,
                                       struct store_env **out,
                                       struct store_error *err)
{
    *out = NULL;
    if (!store_dir_has(d, STORE_DB_NEW)) {
        return STORE_OK;
    }
    enum store_result result = open_named(d, STORE_DB_NEW, map_size, STORE_ENV_EXISTING, out, err);
    return result == STORE_CORRUPT ? STORE_OK : result;
}

static enum store_result create(const struct store_dir *d,
                                const struct store_lmdb_options *o,
                                size_t map_size,
                                struct store_error *err)
{
    if (store_dir_has(d, STORE_DB) || store_dir_has(d, STORE_DB_OLD)) {
        return store_fail(err, STORE_CORRUPT,
                          "%s has a database but its file 'identity' is missing", d->path);
    }
    struct store_env *e;
    enum store_result result = store_dir_remove(d, STORE_DB_NEW, err);
    result = result == STORE_OK ? store_dir_make(d, STORE_DB_NEW, err) : result;
    result =
        result == STORE_OK ? open_named(d, STORE_DB_NEW, map_size, STORE_ENV_NEW, &e, err) : result;
    if (result != STORE_OK) {
        return result;
    }
    store_env_unref(e);
    result = store_dir_sync(d, STORE_DB_NEW, err);
    return result == STORE_OK ? store_dir_write_identity(d, o->node, o->cluster, err) : result;
}

static enum store_result
find_database(const struct store_dir *d, size_t map_size, struct store_error *err)
{
    struct store_env *incoming;
    enum store_result result = open_incoming(d, map_size, &incoming, err);
    if (result != STORE_OK) {
        return result;
    }
    if (incoming != NULL) {
        store_env_unref(incoming);
        return store_dir_rename(d, STORE_DB_NEW, STORE_DB, err);
    }
    if (store_dir_has(d, STORE_DB_OLD)) {
        return store_dir_rename(d, STORE_DB_OLD, STORE_DB, err);
    }
    return store_fail(err, STORE_CORRUPT,
                      "%s has no database any more: rebuild this node under a new id", d->path);
}

enum store_result store_adopt(const struct store_dir *d, struct store_error *err)
{
    store_dir_step(d, "adopt");
    enum store_result result = store_dir_rename(d, STORE_DB, STORE_DB_OLD, err);
    return result == STORE_OK ? store_dir_rename(d, STORE_DB_NEW, STORE_DB, err) : result;
}

static enum store_result adopt_if_newer(const struct store_dir *d,
                                        struct store_env *present,
                                        struct store_env *incoming,
                                        struct store_error *err)
{
    struct store_meta old;
    struct store_meta new;
    enum store_result result = store_env_meta(present, &old, err);
    result = result == STORE_OK ? store_env_meta(incoming, &new, err) : result;
    if (result != STORE_OK || new.index <= old.index) {
        return result;
    }
    result = store_env_copy_local(present, incoming, err);
    return result == STORE_OK ? store_adopt(d, err) : result;
}

static enum store_result
finish_swap(const struct store_dir *d, size_t map_size, struct store_error *err)
{
    struct store_env *present;
    struct store_env *incoming;
    enum store_result result = open_named(d, STORE_DB, map_size, STORE_ENV_EXISTING, &present, err);
    if (result != STORE_OK) {
        return result;
    }
    result = store_dir_remove(d, STORE_DB_OLD, err);
    result = result == STORE_OK ? open_incoming(d, map_size, &incoming, err) : result;
    if (result == STORE_OK && incoming != NULL) {
        result = adopt_if_newer(d, present, incoming, err);
        store_env_unref(incoming);
    }
    store_env_unref(present);
    return result;
}

enum store_result store_settle(const struct store_dir *d,
                               const struct store_lmdb_options *o,
                               size_t map_size,
                               struct store_error *err)
{
    enum store_result result = store_dir_check_identity(d, o->node, o->cluster, err);
    if (result == STORE_NOT_FOUND) {
        result = create(d, o, map_size, err);
    }
    if (result == STORE_OK && !store_dir_has(d, STORE_DB)) {
        result = find_database(d, map_size, err);
    }
    if (result == STORE_OK && store_dir_has(d, STORE_DB_NEW)) {
        result = finish_swap(d, map_size, err);
    }
    result = result == STORE_OK ? store_dir_remove(d, STORE_DB_NEW, err) : result;
    return result == STORE_OK ? store_dir_remove(d, STORE_DB_OLD, err) : result;
}
