#include <stddef.h>

#include "common/base/cb_tube_name.h"
#include "common/wire/wire_array.h"
#include "common/wire/wire_queue.h"
#include "common/wire/wire_tables.h"

/* A field of two bytes becomes a struct of a hundred: so the lists are bounded, not only the
 * bytes. */
#define REQUESTS_MAX CB_PROXY_IN_FLIGHT_MAX
#define READS_MAX CB_PROXY_IN_FLIGHT_MAX
#define RESULTS_MAX CB_RESULTS_UNACKED_MAX

/* ---- which fields an op has ---- */

enum {
    HAS_ID = 1,
    HAS_PRI = 2,
    HAS_DELAY = 4,
    HAS_TTR = 8,
    HAS_COUNT = 16,
    HAS_AGE = 32,
    HAS_TUBE = 64,
    HAS_BODY = 128,
};

static const uint8_t op_fields[WIRE_OP_END] = {
    [WIRE_OP_PUT] = HAS_PRI | HAS_DELAY | HAS_TTR | HAS_AGE | HAS_BODY,
    [WIRE_OP_USE] = HAS_TUBE,
    [WIRE_OP_WATCH] = HAS_TUBE,
    [WIRE_OP_IGNORE] = HAS_TUBE,
    [WIRE_OP_RESERVE_WITH_TIMEOUT] = HAS_COUNT,
    [WIRE_OP_RESERVE_JOB] = HAS_ID,
    [WIRE_OP_DELETE] = HAS_ID,
    [WIRE_OP_RELEASE] = HAS_ID | HAS_PRI | HAS_DELAY,
    [WIRE_OP_BURY] = HAS_ID | HAS_PRI,
    [WIRE_OP_TOUCH] = HAS_ID,
    [WIRE_OP_KICK] = HAS_COUNT,
    [WIRE_OP_KICK_JOB] = HAS_ID,
    [WIRE_OP_PAUSE_TUBE] = HAS_TUBE | HAS_DELAY,
};

static unsigned fields_of(const struct wire_request *r)
{
    return (r->id != 0 ? HAS_ID : 0U) | (r->pri != 0 ? HAS_PRI : 0U) |
           (r->delay != 0 ? HAS_DELAY : 0U) | (r->ttr != 0 ? HAS_TTR : 0U) |
           (r->count != 0 ? HAS_COUNT : 0U) | (r->age_ns != 0 ? HAS_AGE : 0U) |
           (r->tube.len != 0 ? HAS_TUBE : 0U) | (r->body.len != 0 ? HAS_BODY : 0U);
}

static enum wire_error check_request(const struct wire_request *r)
{
    if (r->op == 0 || r->op >= WIRE_OP_END) {
        return WIRE_BAD_OP;
    }
    if (r->number == 0 || r->conn == 0) {
        return WIRE_BAD_RANGE;
    }
    unsigned allowed = op_fields[r->op];
    if ((fields_of(r) & ~allowed) != 0) {
        return WIRE_BAD_FIELD;
    }
    if ((allowed & HAS_TUBE) != 0 && !cb_tube_name_is_valid(r->tube)) {
        return WIRE_BAD_TUBE_NAME;
    }
    if (r->body.len > CB_JOB_SIZE_MAX) {
        return WIRE_BAD_LENGTH;
    }
    if (r->op == WIRE_OP_RESERVE_WITH_TIMEOUT && r->count > CB_RESERVE_TIMEOUT_MAX) {
        return WIRE_BAD_RANGE;
    }
    return WIRE_OK;
}

static enum wire_error add_request(struct wire_to_node *m, struct cb_span bytes)
{
    if (m->n_requests == REQUESTS_MAX) {
        return WIRE_BAD_LENGTH;
    }
    struct wire_request *r = wire_to_node_add_request(m);
    enum wire_error e = wire_table_decode(&wire_table_request, r, bytes);
    if (e == WIRE_OK) {
        e = check_request(r);
    }
    if (e == WIRE_OK && m->n_requests > 1 && r->number - 1 != r[-1].number) {
        e = WIRE_BAD_ORDER;
    }
    return e;
}

static bool read_has_id(uint32_t kind)
{
    return kind == WIRE_READ_PEEK || kind == WIRE_READ_STATS_JOB;
}

static enum wire_error check_read(const struct wire_read *r)
{
    if (r->kind == 0 || r->kind >= WIRE_READ_END) {
        return WIRE_BAD_OP;
    }
    if (r->read == 0 || r->conn == 0) {
        return WIRE_BAD_RANGE;
    }
    if (r->id != 0 && !read_has_id(r->kind)) {
        return WIRE_BAD_FIELD;
    }
    if (r->kind == WIRE_READ_STATS_TUBE) {
        return cb_tube_name_is_valid(r->tube) ? WIRE_OK : WIRE_BAD_TUBE_NAME;
    }
    return r->tube.len == 0 ? WIRE_OK : WIRE_BAD_FIELD;
}

static enum wire_error add_read(struct wire_to_node *m, struct cb_span bytes)
{
    if (m->n_reads == READS_MAX) {
        return WIRE_BAD_LENGTH;
    }
    struct wire_read *r = wire_to_node_add_read(m);
    enum wire_error e = wire_table_decode(&wire_table_read, r, bytes);
    return e == WIRE_OK ? check_read(r) : e;
}

static enum wire_error add_count(struct wire_to_node *m, struct cb_span bytes)
{
    if (m->n_counts == WIRE_COUNTER_COUNT) {
        return WIRE_BAD_LENGTH;
    }
    struct wire_count *c = wire_to_node_add_count(m);
    enum wire_error e = wire_table_decode(&wire_table_count, c, bytes);
    if (e == WIRE_OK && (c->counter >= WIRE_COUNTER_COUNT || c->increment > UINT32_MAX)) {
        e = WIRE_BAD_RANGE;
    }
    return e;
}

static bool is_printable(struct cb_span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] <= ' ' || s.ptr[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

static enum wire_error set_attach(struct wire_to_node *m, struct cb_span bytes)
{
    if (m->has_attach) {
        return WIRE_BAD_TYPE;
    }
    m->has_attach = true;
    struct wire_attach *a = &m->attach;
    enum wire_error e = wire_table_decode(&wire_table_attach, a, bytes);
    if (e != WIRE_OK) {
        return e;
    }
    if (a->name.len == 0 || a->name.len > CB_PROXY_NAME_MAX || a->address.len > CB_ADDRESS_MAX) {
        return WIRE_BAD_LENGTH;
    }
    return is_printable(a->name) && is_printable(a->address) ? WIRE_OK : WIRE_BAD_RANGE;
}

static enum wire_error set_to_node(struct wire_to_node *m, const struct wire_token *t)
{
    bool is_message = t->field == WIRE_TO_NODE_ATTACH || t->field == WIRE_TO_NODE_REQUESTS ||
                      t->field == WIRE_TO_NODE_READS || t->field == WIRE_TO_NODE_COUNTS;
    if (t->field <= WIRE_TO_NODE_RESENT &&
        t->type != (is_message ? WIRE_PB_BYTES : WIRE_PB_VARINT)) {
        return WIRE_BAD_TYPE;
    }
    switch (t->field) {
    case WIRE_TO_NODE_SEQ:
        m->seq = t->value;
        return WIRE_OK;
    case WIRE_TO_NODE_ATTACH:
        return set_attach(m, t->bytes);
    case WIRE_TO_NODE_ACKED_RESULT:
        m->acked_result = t->value;
        return WIRE_OK;
    case WIRE_TO_NODE_REQUESTS:
        return add_request(m, t->bytes);
    case WIRE_TO_NODE_READS:
        return add_read(m, t->bytes);
    case WIRE_TO_NODE_COUNTS:
        return add_count(m, t->bytes);
    case WIRE_TO_NODE_RESENT:
        m->resent = t->value != 0;
        return WIRE_OK;
    default: /* from a later version */
        return WIRE_OK;
    }
}

enum wire_error wire_to_node_decode(struct wire_to_node *m, struct cb_span bytes)
{
    struct wire_reader r;
    struct wire_token t;
    wire_to_node_clear(m);
    wire_reader_init(&r, bytes);
    while (wire_reader_next(&r, &t)) {
        enum wire_error e = set_to_node(m, &t);
        if (e != WIRE_OK) {
            return e;
        }
    }
    return r.error;
}

/* ---- node to proxy ---- */

static enum wire_error check_result(const struct wire_result *r)
{
    if (r->outcome == 0 || r->outcome >= WIRE_OUTCOME_END) {
        return WIRE_BAD_OP;
    }
    if (r->number == 0 || r->request == 0 || r->conn == 0) {
        return WIRE_BAD_RANGE;
    }
    if (r->body.len > CB_JOB_SIZE_MAX) {
        return WIRE_BAD_LENGTH;
    }
    bool has_body = r->outcome == WIRE_RESERVED;
    bool has_id = has_body || r->outcome == WIRE_INSERTED;
    bool has_count = r->outcome == WIRE_WATCHING || r->outcome == WIRE_KICKED;
    if ((r->body.len != 0 && !has_body) || (r->id != 0) != has_id ||
        (r->count != 0 && !has_count)) {
        return WIRE_BAD_FIELD;
    }
    return WIRE_OK;
}

static enum wire_error add_result(struct wire_to_proxy *m, struct cb_span bytes)
{
    if (m->n_results == RESULTS_MAX) {
        return WIRE_BAD_LENGTH;
    }
    struct wire_result *r = wire_to_proxy_add_result(m);
    enum wire_error e = wire_table_decode(&wire_table_result, r, bytes);
    if (e == WIRE_OK) {
        e = check_result(r);
    }
    if (e == WIRE_OK && m->n_results > 1 && r->number - 1 != r[-1].number) {
        e = WIRE_BAD_ORDER;
    }
    return e;
}

/* Packed, as the language demands, or one by one, as it allows. A later version may have more. */
static enum wire_error add_counters(struct wire_stats *s, const struct wire_token *t, uint32_t *n)
{
    struct wire_reader r;
    uint64_t v = t->value;
    wire_reader_init(&r, t->bytes);
    bool packed = t->type == WIRE_PB_BYTES;
    if (!packed && t->type != WIRE_PB_VARINT) {
        return WIRE_BAD_TYPE;
    }
    while (!packed || r.p < r.end) {
        if (packed && !wire_reader_varint(&r, &v)) {
            return r.error;
        }
        if (*n < WIRE_COUNTER_COUNT) {
            s->counters[(*n)++] = v;
        }
        if (!packed) {
            break;
        }
    }
    return WIRE_OK;
}

static enum wire_error decode_stats(struct wire_stats *s, struct cb_span bytes)
{
    struct wire_reader r;
    struct wire_token t;
    uint32_t n_counters = 0;
    *s = (struct wire_stats){0};
    wire_reader_init(&r, bytes);
    while (wire_reader_next(&r, &t)) {
        enum wire_error e;
        if (t.field < WIRE_STATS_COUNTERS) {
            e = wire_table_set(&wire_table_stats_head, s, &t);
        } else if (t.field == WIRE_STATS_COUNTERS) {
            e = add_counters(s, &t, &n_counters);
        } else {
            t.field -= WIRE_STATS_COUNTERS;
            e = wire_table_set(&wire_table_stats_tail, s, &t);
        }
        if (e != WIRE_OK) {
            return e;
        }
    }
    return r.error;
}

static enum wire_error decode_tube_stats(struct wire_tube_stats *s, struct cb_span bytes)
{
    *s = (struct wire_tube_stats){0};
    enum wire_error e = wire_table_decode(&wire_table_tube_stats, s, bytes);
    if (e == WIRE_OK && !cb_tube_name_is_valid(s->name)) {
        e = WIRE_BAD_TUBE_NAME;
    }
    return e;
}

static enum wire_error decode_job_stats(struct wire_job_stats *s, struct cb_span bytes)
{
    *s = (struct wire_job_stats){0};
    enum wire_error e = wire_table_decode(&wire_table_job_stats, s, bytes);
    if (e == WIRE_OK && !cb_tube_name_is_valid(s->tube)) {
        e = WIRE_BAD_TUBE_NAME;
    }
    if (e == WIRE_OK && (s->state == 0 || s->state >= WIRE_JOB_STATE_END)) {
        e = WIRE_BAD_OP;
    }
    return e;
}

static enum wire_error
set_stats(struct wire_read_result *r, enum wire_stats_kind kind, struct cb_span bytes)
{
    if (r->stats_kind != WIRE_STATS_NONE) {
        return WIRE_BAD_TYPE;
    }
    r->stats_kind = kind;
    switch (kind) {
    case WIRE_STATS_ALL:
        return decode_stats(&r->stats.all, bytes);
    case WIRE_STATS_TUBE:
        return decode_tube_stats(&r->stats.tube, bytes);
    case WIRE_STATS_JOB:
        return decode_job_stats(&r->stats.job, bytes);
    case WIRE_STATS_NONE:
        break;
    }
    CB_UNREACHABLE("kind of statistics");
}

static enum wire_error
set_read_result(struct wire_to_proxy *m, struct wire_read_result *r, const struct wire_token *t)
{
    if (t->field < WIRE_READ_RESULT_TUBES) {
        return wire_table_set(&wire_table_read_result, r, t);
    }
    if (t->field > WIRE_READ_RESULT_JOB_STATS) {
        return WIRE_OK;
    }
    if (t->type != WIRE_PB_BYTES) {
        return WIRE_BAD_TYPE;
    }
    if (t->field != WIRE_READ_RESULT_TUBES) {
        return set_stats(r, (enum wire_stats_kind)(t->field - WIRE_READ_RESULT_TUBES), t->bytes);
    }
    if (!cb_tube_name_is_valid(t->bytes)) {
        return WIRE_BAD_TUBE_NAME;
    }
    *WIRE_ARRAY_ADD(m, tubes) = t->bytes;
    r->n_tubes++;
    return WIRE_OK;
}

/* set_read_result makes kinds of field numbers. */
_Static_assert(WIRE_READ_RESULT_STATS - WIRE_READ_RESULT_TUBES == WIRE_STATS_ALL,
               "order of fields");
_Static_assert(WIRE_READ_RESULT_TUBE_STATS - WIRE_READ_RESULT_TUBES == WIRE_STATS_TUBE,
               "order of fields");
_Static_assert(WIRE_READ_RESULT_JOB_STATS - WIRE_READ_RESULT_TUBES == WIRE_STATS_JOB,
               "order of fields");

static enum wire_error add_read_result(struct wire_to_proxy *m, struct cb_span bytes)
{
    struct wire_reader reader;
    struct wire_token t;
    if (m->n_reads == READS_MAX) {
        return WIRE_BAD_LENGTH;
    }
    struct wire_read_result *r = wire_to_proxy_add_read(m);
    wire_reader_init(&reader, bytes);
    while (wire_reader_next(&reader, &t)) {
        enum wire_error e = set_read_result(m, r, &t);
        if (e != WIRE_OK) {
            return e;
        }
    }
    if (reader.error == WIRE_OK && r->body.len > CB_JOB_SIZE_MAX) {
        return WIRE_BAD_LENGTH;
    }
    return reader.error;
}

static enum wire_error set_attached(struct wire_to_proxy *m, struct cb_span bytes)
{
    if (m->has_attached) {
        return WIRE_BAD_TYPE;
    }
    m->has_attached = true;
    return wire_table_decode(&wire_table_attached, &m->attached, bytes);
}

static enum wire_error set_to_proxy(struct wire_to_proxy *m, const struct wire_token *t)
{
    bool is_message = t->field == WIRE_TO_PROXY_ATTACHED || t->field == WIRE_TO_PROXY_RESULTS ||
                      t->field == WIRE_TO_PROXY_READS;
    if (t->field <= WIRE_TO_PROXY_READS &&
        t->type != (is_message ? WIRE_PB_BYTES : WIRE_PB_VARINT)) {
        return WIRE_BAD_TYPE;
    }
    switch (t->field) {
    case WIRE_TO_PROXY_CONFIRMED_SEQ:
        m->confirmed_seq = t->value;
        return WIRE_OK;
    case WIRE_TO_PROXY_ATTACHED:
        return set_attached(m, t->bytes);
    case WIRE_TO_PROXY_APPLIED_REQUEST:
        m->applied_request = t->value;
        return WIRE_OK;
    case WIRE_TO_PROXY_EXPECT:
        m->expect = t->value;
        return WIRE_OK;
    case WIRE_TO_PROXY_RESULTS:
        return add_result(m, t->bytes);
    case WIRE_TO_PROXY_READS:
        return add_read_result(m, t->bytes);
    default: /* from a later version */
        return WIRE_OK;
    }
}

/* Only now does the array of names stay where it is. */
static void place_tubes(struct wire_to_proxy *m)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < m->n_reads; i++) {
        m->reads[i].tubes = m->reads[i].n_tubes > 0 ? m->tubes + at : NULL;
        at += m->reads[i].n_tubes;
    }
}

enum wire_error wire_to_proxy_decode(struct wire_to_proxy *m, struct cb_span bytes)
{
    struct wire_reader r;
    struct wire_token t;
    wire_to_proxy_clear(m);
    wire_reader_init(&r, bytes);
    while (wire_reader_next(&r, &t)) {
        enum wire_error e = set_to_proxy(m, &t);
        if (e != WIRE_OK) {
            return e;
        }
    }
    place_tubes(m);
    return r.error;
}
