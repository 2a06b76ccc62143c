/* Loading of what was half done over several entries (ADR 13). */
#include "node/jsm/jsm_load.h"

static bool is_at_end(const struct cb_reader *r)
{
    return !r->failed && r->p == r->end;
}

bool jsm_load_read_tube_work(struct jsm_load *l, struct jsm_tube_work *w)
{
    struct cb_reader *r = &l->r;
    uint64_t last = 0;
    *w = (struct jsm_tube_work){0};
    if (is_at_end(r)) {
        return true;
    }
    uint8_t unmatched = cb_get_u8(r);
    w->is_unmatched = unmatched == 1;
    w->n = cb_get_varint_max(r, JSM_SPLICES_MAX);
    bool sound = unmatched <= 1 && (w->is_unmatched || w->n > 0);
    for (uint64_t i = 0; i < w->n; i++) {
        uint8_t from = w->splices[i].from = cb_get_u8(r);
        uint64_t seq = w->splices[i].seq = cb_get_varint(r);
        w->splices[i].limit.a = cb_get_u64(r);
        w->splices[i].limit.b = cb_get_varint_max(r, CB_ID_MAX);
        sound = sound && (from == JSM_JOB_DELAYED || from == JSM_JOB_BURIED) && seq > last &&
                seq < l->m->next_seq;
        last = seq;
    }
    return sound;
}

void jsm_load_set_tube_work(struct jsm_tube *t, const struct jsm_tube_work *w)
{
    if (w->is_unmatched) {
        jsm_tube_set_unmatched(t);
    }
    for (uint64_t i = 0; i < w->n; i++) {
        struct jsm_splice *s =
            jsm_splice_create(t, (enum jsm_job_state)w->splices[i].from, w->splices[i].seq);
        s->limit = w->splices[i].limit;
    }
}

bool jsm_load_read_release(struct jsm_load *l, bool is_there, struct jsm_release_fields *f)
{
    *f = (struct jsm_release_fields){0};
    if (!is_there) {
        return true;
    }
    f->phase = cb_get_u8(&l->r);
    f->seq = cb_get_varint(&l->r);
    f->steps = cb_get_varint(&l->r);
    f->done = cb_get_varint(&l->r);
    return !l->r.failed && f->phase >= JSM_RELEASE_PREPARES && f->phase <= JSM_RELEASE_SETTLES &&
           f->seq < l->m->next_seq && f->done <= f->steps;
}

void jsm_load_make_release(struct jsm *m,
                           struct jsm_conn *c,
                           struct jsm_session *s,
                           struct jsm_release_fields f)
{
    struct jsm_release *r = jsm_release_create(m, c, s, (enum jsm_release_phase)f.phase, f.seq);
    r->steps = f.steps;
    r->done = f.done;
}

static bool are_splices_whole(const struct jsm *m)
{
    for (uint32_t i = 0; i < m->splices.len; i++) {
        if (CB_CONTAINER(m->splices.nodes[i], const struct jsm_splice, node)->row.len == 0) {
            return false;
        }
    }
    return true;
}

bool jsm_load_work_done(struct jsm *m)
{
    for (uint32_t i = 0; i < m->releases.len; i++) {
        if (!jsm_release_catch_up(CB_CONTAINER(m->releases.nodes[i], struct jsm_release, node))) {
            return false;
        }
    }
    return are_splices_whole(m);
}
