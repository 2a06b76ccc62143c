/* The session's numbers: requests that go up, results that come down, reads beside them. */
#include "common/base/cb_mem.h"
#include "proxy/engine/engine_internal.h"

/* How long a read that the node answered with `again` waits for its next try. */
#define READ_RETRY_NS (20 * CB_NS_PER_MS)

bool engine_has_room(const struct engine *e)
{
    return e->queue.len < CB_PROXY_IN_FLIGHT_MAX && e->queue.bytes < CB_PROXY_IN_FLIGHT_BYTES_MAX &&
           e->n_reads < CB_PROXY_IN_FLIGHT_MAX;
}

uint64_t
engine_request(struct engine_client *c, const struct wire_request *wire, struct cb_buf *body)
{
    struct wire_request numbered = *wire;
    numbered.conn = c->conn;
    c->last_request = engine_queue_add(&c->engine->queue, &numbered, body);
    return c->last_request;
}

uint64_t engine_request_op(struct engine_client *c, enum wire_op op)
{
    struct wire_request wire = {.op = op};
    return engine_request(c, &wire, NULL);
}

struct engine_read *engine_read_add(struct engine_client *c, const struct wire_read *wire)
{
    struct engine *e = c->engine;
    struct engine_read *r = cb_malloc(sizeof *r + wire->tube.len);
    r->wire = *wire;
    r->wire.read = ++e->last_read;
    r->wire.conn = c->conn;
    r->wire.after = c->last_request;
    if (wire->tube.len > 0) {
        memcpy(r->name, wire->tube.ptr, wire->tube.len);
    }
    r->wire.tube = cb_span(r->name, wire->tube.len);
    r->client = c;
    r->slot = NULL;
    cb_list_push_back(&e->reads_unsent, &r->link);
    cb_map_put(&e->by_read, r->wire.read, r);
    e->n_reads++;
    return r;
}

void engine_read_remove(struct engine_read *r)
{
    struct engine *e = r->client->engine;
    (void)cb_map_remove(&e->by_read, r->wire.read);
    cb_list_remove(&r->link);
    e->n_reads--;
    cb_free(r);
}

void engine_reads_unsend(struct engine *e)
{
    struct cb_list *last;
    while ((last = cb_list_last(&e->reads_sent)) != NULL) {
        cb_list_remove(last);
        cb_list_push_front(&e->reads_unsent, last);
    }
    e->reads_retry_ns = 0;
}

void engine_count(struct engine *e, enum wire_counter counter)
{
    if (e->counts[counter] < UINT32_MAX) {
        e->counts[counter]++;
        e->has_counts = true;
    }
}

void engine_session_reset(struct engine *e,
                          uint64_t session,
                          uint64_t last_request,
                          uint64_t last_result)
{
    e->session = session;
    engine_queue_clear(&e->queue, last_request + 1);
    e->seen_result = last_result;
    e->acked_result = last_result;
    e->unacked_bytes = 0;
}

/* The slot that waits for the answer to `request`; NULL when that has no answer, or had it. */
static struct engine_slot *find_slot(struct engine_client *c, uint64_t request)
{
    CB_LIST_FOREACH(it, &c->slots)
    {
        struct engine_slot *s = CB_CONTAINER(it, struct engine_slot, link);
        if (s->kind == ENGINE_SLOT_REQUEST && s->request >= request) {
            return s->request == request ? s : NULL;
        }
    }
    return NULL;
}

static void take_result(struct engine *e, const struct wire_result *r)
{
    struct engine_client *c = cb_map_get(&e->by_conn, r->conn);
    if (c == NULL || c->closing) {
        return; /* its CONN_CLOSE is on the way: the machine takes back what it was given */
    }
    struct engine_slot *s = find_slot(c, r->request);
    if (s != NULL) {
        engine_answer_result(c, s, r);
        engine_client_run(c);
    }
}

bool engine_take_results(struct engine *e, const struct wire_to_proxy *m)
{
    for (uint32_t i = 0; i < m->n_results; i++) {
        const struct wire_result *r = &m->results[i];
        if (r->number <= e->seen_result) {
            continue; /* sent again because our acknowledgement was late */
        }
        if (r->number != e->seen_result + 1 || r->request >= engine_queue_next(&e->queue)) {
            return false;
        }
        e->seen_result = r->number;
        e->unacked_bytes += r->body.len;
        take_result(e, r);
    }
    return true;
}

bool engine_take_applied(struct engine *e, uint64_t number)
{
    if (number >= engine_queue_next(&e->queue)) {
        return false;
    }
    engine_queue_applied(&e->queue, number);
    /* What an earlier stream delivered may be applied before it was sent again on this one. */
    if (e->link.next_send < e->queue.first) {
        e->link.next_send = e->queue.first;
    }
    return true;
}

static void ask_again(struct engine *e, struct engine_read *r)
{
    cb_list_remove(&r->link);
    cb_list_push_back(&e->reads_unsent, &r->link);
    e->reads_retry_ns = e->now_ns + READ_RETRY_NS;
}

void engine_take_reads(struct engine *e, const struct wire_to_proxy *m)
{
    for (uint32_t i = 0; i < m->n_reads; i++) {
        const struct wire_read_result *answer = &m->reads[i];
        struct engine_read *r = cb_map_get(&e->by_read, answer->read);
        if (r == NULL) {
            continue; /* its client has gone */
        }
        if (answer->again) {
            ask_again(e, r);
            continue;
        }
        struct engine_client *c = r->client;
        engine_answer_read(c, r->slot, answer);
        engine_client_run(c);
    }
}
