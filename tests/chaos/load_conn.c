/* Sockets: connects, carries bytes, and connects again what the server closed. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chaos/load.h"
#include "common/base/cb_assert.h"
#include "history/history_file.h"

#define RECONNECT_NS (20 * LOAD_MS)
/* A proxy's machine that is gone does not even refuse. */
#define CONNECT_NS (2 * LOAD_S)
#define READ_LEN 65536

const char *load_tube_name(const struct load *l, uint32_t tube)
{
    return history_tube_name(l->names, tube);
}

void load_conn_write(struct load_conn *c, const struct hist_record *r)
{
    struct load *l = c->load;
    cb_buf_clear(&l->line);
    history_file_line(l->names, r, &l->line);
    cb_buf_append_str(&l->line, "\n");
    if (fwrite(cb_buf_span(&l->line).ptr, 1, cb_buf_len(&l->line), l->file) !=
        cb_buf_len(&l->line)) {
        cb_die("cannot write the history: %s", strerror(errno));
    }
}

static void write_simple(struct load_conn *c, enum hist_op op, bool by_server)
{
    struct hist_record r = {.invoke_ns = c->load->now_ns,
                            .complete_ns = op == HIST_CLOSE ? HIST_NEVER : c->load->now_ns,
                            .conn = c->number,
                            .op = op,
                            .by_server = by_server};
    load_conn_write(c, &r);
}

void load_conn_sent(struct load_conn *c, const struct hist_record *r)
{
    CB_ASSERT(c->count < LOAD_PENDING_MAX);
    c->pending[(c->first + c->count++) % LOAD_PENDING_MAX] = *r;
}

static void forget(struct load_conn *c)
{
    (void)close(c->fd); /* nothing is lost that was not lost before */
    c->fd = -1;
    c->is_open = false;
    c->is_greeted = false;
    c->reserves = false;
    c->job = 0;
    c->first = 0;
    c->count = 0;
    cb_buf_clear(&c->in);
    cb_buf_clear(&c->out);
    c->wake_ns = c->load->now_ns + RECONNECT_NS;
}

/* What has no answer is written as such; the close is the connection's last record. */
static void end(struct load_conn *c, bool by_server)
{
    for (unsigned i = 0; i < c->count; i++) {
        load_conn_write(c, &c->pending[(c->first + i) % LOAD_PENDING_MAX]);
    }
    write_simple(c, HIST_CLOSE, by_server);
    c->load->counts.closed += by_server;
    forget(c);
}

void load_conn_leave(struct load_conn *c)
{
    if (c->is_open) {
        c->load->now_ns = load_clock_ns();
        end(c, false);
    } else if (c->fd >= 0) {
        forget(c);
    }
}

static void lost(struct load_conn *c)
{
    c->load->now_ns = load_clock_ns();
    if (c->is_open) {
        end(c, true);
        return;
    }
    c->load->counts.refused++;
    forget(c);
}

static void watch_socket(struct load_conn *c, int how, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = c};
    CB_ASSERT(epoll_ctl(c->load->epoll_fd, how, c->fd, &ev) == 0);
}

static void start_connect(struct load_conn *c)
{
    struct load *l = c->load;
    /* Another proxy each time, so that one that is gone holds nobody up for long. */
    const struct sockaddr_in *to = &l->options.addresses[c->place++ % l->options.n_addresses];
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        cb_die("no socket: %s", strerror(errno));
    }
    int one = 1;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* only a speed-up */
    c->wake_ns = l->now_ns + CONNECT_NS;
    watch_socket(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
    if (connect(c->fd, (const struct sockaddr *)to, sizeof(*to)) != 0 && errno != EINPROGRESS) {
        lost(c);
    }
}

/* A line that checkers leave out: which proxy it is. */
static void note_address(struct load_conn *c)
{
    char host[INET_ADDRSTRLEN];
    struct sockaddr_in to;
    socklen_t len = sizeof(to);
    if (getpeername(c->fd, (struct sockaddr *)&to, &len) == 0 &&
        inet_ntop(AF_INET, &to.sin_addr, host, sizeof(host)) != NULL) {
        fprintf(c->load->file, "# conn %" PRIu32 " %s:%u\n", c->number, host,
                (unsigned)ntohs(to.sin_port));
    }
}

static void connected(struct load_conn *c)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        lost(c);
        return;
    }
    c->place--; /* it stays with this one as long as it is there */
    c->is_open = true;
    c->number = ++c->load->numbers;
    c->wake_ns = c->load->now_ns;
    c->tube = HIST_TUBE_DEFAULT;
    note_address(c);
    write_simple(c, HIST_CONNECT, false);
    watch_socket(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void flush(struct load_conn *c)
{
    struct cb_span out = cb_buf_span(&c->out);
    if (!c->is_open || out.len == 0) {
        return;
    }
    ssize_t n = send(c->fd, out.ptr, out.len, MSG_NOSIGNAL);
    if (n > 0) {
        cb_buf_consume(&c->out, (size_t)n);
    } else if (n < 0 && errno != EAGAIN) {
        lost(c);
        return;
    }
    watch_socket(c, EPOLL_CTL_MOD, cb_buf_len(&c->out) > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void receive(struct load_conn *c)
{
    uint8_t *room = cb_buf_reserve(&c->in, READ_LEN);
    ssize_t n = recv(c->fd, room, READ_LEN, 0);
    int error = errno;
    c->load->now_ns = load_clock_ns(); /* after the answer came, never before */
    if (n == 0 || (n < 0 && error != EAGAIN)) {
        lost(c);
        return;
    }
    cb_buf_commit(&c->in, n > 0 ? (size_t)n : 0);
    while (c->is_open && load_answer_take(c) == LOAD_TAKEN) {
    }
    flush(c);
}

void load_conn_event(struct load_conn *c, uint32_t events)
{
    if (c->fd < 0) {
        return;
    }
    if (!c->is_open) {
        connected(c);
        return;
    }
    if ((events & EPOLLOUT) != 0) {
        flush(c);
    }
    if (c->is_open && (events & ~(uint32_t)EPOLLOUT) != 0) {
        receive(c);
    }
}

void load_conn_turn(struct load_conn *c)
{
    if (c->is_over || c->load->now_ns < c->wake_ns) {
        return;
    }
    if (c->is_open) {
        load_role_turn(c);
        flush(c);
    } else if (c->fd >= 0) {
        lost(c); /* it took too long */
    } else if (c->role == LOAD_DRAINER || c->load->phase == LOAD_WORKS) {
        start_connect(c);
    }
}

void load_conn_init(struct load_conn *c, struct load *l, enum load_role role, unsigned place)
{
    *c = (struct load_conn){.load = l, .role = role, .place = place, .fd = -1};
    cb_rng_init(&c->rng, l->options.seed * 1000003 + place);
    cb_buf_init(&c->in);
    cb_buf_init(&c->out);
}

void load_conn_fini(struct load_conn *c)
{
    if (c->fd >= 0) {
        forget(c);
    }
    cb_buf_fini(&c->in);
    cb_buf_fini(&c->out);
}
