/* Proves that a snapshot is a marker that waits for the owner's store, that a member which is too
 * far behind gets the state, once, and survives a crash at any point of it, and that a store which
 * ends before the log begins is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "unit/node/replica/replica_harness.h"

#define THRESHOLD 64
#define TRAILING 128
#define FAR 400 /* entries after which a member that was away needs the state */

static struct cluster c;
static struct member *leader;
static struct member *away;

static void converge(void)
{
    cluster_run_until(&c, 60000, cluster_converged);
}

static bool install_is_wanted(struct cluster *all)
{
    (void)all;
    return away->install_pending;
}

/* `away` is too far behind for the log, knows it, and has not got the state yet. */
static void let_fetch_begin(void)
{
    away->hold_install = true;
    fake_cut_off(away->node, true);
    cluster_write(&c, leader, FAR);
    fake_cut_off(away->node, false);
    cluster_run_until(&c, 30000, install_is_wanted);
}

static int set_up(void **state)
{
    (void)state;
    cluster_init_empty(&c, 21);
    c.config.snapshot_threshold = THRESHOLD;
    c.config.snapshot_trailing = TRAILING;
    c.config.inflight_max = 16;
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        member_bootstrap(&c.m[i]);
        assert_int_equal(member_boot(&c.m[i]), REPLICA_STARTED);
    }
    leader = cluster_elect(&c);
    away = cluster_other(&c, leader);
    cluster_write(&c, leader, 20);
    converge();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cluster_fini(&c);
    return 0;
}

static void a_marker_waits_for_the_store(void **state)
{
    (void)state;
    leader->hold_store = true;
    cluster_write(&c, leader, 200);
    converge();
    fake_world_run(c.world, 1000);
    assert_true(leader->wanted_durable > leader->stored.applied.index);
    assert_int_equal(leader->node->disk.snapshot_index, 0);
    assert_int_equal(leader->node->disk.first, 1);
    assert_int_equal(member_counters(leader).puts_held_for_store, 1);
    /* The others went on. */
    assert_true(away->node->disk.snapshot_index > 0);
    leader->hold_store = false;
    member_store(leader);
    fake_world_run(c.world, 100);
    assert_true(leader->node->disk.snapshot_index >= leader->wanted_durable);
    assert_true(leader->stored.applied.index >= leader->node->disk.snapshot_index);
    assert_true(leader->node->disk.snapshot_data.len < 64);
}

static uint64_t entries_kept(uint64_t log_bytes)
{
    struct cluster small;
    cluster_init_empty(&small, 22);
    small.config.log_bytes = log_bytes;
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        member_bootstrap(&small.m[i]);
        assert_int_equal(member_boot(&small.m[i]), REPLICA_STARTED);
    }
    struct member *m = cluster_elect(&small);
    for (int i = 0; i < 20; i++) {
        cluster_write(&small, m, 40);
        fake_world_run(small.world, 200);
    }
    uint64_t kept = m->node->disk.count;
    cluster_fini(&small);
    return kept;
}

/* With their frames these entries take some 32 bytes each. */
static void large_entries_make_a_short_log(void **state)
{
    (void)state;
    assert_true(entries_kept(CB_RAFT_LOG_BYTES) > 800);
    uint64_t kept = entries_kept(CB_KIB);
    uint64_t least = CB_RAFT_SNAPSHOT_TRAILING_MIN;
    assert_in_range(kept, least, least + 2 * CB_RAFT_SNAPSHOT_THRESHOLD_MIN + 40);
    assert_in_range(entries_kept(24 * CB_KIB), kept + 100, 800);
}

static void a_restart_from_a_marker(void **state)
{
    (void)state;
    cluster_write(&c, leader, FAR);
    converge();
    assert_true(leader->node->disk.first > 1);
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        member_crash(&c.m[i]);
    }
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        assert_int_equal(member_boot(&c.m[i]), REPLICA_STARTED);
    }
    leader = cluster_elect(&c);
    cluster_write(&c, leader, 10);
    converge();
}

static void a_state_behind_the_log_is_refused(void **state)
{
    (void)state;
    cluster_write(&c, leader, FAR);
    converge();
    member_crash(away);
    memset(&away->stored, 0, sizeof away->stored);
    assert_int_equal(member_boot(away), REPLICA_STATE_BEHIND);
    assert_non_null(strstr(replica_message(away->r), "stored state ends at entry 0"));
}

static void a_member_far_behind_gets_the_state(void **state)
{
    (void)state;
    fake_cut_off(away->node, true);
    cluster_write(&c, leader, FAR);
    uint64_t had = away->state.count;
    fake_cut_off(away->node, false);
    leader = cluster_elect(&c);
    cluster_write(&c, leader, 50);
    converge();
    assert_int_equal(away->installed, 1);
    assert_int_equal(member_counters(away).installs, 1);
    assert_true(member_counters(away).entries_applied < had + FAR);
    /* What lies on its disk is a marker again. */
    assert_true(away->node->disk.snapshot_data.len < 64);
    member_crash(away);
    assert_int_equal(member_boot(away), REPLICA_STARTED);
    converge();
}

static bool is_told_again(struct cluster *all)
{
    (void)all;
    return away->install_pending && member_counters(leader).installs_sent > 1;
}

/* The leader keeps little, and `away` had to be told twice. */
static void fall_behind_again(void)
{
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        member_crash(&c.m[i]);
    }
    c.config.log_bytes = CB_KIB;
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        assert_int_equal(member_boot(&c.m[i]), REPLICA_STARTED);
    }
    leader = cluster_elect(&c);
    away = cluster_other(&c, leader);
    let_fetch_begin();
    leader = cluster_elect(&c);
    assert_true(member_fetch(away));
    cluster_write(&c, leader, FAR);
    assert_int_equal(member_counters(leader).proposals_slowed, 0);
    member_install_fetched(away);
    cluster_run_until(&c, 60000, is_told_again); /* libraft waits for 30 s */
}

/* The log was kept for it, but not for long enough: the second time entries come slowly, until it
 * is there. */
static void one_that_falls_behind_again_slows_the_leader(void **state)
{
    (void)state;
    fall_behind_again();
    cluster_write(&c, leader, 50);
    assert_true(member_counters(leader).proposals_slowed > 0);
    away->hold_install = false;
    member_install(away);
    converge();
    fake_world_run(c.world, 1000);
    uint64_t slowed = member_counters(leader).proposals_slowed;
    cluster_write(&c, leader, 50);
    assert_int_equal(member_counters(leader).proposals_slowed, slowed);
}

static void hand_over(struct member *to)
{
    fake_node_enter(leader->node);
    assert_true(replica_transfer(leader->r, to->node->id));
    fake_node_leave(leader->node);
    fake_world_run(c.world, 200);
    leader = cluster_elect(&c);
    assert_ptr_equal(leader, to);
    cluster_write(&c, leader, 3);
}

/* A member was behind when it led before; now it is again, and that is the first time. */
static void who_leads_again_slows_nobody_at_first(void **state)
{
    (void)state;
    fall_behind_again();
    struct member *first = leader, *next = NULL;
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        next = &c.m[i] != leader && &c.m[i] != away ? &c.m[i] : next;
    }
    hand_over(next);
    away->hold_install = false;
    member_install(away);
    converge();
    hand_over(first);
    converge();
    uint64_t slowed = member_counters(first).proposals_slowed;
    uint64_t sent = member_counters(first).installs_sent;
    let_fetch_begin();
    assert_true(member_counters(first).installs_sent > sent);
    cluster_write(&c, first, 50);
    assert_int_equal(member_counters(first).proposals_slowed, slowed);
    away->hold_install = false;
    member_install(away);
    converge();
}

static void a_member_is_told_once_while_it_fetches(void **state)
{
    (void)state;
    let_fetch_begin();
    leader = cluster_elect(&c);
    uint64_t sent = member_counters(leader).installs_sent;
    fake_world_run(c.world, 10 * CB_RAFT_INSTALL_RESEND_MS);
    assert_in_range(member_counters(leader).installs_sent, sent, sent + 1);
    away->hold_install = false;
    member_install(away);
    converge();
    assert_int_equal(away->installed, 1);
}

/* libraft's own timer begins anew meanwhile. */
static void a_leader_is_heard_while_its_state_is_fetched(void **state)
{
    (void)state;
    let_fetch_begin();
    fake_world_run(c.world, 5ull * c.config.election_ms);
    assert_true(replica_hears_leader(away->r));
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        c.m[i].node->cut_to[away->node->id] = true;
    }
    fake_world_run(c.world, c.config.election_ms + 10);
    assert_false(replica_hears_leader(away->r));
    fake_world_run(c.world, 5ull * c.config.election_ms);
    assert_false(replica_hears_leader(away->r));
}

/* So that the entries after that state are still there. */
static void the_log_is_kept_while_a_state_is_fetched(void **state)
{
    (void)state;
    let_fetch_begin();
    leader = cluster_elect(&c);
    uint64_t snapshot = leader->node->disk.snapshot_index;
    cluster_write(&c, leader, FAR);
    fake_world_run(c.world, 200);
    assert_true(leader->node->disk.snapshot_index <= snapshot + THRESHOLD);
    away->hold_install = false;
    member_install(away);
    converge();
    assert_int_equal(away->installed, 1);
    /* And is cut again once the member has it, as the next tick sees. */
    fake_world_run(c.world, 2ull * c.config.heartbeat_ms);
    cluster_write(&c, leader, 2 * THRESHOLD);
    converge();
    assert_true(leader->node->disk.snapshot_index > snapshot + THRESHOLD);
}

/* What was written while the new state was loaded is still in the log too, and goes on being kept
 * until the member has it. */
static void the_log_is_kept_until_the_member_follows(void **state)
{
    (void)state;
    let_fetch_begin();
    leader = cluster_elect(&c);
    assert_true(member_fetch(away));
    cluster_write(&c, leader, 3 * FAR);
    member_install_fetched(away);
    away->hold_install = false;
    for (int i = 0; i < 20; i++) {
        cluster_write(&c, leader, THRESHOLD);
    }
    converge();
    assert_int_equal(away->installed, 1);
    uint64_t snapshot = leader->node->disk.snapshot_index;
    cluster_write(&c, leader, 2 * THRESHOLD);
    converge();
    assert_true(leader->node->disk.snapshot_index > snapshot);
}

/* The process dies while the owner installs, and once between the owner's install and the marker.
 */
static void a_crash_while_installing(void **state)
{
    (void)state;
    let_fetch_begin();
    member_crash(away);
    away->install_pending = false;
    assert_int_equal(member_boot(away), REPLICA_STARTED);
    cluster_run_until(&c, 30000, install_is_wanted);
    member_install(away);
    assert_int_equal(away->node->disk.snapshot_index, 0);
    member_crash(away); /* the marker is not on disk, the state is: it is ahead of the log */
    away->hold_install = false;
    assert_int_equal(member_boot(away), REPLICA_STARTED);
    converge();
    cluster_write(&c, cluster_elect(&c), 10);
    converge();
}

/* Entries that a member had on disk alone go with an install: the stored pair goes first. */
static void an_install_that_cuts_the_log_lowers_the_pair(void **state)
{
    (void)state;
    struct member *old = leader;
    fake_cut_off(old->node, true);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(member_propose(old, "never committed"), REPLICA_PROPOSED);
    }
    fake_world_run(c.world, 20);
    struct replica_mark before = replica_appended(old->r);
    member_store(old);
    leader = cluster_elect(&c);
    cluster_write(&c, leader, FAR);
    old->hold_lower = true;
    fake_cut_off(old->node, false);
    fake_world_run(c.world, 3000);
    /* Either the first conflicting entries or the snapshot cut it; both wait for the owner. */
    if (old->lowerings > 0) {
        assert_true(replica_appended(old->r).index < before.index);
        assert_true(fake_disk_last(&old->node->disk) >= before.index);
        old->hold_lower = false;
        member_lowered(old);
    }
    old->hold_lower = false;
    converge();
    assert_true(old->stored_appended.index <= fake_disk_last(&old->node->disk));
    member_crash(old);
    assert_int_equal(member_boot(old), REPLICA_STARTED);
    converge();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_marker_waits_for_the_store),
        TEST(large_entries_make_a_short_log),
        TEST(a_restart_from_a_marker),
        TEST(a_state_behind_the_log_is_refused),
        TEST(a_member_far_behind_gets_the_state),
        TEST(one_that_falls_behind_again_slows_the_leader),
        TEST(who_leads_again_slows_nobody_at_first),
        TEST(a_member_is_told_once_while_it_fetches),
        TEST(a_leader_is_heard_while_its_state_is_fetched),
        TEST(the_log_is_kept_while_a_state_is_fetched),
        TEST(the_log_is_kept_until_the_member_follows),
        TEST(a_crash_while_installing),
        TEST(an_install_that_cuts_the_log_lowers_the_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
