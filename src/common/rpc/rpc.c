#include "common/rpc/rpc.h"

#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "common/rpc/rpc_internal.h"
#include "common/sys/cb_log.h"

_Static_assert((int)RPC_UNAUTHENTICATED == (int)GRPC_STATUS_UNAUTHENTICATED, "gRPC's numbers");
_Static_assert((int)RPC_UNAVAILABLE == (int)GRPC_STATUS_UNAVAILABLE, "gRPC's numbers");

struct rpc {
    uv_loop_t *loop;
    grpc_completion_queue *queue;
    pthread_t thread;

    /* Pushed by the queue's thread, newest first; taken whole by the loop. */
    _Atomic(struct rpc_tag *) inbox;
    uv_async_t wakeup;

    /* Completions that start_batch gave back on the spot, oldest first. They are delivered from the
     * check phase, and while there are any the idle handle keeps the loop from sleeping. */
    struct rpc_tag *deferred;
    struct rpc_tag **deferred_end;
    uv_check_t check;
    uv_idle_t idle;

    size_t tags;    /* given away and not yet delivered */
    size_t objects; /* servers and clients not yet closed */
    bool closing;
    struct rpc_tag stopped; /* the thread's last: it has left the queue */
    unsigned handles_open;
    void (*close_cb)(void *ctx);
    void *close_ctx;
};

/* --- tags and their way to the loop --- */

void rpc_tag_init(struct rpc_tag *tag, void (*done)(struct rpc_tag *tag, bool ok))
{
    tag->next = NULL;
    tag->done = done;
    tag->ok = false;
    atomic_init(&tag->armed, false);
}

void rpc_tag_arm(struct rpc *rpc, struct rpc_tag *tag)
{
    CB_ASSERT(!atomic_load_explicit(&tag->armed, memory_order_relaxed));
    rpc->tags++;
    atomic_store_explicit(&tag->armed, true, memory_order_release);
}

/* Only the queue's thread pushes, and the loop takes all at once: no ABA. */
static void inbox_push(struct rpc *rpc, struct rpc_tag *tag)
{
    struct rpc_tag *head = atomic_load_explicit(&rpc->inbox, memory_order_relaxed);
    do {
        tag->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&rpc->inbox, &head, tag, memory_order_release,
                                                    memory_order_relaxed));
    if (head == NULL) {
        uv_async_send(&rpc->wakeup); /* else the loop has been woken and has not looked yet */
    }
}

static struct rpc_tag *inbox_take(struct rpc *rpc)
{
    struct rpc_tag *newest = atomic_exchange_explicit(&rpc->inbox, NULL, memory_order_acquire);
    struct rpc_tag *oldest = NULL;
    while (newest != NULL) {
        struct rpc_tag *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* it is there to make the poll return at once */
}

static void deferred_push(struct rpc *rpc, struct rpc_tag *tag)
{
    if (rpc->deferred == NULL) {
        /* uv_idle_start only fails without a callback. */
        (void)uv_idle_start(&rpc->idle, on_idle);
    }
    tag->next = NULL;
    *rpc->deferred_end = tag;
    rpc->deferred_end = &tag->next;
}

static void deliver(struct rpc *rpc, struct rpc_tag *list)
{
    while (list != NULL) {
        struct rpc_tag *tag = list;
        list = tag->next; /* `done` may free the tag, or start it again */
        atomic_store_explicit(&tag->armed, false, memory_order_relaxed);
        rpc->tags--;
        tag->done(tag, tag->ok);
    }
}

static void on_wakeup(uv_async_t *wakeup)
{
    struct rpc *rpc = wakeup->data;
    deliver(rpc, inbox_take(rpc));
}

/* Only what is there now: what its delivery adds waits for the next turn, so that a sender who is
 * never refused cannot keep the loop from everything else. */
static void on_check(uv_check_t *check)
{
    struct rpc *rpc = check->data;
    struct rpc_tag *list = rpc->deferred;
    rpc->deferred = NULL;
    rpc->deferred_end = &rpc->deferred;
    uv_idle_stop(&rpc->idle);
    deliver(rpc, list);
}

void rpc_start_batch(
    struct rpc *rpc, grpc_call *call, const grpc_op *ops, size_t count, struct rpc_tag *tag)
{
    void *done = NULL;
    int ok = 0;
    rpc_tag_arm(rpc, tag);
    /* A send mostly completes within the call. Its completion is caught here instead of going round
     * by the queue's thread; one at most, and not always. */
    grpc_completion_queue_thread_local_cache_init(rpc->queue);
    grpc_call_error e = grpc_call_start_batch(call, ops, count, tag, NULL);
    CB_ASSERT(e == GRPC_CALL_OK);
    if (grpc_completion_queue_thread_local_cache_flush(rpc->queue, &done, &ok) == 1) {
        struct rpc_tag *cached = done;
        cached->ok = ok != 0;
        deferred_push(rpc, cached);
    }
}

void rpc_defer(struct rpc *rpc, struct rpc_tag *tag)
{
    rpc_tag_arm(rpc, tag);
    tag->ok = true;
    deferred_push(rpc, tag);
}

static void *queue_main(void *arg)
{
    struct rpc *rpc = arg;
    for (;;) {
        grpc_event ev =
            grpc_completion_queue_next(rpc->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (ev.type == GRPC_QUEUE_SHUTDOWN) {
            inbox_push(rpc, &rpc->stopped);
            return NULL;
        }
        CB_ASSERT(ev.type == GRPC_OP_COMPLETE);
        struct rpc_tag *tag = ev.tag;
        CB_ASSERT(atomic_load_explicit(&tag->armed, memory_order_acquire));
        tag->ok = ev.success != 0;
        inbox_push(rpc, tag);
    }
}

/* --- start and end --- */

/* Runs on any thread of the library. */
static void on_grpc_log(gpr_log_func_args *args)
{
    char message[CB_LOG_LINE_MAX];
    (void)snprintf(message, sizeof message, "%s", args->message);
    for (char *quote = message; (quote = strchr(quote, '"')) != NULL;) {
        *quote = '\''; /* the value stands in quotes itself */
    }
    /* The library's errors are mostly a peer's: nothing that needs a human. */
    enum cb_log_level level = args->severity == GPR_LOG_SEVERITY_ERROR ? CB_LOG_WARN : CB_LOG_DEBUG;
    const char *file = strrchr(args->file, '/');
    cb_log(level, "grpc.log", "at=%s:%d msg=\"%s\"", file != NULL ? file + 1 : args->file,
           args->line, message);
}

static void ignore_sigpipe(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    int e = sigaction(SIGPIPE, &ignore, NULL);
    CB_ASSERT(e == 0);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct rpc *rpc = handle->data;
    if (--rpc->handles_open > 0) {
        return;
    }
    void (*cb)(void *ctx) = rpc->close_cb;
    void *ctx = rpc->close_ctx;
    cb_free(rpc);
    cb(ctx);
}

static void on_stopped(struct rpc_tag *tag, bool ok)
{
    (void)ok;
    struct rpc *rpc = CB_CONTAINER(tag, struct rpc, stopped);
    int e = pthread_join(rpc->thread, NULL);
    CB_ASSERT(e == 0 && rpc->tags == 0 && rpc->deferred == NULL);
    grpc_completion_queue_destroy(rpc->queue);
    grpc_shutdown();
    uv_close((uv_handle_t *)&rpc->wakeup, on_handle_closed);
    uv_close((uv_handle_t *)&rpc->check, on_handle_closed);
    uv_close((uv_handle_t *)&rpc->idle, on_handle_closed);
}

static void init_handles(struct rpc *rpc)
{
    int e = uv_async_init(rpc->loop, &rpc->wakeup, on_wakeup);
    if (e != 0) {
        cb_die("cannot make an eventfd for gRPC (%s); raise the limit of open files",
               uv_strerror(e));
    }
    (void)uv_check_init(rpc->loop, &rpc->check); /* these three cannot fail */
    (void)uv_idle_init(rpc->loop, &rpc->idle);
    (void)uv_check_start(&rpc->check, on_check);
    rpc->wakeup.data = rpc;
    rpc->check.data = rpc;
    rpc->idle.data = rpc;
    rpc->handles_open = 3;
}

struct rpc *rpc_create(uv_loop_t *loop)
{
    struct rpc *rpc = cb_calloc(1, sizeof *rpc);
    rpc->loop = loop;
    rpc->deferred_end = &rpc->deferred;
    rpc_tag_init(&rpc->stopped, on_stopped);
    ignore_sigpipe();
    gpr_set_log_function(on_grpc_log);
    grpc_init();
    rpc->queue = grpc_completion_queue_create_for_next(NULL);
    init_handles(rpc);
    int e = pthread_create(&rpc->thread, NULL, queue_main, rpc);
    if (e != 0) {
        cb_die("cannot start the gRPC thread (%s); raise the limit of processes", strerror(e));
    }
    return rpc;
}

static void stop_when_idle(struct rpc *rpc)
{
    if (rpc->closing && rpc->objects == 0) {
        rpc_tag_arm(rpc, &rpc->stopped);
        grpc_completion_queue_shutdown(rpc->queue);
    }
}

void rpc_close(struct rpc *rpc, void (*cb)(void *ctx), void *ctx)
{
    CB_ASSERT(!rpc->closing);
    rpc->closing = true;
    rpc->close_cb = cb;
    rpc->close_ctx = ctx;
    stop_when_idle(rpc);
}

void rpc_object_opened(struct rpc *rpc)
{
    CB_ASSERT(!rpc->closing);
    rpc->objects++;
}

void rpc_object_closed(struct rpc *rpc)
{
    CB_ASSERT(rpc->objects > 0);
    rpc->objects--;
    stop_when_idle(rpc);
}

uv_loop_t *rpc_loop(struct rpc *rpc)
{
    return rpc->loop;
}

grpc_completion_queue *rpc_queue(struct rpc *rpc)
{
    return rpc->queue;
}

const char *rpc_code_name(enum rpc_code code)
{
    static const char *const names[] = {
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    };
    size_t i = (size_t)code;
    return i < sizeof names / sizeof names[0] ? names[i] : "UNKNOWN";
}
