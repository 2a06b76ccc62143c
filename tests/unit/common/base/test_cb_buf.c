/* Proves that a cb_buf is a queue of bytes, against a plain array, over random appends, reserves
 * and consumes; and that it neither keeps nor moves more memory than it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cb_buf.h"
#include "common/base/cb_rng.h"
#include "support/seed.h"

#define NAIVE_MAX 20000

static uint64_t seed;

struct naive {
    uint8_t bytes[NAIVE_MAX];
    size_t len;
};

static void append_random(struct cb_buf *b, struct naive *n, struct cb_rng *rng)
{
    uint8_t bytes[700];
    size_t len = cb_rng_below(rng, sizeof(bytes) + 1);
    if (n->len + len > NAIVE_MAX) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)cb_rng_u64(rng);
    }
    if (cb_rng_chance(rng, 1, 2)) {
        cb_buf_append(b, bytes, len);
    } else {
        uint8_t *room = cb_buf_reserve(b, len + cb_rng_below(rng, 100));
        if (len > 0) {
            memcpy(room, bytes, len);
        }
        cb_buf_commit(b, len);
    }
    memcpy(n->bytes + n->len, bytes, len);
    n->len += len;
}

static void consume_random(struct cb_buf *b, struct naive *n, struct cb_rng *rng)
{
    size_t len = cb_rng_below(rng, n->len + 1);
    cb_buf_consume(b, len);
    memmove(n->bytes, n->bytes + len, n->len - len);
    n->len -= len;
}

static void random_operations(void **state)
{
    (void)state;
    static struct naive n;
    struct cb_rng rng;
    struct cb_buf b;
    cb_rng_init(&rng, seed);
    cb_buf_init(&b);
    for (unsigned i = 0; i < 20000; i++) {
        if (cb_rng_chance(&rng, i / 5000 % 2 == 0 ? 70 : 40, 100)) {
            append_random(&b, &n, &rng);
        } else {
            consume_random(&b, &n, &rng);
        }
        assert_true(cb_span_eq(cb_buf_span(&b), cb_span(n.bytes, n.len)));
        assert_int_equal(cb_buf_len(&b), n.len);
    }
    cb_buf_fini(&b);
}

static void text(void **state)
{
    (void)state;
    char wide[600];
    memset(wide, 'w', sizeof(wide) - 1);
    wide[sizeof(wide) - 1] = '\0';
    struct cb_buf b = CB_BUF_NULL;
    cb_buf_append_str(&b, "a");
    cb_buf_append_str(&b, "");
    cb_buf_printf(&b, "%d-%s", 7, "x");
    cb_buf_printf(&b, "%s", wide); /* more than it tries first */
    cb_buf_append(&b, "", 1);
    assert_memory_equal(b.base, "a7-xw", 5);
    assert_string_equal((const char *)b.base + 4, wide);
    cb_buf_fini(&b);
}

/* What is full up to its last byte has no room for the NUL that vsnprintf writes. */
static void printf_fills_to_the_brim(void **state)
{
    (void)state;
    for (size_t len = 100; len < 300; len++) {
        char fill[300];
        memset(fill, 'f', len);
        fill[len] = '\0';
        struct cb_buf b = CB_BUF_NULL;
        cb_buf_printf(&b, "%s", fill);
        cb_buf_printf(&b, "%s", fill);
        assert_int_equal(cb_buf_len(&b), 2 * len);
        assert_memory_equal(b.base, fill, len);
        assert_memory_equal(b.base + len, fill, len);
        cb_buf_fini(&b);
    }
}

static void an_empty_buffer(void **state)
{
    (void)state;
    struct cb_buf b;
    cb_buf_init(&b);
    assert_int_equal(cb_buf_span(&b).len, 0);
    cb_buf_append(&b, NULL, 0);
    cb_buf_commit(&b, 0);
    cb_buf_consume(&b, 0);
    (void)cb_buf_reserve(&b, 0); /* nothing is to be written there */
    cb_buf_shrink(&b, 0);
    assert_null(b.base);
    cb_buf_fini(&b);
}

static void take_moves_the_bytes(void **state)
{
    (void)state;
    struct cb_buf b = CB_BUF_NULL;
    cb_buf_append_str(&b, "xyz");
    cb_buf_consume(&b, 1);
    struct cb_buf taken = cb_buf_take(&b);
    assert_null(b.base);
    assert_int_equal(cb_buf_len(&b), 0);
    assert_true(cb_span_eq(cb_buf_span(&taken), cb_span_str("yz")));
    cb_buf_append_str(&b, "new");
    assert_true(cb_span_eq(cb_buf_span(&taken), cb_span_str("yz")));
    cb_buf_fini(&taken);
    cb_buf_fini(&b);
}

static void shrink_wants_an_empty_buffer(void **state)
{
    (void)state;
    struct cb_buf b = CB_BUF_NULL;
    (void)cb_buf_reserve(&b, 100000);
    cb_buf_append_str(&b, "x");
    cb_buf_shrink(&b, 1000);
    assert_true(b.cap >= 100000);
    cb_buf_consume(&b, 1);
    cb_buf_shrink(&b, 1000000);
    assert_true(b.cap >= 100000);
    cb_buf_shrink(&b, 1000);
    assert_int_equal(b.cap, 0);
    cb_buf_fini(&b);
}

/* A queue that is never empty but short stays small however much passes through it. */
static void a_short_queue_stays_small(void **state)
{
    (void)state;
    struct cb_buf b = CB_BUF_NULL;
    cb_buf_append_str(&b, "0123456789");
    for (unsigned i = 0; i < 100000; i++) {
        cb_buf_append_str(&b, "0123456789");
        cb_buf_consume(&b, 10);
    }
    assert_in_range(b.cap, 1, 1024);
    cb_buf_fini(&b);
}

int main(int argc, char **argv)
{
    seed = seed_of_test(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations),         cmocka_unit_test(text),
        cmocka_unit_test(printf_fills_to_the_brim),  cmocka_unit_test(an_empty_buffer),
        cmocka_unit_test(take_moves_the_bytes),      cmocka_unit_test(shrink_wants_an_empty_buffer),
        cmocka_unit_test(a_short_queue_stays_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
