/* How a stream gets its session: found, opened through the log, taken over, or refused (design D3).
 */
#include "node/proposer/prop_internal.h"

#include <string.h>

static bool is_later(struct jsm_incarnation a, struct jsm_incarnation b)
{
    return a.started_ns != b.started_ns ? a.started_ns > b.started_ns : a.random > b.random;
}

bool prop_attach_begin(struct proposer *p, struct proposer_stream *st, const struct wire_to_node *m)
{
    const struct wire_attach *a = &m->attach;
    if (!m->has_attach || m->seq != 1) {
        prop_stream_end(p, st, PROPOSER_END_INVALID, "the first message has no attach");
        return false;
    }
    if (a->version != WIRE_PROTOCOL_VERSION) {
        prop_stream_end(p, st, PROPOSER_END_VERSION, "this node speaks version 1 of the protocol");
        return false;
    }
    st->seq = m->seq;
    st->incarnation = (struct jsm_incarnation){a->started_ns, a->random};
    st->attach_session = a->session;
    st->attach_number = a->number;
    st->seen_result = a->seen_result;
    st->name_len = (uint32_t)a->name.len;
    st->address_len = (uint32_t)a->address.len;
    memcpy(st->name, a->name.ptr, a->name.len);
    if (a->address.len > 0) {
        memcpy(st->address, a->address.ptr, a->address.len);
    }
    st->state = PROP_STREAM_WAITING;
    prop_stream_pace(p, st);
    return !p->is_serving || prop_attach_try(p, st);
}

static void
end_superseded(struct proposer *p, struct proposer_stream *st, const struct jsm_session *by)
{
    struct cb_span address = jsm_session_address(by);
    char text[CB_ADDRESS_MAX + 32] = "superseded by ";
    memcpy(text + strlen(text), address.ptr, address.len); /* text is zeroed behind its words */
    prop_stream_end(p, st, PROPOSER_END_SUPERSEDED, text);
}

/* Its OPEN joins one of the next entries. */
static bool open_session(struct proposer *p, struct proposer_stream *st)
{
    if (st->was_opened) {
        /* The machine refused (CB_SESSIONS_MAX). */
        prop_stream_end(p, st, PROPOSER_END_FULL, "too many proxies are attached to this cluster");
        return false;
    }
    if (!cb_list_is_linked(&st->opening)) {
        cb_list_push_back(&p->opening, &st->opening);
    }
    return true;
}

static void bind(struct proposer *p, struct proposer_stream *st, struct prop_session *s)
{
    const struct jsm_session *from = jsm_session_get(p->machine, s->id);
    if (s->stream != NULL) {
        prop_stream_end(p, s->stream, PROPOSER_END_REPLACED,
                        "a later stream of this session is attached");
    }
    s->stream = st;
    s->attach_number = st->attach_number;
    s->heard_ns = prop_boottime(p);
    st->session = s;
    st->state = PROP_STREAM_ATTACHED;
    st->cursor = jsm_session_acked_result(from);
    if (st->attach_session == s->id && st->seen_result > st->cursor) {
        st->cursor = st->seen_result;
        prop_session_ack(p, s, st->seen_result);
    }
    st->attached_is_due = true;
    p->counters.attaches++;
    prop_stream_pace(p, st);
    prop_stream_mark(p, st);
}

static bool attach(struct proposer *p, struct proposer_stream *st, const struct jsm_session *from)
{
    struct prop_session *s = prop_session_get_or_make(p, from);
    if (s->is_expiring) {
        return true; /* it ends with an entry that is on its way; then another can be opened */
    }
    if (st->attach_number <= s->attach_number) {
        prop_stream_end(p, st, PROPOSER_END_REPLACED,
                        "a later stream of this session was attached");
        return false;
    }
    if (st->attach_session == s->id && st->seen_result > jsm_session_last_result(from)) {
        prop_stream_end(p, st, PROPOSER_END_INVALID, "has seen a result that was never made");
        return false;
    }
    bind(p, st, s);
    return true;
}

bool prop_attach_try(struct proposer *p, struct proposer_stream *st)
{
    const struct jsm_session *s = jsm_session_find(p->machine, cb_span(st->name, st->name_len));
    if (s == NULL || is_later(st->incarnation, jsm_session_incarnation(s))) {
        return open_session(p, st);
    }
    if (is_later(jsm_session_incarnation(s), st->incarnation)) {
        end_superseded(p, st, s);
        return false;
    }
    return attach(p, st, s);
}

void prop_attach_retry(struct proposer *p)
{
    CB_LIST_FOREACH_SAFE(it, tmp, &p->streams)
    {
        struct proposer_stream *st = CB_CONTAINER(it, struct proposer_stream, link);
        if (st->state != PROP_STREAM_WAITING || st->open_batch > p->applied_batch) {
            continue;
        }
        st->was_opened = st->open_batch != 0;
        st->open_batch = 0;
        (void)prop_attach_try(p, st); /* whether it is still there: the list is walked safely */
    }
}

void prop_attach_ended(struct proposer *p, struct prop_session *s)
{
    struct proposer_stream *st = s->stream;
    if (st != NULL) {
        const struct jsm_session *now =
            jsm_session_find(p->machine, cb_span(st->name, st->name_len));
        if (now != NULL && is_later(jsm_session_incarnation(now), st->incarnation)) {
            end_superseded(p, st, now);
        } else {
            prop_stream_end(p, st, PROPOSER_END_REPLACED, "the session has ended");
        }
    }
    prop_session_destroy(p, s);
}
