/* Connections and sessions that end with more than an entry has steps for (model.h, K). */
#include "model/model_work.h"

#include "common/base/cb_mem.h"

bool model_is_released(const struct model_conn *c)
{
    return c->ended || c->session->ended;
}

bool model_is_grave(const struct model_session *s, uint64_t number)
{
    for (uint32_t i = 0; i < s->n_graves; i++) {
        if (s->graves[i] == number) {
            return true;
        }
    }
    return false;
}

static void add(struct model *m, struct model_release r)
{
    struct model_release *copy = cb_malloc(sizeof *copy);
    *copy = r;
    PUSH(m->releases, m->n_releases, copy);
}

void model_release_conn(struct model *m, struct model_conn *c)
{
    struct model_session *s = c->session;
    c->ended = true;
    PUSH(s->graves, s->n_graves, c->number);
    add(m, (struct model_release){.conn = c, .session = s, .steps = model_n_held(m, c)});
}

void model_release_session(struct model *m, struct model_session *s, uint64_t steps)
{
    s->ended = true;
    add(m, (struct model_release){.session = s, .steps = steps});
}

static bool has_job(const struct model_release *r, const struct model_job *j)
{
    if (j->state != JSM_JOB_RESERVED) {
        return false;
    }
    return r->conn != NULL ? j->holder == r->conn
                           : j->holder->session == r->session && !j->holder->ended;
}

static void make_ready(struct model *m, const struct model_release *r)
{
    for (uint32_t i = 0; i < m->n_jobs; i++) {
        struct model_job *j = m->jobs[i];
        if (has_job(r, j)) {
            j->state = JSM_JOB_READY;
            j->holder = NULL;
        }
    }
    for (uint32_t i = 0; i < m->n_tubes; i++) {
        model_note(m->tubes[i], m);
    }
}

static struct model_conn *first_conn(const struct model *m, const struct model_session *s)
{
    for (uint32_t i = 0; i < m->n_conns; i++) {
        if (m->conns[i]->session == s) {
            return m->conns[i];
        }
    }
    return NULL;
}

/* True while another release needs the session. */
static bool is_needed(const struct model *m, const struct model_session *s)
{
    for (uint32_t i = 0; i < m->n_releases; i++) {
        if (m->releases[i]->session == s) {
            return true;
        }
    }
    return false;
}

static void finish(struct model *m, struct model_release *r)
{
    struct model_session *s = r->session;
    TAKE_OUT(m->releases, m->n_releases, 0);
    cb_free(r->conn);
    cb_free(r);
    if (s->ended && first_conn(m, s) == NULL && !is_needed(m, s)) {
        model_session_free(s);
    }
}

static void step(struct model *m, struct model_release *r)
{
    if (r->steps > 0) {
        r->steps--;
        if (r->steps > 0) {
            return;
        }
        make_ready(m, r);
        if (r->conn != NULL) {
            finish(m, r);
        }
        return;
    }
    struct model_conn *c = first_conn(m, r->session);
    if (c != NULL) {
        model_conn_leave(m, c);
        cb_free(c);
    }
    if (first_conn(m, r->session) == NULL) {
        finish(m, r);
    }
}

void model_go_on(struct model *m)
{
    model_match(m);
    while (m->steps > 0 && m->n_releases > 0) {
        m->steps--;
        step(m, m->releases[0]);
    }
    model_match(m);
}
