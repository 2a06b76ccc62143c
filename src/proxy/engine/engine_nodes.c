/* The nodes of the cluster: those that the proxy was told of at its start, which stay, and those
 * that they name since then. */
#include "proxy/engine/engine_internal.h"

const char *engine_node_address(const struct engine *e, uint32_t node)
{
    CB_ASSERT(node < e->n_nodes);
    return e->nodes[node].address;
}

static void set_address(struct engine_node *n, const char *address)
{
    CB_ASSERT(strlen(address) < sizeof n->address);
    memcpy(n->address, address, strlen(address) + 1);
}

void engine_nodes_init(struct engine *e)
{
    CB_ASSERT(e->config.n_nodes > 0 && e->config.n_nodes <= CB_CLUSTER_NODES_MAX);
    for (; e->n_nodes < e->config.n_nodes; e->n_nodes++) {
        struct engine_node *n = &e->nodes[e->n_nodes];
        *n = (struct engine_node){.is_configured = true, .is_member = true, .retry_ns = e->now_ns};
        set_address(n, e->config.nodes[e->n_nodes]);
    }
    e->config.nodes = NULL; /* the caller's */
}

uint32_t engine_node_find(const struct engine *e, const char *address)
{
    uint32_t i = 0;
    while (i < e->n_nodes && strcmp(e->nodes[i].address, address) != 0) {
        i++;
    }
    return i;
}

uint32_t engine_node_next(const struct engine *e, uint32_t node)
{
    do {
        node = (node + 1) % e->n_nodes;
    } while (!engine_node_is_tried(&e->nodes[node])); /* some are configured */
    return node;
}

uint32_t engine_nodes_count(const struct engine *e)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < e->n_nodes; i++) {
        count += engine_node_is_tried(&e->nodes[i]);
    }
    return count;
}

/* A number that is free, or that of a node which has left; n_nodes of ENGINE_NODES_MAX: none. */
static uint32_t number_for_another(const struct engine *e)
{
    for (uint32_t i = 0; i < e->n_nodes; i++) {
        const struct engine_node *n = &e->nodes[i];
        bool is_linked = e->link.state != ENGINE_LINK_DOWN && e->link.node == i;
        if (!engine_node_is_tried(n) && !n->is_watched && !is_linked) {
            return i;
        }
    }
    return e->n_nodes;
}

static void add(struct engine *e, const char *address)
{
    uint32_t i = number_for_another(e);
    if (i == ENGINE_NODES_MAX || !e->ops.node_found(e->ops.ctx, i, address)) {
        return; /* the next list may find room; those that are known tell of who leads */
    }
    e->nodes[i] = (struct engine_node){.is_member = true, .retry_ns = e->now_ns};
    set_address(&e->nodes[i], address);
    e->n_nodes = i == e->n_nodes ? i + 1 : e->n_nodes;
}

static bool names(const struct wire_leadership *m, const char *address)
{
    for (uint32_t i = 0; i < m->n_members; i++) {
        if (strcmp(m->members[i], address) == 0) {
            return true;
        }
    }
    return false;
}

void engine_nodes_told(struct engine *e, const struct wire_leadership *m)
{
    if (m->members_index <= e->members_index) {
        return; /* known, or of a node that is behind */
    }
    e->members_index = m->members_index;
    for (uint32_t i = 0; i < e->n_nodes; i++) {
        e->nodes[i].is_member = names(m, e->nodes[i].address);
    }
    for (uint32_t i = 0; i < m->n_members; i++) {
        if (engine_node_find(e, m->members[i]) == e->n_nodes) {
            add(e, m->members[i]);
        }
    }
}
