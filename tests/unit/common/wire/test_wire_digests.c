/* Proves that the bytes by which nodes compare their states are those that were frozen, that they
 * come back as they were, and that what is wrong in them is refused. */
#include "common/wire/wire_digests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "unit/common/wire/golden.h"

static void a_request_is_frozen(void **state)
{
    (void)state;
    const struct wire_digests_request m = {.cluster = 3, .id = 2};
    struct wire_digests_request back;
    struct cb_buf b = CB_BUF_NULL;
    wire_digests_request_encode(&m, &b);
    assert_golden(&b, "0803"
                      "1002");
    assert_int_equal(wire_digests_request_decode(&back, cb_buf_span(&b)), WIRE_OK);
    assert_true(back.cluster == 3 && back.id == 2);
    assert_int_equal(wire_digests_request_decode(&back, cb_span_str("\xff")), WIRE_BAD_ENCODING);
    cb_buf_fini(&b);
}

static void a_reply_is_frozen(void **state)
{
    (void)state;
    const struct wire_digests_reply m = {
        .cluster = 3, .id = 2, .n = 2, .index = {1024, 2048}, .digest = {1, UINT64_MAX}};
    struct wire_digests_reply back;
    struct cb_buf b = CB_BUF_NULL;
    wire_digests_reply_encode(&m, &b);
    assert_golden(&b, "0803"
                      "1002"
                      "1a048008"
                      "8010"
                      "22100100000000000000"
                      "ffffffffffffffff");
    assert_int_equal(wire_digests_reply_decode(&back, cb_buf_span(&b)), WIRE_OK);
    assert_true(back.cluster == 3 && back.id == 2 && back.n == 2);
    assert_true(back.index[1] == 2048 && back.digest[0] == 1 && back.digest[1] == UINT64_MAX);
    cb_buf_fini(&b);
}

static enum wire_error of(const char *bytes, size_t len)
{
    struct wire_digests_reply back;
    return wire_digests_reply_decode(&back, cb_span(bytes, len));
}

static void what_is_wrong_is_refused(void **state)
{
    (void)state;
    struct wire_digests_reply m = {.n = 2, .index = {5, 5}};
    struct wire_digests_reply back;
    struct cb_buf b = CB_BUF_NULL;
    wire_digests_reply_encode(&m, &b); /* an index that does not rise */
    assert_int_equal(wire_digests_reply_decode(&back, cb_buf_span(&b)), WIRE_BAD_RANGE);
    cb_buf_clear(&b);
    m.index[0] = 0;
    wire_digests_reply_encode(&m, &b);
    assert_int_equal(wire_digests_reply_decode(&back, cb_buf_span(&b)), WIRE_BAD_RANGE);
    assert_int_equal(of("\x1a\x01\x07", 3), WIRE_BAD_RANGE); /* an index without a digest */
    cb_buf_clear(&b);
    for (int i = 0; i <= CB_DIGESTS_TOLD; i++) { /* one too many */
        cb_buf_append(&b, "\x18\x07\x21\0\0\0\0\0\0\0\0", 11);
    }
    assert_int_equal(wire_digests_reply_decode(&back, cb_buf_span(&b)), WIRE_BAD_RANGE);
    cb_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_frozen),
        cmocka_unit_test(a_reply_is_frozen),
        cmocka_unit_test(what_is_wrong_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
