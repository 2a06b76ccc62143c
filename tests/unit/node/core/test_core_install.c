/* The state from another member: what was fetched takes the place of the old one, lost answers and
 * bad bytes are fetched again, a full disk is waited out, and whatever is under way may be cut off.
 */
#include "common/base/cb_mem.h"
#include "unit/node/core/core_pair.h"

static struct core_pair *dying; /* for what runs in another process */

struct seen {
    unsigned n;
    bool was_entry;
    const struct jsm *machine;
};

static void see(void *data, const struct replica_entry *e, const struct jsm *machine)
{
    struct seen *s = data;
    s->n++;
    s->was_entry = e != NULL;
    s->machine = machine;
}

static void an_installed_state_takes_the_place_of_the_old_one(void **state)
{
    struct core_pair *t = *state;
    struct core_rig *f = &t->follower;
    struct seen seen = {.n = 0};
    core_pair_fill(t);
    core_watch(f->core, see, &seen);
    const struct jsm *old = core_machine(f->core);
    struct replica_mark appended = f->replica.appended;

    core_pair_start(t);
    core_pair_carry(t);
    assert_int_equal(f->replica.installs, 1);
    assert_int_equal(f->replica.install_applied.index, t->leader.index);
    assert_int_equal(f->replica.install_applied.term, RIG_TERM);
    assert_ptr_equal(core_machine(f->core), old); /* until the log begins there */
    assert_int_equal(seen.n, 0);

    f->events.installed(f->events.data, core_pair_mark(&t->leader));
    const struct jsm *now = core_machine(f->core);
    assert_int_equal(jsm_index(now), t->leader.index);
    assert_int_equal(jsm_state_digest(now), jsm_state_digest(core_machine(t->leader.core)));
    assert_int_equal(jsm_log_digest(now), jsm_log_digest(core_machine(t->leader.core)));
    assert_int_equal(seen.n, 1);
    assert_false(seen.was_entry);
    assert_ptr_equal(seen.machine, now);
    assert_int_equal(core_applied(f->core)->index, t->leader.index);
    assert_int_equal(core_durable(f->core)->index, t->leader.index);
    assert_int_equal(f->replica.durable, t->leader.index);
    assert_int_equal(core_stored_appended(f->core).index, appended.index); /* its own pair */
    core_rig_work(f);                                                      /* the old machine */
    assert_int_equal(f->n_works, 0);
}

/* Only what there is room for (ADR 14). */
static void an_installed_state_keeps_few_bodies(void **state)
{
    struct core_pair *t = *state;
    struct core_rig *f = &t->follower;
    core_rig_crash(f);
    f->body_cache = 3 * JOB_SIZE;
    core_rig_boot(f);
    core_pair_fill(t);
    core_rig_put(f, 1000);
    core_pair_store(f);
    assert_int_equal(jsm_body_use(core_machine(f->core)).resident_bytes, 1000);
    core_pair_start(t);
    (void)core_pair_carry(t);
    /* The old machine makes room. */
    assert_int_equal(jsm_body_use(core_machine(f->core)).resident_bytes, 0);
    f->events.installed(f->events.data, core_pair_mark(&t->leader));
    core_rig_work(f);
    struct jsm_body_use use = jsm_body_use(core_machine(f->core));
    assert_in_range(use.resident_bytes, 2 * JOB_SIZE, 3 * JOB_SIZE);
    assert_true(use.n_away >= JOBS - 3);
    assert_int_equal(jsm_state_digest(core_machine(f->core)),
                     jsm_state_digest(core_machine(t->leader.core)));
}

static void the_log_goes_on_after_an_install(void **state)
{
    struct core_pair *t = *state;
    struct core_rig *f = &t->follower;
    core_pair_fill(t);
    core_rig_put(f, 10);
    f->events.want_durable(f->events.data, f->index);
    core_turn(f->core);
    assert_true(core_rig_is_committing(f)); /* what is under way is of the old state */
    core_pair_install(t);
    f->index = t->leader.index;
    f->requests = t->leader.requests;
    core_rig_put(&t->leader, 10);
    core_rig_put(f, 10);
    core_pair_store(&t->leader);
    core_pair_store(f);
    assert_int_equal(core_durable(f->core)->state_digest,
                     core_durable(t->leader.core)->state_digest);
    core_rig_crash(f);
    core_rig_boot(f);
    assert_int_equal(core_stored_applied(f->core).index, t->leader.index);
}

/* Seed 637 of the simulator: the sender's wall clock was taken for this node's, and reservations
 * ran out by the difference. */
static void the_clock_of_the_sender_stays_there(void **state)
{
    struct core_pair *t = *state;
    struct core_rig *f = &t->follower;
    core_pair_fill(t);
    t->leader.wall_ns -= 3600 * CB_NS_PER_S;
    core_rig_put(&t->leader, 10);
    core_pair_store(&t->leader);
    core_pair_install(t);
    assert_int_equal(core_applied(f->core)->wall_ns, f->wall_ns);

    core_rig_crash(f);
    f->n_others = 0; /* nobody to ask for the time */
    core_rig_boot(f);
    f->index = t->leader.index;
    uint64_t stamp = jsm_stamp_ns(core_machine(f->core));
    core_rig_role(f, REPLICA_LEADER);
    core_turn(f->core);
    core_rig_apply(f, cb_buf_span(&f->replica.proposed), true);
    assert_in_range(jsm_stamp_ns(core_machine(f->core)), stamp, stamp + CB_NS_PER_S);
}

static void who_was_sent_the_state_can_lead(void **state)
{
    struct core_pair *t = *state;
    struct core_rig *f = &t->follower;
    core_pair_fill(t);
    core_pair_install(t);
    f->index = t->leader.index;
    core_rig_role(f, REPLICA_LEADER);
    core_turn(f->core);
    assert_int_equal(f->replica.n_proposed, 1);
    core_rig_apply(f, cb_buf_span(&f->replica.proposed), true);
    assert_true(f->is_serving);
    core_turn(f->core);
    assert_true(f->timers[CORE_TIMER_PROPOSER] != JSM_NEVER); /* it knows the state's sessions */
}

/* The entry of the mark is one of libraft's own, e.g. a new leader's first. Found by the simulator:
 * seed 1391 at f606f0e. */
static void a_state_below_its_mark_is_taken(void **state)
{
    struct core_pair *t = *state;
    struct core_rig *f = &t->follower;
    core_pair_fill(t);
    const struct replica_mark after = {t->leader.index + 1, RIG_TERM};
    f->events.install_state(f->events.data, after, t->leader.index);
    core_pair_carry(t);
    f->events.installed(f->events.data, after);
    assert_int_equal(jsm_index(core_machine(f->core)), t->leader.index);
}

/* After a crash the state can be ahead of the log, and so of the snapshot that the log needs. Found
 * by the simulator: seed 6 at 15ba0f3. */
static void a_state_that_goes_as_far_is_kept(void **state)
{
    struct core_pair *t = *state;
    struct core_rig *f = &t->follower;
    core_pair_fill(t);
    while (f->index <= t->leader.index) {
        core_rig_put(f, 2000);
    }
    const struct jsm *before = core_machine(f->core);
    core_pair_start(t);
    assert_int_equal(f->n_works, 0);
    assert_int_equal(f->replica.installs, 0); /* it is not durable yet */
    core_turn(f->core);
    core_rig_store(f);
    assert_int_equal(f->replica.installs, 1);
    assert_int_equal(f->replica.install_applied.index, f->index);
    f->events.installed(f->events.data, core_pair_mark(&t->leader));
    assert_ptr_equal(core_machine(f->core), before);
    assert_int_equal(core_durable(f->core)->index, f->index);
}

static void a_full_disk_is_tried_again_after_a_second(void **state)
{
    struct core_pair *t = *state;
    struct core_rig *f = &t->follower;
    core_pair_fill(t);
    f->no_room_for_state = true;
    core_pair_start(t);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(f->asked.copy, 0);
        core_pair_carry_one(t);
        core_rig_work(f);
        core_rig_came(f, NULL); /* the next part was asked for meanwhile */
        assert_int_equal(f->timers[CORE_TIMER_INSTALL], f->mono_ns + CB_NS_PER_S);
        core_rig_advance(f, CB_NS_PER_S - 1);
        assert_false(f->asks_state);
        core_rig_advance(f, 1);
        assert_true(f->asks_state);
    }
    f->no_room_for_state = false;
    core_pair_carry(t);
    f->events.installed(f->events.data, core_pair_mark(&t->leader));
    assert_int_equal(jsm_index(core_machine(f->core)), t->leader.index);
}

static void a_lost_answer_is_asked_for_again(void **state)
{
    struct core_pair *t = *state;
    struct core_rig *f = &t->follower;
    core_pair_fill(t);
    core_pair_start(t);
    unsigned lost = 0;
    while (f->replica.installs == 0) {
        if (!f->asks_state) {
            core_rig_work(f);
            continue;
        }
        core_pair_carry_one(t);
        if (f->asks_state) {
            struct core_state_ask q = f->asked;
            assert_int_not_equal(q.copy, 0);
            core_rig_came(f, NULL);
            assert_false(f->asks_state);
            core_rig_advance(f, 200 * CB_NS_PER_MS);
            assert_true(f->asks_state);
            assert_memory_equal(&f->asked, &q, sizeof q);
            lost++;
        }
    }
    assert_true(lost > 0);
    f->events.installed(f->events.data, core_pair_mark(&t->leader));
    assert_int_equal(jsm_index(core_machine(f->core)), t->leader.index);
}

static void who_is_silent_for_a_minute_is_left(void **state)
{
    struct core_pair *t = *state;
    struct core_rig *f = &t->follower;
    core_pair_fill(t);
    core_pair_start(t);
    core_pair_carry_one(t);
    core_rig_work(f);
    uint64_t end = f->mono_ns + CB_STATE_COPY_IDLE_MS * CB_NS_PER_MS;
    while (f->mono_ns <= end) {
        assert_int_not_equal(f->asked.copy, 0);
        core_rig_came(f, NULL);
        core_rig_advance(f, CB_NS_PER_S);
    }
    core_rig_came(f, NULL);
    core_rig_advance(f, CB_NS_PER_S);
    assert_int_equal(f->asked.copy, 0);
    assert_int_equal(f->asked.at_least, t->leader.index);
    core_pair_carry(t);
}

/* The leader was restarted, or has ended the copy. */
static void a_copy_that_is_gone_is_begun_anew(void **state)
{
    struct core_pair *t = *state;
    struct core_rig *f = &t->follower;
    core_pair_fill(t);
    core_pair_start(t);
    core_pair_carry_one(t);
    core_rig_work(f);
    core_pair_carry_one(t);
    core_rig_crash(&t->leader);
    core_rig_advance(&t->leader, CB_NS_PER_MS);
    core_rig_boot(&t->leader);
    core_rig_work(f);
    core_pair_carry_one(t);
    assert_false(f->asks_state);
    core_rig_advance(f, 200 * CB_NS_PER_MS);
    assert_int_equal(f->asked.copy, 0);
    core_pair_carry(t);
    f->events.installed(f->events.data, core_pair_mark(&t->leader));
    assert_int_equal(jsm_state_digest(core_machine(f->core)),
                     jsm_state_digest(core_machine(t->leader.core)));
}

/* The leader is gone, and this member is needed to elect another, for which it needs the state. */
static void another_member_is_asked_in_turn(void **state)
{
    struct core_pair *t = *state;
    struct core_rig *f = &t->follower;
    core_pair_fill(t);
    core_pair_start(t);
    uint64_t asked = 0;
    for (unsigned i = 0; i < 4; i++) {
        asked = asked * 10 + f->asked_member;
        assert_int_equal(f->asked.copy, 0);
        core_rig_came(f, NULL);
        core_rig_advance(f, 200 * CB_NS_PER_MS);
        assert_true(f->asks_state);
    }
    assert_int_equal(asked, 1313); /* the leader is member 1 */
}

static void a_copy_is_given_up_with_the_leader(void **state)
{
    struct core_pair *t = *state;
    struct core_rig *f = &t->follower;
    core_pair_fill(t);
    core_pair_start(t);
    core_pair_carry_one(t);
    core_rig_work(f);
    f->replica.is_without_leader = true;
    core_rig_came(f, NULL);
    core_rig_advance(f, 200 * CB_NS_PER_MS);
    assert_int_equal(f->asked.copy, 0);
    core_pair_carry(t);
}

static void who_is_behind_while_there_is_a_leader_is_waited_for(void **state)
{
    const struct rig_answer no = {.part = {.result = CORE_STATE_BEHIND}};
    struct core_pair *t = *state;
    core_pair_fill(t);
    core_pair_start(t);
    for (unsigned i = 0; i < 60; i++) {
        core_rig_came(&t->follower, &no);
        core_rig_advance(&t->follower, 200 * CB_NS_PER_MS);
    }
    core_pair_carry(t);
}

/* The leader has died before member 3 knew that the entry is committed. */
static void behind(struct core_rig *f)
{
    const struct rig_answer no = {.part = {.result = CORE_STATE_BEHIND}};
    f->replica.is_without_leader = true;
    core_pair_start(dying);
    for (unsigned i = 0; i < 60; i++) {
        core_rig_came(f, f->asked_member == LEADER ? NULL : &no);
        core_rig_advance(f, 200 * CB_NS_PER_MS);
    }
}

static void who_finds_the_state_nowhere_starts_anew(void **state)
{
    struct core_pair *t = dying = *state;
    core_pair_fill(t);
    core_rig_assert_dies(&t->follower, behind, "no member that answers has it");
}

static void deliver_changed(struct core_pair *t, void (*change)(struct rig_answer *a))
{
    core_pair_ask(&t->leader, FOLLOWER, &t->follower.asked, CALL(0));
    core_rig_work(&t->leader);
    struct rig_answer a = core_rig_answer(&t->leader);
    change(&a);
    core_rig_came(&t->follower, &a);
    cb_buf_fini(&a.bytes);
}

static void flip(struct rig_answer *a)
{
    a->bytes.base[a->bytes.start + cb_buf_len(&a->bytes) / 2] ^= 4;
}

static void other_part(struct rig_answer *a)
{
    a->part.part++;
}

static void end_early(struct rig_answer *a)
{
    a->part.is_last = true;
}

static void what_is_not_right_is_fetched_anew(void **state)
{
    void (*const changes[])(struct rig_answer *) = {flip, other_part, end_early};
    struct core_pair *t = *state;
    struct core_rig *f = &t->follower;
    core_pair_fill(t);
    core_pair_start(t);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(f->asked.copy, 0);
        core_pair_carry_one(t);
        core_rig_work(f);
        deliver_changed(t, changes[i]);
        while (f->n_works > 0) {
            core_rig_work(f);
        }
        if (f->asks_state) {
            core_rig_came(f, NULL);
        }
        core_rig_advance(f, 2 * CB_NS_PER_S);
    }
    core_pair_carry(t);
    f->events.installed(f->events.data, core_pair_mark(&t->leader));
    assert_int_equal(jsm_index(core_machine(f->core)), t->leader.index);
}

/* The next start fetches anew: what was fed is not whole. */
static void nothing_is_asked_after_a_stop(void **state)
{
    struct core_pair *t = *state;
    struct core_rig *f = &t->follower;
    core_pair_fill(t);
    core_pair_start(t);
    core_pair_carry_one(t);
    core_state_stop(f->core);
    core_rig_came(f, NULL);
    core_rig_work(f);
    core_rig_advance(f, 10 * CB_NS_PER_S);
    assert_false(f->asks_state);
}

static void swap_without_room(struct core_rig *f)
{
    f->no_room_for_swap = true;
    f->events.installed(f->events.data, core_pair_mark(&dying->leader));
}

/* The log begins after the new state already: there is no way back, and the next start swaps. */
static void a_swap_without_room_ends_the_process(void **state)
{
    struct core_pair *t = dying = *state;
    struct core_rig *f = &t->follower;
    core_pair_fill(t);
    core_pair_start(t);
    core_pair_carry(t);
    core_rig_assert_dies(f, swap_without_room, "no room for the swap");
    core_rig_crash(f);
    core_rig_boot(f);
    assert_int_equal(core_stored_applied(f->core).index, t->leader.index);
}

static void install_all(struct core_rig *f)
{
    (void)f;
    core_pair_start(dying);
    core_pair_carry(dying);
}

/* As a leader with bad memory would send it: each record is right, the whole is not. */
static void a_state_with_another_digest_ends_the_process(void **state)
{
    struct core_pair *t = dying = *state;
    core_pair_fill(t);
    struct store_meta meta;
    store_durable(t->leader.store, &meta);
    meta.state_digest ^= 1;
    store_commit(t->leader.store, store_batch_create(), &meta);
    assert_int_equal(store_mem_step(t->leader.store, 1), 1);
    core_rig_assert_dies(&t->follower, install_all, "its records contradict each other");
}

/* ---- cut off (the sanitizer sees what is left) ---- */

/* At every step: then it is the old state, or when all has come the new one, which is committed in
 * the cluster. */
static void a_crash_at_any_step_leaves_one_of_two_states(void **state)
{
    struct core_pair *t = *state;
    struct core_rig *f = &t->follower;
    core_pair_fill(t);
    for (unsigned steps = 0; f->replica.installs == 0; steps++) {
        core_pair_start(t);
        for (unsigned i = 0; i < steps && f->replica.installs == 0; i++) {
            if (f->asks_state) {
                core_pair_carry_one(t);
            } else {
                core_rig_work(f);
            }
        }
        bool is_whole = f->replica.installs > 0;
        core_rig_crash(f);
        core_rig_boot(f);
        core_rig_role(f, REPLICA_FOLLOWER);
        uint64_t index = core_stored_applied(f->core).index;
        if (is_whole) {
            assert_int_equal(index, t->leader.index);
            return;
        }
        if (index == t->leader.index) {
            return; /* it had all, and had not loaded it yet */
        }
        assert_int_equal(index, 2);
    }
}

static void a_crash_frees_the_machine_that_was_replaced(void **state)
{
    struct core_pair *t = *state;
    struct core_rig *f = &t->follower;
    core_pair_fill(t);
    core_pair_start(t);
    core_pair_carry(t);
    f->events.installed(f->events.data, core_pair_mark(&t->leader));
    assert_int_equal(f->n_works, 1);
    core_rig_crash(f);
}

#define T(f) cmocka_unit_test_setup_teardown(f, core_pair_init, core_pair_fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_installed_state_takes_the_place_of_the_old_one),
        T(an_installed_state_keeps_few_bodies),
        T(the_log_goes_on_after_an_install),
        T(the_clock_of_the_sender_stays_there),
        T(who_was_sent_the_state_can_lead),
        T(a_state_below_its_mark_is_taken),
        T(a_state_that_goes_as_far_is_kept),
        T(a_full_disk_is_tried_again_after_a_second),
        T(a_lost_answer_is_asked_for_again),
        T(who_is_silent_for_a_minute_is_left),
        T(a_copy_that_is_gone_is_begun_anew),
        T(another_member_is_asked_in_turn),
        T(a_copy_is_given_up_with_the_leader),
        T(who_is_behind_while_there_is_a_leader_is_waited_for),
        T(who_finds_the_state_nowhere_starts_anew),
        T(what_is_not_right_is_fetched_anew),
        T(nothing_is_asked_after_a_stop),
        T(a_swap_without_room_ends_the_process),
        T(a_state_with_another_digest_ends_the_process),
        T(a_crash_at_any_step_leaves_one_of_two_states),
        T(a_crash_frees_the_machine_that_was_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
