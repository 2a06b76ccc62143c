/* Unnamed files for a file system that has none, as a library to be preloaded: FUSE has no
 * O_TMPFILE, libraft makes its snapshots of such files, and coolbeans-node does not start without.
 *
 * A file gets a name that libraft takes for a leftover (and removes at its next start) until it is
 * linked to its own. Only what libraft does is done: open in a directory, link by /proc/self/fd. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef int (*open_fn)(const char *path, int flags, ...);
typedef int (*linkat_fn)(int from, const char *path, int to, const char *name, int flags);

int open(const char *path, int flags, ...);
int open64(const char *path, int flags, ...);

static int open_named(open_fn real, const char *dir, int flags, mode_t mode)
{
    static atomic_uint number;
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/tmp-%ld-%u", dir, (long)getpid(),
                     atomic_fetch_add(&number, 1));
    if (n < 0 || n >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return real(path, (flags & ~O_TMPFILE) | O_CREAT | O_EXCL, mode);
}

static int open_as(const char *name, const char *path, int flags, mode_t mode)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    open_fn real;
    memcpy(&real, &symbol, sizeof real); /* ISO C has no cast for this */
    int fd = real(path, flags, mode);
    bool is_unnamed = (flags & O_TMPFILE) == O_TMPFILE;
    return fd < 0 && is_unnamed && errno == EOPNOTSUPP ? open_named(real, path, flags, mode) : fd;
}

static mode_t mode_of(int flags, va_list ap)
{
    bool has_mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
    return has_mode ? (mode_t)va_arg(ap, int) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return open_as("open", path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return open_as("open64", path, flags, mode);
}

int linkat(int from, const char *path, int to, const char *name, int flags)
{
    char named[PATH_MAX];
    if (strncmp(path, "/proc/self/fd/", strlen("/proc/self/fd/")) == 0) {
        ssize_t n = readlink(path, named, sizeof named - 1);
        named[n < 0 ? 0 : n] = '\0';
        if (strstr(named, "/tmp-") != NULL && access(named, F_OK) == 0) {
            return renameat(AT_FDCWD, named, to, name);
        }
    }
    void *symbol = dlsym(RTLD_NEXT, "linkat");
    linkat_fn real;
    memcpy(&real, &symbol, sizeof real);
    return real(from, path, to, name, flags);
}
