/* Pages of an LMDB database, and the nodes of one. */
#include "node/store/store_page.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"

#define ALIGNMENT 4096

uint8_t *store_page_buffer(size_t size)
{
    void *p = NULL;
    if (posix_memalign(&p, ALIGNMENT, size) != 0) {
        cb_die("out of memory: a buffer of %zu bytes to check the database with", size);
    }
    return p;
}

/* ---- the file ---- */

/* Direct: past the page cache. Not every file system can. */
static int open_again(int fd, int flags)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* always fits */
    return open(path, O_RDONLY | O_CLOEXEC | flags);
}

enum store_result store_pages_open(int fd,
                                   size_t page_size,
                                   const char *name,
                                   enum store_pages_from from,
                                   struct store_pages **out,
                                   struct store_error *err)
{
    int own = from == STORE_PAGES_DISK ? open_again(fd, O_DIRECT) : -1;
    bool is_direct = own >= 0;
    own = is_direct ? own : open_again(fd, 0);
    if (own < 0) {
        return store_fail(err, STORE_IO, "%s: cannot open it to be checked: %s", name,
                          strerror(errno));
    }
    struct store_pages *p = cb_calloc(1, sizeof(*p));
    p->fd = own;
    p->is_direct = is_direct;
    p->page_size = page_size;
    p->name = cb_strdup(name);
    *out = p;
    return STORE_OK;
}

void store_pages_close(struct store_pages *p)
{
    for (unsigned i = 0; i < STORE_PAGE_DEPTH_MAX; i++) {
        free(p->levels[i]);
    }
    free(p->big);
    (void)close(p->fd); /* opened for reading */
    cb_free(p->name);
    cb_free(p);
}

uint64_t store_pages_bytes(const struct store_pages *p)
{
    return p->bytes;
}

enum store_result store_page_damaged(const struct store_pages *p,
                                     uint64_t page,
                                     const char *what,
                                     struct store_error *err)
{
    return store_fail(err, STORE_CORRUPT, "%s: page %" PRIu64 ", at byte %" PRIu64 ", %s", p->name,
                      page, page * p->page_size, what);
}

static ssize_t read_at(struct store_pages *p, uint8_t *to, size_t len, uint64_t at)
{
    ssize_t n = pread(p->fd, to, len, (off_t)at);
    if (n < 0 && errno == EINVAL && p->is_direct) { /* it wants more alignment than a page has */
        int flags = fcntl(p->fd, F_GETFL);
        p->is_direct = false;
        if (flags >= 0 && fcntl(p->fd, F_SETFL, flags & ~O_DIRECT) == 0) {
            n = pread(p->fd, to, len, (off_t)at);
        }
    }
    return n;
}

enum store_result store_page_read(
    struct store_pages *p, uint64_t page, size_t count, uint8_t *to, struct store_error *err)
{
    if (page > (uint64_t)INT64_MAX / p->page_size - count) {
        return store_page_damaged(p, page, "can not be in any file", err);
    }
    size_t len = count * p->page_size;
    size_t got = 0;
    while (got < len) {
        ssize_t n = read_at(p, to + got, len - got, page * p->page_size + got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return store_fail(err, STORE_IO,
                              "%s: page %" PRIu64 ", at byte %" PRIu64 ", cannot be read: %s",
                              p->name, page, page * p->page_size, strerror(errno));
        }
        if (n == 0) {
            return store_page_damaged(p, page, "lies behind the end of the file", err);
        }
        got += (size_t)n;
    }
    p->bytes += len;
    return STORE_OK;
}

/* A page of a tree in the buffer of its level. */
enum store_result
store_page_level(struct store_pages *p, uint64_t page, unsigned depth, struct store_error *err)
{
    if (depth >= STORE_PAGE_DEPTH_MAX) {
        return store_page_damaged(p, page, "lies deeper than a tree can be", err);
    }
    if (p->levels[depth] == NULL) {
        p->levels[depth] = store_page_buffer(p->page_size);
    }
    const uint8_t *b = p->levels[depth];
    enum store_result r = store_page_read(p, page, 1, p->levels[depth], err);
    if (r != STORE_OK) {
        return r;
    }
    uint16_t kind = store_u16(b + PAGE_FLAGS_AT);
    uint16_t lower = store_u16(b + PAGE_LOWER_AT);
    uint16_t upper = store_u16(b + PAGE_UPPER_AT);
    bool is_sound = store_u64(b) == page && (kind == PAGE_BRANCH || kind == PAGE_LEAF) &&
                    lower >= PAGE_HEAD && lower % 2 == 0 && lower <= upper && upper <= p->page_size;
    return is_sound ? STORE_OK : store_page_damaged(p, page, "is no page of a tree", err);
}

/* ---- the nodes of a page ---- */

size_t store_page_count(const uint8_t *page)
{
    return (store_u16(page + PAGE_LOWER_AT) - PAGE_HEAD) / 2u;
}

bool store_page_node(const struct store_pages *p,
                     const uint8_t *page,
                     size_t i,
                     struct store_page_node *out)
{
    size_t at = store_u16(page + PAGE_HEAD + 2 * i);
    if (at < store_u16(page + PAGE_UPPER_AT) || at + NODE_HEAD > p->page_size) {
        return false;
    }
    const uint8_t *n = page + at;
    size_t key_len = store_u16(n + 6);
    if (key_len > p->page_size - at - NODE_HEAD) {
        return false;
    }
    uint64_t low = store_u32(n); /* both halves of what a branch calls page and a leaf size */
    out->flags = store_u16(n + 4);
    out->child = low | (uint64_t)out->flags << 32;
    out->size = (size_t)low;
    out->key = cb_span(n + NODE_HEAD, key_len);
    out->data = n + NODE_HEAD + key_len;
    out->room = p->page_size - at - NODE_HEAD - key_len;
    return true;
}
