/* Packs what has gathered into the next message (design D4). */
#include "proxy/engine/engine_internal.h"

#define HEARTBEAT_NS CB_NS_PER_S
/* So much is acknowledged by a message of its own, less waits for the next one. */
#define ACK_RESULTS 1024
#define ACK_BYTES CB_MIB
/* Of a request or read without its tube and body. */
#define ITEM_OVERHEAD 64
/* Messages on their way to the leader or waiting there, unless so many requests are worth one. */
#define UNCONFIRMED_MAX 2
#define FULL_REQUESTS 128

static bool is_attached(const struct engine *e)
{
    return e->link.state == ENGINE_LINK_ATTACHED;
}

static bool has_requests(const struct engine *e)
{
    return e->link.next_send < engine_queue_next(&e->queue);
}

/* The leader makes one entry at a time of what is not much: a third small message would only wait
 * there, so what gathers here meanwhile shares it. */
static bool holds_back(const struct engine *e)
{
    const struct engine_link *l = &e->link;
    return l->resent && l->seq - l->confirmed_seq >= UNCONFIRMED_MAX &&
           engine_queue_next(&e->queue) - l->next_send < FULL_REQUESTS;
}

/* A read goes with or behind the request that it must follow. */
static bool may_send(const struct engine *e, const struct engine_read *r)
{
    return r->wire.after < e->link.next_send;
}

static bool has_reads(const struct engine *e)
{
    const struct cb_list *first = cb_list_first(&e->reads_unsent);
    return first != NULL && e->now_ns >= e->reads_retry_ns &&
           may_send(e, CB_CONTAINER(first, struct engine_read, link));
}

static bool has_to_ack(const struct engine *e)
{
    return e->seen_result - e->acked_result >= ACK_RESULTS || e->unacked_bytes >= ACK_BYTES;
}

bool engine_has_to_send(const struct engine *e)
{
    const struct engine_link *l = &e->link;
    if (l->state == ENGINE_LINK_DOWN || !l->writable) {
        return false;
    }
    if (!is_attached(e)) {
        return l->seq == 0;
    }
    return ((has_requests(e) || has_reads(e)) && !holds_back(e)) || has_to_ack(e) || !l->resent ||
           e->now_ns >= l->sent_ns + HEARTBEAT_NS;
}

static void add_attach(struct engine *e, struct wire_to_node *m)
{
    m->has_attach = true;
    m->attach = (struct wire_attach){
        .version = WIRE_PROTOCOL_VERSION,
        .name = cb_span_str(e->config.name),
        .started_ns = e->config.started_ns,
        .random = e->config.random,
        .address = cb_span_str(e->config.address),
        .session = e->session,
        .number = e->link.attach_number,
        .seen_result = e->seen_result,
    };
}

static size_t add_requests(struct engine *e, struct wire_to_node *m)
{
    struct engine_link *l = &e->link;
    size_t size = 0;
    while (has_requests(e) && size < CB_STREAM_MESSAGE_SOFT) {
        const struct engine_request *r = engine_queue_get(&e->queue, l->next_send);
        size_t more = ITEM_OVERHEAD + r->wire.tube.len + r->wire.body.len;
        if (size > 0 && size + more > CB_STREAM_MESSAGE_SOFT) {
            break; /* a larger one goes alone */
        }
        *wire_to_node_add_request(m) = r->wire;
        size += more;
        l->next_send++;
    }
    return size;
}

static void add_reads(struct engine *e, struct wire_to_node *m, size_t size)
{
    while (has_reads(e) && size < CB_STREAM_MESSAGE_SOFT) {
        struct engine_read *r =
            CB_CONTAINER(cb_list_first(&e->reads_unsent), struct engine_read, link);
        *wire_to_node_add_read(m) = r->wire;
        size += ITEM_OVERHEAD + r->wire.tube.len;
        cb_list_remove(&r->link);
        cb_list_push_back(&e->reads_sent, &r->link);
    }
}

static void add_counts(struct engine *e, struct wire_to_node *m)
{
    for (uint32_t i = 0; e->has_counts && i < WIRE_COUNTER_COUNT; i++) {
        if (e->counts[i] > 0) {
            *wire_to_node_add_count(m) = (struct wire_count){i, e->counts[i]};
            e->counts[i] = 0;
        }
    }
    e->has_counts = false;
}

static void add_ack(struct engine *e, struct wire_to_node *m)
{
    if (e->seen_result > e->acked_result) {
        m->acked_result = e->seen_result;
        e->acked_result = e->seen_result;
        e->unacked_bytes = 0;
    }
}

void engine_send(struct engine *e)
{
    struct engine_link *l = &e->link;
    struct wire_to_node *m = &e->message;
    wire_to_node_clear(m);
    m->seq = ++l->seq;
    if (is_attached(e)) {
        add_reads(e, m, add_requests(e, m));
        add_counts(e, m);
        add_ack(e, m);
        m->resent = !l->resent && l->next_send > l->resend_end;
        l->resent = l->resent || m->resent;
    } else {
        add_attach(e, m);
    }
    l->sent_ns = e->now_ns;
    if (l->probe_seq == 0) {
        l->probe_seq = l->seq;
        l->probe_ns = e->now_ns;
    }
    l->writable = false;
    e->ops.stream_send(e->ops.ctx, l->node, m);
}
