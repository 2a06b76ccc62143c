/* What store.h promises, of both implementations: the one on disk and the double in memory. Each
 * test runs with `*state` pointing to whether it is the double's turn. */
#include "unit/node/store/store_rig.h"

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"

static void start(struct rig *r, void **state)
{
    rig_init(r, *(const bool *)*state);
    rig_open(r);
}

static void test_new_store_is_empty(void **state)
{
    struct rig r;
    struct store_meta meta = {.index = 99};
    start(&r, state);
    assert_int_equal(store_load(r.store, rig_append_record, NULL, &meta, NULL), STORE_OK);
    assert_int_equal(meta.index, 0);
    assert_int_equal(meta.record_count, 0);
    assert_int_equal(store_pending_bytes(r.store), 0);
    assert_false(store_is_full(r.store));
    rig_fini(&r);
}

static void test_committed_is_there_after_reopen(void **state)
{
    struct rig r;
    struct store_meta meta = {.index = 5,
                              .term = 2,
                              .stamp_ns = 3,
                              .wall_ns = 4,
                              .log_digest = 5,
                              .state_digest = 6,
                              .appended_index = 9,
                              .appended_term = 2};
    struct store_meta found;
    start(&r, state);
    struct store_batch *b = store_batch_create();
    store_batch_put(b, cb_span_str("k2"), cb_span_str("v2"));
    store_batch_put(b, cb_span_str("k1"), cb_span_str(""));
    store_commit(r.store, b, &meta);
    rig_wait(&r, 5);
    assert_int_equal(store_pending_bytes(r.store), 0);
    rig_reopen(&r);
    rig_assert_contents(&r, "k1=;k2=v2;");
    store_durable(r.store, &found);
    assert_int_equal(found.record_count, 2);
    meta.record_count = found.record_count;
    meta.record_sum = found.record_sum;
    assert_memory_equal(&found, &meta, sizeof(meta));
    rig_fini(&r);
}

static void test_later_operation_wins(void **state)
{
    struct rig r;
    start(&r, state);
    rig_put(&r, 1, "a", "1");
    rig_del(&r, 2, "a");
    rig_put(&r, 3, "b", "1");
    rig_put(&r, 4, "b", "2");
    rig_del(&r, 5, "c");
    rig_put(&r, 6, "c", "3");
    rig_wait(&r, 6);
    rig_assert_contents(&r, "b=2;c=3;");
    rig_del(&r, 7, "b");
    rig_del(&r, 8, "never-there");
    rig_wait(&r, 8);
    rig_assert_contents(&r, "c=3;");
    rig_reopen(&r);
    rig_assert_contents(&r, "c=3;");
    rig_fini(&r);
}

static void test_empty_batch_moves_the_meta_record(void **state)
{
    struct rig r;
    struct store_meta found;
    start(&r, state);
    rig_put(&r, 1, "a", "1");
    store_commit(r.store, store_batch_create(),
                 &(struct store_meta){.index = 1, .appended_index = 77});
    store_commit(r.store, store_batch_create(), &(struct store_meta){.index = 9});
    rig_wait(&r, 9);
    store_durable(r.store, &found);
    assert_int_equal(found.appended_index, 0); /* may go down (design D12) */
    assert_int_equal(found.record_count, 1);
    rig_fini(&r);
}

static void test_close_commits_what_is_queued(void **state)
{
    struct rig r;
    start(&r, state);
    for (uint64_t i = 1; i <= 20; i++) {
        rig_put(&r, i, "a", "last");
    }
    rig_reopen(&r);
    rig_assert_contents(&r, "a=last;");
    rig_fini(&r);
}

static void test_largest_key_and_value(void **state)
{
    struct rig r;
    struct cb_buf found = CB_BUF_NULL;
    struct cb_rng rng;
    start(&r, state);
    uint8_t *value = cb_malloc(CB_STORE_VALUE_MAX);
    uint8_t key[CB_STORE_KEY_MAX];
    memset(key, 0xff, sizeof(key));
    cb_rng_init(&rng, 1);
    for (size_t i = 0; i < CB_STORE_VALUE_MAX; i++) {
        value[i] = (uint8_t)cb_rng_u64(&rng);
    }
    struct store_batch *b = store_batch_create();
    store_batch_put(b, cb_span(key, sizeof(key)), cb_span(value, CB_STORE_VALUE_MAX));
    store_commit(r.store, b, &(struct store_meta){.index = 1});
    rig_wait(&r, 1);
    assert_int_equal(store_read(r.store, cb_span(key, sizeof(key)), &found, NULL), STORE_OK);
    assert_int_equal(cb_buf_len(&found), CB_STORE_VALUE_MAX);
    assert_memory_equal(cb_buf_span(&found).ptr, value, CB_STORE_VALUE_MAX);
    cb_buf_fini(&found);
    cb_free(value);
    rig_fini(&r);
}

static void test_read_of_one_record(void **state)
{
    struct rig r;
    struct cb_buf out = CB_BUF_NULL;
    start(&r, state);
    rig_put(&r, 1, "a", "1");
    rig_wait(&r, 1);
    cb_buf_append_str(&out, "before ");
    assert_int_equal(store_read(r.store, cb_span_str("a"), &out, NULL), STORE_OK);
    assert_int_equal(store_read(r.store, cb_span_str("b"), &out, NULL), STORE_NOT_FOUND);
    assert_true(cb_span_eq(cb_buf_span(&out), cb_span_str("before 1")));
    cb_buf_fini(&out);
    rig_fini(&r);
}

static void append_value(void *data, size_t i, bool is_there, struct cb_span value)
{
    cb_buf_printf(data, "%zu%s%.*s;", i, is_there ? "=" : "!", (int)value.len,
                  (const char *)value.ptr);
}

static void test_read_of_many_records(void **state)
{
    struct rig r;
    struct cb_buf out = CB_BUF_NULL;
    const struct cb_span keys[] = {cb_span_str("b"), cb_span_str("none"), cb_span_str("a"),
                                   cb_span_str("b"), cb_span_str("zero")};
    start(&r, state);
    rig_put(&r, 1, "a", "1");
    rig_put(&r, 2, "b", "two");
    rig_put(&r, 3, "zero", "");
    rig_wait(&r, 3);
    assert_int_equal(store_read_many(r.store, keys, 5, append_value, &out, NULL), STORE_OK);
    assert_true(cb_span_eq(cb_buf_span(&out), cb_span_str("0=two;1!;2=1;3=two;4=;")));
    cb_buf_clear(&out);
    assert_int_equal(store_read_many(r.store, keys, 0, append_value, &out, NULL), STORE_OK);
    assert_int_equal(cb_buf_len(&out), 0);
    rig_del(&r, 4, "b");
    rig_wait(&r, 4);
    rig_reopen(&r);
    assert_int_equal(store_read_many(r.store, keys, 1, append_value, &out, NULL), STORE_OK);
    assert_true(cb_span_eq(cb_buf_span(&out), cb_span_str("0!;")));
    cb_buf_fini(&out);
    rig_fini(&r);
}

static bool stop_at_once(void *data, struct cb_span key, struct cb_span value)
{
    (void)data;
    (void)key;
    (void)value;
    return false;
}

static void test_load_can_be_stopped(void **state)
{
    struct rig r;
    start(&r, state);
    rig_put(&r, 1, "a", "1");
    rig_wait(&r, 1);
    assert_int_equal(store_load(r.store, stop_at_once, NULL, NULL, NULL), STORE_STOPPED);
    rig_fini(&r);
}

static void test_local_values_stay_apart(void **state)
{
    struct rig r;
    struct cb_buf out = CB_BUF_NULL;
    start(&r, state);
    assert_int_equal(store_get_local(r.store, "boot", &out, NULL), STORE_NOT_FOUND);
    assert_int_equal(store_set_local(r.store, "boot", cb_span_str("no"), NULL), STORE_OK);
    assert_int_equal(store_set_local(r.store, "boot", cb_span_str("done"), NULL), STORE_OK);
    rig_put(&r, 1, "boot", "a record");
    rig_wait(&r, 1);
    rig_reopen(&r);
    rig_assert_contents(&r, "boot=a record;");
    assert_int_equal(store_get_local(r.store, "boot", &out, NULL), STORE_OK);
    assert_true(cb_span_eq(cb_buf_span(&out), cb_span_str("done")));
    cb_buf_fini(&out);
    rig_fini(&r);
}

/* A random walk over a few keys, compared with a plain array, with reopens in between. */
static void test_random_walk_equals_its_model(void **state)
{
    enum { KEYS = 40 };
    struct rig r;
    struct cb_rng rng;
    uint64_t model[KEYS] = {0}; /* 0: no record */
    cb_rng_init(&rng, rig_seed("random_walk"));
    start(&r, state);
    for (uint64_t index = 1; index <= 200; index++) {
        struct store_batch *b = store_batch_create();
        for (uint64_t n = cb_rng_below(&rng, 20); n > 0; n--) {
            size_t k = (size_t)cb_rng_below(&rng, KEYS);
            uint8_t key = (uint8_t)('A' + k);
            model[k] = cb_rng_chance(&rng, 1, 3) ? 0 : index * 1000 + n;
            if (model[k] == 0) {
                store_batch_del(b, cb_span(&key, 1));
            } else {
                store_batch_put(b, cb_span(&key, 1), cb_span(&model[k], sizeof(model[k])));
            }
        }
        store_commit(r.store, b, &(struct store_meta){.index = index});
        if (cb_rng_chance(&rng, 1, 20)) {
            rig_reopen(&r);
        }
    }
    rig_reopen(&r);
    struct cb_buf expected = CB_BUF_NULL;
    struct cb_buf found = CB_BUF_NULL;
    for (size_t k = 0; k < KEYS; k++) {
        uint8_t key = (uint8_t)('A' + k);
        if (model[k] != 0) {
            (void)rig_append_record(&expected, cb_span(&key, 1),
                                    cb_span(&model[k], sizeof(model[k])));
        }
    }
    rig_contents(&r, &found);
    assert_true(cb_span_eq(cb_buf_span(&found), cb_buf_span(&expected)));
    cb_buf_fini(&found);
    cb_buf_fini(&expected);
    rig_fini(&r);
}

static void fill_other(struct rig *other, struct cb_buf *s, void **state)
{
    start(other, state);
    rig_put(other, 10, "a", "10");
    rig_put(other, 11, "z", "11");
    assert_int_equal(store_set_local(other->store, "boot", cb_span_str("other's"), NULL), STORE_OK);
    store_commit(other->store, store_batch_create(),
                 &(struct store_meta){.index = 12, .wall_ns = 9000});
    rig_wait(other, 12);
    assert_int_equal(rig_dump(other->store, s, NULL), STORE_OK);
}

static void test_dump_becomes_the_state_of_another(void **state)
{
    struct rig r;
    struct rig other;
    struct cb_buf s = CB_BUF_NULL;
    struct cb_buf incoming = CB_BUF_NULL;
    struct cb_buf local = CB_BUF_NULL;
    struct store_meta meta;
    fill_other(&other, &s, state);
    start(&r, state);
    rig_put(&r, 3, "b", "3");
    assert_int_equal(store_set_local(r.store, "boot", cb_span_str("own"), NULL), STORE_OK);
    store_commit(r.store, store_batch_create(),
                 &(struct store_meta){.index = 3, .appended_index = 8, .appended_term = 4});
    rig_wait(&r, 3);

    assert_int_equal(rig_load_dump(r.store, cb_buf_span(&s), 7, NULL), STORE_OK);
    rig_assert_contents(&r, "b=3;"); /* not yet */
    assert_int_equal(store_load_incoming(r.store, rig_append_record, &incoming, &meta, NULL),
                     STORE_OK);
    assert_int_equal(meta.index, 12);
    assert_int_equal(meta.wall_ns, 0); /* of another machine */
    assert_true(cb_span_eq(cb_buf_span(&incoming), cb_span_str("a=10;z=11;")));
    assert_int_equal(store_swap(r.store, NULL), STORE_OK);

    for (int turn = 0; turn < 2; turn++) {
        rig_assert_contents(&r, "a=10;z=11;");
        store_durable(r.store, &meta);
        assert_int_equal(meta.index, 12);
        assert_int_equal(meta.wall_ns, 0);
        assert_int_equal(meta.appended_index, 8);
        assert_int_equal(meta.appended_term, 4);
        cb_buf_clear(&local);
        assert_int_equal(store_get_local(r.store, "boot", &local, NULL), STORE_OK);
        assert_true(cb_span_eq(cb_buf_span(&local), cb_span_str("own")));
        rig_reopen(&r);
    }
    rig_put(&r, 13, "c", "13");
    rig_wait(&r, 13);
    rig_assert_contents(&r, "a=10;c=13;z=11;");
    cb_buf_fini(&incoming);
    cb_buf_fini(&local);
    cb_buf_fini(&s);
    rig_fini(&other);
    rig_fini(&r);
}

static void test_broken_dump_changes_nothing(void **state)
{
    struct rig r;
    struct rig other;
    struct cb_buf s = CB_BUF_NULL;
    fill_other(&other, &s, state);
    start(&r, state);
    rig_put(&r, 1, "b", "1");
    rig_wait(&r, 1);
    s.end -= 1;
    assert_int_equal(rig_load_dump(r.store, cb_buf_span(&s), 0, NULL), STORE_BAD_DUMP);
    rig_assert_contents(&r, "b=1;");
    s.end += 1;
    assert_int_equal(rig_load_dump(r.store, cb_buf_span(&s), 0, NULL), STORE_OK);
    store_discard_incoming(r.store);
    rig_reopen(&r);
    rig_assert_contents(&r, "b=1;");
    cb_buf_fini(&s);
    rig_fini(&other);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_new_store_is_empty),           BOTH(test_committed_is_there_after_reopen),
        BOTH(test_later_operation_wins),         BOTH(test_empty_batch_moves_the_meta_record),
        BOTH(test_close_commits_what_is_queued), BOTH(test_largest_key_and_value),
        BOTH(test_read_of_one_record),           BOTH(test_read_of_many_records),
        BOTH(test_load_can_be_stopped),          BOTH(test_local_values_stay_apart),
        BOTH(test_random_walk_equals_its_model), BOTH(test_dump_becomes_the_state_of_another),
        BOTH(test_broken_dump_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
