/* The bytes of one connection: this is where encryption goes in. Now they go to the socket as they
 * are; with TLS `opened` comes after the handshake, and reading and writing pass through it.
 * Nothing above calls libuv about a connection.
 *
 * Owns:     its handle; its user frees it, after `closed`.
 * Threads:  the loop's only. Events come from the loop, none but `written` and `closed` after
 *           link_stream_close.
 * Errors:   libuv's numbers, to be said by uv_strerror. */
#ifndef CB_NODE_LINK_LINK_STREAM_H
#define CB_NODE_LINK_LINK_STREAM_H

#include <stdbool.h>
#include <uv.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_span.h"

#define LINK_FROM_MAX 64 /* "[ipv6]:port" and a scope */

struct link_stream_events {
    void (*opened)(void *data, int status);
    void (*received)(void *data, struct cb_span bytes); /* they live until the return */
    void (*written)(void *data, int status);            /* once for each link_stream_write */
    void (*ended)(void *data, int status);              /* UV_EOF: the other end has closed it */
    void (*closed)(void *data);
};

struct link_stream {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    bool is_writing;
    const struct link_stream_events *events;
    void *data;
    uv_buf_t buffer; /* to read into; shared: its bytes are used up before the next read */
};

/* Both begin reading by themselves; the other end of one that was accepted is in `from`. Not 0: the
 * handle is to be closed all the same. */
CB_MUST_USE int
link_stream_connect(struct link_stream *s, uv_loop_t *loop, const struct sockaddr *to);
CB_MUST_USE int link_stream_accept(struct link_stream *s,
                                   uv_loop_t *loop,
                                   uv_stream_t *listener,
                                   char from[static LINK_FROM_MAX]);
/* One at a time. The bytes, not the array, live until `written`, which does not come when this
 * returns anything but 0. */
CB_MUST_USE int link_stream_write(struct link_stream *s, const uv_buf_t *bufs, unsigned n);
/* Again: nothing. */
void link_stream_close(struct link_stream *s);

#endif
