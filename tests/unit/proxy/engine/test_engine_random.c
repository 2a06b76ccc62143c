/* Proves, over random schedules, that clients of an engine see one server: whatever is lost between
 * proxy and node, each request is applied exactly once and in order, answers come in the order of
 * the commands, none is missing and none comes twice, and no client's socket is closed.
 *
 * The node is a model: it keeps a session as design D3 says, and loses streams at any moment, with
 * the messages that were on their way. SEED=n repeats a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "common/base/cb_rng.h"
#include "proxy/engine/engine.h"

#define CLIENTS 6
#define NODES 3
#define KEPT 4096 /* more than a run has unacknowledged */
#define ON_WIRE 8

struct client {
    struct engine_client *engine_client;
    struct cb_buf expected; /* what it must get for what it wrote */
    struct cb_buf got;
    uint64_t conn;
    uint64_t puts;    /* written */
    uint64_t applied; /* puts that the node has applied: their bodies count up */
    uint64_t waits;   /* request number of its waiting reserve, 0: none */
};

struct model {
    struct cb_rng rng;
    struct engine *engine;
    uint64_t now_ns;
    struct client clients[CLIENTS];

    /* The session in the cluster. */
    bool opened;
    uint64_t last_request;
    struct wire_result kept[KEPT]; /* by number modulo KEPT */
    uint64_t last_result, acked;
    uint64_t next_id;

    /* The stream. */
    bool is_open;
    bool attached;
    uint32_t node;
    uint32_t leader;
    uint64_t last_attach;
    uint64_t sent_result; /* on this stream */
    struct cb_buf up[ON_WIRE];
    uint32_t n_up;
    struct cb_buf down[ON_WIRE];
    uint32_t n_down;
    uint64_t read_after[64]; /* reads that wait for their request */
    uint64_t reads[64];
    uint32_t n_reads;
    uint64_t streams;
};

/* ---- the node ---- */

static void keep(struct model *m, uint64_t request, uint64_t conn, enum wire_outcome o, uint64_t id)
{
    m->last_result++;
    assert_true(m->last_result - m->acked < KEPT);
    m->kept[m->last_result % KEPT] = (struct wire_result){
        .number = m->last_result, .request = request, .conn = conn, .outcome = o, .id = id};
    if (o == WIRE_RESERVED) {
        m->kept[m->last_result % KEPT].body = cb_span_str("J");
    }
}

static struct client *client_of(struct model *m, uint64_t conn)
{
    assert_in_range(conn, 1, CLIENTS);
    return &m->clients[conn - 1];
}

static void apply_put(struct model *m, const struct wire_request *q)
{
    struct client *c = client_of(m, q->conn);
    char body[32];
    int n = snprintf(body, sizeof body, "%ju", (uintmax_t)c->applied);
    /* Not one left out, not one twice. */
    assert_true(cb_span_eq(q->body, cb_span(body, (size_t)n)));
    c->applied++;
    keep(m, q->number, q->conn, WIRE_INSERTED, ++m->next_id);
}

static void apply(struct model *m, const struct wire_request *q)
{
    assert_int_equal(q->number, m->last_request + 1);
    m->last_request++;
    switch (q->op) {
    case WIRE_OP_CONN_OPEN:
        break;
    case WIRE_OP_PUT:
        apply_put(m, q);
        break;
    case WIRE_OP_DELETE:
        keep(m, q->number, q->conn, WIRE_NOT_FOUND, 0);
        break;
    case WIRE_OP_USE:
        keep(m, q->number, q->conn, WIRE_USING, 0);
        break;
    case WIRE_OP_RESERVE:
        client_of(m, q->conn)->waits = q->number;
        break;
    default:
        fail_msg("op %u", q->op);
    }
}

static void take_requests(struct model *m, const struct wire_to_node *msg, uint64_t *expect)
{
    for (uint32_t i = 0; i < msg->n_requests; i++) {
        const struct wire_request *q = &msg->requests[i];
        if (*expect == 0 && cb_rng_chance(&m->rng, 1, 200)) {
            *expect = m->last_request + 1; /* refused, for no reason of its own */
        }
        if (q->number == m->last_request + 1 && *expect == 0) {
            apply(m, q);
        } else if (q->number > m->last_request) {
            *expect = m->last_request + 1;
        }
    }
}

static void push_down(struct model *m, struct wire_to_proxy *out)
{
    if (m->n_down == ON_WIRE) {
        return; /* the results are sent with a later one */
    }
    while (m->sent_result < m->last_result && cb_rng_chance(&m->rng, 3, 4)) {
        m->sent_result++;
        *wire_to_proxy_add_result(out) = m->kept[m->sent_result % KEPT];
    }
    uint32_t left = 0;
    for (uint32_t i = 0; i < m->n_reads; i++) {
        if (m->read_after[i] <= m->last_request && out->n_reads < 3) {
            struct wire_read_result *r = wire_to_proxy_add_read(out);
            r->read = m->reads[i];
            r->again = cb_rng_chance(&m->rng, 1, 4);
        } else {
            m->reads[left] = m->reads[i];
            m->read_after[left++] = m->read_after[i];
        }
    }
    m->n_reads = left;
    out->applied_request = m->last_request;
    wire_to_proxy_encode(out, &m->down[m->n_down++]);
}

static void lose_stream(struct model *m, const char *leader)
{
    for (uint32_t i = 0; i < ON_WIRE; i++) {
        cb_buf_fini(&m->up[i]);
        cb_buf_fini(&m->down[i]);
    }
    m->n_up = 0;
    m->n_down = 0;
    m->n_reads = 0;
    m->attached = false;
    m->is_open = false;
    engine_stream_closed(m->engine, m->node, "lost", leader, m->now_ns);
}

static void node_attach(struct model *m, const struct wire_attach *a, struct wire_to_proxy *out)
{
    assert_true(a->number > m->last_attach);
    assert_true(a->session == 7 || (a->session == 0 && m->last_request == 0));
    m->last_attach = a->number;
    m->opened = true;
    m->attached = true;
    m->streams++;
    m->sent_result = a->seen_result;
    m->acked = a->seen_result > m->acked ? a->seen_result : m->acked;
    out->has_attached = true;
    out->attached = (struct wire_attached){.session = 7,
                                           .last_request = m->last_request,
                                           .last_result = m->last_result,
                                           .session_timeout_ms = 3600000};
}

/* One message of the proxy reaches the node. */
static void node_step(struct model *m)
{
    struct wire_to_node msg = {0};
    struct wire_to_proxy out = {0};
    struct cb_buf bytes = m->up[0];
    memmove(&m->up[0], &m->up[1], (ON_WIRE - 1) * sizeof m->up[0]);
    m->up[--m->n_up] = CB_BUF_NULL;
    assert_int_equal(wire_to_node_decode(&msg, cb_buf_span(&bytes)), WIRE_OK);
    if (m->node != m->leader) {
        static const char *const names[NODES] = {"a:1", "b:1", "c:1"};
        wire_to_node_fini(&msg);
        cb_buf_fini(&bytes);
        lose_stream(m, cb_rng_chance(&m->rng, 1, 2) ? names[m->leader] : NULL);
        return;
    }
    if (msg.has_attach) {
        node_attach(m, &msg.attach, &out);
    }
    m->acked = msg.acked_result > m->acked ? msg.acked_result : m->acked;
    assert_true(m->acked <= m->sent_result);
    take_requests(m, &msg, &out.expect);
    for (uint32_t i = 0; i < msg.n_reads && m->n_reads < 64; i++) {
        m->reads[m->n_reads] = msg.reads[i].read;
        m->read_after[m->n_reads++] = msg.reads[i].after;
    }
    out.confirmed_seq = msg.seq;
    push_down(m, &out);
    wire_to_proxy_fini(&out);
    wire_to_node_fini(&msg);
    cb_buf_fini(&bytes);
}

/* A waiting reserve is granted something. */
static void grant(struct model *m)
{
    struct client *c = &m->clients[cb_rng_below(&m->rng, CLIENTS)];
    if (c->waits != 0) {
        keep(m, c->waits, c->conn, WIRE_RESERVED, 5);
        c->waits = 0;
    }
}

/* ---- around the engine ---- */

static void stream_open(void *ctx, uint32_t node)
{
    struct model *m = ctx;
    assert_false(m->is_open);
    m->is_open = true;
    m->node = node;
}

static void stream_close(void *ctx, uint32_t node)
{
    (void)ctx;
    fail_msg("stream %u left", node);
}

/* Nobody says anything. */
static void watch_open(void *ctx, uint32_t node)
{
    (void)ctx;
    (void)node;
}

static void stream_send(void *ctx, uint32_t node, const struct wire_to_node *msg)
{
    struct model *m = ctx;
    assert_int_equal(node, m->node);
    assert_true(m->n_up < ON_WIRE);
    wire_to_node_encode(msg, &m->up[m->n_up++]);
}

static void client_output(void *ctx, void *user)
{
    (void)ctx;
    (void)user;
}

static void client_reading(void *ctx, void *user, bool on)
{
    (void)ctx;
    (void)user;
    (void)on;
}

static void client_close(void *ctx, void *user, bool flush)
{
    (void)ctx;
    (void)user;
    (void)flush;
    fail_msg("a client's socket was closed");
}

static void note(void *ctx, enum engine_note what, uint32_t node, uint64_t number, const char *text)
{
    (void)ctx;
    (void)node;
    (void)number;
    (void)text;
    assert_true(what == ENGINE_NOTE_ATTACHED || what == ENGINE_NOTE_STREAM_ENDED);
}

static void setup(struct model *m, uint64_t seed)
{
    static const char *const nodes[NODES] = {"a:1", "b:1", "c:1"};
    const struct engine_config config = {.name = "p",
                                         .address = "p",
                                         .nodes = nodes,
                                         .n_nodes = NODES,
                                         .job_size_max = 65535,
                                         .seed = seed};
    const struct engine_ops ops = {.ctx = m,
                                   .client_output = client_output,
                                   .client_reading = client_reading,
                                   .client_close = client_close,
                                   .stream_open = stream_open,
                                   .stream_close = stream_close,
                                   .stream_send = stream_send,
                                   .watch_open = watch_open,
                                   .note = note};
    cb_rng_init(&m->rng, seed);
    m->now_ns = CB_NS_PER_S;
    m->engine = engine_create(&config, &ops, m->now_ns);
    for (uint64_t i = 0; i < CLIENTS; i++) {
        m->clients[i].engine_client = engine_client_connected(m->engine, &m->clients[i], m->now_ns);
        m->clients[i].conn = i + 1;
    }
}

static void client_write(struct model *m, struct client *c)
{
    char text[64];
    char body[32];
    switch (cb_rng_below(&m->rng, 6)) {
    case 0:
    case 1:
        (void)snprintf(body, sizeof body, "%ju", (uintmax_t)c->puts);
        (void)snprintf(text, sizeof text, "put 0 0 1 %zu\r\n%s\r\n", strlen(body), body);
        c->puts++;
        cb_buf_append_str(&c->expected, "INSERTED\r\n");
        break;
    case 2:
        (void)snprintf(text, sizeof text, "delete 4\r\n");
        cb_buf_append_str(&c->expected, "NOT_FOUND\r\n");
        break;
    case 3:
        (void)snprintf(text, sizeof text, "use t%ju\r\n", (uintmax_t)c->puts);
        cb_buf_printf(&c->expected, "USING t%ju\r\n", (uintmax_t)c->puts);
        break;
    case 4:
        (void)snprintf(text, sizeof text, "peek 4\r\nbad\r\n");
        cb_buf_append_str(&c->expected, "NOT_FOUND\r\nUNKNOWN_COMMAND\r\n");
        break;
    default:
        (void)snprintf(text, sizeof text, "reserve\r\n");
        cb_buf_append_str(&c->expected, "RESERVED 5 1\r\nJ\r\n");
        break;
    }
    engine_client_read(c->engine_client, cb_span_str(text), m->now_ns);
}

/* Ids are taken out: which client was first is chance. */
static void client_take(struct model *m, struct client *c)
{
    struct cb_buf *out = engine_client_output(c->engine_client);
    size_t len = cb_buf_len(out);
    const char *p = (const char *)cb_buf_span(out).ptr;
    for (size_t i = 0; i < len; i++) {
        cb_buf_append(&c->got, &p[i], 1);
        if (p[i] == ' ' && cb_buf_len(&c->got) >= 9 &&
            memcmp(c->got.base + c->got.end - 9, "INSERTED ", 9) == 0) {
            c->got.end--;
            while (p[i + 1] != '\r') {
                i++;
            }
        }
    }
    cb_buf_consume(out, len);
    engine_client_wrote(c->engine_client, len, m->now_ns);
}

static void proxy_receive(struct model *m)
{
    struct wire_to_proxy msg = {0};
    struct cb_buf bytes = m->down[0];
    memmove(&m->down[0], &m->down[1], (ON_WIRE - 1) * sizeof m->down[0]);
    m->down[--m->n_down] = CB_BUF_NULL;
    assert_int_equal(wire_to_proxy_decode(&msg, cb_buf_span(&bytes)), WIRE_OK);
    engine_stream_message(m->engine, m->node, &msg, m->now_ns);
    wire_to_proxy_fini(&msg);
    cb_buf_fini(&bytes);
}

static void step(struct model *m, bool calm)
{
    m->now_ns += cb_rng_below(&m->rng, 5 * CB_NS_PER_MS);
    uint64_t what = cb_rng_below(&m->rng, 100);
    if (what < 30 && !calm) {
        client_write(m, &m->clients[cb_rng_below(&m->rng, CLIENTS)]);
    } else if (what < 50 && m->n_up > 0 && m->n_down < ON_WIRE) {
        node_step(m);
    } else if (what < 70 && m->n_down > 0) {
        proxy_receive(m);
    } else if (what < 80) {
        grant(m);
    } else if (what == 80 && m->is_open && !calm) {
        if (cb_rng_chance(&m->rng, 1, 2)) {
            m->leader = (uint32_t)cb_rng_below(&m->rng, NODES);
        }
        lose_stream(m, NULL);
    } else if (what < 90 && m->attached && m->n_down < ON_WIRE) {
        struct wire_to_proxy out = {0};
        push_down(m, &out);
        wire_to_proxy_fini(&out);
    } else if (what < 95 && m->is_open && m->n_up < ON_WIRE) {
        engine_stream_writable(m->engine, m->node, m->now_ns);
    }
    for (int i = 0; i < CLIENTS; i++) {
        client_take(m, &m->clients[i]);
    }
    if (m->n_up < ON_WIRE) {
        engine_flush(m->engine, m->now_ns);
    }
}

static bool all_answered(const struct model *m)
{
    for (int i = 0; i < CLIENTS; i++) {
        if (cb_buf_len(&m->clients[i].got) < cb_buf_len(&m->clients[i].expected)) {
            return false;
        }
    }
    return true;
}

static void run(uint64_t seed)
{
    struct model *m = cb_calloc(1, sizeof *m);
    setup(m, seed);
    for (int i = 0; i < 4000; i++) {
        step(m, false);
    }
    for (int i = 0; i < 200000 && !all_answered(m); i++) {
        step(m, true);
    }
    assert_true(m->streams > 5);
    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &m->clients[i];
        assert_true(cb_span_eq(cb_buf_span(&c->expected), cb_buf_span(&c->got)));
        assert_int_equal(c->applied, c->puts);
        engine_client_gone(c->engine_client, m->now_ns);
        cb_buf_fini(&c->expected);
        cb_buf_fini(&c->got);
    }
    for (uint32_t i = 0; i < ON_WIRE; i++) {
        cb_buf_fini(&m->up[i]);
        cb_buf_fini(&m->down[i]);
    }
    engine_destroy(m->engine);
    cb_free(m);
}

static uint64_t first_seed;

static void clients_see_one_server(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + 100; seed++) {
        printf("seed %ju\n", (uintmax_t)seed);
        run(seed);
    }
}

int main(void)
{
    const char *seed = getenv("SEED");
    first_seed = seed != NULL ? strtoull(seed, NULL, 10) : 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_see_one_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
