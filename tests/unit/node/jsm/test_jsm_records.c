/* Proves that a damaged store does not pass: whichever byte of a record is changed, whatever is cut
 * or missing, loading refuses it, or the state digest is not the one that was stored with the
 * records (the store compares the two); and it never crashes. */
#include "common/base/cb_mem.h"
#include "support/jsm_script.h"
#include "support/jsm_store.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char everything[] =
    "c1> put 5 0 60 ready; c1> put 5 100 60 delayed; c1> put 5 0 60 reserved; c1> put 5 0 60 "
    "buried\n"
    "c1> reserve-job 3; c1> reserve-job 4; c1> bury 4 9\n"
    "c2> use a; c2> watch b; c2> pause-tube b 50; c2> reserve-with-timeout 30\n"
    "d1> use a; d1> put-rejected; d1> half-close";

/* What is worked off over several entries, half done: a kick of buried and one of delayed jobs, a
 * connection that ended, a session that is prepared, one that is not, a tube to be matched. */
static const char half_done[] =
    "c1> use a; c1> put 5 0 60 x; c1> put 4 0 60 y; c1> put 3 0 60 z; c1> put 2 0 60 w\n"
    "c1> reserve-job 1; c1> bury 1 1; c1> reserve-job 2; c1> bury 2 1; c1> reserve-job 3; "
    "c1> bury 3 1; c1> use b; c1> put 5 50 60 x; c1> put 4 50 60 y; c1> put 3 50 60 z\n"
    "c2> put 1 0 60 h; c2> put 1 0 60 i; c2> put 1 0 60 j; c2> watch a; c2> reserve-job 8; "
    "c2> reserve-job 9; c2> reserve-job 10\n"
    "d1> put 1 0 60 k; d1> put 1 0 60 l; d1> reserve-job 11; d1> reserve-job 12\n"
    "e1> put 1 0 60 m; e1> put 1 0 60 n; e1> reserve-job 13; e1> reserve-job 14; e2> use e; "
    "c3> watch c; c3> reserve; c4> watch c; c4> reserve; c1> use c; c1> pause-tube c 9; "
    "c1> put 7 0 60 o; c1> put 7 0 60 p; steps 1; c1> pause-tube c 0; c1> use a; c1> kick 9; "
    "c1> use b; c1> kick 2; c2> close; expire p3; expire p2";

static const char *content = everything;
static uint64_t digest;

static void fill(struct jsm_store *store)
{
    struct jsm_script *s = jsm_script_create(false);
    jsm_script_run(s, content);
    jsm_store_drain(store, jsm_script_machine(s));
    digest = jsm_state_digest(jsm_script_machine(s));
    jsm_script_destroy(s);
}

static bool passes(const struct jsm_store *store)
{
    struct jsm *m = jsm_store_load(store);
    bool same = m != NULL && jsm_state_digest(m) == digest;
    if (m != NULL) {
        jsm_destroy(m);
    }
    return same;
}

static void a_changed_byte_does_not_pass(void **state)
{
    content = *state;
    struct jsm_store store = {0};
    fill(&store);
    assert_true(passes(&store));
    for (uint32_t i = 0; i < store.n; i++) {
        struct jsm_store_record *r = &store.records[i];
        for (size_t k = 0; k < r->value_len; k++) {
            r->value[k] ^= 0x41;
            assert_false(passes(&store));
            r->value[k] ^= 0x41;
        }
        for (size_t k = 0; k < r->key_len; k++) {
            r->key[k] ^= 0x41;
            assert_false(passes(&store));
            r->key[k] ^= 0x41;
        }
    }
    jsm_store_fini(&store);
}

static void a_cut_record_does_not_pass(void **state)
{
    content = *state;
    struct jsm_store store = {0};
    fill(&store);
    for (uint32_t i = 0; i < store.n; i++) {
        struct jsm_store_record *r = &store.records[i];
        size_t key_len = r->key_len, value_len = r->value_len;
        for (r->value_len = 0; r->value_len < value_len; r->value_len++) {
            assert_false(passes(&store));
        }
        for (r->key_len = 0; r->key_len < key_len; r->key_len++) {
            assert_false(passes(&store));
        }
    }
    jsm_store_fini(&store);
}

/* Moves record i out of the store's sight, tries, and puts it back. */
static bool passes_without(struct jsm_store *store, uint32_t i)
{
    struct jsm_store_record r = store->records[i];
    size_t tail = (store->n - i - 1) * sizeof r;
    memmove(&store->records[i], &store->records[i + 1], tail);
    store->n--;
    bool passed = passes(store);
    store->n++;
    memmove(&store->records[i + 1], &store->records[i], tail);
    store->records[i] = r;
    return passed;
}

static void a_missing_record_does_not_pass(void **state)
{
    content = *state;
    struct jsm_store store = {0};
    fill(&store);
    for (uint32_t i = 0; i < store.n; i++) {
        assert_false(passes_without(&store, i));
    }
    jsm_store_fini(&store);
}

/* Format 1: the globals ended before the limits; 2: before the word on space; 3: before the clock's
 * entry. */
static void records_of_earlier_formats_are_read(void **state)
{
    content = *state;
    struct jsm_store store = {0};
    fill(&store);
    struct jsm_store_record *globals = &store.records[0];
    assert_int_equal(globals->value[0], 4);
    globals->value[0] = 3;
    globals->value_len--; /* it is 0 */
    struct jsm *m = jsm_store_load(&store);
    assert_non_null(m);
    assert_int_equal(jsm_clock_index(m), 0);
    jsm_destroy(m);
    globals->value[0] = 2;
    globals->value_len--; /* it is 0 */
    m = jsm_store_load(&store);
    assert_non_null(m);
    assert_false(jsm_is_short_of_space(m));
    jsm_destroy(m);
    globals->value[0] = 1;
    globals->value_len -= 2; /* both are 0 */
    m = jsm_store_load(&store);
    assert_non_null(m);
    assert_int_equal(jsm_limits_now(m).jobs, 0);
    jsm_destroy(m);
    globals->value_len--;
    assert_null(jsm_store_load(&store));
    jsm_store_fini(&store);
}

/* Format 2: a delayed job did not know when it got there. A kick takes it all the same. */
static void records_of_the_second_format_are_read(void **state)
{
    (void)state;
    struct jsm_store store = {0};
    struct jsm_script *s = jsm_script_create(false);
    jsm_script_run(s, "c1> put 5 100 60 x; c1> put 5 90 60 y");
    jsm_store_drain(&store, jsm_script_machine(s));
    store.records[0].value[0] = 2;
    store.records[0].value_len -= 2; /* the word on space, the clock's entry */
    unsigned cut = 0;
    for (uint32_t i = 0; i < store.n; i++) {
        struct jsm_store_record *r = &store.records[i];
        if (r->key[0] == 5 && r->key[r->key_len - 1] == 0) { /* a job: its last byte is the seq */
            r->value_len--;
            cut++;
        }
    }
    assert_int_equal(cut, 2);
    struct jsm *m = jsm_store_load(&store);
    assert_non_null(m);
    jsm_set_steps(m, 1);
    const struct jsm_item kick = {
        .kind = JSM_ITEM_REQUEST,
        .session = jsm_script_session(s, 1),
        .number = jsm_session_last_request(jsm_session_next(m, NULL)) + 1,
        .command = {.op = JSM_OP_KICK, .conn = 1, .count = 9},
    };
    const struct jsm_entry e = {.stamp_ns = jsm_stamp_ns(m), .items = &kick, .n_items = 1};
    jsm_apply(m, jsm_index(m) + 1, &e);
    struct jsm_view v;
    jsm_read_stats(m, &v);
    assert_int_equal(v.ready, 2);
    jsm_destroy(m);
    jsm_script_destroy(s);
    jsm_store_fini(&store);
}

#define TEST_OF(test, text) cmocka_unit_test_prestate(test, (void *)(uintptr_t)(text))

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(a_changed_byte_does_not_pass, everything),
        TEST_OF(a_cut_record_does_not_pass, everything),
        TEST_OF(a_missing_record_does_not_pass, everything),
        TEST_OF(a_changed_byte_does_not_pass, half_done),
        TEST_OF(a_cut_record_does_not_pass, half_done),
        TEST_OF(a_missing_record_does_not_pass, half_done),
        TEST_OF(records_of_earlier_formats_are_read, everything),
        cmocka_unit_test(records_of_the_second_format_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
