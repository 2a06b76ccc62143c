/* A merge has every key once, in order, with the last operation on it, whatever the batches were.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "common/base/cb_rng.h"
#include "node/store/store_batch.h"

static void destroy_all(struct cb_list *list)
{
    CB_LIST_FOREACH_SAFE(it, tmp, list)
    {
        cb_list_remove(it);
        store_batch_destroy(CB_CONTAINER(it, struct store_batch, link));
    }
}

static struct store_batch *add_batch(struct cb_list *list)
{
    struct store_batch *b = store_batch_create();
    cb_list_push_back(list, &b->link);
    return b;
}

static void test_last_operation_wins_across_batches(void **state)
{
    (void)state;
    struct cb_list list;
    struct store_merge m;
    cb_list_init(&list);
    struct store_batch *first = add_batch(&list);
    store_batch_put(first, cb_span_str("b"), cb_span_str("1"));
    store_batch_put(first, cb_span_str("a"), cb_span_str("1"));
    store_batch_put(first, cb_span_str("a"), cb_span_str("2"));
    struct store_batch *second = add_batch(&list);
    store_batch_del(second, cb_span_str("b"));
    store_merge_init(&m, &list);
    assert_int_equal(m.n_ops, 2);
    assert_true(m.ops[0].is_put && cb_span_eq(m.ops[0].value, cb_span_str("2")));
    assert_true(!m.ops[1].is_put && cb_span_eq(m.ops[1].key, cb_span_str("b")));
    store_merge_fini(&m);
    destroy_all(&list);
}

static void test_no_operations(void **state)
{
    (void)state;
    struct cb_list list;
    struct store_merge m;
    cb_list_init(&list);
    (void)add_batch(&list);
    store_merge_init(&m, &list);
    assert_int_equal(m.n_ops, 0);
    store_merge_fini(&m);
    destroy_all(&list);
}

/* Keys that differ only behind their first eight bytes, or in length, or in trailing zero bytes. */
static void test_order_is_that_of_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } keys[] = {{"", 0},         {"\0", 1},       {"\0\0", 2},        {"a", 1},
                {"a\0", 2},      {"abcdefgh", 8}, {"abcdefgh\0", 9},  {"abcdefgha", 9},
                {"abcdefgi", 8}, {"b", 1},        {"\xff\xff\xff", 3}};
    size_t n = sizeof(keys) / sizeof(keys[0]);
    struct cb_list list;
    struct store_merge m;
    cb_list_init(&list);
    struct store_batch *b = add_batch(&list);
    for (size_t i = n - 1; i > 0; i--) {
        store_batch_put(b, cb_span(keys[i].bytes, keys[i].len), CB_SPAN_NULL);
    }
    store_merge_init(&m, &list);
    assert_int_equal(m.n_ops, n - 1);
    for (size_t i = 1; i < n; i++) {
        assert_true(cb_span_eq(m.ops[i - 1].key, cb_span(keys[i].bytes, keys[i].len)));
    }
    store_merge_fini(&m);
    destroy_all(&list);
}

static void test_bytes_are_counted_and_copied(void **state)
{
    (void)state;
    struct store_batch *b = store_batch_create();
    size_t empty = store_batch_bytes(b);
    uint8_t *value = cb_calloc(1, CB_STORE_VALUE_MAX);
    uint8_t key[CB_STORE_KEY_MAX] = {1};
    store_batch_put(b, cb_span(key, sizeof(key)), cb_span(value, CB_STORE_VALUE_MAX));
    assert_true(store_batch_bytes(b) >= empty + sizeof(key) + CB_STORE_VALUE_MAX);
    cb_free(value); /* the batch has its own */
    store_batch_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_operation_wins_across_batches),
        cmocka_unit_test(test_no_operations),
        cmocka_unit_test(test_order_is_that_of_bytes),
        cmocka_unit_test(test_bytes_are_counted_and_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
