/* Proves that frames come out as they went in, however the bytes are split; that no damage goes
 * unnoticed; that a header's claims cost no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/cb_hash.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_rng.h"
#include "node/link/link_frame.h"
#include "node/link/link_hello.h"
#include "support/seed.h"

#define FRAMES 5
#define ROUNDS 20000

static uint64_t seed;

static void append_frame(struct cb_buf *b, uint8_t type, struct cb_span payload)
{
    uint8_t *header = cb_buf_reserve(b, LINK_FRAME_HEADER_SIZE);
    link_frame_header(header, type, (uint32_t)payload.len, cb_hash(payload.ptr, payload.len));
    cb_buf_commit(b, LINK_FRAME_HEADER_SIZE);
    cb_buf_append(b, payload.ptr, payload.len);
}

/* Frames of 0, 7, 14 ... bytes. */
static struct cb_buf some_frames(void)
{
    struct cb_buf b = CB_BUF_NULL;
    uint8_t bytes[7 * FRAMES];
    memset(bytes, 'x', sizeof bytes);
    for (size_t i = 0; i < FRAMES; i++) {
        append_frame(&b, (uint8_t)(LINK_FRAME_USER + i), cb_span(bytes, 7 * i));
    }
    return b;
}

/* Feeds one piece; counts the frames, which must be the next ones of some_frames. */
static void feed(struct link_decoder *d, struct cb_span piece, size_t *n)
{
    struct link_frame f;
    enum link_frame_result r;
    while ((r = link_decoder_take(d, &piece, &f)) == LINK_FRAME_READY) {
        assert_int_equal(f.type, LINK_FRAME_USER + *n);
        assert_int_equal(f.payload.len, 7 * *n);
        for (size_t i = 0; i < f.payload.len; i++) {
            assert_int_equal(f.payload.ptr[i], 'x');
        }
        (*n)++;
    }
    assert_int_equal(r, LINK_FRAME_MORE);
    assert_int_equal(piece.len, 0);
}

static void every_split_in_three(void **state)
{
    (void)state;
    struct cb_buf b = some_frames();
    struct cb_span all = cb_buf_span(&b);
    for (size_t i = 0; i <= all.len; i++) {
        for (size_t k = i; k <= all.len; k++) {
            struct link_decoder d;
            size_t n = 0;
            link_decoder_init(&d, CB_LINK_FRAME_MAX);
            feed(&d, cb_span(all.ptr, i), &n);
            feed(&d, cb_span(all.ptr + i, k - i), &n);
            feed(&d, cb_span(all.ptr + k, all.len - k), &n);
            assert_int_equal(n, FRAMES);
            link_decoder_fini(&d);
        }
    }
    cb_buf_fini(&b);
}

static void one_byte_at_a_time(void **state)
{
    (void)state;
    struct cb_buf b = some_frames();
    struct cb_span all = cb_buf_span(&b);
    struct link_decoder d;
    size_t n = 0;
    link_decoder_init(&d, CB_LINK_FRAME_MAX);
    for (size_t i = 0; i < all.len; i++) {
        feed(&d, cb_span(all.ptr + i, 1), &n);
    }
    assert_int_equal(n, FRAMES);
    link_decoder_fini(&d);
    cb_buf_fini(&b);
}

static void the_hash_is_that_of_the_whole(void **state)
{
    (void)state;
    struct cb_rng rng;
    uint8_t bytes[600];
    cb_rng_init(&rng, seed);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)cb_rng_u64(&rng);
    }
    for (int round = 0; round < 1000; round++) {
        size_t len = cb_rng_below(&rng, sizeof bytes + 1);
        size_t a = cb_rng_below(&rng, len + 1);
        const struct cb_span pieces[] = {cb_span(bytes, a), CB_SPAN_NULL,
                                         cb_span(bytes + a, len - a)};
        assert_int_equal(cb_hash_pieces(pieces, 3), cb_hash(bytes, len));
    }
}

/* The decoder on `bytes` in random pieces: READY frames are counted, the first error is returned.
 */
static enum link_frame_result run(struct cb_rng *rng, struct cb_span bytes, size_t *n)
{
    struct link_decoder d;
    enum link_frame_result r = LINK_FRAME_MORE;
    link_decoder_init(&d, CB_LINK_FRAME_MAX);
    *n = 0;
    while (bytes.len > 0 && (r == LINK_FRAME_MORE || r == LINK_FRAME_READY)) {
        size_t len = 1 + cb_rng_below(rng, bytes.len);
        struct cb_span piece = cb_span(bytes.ptr, len);
        bytes = cb_span(bytes.ptr + len, bytes.len - len);
        struct link_frame f;
        while ((r = link_decoder_take(&d, &piece, &f)) == LINK_FRAME_READY) {
            (*n)++;
        }
        assert_true(d.payload.cap <= 4096);
        assert_true(r != LINK_FRAME_MORE || piece.len == 0);
    }
    link_decoder_fini(&d);
    return r;
}

static void any_changed_bit_is_noticed(void **state)
{
    (void)state;
    struct cb_buf b = some_frames();
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    size_t n;
    size_t len = cb_buf_len(&b);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        b.base[b.start + bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)run(&rng, cb_buf_span(&b), &n);
        assert_true(n < FRAMES);
        b.base[b.start + bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(run(&rng, cb_buf_span(&b), &n), LINK_FRAME_MORE);
    assert_int_equal(n, FRAMES);
    cb_buf_fini(&b);
}

static void random_damage_makes_no_frame(void **state)
{
    (void)state;
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    for (int round = 0; round < ROUNDS; round++) {
        struct cb_buf b = some_frames();
        size_t at = cb_rng_below(&rng, cb_buf_len(&b));
        size_t end = at + 1 + cb_rng_below(&rng, cb_buf_len(&b) - at);
        bool is_changed = false;
        for (size_t i = at; i < end; i++) {
            uint8_t old = b.base[i];
            b.base[i] = (uint8_t)cb_rng_u64(&rng);
            is_changed |= b.base[i] != old;
        }
        size_t n;
        (void)run(&rng, cb_buf_span(&b), &n);
        assert_true(is_changed ? n < FRAMES : n == FRAMES);
        cb_buf_fini(&b);
    }
}

static enum link_frame_result take_all(struct link_decoder *d, struct cb_span bytes)
{
    struct link_frame f;
    return link_decoder_take(d, &bytes, &f);
}

static void garbage_is_told_from_its_first_byte(void **state)
{
    (void)state;
    struct link_decoder d;
    link_decoder_init(&d, CB_LINK_FRAME_MAX);
    assert_int_equal(take_all(&d, cb_span_str("GET / HTTP/1.0\r\n\r\n")), LINK_FRAME_GARBAGE);
    assert_int_equal(take_all(&d, cb_span_str("CBL1")), LINK_FRAME_GARBAGE); /* it stays so */
    link_decoder_init(&d, CB_LINK_FRAME_MAX);
    assert_int_equal(take_all(&d, cb_span("\x16", 1)), LINK_FRAME_GARBAGE);
    link_decoder_init(&d, CB_LINK_FRAME_MAX);
    assert_int_equal(take_all(&d, cb_span_str("CBL")), LINK_FRAME_MORE);
    assert_int_equal(take_all(&d, cb_span_str("2")), LINK_FRAME_GARBAGE);
    assert_null(d.payload.base);
}

static void a_claimed_length_costs_nothing(void **state)
{
    (void)state;
    uint8_t header[LINK_FRAME_HEADER_SIZE];
    uint8_t bytes[1000] = {0};
    struct link_decoder d;
    link_decoder_init(&d, CB_LINK_FRAME_MAX);
    link_frame_header(header, LINK_FRAME_USER, CB_LINK_FRAME_MAX + 1, 0);
    assert_int_equal(take_all(&d, cb_span(header, sizeof header)), LINK_FRAME_TOO_LONG);
    assert_null(d.payload.base);
    link_decoder_init(&d, CB_LINK_FRAME_MAX);
    link_frame_header(header, LINK_FRAME_USER, CB_LINK_FRAME_MAX, 0);
    assert_int_equal(take_all(&d, cb_span(header, sizeof header)), LINK_FRAME_MORE);
    assert_null(d.payload.base);
    assert_int_equal(take_all(&d, cb_span(bytes, sizeof bytes)), LINK_FRAME_MORE);
    assert_true(d.payload.cap <= 2 * sizeof bytes);
    link_decoder_fini(&d);
    link_decoder_init(&d, CB_LINK_HELLO_MAX); /* who is not known may say less */
    link_frame_header(header, LINK_FRAME_HELLO, CB_LINK_HELLO_MAX + 1, 0);
    assert_int_equal(take_all(&d, cb_span(header, sizeof header)), LINK_FRAME_TOO_LONG);
}

static void another_version_is_told_apart(void **state)
{
    (void)state;
    uint8_t header[LINK_FRAME_HEADER_SIZE];
    struct link_decoder d;
    link_decoder_init(&d, CB_LINK_FRAME_MAX);
    link_frame_header(header, LINK_FRAME_PING, 0, cb_hash(NULL, 0));
    header[4]++;
    assert_int_equal(take_all(&d, cb_span(header, sizeof header)), LINK_FRAME_OTHER_VERSION);
}

static void a_large_frame_gives_its_memory_back(void **state)
{
    (void)state;
    struct cb_buf big = CB_BUF_NULL;
    struct cb_buf b = CB_BUF_NULL;
    memset(cb_buf_reserve(&big, CB_LINK_FRAME_MAX), 1, CB_LINK_FRAME_MAX);
    cb_buf_commit(&big, CB_LINK_FRAME_MAX);
    append_frame(&b, LINK_FRAME_USER, cb_buf_span(&big));
    struct link_decoder d;
    struct link_frame f;
    struct cb_span most = cb_span(b.base, cb_buf_len(&b) - 1);
    struct cb_span last = cb_span(b.base + most.len, 1);
    link_decoder_init(&d, CB_LINK_FRAME_MAX);
    assert_int_equal(link_decoder_take(&d, &most, &f), LINK_FRAME_MORE);
    assert_int_equal(link_decoder_take(&d, &last, &f), LINK_FRAME_READY);
    assert_true(cb_span_eq(f.payload, cb_buf_span(&big)));
    assert_int_equal(link_decoder_take(&d, &last, &f), LINK_FRAME_MORE);
    assert_true(d.payload.cap <= CB_LINK_FRAME_KEEP);
    link_decoder_fini(&d);
    cb_buf_fini(&b);
    cb_buf_fini(&big);
}

static void a_hello_comes_back(void **state)
{
    (void)state;
    const struct link_hello h = {.cluster = 1, .from = 2, .to = UINT64_MAX, .address = "[::1]:9"};
    struct cb_buf b = CB_BUF_NULL;
    link_hello_encode(&h, &b);
    struct link_hello again;
    assert_true(link_hello_decode(&again, cb_buf_span(&b)));
    assert_memory_equal(&again, &h, sizeof h);
    for (size_t len = 0; len < cb_buf_len(&b); len++) {
        assert_false(link_hello_decode(&again, cb_span(b.base, len)));
    }
    cb_buf_append(&b, "x", 1);
    assert_false(link_hello_decode(&again, cb_buf_span(&b)));
    cb_buf_fini(&b);
}

static void a_hello_must_make_sense(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "a b:1", "a\n:1", "a\":1", "\x7f:1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct link_hello h = {.from = 2, .to = 1};
        struct cb_buf b = CB_BUF_NULL;
        memcpy(h.address, bad[i], strlen(bad[i]));
        link_hello_encode(&h, &b);
        assert_false(link_hello_decode(&h, cb_buf_span(&b)));
        cb_buf_fini(&b);
    }
    struct link_hello nobody = {.from = 0, .to = 1, .address = "a:1"};
    struct cb_buf b = CB_BUF_NULL;
    link_hello_encode(&nobody, &b);
    assert_false(link_hello_decode(&nobody, cb_buf_span(&b)));
    cb_buf_fini(&b);
}

int main(int argc, char **argv)
{
    seed = seed_of_test(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_split_in_three),
        cmocka_unit_test(one_byte_at_a_time),
        cmocka_unit_test(the_hash_is_that_of_the_whole),
        cmocka_unit_test(any_changed_bit_is_noticed),
        cmocka_unit_test(random_damage_makes_no_frame),
        cmocka_unit_test(garbage_is_told_from_its_first_byte),
        cmocka_unit_test(a_claimed_length_costs_nothing),
        cmocka_unit_test(another_version_is_told_apart),
        cmocka_unit_test(a_large_frame_gives_its_memory_back),
        cmocka_unit_test(a_hello_comes_back),
        cmocka_unit_test(a_hello_must_make_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
