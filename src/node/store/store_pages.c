/* The walk over the entries of a table. */
#include "node/store/store_pages.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cb_limits.h"
#include "node/store/store_page.h"

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
read_big(struct walk *w, uint64_t page, const struct store_page_node *n, struct cb_span *value)
{
    struct store_pages *p = w->p;
    if (n->room < 8 || n->size > CB_STORE_VALUE_MAX + p->page_size) {
        return store_page_damaged(p, page, "has an impossible value", w->err);
    }
    uint64_t first = store_u64(n->data);
    size_t count = (PAGE_HEAD + n->size + p->page_size - 1) / p->page_size;
    if (p->big_size < count * p->page_size) {
        free(p->big);
        p->big_size = count * p->page_size;
        p->big = store_page_buffer(p->big_size);
    }
    enum store_result r = store_page_read(p, first, count, p->big, w->err);
    if (r != STORE_OK) {
        return r;
    }
    if (store_u64(p->big) != first || store_u16(p->big + PAGE_FLAGS_AT) != PAGE_OVERFLOW ||
        store_u32(p->big + PAGE_PAGES_AT) != count) {
        return store_page_damaged(p, first, "is not the value that it should be", w->err);
    }
    *value = cb_span(p->big + PAGE_HEAD, n->size);
    return STORE_OK;
}

static enum store_result give(struct walk *w, uint64_t page, const struct store_page_node *n)
{
    struct cb_span value = cb_span(n->data, n->size);
    enum store_result r = STORE_OK;
    if (n->flags == NODE_BIG) {
        r = read_big(w, page, n, &value);
    } else if ((n->flags != 0 && n->flags != NODE_TABLE) || n->size > n->room) {
        r = store_page_damaged(w->p, page, "has an impossible value", w->err);
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
    for (size_t i = 0; i < store_page_count(b); i++) {
        struct store_page_node n;
        if (!store_page_node(w->p, b, i, &n) || n.key.len == 0 || n.key.len > CB_STORE_KEY_MAX) {
            return store_page_damaged(w->p, page, "has an impossible key", w->err);
        }
        int order = compare(n.key, before);
        if (order < 0 || (order == 0 && i > 0) || (high.len > 0 && compare(n.key, high) >= 0)) {
            return store_page_damaged(w->p, page, "has keys out of order", w->err);
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
    enum store_result r = store_page_level(w->p, page, depth, w->err);
    if (r != STORE_OK) {
        return r;
    }
    const uint8_t *b = w->p->levels[depth];
    if (store_u16(b + PAGE_FLAGS_AT) == PAGE_LEAF) {
        return walk_leaf(w, page, b, low, high);
    }
    size_t count = store_page_count(b);
    for (size_t i = 0; i < count; i++) {
        struct store_page_node n;
        struct store_page_node next = {.key = high};
        if (!store_page_node(w->p, b, i, &n) ||
            (i + 1 < count && !store_page_node(w->p, b, i + 1, &next))) {
            return store_page_damaged(w->p, page, "has an impossible branch", w->err);
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
        s->out->root = store_u64(stored.ptr + TABLE_ROOT_AT);
        s->out->entries = store_u64(stored.ptr + TABLE_ENTRIES_AT);
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
        p->levels[0] = store_page_buffer(p->page_size);
    }
    const uint8_t *b = p->levels[0];
    enum store_result r = store_page_read(p, root_page, 1, p->levels[0], err);
    if (r != STORE_OK) {
        return r;
    }
    CB_ASSERT(p->page_size >= META_END);
    if (store_u16(b + PAGE_FLAGS_AT) != PAGE_META || store_u32(b + META_MAGIC_AT) != META_MAGIC ||
        store_u32(b + META_VERSION_AT) != META_VERSION) {
        return store_page_damaged(p, root_page, "is no root page", err);
    }
    if (store_u64(b + META_TXN_AT) != txn) {
        return store_fail(err, STORE_NOT_FOUND, "%s: transaction %" PRIu64 " has no root page",
                          p->name, txn);
    }
    const struct store_pages_table names = {.root = store_u64(b + META_MAIN_AT + TABLE_ROOT_AT)};
    struct table_search s = {.name = cb_span_str(table), .out = out};
    r = store_pages_walk(p, &names, CB_SPAN_NULL, SIZE_MAX / 2, look_at_table, &s, err);
    if (r == STORE_OK && !s.is_found) {
        r = store_page_damaged(p, root_page, "leads to no such table", err);
    }
    return r;
}
