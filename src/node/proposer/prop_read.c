/* Answers to reads, as of the machine's stamp (design D5). They are made when the stream takes
 * them: the machine can only have gone on since the read's own entry, so the answer is one that the
 * client could have got, and nothing has to be kept meanwhile. */
#include "node/proposer/prop_internal.h"

#include "common/base/cb_mem.h"

/* What an answer takes besides names and bodies, near enough. */
#define ANSWER_SIZE 64u

/* The job that a peek finds; false also for any other read. */
static bool peek(const struct proposer *p,
                 uint64_t session,
                 const struct prop_read *r,
                 struct jsm_job_view *out)
{
    switch (r->kind) {
    case WIRE_READ_PEEK:
        return jsm_read_job(p->machine, r->id, out);
    case WIRE_READ_PEEK_READY:
        return jsm_read_head(p->machine, session, r->conn, JSM_JOB_READY, out);
    case WIRE_READ_PEEK_DELAYED:
        return jsm_read_head(p->machine, session, r->conn, JSM_JOB_DELAYED, out);
    case WIRE_READ_PEEK_BURIED:
        return jsm_read_head(p->machine, session, r->conn, JSM_JOB_BURIED, out);
    default:
        return false;
    }
}

static enum proposer_body ask_body(struct proposer *p,
                                   struct proposer_stream *st,
                                   const struct prop_read *r,
                                   bool is_kept,
                                   struct cb_span *out)
{
    const struct proposer_body_ask ask = {.job = r->job, .len = r->job_len, .is_kept = is_kept};
    return prop_body_ask(p, st, &ask, out);
}

/* What a peek has found stays its answer while the body is fetched: the state of that moment is one
 * that the client may see, and another job may be at the head whenever a body has come. Only when
 * the job was deleted before its body was read, the state is looked at anew. */
static bool has_body(struct proposer *p, struct proposer_stream *st, struct prop_read *r)
{
    struct cb_span body;
    struct jsm_job_view v;
    if (r->job != 0) {
        enum proposer_body b = ask_body(p, st, r, false, &body);
        if (b != PROPOSER_BODY_GONE) {
            return b == PROPOSER_BODY_HERE;
        }
        r->job = 0;
    }
    if (!peek(p, st->session->id, r, &v) || !v.is_away) {
        return true;
    }
    r->job = v.id;
    r->job_len = (uint32_t)v.body.len;
    return ask_body(p, st, r, true, &body) == PROPOSER_BODY_HERE;
}

static bool is_held(const struct prop_held *held, uint64_t conn)
{
    for (uint32_t i = 0; i < held->n; i++) {
        if (held->conns[i] == conn) {
            return true;
        }
    }
    return held->is_full;
}

static void hold(struct prop_held *held, uint64_t conn)
{
    if (held->n == sizeof(held->conns) / sizeof(held->conns[0])) {
        held->is_full = true;
    } else {
        held->conns[held->n++] = conn;
    }
}

bool prop_read_is_ready(struct proposer *p,
                        struct proposer_stream *st,
                        struct prop_read *r,
                        struct prop_held *held)
{
    if (r->batch == 0) {
        return true; /* to be asked again */
    }
    if (r->batch > p->applied_batch || is_held(held, r->conn)) {
        return false;
    }
    const struct jsm_session *s = jsm_session_get(p->machine, st->session->id);
    if (s == NULL || jsm_session_last_request(s) < r->after) {
        return false;
    }
    if (!has_body(p, st, r)) {
        hold(held, r->conn);
        return false;
    }
    return true;
}

static const enum jsm_counter counter_of[WIRE_READ_END] = {
    [WIRE_READ_STATS] = JSM_CMD_STATS,
    [WIRE_READ_STATS_TUBE] = JSM_CMD_STATS_TUBE,
    [WIRE_READ_STATS_JOB] = JSM_CMD_STATS_JOB,
    [WIRE_READ_PEEK] = JSM_CMD_PEEK,
    [WIRE_READ_PEEK_READY] = JSM_CMD_PEEK_READY,
    [WIRE_READ_PEEK_DELAYED] = JSM_CMD_PEEK_DELAYED,
    [WIRE_READ_PEEK_BURIED] = JSM_CMD_PEEK_BURIED,
    [WIRE_READ_LIST_TUBES] = JSM_CMD_LIST_TUBES,
    [WIRE_READ_LIST_TUBE_USED] = JSM_CMD_LIST_TUBE_USED,
    [WIRE_READ_LIST_TUBES_WATCHED] = JSM_CMD_LIST_TUBES_WATCHED,
};

static void answer_stats(const struct proposer *p, struct wire_read_result *out)
{
    struct jsm_view v;
    jsm_read_stats(p->machine, &v);
    struct wire_stats *s = &out->stats.all;
    out->stats_kind = WIRE_STATS_ALL;
    out->found = true;
    s->urgent = v.urgent;
    s->ready = v.ready;
    s->reserved = v.reserved;
    s->delayed = v.delayed;
    s->buried = v.buried;
    for (unsigned c = 0; c < JSM_COUNTER_COUNT; c++) {
        s->counters[c] = v.counters[c] + prop_batch_count(p, (enum jsm_counter)c);
    }
    s->job_timeouts = v.job_timeouts;
    s->total_jobs = v.total_jobs;
    s->tubes = v.tubes;
    s->connections = v.connections;
    s->producers = v.producers;
    s->workers = v.workers;
    s->waiting = v.waiting;
    s->total_connections = v.total_connections;
}

static void
answer_tube(const struct proposer *p, const struct prop_read *r, struct wire_read_result *out)
{
    struct jsm_tube_view v;
    out->found = jsm_read_tube(p->machine, cb_span(r->tube, r->tube_len), &v);
    if (!out->found) {
        return;
    }
    out->stats_kind = WIRE_STATS_TUBE;
    out->stats.tube = (struct wire_tube_stats){
        .name = v.name,
        .urgent = v.urgent,
        .ready = v.ready,
        .reserved = v.reserved,
        .delayed = v.delayed,
        .buried = v.buried,
        .total_jobs = v.total_jobs,
        .using = v.using,
        .watching = v.watching,
        .waiting = v.waiting,
        .cmd_delete = v.cmd_delete,
        .cmd_pause_tube = v.cmd_pause_tube,
        .pause = v.pause,
        .pause_left_ns = v.pause_left_ns,
    };
}

static void
answer_job(const struct proposer *p, const struct prop_read *r, struct wire_read_result *out)
{
    struct jsm_job_view v;
    out->found = jsm_read_job(p->machine, r->id, &v);
    if (!out->found) {
        return;
    }
    out->stats_kind = WIRE_STATS_JOB;
    out->stats.job = (struct wire_job_stats){
        .id = v.id,
        .tube = v.tube,
        .state = (uint32_t)v.state,
        .pri = v.pri,
        .delay = v.delay,
        .ttr = v.ttr,
        .age_ns = v.age_ns,
        .left_ns = v.left_ns,
        .reserves = v.reserves,
        .timeouts = v.timeouts,
        .releases = v.releases,
        .buries = v.buries,
        .kicks = v.kicks,
    };
}

static void answer_peek(struct proposer *p,
                        struct proposer_stream *st,
                        const struct prop_read *r,
                        struct wire_read_result *out)
{
    struct jsm_job_view v;
    if (r->job != 0) {
        CB_ASSERT(ask_body(p, st, r, false, &out->body) == PROPOSER_BODY_HERE); /* it is ready */
        out->found = true;
        out->id = r->job;
        p->counters.bodies_missed++;
        return;
    }
    out->found = peek(p, st->session->id, r, &v);
    if (out->found) {
        CB_ASSERT(!v.is_away);
        out->id = v.id;
        out->body = v.body;
        p->counters.bodies_hit += v.body.len > 0;
    }
}

/* Names that the read's answer lists. */
static uint32_t list_length(const struct proposer *p, uint64_t session, const struct prop_read *r)
{
    switch (r->kind) {
    case WIRE_READ_LIST_TUBES:
        return jsm_read_tube_count(p->machine);
    case WIRE_READ_LIST_TUBE_USED:
        return 1;
    case WIRE_READ_LIST_TUBES_WATCHED:
        return jsm_read_watched_count(p->machine, session, r->conn);
    default:
        return 0;
    }
}

bool prop_read_has_room(const struct proposer *p,
                        const struct proposer_stream *st,
                        const struct prop_read *r)
{
    return p->n_tubes == 0 || p->n_tubes + list_length(p, st->session->id, r) <= p->cap_tubes;
}

static void answer_list(struct proposer *p,
                        uint64_t session,
                        const struct prop_read *r,
                        struct wire_read_result *out)
{
    uint32_t n = list_length(p, session, r);
    if (p->n_tubes + n > p->cap_tubes) {
        CB_ASSERT(p->n_tubes == 0); /* earlier answers of the message point into the array */
        p->cap_tubes = n;
        p->tubes = cb_realloc(p->tubes, n * sizeof(*p->tubes));
    }
    struct cb_span *names = p->tubes + p->n_tubes;
    out->found = true;
    for (uint32_t i = 0; i < n; i++) {
        if (r->kind == WIRE_READ_LIST_TUBES) {
            names[i] = jsm_read_tube_name(p->machine, i);
        } else if (r->kind == WIRE_READ_LIST_TUBES_WATCHED) {
            names[i] = jsm_read_watched_name(p->machine, session, r->conn, i);
        } else {
            out->found = jsm_read_used(p->machine, session, r->conn, &names[i]);
        }
    }
    out->tubes = names;
    out->n_tubes = out->found ? n : 0;
    p->n_tubes += n;
}

static size_t size_of(const struct wire_read_result *r)
{
    size_t size = ANSWER_SIZE + r->body.len;
    for (uint32_t i = 0; i < r->n_tubes; i++) {
        size += r->tubes[i].len + 2;
    }
    return size + (r->stats_kind != WIRE_STATS_NONE ? sizeof(r->stats) : 0);
}

size_t prop_read_answer(struct proposer *p, struct proposer_stream *st, const struct prop_read *r)
{
    struct wire_read_result *out = wire_to_proxy_add_read(&p->message);
    out->read = r->read;
    if (r->batch == 0) {
        out->again = true;
        p->counters.reads_again++;
        return ANSWER_SIZE;
    }
    p->counters.reads++;
    p->counts[counter_of[r->kind]]++; /* before the answer: stats counts itself */
    switch ((enum wire_read_kind)r->kind) {
    case WIRE_READ_STATS:
        answer_stats(p, out);
        break;
    case WIRE_READ_STATS_TUBE:
        answer_tube(p, r, out);
        break;
    case WIRE_READ_STATS_JOB:
        answer_job(p, r, out);
        break;
    case WIRE_READ_PEEK:
    case WIRE_READ_PEEK_READY:
    case WIRE_READ_PEEK_DELAYED:
    case WIRE_READ_PEEK_BURIED:
        answer_peek(p, st, r, out);
        break;
    case WIRE_READ_LIST_TUBES:
    case WIRE_READ_LIST_TUBE_USED:
    case WIRE_READ_LIST_TUBES_WATCHED:
        answer_list(p, st->session->id, r, out);
        break;
    case WIRE_READ_END:
        CB_UNREACHABLE("kind of read");
    }
    return size_of(out);
}
