#include "unit/sim/oracle_fixture.h"

#include "common/base/cb_mem.h"

#include <stdio.h>

struct oracle_fixture fixture;

/* ---- what the oracle asks and tells ---- */

static void on_fail(void *data, const char *property, const char *sentence)
{
    (void)data;
    if (!fixture.may_violate) {
        fail_msg("%s: %s", property, sentence);
    }
    (void)snprintf(fixture.property, sizeof fixture.property, "%s", property);
    (void)snprintf(fixture.sentence, sizeof fixture.sentence, "%s", sentence);
    longjmp(fixture.violated, 1);
}

static bool is_durable(void *data, uint64_t index, uint64_t term, unsigned *on, unsigned *of)
{
    (void)data;
    assert_true(index > 0 && term > 0);
    *on = fixture.durable;
    *of = ORACLE_NODES;
    return fixture.durable >= ORACLE_MAJORITY;
}

static void on_result(void *data, uint64_t session, const struct jsm_result *r)
{
    (void)data;
    assert_true(session > 0 && r->number > 0 && r->outcome > 0);
    assert_true(r->body.len == 0 || r->outcome == JSM_RESERVED);
    fixture.results++;
}

static void on_given_away(void *data, uint64_t session, uint64_t conn, uint64_t job)
{
    (void)data;
    assert_true(session > 0 && conn > 0);
    fixture.given_away++;
    fixture.given_away_jobs += job;
}

/* ---- log and nodes ---- */

uint32_t oracle_append(uint64_t index, uint64_t term, const struct jsm_entry *e)
{
    struct entry_header header = {.stamp_ns = e->stamp_ns,
                                  .term = fixture.proposer_term,
                                  .proposer = 1,
                                  .batch = ++fixture.batch};
    entry_builder_reset(&fixture.builder);
    for (uint32_t i = 0; i < e->n_items; i++) {
        entry_builder_add(&fixture.builder, &e->items[i]);
    }
    struct cb_span bytes = entry_builder_finish(&fixture.builder, &header);
    fixture.log = cb_realloc(fixture.log, (fixture.n_log + 1) * sizeof *fixture.log);
    fixture.log[fixture.n_log] = (struct oracle_logged){
        .index = index, .term = term, .bytes = {cb_memdup(bytes.ptr, bytes.len), bytes.len}};
    return fixture.n_log++;
}

void oracle_apply_other(uint64_t node, uint32_t a, uint32_t b)
{
    struct oracle_node *n = &fixture.nodes[node - 1];
    struct entry_header header;
    struct jsm_entry entry;
    assert_int_equal(entry_decode(&fixture.decoder, fixture.log[a].bytes, &header, &entry),
                     ENTRY_OK);
    jsm_apply(n->machine, fixture.log[a].index, &entry);
    n->at = b + 1;
    sim_oracle_applied(fixture.oracle, node, fixture.log[b].index, fixture.log[b].term,
                       fixture.log[b].bytes, n->machine);
}

void oracle_apply(uint64_t node, uint32_t place)
{
    oracle_apply_other(node, place, place);
}

void oracle_store(uint64_t node)
{
    struct oracle_node *n = &fixture.nodes[node - 1];
    jsm_store_drain(&n->store, n->machine);
    n->stored = n->at;
}

static void replace_machine(struct oracle_node *n)
{
    jsm_destroy(n->machine);
    n->machine = n->stored == 0 ? jsm_create() : jsm_store_load(&n->store);
    assert_non_null(n->machine);
    n->at = n->stored;
}

void oracle_restart(uint64_t node)
{
    replace_machine(&fixture.nodes[node - 1]);
    sim_oracle_loaded(fixture.oracle, node, fixture.nodes[node - 1].machine);
}

void oracle_install(uint64_t from, uint64_t to)
{
    const struct oracle_node *a = &fixture.nodes[from - 1];
    struct oracle_node *b = &fixture.nodes[to - 1];
    jsm_store_fini(&b->store);
    b->store = a->store;
    b->store.records = cb_malloc(a->store.cap * sizeof *a->store.records);
    for (uint32_t i = 0; i < a->store.n; i++) {
        struct jsm_store_record r = a->store.records[i];
        r.key = cb_memdup(r.key, r.key_len);
        r.value = cb_memdup(r.value, r.value_len);
        b->store.records[i] = r;
    }
    b->stored = a->stored;
    replace_machine(b);
    sim_oracle_installed(fixture.oracle, to, b->machine);
}

int oracle_setup(void **state)
{
    (void)state;
    memset(&fixture, 0, sizeof fixture);
    fixture.oracle = sim_oracle_create(&(struct sim_oracle_env){.fail = on_fail,
                                                                .is_durable = is_durable,
                                                                .on_result = on_result,
                                                                .on_given_away = on_given_away});
    for (int i = 0; i < ORACLE_NODES; i++) {
        fixture.nodes[i].machine = jsm_create();
    }
    entry_builder_init(&fixture.builder);
    entry_decoder_init(&fixture.decoder);
    fixture.durable = ORACLE_MAJORITY;
    return 0;
}

int oracle_teardown(void **state)
{
    (void)state;
    sim_oracle_destroy(fixture.oracle);
    for (int i = 0; i < ORACLE_NODES; i++) {
        jsm_destroy(fixture.nodes[i].machine);
        jsm_store_fini(&fixture.nodes[i].store);
    }
    for (uint32_t i = 0; i < fixture.n_log; i++) {
        cb_free((void *)(uintptr_t)fixture.log[i].bytes.ptr);
    }
    cb_free(fixture.log);
    entry_builder_fini(&fixture.builder);
    entry_decoder_fini(&fixture.decoder);
    return 0;
}
