/* Proves that libraft's messages go from one member to another over real sockets: large appends in
 * several, callbacks once; and that what makes no sense ends the connection alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include <uv.h>

#include "common/base/cb_bytes.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_list.h"
#include "common/base/cb_mem.h"
#include "node/replica/replica_net.h"
#include "node/replica/replica_wire.h"
#include "support/seed.h"
#include "unit/node/replica/wire_messages.h"

#define PATIENCE_NS UINT64_C(20000000000)
#define TICK_MS 5
#define RECEIVED_MAX 64

static uint64_t seed;

struct member {
    struct replica_net net;
    uint64_t id;
    char address[64];
    struct raft_message received[RECEIVED_MAX]; /* what came, owned */
    size_t n_received;
    bool is_destroyed;
};

struct pair {
    uv_loop_t loop;
    uv_timer_t wake;
    struct member m[2];
};

struct send {
    struct raft_io_send req;
    unsigned called;
    int status;
};

static int fake_start(struct raft_io *io, unsigned ms, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    (void)io;
    (void)ms;
    (void)tick;
    (void)recv;
    return 0;
}

static void on_recv(struct raft_io *io, struct raft_message *message)
{
    struct member *m = CB_CONTAINER(io, struct member, net.io);
    assert_true(m->n_received < RECEIVED_MAX);
    assert_string_equal(message->server_address, "told:1");
    m->received[m->n_received++] = *message;
}

static void on_wake(uv_timer_t *timer)
{
    (void)timer;
}

static void start(struct pair *p, struct member *m, uint64_t id)
{
    const struct link_config config = {
        .cluster = 1, .self = id, .address = "told:1", .tick_ms = TICK_MS};
    struct cb_buf error = CB_BUF_NULL;
    m->id = id;
    m->net.io.start = fake_start;
    replica_net_init(&m->net, &p->loop, &config);
    assert_true(link_listen(m->net.link, "127.0.0.1:0", &error));
    snprintf(m->address, sizeof m->address, "127.0.0.1:%u", link_port(m->net.link));
    assert_int_equal(m->net.io.start(&m->net.io, 100, NULL, on_recv), 0);
    cb_buf_fini(&error);
}

static int set_up(void **state)
{
    static struct pair p;
    memset(&p, 0, sizeof p);
    assert_int_equal(uv_loop_init(&p.loop), 0);
    assert_int_equal(uv_timer_init(&p.loop, &p.wake), 0);
    assert_int_equal(uv_timer_start(&p.wake, on_wake, 1, 1), 0);
    start(&p, &p.m[0], 1);
    start(&p, &p.m[1], 2);
    *state = &p;
    return 0;
}

static void on_destroyed(void *ctx)
{
    ((struct member *)ctx)->is_destroyed = true;
}

static void forget(struct member *m)
{
    for (size_t i = 0; i < m->n_received; i++) {
        replica_wire_free(&m->received[i]);
    }
    m->n_received = 0;
}

static void stop(struct pair *p, struct member *m)
{
    link_destroy(m->net.link, on_destroyed, m);
    while (!m->is_destroyed) {
        uv_run(&p->loop, UV_RUN_ONCE);
    }
    forget(m);
}

static int tear_down(void **state)
{
    struct pair *p = *state;
    for (size_t i = 0; i < 2; i++) {
        if (!p->m[i].is_destroyed) {
            stop(p, &p->m[i]);
        }
    }
    uv_close((uv_handle_t *)&p->wake, NULL);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&p->loop), 0);
    return 0;
}

#define run_until(p, cond)                                                                         \
    do {                                                                                           \
        uint64_t deadline = uv_hrtime() + PATIENCE_NS;                                             \
        while (!(cond)) {                                                                          \
            if (uv_hrtime() > deadline) {                                                          \
                fail_msg("not reached: %s", #cond);                                                \
            }                                                                                      \
            uv_run(&(p)->loop, UV_RUN_ONCE);                                                       \
        }                                                                                          \
    } while (0)

static void on_sent(struct raft_io_send *req, int status)
{
    struct send *s = CB_CONTAINER(req, struct send, req);
    s->called++;
    s->status = status;
}

static int send_to(struct pair *p, struct send *s, struct raft_message *m)
{
    *s = (struct send){.status = -1};
    m->server_id = 2;
    m->server_address = p->m[1].address;
    return p->m[0].net.io.send(&p->m[0].net.io, &s->req, m, on_sent);
}

static void all_types_arrive(void **state)
{
    struct pair *p = *state;
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    for (int i = 0; i < 60; i++) {
        struct raft_message m;
        struct send s;
        wire_message_random(&rng, (enum raft_message_type)(1 + i % 6), &m);
        if (m.type == RAFT_REQUEST_VOTE) {
            m.request_vote.candidate_id = 1;
        }
        assert_int_equal(send_to(p, &s, &m), 0);
        assert_int_equal(s.called, 0);
        run_until(p, s.called == 1 && p->m[1].n_received == 1);
        assert_int_equal(s.status, 0);
        assert_int_equal(p->m[1].received[0].server_id, 1);
        wire_message_assert_equal(&m, &p->m[1].received[0]);
        replica_wire_free(&m);
        forget(&p->m[1]);
    }
}

/* Entries of `len` bytes arrive in `messages` messages, one after the other. */
static void check_split(struct pair *p, unsigned n, size_t len, size_t messages)
{
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES};
    struct raft_append_entries *a = &m.append_entries;
    struct send s;
    wire_entries_make(a, n, len, 5);
    a->prev_log_index = 10;
    a->prev_log_term = 4;
    assert_int_equal(send_to(p, &s, &m), 0);
    run_until(p, s.called == 1 && p->m[1].n_received == messages);
    unsigned at = 0;
    for (size_t i = 0; i < messages; i++) {
        const struct raft_append_entries *part = &p->m[1].received[i].append_entries;
        assert_int_equal(part->term, a->term);
        assert_int_equal(part->prev_log_index, 10 + at);
        assert_int_equal(part->prev_log_term, at == 0 ? 4 : a->entries[at - 1].term);
        for (unsigned k = 0; k < part->n_entries; k++, at++) {
            assert_int_equal(part->entries[k].term, a->entries[at].term);
            assert_int_equal(part->entries[k].buf.len, len);
            assert_memory_equal(part->entries[k].buf.base, a->entries[at].buf.base, len);
        }
    }
    assert_int_equal(at, n);
    assert_int_equal(s.status, 0);
    assert_int_equal(s.called, 1);
    replica_wire_free(&m);
    forget(&p->m[1]);
}

static void a_large_append_goes_in_several(void **state)
{
    struct pair *p = *state;
    check_split(p, 3, 64, 1);
    check_split(p, 100, 16 * 1024, 1);
    check_split(p, 5, 3 << 20, 5);
    check_split(p, 9, 1 << 20, 3);
    check_split(p, 10, 2000000 & ~7, 5);
    check_split(p, 1, CB_ENTRY_SIZE_MAX + 8, 1);
    check_split(p, 16, CB_ENTRY_SIZE_MAX + 8, 16); /* twice what may wait: all or nothing */
    check_split(p, 300000, 8, 2);
}

/* --- a sender that makes no sense: frames that are sound, sent by a link of the test's own --- */

static void say(struct pair *p, uint8_t type, struct cb_span bytes)
{
    const struct link_counters *theirs = link_counters_get(p->m[1].net.link);
    const struct link_counters *ours = link_counters_get(p->m[0].net.link);
    uint64_t refused = theirs->refused_nonsense;
    uint64_t lost = ours->lost;
    const struct link_message message = {.type = type, .head = bytes};
    run_until(p, link_send(p->m[0].net.link, 2, p->m[1].address, &message, 1, NULL, NULL));
    run_until(p, theirs->refused_nonsense == refused + 1);
    run_until(p, ours->lost == lost + 1);
}

static void nonsense_ends_the_connection_alone(void **state)
{
    struct pair *p = *state;
    struct cb_buf b = CB_BUF_NULL;
    struct raft_message m = {.type = RAFT_REQUEST_VOTE, .request_vote = {.candidate_id = 7}};
    struct raft_message beat = {.type = RAFT_APPEND_ENTRIES};
    struct send s;
    replica_wire_head(&m, &b); /* somebody else's candidacy */
    say(p, REPLICA_NET_MESSAGE, cb_buf_span(&b));
    cb_buf_clear(&b);
    say(p, REPLICA_NET_MESSAGE, cb_span_str("no message"));
    say(p, REPLICA_NET_MESSAGE + 1, CB_SPAN_NULL);
    assert_int_equal(p->m[1].n_received, 0);
    run_until(p, send_to(p, &s, &beat) == 0);
    run_until(p, p->m[1].n_received == 1);
    cb_buf_fini(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    seed = seed_of_test(argc, argv);
    const struct CMUnitTest tests[] = {
        TEST(all_types_arrive),
        TEST(a_large_append_goes_in_several),
        TEST(nonsense_ends_the_connection_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
