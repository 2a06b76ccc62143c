/* What processes notice of each other beside the messages that they exchange: a node that another
 * has died, a proxy who leads (Queue.Watch). Both come in their own time, or not at all. */
#include <stdio.h>
#include <string.h>

#include "common/base/cb_mem.h"
#include "sim/sim.h"

#define RETRANSMIT_MAX_NS (200 * CB_NS_PER_MS)
/* Between attempts at a connection, as in src/node/link. */
#define RECONNECT_NS (100 * CB_NS_PER_MS)

/* ---- nodes: one of them has died ---- */

enum step { STEP_ENDED, STEP_REFUSED, STEP_REFUSED_AGAIN };

struct end {
    struct sim_node *of;
    struct sim_node *to;
    uint64_t epoch;
    enum step step;
    bool is_alive; /* a connection that was reset, and a host that refuses all the same */
};

static void on_end(void *arg);

static void schedule_end(const struct end *e, uint64_t in_ns)
{
    struct sim *s = e->to->sim;
    fake_at(&e->to->fake->process, sim_now(s) + in_ns, on_end, cb_free, cb_memdup(e, sizeof *e));
}

static bool is_refused(const struct end *e)
{
    const struct fake_process *p = &e->of->fake->process;
    return e->is_alive || (!p->up && p->epoch == e->epoch);
}

static void on_end(void *arg)
{
    struct end e = *(struct end *)arg;
    struct sim *s = e.to->sim;
    cb_free(arg);
    if (!e.to->is_started || sim_link_is_cut(s, (unsigned)e.of->id, (unsigned)e.to->id)) {
        return;
    }
    if (e.step == STEP_ENDED) {
        replica_link_ended(e.to->replica, e.of->id);
    } else if (is_refused(&e)) {
        replica_member_gone(e.to->replica, e.of->id);
    }
    if (e.step != STEP_REFUSED_AGAIN) {
        e.step++;
        schedule_end(&e, e.step == STEP_REFUSED ? 2 * sim_latency(s) : RECONNECT_NS);
    }
}

/* Some do not notice, and go by the silence. */
static void tell_end(struct sim_node *of, bool is_alive)
{
    struct sim *s = of->sim;
    for (uint32_t id = 1; id <= s->options.nodes; id++) {
        struct sim_node *to = &s->nodes[id];
        if (to != of && to->is_started && !sim_one_in(s, 4)) {
            const struct end e = {
                .of = of, .to = to, .epoch = of->fake->process.epoch, .is_alive = is_alive};
            schedule_end(&e, sim_latency(s));
        }
    }
}

void sim_notice_reset(struct sim_node *n)
{
    if (n->is_started) {
        n->sim->counters.links_reset++;
        tell_end(n, sim_one_in(n->sim, 2));
    }
}

/* ---- proxies: who leads ---- */

struct word {
    struct sim_proxy *proxy;
    struct sim_node *node;
    uint64_t number; /* of the watch that it belongs to */
    struct wire_leadership said;
};

static struct sim_watch *watch_of(struct sim_proxy *p, const struct sim_node *n)
{
    return &p->watches[n->id];
}

static bool is_current(const struct word *w)
{
    const struct sim_watch *watch = watch_of(w->proxy, w->node);
    return w->proxy->engine != NULL && watch->number == w->number;
}

static struct word *word_of(struct sim_proxy *p, struct sim_node *n)
{
    struct word w = {.proxy = p, .node = n, .number = watch_of(p, n)->number};
    return cb_memdup(&w, sizeof w);
}

static void on_closed(void *arg)
{
    struct word *w = arg;
    if (is_current(w)) {
        struct sim_watch *watch = watch_of(w->proxy, w->node);
        watch->number++;
        watch->is_there = false;
        engine_watch_closed(w->proxy->engine, sim_proxy_number_of(w->proxy, w->node->id),
                            sim_proxy_now(w->proxy));
    }
    cb_free(w);
}

static void close_in(struct sim_proxy *p, struct sim_node *n, uint64_t ns)
{
    fake_at(&p->process, sim_now(p->sim) + ns, on_closed, cb_free, word_of(p, n));
}

static void on_told(void *arg)
{
    struct word *w = arg;
    struct sim *s = w->node->sim;
    unsigned from = (unsigned)w->node->id;
    if (!is_current(w)) {
        cb_free(w);
    } else if (sim_link_is_cut(s, from, sim_place_of_proxy(w->proxy))) {
        fake_at(&w->proxy->process, sim_now(s) + sim_between(s, CB_NS_PER_MS, RETRANSMIT_MAX_NS),
                on_told, cb_free, w);
    } else {
        s->counters.leaders_told++;
        engine_watch_told(w->proxy->engine, sim_proxy_number_of(w->proxy, from), &w->said,
                          sim_proxy_now(w->proxy));
        cb_free(w);
    }
}

static void say_members(const struct sim_node *n, struct wire_leadership *m)
{
    struct replica_member members[CB_CLUSTER_NODES_MAX];
    m->members_index =
        replica_members_are_settled(n->replica) ? replica_members_index(n->replica) : 0;
    if (m->members_index == 0) {
        return;
    }
    m->n_members = (uint32_t)replica_members(n->replica, members);
    for (uint32_t i = 0; i < m->n_members; i++) {
        snprintf(m->members[i], sizeof m->members[i], "%s",
                 sim_node_address(&n->sim->nodes[members[i].id]));
    }
}

static void tell(struct sim_node *n, struct sim_proxy *p)
{
    struct sim *s = n->sim;
    struct sim_watch *watch = watch_of(p, n);
    uint64_t at = sim_now(s) + sim_latency(s);
    if (!watch->is_there || n->led_term == 0) {
        return;
    }
    struct word *w = word_of(p, n);
    say_members(n, &w->said);
    w->said.term = n->led_term;
    snprintf(w->said.leader, sizeof w->said.leader, "%s", n->led_by);
    watch->last_ns = at > watch->last_ns ? at : watch->last_ns;
    fake_at(&p->process, watch->last_ns, on_told, cb_free, w);
}

void sim_notice_members(struct sim_node *n)
{
    for (uint32_t i = 0; i < n->sim->options.proxies && n->is_started; i++) {
        tell(n, &n->sim->proxies[i]);
    }
}

void sim_notice_led(struct sim_node *n, uint64_t term, const char *leader)
{
    n->led_term = term;
    snprintf(n->led_by, sizeof n->led_by, "%s", leader);
    for (uint32_t i = 0; i < n->sim->options.proxies; i++) {
        tell(n, &n->sim->proxies[i]);
    }
}

static void on_refused(void *arg)
{
    struct word *w = arg;
    if (is_current(w)) {
        close_in(w->proxy, w->node, sim_latency(w->node->sim));
    }
    cb_free(w);
}

static void on_asked(void *arg)
{
    struct word *w = arg;
    if (!is_current(w)) {
        cb_free(w);
        return;
    }
    if (!w->node->is_started) {
        on_refused(w);
        return;
    }
    watch_of(w->proxy, w->node)->is_there = true;
    tell(w->node, w->proxy);
    cb_free(w);
}

void sim_notice_watch(struct sim_proxy *p, struct sim_node *n)
{
    struct sim *s = p->sim;
    struct sim_watch *watch = watch_of(p, n);
    watch->number++;
    watch->is_there = false;
    watch->last_ns = 0;
    if (sim_link_is_cut(s, sim_place_of_proxy(p), (unsigned)n->id)) {
        close_in(p, n, CB_NS_PER_S);
    } else if (n->fake->process.up) {
        fake_at(&n->fake->process, sim_now(s) + sim_latency(s), on_asked, on_refused,
                word_of(p, n));
    } else {
        close_in(p, n, 2 * sim_latency(s));
    }
}

void sim_notice_node_lost(struct sim_node *n)
{
    struct sim *s = n->sim;
    n->led_term = 0;
    tell_end(n, false);
    for (uint32_t i = 0; i < s->options.proxies; i++) {
        struct sim_proxy *p = &s->proxies[i];
        if (watch_of(p, n)->is_there) {
            bool is_cut = sim_link_is_cut(s, (unsigned)n->id, sim_place_of_proxy(p));
            watch_of(p, n)->is_there = false;
            close_in(p, n,
                     is_cut ? sim_between(s, SIM_KEEPALIVE_MIN_NS, SIM_KEEPALIVE_MAX_NS)
                            : 2 * sim_latency(s));
        }
    }
}

void sim_notice_proxy_lost(struct sim_proxy *p)
{
    for (uint32_t id = 1; id <= p->sim->options.nodes; id++) {
        p->watches[id].number++;
        p->watches[id].is_there = false;
    }
}

static bool is_silent(struct sim *s, const struct sim_proxy *p, const struct sim_node *n)
{
    unsigned node = (unsigned)n->id;
    unsigned proxy = sim_place_of_proxy(p);
    return sim_link_is_cut(s, node, proxy) || sim_link_is_cut(s, proxy, node) ||
           n->fake->process.paused_until_ns > sim_now(s);
}

static void on_keepalive(void *arg)
{
    struct word *w = arg;
    if (is_current(w) && is_silent(w->node->sim, w->proxy, w->node)) {
        on_closed(w);
    } else {
        cb_free(w);
    }
}

void sim_notice_links_changed(struct sim *s)
{
    for (uint32_t i = 0; i < s->options.proxies; i++) {
        for (uint32_t id = 1; id <= s->options.nodes; id++) {
            struct sim_proxy *p = &s->proxies[i];
            struct sim_node *n = &s->nodes[id];
            if (watch_of(p, n)->is_there && is_silent(s, p, n)) {
                uint64_t at =
                    sim_now(s) + sim_between(s, SIM_KEEPALIVE_MIN_NS, SIM_KEEPALIVE_MAX_NS);
                fake_at(&p->process, at, on_keepalive, cb_free, word_of(p, n));
            }
        }
    }
}
