/* The clients' sockets: TCP on IPv4 and IPv6, unix sockets, sockets handed over by systemd.
 *
 * Bytes go to the engine as they come; answers are gathered during a turn of the loop and written
 * at its end, without a copy when the socket takes them.
 * Owns:     listeners and connections; the read buffer that all of them share.
 * Does not: parse anything or know the cluster.
 * Threads:  the loop's.
 * Errors:   of listening: a sentence. A client that the process has no descriptor for is accepted,
 *           closed and counted. */
#ifndef CB_PROXY_SERVER_SERVER_H
#define CB_PROXY_SERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_buf.h"
#include "common/sys/cb_addr.h"
#include "common/sys/cb_clock.h"
#include "proxy/engine/engine.h"

struct server;

struct server_counters {
    uint64_t accepted;
    uint64_t refused; /* at the bound of connections, or of descriptors */
};

/* `clients_max` is the number of connections at once. */
struct server *server_create(uv_loop_t *loop, const struct cb_clock *clock, uint32_t clients_max);

/* Binds and listens; clients are accepted from server_start on. On failure `error` gets one
 * sentence. */
CB_MUST_USE bool
server_listen(struct server *s, const struct cb_addr *address, struct cb_buf *error);
/* IPv6 and IPv4 on one socket; IPv4 alone where the system has no IPv6. */
CB_MUST_USE bool server_listen_any(struct server *s, uint16_t port, struct cb_buf *error);
/* A socket that listens already, from the service manager. */
CB_MUST_USE bool server_listen_fd(struct server *s, int fd, struct cb_buf *error);
/* Where clients connect, one line for each listener, as bound. */
void server_addresses(const struct server *s, struct cb_buf *out);

void server_start(struct server *s, struct engine *engine);
/* At the end of a turn of the loop: writes answers, closes what is to be closed. */
void server_flush(struct server *s);
/* Accepts no more. */
void server_stop_listening(struct server *s);
/* Ends all connections at once and frees `s` once libuv lets go of it, then calls `cb`. */
void server_destroy(struct server *s, void (*cb)(void *ctx), void *ctx);

struct server_counters server_counters(const struct server *s);

/* The engine's callbacks about clients (struct engine_ops); `ctx` is not used. */
void server_client_output(void *ctx, void *user);
void server_client_reading(void *ctx, void *user, bool on);
void server_client_close(void *ctx, void *user, bool flush);

#endif
