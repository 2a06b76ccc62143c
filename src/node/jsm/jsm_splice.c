/* A long kick: its jobs are cut off the row in which they lie, and are ready at once. Settling one
 * after the other writes that into their records (ADR 13). */
#include "node/jsm/jsm_internal.h"

bool jsm_splice_less(const struct cb_heap_node *a, const struct cb_heap_node *b)
{
    return CB_CONTAINER(a, const struct jsm_splice, node)->seq <
           CB_CONTAINER(b, const struct jsm_splice, node)->seq;
}

struct jsm_splice *jsm_splice_create(struct jsm_tube *t, enum jsm_job_state from, uint64_t seq)
{
    struct jsm_splice *s = cb_calloc(1, sizeof(*s));
    s->tube = t;
    s->seq = seq;
    s->from = (uint8_t)from;
    jsm_row_init(&s->row);
    cb_heap_node_init(&s->node);
    cb_list_push_back(&t->splices, &s->link);
    t->n_splices++;
    cb_heap_insert(&t->machine->splices, &s->node);
    jsm_mark(t->machine, &t->stored);
    return s;
}

void jsm_splice_destroy(struct jsm_splice *s)
{
    struct jsm_tube *t = s->tube;
    cb_heap_remove(&t->machine->splices, &s->node);
    cb_list_remove(&s->link);
    t->n_splices--;
    jsm_mark(t->machine, &t->stored);
    jsm_row_fini(&s->row);
    cb_free(s);
}

void jsm_splice_make(struct jsm_tube *t, enum jsm_job_state from, uint64_t n)
{
    struct jsm *m = t->machine;
    struct jsm_splice *s = jsm_splice_create(t, from, m->next_seq++);
    s->limit = jsm_row_cut(from == JSM_JOB_BURIED ? &t->buried : &t->delayed, n, &s->row);
    jsm_row_show(&s->row, &t->lots);
    uint64_t urgent = jsm_row_urgent(&s->row);
    m->n_state[from] -= n;
    jsm_tube_add_lazy(t, n, urgent);
    jsm_tube_update_timer(t);
    jsm_tube_note(t);
}

static bool is_of(const struct jsm_splice *s, const struct jsm_job *j)
{
    return s->from == j->state && j->seq < s->seq && !jsm_key_less(s->limit, jsm_key_of(j));
}

struct jsm_splice *jsm_splice_of(const struct jsm_job *j)
{
    CB_LIST_FOREACH(it, &j->tube->splices)
    {
        struct jsm_splice *s = CB_CONTAINER(it, struct jsm_splice, link);
        if (is_of(s, j)) {
            return s;
        }
    }
    return NULL;
}

void jsm_splice_add(struct jsm_splice *s, struct jsm_job *j)
{
    if (s->row.lots == NULL) {
        jsm_row_show(&s->row, &s->tube->lots);
    }
    jsm_row_insert(&s->row, j);
    jsm_tube_add_lazy(s->tube, 1, j->pri < JSM_URGENT_BELOW);
}

void jsm_splice_settle(struct jsm_splice *s, struct jsm_job *j)
{
    jsm_row_remove(&s->row, j);
    j->kicks++;
    jsm_job_settle_ready(j);
    if (s->row.len == 0) {
        jsm_splice_destroy(s);
    }
}
