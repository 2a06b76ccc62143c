#include "node/jsm/jsm.h"

#include "common/base/cb_hash.h"
#include "node/jsm/jsm_internal.h"

struct jsm *jsm_create(void)
{
    struct jsm *m = cb_calloc(1, sizeof(*m));
    jsm_stored_init(&m->stored, JSM_RECORD_GLOBALS);
    m->next_job_id = 1;
    m->next_tube_id = 1;
    m->next_seq = 1;
    cb_map_init(&m->jobs);
    cb_pool_init(&m->job_pool, sizeof(struct jsm_job));
    jsm_bodies_init(m);
    cb_map_init(&m->tubes_by_id);
    cb_map_init(&m->sessions_by_id);
    cb_map_init(&m->loading_bodies);
    cb_list_init(&m->sessions);
    cb_list_init(&m->ended);
    cb_heap_init(&m->due, jsm_timer_less);
    m->steps_max = CB_DUE_PER_ENTRY_MAX;
    cb_heap_init(&m->unmatched, jsm_unmatched_less);
    cb_heap_init(&m->releases, jsm_release_less);
    cb_heap_init(&m->settling, jsm_release_less);
    cb_heap_init(&m->splices, jsm_splice_less);
    cb_buf_init(&m->gone);
    return m;
}

/* The first entry finds a machine without the default tube unless one was loaded. */
static void ensure_default_tube(struct jsm *m)
{
    if (m->n_tubes == 0) {
        (void)jsm_tube_get_or_make(m, cb_span_str("default")); /* the machine itself keeps it */
    }
}

static void destroy_jobs(struct jsm *m)
{
    cb_map_settle(&m->jobs);
    for (size_t i = 0; i < m->jobs.cap; i++) {
        if (m->jobs.slots[i].value != NULL) {
            jsm_job_destroy(m->jobs.slots[i].value);
        }
    }
}

/* Only a load that failed leaves any. */
static void destroy_unclaimed_bodies(struct jsm *m)
{
    cb_map_settle(&m->loading_bodies);
    for (size_t i = 0; i < m->loading_bodies.cap; i++) {
        struct jsm_body *b = m->loading_bodies.slots[i].value;
        if (b != NULL && b->refs == 0) {
            jsm_body_free(m, b);
        }
    }
}

void jsm_destroy(struct jsm *m)
{
    if (m == NULL) {
        return;
    }
    destroy_unclaimed_bodies(m); /* before the results that claimed others free those */
    CB_LIST_FOREACH_SAFE(it, tmp, &m->sessions)
    {
        jsm_session_destroy(CB_CONTAINER(it, struct jsm_session, link));
    }
    CB_LIST_FOREACH_SAFE(it, tmp, &m->ended)
    {
        jsm_session_destroy(CB_CONTAINER(it, struct jsm_session, link));
    }
    destroy_jobs(m);
    for (uint32_t i = 0; i < m->tubes_cap; i++) {
        if (m->tubes[i] != NULL) {
            jsm_tube_destroy(m->tubes[i]);
        }
    }
    cb_map_fini(&m->jobs);
    cb_pool_fini(&m->job_pool);
    jsm_bodies_fini(m);
    cb_map_fini(&m->tubes_by_id);
    cb_map_fini(&m->sessions_by_id);
    cb_map_fini(&m->loading_bodies);
    cb_heap_fini(&m->due);
    cb_heap_fini(&m->unmatched);
    cb_heap_fini(&m->releases);
    cb_heap_fini(&m->settling);
    cb_heap_fini(&m->splices);
    cb_buf_fini(&m->gone);
    cb_free(m->tubes);
    cb_free(m->touched);
    cb_free(m->dirty);
    cb_free(m);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "digests are taken over little-endian words");

void jsm_digest_fold(struct jsm *m, const uint64_t *words, uint32_t n)
{
    m->log_digest = cb_hash_seeded(words, n * sizeof(*words), m->log_digest);
}

static void digest_item(struct jsm *m, const struct jsm_item *item)
{
    const struct jsm_command *c = &item->command;
    const uint64_t words[] = {
        item->kind,
        item->session,
        item->number,
        item->counter,
        item->incarnation.started_ns,
        item->incarnation.random,
        cb_hash(item->name.ptr, item->name.len),
        cb_hash(item->address.ptr, item->address.len),
        c->op,
        c->conn,
        c->id,
        (uint64_t)c->pri << 32 | c->delay,
        (uint64_t)c->ttr << 32 | c->count,
        c->age_ns,
        cb_hash(c->tube.ptr, c->tube.len),
        cb_hash(c->body.ptr, c->body.len),
    };
    jsm_digest_fold(m, words, sizeof(words) / sizeof(words[0]));
    if (item->kind == JSM_ITEM_LIMITS) {
        const uint64_t limits[] = {item->limits.jobs, item->limits.bytes};
        jsm_digest_fold(m, limits, sizeof(limits) / sizeof(limits[0]));
    }
}

/* Design D3: a larger incarnation of the name takes over at once; an equal one is open already. */
static void open_session(struct jsm *m, const struct jsm_item *item)
{
    struct jsm_session *old = jsm_session_find(m, item->name);
    if (old != NULL) {
        struct jsm_incarnation a = old->incarnation;
        struct jsm_incarnation b = item->incarnation;
        jsm_session_touch(old);
        bool is_later =
            b.started_ns != a.started_ns ? b.started_ns > a.started_ns : b.random > a.random;
        if (!is_later) {
            return;
        }
        jsm_session_end(old);
    }
    if (m->n_sessions >= CB_SESSIONS_MAX) {
        return;
    }
    struct jsm_session *s = jsm_session_create(m, m->index, item->name, item->address);
    s->incarnation = item->incarnation;
    jsm_mark(m, &s->stored);
    jsm_session_touch(s);
}

static void resume_all(struct jsm *m)
{
    CB_LIST_FOREACH(it, &m->sessions)
    {
        jsm_session_suspend(CB_CONTAINER(it, struct jsm_session, link), true);
    }
}

static void apply_request(struct jsm *m, struct jsm_session *s, const struct jsm_item *item)
{
    if (s == NULL || item->number != s->last_request + 1) {
        m->dropped_requests++;
        return;
    }
    s->last_request = item->number;
    jsm_mark(m, &s->stored);
    jsm_session_touch(s);
    jsm_request(s, item->number, &item->command);
}

static void apply_item(struct jsm *m, const struct jsm_item *item)
{
    struct jsm_session *s = jsm_session_get(m, item->session);
    switch (item->kind) {
    case JSM_ITEM_OPEN:
        open_session(m, item);
        return;
    case JSM_ITEM_EXPIRE:
        if (s != NULL) {
            jsm_session_touch(s);
            jsm_session_end(s);
        }
        return;
    case JSM_ITEM_RESUME:
        resume_all(m);
        return;
    case JSM_ITEM_ATTACHED:
        if (s != NULL) {
            jsm_session_suspend(s, false);
        }
        return;
    case JSM_ITEM_ACK:
        if (s != NULL) {
            jsm_session_ack(s, item->number);
        }
        return;
    case JSM_ITEM_COUNTS:
        CB_ASSERT(item->counter < JSM_COUNTER_COUNT);
        m->counters[item->counter] += item->number;
        return;
    case JSM_ITEM_REQUEST:
        apply_request(m, s, item);
        return;
    case JSM_ITEM_LIMITS:
        m->limits = item->limits;
        return;
    case JSM_ITEM_SPACE:
        m->is_short_of_space = item->number != 0;
        return;
    case JSM_ITEM_CLOCK:
        m->clock_index = m->index;
        return;
    case JSM_ITEM_KIND_END:
        break;
    }
    CB_UNREACHABLE("kind of item");
}

/* What time brings has at least half of the entry's steps; the items have what is left. */
static void run_begin(struct jsm *m)
{
    uint32_t half = m->steps_max / 2;
    m->steps = m->steps_max - half;
    jsm_lazy_begin(m);
    m->steps += half;
    jsm_run_due(m);
    jsm_lazy_begin(m);
}

void jsm_apply(struct jsm *m, uint64_t index, const struct jsm_entry *entry)
{
    CB_ASSERT(index > m->index);
    m->is_checkpoint = index / CB_CHECKPOINT_ENTRIES != m->index / CB_CHECKPOINT_ENTRIES;
    m->index = index;
    m->n_touched = 0;
    m->dropped_requests = 0;
    if (entry->stamp_ns > m->now_ns) {
        m->now_ns = entry->stamp_ns;
    }
    ensure_default_tube(m);
    jsm_mark(m, &m->stored);
    const uint64_t words[] = {index, entry->stamp_ns, entry->n_items};
    jsm_digest_fold(m, words, 3);
    if (entry->n_items > 0 && entry->items[0].kind == JSM_ITEM_RESUME) {
        resume_all(m); /* also what came due since the last leader's last entry does not expire */
    }
    run_begin(m);
    uint32_t n_opens = 0;
    for (uint32_t i = 0; i < entry->n_items; i++) {
        n_opens += entry->items[i].kind == JSM_ITEM_OPEN;
        CB_ASSERT(n_opens <= 1); /* the session id is the index */
        digest_item(m, &entry->items[i]);
        apply_item(m, &entry->items[i]);
    }
    jsm_lazy_finish(m);
    if (m->is_checkpoint) {
        const uint64_t state = jsm_digest_of_records(m);
        jsm_digest_fold(m, &state, 1);
    }
}

bool jsm_checkpoint(const struct jsm *m, uint64_t *digest)
{
    *digest = m->log_digest;
    return m->is_checkpoint;
}

void jsm_set_steps(struct jsm *m, uint32_t steps)
{
    CB_ASSERT(steps > 0);
    m->steps_max = steps;
}

bool jsm_is_settling(const struct jsm *m)
{
    return m->splices.len > 0 || m->settling.len > 0 || m->releases.len > 0;
}

uint64_t jsm_index(const struct jsm *m)
{
    return m->index;
}

uint64_t jsm_stamp_ns(const struct jsm *m)
{
    return m->now_ns;
}

struct jsm_limits jsm_limits_now(const struct jsm *m)
{
    return m->limits;
}

uint64_t jsm_clock_index(const struct jsm *m)
{
    return m->clock_index;
}

bool jsm_is_short_of_space(const struct jsm *m)
{
    return m->is_short_of_space;
}

uint64_t jsm_body_bytes(const struct jsm *m)
{
    return m->body_bytes;
}

uint64_t jsm_log_digest(const struct jsm *m)
{
    return m->log_digest;
}

uint64_t jsm_dropped_requests(const struct jsm *m)
{
    return m->dropped_requests;
}

const uint64_t *jsm_touched_sessions(const struct jsm *m, uint32_t *n)
{
    *n = m->n_touched;
    return m->touched;
}
