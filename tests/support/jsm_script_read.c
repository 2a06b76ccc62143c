/* The statements of a script that read the machine and compare. */
#include "common/base/cb_limits.h"
#include "support/jsm_script_internal.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct field {
    const char *name;
    uint64_t value;
    bool is_time;
};

static void compare_fields(struct jsm_script *s, int from, const struct field *fields, size_t n)
{
    for (int i = from; i < s->n_words; i++) {
        char *eq = strchr(s->word[i], '=');
        size_t k = 0;
        if (eq == NULL) {
            fail_msg("'%s': '%s' is no key=value", s->line, s->word[i]);
            return;
        }
        *eq = '\0';
        while (k < n && strcmp(fields[k].name, s->word[i]) != 0) {
            k++;
        }
        if (k == n) {
            fail_msg("'%s': unknown key %s", s->line, s->word[i]);
        }
        uint64_t expected =
            fields[k].is_time ? jsm_script_seconds(eq + 1) : strtoull(eq + 1, NULL, 10);
        if (expected != fields[k].value) {
            fail_msg("'%s': %s is %" PRIu64 "%s", s->line, fields[k].name, fields[k].value,
                     s->reload ? " (with reloads)" : "");
        }
    }
}

static void run_tube(struct jsm_script *s)
{
    struct jsm_tube_view v;
    bool found = jsm_read_tube(s->machine, cb_span_str(jsm_script_word(s, 1)), &v);
    if (found == (strcmp(jsm_script_word(s, 2), "-") == 0)) {
        fail_msg("'%s': %s", s->line, found ? "it exists" : "it does not exist");
    }
    if (!found) {
        return;
    }
    const struct field fields[] = {
        {"urgent", v.urgent, false},
        {"ready", v.ready, false},
        {"reserved", v.reserved, false},
        {"delayed", v.delayed, false},
        {"buried", v.buried, false},
        {"total-jobs", v.total_jobs, false},
        {"cmd-delete", v.cmd_delete, false},
        {"cmd-pause-tube", v.cmd_pause_tube, false},
        {"using", v.using, false},
        {"watching", v.watching, false},
        {"waiting", v.waiting, false},
        {"pause", v.pause, false},
        {"pause-left", v.pause_left_ns, true},
    };
    compare_fields(s, 2, fields, sizeof fields / sizeof *fields);
}

static enum jsm_job_state state_named(struct jsm_script *s, const char *name)
{
    static const char *const names[] = {"", "ready", "delayed", "reserved", "buried"};
    for (int i = JSM_JOB_READY; i <= JSM_JOB_BURIED; i++) {
        if (strcmp(names[i], name) == 0) {
            return (enum jsm_job_state)i;
        }
    }
    fail_msg("'%s': '%s' is no state", s->line, name);
    return JSM_JOB_READY;
}

static void run_job(struct jsm_script *s)
{
    struct jsm_job_view v;
    bool found = jsm_read_job(s->machine, jsm_script_number(s, 1), &v);
    if (found == (strcmp(jsm_script_word(s, 2), "-") == 0)) {
        fail_msg("'%s': %s", s->line, found ? "it exists" : "it does not exist");
    }
    if (!found) {
        return;
    }
    int from = 2;
    if (strncmp(s->word[2], "state=", 6) == 0) {
        from = 3;
        if (v.state != state_named(s, s->word[2] + 6)) {
            fail_msg("'%s': the state is %d", s->line, (int)v.state);
        }
    }
    const struct field fields[] = {
        {"pri", v.pri, false},           {"delay", v.delay, false},
        {"ttr", v.ttr, false},           {"age", v.age_ns, true},
        {"left", v.left_ns, true},       {"reserves", v.reserves, false},
        {"timeouts", v.timeouts, false}, {"releases", v.releases, false},
        {"buries", v.buries, false},     {"kicks", v.kicks, false},
        {"size", v.body.len, false},
    };
    compare_fields(s, from, fields, sizeof fields / sizeof *fields);
}

static void run_stats(struct jsm_script *s)
{
    struct jsm_view v;
    jsm_read_stats(s->machine, &v);
    const struct field fields[] = {
#define X(sym, key) {key, v.counters[JSM_CMD_##sym], false},
#include "common/base/cb_counter.def"
#undef X
        {"urgent", v.urgent, false},
        {"ready", v.ready, false},
        {"reserved", v.reserved, false},
        {"delayed", v.delayed, false},
        {"buried", v.buried, false},
        {"job-timeouts", v.job_timeouts, false},
        {"total-jobs", v.total_jobs, false},
        {"tubes", v.tubes, false},
        {"connections", v.connections, false},
        {"producers", v.producers, false},
        {"workers", v.workers, false},
        {"waiting", v.waiting, false},
        {"total-connections", v.total_connections, false},
    };
    compare_fields(s, 1, fields, sizeof fields / sizeof *fields);
}

static void expect_name(struct jsm_script *s, struct cb_span got, const char *expected)
{
    if (!cb_span_eq(got, cb_span_str(expected))) {
        fail_msg("'%s': '%s' is '%.*s'%s", s->line, expected, (int)got.len, (const char *)got.ptr,
                 s->reload ? " (with reloads)" : "");
    }
}

static void run_tubes(struct jsm_script *s)
{
    assert_int_equal(jsm_read_tube_count(s->machine), s->n_words - 1);
    for (uint32_t i = 0; i + 1 < (uint32_t)s->n_words; i++) {
        expect_name(s, jsm_read_tube_name(s->machine, i), s->word[i + 1]);
    }
}

static void run_watched(struct jsm_script *s)
{
    struct who w = jsm_script_who(s, jsm_script_word(s, 1));
    uint64_t id = s->session[w.proxy];
    assert_int_equal(jsm_read_watched_count(s->machine, id, w.conn), s->n_words - 2);
    for (uint32_t i = 0; i + 2 < (uint32_t)s->n_words; i++) {
        expect_name(s, jsm_read_watched_name(s->machine, id, w.conn, i), s->word[i + 2]);
    }
}

static void run_used(struct jsm_script *s)
{
    struct who w = jsm_script_who(s, jsm_script_word(s, 1));
    struct cb_span name;
    assert_true(jsm_read_used(s->machine, s->session[w.proxy], w.conn, &name));
    expect_name(s, name, jsm_script_word(s, 2));
}

static void run_head(struct jsm_script *s)
{
    struct who w = jsm_script_who(s, jsm_script_word(s, 1));
    struct jsm_job_view v;
    bool found = jsm_read_head(s->machine, s->session[w.proxy], w.conn,
                               state_named(s, jsm_script_word(s, 2)), &v);
    bool expected = strcmp(jsm_script_word(s, 3), "-") != 0;
    if (found != expected || (found && v.id != jsm_script_number(s, 3))) {
        fail_msg("'%s': it is %" PRIu64, s->line, found ? v.id : 0);
    }
}

static void run_due(struct jsm_script *s)
{
    uint64_t due = jsm_next_due_ns(s->machine);
    bool never = strcmp(jsm_script_word(s, 1), "never") == 0;
    if (due != (never ? JSM_NEVER : s->now + jsm_script_seconds(s->word[1]))) {
        fail_msg("'%s': it is %" PRIu64 " ns from now", s->line, due - s->now);
    }
}

static const struct {
    const char *name;
    void (*run)(struct jsm_script *s);
} readers[] = {
    {"tube", run_tube},       {"job", run_job},   {"stats", run_stats}, {"tubes", run_tubes},
    {"watched", run_watched}, {"used", run_used}, {"head", run_head},   {"due", run_due},
};

bool jsm_script_read(struct jsm_script *s)
{
    for (size_t k = 0; k < sizeof readers / sizeof *readers; k++) {
        if (strcmp(readers[k].name, s->word[0]) == 0) {
            readers[k].run(s);
            return true;
        }
    }
    return false;
}
