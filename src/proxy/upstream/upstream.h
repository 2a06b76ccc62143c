/* The streams to the nodes: messages as structs on one side, gRPC on the other.
 *
 * Owns:     a channel to each node, and on it the session's stream and the watch, if they are open.
 * Does not: choose the node, or know what a message means.
 * Threads:  the loop's.
 * Errors:   a stream that ends says so in `closed`; bytes that are no message in `garbage`. */
#ifndef CB_PROXY_UPSTREAM_UPSTREAM_H
#define CB_PROXY_UPSTREAM_UPSTREAM_H

#include <stdint.h>

#include "common/rpc/rpc.h"
#include "common/wire/wire_queue.h"

struct upstream;

/* All come from the loop, never from within a call of this layer. */
struct upstream_callbacks {
    void *ctx;
    void (*message)(void *ctx, uint32_t node, const struct wire_to_proxy *m);
    void (*garbage)(void *ctx, uint32_t node, const char *why);
    void (*writable)(void *ctx, uint32_t node);
    /* `leader` is the address a node named; NULL when it named none. */
    void (*closed)(void *ctx, uint32_t node, const char *text, const char *leader);
    /* Of a watch: this node says who leads; and it has ended, or never began. */
    void (*told)(void *ctx, uint32_t node, const struct wire_leadership *m);
    void (*unwatched)(void *ctx, uint32_t node);
};

/* Of `n_max` nodes at most, of which none is known; `rpc` must outlive it. */
struct upstream *
upstream_create(struct rpc *rpc, uint32_t n_max, const struct upstream_callbacks *callbacks);
/* The node with that number is at `address`, a valid cb_addr with a port. One that had the number
 * is left; nothing may be open to it. */
void upstream_set_node(struct upstream *u, uint32_t node, const char *address);

/* A message may be sent at once, the next after `writable`. */
void upstream_open(struct upstream *u, uint32_t node);
/* No callback about this stream comes afterwards. */
void upstream_close(struct upstream *u, uint32_t node);
void upstream_send(struct upstream *u, uint32_t node, const struct wire_to_node *m);

/* Asks who leads: `told` with each change, until `unwatched`. Not while one is open. */
void upstream_watch(struct upstream *u, uint32_t node);

/* Ends all streams and channels, frees `u`, then calls `cb`. */
void upstream_destroy(struct upstream *u, void (*cb)(void *ctx), void *ctx);

#endif
