#include "node/replica/replica_net.h"

#include "common/base/cb_mem.h"
#include "node/replica/replica_internal.h"
#include "node/replica/replica_wire.h"

_Static_assert(CB_RAFT_APPEND_BYTES <= CB_LINK_FRAME_MAX / 2, "an append fits into a frame");
_Static_assert(CB_ENTRY_SIZE_MAX <= CB_LINK_FRAME_MAX / 2, "an entry fits into a frame");

static struct replica_net *net_of(struct raft_io *io)
{
    return CB_CONTAINER(io, struct replica_net, io);
}

/* --- sending --- */

static void on_sent(void *arg, bool sent)
{
    struct raft_io_send *req = arg;
    req->cb(req, sent ? 0 : RAFT_NOCONNECTION);
}

/* How many entries from `first` on make one message: as many as fit, one at least. */
static unsigned entries_of_one(const struct raft_append_entries *a, unsigned first)
{
    uint64_t sum = 0;
    unsigned n = 0;
    for (; first + n < a->n_entries; n++) {
        sum += REPLICA_WIRE_ENTRY_SIZE + a->entries[first + n].buf.len;
        if (n > 0 && sum > CB_RAFT_APPEND_BYTES) {
            break;
        }
    }
    return n;
}

static unsigned count_messages(const struct raft_append_entries *a)
{
    unsigned count = 1;
    unsigned first = entries_of_one(a, 0);
    for (; first < a->n_entries; first += entries_of_one(a, first)) {
        count++;
    }
    return count;
}

/* The entries are sent from where they lie: libraft keeps them until the callback. */
static bool send_append(struct replica_net *n,
                        struct raft_io_send *req,
                        const struct raft_message *m,
                        link_sent_cb cb)
{
    const struct raft_append_entries *a = &m->append_entries;
    unsigned count = count_messages(a);
    struct link_message *messages = cb_calloc(count, sizeof messages[0]);
    struct cb_buf *heads = cb_calloc(count, sizeof heads[0]);
    struct cb_span *bodies = cb_calloc(a->n_entries, sizeof bodies[0]);
    for (unsigned i = 0; i < a->n_entries; i++) {
        bodies[i] = cb_span(a->entries[i].buf.base, a->entries[i].buf.len);
    }
    for (unsigned i = 0, first = 0; i < count; i++) {
        unsigned some = entries_of_one(a, first);
        replica_wire_append_head(a, first, some, &heads[i]);
        messages[i] = (struct link_message){.type = REPLICA_NET_MESSAGE,
                                            .head = cb_buf_span(&heads[i]),
                                            .body = bodies + first,
                                            .n_body = some};
        first += some;
    }
    bool ok = link_send(n->link, m->server_id, m->server_address, messages, count, cb, req);
    for (unsigned i = 0; i < count; i++) {
        cb_buf_fini(&heads[i]);
    }
    cb_free(bodies);
    cb_free(heads);
    cb_free(messages);
    return ok;
}

static bool send_other(struct replica_net *n,
                       struct raft_io_send *req,
                       const struct raft_message *m,
                       link_sent_cb cb)
{
    struct cb_buf head = CB_BUF_NULL;
    struct cb_span marker = CB_SPAN_NULL;
    replica_wire_head(m, &head);
    if (m->type == RAFT_INSTALL_SNAPSHOT) {
        marker = cb_span(m->install_snapshot.data.base, m->install_snapshot.data.len);
    }
    const struct link_message message = {
        .type = REPLICA_NET_MESSAGE, .head = cb_buf_span(&head), .body = &marker, .n_body = 1};
    bool ok = link_send(n->link, m->server_id, m->server_address, &message, 1, cb, req);
    cb_buf_fini(&head);
    return ok;
}

static int io_send(struct raft_io *io,
                   struct raft_io_send *req,
                   const struct raft_message *m,
                   raft_io_send_cb cb)
{
    struct replica_net *n = net_of(io);
    bool ok;
    req->cb = cb;
    if (m->type == RAFT_APPEND_ENTRIES) {
        ok = send_append(n, req, m, on_sent);
    } else {
        ok = send_other(n, req, m, on_sent);
    }
    return ok ? 0 : RAFT_NOCONNECTION;
}

/* --- receiving --- */

static bool is_member(void *data, uint64_t id, const char *address)
{
    const struct replica_net *n = data;
    return n->replica == NULL || replica_accepts(n->replica, id, address);
}

static bool
on_message(struct replica_net *n, uint64_t from, const char *address, struct cb_span bytes)
{
    struct raft_message m;
    if (!replica_wire_decode(bytes, &m)) {
        return false;
    }
    if (m.type == RAFT_REQUEST_VOTE && m.request_vote.candidate_id != from) {
        return false; /* it would be voted for another */
    }
    m.server_id = from;
    m.server_address = address;
    n->recv(&n->io, &m);
    return true;
}

static bool
on_received(void *data, uint64_t from, const char *address, uint8_t type, struct cb_span payload)
{
    struct replica_net *n = data;
    if (n->recv == NULL) {
        return true; /* not started: it is lost */
    }
    return type == REPLICA_NET_MESSAGE && on_message(n, from, address, payload);
}

static void on_ended(void *data, uint64_t from)
{
    struct replica_net *n = data;
    if (n->replica != NULL) {
        replica_link_ended(n->replica, from);
    }
}

static void on_gone(void *data, uint64_t id)
{
    const struct replica_net *n = data;
    if (n->replica != NULL) {
        replica_member_gone(n->replica, id);
    }
}

static int io_start(struct raft_io *io, unsigned ms, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    struct replica_net *n = net_of(io);
    n->recv = recv;
    return n->uv_start(io, ms, tick, recv);
}

/* --- what raft_uv takes for its transport --- */

static int stub_init(struct raft_uv_transport *t, raft_id id, const char *address)
{
    (void)t;
    (void)id;
    (void)address;
    return 0;
}

static int stub_listen(struct raft_uv_transport *t, raft_uv_accept_cb cb)
{
    (void)t;
    (void)cb;
    return 0;
}

static int stub_connect(struct raft_uv_transport *t,
                        struct raft_uv_connect *req,
                        raft_id id,
                        const char *address,
                        raft_uv_connect_cb cb)
{
    (void)t;
    (void)req;
    (void)id;
    (void)address;
    (void)cb;
    CB_UNREACHABLE("raft_uv connects although it is not asked to send");
}

static void stub_close(struct raft_uv_transport *t, raft_uv_transport_close_cb cb)
{
    cb(t);
}

void replica_net_stub(struct raft_uv_transport *t)
{
    *t = (struct raft_uv_transport){.version = 1,
                                    .init = stub_init,
                                    .listen = stub_listen,
                                    .connect = stub_connect,
                                    .close = stub_close};
}

void replica_net_init(struct replica_net *n,
                      struct uv_loop_s *loop,
                      const struct link_config *config)
{
    const struct link_events events = {.data = n,
                                       .is_member = is_member,
                                       .received = on_received,
                                       .ended = on_ended,
                                       .gone = on_gone};
    n->link = link_create(loop, config, &events);
    n->uv_start = n->io.start;
    n->io.start = io_start;
    n->io.send = io_send;
}
