/* g17: a member that is the only one with a vote leads without an election, and libraft lets it do
 * so in the term that it finds (convertToCandidate). But a term has one leader and each of its
 * entries one place: this member may have led that term before, and have told members without a
 * vote of entries that its own disk lost in a crash; others would stand in their places, under the
 * same term, and those members would never know (Raft paper, figure 3: election safety and log
 * matching). So it leads a term of its own. */
#include "node/replica/replica_internal.h"

static bool is_alone(const struct raft *raft)
{
    unsigned voters = 0;
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        voters += raft->configuration.servers[i].role == RAFT_VOTER;
    }
    return voters == 1;
}

bool replica_alone_must_wait(const struct replica *r)
{
    return r->raft.state == RAFT_LEADER && !r->leads && is_alone(&r->raft);
}

void replica_alone_check(struct replica *r)
{
    if (replica_alone_must_wait(r)) {
        raft_term term = r->raft.current_term + 1;
        /* Both end the process when they fail. */
        CB_ASSERT(replica_io_set_term(r->raft_io, term) == 0);
        CB_ASSERT(replica_io_set_vote(r->raft_io, r->raft.id) == 0);
        r->raft.current_term = term;
        r->raft.voted_for = r->raft.id;
        r->counters.g17_term_of_its_own++;
    }
    r->leads = r->raft.state == RAFT_LEADER;
}
