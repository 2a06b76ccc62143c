#include "common/base/cb_mem.h"
#include "model/lockstep_compare.h"
#include "sim/sim_oracle_internal.h"

#include <inttypes.h>

/* ---- what the entry answers ---- */

void sim_oracle_answered(void *data, uint64_t session, const struct jsm_result *r)
{
    struct sim_oracle *o = data;
    if (o->n_answers == o->cap_answers) {
        o->cap_answers = o->cap_answers == 0 ? 256 : 2 * o->cap_answers;
        o->answers = cb_realloc(o->answers, o->cap_answers * sizeof *o->answers);
    }
    o->answers[o->n_answers++] = (struct sim_oracle_answer){session, r->number};
    o->made += r->outcome == JSM_INSERTED;
    o->deleted += r->outcome == JSM_DELETED;
    if (o->env.on_result != NULL) {
        o->env.on_result(o->env.data, session, r);
    }
}

/* A machine that is not the model. */
static _Noreturn void differs(const struct sim_oracle *o,
                              const char *property,
                              uint64_t node,
                              uint64_t index,
                              const char *why)
{
    sim_oracle_violated(o, property,
                        "node %" PRIu64 " is not what the log makes of it at index %" PRIu64 ": %s",
                        node, index, why);
}

/* An answer may be gone at the end of its entry: acknowledged in it, or its session has ended. */
static void
compare_answers(struct sim_oracle *o, uint64_t node, uint64_t index, const struct jsm *machine)
{
    char why[LOCKSTEP_WHY_MAX];
    const struct model_session *s = NULL;
    const struct jsm_session *js = NULL;
    for (size_t i = 0; i < o->n_answers; i++) {
        struct jsm_result a, b;
        const struct sim_oracle_answer *want = &o->answers[i];
        if (i == 0 || want->session != o->answers[i - 1].session) {
            s = model_session(o->model, want->session);
            js = jsm_session_get(machine, want->session);
        }
        bool is_kept = s != NULL && model_result(s, want->number, &a);
        if (is_kept != (js != NULL && jsm_session_result(js, want->number, &b))) {
            sim_oracle_violated(o, "P13",
                                "answer %s: result %" PRIu64 " of session %" PRIu64
                                " in node %" PRIu64 " at index %" PRIu64,
                                is_kept ? "missing" : "not forgotten", want->number, want->session,
                                node, index);
        }
        if (is_kept && !lockstep_same_result(want->session, &a, &b, why)) {
            differs(o, "P13", node, index, why);
        }
    }
    o->counters.results += o->n_answers;
}

static void compare_sessions(const struct sim_oracle *o,
                             uint64_t node,
                             uint64_t index,
                             const struct jsm *machine)
{
    char why[LOCKSTEP_WHY_MAX];
    if (jsm_dropped_requests(machine) != o->model->dropped) {
        sim_oracle_violated(o, "P13",
                            "requests dropped: node %" PRIu64 " at index %" PRIu64
                            " gave no effect to %" PRIu64 " requests, the model to %" PRIu64,
                            node, index, jsm_dropped_requests(machine), o->model->dropped);
    }
    if (!lockstep_same_sessions(o->model, machine, LOCKSTEP_RESULTS_NONE, why)) {
        differs(o, "P13", node, index, why);
    }
}

/* ---- jobs made = jobs deleted + jobs there ---- */

uint64_t sim_oracle_jobs(const struct jsm *machine)
{
    struct jsm_view v;
    jsm_read_stats(machine, &v);
    return v.ready + v.reserved + v.delayed + v.buried;
}

static void check_conserved(const struct sim_oracle *o,
                            uint64_t node,
                            uint64_t index,
                            const struct jsm *machine)
{
    uint64_t n[JSM_JOB_BURIED + 1] = {0};
    struct jsm_view v;
    for (uint32_t i = 0; i < o->model->n_jobs; i++) {
        n[o->model->jobs[i]->state]++;
    }
    jsm_read_stats(machine, &v);
    if (v.ready != n[JSM_JOB_READY] || v.delayed != n[JSM_JOB_DELAYED] ||
        v.reserved != n[JSM_JOB_RESERVED] || v.buried != n[JSM_JOB_BURIED] ||
        v.total_jobs != o->made || o->model->n_jobs != o->made - o->deleted) {
        sim_oracle_violated(
            o, "P11",
            "jobs not conserved: node %" PRIu64 " at index %" PRIu64 " made %" PRIu64
            " and has %" PRIu64 " ready, %" PRIu64 " delayed, %" PRIu64 " reserved, %" PRIu64
            " buried; by the answers %" PRIu64 " were made and %" PRIu64
            " deleted; the model has %" PRIu64 ", %" PRIu64 ", %" PRIu64 ", %" PRIu64,
            node, index, v.total_jobs, v.ready, v.delayed, v.reserved, v.buried, o->made,
            o->deleted, n[JSM_JOB_READY], n[JSM_JOB_DELAYED], n[JSM_JOB_RESERVED],
            n[JSM_JOB_BURIED]);
    }
}

/* ---- what it is good to have seen ---- */

/* Returns whether the session holds any. */
static bool give_away(const struct sim_oracle *o, const struct model_session *s)
{
    const struct model *m = o->model;
    bool holds = false;
    for (uint32_t i = 0; s != NULL && i < m->n_jobs; i++) {
        const struct model_job *j = m->jobs[i];
        if (j->state == JSM_JOB_RESERVED && j->holder->session == s) {
            holds = true;
            if (o->env.on_given_away != NULL) {
                o->env.on_given_away(o->env.data, s->id, j->holder->number, j->id);
            }
        }
    }
    return holds;
}

/* At the entry's beginning: a job that RESUME alone kept from expiring, or a suspension before. */
static bool has_suspended_due(const struct model *m, const struct jsm_entry *e)
{
    bool is_resume = e->n_items > 0 && e->items[0].kind == JSM_ITEM_RESUME;
    bool is_any = is_resume;
    uint64_t now = e->stamp_ns > m->now ? e->stamp_ns : m->now;
    for (uint32_t i = 0; i < m->n_sessions; i++) {
        is_any = is_any || m->sessions[i]->suspended;
    }
    for (uint32_t i = 0; is_any && i < m->n_jobs; i++) {
        const struct model_job *j = m->jobs[i];
        if (j->state == JSM_JOB_RESERVED && j->deadline <= now &&
            (is_resume || j->holder->session->suspended)) {
            return true;
        }
    }
    return false;
}

/* Sessions as they are before the entry. Returns true when an OPEN has the name of one of them. */
static bool count_before(struct sim_oracle *o, const struct jsm_entry *e)
{
    bool opens_known = false;
    o->counters.suspended_due += has_suspended_due(o->model, e);
    for (uint32_t i = 0; i < e->n_items; i++) {
        const struct jsm_item *it = &e->items[i];
        if (it->kind == JSM_ITEM_OPEN) {
            opens_known = model_session_named(o->model, it->name) != NULL;
        } else if (it->kind == JSM_ITEM_RESUME) {
            o->counters.resumes++;
        } else if (it->kind == JSM_ITEM_EXPIRE) {
            const struct model_session *s = model_session(o->model, it->session);
            o->counters.sessions_expired += s != NULL;
            o->counters.expired_with_jobs += give_away(o, s);
        }
    }
    return opens_known;
}

/* ---- the entry ---- */

/* A leader that has not said RESUME could let reservations run out whose holders had no way to
 * speak. */
static void check_begin(struct sim_oracle *o,
                        uint64_t node,
                        uint64_t index,
                        const struct entry_header *h,
                        const struct jsm_entry *e)
{
    bool resumes = e->n_items > 0 && e->items[0].kind == JSM_ITEM_RESUME;
    if (h->term != o->term && !resumes) {
        sim_oracle_violated(o, "D2",
                            "node %" PRIu64 " applied index %" PRIu64
                            ", the first entry of node %" PRIu64 " in term %" PRIu64
                            ", which does not begin with RESUME",
                            node, index, h->proposer, h->term);
    }
    o->term = h->term;
}

void sim_oracle_apply_entry(struct sim_oracle *o,
                            uint64_t node,
                            uint64_t index,
                            struct cb_span bytes,
                            const struct jsm *machine)
{
    char why[LOCKSTEP_WHY_MAX];
    struct entry_header header;
    struct jsm_entry entry;
    enum entry_result r = entry_decode(&o->decoder, bytes, &header, &entry);
    if (r != ENTRY_OK) {
        sim_oracle_violated(o, "P15",
                            "node %" PRIu64 " applied index %" PRIu64 ", whose entry is %s", node,
                            index, entry_strerror(r));
    }
    o->n_answers = 0;
    check_begin(o, node, index, &header, &entry);
    bool opens_known = count_before(o, &entry);
    model_apply(o->model, index, &entry);
    o->counters.takeovers += opens_known && model_session(o->model, index) != NULL;
    o->counters.requests_dropped += o->model->dropped;
    compare_answers(o, node, index, machine);
    compare_sessions(o, node, index, machine);
    check_conserved(o, node, index, machine);
    if (!lockstep_same_step(o->model, machine, index, why)) {
        differs(o, "P15", node, index, why);
    }
}

void sim_oracle_compare_state(struct sim_oracle *o, uint64_t node, const struct jsm *machine)
{
    char why[LOCKSTEP_WHY_MAX];
    if (!lockstep_same_sessions(o->model, machine, LOCKSTEP_RESULTS_ALL, why)) {
        differs(o, "P13", node, jsm_index(machine), why);
    }
    if (!lockstep_same_state(o->model, machine, LOCKSTEP_RESULTS_NONE, why)) {
        differs(o, "P15", node, jsm_index(machine), why);
    }
    o->counters.states_compared++;
}
