/* Proves which addresses are taken and which are not, that what is printed is read again, and which
 * of them no other machine reaches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/sys/cb_addr.h"

#define LABEL63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"

static const struct {
    const char *text;
    enum cb_addr_kind kind;
    const char *host;
    uint16_t port;
    bool loopback;
} good[] = {
    {"127.0.0.1:11300", CB_ADDR_IPV4, "127.0.0.1", 11300, true},
    {"127.9.8.7:1", CB_ADDR_IPV4, "127.9.8.7", 1, true},
    {"0.0.0.0:0", CB_ADDR_IPV4, "0.0.0.0", 0, false},
    {"12.7.0.1:65535", CB_ADDR_IPV4, "12.7.0.1", 65535, false},
    {"[::1]:11300", CB_ADDR_IPV6, "::1", 11300, true},
    {"[::]:11300", CB_ADDR_IPV6, "::", 11300, false},
    {"[::ffff:127.0.0.1]:80", CB_ADDR_IPV6, "::ffff:127.0.0.1", 80, true},
    {"[::ffff:10.0.0.1]:80", CB_ADDR_IPV6, "::ffff:10.0.0.1", 80, false},
    {"[2001:db8::1]:80", CB_ADDR_IPV6, "2001:db8::1", 80, false},
    {"localhost:11300", CB_ADDR_NAME, "localhost", 11300, true},
    {"LocalHost:11300", CB_ADDR_NAME, "LocalHost", 11300, true},
    {"node-1.example_net.org:1", CB_ADDR_NAME, "node-1.example_net.org", 1, false},
    {"127.example:1", CB_ADDR_NAME, "127.example", 1, false},
    {"9a:1", CB_ADDR_NAME, "9a", 1, false},
    {LABEL63 ".x:1", CB_ADDR_NAME, LABEL63 ".x", 1, false},
    {"unix:/run/a.sock", CB_ADDR_UNIX, "/run/a.sock", 0, true},
};

static const struct {
    const char *text;
    enum cb_addr_result result;
} bad[] = {
    {"", CB_ADDR_NO_PORT},
    {"host", CB_ADDR_NO_PORT},
    {"[::1]", CB_ADDR_NO_PORT},
    {":1", CB_ADDR_BAD_HOST},
    {"[]:1", CB_ADDR_BAD_HOST},
    {"[::1", CB_ADDR_BAD_HOST},
    {"[::1]x:1", CB_ADDR_BAD_HOST},
    {"::1:1", CB_ADDR_BAD_HOST},
    {"[127.0.0.1]:1", CB_ADDR_BAD_HOST},
    {"[host]:1", CB_ADDR_BAD_HOST},
    {"[fe80::1%eth0]:1", CB_ADDR_BAD_HOST},
    {"127.0.0:1", CB_ADDR_BAD_HOST},
    {"256.0.0.1:1", CB_ADDR_BAD_HOST},
    {"-a:1", CB_ADDR_BAD_HOST},
    {"a-:1", CB_ADDR_BAD_HOST},
    {"a-.b:1", CB_ADDR_BAD_HOST},
    {"a..b:1", CB_ADDR_BAD_HOST},
    {".a:1", CB_ADDR_BAD_HOST},
    {"a b:1", CB_ADDR_BAD_HOST},
    {LABEL63 "h:1", CB_ADDR_BAD_HOST},
    {"host:", CB_ADDR_BAD_PORT},
    {"host:65536", CB_ADDR_BAD_PORT},
    {"host:000001", CB_ADDR_BAD_PORT},
    {"host:+1", CB_ADDR_BAD_PORT},
    {"host: 1", CB_ADDR_BAD_PORT},
    {"host:1x", CB_ADDR_BAD_PORT},
    {"unix:", CB_ADDR_BAD_PATH},
    {"unix:relative", CB_ADDR_BAD_PATH},
};

static void takes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct cb_addr a;
        struct cb_addr again;
        char text[CB_ADDRESS_MAX];
        assert_int_equal(cb_addr_parse(&a, good[i].text), CB_ADDR_OK);
        assert_int_equal(a.kind, good[i].kind);
        assert_string_equal(a.host, good[i].host);
        assert_int_equal(a.port, good[i].port);
        assert_int_equal(cb_addr_is_loopback(&a), good[i].loopback);
        cb_addr_format(&a, text);
        assert_string_equal(text, good[i].text);
        assert_int_equal(cb_addr_parse(&again, text), CB_ADDR_OK);
        assert_memory_equal(&a, &again, sizeof a);
    }
}

static void refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cb_addr a = {.port = 42};
        assert_int_equal(cb_addr_parse(&a, bad[i].text), bad[i].result);
        assert_int_equal(a.port, 42);
        assert_true(strlen(cb_addr_strerror(bad[i].result)) > 0);
    }
}

static void wildcards(void **state)
{
    (void)state;
    static const char *const all[] = {"0.0.0.0:1", "[::]:1", "[0:0::0]:1", "[::ffff:0.0.0.0]:1"};
    struct cb_addr a;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_int_equal(cb_addr_parse(&a, all[i]), CB_ADDR_OK);
        assert_true(cb_addr_is_wildcard(&a));
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        bool is_one = strcmp(good[i].host, "0.0.0.0") == 0 || strcmp(good[i].host, "::") == 0;
        assert_int_equal(cb_addr_parse(&a, good[i].text), CB_ADDR_OK);
        assert_int_equal(cb_addr_is_wildcard(&a), is_one);
    }
}

static void lengths(void **state)
{
    (void)state;
    struct cb_addr a;
    char path[6 + 120] = "unix:/";
    memset(path + 6, 'x', 106);
    assert_int_equal(cb_addr_parse(&a, path), CB_ADDR_OK);
    path[6 + 106] = 'x';
    assert_int_equal(cb_addr_parse(&a, path), CB_ADDR_BAD_PATH);
    char name[400];
    memset(name, 0, sizeof name);
    for (size_t i = 0; i < 254; i++) {
        name[i] = i % 60 == 59 ? '.' : 'a';
    }
    assert_int_equal(cb_addr_from_host(&a, name, 1), CB_ADDR_BAD_HOST);
    name[253] = '\0';
    assert_int_equal(cb_addr_from_host(&a, name, 1), CB_ADDR_OK);
    char text[CB_ADDRESS_MAX];
    cb_addr_format(&a, text);
    assert_int_equal(strlen(text), 255);
}

static void host_alone(void **state)
{
    (void)state;
    struct cb_addr a;
    assert_int_equal(cb_addr_from_host(&a, "::1", 5), CB_ADDR_OK);
    assert_int_equal(a.kind, CB_ADDR_IPV6);
    assert_int_equal(a.port, 5);
    assert_int_equal(cb_addr_from_host(&a, "[::1]", 5), CB_ADDR_OK);
    assert_string_equal(a.host, "::1");
    assert_int_equal(cb_addr_from_host(&a, "0.0.0.0", 5), CB_ADDR_OK);
    assert_int_equal(cb_addr_from_host(&a, "unix:/s", 5), CB_ADDR_OK);
    assert_int_equal(a.port, 0);
    assert_int_equal(cb_addr_from_host(&a, "host:1", 5), CB_ADDR_BAD_HOST);
    assert_int_equal(cb_addr_from_host(&a, "", 5), CB_ADDR_BAD_HOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes),   cmocka_unit_test(refuses),    cmocka_unit_test(wildcards),
        cmocka_unit_test(lengths), cmocka_unit_test(host_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
