/* Proves what happens when the transport sees the leader's process go: the members that are left
 * elect one of them at once, one after the other, and a false alarm changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "unit/node/replica/replica_harness.h"

#define ELECTION_IS_QUICK_MS 60 /* round trips of 2 to 4 ms and some writes */
#define SUCCESSION_STEP_MS 100

static struct cluster c;
static struct member *leader;
static struct member *first; /* of the others, by id */
static struct member *second;

static int set_up(void **state)
{
    (void)state;
    cluster_init(&c, 12);
    leader = cluster_elect(&c);
    struct member *one = cluster_other(&c, leader);
    struct member *two = cluster_other(&c, one);
    first = one->at < two->at ? one : two;
    second = one->at < two->at ? two : one;
    cluster_write(&c, leader, 20);
    cluster_run_until(&c, 20000, cluster_converged);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cluster_fini(&c);
    return 0;
}

static void see_end(struct member *m, uint64_t of)
{
    fake_node_enter(m->node);
    replica_link_ended(m->r, of);
    fake_node_leave(m->node);
}

static void see_refusal(struct member *m, uint64_t of)
{
    fake_node_enter(m->node);
    replica_member_gone(m->r, of);
    fake_node_leave(m->node);
}

static uint64_t kill_leader(void)
{
    uint64_t now = fake_now_ms(c.world);
    member_crash(leader);
    see_end(first, leader->node->id);
    see_end(second, leader->node->id);
    return now;
}

static bool one_of_them_leads(struct cluster *cluster)
{
    (void)cluster;
    return first->view.role == REPLICA_LEADER || second->view.role == REPLICA_LEADER;
}

static uint64_t elected_after(uint64_t start, const struct member *expected)
{
    cluster_run_until(&c, 5000, one_of_them_leads);
    assert_int_equal(expected->view.role, REPLICA_LEADER);
    return fake_now_ms(c.world) - start;
}

static void a_leader_is_heard_until_it_is_silent(void **state)
{
    (void)state;
    fake_world_run(c.world, 5ull * c.config.election_ms);
    assert_true(replica_hears_leader(leader->r));
    assert_true(replica_hears_leader(first->r));
    fake_cut_off(first->node, true);
    fake_world_run(c.world, c.config.election_ms + 10);
    assert_false(replica_hears_leader(first->r));
    assert_true(replica_hears_leader(second->r));
    fake_cut_off(first->node, false);
    fake_world_run(c.world, 5ull * c.config.election_ms);
    leader = cluster_elect(&c);
    assert_true(replica_hears_leader(first->r));
}

static void the_first_that_is_left_leads_at_once(void **state)
{
    (void)state;
    uint64_t start = kill_leader();
    see_refusal(second, leader->node->id);
    see_refusal(first, leader->node->id);
    assert_in_range(elected_after(start, first), 0, ELECTION_IS_QUICK_MS);
    assert_int_equal(member_counters(first).successions, 1);
    assert_int_equal(member_counters(second).leaders_gone, 1);
    assert_int_equal(member_counters(second).successions, 0);
    cluster_write(&c, first, 5);
}

/* The other one has only seen its connection end, which is enough for its vote. */
static void one_that_knows_is_enough(void **state)
{
    (void)state;
    uint64_t start = kill_leader();
    see_refusal(first, leader->node->id);
    assert_in_range(elected_after(start, first), 0, ELECTION_IS_QUICK_MS);
    assert_int_equal(member_counters(second).g15_silent_leader, 1);
}

/* Its log ends before that of the second, which so refuses it its vote, and stands next. */
static void one_that_lacks_entries_does_not_keep_the_other(void **state)
{
    (void)state;
    leader->node->cut_to[first->node->id] = true;
    cluster_write(&c, leader, 3);
    fake_world_run(c.world, 10);
    uint64_t start = kill_leader();
    see_refusal(first, leader->node->id);
    see_refusal(second, leader->node->id);
    assert_in_range(elected_after(start, second), SUCCESSION_STEP_MS, 4 * SUCCESSION_STEP_MS);
    leader->node->cut_to[first->node->id] = false;
}

/* libraft would wait for a whole election timeout anew when an entry is not on disk yet. */
static void what_is_being_written_is_waited_for(void **state)
{
    (void)state;
    first->node->disk_ms = 40;
    second->node->disk_ms = 40;
    assert_int_equal(member_propose(leader, "the last one"), REPLICA_PROPOSED);
    fake_world_run(c.world, 10);
    uint64_t start = kill_leader();
    see_refusal(first, leader->node->id);
    see_refusal(second, leader->node->id);
    assert_int_equal(member_counters(first).successions, 0);
    /* The entry, the vote of either, and the term. */
    assert_in_range(elected_after(start, first), 30, 4 * 40 + ELECTION_IS_QUICK_MS);
}

static void a_leader_that_lives_stays(void **state)
{
    (void)state;
    uint64_t term = leader->view.term;
    see_end(first, leader->node->id);
    see_refusal(first, leader->node->id);
    assert_int_equal(member_counters(first).successions, 1);
    fake_world_run(c.world, 3 * c.config.election_ms);
    assert_ptr_equal(cluster_elect(&c), leader);
    assert_int_equal(leader->view.term, term);
    cluster_write(&c, leader, 5);
}

static void another_member_is_not_missed(void **state)
{
    (void)state;
    uint64_t term = leader->view.term;
    see_end(first, second->node->id);
    see_refusal(first, second->node->id);
    see_refusal(leader, second->node->id);
    fake_world_run(c.world, 3 * c.config.election_ms);
    assert_int_equal(member_counters(first).leaders_gone, 0);
    assert_ptr_equal(cluster_elect(&c), leader);
    assert_int_equal(leader->view.term, term);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_leader_is_heard_until_it_is_silent),
        TEST(the_first_that_is_left_leads_at_once),
        TEST(one_that_knows_is_enough),
        TEST(one_that_lacks_entries_does_not_keep_the_other),
        TEST(what_is_being_written_is_waited_for),
        TEST(a_leader_that_lives_stays),
        TEST(another_member_is_not_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
