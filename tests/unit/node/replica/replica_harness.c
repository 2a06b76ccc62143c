#include "unit/node/replica/replica_harness.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cb_hash.h"

#define ELECTION_DEADLINE_MS 30000
#define WRITE_DEADLINE_MS 30000

/* --- the toy owner --- */

void member_store(struct member *m)
{
    if (m->swap_pending) {
        return;
    }
    m->stored = m->state;
    m->stored_appended = replica_appended(m->r);
    fake_node_enter(m->node);
    replica_durable(m->r, m->stored.applied.index);
    fake_node_leave(m->node);
}

static void on_apply(void *data, const struct replica_entry *e)
{
    struct member *m = data;
    assert_true(e->index > m->state.applied.index);
    assert_true(e->term >= m->state.applied.term);
    m->state.applied = (struct replica_mark){e->index, e->term};
    m->state.digest = cb_hash_seeded(e->bytes.ptr, e->bytes.len, m->state.digest);
    m->state.count++;
    m->live += e->live;
    if (!m->hold_store) {
        member_store(m);
    }
}

static void on_role(void *data, const struct replica_view *view)
{
    struct member *m = data;
    m->view = *view;
    m->view_changes++;
}

static void on_members(void *data)
{
    struct member *m = data;
    m->members_changes++;
}

static void on_stranger(void *data, uint64_t id, const char *address)
{
    struct member *m = data;
    (void)address;
    m->stranger = id;
}

static void on_turn(void *data)
{
    (void)data;
}

static void on_want_durable(void *data, uint64_t index)
{
    struct member *m = data;
    m->wanted_durable = index;
    if (!m->hold_store) {
        member_store(m);
    }
}

void member_lowered(struct member *m)
{
    m->stored_appended = m->lower_to;
    m->lower_waits = false;
    fake_node_enter(m->node);
    replica_lowered(m->r);
    fake_node_leave(m->node);
}

static void on_lower_appended(void *data, struct replica_mark mark)
{
    struct member *m = data;
    m->lower_to = mark;
    m->lower_waits = true;
    m->lowerings++;
    if (!m->hold_lower) {
        member_lowered(m);
    }
}

bool member_fetch(struct member *m)
{
    const struct toy_state *best = &m->offered;
    for (size_t i = 0; i < m->cluster->count; i++) {
        const struct member *other = &m->cluster->m[i];
        if (other != m && other->r != NULL && other->stored.applied.index > best->applied.index) {
            best = &other->stored;
        }
    }
    m->arriving = *best;
    return best->applied.index >= m->needs;
}

void member_install(struct member *m)
{
    if (member_fetch(m)) {
        member_install_fetched(m);
    }
}

void member_install_fetched(struct member *m)
{
    m->install_pending = false;
    m->swap_pending = true;
    m->stored = m->arriving;
    m->stored_appended = replica_appended(m->r);
    fake_node_enter(m->node);
    replica_install_done(m->r, m->arriving.applied);
    fake_node_leave(m->node);
}

static void on_install_state(void *data, struct replica_mark mark, uint64_t at_least)
{
    struct member *m = data;
    assert_in_range(at_least, 1, mark.index);
    m->needs = at_least;
    m->install_pending = true;
    if (!m->hold_install) {
        member_install(m);
    }
}

static void on_installed(void *data, struct replica_mark mark)
{
    struct member *m = data;
    assert_true(mark.index > 0);
    m->state = m->arriving;
    m->swap_pending = false;
    m->installed++;
}

static uint64_t on_free_bytes(void *data)
{
    struct member *m = data;
    return m->free_bytes;
}

/* --- members --- */

static void member_create(struct member *m)
{
    struct replica_config config = m->cluster->config;
    config.self = m->at;
    config.member_count = m->at < HARNESS_MEMBERS ? HARNESS_MEMBERS : m->at + 1;
    config.seed = (uint32_t)(1000 + m->at);
    config.applied = m->stored.applied;
    config.appended = m->stored_appended;
    struct replica_events events = {
        .data = m,
        .apply = on_apply,
        .role = on_role,
        .members = on_members,
        .stranger = on_stranger,
        .turn = on_turn,
        .want_durable = on_want_durable,
        .lower_appended = on_lower_appended,
        .install_state = on_install_state,
        .installed = on_installed,
    };
    struct replica_env env = {.data = m, .free_bytes = on_free_bytes};
    m->state = m->stored;
    m->view = (struct replica_view){0};
    m->live = 0;
    m->lower_waits = false;
    m->swap_pending = false;
    m->r = replica_create(&config, &events, &env, fake_node_boot(m->node));
}

void member_bootstrap(struct member *m)
{
    member_create(m);
    fake_node_enter(m->node);
    assert_true(replica_bootstrap(m->r));
    fake_node_leave(m->node);
    member_crash(m);
}

enum replica_start_result member_boot(struct member *m)
{
    member_create(m);
    fake_node_enter(m->node);
    enum replica_start_result result = replica_start(m->r);
    fake_node_leave(m->node);
    return result;
}

void member_crash(struct member *m)
{
    replica_destroy(m->r);
    m->r = NULL;
    fake_node_crash(m->node);
}

struct replica_counters member_counters(struct member *m)
{
    struct replica_status s;
    replica_status(m->r, &s);
    return s.counters;
}

uint64_t member_commit_index(struct member *m)
{
    struct replica_status s;
    replica_status(m->r, &s);
    return s.commit_index;
}

enum replica_propose_result member_propose(struct member *m, const char *text)
{
    fake_node_enter(m->node);
    enum replica_propose_result result = replica_propose(m->r, cb_span_str(text));
    fake_node_leave(m->node);
    return result;
}

/* --- clusters --- */

struct member *cluster_add_machine(struct cluster *c)
{
    assert_true(c->count < HARNESS_SLOTS);
    size_t at = c->count++;
    struct member *m = &c->m[at];
    m->cluster = c;
    m->at = at;
    m->node = fake_node_add(c->world, at + 1);
    m->free_bytes = UINT64_MAX;
    c->members[at].id = at + 1;
    snprintf(c->members[at].name, sizeof c->members[at].name, "n%zu", at + 1);
    memcpy(c->members[at].address, m->node->address, sizeof m->node->address);
    return m;
}

void cluster_init_empty(struct cluster *c, uint64_t seed)
{
    memset(c, 0, sizeof *c);
    c->world = fake_world_create(seed);
    replica_config_default(&c->config);
    c->config.members = c->members;
    while (c->count < HARNESS_MEMBERS) {
        (void)cluster_add_machine(c);
    }
}

void cluster_init(struct cluster *c, uint64_t seed)
{
    cluster_init_empty(c, seed);
    for (size_t i = 0; i < c->count; i++) {
        member_bootstrap(&c->m[i]);
        assert_int_equal(member_boot(&c->m[i]), REPLICA_STARTED);
    }
}

void cluster_fini(struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->m[i].r != NULL) {
            member_crash(&c->m[i]);
        }
    }
    fake_world_destroy(c->world);
}

static bool is_reachable(const struct member *m)
{
    return m->r != NULL && !m->node->cut_to[m->node->id];
}

static struct member *agreed_leader(struct cluster *c)
{
    struct member *leader = NULL;
    for (size_t i = 0; i < c->count; i++) {
        struct member *m = &c->m[i];
        if (is_reachable(m) && m->view.role == REPLICA_LEADER) {
            leader = m;
        }
    }
    for (size_t i = 0; leader != NULL && i < c->count; i++) {
        struct member *m = &c->m[i];
        if (is_reachable(m) &&
            (m->view.leader_id != leader->node->id || m->view.term != leader->view.term)) {
            return NULL;
        }
    }
    return leader;
}

static bool has_leader(struct cluster *c)
{
    return agreed_leader(c) != NULL;
}

struct member *cluster_elect(struct cluster *c)
{
    cluster_run_until(c, ELECTION_DEADLINE_MS, has_leader);
    return agreed_leader(c);
}

struct member *cluster_other(struct cluster *c, const struct member *m)
{
    return &c->m[(m->at + 1) % c->count];
}

static void explain(struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct member *m = &c->m[i];
        if (m->r == NULL) {
            print_error("n%zu is down\n", i + 1);
            continue;
        }
        struct replica_status s;
        replica_status(m->r, &s);
        print_error(
            "n%zu role=%d term=%" PRIu64 " leader=%" PRIu64 " last=%" PRIu64 " commit=%" PRIu64
            " applied=%" PRIu64 " snapshot=%" PRIu64 " installing=%d stored=%" PRIu64 "\n",
            i + 1, (int)s.view.role, s.view.term, s.view.leader_id, s.last_index, s.commit_index,
            s.applied_index, s.snapshot_index, s.installing, m->stored.applied.index);
#define X(name, what)                                                                              \
    if (s.counters.name != 0) {                                                                    \
        print_error("   %s=%" PRIu64 "\n", #name, s.counters.name);                                \
    }
        REPLICA_COUNTERS(X)
#undef X
    }
    fail_msg("not reached in time");
}

void cluster_run_until(struct cluster *c, uint64_t ms, bool (*cond)(struct cluster *c))
{
    uint64_t end = fake_now_ms(c->world) + ms;
    while (!cond(c)) {
        if (fake_now_ms(c->world) >= end) {
            explain(c);
        }
        assert_true(fake_world_step(c->world));
    }
}

void cluster_write(struct cluster *c, struct member *leader, uint64_t count)
{
    uint64_t end = leader->state.count + count;
    uint64_t deadline = fake_now_ms(c->world) + WRITE_DEADLINE_MS + 10 * count;
    for (uint64_t sent = 0; leader->state.count < end;) {
        char text[32];
        snprintf(text, sizeof text, "entry %llu", (unsigned long long)c->proposed);
        if (sent < count && member_propose(leader, text) == REPLICA_PROPOSED) {
            sent++;
            c->proposed++;
            continue;
        }
        if (fake_now_ms(c->world) >= deadline) {
            explain(c);
        }
        assert_true(fake_world_step(c->world));
    }
}

bool cluster_converged(struct cluster *c)
{
    const struct member *first = NULL;
    for (size_t i = 0; i < c->count; i++) {
        const struct member *m = &c->m[i];
        if (!is_reachable(m)) {
            continue;
        }
        first = first == NULL ? m : first;
        if (m->state.digest != first->state.digest || m->state.count != c->proposed) {
            return false;
        }
    }
    return true;
}
