/* The clients of queue_sim.h, and the time between them and the queue. */
#include <string.h>

#include "common/base/cb_hash.h"
#include "common/base/cb_list.h"
#include "common/base/cb_mem.h"
#include "unit/history/queue_sim.h"

#define S UINT64_C(1000000000)
#define MS_ UINT64_C(1000000)
#define NONE SIZE_MAX
#define RUN_NS (15 * S)
#define TICK_NS (20 * MS_)
#define THINK_NS (120 * MS_)
#define DEPTH 4
#define DRAIN_ROUNDS_MAX 2000

enum event_kind { EVENT_TURN, EVENT_ARRIVE, EVENT_ANSWER, EVENT_TICK, EVENT_GONE, EVENT_CUT };

struct event {
    struct cb_heap_node node;
    uint64_t at;
    uint64_t number;
    enum event_kind kind;
    uint32_t conn;
    size_t place;
    struct hist_record answer;
};

static struct event *event_of(const struct cb_heap_node *n)
{
    return CB_CONTAINER(n, struct event, node);
}

static bool event_less(const struct cb_heap_node *a, const struct cb_heap_node *b)
{
    const struct event *x = event_of(a);
    const struct event *y = event_of(b);
    return x->at != y->at ? x->at < y->at : x->number < y->number;
}

static struct event *
event_add(struct queue_sim *q, uint64_t at, enum event_kind kind, uint32_t conn, size_t place)
{
    struct event *e = cb_calloc(1, sizeof(*e));
    *e = (struct event){
        .at = at, .number = ++q->last_event, .kind = kind, .conn = conn, .place = place};
    cb_heap_node_init(&e->node);
    cb_heap_insert(&q->events, &e->node);
    return e;
}

static uint64_t latency(struct queue_sim *q)
{
    return cb_rng_below(&q->rng, q->latency);
}

/* --- sending and receiving --- */

/* NONE: the end of what the client sends. */
static void send_place(struct queue_sim *q, uint32_t conn, size_t place)
{
    struct queue_conn *c = &q->conns[conn];
    if (c->sent_first + c->sent_count == c->sent_cap) {
        c->sent_cap = c->sent_cap == 0 ? 64 : 2 * c->sent_cap;
        c->sent = cb_realloc(c->sent, c->sent_cap * sizeof(*c->sent));
    }
    c->sent[c->sent_first + c->sent_count++] = place;
    uint64_t at = q->now + latency(q);
    c->last_arrival = at > c->last_arrival ? at : c->last_arrival;
    event_add(q, c->last_arrival, EVENT_ARRIVE, conn, place);
}

static size_t record(struct queue_sim *q, uint32_t conn, struct hist_record r)
{
    r.conn = q->conns[conn].number;
    r.invoke_ns = q->now;
    return history_invoke(q->h, &r);
}

static void send_command(struct queue_sim *q, uint32_t conn, struct hist_record r)
{
    q->conns[conn].outstanding++;
    send_place(q, conn, record(q, conn, r));
}

void queue_answer(struct queue_sim *q, uint32_t conn, size_t place, const struct hist_record *a)
{
    struct queue_conn *c = &q->conns[conn];
    uint64_t at = q->now + latency(q);
    if (q->fault == QUEUE_STALL && cb_rng_chance(&q->rng, 1, 100)) {
        at += 5 * S;
        q->faults++;
    }
    c->last_answer = at > c->last_answer ? at : c->last_answer;
    event_add(q, c->last_answer, EVENT_ANSWER, conn, place)->answer = *a;
}

static void receive(struct queue_sim *q, const struct event *e)
{
    struct queue_conn *c = &q->conns[e->conn];
    if (!c->client_open) {
        return;
    }
    struct hist_record *r = history_at(q->h, e->place);
    uint64_t invoked = r->invoke_ns;
    *r = e->answer;
    r->invoke_ns = invoked;
    r->complete_ns = q->now;
    c->outstanding--;
}

/* --- connections --- */

static uint32_t client_connect(struct queue_sim *q)
{
    uint32_t conn = q->conns_count++;
    q->conns[conn] = (struct queue_conn){.number = conn + 1,
                                         .used = HIST_TUBE_DEFAULT,
                                         .watched = 1u << HIST_TUBE_DEFAULT,
                                         .waiting = NONE,
                                         .is_open = true,
                                         .client_open = true,
                                         .client_sends = true};
    size_t place = record(q, conn, (struct hist_record){.op = HIST_CONNECT});
    history_at(q->h, place)->complete_ns = q->now;
    event_add(q, q->now + cb_rng_below(&q->rng, THINK_NS), EVENT_TURN, conn, 0);
    return conn;
}

static void client_close(struct queue_sim *q, uint32_t conn, bool half)
{
    q->conns[conn].client_sends = false;
    q->conns[conn].client_open = half;
    record(q, conn, (struct hist_record){.op = HIST_CLOSE});
    send_place(q, conn, NONE);
}

/* The client sees that the server is gone. */
static void client_cut(struct queue_sim *q, uint32_t conn)
{
    q->conns[conn].client_sends = false;
    q->conns[conn].client_open = false;
    record(q, conn, (struct hist_record){.op = HIST_CLOSE, .by_server = true});
}

/* The proxy dies: the client sees it at once, the queue later; some of what was sent is lost. */
static void lose_proxy(struct queue_sim *q, uint32_t conn)
{
    struct queue_conn *c = &q->conns[conn];
    client_cut(q, conn);
    if (c->sent_count > c->arrived) {
        c->sent_count = c->arrived + cb_rng_below(&q->rng, c->sent_count - c->arrived);
    }
    event_add(q, q->now + cb_rng_below(&q->rng, 3 * S), EVENT_GONE, conn, 0);
}

/* The server closes: it gives back the jobs before its client sees that. */
static void close_by_server(struct queue_sim *q, uint32_t conn)
{
    queue_tick(q);
    queue_close(q, conn);
    queue_tick(q);
    event_add(q, q->now + latency(q), EVENT_CUT, conn, 0);
}

static void leave(struct queue_sim *q, uint32_t conn)
{
    switch (cb_rng_below(&q->rng, 5)) {
    case 0:
    case 1:
        client_close(q, conn, false);
        break;
    case 2:
        client_close(q, conn, true);
        break;
    case 3:
        lose_proxy(q, conn);
        break;
    default:
        close_by_server(q, conn);
        break;
    }
}

/* --- what a client does --- */

static uint32_t any_tube(struct queue_sim *q)
{
    return (uint32_t)(1 + cb_rng_below(&q->rng, QUEUE_TUBES));
}

/* One that it holds, as the queue knows, or any. */
static uint64_t any_id(struct queue_sim *q, uint32_t conn)
{
    for (size_t i = 0, n = q->jobs_count; i < n && cb_rng_chance(&q->rng, 9, 10); i++) {
        const struct queue_job *j = &q->jobs[cb_rng_below(&q->rng, n)];
        if (j->state == JOB_RESERVED && (j->holder == conn || j->is_shared)) {
            return j->id;
        }
    }
    uint64_t back = cb_rng_below(&q->rng, 12);
    return q->last_id > back ? q->last_id - back : 1;
}

static struct hist_record a_put(struct queue_sim *q, uint32_t conn)
{
    struct hist_record r = {.op = HIST_PUT,
                            .tube = q->conns[conn].used,
                            .pri = (uint32_t)cb_rng_below(&q->rng, 4),
                            .ttr_s = (uint32_t)cb_rng_below(&q->rng, 4),
                            .body_len = 32};
    r.delay_s = cb_rng_chance(&q->rng, 1, 4) ? (uint32_t)(1 + cb_rng_below(&q->rng, 2)) : 0;
    history_token(++q->last_token, r.token);
    r.body_hash = cb_hash_u64(q->last_token);
    return r;
}

static struct hist_record a_reserve(struct queue_sim *q, uint32_t conn)
{
    static const int64_t timeouts[] = {0, 0, 0, 1, 1, 2, -1};
    if (cb_rng_chance(&q->rng, 1, 12)) {
        return (struct hist_record){.op = HIST_RESERVE_JOB, .id = any_id(q, conn)};
    }
    return (struct hist_record){.op = HIST_RESERVE, .timeout = timeouts[cb_rng_below(&q->rng, 7)]};
}

static struct hist_record a_finish(struct queue_sim *q, uint32_t conn)
{
    static const enum hist_op ops[] = {HIST_DELETE,  HIST_DELETE, HIST_RELEASE,
                                       HIST_RELEASE, HIST_BURY,   HIST_TOUCH};
    struct hist_record r = {.op = ops[cb_rng_below(&q->rng, 6)], .id = any_id(q, conn)};
    if (r.op == HIST_RELEASE || r.op == HIST_BURY) {
        r.pri = (uint32_t)cb_rng_below(&q->rng, 4);
    }
    if (r.op == HIST_RELEASE && cb_rng_chance(&q->rng, 1, 3)) {
        r.delay_s = (uint32_t)(1 + cb_rng_below(&q->rng, 2));
    }
    return r;
}

static struct hist_record a_look(struct queue_sim *q, uint32_t conn)
{
    static const enum hist_op ops[] = {HIST_PEEK,       HIST_STATS_JOB,    HIST_PEEK_READY,
                                       HIST_PEEK_READY, HIST_PEEK_DELAYED, HIST_PEEK_BURIED,
                                       HIST_STATS_TUBE, HIST_STATS};
    struct hist_record r = {.op = ops[cb_rng_below(&q->rng, 8)]};
    if (r.op == HIST_PEEK || r.op == HIST_STATS_JOB) {
        r.id = any_id(q, conn);
    } else if (r.op != HIST_STATS) {
        r.tube = r.op == HIST_STATS_TUBE ? any_tube(q) : q->conns[conn].used;
    }
    return r;
}

static struct hist_record a_kick(struct queue_sim *q, uint32_t conn)
{
    switch (cb_rng_below(&q->rng, 5)) {
    case 0:
        return (struct hist_record){.op = HIST_PAUSE_TUBE,
                                    .tube = any_tube(q),
                                    .delay_s = (uint32_t)cb_rng_below(&q->rng, 2)};
    case 1:
        return (struct hist_record){.op = HIST_KICK_JOB, .id = any_id(q, conn)};
    default:
        return (struct hist_record){.op = HIST_KICK,
                                    .tube = q->conns[conn].used,
                                    .bound = (uint32_t)cb_rng_below(&q->rng, 4)};
    }
}

static struct hist_record a_tube(struct queue_sim *q, uint32_t conn)
{
    static const enum hist_op ops[] = {HIST_USE, HIST_WATCH, HIST_WATCH, HIST_IGNORE};
    struct hist_record r = {.op = ops[cb_rng_below(&q->rng, 4)], .tube = any_tube(q)};
    if (r.op == HIST_USE) {
        q->conns[conn].used = r.tube; /* of what it sends from now on */
    }
    return r;
}

static void turn(struct queue_sim *q, uint32_t conn)
{
    struct queue_conn *c = &q->conns[conn];
    if (!c->client_sends || q->now >= RUN_NS) {
        return;
    }
    uint64_t draw = cb_rng_below(&q->rng, 100);
    if (q->conns_count < QUEUE_CONNS_MAX - 1 && (draw < 1 || (c->outstanding > 0 && draw < 3))) {
        leave(q, conn);
        client_connect(q);
        return;
    }
    if (q->fault == QUEUE_CLOSE && draw < 5) {
        q->faults++;
        client_cut(q, conn);
        queue_close(q, conn);
        return;
    }
    if (c->outstanding < DEPTH) {
        send_command(q, conn,
                     draw < 30   ? a_put(q, conn)
                     : draw < 55 ? a_reserve(q, conn)
                     : draw < 80 ? a_finish(q, conn)
                     : draw < 88 ? a_look(q, conn)
                     : draw < 93 ? a_kick(q, conn)
                                 : a_tube(q, conn));
    }
    uint64_t think = cb_rng_chance(&q->rng, 1, 3) ? 0 : cb_rng_below(&q->rng, THINK_NS);
    event_add(q, q->now + think, EVENT_TURN, conn, 0);
}

/* --- the run --- */

/* What a change of leader does: nothing is served for a while, and reservations last longer. */
static void disturb(struct queue_sim *q)
{
    if (!cb_rng_chance(&q->rng, 1, 200)) {
        return;
    }
    q->stands_until = q->now + cb_rng_below(&q->rng, QUEUE_STANDS_NS);
    for (size_t i = 0; i < q->jobs_count; i++) {
        if (q->jobs[i].state == JOB_RESERVED) {
            q->jobs[i].due += cb_rng_below(&q->rng, S);
        }
    }
}

static void arrive(struct queue_sim *q, const struct event *e)
{
    struct queue_conn *c = &q->conns[e->conn];
    if (!c->is_open || c->arrived >= c->sent_count) {
        return; /* it was lost on its way */
    }
    c->arrived++;
    c->is_ended = c->is_ended || e->place == NONE;
    queue_tick(q);
    queue_run(q, e->conn);
    queue_tick(q);
}

static void handle(struct queue_sim *q, struct event *e)
{
    struct queue_conn *c = &q->conns[e->conn];
    switch (e->kind) {
    case EVENT_TURN:
        turn(q, e->conn);
        break;
    case EVENT_ARRIVE:
        arrive(q, e);
        break;
    case EVENT_ANSWER:
        receive(q, e);
        break;
    case EVENT_TICK:
        queue_tick(q);
        disturb(q);
        event_add(q, q->now + TICK_NS, EVENT_TICK, 0, 0);
        break;
    case EVENT_GONE:
        queue_tick(q);
        queue_close(q, e->conn);
        queue_tick(q);
        break;
    case EVENT_CUT:
        if (c->client_open) {
            if (c->client_sends) {
                client_cut(q, e->conn);
            }
            c->client_open = false;
        }
        break;
    }
}

static void step(struct queue_sim *q)
{
    struct event *e = event_of(cb_heap_top(&q->events));
    cb_heap_remove(&q->events, &e->node);
    bool is_queues = e->kind == EVENT_ARRIVE || e->kind == EVENT_TICK || e->kind == EVENT_GONE;
    if (is_queues && e->at < q->stands_until) {
        e->at = q->stands_until;
        e->number = ++q->last_event;
        cb_heap_insert(&q->events, &e->node);
        return;
    }
    q->now = e->at;
    handle(q, e);
    cb_free(e);
}

static void run_until(struct queue_sim *q, uint64_t t)
{
    while (event_of(cb_heap_top(&q->events))->at <= t) {
        step(q);
    }
}

static bool is_empty(const struct queue_sim *q)
{
    for (size_t i = 0; i < q->jobs_count; i++) {
        if (q->jobs[i].state != JOB_GONE) {
            return false;
        }
    }
    return true;
}

static size_t ask(struct queue_sim *q, uint32_t conn, struct hist_record r)
{
    send_command(q, conn, r);
    size_t place = history_count(q->h) - 1;
    while (history_at(q->h, place)->complete_ns == HIST_NEVER) {
        step(q);
    }
    return place;
}

static void drain(struct queue_sim *q)
{
    uint32_t conn = client_connect(q);
    for (uint32_t t = 1; t <= QUEUE_TUBES; t++) {
        ask(q, conn, (struct hist_record){.op = HIST_WATCH, .tube = t});
    }
    for (unsigned i = 0; i < DRAIN_ROUNDS_MAX && !is_empty(q); i++) {
        uint32_t t = 1 + i % QUEUE_TUBES;
        ask(q, conn, (struct hist_record){.op = HIST_KICK, .tube = t, .bound = 1000});
        size_t place = ask(q, conn, (struct hist_record){.op = HIST_RESERVE, .timeout = 0});
        if (history_at(q->h, place)->result == HIST_OK) {
            uint64_t id = history_at(q->h, place)->id;
            ask(q, conn, (struct hist_record){.op = HIST_DELETE, .id = id});
        }
    }
    ask(q, conn, (struct hist_record){.op = HIST_STATS});
    client_close(q, conn, false);
}

static void fini(struct queue_sim *q)
{
    while (cb_heap_top(&q->events) != NULL) {
        struct event *e = event_of(cb_heap_top(&q->events));
        cb_heap_remove(&q->events, &e->node);
        cb_free(e);
    }
    cb_heap_fini(&q->events);
    for (uint32_t i = 0; i < q->conns_count; i++) {
        cb_free(q->conns[i].sent);
    }
    cb_free(q->jobs);
}

struct history *queue_sim(uint64_t seed, enum queue_fault fault, uint64_t *faults)
{
    struct queue_sim q = {.h = history_create(), .fault = fault};
    cb_rng_init(&q.rng, seed);
    cb_heap_init(&q.events, event_less);
    history_tube(q.h, "a");
    history_tube(q.h, "b");
    static const uint64_t latencies[] = {MS_, 20 * MS_, 20 * MS_, 100 * MS_, QUEUE_LATENCY_NS};
    q.latency = latencies[cb_rng_below(&q.rng, 5)];
    q.drift = (int64_t)cb_rng_below(&q.rng, 41) - 20;
    for (uint64_t n = 2 + cb_rng_below(&q.rng, 5); n > 0; n--) {
        client_connect(&q);
    }
    event_add(&q, TICK_NS, EVENT_TICK, 0, 0);
    run_until(&q, RUN_NS);
    for (uint32_t i = 0; i < q.conns_count; i++) {
        if (q.conns[i].client_sends) {
            client_close(&q, i, false);
        }
    }
    run_until(&q, RUN_NS + 10 * S);
    drain(&q);
    *faults = q.faults;
    fini(&q);
    return q.h;
}
