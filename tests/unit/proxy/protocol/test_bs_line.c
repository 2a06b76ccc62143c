/* Proves that each line gets exactly the outcome that beanstalkd gives it: the table of
 * parse_cases.c, each input in one piece. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "proxy/protocol/bs_line.h"
#include "unit/proxy/protocol/parse_cases.h"
#include "unit/proxy/protocol/transcript.h"

static void each_case(void **state)
{
    (void)state;
    size_t failed = 0;
    for (size_t i = 0; i < parse_cases_len; i++) {
        struct bs_parser p;
        bs_parser_init(&p, PARSE_CASE_JOB_SIZE_MAX);
        struct cb_buf got = CB_BUF_NULL;
        transcript_feed(&got, &p, parse_cases[i].input);
        if (!cb_span_eq(cb_buf_span(&got), cb_span_str(parse_cases[i].outcomes))) {
            struct cb_span in = parse_cases[i].input;
            fprintf(stderr, "case %zu: %.*s\n  gives  %.*s\n  wanted %s\n", i, (int)in.len,
                    (const char *)in.ptr, (int)cb_buf_len(&got), (const char *)got.base,
                    parse_cases[i].outcomes);
            failed++;
        }
        cb_buf_fini(&got);
        bs_parser_fini(&p);
    }
    assert_int_equal(failed, 0);
}

/* Whoever reads an error must not find the arguments of a command that was not one. */
static void an_error_has_no_arguments(void **state)
{
    (void)state;
    struct bs_command c = {.op = BS_OP_NONE};
    assert_false(bs_line_parse(cb_span_str("release 1 2 3x"), 10, &c));
    assert_int_equal(c.op, BS_OP_RELEASE);
    assert_int_equal(c.error, BS_REPLY_BAD_FORMAT);
    assert_int_equal(c.id, 0);
    assert_int_equal(c.pri, 0);
    assert_int_equal(c.delay_s, 0);
    assert_null(c.tube.ptr);
}

/* -z 0: only empty bodies. */
static void a_limit_of_zero_takes_empty_bodies(void **state)
{
    (void)state;
    struct bs_command c = {.op = BS_OP_NONE};
    assert_true(bs_line_parse(cb_span_str("put 0 0 1 0"), 0, &c));
    assert_false(c.too_big);
    c = (struct bs_command){.op = BS_OP_NONE};
    assert_true(bs_line_parse(cb_span_str("put 0 0 1 1"), 0, &c));
    assert_true(c.too_big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_case),
        cmocka_unit_test(an_error_has_no_arguments),
        cmocka_unit_test(a_limit_of_zero_takes_empty_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
