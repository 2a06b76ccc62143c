/* Proves: every kind of item and every op survive the way into an entry's bytes and back; the
 * format stands still (golden bytes); equal content has equal bytes; an entry that is cut, damaged
 * or outside its ranges is refused, whatever the place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/cb_bytes.h"
#include "common/base/cb_hash.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "node/entry/entry_builder.h"
#include "node/entry/entry_decoder.h"

static const struct entry_header header = {
    .stamp_ns = 1000000007, .term = 3, .proposer = 2, .batch = 77};

static struct jsm_item request(enum jsm_op op)
{
    return (struct jsm_item){
        .kind = JSM_ITEM_REQUEST, .session = 9, .number = 4, .command = {.op = op, .conn = 5}};
}

/* An item of each kind and a request of each op, with every field that it carries at its greatest.
 */
static uint32_t all_items(struct jsm_item *out)
{
    uint32_t n = 0;
    out[n++] = (struct jsm_item){.kind = JSM_ITEM_OPEN,
                                 .name = cb_span_str("host:11300"),
                                 .address = cb_span_str("127.0.0.1:11300"),
                                 .incarnation = {UINT64_MAX, 17}};
    out[n++] = (struct jsm_item){.kind = JSM_ITEM_EXPIRE, .session = 9};
    out[n++] = (struct jsm_item){.kind = JSM_ITEM_RESUME};
    out[n++] = (struct jsm_item){.kind = JSM_ITEM_ATTACHED, .session = CB_ID_MAX};
    out[n++] = (struct jsm_item){.kind = JSM_ITEM_ACK, .session = 9, .number = 300};
    out[n++] = (struct jsm_item){
        .kind = JSM_ITEM_COUNTS, .counter = JSM_COUNTER_COUNT - 1, .number = UINT64_MAX};
    out[n++] = (struct jsm_item){.kind = JSM_ITEM_LIMITS, .limits = {UINT64_MAX, 300}};
    out[n++] = (struct jsm_item){.kind = JSM_ITEM_SPACE, .number = 1};
    out[n++] = (struct jsm_item){.kind = JSM_ITEM_CLOCK};
    for (uint32_t op = 1; op < JSM_OP_END; op++) {
        unsigned fields;
        assert_true(entry_op_fields(op, &fields));
        struct jsm_item item = request((enum jsm_op)op);
        struct jsm_command *c = &item.command;
        c->id = (fields & ENTRY_FIELD_ID) != 0 ? UINT64_MAX : 0;
        c->pri = (fields & ENTRY_FIELD_PRI) != 0 ? UINT32_MAX : 0;
        c->delay = (fields & ENTRY_FIELD_DELAY) != 0 ? UINT32_MAX : 0;
        c->ttr = (fields & ENTRY_FIELD_TTR) != 0 ? UINT32_MAX : 0;
        c->count = (fields & ENTRY_FIELD_COUNT) != 0 ? CB_RESERVE_TIMEOUT_MAX : 0;
        c->age_ns = (fields & ENTRY_FIELD_AGE) != 0 ? UINT64_MAX : 0;
        if ((fields & ENTRY_FIELD_TUBE) != 0) {
            c->tube = cb_span_str("mail-queue");
        }
        if ((fields & ENTRY_FIELD_BODY) != 0) {
            c->body = cb_span("a\0b", 3);
        }
        out[n++] = item;
    }
    return n;
}

static struct cb_span build(struct entry_builder *b, const struct jsm_item *items, uint32_t n)
{
    entry_builder_reset(b);
    for (uint32_t i = 0; i < n; i++) {
        entry_builder_add(b, &items[i]);
    }
    return entry_builder_finish(b, &header);
}

static void assert_item_eq(const struct jsm_item *a, const struct jsm_item *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->session, b->session);
    assert_int_equal(a->number, b->number);
    assert_int_equal(a->counter, b->counter);
    assert_int_equal(a->incarnation.started_ns, b->incarnation.started_ns);
    assert_int_equal(a->incarnation.random, b->incarnation.random);
    assert_true(cb_span_eq(a->name, b->name));
    assert_true(cb_span_eq(a->address, b->address));
    const struct jsm_command *c = &a->command;
    const struct jsm_command *d = &b->command;
    assert_int_equal(c->op, d->op);
    assert_int_equal(c->conn, d->conn);
    assert_int_equal(c->id, d->id);
    assert_int_equal(c->pri, d->pri);
    assert_int_equal(c->delay, d->delay);
    assert_int_equal(c->ttr, d->ttr);
    assert_int_equal(c->count, d->count);
    assert_int_equal(c->age_ns, d->age_ns);
    assert_true(cb_span_eq(c->tube, d->tube));
    assert_true(cb_span_eq(c->body, d->body));
}

static void everything_survives(void **state)
{
    (void)state;
    struct jsm_item items[64];
    uint32_t n = all_items(items);
    struct entry_builder b;
    entry_builder_init(&b);
    struct cb_span bytes = build(&b, items, n);
    struct entry_decoder d;
    entry_decoder_init(&d);
    struct entry_header h;
    struct jsm_entry e;
    assert_int_equal(entry_decode(&d, bytes, &h, &e), ENTRY_OK);
    assert_int_equal(h.stamp_ns, header.stamp_ns);
    assert_int_equal(h.term, header.term);
    assert_int_equal(h.proposer, header.proposer);
    assert_int_equal(h.batch, header.batch);
    assert_int_equal(e.stamp_ns, header.stamp_ns);
    assert_int_equal(e.n_items, n);
    for (uint32_t i = 0; i < n; i++) {
        assert_item_eq(&e.items[i], &items[i]);
    }
    entry_decoder_fini(&d);
    entry_builder_fini(&b);
}

/* These bytes lie in logs: a test that has to change means that a format number has to. */
static void format_stands_still(void **state)
{
    (void)state;
    static const uint8_t golden[] = {
        0x01, 0x00, 0x00, 0x00, 0x4f, 0x00, 0x00, 0x00, 0xa2, 0xd9, 0xec, 0xd4, 0x78, 0x9b,
        0x4b, 0x2f, 0x07, 0xca, 0x9a, 0x3b, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x4d, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x07, 0x09, 0x04, 0x04,
        0x05, 0x80, 0x08, 0x00, 0x78, 0x07, 0x02, 0x68, 0x69, 0x05, 0x09, 0xac, 0x02, 0x07,
        0x09, 0x04, 0x06, 0x05, 0x04, 0x6d, 0x61, 0x69, 0x6c};
    struct jsm_item items[3] = {request(JSM_OP_PUT),
                                {.kind = JSM_ITEM_ACK, .session = 9, .number = 300},
                                request(JSM_OP_USE)};
    items[0].command.pri = 1024;
    items[0].command.ttr = 120;
    items[0].command.age_ns = 7;
    items[0].command.body = cb_span_str("hi");
    items[2].command.tube = cb_span_str("mail");
    struct entry_builder b;
    entry_builder_init(&b);
    struct cb_span bytes = build(&b, items, 3);
    if (!cb_span_eq(bytes, cb_span(golden, sizeof(golden)))) {
        for (size_t i = 0; i < bytes.len; i++) {
            fprintf(stderr, "0x%02x, ", bytes.ptr[i]);
        }
        fail_msg("the format changed");
    }
    entry_builder_fini(&b);
}

static void unused_fields_leave_no_trace(void **state)
{
    (void)state;
    struct entry_builder a;
    struct entry_builder b;
    entry_builder_init(&a);
    entry_builder_init(&b);
    struct jsm_item plain = request(JSM_OP_RESERVE);
    struct jsm_item noisy = plain;
    noisy.command.id = 4;
    noisy.command.pri = 4;
    noisy.command.tube = cb_span_str("x");
    assert_true(cb_span_eq(build(&a, &plain, 1), build(&b, &noisy, 1)));
    entry_builder_fini(&a);
    entry_builder_fini(&b);
}

static enum entry_result decode(struct cb_span bytes)
{
    struct entry_decoder d;
    entry_decoder_init(&d);
    struct entry_header h;
    struct jsm_entry e;
    enum entry_result r = entry_decode(&d, bytes, &h, &e);
    entry_decoder_fini(&d);
    return r;
}

/* A copy of exactly `len` bytes, so that a sanitizer sees each read beyond them. */
static enum entry_result decode_copy(struct cb_span bytes, size_t len)
{
    uint8_t *copy = malloc(len + (len == 0));
    memcpy(copy, bytes.ptr, len);
    enum entry_result r = decode(cb_span(copy, len));
    free(copy);
    return r;
}

/* Right lengths and checksum around whatever the items' bytes are now. */
static void reseal(uint8_t *p, size_t len)
{
    uint64_t sum = cb_hash_seeded(p + 16, len - 16, len);
    for (unsigned i = 0; i < 8; i++) {
        p[8 + i] = (uint8_t)(sum >> (8 * i));
    }
    for (unsigned i = 0; i < 4; i++) {
        p[4 + i] = (uint8_t)(len >> (8 * i));
    }
}

static void cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct jsm_item items[64];
    uint32_t n = all_items(items);
    struct entry_builder b;
    entry_builder_init(&b);
    struct cb_span bytes = build(&b, items, n);
    for (size_t len = 0; len < bytes.len; len++) {
        assert_int_equal(decode_copy(bytes, len), ENTRY_TRUNCATED);
    }
    /* The same with a length and a checksum that claim to be right. */
    for (size_t len = ENTRY_HEADER_SIZE; len < bytes.len; len++) {
        uint8_t *copy = cb_memdup(bytes.ptr, len);
        reseal(copy, len);
        assert_int_equal(decode(cb_span(copy, len)), ENTRY_MALFORMED);
        cb_free(copy);
    }
    entry_builder_fini(&b);
}

static void every_flipped_bit_is_seen(void **state)
{
    (void)state;
    struct jsm_item items[64];
    uint32_t n = all_items(items);
    struct entry_builder b;
    entry_builder_init(&b);
    struct cb_span bytes = build(&b, items, n);
    uint8_t *copy = cb_memdup(bytes.ptr, bytes.len);
    for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
        copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_not_equal(decode(cb_span(copy, bytes.len)), ENTRY_OK);
        copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    assert_int_equal(decode(cb_span(copy, bytes.len)), ENTRY_OK);
    cb_free(copy);
    entry_builder_fini(&b);
}

static void padding_is_zero_and_short(void **state)
{
    (void)state;
    struct entry_builder b;
    entry_builder_init(&b);
    struct cb_span bytes = build(&b, NULL, 0);
    uint8_t padded[ENTRY_HEADER_SIZE + 8] = {0};
    memcpy(padded, bytes.ptr, bytes.len);
    assert_int_equal(decode(cb_span(padded, bytes.len + ENTRY_PADDING_MAX)), ENTRY_OK);
    assert_int_equal(decode(cb_span(padded, bytes.len + ENTRY_PADDING_MAX + 1)), ENTRY_MALFORMED);
    padded[bytes.len + 2] = 1;
    assert_int_equal(decode(cb_span(padded, bytes.len + 4)), ENTRY_MALFORMED);
    entry_builder_fini(&b);
}

/* Appends raw item bytes to an empty entry that claims `n` items. */
static enum entry_result decode_raw(const char *raw, size_t len, uint32_t n)
{
    struct entry_builder b;
    entry_builder_init(&b);
    cb_buf_append(&b.bytes, raw, len);
    b.n_items = n;
    enum entry_result r = decode(entry_builder_finish(&b, &header));
    entry_builder_fini(&b);
    return r;
}

static void ranges_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        size_t len;
        uint32_t n;
        enum entry_result want;
    } cases[] = {
        {"\x03", 1, 1, ENTRY_OK},                        /* RESUME */
        {"\x03", 1, 2, ENTRY_MALFORMED},                 /* fewer items than said */
        {"\x03\x03", 2, 1, ENTRY_MALFORMED},             /* more */
        {"\x00", 1, 1, ENTRY_MALFORMED},                 /* no kind */
        {"\x08", 1, 1, ENTRY_MALFORMED},                 /* no such kind */
        {"\x02\x00", 2, 1, ENTRY_MALFORMED},             /* EXPIRE of session 0 */
        {"\x02\x80\x00", 3, 1, ENTRY_MALFORMED},         /* a longer form of 0 */
        {"\x06\x16\x01", 3, 1, ENTRY_MALFORMED},         /* COUNTS of no counter */
        {"\x07\x09\x04\x09\x05", 5, 1, ENTRY_OK},        /* RESERVE */
        {"\x07\x09\x04\x00\x05", 5, 1, ENTRY_MALFORMED}, /* no op */
        {"\x07\x09\x04\x13\x05", 5, 1, ENTRY_MALFORMED}, /* no such op */
        {"\x07\x09\x04\x09\x00", 5, 1, ENTRY_MALFORMED}, /* connection 0 */
        {"\x07\x09\x00\x09\x05", 5, 1, ENTRY_MALFORMED}, /* request 0 */
        {"\x07\x09\x04\x06\x05\x02-a", 8, 1,
         ENTRY_MALFORMED},                                   /* a tube name that starts with '-' */
        {"\x07\x09\x04\x06\x05\x00", 6, 1, ENTRY_MALFORMED}, /* an empty one */
        {"\x07\x09\x04\x0a\x05\x80\x80\x80\x80\x08", 10, 1, ENTRY_MALFORMED}, /* 2^31 seconds */
        {"\x07\x09\x04\x10\x05\x80\x80\x80\x80\x10", 10, 1, ENTRY_MALFORMED}, /* kick 2^32 */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (decode_raw(cases[i].raw, cases[i].len, cases[i].n) != cases[i].want) {
            fail_msg("case %zu", i);
        }
    }
}

static void one_opening_an_entry(void **state)
{
    (void)state;
    struct jsm_item open = {.kind = JSM_ITEM_OPEN, .name = cb_span_str("p")};
    struct jsm_item items[2] = {open, open};
    struct entry_builder b;
    entry_builder_init(&b);
    assert_int_equal(decode(build(&b, items, 1)), ENTRY_OK);
    assert_int_equal(decode(build(&b, items, 2)), ENTRY_MALFORMED);
    entry_builder_fini(&b);
}

static void largest_entries(void **state)
{
    (void)state;
    struct entry_builder b;
    entry_builder_init(&b);
    struct jsm_item item = request(JSM_OP_RESERVE);
    struct cb_buf one;
    cb_buf_init(&one);
    entry_item_encode(&one, &item);
    for (uint32_t i = 0; i < CB_ENTRY_COMMANDS_MAX; i++) {
        entry_builder_add_encoded(&b, cb_buf_span(&one));
    }
    assert_int_equal(entry_builder_count(&b), CB_ENTRY_COMMANDS_MAX);
    assert_int_equal(entry_builder_size(&b),
                     ENTRY_HEADER_SIZE + CB_ENTRY_COMMANDS_MAX * cb_buf_len(&one));
    assert_int_equal(decode(entry_builder_finish(&b, &header)), ENTRY_OK);
    entry_builder_reset(&b);
    assert_int_equal(entry_builder_size(&b), ENTRY_HEADER_SIZE);
    cb_buf_fini(&one);

    item = request(JSM_OP_PUT);
    uint8_t *body = cb_calloc(1, CB_JOB_SIZE_MAX + 1);
    item.command.body = cb_span(body, CB_JOB_SIZE_MAX + 1);
    assert_false(entry_command_is_valid(&item.command));
    item.command.body.len--;
    assert_int_equal(decode(build(&b, &item, 1)), ENTRY_OK);
    cb_free(body);
    entry_builder_fini(&b);
}

static void other_formats_are_named(void **state)
{
    (void)state;
    struct entry_builder b;
    entry_builder_init(&b);
    struct cb_span bytes = build(&b, NULL, 0);
    uint8_t *copy = cb_memdup(bytes.ptr, bytes.len);
    copy[0] = ENTRY_FORMAT + 1;
    assert_int_equal(decode(cb_span(copy, bytes.len)), ENTRY_VERSION);
    cb_free(copy);
    entry_builder_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_survives),
        cmocka_unit_test(format_stands_still),
        cmocka_unit_test(unused_fields_leave_no_trace),
        cmocka_unit_test(cut_anywhere_is_refused),
        cmocka_unit_test(every_flipped_bit_is_seen),
        cmocka_unit_test(padding_is_zero_and_short),
        cmocka_unit_test(ranges_are_checked),
        cmocka_unit_test(one_opening_an_entry),
        cmocka_unit_test(largest_entries),
        cmocka_unit_test(other_formats_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
