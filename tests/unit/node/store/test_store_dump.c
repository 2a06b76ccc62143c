/* A dump is read back whole or not at all: cut anywhere, with any byte changed, with records lost
 * or swapped, of another cluster, it is refused. */
#include "unit/node/store/store_rig.h"

#include "node/store/store_dump.h"

static void write_sample(struct rig_stream *s)
{
    struct store_dump_writer w;
    struct store_meta meta = {.index = 7, .record_count = 3};
    store_dump_writer_init(&w, rig_stream_write, s);
    assert_true(store_dump_header(&w, "c1", &meta));
    assert_true(store_dump_record(&w, cb_span_str("a"), cb_span_str("one")));
    assert_true(store_dump_record(&w, cb_span_str("b"), cb_span_str("")));
    assert_true(store_dump_record(&w, cb_span_str("c"), cb_span_str("three")));
    assert_true(store_dump_trailer(&w));
    store_dump_writer_fini(&w);
}

/* Reads all records into `out`. */
static enum store_result read_all(struct rig_stream *s, const char *cluster, struct cb_buf *out)
{
    struct store_dump_reader r;
    struct store_meta meta;
    struct cb_span key;
    struct cb_span value;
    s->read = 0;
    store_dump_reader_init(&r, rig_stream_read, s);
    enum store_result result = store_dump_read_header(&r, cluster, &meta, NULL);
    while (result == STORE_OK) {
        result = store_dump_read_record(&r, &key, &value, NULL);
        if (result == STORE_OK) {
            (void)rig_append_record(out, key, value);
        }
    }
    store_dump_reader_fini(&r);
    return result;
}

static void test_round_trip_in_chunks_of_any_size(void **state)
{
    (void)state;
    struct rig_stream s = {.bytes = CB_BUF_NULL};
    write_sample(&s);
    for (s.chunk = 1; s.chunk < 40; s.chunk++) {
        struct cb_buf out = CB_BUF_NULL;
        assert_int_equal(read_all(&s, "c1", &out), STORE_NOT_FOUND);
        assert_true(cb_span_eq(cb_buf_span(&out), cb_span_str("a=one;b=;c=three;")));
        cb_buf_fini(&out);
    }
    cb_buf_fini(&s.bytes);
}

static void test_cut_or_changed_anywhere_is_refused(void **state)
{
    (void)state;
    struct rig_stream s = {.bytes = CB_BUF_NULL};
    struct cb_buf out = CB_BUF_NULL;
    write_sample(&s);
    size_t len = cb_buf_len(&s.bytes);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        s.bytes.base[bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum store_result result = read_all(&s, "c1", &out);
        assert_true(result == STORE_BAD_DUMP || result == STORE_NEWER_FORMAT);
        s.bytes.base[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (s.bytes.end = 0; s.bytes.end < len; s.bytes.end++) {
        assert_int_equal(read_all(&s, "c1", &out), STORE_BAD_DUMP);
    }
    cb_buf_fini(&out);
    cb_buf_fini(&s.bytes);
}

static void test_other_cluster_is_refused(void **state)
{
    (void)state;
    struct rig_stream s = {.bytes = CB_BUF_NULL};
    struct cb_buf out = CB_BUF_NULL;
    write_sample(&s);
    assert_int_equal(read_all(&s, "c2", &out), STORE_WRONG_IDENTITY);
    cb_buf_fini(&out);
    cb_buf_fini(&s.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_in_chunks_of_any_size),
        cmocka_unit_test(test_cut_or_changed_anywhere_is_refused),
        cmocka_unit_test(test_other_cluster_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
