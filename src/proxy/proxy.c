#include "proxy/proxy.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "common/sys/cb_addr.h"
#include "common/sys/cb_log.h"
#include "common/sys/cb_service.h"
#include "proxy/proxy_internal.h"

/* Descriptors that are not for clients: listeners, channels, gRPC's own, the log. */
#define DESCRIPTORS_KEPT 64
/* How long the end waits for the cluster to learn that the clients are gone; it learns it anyway
 * when the session ends. */
#define STOP_PATIENCE_NS (2 * CB_NS_PER_S)

static uint64_t now(const struct proxy *p)
{
    return cb_clock_boottime_ns(p->clock);
}

/* ---- between engine and upstream ---- */

static void stream_open(void *ctx, uint32_t node)
{
    upstream_open(((struct proxy *)ctx)->upstream, node);
}

static void stream_close(void *ctx, uint32_t node)
{
    upstream_close(((struct proxy *)ctx)->upstream, node);
}

static void stream_send(void *ctx, uint32_t node, const struct wire_to_node *m)
{
    upstream_send(((struct proxy *)ctx)->upstream, node, m);
}

static void stream_message(void *ctx, uint32_t node, const struct wire_to_proxy *m)
{
    struct proxy *p = ctx;
    engine_stream_message(p->engine, node, m, now(p));
}

static void stream_garbage(void *ctx, uint32_t node, const char *why)
{
    struct proxy *p = ctx;
    cb_log(CB_LOG_ERROR, "upstream.garbage", "node=%s reason=\"%s\"",
           engine_node_address(p->engine, node), why);
    engine_stream_garbage(p->engine, node, now(p));
}

static void stream_writable(void *ctx, uint32_t node)
{
    struct proxy *p = ctx;
    engine_stream_writable(p->engine, node, now(p));
}

static void stream_closed(void *ctx, uint32_t node, const char *text, const char *leader)
{
    struct proxy *p = ctx;
    engine_stream_closed(p->engine, node, text, leader, now(p));
}

static void watch_open(void *ctx, uint32_t node)
{
    upstream_watch(((struct proxy *)ctx)->upstream, node);
}

static void watch_told(void *ctx, uint32_t node, const struct wire_leadership *m)
{
    struct proxy *p = ctx;
    engine_watch_told(p->engine, node, m, now(p));
}

static bool node_found(void *ctx, uint32_t node, const char *address)
{
    struct proxy *p = ctx;
    struct cb_addr a;
    if (cb_addr_parse(&a, address) != CB_ADDR_OK || a.kind == CB_ADDR_UNIX || a.port == 0) {
        cb_log(CB_LOG_WARN, "upstream.node", "node=%s err=\"that is no address\"", address);
        return false;
    }
    cb_log(CB_LOG_INFO, "upstream.node", "node=%s", address);
    upstream_set_node(p->upstream, node, address);
    return true;
}

static void watch_closed(void *ctx, uint32_t node)
{
    struct proxy *p = ctx;
    engine_watch_closed(p->engine, node, now(p));
}

static _Noreturn void superseded(void *ctx, struct cb_span address)
{
    const struct proxy *p = ctx;
    cb_die(
        "coolbeans-proxy: a newer proxy with the name %s serves at %.*s; give each its own --name",
        p->name, (int)address.len, (const char *)address.ptr);
}

/* ---- the end ---- */

static void closed_all(void *ctx)
{
    struct proxy *p = ctx;
    uv_handle_t *handles[] = {
        (uv_handle_t *)&p->prepare, (uv_handle_t *)&p->check,  (uv_handle_t *)&p->timer,
        (uv_handle_t *)&p->on_term, (uv_handle_t *)&p->on_int, (uv_handle_t *)&p->on_usr1,
    };
    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++) {
        uv_close(handles[i], NULL);
    }
}

static void closed_upstream(void *ctx)
{
    struct proxy *p = ctx;
    rpc_close(p->rpc, closed_all, p);
}

static void closed_server(void *ctx)
{
    struct proxy *p = ctx;
    upstream_destroy(p->upstream, closed_upstream, p);
}

static void stop(uv_signal_t *signal, int number)
{
    struct proxy *p = signal->data;
    if (p->stopping) {
        return;
    }
    cb_log(CB_LOG_INFO, "proxy.stops", "signal=%d", number);
    cb_service_notify("STOPPING=1");
    p->stopping = true;
    p->stop_by_ns = now(p) + STOP_PATIENCE_NS;
    server_stop_listening(p->server);
    engine_stop(p->engine, now(p));
}

static void drain(uv_signal_t *signal, int number)
{
    struct proxy *p = signal->data;
    (void)number;
    engine_drain(p->engine);
    cb_log(CB_LOG_INFO, "proxy.drains", "effect=\"puts are answered DRAINING\"");
}

/* ---- turns of the loop ---- */

static void on_timer(uv_timer_t *timer)
{
    struct proxy *p = timer->data;
    p->timer_ns = 0; /* the turn's end does the work and sets it again */
}

static void set_timer(struct proxy *p)
{
    uint64_t wake = engine_wake_ns(p->engine);
    if (p->stopping && p->stop_by_ns < wake) {
        wake = p->stop_by_ns;
    }
    if (wake == p->timer_ns) {
        return;
    }
    p->timer_ns = wake;
    uint64_t t = now(p);
    uint64_t wait_ms = wake > t ? (wake - t + CB_NS_PER_MS - 1) / CB_NS_PER_MS : 0;
    (void)uv_timer_start(&p->timer, on_timer, wait_ms, 0); /* fails only while closing */
}

static void end_turn(struct proxy *p)
{
    if (p->torn_down) {
        return;
    }
    server_flush(p->server);
    engine_flush(p->engine, now(p));
    server_flush(p->server); /* what a fence has closed */
    if (p->stopping && (engine_is_stopped(p->engine) || now(p) >= p->stop_by_ns)) {
        p->torn_down = true;
        server_destroy(p->server, closed_server, p);
        return;
    }
    set_timer(p);
}

static void on_prepare(uv_prepare_t *prepare)
{
    end_turn(prepare->data);
}

static void on_check(uv_check_t *check)
{
    end_turn(check->data);
}

/* ---- the start ---- */

static void catch_signal(struct proxy *p, uv_signal_t *signal, uv_signal_cb cb, int number)
{
    int e = uv_signal_init(&p->loop, signal);
    signal->data = p;
    if (e != 0 || (e = uv_signal_start(signal, cb, number)) != 0) {
        cb_die("coolbeans-proxy: cannot handle signal %d: %s", number, uv_strerror(e));
    }
}

static void start_handles(struct proxy *p)
{
    /* None of these can fail on a fresh loop. */
    (void)uv_prepare_init(&p->loop, &p->prepare);
    (void)uv_check_init(&p->loop, &p->check);
    (void)uv_timer_init(&p->loop, &p->timer);
    p->prepare.data = p;
    p->check.data = p;
    p->timer.data = p;
    (void)uv_prepare_start(&p->prepare, on_prepare);
    (void)uv_check_start(&p->check, on_check);
    catch_signal(p, &p->on_term, stop, SIGTERM);
    catch_signal(p, &p->on_int, stop, SIGINT);
    catch_signal(p, &p->on_usr1, drain, SIGUSR1);
}

static uint64_t random_u64(void)
{
    uint64_t v;
    if (getrandom(&v, sizeof v, 0) != sizeof v) {
        cb_die("coolbeans-proxy: the system gives no random numbers: %s", strerror(errno));
    }
    return v;
}

static void create_engine(struct proxy *p)
{
    const struct engine_config config = {
        .name = p->name,
        .address = p->address,
        .started_ns = cb_clock_wall_ns(p->clock),
        .random = random_u64() / 2, /* it may have to grow */
        .nodes = p->options->nodes,
        .n_nodes = p->options->n_nodes,
        .job_size_max = (uint32_t)p->options->job_size_max,
        .seed = random_u64(),
    };
    const struct engine_ops ops = {
        .ctx = p,
        .client_output = server_client_output,
        .client_reading = server_client_reading,
        .client_close = server_client_close,
        .stream_open = stream_open,
        .stream_close = stream_close,
        .stream_send = stream_send,
        .watch_open = watch_open,
        .node_found = node_found,
        .superseded = superseded,
        .facts = proxy_facts,
        .note = proxy_note,
    };
    p->engine = engine_create(&config, &ops, now(p));
}

static void create_upstream(struct proxy *p)
{
    const struct upstream_callbacks callbacks = {
        .ctx = p,
        .message = stream_message,
        .garbage = stream_garbage,
        .writable = stream_writable,
        .closed = stream_closed,
        .told = watch_told,
        .unwatched = watch_closed,
    };
    p->rpc = rpc_create(&p->loop);
    p->upstream = upstream_create(p->rpc, ENGINE_NODES_MAX, &callbacks);
    for (uint32_t i = 0; i < p->options->n_nodes; i++) {
        upstream_set_node(p->upstream, i, p->options->nodes[i]);
    }
}

static uint32_t clients_max(void)
{
    uint64_t limit = cb_service_raise_descriptor_limit();
    limit = limit > 2 * DESCRIPTORS_KEPT ? limit - DESCRIPTORS_KEPT : limit / 2;
    return limit < CB_CONNS_PER_SESSION_MAX ? (uint32_t)limit : CB_CONNS_PER_SESSION_MAX;
}

static void warn_about(const struct proxy_options *o)
{
    if (o->ignores_binlog) {
        cb_log(CB_LOG_WARN, "proxy.options_ignored",
               "options=\"-b -f -F -s -c -n\" reason=\"durability is the cluster's\"");
    }
    if (o->job_size_clamped) {
        cb_log(CB_LOG_WARN, "proxy.job_size_clamped", "max=%" PRIu64, o->job_size_max);
    }
}

static void start(struct proxy *p)
{
    int e = uv_loop_init(&p->loop);
    if (e != 0) {
        cb_die("coolbeans-proxy: no event loop: %s", uv_strerror(e));
    }
    p->server = server_create(&p->loop, p->clock, clients_max());
    proxy_listen(p);
    proxy_identify(p);
    proxy_become_user(p->options->user);
    (void)snprintf(p->id, sizeof p->id, "%016" PRIx64, random_u64());
    create_upstream(p);
    create_engine(p);
    start_handles(p);
    server_start(p->server, p->engine);
    proxy_tell_ready(p);
}

void proxy_run(const struct proxy_options *options)
{
    struct proxy *p = cb_calloc(1, sizeof *p);
    p->options = options;
    p->clock = cb_clock_system();
    p->started_ns = now(p);
    warn_about(options);
    start(p);
    (void)uv_run(&p->loop, UV_RUN_DEFAULT); /* until closed_all */
    engine_destroy(p->engine);
    int e = uv_loop_close(&p->loop);
    CB_ASSERT(e == 0);
    cb_free(p);
}
