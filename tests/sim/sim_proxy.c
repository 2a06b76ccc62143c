/* A proxy: the product's engine, and around it what proxy.c does with libuv. */
#include <inttypes.h>
#include <stdio.h>

#include "sim/sim.h"

#define TURN_MAX_NS 100000

uint64_t sim_proxy_now(const struct sim_proxy *p)
{
    return fake_local_ns(&p->process);
}

/* ---- turns of the loop ---- */

static void on_timer(void *arg)
{
    struct sim_proxy *p = arg;
    if (sim_proxy_now(p) >= engine_wake_ns(p->engine)) {
        engine_tick(p->engine, sim_proxy_now(p));
    }
    p->timer.at_ns = UINT64_MAX;
}

static void set_timer(struct sim_proxy *p)
{
    uint64_t wake = engine_wake_ns(p->engine);
    if (wake < p->timer.at_ns) {
        /* One that is later is left to come for nothing. */
        p->timer.at_ns = wake;
        fake_at(&p->process, fake_moment_of_ns(&p->process, wake), on_timer, sim_drop_nothing, p);
    }
}

static void on_turn(void *arg)
{
    struct sim_proxy *p = arg;
    p->turn_is_due = false;
    p->is_turn = true;
    sim_conns_turn(p);
    engine_flush(p->engine, sim_proxy_now(p));
    sim_conns_turn(p); /* what a fence has closed */
    set_timer(p);
}

static void after_event(void *ctx)
{
    struct sim_proxy *p = ctx;
    if (p->engine == NULL) {
        return;
    }
    if (!p->turn_is_due && !p->is_turn) {
        p->turn_is_due = true;
        fake_at(&p->process, sim_now(p->sim) + sim_between(p->sim, 0, TURN_MAX_NS), on_turn,
                sim_drop_nothing, p);
    }
    p->is_turn = false;
}

/* ---- what the engine asks for ---- */

static void stream_open(void *ctx, uint32_t node)
{
    struct sim_proxy *p = ctx;
    sim_stream_open(p, &p->sim->nodes[p->node_of[node]]);
}

static void stream_close(void *ctx, uint32_t node)
{
    struct sim_proxy *p = ctx;
    struct sim_stream *st = p->stream;
    (void)node;
    if (st != NULL) {
        p->stream = NULL;
        sim_stream_leave(st);
    }
}

static void stream_send(void *ctx, uint32_t node, const struct wire_to_node *m)
{
    struct sim_proxy *p = ctx;
    (void)node;
    if (p->stream != NULL) {
        sim_stream_up(p->stream, m);
    }
}

static void watch_open(void *ctx, uint32_t node)
{
    struct sim_proxy *p = ctx;
    sim_notice_watch(p, &p->sim->nodes[p->node_of[node]]);
}

uint32_t sim_proxy_number_of(const struct sim_proxy *p, uint64_t node)
{
    for (uint32_t i = 0; i < ENGINE_NODES_MAX; i++) {
        if (p->node_of[i] == node) {
            return i;
        }
    }
    CB_UNREACHABLE("a node that the proxy knows");
}

static bool node_found(void *ctx, uint32_t node, const char *address)
{
    struct sim_proxy *p = ctx;
    for (uint32_t id = 1; id <= p->sim->options.nodes; id++) {
        if (strcmp(sim_node_address(&p->sim->nodes[id]), address) == 0) {
            p->node_of[node] = id;
            p->sim->counters.nodes_found++;
            return true;
        }
    }
    sim_fail(p->sim, "wire", "%s is told of a node at %s, where there is none", p->name, address);
}

static void superseded(void *ctx, struct cb_span address)
{
    struct sim_proxy *p = ctx;
    sim_fail(p->sim, "P13", "%s is told that %.*s has its session", p->name, (int)address.len,
             (const char *)address.ptr);
}

static void facts(void *ctx, struct bs_stats *out)
{
    const struct sim_proxy *p = ctx;
    out->pid = p->number + 1;
    out->id = "0123456789abcdef";
    out->hostname = p->name;
    out->os = "simulated";
    out->platform = "simulated";
}

static void note(void *ctx, enum engine_note what, uint32_t node, uint64_t number, const char *text)
{
    struct sim_proxy *p = ctx;
    struct sim_counters *c = &p->sim->counters;
    unsigned id = (unsigned)p->node_of[node];
    switch (what) {
    case ENGINE_NOTE_ATTACHED:
        sim_trace(p->sim, "%s attached to n%u, session %" PRIu64, p->name, id, number);
        p->session = number;
        sim_answers_session(p->sim->answers, number, p->instance);
        break;
    case ENGINE_NOTE_STREAM_ENDED:
        sim_trace(p->sim, "%s lost its stream to n%u: %s", p->name, id, text);
        break;
    case ENGINE_NOTE_STREAM_SILENT:
        sim_trace(p->sim, "%s leaves n%u, which says nothing", p->name, id);
        break;
    case ENGINE_NOTE_STREAM_LEFT:
        sim_trace(p->sim, "%s leaves n%u: another leads term %" PRIu64, p->name, id, number);
        c->streams_left++;
        break;
    case ENGINE_NOTE_BAD_MESSAGE:
        sim_fail(p->sim, "wire", "%s: node %u broke the protocol: %s", p->name, id, text);
    case ENGINE_NOTE_FENCED:
        sim_trace(p->sim, "%s is fenced: %" PRIu64 " clients", p->name, number);
        c->fences++;
        break;
    case ENGINE_NOTE_SESSION_LOST:
        sim_trace(p->sim, "%s lost its session: %" PRIu64 " clients", p->name, number);
        c->sessions_lost++;
        break;
    }
}

/* ---- what streams bring ---- */

void sim_proxy_message(struct sim_proxy *p, struct sim_stream *st, struct cb_span bytes)
{
    static struct wire_to_proxy m;
    if (p->stream != st) {
        return;
    }
    if (wire_to_proxy_decode(&m, bytes) != WIRE_OK) {
        sim_fail(p->sim, "wire", "a node sent what is no message");
    }
    engine_stream_message(p->engine, sim_proxy_number_of(p, sim_stream_node_number(st) + 1), &m,
                          sim_proxy_now(p));
}

void sim_proxy_writable(struct sim_proxy *p, struct sim_stream *st)
{
    if (p->stream == st) {
        engine_stream_writable(p->engine, sim_proxy_number_of(p, sim_stream_node_number(st) + 1),
                               sim_proxy_now(p));
    }
}

void sim_proxy_stream_closed(struct sim_proxy *p,
                             struct sim_stream *st,
                             const char *text,
                             const char *leader)
{
    if (p->stream == st) {
        p->stream = NULL;
        engine_stream_closed(p->engine, sim_proxy_number_of(p, sim_stream_node_number(st) + 1),
                             text, leader, sim_proxy_now(p));
    }
}

/* ---- life ---- */

void sim_proxy_boot(struct sim_proxy *p)
{
    const char *nodes[SIM_NODES_MAX];
    struct sim *s = p->sim;
    uint32_t n_nodes = sim_members_now(s, p->node_of);
    for (uint32_t i = 0; i < n_nodes; i++) {
        nodes[i] = sim_node_address(&s->nodes[p->node_of[i]]);
    }
    uint64_t random = sim_between(s, 1, UINT64_MAX / 2);
    const struct engine_config config = {
        .name = p->name,
        .address = p->address,
        .started_ns = ++p->started,
        .random = random,
        .nodes = nodes,
        .n_nodes = n_nodes,
        .job_size_max = s->options.job_size_max,
        .seed = sim_between(s, 1, UINT64_MAX / 2),
    };
    struct engine_ops ops = {
        .ctx = p,
        .stream_open = stream_open,
        .stream_close = stream_close,
        .stream_send = stream_send,
        .watch_open = watch_open,
        .node_found = node_found,
        .superseded = superseded,
        .facts = facts,
        .note = note,
    };
    sim_conn_ops(&ops);
    sim_trace(s, "%s boots", p->name);
    fake_process_start(&p->process);
    p->turn_is_due = p->is_turn = false;
    p->timer.at_ns = UINT64_MAX;
    p->session = 0;
    p->instance = ++s->last_instance;
    p->conns_opened = 0;
    p->engine = engine_create(&config, &ops, sim_proxy_now(p));
    after_event(p);
}

void sim_proxy_crash(struct sim_proxy *p)
{
    sim_trace(p->sim, "%s is gone", p->name);
    fake_process_end(&p->process);
    p->engine = NULL; /* as by kill -9: what it held is gone with the process */
    sim_stream_of_proxy_lost(p);
    sim_notice_proxy_lost(p);
    sim_conns_of_proxy_lost(p);
}

void sim_proxy_init(struct sim *s, uint32_t number)
{
    struct sim_proxy *p = &s->proxies[number];
    p->sim = s;
    p->number = number;
    fake_process_init(&p->process, s->world);
    p->process.after = after_event;
    p->process.after_ctx = p;
    p->process.clock_offset_ns = sim_between(s, 0, 100 * CB_NS_PER_S);
    if (sim_has(s, SIM_FAULT_CLOCK)) {
        p->process.drift_ppm = (int64_t)sim_between(s, 0, 60000) - 30000;
    }
    p->started = UINT64_C(1700000000) * CB_NS_PER_S;
    snprintf(p->name, sizeof p->name, "p%u", number + 1);
    snprintf(p->address, sizeof p->address, "proxy%u:11300", number + 1);
    cb_list_init(&p->conns);
}
