#include "support/store_mem_table.h"

#include "common/base/cb_mem.h"
#include "node/store/store_meta.h"

static struct mem_blob copy_of(struct cb_span s)
{
    return (struct mem_blob){.ptr = cb_memdup(s.ptr, s.len), .len = s.len};
}

static int compare(struct cb_span a, struct cb_span b)
{
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return order != 0 || a.len == b.len ? order : (a.len < b.len ? -1 : 1);
}

/* The first place whose key is not below `key`. */
static size_t lower_bound(const struct mem_table *t, struct cb_span key)
{
    size_t lo = 0;
    size_t hi = t->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (compare(mem_span(t->records[mid].key), key) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

struct mem_record *mem_table_find(const struct mem_table *t, struct cb_span key)
{
    size_t at = lower_bound(t, key);
    bool is_here = at < t->n && cb_span_eq(mem_span(t->records[at].key), key);
    return is_here ? &t->records[at] : NULL;
}

static void insert(struct mem_table *t, struct cb_span key, struct cb_span value)
{
    if (t->n == t->cap) {
        t->cap = t->cap == 0 ? 16 : 2 * t->cap;
        t->records = cb_realloc(t->records, t->cap * sizeof(*t->records));
    }
    size_t at = lower_bound(t, key);
    memmove(&t->records[at + 1], &t->records[at], (t->n - at) * sizeof(*t->records));
    t->records[at] = (struct mem_record){.key = copy_of(key), .value = copy_of(value)};
    t->records[at].checksum = store_record_checksum(key, value);
    t->sum += t->records[at].checksum;
    t->n++;
}

void mem_table_put(struct mem_table *t, struct cb_span key, struct cb_span value)
{
    struct mem_record *r = mem_table_find(t, key);
    if (r == NULL) {
        insert(t, key, value);
        return;
    }
    cb_free(r->value.ptr);
    r->value = copy_of(value);
    t->sum -= r->checksum;
    r->checksum = store_record_checksum(key, value);
    t->sum += r->checksum;
}

void mem_table_del(struct mem_table *t, struct cb_span key)
{
    struct mem_record *r = mem_table_find(t, key);
    if (r == NULL) {
        return;
    }
    cb_free(r->key.ptr);
    cb_free(r->value.ptr);
    t->sum -= r->checksum;
    size_t at = (size_t)(r - t->records);
    memmove(r, r + 1, (t->n - at - 1) * sizeof(*r));
    t->n--;
}

void mem_table_fini(struct mem_table *t)
{
    for (size_t i = 0; i < t->n; i++) {
        cb_free(t->records[i].key.ptr);
        cb_free(t->records[i].value.ptr);
    }
    cb_free(t->records);
    *t = (struct mem_table){0};
}

bool mem_table_add_last(struct mem_table *t, struct cb_span key, struct cb_span value)
{
    bool is_next = lower_bound(t, key) == t->n;
    if (is_next) {
        insert(t, key, value);
    }
    return is_next;
}
