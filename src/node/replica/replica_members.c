/* Who belongs to the group, and how that is changed: one member at a time (Raft thesis, section
 * 4.1), each change an entry of the log that holds from the moment it is there.
 *
 * libraft's configuration is the one list of members. It knows ids, roles and addresses; names
 * travel in the address: "NAME=HOST:PORT".
 *
 * A new member begins without a vote, or the cluster would be worse off while it has nothing. What
 * brings it further is no state of anybody: whoever leads looks for spare members, which become
 * standby ones, and for standby ones that have the log, which become voters. */
#include <stdio.h>

#include "common/base/cb_mem.h"
#include "node/replica/replica_internal.h"

/* After a change that libraft did not take. */
#define RETRY_MS 5000

/* ---- names ---- */

void replica_member_text(const struct replica_member *m, char out[static CB_RAFT_SERVER_MAX])
{
    (void)snprintf(out, CB_RAFT_SERVER_MAX, "%s=%s", m->name, m->address);
}

const char *replica_text_address(const char *text)
{
    const char *eq = strchr(text, '=');
    return eq == NULL ? text : eq + 1;
}

static void copy_text(char *out, size_t cap, const char *text, size_t len)
{
    len = len < cap ? len : cap - 1;
    memcpy(out, text, len);
    out[len] = '\0';
}

static enum replica_member_role role_of(const struct raft_server *s)
{
    return s->role == RAFT_VOTER     ? REPLICA_VOTER
           : s->role == RAFT_STANDBY ? REPLICA_STANDBY
                                     : REPLICA_SPARE;
}

static void member_of(const struct raft_server *s, struct replica_member *out)
{
    const char *address = replica_text_address(s->address);
    *out = (struct replica_member){.id = s->id, .role = role_of(s)};
    if (address != s->address) {
        copy_text(out->name, sizeof out->name, s->address, (size_t)(address - s->address) - 1);
    }
    copy_text(out->address, sizeof out->address, address, strlen(address));
}

size_t replica_members(const struct replica *r, struct replica_member *out)
{
    const struct raft_configuration *c = &r->raft.configuration;
    size_t n = 0;
    if (c->n == 0) {
        for (; n < r->config.member_count; n++) {
            out[n] = r->members[n];
            out[n].role = REPLICA_SPARE; /* nobody knows */
        }
        return n;
    }
    for (unsigned i = 0; i < c->n && n < CB_CLUSTER_NODES_MAX; i++) {
        member_of(&c->servers[i], &out[n++]);
    }
    return n;
}

uint64_t replica_members_index(const struct replica *r)
{
    const struct raft *raft = &r->raft;
    return raft->configuration_uncommitted_index != 0 ? raft->configuration_uncommitted_index
                                                      : raft->configuration_committed_index;
}

bool replica_members_are_settled(const struct replica *r)
{
    return r->raft.configuration_uncommitted_index == 0;
}

/* A configuration changes with an entry, with its commit, when it is rolled back or installed. */
void replica_members_tell(struct replica *r)
{
    const struct replica_conf_mark now = {.committed = r->raft.configuration_committed_index,
                                          .uncommitted = r->raft.configuration_uncommitted_index};
    if (now.committed == r->told.committed && now.uncommitted == r->told.uncommitted) {
        return;
    }
    r->told = now;
    if (r->events.members != NULL) {
        r->events.members(r->events.data);
    }
}

/* ---- may it be changed? ---- */

/* Before a leader has committed an entry of its own term it does not know which configurations are
 * committed, and two leaders could change the group from two different ones. libraft does not look
 * at that (the defect of single-server changes that Ongaro published in 2015). */
static bool has_committed(const struct replica *r)
{
    return replica_trail_term(&r->raft, r->raft.commit_index) == r->raft.current_term;
}

static enum replica_change_result may_change(const struct replica *r)
{
    const struct raft *raft = &r->raft;
    if (raft->state != RAFT_LEADER || raft->leader_state.transferee != 0) {
        return REPLICA_CHANGE_NOT_LEADER;
    }
    if (raft->configuration_uncommitted_index != 0 || raft->leader_state.promotee_id != 0 ||
        raft->legacy.change != NULL || !has_committed(r)) {
        return REPLICA_CHANGE_BUSY;
    }
    return REPLICA_CHANGE_BEGUN;
}

static bool answers(struct replica *r, uint64_t id)
{
    const struct replica_peer *p = id == r->raft.id ? NULL : replica_peer_of(r, id);
    return p == NULL ||
           (p->heard_ms != 0 && replica_now_ms(r) - p->heard_ms < r->raft.election_timeout);
}

/* A change that the new majority cannot commit stops the cluster. */
static bool is_safe(struct replica *r, uint64_t without, uint64_t with)
{
    const struct raft_configuration *c = &r->raft.configuration;
    unsigned voters = 0;
    unsigned there = 0;
    for (unsigned i = 0; i < c->n; i++) {
        const struct raft_server *s = &c->servers[i];
        if (s->id != without && (s->role == RAFT_VOTER || s->id == with)) {
            voters++;
            there += answers(r, s->id);
        }
    }
    return there > voters / 2;
}

/* What libraft said of a change that it was asked for. */
static enum replica_change_result outcome(struct replica *r, int rv)
{
    if (rv == 0) {
        r->counters.members_changed++;
        return REPLICA_CHANGE_BEGUN;
    }
    /* raft_assign leaves it behind when it fails. */
    if (r->raft.legacy.change == &r->change) {
        r->raft.legacy.change = NULL;
    }
    r->counters.members_change_failed++;
    switch (rv) {
    case RAFT_NOTLEADER:
        return REPLICA_CHANGE_NOT_LEADER;
    case RAFT_NOSPACE:
        return REPLICA_CHANGE_NO_SPACE;
    case RAFT_CANTCHANGE:
        return REPLICA_CHANGE_BUSY;
    default:
        replica_die(r, "libraft failed to change the members: %s (%s); restart this node",
                    raft_errmsg(&r->raft), raft_strerror(rv));
    }
}

/* ---- by whom it is asked for ---- */

/* As `m` or in the way of it. */
static enum replica_change_result look_for(const struct replica *r, const struct replica_member *m)
{
    struct replica_member there[CB_CLUSTER_NODES_MAX];
    size_t n = replica_members(r, there);
    for (size_t i = 0; i < n; i++) {
        bool same_id = there[i].id == m->id;
        bool same_name = strcmp(there[i].name, m->name) == 0;
        bool same_address = strcmp(there[i].address, m->address) == 0;
        if (same_id && same_name && same_address) {
            return REPLICA_CHANGE_NEEDLESS;
        }
        if (same_id || same_name || same_address) {
            return REPLICA_CHANGE_TAKEN;
        }
    }
    return n == CB_CLUSTER_NODES_MAX ? REPLICA_CHANGE_TOO_MANY : REPLICA_CHANGE_BEGUN;
}

enum replica_change_result replica_add(struct replica *r, const struct replica_member *member)
{
    CB_ASSERT(r->started && r->depth == 0 && member->id != 0);
    CB_ASSERT(member->name[0] != '\0' && strchr(member->name, '=') == NULL);
    char text[CB_RAFT_SERVER_MAX];
    enum replica_change_result result = may_change(r);
    result = result == REPLICA_CHANGE_BEGUN ? look_for(r, member) : result;
    if (result != REPLICA_CHANGE_BEGUN) {
        return result;
    }
    replica_member_text(member, text);
    replica_enter(r);
    result = outcome(r, raft_add(&r->raft, &r->change, member->id, text, NULL));
    replica_leave(r);
    return result;
}

enum replica_change_result replica_remove(struct replica *r, uint64_t id)
{
    CB_ASSERT(r->started && r->depth == 0);
    enum replica_change_result result = may_change(r);
    if (result != REPLICA_CHANGE_BEGUN) {
        return result;
    }
    if (!replica_is_member(r, id)) {
        return REPLICA_CHANGE_NEEDLESS;
    }
    if (id == r->raft.id) {
        return REPLICA_CHANGE_SELF;
    }
    if (!is_safe(r, id, 0)) {
        return REPLICA_CHANGE_UNSAFE;
    }
    replica_enter(r);
    result = outcome(r, raft_remove(&r->raft, &r->change, id, NULL));
    replica_leave(r);
    return result;
}

/* ---- and what the leader does by itself ---- */

/* libraft waits for the rest before it puts the change into the log. */
static bool has_the_log(struct replica *r, uint64_t id)
{
    raft_index match;
    return answers(r, id) && raft_match_index(&r->raft, id, &match) == 0 &&
           match + r->config.inflight_max >= raft_last_index(&r->raft);
}

/* The role that the member is to have next; its own when it stays as it is. */
static int next_role(struct replica *r, const struct raft_server *s)
{
    if (s->role == RAFT_SPARE) {
        return RAFT_STANDBY;
    }
    if (s->role == RAFT_STANDBY && has_the_log(r, s->id) && is_safe(r, 0, s->id)) {
        return RAFT_VOTER;
    }
    return s->role;
}

void replica_members_tick(struct replica *r)
{
    const struct raft_configuration *c = &r->raft.configuration;
    if (r->depth > 0 || !r->started || replica_now_ms(r) < r->promote_at_ms ||
        may_change(r) != REPLICA_CHANGE_BEGUN) {
        return;
    }
    for (unsigned i = 0; i < c->n; i++) {
        int role = next_role(r, &c->servers[i]);
        if (role == c->servers[i].role) {
            continue;
        }
        replica_enter(r);
        int rv = raft_assign(&r->raft, &r->change, c->servers[i].id, role, NULL);
        if (outcome(r, rv) != REPLICA_CHANGE_BEGUN) {
            r->promote_at_ms = replica_now_ms(r) + RETRY_MS;
        }
        replica_leave(r);
        return;
    }
}

/* ---- who is one by the word of others ---- */

const struct replica_member *replica_known(const struct replica *r, uint64_t id)
{
    for (size_t i = 0; i < r->config.member_count; i++) {
        if (r->members[i].id == id) {
            return &r->members[i];
        }
    }
    for (size_t i = 0; i < CB_CLUSTER_NODES_MAX; i++) {
        if (r->known[i].id == id) {
            return &r->known[i];
        }
    }
    return NULL;
}

void replica_know(struct replica *r, const struct replica_member *member)
{
    CB_ASSERT(member->id != 0);
    if (replica_known(r, member->id) == NULL) {
        r->known[r->known_next] = *member;
        r->known_next = (r->known_next + 1) % CB_CLUSTER_NODES_MAX;
    }
}

bool replica_accepts(struct replica *r, uint64_t id, const char *address)
{
    if (id == 0) {
        return false;
    }
    if (replica_is_member(r, id) || replica_known(r, id) != NULL) {
        return true;
    }
    if (r->events.stranger != NULL) {
        r->events.stranger(r->events.data, id, address);
    }
    return false;
}
