#include "node/store/store_dump.h"

#include "common/base/cb_bytes.h"
#include "common/base/cb_hash.h"
#include "common/base/cb_limits.h"

#define DUMP_MAGIC UINT64_C(0x31504d5544424f43) /* "COBDUMP1" */
#define DUMP_VERSION 1u
#define HEADER_FIXED 16
#define RECORD_HEAD 16
#define TRAILER_REST 16 /* after the 16 bytes of a record's head */

static uint64_t roll(uint64_t digest, uint64_t checksum)
{
    return cb_hash_u64(digest + checksum);
}

void store_dump_write_header(struct store_dump_writer *w,
                             const char *cluster,
                             const struct store_meta *meta,
                             struct cb_buf *out)
{
    struct cb_span name = cb_span_str(cluster);
    size_t before = cb_buf_len(out);
    cb_put_u64(out, DUMP_MAGIC);
    cb_put_u32(out, DUMP_VERSION);
    cb_put_u32(out, (uint32_t)name.len);
    cb_buf_append(out, name.ptr, name.len);
    store_meta_encode(meta, out);
    struct cb_span all = cb_buf_span(out);
    *w = (struct store_dump_writer){.digest = cb_hash(all.ptr + before, all.len - before)};
    cb_put_u64(out, w->digest);
}

void store_dump_write_record(struct store_dump_writer *w,
                             struct cb_span key,
                             struct cb_span value,
                             struct cb_buf *out)
{
    uint64_t checksum = store_record_checksum(key, value);
    cb_put_u32(out, (uint32_t)key.len);
    cb_put_u32(out, (uint32_t)value.len);
    cb_put_u64(out, checksum);
    cb_buf_append(out, key.ptr, key.len);
    cb_buf_append(out, value.ptr, value.len);
    w->count++;
    w->sum += checksum;
    w->digest = roll(w->digest, checksum);
}

void store_dump_write_trailer(const struct store_dump_writer *w, struct cb_buf *out)
{
    cb_put_u32(out, 0);
    cb_put_u32(out, 0);
    cb_put_u64(out, w->count);
    cb_put_u64(out, w->sum);
    cb_put_u64(out, w->digest);
}

void store_dump_reader_init(struct store_dump_reader *r)
{
    *r = (struct store_dump_reader){.kept = CB_BUF_NULL};
}

void store_dump_reader_fini(struct store_dump_reader *r)
{
    cb_buf_fini(&r->kept);
}

void store_dump_reader_feed(struct store_dump_reader *r, struct cb_span bytes)
{
    CB_ASSERT(r->fed.len == 0 && r->used == 0);
    r->fed = bytes;
}

static enum store_result bad(struct store_error *err, const char *what)
{
    return store_fail(err, STORE_BAD_DUMP, "the dump %s", what);
}

/* Of `r->fed`. */
static void skip(struct store_dump_reader *r, size_t len)
{
    if (len > 0) { /* there may be no bytes, and NULL + 0 is undefined */
        r->fed = cb_span(r->fed.ptr + len, r->fed.len - len);
    }
}

/* The first `len` bytes that are not used yet, in one piece, where they were fed if they lie there
 * whole; NULL when they have not come, and then all that has come is kept. Callers ask for more and
 * more of one thing, so that never more than that thing is kept. */
static const uint8_t *peek(struct store_dump_reader *r, size_t len)
{
    size_t kept = cb_buf_len(&r->kept);
    if (kept == 0 && r->fed.len >= len) {
        return r->fed.ptr;
    }
    size_t missing = kept < len ? len - kept : 0;
    size_t n = missing < r->fed.len ? missing : r->fed.len;
    cb_buf_append(&r->kept, r->fed.ptr, n);
    skip(r, n);
    return n == missing ? cb_buf_span(&r->kept).ptr : NULL;
}

/* Leaves behind what was peeked at and returned. */
static void drop_used(struct store_dump_reader *r)
{
    if (cb_buf_len(&r->kept) == 0) {
        skip(r, r->used);
    } else if (r->used != 0) {
        CB_ASSERT(cb_buf_len(&r->kept) == r->used);
        cb_buf_clear(&r->kept);
    }
    r->used = 0;
}

static enum store_result check_header(struct store_dump_reader *r,
                                      const uint8_t *p,
                                      size_t name_len,
                                      const char *cluster,
                                      struct store_meta *meta,
                                      struct store_error *err)
{
    size_t len = HEADER_FIXED + name_len + STORE_META_SIZE;
    r->digest = cb_hash(p, len);
    if (cb_load_le(p + len, 8) != r->digest) {
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
    const uint8_t *p = peek(r, HEADER_FIXED);
    if (p == NULL) {
        return STORE_MORE;
    }
    struct cb_reader head;
    cb_reader_init(&head, cb_span(p, HEADER_FIXED));
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
    p = peek(r, HEADER_FIXED + name_len + STORE_META_SIZE + 8);
    return p != NULL ? check_header(r, p, name_len, cluster, meta, err) : STORE_MORE;
}

static enum store_result check_end(const struct store_dump_reader *r, struct store_error *err)
{
    return r->fed.len > 0 ? bad(err, "goes on after its end")
                          : store_fail(err, STORE_NOT_FOUND, "the dump has no more records");
}

static enum store_result read_trailer(struct store_dump_reader *r, struct store_error *err)
{
    const uint8_t *p = peek(r, RECORD_HEAD + TRAILER_REST);
    if (p == NULL) {
        return STORE_MORE;
    }
    struct cb_reader tail;
    cb_reader_init(&tail, cb_span(p + 8, 24));
    uint64_t count = cb_get_u64(&tail);
    uint64_t sum = cb_get_u64(&tail);
    uint64_t digest = cb_get_u64(&tail);
    if (count != r->count || sum != r->sum || digest != r->digest) {
        return bad(err, "does not hold all of its records");
    }
    r->used = RECORD_HEAD + TRAILER_REST;
    drop_used(r);
    r->has_ended = true;
    return check_end(r, err);
}

static enum store_result open_record(struct store_dump_reader *r,
                                     const uint8_t *p,
                                     struct cb_span *key,
                                     struct cb_span *value,
                                     struct store_error *err)
{
    uint64_t checksum = cb_load_le(p + 8, 8);
    *key = cb_span(p + RECORD_HEAD, cb_load_le(p, 4));
    *value = cb_span(p + RECORD_HEAD + key->len, cb_load_le(p + 4, 4));
    if (store_record_checksum(*key, *value) != checksum) {
        return bad(err, "has a damaged record");
    }
    r->used = RECORD_HEAD + key->len + value->len;
    r->count++;
    r->sum += checksum;
    r->digest = roll(r->digest, checksum);
    return STORE_OK;
}

enum store_result store_dump_read_record(struct store_dump_reader *r,
                                         struct cb_span *key,
                                         struct cb_span *value,
                                         struct store_error *err)
{
    if (r->has_ended) {
        return check_end(r, err);
    }
    drop_used(r);
    const uint8_t *p = peek(r, RECORD_HEAD);
    if (p == NULL) {
        return STORE_MORE;
    }
    size_t key_len = cb_load_le(p, 4);
    size_t value_len = cb_load_le(p + 4, 4);
    if (key_len == 0 && value_len == 0) {
        return read_trailer(r, err);
    }
    if (key_len == 0 || key_len > CB_STORE_KEY_MAX || value_len > CB_STORE_VALUE_MAX) {
        return bad(err, "has a record of impossible size");
    }
    p = peek(r, RECORD_HEAD + key_len + value_len);
    return p != NULL ? open_record(r, p, key, value, err) : STORE_MORE;
}
