/* Every answer of a client against the log: what the reference model made of its connection's
 * requests, in their order, is what the client has read, in that order, and nothing else. */
#include <inttypes.h>
#include <stdlib.h>

#include "common/base/cb_hash.h"
#include "common/base/cb_mem.h"
#include "sim/sim.h"

/* A proxy's process, a connection of it, and what the log made of one of its requests. */
struct result {
    uint64_t instance, conn, request;
    enum jsm_outcome outcome;
    uint64_t id;
    uint32_t count;
    uint32_t body_len;
    uint64_t body_hash;
};

struct binding {
    uint64_t instance, conn;
    uint32_t number; /* the history's */
};

struct sim_answers {
    uint64_t *instance_of; /* pairs: session, instance */
    size_t n_sessions, cap_sessions;
    struct result *results;
    size_t n_results, cap_results;
    struct binding *bindings;
    size_t n_bindings, cap_bindings;
};

static void *room(void *array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) {
        return array;
    }
    *cap = *cap == 0 ? 256 : 2 * *cap;
    return cb_realloc(array, *cap * size);
}

struct sim_answers *sim_answers_create(void)
{
    return cb_calloc(1, sizeof(struct sim_answers));
}

void sim_answers_session(struct sim_answers *a, uint64_t session, uint64_t instance)
{
    for (size_t i = 0; i < a->n_sessions; i++) {
        if (a->instance_of[2 * i] == session) {
            return; /* attached once more */
        }
    }
    a->instance_of =
        room(a->instance_of, a->n_sessions, &a->cap_sessions, 2 * sizeof a->instance_of[0]);
    a->instance_of[2 * a->n_sessions] = session;
    a->instance_of[2 * a->n_sessions + 1] = instance;
    a->n_sessions++;
}

uint64_t sim_answers_instance(const struct sim_answers *a, uint64_t session)
{
    size_t i = a->n_sessions;
    while (i > 0 && a->instance_of[2 * (i - 1)] != session) {
        i--;
    }
    return i > 0 ? a->instance_of[2 * (i - 1) + 1] : 0;
}

void sim_answers_bind(struct sim_answers *a, uint64_t instance, uint64_t conn, uint32_t number)
{
    a->bindings = room(a->bindings, a->n_bindings, &a->cap_bindings, sizeof a->bindings[0]);
    a->bindings[a->n_bindings++] = (struct binding){instance, conn, number};
}

void sim_answers_result(void *data, uint64_t session, const struct jsm_result *r)
{
    struct sim *s = data;
    struct sim_answers *a = s->answers;
    s->counters.puts_refused += r->outcome == JSM_OUT_OF_MEMORY;
    a->results = room(a->results, a->n_results, &a->cap_results, sizeof a->results[0]);
    a->results[a->n_results++] = (struct result){
        .instance = sim_answers_instance(a, session),
        .conn = r->conn,
        .request = r->request,
        .outcome = r->outcome,
        .id = r->id,
        .count = r->count,
        .body_len = (uint32_t)r->body.len,
        .body_hash = r->outcome == JSM_RESERVED ? cb_hash(r->body.ptr, r->body.len) : 0,
    };
}

/* ---- what a client must have read ---- */

static bool is_in_log(const struct hist_record *r)
{
    bool is_request = (r->op >= HIST_PUT && r->op <= HIST_PAUSE_TUBE) || r->op == HIST_OTHER;
    return is_request && r->complete_ns != HIST_NEVER && r->result != HIST_REJECTED;
}

static enum hist_result expected(const struct result *x)
{
    switch (x->outcome) {
    case JSM_NOT_IGNORED:
        return HIST_NOT_IGNORED;
    case JSM_DEADLINE_SOON:
        return HIST_DEADLINE_SOON;
    case JSM_TIMED_OUT:
        return HIST_TIMED_OUT;
    case JSM_NOT_FOUND:
        return HIST_NOT_FOUND;
    case JSM_OUT_OF_MEMORY:
        return HIST_NO_ROOM;
    case JSM_INSERTED:
    case JSM_USING:
    case JSM_WATCHING:
    case JSM_RESERVED:
    case JSM_DELETED:
    case JSM_RELEASED:
    case JSM_BURIED:
    case JSM_TOUCHED:
    case JSM_KICKED:
    case JSM_KICKED_JOB:
    case JSM_PAUSED:
        return HIST_OK;
    case JSM_OUTCOME_END:
        break;
    }
    CB_UNREACHABLE("outcome of a result");
}

static bool is_answer(const struct hist_record *r, const struct result *x)
{
    if (r->result != expected(x)) {
        return false;
    }
    if (r->op == HIST_OTHER) {
        return x->outcome == JSM_NOT_FOUND || (x->outcome == JSM_KICKED && x->count == 0);
    }
    switch (x->outcome) {
    case JSM_INSERTED:
        return r->op == HIST_PUT && r->id == x->id;
    case JSM_RESERVED:
        return r->id == x->id && r->body_len == x->body_len && r->body_hash == x->body_hash;
    case JSM_KICKED:
        return r->op == HIST_KICK && r->count == x->count;
    case JSM_USING:
        return r->op == HIST_USE;
    case JSM_WATCHING:
        return r->op == HIST_WATCH || r->op == HIST_IGNORE;
    case JSM_NOT_IGNORED:
        return r->op == HIST_IGNORE;
    case JSM_DELETED:
        return r->op == HIST_DELETE;
    case JSM_RELEASED:
        return r->op == HIST_RELEASE;
    case JSM_BURIED:
        return r->op == HIST_BURY;
    case JSM_TOUCHED:
        return r->op == HIST_TOUCH;
    case JSM_KICKED_JOB:
        return r->op == HIST_KICK_JOB;
    case JSM_PAUSED:
        return r->op == HIST_PAUSE_TUBE;
    case JSM_DEADLINE_SOON:
    case JSM_TIMED_OUT:
        return r->op == HIST_RESERVE;
    case JSM_OUT_OF_MEMORY:
        return r->op == HIST_PUT;
    case JSM_NOT_FOUND:
    case JSM_OUTCOME_END:
        break;
    }
    return true;
}

/* ---- the end of a run ---- */

static int by_place(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_results(const void *pa, const void *pb)
{
    const struct result *a = pa;
    const struct result *b = pb;
    int order = by_place(a->instance, b->instance);
    order = order != 0 ? order : by_place(a->conn, b->conn);
    return order != 0 ? order : by_place(a->request, b->request);
}

/* The results of one connection lie together: `*n` of them from here on. */
static const struct result *
results_of(const struct sim_answers *a, const struct binding *b, size_t *n)
{
    size_t lo = 0;
    size_t hi = a->n_results;
    const struct result key = {.instance = b->instance, .conn = b->conn};
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (compare_results(&a->results[mid], &key) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    *n = 0;
    while (lo + *n < a->n_results && a->results[lo + *n].instance == b->instance &&
           a->results[lo + *n].conn == b->conn) {
        (*n)++;
    }
    return a->results + lo;
}

struct records {
    size_t *of_conn; /* by the history's number of the connection: the first record; then `next` */
    size_t *next;
};

#define NO_RECORD SIZE_MAX

static void index_records(const struct sim *s, struct records *x)
{
    size_t n = history_count(s->history);
    x->of_conn = cb_malloc((s->next_conn + 1) * sizeof x->of_conn[0]);
    x->next = cb_malloc((n + 1) * sizeof x->next[0]);
    for (uint32_t c = 0; c <= s->next_conn; c++) {
        x->of_conn[c] = NO_RECORD;
    }
    for (size_t i = n; i-- > 0;) {
        uint32_t conn = history_at(s->history, i)->conn;
        x->next[i] = x->of_conn[conn];
        x->of_conn[conn] = i;
    }
}

static void check_conn(struct sim *s, const struct records *x, const struct binding *b)
{
    size_t n;
    const struct result *results = results_of(s->answers, b, &n);
    size_t at = 0;
    for (size_t i = x->of_conn[b->number]; i != NO_RECORD; i = x->next[i]) {
        const struct hist_record *r = history_at(s->history, i);
        if (!is_in_log(r)) {
            continue;
        }
        s->counters.answers_compared++;
        if (at == n) {
            sim_fail(s, "answer",
                     "connection %u was answered op %d with result %d, which the log "
                     "does not have",
                     b->number, (int)r->op, (int)r->result);
        }
        const struct result *e = &results[at++];
        if (!is_answer(r, e)) {
            sim_fail(s, "answer",
                     "connection %u: op %d was answered with result %d, id %" PRIu64
                     "; the log has outcome %d, id %" PRIu64 ", count %u for request %" PRIu64,
                     b->number, (int)r->op, (int)r->result, r->id, (int)e->outcome, e->id, e->count,
                     e->request);
        }
    }
}

void sim_answers_check(struct sim *s)
{
    struct sim_answers *a = s->answers;
    struct records x;
    qsort(a->results, a->n_results, sizeof a->results[0], compare_results);
    index_records(s, &x);
    for (size_t i = 0; i < a->n_bindings; i++) {
        check_conn(s, &x, &a->bindings[i]);
    }
    cb_free(x.of_conn);
    cb_free(x.next);
}
