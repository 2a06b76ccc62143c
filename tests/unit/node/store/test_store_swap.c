/* A process that ends at any step of a creation or of a swap leaves the old state or the new one,
 * and the next open says which and tidies up. Each step of the directory is a crash point; the
 * child ends at the n-th, for every n until it gets through. */
#include "unit/node/store/store_rig.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/cb_limits.h"

#define ENDED_AT_STEP 77

struct fuse {
    int steps_left;
};

static void burn(void *data, const char *step)
{
    struct fuse *f = data;
    (void)step;
    if (--f->steps_left == 0) {
        _exit(ENDED_AT_STEP);
    }
}

/* Runs `fn` in a child that ends at step `n`; false when it got through without. */
static bool ends_at_step(struct rig *r, int n, void (*fn)(struct rig *r))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct fuse fuse = {.steps_left = n};
        r->options.on_step = burn;
        r->options.step_data = &fuse;
        fn(r);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == ENDED_AT_STEP);
    return WEXITSTATUS(status) == ENDED_AT_STEP;
}

static void assert_tidy(const struct rig *r)
{
    DIR *d = opendir(r->dir);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (e->d_name[0] != '.') {
            assert_true(strcmp(e->d_name, "db") == 0 || strcmp(e->d_name, "lock") == 0 ||
                        strcmp(e->d_name, "identity") == 0);
        }
    }
    assert_int_equal(closedir(d), 0);
}

static void open_only(struct rig *r)
{
    struct store *s;
    if (store_lmdb_open(&r->options, &s, &r->err) != STORE_OK) {
        fprintf(stderr, "child: %s\n", r->err.text);
        _exit(1);
    }
}

static void test_creation_can_end_anywhere(void **state)
{
    (void)state;
    int n = 1;
    for (bool ended = true; ended; n++) {
        struct rig r;
        rig_init(&r, false);
        ended = ends_at_step(&r, n, open_only);
        rig_open(&r);
        rig_assert_contents(&r, "");
        assert_tidy(&r);
        rig_fini(&r);
    }
    assert_true(n > 5); /* there were steps to end at */
}

static struct cb_buf dump;

static void make_dump(void)
{
    struct rig r;
    rig_init(&r, false);
    rig_open(&r);
    rig_put(&r, 50, "new", "50");
    rig_wait(&r, 50);
    assert_int_equal(rig_dump(r.store, &dump, NULL), STORE_OK);
    rig_fini(&r);
}

static void make_old_state(struct rig *r)
{
    rig_init(r, false);
    rig_open(r);
    assert_int_equal(store_set_local(r->store, "boot", cb_span_str("own"), NULL), STORE_OK);
    rig_put(r, 3, "old", "3");
    store_commit(r->store, store_batch_create(),
                 &(struct store_meta){.index = 3, .appended_index = 4, .appended_term = 2});
    rig_wait(r, 3);
    rig_close(r);
}

static void must(enum store_result result)
{
    if (result != STORE_OK) {
        fprintf(stderr, "child: %s\n", store_result_name(result));
        _exit(1);
    }
}

static void swap_in_child(struct rig *r)
{
    struct store *s;
    must(store_lmdb_open(&r->options, &s, &r->err));
    must(rig_load_dump(s, cb_buf_span(&dump), 0, &r->err));
    must(store_swap(s, &r->err));
    store_close(s); /* and the old database goes */
}

static void assert_old_or_new(struct rig *r)
{
    struct store_meta meta;
    struct cb_buf local = CB_BUF_NULL;
    rig_open(r);
    store_durable(r->store, &meta);
    assert_true(meta.index == 3 || meta.index == 50);
    rig_assert_contents(r, meta.index == 3 ? "old=3;" : "new=50;");
    assert_int_equal(meta.appended_index, 4);
    assert_int_equal(meta.appended_term, 2);
    assert_int_equal(store_get_local(r->store, "boot", &local, NULL), STORE_OK);
    assert_true(cb_span_eq(cb_buf_span(&local), cb_span_str("own")));
    assert_tidy(r);
    cb_buf_fini(&local);
}

static void test_swap_can_end_anywhere(void **state)
{
    (void)state;
    int n = 1;
    for (bool ended = true; ended; n++) {
        struct rig r;
        make_old_state(&r);
        ended = ends_at_step(&r, n, swap_in_child);
        assert_old_or_new(&r);
        if (!ended) {
            struct store_meta meta;
            store_durable(r.store, &meta);
            assert_int_equal(meta.index, 50);
        }
        rig_fini(&r);
    }
    assert_true(n > 8);
}

/* The open that finishes a swap can end anywhere as well. */
static void test_finishing_a_swap_can_end_anywhere(void **state)
{
    (void)state;
    int steps = 0;
    for (int first = 1; first < 12; first++) {
        bool ended = true;
        for (int second = 1; ended; second++) {
            struct rig r;
            make_old_state(&r);
            (void)ends_at_step(&r, first, swap_in_child);
            ended = ends_at_step(&r, second, open_only);
            assert_old_or_new(&r);
            rig_fini(&r);
            steps += ended;
        }
    }
    assert_true(steps > 8);
}

static void feed_half(struct store *s, struct rig *r)
{
    struct cb_span all = cb_buf_span(&dump);
    bool is_whole;
    must(store_incoming_begin(s, &r->err));
    must(store_incoming_feed(s, cb_span(all.ptr, all.len - 1), &is_whole, &r->err));
}

static void feed_half_in_child(struct rig *r)
{
    struct store *s;
    must(store_lmdb_open(&r->options, &s, &r->err));
    feed_half(s, r);
    feed_half(s, r); /* the first one is dropped */
}

static void feed_half_and_close_in_child(struct rig *r)
{
    struct store *s;
    must(store_lmdb_open(&r->options, &s, &r->err));
    feed_half(s, r);
    store_close(s);
}

/* What has not come whole is dropped by the next open, whatever the process ended with. */
static void test_half_fed_state_can_end_anywhere(void **state)
{
    (void)state;
    int n = 1;
    for (bool ended = true; ended; n++) {
        struct rig r;
        struct store_meta meta;
        make_old_state(&r);
        ended = ends_at_step(&r, n, feed_half_in_child);
        assert_old_or_new(&r);
        store_durable(r.store, &meta);
        assert_int_equal(meta.index, 3);
        rig_close(&r);
        assert_false(ends_at_step(&r, 1000, feed_half_and_close_in_child));
        assert_old_or_new(&r);
        store_durable(r.store, &meta);
        assert_int_equal(meta.index, 3);
        rig_fini(&r);
    }
    assert_true(n > 4);
}

static void test_older_incoming_state_is_dropped_at_open(void **state)
{
    (void)state;
    struct rig r;
    make_old_state(&r);
    rig_open(&r);
    assert_int_equal(rig_load_dump(r.store, cb_buf_span(&dump), 0, NULL), STORE_OK);
    rig_put(&r, 60, "later", "60");
    rig_wait(&r, 60);
    rig_reopen(&r);
    rig_assert_contents(&r, "later=60;old=3;");
    assert_tidy(&r);
    rig_fini(&r);
}

/* A copy that is read during a swap goes on with the state it began with. */
static void test_copy_goes_on_over_a_swap(void **state)
{
    (void)state;
    struct rig r;
    struct rig other;
    struct store_copy *c;
    struct cb_buf old = CB_BUF_NULL;
    bool is_last;
    make_old_state(&r);
    rig_open(&r);
    assert_int_equal(rig_load_dump(r.store, cb_buf_span(&dump), 0, NULL), STORE_OK);
    assert_int_equal(store_copy_open(r.store, &c, NULL), STORE_OK);
    assert_int_equal(store_copy_next(c, 1, &old, &is_last, NULL), STORE_OK);
    assert_int_equal(store_swap(r.store, NULL), STORE_OK);
    rig_put(&r, 51, "after", "51");
    rig_wait(&r, 51);
    assert_false(is_last);
    assert_int_equal(store_copy_next(c, CB_MIB, &old, &is_last, NULL), STORE_OK);
    assert_true(is_last);
    store_copy_close(c);
    rig_assert_contents(&r, "after=51;new=50;");
    rig_init(&other, false);
    rig_open(&other);
    assert_int_equal(rig_load_dump(other.store, cb_buf_span(&old), 0, NULL), STORE_OK);
    assert_int_equal(store_swap(other.store, NULL), STORE_OK);
    rig_assert_contents(&other, "old=3;");
    cb_buf_fini(&old);
    rig_fini(&other);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_creation_can_end_anywhere),
        cmocka_unit_test(test_swap_can_end_anywhere),
        cmocka_unit_test(test_finishing_a_swap_can_end_anywhere),
        cmocka_unit_test(test_half_fed_state_can_end_anywhere),
        cmocka_unit_test(test_older_incoming_state_is_dropped_at_open),
        cmocka_unit_test(test_copy_goes_on_over_a_swap),
    };
    make_dump();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cb_buf_fini(&dump);
    return failed;
}
