/* Proves the form of a line, that nothing in an argument can forge another one, that a storm of one
 * event is cut off and counted, and how stderr is recognised as the journal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/cb_limits.h"
#include "common/sys/cb_log.h"

static char last[4096];
static int lines;
static int suppressed;
static uint64_t mono_ns;

static void sink(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    assert_true(len > 0 && len < sizeof last);
    assert_int_equal(line[len - 1], '\n');
    memcpy(last, line, len);
    last[len] = '\0';
    lines++;
    suppressed += strstr(last, "log.suppressed") != NULL;
}

static uint64_t mono(void *ctx)
{
    (void)ctx;
    return mono_ns;
}

static uint64_t wall(void *ctx)
{
    (void)ctx;
    return UINT64_C(1769853600123) * CB_NS_PER_MS;
}

static const struct cb_clock fake = {mono, mono, wall, NULL};

static void init(enum cb_log_level level, bool journal)
{
    struct cb_log_config config = {
        .level = level,
        .sink = sink,
        .clock = &fake,
        .journal = journal,
    };
    cb_log_init(&config);
    lines = 0;
    suppressed = 0;
    last[0] = '\0';
}

static void form(void **state)
{
    (void)state;
    init(CB_LOG_INFO, false);
    cb_log(CB_LOG_WARN, "upstream.lost", "node=%s err=\"%s\"", "n1", "gone away");
    assert_string_equal(last, "upstream.lost time=2026-01-31T10:00:00.123Z level=warn node=n1 "
                              "err=\"gone away\"\n");
    cb_log(CB_LOG_INFO, "started", "%s", "");
    assert_string_equal(last, "started time=2026-01-31T10:00:00.123Z level=info\n");
    init(CB_LOG_DEBUG, true);
    cb_log(CB_LOG_ERROR, "a", "x=%d", 1);
    assert_string_equal(last, "<3>a x=1\n");
    cb_log(CB_LOG_WARN, "a", "x=%d", 2);
    assert_string_equal(last, "<4>a x=2\n");
    cb_log(CB_LOG_INFO, "a", "x=%d", 3);
    assert_string_equal(last, "<6>a x=3\n");
    cb_log(CB_LOG_DEBUG, "a", "x=%d", 4);
    assert_string_equal(last, "<7>a x=4\n");
}

static void levels(void **state)
{
    (void)state;
    enum cb_log_level level;
    init(CB_LOG_WARN, false);
    cb_log(CB_LOG_INFO, "a", "x=%d", 1);
    assert_int_equal(lines, 0);
    assert_false(cb_log_enabled(CB_LOG_INFO));
    cb_log_set_level(CB_LOG_DEBUG);
    assert_true(cb_log_enabled(CB_LOG_DEBUG));
    cb_log(CB_LOG_DEBUG, "a", "x=%d", 1);
    assert_int_equal(lines, 1);
    assert_true(cb_log_level_parse("error", &level) && level == CB_LOG_ERROR);
    assert_true(cb_log_level_parse("debug", &level) && level == CB_LOG_DEBUG);
    assert_false(cb_log_level_parse("Debug", &level));
    assert_false(cb_log_level_parse("", &level));
}

static void one_line(void **state)
{
    (void)state;
    init(CB_LOG_INFO, true);
    cb_log(CB_LOG_INFO, "a", "x=\"%s\"", "b\n<3>forged\r\t\x1b[2J\x7f");
    assert_string_equal(last, "<6>a x=\"b?<3>forged???[2J?\"\n");
    char large[2 * CB_LOG_LINE_MAX];
    memset(large, 'y', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    cb_log(CB_LOG_INFO, "a", "x=%s", large);
    assert_int_equal(lines, 2);
    assert_int_equal(strlen(last), CB_LOG_LINE_MAX);
}

static void storm(void **state)
{
    (void)state;
    init(CB_LOG_DEBUG, false);
    for (int i = 0; i < 1000; i++) {
        cb_log(CB_LOG_WARN, "storm", "i=%d", i);
    }
    assert_int_equal(lines, CB_LOG_BURST);
    cb_log(CB_LOG_WARN, "other", "i=%d", 1); /* not held back */
    assert_int_equal(lines, CB_LOG_BURST + 1);
    mono_ns += CB_LOG_WINDOW_NS - 1;
    cb_log(CB_LOG_WARN, "storm", "i=%d", 1000);
    assert_int_equal(lines, CB_LOG_BURST + 1);
    mono_ns += 1;
    cb_log(CB_LOG_WARN, "storm", "i=%d", 1001);
    assert_int_equal(lines, CB_LOG_BURST + 3);
    assert_int_equal(suppressed, 1);
    for (int i = 0; i < 1000; i++) {
        cb_log(CB_LOG_DEBUG, "detail", "i=%d", i);
    }
    assert_int_equal(lines, CB_LOG_BURST + 1003);
}

/* More names than there is room for are still logged. */
static void many_events(void **state)
{
    (void)state;
    static char names[2 * CB_LOG_EVENTS_MAX][16];
    init(CB_LOG_INFO, false);
    for (size_t i = 0; i < 2 * CB_LOG_EVENTS_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "event.%zu", i);
        cb_log(CB_LOG_INFO, names[i], "i=%zu", i);
    }
    assert_true(lines > CB_LOG_EVENTS_MAX);
}

static void journal(void **state)
{
    (void)state;
    struct stat st;
    char stream[64];
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    (void)snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    assert_true(cb_log_config_default().journal);
    setenv("JOURNAL_STREAM", "1:2", 1); /* stderr was redirected since */
    assert_false(cb_log_config_default().journal);
    setenv("JOURNAL_STREAM", "nonsense", 1);
    assert_false(cb_log_config_default().journal);
    unsetenv("JOURNAL_STREAM");
    assert_false(cb_log_config_default().journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(form),  cmocka_unit_test(levels),      cmocka_unit_test(one_line),
        cmocka_unit_test(storm), cmocka_unit_test(many_events), cmocka_unit_test(journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
