/* Proves that our codec of the stream's messages and protobuf-c's are the same: every field lands
 * where proto/queue.proto says, and random messages encode to the very bytes that protobuf-c packs
 * and decode to what was encoded. SEED=n repeats a run. */
#include "common/wire/wire_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/cb_mem.h"
#include "common/base/cb_rng.h"
#include "queue.pb-c.h"

static struct cb_rng rng;

static bool equals(struct cb_span ours, ProtobufCBinaryData theirs)
{
    return cb_span_eq(ours, cb_span(theirs.data, theirs.len));
}

/* ---- fields by name ---- */

static void to_node_fields_are_the_protos(void **state)
{
    (void)state;
    struct wire_request request = {
        1, 2, WIRE_OP_RELEASE, 4, 5, 6, 7, 8, 9, cb_span_str("tube"), cb_span_str("body")};
    struct wire_read read = {11, 12, WIRE_READ_STATS_TUBE, 14, cb_span_str("name"), 15};
    struct wire_count count = {WIRE_CMD_PAUSE_TUBE, 17};
    struct wire_to_node m = {
        .seq = 21,
        .has_attach = true,
        .attach = {31, cb_span_str("proxy"), 32, 33, cb_span_str("addr"), 34, 35, 36},
        .acked_result = 22,
        .requests = &request,
        .n_requests = 1,
        .reads = &read,
        .n_reads = 1,
        .counts = &count,
        .n_counts = 1,
        .resent = true,
    };
    struct cb_buf b = CB_BUF_NULL;
    wire_to_node_encode(&m, &b);
    Coolbeans__V1__ToNode *p =
        coolbeans__v1__to_node__unpack(NULL, cb_buf_len(&b), cb_buf_span(&b).ptr);
    assert_non_null(p);
    assert_int_equal(p->seq, 21);
    assert_int_equal(p->acked_result, 22);
    assert_true(p->resent);
    assert_int_equal(p->attach->version, 31);
    assert_string_equal(p->attach->name, "proxy");
    assert_int_equal(p->attach->started_ns, 32);
    assert_int_equal(p->attach->random, 33);
    assert_string_equal(p->attach->address, "addr");
    assert_int_equal(p->attach->session, 34);
    assert_int_equal(p->attach->number, 35);
    assert_int_equal(p->attach->seen_result, 36);
    const Coolbeans__V1__Request *q = p->requests[0];
    assert_int_equal(q->number, request.number);
    assert_int_equal(q->conn, request.conn);
    assert_int_equal(q->op, request.op);
    assert_int_equal(q->id, request.id);
    assert_int_equal(q->pri, request.pri);
    assert_int_equal(q->delay, request.delay);
    assert_int_equal(q->ttr, request.ttr);
    assert_int_equal(q->count, request.count);
    assert_int_equal(q->age_ns, request.age_ns);
    assert_true(equals(request.tube, q->tube));
    assert_true(equals(request.body, q->body));
    assert_int_equal(p->reads[0]->read, 11);
    assert_int_equal(p->reads[0]->conn, 12);
    assert_int_equal(p->reads[0]->kind, COOLBEANS__V1__READ_KIND__READ_KIND_STATS_TUBE);
    assert_int_equal(p->reads[0]->id, 14);
    assert_true(equals(read.tube, p->reads[0]->tube));
    assert_int_equal(p->reads[0]->after, 15);
    assert_int_equal(p->counts[0]->counter, WIRE_CMD_PAUSE_TUBE);
    assert_int_equal(p->counts[0]->increment, 17);
    coolbeans__v1__to_node__free_unpacked(p, NULL);
    cb_buf_fini(&b);
}

static void check_stats(const Coolbeans__V1__Stats *p, const struct wire_stats *s)
{
    assert_int_equal(p->urgent, s->urgent);
    assert_int_equal(p->ready, s->ready);
    assert_int_equal(p->reserved, s->reserved);
    assert_int_equal(p->delayed, s->delayed);
    assert_int_equal(p->buried, s->buried);
    assert_int_equal(p->n_counters, WIRE_COUNTER_COUNT);
    assert_memory_equal(p->counters, s->counters, sizeof s->counters);
    assert_int_equal(p->job_timeouts, s->job_timeouts);
    assert_int_equal(p->total_jobs, s->total_jobs);
    assert_int_equal(p->tubes, s->tubes);
    assert_int_equal(p->connections, s->connections);
    assert_int_equal(p->producers, s->producers);
    assert_int_equal(p->workers, s->workers);
    assert_int_equal(p->waiting, s->waiting);
    assert_int_equal(p->total_connections, s->total_connections);
}

static void check_tube_stats(const Coolbeans__V1__TubeStats *p, const struct wire_tube_stats *s)
{
    assert_true(equals(s->name, p->name));
    assert_int_equal(p->urgent, s->urgent);
    assert_int_equal(p->ready, s->ready);
    assert_int_equal(p->reserved, s->reserved);
    assert_int_equal(p->delayed, s->delayed);
    assert_int_equal(p->buried, s->buried);
    assert_int_equal(p->total_jobs, s->total_jobs);
    assert_int_equal(p->using_, s->using);
    assert_int_equal(p->watching, s->watching);
    assert_int_equal(p->waiting, s->waiting);
    assert_int_equal(p->cmd_delete, s->cmd_delete);
    assert_int_equal(p->cmd_pause_tube, s->cmd_pause_tube);
    assert_int_equal(p->pause, s->pause);
    assert_int_equal(p->pause_left_ns, s->pause_left_ns);
}

static void check_job_stats(const Coolbeans__V1__JobStats *p, const struct wire_job_stats *s)
{
    assert_int_equal(p->id, s->id);
    assert_true(equals(s->tube, p->tube));
    assert_int_equal(p->state, s->state);
    assert_int_equal(p->pri, s->pri);
    assert_int_equal(p->delay, s->delay);
    assert_int_equal(p->ttr, s->ttr);
    assert_int_equal(p->age_ns, s->age_ns);
    assert_int_equal(p->left_ns, s->left_ns);
    assert_int_equal(p->reserves, s->reserves);
    assert_int_equal(p->timeouts, s->timeouts);
    assert_int_equal(p->releases, s->releases);
    assert_int_equal(p->buries, s->buries);
    assert_int_equal(p->kicks, s->kicks);
}

static void to_proxy_fields_are_the_protos(void **state)
{
    (void)state;
    struct cb_span tubes[] = {cb_span_str("default"), cb_span_str("b")};
    struct wire_result result = {1, 2, 3, WIRE_RESERVED, 5, 6, cb_span_str("body")};
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
        .results = &result,
        .n_results = 1,
        .reads = reads,
        .n_reads = 3,
    };
    struct cb_buf b = CB_BUF_NULL;
    wire_to_proxy_encode(&m, &b);
    Coolbeans__V1__ToProxy *p =
        coolbeans__v1__to_proxy__unpack(NULL, cb_buf_len(&b), cb_buf_span(&b).ptr);
    assert_non_null(p);
    assert_int_equal(p->confirmed_seq, 21);
    assert_int_equal(p->applied_request, 22);
    assert_int_equal(p->expect, 23);
    assert_int_equal(p->attached->session, 31);
    assert_int_equal(p->attached->last_request, 32);
    assert_int_equal(p->attached->last_result, 33);
    assert_int_equal(p->attached->session_timeout_ms, 34);
    assert_int_equal(p->attached->node, 35);
    assert_int_equal(p->attached->term, 36);
    const Coolbeans__V1__Result *q = p->results[0];
    assert_int_equal(q->number, 1);
    assert_int_equal(q->request, 2);
    assert_int_equal(q->conn, 3);
    assert_int_equal(q->outcome, WIRE_RESERVED);
    assert_int_equal(q->count, result.count);
    assert_int_equal(q->id, result.id);
    assert_true(equals(result.body, q->body));
    const Coolbeans__V1__ReadResult *r = p->reads[0];
    assert_int_equal(r->read, 11);
    assert_true(r->found && r->again);
    assert_int_equal(r->id, 12);
    assert_true(equals(reads[0].body, r->body));
    assert_int_equal(r->n_tubes, 2);
    assert_true(equals(tubes[0], r->tubes[0]) && equals(tubes[1], r->tubes[1]));
    check_stats(r->stats, &reads[0].stats.all);
    check_tube_stats(p->reads[1]->tube_stats, &reads[1].stats.tube);
    check_job_stats(p->reads[2]->job_stats, &reads[2].stats.job);
    coolbeans__v1__to_proxy__free_unpacked(p, NULL);
    cb_buf_fini(&b);
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

static void assert_same_bytes(const struct cb_buf *ours, const uint8_t *theirs, size_t len)
{
    assert_int_equal(cb_buf_len(ours), len);
    assert_memory_equal(cb_buf_span(ours).ptr, theirs, len);
}

static void random_to_node_is_protobufs(void **state)
{
    (void)state;
    struct wire_to_node m = {0};
    struct wire_to_node decoded = {0};
    for (int i = 0; i < 2000; i++) {
        struct cb_buf b = CB_BUF_NULL;
        struct cb_buf again = CB_BUF_NULL;
        wire_to_node_clear(&m);
        fill_to_node(&m);
        wire_to_node_encode(&m, &b);
        Coolbeans__V1__ToNode *p =
            coolbeans__v1__to_node__unpack(NULL, cb_buf_len(&b), cb_buf_span(&b).ptr);
        assert_non_null(p);
        uint8_t *packed = cb_malloc(coolbeans__v1__to_node__get_packed_size(p) + 1);
        assert_same_bytes(&b, packed, coolbeans__v1__to_node__pack(p, packed));
        assert_int_equal(wire_to_node_decode(&decoded, cb_buf_span(&b)), WIRE_OK);
        wire_to_node_encode(&decoded, &again);
        assert_same_bytes(&again, cb_buf_span(&b).ptr, cb_buf_len(&b));
        coolbeans__v1__to_node__free_unpacked(p, NULL);
        cb_free(packed);
        cb_buf_fini(&b);
        cb_buf_fini(&again);
    }
    wire_to_node_fini(&m);
    wire_to_node_fini(&decoded);
}

static void random_to_proxy_is_protobufs(void **state)
{
    (void)state;
    struct wire_to_proxy m = {0};
    struct wire_to_proxy decoded = {0};
    for (int i = 0; i < 2000; i++) {
        struct cb_buf b = CB_BUF_NULL;
        struct cb_buf again = CB_BUF_NULL;
        wire_to_proxy_clear(&m);
        fill_to_proxy(&m);
        wire_to_proxy_encode(&m, &b);
        Coolbeans__V1__ToProxy *p =
            coolbeans__v1__to_proxy__unpack(NULL, cb_buf_len(&b), cb_buf_span(&b).ptr);
        assert_non_null(p);
        uint8_t *packed = cb_malloc(coolbeans__v1__to_proxy__get_packed_size(p) + 1);
        assert_same_bytes(&b, packed, coolbeans__v1__to_proxy__pack(p, packed));
        assert_int_equal(wire_to_proxy_decode(&decoded, cb_buf_span(&b)), WIRE_OK);
        wire_to_proxy_encode(&decoded, &again);
        assert_same_bytes(&again, cb_buf_span(&b).ptr, cb_buf_len(&b));
        coolbeans__v1__to_proxy__free_unpacked(p, NULL);
        cb_free(packed);
        cb_buf_fini(&b);
        cb_buf_fini(&again);
    }
    wire_to_proxy_fini(&m);
    wire_to_proxy_fini(&decoded);
}

/* A message that is written as it grows is the same to a reader. */
static void pieces_are_a_message(void **state)
{
    (void)state;
    struct wire_to_proxy m = {0};
    struct cb_buf b = CB_BUF_NULL;
    struct wire_result result = {.number = 7, .request = 8, .conn = 9, .outcome = WIRE_DELETED};
    struct wire_read_result read = {.read = 3, .found = true};
    wire_put_result(&b, &result);
    wire_put_read_result(&b, &read);
    wire_put_applied_request(&b, 8);
    wire_put_confirmed_seq(&b, 5);
    wire_put_expect(&b, 0);
    assert_int_equal(wire_to_proxy_decode(&m, cb_buf_span(&b)), WIRE_OK);
    assert_int_equal(m.confirmed_seq, 5);
    assert_int_equal(m.applied_request, 8);
    assert_int_equal(m.expect, 0);
    assert_int_equal(m.n_results, 1);
    assert_int_equal(m.results[0].outcome, WIRE_DELETED);
    assert_int_equal(m.n_reads, 1);
    assert_true(m.reads[0].found);
    wire_to_proxy_fini(&m);
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
        cmocka_unit_test(to_node_fields_are_the_protos),
        cmocka_unit_test(to_proxy_fields_are_the_protos),
        cmocka_unit_test(random_to_node_is_protobufs),
        cmocka_unit_test(random_to_proxy_is_protobufs),
        cmocka_unit_test(pieces_are_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
