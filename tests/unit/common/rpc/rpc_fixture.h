/* A loop with a server on a free port of 127.0.0.1 and a client of it. */
#ifndef CB_TESTS_UNIT_COMMON_RPC_RPC_FIXTURE_H
#define CB_TESTS_UNIT_COMMON_RPC_RPC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <uv.h>

#include "common/base/cb_limits.h"
#include "common/rpc/rpc.h"
#include "common/rpc/rpc_client.h"
#include "common/rpc/rpc_server.h"

struct fixture {
    uv_loop_t loop;
    uv_timer_t deadline;
    struct rpc *rpc;
    struct rpc_server *server; /* NULL: none, or closed */
    struct rpc_client *client; /* the same */
    uint16_t port;
    bool rpc_closed;
    void *health; /* a test's own */
};

/* A client alone, of `port`. */
void fixture_open_client(struct fixture *f, uint16_t port);
/* Both; `methods` are added, and `before_start` (may be NULL) may add others. */
void fixture_open(struct fixture *f,
                  const struct rpc_method *methods,
                  size_t count,
                  void (*before_start)(struct fixture *f));
/* Closes what is open; fails the test when a handle is left in the loop. */
void fixture_close(struct fixture *f);
void fixture_close_server(struct fixture *f);
void fixture_close_client(struct fixture *f);

/* One turn of the loop; false after 30 s since fixture_expect. */
void fixture_expect(struct fixture *f);
bool fixture_turn(struct fixture *f);

/* Turns the loop until `expr` holds; fails the test when that takes too long. */
#define WAIT_FOR(f, expr)                                                                          \
    do {                                                                                           \
        fixture_expect(f);                                                                         \
        while (!(expr)) {                                                                          \
            if (!fixture_turn(f)) {                                                                \
                fail_msg("waited in vain for: %s", #expr);                                         \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* What a callback saw last. */
struct outcome {
    int count; /* how often it was called */
    enum rpc_code code;
    char message[256];
    char leader[CB_ADDRESS_MAX];
    struct cb_buf bytes;
};

void outcome_fini(struct outcome *o);
void outcome_set(struct outcome *o, const struct rpc_status *status);
/* An rpc_unary_fn; `ctx` is a struct outcome. */
void outcome_done(void *ctx, const struct rpc_status *status, struct cb_span reply);
/* A unary call with the bytes of `request`, waited for. */
void call_and_wait(struct fixture *f, const char *path, const char *request, struct outcome *o);

#endif
