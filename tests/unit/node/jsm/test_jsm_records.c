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

static uint64_t digest;

static void fill(struct jsm_store *store)
{
    struct jsm_script *s = jsm_script_create(false);
    jsm_script_run(s, everything);
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
    (void)state;
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
    (void)state;
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
    (void)state;
    struct jsm_store store = {0};
    fill(&store);
    for (uint32_t i = 0; i < store.n; i++) {
        assert_false(passes_without(&store, i));
    }
    jsm_store_fini(&store);
}

/* Format 1: the globals ended before the limits; format 2: before the word on space. */
static void records_of_earlier_formats_are_read(void **state)
{
    (void)state;
    struct jsm_store store = {0};
    fill(&store);
    struct jsm_store_record *globals = &store.records[0];
    assert_int_equal(globals->value[0], 3);
    globals->value[0] = 2;
    globals->value_len--; /* it is 0 */
    struct jsm *m = jsm_store_load(&store);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_byte_does_not_pass),
        cmocka_unit_test(a_cut_record_does_not_pass),
        cmocka_unit_test(a_missing_record_does_not_pass),
        cmocka_unit_test(records_of_earlier_formats_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
