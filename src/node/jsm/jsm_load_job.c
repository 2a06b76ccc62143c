/* Loading of jobs, bodies and unacknowledged results. */
#include "node/jsm/jsm_load.h"

bool jsm_load_body(struct jsm_load *l, struct cb_span value)
{
    struct jsm *m = l->m;
    if (value.len > CB_JOB_SIZE_MAX) {
        return false;
    }
    struct jsm_body *b = jsm_body_load(m, value, l->hash);
    b->refs = 0; /* until a job or a result claims it */
    struct jsm_job *j = jsm_job_get(m, l->a);
    if (j != NULL) { /* the job's record came just before */
        j->body = b;
        b->refs = 1;
        m->body_bytes += b->len;
        jsm_body_list(m, j);
    } else {
        cb_map_put(&m->loading_bodies, l->a, b); /* keys are unique: it was not there */
    }
    return true;
}

/* In the queue of its state, or ready although its record does not say so yet. */
static void place(struct jsm_job *j, enum jsm_job_state state)
{
    j->state = (uint8_t)state;
    if (!jsm_is_lazy(j)) {
        j->state = 0;
        jsm_job_place(j, state);
    } else if (state == JSM_JOB_RESERVED) {
        jsm_release_add(jsm_release_of(j->holder), j);
    } else {
        jsm_splice_add(jsm_splice_of(j), j);
    }
}

static bool load_job_queue(struct jsm_load *l, struct jsm_job *j, enum jsm_job_state state)
{
    struct cb_reader *r = &l->r;
    if (state == JSM_JOB_DELAYED || state == JSM_JOB_RESERVED) {
        j->deadline_ns = cb_get_u64(r);
    }
    if (state == JSM_JOB_BURIED || state == JSM_JOB_RESERVED ||
        (state == JSM_JOB_DELAYED && r->p != r->end)) {
        j->seq = cb_get_varint(r);
    }
    if (state == JSM_JOB_RESERVED) {
        const struct jsm_session *s = jsm_session_get(l->m, cb_get_varint(r));
        uint64_t conn = cb_get_varint(r);
        j->holder = s != NULL ? jsm_conn_get(s, conn) : NULL;
        if (j->holder == NULL) {
            return false;
        }
    }
    if (!cb_reader_done(r) || j->seq >= l->m->next_seq) {
        return false;
    }
    place(j, state);
    return true;
}

bool jsm_load_job(struct jsm_load *l)
{
    struct jsm *m = l->m;
    struct cb_reader *r = &l->r;
    uint8_t state = cb_get_u8(r);
    struct jsm_tube *t = cb_map_get(&m->tubes_by_id, cb_get_varint(r));
    if (t == NULL || state < JSM_JOB_READY || state > JSM_JOB_BURIED || l->a == 0 ||
        l->a >= m->next_job_id || l->b != 0 || jsm_job_get(m, l->a) != NULL) {
        return false;
    }
    struct jsm_job *j = jsm_job_create(m, l->a, t, NULL);
    j->pri = cb_get_u32(r);
    j->delay = (uint32_t)cb_get_varint_max(r, UINT32_MAX);
    j->ttr = (uint32_t)cb_get_varint_max(r, UINT32_MAX);
    j->created_ns = cb_get_u64(r);
    j->reserves = (uint32_t)cb_get_varint_max(r, UINT32_MAX);
    j->timeouts = (uint32_t)cb_get_varint_max(r, UINT32_MAX);
    j->releases = (uint32_t)cb_get_varint_max(r, UINT32_MAX);
    j->buries = (uint32_t)cb_get_varint_max(r, UINT32_MAX);
    j->kicks = (uint32_t)cb_get_varint_max(r, UINT32_MAX);
    jsm_load_stored(l, &j->stored);
    return j->ttr > 0 && j->created_ns <= m->now_ns &&
           load_job_queue(l, j, (enum jsm_job_state)state);
}

/* The body that a result carries: its job's, or one whose job is gone. */
static struct jsm_body *claim_body(struct jsm *m, uint64_t job_id)
{
    const struct jsm_job *j = jsm_job_get(m, job_id);
    struct jsm_body *b = j != NULL ? j->body : cb_map_get(&m->loading_bodies, job_id);
    if (b != NULL) {
        b->refs++;
    }
    return b;
}

bool jsm_load_result(struct jsm_load *l)
{
    struct cb_reader *r = &l->r;
    struct jsm_session *s = jsm_session_get(l->m, l->a);
    uint64_t request = cb_get_varint(r);
    uint64_t conn = cb_get_varint(r);
    uint8_t outcome = cb_get_u8(r);
    uint64_t id = cb_get_varint_max(r, CB_ID_MAX);
    uint64_t count = cb_get_varint_max(r, UINT32_MAX);
    if (!cb_reader_done(r) || s == NULL || outcome == 0 || outcome >= JSM_OUTCOME_END ||
        l->b != s->last_result + 1 || l->b > s->stored_to) {
        return false;
    }
    struct jsm_body *body = outcome == JSM_RESERVED ? claim_body(l->m, id) : NULL;
    if (outcome == JSM_RESERVED && body == NULL) {
        return false;
    }
    struct jsm_kept *k = cb_malloc(sizeof(*k));
    *k = (struct jsm_kept){
        .hash = l->hash,
        .request = request,
        .conn = conn,
        .id = id,
        .body = body,
        .count = (uint32_t)count,
        .outcome = outcome,
    };
    jsm_session_keep(s, l->b, k);
    return true;
}
