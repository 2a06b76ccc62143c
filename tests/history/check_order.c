/* P9: of the jobs that a reserve could have had, the first by (priority, id); and that one, rather
 * than none.
 *
 * The certainly ready jobs are the leaves of a tree, sorted by (tube, priority, id); those which
 * have begun before the query at hand hold the moment at which they end. A reserve without an
 * answer may hold one of them at any time: so many must be passed over before one counts. */
#include <inttypes.h>
#include <stdlib.h>

#include "common/base/cb_mem.h"
#include "history/check_internal.h"
#include "history/check_tree.h"

/* With more reserves without an answer than this, nothing is asked. */
#define UNANSWERED_MAX 16

struct query {
    struct check_window w;
    const struct hist_record *r;
};

struct order {
    struct check *c;
    const struct check_certain **ready; /* by (tube, pri, id): the leaves */
    size_t *by_begin;                   /* places in it */
    size_t count;
    size_t *tube_first; /* of each tube in `ready`, and one past the last */
    struct query *queries;
    size_t queries_count;
    struct check_tree tree;
};

struct leaf_order {
    const struct check_certain *s;
    uint32_t tube;
    uint64_t id;
};

static int compare_leaf(const void *a, const void *b)
{
    const struct leaf_order *x = a;
    const struct leaf_order *y = b;
    if (x->tube != y->tube) {
        return x->tube < y->tube ? -1 : 1;
    }
    if (x->s->pri != y->s->pri) {
        return x->s->pri < y->s->pri ? -1 : 1;
    }
    if (x->id != y->id) {
        return x->id < y->id ? -1 : 1;
    }
    return (x->s > y->s) - (x->s < y->s);
}

struct begin_order {
    uint64_t from;
    size_t leaf;
};

static int compare_begin(const void *a, const void *b)
{
    const struct begin_order *x = a;
    const struct begin_order *y = b;
    if (x->from != y->from) {
        return x->from < y->from ? -1 : 1;
    }
    return (x->leaf > y->leaf) - (x->leaf < y->leaf);
}

static int compare_query(const void *a, const void *b)
{
    const struct query *x = a;
    const struct query *y = b;
    if (x->w.lo != y->w.lo) {
        return x->w.lo < y->w.lo ? -1 : 1;
    }
    return (x->r > y->r) - (x->r < y->r);
}

static void sort_leaves(struct order *o)
{
    const struct check *c = o->c;
    struct leaf_order *leaves = cb_malloc((c->certain_count + 1) * sizeof(*leaves));
    for (size_t i = 0; i < c->certain_count; i++) {
        const struct check_certain *s = &c->certain[i];
        if (s->state == HIST_READY) {
            const struct check_job *job = &c->jobs[s->job];
            leaves[o->count++] = (struct leaf_order){s, job->put->tube, job->id};
        }
    }
    qsort(leaves, o->count, sizeof(*leaves), compare_leaf);
    o->ready = cb_malloc((o->count + 1) * sizeof(const struct check_certain *));
    o->tube_first = cb_calloc(c->tubes_count + 1, sizeof(*o->tube_first));
    for (size_t i = 0; i < o->count; i++) {
        o->ready[i] = leaves[i].s;
        o->tube_first[leaves[i].tube + 1] = i + 1;
    }
    for (uint32_t t = 1; t <= c->tubes_count; t++) {
        if (o->tube_first[t] < o->tube_first[t - 1]) {
            o->tube_first[t] = o->tube_first[t - 1];
        }
    }
    cb_free(leaves);
}

static void sort_begins(struct order *o)
{
    struct begin_order *begins = cb_malloc((o->count + 1) * sizeof(*begins));
    for (size_t i = 0; i < o->count; i++) {
        begins[i] = (struct begin_order){o->ready[i]->from, i};
    }
    qsort(begins, o->count, sizeof(*begins), compare_begin);
    o->by_begin = cb_malloc((o->count + 1) * sizeof(*o->by_begin));
    for (size_t i = 0; i < o->count; i++) {
        o->by_begin[i] = begins[i].leaf;
    }
    cb_free(begins);
}

/* A reserve that timed out was there when its time was over: unless the client half-closed, which
 * ends it before. */
static uint64_t timed_out_from(const struct check *c, const struct hist_record *r)
{
    const struct check_at *at = check_beside(c, r);
    const struct check_conn *conn = &c->conns[at->conn];
    bool cut_short = conn->is_closed && !conn->by_server && conn->closed_ns <= at->w.hi;
    if (r->result != HIST_TIMED_OUT || r->timeout <= 0 || cut_short) {
        return at->w.lo;
    }
    uint64_t waited = (uint64_t)r->timeout * UINT64_C(1000000000);
    uint64_t from = check_sub(check_add(at->w.lo, waited), c->options->clock_error_ns);
    return check_max(at->w.lo, check_min(from, at->w.hi));
}

static bool is_query(const struct hist_record *r)
{
    return (r->op == HIST_RESERVE && (r->result == HIST_OK || r->result == HIST_TIMED_OUT ||
                                      r->result == HIST_DEADLINE_SOON)) ||
           (r->op == HIST_PEEK_READY && (r->result == HIST_OK || r->result == HIST_NOT_FOUND));
}

static void sort_queries(struct order *o)
{
    const struct check *c = o->c;
    o->queries = cb_malloc((c->count + 1) * sizeof(*o->queries));
    for (size_t i = 0; i < c->count; i++) {
        const struct hist_record *r = &c->records[i];
        if (is_query(r)) {
            struct check_window w = {timed_out_from(c, r), c->at[i].w.hi};
            o->queries[o->queries_count++] = (struct query){w, r};
        }
    }
    qsort(o->queries, o->queries_count, sizeof(*o->queries), compare_query);
}

/* The first leaf of the tube that is not before (pri, id). */
static size_t leaf_of(const struct order *o, uint32_t tube, uint32_t pri, uint64_t id)
{
    size_t low = o->tube_first[tube];
    size_t high = o->tube_first[tube + 1];
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct check_certain *s = o->ready[mid];
        if (s->pri < pri || (s->pri == pri && o->c->jobs[s->job].id < id)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static void fail(struct order *o, const struct query *q, const struct check_certain *better)
{
    const struct check_job *got = q->r->result == HIST_OK ? check_job_find(o->c, q->r->id) : NULL;
    o->c->out->judged[HIST_P12] += better->is_promoted ? 1 : 0;
    check_fail(o->c, better->is_promoted ? HIST_P12 : HIST_P9,
               CHECK_ABOUT(better->by, got == NULL ? NULL : got->put, q->r),
               "job %" PRIu64 " was ready%s, and %s", o->c->jobs[better->job].id,
               better->is_promoted ? " as its delay was over" : "",
               got == NULL ? "none was found" : "another came before it");
}

/* False: it failed. `end` is the first leaf of the tube that may not be better than the answer. */
static bool
judge_tube(struct order *o, const struct query *q, uint32_t tube, size_t end, bool *judged)
{
    size_t unanswered = check_unanswered(o->c, tube, &q->w);
    size_t last = o->tube_first[tube + 1];
    size_t first = o->tube_first[tube];
    if (unanswered > UNANSWERED_MAX) {
        return true;
    }
    *judged = *judged || check_tree_next(&o->tree, first, last, q->w.hi) < last;
    size_t found = end;
    for (size_t i = first, n = 0; n <= unanswered; n++, i = found + 1) {
        found = check_tree_next(&o->tree, i, end, q->w.hi);
        if (found >= end) {
            return true;
        }
    }
    fail(o, q, o->ready[found]);
    return false;
}

static bool may_be_paused(const struct check *c, uint32_t tube, const struct check_window *w)
{
    return check_spans_meeting(&c->tubes[tube].pauses, w->lo, w->hi) > 0;
}

static void judge(struct order *o, const struct query *q)
{
    struct check *c = o->c;
    const uint32_t *tubes = &q->r->tube;
    size_t count = 1;
    uint32_t low = UINT32_MAX;
    uint32_t high;
    const struct check_job *got = NULL;
    bool judged = false;
    if (q->r->op == HIST_RESERVE && !check_watched(c, check_place(c, q->r), &tubes, &count)) {
        return;
    }
    if (q->r->result == HIST_OK) {
        got = check_job_find(c, q->r->id);
        if (got == NULL || got->put == NULL) {
            return;
        }
        check_pri_range(c, got, &q->w, &low, &high);
    }
    for (size_t i = 0; i < count; i++) {
        size_t end = o->tube_first[tubes[i] + 1];
        if (q->r->op == HIST_RESERVE && may_be_paused(c, tubes[i], &q->w)) {
            continue;
        }
        if (got != NULL) {
            end = leaf_of(o, tubes[i], low, got->id);
        }
        if (!judge_tube(o, q, tubes[i], end, &judged)) {
            break;
        }
    }
    c->out->judged[HIST_P9] += judged ? 1 : 0;
}

void check_order(struct check *c)
{
    struct order o = {.c = c};
    sort_leaves(&o);
    sort_begins(&o);
    sort_queries(&o);
    check_tree_init(&o.tree, o.count);
    size_t begun = 0;
    for (size_t i = 0; i < o.queries_count; i++) {
        for (; begun < o.count && o.ready[o.by_begin[begun]]->from < o.queries[i].w.lo; begun++) {
            check_tree_set(&o.tree, o.by_begin[begun], o.ready[o.by_begin[begun]]->to);
        }
        judge(&o, &o.queries[i]);
    }
    check_tree_fini(&o.tree);
    cb_free(o.ready);
    cb_free(o.by_begin);
    cb_free(o.tube_first);
    cb_free(o.queries);
}
