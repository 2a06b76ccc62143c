#include "support/jsm_store.h"

#include "common/base/cb_hash.h"
#include "common/base/cb_mem.h"

#include <stdlib.h>

static int compare(const struct jsm_store_record *r, struct cb_span key)
{
    size_t n = r->key_len < key.len ? r->key_len : key.len;
    int c = n == 0 ? 0 : memcmp(r->key, key.ptr, n);
    return c != 0 ? c : (r->key_len > key.len) - (r->key_len < key.len);
}

/* The first record that is not below `key`. */
static uint32_t place(const struct jsm_store *s, struct cb_span key)
{
    uint32_t low = 0, high = s->n_sorted;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (compare(&s->records[mid], key) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static void roll(struct jsm_store *s, struct cb_span bytes)
{
    s->stream = cb_hash_seeded(bytes.ptr, bytes.len, s->stream ^ bytes.len);
}

/* The record with this key among those from before this drain; NULL when there is none. */
static struct jsm_store_record *find(struct jsm_store *s, struct cb_span key)
{
    uint32_t i = place(s, key);
    return i < s->n_sorted && compare(&s->records[i], key) == 0 ? &s->records[i] : NULL;
}

static struct jsm_store_record *append(struct jsm_store *s, struct cb_span key)
{
    if (s->n == s->cap) {
        s->cap = s->cap == 0 ? 64 : 2 * s->cap;
        s->records = cb_realloc(s->records, s->cap * sizeof *s->records);
    }
    struct jsm_store_record *r = &s->records[s->n++];
    *r = (struct jsm_store_record){.key = cb_memdup(key.ptr, key.len), .key_len = key.len};
    return r;
}

static void put(void *data, struct cb_span key, struct cb_span value)
{
    struct jsm_store *s = data;
    struct jsm_store_record *r = find(s, key);
    roll(s, key);
    roll(s, value);
    if (r == NULL) {
        r = append(s, key);
    } else if (r->value != NULL) {
        cb_free(r->value);
    }
    r->value = cb_malloc(value.len + 1);
    r->value_len = value.len;
    if (value.len != 0) {
        memcpy(r->value, value.ptr, value.len);
    }
}

static void del(void *data, struct cb_span key)
{
    struct jsm_store *s = data;
    struct jsm_store_record *r = find(s, key);
    roll(s, key);
    if (r == NULL || r->value == NULL) {
        s->idle_deletions++;
        return;
    }
    cb_free(r->value);
    r->value = NULL;
}

static int by_key(const void *a, const void *b)
{
    const struct jsm_store_record *y = b;
    return compare(a, cb_span(y->key, y->key_len));
}

/* Drops what was deleted, and brings what was added to its place. */
static void settle(struct jsm_store *s)
{
    uint32_t kept = 0;
    bool added = s->n > s->n_sorted;
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->records[i].value == NULL) {
            cb_free(s->records[i].key);
        } else {
            s->records[kept++] = s->records[i];
        }
    }
    s->n = kept;
    s->n_sorted = kept;
    if (added) {
        qsort(s->records, s->n, sizeof *s->records, by_key);
    }
}

void jsm_store_drain(struct jsm_store *s, struct jsm *m)
{
    struct jsm_record_sink sink = {.data = s, .put = put, .del = del};
    jsm_drain(m, &sink);
    settle(s);
}

struct jsm *jsm_store_load(const struct jsm_store *s)
{
    return jsm_store_load_keeping(s, 0);
}

struct jsm *jsm_store_load_keeping(const struct jsm_store *s, uint64_t bytes)
{
    struct jsm *m = jsm_create();
    jsm_keep_bodies(m, bytes);
    enum jsm_load_result r = JSM_LOAD_OK;
    for (uint32_t i = 0; i < s->n && r == JSM_LOAD_OK; i++) {
        r = jsm_load_record(m, cb_span(s->records[i].key, s->records[i].key_len),
                            cb_span(s->records[i].value, s->records[i].value_len));
    }
    if (r == JSM_LOAD_OK) {
        r = jsm_load_done(m);
    }
    if (r != JSM_LOAD_OK) {
        jsm_destroy(m);
        return NULL;
    }
    return m;
}

bool jsm_store_eq(const struct jsm_store *a, const struct jsm_store *b)
{
    for (uint32_t i = 0; i < a->n && i < b->n; i++) {
        const struct jsm_store_record *x = &a->records[i], *y = &b->records[i];
        if (compare(x, cb_span(y->key, y->key_len)) != 0 ||
            !cb_span_eq(cb_span(x->value, x->value_len), cb_span(y->value, y->value_len))) {
            return false;
        }
    }
    return a->n == b->n;
}

void jsm_store_fini(struct jsm_store *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        cb_free(s->records[i].key);
        cb_free(s->records[i].value);
    }
    cb_free(s->records);
    *s = (struct jsm_store){0};
}
