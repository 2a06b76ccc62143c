/* Between replica, machine and proposer: in which order they are told, and that a role that comes
 * at a bad moment is told later. */
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

/* What was proposed last is committed. */
static void apply_proposed(struct core_rig *r)
{
    core_rig_apply(r, cb_buf_span(&r->replica.proposed), true);
}

static void a_leader_serves_once_its_first_entry_is_applied(void **state)
{
    struct core_rig *r = *state;
    core_rig_role(r, REPLICA_LEADER);
    assert_int_equal(core_view(r->core)->role, REPLICA_LEADER);
    r->events.turn(r->events.data);
    assert_int_equal(r->replica.n_proposed, 1);
    assert_false(proposer_is_serving(core_proposer(r->core)));
    apply_proposed(r);
    assert_true(r->is_serving && proposer_is_serving(core_proposer(r->core)));
    core_rig_role(r, REPLICA_FOLLOWER);
    assert_false(r->is_serving);
}

static void nothing_is_proposed_while_the_owner_says_so(void **state)
{
    struct core_rig *r = *state;
    r->must_wait = true;
    core_rig_role(r, REPLICA_LEADER);
    core_turn(r->core);
    assert_int_equal(r->replica.n_proposed, 0);
    r->must_wait = false;
    core_turn(r->core);
    assert_int_equal(r->replica.n_proposed, 1);
}

static void what_the_log_refuses_is_proposed_again(void **state)
{
    struct core_rig *r = *state;
    const enum replica_propose_result refusals[] = {REPLICA_BUSY, REPLICA_NO_SPACE};
    core_rig_role(r, REPLICA_LEADER);
    for (size_t i = 0; i < 2; i++) {
        r->replica.propose_result = refusals[i];
        core_turn(r->core);
        assert_int_equal(r->replica.n_proposed, 0);
    }
    r->replica.propose_result = REPLICA_PROPOSED;
    core_rig_advance(r, CB_NS_PER_S); /* the proposer's own timer */
    core_turn(r->core);
    assert_int_equal(r->replica.n_proposed, 1);
}

static void step_down(void *data)
{
    struct core_rig *r = data;
    unsigned asked = r->addresses_asked;
    core_rig_role(r, REPLICA_FOLLOWER);
    assert_int_equal(core_view(r->core)->role, REPLICA_FOLLOWER);
    assert_int_equal(r->addresses_asked, asked); /* the proposer is not told, it is proposing */
}

/* Its own address, when it is that; nothing while nobody leads. */
static void who_leads_is_told(void **state)
{
    struct core_rig *r = *state;
    const struct replica_view nobody = {.role = REPLICA_CANDIDATE, .term = 2};
    r->events.role(r->events.data, &nobody);
    assert_int_equal(r->led_term, 0);
    core_rig_role(r, REPLICA_LEADER);
    assert_int_equal(r->led_term, core_view(r->core)->term);
    assert_string_equal(r->led_by, "127.0.0.1:11301");
}

static void a_role_that_comes_while_proposing_is_told_later(void **state)
{
    struct core_rig *r = *state;
    core_rig_role(r, REPLICA_LEADER);
    r->replica.in_propose = step_down;
    r->replica.in_propose_data = r;
    unsigned asked = r->addresses_asked;
    core_turn(r->core);
    assert_true(r->addresses_asked > asked);
    asked = r->addresses_asked;
    r->replica.in_propose = NULL;
    core_turn(r->core);
    assert_int_equal(r->addresses_asked, asked); /* once */
    assert_int_equal(r->replica.n_proposed, 1);
}

struct seen {
    struct core_rig *rig;
    unsigned n;
    uint64_t index;
    uint64_t machine_index;
    bool was_serving;
};

static void see(void *data, const struct replica_entry *e, const struct jsm *machine)
{
    struct seen *s = data;
    s->n++;
    s->index = e->index;
    s->machine_index = jsm_index(machine);
    s->was_serving = s->rig->is_serving;
}

static void a_watcher_sees_each_entry_before_the_proposer(void **state)
{
    struct core_rig *r = *state;
    struct seen seen = {.rig = r};
    core_watch(r->core, see, &seen);
    core_rig_role(r, REPLICA_LEADER);
    core_turn(r->core);
    apply_proposed(r);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.index, r->index);
    assert_int_equal(seen.machine_index, r->index);
    assert_false(seen.was_serving);
    assert_true(r->is_serving);
}

/* An idle cluster writes nothing: what becomes due makes the timer. */
static void the_proposer_sleeps_until_something_is_due(void **state)
{
    struct core_rig *r = *state;
    core_rig_open_session(r);
    core_rig_role(r, REPLICA_LEADER);
    core_turn(r->core);
    apply_proposed(r);
    core_turn(r->core);
    unsigned proposed = r->replica.n_proposed;
    uint64_t at = r->timers[CORE_TIMER_PROPOSER];
    assert_true(at != JSM_NEVER && at > r->boot_ns);
    core_rig_advance(r, at - r->boot_ns - 1);
    assert_int_equal(r->replica.n_proposed, proposed);
    core_rig_advance(r, 1); /* the session's lease */
    assert_int_equal(r->replica.n_proposed, proposed + 1);
}

static void apply_damage(struct core_rig *r)
{
    core_rig_apply(r, cb_span_str("no entry"), true);
}

static void an_entry_that_cannot_be_read_ends_the_process(void **state)
{
    core_rig_assert_dies(*state, apply_damage, "log entry 1 cannot be read");
}

#define T(f) cmocka_unit_test_setup_teardown(f, init, fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_leader_serves_once_its_first_entry_is_applied),
        T(nothing_is_proposed_while_the_owner_says_so),
        T(what_the_log_refuses_is_proposed_again),
        T(who_leads_is_told),
        T(a_role_that_comes_while_proposing_is_told_later),
        T(a_watcher_sees_each_entry_before_the_proposer),
        T(the_proposer_sleeps_until_something_is_due),
        T(an_entry_that_cannot_be_read_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
