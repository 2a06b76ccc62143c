/* lossfs: a file system that forgets what was not synced.
 *
 *   lossfs BACKING MOUNTPOINT
 *
 * Everything passes through to the folder BACKING, but the bytes that are written stay in this
 * process until fsync or fdatasync of that file, or a write to it with O_DSYNC or RWF_DSYNC.
 * SIGKILL of this process is the power failure: they are gone. SIGUSR1 is one in the middle of the
 * disk's work: each 512-byte sector of them reaches BACKING with probability 1/2, then it ends.
 *
 * Not lost: names, lengths and what fallocate and truncate do, which reach BACKING at once. What is
 * in BACKING counts as on disk: that the kernel has not written it there yet is of no matter, since
 * it does not die.
 *
 * Owns:     the unsynced pages, by inode.
 * Threads:  one (fuse_loop). */
#define FUSE_USE_VERSION 35
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_map.h"
#include "common/base/cb_mem.h"
#include "common/base/cb_rng.h"

#define PAGE 4096
#define SECTOR 512

struct page {
    struct page *next; /* of the same inode */
    uint64_t number;
    uint32_t valid; /* a bit for each sector that was written */
    uint8_t bytes[PAGE];
};

struct inode {
    struct inode *next; /* of all */
    int fd;             /* of our own, so that pages outlive the last close */
    struct page *pages;
    struct cb_map by_number;
};

static int backing_fd;
static struct cb_map inodes; /* by inode number; only those with unsynced pages */
static struct inode *all;

/* ---- unsynced pages ---- */

static struct inode *inode_of(int fd, bool make)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return NULL;
    }
    struct inode *i = cb_map_get(&inodes, st.st_ino);
    if (i == NULL && make) {
        i = cb_calloc(1, sizeof(*i));
        i->fd = dup(fd);
        CB_ASSERT(i->fd >= 0);
        cb_map_init(&i->by_number);
        cb_map_put(&inodes, st.st_ino, i);
        i->next = all;
        all = i;
    }
    return i;
}

/* A page holds whole sectors: one that is written in part has its rest from below. */
static struct page *page_of(struct inode *i, uint64_t number)
{
    struct page *p = cb_map_get(&i->by_number, number);
    if (p == NULL) {
        p = cb_calloc(1, sizeof(*p));
        p->number = number;
        if (pread(i->fd, p->bytes, PAGE, (off_t)(number * PAGE)) < 0) {
            memset(p->bytes, 0, PAGE);
        }
        cb_map_put(&i->by_number, number, p);
        p->next = i->pages;
        i->pages = p;
    }
    return p;
}

/* A piece of a read or a write that lies within one page. */
struct piece {
    uint64_t number; /* of the page */
    size_t at, len;  /* in it */
    size_t done;     /* bytes of the whole before it */
};

/* The next piece of [offset, offset + size); false behind the last. Begin with zeros. */
static bool next_piece(struct piece *p, size_t size, off_t offset)
{
    p->done += p->len;
    uint64_t pos = (uint64_t)offset + p->done;
    size_t left = size - p->done;
    p->number = pos / PAGE;
    p->at = pos % PAGE;
    p->len = PAGE - p->at < left ? PAGE - p->at : left;
    return left > 0;
}

static void store(struct inode *i, const char *from, size_t size, off_t offset)
{
    for (struct piece k = {0}; next_piece(&k, size, offset);) {
        struct page *p = page_of(i, k.number);
        memcpy(p->bytes + k.at, from + k.done, k.len);
        for (size_t s = k.at / SECTOR; s <= (k.at + k.len - 1) / SECTOR; s++) {
            p->valid |= 1U << s;
        }
    }
}

/* Lays what is not synced over what was read from below. */
static void load(const struct inode *i, char *to, size_t size, off_t offset)
{
    for (struct piece k = {0}; next_piece(&k, size, offset);) {
        const struct page *p = cb_map_get(&i->by_number, k.number);
        for (size_t b = 0; p != NULL && b < k.len; b++) {
            if ((p->valid >> (k.at + b) / SECTOR & 1) != 0) {
                to[k.done + b] = (char)p->bytes[k.at + b];
            }
        }
    }
}

/* No further than the file's end, which may lie within the sector. */
static int write_sector(const struct inode *i, const struct page *p, size_t s, off_t end)
{
    off_t at = (off_t)(p->number * PAGE + s * SECTOR);
    if ((p->valid >> s & 1) == 0 || at >= end) {
        return 0;
    }
    size_t len = end - at < SECTOR ? (size_t)(end - at) : SECTOR;
    return pwrite(i->fd, p->bytes + s * SECTOR, len, at) == (ssize_t)len ? 0 : -errno;
}

/* Those for which `keep` says so reach the backing file. */
static int write_back(const struct inode *i, bool (*keep)(void))
{
    struct stat st;
    int result = fstat(i->fd, &st) == 0 ? 0 : -errno;
    for (const struct page *p = i->pages; p != NULL && result == 0; p = p->next) {
        for (size_t s = 0; s < PAGE / SECTOR && result == 0; s++) {
            if (keep == NULL || keep()) {
                result = write_sector(i, p, s, st.st_size);
            }
        }
    }
    return result;
}

static void forget(struct inode *i)
{
    struct stat st;
    CB_ASSERT(fstat(i->fd, &st) == 0);
    cb_map_remove(&inodes, st.st_ino);
    struct inode **at = &all;
    while (*at != i) {
        at = &(*at)->next;
    }
    *at = i->next;
    while (i->pages != NULL) {
        struct page *p = i->pages;
        i->pages = p->next;
        cb_free(p);
    }
    cb_map_fini(&i->by_number);
    close(i->fd);
    cb_free(i);
}

static int sync_file(int fd)
{
    struct inode *i = inode_of(fd, false);
    if (i == NULL) {
        return 0;
    }
    int result = write_back(i, NULL);
    if (result == 0) {
        forget(i);
    }
    return result;
}

/* ---- the power failure with torn writes ---- */

static struct cb_rng rng;

static bool toss(void)
{
    return cb_rng_chance(&rng, 1, 2);
}

static void tear(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    cb_rng_init(&rng, (uint64_t)ts.tv_nsec);
    for (const struct inode *i = all; i != NULL; i = i->next) {
        (void)write_back(i, toss); /* what fails is lost, as it may be */
    }
    _exit(0);
}

/* ---- FUSE ---- */

static const char *below(const char *path)
{
    return path[1] == '\0' ? "." : path + 1;
}

static int done(int rv)
{
    return rv < 0 ? -errno : 0;
}

static int fd_of(const struct fuse_file_info *fi)
{
    return (int)fi->fh;
}

static int op_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
    return done(fi != NULL ? fstat(fd_of(fi), st)
                           : fstatat(backing_fd, below(path), st, AT_SYMLINK_NOFOLLOW));
}

static int op_opendir(const char *path, struct fuse_file_info *fi)
{
    int fd = openat(backing_fd, below(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fi->fh = (uint64_t)fd;
    return done(fd);
}

static int op_readdir(const char *path,
                      void *to,
                      fuse_fill_dir_t fill,
                      off_t offset,
                      struct fuse_file_info *fi,
                      enum fuse_readdir_flags flags)
{
    (void)path;
    (void)offset;
    (void)flags;
    int fd = openat(fd_of(fi), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        return -errno;
    }
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        fill(to, e->d_name, NULL, 0, 0);
    }
    closedir(dir);
    return 0;
}

static int open_below(const char *path, int flags, mode_t mode, struct fuse_file_info *fi)
{
    /* Ours is read for parts of sectors, and has no alignment to keep. */
    int how = (flags & ~(O_DIRECT | O_ACCMODE | O_APPEND | O_SYNC | O_DSYNC)) | O_RDWR | O_CLOEXEC;
    int fd = openat(backing_fd, below(path), how, mode);
    if (fd < 0) {
        return -errno;
    }
    fi->fh = (uint64_t)fd;
    return 0;
}

static int op_open(const char *path, struct fuse_file_info *fi)
{
    return open_below(path, fi->flags, 0, fi);
}

static int op_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    return open_below(path, fi->flags | O_CREAT, mode, fi);
}

static int op_release(const char *path, struct fuse_file_info *fi)
{
    (void)path;
    return done(close(fd_of(fi)));
}

static int op_read(const char *path, char *to, size_t size, off_t offset, struct fuse_file_info *fi)
{
    (void)path;
    ssize_t n = pread(fd_of(fi), to, size, offset);
    struct inode *i = n > 0 ? inode_of(fd_of(fi), false) : NULL;
    if (i != NULL) {
        load(i, to, (size_t)n, offset);
    }
    return n < 0 ? -errno : (int)n;
}

/* The length reaches the disk at once, the bytes do not: between them are zeros. */
static int grow(int fd, off_t end)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return -errno;
    }
    return st.st_size < end ? done(ftruncate(fd, end)) : 0;
}

static int
op_write(const char *path, const char *from, size_t size, off_t offset, struct fuse_file_info *fi)
{
    (void)path;
    int result = grow(fd_of(fi), offset + (off_t)size);
    struct inode *i = result == 0 ? inode_of(fd_of(fi), true) : NULL;
    if (i == NULL) {
        return result != 0 ? result : -EIO;
    }
    store(i, from, size, offset);
    if ((fi->flags & (O_DSYNC | O_SYNC)) != 0) {
        /* Of this write, not of the open file. The kernel asks for a sync behind such a write, but
         * not when it came by io_submit, as libraft's do. */
        result = sync_file(fd_of(fi));
    }
    return result != 0 ? result : (int)size;
}

static int op_fsync(const char *path, int data_only, struct fuse_file_info *fi)
{
    (void)path;
    (void)data_only;
    return sync_file(fd_of(fi));
}

/* Names are on disk already. */
static int op_fsyncdir(const char *path, int data_only, struct fuse_file_info *fi)
{
    (void)path;
    (void)data_only;
    (void)fi;
    return 0;
}

/* What lay behind the new end must not come back when the file grows again. */
static int op_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
    int fd = fi != NULL ? dup(fd_of(fi)) : openat(backing_fd, below(path), O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int result = sync_file(fd); /* early, as a disk may */
    result = result != 0 ? result : done(ftruncate(fd, size));
    close(fd);
    return result;
}

static int
op_fallocate(const char *path, int mode, off_t offset, off_t len, struct fuse_file_info *fi)
{
    (void)path;
    return done(fallocate(fd_of(fi), mode, offset, len));
}

static int op_unlink(const char *path)
{
    return done(unlinkat(backing_fd, below(path), 0));
}

static int op_mkdir(const char *path, mode_t mode)
{
    return done(mkdirat(backing_fd, below(path), mode));
}

static int op_rmdir(const char *path)
{
    return done(unlinkat(backing_fd, below(path), AT_REMOVEDIR));
}

static int op_rename(const char *from, const char *to, unsigned flags)
{
    return done(renameat2(backing_fd, below(from), backing_fd, below(to), flags));
}

static int op_chmod(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    (void)fi;
    return done(fchmodat(backing_fd, below(path), mode, 0));
}

static int op_statfs(const char *path, struct statvfs *st)
{
    (void)path;
    return done(fstatvfs(backing_fd, st));
}

static void *op_init(struct fuse_conn_info *conn, struct fuse_config *config)
{
    (void)conn;
    config->nullpath_ok = 1;
    config->hard_remove = 1;
    config->use_ino = 1;
    return NULL;
}

static const struct fuse_operations operations = {
    .init = op_init,
    .getattr = op_getattr,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .releasedir = op_release,
    .fsyncdir = op_fsyncdir,
    .open = op_open,
    .create = op_create,
    .release = op_release,
    .read = op_read,
    .write = op_write,
    .fsync = op_fsync,
    .truncate = op_truncate,
    .fallocate = op_fallocate,
    .unlink = op_unlink,
    .mkdir = op_mkdir,
    .rmdir = op_rmdir,
    .rename = op_rename,
    .chmod = op_chmod,
    .statfs = op_statfs,
};

/* Where SIGUSR1 is read. It is blocked from now on: else it could come between the last look for it
 * and the wait for a request, and be seen with that request only. */
static int open_signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR1);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return -1;
    }
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Like fuse_loop, but a signal between two requests is seen, and no request is torn by it. */
static void serve(struct fuse *fuse, int signals)
{
    struct fuse_session *session = fuse_get_session(fuse);
    struct fuse_buf buf = {.mem = NULL};
    struct pollfd fds[] = {{.fd = signals, .events = POLLIN},
                           {.fd = fuse_session_fd(session), .events = POLLIN}};
    while (!fuse_session_exited(session)) {
        if (poll(fds, 2, -1) < 0) {
            continue; /* EINTR, of a debugger */
        }
        if (fds[0].revents != 0) {
            tear();
        }
        int n = fuse_session_receive_buf(session, &buf);
        if (n == 0 || (n < 0 && n != -EINTR && n != -EAGAIN)) {
            return;
        }
        if (n > 0) {
            fuse_session_process_buf(session, &buf);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: lossfs BACKING MOUNTPOINT\n");
        return 2;
    }
    backing_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (backing_fd < 0) {
        cb_die("cannot open %s: %s", argv[1], strerror(errno));
    }
    cb_map_init(&inodes);
    umask(0);
    struct fuse_args args = FUSE_ARGS_INIT(1, argv); /* no options of FUSE's */
    struct fuse *fuse = fuse_new(&args, &operations, sizeof(operations), NULL);
    int signals = open_signals();
    if (fuse == NULL || signals < 0 || fuse_mount(fuse, argv[2]) != 0) {
        cb_die("cannot mount %s", argv[2]);
    }
    /* A request that was seen may be taken back before it is read. */
    int fd = fuse_session_fd(fuse_get_session(fuse));
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0) {
        cb_die("cannot set the flags of FUSE's device: %s", strerror(errno));
    }
    serve(fuse, signals);
    fuse_unmount(fuse);
    fuse_destroy(fuse);
    return 0;
}
