/* Proves that libraft's messages come back as they were sent, each in one form alone; that bytes
 * which are no such message are refused whatever they are, and leave nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/cb_bytes.h"
#include "common/base/cb_limits.h"
#include "node/replica/replica_wire.h"
#include "support/seed.h"
#include "unit/node/replica/wire_messages.h"

#define ROUNDS 3000

static uint64_t seed;

static const enum raft_message_type types[] = {
    RAFT_APPEND_ENTRIES,      RAFT_APPEND_ENTRIES_RESULT, RAFT_REQUEST_VOTE,
    RAFT_REQUEST_VOTE_RESULT, RAFT_INSTALL_SNAPSHOT,      RAFT_TIMEOUT_NOW,
};
#define TYPES (sizeof types / sizeof types[0])

static void all_types_come_back(void **state)
{
    (void)state;
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    for (size_t i = 0; i < ROUNDS; i++) {
        struct raft_message m;
        struct raft_message again;
        struct cb_buf b = CB_BUF_NULL;
        wire_message_random(&rng, types[i % TYPES], &m);
        wire_message_encode(&m, &b);
        assert_true(replica_wire_decode(cb_buf_span(&b), &again));
        wire_message_assert_equal(&m, &again);
        replica_wire_free(&m);
        replica_wire_free(&again);
        cb_buf_fini(&b);
    }
}

static void every_shorter_or_longer_one_is_refused(void **state)
{
    (void)state;
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    for (size_t i = 0; i < 10 * TYPES; i++) {
        struct raft_message m;
        struct raft_message again;
        struct cb_buf b = CB_BUF_NULL;
        wire_message_random(&rng, types[i % TYPES], &m);
        wire_message_encode(&m, &b);
        for (size_t len = 0; len < cb_buf_len(&b); len++) {
            assert_false(replica_wire_decode(cb_span(b.base, len), &again));
        }
        cb_put_u8(&b, 0);
        assert_false(replica_wire_decode(cb_buf_span(&b), &again));
        replica_wire_free(&m);
        cb_buf_fini(&b);
    }
}

/* What still is a message after that is another one, in its one form. */
static void random_damage(void **state)
{
    (void)state;
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    for (size_t i = 0; i < 10 * ROUNDS; i++) {
        struct raft_message m;
        struct raft_message again;
        struct cb_buf b = CB_BUF_NULL;
        struct cb_buf back = CB_BUF_NULL;
        wire_message_random(&rng, types[i % TYPES], &m);
        wire_message_encode(&m, &b);
        for (uint64_t k = 1 + cb_rng_below(&rng, 3); k > 0; k--) {
            /* The start of it more often: that is where it says what follows. */
            size_t len = cb_rng_chance(&rng, 1, 2) && cb_buf_len(&b) > 64 ? 64 : cb_buf_len(&b);
            b.base[cb_rng_below(&rng, len)] = (uint8_t)cb_rng_u64(&rng);
        }
        if (replica_wire_decode(cb_buf_span(&b), &again)) {
            wire_message_encode(&again, &back);
            assert_true(cb_span_eq(cb_buf_span(&b), cb_buf_span(&back)));
            replica_wire_free(&again);
        }
        replica_wire_free(&m);
        cb_buf_fini(&b);
        cb_buf_fini(&back);
    }
}

static void random_bytes(void **state)
{
    (void)state;
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    for (size_t i = 0; i < 30 * ROUNDS; i++) {
        uint8_t bytes[128];
        struct raft_message m;
        size_t len = cb_rng_below(&rng, sizeof bytes + 1);
        for (size_t k = 0; k < len; k++) {
            bytes[k] = (uint8_t)(cb_rng_chance(&rng, 1, 2) ? 0 : cb_rng_u64(&rng));
        }
        bytes[0] = (uint8_t)(1 + cb_rng_below(&rng, 7));
        bytes[1] = 0;
        if (replica_wire_decode(cb_span(bytes, len), &m)) {
            replica_wire_free(&m);
        }
    }
}

/* --- appends --- */

static bool decodes(const struct raft_message *m)
{
    struct raft_message again;
    struct cb_buf b = CB_BUF_NULL;
    wire_message_encode(m, &b);
    bool ok = replica_wire_decode(cb_buf_span(&b), &again);
    if (ok) {
        replica_wire_free(&again);
    }
    cb_buf_fini(&b);
    return ok;
}

static void a_heartbeat_has_no_array(void **state)
{
    (void)state;
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES, .append_entries = {.term = 3}};
    struct raft_message again;
    struct cb_buf b = CB_BUF_NULL;
    wire_message_encode(&m, &b);
    assert_true(replica_wire_decode(cb_buf_span(&b), &again));
    assert_null(again.append_entries.entries);
    cb_buf_fini(&b);
}

/* What made raft_uv's decoder read beyond the frame. */
static void more_entries_than_bytes(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 2, 1000, UINT32_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct raft_message m;
        struct cb_buf b = CB_BUF_NULL;
        cb_put_u8(&b, RAFT_APPEND_ENTRIES);
        cb_put_u8(&b, 0);
        for (int field = 0; field < 4; field++) {
            cb_put_u64(&b, 1);
        }
        cb_put_u32(&b, counts[i]);
        assert_false(replica_wire_decode(cb_buf_span(&b), &m));
        assert_null(m.append_entries.entries);
        cb_buf_fini(&b);
    }
}

static void entries_that_libraft_must_not_see(void **state)
{
    (void)state;
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES};
    struct raft_append_entries *a = &m.append_entries;
    wire_entries_make(a, 3, 16, 5);
    assert_true(decodes(&m));
    struct raft_entry *e = &a->entries[1];
    const struct raft_entry good = *e;
    e->buf.len = 12; /* not a multiple of 8 */
    assert_false(decodes(&m));
    e->buf.len = 0;
    assert_false(decodes(&m));
    *e = good;
    e->type = (enum raft_entry_type)4;
    assert_false(decodes(&m));
    e->type = (enum raft_entry_type)0;
    assert_false(decodes(&m));
    *e = good;
    e->type = RAFT_CHANGE; /* its bytes are no configuration */
    assert_false(decodes(&m));
    *e = good;
    e->term = 4; /* terms of a log do not fall */
    assert_false(decodes(&m));
    e->term = a->term + 1; /* nor are they above the leader's */
    assert_false(decodes(&m));
    *e = good;
    a->prev_log_term = 6;
    assert_false(decodes(&m));
    a->prev_log_term = 0;
    a->prev_log_index = INT64_MAX; /* the index of the last would overflow */
    assert_false(decodes(&m));
    a->prev_log_index = 0;
    assert_true(decodes(&m));
    replica_wire_free(&m);
}

/* libraft reads a configuration without looking at where its bytes end. */
static void a_change_is_looked_into(void **state)
{
    (void)state;
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES};
    struct raft_append_entries *a = &m.append_entries;
    wire_entries_make(a, 1, 64, 5);
    uint8_t *bytes = a->entries[0].buf.base;
    a->entries[0].type = RAFT_CHANGE;
    for (int round = 0; round < 30000; round++) {
        for (size_t i = 0; i < 64; i++) {
            bytes[i] = cb_rng_chance(&rng, 1, 3) ? (uint8_t)cb_rng_below(&rng, 4) : 1;
        }
        bytes[0] = 1;
        memset(bytes + 1, 0, 8);
        bytes[1] = (uint8_t)cb_rng_below(&rng, 5);
        (void)decodes(&m);
    }
    memset(bytes, 0, 64);
    bytes[0] = 1; /* a configuration of nobody */
    assert_false(decodes(&m));
    replica_wire_free(&m);
}

static void a_part_of_an_append_is_right_by_itself(void **state)
{
    (void)state;
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES};
    struct raft_append_entries *a = &m.append_entries;
    wire_entries_make(a, 4, 16, 5);
    a->prev_log_index = 10;
    a->prev_log_term = 4;
    struct cb_buf b = CB_BUF_NULL;
    replica_wire_append_head(a, 2, 1, &b);
    cb_buf_append(&b, a->entries[2].buf.base, a->entries[2].buf.len);
    struct raft_message part;
    assert_true(replica_wire_decode(cb_buf_span(&b), &part));
    assert_int_equal(part.append_entries.prev_log_index, 12);
    assert_int_equal(part.append_entries.prev_log_term, a->entries[1].term);
    assert_int_equal(part.append_entries.n_entries, 1);
    assert_int_equal(part.append_entries.entries[0].term, a->entries[2].term);
    cb_buf_fini(&b);
    replica_wire_free(&part);
    replica_wire_free(&m);
}

/* --- fields of others --- */

static void numbers_near_the_end_are_refused(void **state)
{
    (void)state;
    struct raft_message m = {.type = RAFT_REQUEST_VOTE, .request_vote = {.term = INT64_MAX}};
    assert_true(decodes(&m));
    m.request_vote.term++;
    assert_false(decodes(&m));
    /* libraft does not set this field in one case, and does not read it then either. */
    m = (struct raft_message){.type = RAFT_APPEND_ENTRIES_RESULT};
    m.append_entries_result.last_log_index = UINT64_MAX;
    assert_true(decodes(&m));
}

static void versions_of_later_libraft(void **state)
{
    (void)state;
    struct raft_message m = {.type = RAFT_REQUEST_VOTE, .request_vote = {.version = 9}};
    struct raft_message again;
    struct cb_buf b = CB_BUF_NULL;
    wire_message_encode(&m, &b);
    assert_true(replica_wire_decode(cb_buf_span(&b), &again));
    assert_int_equal(again.request_vote.version, 2); /* the fields that did travel */
    b.base[1] = 3;
    assert_false(replica_wire_decode(cb_buf_span(&b), &again));
    cb_buf_fini(&b);
}

static void a_marker_and_its_configuration(void **state)
{
    (void)state;
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    struct raft_message m;
    wire_message_random(&rng, RAFT_INSTALL_SNAPSHOT, &m);
    struct raft_configuration *conf = &m.install_snapshot.conf;
    conf->servers[0].role = 3;
    assert_false(decodes(&m));
    conf->servers[0].role = RAFT_VOTER;
    assert_true(decodes(&m));
    conf->servers[0].id = 0;
    assert_false(decodes(&m));
    conf->servers[0].id = 1;
    unsigned n = conf->n;
    conf->n = 0;
    assert_false(decodes(&m));
    conf->n = n;
    m.install_snapshot.data.len--;
    assert_false(decodes(&m));
    m.install_snapshot.data.len++;
    assert_true(decodes(&m));
    replica_wire_free(&m);
}

int main(int argc, char **argv)
{
    seed = seed_of_test(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_types_come_back),
        cmocka_unit_test(every_shorter_or_longer_one_is_refused),
        cmocka_unit_test(random_damage),
        cmocka_unit_test(random_bytes),
        cmocka_unit_test(a_heartbeat_has_no_array),
        cmocka_unit_test(more_entries_than_bytes),
        cmocka_unit_test(entries_that_libraft_must_not_see),
        cmocka_unit_test(a_change_is_looked_into),
        cmocka_unit_test(a_part_of_an_append_is_right_by_itself),
        cmocka_unit_test(numbers_near_the_end_are_refused),
        cmocka_unit_test(versions_of_later_libraft),
        cmocka_unit_test(a_marker_and_its_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
