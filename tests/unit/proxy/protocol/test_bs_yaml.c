/* Proves the bodies of stats, stats-tube, stats-job and the lists byte by byte: keys, order,
 * quotes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/protocol/bs_yaml.h"

static void assert_text(struct cb_buf *got, const char *wanted)
{
    cb_buf_append(got, "", 1);
    assert_string_equal((const char *)(got->base + got->start), wanted);
    cb_buf_fini(got);
}

static const char stats_text[] = "---\n"
                                 "current-jobs-urgent: 1\n"
                                 "current-jobs-ready: 2\n"
                                 "current-jobs-reserved: 3\n"
                                 "current-jobs-delayed: 4\n"
                                 "current-jobs-buried: 5\n"
                                 "cmd-put: 100\n"
                                 "cmd-peek: 101\n"
                                 "cmd-peek-ready: 102\n"
                                 "cmd-peek-delayed: 103\n"
                                 "cmd-peek-buried: 104\n"
                                 "cmd-reserve: 105\n"
                                 "cmd-reserve-with-timeout: 106\n"
                                 "cmd-delete: 107\n"
                                 "cmd-release: 108\n"
                                 "cmd-use: 109\n"
                                 "cmd-watch: 110\n"
                                 "cmd-ignore: 111\n"
                                 "cmd-bury: 112\n"
                                 "cmd-kick: 113\n"
                                 "cmd-touch: 114\n"
                                 "cmd-stats: 115\n"
                                 "cmd-stats-job: 116\n"
                                 "cmd-stats-tube: 117\n"
                                 "cmd-list-tubes: 118\n"
                                 "cmd-list-tube-used: 119\n"
                                 "cmd-list-tubes-watched: 120\n"
                                 "cmd-pause-tube: 121\n"
                                 "job-timeouts: 6\n"
                                 "total-jobs: 7\n"
                                 "max-job-size: 65535\n"
                                 "current-tubes: 8\n"
                                 "current-connections: 9\n"
                                 "current-producers: 10\n"
                                 "current-workers: 11\n"
                                 "current-waiting: 12\n"
                                 "total-connections: 13\n"
                                 "pid: 14\n"
                                 "version: \"1.13\"\n"
                                 "rusage-utime: 15.000016\n"
                                 "rusage-stime: 0.999999\n"
                                 "uptime: 17\n"
                                 "binlog-oldest-index: 18\n"
                                 "binlog-current-index: 19\n"
                                 "binlog-records-migrated: 20\n"
                                 "binlog-records-written: 21\n"
                                 "binlog-max-size: 10485760\n"
                                 "draining: false\n"
                                 "id: 0123456789abcdef\n"
                                 "hostname: \"host\"\n"
                                 "os: \"#1 SMP Debian\"\n"
                                 "platform: \"x86_64\"\n";

static struct bs_stats example(void)
{
    struct bs_stats s = {
        .current_jobs_urgent = 1,
        .current_jobs_ready = 2,
        .current_jobs_reserved = 3,
        .current_jobs_delayed = 4,
        .current_jobs_buried = 5,
        .job_timeouts = 6,
        .total_jobs = 7,
        .max_job_size = 65535,
        .current_tubes = 8,
        .current_connections = 9,
        .current_producers = 10,
        .current_workers = 11,
        .current_waiting = 12,
        .total_connections = 13,
        .pid = 14,
        .rusage_utime_us = 15000016,
        .rusage_stime_us = 999999,
        .uptime_s = 17,
        .binlog_oldest_index = 18,
        .binlog_current_index = 19,
        .binlog_records_migrated = 20,
        .binlog_records_written = 21,
        .binlog_max_size = 10485760,
        .draining = false,
        .id = "0123456789abcdef",
        .hostname = "host",
        .os = "#1 SMP Debian",
        .platform = "x86_64",
    };
    for (size_t i = 0; i < BS_COUNTER_COUNT; i++) {
        s.commands[i] = 100 + i;
    }
    return s;
}

static void stats(void **state)
{
    (void)state;
    struct bs_stats s = example();
    struct cb_buf out = CB_BUF_NULL;
    bs_yaml_stats(&out, &s);
    assert_text(&out, stats_text);
}

static void stats_of_a_draining_proxy(void **state)
{
    (void)state;
    struct bs_stats s = example();
    s.draining = true;
    struct cb_buf out = CB_BUF_NULL;
    bs_yaml_stats(&out, &s);
    cb_buf_append(&out, "", 1);
    assert_non_null(strstr((const char *)out.base, "\ndraining: true\n"));
    cb_buf_fini(&out);
}

/* A host may be named anything; the body stays readable. */
static void quotes_are_escaped(void **state)
{
    (void)state;
    struct bs_stats s = example();
    s.hostname = "a\"b\\c";
    struct cb_buf out = CB_BUF_NULL;
    bs_yaml_stats(&out, &s);
    cb_buf_append(&out, "", 1);
    assert_non_null(strstr((const char *)out.base, "\nhostname: \"a\\\"b\\\\c\"\n"));
    cb_buf_fini(&out);
}

static void stats_tube(void **state)
{
    (void)state;
    struct bs_stats_tube s = {
        .name = cb_span_str("a-b+/;.$_()"),
        .current_jobs_urgent = 1,
        .current_jobs_ready = 2,
        .current_jobs_reserved = 3,
        .current_jobs_delayed = 4,
        .current_jobs_buried = 5,
        .total_jobs = UINT64_MAX,
        .current_using = 7,
        .current_watching = 8,
        .current_waiting = 9,
        .cmd_delete = 10,
        .cmd_pause_tube = 11,
        .pause_s = 4294967295,
        .pause_time_left_s = 4294967294,
    };
    struct cb_buf out = CB_BUF_NULL;
    bs_yaml_stats_tube(&out, &s);
    assert_text(&out, "---\n"
                      "name: \"a-b+/;.$_()\"\n"
                      "current-jobs-urgent: 1\n"
                      "current-jobs-ready: 2\n"
                      "current-jobs-reserved: 3\n"
                      "current-jobs-delayed: 4\n"
                      "current-jobs-buried: 5\n"
                      "total-jobs: 18446744073709551615\n"
                      "current-using: 7\n"
                      "current-watching: 8\n"
                      "current-waiting: 9\n"
                      "cmd-delete: 10\n"
                      "cmd-pause-tube: 11\n"
                      "pause: 4294967295\n"
                      "pause-time-left: 4294967294\n");
}

static void stats_job(void **state)
{
    (void)state;
    struct bs_stats_job s = {
        .id = 1,
        .tube = cb_span_str("default"),
        .state = BS_JOB_RESERVED,
        .pri = 4294967295,
        .age_s = 2,
        .delay_s = 3,
        .ttr_s = 4,
        .time_left_s = 5,
        .file = 6,
        .reserves = 7,
        .timeouts = 8,
        .releases = 9,
        .buries = 10,
        .kicks = 11,
    };
    struct cb_buf out = CB_BUF_NULL;
    bs_yaml_stats_job(&out, &s);
    assert_text(&out, "---\n"
                      "id: 1\n"
                      "tube: \"default\"\n"
                      "state: reserved\n"
                      "pri: 4294967295\n"
                      "age: 2\n"
                      "delay: 3\n"
                      "ttr: 4\n"
                      "time-left: 5\n"
                      "file: 6\n"
                      "reserves: 7\n"
                      "timeouts: 8\n"
                      "releases: 9\n"
                      "buries: 10\n"
                      "kicks: 11\n");
}

static void job_states(void **state)
{
    (void)state;
    static const char *const names[] = {
        [BS_JOB_READY] = "\nstate: ready\n",
        [BS_JOB_DELAYED] = "\nstate: delayed\n",
        [BS_JOB_RESERVED] = "\nstate: reserved\n",
        [BS_JOB_BURIED] = "\nstate: buried\n",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct bs_stats_job s = {.tube = cb_span_str("t"), .state = (enum bs_job_state)i};
        struct cb_buf out = CB_BUF_NULL;
        bs_yaml_stats_job(&out, &s);
        cb_buf_append(&out, "", 1);
        assert_non_null(strstr((const char *)out.base, names[i]));
        cb_buf_fini(&out);
    }
}

static void lists(void **state)
{
    (void)state;
    struct cb_buf out = CB_BUF_NULL;
    bs_yaml_list_begin(&out);
    bs_yaml_list_add(&out, cb_span_str("default"));
    bs_yaml_list_add(&out, cb_span_str("a(b)"));
    assert_text(&out, "---\n- default\n- a(b)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stats),
        cmocka_unit_test(stats_of_a_draining_proxy),
        cmocka_unit_test(quotes_are_escaped),
        cmocka_unit_test(stats_tube),
        cmocka_unit_test(stats_job),
        cmocka_unit_test(job_states),
        cmocka_unit_test(lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
