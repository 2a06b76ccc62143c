/* Proves that cb_heap gives the smallest first and keeps each node's place, against a plain array
 * that is searched, over random inserts, removals from anywhere and changes of key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/cb_heap.h"
#include "common/base/cb_rng.h"
#include "support/seed.h"

#define ITEMS 300

struct item {
    struct cb_heap_node node;
    uint64_t key;
};

static uint64_t seed;

static uint64_t key_of(const struct cb_heap_node *n)
{
    return ((const struct item *)(const void *)n)->key; /* the node is the first member */
}

/* Few keys, so that ties are common; the address breaks them, which is total within one test. */
static bool less(const struct cb_heap_node *a, const struct cb_heap_node *b)
{
    return key_of(a) != key_of(b) ? key_of(a) < key_of(b) : a < b;
}

static struct cb_heap_node *naive_top(struct item *items)
{
    struct cb_heap_node *top = NULL;
    for (size_t i = 0; i < ITEMS; i++) {
        struct cb_heap_node *n = &items[i].node;
        if (cb_heap_node_is_in(n) && (top == NULL || less(n, top))) {
            top = n;
        }
    }
    return top;
}

static void check(const struct cb_heap *h, struct item *items)
{
    uint32_t len = 0;
    for (size_t i = 0; i < ITEMS; i++) {
        if (cb_heap_node_is_in(&items[i].node)) {
            len++;
            assert_ptr_equal(h->nodes[items[i].node.pos], &items[i].node);
        }
    }
    assert_int_equal(h->len, len);
    assert_ptr_equal(cb_heap_top(h), naive_top(items));
}

static void step(struct cb_heap *h, struct item *it, struct cb_rng *rng, unsigned grow)
{
    if (!cb_heap_node_is_in(&it->node)) {
        if (cb_rng_chance(rng, grow, 100)) {
            it->key = cb_rng_below(rng, 50);
            cb_heap_insert(h, &it->node);
        }
    } else if (cb_rng_chance(rng, 1, 2)) {
        it->key = cb_rng_below(rng, 50);
        cb_heap_update(h, &it->node);
    } else if (!cb_rng_chance(rng, grow, 100)) {
        cb_heap_remove(h, &it->node);
    }
}

static void random_operations(void **state)
{
    (void)state;
    static struct item items[ITEMS];
    struct cb_rng rng;
    struct cb_heap h;
    cb_rng_init(&rng, seed);
    cb_heap_init(&h, less);
    for (size_t i = 0; i < ITEMS; i++) {
        cb_heap_node_init(&items[i].node);
    }
    for (unsigned i = 0; i < 40000; i++) {
        unsigned grow = i / 10000 % 2 == 0 ? 90 : 10; /* the array grows and shrinks */
        step(&h, &items[cb_rng_below(&rng, ITEMS)], &rng, grow);
        check(&h, items);
    }
    while (cb_heap_top(&h) != NULL) {
        struct cb_heap_node *top = cb_heap_top(&h);
        assert_ptr_equal(top, naive_top(items));
        cb_heap_remove(&h, top);
        assert_false(cb_heap_node_is_in(top));
    }
    cb_heap_fini(&h);
}

static void memory_follows_the_contents(void **state)
{
    (void)state;
    static struct item items[ITEMS];
    struct cb_heap h;
    cb_heap_init(&h, less);
    for (size_t i = 0; i < ITEMS; i++) {
        items[i].key = i;
        cb_heap_node_init(&items[i].node);
        cb_heap_insert(&h, &items[i].node);
    }
    assert_true(h.cap >= ITEMS);
    for (size_t i = 0; i < ITEMS; i++) {
        cb_heap_remove(&h, &items[i].node);
    }
    assert_null(cb_heap_top(&h));
    assert_in_range(h.cap, 1, 16);
    cb_heap_fini(&h);
}

int main(int argc, char **argv)
{
    seed = seed_of_test(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations),
        cmocka_unit_test(memory_follows_the_contents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
