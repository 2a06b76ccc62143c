/* A leader that is gone: it is not waited for, and stands in no vote's way.
 *
 * libraft learns of a dead leader by its silence alone, and waits for that between one and two
 * election timeouts. A process that dies takes its connections with it, though, and its host
 * refuses new ones at once. Being wrong here costs an election and no more: who may lead is
 * decided by the votes, as ever. */
#include "node/replica/replica_internal.h"

/* Between the members that stand for election, so that they do not split the votes: an election
 * that succeeds takes two round trips and a write to the disk. Ticks come no more often. */
#define SUCCESSION_STEP_MS 100

static bool follows(const struct replica *r, uint64_t id)
{
    const struct raft *raft = &r->raft;
    return r->started && id != 0 && raft->state == RAFT_FOLLOWER &&
           raft->follower_state.current_leader.id == id && !raft->snapshot.installing;
}

static void forget_leader(struct raft *raft)
{
    raft_free(raft->follower_state.current_leader.address);
    raft->follower_state.current_leader.address = NULL;
    raft->follower_state.current_leader.id = 0;
}

/* libraft's own timer does not tell: it starts anew while a snapshot is installed. */
bool replica_hears_leader(struct replica *r)
{
    return r->raft.state == RAFT_LEADER ||
           (r->heard_term == raft_current_term(&r->raft) &&
            replica_now_ms(r) - r->heard_ms < r->raft.election_timeout);
}

/* g15: libraft refuses a vote while it knows a leader, however long that has said nothing, so that
 * an election waits until a second member's timeout has passed too. The rule is the minimum
 * election timeout (Raft thesis, section 4.2.3); a leader whose connection has ended is as silent.
 */
void replica_gone_vote_asked(struct replica *r)
{
    struct raft *raft = &r->raft;
    uint64_t leader = raft->state == RAFT_FOLLOWER ? raft->follower_state.current_leader.id : 0;
    bool is_silent = replica_now_ms(r) >= raft->election_timer_start + raft->election_timeout;
    if (follows(r, leader) && (is_silent || r->link_ended == leader)) {
        forget_leader(raft);
        r->counters.g15_silent_leader++;
    }
}

void replica_link_ended(struct replica *r, uint64_t id)
{
    if (follows(r, id)) {
        r->link_ended = id;
    }
}

void replica_gone_heard_of(struct replica *r, uint64_t id)
{
    if (r->link_ended == id) {
        r->link_ended = 0;
    }
}

void replica_gone_heard_leader(struct replica *r, uint64_t term)
{
    r->heard_term = term;
    r->heard_ms = replica_now_ms(r);
}

/* Voters that are left and come before this member. */
static unsigned rank_without(const struct replica *r, uint64_t gone)
{
    const struct raft_configuration *conf = &r->raft.configuration;
    unsigned rank = 0;
    for (unsigned i = 0; i < conf->n; i++) {
        const struct raft_server *s = &conf->servers[i];
        rank += s->role == RAFT_VOTER && s->id != gone && s->id < r->raft.id;
    }
    return rank;
}

void replica_member_gone(struct replica *r, uint64_t id)
{
    if (!follows(r, id)) {
        return;
    }
    replica_enter(r);
    forget_leader(&r->raft);
    r->counters.leaders_gone++;
    r->stands_in_term = raft_current_term(&r->raft);
    r->stands_at_ms = replica_now_ms(r) + rank_without(r, id) * SUCCESSION_STEP_MS;
    replica_leave(r);
}

/* What is being written counts for the votes: libraft would begin to wait anew instead. */
static bool has_all_on_disk(struct replica *r)
{
    return r->raft.last_stored >= raft_last_index(&r->raft);
}

void replica_gone_check(struct replica *r)
{
    struct raft *raft = &r->raft;
    if (r->stands_in_term == 0) {
        return;
    }
    if (raft->state != RAFT_FOLLOWER || raft->follower_state.current_leader.id != 0 ||
        raft_current_term(raft) != r->stands_in_term) {
        r->stands_in_term = 0; /* there is a leader again, or an election */
        return;
    }
    uint64_t now = replica_now_ms(r);
    if (now < r->stands_at_ms || raft->snapshot.installing || !has_all_on_disk(r)) {
        return;
    }
    r->stands_in_term = 0;
    r->counters.successions++;
    raft->election_timer_start = now;
    raft->follower_state.randomized_election_timeout = 0; /* libraft draws the next one */
    r->raft_tick(r->raft_io);
}
