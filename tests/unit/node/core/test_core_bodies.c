/* Bodies that are not in memory (ADR 14): when they leave it, that they are fetched on a worker,
 * many at a time and one fetch after the other, and what happens when the store has not got what it
 * should have. */
#include "unit/node/core/core_rig.h"

#include "node/core/core_internal.h"

#define LEN 1000u

static int init(void **state)
{
    static struct core_rig rig;
    core_rig_init_disk(&rig);
    rig.body_cache = 1;
    core_rig_boot(&rig);
    core_rig_open_session(&rig);
    *state = &rig;
    return 0;
}

static int fini(void **state)
{
    core_rig_fini(*state);
    return 0;
}

static uint64_t away(const struct core_rig *r)
{
    return jsm_body_use(core_machine(r->core)).n_away;
}

static void store(struct core_rig *r)
{
    core_rig_advance(r, CORE_SPAN_NS);
    core_turn(r->core);
    core_rig_store(r);
}

static void ack(struct core_rig *r)
{
    const struct jsm_session *s = jsm_session_get(core_machine(r->core), 1);
    const struct jsm_item item = {
        .kind = JSM_ITEM_ACK, .session = 1, .number = jsm_session_last_result(s)};
    core_rig_apply(r, core_rig_entry(r, &item, 1), true);
}

/* `n` jobs whose bodies are away. */
static void put_away(struct core_rig *r, unsigned n, size_t len)
{
    for (unsigned i = 0; i < n; i++) {
        core_rig_put(r, len);
    }
    ack(r);
    store(r);
    assert_int_equal(away(r), n);
}

static void apply_proposed(struct core_rig *r)
{
    core_rig_apply(r, cb_buf_span(&r->replica.proposed), true);
    core_turn(r->core);
}

/* It leads, and the session's proxy is attached. */
static void lead(struct core_rig *r)
{
    const struct jsm_session *s = jsm_session_get(core_machine(r->core), 1);
    core_rig_role(r, REPLICA_LEADER);
    core_rig_advance(r, 2 * CB_NS_PER_S); /* nobody else knows the time */
    core_turn(r->core);
    apply_proposed(r);
    assert_true(r->is_serving);
    r->stream = (struct rig_stream){.n_results = 0};
    r->stream.st = proposer_stream_open(core_proposer(r->core), &r->stream);
    const struct wire_to_node m = {.has_attach = true,
                                   .seq = 1,
                                   .attach = {.version = WIRE_PROTOCOL_VERSION,
                                              .name = cb_span_str("p1"),
                                              .started_ns = 1,
                                              .random = 1,
                                              .session = 1,
                                              .seen_result = jsm_session_last_result(s),
                                              .number = 1}};
    assert_true(proposer_stream_message(core_proposer(r->core), r->stream.st, &m));
    core_turn(r->core);
}

/* `n` reserves in one message, applied. */
static void reserve(struct core_rig *r, unsigned n)
{
    struct wire_request q[128];
    assert_true(n <= 128);
    for (unsigned i = 0; i < n; i++) {
        q[i] = (struct wire_request){.number = ++r->requests, .conn = 1, .op = WIRE_OP_RESERVE};
    }
    struct wire_to_node m = {.seq = 2, .requests = q, .n_requests = n};
    assert_true(proposer_stream_message(core_proposer(r->core), r->stream.st, &m));
    core_turn(r->core);
    apply_proposed(r);
}

static enum proposer_body get(struct core_rig *r, uint64_t job, uint32_t len, struct cb_span *out)
{
    const struct proposer_body_ask ask = {.job = job, .len = len};
    return core_bodies_get(r->core, &ask, out);
}

static void they_leave_when_they_are_durable(void **state)
{
    struct core_rig *r = *state;
    core_rig_put(r, LEN);
    core_rig_advance(r, CORE_SPAN_NS);
    core_turn(r->core);
    assert_true(core_rig_is_committing(r));
    assert_int_equal(away(r), 0);
    core_store_notified(r->core); /* of something else */
    assert_int_equal(away(r), 0);
    core_rig_store(r);
    assert_int_equal(away(r), 1);
}

static void a_start_keeps_no_more_than_it_may(void **state)
{
    struct core_rig *r = *state;
    put_away(r, 3, LEN);
    core_rig_crash(r);
    r->body_cache = 2 * LEN;
    core_rig_boot(r);
    assert_int_equal(away(r), 1);
    core_rig_crash(r);
    r->body_cache = 0;
    core_rig_boot(r);
    assert_int_equal(away(r), 0);
}

static void a_result_waits_for_its_body(void **state)
{
    struct core_rig *r = *state;
    put_away(r, 2, LEN);
    lead(r);
    reserve(r, 1);
    assert_int_equal(r->stream.n_results, 0);
    assert_int_equal(r->n_works, 1);
    assert_true(core_is_busy(r->core));
    core_turn(r->core);
    assert_int_equal(r->n_works, 1); /* once */
    core_rig_work(r);
    core_turn(r->core);
    assert_int_equal(r->stream.n_results, 1);
    assert_int_equal(r->stream.last_id, 1);
    assert_int_equal(r->stream.last_body_len, LEN);
    assert_false(core_is_busy(r->core));
}

static void many_are_fetched_at_once(void **state)
{
    struct core_rig *r = *state;
    put_away(r, CB_BODY_FETCH_MAX + 10, LEN);
    lead(r);
    reserve(r, CB_BODY_FETCH_MAX + 10);
    assert_int_equal(r->n_works, 1);
    core_rig_work(r);
    assert_int_equal(r->n_reads, 1);
    core_turn(r->core);
    assert_int_equal(r->stream.n_results, CB_BODY_FETCH_MAX);
    while (r->n_works > 0) {
        core_rig_work(r);
        core_turn(r->core);
    }
    assert_int_equal(r->stream.n_results, CB_BODY_FETCH_MAX + 10);
    assert_int_equal(r->n_reads, 2);
}

/* What has come waits too. */
static void a_stream_may_be_full_when_they_come(void **state)
{
    struct core_rig *r = *state;
    put_away(r, 1, LEN);
    lead(r);
    reserve(r, 1);
    r->stream.is_full = true;
    core_rig_work(r);
    core_turn(r->core);
    assert_int_equal(r->stream.n_results, 0);
    r->stream.is_full = false;
    proposer_stream_writable(core_proposer(r->core), r->stream.st);
    assert_int_equal(r->stream.n_results, 1);
    assert_int_equal(r->n_reads, 1);
}

static void fetches_are_bounded_in_bytes(void **state)
{
    struct core_rig *r = *state;
    struct cb_span body;
    put_away(r, 3, CB_BODY_FETCH_BYTES);
    for (uint64_t job = 1; job <= 3; job++) {
        assert_int_equal(get(r, job, CB_BODY_FETCH_BYTES, &body), PROPOSER_BODY_COMES);
    }
    for (uint64_t job = 1; job <= 3; job++) {
        core_turn(r->core);
        core_turn(r->core);
        assert_int_equal(r->n_works, 1); /* one after the other */
        core_rig_work(r);
        assert_int_equal(get(r, job, CB_BODY_FETCH_BYTES, &body), PROPOSER_BODY_HERE);
        assert_int_equal(body.len, CB_BODY_FETCH_BYTES);
    }
}

static void what_came_is_kept_within_a_bound(void **state)
{
    struct core_rig *r = *state;
    enum { N = CB_BODIES_HERE_BYTES_MAX / CB_JOB_SIZE_MAX };
    struct cb_span body;
    put_away(r, N, CB_JOB_SIZE_MAX);
    for (uint64_t job = 1; job <= N; job++) {
        (void)get(r, job, CB_JOB_SIZE_MAX, &body);
        core_turn(r->core);
        core_rig_work(r);
    }
    assert_true(r->core->bodies.here_bytes <= CB_BODIES_HERE_BYTES_MAX);
    assert_int_equal(get(r, N, CB_JOB_SIZE_MAX, &body), PROPOSER_BODY_HERE);
    assert_int_equal(get(r, 2, CB_JOB_SIZE_MAX, &body), PROPOSER_BODY_HERE);
    assert_int_equal(get(r, 1, CB_JOB_SIZE_MAX, &body), PROPOSER_BODY_COMES);
}

static void delete_job(struct core_rig *r, uint64_t id)
{
    const struct jsm_item item = {.kind = JSM_ITEM_REQUEST,
                                  .session = 1,
                                  .number = ++r->requests,
                                  .command = {.op = JSM_OP_DELETE, .conn = 1, .id = id}};
    core_rig_apply(r, core_rig_entry(r, &item, 1), true);
}

static void one_that_is_gone_is_gone(void **state)
{
    struct core_rig *r = *state;
    struct cb_span body;
    put_away(r, 1, LEN);
    assert_int_equal(get(r, 1, LEN, &body), PROPOSER_BODY_COMES);
    core_turn(r->core);
    delete_job(r, 1);
    store(r);
    core_rig_work(r);
    assert_int_equal(get(r, 1, LEN, &body), PROPOSER_BODY_GONE);
    assert_int_equal(get(r, 1, LEN, &body), PROPOSER_BODY_GONE);
}

/* Its bytes are of the state before. */
static void a_fetch_from_before_a_swap_counts_for_nothing(void **state)
{
    struct core_rig *r = *state;
    struct cb_span body;
    put_away(r, 3, LEN);
    (void)get(r, 1, LEN, &body);
    core_turn(r->core);
    (void)get(r, 2, LEN, &body);
    core_bodies_reset(r->core);
    assert_int_equal(get(r, 1, LEN, &body), PROPOSER_BODY_COMES);
    core_rig_work(r);
    assert_int_equal(get(r, 1, LEN, &body), PROPOSER_BODY_COMES);
    core_turn(r->core);
    core_rig_work(r);
    assert_int_equal(get(r, 1, LEN, &body), PROPOSER_BODY_HERE);
}

static void a_crash_forgets_what_is_under_way(void **state)
{
    struct core_rig *r = *state;
    struct cb_span body;
    put_away(r, 3, LEN);
    (void)get(r, 1, LEN, &body);
    core_turn(r->core);
    core_rig_work(r);
    (void)get(r, 2, LEN, &body);
    core_turn(r->core);
    (void)get(r, 3, LEN, &body);
    core_rig_crash(r); /* the sanitizer looks for what is left */
    core_rig_boot(r);
    assert_int_equal(away(r), 3);
}

static void nothing_is_fetched_at_the_end(void **state)
{
    struct core_rig *r = *state;
    struct cb_span body;
    put_away(r, 1, LEN);
    core_state_stop(r->core);
    (void)get(r, 1, LEN, &body);
    core_turn(r->core);
    assert_int_equal(r->n_works, 0);
    assert_false(core_is_busy(r->core));
}

static void fetch(struct core_rig *r)
{
    lead(r);
    reserve(r, 1);
    core_rig_work(r);
    core_turn(r->core);
}

static void what_cannot_be_read_ends_the_process(void **state)
{
    struct core_rig *r = *state;
    put_away(r, 1, LEN);
    r->reads = RIG_READS_DAMAGE;
    core_rig_assert_dies(r, fetch, "cannot read the bodies of jobs: a body is damaged");
    r->reads = RIG_READS_SHORTER;
    core_rig_assert_dies(r, fetch, "the body of job 1 has 999 bytes in /the/dir/state");
    r->reads = RIG_READS_NOTHING;
    core_rig_assert_dies(r, fetch, "the body of job 1 is missing in /the/dir/state");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, init, fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(they_leave_when_they_are_durable),
        TEST(a_start_keeps_no_more_than_it_may),
        TEST(a_result_waits_for_its_body),
        TEST(many_are_fetched_at_once),
        TEST(a_stream_may_be_full_when_they_come),
        TEST(fetches_are_bounded_in_bytes),
        TEST(what_came_is_kept_within_a_bound),
        TEST(one_that_is_gone_is_gone),
        TEST(a_fetch_from_before_a_swap_counts_for_nothing),
        TEST(a_crash_forgets_what_is_under_way),
        TEST(nothing_is_fetched_at_the_end),
        TEST(what_cannot_be_read_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
