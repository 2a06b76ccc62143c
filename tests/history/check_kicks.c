/* P10: a kick moves buried jobs, as many as there are up to its bound; delayed ones when none is
 * buried. How many there must be is known of jobs that were put aside after every kick before. */
#include "common/base/cb_mem.h"
#include "history/check_internal.h"

/* Beside each record: how many jobs the kick must have found. */
struct must {
    uint32_t buried;
    uint32_t delayed;
};

/* The one kick that comes first after the job was put aside, if nothing else can have come between
 * and no other kick is on its way with it. */
static void count_for_kick(struct check *c, const struct check_certain *s, struct must *must)
{
    const struct check_spans *kicks = &c->tubes[c->jobs[s->job].put->tube].kicks;
    size_t i = check_spans_begun(kicks, s->set.hi, true);
    if (i == kicks->count || check_spans_meeting(kicks, s->set.lo, s->set.hi) > 0) {
        return;
    }
    const struct check_span *kick = &kicks->all[i];
    bool alone = i + 1 == kicks->count || kicks->all[i + 1].lo > kick->hi;
    if (alone && s->from < kick->lo && s->to_but_kicks > kick->hi) {
        must[kick->place].buried += s->state == HIST_BURIED ? 1 : 0;
        must[kick->place].delayed += s->state == HIST_DELAYED ? 1 : 0;
    }
}

/* At least so many of the spans hold the whole window. */
static uint64_t holding(const struct check_spans *s, const struct check_window *w)
{
    return check_sub(check_spans_begun(s, w->lo, false), check_spans_ended(s, w->hi, true));
}

static void judge(struct check *c, const struct hist_record *r, struct must found)
{
    const struct check_tube *t = &c->tubes[r->tube];
    const struct check_window *w = &check_beside(c, r)->w;
    uint64_t buried = check_max(found.buried, holding(&t->buried_must, w));
    uint64_t delayed = check_max(found.delayed, holding(&t->delayed_must, w));
    uint64_t buried_max = check_spans_meeting(&t->buried_may, w->lo, w->hi);
    uint64_t delayed_max = check_spans_meeting(&t->delayed_may, w->lo, w->hi);
    uint64_t least = buried;
    uint64_t most = buried > 0 ? buried_max : check_max(buried_max, delayed_max);
    if (buried == 0) {
        least = buried_max == 0 ? delayed : check_min(delayed, 1); /* buried ones come first */
    }
    least = check_min(least, r->bound);
    most = check_min(most, r->bound);
    c->out->judged[HIST_P10] += least > 0 || r->count > 0 || most == 0 ? 1 : 0;
    if (r->count < least || r->count > most) {
        check_fail(c, HIST_P10, CHECK_ABOUT(r, NULL, NULL),
                   "%u jobs were kicked; there were %llu to %llu to be kicked", (unsigned)r->count,
                   (unsigned long long)least, (unsigned long long)most);
    }
}

void check_kicks(struct check *c)
{
    struct must *must = cb_calloc(c->count + 1, sizeof(*must));
    for (size_t i = 0; i < c->certain_count; i++) {
        if (c->certain[i].state != HIST_READY) {
            count_for_kick(c, &c->certain[i], must);
        }
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->records[i].op == HIST_KICK && check_did(&c->records[i])) {
            judge(c, &c->records[i], must[i]);
        }
    }
    cb_free(must);
}
