/* Proves that each guard around libraft sees its message: its counter rises, what libraft would
 * have done wrong does not happen, and the cluster goes on. The messages are crafted; that they
 * come about by themselves is what the simulation shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "node/replica/replica_frame.h"
#include "unit/node/replica/replica_harness.h"

static struct cluster c;
static struct member *leader;
static struct member *follower;

static void converge(void)
{
    cluster_run_until(&c, 20000, cluster_converged);
}

static int set_up(void **state)
{
    (void)state;
    cluster_init_empty(&c, 11);
    c.config.snapshot_threshold = 64;
    c.config.snapshot_trailing = 128;
    c.config.inflight_max = 16;
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        member_bootstrap(&c.m[i]);
        assert_int_equal(member_boot(&c.m[i]), REPLICA_STARTED);
    }
    leader = cluster_elect(&c);
    follower = cluster_other(&c, leader);
    cluster_write(&c, leader, 20);
    converge();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_world_on_send(c.world, NULL, NULL);
    cluster_fini(&c);
    return 0;
}

/* The cluster still works. */
static void assert_alive(void)
{
    leader = cluster_elect(&c);
    cluster_write(&c, leader, 5);
    converge();
}

static uint64_t last_of(struct member *m)
{
    struct replica_status s;
    replica_status(m->r, &s);
    return s.last_index;
}

/* A heartbeat as the leader sends it now. */
static struct raft_message heartbeat(void)
{
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES, .server_id = leader->node->id};
    m.append_entries = (struct raft_append_entries){
        .version = 1,
        .term = leader->view.term,
        .prev_log_index = last_of(follower),
        .prev_log_term = leader->view.term,
        .leader_commit = member_commit_index(leader),
    };
    return m;
}

static struct raft_configuration configuration(void)
{
    struct raft_configuration conf;
    fake_node_enter(follower->node);
    raft_configuration_init(&conf);
    for (size_t i = 0; i < HARNESS_MEMBERS; i++) {
        int rv = raft_configuration_add(&conf, c.members[i].id, c.members[i].address, RAFT_VOTER);
        assert_int_equal(rv, 0);
    }
    fake_node_leave(follower->node);
    return conf;
}

/* What a leader could send: a snapshot `ahead` entries above the follower's log. */
static void deliver_install(uint64_t term, uint64_t ahead, bool damaged)
{
    uint8_t frame[REPLICA_MARKER_SIZE];
    struct toy_state toy = {.applied = {last_of(follower) + ahead, term}};
    follower->offered = toy;
    replica_marker_write(frame, toy.applied.index);
    frame[sizeof frame - 1] ^= (uint8_t)damaged;
    struct raft_message m = {.type = RAFT_INSTALL_SNAPSHOT, .server_id = leader->node->id};
    m.install_snapshot = (struct raft_install_snapshot){
        .version = 1,
        .term = term,
        .last_index = toy.applied.index,
        .last_term = term,
        .conf = configuration(),
        .conf_index = 1,
        .data = {.base = frame, .len = sizeof frame},
    };
    fake_node_enter(follower->node);
    fake_deliver(follower->node, &m);
    raft_configuration_close(&m.install_snapshot.conf);
    fake_node_leave(follower->node);
}

static void g0_a_stranger_is_not_heard(void **state)
{
    (void)state;
    struct raft_message m = heartbeat();
    m.server_id = 7;
    m.append_entries.term = 1000;
    fake_deliver(follower->node, &m);
    assert_int_equal(follower->stranger, 7);
    m.type = (enum raft_message_type)99;
    m.server_id = leader->node->id;
    fake_deliver(follower->node, &m);
    m = (struct raft_message){.type = RAFT_APPEND_ENTRIES_RESULT, .server_id = 7};
    m.append_entries_result = (struct raft_append_entries_result){.version = 1, .term = 1000};
    fake_deliver(leader->node, &m);
    assert_int_equal(member_counters(follower).g0_unknown_sender, 2);
    assert_int_equal(member_counters(leader).g0_unknown_sender, 1);
    assert_int_equal(follower->view.term, leader->view.term);
    assert_alive();
}

/* Without it the follower would record the change at the index of the entry before it. */
static void g1_a_change_comes_first_or_waits(void **state)
{
    (void)state;
    uint8_t command[16];
    replica_entry_frame_write(command, cb_span("12345678", 8));
    struct raft_configuration conf = configuration();
    struct raft_buffer encoded;
    fake_node_enter(follower->node);
    assert_int_equal(raft_configuration_encode(&conf, &encoded), 0);
    fake_node_leave(follower->node);
    uint64_t term = leader->view.term;
    struct raft_entry entries[3] = {
        {.term = term, .type = RAFT_COMMAND, .buf = {command, sizeof command}},
        {.term = term, .type = RAFT_CHANGE, .buf = encoded},
        {.term = term, .type = RAFT_COMMAND, .buf = {command, sizeof command}},
    };
    struct raft_message m = heartbeat();
    m.append_entries.entries = entries;
    m.append_entries.n_entries = 3;
    uint64_t last = last_of(follower);
    fake_deliver(follower->node, &m);
    assert_int_equal(member_counters(follower).g1_cut_at_change, 1);
    assert_int_equal(last_of(follower), last + 1);

    /* At the first place it passes. */
    m.append_entries.prev_log_index = last + 1;
    m.append_entries.entries = entries + 1;
    m.append_entries.n_entries = 2;
    fake_deliver(follower->node, &m);
    assert_int_equal(member_counters(follower).g1_cut_at_change, 1);
    assert_int_equal(last_of(follower), last + 3);
    fake_world_run(c.world, 50);
}

static void g2_no_install_while_taking(void **state)
{
    (void)state;
    follower->hold_store = true; /* the snapshot it takes will wait */
    cluster_write(&c, leader, 80);
    converge();
    assert_int_not_equal(follower->wanted_durable, 0);
    assert_int_equal(follower->node->puts, 0);
    deliver_install(leader->view.term, 10, false);
    assert_int_equal(member_counters(follower).g2_install_while_busy, 1);
    assert_false(follower->install_pending);
    follower->hold_store = false;
    member_store(follower);
    assert_alive();
    assert_int_equal(follower->node->puts, 1);
}

static void g2_no_second_install(void **state)
{
    (void)state;
    follower->hold_install = true;
    deliver_install(leader->view.term, 10, false);
    assert_true(follower->install_pending);
    deliver_install(leader->view.term, 20, false);
    assert_int_equal(member_counters(follower).g2_install_while_busy, 1);
    /* g10: meanwhile the leader's commit index is not taken over. */
    uint64_t commit = member_commit_index(follower);
    struct raft_message m = heartbeat();
    m.append_entries.prev_log_index = commit + 10;
    m.append_entries.leader_commit = commit + 5;
    fake_deliver(follower->node, &m);
    assert_true(member_counters(follower).g10_commit_while_installing > 0);
    assert_int_equal(member_commit_index(follower), commit);
}

/* Entries of its own go with the install: a crash after the marker and before the pair would leave
 * a log that is shorter than the pair says. */
static void an_install_waits_for_the_stored_pair(void **state)
{
    (void)state;
    struct member *old = leader;
    fake_cut_off(old->node, true);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(member_propose(old, "never committed"), REPLICA_PROPOSED);
    }
    fake_world_run(c.world, 50);
    member_store(old);
    uint64_t last = last_of(old);
    assert_int_equal(old->stored_appended.index, last);
    leader = cluster_elect(&c);
    follower = old;
    old->hold_lower = true;
    unsigned puts = old->node->puts;
    deliver_install(leader->view.term, (uint64_t)-20, false);
    fake_world_run(c.world, 100);
    assert_int_equal(old->lowerings, 1);
    assert_int_equal(old->lower_to.index, last - 20);
    assert_int_equal(old->node->puts, puts);
    member_lowered(old);
    fake_world_run(c.world, 100);
    assert_int_equal(old->node->puts, puts + 1);
}

static void g3_the_commit_index_never_falls(void **state)
{
    (void)state;
    uint64_t commit = member_commit_index(follower);
    struct raft_message m = heartbeat();
    m.append_entries.prev_log_index = commit - 5;
    m.append_entries.leader_commit = commit + 1;
    fake_deliver(follower->node, &m);
    assert_int_equal(member_counters(follower).g3_commit_would_go_back, 1);
    assert_int_equal(member_commit_index(follower), commit);
    assert_alive();
}

static void g4_a_late_rejection_is_not_heard(void **state)
{
    (void)state;
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES_RESULT, .server_id = follower->node->id};
    m.append_entries_result = (struct raft_append_entries_result){
        .version = 1,
        .term = leader->view.term,
        .rejected = 5,
        .last_log_index = 4,
        .capacity = UINT16_MAX,
    };
    fake_deliver(leader->node, &m);
    assert_int_equal(member_counters(leader).g4_rejected_below_match, 1);
    assert_alive();
}

/* Remembers the last message of one type that a node sent. */
static struct raft_message seen;
static enum raft_message_type wanted;
static unsigned seen_count;

static void watch(void *ctx, raft_id from, const struct raft_message *m)
{
    const struct member *sender = ctx;
    if (from == sender->node->id && m->type == wanted) {
        seen = *m;
        seen_count++;
    }
}

static void g6_the_term_is_that_of_the_loaded_snapshot(void **state)
{
    (void)state;
    fake_cut_off(follower->node, true);
    cluster_write(&c, leader, 400);
    /* As if another snapshot had landed between libraft's decision and the loading. */
    leader->node->disk.snapshot_term = leader->view.term + 7;
    wanted = RAFT_INSTALL_SNAPSHOT;
    seen_count = 0;
    fake_world_on_send(c.world, watch, leader);
    fake_cut_off(follower->node, false);
    follower->hold_install = true;
    while (seen_count == 0) {
        assert_true(fake_world_step(c.world));
    }
    assert_int_equal(seen.install_snapshot.last_term, leader->view.term + 7);
    assert_true(member_counters(leader).g6_snapshot_term > 0);
}

static void g7_a_snapshot_waits_for_earlier_appends(void **state)
{
    (void)state;
    cluster_write(&c, leader, 35);
    converge();
    follower->node->disk_stalled = true;
    cluster_write(&c, leader, 12); /* fewer than the leader sends without an answer */
    /* It applies what the others have on disk, and so takes a snapshot of it. */
    fake_world_run(c.world, 500);
    assert_true(member_counters(follower).g7_put_held_for_appends > 0);
    assert_int_equal(follower->node->puts, 0);
    follower->node->disk_stalled = false;
    fake_world_run(c.world, 500);
    assert_int_equal(follower->node->puts, 1);
    assert_alive();
}

static void g9_a_leader_of_the_past_is_not_heard(void **state)
{
    (void)state;
    struct raft_message m = heartbeat();
    m.append_entries.term = leader->view.term - 1;
    m.append_entries.prev_log_index = 0;
    m.append_entries.prev_log_term = 0;
    fake_deliver(follower->node, &m);
    deliver_install(leader->view.term - 1, 10, false);
    assert_int_equal(member_counters(follower).g9_stale_leader, 2);
    assert_alive();
}

static void g11_only_a_candidate_counts_votes(void **state)
{
    (void)state;
    struct raft_message m = {.type = RAFT_REQUEST_VOTE_RESULT, .server_id = leader->node->id};
    m.request_vote_result = (struct raft_request_vote_result){
        .version = 2, .term = leader->view.term + 1, .vote_granted = true};
    uint64_t before = member_counters(follower).g11_vote_not_candidate;
    fake_deliver(follower->node, &m);
    assert_int_equal(member_counters(follower).g11_vote_not_candidate, before + 1);
    assert_int_equal(follower->view.term, leader->view.term);
    assert_alive();
}

/* Each loaded entry has memory of its own: a snapshot frees the old ones while others stay. */
static void g12_loaded_entries_stand_alone(void **state)
{
    (void)state;
    member_crash(follower);
    assert_int_equal(member_boot(follower), REPLICA_STARTED);
    assert_true(member_counters(follower).g12_entries_unbatched > 20);
    cluster_write(&c, leader, 300); /* several snapshots cut the loaded entries off */
    converge();
    assert_true(member_counters(follower).snapshots >= 2);
    assert_alive();
}

static void g13_a_refused_prevote_tells_our_term(void **state)
{
    (void)state;
    struct member *third = cluster_other(&c, follower);
    third = third == leader ? cluster_other(&c, third) : third;
    wanted = RAFT_REQUEST_VOTE_RESULT;
    seen_count = 0;
    fake_world_on_send(c.world, watch, follower);
    struct raft_message m = {.type = RAFT_REQUEST_VOTE, .server_id = third->node->id};
    m.request_vote = (struct raft_request_vote){
        .version = 2,
        .term = leader->view.term - 1,
        .candidate_id = third->node->id,
        .last_log_index = 1,
        .last_log_term = 1,
        .pre_vote = true,
    };
    fake_deliver(follower->node, &m);
    assert_int_equal(seen_count, 1);
    assert_false(seen.request_vote_result.vote_granted);
    assert_int_equal(seen.request_vote_result.term, leader->view.term);
    assert_int_equal(member_counters(follower).g13_prevote_term, 1);
    assert_alive();
}

static struct raft_message prevote_from(const struct member *candidate)
{
    struct raft_message m = {.type = RAFT_REQUEST_VOTE, .server_id = candidate->node->id};
    m.request_vote = (struct raft_request_vote){
        .version = 2,
        .term = follower->view.term + 1,
        .candidate_id = candidate->node->id,
        .last_log_index = 1000,
        .last_log_term = follower->view.term,
        .pre_vote = true,
    };
    return m;
}

/* A vote is refused while the leader can still be there, and not until the own timeout has passed
 * too, which is up to twice as long. */
static void g15_a_silent_leader_is_no_leader(void **state)
{
    (void)state;
    struct member *third = cluster_other(&c, follower);
    third = third == leader ? cluster_other(&c, third) : third;
    wanted = RAFT_REQUEST_VOTE_RESULT;
    seen_count = 0;
    fake_world_on_send(c.world, watch, follower);
    fake_cut_off(follower->node, true);
    struct raft_message m = prevote_from(third);
    fake_world_run(c.world, c.config.election_ms - c.config.heartbeat_ms - 20);
    fake_deliver(follower->node, &m);
    assert_int_equal(seen_count, 1);
    assert_false(seen.request_vote_result.vote_granted);
    assert_int_equal(member_counters(follower).g15_silent_leader, 0);
    while (follower->view.role == REPLICA_FOLLOWER && seen_count < 100 &&
           !seen.request_vote_result.vote_granted) {
        fake_world_run(c.world, 5);
        fake_deliver(follower->node, &m);
    }
    assert_true(seen.request_vote_result.vote_granted);
    assert_int_equal(member_counters(follower).g15_silent_leader, 1);
    fake_cut_off(follower->node, false);
    assert_alive();
}

/* Without it the first entries of the log would be appended at its end. */
static void g14_entries_from_the_beginning_are_not_appended(void **state)
{
    (void)state;
    cluster_write(&c, leader, 400);
    converge();
    assert_true(follower->node->disk.first > 1);
    uint8_t command[16];
    replica_entry_frame_write(command, cb_span("12345678", 8));
    struct raft_entry e = {.term = 1, .type = RAFT_COMMAND, .buf = {command, sizeof command}};
    struct raft_message m = heartbeat();
    m.append_entries.prev_log_index = 0;
    m.append_entries.prev_log_term = 0;
    m.append_entries.entries = &e;
    m.append_entries.n_entries = 1;
    uint64_t last = last_of(follower);
    uint64_t commit = member_commit_index(follower);
    fake_deliver(follower->node, &m);
    assert_int_equal(member_counters(follower).g14_from_zero, 1);
    assert_int_equal(last_of(follower), last);
    assert_int_equal(member_commit_index(follower), commit);
    assert_alive();
}

static void a_damaged_marker_is_not_heard(void **state)
{
    (void)state;
    deliver_install(leader->view.term, 10, true);
    assert_int_equal(member_counters(follower).markers_bad, 1);
    assert_false(follower->install_pending);
    assert_alive();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(g0_a_stranger_is_not_heard),
        TEST(g1_a_change_comes_first_or_waits),
        TEST(g2_no_install_while_taking),
        TEST(g2_no_second_install),
        TEST(an_install_waits_for_the_stored_pair),
        TEST(g3_the_commit_index_never_falls),
        TEST(g4_a_late_rejection_is_not_heard),
        TEST(g6_the_term_is_that_of_the_loaded_snapshot),
        TEST(g7_a_snapshot_waits_for_earlier_appends),
        TEST(g9_a_leader_of_the_past_is_not_heard),
        TEST(g11_only_a_candidate_counts_votes),
        TEST(g12_loaded_entries_stand_alone),
        TEST(g13_a_refused_prevote_tells_our_term),
        TEST(g14_entries_from_the_beginning_are_not_appended),
        TEST(g15_a_silent_leader_is_no_leader),
        TEST(a_damaged_marker_is_not_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
