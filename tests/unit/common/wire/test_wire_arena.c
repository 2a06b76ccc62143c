/* Proves that an arena refuses protobuf-c what is above its bound, whichever allocation of a
 * message that is; that what it gives lies apart and aligned; and that it keeps little. */
#include "common/wire/wire_arena.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cb_limits.h"
#include "common/wire/wire_pack.h"
#include "common/wire/wire_queue.h"
#include "queue.pb-c.h"

static void *ask(struct wire_arena *a, size_t size)
{
    return a->allocator.alloc(a->allocator.allocator_data, size);
}

static void pieces_lie_apart(void **state)
{
    (void)state;
    enum { PIECES = 3000 };
    static uint8_t *pieces[PIECES];
    struct wire_arena a;
    wire_arena_init(&a, CB_WIRE_ARENA_MAX);
    for (size_t i = 0; i < PIECES; i++) { /* over several chunks */
        pieces[i] = ask(&a, i);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        memset(pieces[i], (int)(i & 0xff), i);
    }
    for (size_t i = 0; i < PIECES; i++) {
        for (size_t k = 0; k < i; k++) {
            assert_int_equal(pieces[i][k], i & 0xff);
        }
    }
    wire_arena_fini(&a);
}

static void above_its_bound_is_refused(void **state)
{
    (void)state;
    struct wire_arena a;
    wire_arena_init(&a, 1024);
    assert_non_null(ask(&a, 1000));
    assert_false(a.was_full);
    assert_null(ask(&a, 100));
    assert_true(a.was_full);
    assert_null(ask(&a, 1)); /* what failed once does not go on */
    wire_arena_reset(&a);
    assert_false(a.was_full);
    assert_null(ask(&a, SIZE_MAX));
    wire_arena_reset(&a);
    assert_non_null(ask(&a, 1024));
    assert_non_null(wire_arena_take(&a, 1024)); /* our own code knows what it does */
    wire_arena_fini(&a);
}

static void a_peak_is_given_back(void **state)
{
    (void)state;
    struct wire_arena a;
    wire_arena_init(&a, CB_WIRE_ARENA_MAX);
    for (int i = 0; i < 20; i++) {
        assert_non_null(ask(&a, 100 * CB_KIB));
    }
    wire_arena_reset(&a);
    assert_int_equal(a.used, 0);
    void *first = ask(&a, 10);
    assert_non_null(ask(&a, CB_WIRE_ARENA_KEEP - 100)); /* is there already: in the same chunk */
    wire_arena_reset(&a);
    assert_ptr_equal(ask(&a, 10), first);
    assert_non_null(ask(&a, 2 * CB_WIRE_ARENA_KEEP)); /* a chunk of its own, not to be kept */
    wire_arena_reset(&a);
    assert_null(a.chunks->next);
    assert_true(a.chunks->cap <= CB_WIRE_ARENA_KEEP);
    wire_arena_fini(&a);
}

/* Every allocation of an unpack fails once, as the bound rises; the sanitizer watches. */
static void an_unpack_fails_cleanly_anywhere(void **state)
{
    (void)state;
    static const char body[100] = "x";
    struct wire_result results[40];
    struct cb_span tubes[40];
    struct wire_read_result reads[2] = {
        {.read = 1, .stats_kind = WIRE_STATS_ALL, .tubes = tubes, .n_tubes = 40},
        {.read = 2, .stats_kind = WIRE_STATS_TUBE, .stats.tube.name = cb_span_str("t")},
    };
    for (uint32_t i = 0; i < 40; i++) {
        results[i] = (struct wire_result){.number = i + 1, .body = cb_span(body, sizeof(body))};
        tubes[i] = cb_span_str("tube");
    }
    struct wire_to_proxy m = {
        .has_attached = true, .results = results, .n_results = 40, .reads = reads, .n_reads = 2};
    struct cb_buf b = CB_BUF_NULL;
    wire_to_proxy_encode(&m, &b);
    cb_buf_append(&b, "\x12\x00\x78\x01\x7a\x01x", 7); /* to be merged; of later versions */
    enum wire_error e = WIRE_BAD_LENGTH;
    unsigned failed = 0;
    for (size_t max = 0; e != WIRE_OK; max += alignof(max_align_t)) {
        struct wire_arena a;
        wire_arena_init(&a, max);
        const void *p = wire_unpack(&a, &coolbeans__v1__to_proxy__descriptor, cb_buf_span(&b), &e);
        assert_int_equal(p == NULL, e != WIRE_OK);
        assert_true(e == WIRE_OK || e == WIRE_BAD_LENGTH);
        failed += p == NULL;
        wire_arena_fini(&a);
    }
    assert_true(failed > 500);
    cb_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_lie_apart),
        cmocka_unit_test(above_its_bound_is_refused),
        cmocka_unit_test(a_peak_is_given_back),
        cmocka_unit_test(an_unpack_fails_cleanly_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
