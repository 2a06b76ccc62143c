/* Proves that the simulator's oracle reports each thing that must never be, under the right
 * property and with what one needs to know of it. */
#include "unit/sim/oracle_fixture.h"

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"

#include <string.h>

/* ---- a small log: session 1 and its connection 1 ---- */

#define SECONDS(n) ((uint64_t)(n)*CB_NS_PER_S)

static uint32_t append_items(uint64_t index, const struct jsm_item *items, uint32_t n)
{
    struct jsm_entry e = {.stamp_ns = SECONDS(index), .items = items, .n_items = n};
    return oracle_append(index, 1, &e);
}

static uint32_t append_open(uint64_t index)
{
    const struct jsm_item open = {.kind = JSM_ITEM_OPEN,
                                  .name = cb_span_str("proxy"),
                                  .address = cb_span_str("here"),
                                  .incarnation = {index, index}};
    return append_items(index, &open, 1);
}

static uint32_t append_request(uint64_t index, uint64_t request, struct jsm_command command)
{
    command.conn = 1;
    const struct jsm_item item = {
        .kind = JSM_ITEM_REQUEST, .session = 1, .number = request, .command = command};
    return append_items(index, &item, 1);
}

static struct jsm_command put(uint32_t pri, uint32_t delay)
{
    return (struct jsm_command){
        .op = JSM_OP_PUT, .pri = pri, .delay = delay, .ttr = 60, .body = cb_span_str("the body")};
}

/* Entries 1 to 3: a session, a connection, a job. Node 1 has applied them. */
static int setup_small(void **state)
{
    (void)oracle_setup(state);
    oracle_apply(1, append_open(1));
    oracle_apply(1, append_request(2, 1, (struct jsm_command){.op = JSM_OP_CONN_OPEN}));
    oracle_apply(1, append_request(3, 2, put(5, 0)));
    return 0;
}

/* ---- P16 ---- */

static void test_not_durable(void **state)
{
    (void)state;
    uint32_t place = append_request(4, 3, put(5, 0));
    fixture.durable = ORACLE_MAJORITY - 1;
    VIOLATES("P16", "node 1 applied index 4 of term 1", oracle_apply(1, place));
}

/* ---- P15: the log ---- */

static void test_other_bytes(void **state)
{
    (void)state;
    uint32_t other = append_open(1); /* the batch number differs, the effect does not */
    VIOLATES("P15", "committed entry replaced: node 2 applied index 1 of term 1",
             oracle_apply(2, other));
    assert_non_null(strstr(fixture.sentence, "node 1 had term 1"));
}

static void test_other_term(void **state)
{
    (void)state;
    fixture.log[0].term = 7;
    VIOLATES("P15", "committed entry replaced: node 2 applied index 1 of term 7",
             oracle_apply(2, 0));
}

static void test_padding_is_no_difference(void **state)
{
    (void)state;
    uint8_t padded[512] = {0};
    struct cb_span *bytes = &fixture.log[0].bytes;
    memcpy(padded, bytes->ptr, bytes->len);
    struct cb_span bare = *bytes;
    *bytes = cb_span(padded, bare.len + (8 - bare.len % 8) % 8);
    oracle_apply(2, 0);
    *bytes = bare;
}

static void test_machine_got_another_entry(void **state)
{
    (void)state;
    uint32_t other = append_request(3, 2, put(6, 0));
    oracle_apply(2, 0);
    oracle_apply(2, 1);
    VIOLATES("P15", "replicas differ: node 2 applied index 3", oracle_apply_other(2, other, 2));
}

static void test_left_out(void **state)
{
    (void)state;
    oracle_apply(2, 0);
    VIOLATES("P15", "entry left out: node 2 at index 1 applied index 3 without index 2",
             oracle_apply(2, 2));
}

static void test_left_out_before_a_new_one(void **state)
{
    (void)state;
    uint32_t place = append_request(4, 3, put(5, 0));
    oracle_apply(2, 0);
    oracle_apply(2, 1);
    VIOLATES("P15", "entry left out: node 2 at index 2 applied index 4 without index 3",
             oracle_apply(2, place));
}

static void test_put_in(void **state)
{
    (void)state;
    oracle_apply(1, append_request(6, 3, put(5, 0)));
    for (uint32_t i = 0; i < 3; i++) {
        oracle_apply(2, i);
    }
    uint32_t place = append_request(5, 3, put(5, 0));
    VIOLATES("P15", "entry put in: node 2 applied index 5", oracle_apply(2, place));
}

static void test_applied_twice(void **state)
{
    (void)state;
    VIOLATES("P15", "log went back: node 1 applied index 3",
             sim_oracle_applied(fixture.oracle, 1, 3, 1, fixture.log[2].bytes,
                                fixture.nodes[0].machine));
}

static void test_terms_fall(void **state)
{
    (void)state;
    uint32_t place = append_request(4, 3, put(5, 0));
    fixture.log[place].term = 9;
    oracle_apply(1, place);
    VIOLATES("P15", "terms fall", oracle_apply(1, append_request(5, 4, put(5, 0))));
}

static void test_unreadable(void **state)
{
    (void)state;
    uint32_t place = append_request(4, 3, put(5, 0));
    struct cb_span cut = {fixture.log[place].bytes.ptr, fixture.log[place].bytes.len - 1};
    VIOLATES("P15", "whose entry is shorter than it says",
             sim_oracle_applied(fixture.oracle, 1, 4, 1, cut, fixture.nodes[0].machine));
}

/* ---- P13, P11, P15: a machine that is not what the log makes of it ---- */

/* Entry 4 in the log is `said`, what the first machine to apply it gets is `done`. */
static void apply_as_first(uint64_t request, struct jsm_command done, struct jsm_command said)
{
    uint32_t a = append_request(4, request, done);
    uint32_t b = append_request(4, 3, said);
    oracle_apply_other(1, a, b);
}

static void test_other_outcome(void **state)
{
    (void)state;
    VIOLATES("P13", "session 1, result 2: outcome",
             apply_as_first(3, (struct jsm_command){.op = JSM_OP_DELETE, .id = 2},
                            (struct jsm_command){.op = JSM_OP_DELETE, .id = 1}));
}

/* The body stored differs, which shows when the job is given out. */
static void test_other_body(void **state)
{
    (void)state;
    struct jsm_command other = put(5, 0);
    other.body = cb_span_str("no body!");
    apply_as_first(3, other, put(5, 0));
    uint32_t first = append_request(5, 4, (struct jsm_command){.op = JSM_OP_RESERVE_JOB, .id = 1});
    uint32_t second = append_request(6, 5, (struct jsm_command){.op = JSM_OP_RESERVE_JOB, .id = 2});
    oracle_apply(1, first);
    VIOLATES("P13", "body: model 'the body', machine 'no body!'", oracle_apply(1, second));
}

static void test_missing_result(void **state)
{
    (void)state;
    VIOLATES("P13", "answer missing: result 2 of session 1",
             apply_as_first(9, put(5, 0), put(5, 0)));
}

static void test_expired_request_has_effect(void **state)
{
    (void)state;
    uint32_t done = append_request(4, 3, put(5, 0));
    const struct jsm_item late = {.kind = JSM_ITEM_REQUEST,
                                  .session = 1,
                                  .number = 9,
                                  .command = {.op = JSM_OP_CONN_OPEN, .conn = 2}};
    uint32_t said = append_items(4, &late, 1);
    VIOLATES("P13", "requests dropped: node 1", oracle_apply_other(1, done, said));
}

static void test_session_not_suspended(void **state)
{
    (void)state;
    const struct jsm_item resume = {.kind = JSM_ITEM_RESUME};
    uint32_t done = append_items(4, NULL, 0);
    uint32_t said = append_items(4, &resume, 1);
    VIOLATES("P13", "suspended: model 1, machine 0", oracle_apply_other(1, done, said));
}

static void test_other_queue(void **state)
{
    (void)state;
    VIOLATES("P11", "jobs not conserved: node 1 at index 4 made 2",
             apply_as_first(3, put(5, 10), put(5, 0)));
}

static void test_due_at_another_time(void **state)
{
    (void)state;
    VIOLATES("P15", "next due", apply_as_first(3, put(5, 10), put(5, 20)));
}

/* Only a look at everything finds it. */
static void test_other_priority(void **state)
{
    (void)state;
    apply_as_first(3, put(5, 0), put(6, 0));
    VIOLATES("P15", "job 2: pri: model 6, machine 5",
             sim_oracle_compare(fixture.oracle, 1, fixture.nodes[0].machine));
}

static void test_looks_at_everything_now_and_then(void **state)
{
    (void)state;
    apply_as_first(3, put(5, 0), put(6, 0));
    for (uint64_t i = 5; i < 256; i++) {
        oracle_apply(1, append_items(i, NULL, 0));
    }
    VIOLATES("P15", "job 2: pri: model 6, machine 5", oracle_apply(1, append_items(256, NULL, 0)));
}

/* ---- D2, D3 ---- */

static void test_a_term_begins_with_resume(void **state)
{
    (void)state;
    const struct jsm_item resume = {.kind = JSM_ITEM_RESUME};
    fixture.proposer_term = 2;
    oracle_apply(1, append_items(4, &resume, 1));
    oracle_apply(1, append_request(5, 3, put(5, 0)));
    fixture.proposer_term = 3;
    uint32_t place = append_request(6, 4, put(5, 0));
    VIOLATES("D2", "the first entry of node 1 in term 3", oracle_apply(1, place));
}

static void test_who_loses_a_job_is_told(void **state)
{
    (void)state;
    const struct jsm_item expire = {.kind = JSM_ITEM_EXPIRE, .session = 1};
    oracle_apply(1, append_request(4, 3, put(5, 0)));
    oracle_apply(1, append_request(5, 4, (struct jsm_command){.op = JSM_OP_RESERVE_JOB, .id = 2}));
    assert_int_equal(fixture.given_away, 0);
    oracle_apply(1, append_items(6, &expire, 1));
    assert_int_equal(fixture.given_away, 1);
    assert_int_equal(fixture.given_away_jobs, 2);
    oracle_apply(1, append_items(7, &expire, 1)); /* there is no such session any more */
    assert_int_equal(fixture.given_away, 1);
}

/* ---- P15: states ---- */

static void test_state_of_an_unknown_index(void **state)
{
    (void)state;
    uint32_t place = append_request(4, 3, put(5, 0));
    struct entry_header header;
    struct jsm_entry entry;
    assert_int_equal(entry_decode(&fixture.decoder, fixture.log[place].bytes, &header, &entry),
                     ENTRY_OK);
    jsm_apply(fixture.nodes[0].machine, 4, &entry);
    VIOLATES("P15", "state from nowhere: the machine of node 2 is at index 4",
             sim_oracle_loaded(fixture.oracle, 2, fixture.nodes[0].machine));
}

static void test_state_of_another_log(void **state)
{
    (void)state;
    struct jsm *other = jsm_create();
    jsm_apply(other, 3, &(struct jsm_entry){.stamp_ns = 1});
    VIOLATES("P15", "replicas differ: the machine of node 2 has at index 3",
             sim_oracle_loaded(fixture.oracle, 2, other));
    jsm_destroy(other);
}

/* Entry 4, with job 2, is stored; entry 5 is not, so that there is no model to compare it with. */
static struct jsm_store *store_two_jobs(void)
{
    oracle_apply(1, append_request(4, 3, put(5, 0)));
    oracle_store(1);
    oracle_apply(1, append_items(5, NULL, 0));
    oracle_restart(1);
    return &fixture.nodes[0].store;
}

/* The place of the last body that is stored. */
static uint32_t find_body(const struct jsm_store *s)
{
    uint32_t place = UINT32_MAX;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct jsm_store_record *r = &s->records[i];
        if (cb_span_eq(cb_span(r->value, r->value_len), cb_span_str("the body"))) {
            place = i;
        }
    }
    assert_true(place < s->n);
    return place;
}

static void test_state_with_another_body(void **state)
{
    (void)state;
    struct jsm_store *s = store_two_jobs();
    s->records[find_body(s)].value[0] = 'T';
    VIOLATES("P15", "states differ: node 1 loaded index 4", oracle_restart(1));
}

/* Takes out the records of the last job: their keys begin as that of its body does. */
static void lose_job(struct jsm_store *s)
{
    enum { PREFIX = 9 }; /* the kind and the id */
    uint8_t prefix[PREFIX];
    memcpy(prefix, s->records[find_body(s)].key, PREFIX);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        struct jsm_store_record r = s->records[i];
        if (memcmp(r.key, prefix, PREFIX) == 0) {
            cb_free(r.key);
            cb_free(r.value);
        } else {
            s->records[kept++] = r;
        }
    }
    assert_int_equal(s->n - kept, 2); /* the job and its body */
    s->n = kept;
    s->n_sorted = kept;
}

static void test_state_without_a_job(void **state)
{
    (void)state;
    lose_job(store_two_jobs());
    VIOLATES("P11", "jobs not conserved: node 1 has 1 jobs at index 4, node 1 had 2",
             oracle_restart(1));
}

static void test_install_of_an_older_state(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        oracle_apply(2, i);
        if (i == 1) {
            oracle_store(2);
        }
    }
    VIOLATES("P15", "log went back: node 1 at index 3 took over a state of index 2",
             oracle_install(2, 1));
}

static void test_restart_goes_back_and_on(void **state)
{
    (void)state;
    oracle_restart(1); /* its store is empty: index 0 */
    oracle_apply(1, 0);
    oracle_store(1);
    oracle_apply(1, 1);
    oracle_restart(1);
    VIOLATES("P15", "entry left out: node 1 at index 1", oracle_apply(1, 2));
}

#define SMALL(test) cmocka_unit_test_setup_teardown(test, setup_small, oracle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SMALL(test_not_durable),
        SMALL(test_other_bytes),
        SMALL(test_other_term),
        SMALL(test_padding_is_no_difference),
        SMALL(test_machine_got_another_entry),
        SMALL(test_left_out),
        SMALL(test_left_out_before_a_new_one),
        SMALL(test_put_in),
        SMALL(test_applied_twice),
        SMALL(test_terms_fall),
        SMALL(test_unreadable),
        SMALL(test_other_outcome),
        SMALL(test_other_body),
        SMALL(test_missing_result),
        SMALL(test_expired_request_has_effect),
        SMALL(test_session_not_suspended),
        SMALL(test_other_queue),
        SMALL(test_due_at_another_time),
        SMALL(test_other_priority),
        SMALL(test_looks_at_everything_now_and_then),
        SMALL(test_a_term_begins_with_resume),
        SMALL(test_who_loses_a_job_is_told),
        SMALL(test_state_of_an_unknown_index),
        SMALL(test_state_of_another_log),
        SMALL(test_state_with_another_body),
        SMALL(test_state_without_a_job),
        SMALL(test_install_of_an_older_state),
        SMALL(test_restart_goes_back_and_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
