/* Proves that DIR/cluster.json is read back as it was written, and that anything else is refused
 * with a sentence. */
#include "ctl/ctl_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/test_ctl_cluster.XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    char path[sizeof(dir) + 32];
    (void)snprintf(path, sizeof(path), "%s/cluster.json", dir); /* always fits */
    (void)unlink(path);                                         /* a test may have made none */
    return rmdir(dir);
}

static void write_file(const char *text)
{
    char path[sizeof(dir) + 32];
    (void)snprintf(path, sizeof(path), "%s/cluster.json", dir); /* always fits */
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void what_was_saved_is_loaded(void **state)
{
    (void)state;
    struct ctl_cluster c = {.n_nodes = 1, .n_proxies = 1};
    (void)snprintf(c.dir, sizeof(c.dir), "%s", dir); /* always fits */
    c.nodes[0] = (struct ctl_daemon){.name = "n1",
                                     .pid = 123,
                                     .grpc = "127.0.0.1:1",
                                     .raft = "127.0.0.1:2",
                                     .http = "127.0.0.1:3",
                                     .dir = "/x/n1"};
    c.proxies[0] =
        (struct ctl_daemon){.name = "p1", .pid = 124, .is_proxy = true, .listen = "127.0.0.1:4"};
    struct cb_buf error = CB_BUF_NULL;
    assert_true(ctl_cluster_save(&c, &error));
    struct ctl_cluster d;
    assert_true(ctl_cluster_load(&d, dir, &error));
    assert_int_equal(d.n_nodes, 1);
    assert_int_equal(d.n_proxies, 1);
    assert_memory_equal(&d.nodes[0], &c.nodes[0], sizeof(d.nodes[0]));
    assert_int_equal(d.proxies[0].pid, 124);
    assert_string_equal(d.proxies[0].listen, "127.0.0.1:4");
    assert_ptr_equal(ctl_cluster_find(&d, "p1"), &d.proxies[0]);
    assert_null(ctl_cluster_find(&d, "n2"));
    cb_buf_fini(&error);
}

static void what_is_no_cluster_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{\"nodes\": 1, \"proxies\": []}",
        "{\"nodes\": [{}], \"proxies\": []}",
        "{\"nodes\": [{\"name\": \"a name that is too long\"}], \"proxies\": []}",
        "{\"nodes\": [0,0,0,0,0,0,0,0,0,0], \"proxies\": []}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        write_file(texts[i]);
        struct ctl_cluster c;
        struct cb_buf error = CB_BUF_NULL;
        assert_false(ctl_cluster_load(&c, dir, &error));
        assert_true(cb_buf_len(&error) > 0);
        cb_buf_fini(&error);
    }
}

static void a_missing_cluster_says_how_to_start_one(void **state)
{
    (void)state;
    struct ctl_cluster c;
    struct cb_buf error = CB_BUF_NULL;
    assert_false(ctl_cluster_load(&c, "/nonexistent", &error));
    cb_buf_append(&error, "", 1);
    assert_non_null(strstr((const char *)cb_buf_span(&error).ptr, "coolbeans dev --dir"));
    cb_buf_fini(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_saved_is_loaded),
        cmocka_unit_test(what_is_no_cluster_is_refused),
        cmocka_unit_test(a_missing_cluster_says_how_to_start_one),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
