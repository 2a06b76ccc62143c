/* The state to other members: a copy waits for its index and is of one state, parts come in order
 * and again when their answers were lost, and copies end. */
#include "unit/node/core/core_pair.h"

/* An answer that came without a worker. */
static void assert_refused(struct core_rig *r, const void *call, enum core_state_result why)
{
    struct rig_answer a = core_rig_answer(r);
    assert_ptr_equal(a.call, call);
    assert_int_equal(a.part.result, why);
    assert_int_equal(a.part.copy, 0);
    assert_int_equal(a.part.bytes.len, 0);
    cb_buf_fini(&a.bytes);
}

/* The first part of a new copy. */
static struct rig_answer begin_copy(struct core_rig *r, uint64_t from)
{
    const struct core_state_ask q = {.at_least = r->index};
    core_pair_ask(r, from, &q, CALL(0));
    core_rig_work(r);
    struct rig_answer a = core_rig_answer(r);
    assert_ptr_equal(a.call, CALL(0));
    assert_int_equal(a.part.result, CORE_STATE_PART);
    assert_int_equal(a.part.part, 0);
    return a;
}

static void a_copy_waits_for_its_index(void **state)
{
    struct core_rig *r = &((struct core_pair *)*state)->leader;
    core_pair_fill(*state);
    core_rig_put(r, 10);
    const struct core_state_ask q = {.at_least = r->index};
    core_pair_ask(r, FOLLOWER, &q, CALL(0));
    assert_int_equal(r->n_works, 0);
    core_turn(r->core); /* the span is due at once, because of it */
    assert_int_equal(r->n_works, 0);
    core_rig_store(r);
    assert_int_equal(r->n_works, 1);
    core_rig_work(r);
    struct rig_answer a = core_rig_answer(r);
    assert_int_equal(a.part.result, CORE_STATE_PART);
    cb_buf_fini(&a.bytes);
}

static void who_is_behind_says_so(void **state)
{
    struct core_rig *r = &((struct core_pair *)*state)->leader;
    core_pair_fill(*state);
    const struct core_state_ask q = {.at_least = r->index + 1};
    core_pair_ask(r, FOLLOWER, &q, CALL(1));
    assert_refused(r, CALL(1), CORE_STATE_BEHIND);
}

static void parts_come_in_order_and_the_last_again(void **state)
{
    struct core_rig *r = &((struct core_pair *)*state)->leader;
    core_pair_fill(*state);
    struct rig_answer first = begin_copy(r, FOLLOWER);
    struct core_state_ask q = {.copy = first.part.copy, .part = 0};
    core_pair_ask(r, FOLLOWER, &q, CALL(1)); /* its answer was lost */
    struct rig_answer again = core_rig_answer(r);
    assert_true(cb_span_eq(again.part.bytes, first.part.bytes));
    cb_buf_fini(&again.bytes);
    cb_buf_fini(&first.bytes);
    q.part = 2;
    core_pair_ask(r, FOLLOWER, &q, CALL(2));
    assert_refused(r, CALL(2), CORE_STATE_UNKNOWN);
    bool is_last = false;
    for (q.part = 1; !is_last; q.part++) {
        core_pair_ask(r, FOLLOWER, &q, CALL(3));
        core_rig_work(r);
        struct rig_answer a = core_rig_answer(r);
        assert_ptr_equal(a.call, CALL(3));
        assert_int_equal(a.part.part, q.part);
        assert_in_range(a.part.bytes.len, 1, CB_STATE_PART_MAX);
        is_last = a.part.is_last;
        cb_buf_fini(&a.bytes);
    }
    q.part--;
    core_pair_ask(r, FOLLOWER, &q, CALL(4));
    again = core_rig_answer(r);
    assert_true(again.part.is_last);
    cb_buf_fini(&again.bytes);
    q.part--;
    core_pair_ask(r, FOLLOWER, &q, CALL(5));
    assert_refused(r, CALL(5), CORE_STATE_UNKNOWN);
    q.part += 2; /* there are no more */
    core_pair_ask(r, FOLLOWER, &q, CALL(5));
    assert_refused(r, CALL(5), CORE_STATE_UNKNOWN);
}

/* The asker's deadline has passed while the part is made: it asks once more. */
static void a_part_that_is_made_answers_the_newest_question(void **state)
{
    struct core_rig *r = &((struct core_pair *)*state)->leader;
    core_pair_fill(*state);
    struct rig_answer a = begin_copy(r, FOLLOWER);
    const struct core_state_ask q = {.copy = a.part.copy, .part = 1};
    cb_buf_fini(&a.bytes);
    core_pair_ask(r, FOLLOWER, &q, CALL(1));
    core_pair_ask(r, FOLLOWER, &q, CALL(2));
    assert_refused(r, CALL(1), CORE_STATE_UNKNOWN);
    assert_int_equal(r->n_works, 1);
    core_rig_work(r);
    a = core_rig_answer(r);
    assert_ptr_equal(a.call, CALL(2));
    assert_int_equal(a.part.part, 1);
    cb_buf_fini(&a.bytes);
}

static void a_new_copy_takes_the_place_of_the_old(void **state)
{
    struct core_rig *r = &((struct core_pair *)*state)->leader;
    core_pair_fill(*state);
    struct rig_answer a = begin_copy(r, FOLLOWER);
    const struct core_state_ask old = {.copy = a.part.copy, .part = 1};
    cb_buf_fini(&a.bytes);
    core_pair_ask(r, FOLLOWER, &old, CALL(1));
    const struct core_state_ask anew = {.at_least = r->index};
    core_pair_ask(r, FOLLOWER, &anew, CALL(2)); /* the worker is at the old one */
    assert_refused(r, CALL(1), CORE_STATE_UNKNOWN);
    core_rig_work(r);
    assert_int_equal(r->n_answers, 0);
    core_rig_work(r);
    a = core_rig_answer(r);
    assert_ptr_equal(a.call, CALL(2));
    assert_int_equal(a.part.part, 0);
    assert_int_not_equal(a.part.copy, old.copy);
    cb_buf_fini(&a.bytes);
    core_pair_ask(r, FOLLOWER, &old, CALL(3));
    assert_refused(r, CALL(3), CORE_STATE_UNKNOWN);
}

static void each_member_has_its_own(void **state)
{
    struct core_rig *r = &((struct core_pair *)*state)->leader;
    core_pair_fill(*state);
    struct rig_answer a = begin_copy(r, FOLLOWER);
    struct rig_answer b = begin_copy(r, FOLLOWER + 1);
    assert_int_not_equal(a.part.copy, b.part.copy);
    assert_true(cb_span_eq(a.part.bytes, b.part.bytes));
    const struct core_state_ask q = {.copy = a.part.copy, .part = 1};
    core_pair_ask(r, FOLLOWER + 1, &q, CALL(1)); /* not of another's */
    assert_refused(r, CALL(1), CORE_STATE_UNKNOWN);
    cb_buf_fini(&a.bytes);
    cb_buf_fini(&b.bytes);
}

/* A process that came after it has no copies, and none of its own with that number. */
static void copies_go_with_the_process(void **state)
{
    struct core_rig *r = &((struct core_pair *)*state)->leader;
    core_pair_fill(*state);
    struct rig_answer a = begin_copy(r, FOLLOWER);
    const struct core_state_ask q = {.copy = a.part.copy, .part = 1};
    cb_buf_fini(&a.bytes);
    core_rig_crash(r);
    core_rig_advance(r, CB_NS_PER_MS);
    core_rig_boot(r);
    a = begin_copy(r, FOLLOWER);
    assert_int_not_equal(a.part.copy, q.copy);
    cb_buf_fini(&a.bytes);
    core_pair_ask(r, FOLLOWER, &q, CALL(1));
    assert_refused(r, CALL(1), CORE_STATE_UNKNOWN);
}

static void a_copy_that_nobody_asks_for_ends(void **state)
{
    struct core_rig *r = &((struct core_pair *)*state)->leader;
    core_pair_fill(*state);
    struct rig_answer a = begin_copy(r, FOLLOWER);
    const struct core_state_ask q = {.copy = a.part.copy, .part = 0};
    cb_buf_fini(&a.bytes);
    core_rig_advance(r, (CB_STATE_COPY_IDLE_MS - 1) * CB_NS_PER_MS);
    core_pair_ask(r, FOLLOWER, &q, CALL(1));
    a = core_rig_answer(r);
    assert_int_equal(a.part.result, CORE_STATE_PART);
    cb_buf_fini(&a.bytes);
    core_rig_advance(r, (CB_STATE_COPY_IDLE_MS + 6000) * CB_NS_PER_MS);
    core_pair_ask(r, FOLLOWER, &q, CALL(1));
    assert_refused(r, CALL(1), CORE_STATE_UNKNOWN);
    assert_int_equal(r->timers[CORE_TIMER_COPY], JSM_NEVER);
}

/* Its read transaction keeps the old pages of the database. */
static void a_copy_that_takes_too_long_ends(void **state)
{
    struct core_rig *r = &((struct core_pair *)*state)->leader;
    core_pair_fill(*state);
    struct rig_answer a = begin_copy(r, FOLLOWER);
    const struct core_state_ask q = {.copy = a.part.copy, .part = 0};
    for (uint64_t ms = 0; ms <= CB_STATE_COPY_MS; ms += 30000) {
        cb_buf_fini(&a.bytes);
        core_rig_advance(r, 30000 * CB_NS_PER_MS);
        core_pair_ask(r, FOLLOWER, &q, CALL(1));
        a = core_rig_answer(r);
    }
    assert_int_equal(a.part.result, CORE_STATE_UNKNOWN);
    cb_buf_fini(&a.bytes);
}

static void what_cannot_be_read_is_said(void **state)
{
    struct core_rig *r = &((struct core_pair *)*state)->leader;
    core_pair_fill(*state);
    r->is_unreadable = true;
    const struct core_state_ask q = {.at_least = r->index};
    core_pair_ask(r, FOLLOWER, &q, CALL(1));
    core_rig_work(r);
    assert_refused(r, CALL(1), CORE_STATE_FAILED);
    r->is_unreadable = false;
    struct rig_answer a = begin_copy(r, FOLLOWER);
    cb_buf_fini(&a.bytes);
}

static void a_stop_answers_all(void **state)
{
    struct core_rig *r = &((struct core_pair *)*state)->leader;
    core_pair_fill(*state);
    const struct core_state_ask q = {.at_least = r->index};
    core_pair_ask(r, FOLLOWER, &q, CALL(1));
    core_pair_ask(r, FOLLOWER + 1, &q, CALL(2));
    core_state_stop(r->core);
    assert_refused(r, CALL(1), CORE_STATE_UNKNOWN);
    assert_refused(r, CALL(2), CORE_STATE_UNKNOWN);
    core_state_asked(r->core, FOLLOWER, &q, CALL(3));
    assert_refused(r, CALL(3), CORE_STATE_UNKNOWN);
    core_rig_work(r); /* were under way */
    core_rig_work(r);
    assert_int_equal(r->n_answers, 0);
}

static void a_crash_frees_copies(void **state)
{
    struct core_rig *r = &((struct core_pair *)*state)->leader;
    core_pair_fill(*state);
    struct rig_answer a = begin_copy(r, FOLLOWER);
    cb_buf_fini(&a.bytes);
    const struct core_state_ask q = {.at_least = r->index};
    core_pair_ask(r, FOLLOWER + 1, &q, CALL(1));
    core_pair_ask(r, FOLLOWER + 1, &q, CALL(2)); /* the first is dropped, the worker has it */
    core_rig_crash(r);
    core_rig_boot(r);
    assert_int_equal(core_stored_applied(r->core).index, JOBS + 2);
}

#define T(f) cmocka_unit_test_setup_teardown(f, core_pair_init, core_pair_fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_copy_waits_for_its_index),
        T(who_is_behind_says_so),
        T(parts_come_in_order_and_the_last_again),
        T(a_part_that_is_made_answers_the_newest_question),
        T(a_new_copy_takes_the_place_of_the_old),
        T(each_member_has_its_own),
        T(copies_go_with_the_process),
        T(a_copy_that_nobody_asks_for_ends),
        T(a_copy_that_takes_too_long_ends),
        T(what_cannot_be_read_is_said),
        T(a_stop_answers_all),
        T(a_crash_frees_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
