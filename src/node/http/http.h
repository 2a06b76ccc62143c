/* A small HTTP server for operators: health and status of this node. GET and HEAD only.
 *
 * Owns:      the listening socket and its connections.
 * Does not:  know what it serves: a function of the owner answers by path.
 * Threads:   the loop's; libmicrohttpd runs on its epoll descriptor in the loop, without threads.
 * Errors:    http_open says in one line why it cannot listen. */
#ifndef CB_NODE_HTTP_HTTP_H
#define CB_NODE_HTTP_HTTP_H

#include <stdbool.h>
#include <uv.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_buf.h"

struct http;

struct http_reply {
    unsigned status;          /* 200, 404, 503 */
    const char *content_type; /* a literal */
    struct cb_buf body;
};

/* Fills in `reply`, which stands at 404 and an empty text; `path` is without its query. */
typedef void (*http_answer_fn)(void *data, const char *path, struct http_reply *reply);

/* Listens at "HOST:PORT" (a literal address). NULL: `error` has one line. */
CB_MUST_USE struct http *http_open(
    uv_loop_t *loop, const char *address, http_answer_fn answer, void *data, struct cb_buf *error);
/* Stops at once; `http` is freed when its handles are closed, by later turns of the loop. */
void http_close(struct http *h);

#endif
