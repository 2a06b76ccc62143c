#include "support/store_mem.h"

#include "common/base/cb_mem.h"
#include "node/store/store_dump.h"

struct blob {
    uint8_t *ptr;
    size_t len;
};

struct record {
    struct blob key;
    struct blob value;
    uint64_t checksum;
};

/* Records in the order of their keys. */
struct table {
    struct record *records;
    size_t n;
    size_t cap;
    uint64_t sum; /* of the checksums */
};

struct state {
    struct table records;
    struct store_meta meta;
};

struct store_mem_disk {
    char *cluster;
    bool is_open;
    bool is_full;
    bool has_incoming;
    struct state present;
    struct state incoming;
    struct table locals;
};

struct mem_store {
    struct store base;
    struct store_mem_options options;
    struct store_mem_disk *disk;
    struct cb_list queue;
    size_t pending_bytes;
    uint64_t queued_index;
};

static struct cb_span span_of(struct blob b)
{
    return cb_span(b.ptr, b.len);
}

static struct blob copy_of(struct cb_span s)
{
    return (struct blob){.ptr = cb_memdup(s.ptr, s.len), .len = s.len};
}

static int compare(struct cb_span a, struct cb_span b)
{
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return order != 0 || a.len == b.len ? order : (a.len < b.len ? -1 : 1);
}

/* The first place whose key is not below `key`. */
static size_t lower_bound(const struct table *t, struct cb_span key)
{
    size_t lo = 0;
    size_t hi = t->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (compare(span_of(t->records[mid].key), key) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static struct record *find(const struct table *t, struct cb_span key)
{
    size_t at = lower_bound(t, key);
    bool is_here = at < t->n && cb_span_eq(span_of(t->records[at].key), key);
    return is_here ? &t->records[at] : NULL;
}

static void insert(struct table *t, struct cb_span key, struct cb_span value)
{
    if (t->n == t->cap) {
        t->cap = t->cap == 0 ? 16 : 2 * t->cap;
        t->records = cb_realloc(t->records, t->cap * sizeof(*t->records));
    }
    size_t at = lower_bound(t, key);
    memmove(&t->records[at + 1], &t->records[at], (t->n - at) * sizeof(*t->records));
    t->records[at] = (struct record){.key = copy_of(key), .value = copy_of(value)};
    t->records[at].checksum = store_record_checksum(key, value);
    t->sum += t->records[at].checksum;
    t->n++;
}

static void put(struct table *t, struct cb_span key, struct cb_span value)
{
    struct record *r = find(t, key);
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

static void del(struct table *t, struct cb_span key)
{
    struct record *r = find(t, key);
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

static void table_fini(struct table *t)
{
    for (size_t i = 0; i < t->n; i++) {
        cb_free(t->records[i].key.ptr);
        cb_free(t->records[i].value.ptr);
    }
    cb_free(t->records);
    *t = (struct table){0};
}

/* The store's own numbers, from what is there. */
static void count_records(struct state *st)
{
    st->meta.record_count = st->records.n;
    st->meta.record_sum = st->records.sum;
}

struct store_mem_disk *store_mem_disk_create(const char *cluster)
{
    struct store_mem_disk *d = cb_calloc(1, sizeof(*d));
    d->cluster = cb_strdup(cluster);
    return d;
}

void store_mem_disk_destroy(struct store_mem_disk *d)
{
    CB_ASSERT(!d->is_open);
    table_fini(&d->present.records);
    table_fini(&d->incoming.records);
    table_fini(&d->locals);
    cb_free(d->cluster);
    cb_free(d);
}

void store_mem_disk_set_full(struct store_mem_disk *d, bool is_full)
{
    d->is_full = is_full;
}

static struct mem_store *of(struct store *s)
{
    return CB_CONTAINER(s, struct mem_store, base);
}

static void apply(struct state *st, const struct cb_list *span)
{
    struct store_merge merge;
    store_merge_init(&merge, span);
    for (size_t i = 0; i < merge.n_ops; i++) {
        const struct store_op *op = &merge.ops[i];
        if (op->is_put) {
            put(&st->records, op->key, op->value);
        } else {
            del(&st->records, op->key);
        }
    }
    store_merge_fini(&merge);
    st->meta = CB_CONTAINER(cb_list_last(span), struct store_batch, link)->meta;
    count_records(st);
}

static void drop(struct mem_store *s, struct cb_list *span)
{
    CB_LIST_FOREACH_SAFE(it, tmp, span)
    {
        struct store_batch *b = CB_CONTAINER(it, struct store_batch, link);
        s->pending_bytes -= store_batch_bytes(b);
        cb_list_remove(it);
        store_batch_destroy(b);
    }
}

size_t store_mem_step(struct store *base, size_t n_max)
{
    struct mem_store *s = of(base);
    struct cb_list span;
    size_t n = 0;
    if (s->disk->is_full) {
        return 0;
    }
    cb_list_init(&span);
    while (n < n_max && !cb_list_is_empty(&s->queue)) {
        struct cb_list *first = cb_list_first(&s->queue);
        cb_list_remove(first);
        cb_list_push_back(&span, first);
        n++;
    }
    if (n == 0) {
        return 0;
    }
    apply(&s->disk->present, &span);
    drop(s, &span);
    if (s->options.notify != NULL) {
        s->options.notify(s->options.notify_data);
    }
    return n;
}

static void mem_commit(struct store *base, struct store_batch *batch, const struct store_meta *meta)
{
    struct mem_store *s = of(base);
    CB_ASSERT(meta->index >= s->queued_index);
    s->queued_index = meta->index;
    batch->meta = *meta;
    s->pending_bytes += store_batch_bytes(batch);
    cb_list_push_back(&s->queue, &batch->link);
    if (s->options.is_immediate) {
        (void)store_mem_step(base, SIZE_MAX); /* nothing while full, as intended */
    }
}

static void mem_durable(struct store *base, struct store_meta *out)
{
    *out = of(base)->disk->present.meta;
}

static size_t mem_pending_bytes(struct store *base)
{
    return of(base)->pending_bytes;
}

static bool mem_is_full(struct store *base)
{
    struct mem_store *s = of(base);
    return s->disk->is_full && !cb_list_is_empty(&s->queue);
}

static enum store_result load_state(const struct state *st,
                                    store_record_fn fn,
                                    void *data,
                                    struct store_meta *meta,
                                    struct store_error *err)
{
    for (size_t i = 0; i < st->records.n; i++) {
        const struct record *r = &st->records.records[i];
        if (!fn(data, span_of(r->key), span_of(r->value))) {
            return store_fail(err, STORE_STOPPED, "reading was stopped");
        }
    }
    if (meta != NULL) {
        *meta = st->meta;
    }
    return STORE_OK;
}

static enum store_result mem_load(struct store *base,
                                  store_record_fn fn,
                                  void *data,
                                  struct store_meta *meta,
                                  struct store_error *err)
{
    return load_state(&of(base)->disk->present, fn, data, meta, err);
}

static enum store_result
get(const struct table *t, struct cb_span key, struct cb_buf *out, struct store_error *err)
{
    const struct record *r = find(t, key);
    if (r == NULL) {
        return store_fail(err, STORE_NOT_FOUND, "no such record");
    }
    cb_buf_append(out, r->value.ptr, r->value.len);
    return STORE_OK;
}

static enum store_result
mem_read(struct store *base, struct cb_span key, struct cb_buf *out, struct store_error *err)
{
    return get(&of(base)->disk->present.records, key, out, err);
}

static enum store_result
mem_set_local(struct store *base, const char *name, struct cb_span value, struct store_error *err)
{
    struct store_mem_disk *d = of(base)->disk;
    if (d->is_full) {
        return store_fail(err, STORE_FULL, "no room for a local value");
    }
    put(&d->locals, cb_span_str(name), value);
    return STORE_OK;
}

static enum store_result
mem_get_local(struct store *base, const char *name, struct cb_buf *out, struct store_error *err)
{
    return get(&of(base)->disk->locals, cb_span_str(name), out, err);
}

static enum store_result
mem_dump(struct store *base, store_write_fn fn, void *data, struct store_error *err)
{
    const struct store_mem_disk *d = of(base)->disk;
    struct store_dump_writer w;
    store_dump_writer_init(&w, fn, data);
    bool go_on = store_dump_header(&w, d->cluster, &d->present.meta);
    for (size_t i = 0; go_on && i < d->present.records.n; i++) {
        const struct record *r = &d->present.records.records[i];
        go_on = store_dump_record(&w, span_of(r->key), span_of(r->value));
    }
    go_on = go_on && store_dump_trailer(&w);
    store_dump_writer_fini(&w);
    return go_on ? STORE_OK : store_fail(err, STORE_STOPPED, "the dump was stopped");
}

static void mem_discard_incoming(struct store *base)
{
    struct store_mem_disk *d = of(base)->disk;
    table_fini(&d->incoming.records);
    d->has_incoming = false;
}

static enum store_result mem_load_dump(struct store *base,
                                       store_read_fn fn,
                                       void *data,
                                       struct store_meta *meta,
                                       struct store_error *err)
{
    struct store_mem_disk *d = of(base)->disk;
    struct store_dump_reader r;
    struct cb_span key;
    struct cb_span value;
    mem_discard_incoming(base);
    store_dump_reader_init(&r, fn, data);
    enum store_result result = store_dump_read_header(&r, d->cluster, &d->incoming.meta, err);
    while (result == STORE_OK) {
        result = store_dump_read_record(&r, &key, &value, err);
        if (result == STORE_OK) {
            put(&d->incoming.records, key, value);
        }
    }
    store_dump_reader_fini(&r);
    if (result != STORE_NOT_FOUND) {
        mem_discard_incoming(base);
        return result;
    }
    d->has_incoming = true;
    if (meta != NULL) {
        *meta = d->incoming.meta;
    }
    return STORE_OK;
}

static enum store_result mem_load_incoming(struct store *base,
                                           store_record_fn fn,
                                           void *data,
                                           struct store_meta *meta,
                                           struct store_error *err)
{
    const struct store_mem_disk *d = of(base)->disk;
    CB_ASSERT(d->has_incoming);
    return load_state(&d->incoming, fn, data, meta, err);
}

static void adopt(struct store_mem_disk *d)
{
    d->incoming.meta.appended_index = d->present.meta.appended_index;
    d->incoming.meta.appended_term = d->present.meta.appended_term;
    table_fini(&d->present.records);
    d->present = d->incoming;
    d->incoming = (struct state){0};
    d->has_incoming = false;
}

static enum store_result mem_swap(struct store *base, struct store_error *err)
{
    struct mem_store *s = of(base);
    CB_ASSERT(s->disk->has_incoming);
    if (s->disk->is_full) {
        return store_fail(err, STORE_FULL, "no room for a swap");
    }
    (void)store_mem_step(base, SIZE_MAX); /* what is queued goes first */
    CB_ASSERT(s->disk->incoming.meta.index >= s->disk->present.meta.index);
    adopt(s->disk);
    s->queued_index = s->disk->present.meta.index;
    return STORE_OK;
}

void store_mem_crash(struct store *base)
{
    struct mem_store *s = of(base);
    drop(s, &s->queue);
    s->disk->is_open = false;
    cb_free(s);
}

static void mem_close(struct store *base)
{
    (void)store_mem_step(base, SIZE_MAX); /* a full disk loses what is queued, as in store.h */
    store_mem_crash(base);
}

static const struct store_ops mem_ops = {
    .commit = mem_commit,
    .durable = mem_durable,
    .pending_bytes = mem_pending_bytes,
    .is_full = mem_is_full,
    .load = mem_load,
    .read = mem_read,
    .set_local = mem_set_local,
    .get_local = mem_get_local,
    .dump = mem_dump,
    .load_dump = mem_load_dump,
    .load_incoming = mem_load_incoming,
    .swap = mem_swap,
    .discard_incoming = mem_discard_incoming,
    .close = mem_close,
};

struct store *store_mem_open(const struct store_mem_options *options)
{
    struct mem_store *s = cb_calloc(1, sizeof(*s));
    s->base.ops = &mem_ops;
    s->options = *options;
    s->disk = options->disk;
    cb_list_init(&s->queue);
    CB_ASSERT(!s->disk->is_open);
    s->disk->is_open = true;
    if (s->disk->has_incoming) {
        if (s->disk->incoming.meta.index > s->disk->present.meta.index) {
            adopt(s->disk);
        } else {
            mem_discard_incoming(&s->base);
        }
    }
    s->queued_index = s->disk->present.meta.index;
    return &s->base;
}
