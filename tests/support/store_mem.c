#include "support/store_mem.h"

#include <stdatomic.h>

#include "common/base/cb_bytes.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "node/store/store_dump.h"
#include "support/store_mem_table.h"

struct state {
    struct mem_table records;
    struct store_meta meta;
};

struct store_mem_disk {
    char *cluster;
    bool is_open;
    bool is_full;
    bool has_incoming;
    struct state present;
    struct state incoming;
    struct mem_table locals;
};

/* An incoming state that is not whole: it is on no disk yet. */
struct filling {
    struct store_dump_reader reader;
    bool has_header;
    struct state state;
};

struct mem_store {
    struct store base;
    struct store_mem_options options;
    struct store_mem_disk *disk;
    struct cb_list queue;
    size_t pending_bytes;
    uint64_t queued_index;
    struct filling *filling; /* NULL: none */
    atomic_uint copies;      /* that are open; they may be closed on other threads */
};

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
    mem_table_fini(&d->present.records);
    mem_table_fini(&d->incoming.records);
    mem_table_fini(&d->locals);
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
            mem_table_put(&st->records, op->key, op->value);
        } else {
            mem_table_del(&st->records, op->key);
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
        const struct mem_record *r = &st->records.records[i];
        if (!fn(data, mem_span(r->key), mem_span(r->value))) {
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
get(const struct mem_table *t, struct cb_span key, struct cb_buf *out, struct store_error *err)
{
    const struct mem_record *r = mem_table_find(t, key);
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

static enum store_result mem_read_many(struct store *base,
                                       const struct cb_span *keys,
                                       size_t n,
                                       store_value_fn fn,
                                       void *data,
                                       struct store_error *err)
{
    (void)err;
    for (size_t i = 0; i < n; i++) {
        const struct mem_record *r = mem_table_find(&of(base)->disk->present.records, keys[i]);
        fn(data, i, r != NULL, r != NULL ? mem_span(r->value) : CB_SPAN_NULL);
    }
    return STORE_OK;
}

static enum store_result
mem_set_local(struct store *base, const char *name, struct cb_span value, struct store_error *err)
{
    struct store_mem_disk *d = of(base)->disk;
    if (d->is_full) {
        return store_fail(err, STORE_FULL, "no room for a local value");
    }
    mem_table_put(&d->locals, cb_span_str(name), value);
    return STORE_OK;
}

static enum store_result
mem_get_local(struct store *base, const char *name, struct cb_buf *out, struct store_error *err)
{
    return get(&of(base)->disk->locals, cb_span_str(name), out, err);
}

/* The whole dump, made at the open. */
struct mem_copy {
    struct store_copy base;
    struct mem_store *store;
    struct cb_buf bytes; /* what is left of it */
    size_t header_len;   /* 0 when the header has been given */
};

/* Of the item at `p`: a record or the trailer. */
static size_t item_len(const uint8_t *p)
{
    size_t len = cb_load_le(p, 4) + cb_load_le(p + 4, 4);
    return len > 0 ? 16 + len : 32;
}

static enum store_result mem_copy_next(struct store_copy *base,
                                       size_t size,
                                       struct cb_buf *out,
                                       bool *is_last,
                                       struct store_error *err)
{
    (void)err;
    struct mem_copy *c = CB_CONTAINER(base, struct mem_copy, base);
    struct cb_span all = cb_buf_span(&c->bytes);
    size_t len = c->header_len;
    c->header_len = 0;
    while (len < size && len < all.len) {
        len += item_len(all.ptr + len);
    }
    cb_buf_append(out, all.ptr, len);
    *is_last = len == all.len;
    cb_buf_consume(&c->bytes, len);
    return STORE_OK;
}

static void mem_copy_close(struct store_copy *base)
{
    struct mem_copy *c = CB_CONTAINER(base, struct mem_copy, base);
    cb_buf_fini(&c->bytes);
    atomic_fetch_sub(&c->store->copies, 1);
    cb_free(c);
}

static enum store_result
mem_copy_open(struct store *base, struct store_copy **out, struct store_error *err)
{
    static const struct store_copy_ops ops = {.next = mem_copy_next, .close = mem_copy_close};
    struct mem_store *s = of(base);
    const struct state *st = &s->disk->present;
    if (atomic_load(&s->copies) == CB_STORE_COPIES_MAX) {
        return store_fail(err, STORE_IO, "too many copies of the state are open");
    }
    atomic_fetch_add(&s->copies, 1);
    struct mem_copy *c = cb_calloc(1, sizeof(*c));
    struct store_dump_writer w;
    c->base = (struct store_copy){.ops = &ops, .meta = st->meta};
    c->store = s;
    store_dump_write_header(&w, s->disk->cluster, &st->meta, &c->bytes);
    c->header_len = cb_buf_len(&c->bytes);
    for (size_t i = 0; i < st->records.n; i++) {
        const struct mem_record *r = &st->records.records[i];
        store_dump_write_record(&w, mem_span(r->key), mem_span(r->value), &c->bytes);
    }
    store_dump_write_trailer(&w, &c->bytes);
    *out = &c->base;
    return STORE_OK;
}

static void drop_filling(struct mem_store *s)
{
    if (s->filling != NULL) {
        store_dump_reader_fini(&s->filling->reader);
        mem_table_fini(&s->filling->state.records);
        cb_free(s->filling);
        s->filling = NULL;
    }
}

static void mem_discard_incoming(struct store *base)
{
    struct mem_store *s = of(base);
    drop_filling(s);
    mem_table_fini(&s->disk->incoming.records);
    s->disk->has_incoming = false;
}

static enum store_result mem_incoming_begin(struct store *base, struct store_error *err)
{
    struct mem_store *s = of(base);
    mem_discard_incoming(base);
    if (s->disk->is_full) {
        return store_fail(err, STORE_FULL, "no room for an incoming state");
    }
    s->filling = cb_calloc(1, sizeof(*s->filling));
    store_dump_reader_init(&s->filling->reader);
    return STORE_OK;
}

static enum store_result finish_filling(struct mem_store *s, struct store_error *err)
{
    struct state *st = &s->filling->state;
    if (st->meta.record_count != st->records.n || st->meta.record_sum != st->records.sum) {
        return store_fail(err, STORE_BAD_DUMP, "the dump does not hold the records of its header");
    }
    s->disk->incoming = *st;
    s->disk->has_incoming = true;
    *st = (struct state){0};
    drop_filling(s);
    return STORE_OK;
}

/* STORE_MORE, or STORE_NOT_FOUND after the last record. */
static enum store_result fill(struct mem_store *s, struct store_error *err)
{
    struct filling *f = s->filling;
    enum store_result result = STORE_OK;
    if (!f->has_header) {
        result = store_dump_read_header(&f->reader, s->disk->cluster, &f->state.meta, err);
        f->has_header = result == STORE_OK;
    }
    while (result == STORE_OK) {
        struct cb_span key;
        struct cb_span value;
        result = store_dump_read_record(&f->reader, &key, &value, err);
        if (result == STORE_OK && !mem_table_add_last(&f->state.records, key, value)) {
            result = store_fail(err, STORE_BAD_DUMP, "the records of the dump are out of order");
        }
    }
    return result;
}

static enum store_result
feed(struct mem_store *s, struct cb_span bytes, bool *is_whole, struct store_error *err)
{
    if (s->filling == NULL) {
        CB_ASSERT(s->disk->has_incoming);
        *is_whole = bytes.len == 0;
        return *is_whole ? STORE_OK
                         : store_fail(err, STORE_BAD_DUMP, "the dump goes on after its end");
    }
    if (s->disk->is_full) {
        return store_fail(err, STORE_FULL, "no room for an incoming state");
    }
    store_dump_reader_feed(&s->filling->reader, bytes);
    enum store_result result = fill(s, err);
    if (result == STORE_NOT_FOUND) {
        result = finish_filling(s, err);
        *is_whole = result == STORE_OK;
    }
    return result == STORE_MORE ? STORE_OK : result;
}

static enum store_result
mem_incoming_feed(struct store *base, struct cb_span bytes, bool *is_whole, struct store_error *err)
{
    enum store_result result = feed(of(base), bytes, is_whole, err);
    if (result != STORE_OK) {
        mem_discard_incoming(base);
    }
    return result;
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
    mem_table_fini(&d->present.records);
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
    CB_ASSERT(atomic_load(&s->copies) == 0);
    drop(s, &s->queue);
    drop_filling(s);
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
    .read_many = mem_read_many,
    .set_local = mem_set_local,
    .get_local = mem_get_local,
    .copy_open = mem_copy_open,
    .incoming_begin = mem_incoming_begin,
    .incoming_feed = mem_incoming_feed,
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
