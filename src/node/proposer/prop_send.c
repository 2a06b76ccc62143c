/* What goes back on a stream: whatever there is to say, in one message, whenever the stream takes
 * one (design D4). */
#include "node/proposer/prop_internal.h"

/* What a result takes besides its body, near enough. */
#define RESULT_SIZE 32u
#define CONFIRM_NS (200 * CB_NS_PER_MS)

static bool has_ready_read(struct proposer *p, struct proposer_stream *st)
{
    struct prop_held held = {.n = 0};
    CB_LIST_FOREACH(it, &st->reads)
    {
        if (prop_read_is_ready(p, st, CB_CONTAINER(it, struct prop_read, link), &held)) {
            return true;
        }
    }
    return false;
}

/* A confirmation rides with the answers that are on their way; it goes alone when there are none,
 * or when they take long. */
static bool confirms_alone(const struct proposer *p,
                           const struct proposer_stream *st,
                           const struct jsm_session *from)
{
    if (st->seq == st->seq_confirmed) {
        return false;
    }
    bool is_idle =
        st->session->next_request == jsm_session_last_request(from) + 1 && st->n_reads == 0;
    return is_idle || prop_boottime(p) >= st->sent_ns + CONFIRM_NS;
}

/* The next one, with its body. */
static bool
has_result(struct proposer *p, struct proposer_stream *st, const struct jsm_session *from)
{
    struct jsm_result r;
    if (st->cursor >= jsm_session_last_result(from)) {
        return false;
    }
    if (!jsm_session_result(from, st->cursor + 1, &r) || prop_body_of_result(p, st, &r)) {
        return true;
    }
    prop_body_look_ahead(p, st, from);
    return false;
}

static bool
has_something(struct proposer *p, struct proposer_stream *st, const struct jsm_session *from)
{
    return confirms_alone(p, st, from) || st->attached_is_due || st->expect != 0 ||
           has_result(p, st, from) || st->told_request != jsm_session_last_request(from) ||
           has_ready_read(p, st);
}

static void
add_results(struct proposer *p, struct proposer_stream *st, const struct jsm_session *from)
{
    size_t size = 0;
    bool any_is_away = false;
    uint64_t last = jsm_session_last_result(from);
    while (st->cursor < last && size < CB_STREAM_MESSAGE_SOFT) {
        struct jsm_result r;
        if (!jsm_session_result(from, st->cursor + 1, &r)) {
            st->cursor++;
            continue; /* acknowledged meanwhile */
        }
        any_is_away |= r.is_away;
        if (!prop_body_of_result(p, st, &r)) {
            break;
        }
        st->cursor++;
        p->counters.bodies_hit += r.body.len > 0 && !r.is_away;
        p->counters.bodies_missed += r.is_away;
        *wire_to_proxy_add_result(&p->message) = (struct wire_result){
            .number = r.number,
            .request = r.request,
            .conn = r.conn,
            .outcome = (uint32_t)r.outcome,
            .count = r.count,
            .id = r.id,
            .body = r.body,
        };
        size += RESULT_SIZE + r.body.len;
        p->counters.results_sent++;
    }
    if (any_is_away) {
        prop_body_look_ahead(p, st, from);
    }
}

static void add_reads(struct proposer *p, struct proposer_stream *st)
{
    size_t size = 0;
    struct prop_held held = {.n = 0};
    CB_LIST_FOREACH_SAFE(it, tmp, &st->reads)
    {
        struct prop_read *r = CB_CONTAINER(it, struct prop_read, link);
        if (size >= CB_STREAM_MESSAGE_SOFT || !prop_read_has_room(p, st, r)) {
            break;
        }
        if (prop_read_is_ready(p, st, r, &held)) {
            size += prop_read_answer(p, st, r);
            prop_stream_drop_read(st, r);
        }
    }
}

static void fill(struct proposer *p, struct proposer_stream *st, const struct jsm_session *from)
{
    struct wire_to_proxy *m = &p->message;
    wire_to_proxy_clear(m);
    p->n_tubes = 0;
    m->confirmed_seq = st->seq;
    m->applied_request = jsm_session_last_request(from);
    m->expect = st->expect;
    if (st->attached_is_due) {
        m->has_attached = true;
        m->attached = (struct wire_attached){
            .session = st->session->id,
            .last_request = jsm_session_last_request(from),
            .last_result = jsm_session_last_result(from),
            .session_timeout_ms = (uint32_t)(p->config.session_timeout_ns / CB_NS_PER_MS),
            .node = p->config.self,
            .term = p->term,
        };
    }
    add_results(p, st, from);
    add_reads(p, st);
    st->seq_confirmed = st->seq;
    st->sent_ns = prop_boottime(p);
    st->told_request = m->applied_request;
    st->expect = 0;
    st->attached_is_due = false;
}

void prop_send_pump(struct proposer *p, struct proposer_stream *st)
{
    if (st->state != PROP_STREAM_ATTACHED) {
        return;
    }
    const struct jsm_session *from = jsm_session_get(p->machine, st->session->id);
    while (from != NULL && p->env.can_send(p->env.data, st->owner) && has_something(p, st, from)) {
        fill(p, st, from);
        p->counters.messages_sent++;
        p->env.send(p->env.data, st->owner, &p->message);
    }
    prop_stream_pace(p, st);
}
