/* Proves that it does not matter where the bytes of a connection are cut, that a body costs memory
 * only as it comes, that one over the limit costs none, and that its caller owns it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/cb_mem.h"
#include "common/base/cb_rng.h"
#include "proxy/protocol/bs_parse.h"
#include "support/seed.h"
#include "unit/proxy/protocol/parse_cases.h"
#include "unit/proxy/protocol/transcript.h"

static uint64_t seed;

/* A copy of just these bytes, so that a sanitizer sees a read behind them. */
static void feed_copy(struct cb_buf *out, struct bs_parser *p, struct cb_span piece)
{
    uint8_t *copy = cb_memdup(piece.ptr, piece.len);
    transcript_feed(out, p, cb_span(copy, piece.len));
    cb_free(copy);
}

/* `len` 0: all that is left. */
typedef size_t (*next_len_fn)(size_t at, void *data);

static void check_cut(const struct parse_case *c, next_len_fn next_len, void *data)
{
    struct bs_parser p;
    bs_parser_init(&p, PARSE_CASE_JOB_SIZE_MAX);
    struct cb_buf got = CB_BUF_NULL;
    for (size_t at = 0; at < c->input.len;) {
        size_t len = next_len(at, data);
        size_t left = c->input.len - at;
        len = len == 0 || len > left ? left : len;
        feed_copy(&got, &p, cb_span(c->input.ptr + at, len));
        at += len;
    }
    if (!cb_span_eq(cb_buf_span(&got), cb_span_str(c->outcomes))) {
        fail_msg("%.*s\ngives  %.*s\nwanted %s", (int)c->input.len, (const char *)c->input.ptr,
                 (int)cb_buf_len(&got), (const char *)got.base, c->outcomes);
    }
    cb_buf_fini(&got);
    bs_parser_fini(&p);
}

static size_t cut_once(size_t at, void *data)
{
    return at == 0 ? *(size_t *)data : 0;
}

static void cut_at_each_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < parse_cases_len; i++) {
        for (size_t cut = 1; cut < parse_cases[i].input.len; cut++) {
            check_cut(&parse_cases[i], cut_once, &cut);
        }
    }
}

static size_t one_byte(size_t at, void *data)
{
    (void)at;
    (void)data;
    return 1;
}

static void byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < parse_cases_len; i++) {
        check_cut(&parse_cases[i], one_byte, NULL);
    }
}

static size_t random_len(size_t at, void *data)
{
    (void)at;
    return 1 + cb_rng_below(data, 12);
}

/* Long streams of many cases behind each other, cut at random. A case that ends inside a line, a
 * body or a quit cannot have another behind it. */
static void streams_cut_at_random(void **state)
{
    (void)state;
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    for (unsigned round = 0; round < 200; round++) {
        struct cb_buf input = CB_BUF_NULL;
        struct cb_buf wanted = CB_BUF_NULL;
        for (unsigned n = 0; n < 20;) {
            const struct parse_case *c = &parse_cases[cb_rng_below(&rng, parse_cases_len)];
            size_t outcomes_len = strlen(c->outcomes);
            bool is_whole = outcomes_len > 0 && c->input.ptr[c->input.len - 1] == '\n' &&
                            strncmp(c->outcomes + outcomes_len - 4, "+put", 4) != 0;
            if (!is_whole) {
                continue;
            }
            cb_buf_append(&input, c->input.ptr, c->input.len);
            cb_buf_append_str(&wanted, n > 0 ? "; " : "");
            cb_buf_append_str(&wanted, c->outcomes);
            n++;
        }
        cb_buf_append(&wanted, "", 1);
        struct parse_case stream = {cb_buf_span(&input), (const char *)wanted.base};
        check_cut(&stream, random_len, &rng);
        cb_buf_fini(&input);
        cb_buf_fini(&wanted);
    }
}

static enum bs_parse_result parse_str(struct bs_parser *p, const char *s, struct bs_command *c)
{
    size_t consumed;
    enum bs_parse_result result = bs_parse(p, cb_span_str(s), &consumed, c);
    assert_int_equal(consumed, strlen(s));
    return result;
}

static void announcing_a_body_costs_little(void **state)
{
    (void)state;
    struct bs_parser p;
    struct bs_command c;
    bs_parser_init(&p, CB_JOB_SIZE_MAX);
    assert_int_equal(parse_str(&p, "put 0 0 1 4194304\r\n", &c), BS_PARSE_PUT_LINE);
    assert_int_equal(p.body.cap, 0);
    assert_int_equal(parse_str(&p, "some bytes of it", &c), BS_PARSE_MORE);
    assert_in_range(p.body.cap, 16, 1024);
    bs_parser_fini(&p);
}

static void a_body_over_the_limit_is_never_kept(void **state)
{
    (void)state;
    static const uint8_t piece[64 * CB_KIB];
    struct bs_parser p;
    struct bs_command c;
    bs_parser_init(&p, CB_JOB_SIZE_MAX);
    assert_int_equal(parse_str(&p, "put 5 6 7 4194305\r\n", &c), BS_PARSE_PUT_LINE);
    assert_true(c.too_big);
    for (size_t left = 4194305 + 2; left > 0;) {
        size_t len = left < sizeof(piece) ? left : sizeof(piece);
        size_t consumed;
        enum bs_parse_result result = bs_parse(&p, cb_span(piece, len), &consumed, &c);
        left -= len;
        assert_int_equal(consumed, len);
        assert_int_equal(result, left > 0 ? BS_PARSE_MORE : BS_PARSE_ERROR);
        assert_int_equal(p.body.cap, 0);
    }
    assert_int_equal(c.op, BS_OP_PUT);
    assert_int_equal(c.error, BS_REPLY_JOB_TOO_BIG);
    assert_int_equal(c.counted, BS_OP_NONE);
    assert_int_equal(c.pri, 5);
    assert_int_equal(c.body_len, 4194305);
    assert_int_equal(parse_str(&p, "stats\r\n", &c), BS_PARSE_COMMAND);
    bs_parser_fini(&p);
}

static void the_caller_owns_the_body(void **state)
{
    (void)state;
    struct bs_parser p;
    struct bs_command c;
    struct bs_command next;
    bs_parser_init(&p, CB_JOB_SIZE_DEFAULT);
    assert_int_equal(parse_str(&p, "put 0 0 1 5\r\n", &c), BS_PARSE_PUT_LINE);
    assert_int_equal(parse_str(&p, "he", &c), BS_PARSE_MORE);
    assert_int_equal(parse_str(&p, "llo\r\n", &c), BS_PARSE_COMMAND);
    assert_int_equal(parse_str(&p, "put 0 0 1 5\r\n", &next), BS_PARSE_PUT_LINE);
    assert_int_equal(parse_str(&p, "world\r", &next), BS_PARSE_MORE);
    bs_parser_fini(&p); /* with a body inside */
    assert_int_equal(cb_buf_len(&c.body), 5);
    assert_memory_equal(c.body.base + c.body.start, "hello", 5);
    cb_buf_fini(&c.body);
}

/* A wrong end gives the memory of the body back at once. */
static void expected_crlf_frees_the_body(void **state)
{
    (void)state;
    struct bs_parser p;
    struct bs_command c;
    bs_parser_init(&p, CB_JOB_SIZE_DEFAULT);
    assert_int_equal(parse_str(&p, "put 0 0 1 5\r\n", &c), BS_PARSE_PUT_LINE);
    assert_int_equal(parse_str(&p, "helloXY", &c), BS_PARSE_ERROR);
    assert_int_equal(c.error, BS_REPLY_EXPECTED_CRLF);
    assert_null(p.body.base);
    bs_parser_fini(&p);
}

static void stops_behind_each_outcome(void **state)
{
    (void)state;
    static const char input[] = "reserve\r\ndelete 1\r\n";
    struct bs_parser p;
    struct bs_command c;
    size_t consumed;
    bs_parser_init(&p, CB_JOB_SIZE_DEFAULT);
    assert_int_equal(bs_parse(&p, cb_span_str(input), &consumed, &c), BS_PARSE_COMMAND);
    assert_int_equal(c.op, BS_OP_RESERVE);
    assert_int_equal(consumed, strlen("reserve\r\n"));
    assert_int_equal(bs_parse(&p, CB_SPAN_NULL, &consumed, &c), BS_PARSE_MORE);
    assert_int_equal(consumed, 0);
    bs_parser_fini(&p);
}

int main(int argc, char **argv)
{
    seed = seed_of_test(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_at_each_byte),
        cmocka_unit_test(byte_by_byte),
        cmocka_unit_test(streams_cut_at_random),
        cmocka_unit_test(announcing_a_body_costs_little),
        cmocka_unit_test(a_body_over_the_limit_is_never_kept),
        cmocka_unit_test(the_caller_owns_the_body),
        cmocka_unit_test(expected_crlf_frees_the_body),
        cmocka_unit_test(stops_behind_each_outcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
