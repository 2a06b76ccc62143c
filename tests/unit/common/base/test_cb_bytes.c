/* Proves that what the writers of cb_bytes write the readers read back, that every truncation is a
 * failure that stays, that each number has one form, and what the bytes are (they lie on disks);
 * that numbers are stored in place and loaded from it in just the bytes they were given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cb_bytes.h"
#include "common/base/cb_mem.h"
#include "common/base/cb_rng.h"
#include "support/seed.h"

static uint64_t seed;

enum kind { U8, U32, U64, VARINT, BYTES, KINDS };

struct field {
    enum kind kind;
    uint64_t number; /* BYTES: the length; each byte is the low byte of the length */
};

/* All magnitudes are as likely. */
static uint64_t random_number(struct cb_rng *rng)
{
    uint64_t bits = cb_rng_below(rng, 65);
    return bits == 0 ? 0 : cb_rng_u64(rng) >> (64 - bits);
}

static struct field random_field(struct cb_rng *rng)
{
    struct field f = {(enum kind)cb_rng_below(rng, KINDS), random_number(rng)};
    if (f.kind == U8) {
        f.number &= UINT8_MAX;
    } else if (f.kind == U32) {
        f.number &= UINT32_MAX;
    } else if (f.kind == BYTES) {
        f.number %= 300;
    }
    return f;
}

static void put_field(struct cb_buf *b, struct field f)
{
    uint8_t bytes[300];
    switch (f.kind) {
    case U8:
        cb_put_u8(b, (uint8_t)f.number);
        return;
    case U32:
        cb_put_u32(b, (uint32_t)f.number);
        return;
    case U64:
        cb_put_u64(b, f.number);
        return;
    case VARINT:
        cb_put_varint(b, f.number);
        return;
    case BYTES:
        memset(bytes, (int)(f.number & UINT8_MAX), sizeof(bytes));
        cb_put_bytes(b, cb_span(bytes, (size_t)f.number));
        return;
    case KINDS:
        break;
    }
    fail();
}

static uint64_t get_field(struct cb_reader *r, enum kind kind)
{
    struct cb_span s;
    switch (kind) {
    case U8:
        return cb_get_u8(r);
    case U32:
        return cb_get_u32(r);
    case U64:
        return cb_get_u64(r);
    case VARINT:
        return cb_get_varint(r);
    case BYTES:
        s = cb_get_bytes(r, 299);
        for (size_t i = 0; i < s.len; i++) {
            assert_int_equal(s.ptr[i], s.len & UINT8_MAX);
        }
        return s.len;
    case KINDS:
        break;
    }
    fail();
    return 0;
}

/* Reads the fields from a copy of exactly `len` bytes. */
static void check_truncated(struct cb_span all, size_t len, const struct field *fields, size_t n)
{
    uint8_t *copy = cb_memdup(all.ptr, len);
    struct cb_reader r;
    cb_reader_init(&r, cb_span(copy, len));
    bool failed = false;
    for (size_t i = 0; i < n; i++) {
        uint64_t got = get_field(&r, fields[i].kind);
        assert_true(!failed || r.failed);
        failed = r.failed;
        assert_int_equal(got, failed ? 0 : fields[i].number);
    }
    assert_int_equal(cb_reader_done(&r), len == all.len);
    cb_free(copy);
}

static void round_trips_and_truncations(void **state)
{
    (void)state;
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    for (unsigned round = 0; round < 200; round++) {
        struct field fields[6];
        struct cb_buf b = CB_BUF_NULL;
        for (size_t i = 0; i < 6; i++) {
            fields[i] = random_field(&rng);
            put_field(&b, fields[i]);
        }
        for (size_t len = 0; len <= cb_buf_len(&b); len++) {
            check_truncated(cb_buf_span(&b), len, fields, 6);
        }
        cb_buf_fini(&b);
    }
}

static void the_bytes(void **state)
{
    (void)state;
    struct cb_buf b = CB_BUF_NULL;
    cb_put_u8(&b, 0xab);
    cb_put_u32(&b, 0x01020304);
    cb_put_u64(&b, UINT64_C(0x0102030405060708));
    cb_put_varint(&b, 0);
    cb_put_varint(&b, 127);
    cb_put_varint(&b, 128);
    cb_put_varint(&b, 300);
    cb_put_varint(&b, UINT64_MAX);
    cb_put_bytes(&b, cb_span_str("hi"));
    cb_put_bytes(&b, CB_SPAN_NULL);
    static const uint8_t wanted[] = {
        0xab, 4, 3,    2,    1,    8,    7,    6,    5,    4,    3,    2, 1, 0,   127, 0x80, 1,
        0xac, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 'h', 'i', 0,
    };
    assert_true(cb_span_eq(cb_buf_span(&b), cb_span(wanted, sizeof(wanted))));
    cb_buf_fini(&b);
}

static bool varint_fails(const void *bytes, size_t len)
{
    struct cb_reader r;
    cb_reader_init(&r, cb_span(bytes, len));
    uint64_t got = cb_get_varint(&r);
    assert_true(!r.failed || got == 0);
    return r.failed;
}

static void a_varint_has_one_form(void **state)
{
    (void)state;
    assert_true(varint_fails("\x80\x00", 2));
    assert_true(varint_fails("\xff\x00", 2));
    assert_true(varint_fails("\x80\x80\x00", 3));
    assert_true(varint_fails("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10));
    assert_true(varint_fails("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11));
    assert_true(varint_fails("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11));
    assert_true(varint_fails("\x80", 1));
    assert_true(varint_fails("", 0));
    assert_false(varint_fails("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10));
    assert_false(varint_fails("\x00", 1));
}

static void bounds_are_checked(void **state)
{
    (void)state;
    struct cb_reader r;
    cb_reader_init(&r, cb_span("\x05", 1));
    assert_int_equal(cb_get_varint_max(&r, 5), 5);
    assert_false(r.failed);
    cb_reader_init(&r, cb_span("\x05", 1));
    assert_int_equal(cb_get_varint_max(&r, 4), 0);
    assert_true(r.failed);
    cb_reader_init(&r, cb_span("\x02hi", 3));
    assert_int_equal(cb_get_bytes(&r, 1).len, 0);
    assert_true(r.failed);
    /* A length near 2^64 must not wrap around. */
    cb_reader_init(&r, cb_span("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01hi", 12));
    assert_int_equal(cb_get_bytes(&r, SIZE_MAX).len, 0);
    assert_true(r.failed);
}

static void done_wants_every_byte_read(void **state)
{
    (void)state;
    struct cb_reader r;
    cb_reader_init(&r, cb_span("ab", 2));
    (void)cb_get_u8(&r);
    assert_false(cb_reader_done(&r));
    (void)cb_get_u8(&r);
    assert_true(cb_reader_done(&r));
    cb_reader_init(&r, CB_SPAN_NULL);
    assert_true(cb_reader_done(&r));
}

static void in_place_only_its_bytes(void **state)
{
    (void)state;
    static const uint8_t wanted[] = {8, 7, 6, 5, 4, 3, 2, 1};
    const uint64_t v = UINT64_C(0x0102030405060708);
    for (size_t len = 1; len <= sizeof(wanted); len++) {
        uint8_t got[sizeof(wanted) + 2];
        memset(got, 0xee, sizeof(got));
        cb_store_le(got + 1, v, len); /* at an odd address too */
        assert_int_equal(got[0], 0xee);
        assert_memory_equal(got + 1, wanted, len);
        assert_int_equal(got[len + 1], 0xee);
        assert_true(cb_load_le(got + 1, len) == (len < 8 ? v & ((UINT64_C(1) << 8 * len) - 1) : v));
    }
}

int main(int argc, char **argv)
{
    seed = seed_of_test(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips_and_truncations), cmocka_unit_test(the_bytes),
        cmocka_unit_test(a_varint_has_one_form),       cmocka_unit_test(bounds_are_checked),
        cmocka_unit_test(done_wants_every_byte_read),  cmocka_unit_test(in_place_only_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
