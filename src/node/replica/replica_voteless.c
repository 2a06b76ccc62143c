/* g18: libraft grants no vote while its own configuration gives this member none. But a candidate
 * counts the votes by its own configuration, and may need this one's: the only voter that has just
 * given another member a vote, in its own log alone, and dies, can be elected by the two of them
 * alone, and the cluster would stand still for ever. Requests for votes are to be taken without a
 * look at the own configuration (Raft thesis, section 4.1); a candidate that gives this member no
 * vote does not count it. So this member is a voter while libraft looks at such a request. */
#include <string.h>

#include "node/replica/replica_internal.h"

static bool has_vote(const struct replica *r)
{
    const struct raft_configuration *c = &r->raft.configuration;
    for (unsigned i = 0; i < c->n; i++) {
        if (c->servers[i].id == r->raft.id) {
            return c->servers[i].role == RAFT_VOTER;
        }
    }
    return false;
}

/* The configuration as it is, with this member as a voter. The addresses stay the other one's. */
static struct raft_configuration with_vote(const struct replica *r,
                                           struct raft_server room[static CB_CLUSTER_NODES_MAX + 1])
{
    const struct raft_configuration *c = &r->raft.configuration;
    unsigned self = 0;
    CB_ASSERT(c->n <= CB_CLUSTER_NODES_MAX);
    if (c->n > 0) {
        memcpy(room, c->servers, c->n * sizeof(room[0]));
    }
    while (self < c->n && room[self].id != r->raft.id) {
        self++;
    }
    room[self] = (struct raft_server){
        .id = r->raft.id, .address = self < c->n ? room[self].address : NULL, .role = RAFT_VOTER};
    return (struct raft_configuration){.servers = room, .n = self < c->n ? c->n : c->n + 1};
}

void replica_voteless_recv(struct replica *r, struct raft_io *io, struct raft_message *m)
{
    struct raft_server room[CB_CLUSTER_NODES_MAX + 1];
    if (m->type != RAFT_REQUEST_VOTE || has_vote(r)) {
        r->raft_recv(io, m);
        return;
    }
    const struct raft_configuration own = r->raft.configuration;
    r->raft.configuration = with_vote(r, room);
    r->raft_recv(io, m);
    CB_ASSERT(r->raft.configuration.servers == room); /* a request for a vote changes no members */
    r->raft.configuration = own;
    r->counters.g18_asked_without_vote++;
}
