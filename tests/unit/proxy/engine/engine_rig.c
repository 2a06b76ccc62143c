#include "unit/proxy/engine/engine_rig.h"

#include <stdio.h>

static const char *const op_names[WIRE_OP_END] = {
#define X(sym, num) [num] = #sym,
#include "common/base/cb_op.def"
#undef X
};

static int index_of(const struct rig *r, const void *user)
{
    return (int)((const struct rig_client *)user - r->clients);
}

static void take_output(struct rig *r, struct rig_client *c)
{
    struct cb_buf *out = engine_client_output(c->engine_client);
    struct cb_span s = cb_buf_span(out);
    cb_buf_append(&c->got, s.ptr, s.len);
    cb_buf_consume(out, s.len);
    if (s.len > 0) {
        engine_client_wrote(c->engine_client, s.len, r->now_ns);
    }
}

static void client_output(void *ctx, void *user)
{
    (void)ctx; /* taken at the end of the turn */
    (void)user;
}

static void client_reading(void *ctx, void *user, bool on)
{
    struct rig *r = ctx;
    ((struct rig_client *)user)->reading = on;
    cb_buf_printf(&r->trace, "client %d reading %s\n", index_of(r, user), on ? "on" : "off");
}

static void client_close(void *ctx, void *user, bool flush)
{
    struct rig *r = ctx;
    struct rig_client *c = user;
    assert_false(c->close_asked);
    c->close_asked = true;
    cb_buf_printf(&r->trace, "client %d close%s\n", index_of(r, user), flush ? " flush" : "");
}

static void stream_open(void *ctx, uint32_t node)
{
    struct rig *r = ctx;
    assert_false(r->is_open);
    r->is_open = true;
    r->node = node;
    cb_buf_printf(&r->trace, "open %u\n", node);
}

static void stream_close(void *ctx, uint32_t node)
{
    struct rig *r = ctx;
    assert_true(r->is_open && r->node == node);
    r->is_open = false;
    cb_buf_printf(&r->trace, "close %u\n", node);
}

static void watch_open(void *ctx, uint32_t node)
{
    struct rig *r = ctx;
    assert_false(r->is_watched[node]);
    r->is_watched[node] = true;
}

static bool node_found(void *ctx, uint32_t node, const char *address)
{
    struct rig *r = ctx;
    cb_buf_printf(&r->trace, "found %u %s\n", node, address);
    return strchr(address, '!') == NULL;
}

static void trace_request(struct cb_buf *b, const struct wire_request *q)
{
    cb_buf_printf(b, "#%ju c%ju %s", (uintmax_t)q->number, (uintmax_t)q->conn, op_names[q->op]);
    if (q->id != 0) {
        cb_buf_printf(b, " id=%ju", (uintmax_t)q->id);
    }
    if (q->op == WIRE_OP_PUT) {
        cb_buf_printf(b, " %u %u %u", q->pri, q->delay, q->ttr);
        if (q->age_ns != 0) {
            cb_buf_printf(b, " age=%jums", (uintmax_t)(q->age_ns / CB_NS_PER_MS));
        }
    }
    if (q->count != 0) {
        cb_buf_printf(b, " count=%u", q->count);
    }
    if (q->tube.len != 0) {
        cb_buf_printf(b, " tube=%.*s", (int)q->tube.len, (const char *)q->tube.ptr);
    }
    if (q->body.len != 0 && q->body.len < 50) {
        cb_buf_printf(b, " body=%.*s", (int)q->body.len, (const char *)q->body.ptr);
    }
    cb_buf_append_str(b, "; ");
}

static void trace_read(struct cb_buf *b, const struct wire_read *q)
{
    cb_buf_printf(b, "?%ju c%ju kind=%u after=%ju; ", (uintmax_t)q->read, (uintmax_t)q->conn,
                  q->kind, (uintmax_t)q->after);
}

static void stream_send(void *ctx, uint32_t node, const struct wire_to_node *m)
{
    struct rig *r = ctx;
    struct cb_buf *b = &r->trace;
    assert_true(r->is_open && r->node == node);
    cb_buf_printf(b, "send %ju ", (uintmax_t)m->seq);
    if (m->has_attach) {
        assert_true(cb_span_eq(m->attach.name, cb_span_str("proxy")));
        cb_buf_printf(b, "attach=%ju session=%ju seen=%ju random=%ju; ",
                      (uintmax_t)m->attach.number, (uintmax_t)m->attach.session,
                      (uintmax_t)m->attach.seen_result, (uintmax_t)m->attach.random);
    }
    for (uint32_t i = 0; i < m->n_requests; i++) {
        trace_request(b, &m->requests[i]);
    }
    for (uint32_t i = 0; i < m->n_reads; i++) {
        trace_read(b, &m->reads[i]);
    }
    for (uint32_t i = 0; i < m->n_counts; i++) {
        cb_buf_printf(b, "+%u=%ju; ", m->counts[i].counter, (uintmax_t)m->counts[i].increment);
    }
    if (m->acked_result != 0) {
        cb_buf_printf(b, "ack=%ju; ", (uintmax_t)m->acked_result);
    }
    cb_buf_append_str(b, m->resent ? "resent\n" : "\n");
}

static void superseded(void *ctx, struct cb_span address)
{
    struct rig *r = ctx;
    cb_buf_printf(&r->trace, "superseded %.*s\n", (int)address.len, (const char *)address.ptr);
}

static void facts(void *ctx, struct bs_stats *out)
{
    (void)ctx;
    out->pid = 42;
    out->id = "0123456789abcdef";
    out->hostname = "host";
    out->os = "#1";
    out->platform = "x86_64";
}

static void note(void *ctx, enum engine_note what, uint32_t node, uint64_t number, const char *text)
{
    struct rig *r = ctx;
    (void)text;
    if (what != ENGINE_NOTE_STREAM_ENDED && what != ENGINE_NOTE_ATTACHED) {
        cb_buf_printf(&r->trace, "note %d node=%u number=%ju\n", what, node, (uintmax_t)number);
    }
}

void rig_init(struct rig *r)
{
    static const char *const nodes[RIG_NODES] = {"n1:1", "n2:1", "n3:1"};
    const struct engine_config config = {
        .name = "proxy",
        .address = "here:11300",
        .started_ns = 1,
        .random = 5,
        .nodes = nodes,
        .n_nodes = RIG_NODES,
        .job_size_max = 65535,
        .seed = 3, /* starts at node 0: rig_start relies on it */
    };
    const struct engine_ops ops = {
        .ctx = r,
        .client_output = client_output,
        .client_reading = client_reading,
        .client_close = client_close,
        .stream_open = stream_open,
        .stream_close = stream_close,
        .stream_send = stream_send,
        .watch_open = watch_open,
        .node_found = node_found,
        .superseded = superseded,
        .facts = facts,
        .note = note,
    };
    *r = (struct rig){.now_ns = 100 * CB_NS_PER_S};
    r->engine = engine_create(&config, &ops, r->now_ns);
}

void rig_gone(struct rig *r, int i)
{
    engine_client_gone(r->clients[i].engine_client, r->now_ns);
    r->clients[i].engine_client = NULL;
}

void rig_fini(struct rig *r)
{
    for (int i = 0; i < RIG_CLIENTS_MAX; i++) {
        if (r->clients[i].engine_client != NULL) {
            rig_gone(r, i);
        }
        cb_buf_fini(&r->clients[i].got);
    }
    engine_destroy(r->engine);
    wire_to_proxy_fini(&r->reply);
    cb_buf_fini(&r->trace);
}

void rig_connect(struct rig *r, int i)
{
    struct rig_client *c = &r->clients[i];
    assert_null(c->engine_client);
    c->close_asked = false;
    c->reading = true;
    cb_buf_clear(&c->got);
    c->engine_client = engine_client_connected(r->engine, c, r->now_ns);
}

void rig_write(struct rig *r, int i, const char *text)
{
    engine_client_read(r->clients[i].engine_client, cb_span_str(text), r->now_ns);
}

void rig_eof(struct rig *r, int i)
{
    engine_client_eof(r->clients[i].engine_client, r->now_ns);
}

void rig_got(struct rig *r, int i, const char *expected)
{
    struct rig_client *c = &r->clients[i];
    if (c->engine_client != NULL) {
        take_output(r, c);
    }
    cb_buf_append(&c->got, "", 1);
    assert_string_equal((const char *)cb_buf_span(&c->got).ptr, expected);
    cb_buf_clear(&c->got);
}

void rig_flush(struct rig *r)
{
    for (int i = 0; i < RIG_CLIENTS_MAX && !r->hold_output; i++) {
        if (r->clients[i].engine_client != NULL) {
            take_output(r, &r->clients[i]);
        }
    }
    engine_flush(r->engine, r->now_ns);
}

void rig_writable(struct rig *r)
{
    engine_stream_writable(r->engine, r->node, r->now_ns);
    rig_flush(r);
}

void rig_sleep(struct rig *r, uint64_t ms)
{
    uint64_t end = r->now_ns + ms * CB_NS_PER_MS;
    uint64_t wake;
    while ((wake = engine_wake_ns(r->engine)) <= end) {
        r->now_ns = wake > r->now_ns ? wake : r->now_ns;
        uint64_t before = r->now_ns;
        rig_flush(r);
        /* A wake-up that moves nothing would spin. */
        assert_true(engine_wake_ns(r->engine) > before);
    }
    r->now_ns = end;
}

void rig_traced(struct rig *r, const char *expected)
{
    cb_buf_append(&r->trace, "", 1);
    assert_string_equal((const char *)cb_buf_span(&r->trace).ptr, expected);
    cb_buf_clear(&r->trace);
}

void rig_forget_trace(struct rig *r)
{
    cb_buf_clear(&r->trace);
}

void rig_attached(struct rig *r, uint64_t session, uint64_t last_request, uint64_t last_result)
{
    r->reply.has_attached = true;
    r->reply.attached = (struct wire_attached){.session = session,
                                               .last_request = last_request,
                                               .last_result = last_result,
                                               .session_timeout_ms = RIG_TIMEOUT_MS,
                                               .term = r->term};
}

void rig_result(
    struct rig *r, uint64_t number, uint64_t request, uint64_t conn, enum wire_outcome o)
{
    struct wire_result *result = wire_to_proxy_add_result(&r->reply);
    result->number = number;
    result->request = request;
    result->conn = conn;
    result->outcome = o;
    if (o == WIRE_INSERTED || o == WIRE_RESERVED) {
        result->id = 77;
    }
    if (o == WIRE_WATCHING || o == WIRE_KICKED) {
        result->count = 2;
    }
    if (o == WIRE_RESERVED) {
        result->body = cb_span_str("job");
    }
}

struct wire_read_result *rig_read_result(struct rig *r, uint64_t read, bool found)
{
    struct wire_read_result *result = wire_to_proxy_add_read(&r->reply);
    result->read = read;
    result->found = found;
    return result;
}

void rig_deliver(struct rig *r, uint64_t confirmed_seq, uint64_t applied)
{
    r->reply.confirmed_seq = confirmed_seq;
    r->reply.applied_request = applied;
    engine_stream_message(r->engine, r->node, &r->reply, r->now_ns);
    wire_to_proxy_clear(&r->reply);
}

void rig_closed(struct rig *r, const char *text, const char *leader)
{
    r->is_open = false;
    engine_stream_closed(r->engine, r->node, text, leader, r->now_ns);
}

void rig_told(struct rig *r, uint32_t node, uint64_t term, const char *leader)
{
    assert_true(r->is_watched[node]);
    struct wire_leadership m = {.term = term};
    snprintf(m.leader, sizeof m.leader, "%s", leader);
    rig_told_members(r, node, &m);
}

void rig_told_members(struct rig *r, uint32_t node, const struct wire_leadership *m)
{
    assert_true(r->is_watched[node]);
    r->term = m->term > r->term ? m->term : r->term;
    engine_watch_told(r->engine, node, m, r->now_ns);
}

void rig_unwatched(struct rig *r, uint32_t node)
{
    assert_true(r->is_watched[node]);
    r->is_watched[node] = false;
    engine_watch_closed(r->engine, node, r->now_ns);
}

void rig_start(struct rig *r)
{
    rig_init(r);
    rig_flush(r);
    rig_attached(r, 9, 0, 0);
    rig_deliver(r, 1, 0);
    rig_writable(r); /* says that all was resent */
    rig_deliver(r, 2, 0);
    rig_writable(r);
    rig_forget_trace(r);
}
