/* What the files of the links share: link.c has the members and what waits for them, link_out.c
 * the connection on which one is written to, link_in.c those that are read, link_listen.c the
 * listeners. */
#ifndef CB_NODE_LINK_LINK_INTERNAL_H
#define CB_NODE_LINK_LINK_INTERNAL_H

#include <uv.h>

#include "common/base/cb_limits.h"
#include "common/base/cb_list.h"
#include "node/link/link.h"
#include "node/link/link_frame.h"
#include "node/link/link_stream.h"

/* Ticks, not moments: a process that was stopped for a while has lived through one, and does not
 * take its own absence for that of the others. */
#define LINK_TICKS(ms) ((ms) / CB_LINK_TICK_MS)

/* A frame that waits, or is with the network. */
struct link_waiting {
    struct cb_list link;
    link_sent_cb cb; /* NULL: nobody asks */
    void *arg;
    size_t size;
    size_t n_pieces;
    struct cb_span pieces[]; /* the header and the head lie behind them */
};

struct link_peer {
    struct link *l;
    uint64_t id;                  /* 0: the slot is free */
    char address[CB_ADDRESS_MAX]; /* empty: nothing was sent there yet */
    struct link_out *out;         /* NULL: no connection, nor one being made */
    struct link_in *in;           /* NULL: it has none */
    struct cb_list queue;         /* struct link_waiting: not yet with the network */
    size_t queued;                /* bytes, with those that `out` is writing */
    unsigned wait_ticks;          /* until the next attempt at a connection */
    unsigned retry_ticks;         /* what that is set to after the next failure */
    unsigned next_address;        /* of those that its name has */
    bool is_down;                 /* as last logged */
};

/* A connection that is written to, or an attempt at one. */
struct link_out {
    struct link *l;
    struct link_peer *peer; /* NULL: given up, its memory waits for libuv */
    struct link_stream stream;
    uv_getaddrinfo_t resolve;
    bool is_resolving;
    bool has_stream;
    bool is_connected;
    unsigned age_ticks;
    unsigned idle_ticks; /* without a frame */
    unsigned n_addresses;
    struct cb_list writing; /* struct link_waiting */
    size_t writing_size;
};

/* A connection that is read. */
struct link_in {
    struct cb_list link; /* in `unknown` of the link until it has said hello */
    struct link *l;
    struct link_peer *peer; /* NULL: it has not said hello, or is closing */
    struct link_stream stream;
    struct link_decoder decoder;
    bool is_closing;
    unsigned silent_ticks; /* without a frame; before the hello: since it was accepted */
    char from[LINK_FROM_MAX];
    char address[CB_ADDRESS_MAX];
};

struct link_listener {
    struct cb_list link; /* in `listeners` of the link */
    struct link *l;
    uv_tcp_t tcp;
};

struct link {
    uv_loop_t *loop;
    struct link_config config;
    char address[CB_ADDRESS_MAX];
    struct link_events events;
    struct link_counters counters;
    struct cb_list listeners;
    struct link_peer peers[CB_LINK_PEERS_MAX];
    struct cb_list unknown; /* struct link_in, oldest first */
    size_t n_unknown;
    struct cb_list lost; /* struct link_waiting: to be called back */
    uv_timer_t tick;
    uv_idle_t flush;
    size_t n_handles; /* of libuv's, requests outside of them too */
    void (*destroyed)(void *ctx);
    void *destroyed_ctx;
    bool is_destroying;
    char buffer[CB_LINK_READ_SIZE];
};

/* --- link.c --- */
uv_buf_t link_read_buffer(struct link *l);
/* The slot of `id`, made when there is none; NULL: all are taken. */
struct link_peer *link_peer_of(struct link *l, uint64_t id);
/* Something waits to be sent or called back: libuv comes back to it before it sleeps. */
void link_wake(struct link *l);
/* A frame of this layer's own. */
struct link_waiting *link_waiting_make(const struct link_message *m);
/* Frees it; calls back first. */
void link_waiting_end(struct link_waiting *w, bool sent);
/* Calls it back later: it is lost. */
void link_waiting_lose(struct link *l, struct link_waiting *w);
/* A handle or a request ends with link_handle_closed, which may free `l`. */
void link_handle_opened(struct link *l);
void link_handle_closed(struct link *l);

/* --- link_listen.c --- */
void link_listener_close(struct link_listener *listener);

/* --- link_out.c --- */
void link_out_open(struct link_peer *p);
void link_out_flush(struct link_peer *p);
void link_out_tick(struct link_peer *p);
/* The peer has no `out` any more; what was to be sent is lost. */
void link_out_drop(struct link_out *o);

/* --- link_in.c --- */
enum link_refusal {
#define X(name, what, todo) LINK_REFUSED_##name,
    LINK_REFUSALS(X)
#undef X
};
void link_in_accept(struct link_listener *listener);
void link_in_tick(struct link *l);
/* Without a log line. */
void link_in_close(struct link_in *in);

#endif
