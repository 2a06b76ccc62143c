/* A load generator for anything that speaks the beanstalkd protocol; counts every error.
 *
 *   coolbeans_load [-a HOST] -p PORT [-t SECONDS] [-P N] [-C N] [-b BYTES] MODE
 *
 *   cycle    P producers put, C consumers reserve and delete, all in closed loop: jobs cycled per
 * second latency  one client alone: put, then reserve and delete; quantiles of each command fill P
 * connections put N jobs (-n) in all, 100 pipelined on each: for building a backlog mixed    on a
 * queue that has jobs: one client puts, another reserves, releases; quantiles of each wait     C
 * clients reserve and wait for the whole time (an idle cluster)
 *
 * One thread, epoll, one line of results a command at the end. Exit 1 if any reply was not the one
 * expected or a connection was lost. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_buf.h"
#include "common/base/cb_mem.h"

#define SAMPLES_MAX 4000000
#define PIPELINE 100

enum kind { PUT, RESERVE, DELETE, RELEASE, KIND_COUNT };
static const char *const kind_name[] = {"put", "reserve", "delete", "release"};
static const char *const kind_reply[] = {"INSERTED ", "RESERVED ", "DELETED", "RELEASED"};

/* Latencies of one kind of command. */
struct samples {
    uint32_t *us;
    uint64_t count; /* of replies; the first SAMPLES_MAX are kept */
};

enum role { PRODUCER, CONSUMER, ALTERNATOR, FILLER, RELEASER, WAITER };

struct client {
    int fd;
    enum role role;
    enum kind sent[PIPELINE]; /* commands without a reply, oldest first */
    uint64_t sent_at_us[PIPELINE];
    unsigned n_sent;
    uint64_t job;
    struct cb_buf in;
    struct cb_buf out;
};

static struct {
    const char *host;
    int port;
    double seconds;
    unsigned producers, consumers, body_len;
    uint64_t jobs;
} opt = {"127.0.0.1", 0, 5, 64, 64, 100, 100000};

static struct samples samples[KIND_COUNT];
static uint64_t errors;
static uint64_t fill_left;
static char *body;
static int epoll_fd;
static bool is_over;

static uint64_t now_us(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void fail(const char *what, const char *detail)
{
    if (errors++ < 10) {
        fprintf(stderr, "error: %s: %s\n", what, detail);
    }
}

/* ---- commands ---- */

static void queue_command(struct client *c, enum kind kind)
{
    CB_ASSERT(c->n_sent < PIPELINE);
    c->sent[c->n_sent] = kind;
    c->sent_at_us[c->n_sent++] = now_us();
    switch (kind) {
    case PUT:
        cb_buf_printf(&c->out, "put 1000 0 600 %u\r\n", opt.body_len);
        cb_buf_append(&c->out, body, opt.body_len);
        cb_buf_append_str(&c->out, "\r\n");
        return;
    case RESERVE:
        cb_buf_append_str(&c->out, "reserve\r\n");
        return;
    case DELETE:
        cb_buf_printf(&c->out, "delete %llu\r\n", (unsigned long long)c->job);
        return;
    case RELEASE:
        cb_buf_printf(&c->out, "release %llu 1000 0\r\n", (unsigned long long)c->job);
        return;
    case KIND_COUNT:
        break;
    }
    CB_UNREACHABLE("kind of command");
}

/* What the client does after a reply; at the end of the run only a held job is given back. */
static void next_command(struct client *c, enum kind done)
{
    if (is_over && done != RESERVE) {
        return;
    }
    switch (c->role) {
    case PRODUCER:
        queue_command(c, PUT);
        return;
    case CONSUMER:
        queue_command(c, done == RESERVE ? DELETE : RESERVE);
        return;
    case ALTERNATOR:
        queue_command(c, done == PUT ? RESERVE : done == RESERVE ? DELETE : PUT);
        return;
    case RELEASER:
        queue_command(c, done == RESERVE ? RELEASE : RESERVE);
        return;
    case FILLER:
        if (fill_left > 0) {
            fill_left--;
            queue_command(c, PUT);
        }
        return;
    case WAITER:
        return;
    }
}

static void record(enum kind kind, uint64_t since_us)
{
    struct samples *s = &samples[kind];
    uint64_t us = now_us() - since_us;
    if (s->count < SAMPLES_MAX) {
        if (s->us == NULL) {
            s->us = cb_malloc(SAMPLES_MAX * sizeof(*s->us));
        }
        s->us[s->count] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    }
    s->count++;
}

/* Handles one reply at the front of c->in; false when it is not whole yet. */
static bool take_reply(struct client *c)
{
    struct cb_span in = cb_buf_span(&c->in);
    const uint8_t *end = in.len > 0 ? memchr(in.ptr, '\n', in.len) : NULL;
    if (end == NULL) {
        return false;
    }
    char line[300];
    size_t len = (size_t)(end - in.ptr) + 1;
    snprintf(line, sizeof(line), "%.*s", (int)(len < sizeof(line) ? len : sizeof(line) - 1),
             (const char *)in.ptr);
    unsigned long long id = 0;
    unsigned long size = 0;
    if (sscanf(line, "RESERVED %llu %lu", &id, &size) == 2) {
        len += size + 2;
        if (in.len < len) {
            return false;
        }
        c->job = id;
    }
    if (c->n_sent == 0) {
        fail("a reply that nobody asked for", line);
    } else {
        enum kind kind = c->sent[0];
        uint64_t since_us = c->sent_at_us[0];
        c->n_sent--;
        memmove(c->sent, c->sent + 1, c->n_sent * sizeof(c->sent[0]));
        memmove(c->sent_at_us, c->sent_at_us + 1, c->n_sent * sizeof(c->sent_at_us[0]));
        if (strncmp(line, kind_reply[kind], strlen(kind_reply[kind])) != 0) {
            fail(kind_name[kind], line);
        } else {
            record(kind, since_us);
        }
        next_command(c, kind);
    }
    cb_buf_consume(&c->in, len);
    return true;
}

/* ---- sockets ---- */

static void lose(struct client *c, const char *why)
{
    fail("connection lost", why);
    (void)close(c->fd); /* it is lost already */
    c->fd = -1;
}

static void flush(struct client *c)
{
    struct cb_span out = cb_buf_span(&c->out);
    if (c->fd < 0 || out.len == 0) {
        return;
    }
    ssize_t n = send(c->fd, out.ptr, out.len, MSG_NOSIGNAL);
    if (n > 0) {
        cb_buf_consume(&c->out, (size_t)n);
    } else if (n < 0 && errno != EAGAIN) {
        lose(c, strerror(errno));
        return;
    }
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    if (cb_buf_len(&c->out) > 0) {
        ev.events |= EPOLLOUT;
    }
    CB_ASSERT(epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &ev) == 0);
}

static void receive(struct client *c)
{
    uint8_t *room = cb_buf_reserve(&c->in, 65536);
    ssize_t n = recv(c->fd, room, 65536, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        lose(c, n == 0 ? "closed by the server" : strerror(errno));
        return;
    }
    if (n > 0) {
        cb_buf_commit(&c->in, (size_t)n);
        while (take_reply(c)) {
        }
    }
    flush(c);
}

static void client_start(struct client *c, enum role role)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
    if (inet_pton(AF_INET, opt.host, &to.sin_addr) != 1) {
        cb_die("-a %s is not an IPv4 address", opt.host);
    }
    *c = (struct client){.fd = socket(AF_INET, SOCK_STREAM, 0), .role = role};
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        cb_die("cannot connect to %s:%d: %s", opt.host, opt.port, strerror(errno));
    }
    int one = 1;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* only a speed-up */
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    CB_ASSERT(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) == 0);
    if (role == FILLER) {
        for (unsigned i = 0; i < PIPELINE && fill_left > 0; i++, fill_left--) {
            queue_command(c, PUT);
        }
    } else {
        queue_command(c, role == PRODUCER || role == ALTERNATOR ? PUT : RESERVE);
    }
    flush(c);
}

static bool is_done(const struct client *clients, unsigned n, uint64_t until_us)
{
    if (fill_left > 0) {
        return false;
    }
    if (n > 0 && clients[0].role == FILLER) {
        for (unsigned i = 0; i < n; i++) {
            if (clients[i].fd >= 0 && clients[i].n_sent > 0) {
                return false;
            }
        }
        return true;
    }
    return now_us() >= until_us;
}

static double run(struct client *clients, unsigned n)
{
    uint64_t start_us = now_us();
    uint64_t until_us = start_us + (uint64_t)(opt.seconds * 1e6);
    while (!is_done(clients, n, until_us)) {
        struct epoll_event events[256];
        int got = epoll_wait(epoll_fd, events, 256, 10);
        for (int i = 0; i < got; i++) {
            struct client *c = events[i].data.ptr;
            if (c->fd >= 0 && (events[i].events & EPOLLOUT) != 0) {
                flush(c);
            }
            if (c->fd >= 0 && (events[i].events & ~(uint32_t)EPOLLOUT) != 0) {
                receive(c);
            }
        }
    }
    return (double)(now_us() - start_us) / 1e6;
}

/* ---- results ---- */

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void report(double seconds)
{
    for (unsigned k = 0; k < KIND_COUNT; k++) {
        struct samples *s = &samples[k];
        if (s->count == 0) {
            continue;
        }
        uint64_t n = s->count < SAMPLES_MAX ? s->count : SAMPLES_MAX;
        qsort(s->us, n, sizeof(*s->us), compare_u32);
        printf("%-8s %9llu  %9.0f/s  p50 %7u us  p99 %7u us  max %7u us\n", kind_name[k],
               (unsigned long long)s->count, (double)s->count / seconds, s->us[n / 2],
               s->us[n * 99 / 100], s->us[n - 1]);
    }
    printf("errors %llu in %.2f s\n", (unsigned long long)errors, seconds);
}

static unsigned plan(const char *mode, enum role roles[2], unsigned counts[2])
{
    static const struct {
        const char *mode;
        enum role roles[2];
        unsigned fixed[2]; /* 0: as many as -P or -C says */
        bool has_second;
    } modes[] = {
        {"cycle", {PRODUCER, CONSUMER}, {0, 0}, true},
        {"latency", {ALTERNATOR, ALTERNATOR}, {1, 0}, false},
        {"fill", {FILLER, FILLER}, {0, 0}, false},
        {"mixed", {PRODUCER, RELEASER}, {1, 1}, true},
        {"wait", {WAITER, WAITER}, {0, 0}, false},
    };
    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(mode, modes[i].mode) == 0) {
            roles[0] = modes[i].roles[0];
            roles[1] = modes[i].roles[1];
            unsigned first = roles[0] == WAITER ? opt.consumers : opt.producers;
            counts[0] = modes[i].fixed[0] > 0 ? modes[i].fixed[0] : first;
            counts[1] = !modes[i].has_second    ? 0
                        : modes[i].fixed[1] > 0 ? modes[i].fixed[1]
                                                : opt.consumers;
            return counts[0] + counts[1];
        }
    }
    cb_die("mode '%s' is none of cycle, latency, fill, mixed, wait", mode);
}

int main(int argc, char **argv)
{
    int o;
    while ((o = getopt(argc, argv, "a:p:t:P:C:b:n:")) != -1) {
        switch (o) {
        case 'a':
            opt.host = optarg;
            break;
        case 'p':
            opt.port = atoi(optarg);
            break;
        case 't':
            opt.seconds = atof(optarg);
            break;
        case 'P':
            opt.producers = (unsigned)atoi(optarg);
            break;
        case 'C':
            opt.consumers = (unsigned)atoi(optarg);
            break;
        case 'b':
            opt.body_len = (unsigned)atoi(optarg);
            break;
        case 'n':
            opt.jobs = strtoull(optarg, NULL, 10);
            break;
        default:
            return 2;
        }
    }
    if (optind != argc - 1 || opt.port <= 0) {
        fprintf(stderr,
                "usage: coolbeans_load [-a HOST] -p PORT [-t S] [-P N] [-C N] [-b BYTES] [-n JOBS] "
                "cycle|latency|fill|mixed|wait\n");
        return 2;
    }
    enum role roles[2];
    unsigned counts[2];
    unsigned n = plan(argv[optind], roles, counts);
    body = cb_malloc(opt.body_len);
    memset(body, 'x', opt.body_len);
    fill_left = roles[0] == FILLER ? opt.jobs : 0;
    epoll_fd = epoll_create1(0);
    CB_ASSERT(epoll_fd >= 0);
    struct client *clients = cb_calloc(n, sizeof(*clients));
    for (unsigned i = 0; i < n; i++) {
        client_start(&clients[i], i < counts[0] ? roles[0] : roles[1]);
    }
    double seconds = run(clients, n);
    report(seconds);
    return errors > 0;
}
