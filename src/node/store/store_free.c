#include "node/store/store_free.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "node/store/store_page.h"

#define ROOTS 2
#define FREE_FLAGS 8u /* MDB_INTEGERKEY, and nothing that an environment of ours keeps */
#define MAIN_FLAGS 0u
#define NUMBER_SIZE 8

enum tree {
    TREE_NAMES, /* of the tables */
    TREE_TABLE,
    TREE_FREE,
};

struct check {
    struct store_pages *p;
    struct store_error *err;
    uint64_t root_page;
    uint64_t txn;
    uint64_t free_root;
    uint64_t names_root;
    uint64_t last_page;
    uint8_t *is_seen; /* a bit for each page */
};

/* ---- the root pages ---- */

/* False: LMDB would not take it either, and says why. */
static bool is_root(const uint8_t *b)
{
    return (store_u16(b + PAGE_FLAGS_AT) & PAGE_META) != 0 &&
           store_u32(b + META_MAGIC_AT) == META_MAGIC &&
           store_u32(b + META_VERSION_AT) == META_VERSION;
}

static void take_root(struct check *c, uint64_t page, const uint8_t *b)
{
    c->root_page = page;
    c->txn = store_u64(b + META_TXN_AT);
    c->free_root = store_u64(b + META_FREE_AT + TABLE_ROOT_AT);
    c->names_root = store_u64(b + META_MAIN_AT + TABLE_ROOT_AT);
    c->last_page = store_u64(b + META_LAST_PAGE_AT);
}

static enum store_result check_root(const struct check *c, const uint8_t *b)
{
    if (store_u64(b) != c->root_page || store_u16(b + PAGE_FLAGS_AT) != PAGE_META ||
        store_u16(b + META_FREE_AT + TABLE_FLAGS_AT) != FREE_FLAGS ||
        store_u16(b + META_MAIN_AT + TABLE_FLAGS_AT) != MAIN_FLAGS) {
        return store_page_damaged(c->p, c->root_page, "is no root page of ours", c->err);
    }
    if (c->txn % ROOTS != c->root_page) {
        return store_page_damaged(c->p, c->root_page, "has the number of another transaction",
                                  c->err);
    }
    return STORE_OK;
}

/* Takes the one that LMDB takes: the first, unless the second is newer. */
static enum store_result find_root(struct check *c, bool *is_found)
{
    uint8_t *b = store_page_buffer(ROOTS * c->p->page_size);
    const uint8_t *second = b + c->p->page_size;
    enum store_result r = store_page_read(c->p, 0, ROOTS, b, c->err);
    *is_found = r == STORE_OK && is_root(b) && is_root(second);
    if (*is_found) {
        bool is_second = store_u64(second + META_TXN_AT) > store_u64(b + META_TXN_AT);
        take_root(c, is_second ? 1 : 0, is_second ? second : b);
        r = check_root(c, is_second ? second : b);
    }
    free(b);
    return r;
}

/* ---- what was seen ---- */

static enum store_result mark(struct check *c, uint64_t first, uint64_t count)
{
    if (first < ROOTS || first > c->last_page || count > c->last_page - first + 1) {
        return store_page_damaged(c->p, first, "is not within the database", c->err);
    }
    for (uint64_t page = first; page < first + count; page++) {
        uint8_t bit = (uint8_t)(1u << page % 8);
        if ((c->is_seen[page / 8] & bit) != 0) {
            return store_page_damaged(c->p, page, "is in two places, or in use and free", c->err);
        }
        c->is_seen[page / 8] |= bit;
    }
    return STORE_OK;
}

static enum store_result check_all_seen(const struct check *c)
{
    for (uint64_t page = ROOTS; page <= c->last_page; page++) {
        if ((c->is_seen[page / 8] & 1u << page % 8) == 0) {
            return store_page_damaged(c->p, page, "is neither in use nor free", c->err);
        }
    }
    return STORE_OK;
}

/* ---- the list of free pages ---- */

static enum store_result check_list(struct check *c, uint64_t page, struct cb_span list)
{
    uint64_t room = list.len / NUMBER_SIZE;
    if (room == 0 || list.len % NUMBER_SIZE != 0 || store_u64(list.ptr) > room - 1) {
        return store_page_damaged(c->p, page, "has an impossible list of free pages", c->err);
    }
    uint64_t count = store_u64(list.ptr);
    uint64_t before = UINT64_MAX;
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t number = store_u64(list.ptr + i * NUMBER_SIZE);
        if (number >= before) {
            return store_page_damaged(c->p, page, "has free pages out of order", c->err);
        }
        before = number;
        enum store_result r = mark(c, number, 1);
        if (r != STORE_OK) {
            return r;
        }
    }
    return STORE_OK;
}

/* LMDB shortens a list in its place and keeps the pages: there may be more than it needs. */
static enum store_result
check_big_list(struct check *c, uint64_t page, const struct store_page_node *n)
{
    /* No list is longer than there are pages, but its room is rounded up to whole pages. */
    if (n->room < NUMBER_SIZE || n->size / NUMBER_SIZE > c->last_page + c->p->page_size) {
        return store_page_damaged(c->p, page, "has an impossible list of free pages", c->err);
    }
    uint64_t first = store_u64(n->data);
    size_t count = (PAGE_HEAD + n->size + c->p->page_size - 1) / c->p->page_size;
    uint8_t *b = store_page_buffer(count * c->p->page_size);
    enum store_result r = store_page_read(c->p, first, count, b, c->err);
    if (r == STORE_OK && (store_u64(b) != first || store_u16(b + PAGE_FLAGS_AT) != PAGE_OVERFLOW ||
                          store_u32(b + PAGE_PAGES_AT) < count)) {
        r = store_page_damaged(c->p, first, "is not the list that it should be", c->err);
    }
    r = r == STORE_OK ? mark(c, first, store_u32(b + PAGE_PAGES_AT)) : r;
    r = r == STORE_OK ? check_list(c, first, cb_span(b + PAGE_HEAD, n->size)) : r;
    free(b);
    return r;
}

/* `*before` is the key before; those of this tree are numbers of transactions. */
static enum store_result
check_free(struct check *c, uint64_t page, const struct store_page_node *n, uint64_t *before)
{
    uint64_t key = n->key.len == NUMBER_SIZE ? store_u64(n->key.ptr) : 0;
    if (key <= *before || key > c->txn) {
        return store_page_damaged(c->p, page, "has an impossible transaction of free pages",
                                  c->err);
    }
    *before = key;
    if (n->flags == NODE_BIG) {
        return check_big_list(c, page, n);
    }
    if (n->flags != 0 || n->size > n->room) {
        return store_page_damaged(c->p, page, "has an impossible list of free pages", c->err);
    }
    return check_list(c, page, cb_span(n->data, n->size));
}

/* ---- the trees ---- */

/* LMDB keeps the nodes of a page side by side up to its end, each of an even size. */
static bool is_filled(const struct check *c, const uint8_t *b)
{
    bool is_branch = store_u16(b + PAGE_FLAGS_AT) == PAGE_BRANCH;
    size_t sum = 0;
    for (size_t i = 0; i < store_page_count(b); i++) {
        struct store_page_node n;
        if (!store_page_node(c->p, b, i, &n)) {
            return false;
        }
        size_t data = is_branch ? 0 : n.flags == NODE_BIG ? NUMBER_SIZE : n.size;
        if (data > n.room) {
            return false;
        }
        sum += (NODE_HEAD + n.key.len + data + 1) / 2 * 2;
    }
    return sum == c->p->page_size - store_u16(b + PAGE_UPPER_AT);
}

struct place {
    enum tree tree;
    unsigned depth;
    uint64_t low;  /* TREE_FREE alone: keys are above it, or equal to it ... */
    uint64_t high; /* ... and below this, by the branches above */
};

static enum store_result visit(struct check *c, uint64_t page, struct place at);

static enum store_result
check_value(struct check *c, uint64_t page, struct place at, const struct store_page_node *n)
{
    bool is_table = at.tree == TREE_NAMES;
    if (n->flags == (is_table ? NODE_TABLE : 0) && n->size <= n->room &&
        (!is_table || n->size == TABLE_SIZE)) {
        uint64_t root = is_table ? store_u64(n->data + TABLE_ROOT_AT) : STORE_PAGES_NONE;
        struct place below = {.tree = TREE_TABLE, .depth = at.depth + 1};
        return root == STORE_PAGES_NONE ? STORE_OK : visit(c, root, below);
    }
    if (n->flags != NODE_BIG || is_table || n->room < NUMBER_SIZE) {
        return store_page_damaged(c->p, page, "has an impossible value", c->err);
    }
    uint64_t count = (PAGE_HEAD + n->size + c->p->page_size - 1) / c->p->page_size;
    return mark(c, store_u64(n->data), count);
}

static enum store_result
check_leaf(struct check *c, uint64_t page, struct place at, const uint8_t *b)
{
    uint64_t before = at.low > 0 ? at.low - 1 : 0;
    enum store_result r = STORE_OK;
    for (size_t i = 0; i < store_page_count(b) && r == STORE_OK; i++) {
        struct store_page_node n;
        if (!store_page_node(c->p, b, i, &n)) {
            return store_page_damaged(c->p, page, "has an impossible node", c->err);
        }
        r = at.tree == TREE_FREE ? check_free(c, page, &n, &before) : check_value(c, page, at, &n);
    }
    if (r == STORE_OK && at.tree == TREE_FREE && before >= at.high) {
        r = store_page_damaged(c->p, page, "has free pages out of order", c->err);
    }
    return r;
}

/* The first node of a branch has no key. */
static uint64_t key_of(const struct store_page_node *n)
{
    return n->key.len == NUMBER_SIZE ? store_u64(n->key.ptr) : 0;
}

static enum store_result
check_branch(struct check *c, uint64_t page, struct place at, const uint8_t *b)
{
    size_t count = store_page_count(b);
    enum store_result r = STORE_OK;
    for (size_t i = 0; i < count && r == STORE_OK; i++) {
        struct store_page_node n;
        struct store_page_node next;
        bool is_last = i + 1 == count;
        if (!store_page_node(c->p, b, i, &n) ||
            (!is_last && !store_page_node(c->p, b, i + 1, &next))) {
            return store_page_damaged(c->p, page, "has an impossible branch", c->err);
        }
        struct place below = {at.tree, at.depth + 1, i == 0 ? at.low : key_of(&n),
                              is_last ? at.high : key_of(&next)};
        if (at.tree == TREE_FREE && (below.low < at.low || below.high > at.high)) {
            return store_page_damaged(c->p, page, "has keys out of order", c->err);
        }
        r = visit(c, n.child, below);
    }
    return r;
}

static enum store_result visit(struct check *c, uint64_t page, struct place at)
{
    enum store_result r = mark(c, page, 1);
    r = r == STORE_OK ? store_page_level(c->p, page, at.depth, c->err) : r;
    if (r != STORE_OK) {
        return r;
    }
    const uint8_t *b = c->p->levels[at.depth];
    if (!is_filled(c, b)) {
        return store_page_damaged(c->p, page, "has nodes that do not fill it", c->err);
    }
    return store_u16(b + PAGE_FLAGS_AT) == PAGE_LEAF ? check_leaf(c, page, at, b)
                                                     : check_branch(c, page, at, b);
}

static enum store_result visit_root(struct check *c, uint64_t root, enum tree tree)
{
    struct place at = {.tree = tree, .high = UINT64_MAX};
    return root == STORE_PAGES_NONE ? STORE_OK : visit(c, root, at);
}

/* ---- all of it ---- */

static enum store_result check_pages(struct check *c, uint64_t pages_max)
{
    if (c->last_page < ROOTS - 1 || c->last_page >= pages_max) {
        return store_page_damaged(c->p, c->root_page, "has an impossible last page", c->err);
    }
    c->is_seen = cb_calloc(1, (size_t)(c->last_page / 8 + 1));
    enum store_result r = visit_root(c, c->names_root, TREE_NAMES);
    r = r == STORE_OK ? visit_root(c, c->free_root, TREE_FREE) : r;
    r = r == STORE_OK ? check_all_seen(c) : r;
    cb_free(c->is_seen);
    return r;
}

enum store_result store_free_check(
    int fd, size_t page_size, uint64_t size_max, const char *name, struct store_error *err)
{
    struct check c = {.err = err};
    struct stat st;
    bool is_found;
    if (fstat(fd, &st) != 0) {
        return store_fail(err, STORE_IO, "%s: %s", name, strerror(errno));
    }
    enum store_result r = store_pages_open(fd, page_size, name, STORE_PAGES_CACHE, &c.p, err);
    if (r != STORE_OK) {
        return r;
    }
    uint64_t end = (uint64_t)st.st_size > size_max ? (uint64_t)st.st_size : size_max;
    r = find_root(&c, &is_found);
    if (r == STORE_OK && is_found) {
        r = check_pages(&c, end / page_size);
    }
    store_pages_close(c.p);
    return r;
}
