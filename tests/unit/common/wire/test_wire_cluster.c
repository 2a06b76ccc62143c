/* Proves that the bytes of the cluster messages are those that were frozen, that they come back as
 * they were, and that what is wrong in one is refused. */
#include "common/wire/wire_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "common/base/cb_rng.h"
#include "unit/common/wire/golden.h"

static void fill(struct wire_status *m)
{
    m->name = cb_span_str("n1");
    m->id = 1;
    m->role = cb_span_str("leader");
    m->term = 2;
    m->leader = 3;
    m->commit = 4;
    m->applied = 5;
    m->version = cb_span_str("0.1");
    m->protocol = 6;
    m->entry_format = 7;
    m->record_format = 8;
    *wire_status_add_member(m) = (struct wire_member){9, cb_span_str("n2"), cb_span_str("h:1"),
                                                      cb_span_str("h:2"), cb_span_str("voter")};
    *wire_status_add_member(m) = (struct wire_member){.id = 10};
    m->serving = true;
    m->durable = 11;
    *wire_status_add_counter(m) = (struct wire_status_counter){cb_span_str("elections"), 12};
    m->free_known = true;
    m->free = 13;
    m->reserve = 14;
    m->puts_refused = true;
    m->waits = cb_span_str("room");
}

/* As every field has a value of its own, coming back as these bytes it was found in its place. */
static const char status_golden[] =
    "0a026e3110011a066c656164657220022803300438054203302e314806500758086217080912026e"
    "321a03683a312203683a322a05766f7465726202080a6801700b7a0d0a09656c656374696f6e7310"
    "0c80010188010d90010e980101a20104726f6f6d";

static void status_is_frozen(void **state)
{
    (void)state;
    struct wire_status m = {0};
    struct cb_buf b = CB_BUF_NULL;
    fill(&m);
    wire_status_encode(&m, &b);
    assert_golden(&b, status_golden);
    cb_buf_fini(&b);
    wire_status_fini(&m);
}

static void status_comes_back(void **state)
{
    (void)state;
    struct wire_status m = {0};
    struct wire_status decoded = {0};
    struct cb_buf b = CB_BUF_NULL;
    struct cb_buf again = CB_BUF_NULL;
    fill(&m);
    wire_status_encode(&m, &b);
    for (int i = 0; i < 2; i++) { /* the second time into used arrays */
        cb_buf_clear(&again);
        assert_int_equal(wire_status_decode(&decoded, cb_buf_span(&b)), WIRE_OK);
        wire_status_encode(&decoded, &again);
        assert_golden(&again, status_golden);
    }
    for (size_t cut = 0; cut < cb_buf_len(&b); cut++) {
        enum wire_error e = wire_status_decode(&decoded, cb_span(cb_buf_span(&b).ptr, cut));
        assert_non_null(wire_error_text(e));
    }
    cb_buf_fini(&b);
    cb_buf_fini(&again);
    wire_status_fini(&m);
    wire_status_fini(&decoded);
}

static void status_is_checked(void **state)
{
    (void)state;
    struct wire_status m = {0};
    struct wire_status decoded = {0};
    struct cb_buf b = CB_BUF_NULL;
    m.name = cb_span_str("n\033[2J");
    wire_status_encode(&m, &b);
    assert_int_equal(wire_status_decode(&decoded, cb_buf_span(&b)), WIRE_BAD_RANGE);
    cb_buf_clear(&b);
    m.name = cb_span_str("n1");
    for (int i = 0; i <= CB_CLUSTER_NODES_MAX; i++) {
        (void)wire_status_add_member(&m);
    }
    wire_status_encode(&m, &b);
    assert_int_equal(wire_status_decode(&decoded, cb_buf_span(&b)), WIRE_BAD_LENGTH);
    cb_buf_fini(&b);
    wire_status_fini(&m);
    wire_status_fini(&decoded);
}

static void a_name_ends_at_its_nul(void **state)
{
    (void)state;
    struct wire_status m = {0};
    assert_int_equal(wire_status_decode(&m, cb_span("\x0a\x03n\0\n", 5)), WIRE_OK);
    assert_true(cb_span_eq(m.name, cb_span_str("n")));
    wire_status_fini(&m);
}

static void identify_is_frozen(void **state)
{
    (void)state;
    struct cb_buf b = CB_BUF_NULL;
    struct wire_identify_request request = {UINT64_MAX, 2};
    wire_identify_request_encode(&request, &b);
    assert_golden(&b, "08ffffffffffffffffff011002");
    struct wire_identify_request request_back;
    assert_int_equal(wire_identify_request_decode(&request_back, cb_buf_span(&b)), WIRE_OK);
    assert_true(request_back.cluster == UINT64_MAX && request_back.id == 2);
    assert_int_equal(wire_identify_request_decode(&request_back, cb_span_str("\xff")),
                     WIRE_BAD_ENCODING);

    cb_buf_clear(&b);
    struct wire_identify_reply reply = {
        .state = WIRE_IDENTIFY_PREPARED, .cluster = 3, .id = 4, .name = cb_span_str("n4")};
    wire_identify_reply_encode(&reply, &b);
    assert_golden(&b, "08021003180422026e34");
    struct wire_identify_reply back;
    assert_int_equal(wire_identify_reply_decode(&back, cb_buf_span(&b)), WIRE_OK);
    cb_buf_fini(&b);
    assert_int_equal(back.state, WIRE_IDENTIFY_PREPARED);
    assert_true(back.cluster == 3 && back.id == 4 && !back.free_known);
    assert_true(cb_span_eq(back.name, cb_span_str("n4")));
    assert_int_equal(wire_identify_reply_decode(&back, CB_SPAN_NULL), WIRE_BAD_OP);
}

static void identify_tells_of_room(void **state)
{
    (void)state;
    struct cb_buf b = CB_BUF_NULL;
    struct wire_identify_reply reply = {
        .state = WIRE_IDENTIFY_BOOTSTRAPPED, .is_gone = true, .free_known = true, .free = 300};
    struct wire_identify_reply back;
    wire_identify_reply_encode(&reply, &b);
    assert_golden(&b, "08032801300138ac02");
    assert_int_equal(wire_identify_reply_decode(&back, cb_buf_span(&b)), WIRE_OK);
    assert_true(back.is_gone && back.free_known && back.free == 300);
    cb_buf_fini(&b);
}

static void names_of_identify_are_bounded(void **state)
{
    (void)state;
    char name[CB_NODE_NAME_MAX + 1];
    struct cb_buf b = CB_BUF_NULL;
    struct wire_identify_reply back;
    struct wire_identify_reply reply = {.state = WIRE_IDENTIFY_EMPTY,
                                        .name = cb_span(name, CB_NODE_NAME_MAX)};
    memset(name, 'n', sizeof(name));
    wire_identify_reply_encode(&reply, &b);
    assert_int_equal(wire_identify_reply_decode(&back, cb_buf_span(&b)), WIRE_OK);
    assert_int_equal(back.name.len, CB_NODE_NAME_MAX);
    reply.name.len++;
    cb_buf_clear(&b);
    wire_identify_reply_encode(&reply, &b);
    assert_int_equal(wire_identify_reply_decode(&back, cb_buf_span(&b)), WIRE_BAD_LENGTH);
    cb_buf_fini(&b);
}

static void clock_is_frozen(void **state)
{
    (void)state;
    struct cb_buf b = CB_BUF_NULL;
    struct wire_clock_request request = {3, 2};
    wire_clock_request_encode(&request, &b);
    assert_golden(&b, "08031002");
    struct wire_clock_request request_back;
    assert_int_equal(wire_clock_request_decode(&request_back, cb_buf_span(&b)), WIRE_OK);
    assert_true(request_back.cluster == 3 && request_back.id == 2);
    assert_int_equal(wire_clock_request_decode(&request_back, cb_span_str("\xff")),
                     WIRE_BAD_ENCODING);

    cb_buf_clear(&b);
    struct wire_clock_reply reply = {
        .cluster = 3, .id = 4, .knows = true, .now_ns = 300, .index = 6, .term = 7};
    wire_clock_reply_encode(&reply, &b);
    assert_golden(&b, "08031004180120ac0228063007");
    struct wire_clock_reply back;
    assert_int_equal(wire_clock_reply_decode(&back, cb_buf_span(&b)), WIRE_OK);
    cb_buf_fini(&b);
    assert_true(back.cluster == 3 && back.id == 4 && back.knows);
    assert_true(back.now_ns == 300 && back.index == 6 && back.term == 7);
}

static enum wire_error check_clock(const struct wire_clock_reply *m)
{
    struct cb_buf b = CB_BUF_NULL;
    struct wire_clock_reply back;
    wire_clock_reply_encode(m, &b);
    enum wire_error e = wire_clock_reply_decode(&back, cb_buf_span(&b));
    assert_true(e == WIRE_OK || (back.now_ns == 0 && back.term == 0));
    cb_buf_fini(&b);
    return e;
}

static void clocks_are_checked(void **state)
{
    (void)state;
    const uint64_t most = CB_CLUSTER_CLOCK_MAX;
    const struct wire_clock_reply good[] = {{.now_ns = most},
                                            {.now_ns = 5, .index = 1},
                                            {.knows = true, .now_ns = most, .index = 1, .term = 1},
                                            {.cluster = 1, .id = 1}};
    const struct wire_clock_reply bad[] = {{.now_ns = most + 1},
                                           {.now_ns = UINT64_MAX},
                                           {.knows = true, .now_ns = 5},
                                           {.knows = true, .now_ns = 5, .index = 1},
                                           {.knows = true, .now_ns = 5, .term = 1},
                                           {.now_ns = 5, .index = 1, .term = 1}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(check_clock(&good[i]), WIRE_OK);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(check_clock(&bad[i]), WIRE_BAD_RANGE);
    }
    struct wire_clock_reply back;
    assert_int_equal(wire_clock_reply_decode(&back, cb_span_str("\xff")), WIRE_BAD_ENCODING);
}

static void state_is_frozen(void **state)
{
    (void)state;
    struct cb_buf b = CB_BUF_NULL;
    const struct wire_state_request request = {3, 2, 5, 6, 7};
    wire_state_request_encode(&request, &b);
    assert_golden(&b, "08031002180520062807");
    struct wire_state_request request_back;
    assert_int_equal(wire_state_request_decode(&request_back, cb_buf_span(&b)), WIRE_OK);
    assert_memory_equal(&request_back, &request, sizeof(request));

    cb_buf_clear(&b);
    const struct wire_state_reply reply = {.cluster = 3,
                                           .id = 4,
                                           .result = WIRE_STATE_PART,
                                           .copy = 5,
                                           .part = 6,
                                           .is_last = true,
                                           .bytes = cb_span_str("ab")};
    wire_state_reply_encode(&reply, &b);
    assert_golden(&b, "080310041801200528063001"
                      "3a026162");
    struct wire_state_reply back;
    assert_int_equal(wire_state_reply_decode(&back, cb_buf_span(&b)), WIRE_OK);
    cb_buf_fini(&b); /* it does not lie in these */
    assert_true(back.cluster == 3 && back.id == 4 && back.result == WIRE_STATE_PART);
    assert_true(back.copy == 5 && back.part == 6 && back.is_last);
    assert_true(cb_span_eq(back.bytes, cb_span_str("ab")));
    wire_state_reply_fini(&back);
    assert_true(back.bytes.len == 0 && back.arena == NULL);
}

static enum wire_error check_state_request(const struct wire_state_request *m)
{
    struct cb_buf b = CB_BUF_NULL;
    struct wire_state_request back;
    wire_state_request_encode(m, &b);
    enum wire_error e = wire_state_request_decode(&back, cb_buf_span(&b));
    assert_true(e == WIRE_OK ? back.part == m->part : back.cluster == 0 && back.part == 0);
    cb_buf_fini(&b);
    return e;
}

static void questions_for_a_state_are_checked(void **state)
{
    (void)state;
    const uint64_t most = UINT64_MAX;
    const struct wire_state_request good[] = {
        {0}, {.at_least = most}, {most, most, most, most, most}, {.copy = 1}};
    const struct wire_state_request bad[] = {{.part = 1}, {.cluster = 1, .part = most}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(check_state_request(&good[i]), WIRE_OK);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(check_state_request(&bad[i]), WIRE_BAD_RANGE);
    }
    struct wire_state_request back;
    assert_int_equal(wire_state_request_decode(&back, cb_span_str("\xff")), WIRE_BAD_ENCODING);
}

static enum wire_error check_state(const struct wire_state_reply *m)
{
    struct cb_buf b = CB_BUF_NULL;
    struct wire_state_reply back;
    wire_state_reply_encode(m, &b);
    enum wire_error e = wire_state_reply_decode(&back, cb_buf_span(&b));
    if (e == WIRE_OK) {
        assert_true(cb_span_eq(back.bytes, m->bytes));
        wire_state_reply_fini(&back);
    } else {
        assert_true(back.result == 0 && back.copy == 0 && back.bytes.len == 0);
        assert_null(back.arena);
    }
    cb_buf_fini(&b);
    return e;
}

static void answers_of_a_state_are_checked(void **state)
{
    (void)state;
    const struct cb_span x = cb_span_str("x");
    const uint32_t part = WIRE_STATE_PART, behind = WIRE_STATE_BEHIND;
    const struct {
        struct wire_state_reply m;
        enum wire_error want;
    } cases[] = {
        {{.result = part, .copy = 1, .bytes = x}, WIRE_OK},
        {{.result = part, .copy = UINT64_MAX, .part = UINT64_MAX, .bytes = x}, WIRE_OK},
        {{.result = behind, .cluster = 1, .id = 1}, WIRE_OK},
        {{.result = WIRE_STATE_UNKNOWN}, WIRE_OK},
        {{.result = WIRE_STATE_FAILED}, WIRE_OK},
        {{.result = 0}, WIRE_BAD_OP},
        {{.result = 0, .copy = 1, .bytes = x}, WIRE_BAD_OP},
        {{.result = WIRE_STATE_RESULT_END}, WIRE_BAD_OP},
        {{.result = WIRE_STATE_RESULT_END, .copy = 1, .bytes = x}, WIRE_BAD_OP},
        {{.result = UINT32_MAX}, WIRE_BAD_OP},
        {{.result = part}, WIRE_BAD_RANGE},
        {{.result = part, .copy = 1}, WIRE_BAD_RANGE},
        {{.result = part, .copy = 1, .is_last = true}, WIRE_BAD_RANGE},
        {{.result = part, .bytes = x}, WIRE_BAD_RANGE},
        {{.result = behind, .copy = 1}, WIRE_BAD_RANGE},
        {{.result = WIRE_STATE_UNKNOWN, .copy = 1}, WIRE_BAD_RANGE},
        {{.result = behind, .part = 1}, WIRE_BAD_RANGE},
        {{.result = behind, .is_last = true}, WIRE_BAD_RANGE},
        {{.result = behind, .bytes = x}, WIRE_BAD_RANGE},
        {{.result = WIRE_STATE_FAILED, .copy = 1, .bytes = x}, WIRE_BAD_RANGE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(check_state(&cases[i].m), cases[i].want);
    }
    struct wire_state_reply back;
    assert_int_equal(wire_state_reply_decode(&back, cb_span_str("\xff")), WIRE_BAD_ENCODING);
    assert_null(back.arena);
    assert_int_equal(wire_state_reply_decode(&back, CB_SPAN_NULL), WIRE_BAD_OP);
    assert_null(back.arena);
}

static void parts_of_a_state_are_bounded(void **state)
{
    (void)state;
    uint8_t *bytes = cb_calloc(1, CB_STATE_PART_MAX + 1);
    memset(bytes, 'x', CB_STATE_PART_MAX + 1);
    struct wire_state_reply m = {.cluster = UINT64_MAX,
                                 .id = UINT64_MAX,
                                 .result = WIRE_STATE_PART,
                                 .copy = UINT64_MAX,
                                 .part = UINT64_MAX,
                                 .is_last = true,
                                 .bytes = cb_span(bytes, CB_STATE_PART_MAX)};
    struct cb_buf b = CB_BUF_NULL;
    wire_state_reply_encode(&m, &b);
    assert_true(cb_buf_len(&b) <= CB_STREAM_MESSAGE_MAX);
    cb_buf_fini(&b);
    assert_int_equal(check_state(&m), WIRE_OK);
    m.bytes.len++;
    assert_int_equal(check_state(&m), WIRE_BAD_LENGTH);
    m.result = WIRE_STATE_FAILED;
    assert_int_equal(check_state(&m), WIRE_BAD_LENGTH);
    cb_free(bytes);
}

static void cut_and_changed_states_do_no_harm(void **state)
{
    (void)state;
    struct cb_rng rng;
    cb_rng_init(&rng, 7);
    const struct wire_state_reply m = {
        .result = WIRE_STATE_PART, .copy = 300, .part = 300, .bytes = cb_span_str("records")};
    struct cb_buf b = CB_BUF_NULL;
    wire_state_reply_encode(&m, &b);
    size_t len = cb_buf_len(&b);
    for (int round = 0; round < 20000; round++) {
        /* Exactly sized, so that the sanitizer sees a byte too far. */
        size_t cut = (size_t)cb_rng_below(&rng, len + 1);
        uint8_t *copy = cb_malloc(cut + 1);
        memcpy(copy, cb_buf_span(&b).ptr, cut);
        for (uint64_t n = cb_rng_below(&rng, 3); n > 0 && cut > 0; n--) {
            copy[cb_rng_below(&rng, cut)] = (uint8_t)cb_rng_u64(&rng);
        }
        struct wire_state_reply reply;
        struct wire_state_request request;
        if (wire_state_reply_decode(&reply, cb_span(copy, cut)) == WIRE_OK) {
            assert_int_equal(check_state(&reply), WIRE_OK);
            wire_state_reply_fini(&reply);
        }
        if (wire_state_request_decode(&request, cb_span(copy, cut)) == WIRE_OK) {
            assert_int_equal(check_state_request(&request), WIRE_OK);
        }
        cb_free(copy);
    }
    cb_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_is_frozen),
        cmocka_unit_test(status_comes_back),
        cmocka_unit_test(status_is_checked),
        cmocka_unit_test(a_name_ends_at_its_nul),
        cmocka_unit_test(identify_is_frozen),
        cmocka_unit_test(identify_tells_of_room),
        cmocka_unit_test(names_of_identify_are_bounded),
        cmocka_unit_test(clock_is_frozen),
        cmocka_unit_test(clocks_are_checked),
        cmocka_unit_test(state_is_frozen),
        cmocka_unit_test(questions_for_a_state_are_checked),
        cmocka_unit_test(answers_of_a_state_are_checked),
        cmocka_unit_test(parts_of_a_state_are_bounded),
        cmocka_unit_test(cut_and_changed_states_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
