#include "common/wire/wire_cluster.h"

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "common/wire/wire_array.h"
#include "common/wire/wire_pb.h"

enum {
    MEMBERS = 12,
    COUNTERS = 15,
};

/* Row i is field i + 1 of the message in proto/cluster.proto. */

/* clang-format off */
#define F(type, member) WIRE_FIELD(WIRE_##type, struct wire_status, member)
static const struct wire_field status_head_rows[] = {
    F(SPAN, name), F(U64, id), F(SPAN, role), F(U64, term), F(U64, leader), F(U64, commit),
    F(U64, applied), F(SPAN, version), F(U32, protocol), F(U32, entry_format),
    F(U32, record_format),
};
/* Fields 13 and 14, as 1 and 2. */
static const struct wire_field status_tail_rows[] = {F(BOOL, serving), F(U64, durable)};
#undef F

#define F(type, member) WIRE_FIELD(WIRE_##type, struct wire_member, member)
static const struct wire_field member_rows[] = {
    F(U64, id), F(SPAN, name), F(SPAN, grpc), F(SPAN, raft), F(SPAN, role),
};
#undef F

#define F(type, member) WIRE_FIELD(WIRE_##type, struct wire_status_counter, member)
static const struct wire_field counter_rows[] = {F(SPAN, name), F(U64, value)};
#undef F

#define F(type, member) WIRE_FIELD(WIRE_##type, struct wire_identify_request, member)
static const struct wire_field identify_request_rows[] = {F(U64, cluster), F(U64, id)};
#undef F

#define F(type, member) WIRE_FIELD(WIRE_##type, struct wire_identify_reply, member)
static const struct wire_field identify_reply_rows[] = {
    F(U32, state), F(U64, cluster), F(U64, id), F(SPAN, name),
};
#undef F
/* clang-format on */

static const struct wire_table status_head = WIRE_TABLE(status_head_rows);
static const struct wire_table status_tail = WIRE_TABLE(status_tail_rows);
static const struct wire_table member_table = WIRE_TABLE(member_rows);
static const struct wire_table counter_table = WIRE_TABLE(counter_rows);
static const struct wire_table identify_request = WIRE_TABLE(identify_request_rows);
static const struct wire_table identify_reply = WIRE_TABLE(identify_reply_rows);

void wire_status_clear(struct wire_status *m)
{
    struct wire_status empty = {
        .members = m->members,
        .cap_members = m->cap_members,
        .counters = m->counters,
        .cap_counters = m->cap_counters,
    };
    *m = empty;
}

void wire_status_fini(struct wire_status *m)
{
    cb_free(m->members);
    cb_free(m->counters);
    *m = (struct wire_status){0};
}

struct wire_member *wire_status_add_member(struct wire_status *m)
{
    return WIRE_ARRAY_ADD(m, members);
}

struct wire_status_counter *wire_status_add_counter(struct wire_status *m)
{
    return WIRE_ARRAY_ADD(m, counters);
}

static void put_table(struct cb_buf *out, const struct wire_table *t, const void *obj)
{
    size_t size = wire_table_size(t, obj);
    (void)wire_table_write(t, obj, cb_buf_reserve(out, size));
    cb_buf_commit(out, size);
}

void wire_status_encode(const struct wire_status *m, struct cb_buf *out)
{
    put_table(out, &status_head, m);
    for (uint32_t i = 0; i < m->n_members; i++) {
        wire_put_message(out, MEMBERS, &member_table, &m->members[i]);
    }
    wire_put_varint_field(out, MEMBERS + 1, m->serving);
    wire_put_varint_field(out, MEMBERS + 2, m->durable);
    for (uint32_t i = 0; i < m->n_counters; i++) {
        wire_put_message(out, COUNTERS, &counter_table, &m->counters[i]);
    }
}

void wire_identify_request_encode(const struct wire_identify_request *m, struct cb_buf *out)
{
    put_table(out, &identify_request, m);
}

void wire_identify_reply_encode(const struct wire_identify_reply *m, struct cb_buf *out)
{
    put_table(out, &identify_reply, m);
}

/* ---- decoding ---- */

/* These end up in an operator's terminal. */
static enum wire_error check_text(struct cb_span s, size_t max)
{
    if (s.len > max) {
        return WIRE_BAD_LENGTH;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < ' ' || s.ptr[i] >= 0x7f) {
            return WIRE_BAD_RANGE;
        }
    }
    return WIRE_OK;
}

static enum wire_error check_texts(const struct cb_span *texts, size_t n, size_t max)
{
    for (size_t i = 0; i < n; i++) {
        enum wire_error e = check_text(texts[i], max);
        if (e != WIRE_OK) {
            return e;
        }
    }
    return WIRE_OK;
}

static enum wire_error add_member(struct wire_status *m, struct cb_span bytes)
{
    if (m->n_members == CB_CLUSTER_NODES_MAX) {
        return WIRE_BAD_LENGTH;
    }
    struct wire_member *member = wire_status_add_member(m);
    enum wire_error e = wire_table_decode(&member_table, member, bytes);
    const struct cb_span texts[] = {member->name, member->grpc, member->raft, member->role};
    return e == WIRE_OK ? check_texts(texts, 4, CB_ADDRESS_MAX) : e;
}

static enum wire_error add_counter(struct wire_status *m, struct cb_span bytes)
{
    if (m->n_counters == CB_STATUS_COUNTERS_MAX) {
        return WIRE_BAD_LENGTH;
    }
    struct wire_status_counter *counter = wire_status_add_counter(m);
    enum wire_error e = wire_table_decode(&counter_table, counter, bytes);
    return e == WIRE_OK ? check_text(counter->name, CB_NODE_NAME_MAX) : e;
}

static enum wire_error set_status(struct wire_status *m, struct wire_token *t)
{
    if (t->field < MEMBERS) {
        return wire_table_set(&status_head, m, t);
    }
    if (t->field == MEMBERS || t->field == COUNTERS) {
        if (t->type != WIRE_PB_BYTES) {
            return WIRE_BAD_TYPE;
        }
        return t->field == MEMBERS ? add_member(m, t->bytes) : add_counter(m, t->bytes);
    }
    t->field -= MEMBERS;
    return wire_table_set(&status_tail, m, t);
}

enum wire_error wire_status_decode(struct wire_status *m, struct cb_span bytes)
{
    struct wire_reader r;
    struct wire_token t;
    wire_status_clear(m);
    wire_reader_init(&r, bytes);
    while (wire_reader_next(&r, &t)) {
        enum wire_error e = set_status(m, &t);
        if (e != WIRE_OK) {
            return e;
        }
    }
    const struct cb_span texts[] = {m->name, m->role, m->version};
    return r.error == WIRE_OK ? check_texts(texts, 3, CB_NODE_NAME_MAX) : r.error;
}

enum wire_error wire_identify_request_decode(struct wire_identify_request *m, struct cb_span bytes)
{
    *m = (struct wire_identify_request){0};
    return wire_table_decode(&identify_request, m, bytes);
}

enum wire_error wire_identify_reply_decode(struct wire_identify_reply *m, struct cb_span bytes)
{
    *m = (struct wire_identify_reply){0};
    enum wire_error e = wire_table_decode(&identify_reply, m, bytes);
    if (e == WIRE_OK && (m->state == 0 || m->state >= WIRE_IDENTIFY_STATE_END)) {
        e = WIRE_BAD_OP;
    }
    return e == WIRE_OK ? check_text(m->name, CB_NODE_NAME_MAX) : e;
}
