/* Proves what happens to connections of others: who says nothing, something else, too much, or that
 * it is somebody whom it can't be, is closed, counted, and costs no memory; members are not
 * disturbed by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "common/base/cb_rng.h"
#include "support/seed.h"
#include "unit/node/link/link_rig.h"

static uint64_t seed;

static int set_up(void **state)
{
    static struct rig r;
    rig_init(&r);
    rig_start(&r.m[0], "127.0.0.1");
    rig_start(&r.m[1], "127.0.0.1");
    *state = &r;
    return 0;
}

/* Whatever a stranger did: two members reach each other. */
static int tear_down(void **state)
{
    struct rig *r = *state;
    uint64_t had = r->m[0].received;
    r->m[0].refuses = false;
    assert_true(rig_send(&r->m[1], &r->m[0], 1000000));
    rig_run_until(r, r->m[0].received > had);
    rig_fini(r);
    return 0;
}

static void garbage_is_closed(void **state)
{
    struct rig *r = *state;
    int fd = rig_socket(&r->m[0]);
    rig_say(fd, cb_span_str("put 0 0 60 5\r\nhello\r\n"));
    rig_run_until(r, rig_is_closed(fd));
    assert_int_equal(rig_counters(&r->m[0])->refused_garbage, 1);
    close(fd);
}

static void random_garbage_is_closed(void **state)
{
    struct rig *r = *state;
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    for (int round = 0; round < 200; round++) {
        uint8_t bytes[256];
        int fd = rig_socket(&r->m[0]);
        for (size_t i = 0; i < sizeof bytes; i++) {
            bytes[i] = (uint8_t)cb_rng_u64(&rng);
        }
        bool has_magic = cb_rng_chance(&rng, 1, 2);
        if (has_magic) {
            memcpy(bytes, "CBL1\1", 5);
        }
        if (cb_rng_chance(&rng, 1, 2)) {
            rig_say_hello(fd, RIG_CLUSTER, 2, 1);
        }
        rig_say(fd, cb_span(bytes, sizeof bytes));
        rig_run_until(r, rig_is_closed(fd));
        close(fd);
    }
    assert_int_equal(r->m[0].received, 0);
}

static void a_frame_that_is_too_long(void **state)
{
    struct rig *r = *state;
    uint8_t header[LINK_FRAME_HEADER_SIZE];
    int fd = rig_socket(&r->m[0]);
    /* Before the hello even a short one is. */
    link_frame_header(header, LINK_FRAME_HELLO, CB_LINK_HELLO_MAX + 1, 0);
    rig_say(fd, cb_span(header, sizeof header));
    rig_run_until(r, rig_is_closed(fd));
    close(fd);
    fd = rig_socket(&r->m[0]);
    rig_say_hello(fd, RIG_CLUSTER, 2, 1);
    link_frame_header(header, RIG_TYPE, CB_LINK_FRAME_MAX + 1, 0);
    rig_say(fd, cb_span(header, sizeof header));
    rig_run_until(r, rig_is_closed(fd));
    close(fd);
    assert_int_equal(rig_counters(&r->m[0])->refused_too_long, 2);
    assert_int_equal(rig_counters(&r->m[0])->accepted, 1);
}

static void a_wrong_checksum(void **state)
{
    struct rig *r = *state;
    uint8_t header[LINK_FRAME_HEADER_SIZE];
    int fd = rig_socket(&r->m[0]);
    rig_say_hello(fd, RIG_CLUSTER, 2, 1);
    link_frame_header(header, RIG_TYPE, 3, 12345);
    rig_say(fd, cb_span(header, sizeof header));
    rig_say(fd, cb_span_str("abc"));
    rig_run_until(r, rig_is_closed(fd));
    assert_int_equal(rig_counters(&r->m[0])->refused_damaged, 1);
    assert_int_equal(r->m[0].received, 0);
    assert_int_equal(r->m[0].ended, 1);
    close(fd);
}

static void another_version(void **state)
{
    struct rig *r = *state;
    uint8_t header[LINK_FRAME_HEADER_SIZE];
    int fd = rig_socket(&r->m[0]);
    link_frame_header(header, LINK_FRAME_HELLO, 3, 0);
    header[4] = LINK_FRAME_VERSION + 1;
    rig_say(fd, cb_span(header, sizeof header));
    rig_run_until(r, rig_is_closed(fd));
    assert_int_equal(rig_counters(&r->m[0])->refused_version, 1);
    close(fd);
}

static void a_slow_hello(void **state)
{
    struct rig *r = *state;
    int silent = rig_socket(&r->m[0]);
    int slow = rig_socket(&r->m[0]);
    uint64_t start = uv_hrtime();
    rig_say(slow, cb_span_str("CBL1"));
    rig_run_until(r, rig_is_closed(silent));
    rig_run_until(r, rig_is_closed(slow));
    /* A tick may be late, never early. */
    uint64_t least_ms = RIG_TICK_MS * (CB_LINK_HELLO_MS / CB_LINK_TICK_MS - 1);
    assert_true(uv_hrtime() - start > least_ms * 1000000 / 2);
    assert_int_equal(rig_counters(&r->m[0])->refused_late, 2);
    close(silent);
    close(slow);
}

static void a_silent_member(void **state)
{
    struct rig *r = *state;
    int fd = rig_socket(&r->m[0]);
    rig_say_hello(fd, RIG_CLUSTER, 2, 1);
    rig_run_until(r, rig_is_closed(fd));
    assert_int_equal(rig_counters(&r->m[0])->refused_silent, 1);
    assert_int_equal(r->m[0].ended, 1);
    close(fd);
}

static void
refused_hello(struct rig *r, uint64_t cluster, uint64_t from, uint64_t to, const uint64_t *counter)
{
    int fd = rig_socket(&r->m[0]);
    uint64_t had = *counter;
    rig_say_hello(fd, cluster, from, to);
    rig_say_frame(fd, RIG_TYPE, cb_span_str("a message"));
    rig_run_until(r, rig_is_closed(fd));
    assert_int_equal(*counter, had + 1);
    close(fd);
}

static void a_hello_that_is_not_for_here(void **state)
{
    struct rig *r = *state;
    const struct link_counters *c = rig_counters(&r->m[0]);
    refused_hello(r, RIG_CLUSTER + 1, 2, 1, &c->refused_cluster);
    refused_hello(r, RIG_CLUSTER, 2, 3, &c->refused_receiver);
    refused_hello(r, RIG_CLUSTER, 99, 1, &c->refused_stranger);
    refused_hello(r, RIG_CLUSTER, 1, 1, &c->refused_stranger); /* this member itself */
    refused_hello(r, RIG_CLUSTER, 0, 1, &c->refused_no_hello);
    assert_int_equal(c->accepted, 0);
    assert_int_equal(r->m[0].received, 0);
}

static void a_first_frame_that_is_no_hello(void **state)
{
    struct rig *r = *state;
    int fd = rig_socket(&r->m[0]);
    rig_say_frame(fd, RIG_TYPE, cb_span_str("a message"));
    rig_run_until(r, rig_is_closed(fd));
    assert_int_equal(rig_counters(&r->m[0])->refused_no_hello, 1);
    close(fd);
}

static void frames_that_make_no_sense(void **state)
{
    struct rig *r = *state;
    static const uint8_t bad[] = {0, LINK_FRAME_HELLO, LINK_FRAME_PING, LINK_FRAME_USER - 1};
    for (size_t i = 0; i < sizeof bad; i++) {
        int fd = rig_socket(&r->m[0]);
        rig_say_hello(fd, RIG_CLUSTER, 2, 1);
        rig_say_frame(fd, bad[i], cb_span_str("x"));
        rig_run_until(r, rig_is_closed(fd));
        close(fd);
    }
    assert_int_equal(r->m[0].received, 0);
    /* The layer above has a say too; nothing that follows is read. */
    r->m[0].refuses = true;
    int fd = rig_socket(&r->m[0]);
    rig_say_hello(fd, RIG_CLUSTER, 2, 1);
    rig_say_frame(fd, RIG_TYPE, cb_span_str("x"));
    rig_say_frame(fd, RIG_TYPE, cb_span_str("y"));
    rig_run_until(r, rig_is_closed(fd));
    assert_int_equal(r->m[0].received, 1);
    assert_int_equal(rig_counters(&r->m[0])->refused_nonsense, sizeof bad + 1);
    close(fd);
}

static void a_second_connection_replaces_the_first(void **state)
{
    struct rig *r = *state;
    int first = rig_socket(&r->m[0]);
    rig_say_hello(first, RIG_CLUSTER, 2, 1);
    rig_say_frame(first, RIG_TYPE, cb_span_str("of the first"));
    rig_run_until(r, r->m[0].received == 1);
    int second = rig_socket(&r->m[0]);
    rig_say_hello(second, RIG_CLUSTER, 2, 1);
    rig_run_until(r, rig_is_closed(first));
    assert_int_equal(r->m[0].ended, 1);
    assert_int_equal(rig_counters(&r->m[0])->refused_replaced, 1);
    rig_say_frame(second, RIG_TYPE, cb_span_str("of the second"));
    rig_run_until(r, r->m[0].received == 2);
    close(first);
    close(second);
}

static void a_crowd_is_bounded(void **state)
{
    struct rig *r = *state;
    int fds[CB_LINK_UNKNOWN_MAX + 8];
    size_t n = sizeof fds / sizeof fds[0];
    for (size_t i = 0; i < n; i++) {
        fds[i] = rig_socket(&r->m[0]);
        rig_turn(r);
    }
    rig_run_until(r, rig_counters(&r->m[0])->refused_crowd == 8);
    for (size_t i = 0; i < n; i++) { /* the oldest go */
        if (i < 8) {
            rig_run_until(r, rig_is_closed(fds[i]));
        }
    }
    /* A member comes through all the same. */
    rig_say_hello(fds[n - 1], RIG_CLUSTER, 3, 1);
    rig_say_frame(fds[n - 1], RIG_TYPE, cb_span_str("x"));
    rig_run_until(r, r->m[0].received == 1);
    for (size_t i = 0; i < n; i++) {
        close(fds[i]);
    }
}

/* On a connection of its own a member only listens. */
static void an_answer_on_a_connection_ends_it(void **state)
{
    struct rig *r = *state;
    int listener = rig_listen(&r->m[2]);
    assert_true(rig_send(&r->m[0], &r->m[2], 1));
    rig_run_until(r, r->m[0].sent_ok == 1);
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    rig_say(fd, cb_span_str("x"));
    rig_run_until(r, rig_counters(&r->m[0])->lost == 1);
    close(fd);
    close(listener);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    seed = seed_of_test(argc, argv);
    const struct CMUnitTest tests[] = {
        TEST(garbage_is_closed),
        TEST(random_garbage_is_closed),
        TEST(a_frame_that_is_too_long),
        TEST(a_wrong_checksum),
        TEST(another_version),
        TEST(a_slow_hello),
        TEST(a_silent_member),
        TEST(a_hello_that_is_not_for_here),
        TEST(a_first_frame_that_is_no_hello),
        TEST(frames_that_make_no_sense),
        TEST(a_second_connection_replaces_the_first),
        TEST(a_crowd_is_bounded),
        TEST(an_answer_on_a_connection_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
