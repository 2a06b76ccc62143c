/* Opening: who may, what is refused, and that a refusal changes nothing; the thread that notifies;
 * and readers beside the writer. */
#include "unit/node/store/store_rig.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/cb_limits.h"

static void start(struct rig *r)
{
    rig_init(r, false);
    rig_open(r);
    rig_put(r, 1, "a", "1");
    rig_wait(r, 1);
}

static void write_file(const struct rig *r, const char *name, const char *text)
{
    char path[RIG_PATH_MAX + 16];
    (void)snprintf(path, sizeof(path), "%s/%s", r->dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void assert_refused(struct rig *r, enum store_result expected, const char *word)
{
    assert_int_equal(rig_try_open(r), expected);
    assert_non_null(strstr(r->err.text, word));
    assert_null(strchr(r->err.text, '\n'));
}

static void test_directory_is_private(void **state)
{
    (void)state;
    struct rig r;
    struct stat st;
    start(&r);
    assert_int_equal(stat(r.dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    rig_fini(&r);
}

static void test_second_opener_is_refused(void **state)
{
    (void)state;
    struct rig r;
    struct store *second;
    start(&r);
    assert_int_equal(store_lmdb_open(&r.options, &second, &r.err), STORE_LOCKED);
    assert_non_null(strstr(r.err.text, r.dir));
    rig_close(&r);
    rig_open(&r); /* the lock went with the store */
    rig_assert_contents(&r, "a=1;");
    rig_fini(&r);
}

static void test_other_identity_is_refused(void **state)
{
    (void)state;
    struct rig r;
    start(&r);
    rig_close(&r);
    r.options.node = "n2";
    assert_refused(&r, STORE_WRONG_IDENTITY, "'n1'");
    r.options.node = "n1";
    r.options.cluster = "c2";
    assert_refused(&r, STORE_WRONG_IDENTITY, "'c1'");
    r.options.cluster = "c1";
    rig_open(&r);
    rig_assert_contents(&r, "a=1;");
    rig_fini(&r);
}

static void test_newer_format_is_refused(void **state)
{
    (void)state;
    struct rig r;
    start(&r);
    rig_close(&r);
    write_file(&r, "identity", "coolbeans-store 2\nsomething new\n");
    assert_refused(&r, STORE_NEWER_FORMAT, "newer");
    rig_fini(&r);
}

static void test_damaged_identity_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "garbage", "coolbeans-store 1\n",
                                        "coolbeans-store 1\nnode n1\ncluster c1\nchecksum 0\n"};
    struct rig r;
    start(&r);
    rig_close(&r);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        write_file(&r, "identity", texts[i]);
        assert_refused(&r, STORE_CORRUPT, "identity");
    }
    rig_fini(&r);
}

/* Neither a lost identity nor a lost database is made anew: the node's votes rest on them. */
static void test_lost_parts_are_refused(void **state)
{
    (void)state;
    struct rig r;
    char from[RIG_PATH_MAX + 16];
    char to[RIG_PATH_MAX + 16];
    start(&r);
    rig_close(&r);
    (void)snprintf(from, sizeof(from), "%s/identity", r.dir);
    (void)snprintf(to, sizeof(to), "%s/elsewhere", r.base);
    assert_int_equal(rename(from, to), 0);
    assert_refused(&r, STORE_CORRUPT, "identity");
    assert_int_equal(rename(to, from), 0);
    (void)snprintf(from, sizeof(from), "%s/db", r.dir);
    assert_int_equal(rename(from, to), 0);
    assert_refused(&r, STORE_CORRUPT, "no database");
    assert_int_equal(rename(to, from), 0);
    rig_open(&r);
    rig_assert_contents(&r, "a=1;");
    rig_fini(&r);
}

static void test_missing_parent_is_an_error(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r, false);
    r.options.dir = "/nonexistent/parent/n1";
    assert_refused(&r, STORE_IO, "/nonexistent/parent/n1");
    rig_fini(&r);
}

struct reader {
    struct rig *rig;
    atomic_bool *stop;
    uint64_t reads;
};

/* Each value is "<n>" repeated: a torn one would differ from itself. */
static void *read_until_stopped(void *arg)
{
    struct reader *reader = arg;
    struct cb_buf out = CB_BUF_NULL;
    while (!atomic_load(reader->stop)) {
        cb_buf_clear(&out);
        enum store_result result = store_read(reader->rig->store, cb_span_str("k"), &out, NULL);
        assert_int_equal(result, STORE_OK);
        struct cb_span s = cb_buf_span(&out);
        for (size_t i = 1; i < s.len; i++) {
            assert_int_equal(s.ptr[i], s.ptr[0]);
        }
        reader->reads++;
    }
    cb_buf_fini(&out);
    return NULL;
}

static void put_repeated(struct rig *r, uint64_t index)
{
    uint8_t value[5000];
    memset(value, (int)('a' + index % 26), sizeof(value));
    struct store_batch *b = store_batch_create();
    store_batch_put(b, cb_span_str("k"), cb_span(value, sizeof(value)));
    store_commit(r->store, b, &(struct store_meta){.index = index});
}

static void test_readers_beside_the_writer(void **state)
{
    (void)state;
    struct rig r;
    atomic_bool stop = false;
    struct reader readers[2];
    pthread_t threads[2];
    start(&r);
    put_repeated(&r, 2);
    rig_wait(&r, 2);
    for (size_t i = 0; i < 2; i++) {
        readers[i] = (struct reader){.rig = &r, .stop = &stop};
        assert_int_equal(pthread_create(&threads[i], NULL, read_until_stopped, &readers[i]), 0);
    }
    for (uint64_t index = 3; index < 100; index++) {
        put_repeated(&r, index);
        rig_wait(&r, index);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(readers[i].reads > 0);
    }
    rig_fini(&r);
}

/* The same few records written over and over: with no reader left open the file stays small. */
static void test_file_does_not_grow(void **state)
{
    (void)state;
    struct rig r;
    struct stat before;
    struct stat after;
    char path[RIG_PATH_MAX + 16];
    struct cb_buf out = CB_BUF_NULL;
    start(&r);
    (void)snprintf(path, sizeof(path), "%s/db/data.mdb", r.dir);
    for (uint64_t index = 2; index < 300; index++) {
        put_repeated(&r, index);
        rig_wait(&r, index);
        assert_int_equal(store_read(r.store, cb_span_str("k"), &out, NULL), STORE_OK);
        if (index == 100) {
            assert_int_equal(stat(path, &before), 0);
        }
    }
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_blocks, before.st_blocks);
    cb_buf_fini(&out);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_directory_is_private),
        cmocka_unit_test(test_second_opener_is_refused),
        cmocka_unit_test(test_other_identity_is_refused),
        cmocka_unit_test(test_newer_format_is_refused),
        cmocka_unit_test(test_damaged_identity_is_refused),
        cmocka_unit_test(test_lost_parts_are_refused),
        cmocka_unit_test(test_missing_parent_is_an_error),
        cmocka_unit_test(test_readers_beside_the_writer),
        cmocka_unit_test(test_file_does_not_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
