/* Proves the grammar of tube names for every byte, every place of '-' and every length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cb_limits.h"
#include "common/base/cb_tube_name.h"

static const char letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-+/;.$_()";

static void each_byte(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        bool is_letter = c != 0 && strchr(letters, (int)c) != NULL;
        uint8_t name[3] = {'a', (uint8_t)c, 'b'};
        assert_int_equal(cb_tube_name_is_valid(cb_span(name, 3)), is_letter);
        assert_int_equal(cb_tube_name_prefix(cb_span(name, 3)), is_letter ? 3 : 1);
        assert_int_equal(cb_tube_name_is_valid(cb_span(name + 1, 2)), is_letter && c != '-');
        assert_int_equal(cb_tube_name_is_valid(cb_span(name, 2)), is_letter);
    }
}

static void each_length(void **state)
{
    (void)state;
    uint8_t name[CB_TUBE_NAME_MAX + 50];
    memset(name, 'n', sizeof(name));
    for (size_t len = 0; len <= sizeof(name); len++) {
        bool fits = len >= 1 && len <= 200;
        assert_int_equal(cb_tube_name_is_valid(cb_span(name, len)), fits);
        assert_int_equal(cb_tube_name_prefix(cb_span(name, len)), len);
    }
    assert_false(cb_tube_name_is_valid(CB_SPAN_NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte),
        cmocka_unit_test(each_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
