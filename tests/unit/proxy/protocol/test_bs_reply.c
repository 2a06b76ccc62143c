/* Proves the bytes of each shape of reply. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/protocol/bs_reply.h"

static void assert_bytes(struct cb_buf *got, struct cb_span wanted)
{
    assert_int_equal(cb_buf_len(got), wanted.len);
    assert_memory_equal(got->base + got->start, wanted.ptr, wanted.len);
    cb_buf_fini(got);
}

static void words(void **state)
{
    (void)state;
    struct cb_buf out = CB_BUF_NULL;
    struct cb_buf wanted = CB_BUF_NULL;
#define BS_REPLY(word)                                                                             \
    bs_reply_word(&out, BS_REPLY_##word);                                                          \
    cb_buf_append_str(&wanted, #word "\r\n");
#include "proxy/protocol/bs_word.def"
    assert_bytes(&out, cb_buf_span(&wanted));
    cb_buf_fini(&wanted);
}

static void numbers(void **state)
{
    (void)state;
    struct cb_buf out = CB_BUF_NULL;
    bs_reply_number(&out, BS_REPLY_INSERTED, 1);
    bs_reply_number(&out, BS_REPLY_BURIED, UINT64_MAX);
    bs_reply_number(&out, BS_REPLY_KICKED, 0);
    bs_reply_number(&out, BS_REPLY_WATCHING, 1234567890);
    assert_bytes(&out, cb_span_str("INSERTED 1\r\nBURIED 18446744073709551615\r\n"
                                   "KICKED 0\r\nWATCHING 1234567890\r\n"));
}

static void using(void **state)
{
    (void)state;
    struct cb_buf out = CB_BUF_NULL;
    bs_reply_using(&out, cb_span_str("default"));
    assert_bytes(&out, cb_span_str("USING default\r\n"));
}

static void jobs(void **state)
{
    (void)state;
    struct cb_buf out = CB_BUF_NULL;
    bs_reply_job(&out, BS_REPLY_RESERVED, 42, cb_span("a\r\n\0b", 5));
    bs_reply_job(&out, BS_REPLY_FOUND, 7, CB_SPAN_NULL);
    static const char wanted[] = "RESERVED 42 5\r\na\r\n\0b\r\nFOUND 7 0\r\n\r\n";
    assert_bytes(&out, cb_span(wanted, sizeof(wanted) - 1));
}

static void ok(void **state)
{
    (void)state;
    struct cb_buf out = CB_BUF_NULL;
    bs_reply_ok(&out, cb_span_str("---\n- default\n"));
    assert_bytes(&out, cb_span_str("OK 14\r\n---\n- default\n\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words), cmocka_unit_test(numbers), cmocka_unit_test(using),
        cmocka_unit_test(jobs),  cmocka_unit_test(ok),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
