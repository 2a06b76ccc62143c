/* A member compares its state with those of the others, and ends when it is the one that is wrong,
 * or when nobody can say who is (design D8). */
#include "unit/node/core/core_rig.h"

static int init(void **state)
{
    static struct core_rig rig;
    core_rig_init(&rig);
    rig.n_others = 2;
    core_rig_crash(&rig);
    core_rig_boot(&rig);
    for (uint64_t id = 1; id <= 3; id++) {
        rig.replica.members[id - 1] = (struct replica_member){.id = id, .role = REPLICA_VOTER};
    }
    rig.replica.n_members = 3;
    core_rig_open_session(&rig);
    *state = &rig;
    return 0;
}

static int fini(void **state)
{
    core_rig_fini(*state);
    return 0;
}

/* The entry after which a checkpoint is due; what this member says of it. */
static struct core_checkpoint pass_checkpoint(struct core_rig *r)
{
    struct core_checkpoint told[CB_DIGESTS_TOLD];
    r->index += CB_CHECKPOINT_ENTRIES - r->index % CB_CHECKPOINT_ENTRIES - 1;
    core_rig_put(r, 10);
    uint32_t n = core_digests_tell(r->core, told);
    assert_true(n > 0);
    assert_int_equal(told[n - 1].index, r->index);
    return told[n - 1];
}

static void answer(struct core_rig *r, uint64_t id, struct core_checkpoint p)
{
    core_digests_answered(r->core, id, &p, 1);
}

static struct core_checkpoint wrong(struct core_checkpoint p, uint64_t by)
{
    p.digest += by;
    return p;
}

static bool differs(const struct core_rig *r)
{
    return r->differs[0] != '\0';
}

static void all_are_asked_all_the_time(void **state)
{
    struct core_rig *r = *state;
    assert_true(r->digests_asked[1] == 1 && r->digests_asked[3] == 1);
    core_rig_advance(r, CORE_ASK_DIGESTS_NS);
    core_rig_advance(r, CORE_ASK_DIGESTS_NS);
    assert_true(r->digests_asked[1] == 3 && r->digests_asked[3] == 3);
}

static void checkpoints_are_told_newest_last(void **state)
{
    struct core_rig *r = *state;
    struct core_checkpoint told[CB_DIGESTS_TOLD];
    assert_int_equal(core_digests_tell(r->core, told), 0);
    for (unsigned i = 0; i < CB_DIGESTS_TOLD + 5; i++) {
        (void)pass_checkpoint(r);
        core_rig_put(r, 1); /* no checkpoint */
    }
    assert_int_equal(core_digests_tell(r->core, told), CB_DIGESTS_TOLD);
    for (unsigned i = 1; i < CB_DIGESTS_TOLD; i++) {
        assert_true(told[i].index > told[i - 1].index && told[i].digest != told[i - 1].digest);
    }
}

static void equal_ones_go_on(void **state)
{
    struct core_rig *r = *state;
    struct core_checkpoint p = pass_checkpoint(r);
    answer(r, 1, p);
    answer(r, 3, p);
    answer(r, 3, (struct core_checkpoint){p.index + CB_CHECKPOINT_ENTRIES, 1}); /* is ahead */
    assert_false(differs(r));
}

static void one_against_a_majority_ends(void **state)
{
    struct core_rig *r = *state;
    struct core_checkpoint p = pass_checkpoint(r);
    answer(r, 1, wrong(p, 1));
    assert_false(differs(r)); /* the third may be of either mind */
    answer(r, 3, wrong(p, 1));
    assert_true(differs(r));
    assert_non_null(strstr(r->differs, "a majority agrees"));
    assert_non_null(strstr(r->differs, "log entry 1024 "));
}

static void one_of_the_majority_goes_on(void **state)
{
    struct core_rig *r = *state;
    struct core_checkpoint p = pass_checkpoint(r);
    answer(r, 1, p);
    answer(r, 3, wrong(p, 1));
    assert_false(differs(r));
}

static void all_end_when_all_differ(void **state)
{
    struct core_rig *r = *state;
    struct core_checkpoint p = pass_checkpoint(r);
    answer(r, 1, wrong(p, 1));
    answer(r, 3, wrong(p, 2));
    assert_non_null(strstr(r->differs, "no majority agrees"));
}

static void one_without_a_vote_does_not_count(void **state)
{
    struct core_rig *r = *state;
    struct core_checkpoint p = pass_checkpoint(r);
    r->replica.members[2].role = REPLICA_STANDBY;
    answer(r, 3, wrong(p, 1));
    assert_false(differs(r));
    answer(r, 1, p);
    assert_false(differs(r));
}

/* What another was told of long ago is still compared: one may lag. */
static void one_that_lags_is_compared(void **state)
{
    struct core_rig *r = *state;
    struct core_checkpoint old = pass_checkpoint(r);
    for (unsigned i = 0; i < 100; i++) {
        (void)pass_checkpoint(r);
    }
    answer(r, 1, wrong(old, 1));
    answer(r, 3, wrong(old, 1));
    assert_true(differs(r));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, init, fini)
    const struct CMUnitTest tests[] = {
        TEST(all_are_asked_all_the_time),
        TEST(checkpoints_are_told_newest_last),
        TEST(equal_ones_go_on),
        TEST(one_against_a_majority_ends),
        TEST(one_of_the_majority_goes_on),
        TEST(all_end_when_all_differ),
        TEST(one_without_a_vote_does_not_count),
        TEST(one_that_lags_is_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
