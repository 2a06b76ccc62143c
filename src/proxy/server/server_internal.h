/* What the files of the server share. Internal to this folder. */
#ifndef CB_PROXY_SERVER_SERVER_INTERNAL_H
#define CB_PROXY_SERVER_SERVER_INTERNAL_H

#include "common/base/cb_list.h"
#include "proxy/server/server.h"

#define SERVER_READ_SIZE 65536 /* of the buffer that all connections share */

union server_handle {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
};

struct server_listener {
    struct cb_list link;
    struct server *server;
    union server_handle h;
    bool is_unix;
    char address[CB_ADDRESS_MAX];
};

struct server_conn {
    struct cb_list link;  /* in server.conns */
    struct cb_list dirty; /* in server.dirty: something is to be written or closed */
    struct server *server;
    struct engine_client *client; /* NULL once the engine was told that it is gone */
    union server_handle h;
    uv_write_t write;
    struct cb_buf writing; /* what `write` sends; empty: none is under way */
    bool close_now;
    bool close_flushed;
};

struct server {
    uv_loop_t *loop;
    const struct cb_clock *clock;
    struct engine *engine;
    uint32_t clients_max;
    uint32_t n_conns; /* those with an open handle */
    struct cb_list listeners;
    struct cb_list conns;
    struct cb_list dirty;
    struct server_counters counters;
    uint32_t n_handles; /* listeners and connections that libuv still knows */
    bool destroying;
    void (*destroyed)(void *ctx);
    void *destroyed_ctx;
    char buffer[SERVER_READ_SIZE];
};

/* --- server_socket.c: sockets that listen, without libuv --- */

/* Returns a listening descriptor, or -1 with a sentence in `error`. */
int server_socket_open(const struct cb_addr *address, struct cb_buf *error);
int server_socket_open_any(uint16_t port, struct cb_buf *error);
/* What it is bound to, as clients write it. False when it is no listening stream socket. */
bool server_socket_describe(int fd, char out[static CB_ADDRESS_MAX], bool *is_unix);

/* --- server_conn.c --- */
void server_conn_accept(struct server_listener *l);
void server_conn_flush(struct server_conn *c);
void server_conn_close(struct server_conn *c);

/* --- server.c --- */
void server_handle_opened(struct server *s);
/* Counts and logs a client that there was no room for. */
void server_refused(struct server *s);
/* May free `s`. */
void server_handle_closed(struct server *s);

#endif
