/* The meta record comes back as it was written, its bytes are what the format says, and no changed
 * byte or wrong length passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/base/cb_bytes.h"
#include "common/base/cb_hash.h"
#include "node/store/store_meta.h"

static const struct store_meta sample = {
    .index = 0x0102030405060708,
    .term = 2,
    .stamp_ns = 3,
    .wall_ns = 4,
    .log_digest = 5,
    .state_digest = 6,
    .appended_index = 7,
    .appended_term = 8,
    .record_count = 9,
    .record_sum = UINT64_MAX,
};

static void test_round_trip_and_bytes(void **state)
{
    (void)state;
    struct cb_buf b = CB_BUF_NULL;
    struct store_meta out;
    store_meta_encode(&sample, &b);
    assert_int_equal(cb_buf_len(&b), STORE_META_SIZE);
    static const uint8_t start[] = {1, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, 2, 0};
    assert_memory_equal(cb_buf_span(&b).ptr, start, sizeof(start));
    assert_int_equal(store_meta_decode(cb_buf_span(&b), "x", &out, NULL), STORE_OK);
    assert_memory_equal(&out, &sample, sizeof(out));
    cb_buf_fini(&b);
}

static void test_every_flipped_bit_and_length_is_found(void **state)
{
    (void)state;
    struct cb_buf b = CB_BUF_NULL;
    struct store_meta out;
    struct store_error err;
    store_meta_encode(&sample, &b);
    for (size_t bit = 0; bit < 8 * STORE_META_SIZE; bit++) {
        b.base[b.start + bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(store_meta_decode(cb_buf_span(&b), "x", &out, &err), STORE_CORRUPT);
        b.base[b.start + bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t len = 0; len < STORE_META_SIZE; len++) {
        struct cb_span cut = cb_span(cb_buf_span(&b).ptr, len);
        assert_int_equal(store_meta_decode(cut, "x", &out, &err), STORE_CORRUPT);
    }
    cb_buf_fini(&b);
}

static void test_stored_record_has_its_transaction(void **state)
{
    (void)state;
    struct cb_buf b = CB_BUF_NULL;
    struct store_meta out;
    struct store_error err;
    uint64_t txn;
    store_meta_encode_stored(&sample, 77, &b);
    assert_int_equal(cb_buf_len(&b), STORE_META_STORED_SIZE);
    for (size_t bit = 0; bit < 8 * STORE_META_STORED_SIZE; bit++) {
        b.base[b.start + bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(store_meta_decode_stored(cb_buf_span(&b), "x", &out, &txn, &err),
                         STORE_CORRUPT);
        b.base[b.start + bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(store_meta_decode_stored(cb_buf_span(&b), "x", &out, &txn, &err), STORE_OK);
    assert_memory_equal(&out, &sample, sizeof(out));
    assert_int_equal(txn, 77);
    /* A dump has version 1, and so has what was stored before there was a version 2. */
    assert_int_equal(store_meta_decode(cb_buf_span(&b), "x", &out, &err), STORE_NEWER_FORMAT);
    cb_buf_clear(&b);
    store_meta_encode(&sample, &b);
    assert_int_equal(store_meta_decode_stored(cb_buf_span(&b), "x", &out, &txn, &err), STORE_OK);
    assert_memory_equal(&out, &sample, sizeof(out));
    assert_int_equal(txn, STORE_META_NO_TXN);
    cb_buf_fini(&b);
}

static void test_newer_version_is_named_as_such(void **state)
{
    (void)state;
    struct cb_buf b = CB_BUF_NULL;
    struct store_meta out;
    struct store_error err;
    cb_put_u32(&b, STORE_META_VERSION + 1);
    cb_put_u64(&b, 77); /* whatever it may hold */
    cb_put_u64(&b, cb_hash(cb_buf_span(&b).ptr, cb_buf_len(&b)));
    assert_int_equal(store_meta_decode(cb_buf_span(&b), "x", &out, &err), STORE_NEWER_FORMAT);
    assert_non_null(strstr(err.text, "newer"));
    cb_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_and_bytes),
        cmocka_unit_test(test_every_flipped_bit_and_length_is_found),
        cmocka_unit_test(test_stored_record_has_its_transaction),
        cmocka_unit_test(test_newer_version_is_named_as_such),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
