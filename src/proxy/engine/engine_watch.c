/* What the nodes say about who leads. Each is asked once and tells of every change, so that after
 * an election the proxy is there within one message; trying node after node (engine_link.c) is for
 * the time in which nobody says anything. */
#include "proxy/engine/engine_internal.h"

/* A node that is down is asked again in this time: soon enough to hear of it when it leads. */
#define RETRY_MIN_NS (200 * CB_NS_PER_MS)
#define RETRY_SPAN_NS (100 * CB_NS_PER_MS)

void engine_watch_tick(struct engine *e)
{
    for (uint32_t i = 0; i < e->n_nodes && !e->is_superseded; i++) {
        struct engine_node *n = &e->nodes[i];
        if (engine_node_is_tried(n) && !n->is_watched && e->now_ns >= n->retry_ns) {
            n->is_watched = true;
            e->ops.watch_open(e->ops.ctx, i);
        }
    }
}

uint64_t engine_watch_wake_ns(const struct engine *e)
{
    uint64_t wake = ENGINE_NEVER;
    for (uint32_t i = 0; i < e->n_nodes; i++) {
        const struct engine_node *n = &e->nodes[i];
        if (engine_node_is_tried(n) && !n->is_watched && n->retry_ns < wake) {
            wake = n->retry_ns;
        }
    }
    return wake;
}

/* A node that was cut off or stood still may tell of a leader of long ago. */
void engine_watch_told(struct engine *e,
                       uint32_t node,
                       const struct wire_leadership *m,
                       uint64_t now_ns)
{
    e->now_ns = now_ns;
    if (!e->nodes[node].is_watched || e->is_superseded) {
        return;
    }
    engine_nodes_told(e, m);
    uint32_t led_by = engine_node_find(e, m->leader);
    if (led_by == e->n_nodes || m->term < e->led_term ||
        (m->term == e->led_term && e->link.state != ENGINE_LINK_DOWN)) {
        return;
    }
    e->led_term = m->term;
    engine_link_follow(e, led_by, m->term);
}

void engine_watch_closed(struct engine *e, uint32_t node, uint64_t now_ns)
{
    e->now_ns = now_ns;
    e->nodes[node].is_watched = false;
    e->nodes[node].retry_ns = now_ns + RETRY_MIN_NS + cb_rng_below(&e->rng, RETRY_SPAN_NS);
}
