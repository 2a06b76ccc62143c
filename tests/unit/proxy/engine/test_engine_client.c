/* Proves what one client sees and what is asked of the cluster for it: numbers, places of reads,
 * order of answers, the end of a connection, counts of what the proxy answers alone. */
#include "unit/proxy/engine/engine_rig.h"

static void commands_go_without_waiting(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_write(&r, 0, "use a\r\nput 1 2 3 4\r\nbody\r\ndelete 18446744073709551615\r\n");
    rig_flush(&r);
    rig_traced(&r, "send 3 #1 c1 CONN_OPEN; #2 c1 USE tube=a; #3 c1 PUT 1 2 3 body=body; "
                   "#4 c1 DELETE id=18446744073709551615; \n");
    rig_result(&r, 1, 2, 1, WIRE_USING);
    rig_result(&r, 2, 3, 1, WIRE_INSERTED);
    rig_deliver(&r, 3, 3);
    rig_got(&r, 0, "USING a\r\nINSERTED 77\r\n");
    rig_result(&r, 3, 4, 1, WIRE_NOT_FOUND);
    rig_deliver(&r, 3, 4);
    rig_got(&r, 0, "NOT_FOUND\r\n");
    rig_writable(&r);
    rig_traced(&r, ""); /* an acknowledgement makes no message of its own */
    rig_write(&r, 0, "touch 5\r\n");
    rig_flush(&r);
    rig_traced(&r, "send 4 #5 c1 TOUCH id=5; ack=3; \n");
    rig_fini(&r);
}

static void every_outcome_has_its_answer(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum wire_outcome outcome;
        const char *answer;
    } cases[] = {
        {"watch a\r\n", WIRE_WATCHING, "WATCHING 2\r\n"},
        {"ignore a\r\n", WIRE_NOT_IGNORED, "NOT_IGNORED\r\n"},
        {"reserve\r\n", WIRE_RESERVED, "RESERVED 77 3\r\njob\r\n"},
        {"reserve\r\n", WIRE_DEADLINE_SOON, "DEADLINE_SOON\r\n"},
        {"reserve-with-timeout 3\r\n", WIRE_TIMED_OUT, "TIMED_OUT\r\n"},
        {"reserve-job 3\r\n", WIRE_RESERVED, "RESERVED 77 3\r\njob\r\n"},
        {"delete 3\r\n", WIRE_DELETED, "DELETED\r\n"},
        {"release 3 1 2\r\n", WIRE_RELEASED, "RELEASED\r\n"},
        {"bury 3 1\r\n", WIRE_BURIED, "BURIED\r\n"},
        {"touch 3\r\n", WIRE_TOUCHED, "TOUCHED\r\n"},
        {"kick 3\r\n", WIRE_KICKED, "KICKED 2\r\n"},
        {"kick-job 3\r\n", WIRE_KICKED_JOB, "KICKED\r\n"},
        {"pause-tube a 3\r\n", WIRE_PAUSED, "PAUSED\r\n"},
        {"put 0 0 1 0\r\n\r\n", WIRE_OUT_OF_MEMORY, "OUT_OF_MEMORY\r\n"},
    };
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    for (uint64_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig_write(&r, 0, cases[i].line);
        rig_flush(&r);
        rig_result(&r, i + 1, i + 2, 1, cases[i].outcome);
        rig_deliver(&r, 3 + i, i + 2);
        rig_got(&r, 0, cases[i].answer);
        rig_writable(&r);
    }
    rig_fini(&r);
}

static void nothing_is_taken_behind_a_waiting_reserve(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_write(&r, 0, "put 0 0 1 1\r\nx\r\nreserve\r\ndelete 77\r\nbad\r\n");
    rig_flush(&r);
    rig_traced(&r, "send 3 #1 c1 CONN_OPEN; #2 c1 PUT 0 0 1 body=x; #3 c1 RESERVE; \n");
    rig_result(&r, 1, 2, 1, WIRE_INSERTED); /* of the put: the reserve still waits */
    rig_deliver(&r, 3, 3);
    rig_writable(&r);
    rig_traced(&r, "");
    rig_got(&r, 0, "INSERTED 77\r\n");
    rig_result(&r, 2, 3, 1, WIRE_RESERVED);
    rig_deliver(&r, 3, 3);
    rig_flush(&r);
    rig_got(&r, 0, "RESERVED 77 3\r\njob\r\n");
    rig_traced(&r, "send 4 #4 c1 DELETE id=77; ack=2; \n");
    rig_result(&r, 3, 4, 1, WIRE_DELETED);
    rig_deliver(&r, 4, 4);
    rig_got(&r, 0, "DELETED\r\nUNKNOWN_COMMAND\r\n");
    rig_fini(&r);
}

static void reads_keep_their_place(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    /* The use behind the two reads waits: they must see the tube before it. */
    rig_write(&r, 0, "use a\r\nlist-tube-used\r\nstats-job 4\r\nuse b\r\nlist-tube-used\r\n");
    rig_flush(&r);
    rig_traced(&r, "send 3 #1 c1 CONN_OPEN; #2 c1 USE tube=a; ?1 c1 kind=9 after=2; "
                   "?2 c1 kind=3 after=2; \n");
    struct cb_span a = cb_span_str("a");
    struct wire_read_result *used = rig_read_result(&r, 1, true);
    used->tubes = &a;
    used->n_tubes = 1;
    rig_result(&r, 1, 2, 1, WIRE_USING);
    rig_deliver(&r, 3, 2);
    rig_writable(&r);
    rig_traced(&r, "");
    rig_got(&r, 0, "USING a\r\nUSING a\r\n");
    (void)rig_read_result(&r, 2, false);
    rig_deliver(&r, 3, 2);
    rig_flush(&r);
    rig_got(&r, 0, "NOT_FOUND\r\n");
    rig_traced(&r, "send 4 #3 c1 USE tube=b; ?3 c1 kind=9 after=3; ack=1; \n");
    rig_fini(&r);
}

static void answers_wait_for_those_before_them(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_write(&r, 0, "delete 1\r\nstats-job 4\r\nfoo\r\nstats-job 5\r\n");
    rig_flush(&r);
    (void)rig_read_result(&r, 2, false);
    rig_deliver(&r, 3, 0);
    rig_got(&r, 0, "");
    struct wire_read_result *job = rig_read_result(&r, 1, true);
    job->stats_kind = WIRE_STATS_JOB;
    job->stats.job = (struct wire_job_stats){.id = 4,
                                             .tube = cb_span_str("t"),
                                             .state = WIRE_JOB_DELAYED,
                                             .pri = 1,
                                             .delay = 9,
                                             .ttr = 3,
                                             .age_ns = 2999 * CB_NS_PER_MS,
                                             .left_ns = 1999 * CB_NS_PER_MS};
    rig_deliver(&r, 3, 0);
    rig_got(&r, 0, "");
    rig_result(&r, 1, 2, 1, WIRE_DELETED);
    rig_deliver(&r, 3, 2);
    rig_got(
        &r, 0,
        "DELETED\r\nOK 141\r\n---\nid: 4\ntube: \"t\"\nstate: delayed\npri: 1\nage: 2\ndelay: 9\n"
        "ttr: 3\ntime-left: 1\nfile: 0\nreserves: 0\ntimeouts: 0\nreleases: 0\nburies: 0\n"
        "kicks: 0\n\r\nUNKNOWN_COMMAND\r\nNOT_FOUND\r\n");
    rig_fini(&r);
}

static void lists_and_peeks(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_write(&r, 0, "list-tubes\r\npeek 4\r\n");
    rig_flush(&r);
    /* Both answers may be large: the second is not asked for before the first is here. */
    rig_traced(&r, "send 3 #1 c1 CONN_OPEN; ?1 c1 kind=8 after=1; \n");
    struct cb_span tubes[] = {cb_span_str("default"), cb_span_str("b")};
    struct wire_read_result *list = rig_read_result(&r, 1, true);
    list->tubes = tubes;
    list->n_tubes = 2;
    rig_deliver(&r, 3, 1);
    rig_got(&r, 0, "OK 18\r\n---\n- default\n- b\n\r\n");
    rig_writable(&r);
    rig_traced(&r, "send 4 ?2 c1 kind=4 after=1; \n");
    struct wire_read_result *peek = rig_read_result(&r, 2, true);
    peek->id = 4;
    peek->body = cb_span_str("xyz");
    rig_deliver(&r, 4, 1);
    rig_got(&r, 0, "FOUND 4 3\r\nxyz\r\n");
    rig_fini(&r);
}

static void own_answers_are_counted(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_connect(&r, 1);
    rig_write(&r, 0, "put 0 0 1 70000\r\n");                  /* too big: cmd-put, no producer */
    rig_write(&r, 1, "put 0 0 1 3 x\r\npause-tube -a 1\r\n"); /* cmd-put, cmd-pause-tube */
    rig_write(&r, 1, "put 0 0 1 3\r\nabcdef\r\n");            /* a producer's put that fails */
    rig_flush(&r);
    rig_traced(&r, "send 3 #1 c1 CONN_OPEN; #2 c2 CONN_OPEN; #3 c2 PUT_REJECTED; +0=2; +21=1; \n");
    rig_got(&r, 1, "BAD_FORMAT\r\nBAD_FORMAT\r\nEXPECTED_CRLF\r\nUNKNOWN_COMMAND\r\n");
    rig_fini(&r);
}

static void a_put_that_breaks_off_is_counted(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_write(&r, 0, "put 0 0 1 3\r\nab");
    rig_eof(&r, 0);
    rig_flush(&r);
    rig_traced(&r, "client 0 close flush\nsend 3 #1 c1 CONN_OPEN; #2 c1 CONN_CLOSE; +0=1; \n");
    rig_fini(&r);
}

static void a_drained_proxy_takes_no_puts(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    engine_drain(r.engine);
    rig_write(&r, 0, "put 0 0 1 1\r\nx\r\nput 0 0 1 1\r\nxyz\r\nput 0 0 1 65536\r\n");
    rig_got(&r, 0, "DRAINING\r\nEXPECTED_CRLF\r\nUNKNOWN_COMMAND\r\n");
    rig_flush(&r);
    rig_traced(&r, "send 3 #1 c1 CONN_OPEN; #2 c1 PUT_REJECTED; #3 c1 PUT_REJECTED; +0=1; \n");
    rig_fini(&r);
}

static void the_age_of_a_job_runs_from_its_line(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_write(&r, 0, "put 0 0 1 1\r\n");
    r.now_ns += 250 * CB_NS_PER_MS;
    rig_write(&r, 0, "x\r\n");
    rig_flush(&r);
    rig_traced(&r, "send 3 #1 c1 CONN_OPEN; #2 c1 PUT 0 0 1 age=250ms body=x; \n");
    rig_fini(&r);
}

static void quit_closes_after_the_answers(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_write(&r, 0, "delete 1\r\nquit\r\ndelete 2\r\n");
    rig_flush(&r);
    rig_traced(&r, "client 0 reading off\nsend 3 #1 c1 CONN_OPEN; #2 c1 DELETE id=1; \n");
    rig_result(&r, 1, 2, 1, WIRE_DELETED);
    rig_deliver(&r, 3, 2);
    rig_got(&r, 0, "DELETED\r\n");
    rig_gone(&r, 0);
    rig_writable(&r);
    rig_traced(&r, "client 0 close flush\nsend 4 #3 c1 CONN_CLOSE; ack=1; \n");
    rig_fini(&r);
}

static void half_close_ends_a_wait_and_the_rest_is_run(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_write(&r, 0, "reserve\r\ndelete 3\r\n");
    rig_eof(&r, 0);
    rig_flush(&r);
    rig_traced(&r, "client 0 reading off\n"
                   "send 3 #1 c1 CONN_OPEN; #2 c1 RESERVE; #3 c1 CONN_HALF_CLOSE; \n");
    rig_result(&r, 1, 2, 1, WIRE_TIMED_OUT);
    rig_deliver(&r, 3, 3);
    rig_writable(&r);
    rig_traced(&r, "send 4 #4 c1 DELETE id=3; ack=1; \n");
    rig_result(&r, 2, 4, 1, WIRE_DELETED);
    rig_deliver(&r, 4, 4);
    rig_got(&r, 0, "TIMED_OUT\r\nDELETED\r\n");
    rig_writable(&r);
    rig_traced(&r, "client 0 close flush\nsend 5 #5 c1 CONN_CLOSE; ack=2; \n");
    rig_fini(&r);
}

static void half_close_while_idle_closes(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_write(&r, 0, "stats-job 1\r\n");
    rig_eof(&r, 0);
    rig_flush(&r);
    rig_traced(&r, "client 0 reading off\nsend 3 #1 c1 CONN_OPEN; ?1 c1 kind=3 after=1; \n");
    (void)rig_read_result(&r, 1, false);
    rig_deliver(&r, 3, 1);
    rig_got(&r, 0, "NOT_FOUND\r\n");
    rig_writable(&r);
    rig_traced(&r, "client 0 close flush\nsend 4 #2 c1 CONN_CLOSE; \n");
    rig_fini(&r);
}

static void a_lost_client_is_closed_and_its_results_dropped(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_write(&r, 0, "reserve\r\ndelete 3\r\n");
    rig_flush(&r);
    rig_gone(&r, 0);
    rig_writable(&r);
    rig_forget_trace(&r);
    rig_result(&r, 1, 2, 1, WIRE_RESERVED);
    rig_deliver(&r, 4, 3);
    rig_connect(&r, 1);
    rig_writable(&r);
    rig_traced(&r, "send 5 #4 c2 CONN_OPEN; ack=1; \n");
    rig_fini(&r);
}

static void stats_mix_the_cluster_and_the_process(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r);
    rig_connect(&r, 0);
    rig_write(&r, 0, "stats\r\n");
    rig_flush(&r);
    struct wire_read_result *s = rig_read_result(&r, 1, true);
    s->stats_kind = WIRE_STATS_ALL;
    s->stats.all.ready = 5;
    s->stats.all.counters[WIRE_CMD_PAUSE_TUBE] = 6;
    rig_deliver(&r, 3, 1);
    struct cb_buf *out = engine_client_output(r.clients[0].engine_client);
    cb_buf_append(out, "", 1);
    const char *text = (const char *)cb_buf_span(out).ptr;
    assert_non_null(strstr(text, "current-jobs-ready: 5\n"));
    assert_non_null(strstr(text, "cmd-pause-tube: 6\n"));
    assert_non_null(strstr(text, "max-job-size: 65535\n"));
    assert_non_null(strstr(text, "pid: 42\n"));
    assert_non_null(strstr(text, "draining: false\n"));
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_go_without_waiting),
        cmocka_unit_test(every_outcome_has_its_answer),
        cmocka_unit_test(nothing_is_taken_behind_a_waiting_reserve),
        cmocka_unit_test(reads_keep_their_place),
        cmocka_unit_test(answers_wait_for_those_before_them),
        cmocka_unit_test(lists_and_peeks),
        cmocka_unit_test(own_answers_are_counted),
        cmocka_unit_test(a_put_that_breaks_off_is_counted),
        cmocka_unit_test(a_drained_proxy_takes_no_puts),
        cmocka_unit_test(the_age_of_a_job_runs_from_its_line),
        cmocka_unit_test(quit_closes_after_the_answers),
        cmocka_unit_test(half_close_ends_a_wait_and_the_rest_is_run),
        cmocka_unit_test(half_close_while_idle_closes),
        cmocka_unit_test(a_lost_client_is_closed_and_its_results_dropped),
        cmocka_unit_test(stats_mix_the_cluster_and_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
