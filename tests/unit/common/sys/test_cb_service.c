/* Proves what a daemon says to its service manager and takes from it, with a manager played by the
 * test. */
#include "common/sys/cb_service.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static int manager(struct sockaddr_un *at, size_t path_len)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_len);
    assert_int_equal(bind(fd, (const struct sockaddr *)at, len), 0);
    return fd;
}

static void expect_state(int fd, const char *state)
{
    char buf[64] = {0};
    assert_int_equal(recv(fd, buf, sizeof buf - 1, MSG_DONTWAIT), strlen(state));
    assert_string_equal(buf, state);
}

static void tells_a_path(void **state)
{
    (void)state;
    char dir[] = "/tmp/test_cb_service.XXXXXX";
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(dir));
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s/notify", dir);
    int fd = manager(&at, strlen(at.sun_path));
    assert_int_equal(setenv("NOTIFY_SOCKET", at.sun_path, 1), 0);
    cb_service_notify("READY=1");
    expect_state(fd, "READY=1");
    (void)close(fd);
    assert_int_equal(unlink(at.sun_path), 0);
    assert_int_equal(rmdir(dir), 0);
    cb_service_notify("READY=1"); /* nobody is there any more */
}

static void tells_an_abstract_name(void **state)
{
    (void)state;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int n = snprintf(at.sun_path, sizeof at.sun_path, "@test_cb_service.%d", (int)getpid());
    assert_int_equal(setenv("NOTIFY_SOCKET", at.sun_path, 1), 0);
    at.sun_path[0] = '\0';
    int fd = manager(&at, (size_t)n);
    cb_service_notify("STOPPING=1");
    expect_state(fd, "STOPPING=1");
    (void)close(fd);
}

static void tells_nobody_without_a_manager(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    cb_service_notify("READY=1");
    assert_int_equal(setenv("NOTIFY_SOCKET", "relative", 1), 0);
    cb_service_notify("READY=1");
}

static void takes_sockets_that_are_for_it(void **state)
{
    char pid[16];
    (void)state;
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    assert_int_equal(unsetenv("LISTEN_FDS"), 0);
    assert_int_equal(cb_service_listen_fds(), 0);
    assert_int_equal(setenv("LISTEN_FDS", "1", 1), 0);
    assert_int_equal(setenv("LISTEN_PID", "1", 1), 0); /* for another process */
    assert_int_equal(cb_service_listen_fds(), 0);
    assert_int_equal(setenv("LISTEN_PID", pid, 1), 0);
    assert_int_equal(cb_service_listen_fds(), 1);
    assert_int_equal(setenv("LISTEN_FDS", "1x", 1), 0);
    assert_int_equal(cb_service_listen_fds(), 0);
    assert_int_equal(setenv("LISTEN_FDS", "-1", 1), 0);
    assert_int_equal(cb_service_listen_fds(), 0);
}

static void raises_the_limit(void **state)
{
    struct rlimit r;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
    r.rlim_cur = r.rlim_max / 2;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
    assert_int_equal(cb_service_raise_descriptor_limit(), r.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
    assert_int_equal(r.rlim_cur, r.rlim_max);
}

static void counts_descriptors(void **state)
{
    struct rlimit r;
    (void)state;
    struct cb_service_descriptors before = cb_service_descriptors();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
    assert_int_equal(before.limit, r.rlim_cur);
    int fd = dup(STDERR_FILENO);
    assert_true(fd >= 0);
    assert_int_equal(cb_service_descriptors().used, before.used + 1);
    r.rlim_cur = (rlim_t)fd + 1; /* none is left */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
    assert_int_equal(cb_service_descriptors().used, (rlim_t)fd + 1);
    assert_int_equal(cb_service_descriptors().limit, (rlim_t)fd + 1);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_a_path),
        cmocka_unit_test(tells_an_abstract_name),
        cmocka_unit_test(tells_nobody_without_a_manager),
        cmocka_unit_test(takes_sockets_that_are_for_it),
        cmocka_unit_test(raises_the_limit),
        cmocka_unit_test(counts_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
