#include "common/base/cb_mem.h"
#include "proxy/engine/engine_internal.h"

#define CAP_MIN 256

void engine_queue_init(struct engine_queue *q, uint64_t first)
{
    *q = (struct engine_queue){.first = first};
}

static size_t cost(const struct engine_request *r)
{
    return sizeof *r + r->wire.tube.len + r->wire.body.len;
}

static void drop_first(struct engine_queue *q)
{
    struct engine_request *r = q->ring[q->head];
    q->bytes -= cost(r);
    cb_buf_fini(&r->bytes);
    cb_free(r);
    q->head = (q->head + 1) & (q->cap - 1);
    q->len--;
    q->first++;
}

void engine_queue_clear(struct engine_queue *q, uint64_t first)
{
    while (q->len > 0) {
        drop_first(q);
    }
    q->first = first;
}

void engine_queue_fini(struct engine_queue *q)
{
    engine_queue_clear(q, q->first);
    cb_free(q->ring);
    *q = (struct engine_queue){0};
}

static void grow(struct engine_queue *q)
{
    uint32_t cap = q->cap == 0 ? CAP_MIN : 2 * q->cap;
    CB_ASSERT(cap > q->cap);
    struct engine_request **ring = cb_malloc(cap * sizeof(struct engine_request *));
    for (uint32_t i = 0; i < q->len; i++) {
        ring[i] = q->ring[(q->head + i) & (q->cap - 1)];
    }
    cb_free(q->ring);
    q->ring = ring;
    q->cap = cap;
    q->head = 0;
}

uint64_t
engine_queue_add(struct engine_queue *q, const struct wire_request *wire, struct cb_buf *body)
{
    if (q->len == q->cap) {
        grow(q);
    }
    struct engine_request *r = cb_malloc(sizeof *r + wire->tube.len);
    r->wire = *wire;
    r->wire.number = engine_queue_next(q);
    r->bytes = body != NULL ? cb_buf_take(body) : CB_BUF_NULL;
    r->wire.body = cb_buf_span(&r->bytes);
    if (wire->tube.len > 0) {
        memcpy(r->name, wire->tube.ptr, wire->tube.len);
    }
    r->wire.tube = cb_span(r->name, wire->tube.len);
    q->ring[(q->head + q->len) & (q->cap - 1)] = r;
    q->len++;
    q->bytes += cost(r);
    return r->wire.number;
}

const struct engine_request *engine_queue_get(const struct engine_queue *q, uint64_t number)
{
    CB_ASSERT(number >= q->first && number - q->first < q->len);
    return q->ring[(q->head + (uint32_t)(number - q->first)) & (q->cap - 1)];
}

uint64_t engine_queue_next(const struct engine_queue *q)
{
    return q->first + q->len;
}

void engine_queue_applied(struct engine_queue *q, uint64_t number)
{
    while (q->len > 0 && q->first <= number) {
        drop_first(q);
    }
}
