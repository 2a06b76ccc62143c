#include "proxy/engine/engine.h"

#include "common/base/cb_mem.h"
#include "proxy/engine/engine_internal.h"

static void copy_config(struct engine *e, const struct engine_config *config)
{
    e->config = *config;
    e->config.name = cb_strdup(config->name);
    e->config.address = cb_strdup(config->address);
}

/* The strings of our copy were allocated, whatever the type says. */
static void free_const(const void *p)
{
    union {
        const void *constant;
        void *own;
    } u = {.constant = p};
    cb_free(u.own);
}

struct engine *
engine_create(const struct engine_config *config, const struct engine_ops *ops, uint64_t now_ns)
{
    struct engine *e = cb_calloc(1, sizeof *e);
    e->ops = *ops;
    e->now_ns = now_ns;
    copy_config(e, config);
    cb_rng_init(&e->rng, config->seed);
    cb_list_init(&e->clients);
    cb_list_init(&e->blocked);
    cb_map_init(&e->by_conn);
    cb_list_init(&e->reads_unsent);
    cb_list_init(&e->reads_sent);
    cb_map_init(&e->by_read);
    engine_queue_init(&e->queue, 1);
    engine_nodes_init(e);
    engine_link_init(e);
    return e;
}

void engine_destroy(struct engine *e)
{
    CB_ASSERT(e->n_clients == 0);
    engine_queue_fini(&e->queue);
    cb_map_fini(&e->by_conn);
    cb_map_fini(&e->by_read);
    wire_to_node_fini(&e->message);
    free_const(e->config.name);
    free_const(e->config.address);
    cb_free(e);
}

void engine_stream_writable(struct engine *e, uint32_t node, uint64_t now_ns)
{
    e->now_ns = now_ns;
    if (e->link.state != ENGINE_LINK_DOWN && e->link.node == node) {
        e->link.writable = true;
    }
}

static bool take_message(struct engine *e, const struct wire_to_proxy *m)
{
    if (!engine_link_take(e, m)) {
        return false;
    }
    engine_fence(e); /* before anything is answered */
    if (!engine_take_results(e, m) || !engine_take_applied(e, m->applied_request)) {
        return false;
    }
    if (m->expect != 0 && !engine_link_expect(e, m->expect, m->confirmed_seq)) {
        return false;
    }
    engine_take_reads(e, m);
    return true;
}

void engine_stream_message(struct engine *e,
                           uint32_t node,
                           const struct wire_to_proxy *m,
                           uint64_t now_ns)
{
    e->now_ns = now_ns;
    if (e->link.state == ENGINE_LINK_DOWN || e->link.node != node) {
        return;
    }
    if (engine_link_is_stale(e, m)) {
        engine_link_abandon(e, ENGINE_NOTE_STREAM_LEFT, e->led_term);
    } else if (!take_message(e, m)) {
        engine_link_abandon(e, ENGINE_NOTE_BAD_MESSAGE, 0);
    }
    engine_unblock(e);
}

void engine_stream_garbage(struct engine *e, uint32_t node, uint64_t now_ns)
{
    e->now_ns = now_ns;
    if (e->link.node == node) {
        engine_link_abandon(e, ENGINE_NOTE_BAD_MESSAGE, 0);
    }
}

void engine_drain(struct engine *e)
{
    e->draining = true;
}

void engine_stop(struct engine *e, uint64_t now_ns)
{
    e->now_ns = now_ns;
    e->stopping = true;
    (void)engine_abort_all(e, true);
}

bool engine_is_stopped(const struct engine *e)
{
    return e->stopping && e->n_clients == 0 && e->queue.len == 0;
}

void engine_tick(struct engine *e, uint64_t now_ns)
{
    e->now_ns = now_ns;
    if (!e->link.fenced) {
        engine_fence(e);
    }
    engine_watch_tick(e);
    engine_link_tick(e);
}

uint64_t engine_wake_ns(const struct engine *e)
{
    if (e->is_superseded) {
        return ENGINE_NEVER;
    }
    uint64_t wake = engine_link_wake_ns(e);
    uint64_t watch = engine_watch_wake_ns(e);
    wake = watch < wake ? watch : wake;
    bool retries_reads = e->reads_retry_ns != 0 && !cb_list_is_empty(&e->reads_unsent);
    if (e->link.state == ENGINE_LINK_ATTACHED && e->link.writable && retries_reads &&
        e->reads_retry_ns < wake) {
        wake = e->reads_retry_ns;
    }
    return wake;
}

void engine_flush(struct engine *e, uint64_t now_ns)
{
    engine_tick(e, now_ns);
    if (engine_has_to_send(e)) {
        engine_send(e);
    }
}
