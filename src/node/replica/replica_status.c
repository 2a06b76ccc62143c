/* What others may know of a replica, and look-ups in libraft's public structs. */
#include "common/base/cb_mem.h"
#include "node/replica/replica_internal.h"

/* libraft has this function and does not export it; struct raft_trail is public. */
uint64_t replica_trail_term(const struct raft *raft, uint64_t index)
{
    const struct raft_trail *t = &raft->trail;
    unsigned n = t->front <= t->back ? t->back - t->front : t->size - t->front + t->back;
    uint64_t first = t->offset + 1;
    for (unsigned i = 0; i < n; i++) {
        uint64_t last = t->records[(t->front + i) % t->size].index;
        if (index >= first && index <= last) {
            return t->records[(t->front + i) % t->size].term;
        }
        first = last + 1;
    }
    return index != 0 && index == t->snapshot.index ? t->snapshot.term : 0;
}

static const struct replica_member *member_of(const struct replica *r, uint64_t id)
{
    for (size_t i = 0; i < r->config.member_count; i++) {
        if (r->members[i].id == id) {
            return &r->members[i];
        }
    }
    return NULL;
}

const char *replica_address_of(const struct replica *r, uint64_t id)
{
    const struct raft_configuration *c = &r->raft.configuration;
    for (unsigned i = 0; i < c->n; i++) {
        if (c->servers[i].id == id) {
            return c->servers[i].address;
        }
    }
    const struct replica_member *m = member_of(r, id);
    return m == NULL ? NULL : m->address;
}

bool replica_is_member(const struct replica *r, uint64_t id)
{
    const struct raft_configuration *c = &r->raft.configuration;
    for (unsigned i = 0; i < c->n; i++) {
        if (c->servers[i].id == id) {
            return true;
        }
    }
    return c->n == 0;
}

struct replica_mark replica_appended(const struct replica *r)
{
    return r->appended;
}

void replica_destroy(struct replica *r)
{
    replica_release_requests(r, true);
    replica_disk_drop(r);
    replica_tells_drop(r);
    replica_gets_drop(r);
    cb_free(r);
}

static void
peer_status(const struct replica *r, const struct raft_server *s, struct replica_peer_status *out)
{
    const struct replica_member *m = member_of(r, s->id);
    *out = (struct replica_peer_status){.id = s->id, .voter = s->role == RAFT_VOTER};
    if (m != NULL) {
        memcpy(out->name, m->name, sizeof out->name);
    }
    size_t len = strlen(s->address);
    memcpy(out->address, s->address, len < sizeof out->address ? len : sizeof out->address - 1);
    raft_index match = 0;
    if (r->raft.state == RAFT_LEADER && s->id != r->raft.id) {
        out->match_known = raft_match_index(&r->raft, s->id, &match) == 0;
        out->match_index = match;
    }
}

void replica_status(struct replica *r, struct replica_status *out)
{
    *out = (struct replica_status){
        .view = r->view,
        .commit_index = raft_commit_index(&r->raft),
        .applied_index = r->applied.index,
        .last_index = raft_last_index(&r->raft),
        .snapshot_index = r->raft.trail.snapshot.index,
        .appended = r->appended,
        .installing = r->raft.snapshot.installing,
        .counters = r->counters,
    };
    const struct raft_configuration *c = &r->raft.configuration;
    for (unsigned i = 0; i < c->n && out->peer_count < CB_CLUSTER_NODES_MAX; i++) {
        peer_status(r, &c->servers[i], &out->peers[out->peer_count++]);
    }
}
