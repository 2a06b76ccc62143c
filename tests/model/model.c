#include "model/model.h"

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "model/model_work.h"

/* ---- sessions ---- */

void model_session_free(struct model_session *s)
{
    model_forget_results(s, s->last_result);
    cb_free(s->graves);
    cb_free(s->results);
    cb_free(s->name.ptr);
    cb_free(s->address.ptr);
    cb_free(s);
}

/* One for each of its connections and each job that they hold. */
static uint64_t
steps_to_end(const struct model *m, const struct model_session *s, uint64_t *n_conns)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < m->n_conns; i++) {
        if (m->conns[i]->session == s) {
            n += 1 + model_n_held(m, m->conns[i]);
            (*n_conns)++;
        }
    }
    return n;
}

static void session_end(struct model *m, struct model_session *s)
{
    model_touch(m, s->id);
    for (uint32_t i = 0; i < m->n_conns; i++) {
        if (m->conns[i]->session == s) {
            model_stop_waiting(m, m->conns[i]);
        }
    }
    for (uint32_t i = 0; i < m->n_sessions; i++) {
        if (m->sessions[i] == s) {
            TAKE_OUT(m->sessions, m->n_sessions, i);
            break;
        }
    }
    uint64_t n_conns = 0;
    uint64_t steps = steps_to_end(m, s, &n_conns);
    if (steps > m->steps) {
        model_release_session(m, s, steps);
        return;
    }
    m->steps -= (uint32_t)n_conns;
    for (uint32_t i = 0; i < m->n_conns;) {
        if (m->conns[i]->session == s) {
            model_conn_close(m, m->conns[i]);
        } else {
            i++;
        }
    }
    s->ended = true;
    for (uint32_t i = 0; i < m->n_releases; i++) {
        if (m->releases[i]->session == s) {
            return; /* the last of its connections frees it */
        }
    }
    model_session_free(s);
}

static void session_open(struct model *m, uint64_t index, const struct jsm_item *it)
{
    struct model_session *old = model_session_named(m, it->name);
    if (old != NULL) {
        model_touch(m, old->id);
        struct jsm_incarnation a = it->incarnation, b = old->incarnation;
        if (a.started_ns < b.started_ns || (a.started_ns == b.started_ns && a.random <= b.random)) {
            return;
        }
        session_end(m, old);
    }
    if (m->n_sessions == CB_SESSIONS_MAX) {
        return;
    }
    struct model_session *s = cb_calloc(1, sizeof *s);
    s->id = index;
    s->name = model_copy(it->name);
    s->address = model_copy(it->address);
    s->incarnation = it->incarnation;
    PUSH(m->sessions, m->n_sessions, s);
    model_touch(m, index);
}

/* Its waiters may be served again. */
static void serve_session(struct model *m, const struct model_session *s)
{
    for (uint32_t i = 0; i < m->n_conns; i++) {
        const struct model_conn *c = m->conns[i];
        for (uint32_t k = 0; c->session == s && c->waiting && k < c->n_watched; k++) {
            model_note(c->watched[k], m);
        }
    }
    model_match(m);
}

static void session_ack(struct model *m, struct model_session *s, uint64_t number)
{
    number = number > s->last_result ? s->last_result : number;
    if (number <= s->acked) {
        return;
    }
    model_forget_results(s, number);
    if (s->full && !model_is_over(s, 2)) {
        s->full = false;
        serve_session(m, s);
    }
}

/* ---- time ---- */

enum event_kind { PAUSE_END, DELAY_END, TTR_END, DEADLINE_NEAR, WAIT_END };

struct event {
    uint64_t at;
    enum event_kind kind;
    uint64_t id;
    void *what;
};

static void earlier(struct event *first, uint64_t at, enum event_kind kind, uint64_t id, void *what)
{
    if (at < first->at ||
        (at == first->at && (kind < first->kind || (kind == first->kind && id < first->id)))) {
        *first = (struct event){at, kind, id, what};
    }
}

static struct event next_event(const struct model *m)
{
    struct event e = {.at = JSM_NEVER};
    for (uint32_t i = 0; i < m->n_tubes; i++) {
        if (m->tubes[i]->pause != 0) {
            earlier(&e, m->tubes[i]->pause_end, PAUSE_END, m->tubes[i]->number, m->tubes[i]);
        }
    }
    for (uint32_t i = 0; i < m->n_jobs; i++) {
        struct model_job *j = m->jobs[i];
        if (j->state == JSM_JOB_DELAYED) {
            earlier(&e, j->deadline, DELAY_END, j->id, j);
        }
        if (j->state == JSM_JOB_RESERVED && !j->holder->session->suspended &&
            !model_is_released(j->holder)) {
            earlier(&e, j->deadline, TTR_END, j->id, j);
        }
        if (j->state == JSM_JOB_RESERVED && j->holder->waiting) {
            struct model_conn *c = j->holder; /* what model_margin says, without a scan for each */
            earlier(&e, j->deadline - CB_NS_PER_S, DEADLINE_NEAR, c->arrival, c);
        }
    }
    for (uint32_t i = 0; m->n_waiting > 0 && i < m->n_conns; i++) {
        struct model_conn *c = m->conns[i];
        if (c->waiting) {
            earlier(&e, c->wait_end, WAIT_END, c->arrival, c);
        }
    }
    return e;
}

static void happen(struct model *m, struct event e)
{
    struct model_tube *t = e.what;
    struct model_job *j = e.what;
    struct model_conn *c = e.what;
    switch (e.kind) {
    case PAUSE_END:
        t->pause = 0;
        model_note(t, m);
        model_match(m);
        break;
    case DELAY_END:
        model_make_ready(m, j);
        break;
    case TTR_END:
        j->timeouts++;
        m->job_timeouts++;
        model_make_ready(m, j);
        break;
    case DEADLINE_NEAR:
    case WAIT_END:
        model_stop_waiting(m, c);
        model_answer_plain(m, c, c->wait_request,
                           e.kind == WAIT_END ? JSM_TIMED_OUT : JSM_DEADLINE_SOON);
        break;
    }
}

uint64_t model_next_due_ns(const struct model *m)
{
    bool more = m->n_releases > 0;
    for (uint32_t i = 0; i < m->n_tubes; i++) {
        more = more || m->tubes[i]->unmatched;
    }
    return more ? m->now : next_event(m).at;
}

static void run_due(struct model *m)
{
    while (m->steps > 0) {
        struct event e = next_event(m);
        if (e.at > m->now ||
            ((e.kind == WAIT_END || e.kind == DEADLINE_NEAR) && model_must_queue(e.what))) {
            return;
        }
        m->steps--;
        happen(m, e);
    }
}

/* ---- entries ---- */

static void suspend_all(struct model *m)
{
    for (uint32_t i = 0; i < m->n_sessions; i++) {
        m->sessions[i]->suspended = true;
    }
}

static void item(struct model *m, uint64_t index, const struct jsm_item *it)
{
    struct model_session *s = model_session(m, it->session);
    if (it->kind == JSM_ITEM_OPEN) {
        session_open(m, index, it);
    } else if (it->kind == JSM_ITEM_RESUME) {
        suspend_all(m);
    } else if (it->kind == JSM_ITEM_LIMITS) {
        m->limits = it->limits;
    } else if (it->kind == JSM_ITEM_SPACE) {
        m->short_of_space = it->number == 1;
    } else if (it->kind == JSM_ITEM_CLOCK) {
        m->clock_index = index;
    } else if (it->kind == JSM_ITEM_COUNTS) {
        m->counters[it->counter] += it->number;
    } else if (it->kind == JSM_ITEM_REQUEST) {
        model_request(m, it);
    } else if (it->kind == JSM_ITEM_EXPIRE && s != NULL) {
        session_end(m, s);
    } else if (it->kind == JSM_ITEM_ATTACHED && s != NULL) {
        s->suspended = false;
    } else if (it->kind == JSM_ITEM_ACK && s != NULL) {
        session_ack(m, s, it->number);
    }
}

uint64_t model_body_bytes(const struct model *m)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < m->n_jobs; i++) {
        sum += m->jobs[i]->body.len;
    }
    return sum;
}

void model_apply(struct model *m, uint64_t index, const struct jsm_entry *entry)
{
    m->n_touched = 0;
    m->dropped = 0;
    m->now = entry->stamp_ns > m->now ? entry->stamp_ns : m->now;
    if (entry->n_items > 0 && entry->items[0].kind == JSM_ITEM_RESUME) {
        suspend_all(m);
    }
    m->steps = m->steps_max - m->steps_max / 2;
    model_go_on(m);
    m->steps += m->steps_max / 2;
    run_due(m);
    model_go_on(m);
    for (uint32_t i = 0; i < entry->n_items; i++) {
        item(m, index, &entry->items[i]);
    }
}

struct model *model_create(void)
{
    struct model *m = cb_calloc(1, sizeof *m);
    m->steps_max = CB_DUE_PER_ENTRY_MAX;
    (void)model_tube_make(m, cb_span_str("default"));
    return m;
}

void model_destroy(struct model *m)
{
    m->steps = UINT32_MAX;
    while (m->n_sessions > 0) {
        session_end(m, m->sessions[0]);
    }
    model_go_on(m);
    cb_free(m->releases);
    while (m->n_jobs > 0) {
        model_delete_job(m, m->jobs[0]);
    }
    cb_free(m->tubes[0]->name.ptr);
    cb_free(m->tubes[0]);
    cb_free(m->tubes);
    cb_free(m->jobs);
    cb_free(m->conns);
    cb_free(m->sessions);
    cb_free(m->touched);
    cb_free(m);
}
