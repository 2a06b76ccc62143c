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

const char *replica_address_of(const struct replica *r, uint64_t id)
{
    const struct raft_configuration *c = &r->raft.configuration;
    for (unsigned i = 0; i < c->n; i++) {
        if (c->servers[i].id == id) {
            return replica_text_address(c->servers[i].address);
        }
    }
    const struct replica_member *m = replica_known(r, id);
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
    return false;
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

static void peer_status(const struct replica *r,
                        const struct replica_member *m,
                        struct replica_peer_status *out)
{
    *out = (struct replica_peer_status){.id = m->id, .role = m->role};
    memcpy(out->name, m->name, sizeof out->name);
    memcpy(out->address, m->address, sizeof out->address);
    raft_index match = 0;
    if (r->raft.state == RAFT_LEADER && m->id != r->raft.id) {
        out->match_known = raft_match_index(&r->raft, m->id, &match) == 0;
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
    struct replica_member members[CB_CLUSTER_NODES_MAX];
    out->peer_count = replica_members(r, members);
    for (size_t i = 0; i < out->peer_count; i++) {
        peer_status(r, &members[i], &out->peers[i]);
    }
}
