/* Proves that a listener that nobody serves any more ends the process with a sentence, and what
 * must not: a server that answers, a loop that stood still, a port that was never reached. A socket
 * that listens without anybody to accept is what gRPC leaves behind (its own: e2e/selfcheck.py).
 *
 * Each scenario runs in a child, which may die and has a gRPC of its own. */
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/rpc/rpc_server.h"
#include "common/sys/cb_log.h"
#include "node/node_internal.h"

#define EVERY_MS 20
#define DEADLINE_MS 300
/* For a server that answers, on a host with other things to do. */
#define PATIENT_MS 10000
/* More than three failures take. */
#define LONG_MS (5 * (EVERY_MS + DEADLINE_MS))
/* A turn of the loop that takes more than a sixth of the deadline is one that stood still. */
#define STILL_MS 120
#define STOPS 10
#define ROUNDS 3

struct child {
    uv_loop_t loop;
    uv_timer_t end;
    uv_timer_t often;
    struct rpc *rpc;
    struct rpc_server *server;         /* NULL: none */
    void (*on_check)(struct child *c); /* when the server is asked; may be NULL */
    struct node_selfcheck *check;
    char address[64];
    rlim_t most; /* descriptors */
    int rounds;
};

/* ---- in the child ---- */

static void open_child(struct child *c)
{
    CB_ASSERT(uv_loop_init(&c->loop) == 0);
    CB_ASSERT(uv_timer_init(&c->loop, &c->end) == 0);
    CB_ASSERT(uv_timer_init(&c->loop, &c->often) == 0);
    c->end.data = c->often.data = c;
    c->rpc = rpc_create(&c->loop);
}

static void start_check(struct child *c, uint64_t every_ms, uint64_t deadline_ms)
{
    const struct node_selfcheck_config config = {
        .loop = &c->loop,
        .rpc = c->rpc,
        .clock = cb_clock_system(),
        .listen = c->address,
        .every_ms = every_ms,
        .deadline_ms = deadline_ms,
    };
    c->check = node_selfcheck_start(&config);
}

static void on_call(void *ctx, struct rpc_call *call, struct cb_span request)
{
    struct child *c = ctx;
    struct cb_buf reply = CB_BUF_NULL; /* of no status in particular */
    (void)request;
    if (c->on_check != NULL) {
        c->on_check(c);
    }
    rpc_call_reply(call, &reply);
}

static void serve(struct child *c, void (*on_check)(struct child *c))
{
    const struct rpc_method health = {
        .path = "/grpc.health.v1.Health/Check", .kind = RPC_UNARY, .ctx = c, .on_call = on_call};
    uint16_t port;
    struct cb_buf error = CB_BUF_NULL;
    c->on_check = on_check;
    c->server = rpc_server_create(c->rpc);
    rpc_server_add(c->server, &health, 1);
    CB_ASSERT(rpc_server_listen(c->server, "localhost:0", &port, &error) == RPC_LISTEN_OK);
    rpc_server_start(c->server);
    snprintf(c->address, sizeof(c->address), "localhost:%u", port);
}

/* The system accepts, and nobody speaks. With a backlog of -1 not even that. */
static void listen_silently(struct child *c, int backlog)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CB_ASSERT(bind(fd, (struct sockaddr *)&at, len) == 0);
    CB_ASSERT(backlog < 0 || listen(fd, backlog) == 0);
    CB_ASSERT(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    snprintf(c->address, sizeof(c->address), "127.0.0.1:%u", ntohs(at.sin_port));
}

static void on_end(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void run_for(struct child *c, uint64_t ms)
{
    uv_update_time(&c->loop);
    CB_ASSERT(uv_timer_start(&c->end, on_end, ms, 0) == 0);
    uv_run(&c->loop, UV_RUN_DEFAULT);
}

static void set_true(void *ctx)
{
    *(bool *)ctx = true;
}

/* Everything must come to its end, with nothing left in the loop. */
static void close_child(struct child *c)
{
    bool is_server_closed = c->server == NULL;
    bool is_rpc_closed = false;
    node_selfcheck_stop(c->check);
    if (c->server != NULL) {
        rpc_server_close(c->server, 0, set_true, &is_server_closed);
    }
    rpc_close(c->rpc, set_true, &is_rpc_closed);
    uv_close((uv_handle_t *)&c->end, NULL);
    uv_close((uv_handle_t *)&c->often, NULL);
    uv_run(&c->loop, UV_RUN_DEFAULT);
    CB_ASSERT(is_server_closed && is_rpc_closed);
    CB_ASSERT(uv_loop_close(&c->loop) == 0);
}

/* ---- the parent ---- */

static char said[4096]; /* by the last child */

static void read_all(int fd)
{
    size_t len = 0;
    ssize_t n;
    while (len < sizeof(said) - 1 && (n = read(fd, said + len, sizeof(said) - 1 - len)) > 0) {
        len += (size_t)n;
    }
    said[len] = '\0';
    close(fd);
}

/* The exit status of `scenario`, which leaves what it has said in `said`. `disturb` may be NULL. */
static int run(void (*scenario)(struct child *c), void (*disturb)(pid_t pid))
{
    int fds[2];
    int status;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        static struct child c;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        cb_log_set_level(CB_LOG_DEBUG);
        open_child(&c);
        scenario(&c);
        close_child(&c);
        exit(0); /* a sanitizer looks for what is left */
    }
    close(fds[1]);
    if (disturb != NULL) {
        disturb(pid);
    }
    read_all(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    print_message("%s", said);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static unsigned count(const char *text)
{
    unsigned n = 0;
    for (const char *at = strstr(said, text); at != NULL; at = strstr(at + 1, text)) {
        n++;
    }
    return n;
}

/* ---- scenarios ---- */

static void nobody_accepts(struct child *c)
{
    listen_silently(c, 64);
    start_check(c, EVERY_MS, DEADLINE_MS);
    run_for(c, 10 * LONG_MS);
}

static void dies_of_three_failures(void **state)
{
    (void)state;
    assert_int_equal(run(nobody_accepts, NULL), 1);
    assert_int_equal(count("selfcheck.failed"), 3);
    assert_int_equal(count("no new gRPC connection to 127.0.0.1:"), 1);
    assert_int_equal(count("was answered 3 times in a row"), 1);
}

static void count_round(struct child *c)
{
    c->rounds++;
}

static void a_server_answers(struct child *c)
{
    serve(c, count_round);
    start_check(c, EVERY_MS, PATIENT_MS);
    run_for(c, LONG_MS);
    CB_ASSERT(c->rounds > ROUNDS);
}

static void an_answer_is_enough(void **state)
{
    (void)state;
    assert_int_equal(run(a_server_answers, NULL), 0);
    assert_string_equal(said, "");
}

static void stand_still(uv_timer_t *timer)
{
    (void)timer;
    uv_sleep(STILL_MS); /* this is what holds the loop up */
}

static void nobody_accepts_and_the_loop_is_slow(struct child *c)
{
    listen_silently(c, 64);
    start_check(c, EVERY_MS, DEADLINE_MS);
    CB_ASSERT(uv_timer_start(&c->often, stand_still, 1, 1) == 0);
    run_for(c, 2 * LONG_MS);
}

static void a_loop_that_stood_still_proves_nothing(void **state)
{
    (void)state;
    assert_int_equal(run(nobody_accepts_and_the_loop_is_slow, NULL), 0);
    assert_int_equal(count("selfcheck.failed"), 0);
    assert_true(count("selfcheck.void") >= 3);
}

/* Again and again longer than a check may take, and most of the time in the middle of one. */
static void stop_often(pid_t pid)
{
    uv_sleep(EVERY_MS); /* until its first check */
    for (int i = 0; i < STOPS; i++) {
        kill(pid, SIGSTOP);
        uv_sleep(DEADLINE_MS + 50); /* stopped for longer than a check may take */
        kill(pid, SIGCONT);
        uv_sleep(5); /* it runs for a moment in between */
    }
}

static void a_server_is_stopped(struct child *c)
{
    serve(c, NULL);
    start_check(c, 1, DEADLINE_MS);
    run_for(c, STOPS * (DEADLINE_MS + 200));
}

static void a_stopped_process_goes_on(void **state)
{
    (void)state;
    assert_int_equal(run(a_server_is_stopped, stop_often), 0);
    assert_int_equal(count("fatal"), 0);
}

static void limit_descriptors(rlim_t to)
{
    struct rlimit r;
    CB_ASSERT(getrlimit(RLIMIT_NOFILE, &r) == 0);
    r.rlim_cur = to;
    CB_ASSERT(setrlimit(RLIMIT_NOFILE, &r) == 0);
}

/* The first of those that this check gives back. */
static void take_one(uv_timer_t *timer)
{
    if (dup(STDERR_FILENO) >= 0) {
        uv_timer_stop(timer);
    }
}

static void leave_two(struct child *c)
{
    int lowest = dup(STDERR_FILENO);
    CB_ASSERT(lowest >= 0 && close(lowest) == 0);
    limit_descriptors((rlim_t)lowest);
    CB_ASSERT(uv_timer_start(&c->often, take_one, 1, 1) == 0);
}

/* A check takes two. With the one that is left it would be the check that ends the listener. */
static void one_descriptor_is_left(struct child *c)
{
    serve(c, leave_two);
    start_check(c, 10 * EVERY_MS, PATIENT_MS);
    run_for(c, 10 * LONG_MS);
}

static void dies_without_descriptors(void **state)
{
    (void)state;
    assert_int_equal(run(one_descriptor_is_left, NULL), 1);
    assert_int_equal(count("why=\"Too many open files\""), 3);
    assert_int_equal(count("descriptors in use: "), 1);
    assert_int_equal(count("accept4"), 0);
}

/* All descriptors are taken away until two checks have failed, then until one is answered. At that
 * moment no connection waits to be accepted. */
static void leave_none(struct child *c)
{
    if (c->rounds++ == ROUNDS) {
        uv_stop(&c->loop);
    } else {
        limit_descriptors(1);
    }
}

static void on_log_line(void *ctx, const char *line, size_t len)
{
    const struct child *c = ctx;
    (void)fwrite(line, 1, len, stderr);
    if (strstr(line, "selfcheck.failed") != NULL && strstr(line, "failures=2") != NULL) {
        limit_descriptors(c->most);
    }
}

static void two_fail_and_one_is_answered(struct child *c)
{
    struct cb_log_config config = cb_log_config_default();
    struct rlimit r;
    CB_ASSERT(getrlimit(RLIMIT_NOFILE, &r) == 0);
    c->most = r.rlim_cur;
    config.sink = on_log_line;
    config.sink_ctx = c;
    cb_log_init(&config);
    serve(c, leave_none);
    start_check(c, EVERY_MS, PATIENT_MS);
    run_for(c, 10 * LONG_MS);
}

static void an_answer_ends_the_row(void **state)
{
    (void)state;
    assert_int_equal(run(two_fail_and_one_is_answered, NULL), 0);
    assert_int_equal(count("selfcheck.failed"), 2 * ROUNDS);
    assert_true(count("selfcheck.answered") >= ROUNDS - 1); /* the last may be cut off */
}

static void a_check_is_under_way(struct child *c)
{
    listen_silently(c, 64);
    start_check(c, EVERY_MS, PATIENT_MS);
    run_for(c, 5 * EVERY_MS);
}

static void can_be_stopped_in_a_check(void **state)
{
    (void)state;
    assert_int_equal(run(a_check_is_under_way, NULL), 0);
    assert_string_equal(said, "");
}

static void nobody_listens(struct child *c)
{
    listen_silently(c, -1);
    start_check(c, EVERY_MS, DEADLINE_MS);
    CB_ASSERT(c->check == NULL);
    run_for(c, LONG_MS);
}

static void a_port_out_of_reach_is_let_be(void **state)
{
    (void)state;
    assert_int_equal(run(nobody_listens, NULL), 0);
    assert_int_equal(count("selfcheck.off"), 1);
    assert_int_equal(count("selfcheck"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dies_of_three_failures),
        cmocka_unit_test(an_answer_is_enough),
        cmocka_unit_test(a_loop_that_stood_still_proves_nothing),
        cmocka_unit_test(a_stopped_process_goes_on),
        cmocka_unit_test(dies_without_descriptors),
        cmocka_unit_test(an_answer_ends_the_row),
        cmocka_unit_test(can_be_stopped_in_a_check),
        cmocka_unit_test(a_port_out_of_reach_is_let_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
