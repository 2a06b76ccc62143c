/* Proves that the tables of words hang together: each word matches as itself, no word hides a later
 * one, each counter of stats counts one command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/protocol/bs_word.h"

static void each_word_matches_as_itself(void **state)
{
    (void)state;
    size_t args_at;
#define BS_COMMAND(op, word, arguments, counter)                                                   \
    assert_int_equal(bs_word_match(cb_span_str(word), &args_at), BS_OP_##op);                      \
    assert_int_equal(args_at, strlen(word));
#include "proxy/protocol/bs_word.def"
}

static void no_word_no_command(void **state)
{
    (void)state;
    size_t args_at;
    assert_int_equal(bs_word_match(CB_SPAN_NULL, &args_at), BS_OP_NONE);
    assert_int_equal(bs_word_match(cb_span_str("put"), &args_at), BS_OP_NONE);
    assert_int_equal(bs_word_match(cb_span_str("xput "), &args_at), BS_OP_NONE);
}

static void each_counter_counts_one_command(void **state)
{
    (void)state;
    unsigned commands[BS_COUNTER_COUNT + 1] = {0};
    for (enum bs_op op = BS_OP_NONE + 1; (int)op < BS_OP_COUNT; op++) {
        commands[bs_word_counter(op)]++;
    }
    for (size_t i = 0; i < BS_COUNTER_COUNT; i++) {
        assert_int_equal(commands[i], 1);
    }
    assert_int_equal(commands[BS_COUNTER_NONE], 3); /* reserve-job, kick-job, quit */
    assert_int_equal(bs_word_counter(BS_OP_NONE), BS_COUNTER_NONE);
}

static void names_have_no_blank(void **state)
{
    (void)state;
    assert_true(cb_span_eq(bs_word_name(BS_OP_PUT), cb_span_str("put")));
    assert_true(cb_span_eq(bs_word_name(BS_OP_STATS), cb_span_str("stats")));
    assert_true(cb_span_eq(bs_word_reply(BS_REPLY_NOT_FOUND), cb_span_str("NOT_FOUND")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_word_matches_as_itself),
        cmocka_unit_test(no_word_no_command),
        cmocka_unit_test(each_counter_counts_one_command),
        cmocka_unit_test(names_have_no_blank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
