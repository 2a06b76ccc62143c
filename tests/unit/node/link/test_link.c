/* Proves that frames between members arrive whole and in order over IPv4, IPv6 and host names; that
 * each send is called back exactly once, whatever happens; that a connection is made again by
 * itself; that what waits for a member is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
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
    *state = &r;
    return 0;
}

static int tear_down(void **state)
{
    rig_fini(*state);
    return 0;
}

static void exchange(struct rig *r, const char *host)
{
    rig_start(&r->m[0], host);
    rig_start(&r->m[1], host);
    for (uint64_t i = 0; i < 1000; i++) {
        assert_true(rig_send(&r->m[0], &r->m[1], i));
        assert_true(rig_send(&r->m[1], &r->m[0], i));
        if (i % 16 == 0) {
            rig_turn(r);
        }
    }
    rig_run_until(r, r->m[0].received == 1000 && r->m[1].received == 1000);
    rig_run_until(r, r->m[0].sent_ok == 1000 && r->m[1].sent_ok == 1000);
    assert_int_equal(r->m[0].sent_lost, 0);
    /* One connection each way. */
    assert_int_equal(rig_counters(&r->m[0])->connects, 1);
    assert_int_equal(rig_counters(&r->m[0])->accepted, 1);
    assert_int_equal(rig_counters(&r->m[0])->refused_nonsense, 0);
}

static void two_members_over_ipv4(void **state)
{
    exchange(*state, "127.0.0.1");
}

static bool has_ipv6(void)
{
    uv_loop_t loop;
    uv_tcp_t tcp;
    struct sockaddr_in6 at;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(uv_tcp_init(&loop, &tcp), 0);
    assert_int_equal(uv_ip6_addr("::1", 0, &at), 0);
    bool has = uv_tcp_bind(&tcp, (const struct sockaddr *)&at, 0) == 0;
    uv_close((uv_handle_t *)&tcp, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return has;
}

static void two_members_over_ipv6(void **state)
{
    if (has_ipv6()) {
        exchange(*state, "[::1]");
    } else {
        print_message("no IPv6 on this machine: not tried\n");
    }
}

/* It may have several addresses, not all of which are listened on at that port. */
static void a_host_name_is_looked_up(void **state)
{
    struct rig *r = *state;
    rig_start(&r->m[0], "127.0.0.1");
    rig_start(&r->m[1], "127.0.0.1");
    struct rig_member named = r->m[1];
    (void)snprintf(named.address, sizeof named.address, "localhost:%u", link_port(r->m[1].link));
    assert_true(rig_send(&r->m[0], &named, 1));
    /* The first address may refuse; what waited for it is lost, as on any connection that breaks.
     */
    rig_run_until(r, r->m[0].sent_ok + r->m[0].sent_lost == 1);
    rig_run_until(r, r->m[1].received > 0 || rig_poke(&r->m[0], &named));
    rig_run_until(r, r->m[1].received > 0);
}

static void a_listener_on_a_host_name(void **state)
{
    struct rig *r = *state;
    rig_start(&r->m[0], "127.0.0.1");
    rig_start(&r->m[1], "localhost");
    (void)snprintf(r->m[1].address, sizeof r->m[1].address, "localhost:%u",
                   link_port(r->m[1].link));
    rig_run_until(r, r->m[1].received > 0 || (rig_poke(&r->m[0], &r->m[1]), false));
    assert_string_equal(r->m[1].last_address, "127.0.0.1:0"); /* as it was told to say */
}

static void a_taken_port_is_said(void **state)
{
    struct rig *r = *state;
    rig_start(&r->m[0], "127.0.0.1");
    const struct link_config config = {.cluster = 1, .self = 9, .address = "x:1"};
    const struct link_events events = {.data = NULL};
    struct link *l = link_create(&r->loop, &config, &events);
    struct cb_buf error = CB_BUF_NULL;
    static const char *const bad[] = {"", "127.0.0.1", "unix:/tmp/x", "[::1:1", "no.such.host."};
    assert_false(link_listen(l, r->m[0].address, &error));
    cb_buf_append(&error, "", 1);
    assert_non_null(strstr((const char *)error.base, "another process has that port"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(link_listen(l, bad[i], &error));
    }
    assert_int_equal(link_port(l), 0);
    cb_buf_fini(&error);
    link_destroy(l, NULL, NULL);
}

static void large_frames_arrive_whole(void **state)
{
    struct rig *r = *state;
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    rig_start(&r->m[0], "127.0.0.1");
    rig_start(&r->m[1], "127.0.0.1");
    uint8_t *bytes = cb_malloc(CB_LINK_FRAME_MAX);
    for (size_t i = 0; i < CB_LINK_FRAME_MAX; i++) {
        bytes[i] = (uint8_t)(i * 31 + i / 251);
    }
    for (uint64_t i = 0; i < 8; i++) {
        size_t len = i == 0 ? CB_LINK_FRAME_MAX : 1 + cb_rng_below(&rng, CB_LINK_FRAME_MAX);
        assert_true(rig_send_bytes(&r->m[0], &r->m[1], cb_span(bytes, len)));
        rig_run_until(r, r->m[1].received == i + 1);
        assert_true(cb_span_eq(cb_buf_span(&r->m[1].last), cb_span(bytes, len)));
        rig_run_until(r, r->m[0].sent_ok == i + 1);
    }
    cb_free(bytes);
}

static void several_frames_go_as_one(void **state)
{
    struct rig *r = *state;
    rig_start(&r->m[0], "127.0.0.1");
    rig_start(&r->m[1], "127.0.0.1");
    const struct cb_span body[] = {cb_span_str("bb"), CB_SPAN_NULL, cb_span_str("ccc")};
    const struct link_message m[] = {
        {.type = RIG_TYPE, .head = cb_span_str("a"), .body = body, .n_body = 3},
        {.type = RIG_TYPE + 1},
        {.type = RIG_TYPE + 2, .head = cb_span_str("z")},
    };
    assert_true(link_send(r->m[0].link, 2, r->m[1].address, m, 1, NULL, NULL));
    rig_run_until(r, r->m[1].received == 1);
    assert_true(cb_span_eq(cb_buf_span(&r->m[1].last), cb_span_str("abbccc")));
    assert_true(link_send(r->m[0].link, 2, r->m[1].address, m, 3, NULL, NULL));
    rig_run_until(r, r->m[1].received == 4);
    assert_true(cb_span_eq(cb_buf_span(&r->m[1].last), cb_span_str("z")));
}

/* --- connections that break --- */

static void it_connects_again_when_the_member_is_back(void **state)
{
    struct rig *r = *state;
    rig_start(&r->m[0], "127.0.0.1");
    rig_start(&r->m[1], "127.0.0.1");
    for (int round = 0; round < 3; round++) {
        assert_true(rig_poke(&r->m[0], &r->m[1]));
        rig_run_until(r, r->m[1].received == (uint64_t)round + 1);
        rig_stop(&r->m[1]);
        rig_run_until(r, rig_counters(&r->m[0])->lost == (uint64_t)round + 1);
        /* It is refused at once now and then, which raft takes for a lost message. */
        rig_run_until(r, !rig_poke(&r->m[0], &r->m[1]));
        rig_run_until(r, rig_counters(&r->m[0])->connects_failed > (uint64_t)round);
        rig_restart(&r->m[1]);
        rig_run_until(r, rig_counters(&r->m[0])->connects == (uint64_t)round + 2);
    }
    assert_true(rig_counters(&r->m[0])->sends_unconnected > 0);
}

/* No time for retries is waited for. */
static void a_member_that_is_gone_is_seen_at_once(void **state)
{
    struct rig *r = *state;
    rig_start(&r->m[0], "127.0.0.1");
    rig_start(&r->m[1], "127.0.0.1");
    for (int round = 0; round < 2; round++) {
        uint64_t gone = r->m[0].gone;
        uint64_t received = r->m[0].received;
        uint64_t connects = rig_counters(&r->m[0])->connects;
        rig_run_until(r, rig_poke(&r->m[0], &r->m[1]));
        rig_run_until(r, rig_poke(&r->m[1], &r->m[0]));
        rig_run_until(r, r->m[0].received > received);
        uint64_t good = uv_hrtime() + UINT64_C(300000000); /* they have lasted for some ticks */
        rig_run_until(r, uv_hrtime() > good);
        assert_int_equal(r->m[0].gone, gone);
        uint64_t failed = rig_counters(&r->m[0])->connects_failed;
        rig_stop(&r->m[1]);
        rig_run_until(r, r->m[0].gone > gone);
        assert_int_equal(rig_counters(&r->m[0])->connects_failed, failed + 1);
        rig_restart(&r->m[1]);
        rig_run_until(r, rig_counters(&r->m[0])->connects > connects);
    }
}

/* One whose connection to here stands is not gone, whatever its port says. */
static void a_member_that_is_connected_is_not_gone(void **state)
{
    struct rig *r = *state;
    rig_start(&r->m[0], "127.0.0.1");
    rig_start(&r->m[1], "127.0.0.1");
    int fd = rig_socket(&r->m[0]);
    rig_say_hello(fd, RIG_CLUSTER, 2, 1);
    rig_run_until(r, rig_counters(&r->m[0])->accepted == 1);
    rig_stop(&r->m[1]);
    rig_run_until(r, rig_poke(&r->m[0], &r->m[1]));
    rig_run_until(r, rig_counters(&r->m[0])->connects_failed >= 2);
    assert_int_equal(r->m[0].gone, 0);
    close(fd);
    rig_run_until(r, r->m[0].gone > 0);
}

/* Whoever is asked for by a member that came back answers at once, without waiting for its turn. */
static void it_connects_at_once_to_who_connects(void **state)
{
    struct rig *r = *state;
    rig_start(&r->m[0], "127.0.0.1");
    rig_start(&r->m[1], "127.0.0.1");
    rig_stop(&r->m[1]);
    rig_run_until(r, rig_send(&r->m[0], &r->m[1], 1));
    /* By now it waits for long between attempts. */
    rig_run_until(r, rig_counters(&r->m[0])->connects_failed >= 5);
    rig_run_until(r, !rig_send(&r->m[0], &r->m[1], 1));
    uint64_t failed = rig_counters(&r->m[0])->connects_failed;
    rig_restart(&r->m[1]);
    assert_true(rig_send(&r->m[1], &r->m[0], 1));
    rig_run_until(r, rig_counters(&r->m[0])->connects == 1);
    assert_true(rig_counters(&r->m[0])->connects_failed <= failed + 1);
}

static void what_waits_is_bounded(void **state)
{
    struct rig *r = *state;
    static uint8_t bytes[64 * 1024];
    rig_start(&r->m[0], "127.0.0.1");
    rig_start(&r->m[1], "127.0.0.1");
    int fd = rig_listen(&r->m[2]); /* takes nothing: it is never read */
    uint64_t accepted = 0;
    for (int turns = 0; turns < 2000; turns++) {
        accepted += rig_send_bytes(&r->m[0], &r->m[2], cb_span(bytes, sizeof bytes));
        rig_turn(r);
    }
    assert_true(rig_counters(&r->m[0])->sends_full > 0);
    /* What waits is one more than the bound at most. */
    uint64_t waiting = accepted - r->m[0].sent_ok - r->m[0].sent_lost;
    assert_true(waiting * sizeof bytes <= (1 << 20) + 2 * sizeof bytes);
    /* Others are not held up by it. */
    assert_true(rig_send(&r->m[0], &r->m[1], 1));
    rig_run_until(r, r->m[1].received == 1);
    close(fd);
    rig_stop(&r->m[0]);
    assert_int_equal(r->m[0].sent_ok + r->m[0].sent_lost, accepted + 1);
}

/* Without a turn of the loop in between, and in one piece. */
static void a_flush_sends_what_waits(void **state)
{
    struct rig *r = *state;
    char bytes[256];
    rig_start(&r->m[0], "127.0.0.1");
    int listener = rig_listen(&r->m[2]);
    link_flush(r->m[0].link); /* nothing does */
    assert_true(rig_poke(&r->m[0], &r->m[2]));
    rig_run_until(r, r->m[0].sent_ok == 1);
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_true(recv(fd, bytes, sizeof bytes, 0) > 0);
    assert_true(rig_poke(&r->m[0], &r->m[2]));
    assert_true(rig_poke(&r->m[0], &r->m[2]));
    assert_int_equal(recv(fd, bytes, sizeof bytes, MSG_DONTWAIT), -1);
    link_flush(r->m[0].link);
    assert_int_equal(recv(fd, bytes, sizeof bytes, MSG_DONTWAIT),
                     2 * (LINK_FRAME_HEADER_SIZE + strlen("poke")));
    close(fd);
    close(listener);
}

static void an_idle_connection_is_kept_by_pings(void **state)
{
    struct rig *r = *state;
    rig_start(&r->m[0], "127.0.0.1");
    rig_start(&r->m[1], "127.0.0.1");
    assert_true(rig_send(&r->m[0], &r->m[1], 1));
    rig_run_until(r, r->m[1].received == 1);
    uint64_t frames = rig_counters(&r->m[1])->frames_received;
    uint64_t pings = 2 * CB_LINK_SILENCE_MS / CB_LINK_PING_MS;
    rig_run_until(r, rig_counters(&r->m[1])->frames_received >= frames + pings);
    assert_int_equal(rig_counters(&r->m[1])->refused_silent, 0);
    assert_int_equal(rig_counters(&r->m[0])->lost, 0);
    assert_int_equal(r->m[1].received, 1);
}

static void who_is_no_member_any_more_is_dropped(void **state)
{
    struct rig *r = *state;
    rig_start(&r->m[0], "127.0.0.1");
    rig_start(&r->m[1], "127.0.0.1");
    assert_true(rig_send(&r->m[0], &r->m[1], 1));
    assert_true(rig_send(&r->m[1], &r->m[0], 1));
    rig_run_until(r, r->m[0].received == 1 && r->m[1].received == 1);
    r->m[0].no_member = 2;
    rig_run_until(r, r->m[0].ended == 1 && r->m[1].ended == 1);
    rig_run_until(r, rig_counters(&r->m[0])->refused_stranger > 0);
    r->m[0].no_member = 0;
    rig_run_until(r, r->m[0].received > 1 || (rig_poke(&r->m[1], &r->m[0]), false));
}

static void stopping_calls_everything_back(void **state)
{
    struct rig *r = *state;
    rig_start(&r->m[0], "127.0.0.1");
    rig_start(&r->m[1], "127.0.0.1");
    for (unsigned turns = 0; turns < 8; turns++) {
        struct rig_member *m = &r->m[0];
        uint64_t accepted = m->sent_ok + m->sent_lost;
        for (uint64_t i = 0; i < 100; i++) {
            accepted += rig_send(m, &r->m[1], 100 * turns + i);
        }
        for (unsigned i = 0; i < turns; i++) {
            rig_turn(r);
        }
        rig_stop(m);
        assert_int_equal(m->sent_ok + m->sent_lost, accepted);
        rig_restart(m);
    }
}

/* Members come and go, numbers never go back, and every send is called back once. */
static void random_days(void **state)
{
    struct rig *r = *state;
    struct cb_rng rng;
    uint64_t accepted[RIG_MEMBERS] = {0};
    cb_rng_init(&rng, seed);
    for (size_t i = 0; i < RIG_MEMBERS; i++) {
        rig_start(&r->m[i], "127.0.0.1");
    }
    for (uint64_t number = 0; number < 3000; number++) {
        struct rig_member *from = &r->m[cb_rng_below(&rng, 2)];
        struct rig_member *to = &r->m[2];
        if (from->link != NULL) {
            accepted[from->id - 1] += rig_send(from, to, number);
        }
        if (cb_rng_chance(&rng, 1, 200)) {
            struct rig_member *m = &r->m[cb_rng_below(&rng, RIG_MEMBERS)];
            rig_stop(m);
            rig_restart(m);
        }
        if (cb_rng_chance(&rng, 1, 4)) {
            rig_turn(r);
        }
    }
    for (size_t i = 0; i < RIG_MEMBERS; i++) {
        rig_stop(&r->m[i]);
        assert_int_equal(r->m[i].sent_ok + r->m[i].sent_lost, accepted[i]);
    }
    assert_true(r->m[2].received > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    seed = seed_of_test(argc, argv);
    const struct CMUnitTest tests[] = {
        TEST(two_members_over_ipv4),
        TEST(two_members_over_ipv6),
        TEST(a_host_name_is_looked_up),
        TEST(a_listener_on_a_host_name),
        TEST(a_taken_port_is_said),
        TEST(large_frames_arrive_whole),
        TEST(several_frames_go_as_one),
        TEST(it_connects_again_when_the_member_is_back),
        TEST(a_member_that_is_gone_is_seen_at_once),
        TEST(a_member_that_is_connected_is_not_gone),
        TEST(it_connects_at_once_to_who_connects),
        TEST(what_waits_is_bounded),
        TEST(a_flush_sends_what_waits),
        TEST(an_idle_connection_is_kept_by_pings),
        TEST(who_is_no_member_any_more_is_dropped),
        TEST(stopping_calls_everything_back),
        TEST(random_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
