/* Proves that the simulated clients believe of beanstalkd what is so: all profiles of them run
 * against the real one over real sockets, in random pieces, for some seconds; no answer may look
 * wrong to them, no connection may be closed by the server, every kind of command and of answer
 * must come up, the drain must leave nothing in the end, and the history must have every property
 * of history_check.h.
 *
 * The times are the machine's, so SEED=n repeats what is drawn but not how it meets. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/cb_limits.h"
#include "history/history_check.h"
#include "sim/sim_client.h"
#include "support/seed.h"

#define SLOTS 16
#define WORK_NS (6 * CB_NS_PER_S)
#define QUIET_NS (CB_NS_PER_S + CB_NS_PER_S / 2)
#define PATIENCE_NS (30 * CB_NS_PER_S)
#define POLL_MS 20
/* The server's clock counts microseconds and its timer milliseconds; the machine may be slow. */
#define CLOCK_ERROR_NS (20 * CB_NS_PER_MS)
#define STALL_MAX_NS (5 * CB_NS_PER_S)

struct conn {
    struct rig *rig;
    int fd;
    uint32_t profile;
    struct sim_client *client; /* NULL: none */
    bool is_shut;              /* the half that it writes to */
};

struct rig {
    struct cb_rng rng;
    pid_t server;
    struct sockaddr_in address;
    struct history *history;
    struct sim_client_shared *shared;
    struct conn conns[SLOTS];
    uint32_t n_conns; /* ever */
    bool is_ending;
};

static uint64_t seed;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * CB_NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ---- the server ---- */

static void pick_port(struct sockaddr_in *address)
{
    *address = (struct sockaddr_in){.sin_family = AF_INET};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &len), 0);
    close(fd);
}

static void start_server(struct rig *r)
{
    pick_port(&r->address);
    char port[16];
    (void)snprintf(port, sizeof port, "%u", ntohs(r->address.sin_port));
    r->server = fork();
    assert_true(r->server >= 0);
    if (r->server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a check fails */
        execlp("beanstalkd", "beanstalkd", "-l", "127.0.0.1", "-p", port, (char *)NULL);
        perror("beanstalkd");
        _exit(1);
    }
}

static int try_connect(struct rig *r)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&r->address, sizeof r->address) != 0) {
        close(fd);
        return -1;
    }
    int on = 1; /* pieces of a command do not wait for each other */
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static void wait_for_server(struct rig *r)
{
    uint64_t deadline = now_ns() + PATIENCE_NS;
    int fd = -1;
    while ((fd = try_connect(r)) < 0) {
        assert_true(now_ns() < deadline);
        (void)poll(NULL, 0, 5); /* polls, up to its deadline */
    }
    close(fd);
}

static void stop_server(struct rig *r)
{
    kill(r->server, SIGKILL);
    waitpid(r->server, NULL, 0);
}

/* ---- connections ---- */

static void broken(void *data, const char *sentence)
{
    (void)data;
    fail_msg("SEED=%ju: %s", (uintmax_t)seed, sentence);
}

static const struct sim_client_env env = {.data = NULL, .broken = broken};

static void conn_open(struct conn *c, bool drains)
{
    struct rig *r = c->rig;
    c->is_shut = false;
    c->fd = try_connect(r);
    assert_true(c->fd >= 0);
    uint32_t number = ++r->n_conns;
    if (drains) {
        c->client = sim_client_create_drain(r->shared, &env, number, QUIET_NS, now_ns());
    } else {
        struct sim_client_profile profile = *sim_client_profile(c->profile);
        /* beanstalkd 1.12 shows by its id a job whose body is still on its way, garbage and all. */
        profile.guessed = 0;
        c->client =
            sim_client_create(r->shared, &profile, &env, number, cb_rng_u64(&r->rng), now_ns());
    }
}

static void conn_close(struct conn *c)
{
    sim_client_closed(c->client, now_ns());
    sim_client_destroy(c->client);
    c->client = NULL;
    close(c->fd);
    if (!c->rig->is_ending) {
        conn_open(c, false);
    }
}

/* Any part of what it has to send. False: the connection is over. */
static bool conn_write(struct conn *c)
{
    struct cb_buf *out = sim_client_output(c->client);
    size_t len = cb_buf_len(out);
    if (len > 0) {
        if (cb_rng_chance(&c->rig->rng, 1, 3)) {
            len = 1 + cb_rng_below(&c->rig->rng, len);
        }
        ssize_t n = send(c->fd, cb_buf_span(out).ptr, len, MSG_NOSIGNAL);
        if (n < 0) {
            return errno == EAGAIN;
        }
        cb_buf_consume(out, (size_t)n);
    }
    return true;
}

static bool conn_read(struct conn *c)
{
    uint8_t bytes[20000];
    size_t len = 1 + cb_rng_below(&c->rig->rng, sizeof bytes);
    ssize_t n = recv(c->fd, bytes, cb_rng_chance(&c->rig->rng, 1, 8) ? 1 : len, 0);
    if (n > 0) {
        sim_client_received(c->client, cb_span(bytes, (size_t)n), now_ns());
    }
    return n > 0 || (n < 0 && errno == EAGAIN);
}

static void conn_turn(struct conn *c, short events)
{
    uint64_t now = now_ns();
    bool is_over = false;
    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) {
        is_over = !conn_read(c);
    }
    if (!is_over && sim_client_wake_ns(c->client) <= now) {
        sim_client_wake(c->client, now);
    }
    is_over = is_over || !conn_write(c) || sim_client_wish(c->client) == SIM_CLIENT_CLOSES;
    if (!is_over && sim_client_wish(c->client) == SIM_CLIENT_HALF_CLOSES && !c->is_shut &&
        cb_buf_len(sim_client_output(c->client)) == 0) {
        c->is_shut = true;
        shutdown(c->fd, SHUT_WR);
    }
    if (is_over) {
        conn_close(c);
    }
}

/* One round over all connections; false when there are none. */
static bool turn(struct rig *r)
{
    struct pollfd fds[SLOTS];
    struct conn *of[SLOTS];
    nfds_t n = 0;
    uint64_t now = now_ns();
    uint64_t wait_ns = POLL_MS * CB_NS_PER_MS;
    for (unsigned i = 0; i < SLOTS; i++) {
        struct conn *c = &r->conns[i];
        if (c->client == NULL) {
            continue;
        }
        short events = cb_buf_len(sim_client_output(c->client)) > 0 ? POLLIN | POLLOUT : POLLIN;
        fds[n] = (struct pollfd){.fd = c->fd, .events = events};
        of[n++] = c;
        uint64_t wake = sim_client_wake_ns(c->client);
        if (wake < now + wait_ns) {
            wait_ns = wake > now ? wake - now : 0;
        }
    }
    struct timespec wait = {.tv_nsec = (long)wait_ns};
    assert_true(ppoll(fds, n, &wait, NULL) >= 0);
    for (nfds_t i = 0; i < n; i++) {
        conn_turn(of[i], fds[i].revents);
    }
    return n > 0;
}

/* ---- what came of it ---- */

static void expect_all_seen(const struct rig *r)
{
    uint64_t ops[HIST_OP_END] = {0};
    uint64_t results[HIST_RESULT_END] = {0};
    uint64_t by_server = 0;
    const struct hist_record *records = history_records(r->history);
    for (size_t i = 0; i < history_count(r->history); i++) {
        ops[records[i].op]++;
        results[records[i].result]++;
        by_server += records[i].by_server;
    }
    for (int i = HIST_CONNECT; i < HIST_OP_END; i++) {
        printf("op %d: %ju\n", i, (uintmax_t)ops[i]);
        assert_int_not_equal(ops[i], 0);
    }
    for (int i = HIST_UNKNOWN; i < HIST_RESULT_END; i++) {
        /* No put is buried or refused by a server that has memory. */
        bool is_rare = i == HIST_INSERTED_BURIED || i == HIST_NO_ROOM || i == HIST_ERROR;
        printf("result %d: %ju\n", i, (uintmax_t)results[i]);
        assert_true((results[i] == 0) == is_rare);
    }
    assert_int_equal(by_server, 0);
}

static void expect_drained(const struct rig *r)
{
    const struct hist_record *records = history_records(r->history);
    size_t i = history_count(r->history);
    while (records[i - 1].op != HIST_STATS) {
        i--;
    }
    assert_int_equal(records[i - 1].conn, r->n_conns);
    assert_int_equal(records[i - 1].result, HIST_OK);
    assert_true(records[i - 1].has_jobs);
    assert_int_equal(records[i - 1].jobs, 0);
}

static void expect_properties(const struct rig *r)
{
    const struct hist_check_options options = {
        .is_drained = true,
        .clock_error_ns = CLOCK_ERROR_NS,
        .stall_max_ns = STALL_MAX_NS,
        .late_max_ns = STALL_MAX_NS,
    };
    struct hist_verdict verdict;
    struct cb_buf text = CB_BUF_NULL;
    bool is_good = history_check(r->history, &options, &verdict, &text);
    cb_buf_append(&text, "", 1);
    for (int i = 0; i < HIST_PROPERTY_COUNT; i++) {
        printf("property %d: judged %ju\n", i, (uintmax_t)verdict.judged[i]);
        assert_int_not_equal(verdict.judged[i], 0);
    }
    if (!is_good) {
        fail_msg("%s", (const char *)text.base);
    }
    cb_buf_fini(&text);
}

static void run(struct rig *r)
{
    for (uint32_t i = 0; i < SLOTS; i++) {
        r->conns[i] = (struct conn){.rig = r, .profile = i % sim_client_profile_count};
        conn_open(&r->conns[i], false);
    }
    uint64_t end = now_ns() + WORK_NS;
    while (now_ns() < end) {
        (void)turn(r);
    }
    r->is_ending = true;
    for (uint32_t i = 0; i < SLOTS; i++) {
        sim_client_wind_down(r->conns[i].client, now_ns());
    }
    end = now_ns() + PATIENCE_NS;
    while (turn(r)) {
        assert_true(now_ns() < end);
    }
    conn_open(&r->conns[0], true);
    end = now_ns() + PATIENCE_NS;
    while (turn(r)) {
        assert_true(now_ns() < end);
    }
}

static void all_profiles_against_beanstalkd(void **state)
{
    (void)state;
    struct rig r = {.history = history_create()};
    cb_rng_init(&r.rng, seed);
    r.shared = sim_client_shared_create(r.history);
    start_server(&r);
    wait_for_server(&r);
    run(&r);
    stop_server(&r);
    expect_all_seen(&r);
    expect_drained(&r);
    expect_properties(&r);
    sim_client_shared_destroy(r.shared);
    history_destroy(r.history);
}

int main(int argc, char **argv)
{
    seed = seed_of_test(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_profiles_against_beanstalkd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
