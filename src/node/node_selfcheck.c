/* Does gRPC still accept? When a single accept() finds no descriptor, the library (1.51) never
 * looks at that listener again: who is connected goes on, nobody new is ever answered, and the
 * system still takes the connections, so that nothing else shows it. So the node asks itself, each
 * time over a connection of its own: FAILURES_MAX times in a row without an answer end the process.
 *
 * What is no sign of that doesn't count: an answer that is missing because the loop stood still (a
 * process that was stopped, or starved); an address that this machine has lost; a port that its
 * packet filter kept from it from the start. */
#include "node/node_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_addr.h"
#include "common/sys/cb_log.h"
#include "common/sys/cb_service.h"

/* Nothing is lost while the listener is dead, connections that are there go on: so rarely enough to
 * cost nothing, and often enough that the end comes within half a minute. */
#define EVERY_MS 5000
/* An answer takes some milliseconds, on a crowded host some hundred. */
#define DEADLINE_MS 3000
#define FAILURES_MAX 3
/* The loop is looked at so many times in a check... */
#define TURNS 30
/* ...and stood still when one of them took as long as so many. */
#define TURNS_STILL 5
/* Both ends of the connection, and as many for who comes meanwhile: a check that took the last one
 * would itself do the harm. */
#define DESCRIPTORS 4
/* At the start the system itself answers, at once. */
#define REACH_S 1

struct node_selfcheck {
    struct node_selfcheck_config config;
    char target[CB_ADDRESS_MAX]; /* without a name: its lookup may fail, and must not count */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } local; /* the same without the port */
    uv_timer_t timer;
    struct rpc_client *client; /* from the start of a check until it is closed */
    struct rpc_unary *call;    /* NULL: answered */
    uint64_t turned_ns;        /* when the loop was last seen to turn in this check */
    bool has_stood_still;
    bool is_stopping;
    unsigned failures; /* in a row */
};

/* ---- the verdict ---- */

static _Noreturn void die(const struct node_selfcheck *s)
{
    struct cb_service_descriptors d = cb_service_descriptors();
    cb_die("no new gRPC connection to %s was answered %u times in a row, although this node "
           "listens there: it ends so that it can be started again; descriptors in use: %" PRIu64
           " of %" PRIu64 " (once they run out gRPC stops accepting: raise LimitNOFILE, and see "
           "who connects)",
           s->target, s->failures, d.used, d.limit);
}

static void failed(struct node_selfcheck *s, const char *why)
{
    s->failures++;
    cb_log(CB_LOG_WARN, "selfcheck.failed", "address=%s failures=%u why=\"%s\"", s->target,
           s->failures, why);
    if (s->failures == FAILURES_MAX) {
        die(s);
    }
}

static void answered(struct node_selfcheck *s)
{
    if (s->failures > 0) {
        cb_log(CB_LOG_INFO, "selfcheck.answered", "address=%s failures=%u", s->target, s->failures);
    }
    s->failures = 0;
}

static void notice_turn(struct node_selfcheck *s)
{
    uint64_t now = cb_clock_monotonic_ns(s->config.clock);
    uint64_t most = s->config.deadline_ms * CB_NS_PER_MS * TURNS_STILL / TURNS;
    s->has_stood_still |= now - s->turned_ns > most;
    s->turned_ns = now;
}

/* A server that has too many calls has accepted this one. */
static bool is_answer(const struct rpc_status *status)
{
    return status->code == RPC_OK || status->code == RPC_RESOURCE_EXHAUSTED;
}

static void judge(struct node_selfcheck *s, const struct rpc_status *status)
{
    notice_turn(s);
    if (is_answer(status)) {
        answered(s);
    } else if (s->has_stood_still) {
        cb_log(CB_LOG_DEBUG, "selfcheck.void", "code=%s", rpc_code_name(status->code));
    } else {
        failed(s, status->message);
    }
}

/* ---- a check ---- */

static void on_timer(uv_timer_t *timer);

static void start_timer(struct node_selfcheck *s, uint64_t ms)
{
    CB_ASSERT(uv_timer_start(&s->timer, on_timer, ms, 0) == 0);
}

static void on_timer_closed(uv_handle_t *handle)
{
    cb_free(handle->data);
}

static void on_client_closed(void *ctx)
{
    struct node_selfcheck *s = ctx;
    s->client = NULL;
    if (s->is_stopping) {
        uv_close((uv_handle_t *)&s->timer, on_timer_closed);
    } else {
        start_timer(s, s->config.every_ms);
    }
}

static void on_answer(void *ctx, const struct rpc_status *status, struct cb_span reply)
{
    struct node_selfcheck *s = ctx;
    (void)reply; /* whatever it says of the node's health */
    s->call = NULL;
    if (s->is_stopping) {
        return; /* the client is being closed */
    }
    CB_ASSERT(uv_timer_stop(&s->timer) == 0);
    judge(s, status);
    rpc_client_close(s->client, on_client_closed, s);
}

static void ask(struct node_selfcheck *s)
{
    const uint32_t deadline_ms = (uint32_t)s->config.deadline_ms;
    const struct rpc_client_config config = {
        .target = s->target,
        .keepalive_ms = 2 * deadline_ms, /* never: a slow answer is one too */
        .connect_timeout_ms = deadline_ms,
    };
    struct cb_buf request = CB_BUF_NULL; /* an empty HealthCheckRequest: the whole server */
    s->turned_ns = cb_clock_monotonic_ns(s->config.clock);
    s->has_stood_still = false;
    s->client = rpc_client_create(s->config.rpc, &config);
    s->call = rpc_client_call(s->client, "/grpc.health.v1.Health/Check", &request,
                              deadline_ms * CB_NS_PER_MS, on_answer, s);
}

/* 0, or the error that keeps a check from being made. */
static int look_before(const struct node_selfcheck *s)
{
    int fds[DESCRIPTORS];
    size_t n = 0;
    int err = 0;
    while (n < DESCRIPTORS && err == 0) {
        int fd = socket(s->local.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd >= 0) {
            fds[n++] = fd;
        } else {
            err = errno;
        }
    }
    if (n > 0 && bind(fds[0], &s->local.any, sizeof(s->local)) != 0 && errno == EADDRNOTAVAIL) {
        err = EADDRNOTAVAIL;
    }
    while (n > 0) {
        close(fds[--n]);
    }
    return err;
}

static void begin(struct node_selfcheck *s)
{
    int err = look_before(s);
    if (err == 0) {
        ask(s);
        start_timer(s, s->config.deadline_ms / TURNS);
        return;
    }
    if (err == EADDRNOTAVAIL) {
        cb_log(CB_LOG_WARN, "selfcheck.void", "address=%s why=\"%s\"", s->target, strerror(err));
    } else {
        failed(s, strerror(err));
    }
    start_timer(s, s->config.every_ms);
}

static void on_timer(uv_timer_t *timer)
{
    struct node_selfcheck *s = timer->data;
    if (s->client == NULL) {
        begin(s);
    } else {
        notice_turn(s);
        start_timer(s, s->config.deadline_ms / TURNS);
    }
}

/* ---- where ---- */

static bool can_connect(const struct addrinfo *ai)
{
    const struct timeval patience = {.tv_sec = REACH_S};
    int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC, ai->ai_protocol);
    if (fd < 0) {
        return false;
    }
    bool is_good = setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 &&
                   connect(fd, ai->ai_addr, ai->ai_addrlen) == 0;
    close(fd);
    return is_good;
}

static bool take_target(struct node_selfcheck *s, const struct addrinfo *ai, uint16_t port)
{
    struct cb_addr a;
    char host[NI_MAXHOST];
    if (getnameinfo(ai->ai_addr, ai->ai_addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST) !=
            0 ||
        cb_addr_from_host(&a, host, port) != CB_ADDR_OK) {
        return false;
    }
    cb_addr_format(&a, s->target);
    return a.kind == CB_ADDR_IPV4 ? uv_ip4_addr(a.host, 0, &s->local.v4) == 0
                                  : uv_ip6_addr(a.host, 0, &s->local.v6) == 0;
}

/* The first address of the listener that this machine reaches. A name may have one that it has not;
 * gRPC listens on all that are there. On a wildcard it takes IPv4 in any case, which the rules of a
 * packet filter rather have than ::1 (deploy/examples). */
static bool find_target(struct node_selfcheck *s, const char *listen)
{
    struct cb_addr a;
    char port[8];
    bool is_found = false;
    CB_ASSERT(cb_addr_parse(&a, listen) == CB_ADDR_OK);
    snprintf(port, sizeof(port), "%u", a.port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *all;
    if (getaddrinfo(cb_addr_is_wildcard(&a) ? "127.0.0.1" : a.host, port, &hints, &all) != 0) {
        return false;
    }
    for (const struct addrinfo *ai = all; ai != NULL && !is_found; ai = ai->ai_next) {
        is_found = can_connect(ai) && take_target(s, ai, a.port);
    }
    freeaddrinfo(all);
    return is_found;
}

/* ---- life ---- */

struct node_selfcheck *node_selfcheck_start(const struct node_selfcheck_config *config)
{
    struct node_selfcheck *s = cb_calloc(1, sizeof(*s));
    s->config = *config;
    s->config.every_ms = config->every_ms != 0 ? config->every_ms : EVERY_MS;
    s->config.deadline_ms = config->deadline_ms != 0 ? config->deadline_ms : DEADLINE_MS;
    if (!find_target(s, config->listen)) {
        cb_log(CB_LOG_WARN, "selfcheck.off", "address=%s why=\"%s\"", config->listen,
               "this machine does not reach its own port: let it through the packet filter");
        cb_free(s);
        return NULL;
    }
    CB_ASSERT(uv_timer_init(config->loop, &s->timer) == 0);
    s->timer.data = s;
    start_timer(s, s->config.every_ms);
    return s;
}

void node_selfcheck_stop(struct node_selfcheck *s)
{
    if (s == NULL) {
        return;
    }
    s->is_stopping = true;
    CB_ASSERT(uv_timer_stop(&s->timer) == 0);
    if (s->client == NULL) {
        uv_close((uv_handle_t *)&s->timer, on_timer_closed);
    } else if (s->call != NULL) {
        rpc_client_close(s->client, on_client_closed, s);
    }
}
