/* Proves the session's side (design D3): resuming after a lost stream, what was seen twice, EXPECT,
 * the lease and the fence, a lost session, being superseded, following the leader, and the
 * bounds. */
#include <stdio.h>
#include <stdlib.h>

#include "unit/proxy/engine/engine_rig.h"

static void a_new_stream_sends_again_what_was_not_applied(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_write(&r, 0, "delete 1\r\ndelete 2\r\ndelete 3\r\nstats-job 1\r\n");
    rig_flush(&r);
    rig_result(&r, 1, 2, 1, WIRE_DELETED);
    rig_deliver(&r, 3, 2);
    rig_forget_trace(&r);
    rig_closed(&r, "gone", "n3:1");
    rig_flush(&r);
    rig_traced(&r, "open 2\nsend 1 attach=2 session=9 seen=1 random=5; \n");
    rig_write(&r, 0, "stats-job 2\r\n");
    rig_writable(&r);
    rig_traced(&r, "");
    /* The new leader has applied 3, whose result (and an old one) it sends again. */
    rig_attached(&r, 9, 3, 2);
    rig_result(&r, 1, 2, 1, WIRE_DELETED);
    rig_result(&r, 2, 3, 1, WIRE_NOT_FOUND);
    rig_deliver(&r, 1, 3);
    rig_flush(&r);
    rig_traced(&r, "send 2 #4 c1 DELETE id=3; ?1 c1 kind=3 after=4; ?2 c1 kind=3 after=4; ack=2; "
                   "resent\n");
    rig_got(&r, 0, "DELETED\r\nNOT_FOUND\r\n");
    rig_result(&r, 3, 4, 1, WIRE_DELETED);
    (void)rig_read_result(&r, 1, false);
    (void)rig_read_result(&r, 2, false);
    rig_deliver(&r, 2, 4);
    rig_got(&r, 0, "DELETED\r\nNOT_FOUND\r\nNOT_FOUND\r\n");
    rig_fini(&r);
}

/* What an older stream delivered was in a log entry that is applied only after the new attach. */
static void requests_applied_meanwhile_are_not_sent_again(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_write(&r, 0, "delete 1\r\ndelete 2\r\n");
    rig_flush(&r);
    rig_closed(&r, "gone", "n2:1");
    rig_flush(&r);
    rig_forget_trace(&r);
    rig_attached(&r, 9, 0, 0);
    rig_deliver(&r, 1, 0);
    rig_result(&r, 1, 2, 1, WIRE_DELETED);
    r.reply.expect = 2; /* out of date by the time it is read */
    rig_deliver(&r, 1, 2);
    rig_writable(&r);
    rig_traced(&r, "send 2 #3 c1 DELETE id=2; ack=1; resent\n");
    rig_got(&r, 0, "DELETED\r\n");
    rig_fini(&r);
}

static void expect_sends_again_once(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_write(&r, 0, "delete 1\r\n");
    rig_flush(&r);
    rig_write(&r, 0, "delete 2\r\n");
    rig_writable(&r);
    rig_writable(&r);
    rig_forget_trace(&r);
    r.reply.expect = 2;
    rig_deliver(&r, 3, 1);
    rig_flush(&r);
    rig_traced(&r, "send 5 #2 c1 DELETE id=1; #3 c1 DELETE id=2; \n");
    r.reply.expect = 2; /* about message 4, which was refused as well */
    rig_deliver(&r, 4, 1);
    rig_writable(&r);
    rig_traced(&r, "");
    r.reply.expect = 2; /* about message 5: refused again */
    rig_deliver(&r, 5, 1);
    rig_flush(&r);
    rig_traced(&r, "send 6 #2 c1 DELETE id=1; #3 c1 DELETE id=2; \n");
    rig_fini(&r);
}

static void a_read_is_asked_again_when_the_node_says_so(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_write(&r, 0, "stats-job 1\r\n");
    rig_flush(&r);
    rig_forget_trace(&r);
    rig_read_result(&r, 1, false)->again = true;
    rig_deliver(&r, 3, 1);
    rig_writable(&r);
    rig_traced(&r, "");
    rig_sleep(&r, 50);
    rig_traced(&r, "send 4 ?1 c1 kind=3 after=1; \n");
    rig_fini(&r);
}

static void an_idle_stream_sends_one_heartbeat_a_second(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    for (int i = 0; i < 5; i++) {
        rig_sleep(&r, 1000);
        rig_traced(&r, i == 0   ? "send 3 \n"
                       : i == 1 ? "send 4 \n"
                       : i == 2 ? "send 5 \n"
                       : i == 3 ? "send 6 \n"
                                : "send 7 \n");
        rig_deliver(&r, (uint64_t)i + 3, 0);
        rig_writable(&r);
    }
    rig_fini(&r);
}

static void a_silent_leader_is_left(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_sleep(&r, 1000);
    rig_traced(&r, "send 3 \n");
    rig_sleep(&r, 2900);
    rig_traced(&r, "");
    rig_sleep(&r, 200);
    rig_traced(&r, "note 2 node=0 number=0\nclose 0\nopen 1\n"
                   "send 1 attach=2 session=9 seen=0 random=5; \n");
    rig_fini(&r);
}

static void the_fence_closes_all_clients(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_write(&r, 0, "reserve\r\n");
    rig_flush(&r);
    rig_deliver(&r, 3, 2); /* confirms what was sent at this time */
    rig_closed(&r, "gone", NULL);
    rig_sleep(&r, 7990);
    assert_false(r.clients[0].close_asked);
    rig_sleep(&r, 20); /* 0.8 of 10 s */
    assert_true(r.clients[0].close_asked);
    rig_gone(&r, 0);
    rig_connect(&r, 1); /* a new one may wait */
    rig_write(&r, 1, "delete 5\r\nbad\r\n");
    while (!r.is_open) {
        rig_sleep(&r, 10);
    }
    rig_flush(&r);
    rig_forget_trace(&r);
    /* The session lives on: it is told that the connection is closed. */
    rig_attached(&r, 9, 2, 0);
    rig_deliver(&r, 1, 2);
    rig_writable(&r);
    rig_traced(&r, "send 2 #3 c1 CONN_CLOSE; #4 c2 CONN_OPEN; #5 c2 DELETE id=5; resent\n");
    rig_result(&r, 1, 5, 2, WIRE_DELETED);
    rig_deliver(&r, 2, 5);
    rig_got(&r, 1, "DELETED\r\nUNKNOWN_COMMAND\r\n");
    rig_fini(&r);
}

/* The process was stopped: what a leader said before is worth nothing after. */
static void a_late_message_is_not_answered(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_write(&r, 0, "reserve\r\n");
    rig_flush(&r);
    r.now_ns += 9 * CB_NS_PER_S;
    rig_result(&r, 1, 2, 1, WIRE_RESERVED);
    rig_deliver(&r, 3, 2);
    assert_true(r.clients[0].close_asked);
    rig_got(&r, 0, "");
    rig_fini(&r);
}

static void a_lost_session_starts_anew(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_connect(&r, 1);
    rig_write(&r, 0, "reserve\r\n");
    rig_flush(&r);
    rig_closed(&r, "gone", "n2:1");
    rig_flush(&r);
    rig_forget_trace(&r);
    rig_attached(&r, 20, 0, 0);
    rig_deliver(&r, 1, 0);
    rig_traced(&r, "client 0 close\nclient 1 close\nnote 6 node=1 number=2\n");
    rig_gone(&r, 0);
    rig_connect(&r, 2);
    rig_writable(&r);
    rig_traced(&r, "send 2 #1 c3 CONN_OPEN; resent\n");
    rig_fini(&r);
}

static void a_node_without_our_numbers_gets_a_new_incarnation(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_write(&r, 0, "delete 1\r\n");
    rig_flush(&r);
    rig_result(&r, 1, 2, 1, WIRE_DELETED);
    rig_deliver(&r, 3, 2);
    rig_closed(&r, "gone", "n2:1");
    rig_flush(&r);
    rig_forget_trace(&r);
    rig_attached(&r, 9, 1, 0); /* what was applied is not there: it must not be trusted */
    rig_deliver(&r, 1, 1);
    rig_flush(&r);
    rig_traced(&r,
               "client 0 close\nnote 6 node=1 number=1\nnote 4 node=1 number=0\nclose 1\nopen 2\n"
               "send 1 attach=3 session=0 seen=0 random=6; \n");
    rig_fini(&r);
}

static void superseded_ends_it(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_flush(&r);
    rig_forget_trace(&r);
    rig_closed(&r, "superseded by 10.0.0.9:11300", NULL);
    rig_traced(&r, "client 0 close\nsuperseded 10.0.0.9:11300\n");
    rig_sleep(&r, 5000);
    rig_traced(&r, "");
    rig_fini(&r);
}

static void the_leader_is_followed(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r);
    rig_flush(&r);
    rig_traced(&r, "open 0\nsend 1 attach=1 session=0 seen=0 random=5; \n");
    rig_closed(&r, "not leader", "n3:1"); /* at once */
    rig_flush(&r);
    rig_traced(&r, "open 2\nsend 1 attach=2 session=0 seen=0 random=5; \n");
    rig_closed(&r, "not leader", "elsewhere:1"); /* unknown: the next one */
    rig_flush(&r);
    rig_traced(&r, "open 0\nsend 1 attach=3 session=0 seen=0 random=5; \n");
    rig_closed(&r, "not leader", NULL); /* all were tried: a pause first */
    rig_flush(&r);
    rig_traced(&r, "");
    rig_sleep(&r, 49);
    rig_traced(&r, "");
    rig_sleep(&r, 152);
    rig_traced(&r, "open 1\nsend 1 attach=4 session=0 seen=0 random=5; \n");
    rig_fini(&r);
}

/* No node is asked after another: the first word of it is enough. */
static void a_new_leader_is_heard_of(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r); /* at n1 */
    rig_told(&r, 0, 4, "n1:1");
    rig_traced(&r, "");
    rig_closed(&r, "gone", NULL);
    rig_flush(&r);
    rig_traced(&r, "open 1\nsend 1 attach=2 session=9 seen=0 random=5; \n");
    rig_told(&r, 2, 5, "n3:1");
    rig_flush(&r);
    rig_traced(&r, "note 3 node=1 number=5\nclose 1\nopen 2\n"
                   "send 1 attach=3 session=9 seen=0 random=5; \n");
    rig_told(&r, 1, 5, "n3:1"); /* known already */
    rig_attached(&r, 9, 0, 0);
    rig_deliver(&r, 1, 0);
    rig_forget_trace(&r);
    rig_told(&r, 1, 6, "n2:1"); /* cut off from a majority it would not know yet */
    rig_flush(&r);
    rig_traced(&r, "note 3 node=2 number=6\nclose 2\nopen 1\n"
                   "send 1 attach=4 session=9 seen=0 random=5; \n");
    rig_fini(&r);
}

static void what_is_old_or_foreign_is_not_believed(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_told(&r, 0, 4, "n1:1");
    rig_told(&r, 1, 3, "n2:1");
    rig_told(&r, 1, 4, "n2:1");
    rig_told(&r, 2, 9, "elsewhere:1");
    rig_flush(&r);
    rig_traced(&r, "");
    rig_fini(&r);
}

/* A leader that was cut off answers while it does not know that another one leads, and what the
 * cluster has done since then is not in its state: no reason to take the session for lost. */
static void a_leader_of_old_is_left(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r); /* at n1 */
    rig_told(&r, 2, 5, "n3:1");
    rig_flush(&r);
    rig_attached(&r, 9, 0, 0);
    rig_deliver(&r, 1, 0);
    rig_writable(&r);
    rig_deliver(&r, 2, 0);
    rig_writable(&r);
    rig_connect(&r, 0);
    rig_write(&r, 0, "delete 1\r\n");
    rig_flush(&r);
    rig_result(&r, 1, 2, 1, WIRE_DELETED);
    rig_deliver(&r, 3, 2);
    rig_got(&r, 0, "DELETED\r\n");
    rig_closed(&r, "gone", NULL);
    rig_flush(&r);
    assert_int_equal(r.node, 0);
    rig_forget_trace(&r);
    r.term = 4; /* it led before n3 */
    rig_attached(&r, 9, 0, 0);
    rig_deliver(&r, 1, 0);
    rig_flush(&r);
    rig_traced(&r, "note 3 node=0 number=5\nclose 0\nopen 1\n"
                   "send 1 attach=4 session=9 seen=1 random=5; \n");
    r.term = 5;
    rig_attached(&r, 9, 2, 1);
    rig_deliver(&r, 1, 2);
    rig_writable(&r);
    rig_traced(&r, "send 2 resent\n");
    assert_false(r.clients[0].close_asked);
    rig_fini(&r);
}

static struct wire_leadership list(uint64_t index, const char *const *members)
{
    struct wire_leadership m = {.term = 5, .leader = "n1:1", .members_index = index};
    for (; members[m.n_members] != NULL; m.n_members++) {
        snprintf(m.members[m.n_members], CB_ADDRESS_MAX, "%s", members[m.n_members]);
    }
    return m;
}

static void a_node_that_was_added_is_found(void **state)
{
    (void)state;
    static const char *const four[] = {"n1:1", "n2:1", "n3:1", "n4:1", NULL};
    static const char *const other[] = {"n1:1", "n2:1", "!", "n5:1", NULL};
    static const char *const last[] = {"n1:1", "n5:1", "n6:1", NULL};
    struct rig r;
    rig_start(&r);
    struct wire_leadership m = list(10, four);
    rig_told_members(&r, 0, &m);
    rig_told_members(&r, 1, &m);
    rig_flush(&r);
    rig_traced(&r, "found 3 n4:1\n");
    assert_true(r.is_watched[3]);
    assert_string_equal(engine_node_address(r.engine, 3), "n4:1");
    snprintf(m.leader, sizeof m.leader, "n4:1");
    m.term = 6;
    rig_told_members(&r, 3, &m); /* it leads */
    rig_flush(&r);
    rig_traced(&r, "note 3 node=0 number=6\nclose 0\nopen 3\n"
                   "send 1 attach=2 session=9 seen=0 random=5; \n");
    m = list(9, other); /* of a node that is behind */
    rig_told_members(&r, 2, &m);
    rig_traced(&r, "");

    /* It has left; its number is another's once nothing is open to it. */
    m = list(12, other);
    rig_told_members(&r, 2, &m);
    rig_traced(&r, "found 4 !\nfound 4 n5:1\n");
    rig_unwatched(&r, 3);
    rig_closed(&r, "gone", NULL);
    rig_sleep(&r, 1000);
    assert_false(r.is_watched[3]);
    assert_true(r.is_watched[4]);
    for (int i = 0; i < 10; i++) {
        assert_int_not_equal(r.node, 3);
        rig_closed(&r, "not leader", NULL);
        rig_sleep(&r, 1000);
    }
    rig_forget_trace(&r);
    m = list(13, last);
    rig_told_members(&r, 2, &m);
    rig_traced(&r, "found 3 n6:1\n");
    assert_string_equal(engine_node_address(r.engine, 3), "n6:1");
    rig_fini(&r);
}

/* All were tried, and the next attempt has to wait; a word of a leader ends that. */
static void a_pause_ends_when_there_is_a_leader(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r);
    rig_flush(&r);
    rig_told(&r, 2, 4, "n1:1");
    for (int i = 0; i < 10 && r.is_open; i++) {
        rig_closed(&r, "not leader", NULL);
        rig_flush(&r);
    }
    assert_false(r.is_open);
    rig_forget_trace(&r);
    rig_told(&r, 1, 4, "n1:1");
    rig_flush(&r);
    assert_true(r.is_open);
    assert_int_equal(r.node, 0);
    rig_fini(&r);
}

static void a_watch_that_ended_is_asked_for_again(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    assert_true(r.is_watched[0] && r.is_watched[1] && r.is_watched[2]);
    rig_unwatched(&r, 1);
    rig_sleep(&r, 199);
    assert_false(r.is_watched[1]);
    rig_sleep(&r, 102);
    assert_true(r.is_watched[1]);
    rig_fini(&r);
}

static void hints_in_a_circle_do_not_spin(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r);
    rig_flush(&r);
    for (int i = 0; i < 20 && r.is_open; i++) {
        rig_closed(&r, "not leader", r.node == 0 ? "n2:1" : "n1:1");
        rig_flush(&r);
    }
    assert_false(r.is_open);
    rig_sleep(&r, 200);
    assert_true(r.is_open);
    rig_fini(&r);
}

static void nothing_is_invented_without_a_leader(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r);
    rig_connect(&r, 0);
    rig_connect(&r, 1);
    rig_connect(&r, 2);
    rig_write(&r, 0, "foo\r\nreserve-with-timeout 0\r\nfoo\r\n");
    rig_write(&r, 1, "quit\r\n");
    rig_write(&r, 2, "put 0 0 1 3\r\nabcdef\r\n");
    rig_sleep(&r, 60000);
    rig_got(&r, 0, "UNKNOWN_COMMAND\r\n");
    assert_true(r.clients[1].close_asked);
    rig_got(&r, 2, "EXPECTED_CRLF\r\nUNKNOWN_COMMAND\r\n");
    assert_false(r.clients[0].close_asked);
    rig_fini(&r);
}

static void nonsense_costs_the_node_its_stream(void **state)
{
    (void)state;
    struct rig r;
    for (int i = 0; i < 6; i++) {
        rig_start(&r);
        rig_connect(&r, 0);
        rig_flush(&r);
        switch (i) {
        case 0: /* a result was left out */
            rig_result(&r, 2, 1, 1, WIRE_DELETED);
            rig_deliver(&r, 3, 1);
            break;
        case 1: /* of a request that was never made */
            rig_result(&r, 1, 9, 1, WIRE_DELETED);
            rig_deliver(&r, 3, 1);
            break;
        case 2:
            rig_deliver(&r, 9, 0);
            break;
        case 3:
            rig_deliver(&r, 3, 9);
            break;
        case 4:
            r.reply.expect = 9;
            rig_deliver(&r, 3, 1);
            break;
        default:
            engine_stream_garbage(r.engine, r.node, r.now_ns);
            break;
        }
        assert_false(r.is_open);
        rig_flush(&r);
        assert_true(r.is_open && r.node == 1);
        assert_false(r.clients[0].close_asked);
        rig_fini(&r);
    }
}

static void requests_in_flight_are_bounded(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r); /* no node: nothing is applied */
    char *text = malloc(70000);
    int n = snprintf(text, 100, "put 0 0 1 60000\r\n");
    memset(text + n, 'x', 60000);
    memcpy(text + n + 60000, "\r\n", 3);
    for (int i = 0; i < 8; i++) {
        rig_connect(&r, i);
    }
    int written = 0;
    for (int i = 0; i < 1000; i++) {
        if (r.clients[i % 8].reading) {
            rig_write(&r, i % 8, text);
            written++;
        }
    }
    /* 16 MiB of requests, and then what each client has in its own buffer. */
    assert_in_range(written, 16 * 1024 * 1024 / 60100, 16 * 1024 * 1024 / 60000 + 16);
    for (int i = 0; i < 8; i++) {
        assert_false(r.clients[i].reading);
    }
    /* The node takes them: reading goes on. */
    rig_flush(&r);
    rig_attached(&r, 9, 0, 0);
    rig_deliver(&r, 1, 0);
    for (uint64_t seq = 2; seq < 400 && !r.clients[0].reading; seq++) {
        rig_writable(&r);
        rig_deliver(&r, seq, seq);
    }
    assert_true(r.clients[0].reading);
    free(text);
    rig_fini(&r);
}

static void a_client_that_does_not_read_is_not_served(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    r.hold_output = true;
    rig_connect(&r, 0);
    for (int i = 0; i < 40000 && r.clients[0].reading; i++) {
        rig_write(&r, 0, "bad\r\n");
    }
    assert_false(r.clients[0].reading);
    assert_in_range(cb_buf_len(engine_client_output(r.clients[0].engine_client)),
                    CB_CLIENT_OUTPUT_MAX, CB_CLIENT_OUTPUT_MAX + 100);
    r.hold_output = false;
    rig_flush(&r);
    assert_true(r.clients[0].reading);
    rig_fini(&r);
}

static void the_pipeline_is_bounded(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r);
    rig_connect(&r, 0);
    int n = 0;
    while (r.clients[0].reading && n < 10000) {
        rig_write(&r, 0, "delete 1\r\n");
        n++;
    }
    assert_in_range(n, CB_CLIENT_PIPELINE_MAX,
                    CB_CLIENT_PIPELINE_MAX + CB_CLIENT_READ_SIZE / 10 + 1);
    rig_fini(&r);
}

static void stopping_tells_the_cluster(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_flush(&r);
    rig_forget_trace(&r);
    engine_stop(r.engine, r.now_ns);
    assert_false(engine_is_stopped(r.engine));
    rig_gone(&r, 0);
    rig_writable(&r);
    rig_traced(&r, "client 0 close\nsend 4 #2 c1 CONN_CLOSE; \n");
    rig_deliver(&r, 4, 2);
    assert_true(engine_is_stopped(r.engine));
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_stream_sends_again_what_was_not_applied),
        cmocka_unit_test(requests_applied_meanwhile_are_not_sent_again),
        cmocka_unit_test(expect_sends_again_once),
        cmocka_unit_test(a_read_is_asked_again_when_the_node_says_so),
        cmocka_unit_test(an_idle_stream_sends_one_heartbeat_a_second),
        cmocka_unit_test(a_silent_leader_is_left),
        cmocka_unit_test(the_fence_closes_all_clients),
        cmocka_unit_test(a_late_message_is_not_answered),
        cmocka_unit_test(a_lost_session_starts_anew),
        cmocka_unit_test(a_node_without_our_numbers_gets_a_new_incarnation),
        cmocka_unit_test(superseded_ends_it),
        cmocka_unit_test(the_leader_is_followed),
        cmocka_unit_test(a_new_leader_is_heard_of),
        cmocka_unit_test(what_is_old_or_foreign_is_not_believed),
        cmocka_unit_test(a_leader_of_old_is_left),
        cmocka_unit_test(a_node_that_was_added_is_found),
        cmocka_unit_test(a_pause_ends_when_there_is_a_leader),
        cmocka_unit_test(a_watch_that_ended_is_asked_for_again),
        cmocka_unit_test(hints_in_a_circle_do_not_spin),
        cmocka_unit_test(nothing_is_invented_without_a_leader),
        cmocka_unit_test(nonsense_costs_the_node_its_stream),
        cmocka_unit_test(requests_in_flight_are_bounded),
        cmocka_unit_test(a_client_that_does_not_read_is_not_served),
        cmocka_unit_test(the_pipeline_is_bounded),
        cmocka_unit_test(stopping_tells_the_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
