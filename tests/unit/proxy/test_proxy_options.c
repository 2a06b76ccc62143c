/* Proves the command line: beanstalkd's short forms, lists of nodes and listeners, clamping, and a
 * sentence for each thing that can be wrong. */
#include "proxy/proxy_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cb_mem.h"

#define WORDS_MAX 24

static struct proxy_options options;
static struct cb_buf text;

/* Splits at blanks. The strings are kept: options point into them. */
static enum cb_options_result parse(const char *line)
{
    static char *copy;
    char *argv[WORDS_MAX + 1] = {NULL};
    int argc = 0;
    for (uint32_t i = 0; i < options.n_nodes; i++) {
        free((void *)(uintptr_t)options.nodes[i]);
    }
    cb_free(copy);
    copy = cb_strdup(line);
    char *rest = copy;
    char *word;
    while ((word = strsep(&rest, " ")) != NULL && argc < WORDS_MAX) {
        argv[argc++] = word;
    }
    options = (struct proxy_options){0};
    cb_buf_clear(&text);
    enum cb_options_result r = proxy_options_parse(&options, argc, argv, &text);
    cb_buf_append(&text, "", 1);
    return r;
}

static void refuses(const char *line, const char *part)
{
    assert_int_equal(parse(line), CB_OPTIONS_ERROR);
    const char *error = (const char *)cb_buf_span(&text).ptr;
    assert_null(strchr(error, '\n'));
    if (strstr(error, part) == NULL) {
        fail_msg("'%s' is not in '%s'", part, error);
    }
}

static void defaults_are_beanstalkds(void **state)
{
    (void)state;
    assert_int_equal(parse("p --nodes a:1,b:2,[::1]:3"), CB_OPTIONS_OK);
    assert_int_equal(options.n_nodes, 3);
    assert_string_equal(options.nodes[0], "a:1");
    assert_string_equal(options.nodes[2], "[::1]:3");
    assert_int_equal(options.port, 11300);
    assert_int_equal(options.job_size_max, 65535);
    assert_int_equal(options.listen.len, 0);
    assert_null(options.name);
    assert_false(options.ignores_binlog || options.job_size_clamped);
}

static void listeners_take_the_port(void **state)
{
    (void)state;
    assert_int_equal(parse("p --nodes a:1 -l 127.0.0.1 -l ::1 -l 127.0.0.1:5 -l unix:/s -p7"),
                     CB_OPTIONS_OK);
    assert_int_equal(options.listen.len, 4);
    assert_int_equal(options.addresses[0].port, 7);
    assert_int_equal(options.addresses[1].kind, CB_ADDR_IPV6);
    assert_int_equal(options.addresses[1].port, 7);
    assert_int_equal(options.addresses[2].port, 5);
    assert_int_equal(options.addresses[3].kind, CB_ADDR_UNIX);
    assert_string_equal(options.addresses[3].host, "/s");
}

static void the_job_size_is_clamped(void **state)
{
    (void)state;
    assert_int_equal(parse("p --nodes a:1 -z 4194304"), CB_OPTIONS_OK);
    assert_false(options.job_size_clamped);
    assert_int_equal(parse("p --nodes a:1 -z 4194305"), CB_OPTIONS_OK);
    assert_true(options.job_size_clamped);
    assert_int_equal(options.job_size_max, 4194304);
    assert_int_equal(parse("p --nodes a:1 -z 0"), CB_OPTIONS_OK);
    assert_int_equal(options.job_size_max, 0);
}

static void beanstalkds_log_options_are_taken(void **state)
{
    static const char *const given[] = {"-b /d", "-f 50", "-f0", "-F", "-s 1024", "-c", "-n"};
    (void)state;
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        char line[64] = "p --nodes a:1 ";
        assert_int_equal(parse(strcat(line, given[i])), CB_OPTIONS_OK);
        assert_true(options.ignores_binlog);
    }
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    refuses("p", "nodes");
    refuses("p --nodes a", "'a'");
    refuses("p --nodes a:0", "HOST:PORT");
    refuses("p --nodes unix:/x", "HOST:PORT");
    refuses("p --nodes a:1,,b:1", "''");
    refuses("p --nodes a:1,a:1", "twice");
    refuses("p --nodes a:1,a:2,a:3,a:4,a:5,a:6,a:7,a:8", "at most 7");
    refuses("p --nodes a:1 -l 1.2.3.4:x", "-l");
    refuses("p --nodes a:1 -p 65536", "port");
    refuses("p --nodes a:1 -z x", "z");
    refuses("p --nodes a:1 --name a\tb", "--name");
    refuses("p --nodes a:1 -y", "-y");
    refuses("p --nodes a:1 word", "word");
}

static void help_and_version(void **state)
{
    (void)state;
    assert_int_equal(parse("p -v"), CB_OPTIONS_VERSION);
    assert_int_equal(parse("p -h"), CB_OPTIONS_HELP);
    const char *help = (const char *)cb_buf_span(&text).ptr;
    assert_non_null(strstr(help, "--nodes"));
    assert_non_null(strstr(help, "-z"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_beanstalkds),
        cmocka_unit_test(listeners_take_the_port),
        cmocka_unit_test(the_job_size_is_clamped),
        cmocka_unit_test(beanstalkds_log_options_are_taken),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(help_and_version),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)parse("p"); /* frees what the last one made */
    cb_buf_fini(&text);
    return failed;
}
