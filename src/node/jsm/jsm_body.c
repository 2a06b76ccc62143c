/* Bodies, in memory or away (ADR 14).
 *
 * One that the store has may leave memory; what stays is its length and the hash of its record,
 * which is all that an entry ever needs of it. Those that leave are the ones that have been there
 * longest: `sheddable` is a line of job ids, in which those of jobs that are gone are passed over.
 * None of it shows in what an entry does or in a digest. */
#include "node/jsm/jsm_internal.h"

/* Away. It lies in the pool, where it takes no header. */
struct away {
    struct jsm_body body;
    uint64_t hash; /* of its record */
};

_Static_assert(sizeof(struct away) <= JSM_BODY_AWAY_MIN, "a body that leaves makes room");
_Static_assert(JSM_BODY_KEY_SIZE == JSM_KEY_SIZE, "jsm.h says it without the internals");

void jsm_bodies_init(struct jsm *m)
{
    cb_pool_init(&m->away_pool, sizeof(struct away));
    cb_buf_init(&m->sheddable);
}

void jsm_bodies_fini(struct jsm *m)
{
    cb_pool_fini(&m->away_pool);
    cb_buf_fini(&m->sheddable);
}

static struct away *away_of(const struct jsm_body *b)
{
    CB_ASSERT(b->is_away);
    return CB_CONTAINER(b, struct away, body);
}

/* The bytes follow the struct. */
static uint8_t *bytes_of(const struct jsm_body *b)
{
    CB_ASSERT(!b->is_away);
    return (uint8_t *)(uintptr_t)(b + 1);
}

struct jsm_body *jsm_body_create(struct jsm *m, struct cb_span bytes)
{
    CB_ASSERT(bytes.len <= CB_JOB_SIZE_MAX);
    struct jsm_body *b = cb_malloc(sizeof(*b) + bytes.len);
    *b = (struct jsm_body){.refs = 1, .len = (uint32_t)bytes.len};
    m->resident_bytes += bytes.len;
    if (bytes.len > 0) {
        memcpy(bytes_of(b), bytes.ptr, bytes.len);
    }
    return b;
}

static struct jsm_body *create_away(struct jsm *m, uint32_t refs, uint32_t len, uint64_t hash)
{
    struct away *a = cb_pool_take(&m->away_pool);
    a->body = (struct jsm_body){.refs = refs, .len = len, .in_store = true, .is_away = true};
    a->hash = hash;
    m->n_away++;
    return &a->body;
}

void jsm_body_free(struct jsm *m, struct jsm_body *b)
{
    if (b->is_away) {
        m->n_away--;
        cb_pool_give(&m->away_pool, away_of(b));
        return;
    }
    m->resident_bytes -= b->len;
    cb_free(b);
}

struct jsm_body *jsm_body_ref(struct jsm_body *b)
{
    CB_ASSERT(b->refs > 0);
    b->refs++;
    return b;
}

void jsm_body_unref(struct jsm *m, struct jsm_body *b, uint64_t job_id)
{
    CB_ASSERT(b->refs > 0);
    if (--b->refs > 0) {
        return;
    }
    if (b->in_store) {
        jsm_forget_key(m, jsm_body_hash(job_id, b), JSM_RECORD_JOB, job_id, 1);
    }
    jsm_body_free(m, b);
}

struct cb_span jsm_body_span(const struct jsm_body *b)
{
    return cb_span(b->is_away ? NULL : bytes_of(b), b->len);
}

uint64_t jsm_body_hash(uint64_t job_id, const struct jsm_body *b)
{
    uint8_t key[JSM_KEY_SIZE];
    if (b->is_away) {
        return away_of(b)->hash;
    }
    jsm_key_write(key, JSM_RECORD_JOB, job_id, 1);
    return jsm_record_hash(cb_span(key, sizeof(key)), jsm_body_span(b));
}

void jsm_body_key(uint64_t job_id, uint8_t key[JSM_BODY_KEY_SIZE])
{
    jsm_key_write(key, JSM_RECORD_JOB, job_id, 1);
}

/* ---- the line of those that may leave ---- */

static void push(struct jsm *m, uint64_t job_id)
{
    cb_buf_append(&m->sheddable, &job_id, sizeof(job_id));
}

static uint64_t pop(struct jsm *m)
{
    uint64_t job_id;
    memcpy(&job_id, cb_buf_span(&m->sheddable).ptr, sizeof(job_id));
    cb_buf_consume(&m->sheddable, sizeof(job_id));
    return job_id;
}

static size_t line_len(const struct jsm *m)
{
    return cb_buf_len(&m->sheddable) / sizeof(uint64_t);
}

/* Its place is in the line as long as it says so: NULL when it has left, or the job is gone. */
static struct jsm_job *job_in_line(const struct jsm *m, uint64_t job_id)
{
    struct jsm_job *j = jsm_job_get(m, job_id);
    return j != NULL && j->body->is_listed ? j : NULL;
}

/* Once more than half of the line is of jobs that are gone. */
static void tidy(struct jsm *m)
{
    size_t n = line_len(m);
    if (n <= 2 * m->n_listed + JSM_SHED_SLACK) {
        return;
    }
    while (n-- > 0) {
        uint64_t job_id = pop(m);
        if (job_in_line(m, job_id) != NULL) {
            push(m, job_id);
        }
    }
    CB_ASSERT(line_len(m) == m->n_listed);
}

void jsm_body_list(struct jsm *m, const struct jsm_job *j)
{
    struct jsm_body *b = j->body;
    if (m->body_cache == 0 || b->is_listed || b->is_away || b->len < JSM_BODY_AWAY_MIN) {
        return;
    }
    CB_ASSERT(b->in_store);
    b->is_listed = true;
    m->n_listed++;
    push(m, j->id);
    tidy(m);
}

void jsm_body_unlist(struct jsm *m, struct jsm_body *b)
{
    m->n_listed -= b->is_listed;
    b->is_listed = false;
}

/* A result that carries it as well keeps it: soon it is acknowledged. */
static void shed(struct jsm *m, struct jsm_job *j)
{
    struct jsm_body *b = j->body;
    CB_ASSERT(b->refs == 1 && b->in_store);
    jsm_body_unlist(m, b);
    j->body = create_away(m, 1, b->len, jsm_body_hash(j->id, b));
    jsm_body_free(m, b);
}

void jsm_shed_bodies(struct jsm *m)
{
    if (m->body_cache == 0) {
        return;
    }
    for (size_t n = line_len(m); n > 0 && m->resident_bytes > m->body_cache; n--) {
        uint64_t job_id = pop(m);
        struct jsm_job *j = job_in_line(m, job_id);
        if (j != NULL && j->body->refs > 1) {
            push(m, job_id);
        } else if (j != NULL) {
            shed(m, j);
        }
    }
    cb_buf_shrink(&m->sheddable, 64 * 1024);
}

struct jsm_body *jsm_body_load(struct jsm *m, struct cb_span bytes, uint64_t hash)
{
    bool stays =
        m->body_cache == 0 || bytes.len < JSM_BODY_AWAY_MIN ||
        (m->resident_bytes <= m->body_cache && bytes.len <= m->body_cache - m->resident_bytes);
    struct jsm_body *b =
        stays ? jsm_body_create(m, bytes) : create_away(m, 1, (uint32_t)bytes.len, hash);
    b->in_store = true;
    return b;
}

/* ---- the public view ---- */

void jsm_keep_bodies(struct jsm *m, uint64_t bytes)
{
    CB_ASSERT(bytes == m->body_cache || m->body_cache != 0 || m->index == 0);
    CB_ASSERT(bytes != 0 || m->index == 0);
    m->body_cache = bytes;
}

struct jsm_body_use jsm_body_use(const struct jsm *m)
{
    return (struct jsm_body_use){.resident_bytes = m->resident_bytes, .n_away = m->n_away};
}
