/* Proves that members come and go: a new one gets the log, or the state, and then a vote; one
 * change at a time, none that would stop the cluster, none before the leader knows what is
 * committed; and a new leader goes on where the one before it ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "unit/node/replica/replica_harness.h"

#define JOIN_DEADLINE_MS 30000

static size_t voters_of(const struct member *m)
{
    struct replica_member there[CB_CLUSTER_NODES_MAX];
    size_t n = replica_members(m->r, there);
    size_t voters = 0;
    for (size_t i = 0; i < n; i++) {
        voters += there[i].role == REPLICA_VOTER;
    }
    return voters;
}

static bool all_have_voters(struct cluster *c, size_t voters)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct member *m = &c->m[i];
        if (m->r != NULL && (voters_of(m) != voters || !replica_members_are_settled(m->r))) {
            return false;
        }
    }
    return true;
}

static bool four_vote(struct cluster *c)
{
    return all_have_voters(c, 4) && cluster_converged(c);
}

static bool five_vote(struct cluster *c)
{
    return all_have_voters(c, 5) && cluster_converged(c);
}

static enum replica_change_result add(struct member *leader, const struct member *m)
{
    fake_node_enter(leader->node);
    enum replica_change_result result = replica_add(leader->r, &m->cluster->members[m->at]);
    fake_node_leave(leader->node);
    return result;
}

static enum replica_change_result take_out(struct member *leader, uint64_t id)
{
    fake_node_enter(leader->node);
    enum replica_change_result result = replica_remove(leader->r, id);
    fake_node_leave(leader->node);
    return result;
}

/* A leader that may change the group. */
static struct member *settled_leader(struct cluster *c)
{
    struct member *leader = cluster_elect(c);
    cluster_write(c, leader, 1);
    return leader;
}

static void boot(struct member *m)
{
    assert_int_equal(member_boot(m), REPLICA_STARTED);
}

static void a_new_member_gets_the_log_and_a_vote(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init(&c, 1);
    struct member *leader = settled_leader(&c);
    struct member *n4 = cluster_add_machine(&c);
    boot(n4);
    cluster_write(&c, leader, 200);
    assert_int_equal(n4->state.count, 0);
    assert_int_equal(add(leader, n4), REPLICA_CHANGE_BEGUN);
    assert_int_equal(voters_of(leader), 3); /* not yet */
    cluster_run_until(&c, JOIN_DEADLINE_MS, four_vote);
    struct replica_member there[CB_CLUSTER_NODES_MAX];
    assert_int_equal(replica_members(n4->r, there), 4);
    assert_int_equal(there[3].id, 4);
    assert_string_equal(there[3].name, "n4");
    assert_string_equal(there[3].address, c.members[3].address);
    assert_true(n4->members_changes > 0);
    /* It counts: with it two of the first three are not needed any more. */
    fake_cut_off(c.m[0].node, true);
    leader = cluster_elect(&c);
    cluster_write(&c, leader, 10);
    cluster_fini(&c);
}

static void what_is_needless_or_taken_is_told(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init(&c, 2);
    struct member *leader = cluster_elect(&c);
    struct member *n4 = cluster_add_machine(&c);
    struct member *n5 = cluster_add_machine(&c);
    boot(n4);
    assert_int_equal(add(leader, n4), REPLICA_CHANGE_BUSY); /* it has committed nothing yet */
    cluster_write(&c, leader, 1);
    assert_int_equal(add(cluster_other(&c, leader), n4), REPLICA_CHANGE_NOT_LEADER);
    assert_int_equal(add(leader, n4), REPLICA_CHANGE_BEGUN);
    assert_int_equal(add(leader, n5), REPLICA_CHANGE_BUSY);
    assert_int_equal(take_out(leader, 4), REPLICA_CHANGE_BUSY);
    cluster_run_until(&c, JOIN_DEADLINE_MS, four_vote);
    leader = settled_leader(&c);
    assert_int_equal(add(leader, n4), REPLICA_CHANGE_NEEDLESS);
    assert_int_equal(take_out(leader, 77), REPLICA_CHANGE_NEEDLESS);
    c.members[4].id = 4;
    assert_int_equal(add(leader, n5), REPLICA_CHANGE_TAKEN);
    c.members[4].id = 5;
    strcpy(c.members[4].name, "n1");
    assert_int_equal(add(leader, n5), REPLICA_CHANGE_TAKEN);
    strcpy(c.members[4].name, "n5");
    strcpy(c.members[4].address, c.members[1].address);
    assert_int_equal(add(leader, n5), REPLICA_CHANGE_TAKEN);
    assert_int_equal(take_out(leader, leader->node->id), REPLICA_CHANGE_SELF);
    cluster_fini(&c);
}

static void a_group_has_a_largest_size(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init(&c, 3);
    struct member *leader = settled_leader(&c);
    for (uint64_t id = HARNESS_MEMBERS + 1; id <= CB_CLUSTER_NODES_MAX; id++) {
        struct replica_member m = {.id = id};
        snprintf(m.name, sizeof m.name, "m%llu", (unsigned long long)id);
        snprintf(m.address, sizeof m.address, "%llu", (unsigned long long)id);
        enum replica_change_result result = REPLICA_CHANGE_BUSY;
        for (int i = 0; i < 100 && result == REPLICA_CHANGE_BUSY; i++) {
            fake_world_run(c.world, 50);
            fake_node_enter(leader->node);
            result = replica_add(leader->r, &m);
            fake_node_leave(leader->node);
        }
        assert_int_equal(result, REPLICA_CHANGE_BEGUN);
    }
    fake_world_run(c.world, 2000);
    struct replica_member one_more = {.id = 8, .name = "m8", .address = "8"};
    fake_node_enter(leader->node);
    assert_int_equal(replica_add(leader->r, &one_more), REPLICA_CHANGE_TOO_MANY);
    fake_node_leave(leader->node);
    assert_int_equal(voters_of(leader), HARNESS_MEMBERS); /* nobody is there */
    cluster_write(&c, leader, 5);
    cluster_fini(&c);
}

/* The log does not go back to its beginning any more: the state comes from another member. */
static void a_new_member_gets_the_state(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init_empty(&c, 4);
    c.config.snapshot_threshold = 100;
    c.config.snapshot_trailing = 50;
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        member_bootstrap(&c.m[i]);
        boot(&c.m[i]);
    }
    struct member *leader = settled_leader(&c);
    cluster_write(&c, leader, 1000);
    struct member *n4 = cluster_add_machine(&c);
    assert_int_equal(add(leader, n4), REPLICA_CHANGE_BEGUN);
    fake_world_run(c.world, 3000);
    boot(n4); /* later */
    cluster_write(&c, leader, 300);
    cluster_run_until(&c, JOIN_DEADLINE_MS, four_vote);
    assert_true(n4->installed >= 1);
    cluster_fini(&c);
}

static bool n4_is_there(struct cluster *c)
{
    struct replica_member there[CB_CLUSTER_NODES_MAX];
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        if (replica_members(c->m[i].r, there) != 4) {
            return false;
        }
    }
    return true;
}

/* It has told nobody what it wanted. */
static void the_next_leader_goes_on(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init(&c, 5);
    struct member *old = settled_leader(&c);
    struct member *n4 = cluster_add_machine(&c);
    assert_int_equal(add(old, n4), REPLICA_CHANGE_BEGUN);
    cluster_run_until(&c, 5000, n4_is_there);
    member_crash(old);
    struct member *leader = settled_leader(&c);
    boot(n4);
    boot(old);
    cluster_write(&c, leader, 50);
    cluster_run_until(&c, JOIN_DEADLINE_MS, four_vote);
    cluster_fini(&c);
}

/* A leader that is cut off has begun a change that nobody has seen: it is taken back. */
static void a_change_that_was_not_committed_is_taken_back(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init(&c, 6);
    struct member *old = settled_leader(&c);
    struct member *n4 = cluster_add_machine(&c);
    fake_cut_off(old->node, true);
    assert_int_equal(add(old, n4), REPLICA_CHANGE_BEGUN);
    struct replica_member there[CB_CLUSTER_NODES_MAX];
    assert_int_equal(replica_members(old->r, there), 4);
    assert_false(replica_members_are_settled(old->r));
    struct member *leader = settled_leader(&c);
    unsigned changes = old->members_changes;
    fake_cut_off(old->node, false);
    cluster_run_until(&c, 10000, cluster_converged);
    assert_int_equal(replica_members(old->r, there), 3);
    assert_true(replica_members_are_settled(old->r));
    assert_true(old->members_changes > changes);
    assert_int_equal(add(leader, n4), REPLICA_CHANGE_BEGUN);
    cluster_fini(&c);
}

static void one_that_goes_is_heard_no_more(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init(&c, 7);
    struct member *leader = settled_leader(&c);
    struct member *gone = cluster_other(&c, leader);
    assert_int_equal(take_out(leader, gone->node->id), REPLICA_CHANGE_BEGUN);
    cluster_write(&c, leader, 20);
    uint64_t term = leader->view.term;
    uint64_t count = gone->state.count;
    fake_world_run(c.world, 20000); /* it wants to be elected, and disturbs nobody */
    assert_int_equal(leader->view.term, term);
    assert_int_equal(leader->view.role, REPLICA_LEADER);
    assert_true(gone->state.count <= count + 20);
    assert_int_equal(voters_of(leader), 2);
    member_crash(gone);

    /* The machine comes again under another id. */
    struct member *n4 = cluster_add_machine(&c);
    strcpy(c.members[3].name, c.members[gone->at].name);
    boot(n4);
    assert_int_equal(add(leader, n4), REPLICA_CHANGE_BEGUN);
    cluster_write(&c, leader, 20);
    fake_world_run(c.world, 5000);
    assert_int_equal(voters_of(leader), 3);
    assert_int_equal(voters_of(n4), 3);
    assert_int_equal(n4->state.count, c.proposed);
    cluster_fini(&c);
}

/* Two of three are left, and one of them is dead: without the other nothing could be committed. */
static void a_change_that_would_stop_the_group_is_refused(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init(&c, 8);
    struct member *leader = settled_leader(&c);
    struct member *dead = cluster_other(&c, leader);
    struct member *alive = cluster_other(&c, dead);
    assert_ptr_not_equal(alive, leader);
    member_crash(dead);
    fake_world_run(c.world, 2000);
    assert_int_equal(take_out(leader, alive->node->id), REPLICA_CHANGE_UNSAFE);
    assert_int_equal(take_out(leader, dead->node->id), REPLICA_CHANGE_BEGUN);
    cluster_write(&c, leader, 10);
    assert_int_equal(voters_of(leader), 2);
    cluster_fini(&c);
}

/* A member was down while another was added and became the leader: of that one it has never heard,
 * and has the news from it alone. */
static void a_leader_that_is_not_known_is_followed(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init(&c, 10);
    struct member *leader = settled_leader(&c);
    struct member *away = cluster_other(&c, leader);
    member_crash(away);
    struct member *n4 = cluster_add_machine(&c);
    boot(n4);
    fake_world_run(c.world, 1000);
    assert_int_equal(add(leader, n4), REPLICA_CHANGE_BEGUN);
    cluster_run_until(&c, JOIN_DEADLINE_MS, four_vote);
    fake_node_enter(leader->node);
    assert_true(replica_transfer(leader->r, n4->node->id));
    fake_node_leave(leader->node);
    fake_world_run(c.world, 200);
    assert_ptr_equal(settled_leader(&c), n4);
    boot(away);
    cluster_write(&c, n4, 20);
    fake_world_run(c.world, 2000);
    assert_int_equal(away->stranger, 4);
    assert_int_equal(voters_of(away), 3); /* whoever says that it is one */
    replica_know(away->r, &c.members[3]);
    cluster_write(&c, settled_leader(&c), 20);
    cluster_run_until(&c, 5000, four_vote);
    assert_true(member_counters(away).heard_by_word > 0);
    cluster_fini(&c);
}

/* One is left of three, and can commit alone. */
static struct member *left_alone(struct cluster *c)
{
    struct member *only = settled_leader(c);
    for (size_t i = 0; i < c->count; i++) {
        if (&c->m[i] != only) {
            assert_int_equal(take_out(only, c->m[i].node->id), REPLICA_CHANGE_BEGUN);
            cluster_write(c, only, 5);
            member_crash(&c->m[i]);
        }
    }
    assert_int_equal(voters_of(only), 1);
    return only;
}

/* g17: an entry that the disk of the only voter lost is known to a member without a vote; what
 * comes in its place is of another term. libraft would give it the same one. */
static void the_only_voter_begins_a_term(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init(&c, 12);
    struct member *only = left_alone(&c);
    uint64_t term = only->view.term;
    for (int i = 0; i < 3; i++) {
        member_crash(only);
        boot(only);
        assert_ptr_equal(settled_leader(&c), only);
        assert_true(only->view.term > term);
        term = only->view.term;
        cluster_write(&c, only, 3);
    }
    assert_true(member_counters(only).g17_term_of_its_own > 0);
    cluster_fini(&c);
}

/* What it is sent once it has the log is lost; the entry that comes then is on the other's disk. */
static bool the_last_one_knows_nothing_of_its_vote(struct cluster *c)
{
    const struct member *last = &c->m[c->count - 1];
    for (size_t i = 0; i + 1 < c->count; i++) {
        const struct member *m = &c->m[i];
        if (m->r != NULL) {
            uint64_t more = fake_disk_last(&m->node->disk) - fake_disk_last(&last->node->disk);
            m->node->cut_to[last->node->id] |= last->state.count > 0 && more == 0;
            return voters_of(m) == 2 && voters_of(last) == 1 && more == 1;
        }
    }
    return false;
}

/* The one that is to have a vote has the log by then, but not the entry that says so; and the only
 * voter has it alone, and dies. Neither can be elected without the vote of the one that has none by
 * its own list (g18). */
static void one_without_a_vote_grants_one(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init(&c, 13);
    struct member *only = left_alone(&c);
    struct member *n4 = cluster_add_machine(&c);
    boot(n4);
    assert_int_equal(add(only, n4), REPLICA_CHANGE_BEGUN);
    cluster_run_until(&c, JOIN_DEADLINE_MS, the_last_one_knows_nothing_of_its_vote);
    member_crash(only);
    assert_int_equal(voters_of(n4), 1);
    only->node->cut_to[n4->node->id] = false;
    boot(only);
    assert_int_equal(voters_of(only), 2);
    assert_ptr_equal(settled_leader(&c), only);
    assert_true(member_counters(n4).g18_asked_without_vote > 0);
    assert_int_equal(voters_of(n4), 2);
    cluster_fini(&c);
}

static void the_members_survive_a_restart_of_all(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init(&c, 9);
    struct member *leader = settled_leader(&c);
    boot(cluster_add_machine(&c));
    assert_int_equal(add(leader, &c.m[3]), REPLICA_CHANGE_BEGUN);
    cluster_run_until(&c, JOIN_DEADLINE_MS, four_vote);
    leader = settled_leader(&c);
    boot(cluster_add_machine(&c));
    assert_int_equal(add(leader, &c.m[4]), REPLICA_CHANGE_BEGUN);
    cluster_run_until(&c, JOIN_DEADLINE_MS, five_vote);
    for (size_t i = 0; i < c.count; i++) {
        member_crash(&c.m[i]);
    }
    for (size_t i = 0; i < c.count; i++) {
        boot(&c.m[i]);
        assert_int_equal(voters_of(&c.m[i]), 5);
    }
    leader = settled_leader(&c);
    cluster_run_until(&c, JOIN_DEADLINE_MS, five_vote);
    cluster_fini(&c);
}

/* g16: the members of a snapshot are those of its index, also where a change and the snapshot come
 * with one leap of the commit index, as after a restart. */
static void a_snapshot_has_the_members_of_its_index(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init_empty(&c, 11);
    c.config.snapshot_threshold = 120;
    c.config.snapshot_trailing = 400;
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        member_bootstrap(&c.m[i]);
        boot(&c.m[i]);
    }
    struct member *leader = settled_leader(&c);
    boot(cluster_add_machine(&c));
    assert_int_equal(add(leader, &c.m[3]), REPLICA_CHANGE_BEGUN);
    cluster_run_until(&c, JOIN_DEADLINE_MS, four_vote);
    for (size_t i = 0; i < c.count; i++) {
        c.m[i].hold_store = true; /* the snapshot waits */
    }
    cluster_write(&c, leader, 150);
    cluster_run_until(&c, 5000, cluster_converged);
    for (size_t i = 0; i < c.count; i++) {
        c.m[i].hold_store = false;
        assert_int_equal(c.m[i].node->disk.snapshot_index, 0);
        member_crash(&c.m[i]);
    }
    for (size_t i = 0; i < c.count; i++) {
        boot(&c.m[i]); /* nobody knows what is committed */
    }
    leader = settled_leader(&c);
    cluster_write(&c, leader, 20);
    cluster_run_until(&c, 5000, cluster_converged);
    uint64_t mended = 0;
    for (size_t i = 0; i < c.count; i++) {
        const struct fake_disk *d = &c.m[i].node->disk;
        assert_true(d->snapshot_index > 0);
        assert_int_equal(d->snapshot_conf_index, replica_members_index(c.m[i].r));
        mended += member_counters(&c.m[i]).g16_members_of_snapshot;
    }
    assert_true(mended > 0);
    cluster_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_member_gets_the_log_and_a_vote),
        cmocka_unit_test(what_is_needless_or_taken_is_told),
        cmocka_unit_test(a_group_has_a_largest_size),
        cmocka_unit_test(a_new_member_gets_the_state),
        cmocka_unit_test(the_next_leader_goes_on),
        cmocka_unit_test(a_change_that_was_not_committed_is_taken_back),
        cmocka_unit_test(one_that_goes_is_heard_no_more),
        cmocka_unit_test(a_change_that_would_stop_the_group_is_refused),
        cmocka_unit_test(a_leader_that_is_not_known_is_followed),
        cmocka_unit_test(the_only_voter_begins_a_term),
        cmocka_unit_test(one_without_a_vote_grants_one),
        cmocka_unit_test(the_members_survive_a_restart_of_all),
        cmocka_unit_test(a_snapshot_has_the_members_of_its_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
