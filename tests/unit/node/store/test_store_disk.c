/* A disk that is full or that fails: full is waited out, with the state kept and the report only
 * after success; anything else ends the process with a sentence; a dump that finds no room changes
 * nothing.
 *
 * The program's own pwrite, writev and fdatasync stand before libc's, so LMDB calls them. */
#include "unit/node/store/store_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"

#define ROOT_PAGES 8192 /* the two pages at the start of an LMDB file, written last */

/* 0: none. */
static atomic_int write_error; /* of all pages but the root pages */
static atomic_int root_error;
static atomic_int fdatasync_error;
static atomic_bool is_cut_short; /* writes of all pages but the root pages */
static atomic_bool has_no_room;

ssize_t pwrite(int fd, const void *buf, size_t len, off_t at)
{
    if (atomic_load(&is_cut_short) && at >= ROOT_PAGES) {
        return syscall(SYS_pwrite64, fd, buf, len / 2, at);
    }
    int code = atomic_load(at < ROOT_PAGES ? &root_error : &write_error);
    if (code != 0) {
        errno = code;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, buf, len, at);
}

/* LMDB writes neighbouring pages with this one. */
ssize_t writev(int fd, const struct iovec *iov, int n)
{
    if (atomic_load(&is_cut_short)) {
        return syscall(SYS_write, fd, iov[0].iov_base, iov[0].iov_len / 2);
    }
    int code = atomic_load(&write_error);
    if (code != 0) {
        errno = code;
        return -1;
    }
    return syscall(SYS_writev, fd, iov, n);
}

int fdatasync(int fd)
{
    int code = atomic_load(&fdatasync_error);
    if (code != 0) {
        errno = code;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

int statvfs(const char *path, struct statvfs *s)
{
    (void)path;
    *s = (struct statvfs){.f_frsize = 4096, .f_bavail = atomic_load(&has_no_room) ? 0 : 1 << 20};
    return 0;
}

static void wait_until_full(struct rig *r)
{
    for (int i = 0; i < 10000 && !store_is_full(r->store); i++) {
        (void)usleep(1000);
    }
    assert_true(store_is_full(r->store));
}

static void test_full_disk_is_waited_out(void **state)
{
    (void)state;
    struct rig r;
    struct store_meta meta;
    rig_init(&r, false);
    rig_open(&r);
    rig_put(&r, 1, "a", "1");
    rig_wait(&r, 1);
    atomic_store(&write_error, ENOSPC);
    rig_put(&r, 2, "b", "2");
    wait_until_full(&r);
    rig_put(&r, 3, "c", "3");
    store_durable(r.store, &meta);
    assert_int_equal(meta.index, 1);
    assert_true(store_pending_bytes(r.store) > 0);
    rig_assert_contents(&r, "a=1;"); /* reading goes on */
    atomic_store(&write_error, 0);
    rig_wait(&r, 3);
    assert_false(store_is_full(r.store));
    assert_int_equal(store_pending_bytes(r.store), 0);
    rig_reopen(&r);
    rig_assert_contents(&r, "a=1;b=2;c=3;");
    rig_fini(&r);
}

/* As a disk does that is full in the middle of a write: LMDB says EIO. */
static void test_a_write_that_is_cut_short_by_a_full_disk_is_waited_out(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r, false);
    rig_open(&r);
    rig_put(&r, 1, "a", "1");
    rig_wait(&r, 1);
    atomic_store(&has_no_room, true);
    atomic_store(&is_cut_short, true);
    rig_put(&r, 2, "b", "2");
    wait_until_full(&r);
    atomic_store(&is_cut_short, false);
    rig_wait(&r, 2);
    atomic_store(&has_no_room, false);
    rig_reopen(&r);
    rig_assert_contents(&r, "a=1;b=2;");
    rig_fini(&r);
}

static void test_close_does_not_wait_for_room(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r, false);
    rig_open(&r);
    rig_put(&r, 1, "a", "1");
    rig_wait(&r, 1);
    atomic_store(&write_error, ENOSPC);
    rig_put(&r, 2, "b", "2");
    wait_until_full(&r);
    rig_close(&r);
    atomic_store(&write_error, 0);
    rig_open(&r);
    rig_assert_contents(&r, "a=1;");
    rig_fini(&r);
}

static void put_big(struct rig *r, uint64_t index, const char *key, size_t len)
{
    uint8_t *value = cb_calloc(1, len);
    struct store_batch *b = store_batch_create();
    store_batch_put(b, cb_span_str(key), cb_span(value, len));
    store_commit(r->store, b, &(struct store_meta){.index = index});
    cb_free(value);
}

/* A map that is too small; a delete of what did not fit makes the span fit. */
static void test_full_map_recovers_by_deletes(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r, false);
    r.options.map_size = 4 * CB_MIB;
    rig_open(&r);
    put_big(&r, 1, "fits", 2 * CB_MIB);
    rig_wait(&r, 1);
    put_big(&r, 2, "does-not", 3 * CB_MIB);
    wait_until_full(&r);
    rig_put(&r, 3, "small", "3");
    rig_del(&r, 4, "does-not");
    rig_wait(&r, 4);
    assert_false(store_is_full(r.store));
    rig_del(&r, 5, "fits");
    rig_wait(&r, 5);
    rig_reopen(&r);
    rig_assert_contents(&r, "small=3;");
    put_big(&r, 6, "fits-again", 2 * CB_MIB); /* the deleted one's pages are used again */
    rig_wait(&r, 6);
    rig_fini(&r);
}

static void test_full_disk_refuses_local_values_and_swaps(void **state)
{
    (void)state;
    struct rig r;
    struct rig other;
    struct cb_buf s = CB_BUF_NULL;
    struct store_meta meta;
    rig_init(&other, false);
    rig_open(&other);
    rig_put(&other, 9, "x", "9");
    rig_wait(&other, 9);
    assert_int_equal(rig_dump(other.store, &s, NULL), STORE_OK);
    rig_fini(&other);

    rig_init(&r, false);
    rig_open(&r);
    assert_int_equal(rig_load_dump(r.store, cb_buf_span(&s), 0, NULL), STORE_OK);
    atomic_store(&write_error, ENOSPC);
    assert_int_equal(store_set_local(r.store, "a", cb_span_str("b"), &r.err), STORE_FULL);
    assert_int_equal(store_swap(r.store, &r.err), STORE_FULL);
    atomic_store(&write_error, 0);
    store_durable(r.store, &meta);
    assert_int_equal(meta.index, 0);
    assert_int_equal(store_swap(r.store, NULL), STORE_OK);
    rig_assert_contents(&r, "x=9;");

    atomic_store(&write_error, ENOSPC);
    assert_int_equal(rig_load_dump(r.store, cb_buf_span(&s), 0, &r.err), STORE_FULL);
    atomic_store(&write_error, 0);
    rig_assert_contents(&r, "x=9;");
    rig_fini(&r);
    cb_buf_fini(&s);
}

static int access_incoming(const struct rig *r)
{
    char path[RIG_PATH_MAX + 16];
    (void)snprintf(path, sizeof(path), "%s/db.new", r->dir);
    return access(path, F_OK);
}

static void assert_no_room(struct rig *r, struct cb_span bytes)
{
    bool is_whole;
    assert_int_equal(store_incoming_feed(r->store, bytes, &is_whole, &r->err), STORE_FULL);
    assert_false(is_whole);
    assert_int_equal(r->err.text[0], '/');
    rig_assert_contents(r, "x=9;");
    assert_int_equal(access_incoming(r), -1);
}

/* The last bytes find no room, or some in the middle: the transactions of a large state are
 * bounded. A new beginning finds none either, and with room all is well. */
static void test_full_disk_while_an_incoming_state_is_fed(void **state)
{
    (void)state;
    enum { VALUES = 40 };
    struct rig r;
    struct rig other;
    struct cb_buf s = CB_BUF_NULL;
    struct store_meta meta;
    bool is_whole;
    rig_init(&other, false);
    rig_open(&other);
    for (uint64_t i = 0; i < VALUES; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "k%02llu", (unsigned long long)i);
        put_big(&other, 10 + i, key, CB_MIB);
    }
    rig_wait(&other, 10 + VALUES - 1);
    assert_int_equal(rig_dump(other.store, &s, NULL), STORE_OK);
    rig_fini(&other);
    struct cb_span all = cb_buf_span(&s);

    rig_init(&r, false);
    rig_open(&r);
    rig_put(&r, 9, "x", "9");
    rig_wait(&r, 9);
    size_t firsts[] = {0, 100, all.len - 1};
    for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
        for (int is_short = 0; is_short < 2; is_short++) {
            assert_int_equal(store_incoming_begin(r.store, NULL), STORE_OK);
            assert_int_equal(
                store_incoming_feed(r.store, cb_span(all.ptr, firsts[i]), &is_whole, NULL),
                STORE_OK);
            atomic_store(&has_no_room, is_short);
            atomic_store(&is_cut_short, is_short);
            atomic_store(&write_error, is_short ? 0 : ENOSPC);
            assert_no_room(&r, cb_span(all.ptr + firsts[i], all.len - firsts[i]));
            assert_int_equal(store_incoming_begin(r.store, &r.err), STORE_FULL);
            atomic_store(&has_no_room, false);
            atomic_store(&is_cut_short, false);
            atomic_store(&write_error, 0);
        }
    }
    assert_int_equal(store_incoming_begin(r.store, NULL), STORE_OK);
    assert_int_equal(store_incoming_feed(r.store, all, &is_whole, NULL), STORE_OK);
    assert_true(is_whole);
    assert_int_equal(store_swap(r.store, NULL), STORE_OK);
    store_durable(r.store, &meta);
    assert_int_equal(meta.record_count, VALUES);
    cb_buf_fini(&s);
    rig_fini(&r);
}

/* Commits with the errors set; the process must end with status 1 and say which file. */
static void
assert_commit_ends_process(int write_code, int root_code, int fdatasync_code, bool is_short)
{
    struct rig r;
    int out[2];
    char said[1024] = "";
    rig_init(&r, false);
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(out[1], STDERR_FILENO);
        rig_open(&r);
        atomic_store(&write_error, write_code);
        atomic_store(&root_error, root_code);
        atomic_store(&fdatasync_error, fdatasync_code);
        atomic_store(&is_cut_short, is_short);
        rig_put(&r, 1, "a", "1");
        rig_wait(&r, 1);
        _exit(0);
    }
    int status;
    assert_int_equal(close(out[1]), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(read(out[0], said, sizeof(said) - 1) > 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_non_null(strstr(said, r.dir));
    assert_non_null(strstr(said, "check the disk"));
    assert_int_equal(close(out[0]), 0);
    rig_open(&r);
    rig_assert_contents(&r, ""); /* what was not reported is not there, or whole */
    rig_fini(&r);
}

static void test_failing_disk_ends_the_process(void **state)
{
    (void)state;
    assert_commit_ends_process(EIO, 0, 0, false);
    assert_commit_ends_process(0, EIO, 0, false);
    assert_commit_ends_process(0, 0, EIO, false);
    assert_commit_ends_process(EROFS, 0, 0, false);
    assert_commit_ends_process(0, 0, 0, true); /* a short write though there is room */
    /* Room was there when the root page was first written: only a file system that copies on write
     * gets here. LMDB can not go on then; a restart can. */
    assert_commit_ends_process(0, ENOSPC, 0, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_disk_is_waited_out),
        cmocka_unit_test(test_a_write_that_is_cut_short_by_a_full_disk_is_waited_out),
        cmocka_unit_test(test_close_does_not_wait_for_room),
        cmocka_unit_test(test_full_map_recovers_by_deletes),
        cmocka_unit_test(test_full_disk_refuses_local_values_and_swaps),
        cmocka_unit_test(test_full_disk_while_an_incoming_state_is_fed),
        cmocka_unit_test(test_failing_disk_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
