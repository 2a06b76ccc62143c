#include "node/store/store_meta.h"

#include "common/base/cb_bytes.h"
#include "common/base/cb_hash.h"

static void put_fields(const struct store_meta *meta, uint32_t version, struct cb_buf *out)
{
    cb_put_u32(out, version);
    cb_put_u64(out, meta->index);
    cb_put_u64(out, meta->term);
    cb_put_u64(out, meta->stamp_ns);
    cb_put_u64(out, meta->wall_ns);
    cb_put_u64(out, meta->log_digest);
    cb_put_u64(out, meta->state_digest);
    cb_put_u64(out, meta->appended_index);
    cb_put_u64(out, meta->appended_term);
    cb_put_u64(out, meta->record_count);
    cb_put_u64(out, meta->record_sum);
}

static void put_checksum(size_t before, struct cb_buf *out)
{
    struct cb_span all = cb_buf_span(out);
    cb_put_u64(out, cb_hash(all.ptr + before, all.len - before));
}

void store_meta_encode(const struct store_meta *meta, struct cb_buf *out)
{
    size_t before = cb_buf_len(out);
    put_fields(meta, STORE_META_VERSION, out);
    put_checksum(before, out);
    CB_ASSERT(cb_buf_len(out) - before == STORE_META_SIZE);
}

void store_meta_encode_stored(const struct store_meta *meta, uint64_t txn, struct cb_buf *out)
{
    size_t before = cb_buf_len(out);
    put_fields(meta, STORE_META_STORED_VERSION, out);
    cb_put_u64(out, txn);
    put_checksum(before, out);
    CB_ASSERT(cb_buf_len(out) - before == STORE_META_STORED_SIZE);
}

static bool checksum_matches(struct cb_span bytes)
{
    struct cb_reader r;
    cb_reader_init(&r, cb_span(bytes.ptr + bytes.len - 8, 8));
    return cb_get_u64(&r) == cb_hash(bytes.ptr, bytes.len - 8);
}

static enum store_result decode(struct cb_span bytes,
                                const char *where,
                                uint32_t newest,
                                struct store_meta *out,
                                uint64_t *txn,
                                struct store_error *err)
{
    /* Every version ends with the checksum of what is before it and begins with its number. */
    if (bytes.len < 12 || !checksum_matches(bytes)) {
        return store_fail(err, STORE_CORRUPT, "%s: the meta record is damaged", where);
    }
    struct cb_reader r;
    cb_reader_init(&r, cb_span(bytes.ptr, bytes.len - 8));
    uint32_t version = cb_get_u32(&r);
    if (version > newest) {
        return store_fail(
            err, STORE_NEWER_FORMAT,
            "%s: format %u is newer than this program's (%u): run the newer coolbeans", where,
            version, newest);
    }
    *out = (struct store_meta){
        .index = cb_get_u64(&r),
        .term = cb_get_u64(&r),
        .stamp_ns = cb_get_u64(&r),
        .wall_ns = cb_get_u64(&r),
        .log_digest = cb_get_u64(&r),
        .state_digest = cb_get_u64(&r),
        .appended_index = cb_get_u64(&r),
        .appended_term = cb_get_u64(&r),
        .record_count = cb_get_u64(&r),
        .record_sum = cb_get_u64(&r),
    };
    *txn = version >= STORE_META_STORED_VERSION ? cb_get_u64(&r) : STORE_META_NO_TXN;
    bool has_txn = *txn != STORE_META_NO_TXN;
    if (version == 0 || has_txn != (version >= STORE_META_STORED_VERSION) || !cb_reader_done(&r)) {
        return store_fail(err, STORE_CORRUPT, "%s: the meta record has no known form", where);
    }
    return STORE_OK;
}

enum store_result store_meta_decode(struct cb_span bytes,
                                    const char *where,
                                    struct store_meta *out,
                                    struct store_error *err)
{
    uint64_t none;
    return decode(bytes, where, STORE_META_VERSION, out, &none, err);
}

enum store_result store_meta_decode_stored(struct cb_span bytes,
                                           const char *where,
                                           struct store_meta *out,
                                           uint64_t *txn,
                                           struct store_error *err)
{
    return decode(bytes, where, STORE_META_STORED_VERSION, out, txn, err);
}

uint64_t store_record_checksum(struct cb_span key, struct cb_span value)
{
    return cb_hash_seeded(value.ptr, value.len, cb_hash(key.ptr, key.len));
}
