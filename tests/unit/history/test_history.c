/* Proves that a history keeps its records and tubes, that tokens are read back and never the same,
 * that a file gives back what was written and refuses lines that are none, and that the tree and
 * the spans of the checkers answer as a plain search does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cb_rng.h"
#include "history/check_spans.h"
#include "history/check_tree.h"
#include "history/history_file.h"
#include "support/seed.h"

static uint64_t seed;

static void tubes_have_numbers(void **state)
{
    (void)state;
    struct history *h = history_create();
    char name[32];
    assert_int_equal(history_tube(h, "default"), HIST_TUBE_DEFAULT);
    for (uint32_t i = 2; i < 200; i++) {
        snprintf(name, sizeof(name), "tube-%u", (unsigned)i);
        assert_int_equal(history_tube(h, name), i);
    }
    assert_int_equal(history_tube(h, "tube-17"), 17);
    assert_string_equal(history_tube_name(h, 17), "tube-17");
    assert_int_equal(history_tube_count(h), 199);
    history_destroy(h);
}

static void tokens_are_read_back(void **state)
{
    (void)state;
    uint64_t last[2] = {0, 0};
    for (uint64_t n = 0; n < 1000; n++) {
        uint64_t token[2];
        uint64_t back[2];
        char text[33];
        history_token(n, token);
        history_token_text(token, text);
        assert_int_equal(strlen(text), 32);
        assert_true(history_token_parse(text, 32, back));
        assert_memory_equal(token, back, sizeof(token));
        assert_true(token[0] != last[0] && token[1] != last[1]);
        memcpy(last, token, sizeof(last));
        assert_false(history_token_parse(text, 31, back));
        text[n % 32] = 'g';
        assert_false(history_token_parse(text, 32, back));
    }
}

static struct hist_record random_record(struct cb_rng *rng, struct history *h)
{
    static const char *const names[] = {"a", "default", "x;y/z"};
    struct hist_record r = {0};
    r.op = (enum hist_op)(1 + cb_rng_below(rng, HIST_OP_END - 1));
    r.invoke_ns = cb_rng_u64(rng) / 2;
    r.complete_ns = r.invoke_ns + cb_rng_below(rng, 1000);
    r.result = (enum hist_result)(1 + cb_rng_below(rng, HIST_RESULT_END - 1));
    if (r.op == HIST_CONNECT || r.op == HIST_CLOSE || cb_rng_chance(rng, 1, 5)) {
        r.complete_ns = HIST_NEVER;
        r.result = HIST_UNKNOWN;
    }
    r.conn = (uint32_t)cb_rng_u64(rng);
    r.tube = hist_op_needs_tube(r.op) ? history_tube(h, names[cb_rng_below(rng, 3)]) : 0;
    r.id = cb_rng_u64(rng) >> cb_rng_below(rng, 64);
    history_token(cb_rng_below(rng, 1000), r.token);
    r.body_hash = cb_rng_u64(rng);
    r.body_len = (uint32_t)cb_rng_below(rng, 100);
    r.pri = (uint32_t)cb_rng_u64(rng);
    r.delay_s = (uint32_t)cb_rng_below(rng, 3);
    r.ttr_s = (uint32_t)cb_rng_below(rng, 3);
    r.bound = (uint32_t)cb_rng_below(rng, 3);
    r.count = (uint32_t)cb_rng_below(rng, 3);
    r.timeout = (int64_t)cb_rng_below(rng, 5) - 1;
    r.has_jobs = cb_rng_chance(rng, 1, 2);
    r.jobs = r.has_jobs ? cb_rng_below(rng, 100) : 0;
    r.by_server = cb_rng_chance(rng, 1, 2);
    r.state = (enum hist_state)cb_rng_below(rng, HIST_STATE_END);
    return r;
}

static struct history *through_a_file(const struct history *h)
{
    struct cb_buf error = CB_BUF_NULL;
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_true(history_file_write(h, f));
    rewind(f);
    struct history *back = history_file_read(f, &error);
    assert_non_null(back);
    fclose(f);
    cb_buf_fini(&error);
    return back;
}

static void a_file_gives_back_what_was_written(void **state)
{
    (void)state;
    struct cb_rng rng;
    struct history *h = history_create();
    cb_rng_init(&rng, seed);
    for (size_t i = 0; i < 5000; i++) {
        struct hist_record r = random_record(&rng, h);
        struct hist_record *kept = history_at(h, history_invoke(h, &r));
        kept->complete_ns = r.complete_ns;
        kept->result = r.result;
    }
    struct history *back = through_a_file(h);
    assert_int_equal(history_count(back), history_count(h));
    for (size_t i = 0; i < history_count(h); i++) {
        struct cb_buf a = CB_BUF_NULL;
        struct cb_buf b = CB_BUF_NULL;
        history_file_line(h, history_at(h, i), &a);
        history_file_line(back, history_at(back, i), &b);
        assert_true(cb_span_eq(cb_buf_span(&a), cb_buf_span(&b)));
        assert_int_equal(history_at(h, i)->id, history_at(back, i)->id);
        assert_int_equal(history_at(h, i)->timeout, history_at(back, i)->timeout);
        assert_int_equal(history_at(h, i)->complete_ns, history_at(back, i)->complete_ns);
        assert_int_equal(history_at(h, i)->by_server, history_at(back, i)->by_server);
        cb_buf_fini(&a);
        cb_buf_fini(&b);
    }
    history_destroy(back);
    history_destroy(h);
}

static void a_wrong_line_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "other-history 1\n",
        "coolbeans-history 1\n1 2 1 put\n",
        "coolbeans-history 1\n1 2 1 putt ok\n",
        "coolbeans-history 1\n1 2 1 put fine\n",
        "coolbeans-history 1\n1 2 1 put ok pri=1\n",
        "coolbeans-history 1\n2 1 1 put ok tube=a\n",
        "coolbeans-history 1\n1 - 1 put ok tube=a\n",
        "coolbeans-history 1\n1 2 1 put unknown tube=a\n",
        "coolbeans-history 1\n1 2 -1 put ok tube=a\n",
        "coolbeans-history 1\n1 2 1 put ok tube=a pri=4294967296\n",
        "coolbeans-history 1\n1 2 1 put ok tube=\n",
        "coolbeans-history 1\n1 2 1 put ok tube=a token=12\n",
        "coolbeans-history 1\n1 2 1 put ok tube=a color=12\n",
        "coolbeans-history 1\n1 2 1 put ok tube=a by=client\n",
        "coolbeans-history 1\n1 2 1 put ok tube=a pri\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct cb_buf error = CB_BUF_NULL;
        FILE *f = tmpfile();
        assert_non_null(f);
        fputs(texts[i], f);
        rewind(f);
        assert_null(history_file_read(f, &error));
        assert_true(cb_buf_len(&error) > 0);
        cb_buf_fini(&error);
        fclose(f);
    }
}

static void the_tree_finds_the_next(void **state)
{
    (void)state;
    uint64_t plain[100] = {0};
    struct cb_rng rng;
    struct check_tree t;
    cb_rng_init(&rng, seed);
    check_tree_init(&t, 100);
    for (unsigned i = 0; i < 20000; i++) {
        size_t place = cb_rng_below(&rng, 100);
        plain[place] = cb_rng_chance(&rng, 2, 3) ? 0 : cb_rng_below(&rng, 50);
        check_tree_set(&t, place, plain[place]);
        size_t from = cb_rng_below(&rng, 101);
        size_t to = cb_rng_below(&rng, 101);
        uint64_t bound = cb_rng_below(&rng, 50);
        size_t found = from;
        while (found < to && plain[found] <= bound) {
            found++;
        }
        assert_int_equal(check_tree_next(&t, from, to, bound), found < to ? found : to);
    }
    check_tree_fini(&t);
}

static void spans_are_counted(void **state)
{
    (void)state;
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    for (unsigned round = 0; round < 500; round++) {
        struct check_spans s = {0};
        size_t meeting = 0;
        uint64_t lo = cb_rng_below(&rng, 100);
        uint64_t hi = lo + cb_rng_below(&rng, 20);
        for (size_t i = 0; i < 50; i++) {
            uint64_t a = cb_rng_below(&rng, 100);
            uint64_t b = a + cb_rng_below(&rng, 20);
            check_spans_add(&s, a, b, i);
            meeting += a <= hi && b >= lo ? 1 : 0;
        }
        check_spans_seal(&s);
        assert_int_equal(check_spans_meeting(&s, lo, hi), meeting);
        check_spans_fini(&s);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tubes_have_numbers),
        cmocka_unit_test(tokens_are_read_back),
        cmocka_unit_test(a_file_gives_back_what_was_written),
        cmocka_unit_test(a_wrong_line_is_refused),
        cmocka_unit_test(the_tree_finds_the_next),
        cmocka_unit_test(spans_are_counted),
    };
    seed = seed_of_test(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
