#include "node/store/store_env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/base/cb_bytes.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "node/store/store_env_internal.h"
#include "node/store/store_free.h"

#define MAP_SIZE_MIN CB_MIB
/* Below this a failing map is not for want of address space. */
#define MAP_SIZE_FALLBACK_MIN (1024 * CB_MIB)
/* LMDB's own default. One slot per read transaction: of the copies and, while they run, of other
 * calls that read. */
#define READERS_MAX 126
_Static_assert(2 * CB_STORE_COPIES_MAX <= READERS_MAX, "half of the slots are for short calls");
#define ROOT_PAGE_SIZE_AT 40
#define PAGE_REACH (256 * CB_KIB) /* offsets within a page have 16 bits, lengths of keys too */

enum store_result
store_env_result(const struct store_env *e, int rc, const char *what, struct store_error *err)
{
    enum store_result result = STORE_IO;
    switch (rc) {
    case MDB_SUCCESS:
        return STORE_OK;
    case MDB_NOTFOUND:
        result = STORE_NOT_FOUND;
        break;
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
        result = STORE_FULL;
        break;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
    case MDB_BAD_TXN: /* every failed call ends its transaction here: LMDB met damage on its own */
        result = STORE_CORRUPT;
        break;
    case MDB_VERSION_MISMATCH:
        result = STORE_NEWER_FORMAT;
        break;
    default:
        break;
    }
    return store_fail(err, result, "%s: cannot %s: %s", e->path, what, mdb_strerror(rc));
}

enum store_result store_env_corrupt(const struct store_env *e,
                                    struct cb_span key,
                                    const char *what,
                                    struct store_error *err)
{
    char hex[2 * 32 + 4] = "";
    size_t shown = key.len < 32 ? key.len : 32;
    for (size_t i = 0; i < shown; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", key.ptr[i]); /* always fits */
    }
    return store_fail(err, STORE_CORRUPT, "%s: the record with key 0x%s%s %s", e->path, hex,
                      shown < key.len ? "..." : "", what);
}

bool store_env_open_value(struct cb_span key,
                          MDB_val stored,
                          struct cb_span *value,
                          uint64_t *checksum)
{
    if (stored.mv_size < STORE_CHECKSUM_SIZE ||
        stored.mv_size > STORE_CHECKSUM_SIZE + CB_STORE_VALUE_MAX) {
        return false;
    }
    struct cb_reader r;
    cb_reader_init(&r, store_span(stored));
    *checksum = cb_get_u64(&r);
    *value = cb_span(r.p, stored.mv_size - STORE_CHECKSUM_SIZE);
    return *checksum == store_record_checksum(key, *value);
}

int store_env_put(
    MDB_cursor *cursor, struct cb_span key, struct cb_span value, uint64_t checksum, unsigned flags)
{
    MDB_val k = store_val(key);
    MDB_val v = {.mv_size = STORE_CHECKSUM_SIZE + value.len, .mv_data = NULL};
    int rc = mdb_cursor_put(cursor, &k, &v, flags | MDB_RESERVE);
    if (rc != 0) {
        return rc;
    }
    uint8_t *p = v.mv_data;
    cb_store_le(p, checksum, STORE_CHECKSUM_SIZE);
    if (value.len > 0) {
        memcpy(p + STORE_CHECKSUM_SIZE, value.ptr, value.len);
    }
    return 0;
}

enum store_result store_env_get_meta(struct store_env *e,
                                     MDB_txn *txn,
                                     uint64_t state_txn,
                                     struct store_meta *out,
                                     struct store_error *err)
{
    MDB_val k = store_val(cb_span_str(STORE_META_KEY));
    MDB_val v;
    int rc = mdb_get(txn, e->node, &k, &v);
    if (rc == MDB_NOTFOUND || (rc == 0 && v.mv_size > CB_STORE_LOCAL_MAX)) {
        return store_fail(err, STORE_CORRUPT, "%s: the meta record is missing", e->path);
    }
    if (rc != 0) {
        return store_env_result(e, rc, "read the meta record", err);
    }
    uint64_t found;
    enum store_result result = store_meta_decode_stored(store_span(v), e->path, out, &found, err);
    if (result == STORE_OK && found != STORE_META_NO_TXN && found != state_txn) {
        return store_fail(err, STORE_CORRUPT,
                          "%s/data.mdb: the root page is of transaction %llu, its state of %llu",
                          e->path, (unsigned long long)state_txn, (unsigned long long)found);
    }
    return result;
}

int store_env_put_meta(struct store_env *e, MDB_txn *txn, const struct store_meta *meta)
{
    struct cb_buf bytes = CB_BUF_NULL;
    store_meta_encode_stored(meta, mdb_txn_id(txn), &bytes);
    MDB_val k = store_val(cb_span_str(STORE_META_KEY));
    MDB_val v = store_val(cb_buf_span(&bytes));
    int rc = mdb_put(txn, e->node, &k, &v, 0);
    cb_buf_fini(&bytes);
    return rc;
}

int store_env_write_error(const struct store_env *e, int rc)
{
    struct statvfs s;
    bool is_full = rc == EIO && statvfs(e->path, &s) == 0 &&
                   (uint64_t)s.f_bavail * s.f_frsize < CB_STORE_DISK_FULL_BELOW;
    return is_full ? ENOSPC : rc;
}

/* LMDB calls this when its own structures contradict each other. */
static void on_lmdb_assert(MDB_env *env, const char *what)
{
    const struct store_env *e = mdb_env_get_userctx(env);
    cb_die("database %s is damaged (%s): rebuild this node under a new id", e->path, what);
}

/* NOTLS: a read transaction belongs to its caller, not to the thread. NOLOCK: see store_env.h. */
static unsigned environment_flags(enum store_env_mode mode)
{
    return mode == STORE_ENV_NEW_BULK ? MDB_NOTLS | MDB_NOLOCK : MDB_NOTLS;
}

static int open_environment(struct store_env *e, size_t map_size, enum store_env_mode mode)
{
    int rc = mdb_env_create(&e->env);
    if (rc != 0) {
        e->env = NULL;
        return rc;
    }
    (void)mdb_env_set_userctx(e->env, e);
    (void)mdb_env_set_assert(e->env, on_lmdb_assert);
    (void)mdb_env_set_maxdbs(e->env, 2);
    (void)mdb_env_set_maxreaders(e->env, READERS_MAX);
    rc = mdb_env_set_mapsize(e->env, map_size);
    rc = rc == 0 ? mdb_env_open(e->env, e->path, environment_flags(mode), 0600) : rc;
    if (rc != 0) {
        mdb_env_close(e->env);
        e->env = NULL;
    }
    return rc;
}

/* Where address space is limited (ulimit -v, some containers), a smaller map does as well. */
static int open_with_fallback(struct store_env *e, size_t map_size, enum store_env_mode mode)
{
    CB_ASSERT(map_size >= MAP_SIZE_MIN);
    int rc = open_environment(e, map_size, mode);
    while (rc == ENOMEM && map_size / 2 >= MAP_SIZE_FALLBACK_MIN) {
        map_size /= 2;
        rc = open_environment(e, map_size, mode);
    }
    return rc;
}

/* See the header: no read may lead behind the end of the file. */
static int extend_file(struct store_env *e)
{
    MDB_envinfo info;
    MDB_stat stat_;
    struct stat st;
    int fd;
    (void)mdb_env_info(e->env, &info); /* these fail only without an environment */
    (void)mdb_env_stat(e->env, &stat_);
    (void)mdb_env_get_fd(e->env, &fd);
    if (fstat(fd, &st) != 0) {
        return errno;
    }
    if (info.me_last_pgno >= info.me_mapsize / stat_.ms_psize) {
        return MDB_CORRUPTED;
    }
    uint64_t end = (info.me_last_pgno + 1) * (uint64_t)stat_.ms_psize;
    off_t wanted = (off_t)(end + CB_STORE_VALUE_MAX + PAGE_REACH);
    return st.st_size >= wanted || ftruncate(fd, wanted) == 0 ? 0 : errno;
}

static int open_tables(struct store_env *e, enum store_env_mode mode)
{
    MDB_txn *txn;
    bool create = mode == STORE_ENV_NEW || mode == STORE_ENV_NEW_BULK;
    int rc = mdb_txn_begin(e->env, NULL, create ? 0 : MDB_RDONLY, &txn);
    if (rc != 0) {
        return rc;
    }
    unsigned flags = create ? MDB_CREATE : 0;
    unsigned records_flags = 0;
    unsigned node_flags = 0;
    rc = mdb_dbi_open(txn, "records", flags, &e->records);
    rc = rc == 0 ? mdb_dbi_open(txn, "node", flags, &e->node) : rc;
    rc = rc == 0 ? mdb_dbi_flags(txn, e->records, &records_flags) : rc;
    rc = rc == 0 ? mdb_dbi_flags(txn, e->node, &node_flags) : rc;
    if (rc == MDB_NOTFOUND || (rc == 0 && (records_flags | node_flags) != 0)) {
        rc = MDB_CORRUPTED;
    }
    if (rc == 0 && mode == STORE_ENV_NEW) {
        rc = store_env_put_meta(e, txn, &(struct store_meta){0});
    }
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn); /* of a read transaction too: it keeps the handles */
}

/* The page size that the root page at `at` claims, 0 when it has none that can be. LMDB divides by
 * it without looking. The place is that of LMDB's data format 1 on 64-bit machines. */
static uint32_t root_page_size(int fd, off_t at)
{
    uint32_t size = 0;
    if (pread(fd, &size, sizeof(size), at + ROOT_PAGE_SIZE_AT) != (ssize_t)sizeof(size)) {
        return 0;
    }
    return size >= 512 && size <= 65536 && (size & (size - 1)) == 0 ? size : 0;
}

/* 0: they are not sound. */
static uint32_t size_of_roots(int fd)
{
    uint32_t size = root_page_size(fd, 0);
    return size != 0 && root_page_size(fd, (off_t)size) == size ? size : 0;
}

/* What LMDB trusts and this must not: it also takes an empty file for a new database. */
static enum store_result
check_file(const struct store_env *e, size_t map_size, bool is_ours, struct store_error *err)
{
    char file[4096];
    if (snprintf(file, sizeof(file), "%s/data.mdb", e->path) >= (int)sizeof(file)) {
        return store_fail(err, STORE_IO, "%s: the path is too long", e->path);
    }
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        enum store_result result = errno == ENOENT ? STORE_CORRUPT : STORE_IO;
        return store_fail(err, result, "%s: %s", file, strerror(errno));
    }
    uint32_t page_size = size_of_roots(fd);
    enum store_result result = STORE_OK;
    if (page_size == 0) {
        result = store_fail(err, STORE_CORRUPT, "%s is no database any more", file);
    } else if (!is_ours) {
        result = store_free_check(fd, page_size, map_size, file, err);
    }
    (void)close(fd); /* opened for reading */
    return result;
}

enum store_result store_env_open(const char *path,
                                 size_t map_size,
                                 enum store_env_mode mode,
                                 struct store_env **out,
                                 struct store_error *err)
{
    struct store_env *e = cb_calloc(1, sizeof(*e));
    e->path = cb_strdup(path);
    atomic_init(&e->refs, 1);
    bool exists = mode == STORE_ENV_EXISTING || mode == STORE_ENV_FILLED;
    enum store_result result =
        exists ? check_file(e, map_size, mode == STORE_ENV_FILLED, err) : STORE_OK;
    if (result == STORE_OK) {
        int rc = open_with_fallback(e, map_size, mode);
        rc = rc == 0 ? extend_file(e) : rc;
        rc = rc == 0 ? open_tables(e, mode) : rc;
        rc = exists ? rc : store_env_write_error(e, rc);
        result = store_env_result(e, rc, "open the database", err);
    }
    struct store_meta meta;
    if (result == STORE_OK && mode != STORE_ENV_NEW_BULK) {
        result = store_env_meta(e, &meta, err);
    }
    if (result != STORE_OK) {
        store_env_unref(e);
        return result;
    }
    *out = e;
    return STORE_OK;
}

struct store_env *store_env_ref(struct store_env *e)
{
    atomic_fetch_add(&e->refs, 1);
    return e;
}

void store_env_unref(struct store_env *e)
{
    if (atomic_fetch_sub(&e->refs, 1) > 1) {
        return;
    }
    if (e->env != NULL) {
        mdb_env_close(e->env);
    }
    cb_free(e->path);
    cb_free(e);
}
