/* States to and from other members: a dump waits for its index, an installed state takes the place
 * of the old one, a full disk is waited out, and whatever is under way may be cut off. */
#include "unit/node/core/core_rig.h"

/* Only a name here: what it points to is the replica's. */
#define REQUEST(n) ((struct replica_dump *)&requests[n])
static char requests[4];

struct two {
    struct core_rig leader, follower;
};

static int init(void **state)
{
    static struct two two;
    core_rig_init(&two.leader);
    core_rig_init(&two.follower);
    *state = &two;
    return 0;
}

static int fini(void **state)
{
    struct two *t = *state;
    core_rig_fini(&t->leader);
    core_rig_fini(&t->follower);
    return 0;
}

static void store_all(struct core_rig *r)
{
    r->events.want_durable(r->events.data, r->index);
    core_turn(r->core);
    core_rig_store(r);
    assert_int_equal(core_durable(r->core)->index, r->index);
}

/* The leader has some jobs, and the follower an entry that makes another state. */
static void fill(struct two *t)
{
    core_rig_open_session(&t->leader);
    for (unsigned i = 0; i < 20; i++) {
        core_rig_put(&t->leader, 1000 + i);
    }
    store_all(&t->leader);
    core_rig_open_session(&t->follower);
    store_all(&t->follower);
}

static void dump(struct core_rig *r)
{
    r->events.dump_state(r->events.data, r->index, REQUEST(0));
    core_rig_work(r);
    assert_int_equal(r->replica.dumps_made, 1);
}

static struct replica_mark mark_of(const struct core_rig *r)
{
    return (struct replica_mark){r->replica.dump_index, RIG_TERM};
}

static void start_install(struct two *t)
{
    struct core_rig *f = &t->follower;
    f->events.install_state(f->events.data, mark_of(&t->leader), t->leader.index,
                            cb_buf_span(&t->leader.replica.dump));
}

/* ---- out ---- */

static void a_dump_waits_for_its_index(void **state)
{
    struct core_rig *r = &((struct two *)*state)->leader;
    fill(*state);
    core_rig_put(r, 10);
    r->events.dump_state(r->events.data, r->index, REQUEST(1));
    assert_int_equal(r->n_works, 0);
    core_turn(r->core); /* the span is due at once, because of it */
    assert_int_equal(r->n_works, 0);
    core_rig_store(r);
    assert_int_equal(r->n_works, 1);
    core_rig_work(r);
    assert_int_equal(r->replica.dumps_made, 1);
    assert_int_equal(r->replica.dump_index, r->index);
    assert_ptr_equal(r->replica.dump_request, REQUEST(1));
}

static void a_dump_is_made_once(void **state)
{
    struct core_rig *r = &((struct two *)*state)->leader;
    fill(*state);
    r->events.dump_state(r->events.data, r->index, REQUEST(0));
    r->events.dump_state(r->events.data, r->index + 1, REQUEST(1));
    assert_int_equal(r->n_works, 1);
    core_rig_put(r, 10);
    store_all(r); /* while the first is under way */
    assert_int_equal(r->n_works, 2);
    core_rig_work(r);
    assert_int_equal(r->replica.dump_index, r->index - 1);
    core_rig_work(r);
    assert_int_equal(r->replica.dump_index, r->index);
    assert_int_equal(r->replica.dumps_made, 2);
    core_rig_put(r, 10);
    store_all(r);
    assert_int_equal(r->n_works, 0);
}

/* ---- in ---- */

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
    struct two *t = *state;
    struct core_rig *f = &t->follower;
    struct seen seen = {.n = 0};
    fill(t);
    dump(&t->leader);
    core_watch(f->core, see, &seen);
    const struct jsm *old = core_machine(f->core);
    struct replica_mark appended = f->replica.appended;

    start_install(t);
    core_rig_work(f);
    assert_int_equal(f->replica.installs, 1);
    assert_int_equal(f->replica.install_applied.index, t->leader.index);
    assert_int_equal(f->replica.install_applied.term, RIG_TERM);
    assert_ptr_equal(core_machine(f->core), old); /* until the log begins there */
    assert_int_equal(seen.n, 0);

    f->events.installed(f->events.data, mark_of(&t->leader));
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

static void the_log_goes_on_after_an_install(void **state)
{
    struct two *t = *state;
    struct core_rig *f = &t->follower;
    fill(t);
    dump(&t->leader);
    core_rig_put(f, 10);
    f->events.want_durable(f->events.data, f->index);
    core_turn(f->core);
    assert_true(core_rig_is_committing(f)); /* what is under way is of the old state */
    start_install(t);
    core_rig_work(f);
    f->events.installed(f->events.data, mark_of(&t->leader));
    core_rig_work(f);
    f->index = t->leader.index;
    f->requests = t->leader.requests;
    core_rig_put(&t->leader, 10);
    core_rig_put(f, 10);
    store_all(&t->leader);
    store_all(f);
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
    struct two *t = *state;
    struct core_rig *f = &t->follower;
    fill(t);
    t->leader.wall_ns -= 3600 * CB_NS_PER_S;
    core_rig_put(&t->leader, 10);
    store_all(&t->leader);
    dump(&t->leader);
    start_install(t);
    core_rig_work(f);
    f->events.installed(f->events.data, mark_of(&t->leader));
    core_rig_work(f);
    assert_int_equal(core_applied(f->core)->wall_ns, f->wall_ns);

    core_rig_crash(f);
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
    struct two *t = *state;
    struct core_rig *f = &t->follower;
    fill(t);
    dump(&t->leader);
    start_install(t);
    core_rig_work(f);
    f->events.installed(f->events.data, mark_of(&t->leader));
    core_rig_work(f);
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
    struct two *t = *state;
    struct core_rig *f = &t->follower;
    fill(t);
    dump(&t->leader);
    const struct replica_mark after = {t->leader.index + 1, RIG_TERM};
    f->events.install_state(f->events.data, after, t->leader.index,
                            cb_buf_span(&t->leader.replica.dump));
    core_rig_work(f);
    assert_int_equal(f->replica.installs, 1);
    f->events.installed(f->events.data, after);
    assert_int_equal(jsm_index(core_machine(f->core)), t->leader.index);
}

/* After a crash the state can be ahead of the log, and so of the snapshot that the log needs. Found
 * by the simulator: seed 6 at 15ba0f3. */
static void a_state_that_goes_as_far_is_kept(void **state)
{
    struct two *t = *state;
    struct core_rig *f = &t->follower;
    fill(t);
    dump(&t->leader);
    while (f->index <= t->leader.index) {
        core_rig_put(f, 2000);
    }
    const struct jsm *before = core_machine(f->core);
    start_install(t);
    assert_int_equal(f->n_works, 0);
    assert_int_equal(f->replica.installs, 0); /* it is not durable yet */
    core_turn(f->core);
    core_rig_store(f);
    assert_int_equal(f->replica.installs, 1);
    assert_int_equal(f->replica.install_applied.index, f->index);
    f->events.installed(f->events.data, mark_of(&t->leader));
    assert_ptr_equal(core_machine(f->core), before);
    assert_int_equal(core_durable(f->core)->index, f->index);
}

static void a_full_disk_is_tried_again_after_a_second(void **state)
{
    struct two *t = *state;
    struct core_rig *f = &t->follower;
    fill(t);
    dump(&t->leader);
    f->no_room_for_dump = true;
    start_install(t);
    for (unsigned i = 0; i < 3; i++) {
        core_rig_work(f);
        assert_int_equal(f->replica.installs, 0);
        assert_int_equal(f->timers[CORE_TIMER_INSTALL], f->mono_ns + CB_NS_PER_S);
        core_rig_advance(f, CB_NS_PER_S - 1);
        assert_int_equal(f->n_works, 0);
        core_rig_advance(f, 1);
        assert_int_equal(f->n_works, 1);
    }
    f->no_room_for_dump = false;
    core_rig_work(f);
    assert_int_equal(f->replica.installs, 1);
    f->events.installed(f->events.data, mark_of(&t->leader));
    assert_int_equal(jsm_index(core_machine(f->core)), t->leader.index);
}

static struct two *dying;

static void swap_without_room(struct core_rig *f)
{
    f->no_room_for_swap = true;
    f->events.installed(f->events.data, mark_of(&dying->leader));
}

/* The log begins after the new state already: there is no way back, and the next start swaps. */
static void a_swap_without_room_ends_the_process(void **state)
{
    struct two *t = dying = *state;
    struct core_rig *f = &t->follower;
    fill(t);
    dump(&t->leader);
    start_install(t);
    core_rig_work(f);
    core_rig_assert_dies(f, swap_without_room, "no room for the swap");
    core_rig_crash(f);
    core_rig_boot(f);
    assert_int_equal(core_stored_applied(f->core).index, t->leader.index);
}

static void install(struct core_rig *f)
{
    start_install(dying);
    core_rig_work(f);
}

static void install_cut_short(struct core_rig *f)
{
    struct core_rig *l = &dying->leader;
    struct cb_span all = cb_buf_span(&l->replica.dump);
    f->events.install_state(f->events.data, mark_of(l), l->index, cb_span(all.ptr, all.len - 1));
    core_rig_work(f);
}

static void install_below_its_mark(struct core_rig *f)
{
    struct core_rig *l = &dying->leader;
    f->events.install_state(f->events.data, (struct replica_mark){l->index + 1, RIG_TERM},
                            l->index + 1, cb_buf_span(&l->replica.dump));
    core_rig_work(f);
}

static void an_unsound_state_ends_the_process(void **state)
{
    struct two *t = dying = *state;
    fill(t);
    dump(&t->leader);
    const char *words = "the state that the leader sent cannot be used (";
    core_rig_assert_dies(&t->follower, install_cut_short, words);
    core_rig_assert_dies(&t->follower, install_below_its_mark, words);
}

/* As a leader with bad memory would send it: each record is right, the whole is not. */
static void a_state_with_another_digest_ends_the_process(void **state)
{
    struct two *t = dying = *state;
    fill(t);
    struct store_meta meta;
    store_durable(t->leader.store, &meta);
    meta.state_digest ^= 1;
    store_commit(t->leader.store, store_batch_create(), &meta);
    assert_int_equal(store_mem_step(t->leader.store, 1), 1);
    dump(&t->leader);
    core_rig_assert_dies(&t->follower, install, "its records contradict each other");
}

/* ---- cut off (the sanitizer sees what is left) ---- */

static void a_crash_frees_dumps(void **state)
{
    struct core_rig *r = &((struct two *)*state)->leader;
    fill(*state);
    r->events.dump_state(r->events.data, r->index, REQUEST(0));
    r->events.dump_state(r->events.data, r->index + 1, REQUEST(1));
    core_rig_crash(r);
    core_rig_boot(r);
    assert_int_equal(core_stored_applied(r->core).index, 22);
}

static void a_crash_frees_an_install_that_waits(void **state)
{
    struct two *t = *state;
    struct core_rig *f = &t->follower;
    fill(t);
    dump(&t->leader);
    f->no_room_for_dump = true;
    start_install(t);
    core_rig_work(f);
    core_rig_crash(f);
    core_rig_boot(f);
    assert_int_equal(core_stored_applied(f->core).index, 2);
}

/* It is committed in the cluster: the next start takes it. */
static void a_crash_frees_an_install_that_is_loaded(void **state)
{
    struct two *t = *state;
    struct core_rig *f = &t->follower;
    fill(t);
    dump(&t->leader);
    start_install(t);
    core_rig_work(f);
    core_rig_crash(f);
    core_rig_boot(f);
    assert_int_equal(core_stored_applied(f->core).index, t->leader.index);
}

static void a_crash_frees_the_machine_that_was_replaced(void **state)
{
    struct two *t = *state;
    struct core_rig *f = &t->follower;
    fill(t);
    dump(&t->leader);
    start_install(t);
    core_rig_work(f);
    f->events.installed(f->events.data, mark_of(&t->leader));
    assert_int_equal(f->n_works, 1);
    core_rig_crash(f);
}

#define T(f) cmocka_unit_test_setup_teardown(f, init, fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_dump_waits_for_its_index),
        T(a_dump_is_made_once),
        T(an_installed_state_takes_the_place_of_the_old_one),
        T(the_log_goes_on_after_an_install),
        T(the_clock_of_the_sender_stays_there),
        T(who_was_sent_the_state_can_lead),
        T(a_state_below_its_mark_is_taken),
        T(a_state_that_goes_as_far_is_kept),
        T(a_full_disk_is_tried_again_after_a_second),
        T(a_swap_without_room_ends_the_process),
        T(an_unsound_state_ends_the_process),
        T(a_state_with_another_digest_ends_the_process),
        T(a_crash_frees_dumps),
        T(a_crash_frees_an_install_that_waits),
        T(a_crash_frees_an_install_that_is_loaded),
        T(a_crash_frees_the_machine_that_was_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
