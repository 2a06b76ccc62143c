/* Copies read out in parts and incoming states fed in parts, at random, beside commits and swaps:
 * each copy is, to the byte, what a whole dump was at its open, and each state that came in whole
 * is the sender's. Of both implementations of store.h: the test runs with `*state` pointing to
 * whether it is the double's turn. */
#include "unit/node/store/store_rig.h"

#include <stdio.h>

static void start(struct rig *r, void **state)
{
    rig_init(r, *(const bool *)*state);
    rig_open(r);
}

enum { WALK_COPIES = 3, WALK_STEPS = 400 };

struct walk {
    struct rig r;     /* commits, copies, incoming states, swaps, reopens */
    struct rig other; /* where the incoming states come from; its index is ahead */
    struct cb_rng rng;
    uint64_t index;
    uint64_t other_index;
    struct store_copy *copies[WALK_COPIES]; /* NULL: closed */
    struct cb_buf expected[WALK_COPIES];    /* what is still to come of each */
    struct cb_buf incoming;                 /* what is still to be fed */
    bool is_feeding;
    bool is_whole;
    struct cb_buf contents; /* of the state that comes in */
    int swaps, ended;
};

static void walk_commit(struct walk *w, struct rig *r, uint64_t index)
{
    struct store_batch *b = store_batch_create();
    for (uint64_t n = cb_rng_below(&w->rng, 10); n > 0; n--) {
        uint8_t key = (uint8_t)('A' + cb_rng_below(&w->rng, 26));
        uint8_t value[600];
        memset(value, (int)cb_rng_below(&w->rng, 256), sizeof(value));
        if (cb_rng_chance(&w->rng, 1, 4)) {
            store_batch_del(b, cb_span(&key, 1));
        } else {
            store_batch_put(b, cb_span(&key, 1),
                            cb_span(value, (size_t)cb_rng_below(&w->rng, sizeof(value))));
        }
    }
    store_commit(r->store, b, &(struct store_meta){.index = index});
    rig_wait(r, index);
}

static void walk_copy(struct walk *w)
{
    size_t i = (size_t)cb_rng_below(&w->rng, WALK_COPIES);
    if (w->copies[i] == NULL) {
        struct cb_buf whole = CB_BUF_NULL;
        assert_int_equal(store_copy_open(w->r.store, &w->copies[i], NULL), STORE_OK);
        assert_int_equal(rig_dump(w->r.store, &whole, NULL), STORE_OK);
        w->expected[i] = whole;
        return;
    }
    struct cb_buf part = CB_BUF_NULL;
    bool is_last = false;
    size_t size = 1 + (size_t)cb_rng_below(&w->rng, 2000);
    assert_int_equal(store_copy_next(w->copies[i], size, &part, &is_last, NULL), STORE_OK);
    struct cb_span got = cb_buf_span(&part);
    assert_true(got.len <= cb_buf_len(&w->expected[i]));
    assert_memory_equal(got.ptr, cb_buf_span(&w->expected[i]).ptr, got.len);
    cb_buf_consume(&w->expected[i], got.len);
    assert_int_equal(is_last, cb_buf_len(&w->expected[i]) == 0);
    cb_buf_fini(&part);
    if (is_last || cb_rng_chance(&w->rng, 1, 20)) {
        store_copy_close(w->copies[i]);
        w->copies[i] = NULL;
        cb_buf_fini(&w->expected[i]);
        w->ended += is_last;
    }
}

static void walk_begin(struct walk *w)
{
    walk_commit(w, &w->other, ++w->other_index);
    cb_buf_clear(&w->incoming);
    cb_buf_clear(&w->contents);
    assert_int_equal(rig_dump(w->other.store, &w->incoming, NULL), STORE_OK);
    rig_contents(&w->other, &w->contents);
    assert_int_equal(store_incoming_begin(w->r.store, NULL), STORE_OK);
    w->is_feeding = true;
    w->is_whole = false;
}

static void walk_feed(struct walk *w)
{
    uint8_t part[3000];
    size_t left = cb_buf_len(&w->incoming);
    size_t cap = (size_t)cb_rng_below(&w->rng, sizeof(part));
    size_t n = left < cap ? left : cap;
    memcpy(part, cb_buf_span(&w->incoming).ptr, n);
    cb_buf_consume(&w->incoming, n);
    assert_int_equal(store_incoming_feed(w->r.store, cb_span(part, n), &w->is_whole, NULL),
                     STORE_OK);
    memset(part, 0xee, sizeof(part)); /* borrowed for the call */
    assert_int_equal(w->is_whole, n == left);
}

static void walk_end_feeding(struct walk *w)
{
    if (!w->is_whole || w->other_index < w->index) {
        store_discard_incoming(w->r.store);
    } else {
        struct cb_buf found = CB_BUF_NULL;
        assert_int_equal(store_swap(w->r.store, NULL), STORE_OK);
        rig_contents(&w->r, &found);
        assert_true(cb_span_eq(cb_buf_span(&found), cb_buf_span(&w->contents)));
        cb_buf_fini(&found);
        w->index = w->other_index;
        w->swaps++;
    }
    w->is_feeding = false;
}

static void walk_step(struct walk *w)
{
    uint64_t draw = cb_rng_below(&w->rng, 10);
    if (draw < 2) {
        walk_commit(w, &w->r, ++w->index);
    } else if (draw < 6) {
        walk_copy(w);
    } else if (!w->is_feeding) {
        w->other_index = w->other_index > w->index + 20 ? w->other_index : w->index + 20;
        walk_begin(w);
    } else if (w->is_whole || cb_rng_chance(&w->rng, 1, 30)) {
        walk_end_feeding(w);
    } else {
        walk_feed(w);
    }
}

static void test_random_walk(void **state)
{
    struct walk w = {.incoming = CB_BUF_NULL};
    cb_rng_init(&w.rng, rig_seed("parts"));
    start(&w.r, state);
    start(&w.other, state);
    for (int i = 0; i < WALK_STEPS; i++) {
        walk_step(&w);
    }
    printf("parts: %d copies read out, %d swaps\n", w.ended, w.swaps);
    assert_true(w.ended > 0 && w.swaps > 0);
    for (size_t i = 0; i < WALK_COPIES; i++) {
        if (w.copies[i] != NULL) {
            store_copy_close(w.copies[i]);
            cb_buf_fini(&w.expected[i]);
        }
    }
    cb_buf_fini(&w.incoming);
    cb_buf_fini(&w.contents);
    rig_fini(&w.other);
    rig_fini(&w.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {BOTH(test_random_walk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
