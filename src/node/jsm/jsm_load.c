/* Loading stored records. They come from a disk: every field is checked before it is used, and what
 * contradicts another record is refused, never repaired. */
#include "node/jsm/jsm_load.h"
#include "common/base/cb_tube_name.h"
#include "node/jsm/jsm_record.h"

static uint64_t read_be64(const uint8_t *p)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

static bool load_globals(struct jsm_load *l)
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
    if (format >= JSM_RECORD_FORMAT_CLOCK) {
        m->clock_index = cb_get_varint_max(r, m->index);
    }
    jsm_load_stored(l, &m->stored);
    return cb_reader_done(r) && m->index > 0 && m->next_job_id > 0;
}

static bool load_tube(struct jsm_load *l)
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
    struct jsm_tube_work work;
    bool sound = jsm_load_read_tube_work(l, &work);
    /* A place far beyond the tubes made so far is no place; it would only ask for memory. */
    if (!sound || !cb_reader_done(r) || !cb_tube_name_is_valid(name) || l->b != 0 ||
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
    jsm_load_stored(l, &t->stored);
    jsm_load_set_tube_work(t, &work);
    jsm_tube_update_timer(t);
    return true;
}

static bool load_session(struct jsm_load *l)
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
    bool has_ended = (flags & JSM_SESSION_ENDED) != 0;
    struct jsm_release_fields release;
    if (!jsm_load_read_release(l, has_ended, &release) || !cb_reader_done(r) || name.len == 0 ||
        flags > JSM_SESSION_FLAGS || l->b != 0 || l->a == 0 || l->a > m->index ||
        jsm_session_get(m, l->a) != NULL ||
        (!has_ended && (jsm_session_find(m, name) != NULL || m->n_sessions >= CB_SESSIONS_MAX))) {
        return false;
    }
    struct jsm_session *s = jsm_session_create(m, l->a, name, address);
    if (has_ended) { /* found by id until jsm_load_done, for its connections and jobs */
        jsm_session_hide(s);
        jsm_load_make_release(m, NULL, s, release);
    }
    s->incarnation = incarnation;
    s->last_request = last_request;
    s->acked_result = acked_result;
    /* The kept results follow as records; jsm_load_done compares with what was promised. */
    s->last_result = acked_result;
    s->stored_to = last_result;
    s->is_suspended = (flags & JSM_SESSION_SUSPENDED) != 0;
    s->is_blocked = (flags & JSM_SESSION_BLOCKED) != 0;
    jsm_load_stored(l, &s->stored);
    return true;
}

static bool load_watches(struct jsm_load *l, struct jsm_conn *c)
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

static bool load_wait(struct jsm_load *l, struct jsm_conn *c, bool is_timed)
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

static void set_flags(struct jsm_conn *c, uint8_t flags)
{
    if ((flags & JSM_CONN_PRODUCER) != 0) {
        jsm_conn_set_producer(c);
    }
    if ((flags & JSM_CONN_WORKER) != 0) {
        jsm_conn_set_worker(c);
    }
    c->is_half_closed = (flags & JSM_CONN_HALF_CLOSED) != 0;
}

/* One that its jobs alone name: its own release has them, or that of its session. */
static bool load_hidden(struct jsm_load *l, struct jsm_conn *c, uint8_t flags)
{
    jsm_conn_retire(c);
    const struct jsm_release *r = jsm_release_of(c);
    bool is_own = c->release != NULL;
    return (flags & JSM_CONN_WAITING) == 0 && cb_reader_done(&l->r) && r != NULL &&
           r->phase != (is_own ? JSM_RELEASE_CLOSES : JSM_RELEASE_PREPARES);
}

static bool load_tubes_of(struct jsm_load *l, struct jsm_conn *c, uint8_t flags)
{
    struct jsm_tube *used = cb_map_get(&l->m->tubes_by_id, cb_get_varint(&l->r));
    bool is_waiting = (flags & JSM_CONN_WAITING) != 0;
    if (used == NULL || (flags & JSM_CONN_ENDED) != 0 ||
        (is_waiting && c->session->release != NULL)) {
        return false;
    }
    jsm_conn_use(c, used);
    return load_watches(l, c) && (!is_waiting || load_wait(l, c, (flags & JSM_CONN_TIMED) != 0)) &&
           cb_reader_done(&l->r);
}

static bool load_conn(struct jsm_load *l)
{
    struct jsm *m = l->m;
    struct jsm_session *s = jsm_session_get(m, l->a);
    uint64_t seq = cb_get_varint(&l->r);
    uint8_t flags = cb_get_u8(&l->r);
    struct jsm_release_fields release;
    if (s == NULL || l->r.failed || flags > JSM_CONN_FLAGS || seq >= m->next_seq ||
        !jsm_load_read_release(l, (flags & JSM_CONN_ENDED) != 0, &release) ||
        jsm_conn_get(s, l->b) != NULL || s->n_conns >= CB_CONNS_PER_SESSION_MAX) {
        return false;
    }
    struct jsm_conn *c = jsm_conn_create(s, l->b, seq);
    jsm_load_stored(l, &c->stored);
    set_flags(c, flags);
    if (release.phase != 0) {
        jsm_load_make_release(m, c, NULL, release);
    }
    return (flags & JSM_CONN_HIDDEN) != 0 ? load_hidden(l, c, flags) : load_tubes_of(l, c, flags);
}

static bool load_record(struct jsm_load *l, uint8_t kind, struct cb_span value)
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
        return l->b == 1 ? jsm_load_body(l, value) : jsm_load_job(l);
    case JSM_RECORD_RESULT:
        return jsm_load_result(l);
    }
    return false;
}

enum jsm_load_result jsm_load_record(struct jsm *m, struct cb_span key, struct cb_span value)
{
    if (key.len != JSM_KEY_SIZE || (m->index == 0 && key.ptr[0] != JSM_RECORD_GLOBALS)) {
        return JSM_LOAD_BAD_RECORD;
    }
    struct jsm_load l = {
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

/* Records came in order of connection numbers; the lists are in order of opening. */
static void order_list(struct cb_list *list, size_t max)
{
    struct jsm_conn **conns = cb_malloc(max * sizeof(*conns));
    size_t n = 0;
    CB_LIST_FOREACH(it, list)
    {
        conns[n++] = CB_CONTAINER(it, struct jsm_conn, link);
    }
    qsort(conns, n, sizeof(*conns), compare_conn_seq);
    for (size_t i = 0; i < n; i++) {
        cb_list_remove(&conns[i]->link);
        cb_list_push_back(list, &conns[i]->link);
    }
    cb_free(conns);
}

/* False: a kept result is missing. */
static bool finish_session(struct jsm_session *s)
{
    order_list(&s->conns, s->conn_by_number.len);
    order_list(&s->hidden, s->conn_by_number.len);
    return s->last_result == s->stored_to;
}

static bool finish_sessions(struct jsm *m)
{
    CB_LIST_FOREACH(it, &m->sessions)
    {
        if (!finish_session(CB_CONTAINER(it, struct jsm_session, link))) {
            return false;
        }
    }
    CB_LIST_FOREACH(it, &m->ended)
    {
        struct jsm_session *s = CB_CONTAINER(it, struct jsm_session, link);
        (void)cb_map_remove(&m->sessions_by_id, s->id); /* it is there: loading put it */
        if (!finish_session(s) || s->last_result != s->acked_result) {
            return false;
        }
    }
    return true;
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

static bool are_jobs_whole(struct jsm *m)
{
    cb_map_settle(&m->jobs);
    cb_map_settle(&m->loading_bodies);
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
    if (m->index == 0 || !are_tubes_whole(m) || !are_jobs_whole(m) || !finish_sessions(m) ||
        !jsm_load_work_done(m)) {
        return JSM_LOAD_BAD_RECORD;
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
