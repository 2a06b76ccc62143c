/* P14: what no client may notice. */
#include "common/base/cb_mem.h"
#include "history/check_internal.h"

/* From when on the answer was due: after the one before it, and after what was to be waited for;
 * HIST_NEVER: it may take any time. */
static uint64_t due_from(const struct hist_record *r, uint64_t last_ns)
{
    uint64_t from = check_max(r->invoke_ns, last_ns);
    if (r->op != HIST_RESERVE) {
        return from;
    }
    bool may_wait_less = r->result == HIST_OK || r->result == HIST_DEADLINE_SOON;
    if (r->timeout < 0 || (may_wait_less && r->timeout > 0)) {
        return HIST_NEVER;
    }
    return check_add(from, (uint64_t)r->timeout * UINT64_C(1000000000));
}

/* Until when the client waited; HIST_NEVER: that is for `closes_allowed` to judge. */
static uint64_t waited_until(const struct check *c, const struct hist_record *r)
{
    const struct check_conn *conn = &c->conns[check_beside(c, r)->conn];
    if (r->complete_ns != HIST_NEVER) {
        return r->complete_ns;
    }
    if (!conn->is_closed) {
        return c->end_ns;
    }
    return conn->by_server ? HIST_NEVER : conn->closed_ns;
}

static void judge_stall(struct check *c, const struct hist_record *r, uint64_t last_ns)
{
    uint64_t from = due_from(r, last_ns);
    uint64_t until = waited_until(c, r);
    if (c->options->stall_max_ns == 0 || from == HIST_NEVER || until == HIST_NEVER) {
        return;
    }
    check_judged(c, HIST_P14);
    if (until > check_add(from, c->options->stall_max_ns)) {
        check_fail(c, HIST_P14, CHECK_ABOUT(r, NULL, NULL),
                   r->complete_ns == HIST_NEVER ? "%.3f s without an answer"
                                                : "the answer took %.3f s",
                   (double)(until - from) / 1e9);
    }
}

static void judge_answer(struct check *c, const struct hist_record *r, uint64_t last_ns)
{
    check_judged(c, HIST_P14);
    if (r->result == HIST_ERROR) {
        check_fail(c, HIST_P14, CHECK_ABOUT(r, NULL, NULL), "an answer that no client may see");
    }
    if (r->complete_ns < last_ns) {
        check_fail(c, HIST_P14, CHECK_ABOUT(r, NULL, NULL),
                   "the answer came before that of the command sent before it");
    }
}

static void judge_closes(struct check *c, uint64_t closes, const struct hist_record *last)
{
    c->out->judged[HIST_P14] += closes;
    if (closes > c->options->closes_allowed) {
        check_fail(c, HIST_P14, CHECK_ABOUT(last, NULL, NULL),
                   "the server closed %llu connections, and %llu may be closed",
                   (unsigned long long)closes, (unsigned long long)c->options->closes_allowed);
    }
}

void check_service(struct check *c)
{
    uint64_t *last_ns = cb_calloc(c->conns_count + 1, sizeof(*last_ns));
    uint64_t closes = 0;
    const struct hist_record *last_close = NULL;
    for (size_t i = 0; i < c->count; i++) {
        const struct hist_record *r = &c->records[i];
        uint64_t *last = &last_ns[c->at[i].conn];
        if (r->op == HIST_CLOSE) {
            closes += r->by_server ? 1 : 0;
            last_close = r->by_server ? r : last_close;
        }
        if (r->op == HIST_CLOSE || r->op == HIST_CONNECT) {
            continue;
        }
        if (*last != HIST_NEVER) {
            judge_stall(c, r, *last); /* what is behind one without an answer waits with it */
        }
        if (r->complete_ns != HIST_NEVER) {
            judge_answer(c, r, *last == HIST_NEVER ? HIST_NEVER : *last);
        }
        *last = r->complete_ns;
    }
    judge_closes(c, closes, last_close);
    cb_free(last_ns);
}
