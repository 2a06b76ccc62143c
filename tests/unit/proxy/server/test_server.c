/* Proves the clients' sockets on a real loop: every kind of listener, the sentences when one cannot
 * be had, half-close, a client that does not read, the bound of connections. The engine behind has
 * no cluster: it answers what it answers alone. */
#include "proxy/server/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/cb_limits.h"

#define CLIENTS_MAX 4
#define PATIENCE_NS (10 * CB_NS_PER_S)

struct rig {
    uv_loop_t loop;
    struct server *server;
    struct engine *engine;
    struct cb_buf error;
    char dir[64];
    bool destroyed;
};

static void stream_nothing(void *ctx, uint32_t node)
{
    (void)ctx;
    (void)node;
}

static void stream_send(void *ctx, uint32_t node, const struct wire_to_node *m)
{
    (void)ctx;
    (void)node;
    (void)m;
}

static void note(void *ctx, enum engine_note what, uint32_t node, uint64_t number, const char *text)
{
    (void)ctx;
    (void)what;
    (void)node;
    (void)number;
    (void)text;
}

static int setup(void **state)
{
    static struct rig r;
    static const char *const nodes[] = {"nowhere:1"};
    const struct engine_config config = {
        .name = "p", .address = "p", .nodes = nodes, .n_nodes = 1, .job_size_max = 65535};
    const struct engine_ops ops = {.client_output = server_client_output,
                                   .client_reading = server_client_reading,
                                   .client_close = server_client_close,
                                   .stream_open = stream_nothing,
                                   .stream_close = stream_nothing,
                                   .stream_send = stream_send,
                                   .watch_open = stream_nothing,
                                   .note = note};
    r = (struct rig){.error = CB_BUF_NULL};
    (void)snprintf(r.dir, sizeof r.dir, "/tmp/test_server.XXXXXX");
    assert_non_null(mkdtemp(r.dir));
    assert_int_equal(uv_loop_init(&r.loop), 0);
    r.server = server_create(&r.loop, cb_clock_system(), CLIENTS_MAX);
    r.engine = engine_create(&config, &ops, cb_clock_boottime_ns(cb_clock_system()));
    *state = &r;
    return 0;
}

static void turn(struct rig *r)
{
    (void)uv_run(&r->loop, UV_RUN_NOWAIT);
    if (!r->destroyed) {
        server_flush(r->server);
    }
}

static void destroyed(void *ctx)
{
    ((struct rig *)ctx)->destroyed = true;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    char path[96];
    server_destroy(r->server, destroyed, r);
    while (!r->destroyed) {
        turn(r);
    }
    engine_destroy(r->engine);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    cb_buf_fini(&r->error);
    (void)snprintf(path, sizeof path, "%s/s", r->dir);
    (void)unlink(path);
    assert_int_equal(rmdir(r->dir), 0);
    return 0;
}

/* ---- a client ---- */

static uint16_t port_of(const struct rig *r)
{
    struct cb_buf b = CB_BUF_NULL;
    server_addresses(r->server, &b);
    cb_buf_append(&b, "", 1);
    const char *colon = strrchr((const char *)b.base, ':');
    assert_non_null(colon);
    uint16_t port = (uint16_t)strtoul(colon + 1, NULL, 10);
    cb_buf_fini(&b);
    return port;
}

static int connect_to(const struct sockaddr *to, socklen_t len)
{
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, to, len), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static int connect_v4(const struct rig *r)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port_of(r))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect_to((const struct sockaddr *)&to, sizeof to);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    (void)snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    return connect_to((const struct sockaddr *)&to, sizeof to);
}

static void send_text(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* Reads `len` bytes, or to the end when fewer come; -1 when the connection is broken. */
static ssize_t receive(struct rig *r, int fd, char *buf, size_t len)
{
    uint64_t end = cb_clock_monotonic_ns(cb_clock_system()) + PATIENCE_NS;
    size_t got = 0;
    while (got < len) {
        assert_true(cb_clock_monotonic_ns(cb_clock_system()) < end);
        turn(r);
        ssize_t n = read(fd, buf + got, len - got);
        if (n == 0) {
            break;
        }
        if (n < 0 && errno != EAGAIN) {
            return -1;
        }
        got += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)got;
}

static void expect_text(struct rig *r, int fd, const char *text)
{
    char buf[256] = {0};
    assert_int_equal(receive(r, fd, buf, strlen(text)), strlen(text));
    assert_string_equal(buf, text);
}

static void expect_end(struct rig *r, int fd)
{
    char buf[1];
    assert_true(receive(r, fd, buf, 1) <= 0);
    (void)close(fd);
}

static void start_on(struct rig *r, const char *text)
{
    struct cb_addr a;
    assert_int_equal(cb_addr_from_host(&a, text, 0), CB_ADDR_OK);
    if (!server_listen(r->server, &a, &r->error)) {
        fail_msg("%.*s", (int)cb_buf_len(&r->error), (const char *)cb_buf_span(&r->error).ptr);
    }
    server_start(r->server, r->engine);
}

static void refused(struct rig *r, const char *text, uint16_t port, const char *part)
{
    struct cb_addr a;
    assert_int_equal(cb_addr_from_host(&a, text, port), CB_ADDR_OK);
    assert_false(server_listen(r->server, &a, &r->error));
    cb_buf_append(&r->error, "", 1);
    assert_non_null(strstr((const char *)cb_buf_span(&r->error).ptr, part));
    cb_buf_clear(&r->error);
}

/* ---- the tests ---- */

static void serves_tcp(void **state)
{
    struct rig *r = *state;
    start_on(r, "127.0.0.1");
    int a = connect_v4(r);
    int b = connect_v4(r);
    send_text(a, "bad\r\nput 0 0 1 70000\r\n");
    send_text(b, "b");
    expect_text(r, a, "UNKNOWN_COMMAND\r\n");
    send_text(b, "ad\r\nquit\r\n");
    expect_text(r, b, "UNKNOWN_COMMAND\r\n");
    expect_end(r, b);
    (void)close(a);
    while (server_counters(r->server).accepted < 2) {
        turn(r);
    }
}

static void serves_both_families_on_one_socket(void **state)
{
    struct rig *r = *state;
    assert_true(server_listen_any(r->server, 0, &r->error));
    server_start(r->server, r->engine);
    int fd = connect_v4(r);
    send_text(fd, "quit\r\n");
    expect_end(r, fd);
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    if (probe < 0) {
        return; /* this machine has no IPv6: the socket is IPv4's alone */
    }
    (void)close(probe);
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(port_of(r))};
    to.sin6_addr = in6addr_loopback;
    fd = connect_to((const struct sockaddr *)&to, sizeof to);
    send_text(fd, "bad\r\n");
    expect_text(r, fd, "UNKNOWN_COMMAND\r\n");
    (void)close(fd);
}

static void replaces_a_stale_unix_socket_only(void **state)
{
    struct rig *r = *state;
    char path[96];
    char address[128];
    (void)snprintf(path, sizeof path, "%s/s", r->dir);
    (void)snprintf(address, sizeof address, "unix:%s", path);

    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    (void)close(file);
    refused(r, address, 0, "no socket");
    assert_int_equal(unlink(path), 0);

    struct sockaddr_un at = {.sun_family = AF_UNIX};
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(other, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(other, 1), 0);
    refused(r, address, 0, "another process");
    (void)close(other); /* leaves the file behind */

    start_on(r, address);
    int fd = connect_unix(path);
    send_text(fd, "bad\r\n");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    expect_text(r, fd, "UNKNOWN_COMMAND\r\n");
    expect_end(r, fd);
}

static void says_why_it_cannot_listen(void **state)
{
    struct rig *r = *state;
    start_on(r, "127.0.0.1");
    refused(r, "127.0.0.1", port_of(r), "another process");
    refused(r, "192.0.2.1", 1, "192.0.2.1:1");               /* of another host */
    assert_false(server_listen_fd(r->server, 0, &r->error)); /* not a listening socket */
}

static void takes_a_socket_that_listens(void **state)
{
    struct rig *r = *state;
    struct sockaddr_in at = {.sin_family = AF_INET};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_true(server_listen_fd(r->server, fd, &r->error));
    server_start(r->server, r->engine);
    int client = connect_v4(r);
    send_text(client, "bad\r\n");
    expect_text(r, client, "UNKNOWN_COMMAND\r\n");
    (void)close(client);
}

static void closes_who_comes_above_the_bound(void **state)
{
    struct rig *r = *state;
    int fds[CLIENTS_MAX + 2];
    start_on(r, "127.0.0.1");
    for (int i = 0; i < CLIENTS_MAX + 2; i++) {
        fds[i] = connect_v4(r);
    }
    expect_end(r, fds[CLIENTS_MAX]);
    expect_end(r, fds[CLIENTS_MAX + 1]);
    assert_int_equal(server_counters(r->server).refused, 2);
    send_text(fds[0], "quit\r\n");
    expect_end(r, fds[0]);
    int again = connect_v4(r); /* there is room again */
    send_text(again, "bad\r\n");
    expect_text(r, again, "UNKNOWN_COMMAND\r\n");
    (void)close(again);
    for (int i = 1; i < CLIENTS_MAX; i++) {
        (void)close(fds[i]);
    }
}

/* It writes until it is stopped, then reads: every answer is there. */
static void waits_for_a_client_that_does_not_read(void **state)
{
    struct rig *r = *state;
    start_on(r, "127.0.0.1");
    int fd = connect_v4(r);
    char block[3 * 4096 + 3];
    for (size_t i = 0; i < sizeof block; i++) {
        block[i] = "x\r\n"[i % 3];
    }
    uint64_t written = 0;
    for (int idle = 0; idle < 1000;) {
        ssize_t n = write(fd, block + written % 3, sizeof block - 3);
        assert_true(n > 0 || errno == EAGAIN);
        written += n > 0 ? (uint64_t)n : 0;
        idle = n > 0 ? 0 : idle + 1;
        turn(r);
        if (written > 100 * CB_MIB) {
            fail_msg("nothing stops this client");
        }
    }
    static char buf[65536];
    uint64_t want = written / 3 * strlen("UNKNOWN_COMMAND\r\n");
    while (want > 0) {
        ssize_t n = receive(r, fd, buf, want < sizeof buf ? (size_t)want : sizeof buf);
        assert_true(n > 0);
        want -= (uint64_t)n;
    }
    (void)close(fd);
}

static void notices_who_is_gone(void **state)
{
    struct rig *r = *state;
    start_on(r, "127.0.0.1");
    for (int i = 0; i < 20; i++) { /* more than there is room for at once */
        int fd = connect_v4(r);
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
        send_text(fd, "bad\r\n");
        expect_text(r, fd, "UNKNOWN_COMMAND\r\n");
        (void)close(fd); /* a reset */
        turn(r);
    }
    assert_int_equal(server_counters(r->server).refused, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(serves_tcp),
        TEST(serves_both_families_on_one_socket),
        TEST(replaces_a_stale_unix_socket_only),
        TEST(says_why_it_cannot_listen),
        TEST(takes_a_socket_that_listens),
        TEST(closes_who_comes_above_the_bound),
        TEST(waits_for_a_client_that_does_not_read),
        TEST(notices_who_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
