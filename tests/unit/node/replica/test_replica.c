/* Proves that three replicas apply the same entries in the same order: through a change of leader,
 * a handover, restarts with replay, a cut-off leader; and that proposals get the answers they
 * should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "unit/node/replica/replica_harness.h"

static void entries_reach_all(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init(&c, 1);
    struct member *leader = cluster_elect(&c);
    cluster_write(&c, leader, 500);
    cluster_run_until(&c, 5000, cluster_converged);
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        assert_int_equal(c.m[i].live, 500);
        struct replica_counters n = member_counters(&c.m[i]);
        assert_int_equal(n.entries_applied, 500);
        assert_int_equal(n.entries_skipped, 0);
    }
    struct replica_status s;
    replica_status(leader->r, &s);
    assert_int_equal(s.peer_count, HARNESS_MEMBERS);
    assert_string_equal(s.peers[1].name, "n2");
    assert_int_equal(s.applied_index, s.last_index);
    assert_int_equal(replica_backlog(leader->r), 0);
    assert_true(leader->state.applied.index > s.view.term_start_index);
    cluster_fini(&c);
}

static void a_follower_refuses(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init(&c, 2);
    struct member *leader = cluster_elect(&c);
    assert_int_equal(member_propose(cluster_other(&c, leader), "x"), REPLICA_NOT_LEADER);
    cluster_fini(&c);
}

static void the_backlog_is_bounded(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init(&c, 3);
    struct member *leader = cluster_elect(&c);
    cluster_write(&c, leader, 1);
    fake_cut_off(leader->node, true);
    for (uint64_t i = 0; i < CB_RAFT_BACKLOG_MAX; i++) {
        assert_int_equal(member_propose(leader, "lost"), REPLICA_PROPOSED);
    }
    assert_int_equal(member_propose(leader, "lost"), REPLICA_BUSY);
    assert_int_equal(replica_backlog(leader->r), CB_RAFT_BACKLOG_MAX);
    cluster_fini(&c);
}

/* The entries of a leader that was cut off are gone, those of its successor are on all. */
static void a_new_leader_replaces_what_was_not_committed(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init(&c, 4);
    struct member *old = cluster_elect(&c);
    cluster_write(&c, old, 10);
    cluster_run_until(&c, 5000, cluster_converged);
    fake_cut_off(old->node, true);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(member_propose(old, "never committed"), REPLICA_PROPOSED);
    }
    struct member *leader = cluster_elect(&c);
    assert_ptr_not_equal(leader, old);
    cluster_write(&c, leader, 20);
    fake_cut_off(old->node, false);
    cluster_run_until(&c, 10000, cluster_converged);
    assert_int_equal(old->view.role, REPLICA_FOLLOWER);
    /* What it had on disk and told nobody of any more was lowered before it was cut. */
    assert_int_equal(old->lowerings, 1);
    assert_int_equal(member_counters(old).truncates_held, 1);
    cluster_fini(&c);
}

static void leadership_is_handed_over(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init(&c, 5);
    struct member *old = cluster_elect(&c);
    cluster_write(&c, old, 3);
    cluster_run_until(&c, 5000, cluster_converged);
    struct member *next = cluster_other(&c, old);
    fake_node_enter(old->node);
    assert_false(replica_transfer(old->r, 77));
    assert_true(replica_transfer(old->r, next->node->id));
    assert_false(replica_transfer(old->r, next->node->id));
    fake_node_leave(old->node);
    assert_int_equal(member_propose(old, "x"), REPLICA_NOT_LEADER);
    fake_world_run(c.world, 200); /* less than an election takes by itself */
    assert_ptr_equal(cluster_elect(&c), next);
    cluster_write(&c, next, 3);
    cluster_run_until(&c, 5000, cluster_converged);
    cluster_fini(&c);
}

/* All processes are killed. What the owner's store holds is skipped, the rest is replayed. */
static void a_restart_replays_what_is_not_stored(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init(&c, 6);
    struct member *leader = cluster_elect(&c);
    cluster_write(&c, leader, 100);
    cluster_run_until(&c, 5000, cluster_converged);
    c.m[0].hold_store = true;
    cluster_write(&c, leader, 50);
    cluster_run_until(&c, 5000, cluster_converged);
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        member_crash(&c.m[i]);
    }
    assert_int_equal(c.m[0].stored.count, 100);
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        assert_int_equal(member_boot(&c.m[i]), REPLICA_STARTED);
    }
    cluster_elect(&c);
    cluster_run_until(&c, 5000, cluster_converged);
    struct replica_counters n = member_counters(&c.m[0]);
    assert_int_equal(n.entries_skipped, 100);
    assert_int_equal(n.entries_applied, 50);
    assert_int_equal(c.m[0].live, 0);
    assert_int_equal(member_counters(&c.m[1]).entries_applied, 0);
    assert_true(n.g12_entries_unbatched > 150);
    cluster_fini(&c);
}

/* libraft may apply an entry before it is on the own disk: the store is then ahead of the log. */
static void a_store_ahead_of_the_log_is_legal(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init(&c, 7);
    struct member *leader = cluster_elect(&c);
    cluster_write(&c, leader, 10);
    cluster_run_until(&c, 5000, cluster_converged);
    struct member *m = cluster_other(&c, leader);
    m->node->disk_stalled = true;
    cluster_write(&c, leader, 10);
    fake_world_run(c.world, 500);
    assert_int_equal(m->stored.count, 20);
    assert_true(fake_disk_last(&m->node->disk) < m->stored.applied.index);
    assert_true(m->stored_appended.index <= fake_disk_last(&m->node->disk));
    member_crash(m);
    m->node->disk_stalled = false;
    assert_int_equal(member_boot(m), REPLICA_STARTED);
    cluster_write(&c, leader, 10);
    cluster_run_until(&c, 5000, cluster_converged);
    /* The first ten lay in its log, the next ten came again. */
    assert_int_equal(member_counters(m).entries_skipped, 20);
    assert_int_equal(m->live, 10);
    cluster_fini(&c);
}

static void roles_are_told(void **state)
{
    (void)state;
    struct cluster c;
    cluster_init(&c, 8);
    struct member *leader = cluster_elect(&c);
    struct member *follower = cluster_other(&c, leader);
    assert_int_equal(leader->view.leader_id, leader->node->id);
    assert_int_equal(follower->view.role, REPLICA_FOLLOWER);
    unsigned before = follower->view_changes;
    cluster_write(&c, leader, 10);
    assert_int_equal(follower->view_changes, before);
    member_crash(leader);
    struct member *next = cluster_elect(&c);
    assert_true(next->view.term > 2);
    cluster_write(&c, next, 1);
    cluster_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_reach_all),
        cmocka_unit_test(a_follower_refuses),
        cmocka_unit_test(the_backlog_is_bounded),
        cmocka_unit_test(a_new_leader_replaces_what_was_not_committed),
        cmocka_unit_test(leadership_is_handed_over),
        cmocka_unit_test(a_restart_replays_what_is_not_stored),
        cmocka_unit_test(a_store_ahead_of_the_log_is_legal),
        cmocka_unit_test(roles_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
