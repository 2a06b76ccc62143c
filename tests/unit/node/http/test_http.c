/* Proves that the HTTP server answers by path, refuses other methods, survives garbage, and says so
 * when its port is taken. The client is a plain blocking socket on a thread of its own. */
#include "node/http/http.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static char address[32];
static uint16_t port;

/* A port that was free a moment ago. */
static void pick_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof(at);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(close(fd), 0);
    port = ntohs(at.sin_port);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", port); /* always fits */
}

static void answer(void *data, const char *path, struct http_reply *reply)
{
    (void)data;
    if (strcmp(path, "/healthz") == 0) {
        reply->status = 200;
        cb_buf_append_str(&reply->body, "well\n");
    }
}

struct exchange {
    const char *request;
    char reply[4096];
    uv_async_t *done;
};

static void *ask(void *data)
{
    struct exchange *x = data;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0) {
        size_t len = strlen(x->request);
        size_t got = 0;
        ssize_t n = send(fd, x->request, len, MSG_NOSIGNAL) == (ssize_t)len ? 1 : 0;
        while (n > 0 && got < sizeof(x->reply) - 1) {
            n = recv(fd, x->reply + got, sizeof(x->reply) - 1 - got, 0);
            got += n > 0 ? (size_t)n : 0;
        }
    }
    (void)close(fd);              /* all was read */
    (void)uv_async_send(x->done); /* cannot fail while the handle is open */
    return NULL;
}

static void on_done(uv_async_t *async)
{
    uv_close((uv_handle_t *)async, NULL);
}

/* One request to a server that lives for it alone; its whole reply. */
static const char *exchange(const char *request)
{
    static struct exchange x;
    uv_loop_t loop;
    uv_async_t done;
    pthread_t thread;
    struct cb_buf error = CB_BUF_NULL;
    memset(&x, 0, sizeof(x));
    x.request = request;
    x.done = &done;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(uv_async_init(&loop, &done, on_done), 0);
    struct http *h = http_open(&loop, address, answer, NULL, &error);
    assert_non_null(h);
    assert_int_equal(pthread_create(&thread, NULL, ask, &x), 0);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    http_close(h);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    return x.reply;
}

static void answers_by_path(void **state)
{
    (void)state;
    const char *r = exchange("GET /healthz?x=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(r, " 200 "));
    assert_non_null(strstr(r, "well\n"));
    r = exchange("GET /other HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(r, " 404 "));
}

static void refuses_other_methods(void **state)
{
    (void)state;
    const char *r = exchange("POST /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                             "Content-Length: 3\r\n\r\nabc");
    assert_non_null(strstr(r, " 405 "));
}

static void survives_garbage(void **state)
{
    (void)state;
    (void)exchange("\x01\x02 no http at all\r\n\r\n\r\n");
    const char *r = exchange("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(r, " 200 "));
}

static void a_busy_port_is_an_error(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct cb_buf error = CB_BUF_NULL;
    assert_int_equal(uv_loop_init(&loop), 0);
    struct http *first = http_open(&loop, address, answer, NULL, &error);
    assert_non_null(first);
    assert_null(http_open(&loop, address, answer, NULL, &error));
    assert_true(cb_buf_len(&error) > 0);
    cb_buf_clear(&error);
    assert_null(http_open(&loop, "some.name:80", answer, NULL, &error));
    assert_true(cb_buf_len(&error) > 0);
    cb_buf_fini(&error);
    http_close(first);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_by_path),
        cmocka_unit_test(refuses_other_methods),
        cmocka_unit_test(survives_garbage),
        cmocka_unit_test(a_busy_port_is_an_error),
    };
    pick_port();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
