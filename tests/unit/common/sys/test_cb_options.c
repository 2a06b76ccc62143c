/* Proves that one table gives defaults, values, help and errors that say how to mend them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cb_limits.h"
#include "common/sys/cb_options.h"

struct config {
    bool flag;
    uint64_t verbose;
    uint64_t port;
    uint64_t size;
    uint64_t time_ns;
    const char *name;
    const char *address;
    struct cb_option_list nodes;
};

#define AT(member) .offset = offsetof(struct config, member)

static const struct cb_option rows[] = {
    {'f', "flag", CB_OPTION_FLAG, NULL, NULL, false, 0, 0, AT(flag), "set the flag"},
    {'V', NULL, CB_OPTION_COUNT, NULL, NULL, false, 0, 0, AT(verbose), "say more"},
    {'p', "port", CB_OPTION_NUMBER, "PORT", "11300", false, 0, 65535, AT(port), "listen on PORT"},
    {'z', "max", CB_OPTION_SIZE, "BYTES", "64k", false, 1, 4 * CB_MIB, AT(size), "largest job"},
    {0, "timeout", CB_OPTION_DURATION, "TIME", "30s", false, CB_NS_PER_MS, 3600 * CB_NS_PER_S,
     AT(time_ns), "give up after TIME"},
    {'n', "name", CB_OPTION_STRING, "NAME", NULL, true, 0, 0, AT(name), "who this is"},
    {'a', "address", CB_OPTION_ADDRESS, "ADDR", "[::1]:1", false, 0, 0, AT(address), "where"},
    {0, "node", CB_OPTION_LIST, "ADDR", NULL, false, 0, 0, AT(nodes), "a node; repeatable"},
    {'h', "help", CB_OPTION_HELP, NULL, NULL, false, 0, 0, 0, "show this text"},
    {'v', "version", CB_OPTION_VERSION, NULL, NULL, false, 0, 0, 0, "show the version"},
    {'c', NULL, CB_OPTION_FLAG, NULL, NULL, false, 0, 0, AT(flag), NULL},
};

static struct cb_options spec = {
    .program = "prog",
    .summary = "Does things.",
    .options = rows,
    .count = sizeof rows / sizeof rows[0],
};

static struct config config;
static char message[512];
static int operand;

/* `line` is split at blanks. */
static enum cb_options_result parse(const char *line)
{
    static char words[512];
    char *argv[64] = {words};
    char *save = NULL;
    int argc = 1;
    struct cb_buf error = CB_BUF_NULL;
    memset(words, 0, sizeof words);
    memcpy(words, "prog", 5);
    strncpy(words + 5, line, sizeof words - 6);
    for (char *w = strtok_r(words + 5, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
        argv[argc++] = w;
    }
    memset(&config, 0, sizeof config);
    enum cb_options_result r = cb_options_parse(&spec, argc, argv, &config, &operand, &error);
    (void)snprintf(message, sizeof message, "%.*s", (int)cb_buf_len(&error),
                   (char *)error.base + error.start);
    assert_null(strchr(message, '\n'));
    assert_int_equal(r == CB_OPTIONS_ERROR, message[0] != '\0');
    cb_buf_fini(&error);
    return r;
}

static void defaults(void **state)
{
    (void)state;
    assert_int_equal(parse("-n x"), CB_OPTIONS_OK);
    assert_false(config.flag);
    assert_int_equal(config.verbose, 0);
    assert_int_equal(config.port, 11300);
    assert_int_equal(config.size, 65536);
    assert_int_equal(config.time_ns, 30 * CB_NS_PER_S);
    assert_string_equal(config.name, "x");
    assert_string_equal(config.address, "[::1]:1");
    assert_int_equal(config.nodes.len, 0);
}

static void values(void **state)
{
    (void)state;
    assert_int_equal(parse("-VVfp11301 -nme --node a:1 --node=b:2 --max 2m --timeout=250ms"),
                     CB_OPTIONS_OK);
    assert_true(config.flag);
    assert_int_equal(config.verbose, 2);
    assert_int_equal(config.port, 11301);
    assert_string_equal(config.name, "me");
    assert_int_equal(config.size, 2 * CB_MIB);
    assert_int_equal(config.time_ns, 250 * CB_NS_PER_MS);
    assert_int_equal(config.nodes.len, 2);
    assert_string_equal(config.nodes.items[1], "b:2");
    assert_int_equal(parse("-n x -p 1 --port 2 --timeout 5"), CB_OPTIONS_OK);
    assert_int_equal(config.port, 2);
    assert_int_equal(config.time_ns, 5 * CB_NS_PER_S);
    assert_int_equal(parse("-h"), CB_OPTIONS_HELP);
    assert_int_equal(parse("--version --nonsense"), CB_OPTIONS_VERSION);
}

static void fails(const char *line, const char *why)
{
    assert_int_equal(parse(line), CB_OPTIONS_ERROR);
    assert_string_equal(message, why);
}

static void errors(void **state)
{
    (void)state;
    fails("-n x -q", "unknown option -q; see prog --help");
    fails("-n x --quux", "unknown or ambiguous option --quux; see prog --help");
    fails("-n x --ver=1", "--version takes no argument; leave out what follows the '='");
    fails("-n x -p", "--port needs an argument: --port PORT");
    fails("-n x --timeout", "--timeout needs an argument: --timeout TIME");
    fails("", "--name is missing; give it as --name NAME");
    fails("-n x stray", "unexpected 'stray'; see prog --help");
    fails("-n x -p 65536", "--port got '65536', but needs a number from 0 to 65535");
    fails("-n x -p -1", "--port got '-1', but needs a number from 0 to 65535");
    fails("-n x -p 18446744073709551616",
          "--port got '18446744073709551616', but needs a number from 0 to 65535");
    fails("-n x -p=1", "--port got '=1', but needs a number from 0 to 65535");
    fails("-n x -z 5m",
          "--max got '5m', but needs a number from 1 to 4M (bytes; k, m and g multiply by 1024)");
    fails("-n x -z 18014398509481984k",
          "--max got '18014398509481984k', but needs a number from 1 to 4M (bytes; k, m and g "
          "multiply by 1024)");
    fails("-n x --timeout 2h",
          "--timeout got '2h', but needs a time from 1ms to 1h (such as 500ms, 30s, 5m or 1h)");
    fails("-n x --timeout s",
          "--timeout got 's', but needs a time from 1ms to 1h (such as 500ms, 30s, 5m or 1h)");
    fails("-n x -a host",
          "--address got 'host': the port is missing; write HOST:PORT, [IPV6]:PORT or unix:/PATH");
}

static void too_many(void **state)
{
    (void)state;
    char line[512] = "-nx";
    for (int i = 0; i < CB_OPTION_LIST_MAX; i++) {
        strncat(line, " --node a:1", sizeof line - strlen(line) - 1);
    }
    assert_int_equal(parse(line), CB_OPTIONS_OK);
    strncat(line, " --node a:1", sizeof line - strlen(line) - 1);
    fails(line, "--node is given more than 16 times; give it fewer");
}

static void operands(void **state)
{
    (void)state;
    spec.operands = "COMMAND";
    assert_int_equal(parse("status -n x more"), CB_OPTIONS_OK);
    assert_int_equal(operand, 3); /* both operands stand at the end */
    spec.stop_at_operand = true;
    assert_int_equal(parse("-n x status --json"), CB_OPTIONS_OK);
    assert_int_equal(operand, 3);
    spec.stop_at_operand = false;
    assert_int_equal(parse("-n x -- -q"), CB_OPTIONS_OK);
    assert_int_equal(operand, 4);
    spec.operands = NULL;
}

static void help(void **state)
{
    (void)state;
    struct cb_buf b = CB_BUF_NULL;
    cb_options_help(&spec, &b);
    cb_buf_append(&b, "", 1);
    assert_string_equal((const char *)cb_buf_span(&b).ptr,
                        "usage: prog [OPTION...]\n"
                        "Does things.\n"
                        "\n"
                        "  -f, --flag                  set the flag\n"
                        "  -V                          say more\n"
                        "  -p, --port PORT             listen on PORT (default: 11300)\n"
                        "  -z, --max BYTES             largest job (default: 64k)\n"
                        "      --timeout TIME          give up after TIME (default: 30s)\n"
                        "  -n, --name NAME             who this is (required)\n"
                        "  -a, --address ADDR          where (default: [::1]:1)\n"
                        "      --node ADDR             a node; repeatable\n"
                        "  -h, --help                  show this text\n"
                        "  -v, --version               show the version\n");
    cb_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults), cmocka_unit_test(values),   cmocka_unit_test(errors),
        cmocka_unit_test(too_many), cmocka_unit_test(operands), cmocka_unit_test(help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
