/* The file, little-endian:
 *
 *     "coolvote" | u64 1, the format | u64 term | u64 vote, 0: none | u64 cb_hash of all before
 *
 * The first time it is written beside its place and renamed. Later it is overwritten, as libraft
 * does with its own: that needs no room on a full disk, where nodes go on to vote (design D9). 40
 * bytes at the beginning of a file lie in one sector, so that a loss of power leaves the old ones
 * or the new ones; anything else is seen and refused. */
#include "node/replica/replica_vote.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_bytes.h"
#include "common/base/cb_hash.h"
#include "common/sys/cb_log.h"

#define MAGIC "coolvote"
#define FORMAT 1
#define HASHED 32
#define SIZE (HASHED + 8)
/* raft_uv removes what is left of such a name when it opens its folder. */
#define NEW_FILE "tmp-" REPLICA_VOTE_FILE

static void join(char out[static PATH_MAX], const char *dir, const char *name)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    if (n < 0 || n >= PATH_MAX) {
        cb_die("the path %s/%s is too long", dir, name);
    }
}

/* --- reading --- */

static _Noreturn void die_damaged(const char *path, const char *what)
{
    cb_die("%s, which holds this node's term and vote, is damaged: %s; it must not vote: it must "
           "be added again under a new id with an empty directory",
           path, what);
}

/* SIZE + 1 when there is more. */
static size_t read_file(const char *path, int fd, uint8_t bytes[static SIZE + 1])
{
    size_t len = 0;
    ssize_t n;
    while ((n = pread(fd, bytes + len, SIZE + 1 - len, (off_t)len)) != 0) {
        if (n < 0 && errno != EINTR) {
            cb_die("cannot read %s: %s; check the disk, then restart this node", path,
                   strerror(errno));
        }
        len += n > 0 ? (size_t)n : 0;
        if (len > SIZE) {
            break;
        }
    }
    return len;
}

static void
decode(struct replica_vote *v, const char *path, const uint8_t bytes[static SIZE], size_t len)
{
    if (len != SIZE) {
        die_damaged(path, "it does not have the length of such a file");
    }
    if (cb_load_le(bytes + HASHED, 8) != cb_hash(bytes, HASHED)) {
        die_damaged(path, "it does not match its checksum");
    }
    if (memcmp(bytes, MAGIC, 8) != 0 || cb_load_le(bytes + 8, 8) != FORMAT) {
        cb_die("%s is of another version of coolbeans; start this node with that one", path);
    }
    v->term = cb_load_le(bytes + 16, 8);
    v->vote = cb_load_le(bytes + 24, 8);
    v->is_stored = true;
}

void replica_vote_open(struct replica_vote *v, const struct raft_io *io, const char *dir)
{
    *v = (struct replica_vote){.io = *io};
    char path[PATH_MAX];
    join(path, dir, REPLICA_VOTE_FILE);
    (void)snprintf(v->dir, sizeof v->dir, "%s", dir); /* shorter than `path` */
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT) {
        cb_die("cannot open %s: %s; check the disk, then restart this node", path, strerror(errno));
    }
    if (fd >= 0) {
        uint8_t bytes[SIZE + 1];
        size_t len = read_file(path, fd, bytes);
        (void)close(fd); /* opened for reading */
        decode(v, path, bytes, len);
    }
}

/* --- writing --- */

static bool write_bytes(int fd, const uint8_t *bytes)
{
    size_t len = 0;
    while (len < SIZE) {
        ssize_t n = pwrite(fd, bytes + len, SIZE - len, (off_t)len);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        len += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* Closes `fd`; false with errno. */
static bool finish(int fd, bool is_ok)
{
    int error = errno;
    bool is_closed = close(fd) == 0;
    if (!is_ok) {
        errno = error;
    }
    return is_ok && is_closed;
}

static bool sync_folder(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && finish(fd, fsync(fd) == 0);
}

static bool write_new(const char *dir, const char *path, const uint8_t *bytes)
{
    char made[PATH_MAX];
    join(made, dir, NEW_FILE);
    int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return fd >= 0 && finish(fd, write_bytes(fd, bytes) && fsync(fd) == 0) &&
           rename(made, path) == 0 && sync_folder(dir);
}

static bool overwrite(const char *path, const uint8_t *bytes)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && finish(fd, write_bytes(fd, bytes) && fdatasync(fd) == 0);
}

/* False with errno. */
static bool store(struct replica_vote *v, raft_term term, raft_id vote)
{
    uint8_t bytes[SIZE];
    memcpy(bytes, MAGIC, 8);
    cb_store_le(bytes + 8, FORMAT, 8);
    cb_store_le(bytes + 16, term, 8);
    cb_store_le(bytes + 24, vote, 8);
    cb_store_le(bytes + HASHED, cb_hash(bytes, HASHED), 8);
    char path[PATH_MAX];
    join(path, v->dir, REPLICA_VOTE_FILE);
    if (!(v->is_stored ? overwrite(path, bytes) : write_new(v->dir, path, bytes))) {
        return false;
    }
    v->is_stored = true;
    v->term = term;
    v->vote = vote;
    return true;
}

static int store_for(struct replica_vote *v, struct raft_io *io, raft_term term, raft_id vote)
{
    if (store(v, term, vote)) {
        return 0;
    }
    (void)snprintf(io->errmsg, sizeof io->errmsg, "cannot write %s: %s", REPLICA_VOTE_FILE,
                   strerror(errno));
    return RAFT_IOERR;
}

void replica_vote_create(const char *dir, raft_term term)
{
    struct replica_vote v = {.is_stored = false};
    (void)snprintf(v.dir, sizeof v.dir, "%s", dir);
    if (!store(&v, term, 0)) {
        cb_die("cannot write %s/%s: %s", dir, REPLICA_VOTE_FILE, strerror(errno));
    }
}

int replica_vote_set_term(struct replica_vote *v, struct raft_io *io, raft_term term)
{
    int rv = store_for(v, io, term, 0);
    return rv != 0 ? rv : v->io.set_term(io, term);
}

int replica_vote_set_vote(struct replica_vote *v, struct raft_io *io, raft_id id)
{
    int rv = store_for(v, io, v->term, id);
    return rv != 0 ? rv : v->io.set_vote(io, id);
}

/* --- start --- */

static void remove_metadata(const struct replica_vote *v, const char *name)
{
    char path[PATH_MAX];
    join(path, v->dir, name);
    if (unlink(path) != 0 && errno != ENOENT) {
        cb_die("cannot remove %s: %s; check the disk, then restart this node", path,
               strerror(errno));
    }
}

/* libraft refuses files of its own that it cannot read; when they say nothing that is not known
 * better it does not need them. */
int replica_vote_init(struct replica_vote *v, struct raft_io *io, raft_id id, const char *address)
{
    int rv = v->io.init(io, id, address);
    if (!v->is_stored || (rv != RAFT_CORRUPT && rv != RAFT_MALFORMED)) {
        return rv;
    }
    cb_log(CB_LOG_WARN, "raft.vote-unreadable", "err=\"%s\" used=%s", io->errmsg,
           REPLICA_VOTE_FILE);
    remove_metadata(v, "metadata1");
    remove_metadata(v, "metadata2");
    return v->io.init(io, id, address);
}

/* libraft's files are told what ours says. */
static int mend(const struct replica_vote *v, struct raft_io *io, raft_term term, raft_id vote)
{
    if (term == v->term && vote == v->vote) {
        return 0;
    }
    cb_log(CB_LOG_WARN, "raft.vote-mended",
           "term=%llu vote=%llu libraft_term=%llu libraft_vote=%llu", v->term, v->vote, term, vote);
    int rv = v->io.set_term(io, v->term);
    return rv == 0 && v->vote != 0 ? v->io.set_vote(io, v->vote) : rv;
}

/* Terms are stored before entries of them: else the file is not the one that was written last. */
static void check_log(const struct replica_vote *v, raft_term last_term)
{
    if (last_term > v->term) {
        cb_die("%s/%s says that the term is %llu, but the raft log has an entry of term %llu: the "
               "file is an old copy or damaged; this node must not vote: it must be added again "
               "under a new id with an empty directory",
               v->dir, REPLICA_VOTE_FILE, v->term, last_term);
    }
}

int replica_vote_load(struct replica_vote *v,
                      struct raft_io *io,
                      raft_term *term,
                      raft_id *voted_for,
                      struct raft_snapshot **snapshot,
                      raft_index *start_index,
                      struct raft_entry *entries[],
                      size_t *n_entries)
{
    int rv = v->io.load(io, term, voted_for, snapshot, start_index, entries, n_entries);
    if (rv != 0) {
        return rv;
    }
    if (v->is_stored) {
        raft_term last = *n_entries > 0      ? (*entries)[*n_entries - 1].term
                         : *snapshot != NULL ? (*snapshot)->term
                                             : 0;
        check_log(v, last);
        rv = mend(v, io, *term, *voted_for);
    } else if (*term != 0) { /* a directory of an earlier version */
        rv = store_for(v, io, *term, *voted_for);
    }
    if (rv != 0) {
        return rv; /* what was loaded is left to the end of the process */
    }
    *term = v->term;
    *voted_for = v->vote;
    cb_log(CB_LOG_INFO, "raft.vote", "term=%llu vote=%llu", *term, *voted_for);
    return 0;
}
