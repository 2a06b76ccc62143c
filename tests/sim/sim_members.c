/* An operator who adds and removes members all the time, in seeds that have machines to spare. Each
 * machine is added once: the id of one that was removed is used up. It is taken away some time
 * later, as its process would end once it is told. */
#include <string.h>

#include "common/base/cb_mem.h"
#include "sim/sim_faults_internal.h"

#define GAP_MAX_NS SECONDS(8)
#define GONE_MAX_NS SECONDS(10)

/* Below it one is added. Where there was one at first there is one again and again. */
static size_t members_min(const struct sim *s)
{
    return s->options.first == 1 ? 2 : 3;
}

struct members {
    struct replica_member list[CB_CLUSTER_NODES_MAX];
    size_t n;
};

static void members_of(const struct sim_node *n, struct members *out)
{
    out->n = replica_members(n->replica, out->list);
}

static bool has(const struct members *m, uint64_t id)
{
    for (size_t i = 0; i < m->n; i++) {
        if (m->list[i].id == id) {
            return true;
        }
    }
    return false;
}

/* ---- what the leader is asked for ---- */

static void add_one(struct sim_node *leader, const struct members *m)
{
    struct sim *s = leader->sim;
    for (uint32_t id = 1; id <= s->options.nodes; id++) {
        struct sim_node *n = &s->nodes[id];
        if (has(m, id) || n->is_retired || n->was_member) {
            continue;
        }
        struct replica_member member = {.id = id};
        sim_member_fill(id, &member);
        if (replica_add(leader->replica, &member) == REPLICA_CHANGE_BEGUN) {
            s->counters.members_added++;
            sim_trace(s, "n%u is to be a member", id);
            sim_members_begun(leader);
        }
        return;
    }
}

static void remove_one(struct sim_node *leader, uint64_t id)
{
    struct sim *s = leader->sim;
    if (s->options.first == 1 && id == 1) {
        return; /* proxies know of it alone when they start, and may be away until it is gone */
    }
    enum replica_change_result result = replica_remove(leader->replica, id);
    s->counters.removals_refused += result == REPLICA_CHANGE_UNSAFE;
    if (result == REPLICA_CHANGE_BEGUN) {
        s->counters.members_removed++;
        sim_trace(s, "n%u is to be no member any more", (unsigned)id);
        sim_members_begun(leader);
    } else if (result == REPLICA_CHANGE_SELF && replica_transfer(leader->replica, 0)) {
        s->counters.transfers++;
    }
}

static void on_change(void *arg)
{
    struct sim_node *leader = arg;
    struct members m;
    if (!leader->is_started || !sim_is_safety(leader->sim)) {
        return;
    }
    members_of(leader, &m);
    uint64_t id = sim_members_other_change(leader);
    if (id != 0 && has(&m, id)) {
        remove_one(leader, id);
    } else if (m.n < members_min(leader->sim) || sim_one_in(leader->sim, 2)) {
        add_one(leader, &m);
    } else {
        id = m.list[sim_between(leader->sim, 0, m.n - 1)].id;
        sim_members_remove_soon(leader, id);
        remove_one(leader, id);
    }
}

static void on_next(void *arg)
{
    struct sim *s = arg;
    struct sim_node *leader = sim_leader(s);
    if (!sim_is_safety(s)) {
        return;
    }
    sim_at(s, sim_now(s) + sim_between(s, 0, GAP_MAX_NS), on_next, s);
    if (leader != NULL) {
        fake_at(&leader->fake->process, sim_now(s), on_change, sim_drop_nothing, leader);
    }
}

void sim_members_led(struct sim_node *leader)
{
    struct sim *s = leader->sim;
    bool may = s->options.nodes > s->options.first && sim_has(s, SIM_FAULT_TIMELY);
    if (!may || !sim_is_safety(s)) {
        return;
    }
    if (sim_members_other_leads(leader) || sim_one_in(s, 2)) {
        fake_at(&leader->fake->process, sim_now(s) + sim_between(s, 0, 2 * s->options.net_ns),
                on_change, sim_drop_nothing, leader);
    }
}

void sim_members_start(struct sim *s)
{
    for (uint32_t id = 1; id <= s->options.first; id++) {
        s->nodes[id].was_member = true;
    }
    if (s->options.nodes > s->options.first) {
        sim_at(s, sim_now(s) + sim_between(s, 0, GAP_MAX_NS), on_next, s);
    }
}

/* ---- what comes of it ---- */

static void on_gone(void *arg)
{
    struct sim_node *n = arg;
    sim_trace(n->sim, "n%u is taken away", (unsigned)n->id);
    n->is_retired = true;
    if (sim_node_is_up(n)) {
        sim_node_crash(n);
    }
}

void sim_members_changed(struct sim_node *n)
{
    struct sim *s = n->sim;
    struct members m;
    members_of(n, &m);
    sim_say(s, "n%u has the members of entry %llu%s", (unsigned)n->id,
            (unsigned long long)replica_members_index(n->replica),
            replica_members_are_settled(n->replica) ? "" : ", uncommitted");
    for (size_t i = 0; i < m.n; i++) {
        struct sim_node *member = &s->nodes[m.list[i].id];
        if (m.list[i].role == REPLICA_STANDBY && core_view(n->core)->role == REPLICA_LEADER) {
            sim_members_joins(n);
        }
        if (m.list[i].role == REPLICA_VOTER && !member->was_voter &&
            replica_members_are_settled(n->replica)) {
            member->was_voter = true;
            s->counters.members_voting += member->id > s->options.first;
        }
        member->was_member = true;
    }
    /* Only who leads knows of the newest list that it is that. */
    if (core_view(n->core)->role != REPLICA_LEADER || !replica_members_are_settled(n->replica)) {
        return;
    }
    for (uint32_t id = 1; id <= s->options.nodes; id++) {
        struct sim_node *gone = &s->nodes[id];
        if (gone->was_member && !gone->is_leaving && !has(&m, id)) {
            gone->is_leaving = true;
            sim_at(s, sim_now(s) + sim_between(s, 0, GONE_MAX_NS), on_gone, gone);
        }
    }
}

/* The newest list that a node has which runs, else the first. */
uint32_t sim_members_now(struct sim *s, uint64_t out[static ENGINE_NODES_MAX])
{
    struct members m;
    uint64_t newest = 0;
    uint32_t n = 0;
    memset(out, 0, ENGINE_NODES_MAX * sizeof out[0]);
    for (; n < s->options.first; n++) {
        out[n] = n + 1;
    }
    for (uint32_t id = 1; id <= s->options.nodes; id++) {
        const struct sim_node *node = &s->nodes[id];
        if (!node->is_started || replica_members_index(node->replica) <= newest) {
            continue;
        }
        newest = replica_members_index(node->replica);
        members_of(node, &m);
        memset(out, 0, ENGINE_NODES_MAX * sizeof out[0]);
        for (n = 0; n < m.n; n++) {
            out[n] = m.list[n].id;
        }
    }
    return n;
}

bool sim_members_are_whole(struct sim *s)
{
    struct sim_node *leader = sim_leader(s);
    struct members m;
    if (leader == NULL) {
        return false;
    }
    members_of(leader, &m);
    for (size_t i = 0; i < m.n; i++) {
        if (m.list[i].role != REPLICA_VOTER) {
            return false;
        }
    }
    return replica_members_are_settled(leader->replica);
}

bool sim_is_member(struct sim *s, uint64_t id)
{
    struct sim_node *leader = sim_leader(s);
    struct members m;
    if (leader == NULL) {
        return false;
    }
    members_of(leader, &m);
    return has(&m, id);
}

/* ---- who is a member that a node has not heard of ---- */

struct question {
    struct sim_node *from, *to;
    uint64_t id;
    bool is_one;
};

static void on_word(void *arg)
{
    struct question q = *(struct question *)arg;
    cb_free(arg);
    if (q.from->is_started && q.is_one) {
        struct replica_member member = {.id = q.id};
        sim_member_fill(q.id, &member);
        replica_know(q.from->replica, &member);
        q.from->sim->counters.members_told++;
    }
}

static void on_asked(void *arg)
{
    struct question *q = arg;
    struct sim *s = q->to->sim;
    struct members m;
    if (!q->to->is_started || sim_call_is_lost(s, q->to, q->from)) {
        cb_free(q);
        return;
    }
    members_of(q->to, &m);
    q->is_one = has(&m, q->id);
    fake_at(&q->from->fake->process, sim_call_arrival_ns(s), on_word, cb_free, q);
}

static void ask(struct sim_node *n, struct sim_node *to, uint64_t id)
{
    if (to != n && sim_node_is_up(to) && !sim_call_is_lost(n->sim, n, to)) {
        const struct question q = {.from = n, .to = to, .id = id};
        fake_at(&to->fake->process, sim_call_arrival_ns(n->sim), on_asked, cb_free,
                cb_memdup(&q, sizeof q));
    }
}

void sim_members_ask(struct sim_node *n, uint64_t id)
{
    struct sim *s = n->sim;
    struct members m;
    if (id > s->options.nodes || !n->is_started) {
        return; /* nobody knows of it */
    }
    members_of(n, &m);
    for (size_t i = 0; i < m.n; i++) {
        ask(n, &s->nodes[m.list[i].id], id);
    }
    ask(n, &s->nodes[id], id); /* those may all have gone */
}

/* ---- majorities ---- */

static unsigned
voters_with(const struct sim *s,
            const struct members *m,
            bool (*is_there)(const struct sim_node *n, uint64_t index, uint64_t term),
            uint64_t index,
            uint64_t term,
            unsigned *voters)
{
    unsigned n = 0;
    *voters = 0;
    for (size_t i = 0; i < m->n; i++) {
        if (m->list[i].role == REPLICA_VOTER) {
            ++*voters;
            n += is_there(&s->nodes[m->list[i].id], index, term);
        }
    }
    return n;
}

/* Which list counts is the leader's to know, and it may have died since. */
bool sim_members_majority(struct sim *s,
                          bool (*is_there)(const struct sim_node *n, uint64_t index, uint64_t term),
                          uint64_t index,
                          uint64_t term,
                          unsigned *most,
                          unsigned *of)
{
    *most = *of = 0;
    for (uint32_t id = 1; id <= s->options.nodes; id++) {
        const struct sim_node *n = &s->nodes[id];
        struct members m;
        unsigned voters;
        if (n->replica == NULL) {
            continue;
        }
        members_of(n, &m);
        unsigned on = voters_with(s, &m, is_there, index, term, &voters);
        if (on > voters / 2) {
            return true;
        }
        if (on > *most || *of == 0) {
            *most = on;
            *of = voters;
        }
    }
    return false;
}
