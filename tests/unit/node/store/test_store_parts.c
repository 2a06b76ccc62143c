/* The state's way to another node in parts, of both implementations of store.h: a copy read out in
 * parts of any size, at its own pace, beside commits, swaps and other copies; an incoming state fed
 * in parts cut anywhere, which is whole at the end or leaves nothing behind. Each test runs with
 * `*state` pointing to whether it is the double's turn. */
#include "unit/node/store/store_rig.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"

static void start(struct rig *r, void **state)
{
    rig_init(r, *(const bool *)*state);
    rig_open(r);
}

/* A state of some records, one of them large, and its dump as a whole. */
static void fill_other(struct rig *other, struct cb_buf *s, void **state)
{
    uint8_t *value = cb_calloc(1, 100 * CB_KIB);
    start(other, state);
    struct store_batch *b = store_batch_create();
    store_batch_put(b, cb_span_str("a"), cb_span_str("10"));
    store_batch_put(b, cb_span_str("b"), cb_span_str(""));
    store_batch_put(b, cb_span_str("large"), cb_span(value, 100 * CB_KIB));
    store_batch_put(b, cb_span_str("z"), cb_span_str("11"));
    store_commit(other->store, b, &(struct store_meta){.index = 12, .wall_ns = 9000});
    rig_wait(other, 12);
    assert_int_equal(rig_dump(other->store, s, NULL), STORE_OK);
    cb_free(value);
}

/* A small one: its dump has a few hundred bytes. */
static void make_small_dump(struct cb_buf *s, void **state)
{
    struct rig other;
    start(&other, state);
    rig_put(&other, 10, "a", "10");
    rig_put(&other, 12, "z", "11");
    rig_wait(&other, 12);
    assert_int_equal(rig_dump(other.store, s, NULL), STORE_OK);
    rig_fini(&other);
}

static void start_old(struct rig *r, void **state)
{
    start(r, state);
    rig_put(r, 3, "old", "3");
    rig_wait(r, 3);
}

static struct store_copy *open_copy(struct rig *r)
{
    struct store_copy *c;
    assert_int_equal(store_copy_open(r->store, &c, &r->err), STORE_OK);
    return c;
}

/* What is left of the copy, which is then closed. */
static void read_out(struct store_copy *c, size_t size, struct cb_buf *out)
{
    bool is_last = false;
    while (!is_last) {
        size_t before = cb_buf_len(out);
        assert_int_equal(store_copy_next(c, size, out, &is_last, NULL), STORE_OK);
        assert_true(is_last || cb_buf_len(out) >= before + size);
        assert_true(cb_buf_len(out) > before);
    }
    store_copy_close(c);
}

static enum store_result feed(struct rig *r, struct cb_span bytes, bool *is_whole)
{
    uint8_t *once = cb_memdup(bytes.ptr, bytes.len); /* borrowed for the call, so it goes with it */
    enum store_result result =
        store_incoming_feed(r->store, cb_span(once, bytes.len), is_whole, &r->err);
    cb_free(once);
    return result;
}

static void feed_some(struct rig *r, struct cb_span bytes)
{
    bool is_whole;
    assert_int_equal(feed(r, bytes, &is_whole), STORE_OK);
    assert_false(is_whole);
}

static void begin(struct rig *r)
{
    assert_int_equal(store_incoming_begin(r->store, &r->err), STORE_OK);
}

static void test_parts_of_any_size_are_the_dump(void **state)
{
    static const size_t sizes[] = {1, 2, 17, 100, 1000, 100 * CB_KIB, CB_MIB};
    struct rig other;
    struct cb_buf s = CB_BUF_NULL;
    fill_other(&other, &s, state);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct cb_buf out = CB_BUF_NULL;
        struct store_copy *c = open_copy(&other);
        assert_int_equal(store_copy_meta(c)->index, 12);
        assert_int_equal(store_copy_meta(c)->wall_ns, 9000);
        assert_int_equal(store_copy_meta(c)->record_count, 4);
        read_out(c, sizes[i], &out);
        assert_true(cb_span_eq(cb_buf_span(&out), cb_buf_span(&s)));
        cb_buf_fini(&out);
    }
    cb_buf_fini(&s);
    rig_fini(&other);
}

/* No part is larger than what was asked for and one record. */
static void test_parts_are_bounded(void **state)
{
    struct rig other;
    struct cb_buf s = CB_BUF_NULL;
    struct cb_buf out = CB_BUF_NULL;
    bool is_last = false;
    size_t parts = 0;
    fill_other(&other, &s, state);
    struct store_copy *c = open_copy(&other);
    while (!is_last) {
        cb_buf_clear(&out);
        assert_int_equal(store_copy_next(c, 1, &out, &is_last, NULL), STORE_OK);
        assert_true(cb_buf_len(&out) < 200 || cb_buf_len(&out) == 16 + 5 + 100 * CB_KIB);
        parts++;
    }
    assert_int_equal(parts, 1 + 4 + 1); /* header, records, trailer */
    store_copy_close(c);
    store_copy_close(open_copy(&other)); /* one that nobody reads out */
    cb_buf_fini(&out);
    cb_buf_fini(&s);
    rig_fini(&other);
}

static void test_fed_in_parts_of_any_size(void **state)
{
    static const size_t sizes[] = {1, 3, 17, 1000, 100 * CB_KIB, CB_MIB};
    struct rig other;
    struct cb_buf s = CB_BUF_NULL;
    fill_other(&other, &s, state);
    struct cb_span all = cb_buf_span(&s);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct rig r;
        struct store_meta meta;
        struct cb_buf expected = CB_BUF_NULL;
        struct cb_buf found = CB_BUF_NULL;
        bool is_whole = false;
        start_old(&r, state);
        begin(&r);
        for (size_t at = 0; at < all.len; at += sizes[i]) {
            assert_false(is_whole);
            size_t len = all.len - at < sizes[i] ? all.len - at : sizes[i];
            assert_int_equal(feed(&r, cb_span(all.ptr + at, len), &is_whole), STORE_OK);
        }
        assert_true(is_whole);
        assert_int_equal(store_load_incoming(r.store, rig_append_record, &found, &meta, NULL),
                         STORE_OK);
        assert_int_equal(meta.index, 12);
        assert_int_equal(meta.wall_ns, 0);
        cb_buf_clear(&found);
        rig_assert_contents(&r, "old=3;");
        assert_int_equal(feed(&r, CB_SPAN_NULL, &is_whole), STORE_OK);
        assert_true(is_whole);
        assert_int_equal(store_swap(r.store, NULL), STORE_OK);
        rig_reopen(&r);
        rig_contents(&other, &expected);
        rig_contents(&r, &found);
        assert_true(cb_span_eq(cb_buf_span(&found), cb_buf_span(&expected)));
        cb_buf_fini(&found);
        cb_buf_fini(&expected);
        rig_fini(&r);
    }
    cb_buf_fini(&s);
    rig_fini(&other);
}

/* Given up at every byte, by a new beginning, and in the end by a discard. */
static void test_cut_anywhere_leaves_nothing(void **state)
{
    struct rig r;
    struct cb_buf s = CB_BUF_NULL;
    bool is_whole;
    make_small_dump(&s, state);
    struct cb_span all = cb_buf_span(&s);
    start_old(&r, state);
    for (size_t cut = 0; cut < all.len; cut++) {
        begin(&r);
        feed_some(&r, cb_span(all.ptr, cut));
    }
    rig_assert_contents(&r, "old=3;");
    store_discard_incoming(r.store);
    store_discard_incoming(r.store); /* there may be none */
    for (size_t cut = 0; cut <= all.len; cut++) {
        begin(&r);
        if (cut < all.len) {
            feed_some(&r, cb_span(all.ptr, cut));
        }
        size_t rest = cut < all.len ? cut : 0;
        assert_int_equal(feed(&r, cb_span(all.ptr + rest, all.len - rest), &is_whole), STORE_OK);
        assert_true(is_whole);
    }
    rig_assert_contents(&r, "old=3;");
    begin(&r); /* a whole one is dropped too */
    rig_reopen(&r);
    rig_assert_contents(&r, "old=3;");
    cb_buf_fini(&s);
    rig_fini(&r);
}

/* The store ends with a half-fed state, at every byte. */
static void test_close_drops_what_is_not_whole(void **state)
{
    struct rig r;
    struct cb_buf s = CB_BUF_NULL;
    make_small_dump(&s, state);
    struct cb_span all = cb_buf_span(&s);
    start_old(&r, state);
    for (size_t cut = 0; cut < all.len; cut += r.disk != NULL ? 1 : 5) {
        begin(&r);
        feed_some(&r, cb_span(all.ptr, cut));
        rig_reopen(&r);
        rig_assert_contents(&r, "old=3;");
    }
    cb_buf_fini(&s);
    rig_fini(&r);
}

/* Ends without any close: the double's crash, and for the one on disk a process of its own. */
static void feed_and_crash(struct rig *r, struct cb_span bytes)
{
    bool is_whole;
    if (r->disk != NULL) {
        begin(r);
        assert_int_equal(feed(r, bytes, &is_whole), STORE_OK);
        store_mem_crash(r->store);
        r->store = NULL;
        return;
    }
    rig_close(r);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool is_good = rig_try_open(r) == STORE_OK &&
                       store_incoming_begin(r->store, &r->err) == STORE_OK &&
                       store_incoming_feed(r->store, bytes, &is_whole, &r->err) == STORE_OK;
        _exit(is_good ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_crash_before_the_end_and_after_it(void **state)
{
    struct rig r;
    struct cb_buf s = CB_BUF_NULL;
    make_small_dump(&s, state);
    struct cb_span all = cb_buf_span(&s);
    start_old(&r, state);
    for (size_t cut = 0; cut < all.len; cut += r.disk != NULL ? 1 : 5) {
        feed_and_crash(&r, cb_span(all.ptr, cut));
        rig_open(&r);
        rig_assert_contents(&r, "old=3;");
    }
    feed_and_crash(&r, cb_span(all.ptr, all.len - 1));
    rig_open(&r);
    rig_assert_contents(&r, "old=3;");
    feed_and_crash(&r, all);
    rig_open(&r);
    rig_assert_contents(&r, "a=10;z=11;");
    cb_buf_fini(&s);
    rig_fini(&r);
}

static void test_bad_byte_anywhere_is_found(void **state)
{
    struct rig r;
    struct cb_buf s = CB_BUF_NULL;
    make_small_dump(&s, state);
    struct cb_span all = cb_buf_span(&s);
    start_old(&r, state);
    size_t refused = 0;
    for (size_t at = 0; at < all.len; at++) {
        bool is_whole;
        begin(&r);
        s.base[at] ^= 0x40;
        enum store_result result = feed(&r, all, &is_whole);
        s.base[at] ^= 0x40;
        assert_false(is_whole); /* a length that has become larger waits for what never comes */
        assert_true(result == STORE_OK || result == STORE_BAD_DUMP || result == STORE_NEWER_FORMAT);
        refused += result != STORE_OK;
        if (result != STORE_OK) {
            assert_true(strlen(r.err.text) > 0);
        }
    }
    /* The lowest byte of each key's length, the trailer's too, and the lower three of each value's.
     */
    assert_int_equal(all.len - refused, 3 + 2 * 3);
    rig_assert_contents(&r, "old=3;");
    rig_reopen(&r);
    rig_assert_contents(&r, "old=3;");
    cb_buf_fini(&s);
    rig_fini(&r);
}

static void test_bytes_after_the_end_are_refused(void **state)
{
    struct rig r;
    struct cb_buf s = CB_BUF_NULL;
    bool is_whole;
    make_small_dump(&s, state);
    start_old(&r, state);
    begin(&r);
    assert_int_equal(feed(&r, cb_buf_span(&s), &is_whole), STORE_OK);
    assert_true(is_whole);
    assert_int_equal(feed(&r, cb_span_str("x"), &is_whole), STORE_BAD_DUMP);
    assert_false(is_whole);
    cb_buf_append_str(&s, "x");
    begin(&r);
    assert_int_equal(feed(&r, cb_buf_span(&s), &is_whole), STORE_BAD_DUMP);
    assert_false(is_whole);
    rig_reopen(&r);
    rig_assert_contents(&r, "old=3;"); /* there was no incoming state left to be swapped in */
    cb_buf_fini(&s);
    rig_fini(&r);
}

static void assert_copy_is(struct store_copy *c, void **state, const char *expected)
{
    struct rig r;
    struct cb_buf out = CB_BUF_NULL;
    bool is_whole;
    start(&r, state);
    read_out(c, 1, &out);
    begin(&r);
    assert_int_equal(feed(&r, cb_buf_span(&out), &is_whole), STORE_OK);
    assert_true(is_whole);
    assert_int_equal(store_swap(r.store, NULL), STORE_OK);
    rig_assert_contents(&r, expected);
    cb_buf_fini(&out);
    rig_fini(&r);
}

/* Each copy is the state at its open: one of before a commit, one of after it, both across a swap
 * and read out after it, while new ones have the new state. */
static void test_copies_keep_their_state(void **state)
{
    struct rig r;
    struct cb_buf s = CB_BUF_NULL;
    bool is_whole;
    make_small_dump(&s, state);
    start_old(&r, state);
    struct store_copy *first = open_copy(&r);
    rig_put(&r, 4, "old", "4");
    rig_put(&r, 5, "new", "5");
    rig_wait(&r, 5);
    struct store_copy *second = open_copy(&r);
    begin(&r);
    assert_int_equal(feed(&r, cb_buf_span(&s), &is_whole), STORE_OK);
    struct store_copy *third = open_copy(&r);
    assert_int_equal(store_swap(r.store, NULL), STORE_OK);
    struct store_copy *fourth = open_copy(&r);
    for (uint64_t index = 13; index < 40; index++) {
        rig_put(&r, index, "a", "later");
        rig_wait(&r, index);
    }
    assert_int_equal(store_copy_meta(first)->index, 3);
    assert_int_equal(store_copy_meta(third)->index, 5);
    assert_int_equal(store_copy_meta(fourth)->index, 12);
    assert_copy_is(second, state, "new=5;old=4;");
    assert_copy_is(first, state, "old=3;");
    assert_copy_is(fourth, state, "a=10;z=11;");
    assert_copy_is(third, state, "new=5;old=4;");
    rig_assert_contents(&r, "a=later;z=11;");
    cb_buf_fini(&s);
    rig_fini(&r);
}

/* All that may be open are, and everything else goes on. */
static void test_one_copy_too_many_is_refused(void **state)
{
    struct rig r;
    struct cb_buf s = CB_BUF_NULL;
    struct store_copy *copies[CB_STORE_COPIES_MAX];
    struct store_copy *one_more;
    make_small_dump(&s, state);
    start_old(&r, state);
    for (size_t i = 0; i < CB_STORE_COPIES_MAX; i++) {
        copies[i] = open_copy(&r);
    }
    assert_int_equal(store_copy_open(r.store, &one_more, &r.err), STORE_IO);
    rig_put(&r, 4, "old", "4");
    rig_wait(&r, 4);
    rig_assert_contents(&r, "old=4;");
    assert_int_equal(rig_load_dump(r.store, cb_buf_span(&s), 0, NULL), STORE_OK);
    assert_int_equal(store_swap(r.store, NULL), STORE_OK);
    rig_assert_contents(&r, "a=10;z=11;");
    store_copy_close(copies[0]);
    copies[0] = open_copy(&r);
    for (size_t i = 0; i < CB_STORE_COPIES_MAX; i++) {
        store_copy_close(copies[i]);
    }
    cb_buf_fini(&s);
    rig_fini(&r);
}

/* One call of a copy and one of an incoming state, on a thread of its own. */
struct turn {
    struct store *from;
    struct store_copy **copy;
    struct store *to;
    struct cb_buf part;
    bool is_last;
    bool is_whole;
    enum store_result result;
};

static void *take_turn(void *arg)
{
    struct turn *t = arg;
    t->result = *t->copy == NULL ? store_copy_open(t->from, t->copy, NULL)
                                 : store_copy_next(*t->copy, 1, &t->part, &t->is_last, NULL);
    if (t->result == STORE_OK && cb_buf_len(&t->part) > 0) {
        t->result = store_incoming_feed(t->to, cb_buf_span(&t->part), &t->is_whole, NULL);
        cb_buf_clear(&t->part);
    }
    if (t->is_last) {
        store_copy_close(*t->copy);
    }
    return NULL;
}

static void *discard(void *arg)
{
    store_discard_incoming(arg);
    return NULL;
}

static void *begin_anew(void *arg)
{
    assert_int_equal(store_incoming_begin(arg, NULL), STORE_OK);
    return NULL;
}

static void on_thread(void *(*fn)(void *arg), void *arg)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_each_call_on_another_thread(void **state)
{
    struct rig r;
    struct rig other;
    struct cb_buf s = CB_BUF_NULL;
    struct store_copy *copy = NULL;
    fill_other(&other, &s, state);
    start_old(&r, state);
    struct cb_span all = cb_buf_span(&s);
    begin(&r); /* one that is given up elsewhere with a record in hand */
    feed_some(&r, cb_span(all.ptr, all.len - 1));
    on_thread(discard, r.store);
    begin(&r);
    feed_some(&r, cb_span(all.ptr, all.len - 1));
    on_thread(begin_anew, r.store);

    struct turn t = {.from = other.store, .copy = &copy, .to = r.store, .part = CB_BUF_NULL};
    while (!t.is_last) {
        on_thread(take_turn, &t);
        assert_int_equal(t.result, STORE_OK);
    }
    assert_true(t.is_whole);
    assert_int_equal(store_swap(r.store, NULL), STORE_OK);
    rig_put(&r, 13, "c", "13"); /* the writer's thread, with what others have filled */
    rig_wait(&r, 13);
    rig_reopen(&r);
    cb_buf_fini(&t.part);
    cb_buf_fini(&s);
    rig_fini(&other);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_parts_of_any_size_are_the_dump), BOTH(test_parts_are_bounded),
        BOTH(test_fed_in_parts_of_any_size),       BOTH(test_cut_anywhere_leaves_nothing),
        BOTH(test_close_drops_what_is_not_whole),  BOTH(test_crash_before_the_end_and_after_it),
        BOTH(test_bad_byte_anywhere_is_found),     BOTH(test_bytes_after_the_end_are_refused),
        BOTH(test_copies_keep_their_state),        BOTH(test_one_copy_too_many_is_refused),
        BOTH(test_each_call_on_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
