/* The leader learns of the room on the voters' disks, and the log is told when too few of them have
 * any (design D9). */
#include "unit/node/core/core_rig.h"

#define RESERVE (256 * CB_MIB)
#define ENOUGH (RESERVE + RESERVE / 4)
#define SILENT UINT64_C(12345) /* does not answer */

static uint64_t said[4]; /* by id: what each member answers, this one too */
static uint64_t term;

static void set_role(struct core_rig *r, enum replica_role role)
{
    const struct replica_view view = {
        .role = role, .term = term, .leader_id = role == REPLICA_LEADER ? RIG_SELF : 1};
    r->events.role(r->events.data, &view);
}

static int init(void **state)
{
    static struct core_rig rig;
    core_rig_init_disk(&rig);
    rig.reserve_space = RESERVE;
    rig.n_others = 2;
    core_rig_boot(&rig);
    rig.replica.n_members = 3;
    for (uint64_t id = 1; id <= 3; id++) {
        rig.replica.members[id - 1] = (struct replica_member){.id = id, .role = REPLICA_VOTER};
        said[id] = 10 * RESERVE;
    }
    term = RIG_TERM;
    *state = &rig;
    return 0;
}

static int fini(void **state)
{
    core_rig_fini(*state);
    return 0;
}

static void answer_all(struct core_rig *r)
{
    for (uint64_t id = 1; id <= 3; id++) {
        if (r->spaces_asked[id] > 0 && said[id] != SILENT) {
            assert_int_equal(r->spaces_asked[id], 1); /* one at a time */
            r->spaces_asked[id] = 0;
            core_space_answered(r->core, id, &said[id]);
        }
    }
}

/* What was proposed is applied, until nothing is. */
static void apply_all(struct core_rig *r)
{
    core_turn(r->core);
    while (cb_buf_len(&r->replica.proposed) > 0) {
        struct cb_buf entry = CB_BUF_NULL;
        struct cb_span bytes = cb_buf_span(&r->replica.proposed);
        cb_buf_append(&entry, bytes.ptr, bytes.len);
        cb_buf_clear(&r->replica.proposed);
        core_rig_apply(r, cb_buf_span(&entry), true);
        cb_buf_fini(&entry);
        core_turn(r->core);
        (void)core_rig_store(r);
    }
}

/* Some looks of the leader, and whether puts are refused then. */
static bool is_short_after(struct core_rig *r, unsigned looks)
{
    for (unsigned i = 0; i < looks; i++) {
        r->free_space = said[RIG_SELF];
        answer_all(r);
        core_rig_advance(r, CORE_SPACE_NS);
        apply_all(r);
    }
    return jsm_is_short_of_space(core_machine(r->core));
}

static void lead(struct core_rig *r)
{
    term++;
    set_role(r, REPLICA_LEADER);
    assert_true(is_short_after(r, 2) == jsm_is_short_of_space(core_machine(r->core)));
    assert_true(r->is_serving);
}

static void one_full_disk_changes_nothing(void **state)
{
    struct core_rig *r = *state;
    lead(r);
    said[1] = 0;
    assert_false(is_short_after(r, 30));
    said[1] = ENOUGH;
    said[RIG_SELF] = 0;
    assert_false(is_short_after(r, 30));
}

static void two_full_disks_refuse_puts_until_one_has_room(void **state)
{
    struct core_rig *r = *state;
    lead(r);
    said[1] = said[3] = RESERVE - 1;
    assert_true(is_short_after(r, 3));
    unsigned proposed = r->replica.n_proposed;
    assert_true(is_short_after(r, 60));
    assert_int_equal(r->replica.n_proposed, proposed); /* told once */
    said[3] = ENOUGH - 1;
    assert_true(is_short_after(r, 30)); /* not with every file that goes */
    said[3] = ENOUGH;
    assert_false(is_short_after(r, 3));
    said[3] = RESERVE;
    assert_false(is_short_after(r, 30)); /* nor with every file that comes */
    said[3] = RESERVE - 1;
    assert_true(is_short_after(r, 3));
}

static void the_leaders_own_disk_counts(void **state)
{
    struct core_rig *r = *state;
    lead(r);
    said[RIG_SELF] = said[3] = 0;
    assert_true(is_short_after(r, 3));
    said[RIG_SELF] = ENOUGH;
    assert_false(is_short_after(r, 3));
}

/* One who is down takes no entries: its room is of no use. But not at once. */
static void who_is_silent_for_long_has_no_room(void **state)
{
    struct core_rig *r = *state;
    lead(r);
    assert_false(is_short_after(r, 3));
    said[1] = SILENT;
    said[3] = 0;
    assert_false(is_short_after(r, 5));
    assert_true(is_short_after(r, 10));
    said[1] = ENOUGH;
    assert_false(is_short_after(r, 3));
    said[1] = SILENT;
    said[3] = ENOUGH; /* two of three are enough */
    assert_false(is_short_after(r, 30));
}

/* No disk has said that it is low: seed 5007, a leader of two whose other one stood still. */
static void silence_alone_refuses_nothing(void **state)
{
    struct core_rig *r = *state;
    lead(r);
    said[1] = said[3] = SILENT;
    assert_false(is_short_after(r, 30));
}

static void one_that_does_not_know_counts_as_room(void **state)
{
    struct core_rig *r = *state;
    lead(r);
    said[1] = said[3] = CORE_SPACE_UNKNOWN;
    said[RIG_SELF] = 0;
    assert_false(is_short_after(r, 30));
}

/* What the log says stays until the new leader knows better. */
static void a_new_leader_keeps_what_the_log_says(void **state)
{
    struct core_rig *r = *state;
    lead(r);
    said[1] = said[3] = 0;
    assert_true(is_short_after(r, 3));
    term++;
    set_role(r, REPLICA_FOLLOWER);
    (void)is_short_after(r, 3);
    said[1] = said[3] = SILENT;
    lead(r);
    assert_true(is_short_after(r, 5));
    said[3] = RESERVE; /* low as far as the log knows */
    assert_true(is_short_after(r, 3));
    said[3] = ENOUGH;
    assert_false(is_short_after(r, 3));
    term++;
    set_role(r, REPLICA_FOLLOWER);
    (void)is_short_after(r, 3);
    said[1] = said[3] = SILENT;
    lead(r);
    assert_false(is_short_after(r, 5));
}

/* A follower asks nobody; an answer to what it asked as leader is nothing to it. */
static void only_a_leader_asks(void **state)
{
    struct core_rig *r = *state;
    lead(r);
    said[1] = SILENT;
    (void)is_short_after(r, 2);
    assert_int_equal(r->spaces_asked[1], 1);
    term++;
    set_role(r, REPLICA_FOLLOWER);
    (void)is_short_after(r, 30);
    assert_int_equal(r->spaces_asked[1], 1);
    assert_int_equal(r->spaces_asked[3], 0);
    said[1] = 0;
    answer_all(r);
    said[3] = 0;
    lead(r);
    assert_true(is_short_after(r, 3));
}

static void standbys_do_not_count(void **state)
{
    struct core_rig *r = *state;
    r->replica.members[0].role = REPLICA_STANDBY;
    lead(r);
    said[3] = 0; /* of two voters both are needed */
    assert_true(is_short_after(r, 3));
    assert_int_equal(r->spaces_asked[1], 0);
    r->replica.members[0].role = REPLICA_VOTER;
    assert_false(is_short_after(r, 4));
}

static void members_come_and_go(void **state)
{
    struct core_rig *r = *state;
    lead(r);
    for (unsigned i = 0; i < 3 * CB_RAFT_CONF_MAX; i++) {
        r->replica.members[0].role = i % 2 == 0 ? REPLICA_SPARE : REPLICA_VOTER;
        assert_false(is_short_after(r, 2));
    }
    r->replica.members[0].role = REPLICA_VOTER;
    said[1] = said[3] = 0;
    assert_true(is_short_after(r, 3));
}

static void without_a_reserve_nobody_is_asked_and_nothing_refused(void **state)
{
    struct core_rig *r = *state;
    lead(r);
    said[1] = said[3] = 0;
    assert_true(is_short_after(r, 3));
    struct replica old = r->replica;
    (void)core_rig_store(r);
    core_rig_crash(r);
    r->reserve_space = 0;
    core_rig_boot(r);
    memcpy(r->replica.members, old.members, sizeof(old.members));
    r->replica.n_members = old.n_members;
    assert_true(jsm_is_short_of_space(core_machine(r->core))); /* it was stored */
    lead(r);
    assert_false(is_short_after(r, 3));
    assert_int_equal(r->spaces_asked[1] + r->spaces_asked[3], 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, init, fini)
    const struct CMUnitTest tests[] = {
        T(one_full_disk_changes_nothing),
        T(two_full_disks_refuse_puts_until_one_has_room),
        T(the_leaders_own_disk_counts),
        T(who_is_silent_for_long_has_no_room),
        T(silence_alone_refuses_nothing),
        T(one_that_does_not_know_counts_as_room),
        T(a_new_leader_keeps_what_the_log_says),
        T(only_a_leader_asks),
        T(standbys_do_not_count),
        T(members_come_and_go),
        T(without_a_reserve_nobody_is_asked_and_nothing_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
