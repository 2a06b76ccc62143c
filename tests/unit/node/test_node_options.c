/* Proves: a command line of coolbeans-node becomes the same ids and digest on every node, and each
 * mistake is one sentence that names the option. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "node/node_options.h"

static struct node_options o;
static char error[512];

/* getopt does not write to them. */
#define ARG(s) ((char *)(uintptr_t)(s))

static enum cb_options_result parse_all(int argc, char **argv)
{
    struct cb_buf text;
    cb_buf_init(&text);
    enum cb_options_result r = node_options_parse(&o, argc, argv, &text);
    size_t len = cb_buf_len(&text) < sizeof(error) - 1 ? cb_buf_len(&text) : sizeof(error) - 1;
    if (len > 0) {
        memcpy(error, cb_buf_span(&text).ptr, len);
    }
    error[len] = '\0';
    cb_buf_fini(&text);
    return r;
}

/* Further arguments up to a NULL. */
static enum cb_options_result parse(const char *name, const char *cluster, ...)
{
    char *argv[32] = {ARG("coolbeans-node"), ARG("--data-dir"), ARG("/d"), ARG("--name"), ARG(name),
                      ARG("--cluster"),      ARG(cluster)};
    int argc = 7;
    va_list ap;
    va_start(ap, cluster);
    for (const char *a = va_arg(ap, const char *); a != NULL; a = va_arg(ap, const char *)) {
        argv[argc++] = ARG(a);
    }
    va_end(ap);
    return parse_all(argc, argv);
}

static void refused(const char *what, enum cb_options_result r)
{
    assert_int_equal(r, CB_OPTIONS_ERROR);
    assert_non_null(strstr(error, what));
    assert_null(strchr(error, '\n'));
}

static void ids_do_not_depend_on_the_order(void **state)
{
    (void)state;
    assert_int_equal(parse("n2", "n1=127.0.0.1:1,n2=127.0.0.2:3,n3=127.0.0.3:5", NULL),
                     CB_OPTIONS_OK);
    uint64_t cluster = o.cluster;
    assert_int_equal(o.self, 1);
    assert_string_equal(o.listen_grpc, "127.0.0.2:3");
    assert_string_equal(o.listen_raft, "127.0.0.2:4");
    assert_int_equal(parse("n2", "n3=127.0.0.3:5,n2=127.0.0.2:3,n1=127.0.0.1:1", NULL),
                     CB_OPTIONS_OK);
    assert_int_equal(o.self, 1);
    assert_int_equal(o.cluster, cluster);
    assert_string_equal(o.members[2].raft, "127.0.0.3:6");
    assert_int_equal(parse("n2", "n3=127.0.0.3:5,n2=127.0.0.2:3", NULL), CB_OPTIONS_OK);
    assert_int_not_equal(o.cluster, cluster);
}

static void defaults(void **state)
{
    (void)state;
    assert_int_equal(parse("n1", "n1=127.0.0.1:1", NULL), CB_OPTIONS_OK);
    assert_int_equal(o.election_ms, 500);
    assert_int_equal(o.heartbeat_ms, 100);
    assert_int_equal(o.session_timeout_ns, 30 * CB_NS_PER_S);
    assert_int_equal(o.jobs_max, 0);
    assert_int_equal(o.reserve_space, 256 * CB_MIB);
    assert_int_equal(o.scrub_rate, 2 * CB_MIB);
    assert_int_equal(o.bytes_max, 0);
    assert_int_equal(o.body_cache, 256 * CB_MIB);
    assert_int_equal(parse("n1", "n1=127.0.0.1:1", "--session-timeout", "5", NULL), CB_OPTIONS_OK);
    assert_int_equal(o.session_timeout_ns, 5 * CB_NS_PER_S);
    assert_int_equal(
        parse("n1", "n1=127.0.0.1:1", "--max-jobs", "1000000", "--max-bytes", "10g", NULL),
        CB_OPTIONS_OK);
    assert_int_equal(o.jobs_max, 1000000);
    assert_int_equal(o.bytes_max, 10 * 1024 * CB_MIB);
    assert_int_equal(parse("n1", "n1=127.0.0.1:1", "--reserve-space", "0", "--scrub", "0", NULL),
                     CB_OPTIONS_OK);
    assert_true(o.reserve_space == 0 && o.scrub_rate == 0);
    assert_int_equal(parse("n1", "n1=127.0.0.1:1", "--body-cache", "0", NULL), CB_OPTIONS_OK);
    assert_int_equal(o.body_cache, 0);
    assert_int_equal(parse("n1", "n1=127.0.0.1:1", "--body-cache", "2g", NULL), CB_OPTIONS_OK);
    assert_int_equal(o.body_cache, 2048 * CB_MIB);
}

static void mistakes(void **state)
{
    (void)state;
    refused("n9", parse("n9", "n1=127.0.0.1:1", NULL));
    refused("twice", parse("n1", "n1=127.0.0.1:1,n1=127.0.0.1:3", NULL));
    refused("NAME=HOST:PORT", parse("n1", "n1", NULL));
    refused("NAME=HOST:PORT", parse("n1", "n1=127.0.0.1", NULL));
    refused("NAME=HOST:PORT", parse("n1", "n1=127.0.0.1:65535", NULL));
    refused("NAME=HOST:PORT", parse("n1", "n1=127.0.0.1:1,", NULL));
    refused("NAME=HOST:PORT", parse("n1", "n 1=127.0.0.1:1", NULL));
    refused("at most", parse("a", "a=h:1,b=h:3,c=h:5,d=h:7,e=h:9,f=h:11,g=h:13,h=h:15", NULL));
    refused("--insecure", parse("n1", "n1=10.0.0.1:1", NULL));
    refused("--insecure", parse("n1", "n1=127.0.0.1:1", "--listen", "0.0.0.0:1", NULL));
    refused("--election-ms", parse("n1", "n1=127.0.0.1:1", "--heartbeat-ms", "400", NULL));
    refused("--session-timeout",
            parse("n1", "n1=127.0.0.1:1", "--session-timeout", "1", "--election-ms", "900", NULL));
}

static void insecure_is_an_answer(void **state)
{
    (void)state;
    assert_int_equal(parse("n1", "n1=10.0.0.1:1", "--insecure", NULL), CB_OPTIONS_OK);
    assert_int_equal(parse("n1", "n1=10.0.0.1:1", "--listen", "127.0.0.1:7", NULL), CB_OPTIONS_OK);
    assert_string_equal(o.listen_raft, "127.0.0.1:8");
}

/* With neither of --cluster and --join: further arguments alone. */
static enum cb_options_result parse_without(const char *name, ...)
{
    char *argv[32] = {ARG("coolbeans-node"), ARG("--data-dir"), ARG("/d"), ARG("--name"),
                      ARG(name)};
    int argc = 5;
    va_list ap;
    va_start(ap, name);
    for (const char *a = va_arg(ap, const char *); a != NULL; a = va_arg(ap, const char *)) {
        argv[argc++] = ARG(a);
    }
    va_end(ap);
    return parse_all(argc, argv);
}

static void a_node_joins_or_makes_a_cluster(void **state)
{
    (void)state;
    assert_int_equal(
        parse_without("n4", "--join", "127.0.0.1:1,h:3", "--listen", "127.0.0.1:5", NULL),
        CB_OPTIONS_OK);
    assert_int_equal(o.n_join, 2);
    assert_string_equal(o.join[1], "h:3");
    assert_int_equal(o.n_members, 0);
    assert_int_equal(o.cluster, 0);
    assert_string_equal(o.listen_raft, "127.0.0.1:6");
    refused("--join", parse_without("n4", NULL));
    refused("--join", parse_without("n4", "--join", "h:1", "--cluster", "n4=h:3", NULL));
    refused("--listen", parse_without("n4", "--join", "h:1", NULL));
    refused("HOST:PORT", parse_without("n4", "--join", "h:1,", "--listen", "127.0.0.1:5", NULL));
    refused("HOST:PORT", parse_without("n4", "--join", "h", "--listen", "127.0.0.1:5", NULL));
    refused("at most", parse_without("n4", "--join", "a:1,b:1,c:1,d:1,e:1,f:1,g:1,h:1", "--listen",
                                     "127.0.0.1:5", NULL));
    refused("is not a name",
            parse_without("n 4", "--join", "h:1", "--listen", "127.0.0.1:5", NULL));
}

static void addresses_of_the_two_ports(void **state)
{
    (void)state;
    char grpc[CB_ADDRESS_MAX];
    char raft[CB_ADDRESS_MAX];
    assert_true(node_addresses("[::1]:11301", grpc, raft));
    assert_string_equal(raft, "[::1]:11302");
    node_grpc_of_raft(raft, grpc);
    assert_string_equal(grpc, "[::1]:11301");
    assert_false(node_addresses("h:65535", grpc, raft));
    assert_false(node_addresses("unix:/x", grpc, raft));
}

static void ipv6_and_names(void **state)
{
    (void)state;
    assert_int_equal(parse("n1", "n1=[::1]:11301,n2=localhost:3", NULL), CB_OPTIONS_OK);
    assert_string_equal(o.listen_grpc, "[::1]:11301");
    assert_string_equal(o.listen_raft, "[::1]:11302");
    assert_string_equal(o.members[1].raft, "localhost:4");
    assert_int_equal(parse("n2", "n1=[::1]:11301,n2=localhost:3", NULL), CB_OPTIONS_OK);
    assert_string_equal(o.listen_raft, "localhost:4");
    assert_int_equal(parse("n1", "n1=h:1", "--listen", "[::1]:7", NULL), CB_OPTIONS_OK);
    assert_string_equal(o.listen_raft, "[::1]:8");
    refused("NAME=HOST:PORT", parse("n1", "n1=::1:11301", NULL));
    refused("is a name", parse("n1", "n1=127.0.0.1:1", "--listen", "localhost:7", NULL));
    refused("--insecure", parse("n1", "n1=[2001:db8::1]:1", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_do_not_depend_on_the_order),
        cmocka_unit_test(defaults),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(insecure_is_an_answer),
        cmocka_unit_test(a_node_joins_or_makes_a_cluster),
        cmocka_unit_test(addresses_of_the_two_ports),
        cmocka_unit_test(ipv6_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
