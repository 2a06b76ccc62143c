#include "unit/node/link/link_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/cb_hash.h"
#include "common/base/cb_mem.h"
#include "node/link/link_hello.h"

static void on_wake(uv_timer_t *timer)
{
    (void)timer;
}

void rig_init(struct rig *r)
{
    memset(r, 0, sizeof *r);
    assert_int_equal(uv_loop_init(&r->loop), 0);
    assert_int_equal(uv_timer_init(&r->loop, &r->wake), 0);
    assert_int_equal(uv_timer_start(&r->wake, on_wake, 1, 1), 0);
    for (size_t i = 0; i < RIG_MEMBERS; i++) {
        r->m[i].rig = r;
        r->m[i].id = i + 1;
    }
}

void rig_turn(struct rig *r)
{
    uv_run(&r->loop, UV_RUN_ONCE);
}

void rig_fini(struct rig *r)
{
    for (size_t i = 0; i < RIG_MEMBERS; i++) {
        if (r->m[i].link != NULL) {
            rig_stop(&r->m[i]);
        }
        cb_buf_fini(&r->m[i].last);
    }
    uv_close((uv_handle_t *)&r->wake, NULL);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
}

/* --- a member --- */

static bool is_member(void *data, uint64_t id, const char *address)
{
    (void)address;
    const struct rig_member *m = data;
    return id >= 1 && id <= RIG_MEMBERS && id != m->no_member;
}

static bool
on_received(void *data, uint64_t from, const char *address, uint8_t type, struct cb_span payload)
{
    struct rig_member *m = data;
    assert_true(is_member(m, from, address) && from != m->id);
    m->received++;
    cb_buf_clear(&m->last);
    cb_buf_append(&m->last, payload.ptr, payload.len);
    snprintf(m->last_address, sizeof m->last_address, "%s", address);
    uint64_t number;
    if (payload.len == sizeof number && type == RIG_TYPE) {
        memcpy(&number, payload.ptr, sizeof number);
        assert_true(number >= m->next_number[from]);
        m->next_number[from] = number + 1;
    }
    return !m->refuses;
}

static void on_ended(void *data, uint64_t from)
{
    struct rig_member *m = data;
    (void)from;
    m->ended++;
}

static void on_gone(void *data, uint64_t id)
{
    struct rig_member *m = data;
    (void)id;
    m->gone++;
}

static void start_at(struct rig_member *m, const char *address)
{
    const struct link_config config = {.cluster = RIG_CLUSTER,
                                       .self = m->id,
                                       .address = address,
                                       .tick_ms = RIG_TICK_MS,
                                       .queue_max = 1 << 20};
    const struct link_events events = {.data = m,
                                       .is_member = is_member,
                                       .received = on_received,
                                       .ended = on_ended,
                                       .gone = on_gone};
    struct cb_buf error = CB_BUF_NULL;
    m->is_destroyed = false;
    m->link = link_create(&m->rig->loop, &config, &events);
    if (!link_listen(m->link, address, &error)) {
        fail_msg("%.*s", (int)cb_buf_len(&error), (const char *)error.base);
    }
    cb_buf_fini(&error);
}

void rig_start(struct rig_member *m, const char *host)
{
    char address[64];
    snprintf(address, sizeof address, "%s:0", host);
    start_at(m, address);
    snprintf(m->address, sizeof m->address, "%s:%u", host, link_port(m->link));
}

void rig_restart(struct rig_member *m)
{
    memset(m->next_number, 0, sizeof m->next_number);
    start_at(m, m->address);
}

static void on_destroyed(void *ctx)
{
    struct rig_member *m = ctx;
    m->is_destroyed = true;
    m->link = NULL;
}

void rig_stop(struct rig_member *m)
{
    link_destroy(m->link, on_destroyed, m);
    rig_run_until(m->rig, m->is_destroyed);
}

struct sent {
    struct rig_member *m;
    uint8_t *body;
};

static void on_sent(void *arg, bool sent)
{
    struct sent *s = arg;
    uint64_t *count = sent ? &s->m->sent_ok : &s->m->sent_lost;
    (*count)++;
    assert_false(s->m->rig->is_in_callback); /* never from inside of link_send */
    cb_free(s->body);
    cb_free(s);
}

bool rig_send_bytes(struct rig_member *from, struct rig_member *to, struct cb_span body)
{
    struct sent *s = cb_calloc(1, sizeof *s);
    s->m = from;
    s->body = cb_memdup(body.ptr, body.len);
    struct cb_span piece = cb_span(s->body, body.len);
    const struct link_message m = {.type = RIG_TYPE, .body = &piece, .n_body = 1};
    from->rig->is_in_callback = true;
    bool ok = link_send(from->link, to->id, to->address, &m, 1, on_sent, s);
    from->rig->is_in_callback = false;
    if (!ok) {
        cb_free(s->body);
        cb_free(s);
    }
    return ok;
}

bool rig_send(struct rig_member *from, struct rig_member *to, uint64_t number)
{
    return rig_send_bytes(from, to, cb_span(&number, sizeof number));
}

bool rig_poke(struct rig_member *from, struct rig_member *to)
{
    return rig_send_bytes(from, to, cb_span_str("poke"));
}

const struct link_counters *rig_counters(const struct rig_member *m)
{
    return link_counters_get(m->link);
}

/* --- plain sockets --- */

int rig_listen(struct rig_member *m)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    snprintf(m->address, sizeof m->address, "127.0.0.1:%u", ntohs(at.sin_port));
    return fd;
}

int rig_socket(const struct rig_member *m)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(link_port(m->link))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

void rig_say(int fd, struct cb_span bytes)
{
    assert_int_equal(send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL), bytes.len);
}

void rig_say_frame(int fd, uint8_t type, struct cb_span payload)
{
    struct cb_buf b = CB_BUF_NULL;
    uint8_t *header = cb_buf_reserve(&b, LINK_FRAME_HEADER_SIZE);
    link_frame_header(header, type, (uint32_t)payload.len, cb_hash(payload.ptr, payload.len));
    cb_buf_commit(&b, LINK_FRAME_HEADER_SIZE);
    cb_buf_append(&b, payload.ptr, payload.len);
    rig_say(fd, cb_buf_span(&b));
    cb_buf_fini(&b);
}

void rig_say_hello(int fd, uint64_t cluster, uint64_t from, uint64_t to)
{
    const struct link_hello h = {.cluster = cluster, .from = from, .to = to, .address = "x:1"};
    struct cb_buf b = CB_BUF_NULL;
    link_hello_encode(&h, &b);
    rig_say_frame(fd, LINK_FRAME_HELLO, cb_buf_span(&b));
    cb_buf_fini(&b);
}

bool rig_is_closed(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);
    assert_true(n <= 0); /* nothing is ever said on it */
    return n == 0 || errno != EAGAIN;
}
