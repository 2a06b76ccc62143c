/* What streams deliver. */
#include "node/proposer/prop_internal.h"

#include "common/base/cb_assert.h"
#include "common/base/cb_mem.h"

/* Reads of one stream that wait for their entry; then it is not read on. */
#define READS_MAX 4096u

struct proposer_stream *proposer_stream_open(struct proposer *p, void *owner)
{
    struct proposer_stream *st = cb_calloc(1, sizeof(*st));
    st->owner = owner;
    cb_list_init(&st->opening);
    cb_list_init(&st->dirty);
    cb_list_init(&st->reads);
    cb_list_push_back(&p->streams, &st->link);
    return st;
}

void prop_stream_drop_read(struct proposer_stream *st, struct prop_read *r)
{
    cb_list_remove(&r->link);
    st->n_reads--;
    cb_free(r);
}

void proposer_stream_closed(struct proposer *p, struct proposer_stream *st)
{
    (void)p; /* its lists are unlinked from inside */
    if (st->session != NULL) {
        st->session->stream = NULL;
    }
    CB_LIST_FOREACH_SAFE(it, tmp, &st->reads)
    {
        prop_stream_drop_read(st, CB_CONTAINER(it, struct prop_read, link));
    }
    cb_list_remove(&st->link);
    cb_list_remove(&st->opening);
    cb_list_remove(&st->dirty);
    cb_free(st);
}

void prop_stream_end(struct proposer *p,
                     struct proposer_stream *st,
                     enum proposer_end why,
                     const char *text)
{
    if (why != PROPOSER_END_NOT_LEADER) {
        p->counters.streams_refused++;
        p->env.log(p->env.data, PROPOSER_LOG_STREAM_REFUSED, text, 0);
    }
    void *owner = st->owner;
    proposer_stream_closed(p, st);
    p->env.end(p->env.data, owner, why, text);
}

void prop_stream_mark(struct proposer *p, struct proposer_stream *st)
{
    if (!cb_list_is_linked(&st->dirty)) {
        cb_list_push_back(&p->dirty, &st->dirty);
    }
}

void prop_stream_pace(struct proposer *p, struct proposer_stream *st)
{
    bool pause = st->state == PROP_STREAM_WAITING;
    if (st->state == PROP_STREAM_ATTACHED) {
        /* Between half and full it goes on as it is, so that it does not flicker. */
        size_t share = st->is_paused ? 2 : 1;
        pause = cb_buf_len(&st->session->items) > p->config.session_queue_bytes / share ||
                st->n_reads > READS_MAX / share;
    }
    if (pause != st->is_paused) {
        st->is_paused = pause;
        p->counters.queue_pauses += pause && st->state == PROP_STREAM_ATTACHED;
        p->env.set_reading(p->env.data, st->owner, !pause);
    }
}

static struct jsm_item item_of(const struct prop_session *s, const struct wire_request *r)
{
    return (struct jsm_item){
        .kind = JSM_ITEM_REQUEST,
        .session = s->id,
        .number = r->number,
        .command = {.op = (enum jsm_op)r->op,
                    .conn = r->conn,
                    .id = r->id,
                    .pri = r->pri,
                    .delay = r->delay,
                    .ttr = r->ttr,
                    .count = r->count,
                    .age_ns = r->age_ns,
                    .tube = r->tube,
                    .body = r->body},
    };
}

/* The gap rule: a request continues what was accepted, or has no effect. */
static bool
take_request(struct proposer *p, struct proposer_stream *st, const struct wire_request *r)
{
    struct prop_session *s = st->session;
    if (r->number < s->next_request) {
        p->counters.requests_repeated++;
        return true;
    }
    if (r->number > s->next_request) {
        /* Asked for after each message with a gap, since what is sent again may have one too. The
         * proxy leaves the answers to what was on its way when it began again. */
        p->counters.requests_gap++;
        st->expect = s->next_request;
        return true;
    }
    struct jsm_item item = item_of(s, r);
    if (!entry_command_is_valid(&item.command) || r->number > CB_ID_MAX) {
        prop_stream_end(p, st, PROPOSER_END_INVALID, "a request that is none");
        return false;
    }
    prop_session_push(p, s, &item);
    s->next_request++;
    st->expect = 0;
    p->counters.requests++;
    return true;
}

static bool take_read(struct proposer *p, struct proposer_stream *st, const struct wire_read *w)
{
    if (w->kind == 0 || w->kind >= WIRE_READ_END || w->tube.len > CB_TUBE_NAME_MAX) {
        prop_stream_end(p, st, PROPOSER_END_INVALID, "a read that is none");
        return false;
    }
    struct prop_read *r = cb_calloc(1, sizeof(*r));
    r->read = w->read;
    r->conn = w->conn;
    r->kind = w->kind;
    r->id = w->id;
    r->after = w->after;
    r->tube_len = (uint32_t)w->tube.len;
    if (w->tube.len > 0) {
        memcpy(r->tube, w->tube.ptr, w->tube.len);
    }
    if (w->after < st->session->next_request) {
        r->batch = p->batch + 1; /* the next entry is proposed after the read arrived (design D5) */
        p->reads_batch = r->batch;
    }
    cb_list_push_back(&st->reads, &r->link);
    st->n_reads++;
    return true;
}

static bool
take_counts(struct proposer *p, struct proposer_stream *st, const struct wire_to_node *m)
{
    for (uint32_t i = 0; i < m->n_counts; i++) {
        if (m->counts[i].counter >= JSM_COUNTER_COUNT) {
            prop_stream_end(p, st, PROPOSER_END_INVALID, "a count of nothing");
            return false;
        }
        p->counts[m->counts[i].counter] += m->counts[i].increment;
    }
    return true;
}

static bool take_ack(struct proposer *p, struct proposer_stream *st, uint64_t number)
{
    if (number > st->cursor) {
        prop_stream_end(p, st, PROPOSER_END_INVALID, "acknowledges a result that was not sent");
        return false;
    }
    prop_session_ack(p, st->session, number);
    return true;
}

/* What it resent stands in front of this item: reservations may expire again once that is applied.
 */
static void take_resent(struct proposer *p, struct prop_session *s)
{
    const struct jsm_session *from = jsm_session_get(p->machine, s->id);
    if (from != NULL && jsm_session_is_suspended(from)) {
        struct jsm_item item = {.kind = JSM_ITEM_ATTACHED, .session = s->id};
        prop_session_push(p, s, &item);
    }
}

static bool
take_content(struct proposer *p, struct proposer_stream *st, const struct wire_to_node *m)
{
    if (!take_ack(p, st, m->acked_result) || !take_counts(p, st, m)) {
        return false;
    }
    for (uint32_t i = 0; i < m->n_requests; i++) {
        if (!take_request(p, st, &m->requests[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < m->n_reads; i++) {
        if (!take_read(p, st, &m->reads[i])) {
            return false;
        }
    }
    if (m->resent) {
        take_resent(p, st->session);
    }
    prop_stream_pace(p, st);
    prop_stream_mark(p, st);
    return true;
}

bool proposer_stream_message(struct proposer *p,
                             struct proposer_stream *st,
                             const struct wire_to_node *m)
{
    if (!p->is_leading) {
        prop_stream_end(p, st, PROPOSER_END_NOT_LEADER, p->leader);
        return false;
    }
    if (st->state == PROP_STREAM_NEW) {
        if (!prop_attach_begin(p, st, m)) {
            return false;
        }
        /* Numbers that belong to another session, or to none yet, mean nothing: what came with them
         * is sent again after Attached. */
        bool is_known = st->state == PROP_STREAM_ATTACHED && st->attach_session == st->session->id;
        return !is_known || take_content(p, st, m);
    }
    if (st->state == PROP_STREAM_WAITING) {
        return true; /* it is not read: this one was on its way, and the stream is at its end */
    }
    if (m->has_attach || m->seq != st->seq + 1) {
        prop_stream_end(p, st, PROPOSER_END_INVALID, "a message out of order");
        return false;
    }
    st->seq = m->seq;
    st->session->heard_ns = prop_boottime(p);
    return take_content(p, st, m);
}

void proposer_stream_writable(struct proposer *p, struct proposer_stream *st)
{
    prop_send_pump(p, st);
}
