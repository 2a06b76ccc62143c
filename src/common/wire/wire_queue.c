#include "common/wire/wire_queue.h"

#include "common/base/cb_mem.h"
#include "common/wire/wire_array.h"
#include "common/wire/wire_tables.h"

void wire_to_node_clear(struct wire_to_node *m)
{
    m->seq = 0;
    m->has_attach = false;
    m->attach = (struct wire_attach){0};
    m->acked_result = 0;
    m->n_requests = 0;
    m->n_reads = 0;
    m->n_counts = 0;
    m->resent = false;
}

void wire_to_node_fini(struct wire_to_node *m)
{
    cb_free(m->requests);
    cb_free(m->reads);
    cb_free(m->counts);
    *m = (struct wire_to_node){0};
}

void wire_to_proxy_clear(struct wire_to_proxy *m)
{
    m->confirmed_seq = 0;
    m->has_attached = false;
    m->attached = (struct wire_attached){0};
    m->applied_request = 0;
    m->expect = 0;
    m->n_results = 0;
    m->n_reads = 0;
    m->n_tubes = 0;
}

void wire_to_proxy_fini(struct wire_to_proxy *m)
{
    cb_free(m->results);
    cb_free(m->reads);
    cb_free(m->tubes);
    *m = (struct wire_to_proxy){0};
}

struct wire_request *wire_to_node_add_request(struct wire_to_node *m)
{
    return WIRE_ARRAY_ADD(m, requests);
}

struct wire_read *wire_to_node_add_read(struct wire_to_node *m)
{
    return WIRE_ARRAY_ADD(m, reads);
}

struct wire_count *wire_to_node_add_count(struct wire_to_node *m)
{
    return WIRE_ARRAY_ADD(m, counts);
}

struct wire_result *wire_to_proxy_add_result(struct wire_to_proxy *m)
{
    return WIRE_ARRAY_ADD(m, results);
}

struct wire_read_result *wire_to_proxy_add_read(struct wire_to_proxy *m)
{
    return WIRE_ARRAY_ADD(m, reads);
}

void wire_put_request(struct cb_buf *out, const struct wire_request *r)
{
    wire_put_message(out, WIRE_TO_NODE_REQUESTS, &wire_table_request, r);
}

void wire_put_read(struct cb_buf *out, const struct wire_read *r)
{
    wire_put_message(out, WIRE_TO_NODE_READS, &wire_table_read, r);
}

void wire_put_result(struct cb_buf *out, const struct wire_result *r)
{
    wire_put_message(out, WIRE_TO_PROXY_RESULTS, &wire_table_result, r);
}

void wire_put_attached(struct cb_buf *out, const struct wire_attached *a)
{
    wire_put_message(out, WIRE_TO_PROXY_ATTACHED, &wire_table_attached, a);
}

void wire_put_confirmed_seq(struct cb_buf *out, uint64_t seq)
{
    wire_put_varint_field(out, WIRE_TO_PROXY_CONFIRMED_SEQ, seq);
}

void wire_put_applied_request(struct cb_buf *out, uint64_t number)
{
    wire_put_varint_field(out, WIRE_TO_PROXY_APPLIED_REQUEST, number);
}

void wire_put_expect(struct cb_buf *out, uint64_t number)
{
    wire_put_varint_field(out, WIRE_TO_PROXY_EXPECT, number);
}

void wire_to_node_encode(const struct wire_to_node *m, struct cb_buf *out)
{
    wire_put_varint_field(out, WIRE_TO_NODE_SEQ, m->seq);
    if (m->has_attach) {
        wire_put_message(out, WIRE_TO_NODE_ATTACH, &wire_table_attach, &m->attach);
    }
    wire_put_varint_field(out, WIRE_TO_NODE_ACKED_RESULT, m->acked_result);
    for (uint32_t i = 0; i < m->n_requests; i++) {
        wire_put_request(out, &m->requests[i]);
    }
    for (uint32_t i = 0; i < m->n_reads; i++) {
        wire_put_read(out, &m->reads[i]);
    }
    for (uint32_t i = 0; i < m->n_counts; i++) {
        wire_put_message(out, WIRE_TO_NODE_COUNTS, &wire_table_count, &m->counts[i]);
    }
    wire_put_varint_field(out, WIRE_TO_NODE_RESENT, m->resent);
}

void wire_to_proxy_encode(const struct wire_to_proxy *m, struct cb_buf *out)
{
    wire_put_confirmed_seq(out, m->confirmed_seq);
    if (m->has_attached) {
        wire_put_attached(out, &m->attached);
    }
    wire_put_applied_request(out, m->applied_request);
    wire_put_expect(out, m->expect);
    for (uint32_t i = 0; i < m->n_results; i++) {
        wire_put_result(out, &m->results[i]);
    }
    for (uint32_t i = 0; i < m->n_reads; i++) {
        wire_put_read_result(out, &m->reads[i]);
    }
}

/* ---- ReadResult: rare and mixed, so it is written into a buffer of its own first ---- */

static void put_counters(struct cb_buf *out, const uint64_t *counters)
{
    size_t size = 0;
    for (uint32_t i = 0; i < WIRE_COUNTER_COUNT; i++) {
        size += wire_varint_size(counters[i]);
    }
    uint8_t *p = cb_buf_reserve(out, WIRE_TAG_SIZE + 10 + size);
    uint8_t *q = wire_write_varint(wire_write_tag(p, WIRE_STATS_COUNTERS, WIRE_PB_BYTES), size);
    for (uint32_t i = 0; i < WIRE_COUNTER_COUNT; i++) {
        q = wire_write_varint(q, counters[i]);
    }
    cb_buf_commit(out, (size_t)(q - p));
}

static void put_stats(struct cb_buf *out, const struct wire_stats *s)
{
    struct cb_buf inner = CB_BUF_NULL;
    size_t head = wire_table_size(&wire_table_stats_head, s);
    (void)wire_table_write(&wire_table_stats_head, s, cb_buf_reserve(&inner, head));
    cb_buf_commit(&inner, head);
    put_counters(&inner, s->counters);
    const uint64_t tail[] = {s->job_timeouts, s->total_jobs, s->tubes,   s->connections,
                             s->producers,    s->workers,    s->waiting, s->total_connections};
    for (uint32_t i = 0; i < sizeof tail / sizeof tail[0]; i++) {
        wire_put_varint_field(&inner, WIRE_STATS_COUNTERS + 1 + i, tail[i]);
    }
    wire_put_bytes_field(out, WIRE_READ_RESULT_STATS, cb_buf_span(&inner));
    cb_buf_fini(&inner);
}

static void put_read_result_fields(struct cb_buf *out, const struct wire_read_result *r)
{
    size_t size = wire_table_size(&wire_table_read_result, r);
    (void)wire_table_write(&wire_table_read_result, r, cb_buf_reserve(out, size));
    cb_buf_commit(out, size);
    for (uint32_t i = 0; i < r->n_tubes; i++) {
        wire_put_bytes_field(out, WIRE_READ_RESULT_TUBES, r->tubes[i]);
    }
    switch (r->stats_kind) {
    case WIRE_STATS_NONE:
        break;
    case WIRE_STATS_ALL:
        put_stats(out, &r->stats.all);
        break;
    case WIRE_STATS_TUBE:
        wire_put_message(out, WIRE_READ_RESULT_TUBE_STATS, &wire_table_tube_stats, &r->stats.tube);
        break;
    case WIRE_STATS_JOB:
        wire_put_message(out, WIRE_READ_RESULT_JOB_STATS, &wire_table_job_stats, &r->stats.job);
        break;
    }
}

void wire_put_read_result(struct cb_buf *out, const struct wire_read_result *r)
{
    struct cb_buf inner = CB_BUF_NULL;
    put_read_result_fields(&inner, r);
    wire_put_bytes_field(out, WIRE_TO_PROXY_READS, cb_buf_span(&inner));
    cb_buf_fini(&inner);
}
