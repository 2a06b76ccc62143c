/* What the nodes say about who leads. Each is asked once and tells of every change, so that after
 * an election the proxy is there within one message; trying node after node (engine_link.c) is for
 * the time in which nobody says anything. */
#include "common/base/cb_mem.h"
#include "proxy/engine/engine_internal.h"

/* A node that is down is asked again in this time: soon enough to hear of it when it leads. */
#define RETRY_MIN_NS (200 * CB_NS_PER_MS)
#define RETRY_SPAN_NS (100 * CB_NS_PER_MS)

void engine_watch_init(struct engine *e)
{
    e->watches = cb_calloc(e->config.n_nodes, sizeof e->watches[0]);
    for (uint32_t i = 0; i < e->config.n_nodes; i++) {
        e->watches[i].retry_ns = e->now_ns;
    }
}

void engine_watch_tick(struct engine *e)
{
    for (uint32_t i = 0; i < e->config.n_nodes && !e->is_superseded; i++) {
        struct engine_watch *w = &e->watches[i];
        if (!w->is_open && e->now_ns >= w->retry_ns) {
            w->is_open = true;
            e->ops.watch_open(e->ops.ctx, i);
        }
    }
}

uint64_t engine_watch_wake_ns(const struct engine *e)
{
    uint64_t wake = ENGINE_NEVER;
    for (uint32_t i = 0; i < e->config.n_nodes; i++) {
        const struct engine_watch *w = &e->watches[i];
        if (!w->is_open && w->retry_ns < wake) {
            wake = w->retry_ns;
        }
    }
    return wake;
}

/* A node that was cut off or stood still may tell of a leader of long ago. */
void engine_watch_told(
    struct engine *e, uint32_t node, uint64_t term, const char *leader, uint64_t now_ns)
{
    e->now_ns = now_ns;
    uint32_t led_by = engine_link_find(e, leader);
    if (!e->watches[node].is_open || e->is_superseded || led_by >= e->config.n_nodes ||
        term < e->led_term || (term == e->led_term && e->link.state != ENGINE_LINK_DOWN)) {
        return;
    }
    e->led_term = term;
    engine_link_follow(e, led_by, term);
}

void engine_watch_closed(struct engine *e, uint32_t node, uint64_t now_ns)
{
    e->now_ns = now_ns;
    e->watches[node].is_open = false;
    e->watches[node].retry_ns = now_ns + RETRY_MIN_NS + cb_rng_below(&e->rng, RETRY_SPAN_NS);
}
