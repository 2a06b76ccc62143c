#include "node/store/store_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/cb_buf.h"
#include "common/base/cb_hash.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"

#define IDENTITY "identity"
#define IDENTITY_NEW "identity.new"
#define IDENTITY_MAX 4096

static enum store_result
io_error(const struct store_dir *d, const char *name, const char *what, struct store_error *err)
{
    int code = errno;
    enum store_result result = code == ENOSPC || code == EDQUOT ? STORE_FULL : STORE_IO;
    return store_fail(err, result, "%s/%s: cannot %s: %s", d->path, name, what, strerror(code));
}

void store_dir_step(const struct store_dir *d, const char *step)
{
    if (d->on_step != NULL) {
        d->on_step(d->step_data, step);
    }
}

/* Makes the entries of a directory durable. */
static int sync_dir_at(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    int rc = fsync(fd);
    int code = errno;
    (void)close(fd); /* opened for reading: nothing can be lost */
    errno = code;
    return rc;
}

static int make_top(const char *path)
{
    if (mkdir(path, 0700) != 0) {
        return errno == EEXIST ? 0 : -1;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    int rc = sync_dir_at(fd, "..");
    int code = errno;
    (void)close(fd);
    errno = code;
    return rc;
}

static enum store_result take_lock(struct store_dir *d, struct store_error *err)
{
    d->lock_fd = openat(d->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock_fd < 0) {
        return io_error(d, "lock", "open it", err);
    }
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) == 0) {
        return STORE_OK;
    }
    if (errno != EWOULDBLOCK) {
        return io_error(d, "lock", "lock it", err);
    }
    return store_fail(err, STORE_LOCKED,
                      "%s is in use by another process: a directory belongs to one running node",
                      d->path);
}

enum store_result store_dir_open(struct store_dir *d, const char *path, struct store_error *err)
{
    d->path = cb_strdup(path);
    d->fd = -1;
    d->lock_fd = -1;
    enum store_result result;
    if (make_top(path) != 0) {
        result =
            store_fail(err, STORE_IO, "cannot create the directory %s: %s", path, strerror(errno));
    } else if ((d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        result =
            store_fail(err, STORE_IO, "cannot open the directory %s: %s", path, strerror(errno));
    } else {
        result = take_lock(d, err);
    }
    if (result != STORE_OK) {
        store_dir_close(d);
    }
    return result;
}

void store_dir_close(struct store_dir *d)
{
    if (d->lock_fd >= 0) {
        (void)close(d->lock_fd); /* gives the lock back; never written */
    }
    if (d->fd >= 0) {
        (void)close(d->fd);
    }
    cb_free(d->path);
    d->path = NULL;
}

/* The first line is the same in every format, so that an older program can tell. */
static void render_identity(struct cb_buf *out, const char *node, const char *cluster)
{
    CB_ASSERT(strlen(node) <= CB_STORE_IDENTITY_MAX && strchr(node, '\n') == NULL);
    CB_ASSERT(strlen(cluster) <= CB_STORE_IDENTITY_MAX && strchr(cluster, '\n') == NULL);
    cb_buf_printf(out, "coolbeans-store %u\nnode %s\ncluster %s\n", STORE_FORMAT, node, cluster);
    struct cb_span text = cb_buf_span(out);
    cb_buf_printf(out, "checksum %016llx\n", (unsigned long long)cb_hash(text.ptr, text.len));
}

static ssize_t read_file(int at, const char *name, char *buf, size_t cap)
{
    int fd = openat(at, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t n = read(fd, buf, cap);
    int code = errno;
    (void)close(fd);
    errno = code;
    return n;
}

/* Splits the text of the identity file into its two names, in place; false when it has not its
 * form.
 */
static bool parse_identity(char *text, char **node, char **cluster)
{
    static const char node_word[] = "\nnode ";
    static const char cluster_word[] = "\ncluster ";
    static const char checksum_word[] = "\nchecksum ";
    char *n = strstr(text, node_word);
    char *c = n != NULL ? strstr(n + 1, cluster_word) : NULL;
    char *end = c != NULL ? strstr(c + 1, checksum_word) : NULL;
    if (end == NULL) {
        return false;
    }
    *c = '\0';
    *end = '\0';
    *node = n + sizeof(node_word) - 1;
    *cluster = c + sizeof(cluster_word) - 1;
    return strlen(*node) <= CB_STORE_IDENTITY_MAX && strlen(*cluster) <= CB_STORE_IDENTITY_MAX &&
           strchr(*node, '\n') == NULL && strchr(*cluster, '\n') == NULL;
}

static enum store_result check_identity(const struct store_dir *d,
                                        struct cb_span file,
                                        struct store_identity *out,
                                        struct store_error *err)
{
    char text[IDENTITY_MAX + 1];
    memcpy(text, file.ptr, file.len);
    text[file.len] = '\0';
    unsigned format = 0;
    if (sscanf(text, "coolbeans-store %9u\n", &format) == 1 && format > STORE_FORMAT) {
        return store_fail(
            err, STORE_NEWER_FORMAT,
            "%s has format %u, newer than this program's (%u): run the newer coolbeans", d->path,
            format, STORE_FORMAT);
    }
    char *its_node = NULL;
    char *its_cluster = NULL;
    struct cb_buf expected = CB_BUF_NULL;
    bool is_sound = parse_identity(text, &its_node, &its_cluster);
    if (is_sound) {
        render_identity(&expected, its_node, its_cluster);
        is_sound = cb_span_eq(cb_buf_span(&expected), file);
    }
    cb_buf_fini(&expected);
    if (!is_sound) {
        return store_fail(err, STORE_CORRUPT, "%s/" IDENTITY " is damaged", d->path);
    }
    memcpy(out->node, its_node, strlen(its_node) + 1);
    memcpy(out->cluster, its_cluster, strlen(its_cluster) + 1);
    return STORE_OK;
}

enum store_result store_dir_read_identity(const struct store_dir *d,
                                          struct store_identity *out,
                                          struct store_error *err)
{
    char text[IDENTITY_MAX];
    ssize_t n = read_file(d->fd, IDENTITY, text, sizeof(text));
    if (n < 0 && errno == ENOENT) {
        return store_fail(err, STORE_NOT_FOUND, "%s has no identity", d->path);
    }
    if (n < 0) {
        return io_error(d, IDENTITY, "read it", err);
    }
    return check_identity(d, cb_span(text, (size_t)n), out, err);
}

enum store_result store_dir_check_identity(const struct store_dir *d,
                                           const char *node,
                                           const char *cluster,
                                           struct store_error *err)
{
    struct store_identity its;
    enum store_result result = store_dir_read_identity(d, &its, err);
    if (result == STORE_OK && (strcmp(its.node, node) != 0 || strcmp(its.cluster, cluster) != 0)) {
        return store_fail(err, STORE_WRONG_IDENTITY,
                          "%s belongs to node '%s' of cluster '%s', not to node '%s' of '%s'",
                          d->path, its.node, its.cluster, node, cluster);
    }
    return result;
}

enum store_result
store_dir_peek_identity(const char *dir, struct store_identity *out, struct store_error *err)
{
    struct store_dir d = {.path = cb_strdup(dir), .fd = -1, .lock_fd = -1};
    enum store_result result;
    d.fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d.fd >= 0) {
        result = store_dir_read_identity(&d, out, err);
    } else if (errno == ENOENT) {
        result = store_fail(err, STORE_NOT_FOUND, "%s is not there", dir);
    } else {
        result =
            store_fail(err, STORE_IO, "cannot open the directory %s: %s", dir, strerror(errno));
    }
    store_dir_close(&d);
    return result;
}

static int write_file(int at, const char *name, struct cb_span bytes)
{
    int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -1;
    }
    ssize_t n = write(fd, bytes.ptr, bytes.len);
    int code = n < 0 ? errno : 0;
    if (code == 0 && (size_t)n < bytes.len) {
        code = ENOSPC; /* a short write of one page has no other cause */
    }
    if (code == 0 && fsync(fd) != 0) {
        code = errno;
    }
    (void)close(fd); /* the bytes are durable or the code says why not */
    errno = code;
    return code == 0 ? 0 : -1;
}

enum store_result store_dir_write_identity(const struct store_dir *d,
                                           const char *node,
                                           const char *cluster,
                                           struct store_error *err)
{
    struct cb_buf text = CB_BUF_NULL;
    render_identity(&text, node, cluster);
    int rc = write_file(d->fd, IDENTITY_NEW, cb_buf_span(&text));
    cb_buf_fini(&text);
    if (rc != 0) {
        return io_error(d, IDENTITY_NEW, "write it", err);
    }
    return store_dir_rename(d, IDENTITY_NEW, IDENTITY, err);
}

char *store_dir_join(const struct store_dir *d, const char *name)
{
    size_t size = strlen(d->path) + strlen(name) + 2;
    char *path = cb_malloc(size);
    (void)snprintf(path, size, "%s/%s", d->path, name); /* fits by construction */
    return path;
}

bool store_dir_has(const struct store_dir *d, const char *name)
{
    struct stat st;
    return fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

enum store_result
store_dir_make(const struct store_dir *d, const char *name, struct store_error *err)
{
    if (mkdirat(d->fd, name, 0700) != 0) {
        return io_error(d, name, "create it", err);
    }
    store_dir_step(d, "make");
    return STORE_OK;
}

enum store_result store_dir_rename(const struct store_dir *d,
                                   const char *from,
                                   const char *to,
                                   struct store_error *err)
{
    if (renameat(d->fd, from, d->fd, to) != 0) {
        return io_error(d, from, "rename it", err);
    }
    store_dir_step(d, "rename");
    if (fsync(d->fd) != 0) {
        return io_error(d, to, "make its name durable", err);
    }
    store_dir_step(d, "rename.sync");
    return STORE_OK;
}

enum store_result
store_dir_sync(const struct store_dir *d, const char *name, struct store_error *err)
{
    if (sync_dir_at(d->fd, name) != 0 || fsync(d->fd) != 0) {
        return io_error(d, name, "make it durable", err);
    }
    store_dir_step(d, "sync");
    return STORE_OK;
}

static int unlink_in(const struct store_dir *d, const char *name, const char *file)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "%s/%s", name, file); /* both are our own short names */
    return unlinkat(d->fd, path, 0) == 0 || errno == ENOENT ? 0 : -1;
}

enum store_result
store_dir_remove(const struct store_dir *d, const char *name, struct store_error *err)
{
    if (!store_dir_has(d, name)) {
        return STORE_OK;
    }
    int rc = unlink_in(d, name, "data.mdb");
    store_dir_step(d, "remove.data");
    rc = rc == 0 ? unlink_in(d, name, "lock.mdb") : rc;
    rc = rc == 0 ? unlinkat(d->fd, name, AT_REMOVEDIR) : rc;
    store_dir_step(d, "remove");
    return rc == 0 ? STORE_OK : io_error(d, name, "remove it", err);
}
