/* The stored records: which of them changed, and how each is written (design D6).
 *
 * A record is a key of JSM_KEY_SIZE bytes (kind, two big-endian numbers, so that LMDB's order is
 * ours) and a value of little-endian numbers and varints. The layout of a value stands in its
 * encode_* function, the reading of it in jsm_load.c beside it. The state digest is the sum of the
 * hashes of all records: it depends on what is stored, not on the order or the grouping in which it
 * was. */
#include "node/jsm/jsm_record.h"
#include "common/base/cb_bytes.h"
#include "common/base/cb_hash.h"
#include "node/jsm/jsm_internal.h"

static void write_be64(uint8_t *p, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++) {
        p[i] = (uint8_t)(v >> (56 - 8 * i));
    }
}

void jsm_key_write(uint8_t key[JSM_KEY_SIZE], enum jsm_record_kind kind, uint64_t a, uint64_t b)
{
    key[0] = (uint8_t)kind;
    write_be64(key + 1, a);
    write_be64(key + 9, b);
}

uint64_t jsm_record_hash(struct cb_span key, struct cb_span value)
{
    return cb_hash_seeded(value.ptr, value.len, cb_hash(key.ptr, key.len));
}

/* ---- what changed ---- */

static struct jsm_job *as_job(struct jsm_stored *s)
{
    return CB_CONTAINER(s, struct jsm_job, stored);
}

static struct jsm_conn *as_conn(struct jsm_stored *s)
{
    return CB_CONTAINER(s, struct jsm_conn, stored);
}

static struct jsm_tube *as_tube(struct jsm_stored *s)
{
    return CB_CONTAINER(s, struct jsm_tube, stored);
}

static struct jsm_session *as_session(struct jsm_stored *s)
{
    return CB_CONTAINER(s, struct jsm_session, stored);
}

static void key_of(struct jsm_stored *s, uint8_t key[JSM_KEY_SIZE])
{
    uint64_t a = 0;
    uint64_t b = 0;
    switch ((enum jsm_record_kind)s->kind) {
    case JSM_RECORD_TUBE:
        a = as_tube(s)->id;
        break;
    case JSM_RECORD_SESSION:
        a = as_session(s)->id;
        break;
    case JSM_RECORD_CONN:
        a = as_conn(s)->session->id;
        b = as_conn(s)->number;
        break;
    case JSM_RECORD_JOB:
        a = as_job(s)->id;
        break;
    case JSM_RECORD_GLOBALS:
    case JSM_RECORD_RESULT: /* results have no jsm_stored: their session tracks them */
        break;
    }
    jsm_key_write(key, (enum jsm_record_kind)s->kind, a, b);
}

static uint64_t estimate(struct jsm_stored *s)
{
    switch ((enum jsm_record_kind)s->kind) {
    case JSM_RECORD_JOB: {
        const struct jsm_body *b = as_job(s)->body;
        return 96 + (b->in_store ? 0 : b->len);
    }
    case JSM_RECORD_CONN:
        return 96 + 4 * (uint64_t)as_conn(s)->n_watches;
    case JSM_RECORD_GLOBALS:
    case JSM_RECORD_TUBE:
    case JSM_RECORD_SESSION:
    case JSM_RECORD_RESULT:
        break;
    }
    return 256;
}

void jsm_stored_init(struct jsm_stored *s, enum jsm_record_kind kind)
{
    *s = (struct jsm_stored){.dirty_pos = JSM_CLEAN, .kind = (uint8_t)kind};
}

void jsm_mark(struct jsm *m, struct jsm_stored *s)
{
    if (s->dirty_pos != JSM_CLEAN) {
        return;
    }
    if (m->n_dirty == m->dirty_cap) {
        m->dirty_cap = m->dirty_cap == 0 ? 64 : m->dirty_cap * 2;
        m->dirty = cb_realloc(m->dirty, m->dirty_cap * sizeof(*m->dirty));
    }
    s->dirty_pos = m->n_dirty;
    m->dirty[m->n_dirty++] = s;
    m->dirty_bytes += estimate(s);
}

void jsm_forget_key(struct jsm *m, uint64_t hash, enum jsm_record_kind kind, uint64_t a, uint64_t b)
{
    uint8_t *key = cb_buf_reserve(&m->gone, JSM_KEY_SIZE);
    jsm_key_write(key, kind, a, b);
    cb_buf_commit(&m->gone, JSM_KEY_SIZE);
    m->digest_work -= hash;
}

void jsm_forget(struct jsm *m, struct jsm_stored *s)
{
    if (s->dirty_pos != JSM_CLEAN) {
        struct jsm_stored *last = m->dirty[--m->n_dirty];
        m->dirty[s->dirty_pos] = last;
        last->dirty_pos = s->dirty_pos;
        s->dirty_pos = JSM_CLEAN;
        uint64_t size = estimate(s);
        m->dirty_bytes -= size < m->dirty_bytes ? size : m->dirty_bytes;
    }
    if (s->in_store) {
        uint8_t *key = cb_buf_reserve(&m->gone, JSM_KEY_SIZE);
        key_of(s, key);
        cb_buf_commit(&m->gone, JSM_KEY_SIZE);
        m->digest_work -= s->hash;
        s->in_store = false;
    }
}

/* ---- values ---- */

static void encode_globals(const struct jsm *m, struct cb_buf *b)
{
    cb_put_u8(b, JSM_RECORD_FORMAT);
    cb_put_u64(b, m->index);
    cb_put_u64(b, m->now_ns);
    cb_put_u64(b, m->log_digest);
    cb_put_varint(b, m->next_job_id);
    cb_put_varint(b, m->next_tube_id);
    cb_put_varint(b, m->next_seq);
    cb_put_varint(b, m->job_timeouts);
    cb_put_varint(b, m->total_jobs);
    cb_put_varint(b, m->total_connections);
    cb_put_varint(b, JSM_COUNTER_COUNT);
    for (unsigned i = 0; i < JSM_COUNTER_COUNT; i++) {
        cb_put_varint(b, m->counters[i]);
    }
    cb_put_varint(b, m->limits.jobs);
    cb_put_varint(b, m->limits.bytes);
    cb_put_u8(b, m->is_short_of_space);
    cb_put_varint(b, m->clock_index);
}

/* Nothing when there is nothing to be done over several entries. */
static void encode_tube_work(const struct jsm_tube *t, struct cb_buf *b)
{
    bool is_unmatched = cb_heap_node_is_in(&t->unmatched);
    if (!is_unmatched && t->n_splices == 0) {
        return;
    }
    cb_put_u8(b, is_unmatched);
    cb_put_varint(b, t->n_splices);
    CB_LIST_FOREACH(it, &t->splices)
    {
        const struct jsm_splice *s = CB_CONTAINER(it, const struct jsm_splice, link);
        cb_put_u8(b, s->from);
        cb_put_varint(b, s->seq);
        cb_put_u64(b, s->limit.a);
        cb_put_varint(b, s->limit.b);
    }
}

static void encode_tube(const struct jsm_tube *t, struct cb_buf *b)
{
    cb_put_bytes(b, cb_span(t->name, t->name_len));
    cb_put_varint(b, t->place);
    cb_put_varint(b, t->pause);
    cb_put_u64(b, t->pause_until_ns);
    cb_put_varint(b, t->total_jobs);
    cb_put_varint(b, t->cmd_delete);
    cb_put_varint(b, t->cmd_pause_tube);
    encode_tube_work(t, b);
}

static void encode_release(const struct jsm_release *r, struct cb_buf *b)
{
    cb_put_u8(b, (uint8_t)r->phase);
    cb_put_varint(b, r->seq);
    cb_put_varint(b, r->steps);
    cb_put_varint(b, r->done);
}

static void encode_session(const struct jsm_session *s, struct cb_buf *b)
{
    cb_put_bytes(b, jsm_session_name(s));
    cb_put_bytes(b, jsm_session_address(s));
    cb_put_u64(b, s->incarnation.started_ns);
    cb_put_u64(b, s->incarnation.random);
    cb_put_varint(b, s->last_request);
    cb_put_varint(b, s->last_result);
    cb_put_varint(b, s->acked_result);
    cb_put_u8(b, (uint8_t)((s->is_suspended ? JSM_SESSION_SUSPENDED : 0) |
                           (s->is_blocked ? JSM_SESSION_BLOCKED : 0) |
                           (s->release != NULL ? JSM_SESSION_ENDED : 0)));
    if (s->release != NULL) {
        encode_release(s->release, b);
    }
}

static void encode_conn(const struct jsm_conn *c, struct cb_buf *b)
{
    cb_put_varint(b, c->seq);
    cb_put_u8(b, (uint8_t)((c->is_producer ? JSM_CONN_PRODUCER : 0) |
                           (c->is_worker ? JSM_CONN_WORKER : 0) |
                           (c->is_half_closed ? JSM_CONN_HALF_CLOSED : 0) |
                           (c->wait.active ? JSM_CONN_WAITING : 0) |
                           (c->wait.active && c->wait.has_deadline ? JSM_CONN_TIMED : 0) |
                           (c->is_hidden ? JSM_CONN_HIDDEN : 0) |
                           (c->release != NULL ? JSM_CONN_ENDED : 0)));
    if (c->release != NULL) {
        encode_release(c->release, b);
    }
    if (c->is_hidden) {
        return;
    }
    cb_put_varint(b, c->used->id);
    cb_put_varint(b, c->n_watches);
    for (uint32_t i = 0; i < c->n_watches; i++) {
        cb_put_varint(b, c->watches[i]->tube->id);
    }
    if (c->wait.active) {
        cb_put_varint(b, c->wait.request);
        cb_put_varint(b, c->wait.arrival);
        cb_put_u64(b, c->wait.deadline_ns);
    }
}

static void encode_job(const struct jsm_job *j, struct cb_buf *b)
{
    cb_put_u8(b, j->state);
    cb_put_varint(b, j->tube->id);
    cb_put_u32(b, j->pri);
    cb_put_varint(b, j->delay);
    cb_put_varint(b, j->ttr);
    cb_put_u64(b, j->created_ns);
    cb_put_varint(b, j->reserves);
    cb_put_varint(b, j->timeouts);
    cb_put_varint(b, j->releases);
    cb_put_varint(b, j->buries);
    cb_put_varint(b, j->kicks);
    if (j->state == JSM_JOB_DELAYED || j->state == JSM_JOB_RESERVED) {
        cb_put_u64(b, j->deadline_ns);
    }
    if (j->state == JSM_JOB_BURIED || j->state == JSM_JOB_RESERVED ||
        (j->state == JSM_JOB_DELAYED && j->seq > 0)) {
        cb_put_varint(b, j->seq);
    }
    if (j->state == JSM_JOB_RESERVED) {
        cb_put_varint(b, j->holder->session->id);
        cb_put_varint(b, j->holder->number);
    }
}

static void encode_result(const struct jsm_kept *k, struct cb_buf *b)
{
    cb_put_varint(b, k->request);
    cb_put_varint(b, k->conn);
    cb_put_u8(b, k->outcome);
    cb_put_varint(b, k->id);
    cb_put_varint(b, k->count);
}

/* ---- draining ---- */

struct drain {
    struct jsm *m;
    const struct jsm_record_sink *sink; /* NULL: nothing changes, it is for the digest alone */
    uint64_t digest;                    /* becomes m->digest_work, unless that is so */
    struct cb_buf value;                /* reused */
};

/* Writes d->value under the key; returns the record's hash, which joins the digest. */
static uint64_t put_value(struct drain *d, const uint8_t key[JSM_KEY_SIZE], struct cb_span value)
{
    struct cb_span k = cb_span(key, JSM_KEY_SIZE);
    if (d->sink != NULL) {
        d->sink->put(d->sink->data, k, value);
    }
    uint64_t hash = jsm_record_hash(k, value);
    d->digest += hash;
    return hash;
}

static void drain_body(struct drain *d, uint64_t job_id, struct jsm_body *b)
{
    if (b->in_store || b->is_counted) {
        return;
    }
    uint8_t key[JSM_KEY_SIZE];
    jsm_key_write(key, JSM_RECORD_JOB, job_id, 1);
    (void)put_value(d, key, jsm_body_span(b)); /* taken again from the bytes when it goes */
    b->in_store = d->sink != NULL;
    b->is_counted = d->sink == NULL; /* by a job and by each result that holds it */
}

/* The first result that no drain has seen. */
static uint64_t first_new_result(const struct jsm_session *s)
{
    return (s->stored_to > s->acked_result ? s->stored_to : s->acked_result) + 1;
}

static void drain_results(struct drain *d, struct jsm_session *s)
{
    for (uint64_t n = first_new_result(s); n <= s->last_result; n++) {
        struct jsm_kept *k = jsm_session_kept(s, n);
        uint8_t key[JSM_KEY_SIZE];
        jsm_key_write(key, JSM_RECORD_RESULT, s->id, n);
        cb_buf_clear(&d->value);
        encode_result(k, &d->value);
        uint64_t hash = put_value(d, key, cb_buf_span(&d->value));
        k->hash = d->sink != NULL ? hash : k->hash;
        if (k->body != NULL) {
            drain_body(d, k->id, k->body);
        }
    }
    s->stored_to = d->sink != NULL ? s->last_result : s->stored_to;
}

static void drain_one(struct drain *d, struct jsm_stored *s)
{
    cb_buf_clear(&d->value);
    switch ((enum jsm_record_kind)s->kind) {
    case JSM_RECORD_GLOBALS:
        encode_globals(d->m, &d->value);
        break;
    case JSM_RECORD_TUBE:
        encode_tube(as_tube(s), &d->value);
        break;
    case JSM_RECORD_SESSION:
        encode_session(as_session(s), &d->value);
        break;
    case JSM_RECORD_CONN:
        encode_conn(as_conn(s), &d->value);
        break;
    case JSM_RECORD_JOB:
        encode_job(as_job(s), &d->value);
        break;
    case JSM_RECORD_RESULT:
        CB_UNREACHABLE("results are drained with their session");
    }
    uint8_t key[JSM_KEY_SIZE];
    key_of(s, key);
    d->digest -= s->in_store ? s->hash : 0;
    uint64_t hash = put_value(d, key, cb_buf_span(&d->value));
    if (d->sink != NULL) {
        s->hash = hash;
        s->in_store = true;
        s->dirty_pos = JSM_CLEAN;
    }
    if (s->kind == JSM_RECORD_JOB) {
        drain_body(d, as_job(s)->id, as_job(s)->body);
        if (d->sink != NULL) {
            jsm_body_list(d->m, as_job(s));
        }
    } else if (s->kind == JSM_RECORD_SESSION) {
        drain_results(d, as_session(s));
    }
}

uint64_t jsm_dirty_bytes(const struct jsm *m)
{
    return m->dirty_bytes + cb_buf_len(&m->gone);
}

void jsm_drain(struct jsm *m, const struct jsm_record_sink *sink)
{
    struct drain d = {.m = m, .sink = sink, .digest = m->digest_work, .value = CB_BUF_NULL};
    struct cb_span gone = cb_buf_span(&m->gone);
    for (size_t at = 0; at < gone.len; at += JSM_KEY_SIZE) {
        sink->del(sink->data, cb_span(gone.ptr + at, JSM_KEY_SIZE));
    }
    cb_buf_clear(&m->gone);
    cb_buf_shrink(&m->gone, 64 * 1024);
    for (uint32_t i = 0; i < m->n_dirty; i++) {
        drain_one(&d, m->dirty[i]);
    }
    m->n_dirty = 0;
    m->dirty_bytes = 0;
    m->state_digest = m->digest_work = d.digest;
    cb_buf_fini(&d.value);
}

static void uncount_bodies(struct jsm_stored *s)
{
    if (s->kind == JSM_RECORD_JOB) {
        as_job(s)->body->is_counted = false;
    } else if (s->kind == JSM_RECORD_SESSION) {
        struct jsm_session *of = as_session(s);
        for (uint64_t n = first_new_result(of); n <= of->last_result; n++) {
            struct jsm_kept *k = jsm_session_kept(of, n);
            if (k->body != NULL) {
                k->body->is_counted = false;
            }
        }
    }
}

uint64_t jsm_digest_of_records(struct jsm *m)
{
    struct drain d = {.m = m, .digest = m->digest_work, .value = CB_BUF_NULL};
    for (uint32_t i = 0; i < m->n_dirty; i++) {
        drain_one(&d, m->dirty[i]);
    }
    for (uint32_t i = 0; i < m->n_dirty; i++) {
        uncount_bodies(m->dirty[i]);
    }
    cb_buf_fini(&d.value);
    return d.digest;
}

uint64_t jsm_state_digest(const struct jsm *m)
{
    return m->state_digest;
}
