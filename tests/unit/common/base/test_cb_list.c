/* Proves that cb_list keeps the order, against an array with insertion and deletion, over random
 * operations at both ends and in the middle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cb_list.h"
#include "common/base/cb_rng.h"
#include "support/seed.h"

#define ITEMS 40

struct item {
    unsigned payload;
    struct cb_list link;
};

struct naive {
    struct cb_list *order[ITEMS];
    size_t len;
};

static uint64_t seed;

static void naive_insert(struct naive *n, size_t at, struct cb_list *l)
{
    memmove(&n->order[at + 1], &n->order[at], (n->len - at) * sizeof(n->order[0]));
    n->order[at] = l;
    n->len++;
}

static void naive_remove(struct naive *n, const struct cb_list *l)
{
    size_t at = 0;
    while (n->order[at] != l) {
        at++;
    }
    n->len--;
    memmove(&n->order[at], &n->order[at + 1], (n->len - at) * sizeof(n->order[0]));
}

static void check(const struct cb_list *head, const struct naive *n)
{
    size_t i = 0;
    CB_LIST_FOREACH(it, head)
    {
        assert_true(i < n->len);
        assert_ptr_equal(it, n->order[i]);
        assert_ptr_equal(it->next->prev, it);
        i++;
    }
    assert_int_equal(i, n->len);
    assert_int_equal(cb_list_is_empty(head), n->len == 0);
    assert_ptr_equal(cb_list_first(head), n->len == 0 ? NULL : n->order[0]);
    assert_ptr_equal(cb_list_last(head), n->len == 0 ? NULL : n->order[n->len - 1]);
}

static void
insert_random(struct cb_list *head, struct naive *n, struct cb_list *l, struct cb_rng *rng)
{
    size_t at = cb_rng_below(rng, n->len + 1);
    switch (cb_rng_below(rng, 3)) {
    case 0:
        cb_list_push_back(head, l);
        naive_insert(n, n->len, l);
        return;
    case 1:
        cb_list_push_front(head, l);
        naive_insert(n, 0, l);
        return;
    default:
        cb_list_insert_before(at == n->len ? head : n->order[at], l);
        naive_insert(n, at, l);
        return;
    }
}

static void random_operations(void **state)
{
    (void)state;
    static struct item items[ITEMS];
    struct naive n = {.len = 0};
    struct cb_rng rng;
    struct cb_list head;
    cb_rng_init(&rng, seed);
    cb_list_init(&head);
    for (size_t i = 0; i < ITEMS; i++) {
        cb_list_init(&items[i].link);
    }
    for (unsigned i = 0; i < 20000; i++) {
        struct cb_list *l = &items[cb_rng_below(&rng, ITEMS)].link;
        if (!cb_list_is_linked(l)) {
            insert_random(&head, &n, l, &rng);
            assert_true(cb_list_is_linked(l));
        } else {
            cb_list_remove(l);
            cb_list_remove(l); /* safe on what is on no list */
            naive_remove(&n, l);
            assert_false(cb_list_is_linked(l));
        }
        check(&head, &n);
    }
}

static void the_object_around_a_link(void **state)
{
    (void)state;
    struct item it = {.payload = 42};
    assert_ptr_equal(CB_CONTAINER(&it.link, struct item, link), &it);
}

static void removal_while_walking(void **state)
{
    (void)state;
    struct item items[5];
    struct cb_list head;
    cb_list_init(&head);
    for (unsigned i = 0; i < 5; i++) {
        items[i].payload = i;
        cb_list_push_back(&head, &items[i].link);
    }
    CB_LIST_FOREACH_SAFE(it, tmp, &head)
    {
        if (CB_CONTAINER(it, struct item, link)->payload % 2 == 0) {
            cb_list_remove(it);
        }
    }
    assert_ptr_equal(cb_list_first(&head), &items[1].link);
    assert_ptr_equal(cb_list_last(&head), &items[3].link);
    assert_ptr_equal(items[1].link.next, &items[3].link);
}

int main(int argc, char **argv)
{
    seed = seed_of_test(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations),
        cmocka_unit_test(the_object_around_a_link),
        cmocka_unit_test(removal_while_walking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
