/* P11: the jobs that stats count are those put and not deleted. */
#include "history/check_internal.h"

static void judge(struct check *c, const struct hist_record *r, const struct check_tube *t)
{
    const struct check_window *w = &check_beside(c, r)->w;
    uint64_t least = check_sub(check_spans_begun(&t->jobs_must, w->lo, false),
                               check_spans_ended(&t->jobs_must, w->hi, true));
    uint64_t most = check_spans_meeting(&t->jobs_may, w->lo, w->hi);
    uint64_t counted = r->result == HIST_OK ? r->jobs : 0;
    check_judged(c, HIST_P11);
    if (counted < least || (r->result == HIST_OK && counted > most)) {
        check_fail(c, HIST_P11, CHECK_ABOUT(r, NULL, NULL),
                   "%llu jobs were counted; there were %llu to %llu", (unsigned long long)counted,
                   (unsigned long long)least, (unsigned long long)most);
    }
}

void check_counts(struct check *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct hist_record *r = &c->records[i];
        bool is_counted = r->result == HIST_OK && r->has_jobs;
        if (r->op == HIST_STATS && is_counted) {
            judge(c, r, &c->tubes[0]);
        } else if (r->op == HIST_STATS_TUBE && (is_counted || r->result == HIST_NOT_FOUND)) {
            judge(c, r, &c->tubes[r->tube]); /* a tube with jobs is there */
        }
    }
}
