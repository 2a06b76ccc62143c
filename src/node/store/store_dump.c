#include "node/store/store_dump.h"

#include "common/base/cb_bytes.h"
#include "common/base/cb_hash.h"
#include "common/base/cb_limits.h"

#define DUMP_MAGIC UINT64_C(0x31504d5544424f43) /* "COBDUMP1" */
#define DUMP_VERSION 1u
#define DUMP_FLUSH (256 * CB_KIB)
#define HEADER_FIXED 16
#define RECORD_HEAD 16
#define TRAILER_REST 16 /* after the 16 bytes of a record's head */

static uint64_t roll(uint64_t digest, uint64_t checksum)
{
    return cb_hash_u64(digest + checksum);
}

void store_dump_writer_init(struct store_dump_writer *w, store_write_fn fn, void *data)
{
    *w = (struct store_dump_writer){.fn = fn, .data = data};
}

void store_dump_writer_fini(struct store_dump_writer *w)
{
    cb_buf_fini(&w->buf);
}

static bool flush(struct store_dump_writer *w)
{
    bool go_on = cb_buf_len(&w->buf) == 0 || w->fn(w->data, cb_buf_span(&w->buf));
    cb_buf_clear(&w->buf);
    return go_on;
}

bool store_dump_header(struct store_dump_writer *w,
                       const char *cluster,
                       const struct store_meta *meta)
{
    struct cb_span name = cb_span_str(cluster);
    cb_put_u64(&w->buf, DUMP_MAGIC);
    cb_put_u32(&w->buf, DUMP_VERSION);
    cb_put_u32(&w->buf, (uint32_t)name.len);
    cb_buf_append(&w->buf, name.ptr, name.len);
    store_meta_encode(meta, &w->buf);
    struct cb_span all = cb_buf_span(&w->buf);
    w->digest = cb_hash(all.ptr, all.len);
    cb_put_u64(&w->buf, w->digest);
    return flush(w);
}

bool store_dump_record(struct store_dump_writer *w, struct cb_span key, struct cb_span value)
{
    uint64_t checksum = store_record_checksum(key, value);
    cb_put_u32(&w->buf, (uint32_t)key.len);
    cb_put_u32(&w->buf, (uint32_t)value.len);
    cb_put_u64(&w->buf, checksum);
    cb_buf_append(&w->buf, key.ptr, key.len);
    cb_buf_append(&w->buf, value.ptr, value.len);
    w->count++;
    w->sum += checksum;
    w->digest = roll(w->digest, checksum);
    return cb_buf_len(&w->buf) < DUMP_FLUSH || flush(w);
}

bool store_dump_trailer(struct store_dump_writer *w)
{
    cb_put_u32(&w->buf, 0);
    cb_put_u32(&w->buf, 0);
    cb_put_u64(&w->buf, w->count);
    cb_put_u64(&w->buf, w->sum);
    cb_put_u64(&w->buf, w->digest);
    return flush(w);
}

void store_dump_reader_init(struct store_dump_reader *r, store_read_fn fn, void *data)
{
    *r = (struct store_dump_reader){.fn = fn, .data = data};
}

void store_dump_reader_fini(struct store_dump_reader *r)
{
    cb_buf_fini(&r->buf);
}

static enum store_result bad(struct store_error *err, const char *what)
{
    return store_fail(err, STORE_BAD_DUMP, "the dump %s", what);
}

/* Makes the first `len` bytes that are not used yet available. */
static enum store_result need(struct store_dump_reader *r, size_t len, struct store_error *err)
{
    while (cb_buf_len(&r->buf) < len) {
        size_t missing = len - cb_buf_len(&r->buf);
        size_t room = missing > DUMP_FLUSH ? missing : DUMP_FLUSH;
        ptrdiff_t n = r->fn(r->data, cb_buf_reserve(&r->buf, room), room);
        if (n < 0) {
            return store_fail(err, STORE_STOPPED, "reading the dump was stopped");
        }
        if (n == 0) {
            return bad(err, "is cut short");
        }
        cb_buf_commit(&r->buf, (size_t)n);
    }
    return STORE_OK;
}

static enum store_result check_header(struct store_dump_reader *r,
                                      size_t name_len,
                                      const char *cluster,
                                      struct store_meta *meta,
                                      struct store_error *err)
{
    size_t len = HEADER_FIXED + name_len + STORE_META_SIZE;
    const uint8_t *p = cb_buf_span(&r->buf).ptr;
    struct cb_reader rest;
    cb_reader_init(&rest, cb_span(p + len, 8));
    r->digest = cb_hash(p, len);
    if (cb_get_u64(&rest) != r->digest) {
        return bad(err, "has a damaged header");
    }
    if (!cb_span_eq(cb_span(p + HEADER_FIXED, name_len), cb_span_str(cluster))) {
        return store_fail(err, STORE_WRONG_IDENTITY, "the dump is the state of cluster '%.*s'",
                          (int)name_len, (const char *)p + HEADER_FIXED);
    }
    r->used = len + 8;
    enum store_result result = store_meta_decode(
        cb_span(p + HEADER_FIXED + name_len, STORE_META_SIZE), "the dump", meta, err);
    meta->wall_ns = 0; /* the sender's wall clock, which says nothing here */
    return result;
}

enum store_result store_dump_read_header(struct store_dump_reader *r,
                                         const char *cluster,
                                         struct store_meta *meta,
                                         struct store_error *err)
{
    enum store_result result = need(r, HEADER_FIXED, err);
    if (result != STORE_OK) {
        return result;
    }
    struct cb_reader head;
    cb_reader_init(&head, cb_span(cb_buf_span(&r->buf).ptr, HEADER_FIXED));
    uint64_t magic = cb_get_u64(&head);
    uint32_t version = cb_get_u32(&head);
    uint32_t name_len = cb_get_u32(&head);
    if (magic != DUMP_MAGIC) {
        return bad(err, "is not one of coolbeans");
    }
    if (version > DUMP_VERSION) {
        return store_fail(err, STORE_NEWER_FORMAT, "the dump has format %u, newer than %u", version,
                          DUMP_VERSION);
    }
    if (version == 0 || name_len > CB_STORE_IDENTITY_MAX) {
        return bad(err, "has a damaged header");
    }
    result = need(r, HEADER_FIXED + name_len + STORE_META_SIZE + 8, err);
    return result == STORE_OK ? check_header(r, name_len, cluster, meta, err) : result;
}

static enum store_result read_trailer(struct store_dump_reader *r, struct store_error *err)
{
    enum store_result result = need(r, RECORD_HEAD + TRAILER_REST, err);
    if (result != STORE_OK) {
        return result;
    }
    struct cb_reader tail;
    cb_reader_init(&tail, cb_span(cb_buf_span(&r->buf).ptr + 8, 24));
    uint64_t count = cb_get_u64(&tail);
    uint64_t sum = cb_get_u64(&tail);
    uint64_t digest = cb_get_u64(&tail);
    if (count != r->count || sum != r->sum || digest != r->digest) {
        return bad(err, "does not hold all of its records");
    }
    return store_fail(err, STORE_NOT_FOUND, "the dump has no more records");
}

enum store_result store_dump_read_record(struct store_dump_reader *r,
                                         struct cb_span *key,
                                         struct cb_span *value,
                                         struct store_error *err)
{
    cb_buf_consume(&r->buf, r->used);
    r->used = 0;
    enum store_result result = need(r, RECORD_HEAD, err);
    if (result != STORE_OK) {
        return result;
    }
    struct cb_reader head;
    cb_reader_init(&head, cb_span(cb_buf_span(&r->buf).ptr, RECORD_HEAD));
    uint32_t key_len = cb_get_u32(&head);
    uint32_t value_len = cb_get_u32(&head);
    uint64_t checksum = cb_get_u64(&head);
    if (key_len == 0 && value_len == 0) {
        return read_trailer(r, err);
    }
    if (key_len == 0 || key_len > CB_STORE_KEY_MAX || value_len > CB_STORE_VALUE_MAX) {
        return bad(err, "has a record of impossible size");
    }
    size_t len = RECORD_HEAD + (size_t)key_len + value_len;
    result = need(r, len, err);
    if (result != STORE_OK) {
        return result;
    }
    const uint8_t *p = cb_buf_span(&r->buf).ptr + RECORD_HEAD;
    *key = cb_span(p, key_len);
    *value = cb_span(p + key_len, value_len);
    if (store_record_checksum(*key, *value) != checksum) {
        return bad(err, "has a damaged record");
    }
    r->used = len;
    r->count++;
    r->sum += checksum;
    r->digest = roll(r->digest, checksum);
    return STORE_OK;
}
