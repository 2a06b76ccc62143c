/* Loading stored records. They come from a disk: every field is checked before it is used, and what
 * contradicts another record is refused, never repaired. */
#include "common/base/cb_bytes.h"
#include "common/base/cb_tube_name.h"
#include "node/jsm/jsm_internal.h"
#include "node/jsm/jsm_record.h"

struct load {
    struct jsm *m;
    struct cb_reader r;
    uint64_t a, b; /* the numbers of the key */
    uint64_t hash;
};

static uint64_t read_be64(const uint8_t *p)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

static void set_stored(struct load *l, struct jsm_stored *s)
{
    s->hash = l->hash;
    s->in_store = true;
}

static bool load_globals(struct load *l)
{
    struct jsm *m = l->m;
    struct cb_reader *r = &l->r;
    uint8_t format = cb_get_u8(r);
    if (format == 0 || format > JSM_RECORD_FORMAT || m->index != 0 || l->a != 0 || l->b != 0) {
        return false;
    }
    m->index = cb_get_u64(r);
    m->now_ns = cb_get_u64(r);
    m->log_digest = cb_get_u64(r);
    m->next_job_id = cb_get_varint_max(r, CB_ID_MAX + 1);
    m->next_tube_id = cb_get_varint(r);
    m->next_seq = cb_get_varint(r);
    m->job_timeouts = cb_get_varint(r);
    m->total_jobs = cb_get_varint(r);
    m->total_connections = cb_get_varint(r);
    uint64_t n = cb_get_varint_max(r, JSM_COUNTER_COUNT);
    for (uint64_t i = 0; i < n; i++) {
        m->counters[i] = cb_get_varint(r);
    }
    if (format >= JSM_RECORD_FORMAT_LIMITS) {
        m->limits.jobs = cb_get_varint(r);
        m->limits.bytes = cb_get_varint(r);
    }
    if (format >= JSM_RECORD_FORMAT_SPACE) {
        m->is_short_of_space = cb_get_varint_max(r, 1) != 0;
    }
    set_stored(l, &m->stored);
    return cb_reader_done(r) && m->index > 0 && m->next_job_id > 0;
}

static bool load_tube(struct load *l)
{
    struct jsm *m = l->m;
    struct cb_reader *r = &l->r;
    struct cb_span name = cb_get_bytes(r, CB_TUBE_NAME_MAX);
    uint64_t place = cb_get_varint_max(r, UINT32_MAX / 2);
    uint64_t pause = cb_get_varint_max(r, UINT32_MAX);
    uint64_t pause_until_ns = cb_get_u64(r);
    uint64_t total_jobs = cb_get_varint(r);
    uint64_t cmd_delete = cb_get_varint(r);
    uint64_t cmd_pause_tube = cb_get_varint(r);
    /* A place far beyond the tubes made so far is no place; it would only ask for memory. */
    if (!cb_reader_done(r) || !cb_tube_name_is_valid(name) || l->b != 0 ||
        l->a >= m->next_tube_id || place >= m->next_tube_id || jsm_tube_find(m, name) != NULL ||
        cb_map_get(&m->tubes_by_id, l->a) != NULL ||
        (place < m->tubes_cap && m->tubes[place] != NULL)) {
        return false;
    }
    struct jsm_tube *t = jsm_tube_create(m, l->a, name, (uint32_t)place);
    t->pause = (uint32_t)pause;
    t->pause_until_ns = pause_until_ns;
    t->total_jobs = total_jobs;
    t->cmd_delete = cmd_delete;
    t->cmd_pause_tube = cmd_pause_tube;
    set_stored(l, &t->stored);
    jsm_tube_update_timer(t);
    return true;
}

static bool load_session(struct load *l)
{
    struct jsm *m = l->m;
    struct cb_reader *r = &l->r;
    struct cb_span name = cb_get_bytes(r, CB_PROXY_NAME_MAX);
    struct cb_span address = cb_get_bytes(r, CB_ADDRESS_MAX);
    struct jsm_incarnation incarnation = {.started_ns = cb_get_u64(r)};
    incarnation.random = cb_get_u64(r);
    uint64_t last_request = cb_get_varint(r);
    uint64_t last_result = cb_get_varint(r);
    uint64_t acked_result = cb_get_varint_max(r, last_result);
    uint8_t flags = cb_get_u8(r);
    if (!cb_reader_done(r) || name.len == 0 || flags > JSM_SESSION_FLAGS || l->b != 0 ||
        l->a == 0 || l->a > m->index || jsm_session_find(m, name) != NULL ||
        m->n_sessions >= CB_SESSIONS_MAX) {
        return false;
    }
    struct jsm_session *s = jsm_session_create(m, l->a, name, address);
    s->incarnation = incarnation;
    s->last_request = last_request;
    s->acked_result = acked_result;
    /* The kept results follow as records; jsm_load_done compares with what was promised. */
    s->last_result = acked_result;
    s->stored_to = last_result;
    s->is_suspended = (flags & JSM_SESSION_SUSPENDED) != 0;
    s->is_blocked = (flags & JSM_SESSION_BLOCKED) != 0;
    set_stored(l, &s->stored);
    return true;
}

static bool load_watches(struct load *l, struct jsm_conn *c)
{
    uint64_t n = cb_get_varint_max(&l->r, l->m->n_tubes);
    for (uint64_t i = 0; i < n; i++) {
        struct jsm_tube *t = cb_map_get(&l->m->tubes_by_id, cb_get_varint(&l->r));
        if (t == NULL || jsm_conn_find_watch(c, t) != NULL) {
            return false;
        }
        jsm_conn_watch(c, t);
    }
    return n > 0;
}

static bool load_wait(struct load *l, struct jsm_conn *c, bool is_timed)
{
    c->wait.request = cb_get_varint_max(&l->r, c->session->last_request);
    c->wait.arrival = cb_get_varint(&l->r);
    c->wait.deadline_ns = cb_get_u64(&l->r);
    c->wait.has_deadline = is_timed;
    if (l->r.failed || c->wait.arrival >= l->m->next_seq) {
        return false;
    }
    c->wait.active = true;
    jsm_wait_enter(c);
    jsm_conn_update_timer(c);
    return true;
}

static bool load_conn(struct load *l)
{
    struct jsm *m = l->m;
    struct jsm_session *s = jsm_session_get(m, l->a);
    uint64_t seq = cb_get_varint(&l->r);
    uint8_t flags = cb_get_u8(&l->r);
    struct jsm_tube *used = cb_map_get(&m->tubes_by_id, cb_get_varint(&l->r));
    if (s == NULL || used == NULL || l->r.failed || flags > JSM_CONN_FLAGS || seq >= m->next_seq ||
        jsm_conn_get(s, l->b) != NULL || s->n_conns >= CB_CONNS_PER_SESSION_MAX) {
        return false;
    }
    struct jsm_conn *c = jsm_conn_create(s, l->b, seq);
    jsm_conn_use(c, used);
    if (!load_watches(l, c)) {
        return false;
    }
    if ((flags & JSM_CONN_PRODUCER) != 0) {
        jsm_conn_set_producer(c);
    }
    if ((flags & JSM_CONN_WORKER) != 0) {
        jsm_conn_set_worker(c);
    }
    c->is_half_closed = (flags & JSM_CONN_HALF_CLOSED) != 0;
    if ((flags & JSM_CONN_WAITING) != 0 && !load_wait(l, c, (flags & JSM_CONN_TIMED) != 0)) {
        return false;
    }
    set_stored(l, &c->stored);
    return cb_reader_done(&l->r);
}

static bool load_body(struct load *l, struct cb_span value)
{
    struct jsm *m = l->m;
    if (value.len > CB_JOB_SIZE_MAX) {
        return false;
    }
    struct jsm_body *b = jsm_body_load(m, value, l->hash);
    b->refs = 0; /* until a job or a result claims it */
    struct jsm_job *j = jsm_job_get(m, l->a);
    if (j != NULL) { /* the job's record came just before */
        j->body = b;
        b->refs = 1;
        m->body_bytes += b->len;
        jsm_body_list(m, j);
    } else {
        cb_map_put(&m->loading_bodies, l->a, b); /* keys are unique: it was not there */
    }
    return true;
}

static bool load_job_queue(struct load *l, struct jsm_job *j, enum jsm_job_state state)
{
    struct cb_reader *r = &l->r;
    if (state == JSM_JOB_DELAYED || state == JSM_JOB_RESERVED) {
        j->deadline_ns = cb_get_u64(r);
    }
    if (state == JSM_JOB_BURIED || state == JSM_JOB_RESERVED) {
        j->seq = cb_get_varint(r);
    }
    if (state == JSM_JOB_RESERVED) {
        const struct jsm_session *s = jsm_session_get(l->m, cb_get_varint(r));
        uint64_t conn = cb_get_varint(r);
        j->holder = s != NULL ? jsm_conn_get(s, conn) : NULL;
        if (j->holder == NULL) {
            return false;
        }
    }
    if (!cb_reader_done(r) || j->seq >= l->m->next_seq) {
        return false;
    }
    jsm_job_place(j, state);
    return true;
}

static bool load_job(struct load *l)
{
    struct jsm *m = l->m;
    struct cb_reader *r = &l->r;
    uint8_t state = cb_get_u8(r);
    struct jsm_tube *t = cb_map_get(&m->tubes_by_id, cb_get_varint(r));
    if (t == NULL || state < JSM_JOB_READY || state > JSM_JOB_BURIED || l->a == 0 ||
        l->a >= m->next_job_id || l->b != 0 || jsm_job_get(m, l->a) != NULL) {
        return false;
    }
    struct jsm_job *j = jsm_job_create(m, l->a, t, NULL);
    j->pri = cb_get_u32(r);
    j->delay = (uint32_t)cb_get_varint_max(r, UINT32_MAX);
    j->ttr = (uint32_t)cb_get_varint_max(r, UINT32_MAX);
    j->created_ns = cb_get_u64(r);
    j->reserves = (uint32_t)cb_get_varint_max(r, UINT32_MAX);
    j->timeouts = (uint32_t)cb_get_varint_max(r, UINT32_MAX);
    j->releases = (uint32_t)cb_get_varint_max(r, UINT32_MAX);
    j->buries = (uint32_t)cb_get_varint_max(r, UINT32_MAX);
    j->kicks = (uint32_t)cb_get_varint_max(r, UINT32_MAX);
    set_stored(l, &j->stored);
    return j->ttr > 0 && j->created_ns <= m->now_ns &&
           load_job_queue(l, j, (enum jsm_job_state)state);
}

/* The body that a result carries: its job's, or one whose job is gone. */
static struct jsm_body *claim_body(struct jsm *m, uint64_t job_id)
{
    const struct jsm_job *j = jsm_job_get(m, job_id);
    struct jsm_body *b = j != NULL ? j->body : cb_map_get(&m->loading_bodies, job_id);
    if (b != NULL) {
        b->refs++;
    }
    return b;
}

static bool load_result(struct load *l)
{
    struct cb_reader *r = &l->r;
    struct jsm_session *s = jsm_session_get(l->m, l->a);
    uint64_t request = cb_get_varint(r);
    uint64_t conn = cb_get_varint(r);
    uint8_t outcome = cb_get_u8(r);
    uint64_t id = cb_get_varint_max(r, CB_ID_MAX);
    uint64_t count = cb_get_varint_max(r, UINT32_MAX);
    if (!cb_reader_done(r) || s == NULL || outcome == 0 || outcome >= JSM_OUTCOME_END ||
        l->b != s->last_result + 1 || l->b > s->stored_to) {
        return false;
    }
    struct jsm_body *body = outcome == JSM_RESERVED ? claim_body(l->m, id) : NULL;
    if (outcome == JSM_RESERVED && body == NULL) {
        return false;
    }
    struct jsm_kept *k = cb_malloc(sizeof(*k));
    *k = (struct jsm_kept){
        .hash = l->hash,
        .request = request,
        .conn = conn,
        .id = id,
        .body = body,
        .count = (uint32_t)count,
        .outcome = outcome,
    };
    jsm_session_keep(s, l->b, k);
    return true;
}

static bool load_record(struct load *l, uint8_t kind, struct cb_span value)
{
    switch ((enum jsm_record_kind)kind) {
    case JSM_RECORD_GLOBALS:
        return load_globals(l);
    case JSM_RECORD_TUBE:
        return load_tube(l);
    case JSM_RECORD_SESSION:
        return load_session(l);
    case JSM_RECORD_CONN:
        return load_conn(l);
    case JSM_RECORD_JOB:
        return l->b == 1 ? load_body(l, value) : load_job(l);
    case JSM_RECORD_RESULT:
        return load_result(l);
    }
    return false;
}

enum jsm_load_result jsm_load_record(struct jsm *m, struct cb_span key, struct cb_span value)
{
    if (key.len != JSM_KEY_SIZE || (m->index == 0 && key.ptr[0] != JSM_RECORD_GLOBALS)) {
        return JSM_LOAD_BAD_RECORD;
    }
    struct load l = {
        .m = m,
        .a = read_be64(key.ptr + 1),
        .b = read_be64(key.ptr + 9),
        .hash = jsm_record_hash(key, value),
    };
    cb_reader_init(&l.r, value);
    if (!load_record(&l, key.ptr[0], value)) {
        return JSM_LOAD_BAD_RECORD;
    }
    m->digest_work += l.hash;
    return JSM_LOAD_OK;
}

static int compare_conn_seq(const void *a, const void *b)
{
    uint64_t x = (*(struct jsm_conn *const *)a)->seq;
    uint64_t y = (*(struct jsm_conn *const *)b)->seq;
    return x < y ? -1 : x > y;
}

/* Records came in order of connection numbers; the list is in order of opening. */
static void order_conns(struct jsm_session *s)
{
    struct jsm_conn **conns = cb_malloc(s->n_conns * sizeof(*conns));
    uint32_t n = 0;
    CB_LIST_FOREACH(it, &s->conns)
    {
        conns[n++] = CB_CONTAINER(it, struct jsm_conn, link);
    }
    qsort(conns, n, sizeof(*conns), compare_conn_seq);
    for (uint32_t i = 0; i < n; i++) {
        cb_list_remove(&conns[i]->link);
        cb_list_push_back(&s->conns, &conns[i]->link);
    }
    cb_free(conns);
}

static bool are_tubes_whole(const struct jsm *m)
{
    for (uint32_t i = 0; i < m->n_tubes; i++) {
        if (i >= m->tubes_cap || m->tubes[i] == NULL) {
            return false;
        }
    }
    return m->n_tubes > 0 &&
           cb_span_eq(cb_span(m->tubes[0]->name, m->tubes[0]->name_len), cb_span_str("default"));
}

static bool are_jobs_whole(const struct jsm *m)
{
    for (size_t i = 0; i < m->jobs.cap; i++) {
        const struct jsm_job *j = m->jobs.slots[i].value;
        if (j != NULL && j->body == NULL) {
            return false;
        }
    }
    for (size_t i = 0; i < m->loading_bodies.cap; i++) {
        const struct jsm_body *b = m->loading_bodies.slots[i].value;
        if (b != NULL && b->refs == 0) {
            return false; /* a body that nothing names */
        }
    }
    return true;
}

enum jsm_load_result jsm_load_done(struct jsm *m)
{
    if (m->index == 0 || !are_tubes_whole(m) || !are_jobs_whole(m)) {
        return JSM_LOAD_BAD_RECORD;
    }
    CB_LIST_FOREACH(it, &m->sessions)
    {
        struct jsm_session *s = CB_CONTAINER(it, struct jsm_session, link);
        if (s->last_result != s->stored_to) {
            return JSM_LOAD_BAD_RECORD; /* a kept result is missing */
        }
        order_conns(s);
    }
    cb_map_fini(&m->loading_bodies);
    /* What loading marked is what the store has. */
    for (uint32_t i = 0; i < m->n_dirty; i++) {
        m->dirty[i]->dirty_pos = JSM_CLEAN;
    }
    m->n_dirty = 0;
    m->dirty_bytes = 0;
    m->state_digest = m->digest_work;
    return JSM_LOAD_OK;
}
