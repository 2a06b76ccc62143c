#include "node/jsm/jsm_lazy.h"

#include "node/jsm/jsm_internal.h"

bool jsm_is_lazy(const struct jsm_job *j)
{
    switch ((enum jsm_job_state)j->state) {
    case JSM_JOB_READY:
        return false;
    case JSM_JOB_RESERVED:
        return jsm_release_is_open(jsm_release_of(j->holder));
    case JSM_JOB_DELAYED:
    case JSM_JOB_BURIED:
        return jsm_splice_of(j) != NULL;
    }
    return false; /* a new job is in no state yet */
}

void jsm_settle(struct jsm_job *j)
{
    if (j->state == JSM_JOB_RESERVED) {
        jsm_release_settle(jsm_release_of(j->holder), j);
    } else {
        jsm_splice_settle(jsm_splice_of(j), j);
    }
}

struct jsm_job *jsm_job_settled(struct jsm *m, uint64_t id)
{
    struct jsm_job *j = jsm_job_get(m, id);
    if (j != NULL && jsm_is_lazy(j)) {
        jsm_settle(j);
    }
    return j;
}

static struct jsm_release *first_release(const struct cb_heap *h)
{
    struct cb_heap_node *n = cb_heap_top(h);
    return n == NULL ? NULL : CB_CONTAINER(n, struct jsm_release, node);
}

void jsm_lazy_begin(struct jsm *m)
{
    jsm_match(m);
    struct jsm_release *r;
    while (m->steps > 0 && (r = first_release(&m->releases)) != NULL) {
        if (!jsm_release_is_idle(r)) {
            m->steps--;
            jsm_release_step(r);
        }
    }
    jsm_match(m);
}

void jsm_lazy_finish(struct jsm *m)
{
    struct jsm_release *r;
    while (m->steps > 0 && m->splices.len > 0) {
        struct jsm_splice *s = CB_CONTAINER(cb_heap_top(&m->splices), struct jsm_splice, node);
        m->steps--;
        jsm_splice_settle(s, jsm_row_first(&s->row));
    }
    while (m->steps > 0 && (r = first_release(&m->settling)) != NULL) {
        m->steps--;
        jsm_release_settle_step(r);
    }
}

bool jsm_lazy_is_empty(const struct jsm *m)
{
    return m->unmatched.len == 0 && m->releases.len == 0 && m->settling.len == 0 &&
           m->splices.len == 0;
}
