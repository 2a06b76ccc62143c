/* A socket between a client and a proxy: bytes in order, in pieces of any size, read and written
 * when the two ends please, half-closed, closed and reset. */
#include "common/base/cb_mem.h"
#include "sim/sim.h"

#define SOCKET_BUFFER (32 * CB_KIB)
#define LATENCY_MAX_NS (200 * 1000)
#define RECONNECT_MAX_NS (500 * CB_NS_PER_MS)

#define SAID_MAX 200 /* bytes of a piece */

enum piece_kind { PIECE_BYTES, PIECE_EOF, PIECE_CLOSE };

struct sim_conn {
    struct cb_list link;     /* in sim.conns */
    struct cb_list at_proxy; /* in proxy.conns, while the engine knows it */
    struct sim *sim;
    struct sim_proxy *proxy;
    struct sim_client *client;    /* NULL: it has closed */
    struct engine_client *server; /* NULL: not accepted yet, or gone */
    uint32_t number;              /* the history's */
    uint64_t engine_number;       /* the proxy's, of this process */
    struct cb_buf unread;         /* at the server, while it does not read */
    bool server_reads, server_closes, server_flushes, server_eof;
    bool client_half_closed, client_gone; /* the server has not heard of it yet */
    bool is_drain;
    size_t up_bytes;
    uint64_t up_last_ns, down_last_ns;
    bool wake_is_due;
    uint64_t wake_ns;
    bool take_is_due;
    unsigned events;
};

struct piece {
    struct sim_conn *conn;
    enum piece_kind kind;
    struct cb_buf bytes;
};

static void release(struct sim_conn *c)
{
    if (c->client != NULL || c->server != NULL || c->events > 0) {
        return;
    }
    cb_list_remove(&c->link);
    cb_list_remove(&c->at_proxy);
    cb_buf_fini(&c->unread);
    cb_free(c);
}

static uint64_t arrival_ns(struct sim *s, uint64_t *last)
{
    uint64_t at = sim_now(s) + sim_between(s, 5000, LATENCY_MAX_NS);
    *last = at > *last ? at : *last;
    return *last;
}

static struct piece *piece_make(struct sim_conn *c, enum piece_kind kind)
{
    struct piece *p = cb_calloc(1, sizeof *p);
    p->conn = c;
    p->kind = kind;
    cb_buf_init(&p->bytes);
    c->events++;
    return p;
}

static void piece_free(struct piece *p)
{
    struct sim_conn *c = p->conn;
    cb_buf_fini(&p->bytes);
    cb_free(p);
    c->events--;
    release(c);
}

static void piece_dropped(void *arg)
{
    piece_free(arg);
}

/* With -v: the bytes, and how they were cut. */
static void say_piece(const struct piece *p, const char *where)
{
    static const char *const kinds[] = {"bytes", "end", "reset"};
    struct cb_span s = cb_buf_span(&p->bytes);
    sim_say(p->conn->sim, "conn %u %s: %s %.*s", p->conn->number, where, kinds[p->kind],
            (int)(s.len < SAID_MAX ? s.len : SAID_MAX), s.len > 0 ? (const char *)s.ptr : "");
}

/* ---- the client's end ---- */

static void client_look(struct sim_conn *c);

static void reconnect(void *arg)
{
    struct sim *s = arg;
    if (!s->winding_down) {
        sim_conn_open(s);
    }
}

/* The client's end is over; `by_server`: it did not want that. */
static void client_end(struct sim_conn *c, bool by_server)
{
    struct sim *s = c->sim;
    if (c->client == NULL) {
        return;
    }
    s->counters.connections_refused += by_server;
    sim_client_closed(c->client, sim_now(s));
    sim_client_destroy(c->client);
    c->client = NULL;
    s->n_conns--;
    if (c->is_drain && by_server) {
        sim_conn_drain(s); /* it has to come to its end */
    } else {
        sim_at(s, sim_now(s) + sim_between(s, 0, RECONNECT_MAX_NS), reconnect, s);
    }
}

static void on_down(void *arg)
{
    struct piece *p = arg;
    struct sim_conn *c = p->conn;
    say_piece(p, c->client != NULL ? "to the client" : "to a client that is gone");
    if (c->client != NULL) {
        if (p->kind == PIECE_BYTES) {
            sim_client_received(c->client, cb_buf_span(&p->bytes), sim_now(c->sim));
            client_look(c);
        } else {
            client_end(c, true);
        }
    }
    piece_free(p);
}

static void on_wake(void *arg)
{
    struct piece *p = arg;
    struct sim_conn *c = p->conn;
    c->wake_is_due = false;
    if (c->client != NULL) {
        if (sim_client_wake_ns(c->client) <= sim_now(c->sim)) {
            sim_client_wake(c->client, sim_now(c->sim));
        }
        client_look(c);
    }
    piece_free(p);
}

static void set_wake(struct sim_conn *c)
{
    uint64_t at = sim_client_wake_ns(c->client);
    if (at == UINT64_MAX || (c->wake_is_due && c->wake_ns <= at)) {
        return;
    }
    c->wake_is_due = true;
    c->wake_ns = at;
    sim_at(c->sim, at, on_wake, piece_make(c, PIECE_BYTES));
}

/* ---- the server's end ---- */

static void server_gone(struct sim_conn *c)
{
    if (c->server != NULL) {
        struct engine_client *e = c->server;
        c->server = NULL;
        cb_list_remove(&c->at_proxy);
        engine_client_gone(e, sim_proxy_now(c->proxy));
    }
}

static void take_later(struct sim_conn *c);

static void server_read(struct sim_conn *c, struct cb_span bytes)
{
    bool was_full = c->up_bytes >= SOCKET_BUFFER;
    c->up_bytes -= bytes.len;
    if (was_full) {
        take_later(c);
    }
    engine_client_read(c->server, bytes, sim_proxy_now(c->proxy));
}

static void on_up(void *arg)
{
    struct piece *p = arg;
    struct sim_conn *c = p->conn;
    say_piece(p, c->server != NULL ? "to the server" : "to a server that is gone");
    if (c->server != NULL && p->kind == PIECE_BYTES) {
        if (c->server_reads && cb_buf_len(&c->unread) == 0) {
            server_read(c, cb_buf_span(&p->bytes));
        } else {
            cb_buf_append(&c->unread, cb_buf_span(&p->bytes).ptr, cb_buf_len(&p->bytes));
        }
    } else if (c->server != NULL && p->kind == PIECE_EOF) {
        c->server_eof = true;
        if (c->server_reads && cb_buf_len(&c->unread) == 0) {
            engine_client_eof(c->server, sim_proxy_now(c->proxy));
        }
    } else if (c->server != NULL) {
        server_gone(c);
    }
    piece_free(p);
}

static void send_up(struct sim_conn *c, struct piece *p)
{
    fake_at(&c->proxy->process, arrival_ns(c->sim, &c->up_last_ns), on_up, piece_dropped, p);
}

static void on_take(void *arg)
{
    struct piece *p = arg;
    struct sim_conn *c = p->conn;
    c->take_is_due = false;
    if (c->client != NULL) {
        client_look(c);
    }
    piece_free(p);
}

static void take_later(struct sim_conn *c)
{
    if (!c->take_is_due) {
        c->take_is_due = true;
        sim_at(c->sim, sim_now(c->sim) + sim_between(c->sim, 0, LATENCY_MAX_NS), on_take,
               piece_make(c, PIECE_BYTES));
    }
}

/* Takes what the client wants to send, all of it or a piece. */
static void take_output(struct sim_conn *c)
{
    struct cb_buf *out = sim_client_output(c->client);
    size_t len = cb_buf_len(out);
    if (len == 0 || c->up_bytes >= SOCKET_BUFFER) {
        return;
    }
    size_t take = sim_one_in(c->sim, 4) ? (size_t)sim_between(c->sim, 1, len) : len;
    struct piece *p = piece_make(c, PIECE_BYTES);
    cb_buf_append(&p->bytes, cb_buf_span(out).ptr, take);
    cb_buf_consume(out, take);
    c->up_bytes += take;
    send_up(c, p);
    if (take < len) {
        take_later(c);
    }
}

static void close_now(struct sim_conn *c)
{
    /* What it had written may arrive first, and its answers find nobody; or the reset overtakes. */
    bool is_reset = sim_one_in(c->sim, 2);
    send_up(c, piece_make(c, is_reset ? PIECE_CLOSE : PIECE_EOF));
    c->client_gone = true;
    client_end(c, false);
}

/* After anything that the client did. */
static void client_look(struct sim_conn *c)
{
    take_output(c);
    switch (sim_client_wish(c->client)) {
    case SIM_CLIENT_CLOSES:
        close_now(c);
        return;
    case SIM_CLIENT_HALF_CLOSES:
        if (cb_buf_len(sim_client_output(c->client)) == 0 && !c->client_half_closed) {
            c->client_half_closed = true;
            send_up(c, piece_make(c, PIECE_EOF));
        }
        break;
    case SIM_CLIENT_STAYS:
        break;
    }
    set_wake(c);
}

/* ---- the engine's wishes ---- */

static void client_output(void *ctx, void *user)
{
    (void)ctx;
    (void)user; /* the turn looks at all */
}

static void client_reading(void *ctx, void *user, bool on)
{
    struct sim_conn *c = user;
    (void)ctx;
    c->server_reads = on;
}

static void client_close(void *ctx, void *user, bool flush)
{
    struct sim_conn *c = user;
    (void)ctx;
    c->server_closes = true;
    c->server_flushes = flush;
    c->server_reads = false;
}

void sim_conn_ops(struct engine_ops *ops)
{
    ops->client_output = client_output;
    ops->client_reading = client_reading;
    ops->client_close = client_close;
}

static void read_what_waits(struct sim_conn *c)
{
    while (c->server_reads && cb_buf_len(&c->unread) > 0) {
        struct cb_buf all = cb_buf_take(&c->unread);
        server_read(c, cb_buf_span(&all));
        cb_buf_fini(&all);
    }
    if (c->server_reads && c->server_eof) {
        c->server_eof = false;
        engine_client_eof(c->server, sim_proxy_now(c->proxy));
    }
}

static void send_down(struct sim_conn *c, struct piece *p)
{
    sim_at(c->sim, arrival_ns(c->sim, &c->down_last_ns), on_down, p);
}

static void write_output(struct sim_conn *c)
{
    struct cb_buf *out = engine_client_output(c->server);
    while (cb_buf_len(out) > 0) {
        size_t len = cb_buf_len(out);
        size_t take = sim_one_in(c->sim, 6) ? (size_t)sim_between(c->sim, 1, len) : len;
        struct piece *p = piece_make(c, PIECE_BYTES);
        cb_buf_append(&p->bytes, cb_buf_span(out).ptr, take);
        cb_buf_consume(out, take);
        send_down(c, p);
        engine_client_wrote(c->server, take, sim_proxy_now(c->proxy));
    }
}

static void server_turn(struct sim_conn *c)
{
    read_what_waits(c);
    bool writes = cb_buf_len(engine_client_output(c->server)) > 0;
    if (c->client_gone && writes) {
        server_gone(c); /* a write to a socket that nobody has any more */
        return;
    }
    if (!c->server_closes || c->server_flushes) {
        write_output(c);
    }
    if (c->server_closes) {
        send_down(c, piece_make(c, PIECE_CLOSE));
        server_gone(c);
    }
}

void sim_conns_turn(struct sim_proxy *p)
{
    CB_LIST_FOREACH_SAFE(it, tmp, &p->conns)
    {
        struct sim_conn *c = CB_CONTAINER(it, struct sim_conn, at_proxy);
        c->events++; /* until we are done with it */
        server_turn(c);
        c->events--;
        release(c);
    }
}

/* ---- begin and end ---- */

static void broken(void *data, const char *sentence)
{
    const struct sim_conn *c = data;
    sim_fail(c->sim, "answers", "connection %u at %s: %s", c->number, c->proxy->name, sentence);
}

static void on_accept(void *arg)
{
    struct piece *p = arg;
    struct sim_conn *c = p->conn;
    if (c->client != NULL) {
        c->server_reads = true;
        cb_list_push_back(&c->proxy->conns, &c->at_proxy);
        c->engine_number = ++c->proxy->conns_opened;
        sim_answers_bind(c->sim->answers, c->proxy->instance, c->engine_number, c->number);
        c->server = engine_client_connected(c->proxy->engine, c, sim_proxy_now(c->proxy));
    }
    piece_free(p);
}

static void on_accept_dropped(void *arg)
{
    struct piece *p = arg;
    send_down(p->conn, piece_make(p->conn, PIECE_CLOSE)); /* nobody listens any more */
    piece_free(p);
}

static struct sim_proxy *pick_proxy(struct sim *s)
{
    uint32_t first = (uint32_t)sim_between(s, 0, s->options.proxies - 1);
    for (uint32_t i = 0; i < s->options.proxies; i++) {
        struct sim_proxy *p = &s->proxies[(first + i) % s->options.proxies];
        if (p->engine != NULL) {
            return p;
        }
    }
    return NULL;
}

static struct sim_conn *conn_make(struct sim *s, struct sim_proxy *p)
{
    struct sim_conn *c = cb_calloc(1, sizeof *c);
    c->sim = s;
    c->proxy = p;
    c->number = ++s->next_conn;
    cb_buf_init(&c->unread);
    cb_list_init(&c->link);
    cb_list_init(&c->at_proxy);
    cb_list_push_back(&s->conns, &c->link);
    s->counters.connections++;
    s->n_conns++;
    fake_at(&p->process, arrival_ns(s, &c->up_last_ns), on_accept, on_accept_dropped,
            piece_make(c, PIECE_BYTES));
    return c;
}

void sim_conn_open(struct sim *s)
{
    struct sim_proxy *p = pick_proxy(s);
    if (p == NULL) {
        sim_at(s, sim_now(s) + RECONNECT_MAX_NS, reconnect, s);
        return;
    }
    struct sim_conn *c = conn_make(s, p);
    const struct sim_client_env env = {.data = c, .broken = broken};
    struct sim_client_profile profile =
        *sim_client_profile((uint32_t)sim_between(s, 0, sim_client_profile_count - 1));
    profile.think_ns_max *= s->options.pace;
    c->client = sim_client_create(s->shared, &profile, &env, c->number,
                                  sim_between(s, 0, UINT64_MAX - 1), sim_now(s));
    client_look(c);
}

void sim_conn_drain(struct sim *s)
{
    struct sim_proxy *p = pick_proxy(s);
    CB_ASSERT(p != NULL);
    struct sim_conn *c = conn_make(s, p);
    const struct sim_client_env env = {.data = c, .broken = broken};
    c->is_drain = true;
    uint64_t quiet = 4 * CB_NS_PER_S + s->options.session_timeout_ns;
    c->client = sim_client_create_drain(s->shared, &env, c->number, quiet, sim_now(s));
    client_look(c);
}

/* The host of the proxy answers what was on its way with a reset. */
void sim_conns_of_proxy_lost(struct sim_proxy *p)
{
    CB_LIST_FOREACH_SAFE(it, tmp, &p->conns)
    {
        struct sim_conn *c = CB_CONTAINER(it, struct sim_conn, at_proxy);
        c->server = NULL;
        cb_list_remove(&c->at_proxy);
        send_down(c, piece_make(c, PIECE_CLOSE));
    }
}

void sim_conns_wind_down(struct sim *s)
{
    s->winding_down = true;
    CB_LIST_FOREACH_SAFE(it, tmp, &s->conns)
    {
        struct sim_conn *c = CB_CONTAINER(it, struct sim_conn, link);
        if (c->client != NULL) {
            sim_client_wind_down(c->client, sim_now(s));
            client_look(c);
        }
    }
}

bool sim_conn_holds(const struct sim_proxy *p, uint64_t conn, uint64_t job)
{
    CB_LIST_FOREACH(it, &p->conns)
    {
        const struct sim_conn *c = CB_CONTAINER(it, struct sim_conn, at_proxy);
        if (c->engine_number == conn) {
            return c->client != NULL && !c->client_half_closed && c->server != NULL &&
                   sim_client_holds(c->client, job);
        }
    }
    return false;
}

/* By a fault: both ends find it closed. */
void sim_conn_reset_one(struct sim *s)
{
    if (s->n_conns == 0) {
        return;
    }
    uint64_t skip = sim_between(s, 0, s->n_conns - 1);
    CB_LIST_FOREACH_SAFE(it, tmp, &s->conns)
    {
        struct sim_conn *c = CB_CONTAINER(it, struct sim_conn, link);
        if (c->client != NULL && skip-- == 0) {
            s->counters.connections_cut++;
            c->client_gone = true;
            send_up(c, piece_make(c, PIECE_CLOSE));
            client_end(c, false);
            return;
        }
    }
}
