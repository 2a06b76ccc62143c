#include "model/lockstep_log.h"

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"

#include <inttypes.h>
#include <stdio.h>

/* clang-format off */
#define USUAL                                                                                      \
    .weights = {[JSM_OP_CONN_OPEN] = 4, [JSM_OP_CONN_HALF_CLOSE] = 1, [JSM_OP_CONN_CLOSE] = 3,     \
                [JSM_OP_PUT] = 30, [JSM_OP_PUT_REJECTED] = 1, [JSM_OP_USE] = 8,                    \
                [JSM_OP_WATCH] = 8, [JSM_OP_IGNORE] = 6, [JSM_OP_RESERVE] = 14,                    \
                [JSM_OP_RESERVE_WITH_TIMEOUT] = 14, [JSM_OP_RESERVE_JOB] = 5,                      \
                [JSM_OP_DELETE] = 12, [JSM_OP_RELEASE] = 9, [JSM_OP_BURY] = 6, [JSM_OP_TOUCH] = 6, \
                [JSM_OP_KICK] = 4, [JSM_OP_KICK_JOB] = 4, [JSM_OP_PAUSE_TUBE] = 2}

const struct lockstep_profile lockstep_profiles[] = {
    {"usual", 3, 8, 6, 8, 60, 20, 20, 30, 4, 0, 50, USUAL},
    {"few tubes, many clients", 4, 30, 2, 20, 40, 30, 10, 20, 3, 0, 60, USUAL},
    {"deep pipelines", 2, 4, 3, 200, 80, 60, 30, 30, 1, 0, 80, USUAL},
    {"short times", 3, 10, 3, 4, 40, 3, 3, 80, 3, 0, 50, USUAL},
    {"pauses", 2, 10, 3, 5, 40, 10, 5, 60, 2, 0, 50,
     .weights = {[JSM_OP_CONN_OPEN] = 2, [JSM_OP_CONN_CLOSE] = 1, [JSM_OP_PUT] = 30,
                 [JSM_OP_USE] = 8, [JSM_OP_WATCH] = 10, [JSM_OP_IGNORE] = 5,
                 [JSM_OP_RESERVE] = 20, [JSM_OP_RESERVE_WITH_TIMEOUT] = 10,
                 [JSM_OP_RELEASE] = 8, [JSM_OP_DELETE] = 12, [JSM_OP_PAUSE_TUBE] = 20}},
    {"connections come and go", 3, 12, 8, 6, 40, 15, 10, 30, 2, 0, 50,
     .weights = {[JSM_OP_CONN_OPEN] = 25, [JSM_OP_CONN_HALF_CLOSE] = 12,
                 [JSM_OP_CONN_CLOSE] = 20, [JSM_OP_PUT] = 25, [JSM_OP_PUT_REJECTED] = 2,
                 [JSM_OP_USE] = 12, [JSM_OP_WATCH] = 12, [JSM_OP_IGNORE] = 4,
                 [JSM_OP_RESERVE] = 20, [JSM_OP_RESERVE_WITH_TIMEOUT] = 8,
                 [JSM_OP_RESERVE_JOB] = 4, [JSM_OP_DELETE] = 8, [JSM_OP_BURY] = 3}},
    {"sessions and leaders", 6, 4, 4, 6, 40, 6, 6, 60, 25, 0, 40, USUAL},
    {"nobody acknowledges", 2, 6, 3, 12, 40, 20, 10, 20, 0, 120, 0, USUAL},
    {"buried and kicked", 2, 6, 3, 8, 80, 30, 30, 15, 1, 0, 60,
     .weights = {[JSM_OP_CONN_OPEN] = 1, [JSM_OP_PUT] = 30, [JSM_OP_USE] = 4,
                 [JSM_OP_WATCH] = 4, [JSM_OP_RESERVE_JOB] = 30, [JSM_OP_RESERVE] = 8,
                 [JSM_OP_BURY] = 30, [JSM_OP_KICK] = 8, [JSM_OP_KICK_JOB] = 8,
                 [JSM_OP_DELETE] = 12, [JSM_OP_RELEASE] = 8}},
};
/* clang-format on */

const uint32_t lockstep_profile_count = sizeof lockstep_profiles / sizeof *lockstep_profiles;

static const char bodies[] = "A body: the quick brown fox jumps over the lazy dog. "
                             "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

static struct cb_span tube_name(uint32_t i)
{
    static char names[32][16];
    if (i == 0) {
        return cb_span_str("default");
    }
    (void)snprintf(names[i % 32], sizeof names[0], "tube-%u", i % 32);
    return cb_span_str(names[i % 32]);
}

static struct cb_span proxy_name(uint32_t i)
{
    static char names[16][16];
    (void)snprintf(names[i % 16], sizeof names[0], "proxy%u:11300", i % 16);
    return cb_span_str(names[i % 16]);
}

static uint32_t below(struct cb_rng *rng, uint64_t bound)
{
    return (uint32_t)cb_rng_below(rng, bound);
}

static bool percent(struct cb_rng *rng, uint32_t p)
{
    return cb_rng_chance(rng, p, 100);
}

/* ---- one request ---- */

static enum jsm_op pick_op(struct cb_rng *rng, const struct lockstep_profile *p)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < JSM_OP_END; i++) {
        sum += p->weights[i];
    }
    uint32_t at = below(rng, sum);
    uint32_t op = 0;
    while (at >= p->weights[op]) {
        at -= p->weights[op++];
    }
    return (enum jsm_op)op;
}

/* Mostly one that is not waiting; sometimes one that does not exist. */
static uint64_t pick_conn(struct cb_rng *rng,
                          const struct lockstep_profile *p,
                          const struct model *m,
                          uint64_t session)
{
    uint64_t number = 0;
    for (uint32_t tries = 0; tries < 8; tries++) {
        number = 1 + below(rng, p->conns);
        const struct model_conn *c = model_conn(m, session, number);
        if (c != NULL && (!c->waiting || percent(rng, 3))) {
            break;
        }
    }
    return number;
}

/* Mostly a job that the op can work on. */
static uint64_t
pick_job(struct cb_rng *rng, const struct model *m, const struct model_conn *c, enum jsm_op op)
{
    static const uint64_t odd[] = {0, UINT64_MAX, CB_ID_MAX};
    if (m->n_jobs == 0 || percent(rng, 4)) {
        return percent(rng, 30) ? odd[below(rng, 3)] : 1 + below(rng, m->last_id + 2);
    }
    bool by_holder = op == JSM_OP_RELEASE || op == JSM_OP_BURY || op == JSM_OP_TOUCH ||
                     (op == JSM_OP_DELETE && percent(rng, 70));
    uint32_t start = below(rng, m->n_jobs);
    for (uint32_t i = 0; i < m->n_jobs && !percent(rng, 2); i++) {
        const struct model_job *j = m->jobs[(start + i) % m->n_jobs];
        bool stuck = j->state == JSM_JOB_BURIED || j->state == JSM_JOB_DELAYED;
        if (by_holder ? j->state == JSM_JOB_RESERVED && j->holder == c
                      : op != JSM_OP_KICK_JOB || stuck) {
            return j->id;
        }
    }
    return m->jobs[start]->id;
}

static struct jsm_command make_command(struct cb_rng *rng,
                                       const struct lockstep_profile *p,
                                       const struct model *m,
                                       uint64_t session)
{
    static const uint32_t pris[] = {0, 1, 5, 5, 5, 1023, 1024, 4294967295u};
    struct jsm_command q = {.op = pick_op(rng, p), .conn = pick_conn(rng, p, m, session)};
    if (m->n_jobs > p->jobs_soft_max && q.op == JSM_OP_PUT && percent(rng, 80)) {
        q.op = JSM_OP_DELETE;
    }
    const struct model_conn *c = model_conn(m, session, q.conn);
    if (c == NULL && percent(rng, 90)) {
        q.op = JSM_OP_CONN_OPEN;
    } else if (q.op == JSM_OP_CONN_OPEN) {
        q.conn = 1 + below(rng, p->conns);
    }
    const struct model_session *s = model_session(m, session);
    while (s != NULL && model_is_grave(s, q.conn)) {
        q.conn += p->conns; /* as a proxy does, which never uses a number twice */
    }
    switch ((int)q.op) {
    case JSM_OP_PUT:
        q.ttr = below(rng, p->ttr_max + 1);
        q.age_ns = percent(rng, 90) ? 0 : cb_rng_below(rng, 2 * m->now + 1);
        q.body = cb_span(bodies, percent(rng, 10) ? 0 : below(rng, sizeof bodies));
        __attribute__((fallthrough));
    case JSM_OP_RELEASE:
        q.delay = percent(rng, 60) ? 0 : below(rng, p->delay_max + 1);
        __attribute__((fallthrough));
    case JSM_OP_BURY:
        q.pri = pris[below(rng, 8)];
        break;
    case JSM_OP_USE:
    case JSM_OP_WATCH:
    case JSM_OP_IGNORE:
        q.tube = tube_name(below(rng, p->tubes));
        break;
    case JSM_OP_PAUSE_TUBE:
        q.tube = tube_name(below(rng, p->tubes));
        q.delay = percent(rng, 30) ? 0 : below(rng, p->delay_max + 1);
        break;
    case JSM_OP_RESERVE_WITH_TIMEOUT:
        q.count = percent(rng, 30) ? 0 : below(rng, p->delay_max + 1);
        q.count = percent(rng, 2) ? CB_RESERVE_TIMEOUT_MAX : q.count;
        break;
    case JSM_OP_KICK:
        q.count = percent(rng, 5) ? UINT32_MAX : below(rng, 6);
        break;
    default:
        break;
    }
    if (q.op == JSM_OP_RELEASE || q.op == JSM_OP_BURY ||
        (q.op >= JSM_OP_RESERVE_JOB && q.op <= JSM_OP_TOUCH) || q.op == JSM_OP_KICK_JOB) {
        q.id = pick_job(rng, m, c, q.op);
    }
    return q;
}

/* ---- one item ---- */

static uint64_t pick_session(struct cb_rng *rng, const struct model *m)
{
    if (m->n_sessions == 0 || cb_rng_chance(rng, 1, 300)) {
        return 1 + below(rng, 50);
    }
    return m->sessions[below(rng, m->n_sessions)]->id;
}

static struct jsm_item
make_request(struct cb_rng *rng, const struct lockstep_profile *p, const struct model *m)
{
    uint64_t session = pick_session(rng, m);
    uint64_t number = LOCKSTEP_NEXT;
    if (cb_rng_chance(rng, 1, 100)) {
        number = below(rng, 100);
    }
    return (struct jsm_item){.kind = JSM_ITEM_REQUEST,
                             .session = session,
                             .number = number,
                             .command = make_command(rng, p, m, session)};
}

static struct jsm_item make_open(struct cb_rng *rng, const struct lockstep_profile *p)
{
    uint32_t i = below(rng, p->proxies);
    return (struct jsm_item){
        .kind = JSM_ITEM_OPEN,
        .name = proxy_name(i),
        .address = tube_name(i),
        .incarnation = {below(rng, 40), below(rng, 4)},
    };
}

static struct jsm_item make_ack(struct cb_rng *rng, const struct model *m)
{
    struct jsm_item it = {.kind = JSM_ITEM_ACK, .session = pick_session(rng, m)};
    const struct model_session *s = model_session(m, it.session);
    if (s != NULL) {
        it.number = s->acked + cb_rng_below(rng, s->last_result - s->acked + 1);
        it.number = percent(rng, 50) ? s->last_result : it.number;
        it.number += percent(rng, 2);
    }
    return it;
}

/* Most lie near what is there; they do not stay for long. */
static struct jsm_limits some_limits(struct cb_rng *rng, const struct model *m)
{
    struct jsm_limits l = {0};
    if (percent(rng, 40)) {
        l.jobs = m->n_jobs + below(rng, 5);
    }
    if (percent(rng, 40)) {
        l.bytes = model_body_bytes(m) + below(rng, 200);
    }
    return l;
}

static struct jsm_item make_session_item(struct cb_rng *rng,
                                         const struct lockstep_profile *p,
                                         const struct model *m,
                                         bool may_open)
{
    static const enum jsm_item_kind kinds[] = {
        JSM_ITEM_ATTACHED, JSM_ITEM_ATTACHED, JSM_ITEM_ATTACHED, JSM_ITEM_EXPIRE, JSM_ITEM_RESUME,
        JSM_ITEM_COUNTS,   JSM_ITEM_LIMITS,   JSM_ITEM_SPACE,    JSM_ITEM_CLOCK};
    if (may_open && (m->n_sessions < p->proxies || percent(rng, 20))) {
        return make_open(rng, p);
    }
    struct jsm_item it = {.kind = kinds[below(rng, 9)]};
    if (it.kind == JSM_ITEM_LIMITS) {
        it.limits = some_limits(rng, m);
        return it;
    }
    if (it.kind == JSM_ITEM_SPACE) {
        it.number = percent(rng, 50);
        return it;
    }
    if (it.kind == JSM_ITEM_COUNTS) {
        it.counter = (enum jsm_counter)below(rng, JSM_COUNTER_COUNT);
        it.number = below(rng, 1000);
    } else if (it.kind != JSM_ITEM_RESUME && it.kind != JSM_ITEM_CLOCK) {
        it.session = pick_session(rng, m);
    }
    return it;
}

/* ---- one entry ---- */

static uint64_t
pick_stamp(struct cb_rng *rng, const struct lockstep_profile *p, const struct model *m)
{
    uint64_t due = model_next_due_ns(m);
    if (due != JSM_NEVER && due > m->now && percent(rng, p->jump_percent)) {
        static const int64_t off[] = {0, 0, 0, -1, 1, CB_NS_PER_MS, CB_NS_PER_S};
        return due + (uint64_t)off[below(rng, 7)];
    }
    switch (below(rng, 20)) {
    case 0:
        return m->now + cb_rng_below(rng, 100 * CB_NS_PER_S);
    case 1:
        return m->now / 2; /* a clock that went back */
    case 2:
    case 3:
        return m->now + CB_NS_PER_S;
    case 4:
    case 5:
        return m->now;
    default:
        return m->now + cb_rng_below(rng, 300 * CB_NS_PER_MS);
    }
}

/* The requests of a proxy that acknowledges nothing, to reach the bound on results. */
static uint32_t make_flood(struct cb_rng *rng, const struct model *m, struct jsm_item *items)
{
    uint64_t session = m->sessions[0]->id;
    uint64_t conn = 1 + below(rng, 8);
    for (uint64_t i = 1; i < 8; i++) {
        const struct model_conn *c = model_conn(m, session, i);
        conn = c != NULL && !c->waiting ? i : conn;
    }
    for (uint32_t i = 0; i < CB_ENTRY_COMMANDS_MAX; i++) {
        items[i] = (struct jsm_item){.kind = JSM_ITEM_REQUEST,
                                     .session = session,
                                     .number = LOCKSTEP_NEXT,
                                     .command = {.op = JSM_OP_DELETE, .conn = conn, .id = 0}};
    }
    return CB_ENTRY_COMMANDS_MAX;
}

static uint32_t make_items(struct cb_rng *rng,
                           const struct lockstep_profile *p,
                           const struct model *m,
                           struct jsm_item *items)
{
    if (m->n_sessions > 0 && cb_rng_chance(rng, p->flood_permille, 1000)) {
        return make_flood(rng, m, items);
    }
    uint32_t n = 0;
    uint32_t wanted = percent(rng, 10) ? 0 : 1 + below(rng, p->items_max);
    bool is_limited = m->limits.jobs != 0 || m->limits.bytes != 0;
    if (is_limited && percent(rng, 10)) {
        items[n++] = (struct jsm_item){.kind = JSM_ITEM_LIMITS};
    }
    if (m->short_of_space && percent(rng, 15)) {
        items[n++] = (struct jsm_item){.kind = JSM_ITEM_SPACE};
    }
    bool may_open = true;
    while (n < wanted) {
        if (m->n_sessions == 0 || (m->n_sessions < p->proxies && percent(rng, 3)) ||
            cb_rng_chance(rng, p->session_percent, 100 + 5 * wanted)) {
            items[n] = make_session_item(rng, p, m, may_open);
            may_open = may_open && items[n].kind != JSM_ITEM_OPEN;
        } else {
            items[n] = make_request(rng, p, m);
        }
        n++;
    }
    if (percent(rng, m->n_sessions > 0 && m->sessions[0]->full ? 3 : p->ack_percent)) {
        items[n++] = make_ack(rng, m);
    }
    return n;
}

void lockstep_generate(struct lockstep_log *log,
                       struct cb_rng *rng,
                       const struct lockstep_profile *profile,
                       const struct model *m)
{
    static struct jsm_item items[CB_ENTRY_COMMANDS_MAX + 1];
    uint64_t last = log->n == 0 ? 0 : log->entries[log->n - 1].index;
    struct lockstep_entry e = {.index = last + 1 + (percent(rng, 5) ? below(rng, 5) : 0)};
    e.index += percent(rng, 2) ? CB_CHECKPOINT_ENTRIES : 0; /* there may be a checkpoint anywhere */
    e.entry.stamp_ns = pick_stamp(rng, profile, m);
    e.entry.n_items = make_items(rng, profile, m, items);
    e.items = cb_memdup(items, e.entry.n_items * sizeof *items);
    e.numbered = cb_malloc((e.entry.n_items + 1) * sizeof *items);
    e.entry.items = e.numbered;
    log->entries = cb_realloc(log->entries, (log->n + 1) * sizeof *log->entries);
    log->entries[log->n++] = e;
}

void lockstep_number(struct lockstep_entry *e, const struct model *m)
{
    for (uint32_t i = 0; i < e->entry.n_items; i++) {
        e->numbered[i] = e->items[i];
    }
    for (uint32_t i = 0; i < e->entry.n_items; i++) {
        struct jsm_item *it = &e->numbered[i];
        if (it->kind != JSM_ITEM_REQUEST || it->number != LOCKSTEP_NEXT) {
            continue;
        }
        const struct model_session *s = model_session(m, it->session);
        it->number = s == NULL ? 1 : s->last_request + 1;
        for (uint32_t k = i + 1; k < e->entry.n_items; k++) {
            struct jsm_item *next = &e->numbered[k];
            if (next->kind == JSM_ITEM_REQUEST && next->session == it->session &&
                next->number == LOCKSTEP_NEXT) {
                next->number = it->number + 1;
                it = next;
            }
        }
    }
}

static const char *op_name(enum jsm_op op)
{
    static const char *const names[] = {
#define X(sym, num) [num] = #sym,
#include "common/base/cb_op.def"
#undef X
    };
    return names[op];
}

void lockstep_print(const struct lockstep_entry *e)
{
    static const char *const kinds[] = {"",    "OPEN",   "EXPIRE",  "RESUME", "ATTACHED",
                                        "ACK", "COUNTS", "REQUEST", "LIMITS", "SPACE"};
    printf("entry %" PRIu64 " stamp %" PRIu64 "\n", e->index, e->entry.stamp_ns);
    for (uint32_t i = 0; i < e->entry.n_items && i < 400; i++) {
        const struct jsm_item *it = &e->numbered[i];
        const struct jsm_command *q = &it->command;
        printf("  %s session %" PRIu64 " number %" PRIu64, kinds[it->kind], it->session,
               it->number);
        if (it->kind == JSM_ITEM_OPEN) {
            printf(" %.*s %" PRIu64 ".%" PRIu64, (int)it->name.len, (const char *)it->name.ptr,
                   it->incarnation.started_ns, it->incarnation.random);
        } else if (it->kind == JSM_ITEM_REQUEST) {
            printf(" conn %" PRIu64 " %s id %" PRIu64 " pri %u delay %u ttr %u count %u tube %.*s",
                   q->conn, op_name(q->op), q->id, q->pri, q->delay, q->ttr, q->count,
                   (int)q->tube.len, q->tube.len == 0 ? "" : (const char *)q->tube.ptr);
        }
        printf("\n");
    }
}

void lockstep_log_fini(struct lockstep_log *log)
{
    for (uint32_t i = 0; i < log->n; i++) {
        cb_free(log->entries[i].items);
        cb_free(log->entries[i].numbered);
    }
    cb_free(log->entries);
    *log = (struct lockstep_log){NULL, 0};
}
