/* A dump is read back whole or not at all: cut anywhere, with any byte changed, with records lost
 * or swapped, of another cluster, it is refused. It comes in parts, cut anywhere. */
#include "unit/node/store/store_rig.h"

#include "common/base/cb_bytes.h"
#include "common/base/cb_limits.h"
#include "node/store/store_dump.h"

static void write_sample(struct cb_buf *s)
{
    struct store_dump_writer w;
    struct store_meta meta = {.index = 7, .record_count = 3};
    store_dump_write_header(&w, "c1", &meta, s);
    store_dump_write_record(&w, cb_span_str("a"), cb_span_str("one"), s);
    store_dump_write_record(&w, cb_span_str("b"), cb_span_str(""), s);
    store_dump_write_record(&w, cb_span_str("c"), cb_span_str("three"), s);
    store_dump_write_trailer(&w, s);
}

struct sample {
    struct store_dump_reader reader;
    const char *cluster;
    bool has_header;
    struct cb_buf *out; /* of all records */
};

static enum store_result feed(struct sample *s, struct cb_span bytes)
{
    struct store_meta meta;
    struct cb_span key;
    struct cb_span value;
    enum store_result result = STORE_OK;
    store_dump_reader_feed(&s->reader, bytes);
    if (!s->has_header) {
        result = store_dump_read_header(&s->reader, s->cluster, &meta, NULL);
        s->has_header = result == STORE_OK;
    }
    while (result == STORE_OK) {
        result = store_dump_read_record(&s->reader, &key, &value, NULL);
        if (result == STORE_OK) {
            (void)rig_append_record(s->out, key, value);
        }
    }
    return result;
}

/* Reads all records into `out`; STORE_MORE at the end when it is cut short. */
static enum store_result
read_parts(struct cb_span dump, size_t size, const char *cluster, struct cb_buf *out)
{
    struct sample sample = {.cluster = cluster, .out = out};
    uint8_t part[1024];
    enum store_result result = STORE_MORE;
    store_dump_reader_init(&sample.reader);
    while (result == STORE_MORE && dump.len > 0) {
        size_t n = dump.len < size ? dump.len : size;
        memcpy(part, dump.ptr, n);
        result = feed(&sample, cb_span(part, n));
        memset(part, 0xee, sizeof(part)); /* it was borrowed for the call */
        dump = cb_span(dump.ptr + n, dump.len - n);
    }
    store_dump_reader_fini(&sample.reader);
    return result;
}

static enum store_result read_all(const struct cb_buf *s, const char *cluster, struct cb_buf *out)
{
    return read_parts(cb_buf_span(s), 1024, cluster, out);
}

static void test_round_trip_in_chunks_of_any_size(void **state)
{
    (void)state;
    struct cb_buf s = CB_BUF_NULL;
    write_sample(&s);
    for (size_t size = 1; size < 40; size++) {
        struct cb_buf out = CB_BUF_NULL;
        assert_int_equal(read_parts(cb_buf_span(&s), size, "c1", &out), STORE_NOT_FOUND);
        assert_true(cb_span_eq(cb_buf_span(&out), cb_span_str("a=one;b=;c=three;")));
        cb_buf_fini(&out);
    }
    cb_buf_fini(&s);
}

static void test_round_trip_in_two_parts(void **state)
{
    (void)state;
    struct cb_buf s = CB_BUF_NULL;
    write_sample(&s);
    struct cb_span all = cb_buf_span(&s);
    for (size_t cut = 0; cut < all.len; cut++) {
        struct cb_buf out = CB_BUF_NULL;
        struct sample sample = {.cluster = "c1", .out = &out};
        store_dump_reader_init(&sample.reader);
        assert_int_equal(feed(&sample, cb_span(all.ptr, cut)), STORE_MORE);
        assert_int_equal(feed(&sample, CB_SPAN_NULL), STORE_MORE);
        assert_int_equal(feed(&sample, cb_span(all.ptr + cut, all.len - cut)), STORE_NOT_FOUND);
        assert_true(cb_span_eq(cb_buf_span(&out), cb_span_str("a=one;b=;c=three;")));
        assert_int_equal(feed(&sample, CB_SPAN_NULL), STORE_NOT_FOUND);
        assert_int_equal(feed(&sample, cb_span_str("x")), STORE_BAD_DUMP); /* after the end */
        store_dump_reader_fini(&sample.reader);
        cb_buf_fini(&out);
    }
    cb_buf_append_str(&s, "x");
    struct cb_buf out = CB_BUF_NULL;
    assert_int_equal(read_all(&s, "c1", &out), STORE_BAD_DUMP);
    cb_buf_fini(&out);
    cb_buf_fini(&s);
}

/* A record that claims to be large takes no memory before its bytes have come. */
static void test_what_a_record_claims_takes_no_memory(void **state)
{
    (void)state;
    struct cb_buf s = CB_BUF_NULL;
    struct cb_buf out = CB_BUF_NULL;
    struct sample sample = {.cluster = "c1", .out = &out};
    struct store_dump_writer w;
    store_dump_write_header(&w, "c1", &(struct store_meta){.index = 7}, &s);
    cb_put_u32(&s, 1);
    cb_put_u32(&s, CB_STORE_VALUE_MAX);
    cb_put_u64(&s, 0);
    store_dump_reader_init(&sample.reader);
    assert_int_equal(feed(&sample, cb_buf_span(&s)), STORE_MORE);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(feed(&sample, cb_span_str("x")), STORE_MORE);
    }
    assert_true(sample.reader.kept.cap < 4096);
    store_dump_reader_fini(&sample.reader);

    cb_buf_clear(&s);
    store_dump_write_header(&w, "c1", &(struct store_meta){.index = 7}, &s);
    cb_put_u32(&s, 1);
    cb_put_u32(&s, CB_STORE_VALUE_MAX + 1);
    cb_put_u64(&s, 0);
    assert_int_equal(read_all(&s, "c1", &out), STORE_BAD_DUMP);
    cb_buf_fini(&out);
    cb_buf_fini(&s);
}

static void test_cut_or_changed_anywhere_is_refused(void **state)
{
    (void)state;
    struct cb_buf s = CB_BUF_NULL;
    struct cb_buf out = CB_BUF_NULL;
    write_sample(&s);
    size_t len = cb_buf_len(&s);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        s.base[bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum store_result result = read_all(&s, "c1", &out);
        /* A length that has become larger waits for what never comes. */
        assert_true(result == STORE_BAD_DUMP || result == STORE_NEWER_FORMAT ||
                    result == STORE_MORE);
        s.base[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (s.end = 0; s.end < len; s.end++) {
        assert_int_equal(read_all(&s, "c1", &out), STORE_MORE);
    }
    cb_buf_fini(&out);
    cb_buf_fini(&s);
}

static void test_other_cluster_is_refused(void **state)
{
    (void)state;
    struct cb_buf s = CB_BUF_NULL;
    struct cb_buf out = CB_BUF_NULL;
    write_sample(&s);
    assert_int_equal(read_all(&s, "c2", &out), STORE_WRONG_IDENTITY);
    cb_buf_fini(&out);
    cb_buf_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_in_chunks_of_any_size),
        cmocka_unit_test(test_round_trip_in_two_parts),
        cmocka_unit_test(test_what_a_record_claims_takes_no_memory),
        cmocka_unit_test(test_cut_or_changed_anywhere_is_refused),
        cmocka_unit_test(test_other_cluster_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
