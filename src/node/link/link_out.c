/* The connection to a member that is written to: made when something is to be sent, and from then
 * on kept. Nothing is ever said on it by the other end. */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_addr.h"
#include "common/sys/cb_log.h"
#include "node/link/link_hello.h"
#include "node/link/link_internal.h"

/* A connection that has lasted for so long was not turned away: the next attempt may come soon. */
#define GOOD_TICKS LINK_TICKS(CB_LINK_RETRY_MAX_MS)

/* What libuv has not finished yet holds the memory. */
static void free_when_done(struct link_out *o)
{
    if (o->peer != NULL || o->is_resolving || o->has_stream) {
        return;
    }
    struct link *l = o->l;
    CB_ASSERT(cb_list_is_empty(&o->writing));
    cb_free(o);
    link_handle_closed(l);
}

static void lose_all(struct link *l, struct cb_list *list)
{
    struct cb_list *first;
    while ((first = cb_list_first(list)) != NULL) {
        link_waiting_lose(l, CB_CONTAINER(first, struct link_waiting, link));
    }
}

void link_out_drop(struct link_out *o)
{
    struct link_peer *p = o->peer;
    o->peer = NULL;
    p->out = NULL;
    p->queued = 0;
    lose_all(o->l, &p->queue);
    if (o->is_connected) {
        o->l->counters.lost++;
    }
    if (o->is_resolving) {
        (void)uv_cancel((uv_req_t *)&o->resolve); /* too late for one that runs: it is waited for */
    }
    if (o->has_stream) {
        link_stream_close(&o->stream);
    }
    free_when_done(o);
}

/* Another address of the same name is tried at once, and so is a member that was there until now:
 * it was cut off, or the refusal tells that it is gone. */
static void plan_next(struct link_peer *p, const struct link_out *o)
{
    bool was_good = o->is_connected && o->age_ticks >= GOOD_TICKS;
    if (was_good || (!o->is_connected && ++p->next_address < o->n_addresses)) {
        p->wait_ticks = 0;
        link_wake(p->l);
        return;
    }
    p->next_address = 0;
    p->wait_ticks = p->retry_ticks;
    unsigned most = LINK_TICKS(CB_LINK_RETRY_MAX_MS);
    p->retry_ticks = 2 * p->retry_ticks < most ? 2 * p->retry_ticks : most;
}

/* One line when a member goes, none for each attempt after that. */
static void fail(struct link_out *o, const char *why)
{
    struct link_peer *p = o->peer;
    plan_next(p, o);
    if (!o->is_connected) {
        o->l->counters.connects_failed++;
    }
    if (!p->is_down && p->wait_ticks > 0) {
        p->is_down = true;
        cb_log(CB_LOG_WARN, "link.down", "member=%" PRIu64 " at=%s why=\"%s\"", p->id, p->address,
               why);
    }
    link_out_drop(o);
}

/* --- writing --- */

/* Hands everything that waits to the network. */
static void write_queue(struct link_peer *p)
{
    struct link_out *o = p->out;
    size_t n = 0;
    CB_LIST_FOREACH(it, &p->queue)
    {
        n += CB_CONTAINER(it, struct link_waiting, link)->n_pieces;
    }
    uv_buf_t *bufs = cb_malloc(n * sizeof bufs[0]);
    uv_buf_t *to = bufs;
    struct cb_list *first;
    while ((first = cb_list_first(&p->queue)) != NULL) {
        struct link_waiting *w = CB_CONTAINER(first, struct link_waiting, link);
        for (size_t i = 0; i < w->n_pieces; i++) {
            /* libuv only reads it. */
            *to++ =
                (uv_buf_t){.base = (char *)(uintptr_t)w->pieces[i].ptr, .len = w->pieces[i].len};
        }
        cb_list_remove(first);
        cb_list_push_back(&o->writing, first);
        o->writing_size += w->size;
    }
    o->idle_ticks = 0;
    int rv = link_stream_write(&o->stream, bufs, (unsigned)n);
    cb_free(bufs);
    if (rv != 0) {
        lose_all(p->l, &o->writing);
        fail(o, uv_strerror(rv));
    }
}

void link_out_flush(struct link_peer *p)
{
    if (p->out == NULL) {
        if (p->wait_ticks == 0 && p->address[0] != '\0') {
            link_out_open(p);
        }
    } else if (p->out->is_connected && !p->out->stream.is_writing && !cb_list_is_empty(&p->queue)) {
        write_queue(p);
    }
}

static void on_written(void *data, int status)
{
    struct link_out *o = data;
    struct link *l = o->l;
    bool sent = status == 0 && o->peer != NULL;
    if (o->peer != NULL) {
        o->peer->queued -= o->writing_size;
    }
    o->writing_size = 0;
    struct cb_list *first;
    while ((first = cb_list_first(&o->writing)) != NULL) {
        uint64_t *count = sent ? &l->counters.frames_sent : &l->counters.sends_broken;
        (*count)++;
        link_waiting_end(CB_CONTAINER(first, struct link_waiting, link), sent);
    }
    if (o->peer == NULL) {
        return;
    }
    if (status != 0) {
        fail(o, uv_strerror(status));
    } else {
        link_wake(l);
    }
}

/* --- connecting --- */

static void push_own(struct link_peer *p, uint8_t type, struct cb_span payload)
{
    const struct link_message m = {.type = type, .head = payload};
    struct link_waiting *w = link_waiting_make(&m);
    cb_list_push_front(&p->queue, &w->link);
    p->queued += w->size;
    link_wake(p->l);
}

static void push_hello(struct link_peer *p)
{
    struct link_hello h = {.cluster = p->l->config.cluster, .from = p->l->config.self, .to = p->id};
    struct cb_buf bytes = CB_BUF_NULL;
    snprintf(h.address, sizeof h.address, "%s", p->l->address);
    link_hello_encode(&h, &bytes);
    push_own(p, LINK_FRAME_HELLO, cb_buf_span(&bytes));
    cb_buf_fini(&bytes);
}

/* At the last of its addresses. */
static void tell_refused(const struct link_peer *p, int status)
{
    const struct link_events *e = &p->l->events;
    if (status == UV_ECONNREFUSED && p->in == NULL && p->wait_ticks > 0) {
        e->gone(e->data, p->id);
    }
}

static void on_opened(void *data, int status)
{
    struct link_out *o = data;
    struct link_peer *p = o->peer;
    if (status != 0) {
        fail(o, uv_strerror(status));
        tell_refused(p, status);
        return;
    }
    o->is_connected = true;
    o->age_ticks = 0;
    o->l->counters.connects++;
    push_hello(p);
}

static void on_received(void *data, struct cb_span bytes)
{
    (void)bytes;
    fail(data, "it says something where it only has to listen");
}

static void on_ended(void *data, int status)
{
    fail(data, status == UV_EOF ? "it has closed the connection" : uv_strerror(status));
}

static void on_closed(void *data)
{
    struct link_out *o = data;
    o->has_stream = false;
    free_when_done(o);
}

static const struct link_stream_events events = {
    .opened = on_opened,
    .received = on_received,
    .written = on_written,
    .ended = on_ended,
    .closed = on_closed,
};

static void connect_to(struct link_out *o, const struct sockaddr *at)
{
    o->stream =
        (struct link_stream){.events = &events, .data = o, .buffer = link_read_buffer(o->l)};
    o->has_stream = true;
    o->age_ticks = 0;
    int rv = link_stream_connect(&o->stream, o->l->loop, at);
    if (rv != 0) {
        fail(o, uv_strerror(rv));
    }
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *found)
{
    struct link_out *o = resolve->data;
    o->is_resolving = false;
    if (o->peer == NULL) {
        free_when_done(o);
    } else if (status != 0) {
        fail(o, uv_strerror(status));
    } else {
        const struct addrinfo *at = found;
        for (const struct addrinfo *ai = found; ai != NULL; ai = ai->ai_next) {
            if (o->n_addresses++ == o->peer->next_address) {
                at = ai;
            }
        }
        connect_to(o, at->ai_addr);
    }
    uv_freeaddrinfo(found);
}

/* A name is looked up each time: it may have moved. */
static void resolve(struct link_out *o, const struct cb_addr *a)
{
    char port[8];
    snprintf(port, sizeof port, "%u", a->port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    o->resolve.data = o;
    int rv = uv_getaddrinfo(o->l->loop, &o->resolve, on_resolved, a->host, port, &hints);
    if (rv != 0) {
        fail(o, uv_strerror(rv));
        return;
    }
    o->is_resolving = true;
}

void link_out_open(struct link_peer *p)
{
    struct link_out *o = cb_calloc(1, sizeof *o);
    o->l = p->l;
    o->peer = p;
    p->out = o;
    cb_list_init(&o->writing);
    link_handle_opened(p->l);
    struct cb_addr a;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    enum cb_addr_result parsed = cb_addr_parse(&a, p->address);
    if (parsed != CB_ADDR_OK) {
        fail(o, cb_addr_strerror(parsed));
    } else if (a.kind == CB_ADDR_IPV4 && uv_ip4_addr(a.host, a.port, &v4) == 0) {
        connect_to(o, (const struct sockaddr *)&v4);
    } else if (a.kind == CB_ADDR_IPV6 && uv_ip6_addr(a.host, a.port, &v6) == 0) {
        connect_to(o, (const struct sockaddr *)&v6);
    } else {
        resolve(o, &a);
    }
}

static void note_good(struct link_peer *p)
{
    p->retry_ticks = LINK_TICKS(CB_LINK_RETRY_MIN_MS);
    if (p->is_down) {
        p->is_down = false;
        cb_log(CB_LOG_INFO, "link.up", "member=%" PRIu64 " at=%s", p->id, p->address);
    }
}

void link_out_tick(struct link_peer *p)
{
    struct link_out *o = p->out;
    if (o == NULL) {
        if (p->wait_ticks > 0 && --p->wait_ticks == 0) {
            link_wake(p->l);
        }
        return;
    }
    o->age_ticks++;
    if (o->is_connected && o->age_ticks == GOOD_TICKS) {
        note_good(p);
    }
    if (o->is_connected && ++o->idle_ticks >= LINK_TICKS(CB_LINK_PING_MS) &&
        !o->stream.is_writing) {
        push_own(p, LINK_FRAME_PING, CB_SPAN_NULL);
    }
    if (!o->is_connected && !o->is_resolving && o->age_ticks > LINK_TICKS(CB_LINK_CONNECT_MS)) {
        fail(o, "the connection is not made in time");
    }
}
