/* Which node to talk to, the attach, and the lease (design D3). */
#include "proxy/engine/engine_internal.h"

#define HEARTBEAT_NS CB_NS_PER_S
/* Pauses between attempts once every node has been tried: an election takes about half a second. */
#define RETRY_MIN_NS (50 * CB_NS_PER_MS)
#define RETRY_SPAN_NS (150 * CB_NS_PER_MS)
/* A node that takes the stream and says nothing: it may wait for an entry to be committed, or it
 * has lost its majority and does not know yet. */
#define ATTACH_PATIENCE_NS (2 * CB_NS_PER_S)
/* A leader that stops confirming. A frozen host is found earlier, by the transport's pings. */
#define CONFIRM_PATIENCE_NS (3 * CB_NS_PER_S)

static void note(struct engine *e, enum engine_note what, uint64_t number, const char *text)
{
    e->ops.note(e->ops.ctx, what, e->link.node, number, text);
}

static void open_stream(struct engine *e)
{
    struct engine_link *l = &e->link;
    l->state = ENGINE_LINK_ATTACHING;
    l->attach_number++;
    l->attempts++;
    l->writable = true;
    l->seq = 0;
    l->confirmed_seq = 0;
    l->sent_ns = e->now_ns;
    l->probe_seq = 0;
    l->resent = false;
    l->expect_seq = 0;
    e->ops.stream_open(e->ops.ctx, l->node);
}

void engine_link_init(struct engine *e)
{
    e->link = (struct engine_link){.state = ENGINE_LINK_DOWN};
    e->link.node = (uint32_t)cb_rng_below(&e->rng, e->n_nodes);
    e->link.retry_ns = e->now_ns;
}

/* Opens now or after a pause, so that a cluster without a leader is not asked in a tight loop. */
static void schedule(struct engine *e, uint32_t node)
{
    struct engine_link *l = &e->link;
    l->state = ENGINE_LINK_DOWN;
    l->node = node;
    l->retry_ns = e->now_ns;
    if (l->attempts >= engine_nodes_count(e)) {
        l->hints = 0;
        l->retry_ns += RETRY_MIN_NS + cb_rng_below(&e->rng, RETRY_SPAN_NS);
    }
}

static uint32_t next_node(const struct engine *e)
{
    return engine_node_next(e, e->link.node);
}

void engine_link_abandon(struct engine *e, enum engine_note what, uint64_t number)
{
    if (e->link.state == ENGINE_LINK_DOWN) {
        return;
    }
    note(e, what, number, "");
    e->ops.stream_close(e->ops.ctx, e->link.node);
    engine_reads_unsend(e);
    schedule(e, next_node(e));
}

void engine_link_follow(struct engine *e, uint32_t node, uint64_t term)
{
    struct engine_link *l = &e->link;
    if (l->state != ENGINE_LINK_DOWN) {
        if (l->node == node) {
            return;
        }
        note(e, ENGINE_NOTE_STREAM_LEFT, term, "");
        e->ops.stream_close(e->ops.ctx, l->node);
        engine_reads_unsend(e);
        l->state = ENGINE_LINK_DOWN;
    }
    l->node = node;
    l->retry_ns = e->now_ns;
    engine_link_tick(e);
}

static const char superseded_prefix[] = "superseded";

/* "superseded by ADDRESS" */
static bool check_superseded(struct engine *e, const char *text)
{
    size_t prefix = sizeof superseded_prefix - 1;
    struct cb_span s = cb_span_str(text);
    if (s.len < prefix || memcmp(s.ptr, superseded_prefix, prefix) != 0) {
        return false;
    }
    size_t at = s.len;
    while (at > prefix && s.ptr[at - 1] != ' ') {
        at--;
    }
    e->is_superseded = true;
    (void)engine_abort_all(e, false);
    e->ops.superseded(e->ops.ctx, cb_span(s.ptr + at, s.len - at));
    return true;
}

void engine_stream_closed(
    struct engine *e, uint32_t node, const char *text, const char *leader, uint64_t now_ns)
{
    struct engine_link *l = &e->link;
    e->now_ns = now_ns;
    if (l->state == ENGINE_LINK_DOWN || l->node != node || e->is_superseded) {
        return;
    }
    bool was_attached = l->state == ENGINE_LINK_ATTACHED;
    l->state = ENGINE_LINK_DOWN;
    l->retry_ns = ENGINE_NEVER;
    if (check_superseded(e, text)) {
        return;
    }
    engine_reads_unsend(e);
    uint32_t hinted = leader != NULL ? engine_node_find(e, leader) : e->n_nodes;
    note(e, ENGINE_NOTE_STREAM_ENDED, was_attached, text);
    if (hinted < e->n_nodes && hinted != node && l->hints < engine_nodes_count(e)) {
        l->hints++;
        l->node = hinted;
        l->retry_ns = e->now_ns;
    } else {
        schedule(e, next_node(e));
    }
    engine_link_tick(e);
}

static void check_patience(struct engine *e)
{
    const struct engine_link *l = &e->link;
    if (l->state == ENGINE_LINK_DOWN || l->probe_seq == 0) {
        return;
    }
    uint64_t patience =
        l->state == ENGINE_LINK_ATTACHING ? ATTACH_PATIENCE_NS : CONFIRM_PATIENCE_NS;
    if (e->now_ns >= l->probe_ns + patience) {
        engine_link_abandon(e, ENGINE_NOTE_STREAM_SILENT, 0);
    }
}

void engine_link_tick(struct engine *e)
{
    check_patience(e);
    if (e->link.state == ENGINE_LINK_DOWN && e->now_ns >= e->link.retry_ns && !e->is_superseded) {
        open_stream(e);
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t fence_ns(const struct engine *e)
{
    return e->link.lease_ns + e->link.timeout_ns / 10 * 8;
}

uint64_t engine_link_wake_ns(const struct engine *e)
{
    const struct engine_link *l = &e->link;
    uint64_t wake = ENGINE_NEVER;
    switch (l->state) {
    case ENGINE_LINK_DOWN:
        wake = l->retry_ns;
        break;
    case ENGINE_LINK_ATTACHING:
        wake = l->sent_ns + ATTACH_PATIENCE_NS;
        break;
    case ENGINE_LINK_ATTACHED:
        wake = l->writable ? l->sent_ns + HEARTBEAT_NS : ENGINE_NEVER;
        wake = l->probe_seq != 0 ? earlier(wake, l->probe_ns + CONFIRM_PATIENCE_NS) : wake;
        break;
    }
    if (l->timeout_ns != 0 && !l->fenced) {
        wake = earlier(wake, fence_ns(e));
    }
    return wake;
}

void engine_fence(struct engine *e)
{
    struct engine_link *l = &e->link;
    if (l->timeout_ns == 0 || e->now_ns < fence_ns(e)) {
        return;
    }
    uint32_t closed = engine_abort_all(e, true);
    if (closed > 0) {
        note(e, ENGINE_NOTE_FENCED, closed, "");
    }
    l->fenced = true;
}

static void confirm(struct engine *e, uint64_t seq)
{
    struct engine_link *l = &e->link;
    l->confirmed_seq = seq > l->confirmed_seq ? seq : l->confirmed_seq;
    if (l->probe_seq != 0 && seq >= l->probe_seq) {
        l->lease_ns = l->probe_ns;
        l->probe_seq = 0;
        l->fenced = l->timeout_ns != 0 && e->now_ns >= fence_ns(e);
    }
}

/* The node led once and does not know yet that it does no more: what the cluster has done for us
 * since then is not in its state. */
bool engine_link_is_stale(const struct engine *e, const struct wire_to_proxy *m)
{
    return m->has_attached && m->attached.term < e->led_term;
}

/* The cluster does not know us any more: what our clients held was given back. */
static void lose_session(struct engine *e, const struct wire_attached *a)
{
    uint32_t closed = engine_abort_all(e, false);
    note(e, ENGINE_NOTE_SESSION_LOST, closed, "");
    engine_session_reset(e, a->session, a->last_request, a->last_result);
}

static bool take_attached(struct engine *e, const struct wire_attached *a)
{
    struct engine_link *l = &e->link;
    if (l->state != ENGINE_LINK_ATTACHING || l->seq == 0) {
        return false;
    }
    bool lost = e->session != 0 && a->session != e->session;
    bool impossible = a->last_request + 1 < e->queue.first ||
                      a->last_request >= engine_queue_next(&e->queue) ||
                      a->last_result < e->seen_result;
    if (a->session == 0 || (impossible && !lost)) {
        /* A new incarnation: the old one must not come back to life beside it. */
        e->config.random++;
        lose_session(e, &(struct wire_attached){0});
        return false;
    }
    if (lost) {
        lose_session(e, a);
    }
    e->session = a->session;
    e->led_term = a->term;
    engine_queue_applied(&e->queue, a->last_request);
    l->state = ENGINE_LINK_ATTACHED;
    l->attempts = 0;
    l->hints = 0;
    l->next_send = a->last_request + 1;
    l->resend_end = engine_queue_next(&e->queue) - 1;
    l->timeout_ns = a->session_timeout_ms * CB_NS_PER_MS;
    e->acked_result = e->seen_result; /* the attach said so */
    note(e, ENGINE_NOTE_ATTACHED, e->session, "");
    return true;
}

bool engine_link_take(struct engine *e, const struct wire_to_proxy *m)
{
    struct engine_link *l = &e->link;
    if (m->confirmed_seq > l->seq) {
        return false;
    }
    if (m->has_attached && !take_attached(e, &m->attached)) {
        return false;
    }
    if (l->state != ENGINE_LINK_ATTACHED) {
        return m->n_results == 0 && m->n_reads == 0;
    }
    confirm(e, m->has_attached && m->confirmed_seq == 0 ? 1 : m->confirmed_seq);
    return true;
}

bool engine_link_expect(struct engine *e, uint64_t number, uint64_t confirmed_seq)
{
    struct engine_link *l = &e->link;
    if (number > engine_queue_next(&e->queue)) {
        return false;
    }
    /* Applied meanwhile, or the answer to something sent before it was sent again. */
    if (number < e->queue.first || confirmed_seq < l->expect_seq) {
        return true;
    }
    l->expect_seq = l->seq + 1;
    l->next_send = number;
    return true;
}
