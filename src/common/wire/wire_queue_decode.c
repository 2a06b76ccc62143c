/* From the generated structs to ours, and what they say checked. */
#include <stddef.h>

#include "common/base/cb_tube_name.h"
#include "common/wire/wire_array.h"
#include "common/wire/wire_pack.h"
#include "common/wire/wire_queue.h"
#include "queue.pb-c.h"

/* What lies in these arrays stays there for the next message, beside the arena and its bound. */
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

static enum wire_error add_request(struct wire_to_node *m, const Coolbeans__V1__Request *p)
{
    struct wire_request *r = wire_to_node_add_request(m);
    *r = (struct wire_request){
        .number = p->number,
        .conn = p->conn,
        .op = p->op,
        .pri = p->pri,
        .id = p->id,
        .delay = p->delay,
        .ttr = p->ttr,
        .count = p->count,
        .age_ns = p->age_ns,
        .tube = wire_borrow(p->tube),
        .body = wire_borrow(p->body),
    };
    enum wire_error e = check_request(r);
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

static enum wire_error add_read(struct wire_to_node *m, const Coolbeans__V1__Read *p)
{
    struct wire_read *r = wire_to_node_add_read(m);
    *r = (struct wire_read){
        .read = p->read,
        .conn = p->conn,
        .kind = (uint32_t)p->kind,
        .id = p->id,
        .tube = wire_borrow(p->tube),
        .after = p->after,
    };
    return check_read(r);
}

static enum wire_error add_count(struct wire_to_node *m, const Coolbeans__V1__Count *p)
{
    if (p->counter >= WIRE_COUNTER_COUNT || p->increment > UINT32_MAX) {
        return WIRE_BAD_RANGE;
    }
    *wire_to_node_add_count(m) =
        (struct wire_count){.counter = p->counter, .increment = p->increment};
    return WIRE_OK;
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

static enum wire_error set_attach(struct wire_to_node *m, const Coolbeans__V1__Attach *p)
{
    struct wire_attach *a = &m->attach;
    m->has_attach = true;
    *a = (struct wire_attach){
        .version = p->version,
        .name = cb_span_str(p->name),
        .started_ns = p->started_ns,
        .random = p->random,
        .address = cb_span_str(p->address),
        .session = p->session,
        .number = p->number,
        .seen_result = p->seen_result,
    };
    if (a->name.len == 0 || a->name.len > CB_PROXY_NAME_MAX || a->address.len > CB_ADDRESS_MAX) {
        return WIRE_BAD_LENGTH;
    }
    return is_printable(a->name) && is_printable(a->address) ? WIRE_OK : WIRE_BAD_RANGE;
}

static enum wire_error take_to_node(struct wire_to_node *m, const Coolbeans__V1__ToNode *p)
{
    if (p->n_requests > REQUESTS_MAX || p->n_reads > READS_MAX ||
        p->n_counts > WIRE_COUNTER_COUNT) {
        return WIRE_BAD_LENGTH;
    }
    m->seq = p->seq;
    m->acked_result = p->acked_result;
    m->resent = p->resent != 0;
    enum wire_error e = p->attach != NULL ? set_attach(m, p->attach) : WIRE_OK;
    for (size_t i = 0; e == WIRE_OK && i < p->n_requests; i++) {
        e = add_request(m, p->requests[i]);
    }
    for (size_t i = 0; e == WIRE_OK && i < p->n_reads; i++) {
        e = add_read(m, p->reads[i]);
    }
    for (size_t i = 0; e == WIRE_OK && i < p->n_counts; i++) {
        e = add_count(m, p->counts[i]);
    }
    return e;
}

enum wire_error wire_to_node_decode(struct wire_to_node *m, struct cb_span bytes)
{
    enum wire_error e;
    wire_to_node_clear(m);
    const Coolbeans__V1__ToNode *p =
        wire_unpack(wire_decode_arena(&m->arena), &coolbeans__v1__to_node__descriptor, bytes, &e);
    if (p != NULL) {
        e = take_to_node(m, p);
    }
    if (e != WIRE_OK) {
        wire_to_node_clear(m);
    }
    return e;
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

static enum wire_error add_result(struct wire_to_proxy *m, const Coolbeans__V1__Result *p)
{
    struct wire_result *r = wire_to_proxy_add_result(m);
    *r = (struct wire_result){
        .number = p->number,
        .request = p->request,
        .conn = p->conn,
        .outcome = p->outcome,
        .count = p->count,
        .id = p->id,
        .body = wire_borrow(p->body),
    };
    enum wire_error e = check_result(r);
    if (e == WIRE_OK && m->n_results > 1 && r->number - 1 != r[-1].number) {
        e = WIRE_BAD_ORDER;
    }
    return e;
}

static void set_stats(struct wire_stats *s, const Coolbeans__V1__Stats *p)
{
    *s = (struct wire_stats){
        .urgent = p->urgent,
        .ready = p->ready,
        .reserved = p->reserved,
        .delayed = p->delayed,
        .buried = p->buried,
        .job_timeouts = p->job_timeouts,
        .total_jobs = p->total_jobs,
        .tubes = p->tubes,
        .connections = p->connections,
        .producers = p->producers,
        .workers = p->workers,
        .waiting = p->waiting,
        .total_connections = p->total_connections,
    };
    /* An earlier version has fewer, a later one more. */
    for (size_t i = 0; i < p->n_counters && i < WIRE_COUNTER_COUNT; i++) {
        s->counters[i] = p->counters[i];
    }
}

static enum wire_error set_tube_stats(struct wire_tube_stats *s, const Coolbeans__V1__TubeStats *p)
{
    *s = (struct wire_tube_stats){
        .name = wire_borrow(p->name),
        .urgent = p->urgent,
        .ready = p->ready,
        .reserved = p->reserved,
        .delayed = p->delayed,
        .buried = p->buried,
        .total_jobs = p->total_jobs,
        .using = p->using_,
        .watching = p->watching,
        .waiting = p->waiting,
        .cmd_delete = p->cmd_delete,
        .cmd_pause_tube = p->cmd_pause_tube,
        .pause = p->pause,
        .pause_left_ns = p->pause_left_ns,
    };
    return cb_tube_name_is_valid(s->name) ? WIRE_OK : WIRE_BAD_TUBE_NAME;
}

static enum wire_error set_job_stats(struct wire_job_stats *s, const Coolbeans__V1__JobStats *p)
{
    *s = (struct wire_job_stats){
        .id = p->id,
        .tube = wire_borrow(p->tube),
        .state = p->state,
        .pri = p->pri,
        .delay = p->delay,
        .ttr = p->ttr,
        .age_ns = p->age_ns,
        .left_ns = p->left_ns,
        .reserves = p->reserves,
        .timeouts = p->timeouts,
        .releases = p->releases,
        .buries = p->buries,
        .kicks = p->kicks,
    };
    if (!cb_tube_name_is_valid(s->tube)) {
        return WIRE_BAD_TUBE_NAME;
    }
    return s->state != 0 && s->state < WIRE_JOB_STATE_END ? WIRE_OK : WIRE_BAD_OP;
}

static enum wire_error set_any_stats(struct wire_read_result *r, const Coolbeans__V1__ReadResult *p)
{
    if ((p->stats != NULL) + (p->tube_stats != NULL) + (p->job_stats != NULL) > 1) {
        return WIRE_BAD_FIELD;
    }
    if (p->stats != NULL) {
        r->stats_kind = WIRE_STATS_ALL;
        set_stats(&r->stats.all, p->stats);
    } else if (p->tube_stats != NULL) {
        r->stats_kind = WIRE_STATS_TUBE;
        return set_tube_stats(&r->stats.tube, p->tube_stats);
    } else if (p->job_stats != NULL) {
        r->stats_kind = WIRE_STATS_JOB;
        return set_job_stats(&r->stats.job, p->job_stats);
    }
    return WIRE_OK;
}

static enum wire_error add_tubes(struct wire_to_proxy *m, const Coolbeans__V1__ReadResult *p)
{
    for (size_t i = 0; i < p->n_tubes; i++) {
        struct cb_span name = wire_borrow(p->tubes[i]);
        if (!cb_tube_name_is_valid(name)) {
            return WIRE_BAD_TUBE_NAME;
        }
        *WIRE_ARRAY_ADD(m, tubes) = name;
    }
    return WIRE_OK;
}

static enum wire_error add_read_result(struct wire_to_proxy *m, const Coolbeans__V1__ReadResult *p)
{
    struct wire_read_result *r = wire_to_proxy_add_read(m);
    r->read = p->read;
    r->found = p->found != 0;
    r->again = p->again != 0;
    r->id = p->id;
    r->body = wire_borrow(p->body);
    r->n_tubes = (uint32_t)p->n_tubes; /* each took more than a byte of the arena */
    if (r->body.len > CB_JOB_SIZE_MAX) {
        return WIRE_BAD_LENGTH;
    }
    enum wire_error e = set_any_stats(r, p);
    return e == WIRE_OK ? add_tubes(m, p) : e;
}

static void set_attached(struct wire_to_proxy *m, const Coolbeans__V1__Attached *p)
{
    m->has_attached = true;
    m->attached = (struct wire_attached){
        .session = p->session,
        .last_request = p->last_request,
        .last_result = p->last_result,
        .session_timeout_ms = p->session_timeout_ms,
        .node = p->node,
        .term = p->term,
    };
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

static enum wire_error take_to_proxy(struct wire_to_proxy *m, const Coolbeans__V1__ToProxy *p)
{
    enum wire_error e = WIRE_OK;
    if (p->n_results > RESULTS_MAX || p->n_reads > READS_MAX) {
        return WIRE_BAD_LENGTH;
    }
    m->confirmed_seq = p->confirmed_seq;
    m->applied_request = p->applied_request;
    m->expect = p->expect;
    if (p->attached != NULL) {
        set_attached(m, p->attached);
    }
    for (size_t i = 0; e == WIRE_OK && i < p->n_results; i++) {
        e = add_result(m, p->results[i]);
    }
    for (size_t i = 0; e == WIRE_OK && i < p->n_reads; i++) {
        e = add_read_result(m, p->reads[i]);
    }
    if (e == WIRE_OK) {
        place_tubes(m);
    }
    return e;
}

enum wire_error wire_to_proxy_decode(struct wire_to_proxy *m, struct cb_span bytes)
{
    enum wire_error e;
    wire_to_proxy_clear(m);
    const Coolbeans__V1__ToProxy *p =
        wire_unpack(wire_decode_arena(&m->arena), &coolbeans__v1__to_proxy__descriptor, bytes, &e);
    if (p != NULL) {
        e = take_to_proxy(m, p);
    }
    if (e != WIRE_OK) {
        wire_to_proxy_clear(m);
    }
    return e;
}

/* ---- who leads ---- */

static enum wire_error take_address(char out[static CB_ADDRESS_MAX], const char *text)
{
    struct cb_span s = cb_span_str(text);
    if (s.len == 0 || s.len >= CB_ADDRESS_MAX) {
        return WIRE_BAD_LENGTH;
    }
    if (!is_printable(s)) {
        return WIRE_BAD_RANGE;
    }
    memcpy(out, s.ptr, s.len);
    out[s.len] = '\0';
    return WIRE_OK;
}

static enum wire_error take_leadership(void *to, const void *from)
{
    struct wire_leadership *m = to;
    const Coolbeans__V1__Leadership *p = from;
    if (p->n_members > CB_CLUSTER_NODES_MAX) {
        return WIRE_BAD_LENGTH;
    }
    if ((p->members_index == 0) != (p->n_members == 0)) {
        return WIRE_BAD_RANGE;
    }
    m->term = p->term;
    m->members_index = p->members_index;
    m->n_members = (uint32_t)p->n_members;
    enum wire_error e = take_address(m->leader, p->leader);
    for (size_t i = 0; e == WIRE_OK && i < p->n_members; i++) {
        e = take_address(m->members[i], p->members[i]);
    }
    return e;
}

enum wire_error wire_leadership_decode(struct wire_leadership *m, struct cb_span bytes)
{
    return wire_decode_copied(m, &coolbeans__v1__leadership__descriptor, bytes, take_leadership);
}
