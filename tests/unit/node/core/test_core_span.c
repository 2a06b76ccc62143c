/* The machine's way to the store: when a span is committed and when not, what it carries, and that
 * a core starts from nothing but what was stored. */
#include "unit/node/core/core_rig.h"

static int init(void **state)
{
    static struct core_rig rig;
    core_rig_init(&rig);
    *state = &rig;
    return 0;
}

static int fini(void **state)
{
    core_rig_fini(*state);
    return 0;
}

/* The first span after a start is old already: it goes at once. */
static void begin(struct core_rig *r)
{
    core_rig_open_session(r);
    core_turn(r->core);
    assert_int_equal(core_rig_store(r), 1);
    assert_int_equal(core_durable(r->core)->index, r->index);
}

static void put_and_turn(struct core_rig *r, size_t len)
{
    core_rig_put(r, len);
    core_turn(r->core);
}

static void a_span_is_committed_when_it_is_old(void **state)
{
    struct core_rig *r = *state;
    begin(r);
    uint64_t due = r->mono_ns + CORE_SPAN_NS;
    put_and_turn(r, 10);
    assert_int_equal(r->timers[CORE_TIMER_SPAN], due);
    core_rig_advance(r, CORE_SPAN_NS - 1);
    put_and_turn(r, 10);
    assert_false(core_rig_is_committing(r));
    core_rig_advance(r, 1); /* the timer alone, no turn */
    assert_true(core_rig_is_committing(r));
    assert_int_equal(core_durable(r->core)->index, r->index - 2);
    assert_int_equal(core_rig_store(r), 1);
    assert_int_equal(core_durable(r->core)->index, r->index);
    assert_int_equal(r->replica.durable, r->index);
}

static void a_timer_that_comes_early_is_set_again(void **state)
{
    struct core_rig *r = *state;
    begin(r);
    uint64_t due = r->mono_ns + CORE_SPAN_NS;
    put_and_turn(r, 10);
    r->timers[CORE_TIMER_SPAN] = JSM_NEVER;
    core_timer_fired(r->core, CORE_TIMER_SPAN);
    assert_int_equal(r->timers[CORE_TIMER_SPAN], due);
    core_rig_advance(r, CORE_SPAN_NS);
    assert_true(core_rig_is_committing(r));
}

static void a_span_is_committed_when_it_is_large(void **state)
{
    struct core_rig *r = *state;
    begin(r);
    while (jsm_dirty_bytes(core_machine(r->core)) < CORE_SPAN_BYTES - CB_MIB) {
        put_and_turn(r, CB_MIB / 2);
        assert_false(core_rig_is_committing(r));
    }
    put_and_turn(r, CB_MIB);
    assert_true(core_rig_is_committing(r));
}

static void nothing_new_is_no_commit(void **state)
{
    struct core_rig *r = *state;
    begin(r);
    core_rig_advance(r, 10 * CORE_SPAN_NS);
    core_turn(r->core);
    assert_false(core_rig_is_committing(r));
    assert_int_equal(r->timers[CORE_TIMER_SPAN], JSM_NEVER);
}

static void there_is_one_commit_at_a_time(void **state)
{
    struct core_rig *r = *state;
    begin(r);
    core_rig_advance(r, CORE_SPAN_NS);
    put_and_turn(r, 10);
    uint64_t committing = r->index;
    put_and_turn(r, 10);
    r->events.want_durable(r->events.data, r->index);
    core_turn(r->core);
    assert_int_equal(core_rig_store(r), 1);
    assert_int_equal(core_durable(r->core)->index, committing);
    /* What is wanted follows at once. */
    assert_true(core_rig_is_committing(r));
    assert_int_equal(core_rig_store(r), 1);
    assert_int_equal(core_durable(r->core)->index, r->index);
}

static void what_is_wanted_is_committed_at_once(void **state)
{
    struct core_rig *r = *state;
    begin(r);
    put_and_turn(r, 10);
    r->events.want_durable(r->events.data, r->index);
    assert_false(core_rig_is_committing(r)); /* the replica is in the middle of something */
    core_turn(r->core);
    assert_true(core_rig_is_committing(r));
    /* Only until it is reached. */
    core_rig_store(r);
    put_and_turn(r, 10);
    assert_false(core_rig_is_committing(r));
}

static void a_notice_of_an_older_commit_is_none(void **state)
{
    struct core_rig *r = *state;
    begin(r);
    core_rig_advance(r, CORE_SPAN_NS);
    put_and_turn(r, 10);
    core_store_notified(r->core);
    assert_int_equal(core_durable(r->core)->index, r->index - 1);
    assert_int_equal(r->replica.durable, r->index - 1);
    r->events.want_durable(r->events.data, r->index);
    core_turn(r->core);
    assert_int_equal(core_rig_store(r), 1); /* not a second one beside it */
}

static void lowering_is_a_commit_of_its_own(void **state)
{
    struct core_rig *r = *state;
    begin(r);
    r->replica.appended = (struct replica_mark){r->index - 1, RIG_TERM};
    r->events.lower_appended(r->events.data, r->replica.appended);
    core_turn(r->core);
    assert_true(core_rig_is_committing(r));
    assert_int_equal(r->replica.lowered, 0);
    core_rig_store(r);
    assert_int_equal(r->replica.lowered, 1);
    struct store_meta meta;
    store_durable(r->store, &meta);
    assert_int_equal(meta.appended_index, r->index - 1);
    assert_int_equal(meta.index, r->index);
    core_turn(r->core);
    assert_false(core_rig_is_committing(r));
}

static void lowering_waits_for_the_commit_under_way(void **state)
{
    struct core_rig *r = *state;
    begin(r);
    core_rig_advance(r, CORE_SPAN_NS);
    put_and_turn(r, 10); /* carries the pair as it was */
    r->replica.appended.index--;
    r->events.lower_appended(r->events.data, r->replica.appended);
    core_turn(r->core);
    core_rig_store(r);
    assert_int_equal(r->replica.lowered, 0);
    core_rig_store(r);
    assert_int_equal(r->replica.lowered, 1);
    assert_int_equal(core_stored_appended(r->core).index, r->index - 1);
}

static uint64_t not_stored(const struct core_rig *r)
{
    return jsm_dirty_bytes(core_machine(r->core)) + store_pending_bytes(r->store);
}

static void a_store_that_is_behind_holds_the_replica_and_the_proposer(void **state)
{
    struct core_rig *r = *state;
    begin(r);
    store_mem_disk_set_full(r->disk, true);
    while (not_stored(r) <= CB_STORE_DIRTY_BYTES_MAX) {
        core_before_sleep(r->core);
        assert_false(r->replica.holds_appends);
        put_and_turn(r, CB_JOB_SIZE_MAX);
    }
    core_before_sleep(r->core);
    assert_true(r->replica.holds_appends);
    core_rig_role(r, REPLICA_LEADER);
    core_turn(r->core);
    assert_int_equal(r->replica.n_proposed, 0);

    store_mem_disk_set_full(r->disk, false);
    while (core_rig_store(r) > 0) {
    }
    core_before_sleep(r->core);
    assert_false(r->replica.holds_appends);
    core_turn(r->core);
    assert_int_equal(r->replica.n_proposed, 1);
}

static void the_rest_is_committed_at_the_end(void **state)
{
    struct core_rig *r = *state;
    begin(r);
    core_commit_rest(r->core);
    assert_false(core_rig_is_committing(r));
    put_and_turn(r, 10);
    core_commit_rest(r->core);
    core_rig_store(r);
    assert_int_equal(core_durable(r->core)->index, r->index);
}

/* ---- start ---- */

static void a_core_starts_from_what_was_stored(void **state)
{
    struct core_rig *r = *state;
    begin(r);
    struct store_meta stored = *core_durable(r->core);
    put_and_turn(r, 10); /* lost */
    core_rig_crash(r);
    core_rig_boot(r);
    assert_int_equal(jsm_index(core_machine(r->core)), stored.index);
    assert_int_equal(jsm_state_digest(core_machine(r->core)), stored.state_digest);
    assert_int_equal(core_stored_applied(r->core).index, stored.index);
    assert_int_equal(core_stored_applied(r->core).term, RIG_TERM);
    assert_int_equal(core_stored_appended(r->core).index, stored.appended_index);
    assert_int_equal(r->replica.durable, stored.index);
}

/* Design D2: else the time that a cluster was off would be lost to its clock. */
static void what_is_replayed_was_applied_when_it_was_stamped(void **state)
{
    struct core_rig *r = *state;
    core_rig_apply(r, core_rig_entry(r, NULL, 0), false);
    assert_int_equal(core_applied(r->core)->wall_ns, 0); /* nobody knows */
    core_rig_apply(r, core_rig_entry(r, NULL, 0), true);
    uint64_t wall = core_applied(r->core)->wall_ns;
    assert_int_equal(wall, r->wall_ns);
    r->boot_ns += 7 * CB_NS_PER_S;
    r->wall_ns += 100 * CB_NS_PER_S;
    core_rig_apply(r, core_rig_entry(r, NULL, 0), false);
    assert_int_equal(core_applied(r->core)->wall_ns, wall + 7 * CB_NS_PER_S);
}

/* A leader's first entry has the stamp of the one before it, which was reached when that one was
 * applied; and when a clock stood, the moment from which it went on is known to who was there. */
static void a_wall_time_is_that_of_its_stamp(void **state)
{
    struct core_rig *r = *state;
    core_rig_apply(r, core_rig_entry(r, NULL, 0), true);
    uint64_t wall = core_applied(r->core)->wall_ns;
    r->wall_ns += 100 * CB_NS_PER_S;
    core_rig_apply(r, core_rig_entry(r, NULL, 0), true);
    assert_int_equal(core_applied(r->core)->wall_ns, wall);
    const struct jsm_item clock = {.kind = JSM_ITEM_CLOCK};
    core_rig_apply(r, core_rig_entry(r, &clock, 1), true);
    assert_int_equal(core_applied(r->core)->wall_ns, r->wall_ns);
    core_rig_apply(r, core_rig_entry(r, &clock, 1), false);
    assert_int_equal(core_applied(r->core)->wall_ns, 0);
}

/* A commit behind the core's back, of the state that is there with another digest. */
static void store_another_digest(struct core_rig *r)
{
    const struct store_mem_options options = {.disk = r->disk, .is_immediate = true};
    struct store *s = store_mem_open(&options);
    struct store_meta meta;
    store_durable(s, &meta);
    meta.state_digest ^= 1;
    store_commit(s, store_batch_create(), &meta);
    store_close(s);
}

static void a_state_with_another_digest_ends_the_process(void **state)
{
    struct core_rig *r = *state;
    begin(r);
    core_rig_crash(r);
    store_another_digest(r);
    core_rig_assert_dies(r, core_rig_boot,
                         "the state in /the/dir/state is not what was stored there");
}

static void store_a_damaged_record(struct core_rig *r)
{
    const struct store_mem_options options = {.disk = r->disk, .is_immediate = true};
    struct store *s = store_mem_open(&options);
    struct store_meta meta;
    store_durable(s, &meta);
    struct store_batch *b = store_batch_create();
    store_batch_put(b, cb_span_str("no such record"), cb_span_str("x"));
    store_commit(s, b, &meta);
    store_close(s);
}

static void a_record_that_is_none_ends_the_process(void **state)
{
    struct core_rig *r = *state;
    begin(r);
    core_rig_crash(r);
    store_a_damaged_record(r);
    core_rig_assert_dies(r, core_rig_boot, "rebuild this node under a new id");
}

#define T(f) cmocka_unit_test_setup_teardown(f, init, fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_span_is_committed_when_it_is_old),
        T(a_timer_that_comes_early_is_set_again),
        T(a_span_is_committed_when_it_is_large),
        T(nothing_new_is_no_commit),
        T(there_is_one_commit_at_a_time),
        T(what_is_wanted_is_committed_at_once),
        T(a_notice_of_an_older_commit_is_none),
        T(lowering_is_a_commit_of_its_own),
        T(lowering_waits_for_the_commit_under_way),
        T(a_store_that_is_behind_holds_the_replica_and_the_proposer),
        T(the_rest_is_committed_at_the_end),
        T(a_core_starts_from_what_was_stored),
        T(what_is_replayed_was_applied_when_it_was_stamped),
        T(a_wall_time_is_that_of_its_stamp),
        T(a_state_with_another_digest_ends_the_process),
        T(a_record_that_is_none_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
