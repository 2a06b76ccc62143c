/* Bad moments for a change of members. By chance alone what each of them needs would hardly ever
 * come together. */
#include "sim/sim_faults_internal.h"

static size_t voters_of(const struct sim_node *n)
{
    struct replica_member list[CB_CLUSTER_NODES_MAX];
    size_t all = replica_members(n->replica, list);
    size_t voters = 0;
    for (size_t i = 0; i < all; i++) {
        voters += list[i].role == REPLICA_VOTER;
    }
    return voters;
}

static bool may(const struct sim *s)
{
    return sim_has(s, SIM_FAULT_TIMELY) && sim_is_safety(s);
}

/* ---- the only voter dies with entries that a member without a vote has, its disk not ---- */

#define ENTRIES_PER_CRASH 6

static void on_crash(void *arg)
{
    struct sim_node *n = arg;
    if (sim_is_safety(n->sim) && sim_fault_crash_one_shortly(n)) {
        n->sim->counters.only_voters_crashed++;
    }
}

void sim_members_entries_sent(struct sim_node *leader)
{
    struct sim *s = leader->sim;
    bool is_first_there = s->options.net_ns < 2 * s->options.disk_ns;
    if (may(s) && is_first_there && voters_of(leader) == 1 && sim_one_in(s, ENTRIES_PER_CRASH)) {
        sim_at(s, sim_now(s) + sim_between(s, s->options.net_ns / 2, 2 * s->options.disk_ns),
               on_crash, leader);
    }
}

/* ---- the only voter dies when its own log alone says that another one has a vote too ---- */

#define CATCHES_UP_NS MILLIS(300)

/* What it says from now on stays in its sockets. */
static void on_hold(void *arg)
{
    struct sim_node *n = arg;
    struct replica_member list[CB_CLUSTER_NODES_MAX];
    if (!n->is_started || !sim_is_safety(n->sim)) {
        return;
    }
    size_t all = replica_members(n->replica, list);
    for (size_t i = 0; i < all; i++) {
        if (list[i].id != n->id) {
            fake_world_hold(n->sim->world, n->id, list[i].id, HELD_MAX_NS);
        }
    }
    sim_at(n->sim, sim_now(n->sim) + sim_between(n->sim, 0, HELD_MAX_NS), on_crash, n);
}

void sim_members_joins(struct sim_node *leader)
{
    struct sim *s = leader->sim;
    if (may(s) && voters_of(leader) == 1 && sim_one_in(s, 2)) {
        sim_at(s, sim_now(s) + sim_between(s, 0, CATCHES_UP_NS), on_hold, leader);
    }
}

/* ---- two leaders change an even number of voters ---- */

/* The first has a removal in its own log alone and is cut off. Of those that vote for the second
 * one, which the first still counts, hears nothing more of it; the second, asked at once, removes
 * either of the two. Then the first comes back, and with that one it is a majority by its own list,
 * while by the other list the second is one with those that are left (Ongaro, raft-dev of 10 July
 * 2015). Other moments wait for as long. */

#define FIRST_AWAY_MIN_NS MILLIS(1000)
#define FIRST_AWAY_MAX_NS MILLIS(2500)
#define BEHIND_MIN_NS SECONDS(2)
#define BEHIND_MAX_NS SECONDS(5)

bool sim_members_are_two(const struct sim *s)
{
    return sim_now(s) < s->two_changes.until_ns;
}

void sim_members_remove_soon(struct sim_node *leader, uint64_t removed)
{
    struct sim *s = leader->sim;
    struct sim_two_changes *t = &s->two_changes;
    uint64_t away_ns = sim_between(s, FIRST_AWAY_MIN_NS, FIRST_AWAY_MAX_NS);
    if (may(s) && removed != leader->id && voters_of(leader) >= 4 && voters_of(leader) % 2 == 0 &&
        !sim_members_are_two(s) && sim_one_in(s, 2)) {
        *t = (struct sim_two_changes){.first = leader->id, .removed = removed};
        t->until_ns = sim_now(s) + away_ns + BEHIND_MAX_NS;
        sim_fault_cut_for(s, (unsigned)leader->id, SIM_CUT_IN | SIM_CUT_OUT | SIM_CUT_NODES_ALONE,
                          away_ns);
    }
}

void sim_members_voted(struct sim *s, uint64_t voter, uint64_t candidate)
{
    struct sim_two_changes *t = &s->two_changes;
    bool may_be = sim_members_are_two(s) && t->behind == 0 && t->first != candidate &&
                  t->first != voter && t->removed != voter;
    if (may_be && may(s)) {
        t->behind = voter;
        t->second = candidate;
        fake_world_hold(s->world, candidate, voter, sim_between(s, BEHIND_MIN_NS, BEHIND_MAX_NS));
    }
}

bool sim_members_other_leads(const struct sim_node *leader)
{
    const struct sim_two_changes *t = &leader->sim->two_changes;
    return sim_members_are_two(leader->sim) && t->second == leader->id;
}

uint64_t sim_members_other_change(struct sim_node *leader)
{
    struct sim *s = leader->sim;
    struct sim_two_changes *t = &s->two_changes;
    if (!sim_members_other_leads(leader)) {
        return 0;
    }
    t->second = 0;
    s->counters.members_changed_twice++;
    return sim_one_in(s, 2) ? t->first : t->behind;
}

/* ---- a change in few logs ---- */

/* The change is in the leader's log, perhaps in few others: now it is cut off, or one member hears
 * nothing of it for a while and then the leader is cut off. Another one leads that knows nothing of
 * it, and is asked for another change (sim_members_led). */
void sim_members_begun(struct sim_node *leader)
{
    struct sim *s = leader->sim;
    struct replica_member list[CB_CLUSTER_NODES_MAX];
    size_t n = replica_members(leader->replica, list);
    uint64_t other = list[sim_between(s, 0, n - 1)].id;
    if (!may(s) || sim_members_are_two(s)) {
        return;
    }
    if (!sim_one_in(s, 3)) {
        return;
    }
    if (sim_one_in(s, 2)) {
        sim_fault_cut_for(s, (unsigned)leader->id, SIM_CUT_IN | SIM_CUT_OUT | SIM_CUT_NODES_ALONE,
                          sim_between(s, MILLIS(700), SECONDS(4)));
    } else if (other != leader->id) {
        fake_world_hold(s->world, leader->id, other, sim_between(s, MILLIS(100), SECONDS(3)));
    }
}
