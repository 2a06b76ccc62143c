/* The gRPC runtime of a process: its completion-queue thread and the bridge to the loop.
 *
 * Completions arrive on a thread of their own, reach the loop through a lock-free stack, and are
 * handled there: whoever uses this layer sees one thread. Payloads are bytes; this layer knows
 * none of our messages.
 * Owns:      the completion queue, its thread, three libuv handles.
 * Threads:   every function of every rpc_*.h is called on the loop's thread, and every callback
 *            runs there, from the loop, never from within a call of this layer.
 * Errors:    enum rpc_code, numbered as gRPC's. What the environment refuses at start (a thread)
 *            ends the process.
 * Process:   rpc_create ignores SIGPIPE and sends the library's own log lines to cb_log as
 *            "grpc.log". A process that forks must do so before rpc_create. */
#ifndef CB_COMMON_RPC_RPC_H
#define CB_COMMON_RPC_RPC_H

#include <uv.h>

/* gRPC's status codes (its document statuscodes.md). */
enum rpc_code {
    RPC_OK = 0,
    RPC_CANCELLED = 1,
    RPC_UNKNOWN = 2,
    RPC_INVALID_ARGUMENT = 3,
    RPC_DEADLINE_EXCEEDED = 4,
    RPC_NOT_FOUND = 5,
    RPC_ALREADY_EXISTS = 6,
    RPC_PERMISSION_DENIED = 7,
    RPC_RESOURCE_EXHAUSTED = 8,
    RPC_FAILED_PRECONDITION = 9,
    RPC_ABORTED = 10,
    RPC_OUT_OF_RANGE = 11,
    RPC_UNIMPLEMENTED = 12,
    RPC_INTERNAL = 13,
    RPC_UNAVAILABLE = 14,
    RPC_DATA_LOSS = 15,
    RPC_UNAUTHENTICATED = 16,
};

/* How a call or a stream ended. Its strings live as long as the callback that hands it over. */
struct rpc_status {
    enum rpc_code code;
    const char *message; /* never NULL; what a peer wrote, so not to be trusted */
    const char
        *leader; /* the address in the trailing metadata "cb-leader"; NULL when there is none */
};

struct rpc;

/* One per process. `loop` must outlive it. */
struct rpc *rpc_create(uv_loop_t *loop);

/* Every server and client must have been told to close before. Waits for them, ends the thread and
 * frees `rpc`; then calls `cb`, from the loop. Nothing of this layer runs after that. */
void rpc_close(struct rpc *rpc, void (*cb)(void *ctx), void *ctx);

/* "UNAVAILABLE" and so on, for log lines. */
const char *rpc_code_name(enum rpc_code code);

#endif
