/* Proves that the bytes of the stream's messages are those that were frozen when two codecs, one
 * of them protobuf-c's, agreed on them; that random messages come back as they were; and that a
 * decoded message needs its bytes no more. SEED=n repeats a run. */
#include "common/wire/wire_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/cb_rng.h"
#include "unit/common/wire/golden.h"

static struct cb_rng rng;

/* ---- frozen bytes: a change here is a change of the protocol ---- */

/* Encoded they are `hex`, and decoded they encode to it again. As every field has a value of its
 * own, each was found in its place. */
static void assert_to_node_is(const struct wire_to_node *m, const char *hex)
{
    struct wire_to_node decoded = {0};
    struct cb_buf b = CB_BUF_NULL;
    struct cb_buf again = CB_BUF_NULL;
    wire_to_node_encode(m, &b);
    assert_golden(&b, hex);
    assert_int_equal(wire_to_node_decode(&decoded, cb_buf_span(&b)), WIRE_OK);
    wire_to_node_encode(&decoded, &again);
    assert_golden(&again, hex);
    wire_to_node_fini(&decoded);
    cb_buf_fini(&b);
    cb_buf_fini(&again);
}

static void assert_to_proxy_is(const struct wire_to_proxy *m, const char *hex)
{
    struct wire_to_proxy decoded = {0};
    struct cb_buf b = CB_BUF_NULL;
    struct cb_buf again = CB_BUF_NULL;
    wire_to_proxy_encode(m, &b);
    assert_golden(&b, hex);
    assert_int_equal(wire_to_proxy_decode(&decoded, cb_buf_span(&b)), WIRE_OK);
    wire_to_proxy_encode(&decoded, &again);
    assert_golden(&again, hex);
    wire_to_proxy_fini(&decoded);
    cb_buf_fini(&b);
    cb_buf_fini(&again);
}

static void to_node_is_frozen(void **state)
{
    (void)state;
    struct wire_request requests[] = {
        {.number = 41,
         .conn = 42,
         .op = WIRE_OP_PUT,
         .pri = 43,
         .delay = 44,
         .ttr = 45,
         .age_ns = 46,
         .body = cb_span_str("body")},
        {.number = 42, .conn = 47, .op = WIRE_OP_USE, .tube = cb_span_str("tube")},
        {.number = 43, .conn = 48, .op = WIRE_OP_RESERVE_JOB, .id = 49},
        {.number = 44, .conn = 50, .op = WIRE_OP_KICK, .count = 51},
    };
    struct wire_read reads[] = {
        {11, 12, WIRE_READ_STATS_TUBE, 0, cb_span_str("name"), 15},
        {13, 14, WIRE_READ_PEEK, 16, CB_SPAN_NULL, 17},
    };
    struct wire_count count = {WIRE_CMD_PAUSE_TUBE, 18};
    struct wire_to_node m = {
        .seq = 21,
        .has_attach = true,
        .attach = {31, cb_span_str("proxy"), 32, 33, cb_span_str("addr"), 34, 35, 36},
        .acked_result = 22,
        .requests = requests,
        .n_requests = 4,
        .reads = reads,
        .n_reads = 2,
        .counts = &count,
        .n_counts = 1,
        .resent = true,
    };
    assert_to_node_is(
        &m, "08151219081f120570726f7879182020212a0461646472302238234024181622140829102a180428"
            "2b302c382d482e5a04626f6479220c082a102f18065204747562652208082b1030180b2031220808"
            "2c1032181040332a0e080b100c18022a046e616d65300f2a0a080d100e1804201030113204081510"
            "123801");
}

static void to_proxy_is_frozen(void **state)
{
    (void)state;
    struct cb_span tubes[] = {cb_span_str("default"), cb_span_str("b")};
    struct wire_result results[] = {
        {1, 2, 3, WIRE_RESERVED, 0, 6, cb_span_str("body")},
        {2, 4, 5, WIRE_WATCHING, 7, 0, CB_SPAN_NULL},
    };
    struct wire_read_result reads[3] = {
        {.read = 11,
         .found = true,
         .again = true,
         .id = 12,
         .body = cb_span_str("peeked"),
         .tubes = tubes,
         .n_tubes = 2,
         .stats_kind = WIRE_STATS_ALL,
         .stats.all = {1, 2, 3, 4, 5, {0}, 6, 7, 8, 9, 10, 11, 12, 13}},
        {.stats_kind = WIRE_STATS_TUBE,
         .stats.tube = {cb_span_str("t"), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}},
        {.stats_kind = WIRE_STATS_JOB,
         .stats.job = {1, cb_span_str("t"), WIRE_JOB_BURIED, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
    };
    for (uint32_t i = 0; i < WIRE_COUNTER_COUNT; i++) {
        reads[0].stats.all.counters[i] = 1000 - i;
    }
    struct wire_to_proxy m = {
        .confirmed_seq = 21,
        .has_attached = true,
        .attached = {31, 32, 33, 34, 35, 36},
        .applied_request = 22,
        .expect = 23,
        .results = results,
        .n_results = 2,
        .reads = reads,
        .n_reads = 3,
    };
    assert_to_proxy_is(
        &m, "0815120c081f10201821202228233024181620172a10080110021803200528063a04626f64792a0a"
            "080210041805200330073266080b10011801200c2a067065656b6564320764656661756c74320162"
            "3a4808011002180320042805322ce807e707e607e507e407e307e207e107e007df07de07dd07dc07"
            "db07da07d907d807d707d607d507d407d3073806400748085009580a600b680c700d321f421d0a01"
            "74100118022003280430053806400748085009580a600b680c700d321d4a1b080112017418042002"
            "2803300438054006480750085809600a680b");
}

/* ---- random messages ---- */

/* 0 often, else any number of bits: so that every length of varint comes. */
static uint64_t some_u64(void)
{
    return cb_rng_below(&rng, 4) == 0 ? 0 : cb_rng_u64(&rng) >> cb_rng_below(&rng, 64);
}

static uint32_t some_u32(void)
{
    return cb_rng_below(&rng, 4) == 0 ? 0 : (uint32_t)cb_rng_u64(&rng) >> cb_rng_below(&rng, 32);
}

static uint8_t pool[70000];

static struct cb_span some_body(void)
{
    size_t max = cb_rng_chance(&rng, 1, 50) ? sizeof pool : 300;
    return cb_span(pool, (size_t)cb_rng_below(&rng, max));
}

static struct cb_span some_name(void)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    size_t len = 1 + (size_t)cb_rng_below(&rng, 26);
    return cb_span(letters, len);
}

static void fill_request(struct wire_request *r, uint64_t number)
{
    r->number = number;
    r->conn = 1 + some_u32();
    r->op = 1 + (uint32_t)cb_rng_below(&rng, WIRE_OP_END - 1);
    switch (r->op) {
    case WIRE_OP_PUT:
        r->pri = some_u32();
        r->delay = some_u32();
        r->ttr = some_u32();
        r->age_ns = some_u64();
        r->body = some_body();
        break;
    case WIRE_OP_USE:
    case WIRE_OP_WATCH:
    case WIRE_OP_IGNORE:
        r->tube = some_name();
        break;
    case WIRE_OP_PAUSE_TUBE:
        r->tube = some_name();
        r->delay = some_u32();
        break;
    case WIRE_OP_RELEASE:
        r->id = some_u64();
        r->pri = some_u32();
        r->delay = some_u32();
        break;
    case WIRE_OP_KICK:
        r->count = some_u32();
        break;
    case WIRE_OP_DELETE:
        r->id = some_u64();
        break;
    default:
        break;
    }
}

static void fill_to_node(struct wire_to_node *m)
{
    m->seq = some_u64();
    m->has_attach = cb_rng_chance(&rng, 1, 3);
    if (m->has_attach) {
        m->attach = (struct wire_attach){some_u32(),  some_name(), some_u64(), some_u64(),
                                         some_name(), some_u64(),  some_u64(), some_u64()};
    }
    m->acked_result = some_u64();
    uint64_t number = 1 + some_u32();
    for (uint64_t n = cb_rng_below(&rng, 40); n > 0; n--) {
        fill_request(wire_to_node_add_request(m), number++);
    }
    for (uint64_t n = cb_rng_below(&rng, 10); n > 0; n--) {
        struct wire_read *r = wire_to_node_add_read(m);
        r->read = 1 + some_u32();
        r->conn = 1 + some_u32();
        r->kind = 1 + (uint32_t)cb_rng_below(&rng, WIRE_READ_END - 1);
        r->id = r->kind == WIRE_READ_PEEK ? some_u64() : 0;
        r->tube = r->kind == WIRE_READ_STATS_TUBE ? some_name() : CB_SPAN_NULL;
        r->after = some_u64();
    }
    for (uint64_t n = cb_rng_below(&rng, 5); n > 0; n--) {
        *wire_to_node_add_count(m) =
            (struct wire_count){(uint32_t)cb_rng_below(&rng, WIRE_COUNTER_COUNT), some_u32()};
    }
    m->resent = cb_rng_chance(&rng, 1, 2);
}

static void fill_result(struct wire_result *r, uint64_t number)
{
    r->number = number;
    r->request = 1 + some_u32();
    r->conn = 1 + some_u32();
    r->outcome = 1 + (uint32_t)cb_rng_below(&rng, WIRE_OUTCOME_END - 1);
    if (r->outcome == WIRE_RESERVED) {
        r->body = some_body();
    }
    if (r->outcome == WIRE_RESERVED || r->outcome == WIRE_INSERTED) {
        r->id = 1 + some_u32();
    }
    if (r->outcome == WIRE_WATCHING || r->outcome == WIRE_KICKED) {
        r->count = some_u32();
    }
}

static void fill_read_result(struct wire_read_result *r, struct cb_span *tubes)
{
    r->read = some_u64();
    r->found = cb_rng_chance(&rng, 1, 2);
    r->again = cb_rng_chance(&rng, 1, 2);
    r->id = some_u64();
    r->body = some_body();
    r->n_tubes = (uint32_t)cb_rng_below(&rng, 5);
    for (uint32_t i = 0; i < r->n_tubes; i++) {
        tubes[i] = some_name();
    }
    r->tubes = tubes;
    r->stats_kind = (enum wire_stats_kind)cb_rng_below(&rng, 4);
    if (r->stats_kind == WIRE_STATS_ALL) {
        for (uint32_t i = 0; i < WIRE_COUNTER_COUNT; i++) {
            r->stats.all.counters[i] = some_u64();
        }
        r->stats.all.urgent = some_u64();
        r->stats.all.total_connections = some_u64();
    } else if (r->stats_kind == WIRE_STATS_TUBE) {
        r->stats.tube.name = some_name();
        r->stats.tube.pause_left_ns = some_u64();
    } else if (r->stats_kind == WIRE_STATS_JOB) {
        r->stats.job.tube = some_name();
        r->stats.job.state = 1 + (uint32_t)cb_rng_below(&rng, 4);
        r->stats.job.kicks = some_u32();
    }
}

static struct cb_span tube_pool[16][5];

static void fill_to_proxy(struct wire_to_proxy *m)
{
    m->confirmed_seq = some_u64();
    m->has_attached = cb_rng_chance(&rng, 1, 3);
    if (m->has_attached) {
        m->attached = (struct wire_attached){some_u64(), some_u64(), some_u64(),
                                             some_u32(), some_u64(), some_u64()};
    }
    m->applied_request = some_u64();
    m->expect = some_u64();
    uint64_t number = 1 + some_u32();
    for (uint64_t n = cb_rng_below(&rng, 40); n > 0; n--) {
        fill_result(wire_to_proxy_add_result(m), number++);
    }
    for (uint64_t n = cb_rng_below(&rng, 16); n > 0; n--) {
        fill_read_result(wire_to_proxy_add_read(m), tube_pool[n]);
    }
}

static void random_to_node_comes_back(void **state)
{
    (void)state;
    struct wire_to_node m = {0};
    struct wire_to_node decoded = {0};
    struct cb_buf b = CB_BUF_NULL;
    struct cb_buf lent = CB_BUF_NULL;
    struct cb_buf again = CB_BUF_NULL;
    for (int i = 0; i < 2000; i++) {
        cb_buf_clear(&b);
        cb_buf_clear(&again);
        wire_to_node_clear(&m);
        fill_to_node(&m);
        wire_to_node_encode(&m, &b);
        cb_buf_append(&lent, cb_buf_span(&b).ptr, cb_buf_len(&b));
        assert_int_equal(wire_to_node_decode(&decoded, cb_buf_span(&lent)), WIRE_OK);
        cb_buf_fini(&lent);
        wire_to_node_encode(&decoded, &again);
        assert_true(cb_span_eq(cb_buf_span(&again), cb_buf_span(&b)));
    }
    wire_to_node_fini(&m);
    wire_to_node_fini(&decoded);
    cb_buf_fini(&b);
    cb_buf_fini(&again);
}

static void random_to_proxy_comes_back(void **state)
{
    (void)state;
    struct wire_to_proxy m = {0};
    struct wire_to_proxy decoded = {0};
    struct cb_buf b = CB_BUF_NULL;
    struct cb_buf lent = CB_BUF_NULL;
    struct cb_buf again = CB_BUF_NULL;
    for (int i = 0; i < 2000; i++) {
        cb_buf_clear(&b);
        cb_buf_clear(&again);
        wire_to_proxy_clear(&m);
        fill_to_proxy(&m);
        wire_to_proxy_encode(&m, &b);
        cb_buf_append(&lent, cb_buf_span(&b).ptr, cb_buf_len(&b));
        assert_int_equal(wire_to_proxy_decode(&decoded, cb_buf_span(&lent)), WIRE_OK);
        cb_buf_fini(&lent);
        wire_to_proxy_encode(&decoded, &again);
        assert_true(cb_span_eq(cb_buf_span(&again), cb_buf_span(&b)));
    }
    wire_to_proxy_fini(&m);
    wire_to_proxy_fini(&decoded);
    cb_buf_fini(&b);
    cb_buf_fini(&again);
}

static void leadership_is_frozen(void **state)
{
    (void)state;
    struct cb_buf b = CB_BUF_NULL;
    struct wire_leadership back;
    wire_leadership_encode(&(struct wire_leadership){.term = 300, .leader = "n1:1"}, &b);
    assert_golden(&b, "08ac021204"
                      "6e313a31");
    assert_int_equal(wire_leadership_decode(&back, cb_buf_span(&b)), WIRE_OK);
    assert_int_equal(back.term, 300);
    assert_string_equal(back.leader, "n1:1");
    cb_buf_fini(&b);
}

static void leadership_with_members_is_frozen(void **state)
{
    (void)state;
    struct cb_buf b = CB_BUF_NULL;
    struct wire_leadership m = {.term = 1,
                                .leader = "n1:1",
                                .members_index = 7,
                                .n_members = 2,
                                .members = {"n1:1", "n2:1"}};
    struct wire_leadership back;
    wire_leadership_encode(&m, &b);
    assert_golden(&b, "080112046e313a31"
                      "1807"
                      "22046e313a31"
                      "22046e323a31");
    assert_int_equal(wire_leadership_decode(&back, cb_buf_span(&b)), WIRE_OK);
    assert_int_equal(back.members_index, 7);
    assert_int_equal(back.n_members, 2);
    assert_string_equal(back.members[1], "n2:1");
    m.members_index = 0; /* a list without a place in the order of lists */
    cb_buf_clear(&b);
    wire_leadership_encode(&m, &b);
    assert_int_equal(wire_leadership_decode(&back, cb_buf_span(&b)), WIRE_BAD_RANGE);
    m.members_index = 7;
    m.members[1][0] = '\0';
    cb_buf_clear(&b);
    wire_leadership_encode(&m, &b);
    assert_int_equal(wire_leadership_decode(&back, cb_buf_span(&b)), WIRE_BAD_LENGTH);
    cb_buf_fini(&b);
}

static void a_leader_has_an_address(void **state)
{
    (void)state;
    struct cb_buf b = CB_BUF_NULL;
    struct wire_leadership m = {.term = 1};
    struct wire_leadership back;
    assert_int_equal(wire_leadership_decode(&back, CB_SPAN_NULL), WIRE_BAD_LENGTH);
    memset(m.leader, 'a', sizeof m.leader - 1);
    wire_leadership_encode(&m, &b);
    assert_int_equal(wire_leadership_decode(&back, cb_buf_span(&b)), WIRE_OK);
    assert_string_equal(back.leader, m.leader);
    cb_buf_clear(&b);
    cb_buf_append(&b, "\x12\xad\x02", 3); /* one byte more */
    for (size_t i = 0; i < sizeof m.leader + 1; i++) {
        cb_buf_append(&b, "a", 1);
    }
    assert_int_equal(wire_leadership_decode(&back, cb_buf_span(&b)), WIRE_BAD_LENGTH);
    assert_int_equal(wire_leadership_decode(&back, cb_span_str("\x12\x02"
                                                               "a\n")),
                     WIRE_BAD_RANGE);
    assert_int_equal(wire_leadership_decode(&back, cb_span_str("\xff")), WIRE_BAD_ENCODING);
    cb_buf_fini(&b);
}

int main(void)
{
    const char *seed = getenv("SEED");
    uint64_t n = seed != NULL ? strtoull(seed, NULL, 10) : 1;
    printf("seed %llu\n", (unsigned long long)n);
    cb_rng_init(&rng, n);
    memset(pool, 'x', sizeof pool);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_node_is_frozen),
        cmocka_unit_test(to_proxy_is_frozen),
        cmocka_unit_test(leadership_is_frozen),
        cmocka_unit_test(a_leader_has_an_address),
        cmocka_unit_test(leadership_with_members_is_frozen),
        cmocka_unit_test(a_leader_has_an_address),
        cmocka_unit_test(random_to_node_comes_back),
        cmocka_unit_test(random_to_proxy_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
