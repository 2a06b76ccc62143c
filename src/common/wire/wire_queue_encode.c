/* From our structs to the generated ones, and those packed. Bodies and names are lent, not
 * copied, until protobuf-c writes them into the message. */
#include "common/base/cb_limits.h"
#include "common/wire/wire_pack.h"
#include "common/wire/wire_queue.h"
#include "queue.pb-c.h"

#define BASE(name) PROTOBUF_C_MESSAGE_INIT(&coolbeans__v1__##name##__descriptor)

/* ---- who leads ---- */

void wire_leadership_encode(const struct wire_leadership *m, struct cb_buf *out)
{
    struct wire_arena a;
    wire_arena_init(&a, 0);
    Coolbeans__V1__Leadership p = {
        .base = BASE(leadership),
        .term = m->term,
        .leader = wire_text(&a, cb_span_str(m->leader)),
        .members_index = m->members_index,
        .n_members = m->n_members,
        .members = wire_arena_take(&a, m->n_members * sizeof(*p.members)),
    };
    for (uint32_t i = 0; i < m->n_members; i++) {
        p.members[i] = wire_text(&a, cb_span_str(m->members[i]));
    }
    wire_pack(&p.base, out);
    wire_arena_fini(&a);
}

/* ---- proxy to node ---- */

static Coolbeans__V1__Attach *make_attach(struct wire_arena *a, const struct wire_attach *from)
{
    Coolbeans__V1__Attach *p = wire_arena_take(a, sizeof(*p));
    *p = (Coolbeans__V1__Attach){
        .base = BASE(attach),
        .version = from->version,
        .name = wire_text(a, from->name),
        .started_ns = from->started_ns,
        .random = from->random,
        .address = wire_text(a, from->address),
        .session = from->session,
        .number = from->number,
        .seen_result = from->seen_result,
    };
    return p;
}

static Coolbeans__V1__Request *make_request(struct wire_arena *a, const struct wire_request *from)
{
    Coolbeans__V1__Request *p = wire_arena_take(a, sizeof(*p));
    *p = (Coolbeans__V1__Request){
        .base = BASE(request),
        .number = from->number,
        .conn = from->conn,
        .op = from->op,
        .id = from->id,
        .pri = from->pri,
        .delay = from->delay,
        .ttr = from->ttr,
        .count = from->count,
        .age_ns = from->age_ns,
        .tube = wire_lend(from->tube),
        .body = wire_lend(from->body),
    };
    return p;
}

static Coolbeans__V1__Read *make_read(struct wire_arena *a, const struct wire_read *from)
{
    Coolbeans__V1__Read *p = wire_arena_take(a, sizeof(*p));
    *p = (Coolbeans__V1__Read){
        .base = BASE(read),
        .read = from->read,
        .conn = from->conn,
        .kind = (Coolbeans__V1__ReadKind)from->kind,
        .id = from->id,
        .tube = wire_lend(from->tube),
        .after = from->after,
    };
    return p;
}

static Coolbeans__V1__Count *make_count(struct wire_arena *a, const struct wire_count *from)
{
    Coolbeans__V1__Count *p = wire_arena_take(a, sizeof(*p));
    *p = (Coolbeans__V1__Count){
        .base = BASE(count),
        .counter = from->counter,
        .increment = from->increment,
    };
    return p;
}

void wire_to_node_encode(const struct wire_to_node *m, struct cb_buf *out)
{
    struct wire_arena a;
    wire_arena_init(&a, 0); /* it is for us, not for protobuf-c */
    Coolbeans__V1__ToNode p = {
        .base = BASE(to_node),
        .seq = m->seq,
        .attach = m->has_attach ? make_attach(&a, &m->attach) : NULL,
        .acked_result = m->acked_result,
        .n_requests = m->n_requests,
        .requests = wire_arena_take(&a, m->n_requests * sizeof(*p.requests)),
        .n_reads = m->n_reads,
        .reads = wire_arena_take(&a, m->n_reads * sizeof(*p.reads)),
        .n_counts = m->n_counts,
        .counts = wire_arena_take(&a, m->n_counts * sizeof(*p.counts)),
        .resent = m->resent,
    };
    for (uint32_t i = 0; i < m->n_requests; i++) {
        p.requests[i] = make_request(&a, &m->requests[i]);
    }
    for (uint32_t i = 0; i < m->n_reads; i++) {
        p.reads[i] = make_read(&a, &m->reads[i]);
    }
    for (uint32_t i = 0; i < m->n_counts; i++) {
        p.counts[i] = make_count(&a, &m->counts[i]);
    }
    wire_pack(&p.base, out);
    wire_arena_fini(&a);
}

/* ---- node to proxy ---- */

static Coolbeans__V1__Attached *make_attached(struct wire_arena *a,
                                              const struct wire_attached *from)
{
    Coolbeans__V1__Attached *p = wire_arena_take(a, sizeof(*p));
    *p = (Coolbeans__V1__Attached){
        .base = BASE(attached),
        .session = from->session,
        .last_request = from->last_request,
        .last_result = from->last_result,
        .session_timeout_ms = from->session_timeout_ms,
        .node = from->node,
        .term = from->term,
    };
    return p;
}

static Coolbeans__V1__Result *make_result(struct wire_arena *a, const struct wire_result *from)
{
    Coolbeans__V1__Result *p = wire_arena_take(a, sizeof(*p));
    *p = (Coolbeans__V1__Result){
        .base = BASE(result),
        .number = from->number,
        .request = from->request,
        .conn = from->conn,
        .outcome = from->outcome,
        .id = from->id,
        .count = from->count,
        .body = wire_lend(from->body),
    };
    return p;
}

static Coolbeans__V1__Stats *make_stats(struct wire_arena *a, const struct wire_stats *from)
{
    Coolbeans__V1__Stats *p = wire_arena_take(a, sizeof(*p));
    *p = (Coolbeans__V1__Stats){
        .base = BASE(stats),
        .urgent = from->urgent,
        .ready = from->ready,
        .reserved = from->reserved,
        .delayed = from->delayed,
        .buried = from->buried,
        .n_counters = WIRE_COUNTER_COUNT,
        .counters = wire_arena_take(a, sizeof(from->counters)),
        .job_timeouts = from->job_timeouts,
        .total_jobs = from->total_jobs,
        .tubes = from->tubes,
        .connections = from->connections,
        .producers = from->producers,
        .workers = from->workers,
        .waiting = from->waiting,
        .total_connections = from->total_connections,
    };
    memcpy(p->counters, from->counters, sizeof(from->counters));
    return p;
}

static Coolbeans__V1__TubeStats *make_tube_stats(struct wire_arena *a,
                                                 const struct wire_tube_stats *from)
{
    Coolbeans__V1__TubeStats *p = wire_arena_take(a, sizeof(*p));
    *p = (Coolbeans__V1__TubeStats){
        .base = BASE(tube_stats),
        .name = wire_lend(from->name),
        .urgent = from->urgent,
        .ready = from->ready,
        .reserved = from->reserved,
        .delayed = from->delayed,
        .buried = from->buried,
        .total_jobs = from->total_jobs,
        .using_ = from->using,
        .watching = from->watching,
        .waiting = from->waiting,
        .cmd_delete = from->cmd_delete,
        .cmd_pause_tube = from->cmd_pause_tube,
        .pause = from->pause,
        .pause_left_ns = from->pause_left_ns,
    };
    return p;
}

static Coolbeans__V1__JobStats *make_job_stats(struct wire_arena *a,
                                               const struct wire_job_stats *from)
{
    Coolbeans__V1__JobStats *p = wire_arena_take(a, sizeof(*p));
    *p = (Coolbeans__V1__JobStats){
        .base = BASE(job_stats),
        .id = from->id,
        .tube = wire_lend(from->tube),
        .state = from->state,
        .pri = from->pri,
        .delay = from->delay,
        .ttr = from->ttr,
        .age_ns = from->age_ns,
        .left_ns = from->left_ns,
        .reserves = from->reserves,
        .timeouts = from->timeouts,
        .releases = from->releases,
        .buries = from->buries,
        .kicks = from->kicks,
    };
    return p;
}

static void
set_stats(struct wire_arena *a, Coolbeans__V1__ReadResult *p, const struct wire_read_result *from)
{
    switch (from->stats_kind) {
    case WIRE_STATS_NONE:
        break;
    case WIRE_STATS_ALL:
        p->stats = make_stats(a, &from->stats.all);
        break;
    case WIRE_STATS_TUBE:
        p->tube_stats = make_tube_stats(a, &from->stats.tube);
        break;
    case WIRE_STATS_JOB:
        p->job_stats = make_job_stats(a, &from->stats.job);
        break;
    }
}

static Coolbeans__V1__ReadResult *make_read_result(struct wire_arena *a,
                                                   const struct wire_read_result *from)
{
    Coolbeans__V1__ReadResult *p = wire_arena_take(a, sizeof(*p));
    *p = (Coolbeans__V1__ReadResult){
        .base = BASE(read_result),
        .read = from->read,
        .found = from->found,
        .again = from->again,
        .id = from->id,
        .body = wire_lend(from->body),
        .n_tubes = from->n_tubes,
        .tubes = wire_arena_take(a, from->n_tubes * sizeof(*p->tubes)),
    };
    for (uint32_t i = 0; i < from->n_tubes; i++) {
        p->tubes[i] = wire_lend(from->tubes[i]);
    }
    set_stats(a, p, from);
    return p;
}

void wire_to_proxy_encode(const struct wire_to_proxy *m, struct cb_buf *out)
{
    struct wire_arena a;
    wire_arena_init(&a, 0); /* it is for us, not for protobuf-c */
    Coolbeans__V1__ToProxy p = {
        .base = BASE(to_proxy),
        .confirmed_seq = m->confirmed_seq,
        .attached = m->has_attached ? make_attached(&a, &m->attached) : NULL,
        .applied_request = m->applied_request,
        .expect = m->expect,
        .n_results = m->n_results,
        .results = wire_arena_take(&a, m->n_results * sizeof(*p.results)),
        .n_reads = m->n_reads,
        .reads = wire_arena_take(&a, m->n_reads * sizeof(*p.reads)),
    };
    for (uint32_t i = 0; i < m->n_results; i++) {
        p.results[i] = make_result(&a, &m->results[i]);
    }
    for (uint32_t i = 0; i < m->n_reads; i++) {
        p.reads[i] = make_read_result(&a, &m->reads[i]);
    }
    wire_pack(&p.base, out);
    wire_arena_fini(&a);
}
