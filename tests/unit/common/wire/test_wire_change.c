/* Proves that the bytes of a change of the members are those that were frozen, that they come back
 * as they were, and that what is wrong in one is refused. */
#include "common/wire/wire_change.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "unit/common/wire/golden.h"

static void a_request_is_frozen(void **state)
{
    (void)state;
    const struct wire_change_request m = {.op = WIRE_CHANGE_ADD, .name = "n4", .grpc = "h:1"};
    struct wire_change_request back;
    struct cb_buf b = CB_BUF_NULL;
    wire_change_request_encode(&m, &b);
    assert_golden(&b, "0801"
                      "12026e34"
                      "1a03683a31");
    assert_int_equal(wire_change_request_decode(&back, cb_buf_span(&b)), WIRE_OK);
    assert_int_equal(back.op, WIRE_CHANGE_ADD);
    assert_string_equal(back.name, "n4");
    assert_string_equal(back.grpc, "h:1");
    cb_buf_fini(&b);
}

static void a_reply_is_frozen(void **state)
{
    (void)state;
    const struct wire_change_reply m = {
        .result = WIRE_CHANGE_NOT_LEADER, .leader = "h:1", .text = "no"};
    struct wire_change_reply back;
    struct cb_buf b = CB_BUF_NULL;
    wire_change_reply_encode(&m, &b);
    assert_golden(&b, "0802"
                      "1203683a31"
                      "1a026e6f");
    assert_int_equal(wire_change_reply_decode(&back, cb_buf_span(&b)), WIRE_OK);
    assert_int_equal(back.result, WIRE_CHANGE_NOT_LEADER);
    assert_string_equal(back.leader, "h:1");
    assert_string_equal(back.text, "no");
    cb_buf_fini(&b);
}

static enum wire_error of_request(struct wire_change_request m)
{
    struct wire_change_request back;
    struct cb_buf b = CB_BUF_NULL;
    wire_change_request_encode(&m, &b);
    enum wire_error e = wire_change_request_decode(&back, cb_buf_span(&b));
    cb_buf_fini(&b);
    return e;
}

static void a_request_is_whole(void **state)
{
    (void)state;
    static const struct {
        struct wire_change_request m;
        enum wire_error e;
    } rows[] = {
        {{WIRE_CHANGE_ADD, "n4", "h:1"}, WIRE_OK},
        {{WIRE_CHANGE_ADD, "n4", ""}, WIRE_BAD_RANGE},
        {{WIRE_CHANGE_ADD, "", "h:1"}, WIRE_BAD_RANGE},
        {{WIRE_CHANGE_REMOVE, "n4", ""}, WIRE_OK},
        {{WIRE_CHANGE_REMOVE, "", ""}, WIRE_BAD_RANGE},
        {{WIRE_CHANGE_REMOVE, "n4", "h:1"}, WIRE_BAD_RANGE},
        {{WIRE_CHANGE_TRANSFER, "n4", ""}, WIRE_OK},
        {{WIRE_CHANGE_TRANSFER, "", ""}, WIRE_OK},
        {{0, "n4", ""}, WIRE_BAD_OP},
        {{WIRE_CHANGE_OP_END, "n4", ""}, WIRE_BAD_OP},
        {{WIRE_CHANGE_REMOVE, "n\n", ""}, WIRE_BAD_RANGE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(of_request(rows[i].m), rows[i].e);
    }
}

static void texts_fit(void **state)
{
    (void)state;
    struct wire_change_reply m = {.result = WIRE_CHANGE_REFUSED};
    struct wire_change_reply back;
    struct cb_buf b = CB_BUF_NULL;
    memset(m.text, 'a', sizeof(m.text) - 1);
    wire_change_reply_encode(&m, &b);
    assert_int_equal(wire_change_reply_decode(&back, cb_buf_span(&b)), WIRE_OK);
    assert_string_equal(back.text, m.text);
    cb_buf_clear(&b);
    cb_buf_append(&b, "\x08\x04\x1a\x80\x04", 5); /* one byte more */
    for (size_t i = 0; i < sizeof(m.text); i++) {
        cb_buf_append(&b, "a", 1);
    }
    assert_int_equal(wire_change_reply_decode(&back, cb_buf_span(&b)), WIRE_BAD_LENGTH);
    assert_int_equal(wire_change_reply_decode(&back, CB_SPAN_NULL), WIRE_BAD_OP);
    assert_int_equal(wire_change_reply_decode(&back, cb_span_str("\xff")), WIRE_BAD_ENCODING);
    cb_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_frozen),
        cmocka_unit_test(a_reply_is_frozen),
        cmocka_unit_test(a_request_is_whole),
        cmocka_unit_test(texts_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
