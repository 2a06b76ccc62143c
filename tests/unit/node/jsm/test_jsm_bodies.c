/* Proves that bodies leave memory when they may and stay when they must (ADR 14), and that nothing
 * else shows it: a machine without them answers, stores and digests as one that has them all. */
#include "common/base/cb_mem.h"
#include "node/jsm/jsm_internal.h"
#include "support/jsm_store.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SESSION 1
#define LEN 100u

/* Two machines with the same log: one lets bodies go. */
struct pair {
    struct jsm *m, *whole;
    struct jsm_store store, whole_store;
    uint64_t index, requests;
};

static void apply(struct pair *p, const struct jsm_item *item)
{
    const struct jsm_entry e = {.stamp_ns = ++p->index, .items = item, .n_items = 1};
    jsm_apply(p->m, p->index, &e);
    jsm_apply(p->whole, p->index, &e);
    assert_int_equal(jsm_log_digest(p->m), jsm_log_digest(p->whole));
    assert_int_equal(jsm_body_bytes(p->m), jsm_body_bytes(p->whole));
}

static void command(struct pair *p, struct jsm_command c)
{
    c.conn = 1;
    const struct jsm_item item = {
        .kind = JSM_ITEM_REQUEST, .session = SESSION, .number = ++p->requests, .command = c};
    apply(p, &item);
}

/* The body tells the job. */
static void fill(uint8_t *body, size_t len, uint64_t job)
{
    memset(body, (int)('a' + job % 26), len);
}

static void put(struct pair *p, size_t len)
{
    uint8_t *body = cb_malloc(len + 1);
    struct jsm_view v;
    jsm_read_stats(p->m, &v);
    fill(body, len, v.total_jobs + 1);
    command(p, (struct jsm_command){.op = JSM_OP_PUT, .ttr = 60, .body = cb_span(body, len)});
    cb_free(body);
}

static void ack(struct pair *p)
{
    const struct jsm_session *s = jsm_session_get(p->m, SESSION);
    const struct jsm_item item = {
        .kind = JSM_ITEM_ACK, .session = SESSION, .number = jsm_session_last_result(s)};
    apply(p, &item);
}

/* All that changed is stored, and durable. */
static void drain(struct pair *p)
{
    jsm_store_drain(&p->store, p->m);
    jsm_store_drain(&p->whole_store, p->whole);
    assert_int_equal(jsm_state_digest(p->m), jsm_state_digest(p->whole));
    assert_true(jsm_store_eq(&p->store, &p->whole_store));
    assert_int_equal(p->store.idle_deletions, 0);
}

static void store(struct pair *p)
{
    drain(p);
    jsm_shed_bodies(p->m);
}

static bool is_away(const struct pair *p, uint64_t job)
{
    struct jsm_job_view v, w;
    assert_true(jsm_read_job(p->m, job, &v) && jsm_read_job(p->whole, job, &w));
    assert_false(w.is_away);
    assert_int_equal(v.body.len, w.body.len);
    assert_true(v.is_away ? v.body.ptr == NULL : cb_span_eq(v.body, w.body));
    return v.is_away;
}

static struct jsm_result last_result(const struct pair *p)
{
    struct jsm_result r;
    const struct jsm_session *s = jsm_session_get(p->m, SESSION);
    assert_true(jsm_session_result(s, jsm_session_last_result(s), &r));
    return r;
}

static struct cb_span stored_body(const struct pair *p, uint64_t job)
{
    uint8_t key[JSM_BODY_KEY_SIZE];
    jsm_body_key(job, key);
    for (uint32_t i = 0; i < p->store.n; i++) {
        const struct jsm_store_record *r = &p->store.records[i];
        if (r->key_len == sizeof(key) && memcmp(r->key, key, sizeof(key)) == 0) {
            return cb_span(r->value, r->value_len);
        }
    }
    return CB_SPAN_NULL;
}

static void begin(struct pair *p, uint64_t kept)
{
    *p = (struct pair){.m = jsm_create(), .whole = jsm_create()};
    jsm_keep_bodies(p->m, kept);
    const struct jsm_item open = {.kind = JSM_ITEM_OPEN,
                                  .name = cb_span_str("p1"),
                                  .address = cb_span_str("127.0.0.1:11300"),
                                  .incarnation = {1, 1}};
    apply(p, &open);
    command(p, (struct jsm_command){.op = JSM_OP_CONN_OPEN});
}

static void end(struct pair *p)
{
    jsm_destroy(p->m);
    jsm_destroy(p->whole);
    jsm_store_fini(&p->store);
    jsm_store_fini(&p->whole_store);
}

/* As after a restart, with the same bound and without one. */
static void reload(struct pair *p, uint64_t kept)
{
    drain(p);
    jsm_destroy(p->m);
    p->m = jsm_store_load_keeping(&p->store, kept);
    assert_non_null(p->m);
    assert_int_equal(jsm_state_digest(p->m), jsm_state_digest(p->whole));
    assert_int_equal(jsm_body_bytes(p->m), jsm_body_bytes(p->whole));
}

static void those_stored_first_leave_first(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, 3 * LEN);
    for (unsigned i = 0; i < 5; i++) {
        put(&p, LEN);
        drain(&p); /* each in a span of its own */
    }
    assert_false(is_away(&p, 1)); /* drained is not durable */
    assert_int_equal(jsm_body_use(p.m).resident_bytes, 5 * LEN);
    jsm_shed_bodies(p.m);
    assert_true(is_away(&p, 1) && is_away(&p, 2));
    assert_false(is_away(&p, 3) || is_away(&p, 4) || is_away(&p, 5));
    assert_int_equal(jsm_body_use(p.m).resident_bytes, 3 * LEN);
    assert_int_equal(jsm_body_use(p.m).n_away, 2);
    end(&p);
}

static void what_is_not_stored_stays(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, 1);
    put(&p, LEN);
    jsm_shed_bodies(p.m);
    assert_false(is_away(&p, 1));
    store(&p);
    put(&p, LEN);
    jsm_shed_bodies(p.m);
    assert_true(is_away(&p, 1));
    assert_false(is_away(&p, 2));
    end(&p);
}

static void without_a_bound_all_stay(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, 0);
    for (unsigned i = 0; i < 100; i++) {
        put(&p, LEN);
    }
    store(&p);
    assert_int_equal(jsm_body_use(p.m).n_away, 0);
    assert_int_equal(jsm_body_use(p.m).resident_bytes, 100 * LEN);
    end(&p);
}

static void short_ones_stay(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, 1);
    put(&p, 0);
    put(&p, JSM_BODY_AWAY_MIN - 1);
    put(&p, JSM_BODY_AWAY_MIN);
    store(&p);
    assert_false(is_away(&p, 1) || is_away(&p, 2));
    assert_true(is_away(&p, 3));
    reload(&p, 1);
    assert_false(is_away(&p, 1) || is_away(&p, 2));
    assert_true(is_away(&p, 3));
    end(&p);
}

static void a_result_keeps_what_it_carries_in_memory(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, 1);
    put(&p, LEN);
    command(&p, (struct jsm_command){.op = JSM_OP_RESERVE});
    store(&p);
    assert_false(is_away(&p, 1));
    assert_false(last_result(&p).is_away);
    ack(&p);
    jsm_shed_bodies(p.m);
    assert_true(is_away(&p, 1));
    end(&p);
}

/* And its record, until it is acknowledged, whatever becomes of the job. */
static void a_result_carries_what_is_away(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, 1);
    put(&p, LEN);
    store(&p);
    ack(&p);
    command(&p, (struct jsm_command){.op = JSM_OP_RESERVE});
    struct jsm_result r = last_result(&p);
    assert_int_equal(r.outcome, JSM_RESERVED);
    assert_true(r.is_away && r.body.ptr == NULL);
    assert_int_equal(r.body.len, LEN);
    command(&p, (struct jsm_command){.op = JSM_OP_DELETE, .id = 1});
    assert_int_equal(last_result(&p).outcome, JSM_DELETED);
    store(&p);
    uint8_t body[LEN];
    fill(body, LEN, 1);
    assert_true(cb_span_eq(stored_body(&p, 1), cb_span(body, LEN)));
    reload(&p, 1);
    assert_true(cb_span_eq(stored_body(&p, 1), cb_span(body, LEN)));
    ack(&p);
    store(&p);
    assert_null(stored_body(&p, 1).ptr);
    assert_int_equal(jsm_body_use(p.m).n_away, 0);
    end(&p);
}

static void an_absent_one_is_deleted_without_its_bytes(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, 1);
    put(&p, LEN);
    put(&p, LEN);
    store(&p);
    command(&p, (struct jsm_command){.op = JSM_OP_DELETE, .id = 1});
    store(&p); /* digests and records are compared there */
    assert_null(stored_body(&p, 1).ptr);
    assert_int_equal(jsm_body_use(p.m).n_away, 1);
    end(&p);
}

static void loading_keeps_no_more_than_the_bound(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, 0);
    for (unsigned i = 0; i < 50; i++) {
        put(&p, LEN);
    }
    reload(&p, 7 * LEN);
    assert_int_equal(jsm_body_use(p.m).resident_bytes, 7 * LEN);
    for (uint64_t id = 1; id <= 50; id++) {
        assert_int_equal(is_away(&p, id), id > 7);
    }
    /* Those that were loaded leave like others. */
    put(&p, LEN);
    store(&p);
    assert_int_equal(jsm_body_use(p.m).resident_bytes, 7 * LEN);
    assert_true(is_away(&p, 1));
    end(&p);
}

/* A load that fails frees what it has. */
static void a_load_may_fail_with_bodies_away(void **state)
{
    (void)state;
    struct pair p;
    begin(&p, 1);
    put(&p, LEN);
    command(&p, (struct jsm_command){.op = JSM_OP_RESERVE});
    command(&p, (struct jsm_command){.op = JSM_OP_DELETE, .id = 1});
    drain(&p);
    for (uint32_t n = 1; n < p.store.n; n++) {
        struct jsm_store cut = p.store;
        cut.n = n;
        struct jsm *m = jsm_store_load_keeping(&cut, 1);
        jsm_destroy(m);
    }
    end(&p);
}

static void no_put(void *data, struct cb_span key, struct cb_span value)
{
    (void)data;
    (void)key;
    (void)value;
}

static void no_del(void *data, struct cb_span key)
{
    (void)data;
    (void)key;
}

static void the_line_does_not_grow_with_jobs_that_are_gone(void **state)
{
    (void)state;
    const struct jsm_record_sink nowhere = {NULL, no_put, no_del};
    struct pair p;
    begin(&p, 1000 * LEN);
    for (uint64_t id = 1; id <= 10 * JSM_SHED_SLACK; id++) {
        put(&p, LEN);
        jsm_drain(p.m, &nowhere);
        command(&p, (struct jsm_command){.op = JSM_OP_DELETE, .id = id});
        ack(&p);
        jsm_drain(p.m, &nowhere);
        assert_true(cb_buf_len(&p.m->sheddable) / sizeof(uint64_t) <= JSM_SHED_SLACK + 3);
    }
    assert_int_equal(p.m->n_listed, 0);
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_stored_first_leave_first),
        cmocka_unit_test(what_is_not_stored_stays),
        cmocka_unit_test(without_a_bound_all_stay),
        cmocka_unit_test(short_ones_stay),
        cmocka_unit_test(a_result_keeps_what_it_carries_in_memory),
        cmocka_unit_test(a_result_carries_what_is_away),
        cmocka_unit_test(an_absent_one_is_deleted_without_its_bytes),
        cmocka_unit_test(loading_keeps_no_more_than_the_bound),
        cmocka_unit_test(a_load_may_fail_with_bodies_away),
        cmocka_unit_test(the_line_does_not_grow_with_jobs_that_are_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
