/* Proves that the frames keep their bytes and that any changed byte of one is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "node/replica/replica_frame.h"

static void entries_of_all_small_lengths(void **state)
{
    (void)state;
    uint8_t bytes[64];
    uint8_t frame[80];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 7 + 1);
    }
    for (size_t len = 0; len <= sizeof bytes; len++) {
        size_t size = replica_entry_frame_size(len);
        assert_int_equal(size % 8, 0);
        replica_entry_frame_write(frame, cb_span(bytes, len));
        struct cb_span out;
        assert_true(replica_entry_frame_read(cb_span(frame, size), &out));
        assert_true(cb_span_eq(out, cb_span(bytes, len)));
        assert_false(replica_entry_frame_read(cb_span(frame, size + 8), &out));
        assert_false(replica_entry_frame_read(cb_span(frame, size - 8), &out));
    }
}

static void a_changed_entry_is_noticed(void **state)
{
    (void)state;
    uint8_t frame[32];
    size_t size = replica_entry_frame_size(21);
    replica_entry_frame_write(frame, cb_span("twenty-one bytes long", 21));
    for (size_t i = 0; i < 8 + 21; i++) {
        struct cb_span out;
        frame[i] ^= 0x10;
        assert_false(replica_entry_frame_read(cb_span(frame, size), &out));
        frame[i] ^= 0x10;
    }
}

static void a_changed_marker_is_noticed(void **state)
{
    (void)state;
    uint8_t frame[REPLICA_MARKER_SIZE];
    uint64_t index;
    replica_marker_write(frame, 123456789);
    assert_true(replica_marker_read(cb_span(frame, sizeof frame), &index));
    assert_int_equal(index, 123456789);
    assert_false(replica_marker_read(cb_span(frame, sizeof frame - 1), &index));
    for (size_t i = 0; i < sizeof frame; i++) {
        frame[i] ^= 0x01;
        assert_false(replica_marker_read(cb_span(frame, sizeof frame), &index));
        frame[i] ^= 0x01;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_of_all_small_lengths),
        cmocka_unit_test(a_changed_entry_is_noticed),
        cmocka_unit_test(a_changed_marker_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
