/* Proves that errors of the log's disk end the process and never reach libraft, that a late write
 * does too unless the disk is full, that a log which has lost entries is refused, and that a cut of
 * the log waits until the owner's stored pair is lower. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

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
    cluster_init(&c, 31);
    leader = cluster_elect(&c);
    follower = cluster_other(&c, leader);
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

static bool keeps_writing;

static void run_on(int err)
{
    dup2(err, STDERR_FILENO);
    for (unsigned ms = 0; ms < 60000; ms += 500) {
        if (leader->r != NULL && (ms == 0 || keeps_writing)) {
            (void)!member_propose(leader, "one more write");
        }
        fake_world_run(c.world, 500);
    }
    _exit(0);
}

/* Runs the cluster on in a child, which must die with status 1 and a sentence that holds `text`. */
static void assert_dies(const char *text)
{
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        run_on(pipe_fds[1]);
    }
    close(pipe_fds[1]);
    char out[4096] = {0};
    size_t len = 0;
    ssize_t n;
    while (len < sizeof out - 1 && (n = read(pipe_fds[0], out + len, sizeof out - 1 - len)) > 0) {
        len += (size_t)n;
    }
    close(pipe_fds[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 1 || strstr(out, text) == NULL) {
        fail_msg("expected a death with \"%s\", got status %d and: %s", text, status, out);
    }
}

static void a_failed_append_ends_the_process(void **state)
{
    (void)state;
    follower->node->append_status = RAFT_IOERR;
    assert_dies("writing the raft log failed");
}

static void a_failed_append_ends_the_leader(void **state)
{
    (void)state;
    leader->node->append_status = RAFT_IOERR;
    assert_dies("writing the raft log failed");
}

static void a_term_that_is_not_stored_ends_the_process(void **state)
{
    (void)state;
    follower->node->set_term_rv = RAFT_IOERR;
    member_crash(leader); /* so that there is an election */
    assert_dies("storing raft term");
}

/* libraft stores the term anew with each vote, which would erase the vote until the next write. */
static void a_vote_is_never_erased_in_its_term(void **state)
{
    (void)state;
    struct member *voter = follower;
    while (voter == leader || voter->node->disk.vote != leader->node->id) {
        voter = cluster_other(&c, voter);
    }
    struct raft_message m = {.type = RAFT_REQUEST_VOTE, .server_id = leader->node->id};
    m.request_vote = (struct raft_request_vote){
        .version = 2,
        .term = leader->view.term,
        .candidate_id = leader->node->id,
        .last_log_index = 1000,
        .last_log_term = leader->view.term,
        .disrupt_leader = true,
    };
    voter->node->set_term_rv = RAFT_IOERR; /* any write of the term would end the process */
    fake_deliver(voter->node, &m);
    voter->node->set_term_rv = 0;
    assert_int_equal(voter->node->disk.vote, leader->node->id);
}

static void a_late_write_ends_the_process(void **state)
{
    (void)state;
    follower->node->disk_stalled = true;
    assert_dies("has not finished a write");
}

static void a_late_snapshot_ends_the_process(void **state)
{
    (void)state;
    follower->node->snapshot_ms = 1000000;
    cluster_write(&c, leader, CB_RAFT_SNAPSHOT_THRESHOLD);
    assert_dies("has not finished a snapshot");
}

/* Where a snapshot cannot be stored (libraft tries again for ever), writes go on all the same. */
static void a_snapshot_that_never_ends_is_late_beside_writes(void **state)
{
    (void)state;
    follower->node->snapshot_ms = 1000000;
    cluster_write(&c, leader, CB_RAFT_SNAPSHOT_THRESHOLD);
    for (uint64_t ms = 0; ms < 5 * c.config.disk_timeout_ms; ms += 500) {
        cluster_write(&c, leader, 2);
        fake_world_run(c.world, 500);
    }
    keeps_writing = true;
    assert_dies("has not finished a snapshot");
    keeps_writing = false;
}

static void a_full_disk_is_waited_for(void **state)
{
    (void)state;
    follower->node->disk_stalled = true;
    follower->free_bytes = 0;
    cluster_write(&c, leader, 5);
    fake_world_run(c.world, 3 * c.config.disk_timeout_ms);
    assert_true(member_counters(follower).disk_full_waits >= 2);
    follower->node->disk_stalled = false;
    follower->free_bytes = UINT64_MAX;
    fake_world_run(c.world, 2000);
    converge();
}

static void after_a_full_disk_a_write_has_its_whole_time(void **state)
{
    (void)state;
    follower->node->disk_stalled = true;
    follower->free_bytes = 0;
    follower->node->disk_ms = 500; /* so that the writes that have gathered take a while */
    cluster_write(&c, leader, 5);
    fake_world_run(c.world, 3 * c.config.disk_timeout_ms);
    follower->free_bytes = UINT64_MAX;
    fake_world_run(c.world, c.config.disk_timeout_ms / 2);
    follower->node->disk_stalled = false;
    fake_world_run(c.world, 20000);
    converge();
}

static void a_process_that_was_frozen_is_not_late(void **state)
{
    (void)state;
    follower->node->disk_ms = 50;
    cluster_write(&c, leader, 5);
    follower->node->process.paused_until_ns =
        (fake_now_ms(c.world) + 3 * c.config.disk_timeout_ms) * UINT64_C(1000000);
    fake_world_run(c.world, 4 * c.config.disk_timeout_ms);
    converge();
}

static void a_damaged_entry_is_named(void **state)
{
    (void)state;
    /* The owner's store is lost, so that the log is applied again. */
    member_crash(follower);
    memset(&follower->stored, 0, sizeof follower->stored);
    struct fake_entry *e = &follower->node->disk.entries[10];
    ((uint8_t *)e->data)[9] ^= 1;
    assert_int_equal(member_boot(follower), REPLICA_STARTED);
    assert_dies("entry 11 of term");
}

static void a_state_of_another_history_is_named(void **state)
{
    (void)state;
    member_crash(follower);
    follower->stored.applied.term += 3;
    assert_int_equal(member_boot(follower), REPLICA_STARTED);
    assert_dies("not of one history");
}

static void a_log_that_lost_entries_must_not_vote(void **state)
{
    (void)state;
    member_crash(follower);
    fake_disk_lose(&follower->node->disk, 3);
    assert_int_equal(member_boot(follower), REPLICA_LOG_SHORTER);
    char text[64];
    snprintf(text, sizeof text, "had entry %llu on disk",
             (unsigned long long)follower->stored_appended.index);
    assert_non_null(strstr(replica_message(follower->r), text));
    /* It takes no part. */
    raft_term term = follower->node->disk.term;
    member_crash(leader);
    fake_world_run(c.world, 5000);
    assert_int_equal(follower->node->disk.term, term);
}

static void an_empty_log_that_had_entries_must_not_vote(void **state)
{
    (void)state;
    member_crash(follower);
    fake_disk_lose(&follower->node->disk, follower->node->disk.count);
    follower->node->disk.term = 0;
    follower->node->disk.vote = 0;
    assert_int_equal(member_boot(follower), REPLICA_LOG_SHORTER);
}

static void a_log_of_another_term_must_not_vote(void **state)
{
    (void)state;
    member_crash(follower);
    follower->stored_appended.term += 1;
    assert_int_equal(member_boot(follower), REPLICA_LOG_SHORTER);
    assert_non_null(strstr(replica_message(follower->r), "is of term"));
}

/* A bootstrapped directory is not taken for an empty one. */
static void only_an_empty_log_is_bootstrapped(void **state)
{
    (void)state;
    member_crash(follower);
    struct replica_config config = c.config;
    struct replica_events events = {.data = follower};
    struct replica_env env = {0};
    config.self = follower->at;
    config.member_count = HARNESS_MEMBERS;
    follower->r = replica_create(&config, &events, &env, fake_node_boot(follower->node));
    fake_node_enter(follower->node);
    assert_false(replica_bootstrap(follower->r));
    fake_node_leave(follower->node);
    assert_string_equal(replica_message(follower->r), "the raft log is not empty");
}

static void a_cut_waits_for_the_stored_pair(void **state)
{
    (void)state;
    struct member *old = leader;
    fake_cut_off(old->node, true);
    uint64_t committed = old->state.applied.index;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(member_propose(old, "never committed"), REPLICA_PROPOSED);
    }
    fake_world_run(c.world, 50);
    member_store(old); /* the owner commits with the pair of now */
    assert_int_equal(old->stored_appended.index, committed + 10);
    leader = cluster_elect(&c);
    cluster_write(&c, leader, 3);
    old->hold_lower = true;
    fake_cut_off(old->node, false);
    fake_world_run(c.world, 2000);
    assert_int_equal(old->lowerings, 1);
    assert_true(old->lower_to.index < committed + 10);
    assert_int_equal(replica_appended(old->r).index, old->lower_to.index);
    assert_int_equal(fake_disk_last(&old->node->disk), committed + 10);
    /* A crash now: nothing is cut, the higher pair still holds. */
    member_crash(old);
    old->lowerings = 0;
    assert_int_equal(member_boot(old), REPLICA_STARTED);
    fake_world_run(c.world, 2000);
    assert_int_equal(old->lowerings, 1);
    old->hold_lower = false;
    member_lowered(old);
    converge();
    /* A crash right after: the lower pair holds too. */
    old->stored_appended = old->lower_to;
    member_crash(old);
    assert_int_equal(member_boot(old), REPLICA_STARTED);
    converge();
}

/* What a follower confirms is what the leader knows to be on its disk. */
static void a_held_follower_confirms_nothing(void **state)
{
    (void)state;
    fake_node_enter(follower->node);
    replica_hold_appends(follower->r, true);
    fake_node_leave(follower->node);
    uint64_t before = fake_disk_last(&follower->node->disk);
    cluster_write(&c, leader, 20);
    fake_world_run(c.world, 500);
    assert_int_equal(fake_disk_last(&follower->node->disk), before + 20);
    struct replica_status s;
    replica_status(leader->r, &s);
    assert_int_equal(s.peers[follower->at].match_index, before);
    fake_node_enter(follower->node);
    replica_hold_appends(follower->r, false);
    fake_node_leave(follower->node);
    fake_world_run(c.world, 500);
    replica_status(leader->r, &s);
    assert_int_equal(s.peers[follower->at].match_index, before + 20);
    converge();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_failed_append_ends_the_process),
        TEST(a_failed_append_ends_the_leader),
        TEST(a_term_that_is_not_stored_ends_the_process),
        TEST(a_vote_is_never_erased_in_its_term),
        TEST(a_late_write_ends_the_process),
        TEST(a_late_snapshot_ends_the_process),
        TEST(a_snapshot_that_never_ends_is_late_beside_writes),
        TEST(a_full_disk_is_waited_for),
        TEST(after_a_full_disk_a_write_has_its_whole_time),
        TEST(a_process_that_was_frozen_is_not_late),
        TEST(a_damaged_entry_is_named),
        TEST(a_state_of_another_history_is_named),
        TEST(a_log_that_lost_entries_must_not_vote),
        TEST(an_empty_log_that_had_entries_must_not_vote),
        TEST(a_log_of_another_term_must_not_vote),
        TEST(only_an_empty_log_is_bootstrapped),
        TEST(a_cut_waits_for_the_stored_pair),
        TEST(a_held_follower_confirms_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
