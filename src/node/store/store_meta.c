#include "node/store/store_meta.h"

#include "common/base/cb_bytes.h"
#include "common/base/cb_hash.h"

void store_meta_encode(const struct store_meta *meta, struct cb_buf *out)
{
    size_t before = cb_buf_len(out);
    cb_put_u32(out, STORE_META_VERSION);
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
    struct cb_span all = cb_buf_span(out);
    cb_put_u64(out, cb_hash(all.ptr + before, all.len - before));
    CB_ASSERT(cb_buf_len(out) - before == STORE_META_SIZE);
}

static bool checksum_matches(struct cb_span bytes)
{
    struct cb_reader r;
    cb_reader_init(&r, cb_span(bytes.ptr + bytes.len - 8, 8));
    return cb_get_u64(&r) == cb_hash(bytes.ptr, bytes.len - 8);
}

enum store_result store_meta_decode(struct cb_span bytes,
                                    const char *where,
                                    struct store_meta *out,
                                    struct store_error *err)
{
    /* Every version ends with the checksum of what is before it and begins with its number. */
    if (bytes.len < 12 || !checksum_matches(bytes)) {
        return store_fail(err, STORE_CORRUPT, "%s: the meta record is damaged", where);
    }
    struct cb_reader r;
    cb_reader_init(&r, cb_span(bytes.ptr, bytes.len - 8));
    uint32_t version = cb_get_u32(&r);
    if (version > STORE_META_VERSION) {
        return store_fail(
            err, STORE_NEWER_FORMAT,
            "%s: format %u is newer than this program's (%u): run the newer coolbeans", where,
            version, STORE_META_VERSION);
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
    if (version == 0 || !cb_reader_done(&r)) {
        return store_fail(err, STORE_CORRUPT, "%s: the meta record has no known form", where);
    }
    return STORE_OK;
}

uint64_t store_record_checksum(struct cb_span key, struct cb_span value)
{
    return cb_hash_seeded(value.ptr, value.len, cb_hash(key.ptr, key.len));
}
