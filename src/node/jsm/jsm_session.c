/* Sessions of proxies: numbered requests in, numbered results kept until acknowledged (design D3).
 */
#include "node/jsm/jsm_internal.h"

#define KEPT_CAP_MIN 16u

struct jsm_session *
jsm_session_create(struct jsm *m, uint64_t id, struct cb_span name, struct cb_span address)
{
    CB_ASSERT(name.len <= CB_PROXY_NAME_MAX && address.len <= CB_ADDRESS_MAX);
    struct jsm_session *s = cb_calloc(1, sizeof(*s));
    jsm_stored_init(&s->stored, JSM_RECORD_SESSION);
    s->machine = m;
    s->id = id;
    s->name_len = (uint16_t)name.len;
    s->address_len = (uint16_t)address.len;
    memcpy(s->name, name.ptr, name.len);
    if (address.len > 0) {
        memcpy(s->address, address.ptr, address.len);
    }
    cb_list_init(&s->conns);
    cb_list_init(&s->hidden);
    cb_map_init(&s->conn_by_number);
    cb_list_push_back(&m->sessions, &s->link);
    cb_map_put(&m->sessions_by_id, id, s);
    HASH_ADD(hh, m->sessions_by_name, name[0], s->name_len, s);
    m->n_sessions++;
    return s;
}

struct jsm_kept *jsm_session_kept(const struct jsm_session *s, uint64_t number)
{
    if (number <= s->acked_result || number > s->last_result) {
        return NULL;
    }
    return s->kept[number & (s->kept_cap - 1)];
}

static void grow_kept(struct jsm_session *s)
{
    uint32_t cap = s->kept_cap == 0 ? KEPT_CAP_MIN : s->kept_cap * 2;
    struct jsm_kept **kept = cb_calloc(cap, sizeof(*kept));
    for (uint64_t n = s->acked_result + 1; n <= s->last_result; n++) {
        kept[n & (cap - 1)] = s->kept[n & (s->kept_cap - 1)];
    }
    cb_free(s->kept);
    s->kept = kept;
    s->kept_cap = cap;
}

void jsm_session_keep(struct jsm_session *s, uint64_t number, struct jsm_kept *k)
{
    CB_ASSERT(number == s->last_result + 1);
    if (s->last_result - s->acked_result == s->kept_cap) {
        grow_kept(s);
    }
    s->last_result = number;
    s->kept[number & (s->kept_cap - 1)] = k;
    s->kept_bytes += k->body != NULL ? k->body->len : 0;
}

/* Frees the oldest kept result. */
static void drop_oldest(struct jsm_session *s)
{
    struct jsm *m = s->machine;
    uint64_t number = s->acked_result + 1;
    struct jsm_kept *k = jsm_session_kept(s, number);
    if (number <= s->stored_to) {
        jsm_forget_key(m, k->hash, JSM_RECORD_RESULT, s->id, number);
    }
    if (k->body != NULL) {
        s->kept_bytes -= k->body->len;
        jsm_body_unref(m, k->body, k->id);
    }
    cb_free(k);
    s->acked_result = number;
}

/* ---- the bound on unacknowledged results ---- */

static bool is_over(const struct jsm_session *s, uint64_t share)
{
    return s->last_result - s->acked_result > CB_RESULTS_UNACKED_MAX / share ||
           s->kept_bytes > CB_RESULT_BYTES_UNACKED_MAX / share;
}

/* The key of its waiters changes: blocked ones sort behind all others, keeping their arrival order.
 */
static void set_blocked(struct jsm_session *s, bool blocked)
{
    CB_LIST_FOREACH(it, &s->conns)
    {
        struct jsm_conn *c = CB_CONTAINER(it, struct jsm_conn, link);
        if (c->wait.active) {
            jsm_wait_leave(c);
        }
    }
    s->is_blocked = blocked;
    jsm_mark(s->machine, &s->stored);
    CB_LIST_FOREACH(it, &s->conns)
    {
        struct jsm_conn *c = CB_CONTAINER(it, struct jsm_conn, link);
        if (c->wait.active) {
            jsm_wait_enter(c);
        }
    }
}

/* Its waiters may be served again. */
static void serve_waiters(struct jsm_session *s)
{
    CB_LIST_FOREACH(it, &s->conns)
    {
        const struct jsm_conn *c = CB_CONTAINER(it, struct jsm_conn, link);
        for (uint32_t i = 0; c->wait.active && i < c->n_watches; i++) {
            jsm_tube_note(c->watches[i]->tube);
        }
    }
    jsm_match(s->machine);
}

void jsm_session_ack(struct jsm_session *s, uint64_t number)
{
    if (number > s->last_result) {
        number = s->last_result;
    }
    if (number <= s->acked_result) {
        return;
    }
    while (s->acked_result < number) {
        drop_oldest(s);
    }
    jsm_mark(s->machine, &s->stored);
    if (s->is_blocked && !is_over(s, 2)) {
        set_blocked(s, false);
        serve_waiters(s);
    }
}

void jsm_result(struct jsm_conn *c,
                uint64_t request,
                enum jsm_outcome outcome,
                uint64_t id,
                uint32_t count,
                const struct jsm_job *job)
{
    struct jsm_session *s = c->session;
    struct jsm *m = s->machine;
    struct jsm_kept *k = cb_malloc(sizeof(*k));
    *k = (struct jsm_kept){
        .request = request,
        .conn = c->number,
        .id = id,
        .count = count,
        .outcome = (uint8_t)outcome,
        .body = job != NULL ? jsm_body_ref(job->body) : NULL,
    };
    jsm_session_keep(s, s->last_result + 1, k);
    jsm_mark(m, &s->stored);
    jsm_session_touch(s);
    const uint64_t words[] = {s->id, s->last_result, request, c->number, outcome, id, count};
    jsm_digest_fold(m, words, sizeof(words) / sizeof(words[0]));
    if (!s->is_blocked && is_over(s, 1)) {
        set_blocked(s, true);
    }
}

/* ---- life ---- */

void jsm_session_touch(struct jsm_session *s)
{
    struct jsm *m = s->machine;
    if (s->touched_at == m->index) {
        return;
    }
    s->touched_at = m->index;
    if (m->n_touched == m->touched_cap) {
        m->touched_cap = m->touched_cap == 0 ? 16 : m->touched_cap * 2;
        m->touched = cb_realloc(m->touched, m->touched_cap * sizeof(*m->touched));
    }
    m->touched[m->n_touched++] = s->id;
}

void jsm_session_suspend(struct jsm_session *s, bool suspended)
{
    if (s->is_suspended == suspended) {
        return;
    }
    s->is_suspended = suspended;
    jsm_mark(s->machine, &s->stored);
    CB_LIST_FOREACH(it, &s->conns)
    {
        struct jsm_conn *c = CB_CONTAINER(it, struct jsm_conn, link);
        if (c->held.len > 0) {
            jsm_conn_update_timer(c);
        }
    }
}

static void drop_results(struct jsm_session *s)
{
    while (s->acked_result < s->last_result) {
        drop_oldest(s);
    }
}

void jsm_session_destroy(struct jsm_session *s)
{
    struct jsm *m = s->machine;
    CB_LIST_FOREACH_SAFE(it, tmp, &s->conns)
    {
        jsm_conn_destroy(CB_CONTAINER(it, struct jsm_conn, link));
    }
    CB_LIST_FOREACH_SAFE(it, tmp, &s->hidden)
    {
        jsm_conn_destroy(CB_CONTAINER(it, struct jsm_conn, link));
    }
    drop_results(s);
    if (!s->is_hidden) {
        jsm_session_hide(s);
    }
    (void)cb_map_remove(&m->sessions_by_id, s->id); /* while loading, hidden ones are there too */
    if (s->release != NULL) {
        jsm_release_destroy(m, s->release);
    }
    cb_list_remove(&s->link);
    cb_map_fini(&s->conn_by_number);
    cb_free(s->kept);
    cb_free(s);
}

void jsm_session_hide(struct jsm_session *s)
{
    struct jsm *m = s->machine;
    HASH_DELETE(hh, m->sessions_by_name, s);
    cb_list_remove(&s->link);
    cb_list_push_back(&m->ended, &s->link);
    m->n_sessions--;
    s->is_hidden = true;
}

void jsm_session_finish(struct jsm_session *s)
{
    jsm_forget(s->machine, &s->stored);
    jsm_session_destroy(s);
}

void jsm_session_end(struct jsm_session *s)
{
    struct jsm *m = s->machine;
    /* Its own waiters must not be granted what its connections give back. */
    CB_LIST_FOREACH(it, &s->conns)
    {
        struct jsm_conn *c = CB_CONTAINER(it, struct jsm_conn, link);
        if (c->wait.active) {
            jsm_wait_leave(c);
            c->wait.active = false;
            jsm_mark(m, &c->stored);
        }
    }
    bool at_once = s->n_held + s->n_conns <= m->steps;
    if (at_once) {
        m->steps -= s->n_conns;
        CB_LIST_FOREACH_SAFE(it, tmp, &s->conns)
        {
            jsm_conn_close(CB_CONTAINER(it, struct jsm_conn, link));
        }
    }
    if (at_once && cb_list_is_empty(&s->hidden)) {
        jsm_session_finish(s);
        return;
    }
    drop_results(s);
    jsm_session_hide(s);
    (void)cb_map_remove(&m->sessions_by_id, s->id); /* it is there: create put it */
    jsm_release_session(
        s); /* with nothing to do but wait for those of its connections, if at_once */
}

/* ---- the public view ---- */

struct jsm_session *jsm_session_get(const struct jsm *m, uint64_t id)
{
    return cb_map_get(&m->sessions_by_id, id);
}

struct jsm_session *jsm_session_find(const struct jsm *m, struct cb_span name)
{
    struct jsm_session *s = NULL;
    HASH_FIND(hh, m->sessions_by_name, name.ptr, (unsigned)name.len, s);
    return s;
}

struct jsm_session *jsm_session_next(const struct jsm *m, const struct jsm_session *after)
{
    const struct cb_list *at = after == NULL ? &m->sessions : &after->link;
    return at->next == &m->sessions ? NULL : CB_CONTAINER(at->next, struct jsm_session, link);
}

uint64_t jsm_session_id(const struct jsm_session *s)
{
    return s->id;
}

struct cb_span jsm_session_name(const struct jsm_session *s)
{
    return cb_span(s->name, s->name_len);
}

struct cb_span jsm_session_address(const struct jsm_session *s)
{
    return cb_span(s->address, s->address_len);
}

struct jsm_incarnation jsm_session_incarnation(const struct jsm_session *s)
{
    return s->incarnation;
}

uint64_t jsm_session_last_request(const struct jsm_session *s)
{
    return s->last_request;
}

uint64_t jsm_session_last_result(const struct jsm_session *s)
{
    return s->last_result;
}

uint64_t jsm_session_acked_result(const struct jsm_session *s)
{
    return s->acked_result;
}

bool jsm_session_is_suspended(const struct jsm_session *s)
{
    return s->is_suspended;
}

bool jsm_session_result(const struct jsm_session *s, uint64_t number, struct jsm_result *out)
{
    const struct jsm_kept *k = jsm_session_kept(s, number);
    if (k == NULL) {
        return false;
    }
    *out = (struct jsm_result){
        .number = number,
        .request = k->request,
        .conn = k->conn,
        .outcome = (enum jsm_outcome)k->outcome,
        .id = k->id,
        .count = k->count,
        .body = k->body != NULL ? jsm_body_span(k->body) : CB_SPAN_NULL,
        .is_away = k->body != NULL && k->body->is_away,
    };
    return true;
}
