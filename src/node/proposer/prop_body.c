/* Bodies that are not in memory (ADR 14). Results of a session go out in order, so those behind one
 * whose body is on its way wait with it; the bodies of the next ones are asked for at the same
 * time. Reads wait each for itself. */
#include "node/proposer/prop_internal.h"

enum proposer_body prop_body_ask(struct proposer *p,
                                 struct proposer_stream *st,
                                 const struct proposer_body_ask *ask,
                                 struct cb_span *out)
{
    enum proposer_body r = p->env.body(p->env.data, ask, out);
    CB_ASSERT(r != PROPOSER_BODY_GONE || !ask->is_kept);
    st->waits_for_body |= r == PROPOSER_BODY_COMES;
    return r;
}

bool prop_body_of_result(struct proposer *p, struct proposer_stream *st, struct jsm_result *r)
{
    const struct proposer_body_ask ask = {
        .job = r->id, .len = (uint32_t)r->body.len, .is_kept = true};
    return !r->is_away || prop_body_ask(p, st, &ask, &r->body) == PROPOSER_BODY_HERE;
}

void prop_body_look_ahead(struct proposer *p,
                          struct proposer_stream *st,
                          const struct jsm_session *from)
{
    size_t size = 0;
    uint64_t last = jsm_session_last_result(from);
    for (uint64_t i = 1; i <= CB_BODY_AHEAD_MAX && size < CB_BODY_AHEAD_BYTES; i++) {
        struct jsm_result r;
        if (st->cursor + i > last) {
            return;
        }
        if (jsm_session_result(from, st->cursor + i, &r)) {
            size += r.body.len;
            (void)prop_body_of_result(p, st, &r); /* it is looked at again when it is its turn */
        }
    }
}

void proposer_bodies_came(struct proposer *p)
{
    CB_LIST_FOREACH(it, &p->streams)
    {
        struct proposer_stream *st = CB_CONTAINER(it, struct proposer_stream, link);
        if (st->waits_for_body) {
            st->waits_for_body = false;
            prop_stream_mark(p, st);
        }
    }
}
