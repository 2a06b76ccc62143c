/* A member asks the others for their clocks until one that knows has answered, and leads with what
 * it was told. */
#include "node/entry/entry_decoder.h"
#include "unit/node/core/core_rig.h"

#define ROUND CORE_ASK_CLOCK_NS

/* Entry 1 is stored; then another process of three members has it from the store alone. */
static int init(void **state)
{
    static struct core_rig rig;
    core_rig_init(&rig);
    core_rig_open_session(&rig);
    core_rig_advance(&rig, CORE_SPAN_NS);
    core_turn(rig.core);
    (void)core_rig_store(&rig);
    core_rig_crash(&rig);
    rig.n_others = 2;
    core_rig_boot(&rig);
    *state = &rig;
    return 0;
}

static int fini(void **state)
{
    core_rig_fini(*state);
    return 0;
}

static void answer(struct core_rig *r, uint64_t id, const struct prop_clock_word *word)
{
    assert_int_equal(r->clocks_asked[id], 1);
    r->clocks_asked[id] = 0;
    core_clock_answered(r->core, id, word);
}

static struct prop_clock_word known(const struct core_rig *r, uint64_t ahead_ns)
{
    uint64_t now = jsm_stamp_ns(core_machine(r->core)) + ahead_ns;
    return (struct prop_clock_word){.knows = true, .now_ns = now, .index = 1, .term = RIG_TERM};
}

/* The stamp of what was proposed last. */
static uint64_t proposed_stamp(const struct core_rig *r)
{
    struct entry_decoder d;
    struct entry_header h;
    struct jsm_entry e;
    entry_decoder_init(&d);
    assert_int_equal(entry_decode(&d, cb_buf_span(&r->replica.proposed), &h, &e), ENTRY_OK);
    entry_decoder_fini(&d);
    return h.stamp_ns;
}

static void all_are_asked_until_one_knows(void **state)
{
    struct core_rig *r = *state;
    assert_true(r->clocks_asked[1] == 1 && r->clocks_asked[3] == 1);
    core_rig_advance(r, ROUND);
    assert_true(r->clocks_asked[1] == 1 && r->clocks_asked[3] == 1); /* not while it is asked */
    answer(r, 1, NULL);
    const struct prop_clock_word none = {.now_ns = 5};
    answer(r, 3, &none);
    core_rig_advance(r, ROUND);
    const struct prop_clock_word word = known(r, 0);
    answer(r, 3, &word);
    core_rig_advance(r, 10 * ROUND);
    assert_true(r->clocks_asked[1] == 1 && r->clocks_asked[3] == 0);
    answer(r, 1, &word); /* late, and taken */
    core_rig_advance(r, 10 * ROUND);
    assert_true(r->clocks_asked[1] == 0 && r->clocks_asked[3] == 0);
}

static void one_that_applies_what_is_old_asks_on(void **state)
{
    struct core_rig *r = *state;
    core_rig_put(r, 10);
    answer(r, 1, NULL);
    core_rig_advance(r, ROUND);
    assert_int_equal(r->clocks_asked[1], 1);
}

static void who_leads_has_the_time_that_it_was_told(void **state)
{
    struct core_rig *r = *state;
    uint64_t stamp = jsm_stamp_ns(core_machine(r->core));
    const struct prop_clock_word word = known(r, 7 * CB_NS_PER_S);
    r->wall_ns += 3600 * CB_NS_PER_S;
    answer(r, 3, &word);
    core_rig_advance(r, CB_NS_PER_S);
    core_rig_role(r, REPLICA_LEADER);
    core_turn(r->core);
    assert_int_equal(r->replica.n_proposed, 1); /* RESUME, which has no time of its own */
    assert_int_equal(proposed_stamp(r), stamp);
    core_rig_apply(r, cb_buf_span(&r->replica.proposed), true);
    core_turn(r->core);
    assert_true(proposer_is_serving(core_proposer(r->core))); /* at once */
    assert_int_equal(core_clock_tell(r->core).now_ns, stamp + 8 * CB_NS_PER_S);
}

static void an_answer_that_took_too_long_is_not_used(void **state)
{
    struct core_rig *r = *state;
    const struct prop_clock_word word = known(r, 0);
    core_rig_advance(r, CORE_CLOCK_LATE_NS + 1);
    answer(r, 3, &word);
    core_rig_advance(r, ROUND);
    assert_int_equal(r->clocks_asked[3], 1);
}

static void the_newest_term_in_the_log_is_what_counts(void **state)
{
    struct core_rig *r = *state;
    const struct prop_clock_word word = known(r, 7 * CB_NS_PER_S);
    r->replica.appended.term = RIG_TERM + 1; /* another leader since */
    answer(r, 3, &word);
    core_rig_advance(r, ROUND);
    assert_int_equal(r->clocks_asked[3], 1);
}

static void a_member_tells_what_it_knows(void **state)
{
    struct core_rig *r = *state;
    assert_false(core_clock_tell(r->core).knows);
    core_rig_put(r, 10);
    struct prop_clock_word w = core_clock_tell(r->core);
    assert_true(w.knows && w.index == r->index && w.term == RIG_TERM);
    assert_int_equal(w.now_ns, jsm_stamp_ns(core_machine(r->core)));
}

/* Its log, replayed, says that time was lost: what it was told was of before. */
static void who_has_to_forget_asks_again(void **state)
{
    struct core_rig *r = *state;
    const struct prop_clock_word word = known(r, 0);
    answer(r, 1, NULL);
    answer(r, 3, &word);
    core_rig_advance(r, 10 * ROUND);
    assert_true(r->clocks_asked[1] == 0 && r->clocks_asked[3] == 0);
    const struct jsm_item clock = {.kind = JSM_ITEM_CLOCK};
    core_rig_apply(r, core_rig_entry(r, &clock, 1), false);
    assert_true(r->clocks_asked[1] == 1 && r->clocks_asked[3] == 1);
}

/* Who is added is asked too; who was removed is not, and what it answers counts for nothing. */
static void members_come_and_go(void **state)
{
    struct core_rig *r = *state;
    const struct prop_clock_word word = known(r, 0);
    r->replica.members[0] = (struct replica_member){.id = 1};
    r->replica.members[1] = (struct replica_member){.id = RIG_SELF};
    r->replica.n_members = 2;
    r->events.members(r->events.data);
    assert_int_equal(r->members_told, 1);
    answer(r, 3, &word);
    core_rig_advance(r, ROUND);
    assert_true(r->clocks_asked[1] == 1 && r->clocks_asked[3] == 0); /* not settled, not asked */
    r->replica.members[2] = (struct replica_member){.id = 3, .role = REPLICA_SPARE};
    r->replica.n_members = 3;
    r->events.members(r->events.data);
    core_rig_advance(r, ROUND);
    assert_int_equal(r->clocks_asked[3], 0); /* it has nothing to tell */
    r->replica.members[2].role = REPLICA_STANDBY;
    r->events.members(r->events.data);
    core_rig_advance(r, ROUND);
    assert_int_equal(r->clocks_asked[3], 1);
    answer(r, 3, &word);
    core_rig_advance(r, 10 * ROUND);
    assert_int_equal(r->clocks_asked[3], 0);
}

/* The list that came with a state is of before this one was added, and who was removed meanwhile is
 * on it. Nobody can ask that one: a node once ended there. */
static void one_that_the_owner_does_not_know_is_not_asked(void **state)
{
    struct core_rig *r = *state;
    r->replica.members[0] = (struct replica_member){.id = 1};
    r->replica.members[1] = (struct replica_member){.id = 3};
    r->replica.n_members = 2;
    r->unheard_of = 3;
    const struct prop_clock_word word = known(r, 0);
    r->events.members(r->events.data);
    answer(r, 3, &word);
    core_rig_advance(r, ROUND);
    assert_true(r->clocks_asked[1] == 1 && r->clocks_asked[3] == 0);
    r->unheard_of = 0;
    r->events.members(r->events.data);
    core_rig_advance(r, ROUND);
    assert_int_equal(r->clocks_asked[3], 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, init, fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(all_are_asked_until_one_knows),
        T(one_that_applies_what_is_old_asks_on),
        T(who_leads_has_the_time_that_it_was_told),
        T(an_answer_that_took_too_long_is_not_used),
        T(the_newest_term_in_the_log_is_what_counts),
        T(a_member_tells_what_it_knows),
        T(who_has_to_forget_asks_again),
        T(members_come_and_go),
        T(one_that_the_owner_does_not_know_is_not_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
