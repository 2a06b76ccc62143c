/* Connections that others have made: they are read, and nothing is ever said on them. */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"
#include "node/link/link_hello.h"
#include "node/link/link_internal.h"

static void forget_peer(struct link_in *in)
{
    struct link *l = in->l;
    uint64_t id = in->peer->id;
    in->peer->in = NULL;
    in->peer = NULL;
    if (!l->is_destroying) {
        l->events.ended(l->events.data, id);
    }
}

void link_in_close(struct link_in *in)
{
    if (in->is_closing) {
        return;
    }
    in->is_closing = true;
    if (in->peer != NULL) {
        forget_peer(in);
    } else {
        cb_list_remove(&in->link);
        in->l->n_unknown--;
    }
    /* What has come of a frame goes at once: closing takes until libuv comes back. */
    link_decoder_fini(&in->decoder);
    link_stream_close(&in->stream);
}

static void refuse(struct link_in *in, enum link_refusal why)
{
    struct link_counters *c = &in->l->counters;
    uint64_t id = in->peer == NULL ? 0 : in->peer->id;
    static const char *const what[] = {
#define X(name, what, todo) what,
        LINK_REFUSALS(X)
#undef X
    };
    static const char *const todo[] = {
#define X(name, what, todo) todo,
        LINK_REFUSALS(X)
#undef X
    };
    uint64_t *const counters[] = {
#define X(name, what, todo) &c->refused_##name,
        LINK_REFUSALS(X)
#undef X
    };
    (*counters[why])++;
    cb_log(why == LINK_REFUSED_replaced ? CB_LOG_INFO : CB_LOG_WARN, "link.refused",
           "from=%s member=%" PRIu64 " why=\"%s\" todo=\"%s\"", in->from, id, what[why], todo[why]);
    link_in_close(in);
}

/* --- the first frame --- */

static void take_hello(struct link_in *in, const struct link_hello *h)
{
    struct link *l = in->l;
    struct link_peer *p = link_peer_of(l, h->from);
    if (p == NULL) {
        refuse(in, LINK_REFUSED_stranger);
        return;
    }
    if (p->in != NULL) {
        refuse(p->in, LINK_REFUSED_replaced);
    }
    cb_list_remove(&in->link);
    l->n_unknown--;
    l->counters.accepted++;
    in->peer = p;
    p->in = in;
    in->decoder.payload_max = CB_LINK_FRAME_MAX;
    memcpy(in->address, h->address, sizeof in->address);
    /* It is there: no need to wait for it any longer. */
    if (p->out == NULL) {
        p->wait_ticks = 0;
        link_wake(l);
    }
}

static void check_hello(struct link_in *in, const struct link_frame *f)
{
    const struct link_config *c = &in->l->config;
    struct link_hello h;
    if (f->type != LINK_FRAME_HELLO || !link_hello_decode(&h, f->payload)) {
        refuse(in, LINK_REFUSED_no_hello);
    } else if (h.cluster != c->cluster) {
        refuse(in, LINK_REFUSED_cluster);
    } else if (h.to != c->self) {
        refuse(in, LINK_REFUSED_receiver);
    } else if (h.from == c->self ||
               !in->l->events.is_member(in->l->events.data, h.from, h.address)) {
        refuse(in, LINK_REFUSED_stranger);
    } else {
        take_hello(in, &h);
    }
}

/* --- frames --- */

static void take_frame(struct link_in *in, const struct link_frame *f)
{
    const struct link_events *e = &in->l->events;
    in->l->counters.frames_received++;
    if (in->peer == NULL) {
        check_hello(in, f);
        return;
    }
    in->silent_ticks = 0;
    if (f->type == LINK_FRAME_PING && f->payload.len == 0) {
        return;
    }
    if (f->type < LINK_FRAME_USER ||
        !e->received(e->data, in->peer->id, in->address, f->type, f->payload)) {
        refuse(in, LINK_REFUSED_nonsense);
    }
}

static enum link_refusal refusal_of(enum link_frame_result r)
{
    switch (r) {
    case LINK_FRAME_OTHER_VERSION:
        return LINK_REFUSED_version;
    case LINK_FRAME_TOO_LONG:
        return LINK_REFUSED_too_long;
    case LINK_FRAME_DAMAGED:
        return LINK_REFUSED_damaged;
    case LINK_FRAME_GARBAGE:
    case LINK_FRAME_READY:
    case LINK_FRAME_MORE:
        break;
    }
    return LINK_REFUSED_garbage;
}

static void on_received(void *data, struct cb_span bytes)
{
    struct link_in *in = data;
    struct link_frame f;
    while (!in->is_closing) {
        enum link_frame_result r = link_decoder_take(&in->decoder, &bytes, &f);
        if (r == LINK_FRAME_MORE) {
            return;
        }
        if (r == LINK_FRAME_READY) {
            take_frame(in, &f);
        } else {
            refuse(in, refusal_of(r));
        }
    }
}

static void on_ended(void *data, int status)
{
    (void)status;
    struct link_in *in = data;
    struct link_peer *p = in->peer;
    link_in_close(in);
    if (p != NULL && p->out == NULL) {
        p->wait_ticks = 0; /* is it gone? */
        link_wake(p->l);
    }
}

static void on_closed(void *data)
{
    struct link_in *in = data;
    struct link *l = in->l;
    cb_free(in);
    link_handle_closed(l);
}

static const struct link_stream_events events = {
    .received = on_received,
    .ended = on_ended,
    .closed = on_closed,
};

void link_in_accept(struct link_listener *listener)
{
    struct link *l = listener->l;
    struct link_in *in = cb_calloc(1, sizeof *in);
    in->l = l;
    in->stream = (struct link_stream){.events = &events, .data = in, .buffer = link_read_buffer(l)};
    link_decoder_init(&in->decoder, CB_LINK_HELLO_MAX);
    cb_list_push_back(&l->unknown, &in->link);
    l->n_unknown++;
    link_handle_opened(l);
    uv_stream_t *stream = (uv_stream_t *)&listener->tcp;
    if (link_stream_accept(&in->stream, l->loop, stream, in->from) != 0) {
        link_in_close(in); /* it is gone already */
    } else if (l->n_unknown > CB_LINK_UNKNOWN_MAX) {
        refuse(CB_CONTAINER(cb_list_first(&l->unknown), struct link_in, link), LINK_REFUSED_crowd);
    }
}

void link_in_tick(struct link *l)
{
    CB_LIST_FOREACH_SAFE(it, tmp, &l->unknown)
    {
        struct link_in *in = CB_CONTAINER(it, struct link_in, link);
        if (++in->silent_ticks >= LINK_TICKS(CB_LINK_HELLO_MS)) {
            refuse(in, LINK_REFUSED_late);
        }
    }
    for (size_t i = 0; i < CB_LINK_PEERS_MAX; i++) {
        struct link_in *in = l->peers[i].id == 0 ? NULL : l->peers[i].in;
        if (in != NULL && ++in->silent_ticks >= LINK_TICKS(CB_LINK_SILENCE_MS)) {
            refuse(in, LINK_REFUSED_silent);
        }
    }
}
