#include "unit/node/replica/wire_messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "node/replica/replica_frame.h"
#include "node/replica/replica_wire.h"

static uint64_t number(struct cb_rng *rng)
{
    return cb_rng_u64(rng) >> (1 + cb_rng_below(rng, 63));
}

static bool flag(struct cb_rng *rng)
{
    return cb_rng_chance(rng, 1, 2);
}

static void make_conf(struct cb_rng *rng, struct raft_configuration *conf)
{
    unsigned n = 1 + (unsigned)cb_rng_below(rng, 5);
    raft_configuration_init(conf);
    for (unsigned i = 1; i <= n; i++) {
        char address[32];
        snprintf(address, sizeof address, "host-%u:%u", i, i);
        assert_int_equal(raft_configuration_add(conf, i, address, (int)cb_rng_below(rng, 3)), 0);
    }
}

/* The bytes of entry `i`: those of a configuration for a change. */
static struct raft_buffer entry_bytes(struct cb_rng *rng, enum raft_entry_type type)
{
    struct raft_buffer buf = {.len = 8 * (1 + cb_rng_below(rng, 30))};
    if (type == RAFT_CHANGE) {
        struct raft_configuration conf;
        make_conf(rng, &conf);
        assert_int_equal(raft_configuration_encode(&conf, &buf), 0);
        raft_configuration_close(&conf);
        return buf;
    }
    buf.base = raft_malloc(buf.len);
    memset(buf.base, (int)cb_rng_below(rng, 256), buf.len);
    return buf;
}

static void make_entries(struct cb_rng *rng, struct raft_append_entries *a)
{
    struct raft_buffer bytes[16];
    size_t sum = 0;
    a->n_entries = (unsigned)cb_rng_below(rng, 16);
    if (a->n_entries == 0) {
        return;
    }
    a->entries = raft_calloc(a->n_entries, sizeof a->entries[0]);
    for (unsigned i = 0; i < a->n_entries; i++) {
        a->entries[i].type = (enum raft_entry_type)(RAFT_COMMAND + cb_rng_below(rng, 3));
        a->entries[i].term = i == 0 ? a->prev_log_term + 1 : a->entries[i - 1].term;
        bytes[i] = entry_bytes(rng, a->entries[i].type);
        sum += bytes[i].len;
    }
    uint8_t *batch = raft_malloc(sum);
    a->term = a->entries[a->n_entries - 1].term + cb_rng_below(rng, 3);
    for (unsigned i = 0; i < a->n_entries; i++) {
        a->entries[i].batch = a->entries[0].batch == NULL ? batch : a->entries[0].batch;
        a->entries[i].buf = (struct raft_buffer){.base = batch, .len = bytes[i].len};
        memcpy(batch, bytes[i].base, bytes[i].len);
        batch += bytes[i].len;
        raft_free(bytes[i].base);
    }
}

void wire_entries_make(struct raft_append_entries *a, unsigned n, size_t len, uint64_t term)
{
    uint8_t *batch = raft_malloc(n * len);
    a->n_entries = n;
    a->entries = raft_calloc(n, sizeof a->entries[0]);
    for (unsigned i = 0; i < n; i++) {
        a->entries[i] = (struct raft_entry){.term = term + i,
                                            .type = RAFT_COMMAND,
                                            .batch = batch,
                                            .buf = {.base = batch + i * len, .len = len}};
        memset(a->entries[i].buf.base, (int)(i + 1), len);
    }
    a->term = term + n;
}

static void make_append(struct cb_rng *rng, struct raft_append_entries *a)
{
    *a = (struct raft_append_entries){.version = (unsigned char)cb_rng_below(rng, 3),
                                      .term = number(rng),
                                      .prev_log_index = number(rng) / 2,
                                      .prev_log_term = number(rng) / 2,
                                      .leader_commit = number(rng)};
    make_entries(rng, a);
}

static void make_install(struct cb_rng *rng, struct raft_install_snapshot *s)
{
    *s = (struct raft_install_snapshot){.term = number(rng),
                                        .last_index = number(rng),
                                        .last_term = number(rng),
                                        .conf_index = number(rng)};
    make_conf(rng, &s->conf);
    s->data.len = REPLICA_MARKER_SIZE;
    s->data.base = raft_malloc(s->data.len);
    memset(s->data.base, 7, s->data.len);
}

void wire_message_random(struct cb_rng *rng, enum raft_message_type type, struct raft_message *m)
{
    *m = (struct raft_message){.type = type};
    switch (type) {
    case RAFT_APPEND_ENTRIES:
        make_append(rng, &m->append_entries);
        return;
    case RAFT_APPEND_ENTRIES_RESULT:
        m->append_entries_result =
            (struct raft_append_entries_result){.version = 2,
                                                .term = number(rng),
                                                .rejected = number(rng),
                                                .last_log_index = number(rng),
                                                .features = (unsigned short)number(rng),
                                                .capacity = (unsigned short)number(rng)};
        return;
    case RAFT_REQUEST_VOTE:
        m->request_vote = (struct raft_request_vote){.version = 2,
                                                     .term = number(rng),
                                                     .candidate_id = number(rng),
                                                     .last_log_index = number(rng),
                                                     .last_log_term = number(rng),
                                                     .disrupt_leader = flag(rng),
                                                     .pre_vote = flag(rng)};
        return;
    case RAFT_REQUEST_VOTE_RESULT:
        m->request_vote_result =
            (struct raft_request_vote_result){.version = 2,
                                              .term = number(rng),
                                              .vote_granted = flag(rng),
                                              .pre_vote = flag(rng),
                                              .features = (unsigned short)number(rng),
                                              .capacity = (unsigned short)number(rng)};
        return;
    case RAFT_INSTALL_SNAPSHOT:
        make_install(rng, &m->install_snapshot);
        return;
    case RAFT_TIMEOUT_NOW:
        m->timeout_now = (struct raft_timeout_now){
            .term = number(rng), .last_log_index = number(rng), .last_log_term = number(rng)};
        return;
    }
}

void wire_message_encode(const struct raft_message *m, struct cb_buf *out)
{
    replica_wire_head(m, out);
    if (m->type == RAFT_APPEND_ENTRIES) {
        for (unsigned i = 0; i < m->append_entries.n_entries; i++) {
            const struct raft_buffer *b = &m->append_entries.entries[i].buf;
            cb_buf_append(out, b->base, b->len);
        }
    } else if (m->type == RAFT_INSTALL_SNAPSHOT) {
        cb_buf_append(out, m->install_snapshot.data.base, m->install_snapshot.data.len);
    }
}

static void append_equal(const struct raft_append_entries *a, const struct raft_append_entries *b)
{
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->term, b->term);
    assert_int_equal(a->prev_log_index, b->prev_log_index);
    assert_int_equal(a->prev_log_term, b->prev_log_term);
    assert_int_equal(a->leader_commit, b->leader_commit);
    assert_int_equal(a->n_entries, b->n_entries);
    assert_true((a->n_entries == 0) == (a->entries == NULL));
    for (unsigned i = 0; i < a->n_entries; i++) {
        assert_int_equal(a->entries[i].term, b->entries[i].term);
        assert_int_equal(a->entries[i].type, b->entries[i].type);
        assert_int_equal(a->entries[i].buf.len, b->entries[i].buf.len);
        assert_memory_equal(a->entries[i].buf.base, b->entries[i].buf.base, a->entries[i].buf.len);
        assert_ptr_equal(a->entries[i].batch, a->entries[0].batch);
        assert_ptr_equal(b->entries[i].batch, b->entries[0].batch);
    }
}

static void install_equal(const struct raft_install_snapshot *a,
                          const struct raft_install_snapshot *b)
{
    assert_int_equal(a->term, b->term);
    assert_int_equal(a->last_index, b->last_index);
    assert_int_equal(a->last_term, b->last_term);
    assert_int_equal(a->conf_index, b->conf_index);
    assert_int_equal(a->conf.n, b->conf.n);
    for (unsigned i = 0; i < a->conf.n; i++) {
        assert_int_equal(a->conf.servers[i].id, b->conf.servers[i].id);
        assert_int_equal(a->conf.servers[i].role, b->conf.servers[i].role);
        assert_string_equal(a->conf.servers[i].address, b->conf.servers[i].address);
    }
    assert_int_equal(a->data.len, b->data.len);
    assert_memory_equal(a->data.base, b->data.base, a->data.len);
}

void wire_message_assert_equal(const struct raft_message *a, const struct raft_message *b)
{
    struct cb_buf x = CB_BUF_NULL;
    struct cb_buf y = CB_BUF_NULL;
    assert_int_equal(a->type, b->type);
    if (a->type == RAFT_APPEND_ENTRIES) {
        append_equal(&a->append_entries, &b->append_entries);
    } else if (a->type == RAFT_INSTALL_SNAPSHOT) {
        install_equal(&a->install_snapshot, &b->install_snapshot);
    } else {
        /* Both were zeroed first: padding too is the same. */
        assert_memory_equal(&a->request_vote, &b->request_vote, sizeof a->request_vote);
    }
    wire_message_encode(a, &x);
    wire_message_encode(b, &y);
    assert_true(cb_span_eq(cb_buf_span(&x), cb_buf_span(&y)));
    cb_buf_fini(&x);
    cb_buf_fini(&y);
}
