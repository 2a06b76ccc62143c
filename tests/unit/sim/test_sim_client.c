/* Proves that the simulated client writes each command as the protocol says, records it, takes
 * every answer that beanstalkd may give to it, and tells of every other, wherever the bytes are
 * cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/cb_hash.h"
#include "sim/sim_client_internal.h"

#define NOW UINT64_C(1000)
#define LATER UINT64_C(2000)

struct rig {
    struct history *history;
    struct sim_client_shared *shared;
    struct sim_client *client;
    struct cb_buf broken;
};

static void broken(void *data, const char *sentence)
{
    struct rig *r = data;
    cb_buf_append_str(&r->broken, sentence);
}

static int setup(void **state)
{
    static struct rig r;
    r.history = history_create();
    r.shared = sim_client_shared_create(r.history);
    const struct sim_client_env env = {.data = &r, .broken = broken};
    r.client = sim_client_create(r.shared, sim_client_profile(2), &env, 7, 1, NOW);
    r.broken = CB_BUF_NULL;
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    sim_client_destroy(r->client);
    sim_client_shared_destroy(r->shared);
    history_destroy(r->history);
    cb_buf_fini(&r->broken);
    return 0;
}

static void expect_output(struct rig *r, const char *text)
{
    struct cb_buf *out = sim_client_output(r->client);
    assert_int_equal(cb_buf_len(out), strlen(text));
    assert_memory_equal(cb_buf_span(out).ptr, text, strlen(text));
    cb_buf_clear(out);
}

static void receive(struct rig *r, const char *text)
{
    sim_client_received(r->client, cb_span_str(text), LATER);
}

static struct hist_record *last(struct rig *r)
{
    return history_at(r->history, history_count(r->history) - 1);
}

/* ---- one command, one answer ---- */

static void send_put(struct sim_client *c)
{
    sc_send_put(c, 1, 2, 3, 34, NOW);
}

static void send_use(struct sim_client *c)
{
    sc_send_tube(c, SC_USE, 1, NOW);
}

static void send_watch(struct sim_client *c)
{
    sc_send_tube(c, SC_WATCH, 1, NOW);
}

static void send_ignore(struct sim_client *c)
{
    sc_send_tube(c, SC_IGNORE, 1, NOW);
}

static void send_ignore_last(struct sim_client *c)
{
    sc_send_tube(c, SC_IGNORE, 0, NOW);
}

static void send_reserve(struct sim_client *c)
{
    sc_send_plain(c, SC_RESERVE, NOW);
}

static void send_reserve_timeout(struct sim_client *c)
{
    sc_send_reserve_timeout(c, 4, NOW);
}

static void send_release(struct sim_client *c)
{
    sc_send_release(c, 5, 6, 7, NOW);
}

static void send_bury(struct sim_client *c)
{
    sc_send_bury(c, 5, 6, NOW);
}

static void send_kick(struct sim_client *c)
{
    sc_send_kick(c, 9, NOW);
}

static void send_pause(struct sim_client *c)
{
    sc_send_pause(c, 1, 8, NOW);
}

static void send_pause_own(struct sim_client *c)
{
    sc_send_pause(c, 0, 8, NOW);
}

static void send_stats_tube(struct sim_client *c)
{
    sc_send_tube(c, SC_STATS_TUBE, 1, NOW);
}

#define BY_ID(name, kind)                                                                          \
    static void send_##name(struct sim_client *c)                                                  \
    {                                                                                              \
        sc_send_id(c, SC_##kind, 5, NOW);                                                          \
    }
#define PLAIN(name, kind)                                                                          \
    static void send_##name(struct sim_client *c)                                                  \
    {                                                                                              \
        sc_send_plain(c, SC_##kind, NOW);                                                          \
    }

BY_ID(reserve_job, RESERVE_JOB)
BY_ID(delete, DELETE)
BY_ID(touch, TOUCH)
BY_ID(kick_job, KICK_JOB)
BY_ID(peek, PEEK)
BY_ID(stats_job, STATS_JOB)
PLAIN(peek_ready, PEEK_READY)
PLAIN(peek_delayed, PEEK_DELAYED)
PLAIN(peek_buried, PEEK_BURIED)
PLAIN(stats, STATS)
PLAIN(list_tubes, LIST_TUBES)
PLAIN(list_used, LIST_USED)
PLAIN(list_watched, LIST_WATCHED)

/* Of the first token; the bytes behind it are the client's own affair. */
static const char *body_34(void)
{
    static char text[35];
    uint64_t token[2];
    history_token(1, token);
    struct cb_buf b = CB_BUF_NULL;
    sc_body_append(&b, token, 34);
    memcpy(text, b.base, 34);
    cb_buf_fini(&b);
    return text;
}

struct exchange {
    void (*send)(struct sim_client *c);
    const char *command;     /* "BODY" stands for body_34() */
    const char *answer;      /* the same */
    enum hist_result result; /* HIST_UNKNOWN: it is told as broken */
};

#define STATS_JOB_HEAD                                                                             \
    "---\nid: 5\ntube: default\nstate: buried\npri: 1\nage: 2\ndelay: 3\nttr: 4\n"
#define STATS_JOB_TAIL "file: 0\nreserves: 1\ntimeouts: 0\nreleases: 0\nburies: 1\nkicks: 0\n"
#define STATS_TUBE_TAIL                                                                            \
    "current-jobs-urgent: 1\ncurrent-jobs-ready: 1\ncurrent-jobs-reserved: 2\n"                    \
    "current-jobs-delayed: 3\ncurrent-jobs-buried: 4\ntotal-jobs: 10\ncurrent-using: 0\n"          \
    "current-watching: 0\ncurrent-waiting: 0\ncmd-delete: 0\ncmd-pause-tube: 0\npause: 0\n"        \
    "pause-time-left: 0\n"

/* clang-format off */
static const struct exchange exchanges[] = {
    {send_put, "put 1 2 3 34\r\nBODY\r\n", "INSERTED 5\r\n", HIST_OK},
    {send_put, NULL, "BURIED 5\r\n", HIST_INSERTED_BURIED},
    {send_put, NULL, "DRAINING\r\n", HIST_REJECTED},
    {send_put, NULL, "OUT_OF_MEMORY\r\n", HIST_NO_ROOM},
    {send_put, NULL, "INTERNAL_ERROR\r\n", HIST_ERROR},
    {send_put, NULL, "JOB_TOO_BIG\r\n", HIST_UNKNOWN},
    {send_put, NULL, "EXPECTED_CRLF\r\n", HIST_UNKNOWN},
    {send_put, NULL, "INSERTED 0\r\n", HIST_UNKNOWN},
    {send_put, NULL, "INSERTED 05\r\n", HIST_UNKNOWN},
    {send_put, NULL, "INSERTED  5\r\n", HIST_UNKNOWN},
    {send_put, NULL, "INSERTED 5 \r\n", HIST_UNKNOWN},
    {send_put, NULL, "INSERTED\r\n", HIST_UNKNOWN},
    {send_put, NULL, "INSERTED 18446744073709551616\r\n", HIST_UNKNOWN},
    {send_put, NULL, "inserted 5\r\n", HIST_UNKNOWN},
    {send_put, NULL, "INSERTED 5\n\r\n", HIST_UNKNOWN},
    {send_put, NULL, "INSERTED 5\r\r\n", HIST_UNKNOWN},
    {send_put, NULL, "INSERTED 5\r\nX", HIST_UNKNOWN}, /* nothing was asked */

    {send_use, "use tube-1\r\n", "USING tube-1\r\n", HIST_OK},
    {send_use, NULL, "USING default\r\n", HIST_UNKNOWN},
    {send_use, NULL, "USING tube-1 \r\n", HIST_UNKNOWN},
    {send_use, NULL, "NOT_FOUND\r\n", HIST_UNKNOWN},
    {send_watch, "watch tube-1\r\n", "WATCHING 2\r\n", HIST_OK},
    {send_watch, NULL, "WATCHING 1\r\n", HIST_UNKNOWN},
    {send_ignore, "ignore tube-1\r\n", "WATCHING 1\r\n", HIST_OK},
    {send_ignore, NULL, "WATCHING 0\r\n", HIST_UNKNOWN},
    {send_ignore, NULL, "NOT_IGNORED\r\n", HIST_UNKNOWN},
    {send_ignore_last, "ignore default\r\n", "NOT_IGNORED\r\n", HIST_NOT_IGNORED},
    {send_ignore_last, NULL, "WATCHING 1\r\n", HIST_UNKNOWN},

    {send_reserve, "reserve\r\n", "RESERVED 5 34\r\nBODY\r\n", HIST_OK},
    {send_reserve, NULL, "RESERVED 5 34\r\nBODYxx", HIST_UNKNOWN},
    {send_reserve, NULL, "RESERVED 5 33\r\nBODY\r\n", HIST_UNKNOWN},
    {send_reserve, NULL, "RESERVED 5 4\r\nbody\r\n", HIST_UNKNOWN},
    {send_reserve, NULL, "RESERVED 0 34\r\nBODY\r\n", HIST_UNKNOWN},
    {send_reserve, NULL, "RESERVED 5 99999999999\r\n", HIST_UNKNOWN},
    {send_reserve, NULL, "FOUND 5 34\r\nBODY\r\n", HIST_UNKNOWN},
    {send_reserve, NULL, "TIMED_OUT\r\n", HIST_UNKNOWN},
    {send_reserve, NULL, "DEADLINE_SOON\r\n", HIST_UNKNOWN}, /* it holds nothing */
    {send_reserve_timeout, "reserve-with-timeout 4\r\n", "TIMED_OUT\r\n", HIST_TIMED_OUT},
    {send_reserve_timeout, NULL, "RESERVED 5 34\r\nBODY\r\n", HIST_OK},
    {send_reserve_timeout, NULL, "NOT_FOUND\r\n", HIST_UNKNOWN},
    {send_reserve_job, "reserve-job 5\r\n", "RESERVED 5 34\r\nBODY\r\n", HIST_OK},
    {send_reserve_job, NULL, "NOT_FOUND\r\n", HIST_NOT_FOUND},
    {send_reserve_job, NULL, "RESERVED 6 34\r\nBODY\r\n", HIST_UNKNOWN},
    {send_reserve_job, NULL, "TIMED_OUT\r\n", HIST_UNKNOWN},

    {send_delete, "delete 5\r\n", "DELETED\r\n", HIST_OK},
    {send_delete, NULL, "NOT_FOUND\r\n", HIST_NOT_FOUND},
    {send_delete, NULL, "DELETED 5\r\n", HIST_UNKNOWN},
    {send_release, "release 5 6 7\r\n", "NOT_FOUND\r\n", HIST_NOT_FOUND},
    {send_release, NULL, "RELEASED\r\n", HIST_UNKNOWN}, /* it does not hold it */
    {send_bury, "bury 5 6\r\n", "NOT_FOUND\r\n", HIST_NOT_FOUND},
    {send_bury, NULL, "BURIED\r\n", HIST_UNKNOWN},
    {send_touch, "touch 5\r\n", "NOT_FOUND\r\n", HIST_NOT_FOUND},
    {send_touch, NULL, "TOUCHED\r\n", HIST_UNKNOWN},
    {send_kick, "kick 9\r\n", "KICKED 9\r\n", HIST_OK},
    {send_kick, NULL, "KICKED 10\r\n", HIST_UNKNOWN},
    {send_kick, NULL, "KICKED\r\n", HIST_UNKNOWN},
    {send_kick_job, "kick-job 5\r\n", "KICKED\r\n", HIST_OK},
    {send_kick_job, NULL, "NOT_FOUND\r\n", HIST_NOT_FOUND},
    {send_kick_job, NULL, "KICKED 1\r\n", HIST_UNKNOWN},
    {send_pause, "pause-tube tube-1 8\r\n", "PAUSED\r\n", HIST_OK},
    {send_pause, NULL, "NOT_FOUND\r\n", HIST_NOT_FOUND},
    {send_pause_own, "pause-tube default 8\r\n", "NOT_FOUND\r\n", HIST_UNKNOWN},

    {send_peek, "peek 5\r\n", "FOUND 5 34\r\nBODY\r\n", HIST_OK},
    {send_peek, NULL, "NOT_FOUND\r\n", HIST_NOT_FOUND},
    {send_peek, NULL, "FOUND 6 34\r\nBODY\r\n", HIST_UNKNOWN},
    {send_peek_ready, "peek-ready\r\n", "FOUND 6 34\r\nBODY\r\n", HIST_OK},
    {send_peek_delayed, "peek-delayed\r\n", "NOT_FOUND\r\n", HIST_NOT_FOUND},
    {send_peek_buried, "peek-buried\r\n", "RESERVED 5 34\r\nBODY\r\n", HIST_UNKNOWN},

    {send_stats_job, "stats-job 5\r\n",
     "OK 144\r\n" STATS_JOB_HEAD "time-left: 0\n" STATS_JOB_TAIL "\r\n", HIST_OK},
    {send_stats_job, NULL, "NOT_FOUND\r\n", HIST_NOT_FOUND},
    {send_stats_job, NULL,
     "OK 143\r\n" STATS_JOB_HEAD "time-left: 0\n" STATS_JOB_TAIL "\r\n", HIST_UNKNOWN},
    {send_stats_job, NULL, "OK 131\r\n" STATS_JOB_HEAD STATS_JOB_TAIL "\r\n", HIST_UNKNOWN},
    {send_stats_job, NULL,
     "OK 144\r\n" STATS_JOB_HEAD "time-left: x\n" STATS_JOB_TAIL "\r\n", HIST_UNKNOWN},
    {send_stats_tube, "stats-tube tube-1\r\n",
     "OK 265\r\n---\nname: tube-1\n" STATS_TUBE_TAIL "\r\n", HIST_OK},
    {send_stats_tube, NULL, "OK 267\r\n---\nname: \"tube-1\"\n" STATS_TUBE_TAIL "\r\n", HIST_OK},
    {send_stats_tube, NULL, "OK 265\r\n---\nname: tube-2\n" STATS_TUBE_TAIL "\r\n", HIST_UNKNOWN},
    {send_stats_tube, NULL, "NOT_FOUND\r\n", HIST_NOT_FOUND},
    {send_stats, "stats\r\n", "OK 4\r\n---\n\r\n", HIST_UNKNOWN},
    {send_list_tubes, "list-tubes\r\n", "OK 14\r\n---\n- default\n\r\n", HIST_OK},
    {send_list_tubes, NULL, "OK 23\r\n---\n- default\n- tube-1\n\r\n", HIST_UNKNOWN},
    {send_list_tubes, NULL, "OK 24\r\n---\n- default\n- default\n\r\n", HIST_UNKNOWN},
    {send_list_tubes, NULL, "OK 4\r\n---\n\r\n", HIST_UNKNOWN},
    {send_list_used, "list-tube-used\r\n", "USING default\r\n", HIST_OK},
    {send_list_used, NULL, "USING tube-1\r\n", HIST_UNKNOWN},
    {send_list_watched, "list-tubes-watched\r\n", "OK 14\r\n---\n- default\n\r\n", HIST_OK},
    {send_list_watched, NULL, "OK 4\r\n---\n\r\n", HIST_UNKNOWN},
    {send_list_watched, NULL, "OK 14\r\n--- - default\n\r\n", HIST_UNKNOWN},
};
/* clang-format on */

/* `text` with BODY in it put in. The caller frees it. */
static char *with_body(const char *text)
{
    char *whole = calloc(1, strlen(text) + 64);
    const char *at = strstr(text, "BODY");
    if (at == NULL) {
        strcpy(whole, text);
    } else {
        (void)sprintf(whole, "%.*s%.34s%s", (int)(at - text), text, body_34(), at + 4);
    }
    return whole;
}

static void run(const struct exchange *x, size_t cut)
{
    void *state = NULL;
    (void)setup(&state);
    struct rig *r = state;
    x->send(r->client);
    size_t place = history_count(r->history) - 1;
    assert_int_equal(history_at(r->history, place)->invoke_ns, NOW);
    assert_true(history_at(r->history, place)->complete_ns == HIST_NEVER);
    if (x->command != NULL) {
        char *command = with_body(x->command);
        expect_output(r, command);
        free(command);
    }
    char *answer = with_body(x->answer);
    size_t len = strlen(answer);
    cut = cut < len ? cut : len;
    sim_client_received(r->client, cb_span(answer, cut), LATER);
    sim_client_received(r->client, cb_span(answer + cut, len - cut), LATER);
    bool is_told = cb_buf_len(&r->broken) > 0;
    if (is_told != (x->result == HIST_UNKNOWN)) {
        cb_buf_append(&r->broken, "", 1);
        fail_msg("%s cut at %zu: %s", x->answer, cut, (const char *)r->broken.base);
    }
    if (!is_told) {
        assert_int_equal(history_at(r->history, place)->result, x->result);
        assert_int_equal(history_at(r->history, place)->complete_ns, LATER);
        assert_int_equal(r->client->n_sent, 0);
    }
    free(answer);
    (void)teardown(&state);
}

static void each_command_and_its_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof exchanges / sizeof exchanges[0]; i++) {
        for (size_t cut = 0; cut <= strlen(exchanges[i].answer); cut++) {
            run(&exchanges[i], cut);
        }
    }
}

/* ---- more than one ---- */

static void the_sentence_quotes_both(void **state)
{
    struct rig *r = *state;
    send_delete(r->client);
    receive(r, "KICKED\r\n");
    cb_buf_append(&r->broken, "", 1);
    assert_string_equal((const char *)r->broken.base,
                        "connection 7: to \"delete 5\" came \"KICKED\\r\\n\": not an answer to "
                        "this command");
}

static void answers_belong_to_commands_in_order(void **state)
{
    struct rig *r = *state;
    send_use(r->client);
    send_watch(r->client);
    send_ignore_last(r->client);
    sc_send_put(r->client, 0, 0, 0, 34, NOW);
    assert_int_equal(last(r)->tube, history_tube(r->history, "tube-1"));
    assert_int_equal(last(r)->ttr_s, 1); /* 0 is 1 */
    send_list_used(r->client);
    send_list_watched(r->client);
    receive(r, "USING tube-1\r\nWATCHING 2\r\nWATCHING 1\r\nINSERTED 3\r\nUSING tube-1\r\n"
               "OK 13\r\n---\n- tube-1\n\r\n");
    assert_int_equal(cb_buf_len(&r->broken), 0);
    assert_int_equal(r->client->n_sent, 0);
    receive(r, "\r\n");
    assert_int_not_equal(cb_buf_len(&r->broken), 0);
}

static void a_job_is_held_until_it_is_ended(void **state)
{
    struct rig *r = *state;
    send_put(r->client);
    send_reserve(r->client);
    char *answers = with_body("INSERTED 5\r\nRESERVED 5 34\r\nBODY\r\n");
    receive(r, answers);
    free(answers);
    const struct hist_record *got = last(r);
    const struct hist_record *put = got - 1;
    assert_int_equal(got->id, 5);
    assert_int_equal(got->body_hash, put->body_hash);
    assert_int_equal(got->body_hash, cb_hash(body_34(), 34));
    assert_int_equal(got->body_len, 34);
    assert_memory_equal(got->token, put->token, sizeof got->token);
    assert_int_equal(sc_held_find(r->client, 5)->end_ns, LATER + 3 * CB_NS_PER_S);

    send_touch(r->client);
    send_reserve(r->client);
    send_release(r->client);
    send_bury(r->client);
    receive(r, "TOUCHED\r\nDEADLINE_SOON\r\nRELEASED\r\nNOT_FOUND\r\n");
    assert_int_equal(cb_buf_len(&r->broken), 0);
    assert_null(sc_held_find(r->client, 5));
}

static void a_half_close_ends_its_wait(void **state)
{
    struct rig *r = *state;
    send_reserve(r->client);
    sc_leave(r->client, SIM_CLIENT_HALF_CLOSES, NOW + 1);
    assert_int_equal(sim_client_wish(r->client), SIM_CLIENT_HALF_CLOSES);
    receive(r, "TIMED_OUT\r\n");
    assert_int_equal(cb_buf_len(&r->broken), 0);
    sim_client_closed(r->client, LATER + 1);
    assert_int_equal(last(r)->op, HIST_CLOSE);
    assert_int_equal(last(r)->invoke_ns, NOW + 1);
    assert_false(last(r)->by_server);
}

static void a_close_by_the_server_is_told_apart(void **state)
{
    struct rig *r = *state;
    send_stats(r->client);
    sim_client_closed(r->client, LATER);
    assert_int_equal(last(r)->op, HIST_CLOSE);
    assert_true(last(r)->by_server);
    assert_int_equal((last(r) - 1)->result, HIST_UNKNOWN);
    assert_true((last(r) - 1)->complete_ns == HIST_NEVER);
}

/* ---- the generator ---- */

static uint64_t digest_of_run(uint64_t seed, uint32_t profile)
{
    struct history *h = history_create();
    struct sim_client_shared *s = sim_client_shared_create(h);
    struct rig r = {.broken = CB_BUF_NULL};
    const struct sim_client_env env = {.data = &r, .broken = broken};
    struct sim_client *c = sim_client_create(s, sim_client_profile(profile), &env, 1, seed, 0);
    uint64_t digest = 0;
    for (unsigned i = 0; i < 200 && sim_client_wake_ns(c) != UINT64_MAX; i++) {
        uint64_t now = sim_client_wake_ns(c);
        sim_client_wake(c, now);
        struct cb_buf *out = sim_client_output(c);
        digest = cb_hash_seeded(cb_buf_span(out).ptr, cb_buf_len(out), digest + now);
        cb_buf_clear(out);
    }
    sim_client_destroy(c);
    sim_client_shared_destroy(s);
    history_destroy(h);
    return digest;
}

static void the_seed_decides_all(void **state)
{
    (void)state;
    for (uint32_t profile = 0; profile < sim_client_profile_count; profile++) {
        assert_int_equal(digest_of_run(5, profile), digest_of_run(5, profile));
        assert_int_not_equal(digest_of_run(5, profile), digest_of_run(6, profile));
    }
}

/* Nothing is answered: it stops sending, loses its patience, and leaves. */
static void a_client_without_answers_is_bounded(void **state)
{
    struct rig *r = *state;
    uint64_t now = 0;
    while (sim_client_wake_ns(r->client) != UINT64_MAX) {
        now = sim_client_wake_ns(r->client) > now ? sim_client_wake_ns(r->client) : now;
        sim_client_wake(r->client, now);
        assert_in_range(r->client->n_sent, 0, SC_PIPELINE_MAX);
    }
    assert_int_equal(sim_client_wish(r->client), SIM_CLIENT_CLOSES);
    assert_int_equal(cb_buf_len(&r->broken), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_command_and_its_answers),
        cmocka_unit_test_setup_teardown(the_sentence_quotes_both, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_belong_to_commands_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_job_is_held_until_it_is_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(a_half_close_ends_its_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(a_close_by_the_server_is_told_apart, setup, teardown),
        cmocka_unit_test(the_seed_decides_all),
        cmocka_unit_test_setup_teardown(a_client_without_answers_is_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
