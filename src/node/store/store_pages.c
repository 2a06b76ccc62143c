#include "node/store/store_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/cb_bytes.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "LMDB writes in the machine's own order");

#define DEPTH_MAX 32 /* LMDB's CURSOR_STACK */
#define ALIGNMENT 4096

/* MDB_page */
#define PAGE_HEAD 16
#define PAGE_FLAGS_AT 10
#define PAGE_LOWER_AT 12
#define PAGE_UPPER_AT 14
#define PAGE_PAGES_AT 12 /* of an overflow page */
enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4, PAGE_META = 8 };

/* MDB_node */
#define NODE_HEAD 8
enum { NODE_BIG = 1, NODE_TABLE = 2 };

/* MDB_db */
#define TABLE_SIZE 48
#define TABLE_ENTRIES_AT 32
#define TABLE_ROOT_AT 40

/* MDB_meta, from the beginning of its page */
#define META_MAGIC_AT 16
#define META_MAGIC 0xBEEFC0DEu
#define META_VERSION_AT 20
#define META_VERSION 1u
#define META_MAIN_AT 88 /* the MDB_db of the tables' names */
#define META_TXN_AT 144
#define META_END 152

struct store_pages {
    int fd;
    bool is_direct;
    size_t page_size;
    char *name;
    uint64_t bytes;
    uint8_t *levels[DEPTH_MAX];
    uint8_t *big; /* an overflow page and those behind it */
    size_t big_size;
};

static uint16_t u16(const uint8_t *p)
{
    return (uint16_t)cb_load_le(p, 2);
}

static uint32_t u32(const uint8_t *p)
{
    return (uint32_t)cb_load_le(p, 4);
}

static uint64_t u64(const uint8_t *p)
{
    return cb_load_le(p, 8);
}

static uint8_t *aligned(size_t size)
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

enum store_result store_pages_open(
    int fd, size_t page_size, const char *name, struct store_pages **out, struct store_error *err)
{
    int own = open_again(fd, O_DIRECT);
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
    for (unsigned i = 0; i < DEPTH_MAX; i++) {
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

static enum store_result
damaged(const struct store_pages *p, uint64_t page, const char *what, struct store_error *err)
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

static enum store_result
read_pages(struct store_pages *p, uint64_t page, size_t count, uint8_t *to, struct store_error *err)
{
    if (page > (uint64_t)INT64_MAX / p->page_size - count) {
        return damaged(p, page, "can not be in any file", err);
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
            return damaged(p, page, "lies behind the end of the file", err);
        }
        got += (size_t)n;
    }
    p->bytes += len;
    return STORE_OK;
}

/* A page of a tree in the buffer of its level. */
static enum store_result
read_level(struct store_pages *p, uint64_t page, unsigned depth, struct store_error *err)
{
    if (depth >= DEPTH_MAX) {
        return damaged(p, page, "lies deeper than a tree can be", err);
    }
    if (p->levels[depth] == NULL) {
        p->levels[depth] = aligned(p->page_size);
    }
    const uint8_t *b = p->levels[depth];
    enum store_result r = read_pages(p, page, 1, p->levels[depth], err);
    if (r != STORE_OK) {
        return r;
    }
    uint16_t kind = u16(b + PAGE_FLAGS_AT);
    uint16_t lower = u16(b + PAGE_LOWER_AT);
    uint16_t upper = u16(b + PAGE_UPPER_AT);
    bool is_sound = u64(b) == page && (kind == PAGE_BRANCH || kind == PAGE_LEAF) &&
                    lower >= PAGE_HEAD && lower % 2 == 0 && lower <= upper && upper <= p->page_size;
    return is_sound ? STORE_OK : damaged(p, page, "is no page of a tree", err);
}

/* ---- the nodes of a page ---- */

struct node {
    unsigned flags;
    uint64_t child; /* of a branch */
    size_t size;    /* of a leaf's value */
    struct cb_span key;
    const uint8_t *data;
    size_t room; /* from there to the end of the page */
};

static size_t count_nodes(const uint8_t *page)
{
    return (u16(page + PAGE_LOWER_AT) - PAGE_HEAD) / 2u;
}

static bool get_node(const struct store_pages *p, const uint8_t *page, size_t i, struct node *out)
{
    size_t at = u16(page + PAGE_HEAD + 2 * i);
    if (at < u16(page + PAGE_UPPER_AT) || at + NODE_HEAD > p->page_size) {
        return false;
    }
    const uint8_t *n = page + at;
    size_t key_len = u16(n + 6);
    if (key_len > p->page_size - at - NODE_HEAD) {
        return false;
    }
    uint64_t low = u32(n); /* both halves of what a branch calls page and a leaf size */
    out->flags = u16(n + 4);
    out->child = low | (uint64_t)out->flags << 32;
    out->size = (size_t)low;
    out->key = cb_span(n + NODE_HEAD, key_len);
    out->data = n + NODE_HEAD + key_len;
    out->room = p->page_size - at - NODE_HEAD - key_len;
    return true;
}

static int compare(struct cb_span a, struct cb_span b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* ---- the walk ---- */

struct walk {
    struct store_pages *p;
    uint64_t until; /* of p->bytes */
    store_pages_fn fn;
    void *data;
    struct store_error *err;
    size_t last_len; /* 0: no key yet */
    uint8_t last[CB_STORE_KEY_MAX];
};

static struct cb_span last_of(const struct walk *w)
{
    return cb_span(w->last, w->last_len);
}

/* A value that has pages of its own. */
static enum store_result
read_big(struct walk *w, uint64_t page, const struct node *n, struct cb_span *value)
{
    struct store_pages *p = w->p;
    if (n->room < 8 || n->size > CB_STORE_VALUE_MAX + p->page_size) {
        return damaged(p, page, "has an impossible value", w->err);
    }
    uint64_t first = u64(n->data);
    size_t count = (PAGE_HEAD + n->size + p->page_size - 1) / p->page_size;
    if (p->big_size < count * p->page_size) {
        free(p->big);
        p->big_size = count * p->page_size;
        p->big = aligned(p->big_size);
    }
    enum store_result r = read_pages(p, first, count, p->big, w->err);
    if (r != STORE_OK) {
        return r;
    }
    if (u64(p->big) != first || u16(p->big + PAGE_FLAGS_AT) != PAGE_OVERFLOW ||
        u32(p->big + PAGE_PAGES_AT) != count) {
        return damaged(p, first, "is not the value that it should be", w->err);
    }
    *value = cb_span(p->big + PAGE_HEAD, n->size);
    return STORE_OK;
}

static enum store_result give(struct walk *w, uint64_t page, const struct node *n)
{
    struct cb_span value = cb_span(n->data, n->size);
    enum store_result r = STORE_OK;
    if (n->flags == NODE_BIG) {
        r = read_big(w, page, n, &value);
    } else if ((n->flags != 0 && n->flags != NODE_TABLE) || n->size > n->room) {
        r = damaged(w->p, page, "has an impossible value", w->err);
    }
    r = r == STORE_OK ? w->fn(w->data, n->key, value, w->err) : r;
    memcpy(w->last, n->key.ptr, n->key.len);
    w->last_len = n->key.len;
    return r;
}

/* `low` and `high` are what the branches above say of its keys; none: no bound. */
static enum store_result
walk_leaf(struct walk *w, uint64_t page, const uint8_t *b, struct cb_span low, struct cb_span high)
{
    struct cb_span before = low;
    for (size_t i = 0; i < count_nodes(b); i++) {
        struct node n;
        if (!get_node(w->p, b, i, &n) || n.key.len == 0 || n.key.len > CB_STORE_KEY_MAX) {
            return damaged(w->p, page, "has an impossible key", w->err);
        }
        int order = compare(n.key, before);
        if (order < 0 || (order == 0 && i > 0) || (high.len > 0 && compare(n.key, high) >= 0)) {
            return damaged(w->p, page, "has keys out of order", w->err);
        }
        before = n.key;
        if (compare(n.key, last_of(w)) > 0) {
            enum store_result r = give(w, page, &n);
            if (r != STORE_OK) {
                return r;
            }
        }
    }
    return w->p->bytes >= w->until ? STORE_MORE : STORE_OK;
}

static enum store_result
visit(struct walk *w, uint64_t page, unsigned depth, struct cb_span low, struct cb_span high)
{
    enum store_result r = read_level(w->p, page, depth, w->err);
    if (r != STORE_OK) {
        return r;
    }
    const uint8_t *b = w->p->levels[depth];
    if (u16(b + PAGE_FLAGS_AT) == PAGE_LEAF) {
        return walk_leaf(w, page, b, low, high);
    }
    size_t count = count_nodes(b);
    for (size_t i = 0; i < count; i++) {
        struct node n;
        struct node next = {.key = high};
        if (!get_node(w->p, b, i, &n) || (i + 1 < count && !get_node(w->p, b, i + 1, &next))) {
            return damaged(w->p, page, "has an impossible branch", w->err);
        }
        if (next.key.len > 0 && compare(next.key, last_of(w)) <= 0) {
            continue; /* all of it was given */
        }
        /* The first branch has no key of its own. */
        r = visit(w, n.child, depth + 1, i == 0 ? low : n.key, next.key);
        if (r != STORE_OK) {
            return r;
        }
    }
    return STORE_OK;
}

enum store_result store_pages_walk(struct store_pages *p,
                                   const struct store_pages_table *t,
                                   struct cb_span after,
                                   size_t bytes,
                                   store_pages_fn fn,
                                   void *data,
                                   struct store_error *err)
{
    struct walk w = {.p = p, .until = p->bytes + bytes, .fn = fn, .data = data, .err = err};
    CB_ASSERT(after.len <= sizeof(w.last));
    if (after.len > 0) {
        memcpy(w.last, after.ptr, after.len);
        w.last_len = after.len;
    }
    return t->root == STORE_PAGES_NONE ? STORE_OK
                                       : visit(&w, t->root, 0, CB_SPAN_NULL, CB_SPAN_NULL);
}

/* ---- tables ---- */

struct table_search {
    struct cb_span name;
    struct store_pages_table *out;
    bool is_found;
};

static enum store_result
look_at_table(void *data, struct cb_span key, struct cb_span stored, struct store_error *err)
{
    (void)err;
    struct table_search *s = data;
    if (cb_span_eq(key, s->name) && stored.len == TABLE_SIZE) {
        s->out->root = u64(stored.ptr + TABLE_ROOT_AT);
        s->out->entries = u64(stored.ptr + TABLE_ENTRIES_AT);
        s->is_found = true;
    }
    return STORE_OK;
}

enum store_result store_pages_table(struct store_pages *p,
                                    uint64_t txn,
                                    const char *table,
                                    struct store_pages_table *out,
                                    struct store_error *err)
{
    uint64_t root_page = txn & 1;
    if (p->levels[0] == NULL) {
        p->levels[0] = aligned(p->page_size);
    }
    const uint8_t *b = p->levels[0];
    enum store_result r = read_pages(p, root_page, 1, p->levels[0], err);
    if (r != STORE_OK) {
        return r;
    }
    CB_ASSERT(p->page_size >= META_END);
    if (u16(b + PAGE_FLAGS_AT) != PAGE_META || u32(b + META_MAGIC_AT) != META_MAGIC ||
        u32(b + META_VERSION_AT) != META_VERSION) {
        return damaged(p, root_page, "is no root page", err);
    }
    if (u64(b + META_TXN_AT) != txn) {
        return store_fail(err, STORE_NOT_FOUND, "%s: transaction %" PRIu64 " has no root page",
                          p->name, txn);
    }
    const struct store_pages_table names = {.root = u64(b + META_MAIN_AT + TABLE_ROOT_AT)};
    struct table_search s = {.name = cb_span_str(table), .out = out};
    r = store_pages_walk(p, &names, CB_SPAN_NULL, SIZE_MAX / 2, look_at_table, &s, err);
    if (r == STORE_OK && !s.is_found) {
        r = damaged(p, root_page, "leads to no such table", err);
    }
    return r;
}
