/* Proves that what is wrong in a message is found and named, whatever was cut off or changed, and
 * that fields of a later version are skipped. */
#include "common/wire/wire_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/cb_mem.h"
#include "common/base/cb_rng.h"

static enum wire_error recode_to_node(const struct wire_to_node *from)
{
    struct wire_to_node m = {0};
    struct cb_buf b = CB_BUF_NULL;
    wire_to_node_encode(from, &b);
    enum wire_error e = wire_to_node_decode(&m, cb_buf_span(&b));
    wire_to_node_fini(&m);
    cb_buf_fini(&b);
    return e;
}

static enum wire_error decode_requests(struct wire_request *r, uint32_t n)
{
    return recode_to_node(&(struct wire_to_node){.requests = r, .n_requests = n});
}

static enum wire_error decode_read(struct wire_read r)
{
    return recode_to_node(&(struct wire_to_node){.reads = &r, .n_reads = 1});
}

static enum wire_error recode_to_proxy(const struct wire_to_proxy *from)
{
    struct wire_to_proxy m = {0};
    struct cb_buf b = CB_BUF_NULL;
    wire_to_proxy_encode(from, &b);
    enum wire_error e = wire_to_proxy_decode(&m, cb_buf_span(&b));
    wire_to_proxy_fini(&m);
    cb_buf_fini(&b);
    return e;
}

static enum wire_error decode_result(struct wire_result r)
{
    return recode_to_proxy(&(struct wire_to_proxy){.results = &r, .n_results = 1});
}

static enum wire_error decode_read_result(struct wire_read_result r)
{
    return recode_to_proxy(&(struct wire_to_proxy){.reads = &r, .n_reads = 1});
}

static enum wire_error decode_bytes(const char *bytes, size_t len)
{
    struct wire_to_node m = {0};
    enum wire_error e = wire_to_node_decode(&m, cb_span(bytes, len));
    wire_to_node_fini(&m);
    return e;
}

static void requests_are_checked(void **state)
{
    (void)state;
    struct wire_request ok = {.number = 1, .conn = 1, .op = WIRE_OP_USE, .tube = cb_span_str("a")};
    assert_int_equal(decode_requests(&ok, 1), WIRE_OK);
    struct wire_request r = ok;
    r.op = WIRE_OP_END;
    assert_int_equal(decode_requests(&r, 1), WIRE_BAD_OP);
    r.op = 0;
    assert_int_equal(decode_requests(&r, 1), WIRE_BAD_OP);
    r = ok;
    r.number = 0;
    assert_int_equal(decode_requests(&r, 1), WIRE_BAD_RANGE);
    r = ok;
    r.conn = 0;
    assert_int_equal(decode_requests(&r, 1), WIRE_BAD_RANGE);
    r = ok;
    r.pri = 1;
    assert_int_equal(decode_requests(&r, 1), WIRE_BAD_FIELD);
    r = ok;
    r.tube = CB_SPAN_NULL;
    assert_int_equal(decode_requests(&r, 1), WIRE_BAD_TUBE_NAME);
    r.tube = cb_span_str("-a");
    assert_int_equal(decode_requests(&r, 1), WIRE_BAD_TUBE_NAME);
    struct wire_request wait = {.number = 1, .conn = 1, .op = WIRE_OP_RESERVE_WITH_TIMEOUT};
    wait.count = CB_RESERVE_TIMEOUT_MAX;
    assert_int_equal(decode_requests(&wait, 1), WIRE_OK);
    wait.count++;
    assert_int_equal(decode_requests(&wait, 1), WIRE_BAD_RANGE);
    struct wire_request put = {.number = 1, .conn = 1, .op = WIRE_OP_PUT};
    put.body = cb_span(cb_calloc(1, CB_JOB_SIZE_MAX + 1), CB_JOB_SIZE_MAX);
    assert_int_equal(decode_requests(&put, 1), WIRE_OK);
    put.body.len++;
    assert_int_equal(decode_requests(&put, 1), WIRE_BAD_LENGTH);
    free((void *)(uintptr_t)put.body.ptr);
}

static void numbers_of_requests_rise_by_one(void **state)
{
    (void)state;
    struct wire_request r[] = {
        {.number = 5, .conn = 1, .op = WIRE_OP_RESERVE},
        {.number = 6, .conn = 2, .op = WIRE_OP_RESERVE},
    };
    assert_int_equal(decode_requests(r, 2), WIRE_OK);
    r[1].number = 7;
    assert_int_equal(decode_requests(r, 2), WIRE_BAD_ORDER);
    r[1].number = 5;
    assert_int_equal(decode_requests(r, 2), WIRE_BAD_ORDER);
}

static void reads_are_checked(void **state)
{
    (void)state;
    struct wire_read ok = {.read = 1, .conn = 1, .kind = WIRE_READ_STATS};
    assert_int_equal(decode_read(ok), WIRE_OK);
    assert_int_equal(decode_read((struct wire_read){.read = 1, .conn = 1}), WIRE_BAD_OP);
    assert_int_equal(decode_read((struct wire_read){.read = 1, .conn = 1, .kind = WIRE_READ_END}),
                     WIRE_BAD_OP);
    assert_int_equal(decode_read((struct wire_read){.conn = 1, .kind = WIRE_READ_STATS}),
                     WIRE_BAD_RANGE);
    ok.id = 1;
    assert_int_equal(decode_read(ok), WIRE_BAD_FIELD);
    ok = (struct wire_read){.read = 1, .conn = 1, .kind = WIRE_READ_STATS_TUBE};
    assert_int_equal(decode_read(ok), WIRE_BAD_TUBE_NAME);
}

static void results_are_checked(void **state)
{
    (void)state;
    struct wire_result ok = {.number = 1,
                             .request = 1,
                             .conn = 1,
                             .outcome = WIRE_RESERVED,
                             .id = 1,
                             .body = cb_span_str("x")};
    assert_int_equal(decode_result(ok), WIRE_OK);
    struct wire_result r = ok;
    r.outcome = WIRE_DELETED;
    assert_int_equal(decode_result(r), WIRE_BAD_FIELD);
    r = ok;
    r.outcome = WIRE_OUTCOME_END;
    assert_int_equal(decode_result(r), WIRE_BAD_OP);
    r = ok;
    r.id = 0;
    assert_int_equal(decode_result(r), WIRE_BAD_FIELD);
    r = ok;
    r.count = 1;
    assert_int_equal(decode_result(r), WIRE_BAD_FIELD);
}

static void read_results_are_checked(void **state)
{
    (void)state;
    struct wire_read_result job = {.stats_kind = WIRE_STATS_JOB};
    assert_int_equal(decode_read_result(job), WIRE_BAD_TUBE_NAME);
    job.stats.job.tube = cb_span_str("t");
    assert_int_equal(decode_read_result(job), WIRE_BAD_OP);
    job.stats.job.state = WIRE_JOB_STATE_END;
    assert_int_equal(decode_read_result(job), WIRE_BAD_OP);
    job.stats.job.state = WIRE_JOB_BURIED;
    assert_int_equal(decode_read_result(job), WIRE_OK);
    struct wire_read_result tube = {.stats_kind = WIRE_STATS_TUBE};
    assert_int_equal(decode_read_result(tube), WIRE_BAD_TUBE_NAME);
    struct cb_span names[] = {cb_span_str("a"), cb_span_str("-")};
    struct wire_read_result list = {.tubes = names, .n_tubes = 1};
    assert_int_equal(decode_read_result(list), WIRE_OK);
    list.n_tubes = 2;
    assert_int_equal(decode_read_result(list), WIRE_BAD_TUBE_NAME);
    struct wire_to_proxy m = {0};
    struct cb_span two = cb_span("\x32\x07\x3a\x00\x42\x03\x0a\x01t", 9); /* stats, tube_stats */
    assert_int_equal(wire_to_proxy_decode(&m, two), WIRE_BAD_FIELD);
    wire_to_proxy_fini(&m);
}

static void encodings_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        enum wire_error want;
    } cases[] = {
        {"", 0, WIRE_OK},
        {"\x08", 1, WIRE_BAD_ENCODING},                                /* no value */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, WIRE_OK}, /* 2^64 - 1 */
        {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 12, WIRE_BAD_ENCODING},
        {"\x08\x81\x00", 3, WIRE_OK},        /* longer than needed */
        {"\x00\x00", 2, WIRE_BAD_ENCODING},  /* field 0 */
        {"\x0b", 1, WIRE_BAD_ENCODING},      /* a group */
        {"\x0a\x01x", 3, WIRE_BAD_ENCODING}, /* seq as bytes */
        {"\x12\x05x", 3, WIRE_BAD_ENCODING}, /* longer than there is */
        {"\x22\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, WIRE_BAD_ENCODING},
        {"\x32\x08\x08\xff\xff\xff\xff\x0f\x10\x01", 10, WIRE_BAD_RANGE}, /* counter */
        {"\x12\x00", 2, WIRE_BAD_LENGTH},                    /* attach without a name */
        {"\x12\x03\x12\x01 ", 5, WIRE_BAD_RANGE},            /* a blank in the name */
        {"\x12\x03\x12\x01p\x12\x03\x12\x01p", 10, WIRE_OK}, /* twice: the last */
        {"\x12\x04\x12\x02\x00p", 6, WIRE_BAD_LENGTH},       /* a name of a NUL */
        /* Later versions: varint, fixed64, bytes, fixed32, and a field number of two bytes. */
        {"\x78\x01\x79"
         "12345678"
         "\x7a\x02xy\x7d"
         "1234"
         "\x80\x01\x05",
         23, WIRE_OK},
        {"\x79"
         "1234567",
         8, WIRE_BAD_ENCODING},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(decode_bytes(cases[i].bytes, cases[i].len), cases[i].want);
    }
}

/* The arrays are kept for the next message: the number of elements is bounded too. */
static void lists_are_bounded(void **state)
{
    (void)state;
    struct wire_to_node m = {0};
    for (uint32_t i = 0; i < CB_PROXY_IN_FLIGHT_MAX; i++) {
        *wire_to_node_add_read(&m) =
            (struct wire_read){.read = 1, .conn = 1, .kind = WIRE_READ_STATS};
    }
    assert_int_equal(recode_to_node(&m), WIRE_OK);
    *wire_to_node_add_read(&m) = (struct wire_read){.read = 1, .conn = 1, .kind = WIRE_READ_STATS};
    assert_int_equal(recode_to_node(&m), WIRE_BAD_LENGTH);
    wire_to_node_fini(&m);
}

/* The largest message that is accepted, `len` bytes of which are the same again and again. */
static void assert_refused(const char *unit, size_t len)
{
    static uint8_t bytes[CB_STREAM_MESSAGE_MAX];
    struct wire_to_node to_node = {0};
    struct wire_to_proxy to_proxy = {0};
    struct cb_span all = cb_span(bytes, sizeof(bytes) / len * len);
    for (size_t i = 0; i < all.len; i++) {
        bytes[i] = (uint8_t)unit[i % len];
    }
    for (int i = 0; i < 2; i++) { /* the second time into used arenas */
        assert_int_equal(wire_to_node_decode(&to_node, all), WIRE_BAD_LENGTH);
        assert_int_equal(wire_to_proxy_decode(&to_proxy, all), WIRE_BAD_LENGTH);
    }
    assert_int_equal(wire_to_node_decode(&to_node, cb_span_str("\x08\x05")), WIRE_OK);
    assert_int_equal(to_node.seq, 5);
    assert_int_equal(wire_to_proxy_decode(&to_proxy, cb_span_str("\x08\x05")), WIRE_OK);
    assert_int_equal(to_proxy.confirmed_seq, 5);
    wire_to_node_fini(&to_node);
    wire_to_proxy_fini(&to_proxy);
}

/* Two bytes of message make a struct of a hundred. */
static void small_fields_do_not_make_a_huge_message(void **state)
{
    (void)state;
    assert_refused("\x12\x00", 2); /* one submessage, merged with itself */
    assert_refused("\x2a\x00", 2); /* a list of empty reads, of empty results */
    assert_refused("\x32\x00", 2); /* a list of empty counts, of empty answers */
    assert_refused("\x78\x01", 2); /* fields of a later version */
    assert_refused("\x08\x01", 2); /* a number over and over */
}

/* What needs the most memory for its bytes and is still a message that nodes send. */
static void long_lists_of_tubes_fit(void **state)
{
    (void)state;
    enum { TUBES = 500000 };
    struct cb_span *names = cb_malloc(TUBES * sizeof(*names));
    for (size_t i = 0; i < TUBES; i++) {
        names[i] = cb_span_str("0123456789");
    }
    assert_int_equal(
        decode_read_result((struct wire_read_result){.tubes = names, .n_tubes = TUBES}), WIRE_OK);
    cb_free(names);
}

static void cut_and_changed_messages_do_no_harm(void **state)
{
    (void)state;
    struct cb_rng rng;
    cb_rng_init(&rng, 7);
    struct cb_span tubes[] = {cb_span_str("a"), cb_span_str("b")};
    struct wire_read_result reads[] = {
        {.read = 1, .found = true, .tubes = tubes, .n_tubes = 2},
        {.read = 2, .stats_kind = WIRE_STATS_ALL},
        {.read = 3,
         .stats_kind = WIRE_STATS_JOB,
         .stats.job = {.tube = tubes[0], .state = WIRE_JOB_READY}},
    };
    struct wire_result result = {1, 2, 3, WIRE_RESERVED, 0, 6, cb_span_str("body")};
    struct wire_to_proxy m = {
        .has_attached = true, .results = &result, .n_results = 1, .reads = reads, .n_reads = 3};
    struct cb_buf b = CB_BUF_NULL;
    wire_to_proxy_encode(&m, &b);
    size_t len = cb_buf_len(&b);
    struct wire_to_proxy decoded = {0};
    struct wire_to_node other = {0};
    for (int round = 0; round < 20000; round++) {
        /* Exactly sized, so that the sanitizer sees a byte too far. */
        size_t cut = (size_t)cb_rng_below(&rng, len + 1);
        uint8_t *copy = cb_malloc(cut + 1);
        memcpy(copy, cb_buf_span(&b).ptr, cut);
        for (uint64_t n = cb_rng_below(&rng, 3); n > 0 && cut > 0; n--) {
            copy[cb_rng_below(&rng, cut)] = (uint8_t)cb_rng_u64(&rng);
        }
        enum wire_error e = wire_to_proxy_decode(&decoded, cb_span(copy, cut));
        assert_non_null(wire_error_text(e));
        e = wire_to_node_decode(&other, cb_span(copy, cut));
        assert_non_null(wire_error_text(e));
        cb_free(copy);
    }
    wire_to_proxy_fini(&decoded);
    wire_to_node_fini(&other);
    cb_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_checked),
        cmocka_unit_test(numbers_of_requests_rise_by_one),
        cmocka_unit_test(reads_are_checked),
        cmocka_unit_test(results_are_checked),
        cmocka_unit_test(read_results_are_checked),
        cmocka_unit_test(encodings_are_checked),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(small_fields_do_not_make_a_huge_message),
        cmocka_unit_test(long_lists_of_tubes_fit),
        cmocka_unit_test(cut_and_changed_messages_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
