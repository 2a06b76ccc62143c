#include "node/link/link.h"

#include <stdio.h>

#include "common/base/cb_hash.h"
#include "common/base/cb_mem.h"
#include "node/link/link_internal.h"

uv_buf_t link_read_buffer(struct link *l)
{
    return uv_buf_init(l->buffer, sizeof l->buffer);
}

const struct link_counters *link_counters_get(const struct link *l)
{
    return &l->counters;
}

/* --- members --- */

static struct link_peer *find_peer(struct link *l, uint64_t id)
{
    for (size_t i = 0; i < CB_LINK_PEERS_MAX; i++) {
        if (l->peers[i].id == id) {
            return &l->peers[i];
        }
    }
    return NULL;
}

struct link_peer *link_peer_of(struct link *l, uint64_t id)
{
    CB_ASSERT(id != 0);
    struct link_peer *p = find_peer(l, id);
    if (p != NULL) {
        return p;
    }
    p = find_peer(l, 0);
    if (p != NULL) {
        *p = (struct link_peer){.l = l, .id = id, .retry_ticks = LINK_TICKS(CB_LINK_RETRY_MIN_MS)};
        cb_list_init(&p->queue);
    }
    return p;
}

static void free_peer(struct link_peer *p)
{
    if (p->out != NULL) {
        link_out_drop(p->out);
    }
    if (p->in != NULL) {
        link_in_close(p->in);
    }
    struct cb_list *first;
    while ((first = cb_list_first(&p->queue)) != NULL) {
        link_waiting_lose(p->l, CB_CONTAINER(first, struct link_waiting, link));
    }
    p->id = 0;
}

/* --- frames that wait --- */

static struct cb_span *append_piece(struct cb_span *to, struct cb_span piece)
{
    if (piece.len > 0) {
        *to++ = piece;
    }
    return to;
}

struct link_waiting *link_waiting_make(const struct link_message *m)
{
    size_t most = 2 + m->n_body;
    struct link_waiting *w =
        cb_malloc(sizeof *w + most * sizeof w->pieces[0] + LINK_FRAME_HEADER_SIZE + m->head.len);
    uint8_t *header = (uint8_t *)&w->pieces[most];
    uint8_t *head = header + LINK_FRAME_HEADER_SIZE;
    *w = (struct link_waiting){.size = LINK_FRAME_HEADER_SIZE};
    cb_list_init(&w->link);
    if (m->head.len > 0) {
        memcpy(head, m->head.ptr, m->head.len);
    }
    struct cb_span *payload = append_piece(w->pieces, cb_span(header, LINK_FRAME_HEADER_SIZE));
    struct cb_span *end = append_piece(payload, cb_span(head, m->head.len));
    for (size_t i = 0; i < m->n_body; i++) {
        end = append_piece(end, m->body[i]);
    }
    w->n_pieces = (size_t)(end - w->pieces);
    for (const struct cb_span *s = payload; s < end; s++) {
        w->size += s->len;
    }
    size_t len = w->size - LINK_FRAME_HEADER_SIZE;
    CB_ASSERT(len <= CB_LINK_FRAME_MAX);
    link_frame_header(header, m->type, (uint32_t)len,
                      cb_hash_pieces(payload, (size_t)(end - payload)));
    return w;
}

void link_waiting_end(struct link_waiting *w, bool sent)
{
    link_sent_cb cb = w->cb;
    void *arg = w->arg;
    cb_list_remove(&w->link);
    cb_free(w);
    if (cb != NULL) {
        cb(arg, sent);
    }
}

void link_waiting_lose(struct link *l, struct link_waiting *w)
{
    l->counters.sends_broken++;
    cb_list_remove(&w->link);
    cb_list_push_back(&l->lost, &w->link);
    link_wake(l);
}

static void call_back_lost(struct link *l)
{
    struct cb_list *first;
    while ((first = cb_list_first(&l->lost)) != NULL) {
        link_waiting_end(CB_CONTAINER(first, struct link_waiting, link), false);
    }
}

/* --- sending --- */

/* A connection is made for what is to be sent, once the time has come. */
static bool may_take(const struct link_peer *p)
{
    return p->out != NULL || p->wait_ticks == 0;
}

bool link_send(struct link *l,
               uint64_t to,
               const char *address,
               const struct link_message *messages,
               size_t count,
               link_sent_cb cb,
               void *arg)
{
    CB_ASSERT(count > 0 && to != l->config.self);
    struct link_peer *p = l->is_destroying ? NULL : link_peer_of(l, to);
    if (p == NULL) {
        l->counters.sends_unconnected++;
        return false;
    }
    snprintf(p->address, sizeof p->address, "%s", address);
    if (!may_take(p)) {
        l->counters.sends_unconnected++;
        return false;
    }
    if (p->queued >= l->config.queue_max) {
        l->counters.sends_full++;
        return false;
    }
    struct link_waiting *w = NULL;
    for (size_t i = 0; i < count; i++) {
        CB_ASSERT(messages[i].type >= LINK_FRAME_USER);
        w = link_waiting_make(&messages[i]);
        cb_list_push_back(&p->queue, &w->link);
        p->queued += w->size;
    }
    w->cb = cb; /* frames are sent in order, or lost all at once */
    w->arg = arg;
    link_wake(l);
    return true;
}

/* Comes before libuv polls: what was sent in one turn goes out in one write, and nothing waits
 * while the loop sleeps. */
static void on_flush(uv_idle_t *idle)
{
    link_flush(idle->data);
}

void link_flush(struct link *l)
{
    if (l->is_destroying || !uv_is_active((const uv_handle_t *)&l->flush)) {
        return;
    }
    CB_ASSERT(uv_idle_stop(&l->flush) == 0);
    for (size_t i = 0; i < CB_LINK_PEERS_MAX; i++) {
        if (l->peers[i].id != 0) {
            link_out_flush(&l->peers[i]);
        }
    }
    call_back_lost(l);
}

void link_wake(struct link *l)
{
    if (!l->is_destroying) {
        CB_ASSERT(uv_idle_start(&l->flush, on_flush) == 0);
    }
}

/* --- life --- */

static void on_tick(uv_timer_t *timer)
{
    struct link *l = timer->data;
    for (size_t i = 0; i < CB_LINK_PEERS_MAX; i++) {
        struct link_peer *p = &l->peers[i];
        if (p->id != 0 && !l->events.is_member(l->events.data, p->id, p->address)) {
            free_peer(p);
        } else if (p->id != 0) {
            link_out_tick(p);
        }
    }
    link_in_tick(l);
}

struct link *
link_create(struct uv_loop_s *loop, const struct link_config *config, const struct link_events *e)
{
    CB_ASSERT(config->self != 0);
    struct link *l = cb_calloc(1, sizeof *l);
    l->loop = loop;
    l->config = *config;
    l->events = *e;
    snprintf(l->address, sizeof l->address, "%s", config->address);
    l->config.address = l->address;
    l->config.queue_max = config->queue_max == 0 ? CB_LINK_QUEUE_MAX : config->queue_max;
    cb_list_init(&l->listeners);
    cb_list_init(&l->unknown);
    cb_list_init(&l->lost);
    unsigned tick_ms = config->tick_ms == 0 ? CB_LINK_TICK_MS : config->tick_ms;
    CB_ASSERT(uv_idle_init(loop, &l->flush) == 0);
    CB_ASSERT(uv_timer_init(loop, &l->tick) == 0);
    CB_ASSERT(uv_timer_start(&l->tick, on_tick, tick_ms, tick_ms) == 0);
    l->flush.data = l->tick.data = l;
    l->n_handles = 2;
    return l;
}

void link_handle_opened(struct link *l)
{
    l->n_handles++;
}

void link_handle_closed(struct link *l)
{
    CB_ASSERT(l->n_handles > 0);
    if (--l->n_handles > 0) {
        return;
    }
    call_back_lost(l);
    void (*destroyed)(void *ctx) = l->destroyed;
    void *ctx = l->destroyed_ctx;
    cb_free(l);
    if (destroyed != NULL) {
        destroyed(ctx);
    }
}

static void on_own_closed(uv_handle_t *handle)
{
    link_handle_closed(handle->data);
}

void link_destroy(struct link *l, void (*destroyed)(void *ctx), void *ctx)
{
    CB_ASSERT(!l->is_destroying);
    l->is_destroying = true;
    l->destroyed = destroyed;
    l->destroyed_ctx = ctx;
    for (size_t i = 0; i < CB_LINK_PEERS_MAX; i++) {
        if (l->peers[i].id != 0) {
            free_peer(&l->peers[i]);
        }
    }
    CB_LIST_FOREACH_SAFE(it, tmp, &l->unknown)
    {
        link_in_close(CB_CONTAINER(it, struct link_in, link));
    }
    CB_LIST_FOREACH_SAFE(it, tmp, &l->listeners)
    {
        link_listener_close(CB_CONTAINER(it, struct link_listener, link));
    }
    uv_close((uv_handle_t *)&l->flush, on_own_closed);
    uv_close((uv_handle_t *)&l->tick, on_own_closed);
}
