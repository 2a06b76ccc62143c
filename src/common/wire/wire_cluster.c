#include "common/wire/wire_cluster.h"

#include "cluster.pb-c.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "common/wire/wire_array.h"
#include "common/wire/wire_pack.h"

#define BASE(name) PROTOBUF_C_MESSAGE_INIT(&coolbeans__v1__##name##__descriptor)

/* A number has ten bytes at most, and each field one before it. */
#define STATE_REPLY_HEAD_MAX (7 * 11)
_Static_assert(CB_STATE_PART_MAX + STATE_REPLY_HEAD_MAX <= CB_STREAM_MESSAGE_MAX,
               "the largest part of a state fits into what both ends of a call accept");

void wire_status_clear(struct wire_status *m)
{
    struct wire_status empty = {
        .members = m->members,
        .cap_members = m->cap_members,
        .counters = m->counters,
        .cap_counters = m->cap_counters,
        .arena = m->arena,
    };
    wire_decode_arena_reset(m->arena);
    *m = empty;
}

void wire_status_fini(struct wire_status *m)
{
    wire_decode_arena_destroy(m->arena);
    cb_free(m->members);
    cb_free(m->counters);
    *m = (struct wire_status){0};
}

void wire_state_reply_fini(struct wire_state_reply *m)
{
    wire_decode_arena_destroy(m->arena);
    *m = (struct wire_state_reply){0};
}

struct wire_member *wire_status_add_member(struct wire_status *m)
{
    return WIRE_ARRAY_ADD(m, members);
}

struct wire_status_counter *wire_status_add_counter(struct wire_status *m)
{
    return WIRE_ARRAY_ADD(m, counters);
}

/* ---- encoding ---- */

static Coolbeans__V1__Member *make_member(struct wire_arena *a, const struct wire_member *from)
{
    Coolbeans__V1__Member *p = wire_arena_take(a, sizeof(*p));
    *p = (Coolbeans__V1__Member){
        .base = BASE(member),
        .id = from->id,
        .name = wire_text(a, from->name),
        .grpc = wire_text(a, from->grpc),
        .raft = wire_text(a, from->raft),
        .role = wire_text(a, from->role),
    };
    return p;
}

static Coolbeans__V1__Counter *make_counter(struct wire_arena *a,
                                            const struct wire_status_counter *from)
{
    Coolbeans__V1__Counter *p = wire_arena_take(a, sizeof(*p));
    *p = (Coolbeans__V1__Counter){
        .base = BASE(counter),
        .name = wire_text(a, from->name),
        .value = from->value,
    };
    return p;
}

void wire_status_encode(const struct wire_status *m, struct cb_buf *out)
{
    struct wire_arena a;
    wire_arena_init(&a, 0); /* it is for us, not for protobuf-c */
    Coolbeans__V1__StatusReply p = {
        .base = BASE(status_reply),
        .name = wire_text(&a, m->name),
        .id = m->id,
        .role = wire_text(&a, m->role),
        .term = m->term,
        .leader = m->leader,
        .commit = m->commit,
        .applied = m->applied,
        .version = wire_text(&a, m->version),
        .protocol = m->protocol,
        .entry_format = m->entry_format,
        .record_format = m->record_format,
        .n_members = m->n_members,
        .members = wire_arena_take(&a, m->n_members * sizeof(*p.members)),
        .serving = m->serving,
        .durable = m->durable,
        .n_counters = m->n_counters,
        .counters = wire_arena_take(&a, m->n_counters * sizeof(*p.counters)),
        .free_known = m->free_known,
        .free = m->free,
        .reserve = m->reserve,
        .puts_refused = m->puts_refused,
        .waits = wire_text(&a, m->waits),
    };
    for (uint32_t i = 0; i < m->n_members; i++) {
        p.members[i] = make_member(&a, &m->members[i]);
    }
    for (uint32_t i = 0; i < m->n_counters; i++) {
        p.counters[i] = make_counter(&a, &m->counters[i]);
    }
    wire_pack(&p.base, out);
    wire_arena_fini(&a);
}

void wire_clock_request_encode(const struct wire_clock_request *m, struct cb_buf *out)
{
    const Coolbeans__V1__ClockRequest p = {
        .base = BASE(clock_request),
        .cluster = m->cluster,
        .id = m->id,
    };
    wire_pack(&p.base, out);
}

void wire_clock_reply_encode(const struct wire_clock_reply *m, struct cb_buf *out)
{
    const Coolbeans__V1__ClockReply p = {
        .base = BASE(clock_reply),
        .cluster = m->cluster,
        .id = m->id,
        .knows = m->knows,
        .now_ns = m->now_ns,
        .index = m->index,
        .term = m->term,
    };
    wire_pack(&p.base, out);
}

void wire_state_request_encode(const struct wire_state_request *m, struct cb_buf *out)
{
    const Coolbeans__V1__StateRequest p = {
        .base = BASE(state_request),
        .cluster = m->cluster,
        .id = m->id,
        .copy = m->copy,
        .part = m->part,
        .at_least = m->at_least,
    };
    wire_pack(&p.base, out);
}

void wire_state_reply_encode(const struct wire_state_reply *m, struct cb_buf *out)
{
    const Coolbeans__V1__StateReply p = {
        .base = BASE(state_reply),
        .cluster = m->cluster,
        .id = m->id,
        .result = (Coolbeans__V1__StateReply__Result)m->result,
        .copy = m->copy,
        .part = m->part,
        .last = m->is_last,
        .bytes = wire_lend(m->bytes),
    };
    wire_pack(&p.base, out);
}

/* ---- decoding ---- */

static enum wire_error check_texts(const struct cb_span *texts, size_t n, size_t max)
{
    for (size_t i = 0; i < n; i++) {
        enum wire_error e = wire_check_text(texts[i], max);
        if (e != WIRE_OK) {
            return e;
        }
    }
    return WIRE_OK;
}

static enum wire_error add_member(struct wire_status *m, const Coolbeans__V1__Member *p)
{
    struct wire_member *member = wire_status_add_member(m);
    *member = (struct wire_member){
        .id = p->id,
        .name = cb_span_str(p->name),
        .grpc = cb_span_str(p->grpc),
        .raft = cb_span_str(p->raft),
        .role = cb_span_str(p->role),
    };
    const struct cb_span texts[] = {member->name, member->grpc, member->raft, member->role};
    return check_texts(texts, sizeof(texts) / sizeof(texts[0]), CB_ADDRESS_MAX);
}

static enum wire_error add_counter(struct wire_status *m, const Coolbeans__V1__Counter *p)
{
    struct wire_status_counter *counter = wire_status_add_counter(m);
    *counter = (struct wire_status_counter){.name = cb_span_str(p->name), .value = p->value};
    return wire_check_text(counter->name, CB_NODE_NAME_MAX);
}

static void set_status(struct wire_status *m, const Coolbeans__V1__StatusReply *p)
{
    m->name = cb_span_str(p->name);
    m->id = p->id;
    m->role = cb_span_str(p->role);
    m->term = p->term;
    m->leader = p->leader;
    m->commit = p->commit;
    m->applied = p->applied;
    m->version = cb_span_str(p->version);
    m->protocol = p->protocol;
    m->entry_format = p->entry_format;
    m->record_format = p->record_format;
    m->serving = p->serving != 0;
    m->durable = p->durable;
    m->free_known = p->free_known != 0;
    m->free = p->free;
    m->reserve = p->reserve;
    m->puts_refused = p->puts_refused != 0;
    m->waits = cb_span_str(p->waits);
}

static enum wire_error take_status(struct wire_status *m, const Coolbeans__V1__StatusReply *p)
{
    if (p->n_members > CB_CLUSTER_NODES_MAX || p->n_counters > CB_STATUS_COUNTERS_MAX) {
        return WIRE_BAD_LENGTH;
    }
    set_status(m, p);
    const struct cb_span texts[] = {m->name, m->role, m->version};
    enum wire_error e = check_texts(texts, sizeof(texts) / sizeof(texts[0]), CB_NODE_NAME_MAX);
    e = e == WIRE_OK ? wire_check_text(m->waits, CB_WAITS_TEXT_MAX) : e;
    for (size_t i = 0; e == WIRE_OK && i < p->n_members; i++) {
        e = add_member(m, p->members[i]);
    }
    for (size_t i = 0; e == WIRE_OK && i < p->n_counters; i++) {
        e = add_counter(m, p->counters[i]);
    }
    return e;
}

enum wire_error wire_status_decode(struct wire_status *m, struct cb_span bytes)
{
    enum wire_error e;
    wire_status_clear(m);
    const Coolbeans__V1__StatusReply *p = wire_unpack(
        wire_decode_arena(&m->arena), &coolbeans__v1__status_reply__descriptor, bytes, &e);
    if (p != NULL) {
        e = take_status(m, p);
    }
    if (e != WIRE_OK) {
        wire_status_clear(m);
    }
    return e;
}

static enum wire_error take_clock_request(void *to, const void *from)
{
    struct wire_clock_request *m = to;
    const Coolbeans__V1__ClockRequest *p = from;
    *m = (struct wire_clock_request){.cluster = p->cluster, .id = p->id};
    return WIRE_OK;
}

enum wire_error wire_clock_request_decode(struct wire_clock_request *m, struct cb_span bytes)
{
    *m = (struct wire_clock_request){0};
    return wire_decode_copied(m, &coolbeans__v1__clock_request__descriptor, bytes,
                              take_clock_request);
}

static enum wire_error take_clock_reply(void *to, const void *from)
{
    struct wire_clock_reply *m = to;
    const Coolbeans__V1__ClockReply *p = from;
    bool knows = p->knows != 0;
    bool has_entry = p->index != 0 && p->term != 0;
    if (p->now_ns > CB_CLUSTER_CLOCK_MAX || (knows ? !has_entry : p->term != 0)) {
        return WIRE_BAD_RANGE;
    }
    *m = (struct wire_clock_reply){
        .cluster = p->cluster,
        .id = p->id,
        .knows = knows,
        .now_ns = p->now_ns,
        .index = p->index,
        .term = p->term,
    };
    return WIRE_OK;
}

enum wire_error wire_clock_reply_decode(struct wire_clock_reply *m, struct cb_span bytes)
{
    *m = (struct wire_clock_reply){0};
    return wire_decode_copied(m, &coolbeans__v1__clock_reply__descriptor, bytes, take_clock_reply);
}

static enum wire_error take_state_request(void *to, const void *from)
{
    struct wire_state_request *m = to;
    const Coolbeans__V1__StateRequest *p = from;
    if (p->copy == 0 && p->part != 0) {
        return WIRE_BAD_RANGE; /* a new copy begins with its first part */
    }
    *m = (struct wire_state_request){
        .cluster = p->cluster,
        .id = p->id,
        .copy = p->copy,
        .part = p->part,
        .at_least = p->at_least,
    };
    return WIRE_OK;
}

enum wire_error wire_state_request_decode(struct wire_state_request *m, struct cb_span bytes)
{
    *m = (struct wire_state_request){0};
    return wire_decode_copied(m, &coolbeans__v1__state_request__descriptor, bytes,
                              take_state_request);
}

static enum wire_error check_state_reply(const struct wire_state_reply *m)
{
    if (m->result == 0 || m->result >= WIRE_STATE_RESULT_END) {
        return WIRE_BAD_OP;
    }
    if (m->bytes.len > CB_STATE_PART_MAX) {
        return WIRE_BAD_LENGTH;
    }
    if (m->result == WIRE_STATE_PART) {
        return m->copy != 0 && m->bytes.len > 0 ? WIRE_OK : WIRE_BAD_RANGE;
    }
    bool is_bare = m->copy == 0 && m->part == 0 && !m->is_last && m->bytes.len == 0;
    return is_bare ? WIRE_OK : WIRE_BAD_RANGE;
}

/* The bytes stay where protobuf-c has put them: they are copied once, out of the message. */
static enum wire_error take_state_reply(struct wire_state_reply *m,
                                        const Coolbeans__V1__StateReply *p)
{
    m->cluster = p->cluster;
    m->id = p->id;
    m->result = (uint32_t)p->result;
    m->copy = p->copy;
    m->part = p->part;
    m->is_last = p->last != 0;
    m->bytes = wire_borrow(p->bytes);
    return check_state_reply(m);
}

enum wire_error wire_state_reply_decode(struct wire_state_reply *m, struct cb_span bytes)
{
    enum wire_error e;
    *m = (struct wire_state_reply){0};
    const Coolbeans__V1__StateReply *p = wire_unpack(
        wire_decode_arena(&m->arena), &coolbeans__v1__state_reply__descriptor, bytes, &e);
    if (p != NULL) {
        e = take_state_reply(m, p);
    }
    if (e != WIRE_OK) {
        wire_state_reply_fini(m);
    }
    return e;
}
