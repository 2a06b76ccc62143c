#include "node/replica/replica_state.h"

#include <stdio.h>

#include "common/base/cb_bytes.h"
#include "common/base/cb_mem.h"
#include "node/replica/replica_net.h"
#include "node/replica/replica_wire.h"

#define PART_HEAD_SIZE 8

/* --- sending --- */

struct sending {
    struct cb_list link; /* in `sending` of the states */
    struct replica_net *net;
    uint64_t to;
    char address[CB_ADDRESS_MAX];
    struct raft_io_send *req;
    raft_io_send_cb cb;
    struct cb_span state; /* libraft's, until `cb` */
    size_t at;            /* what was handed to the link */
};

bool replica_state_is_large(const struct raft_message *m)
{
    return m->type == RAFT_INSTALL_SNAPSHOT && m->install_snapshot.data.len > CB_RAFT_STATE_PART;
}

static bool is_under_way(const struct replica_states *s, uint64_t to)
{
    CB_LIST_FOREACH(it, &s->sending)
    {
        if (CB_CONTAINER(it, struct sending, link)->to == to) {
            return true;
        }
    }
    return false;
}

static void end_sending(struct sending *s, int status)
{
    struct raft_io_send *req = s->req;
    raft_io_send_cb cb = s->cb;
    cb_list_remove(&s->link);
    cb_free(s);
    cb(req, status);
}

static void on_part_sent(void *arg, bool sent);

/* One part waits at a time, behind whatever else there is for that member. */
static bool send_part(struct sending *s)
{
    size_t left = s->state.len - s->at;
    size_t len = left < CB_RAFT_STATE_PART ? left : CB_RAFT_STATE_PART;
    struct cb_buf head = CB_BUF_NULL;
    struct cb_span body = cb_span(s->state.ptr + s->at, len);
    cb_put_u64(&head, s->at);
    const struct link_message m = {
        .type = REPLICA_NET_STATE_PART, .head = cb_buf_span(&head), .body = &body, .n_body = 1};
    s->at += len;
    bool ok = link_send(s->net->link, s->to, s->address, &m, 1, on_part_sent, s);
    cb_buf_fini(&head);
    return ok;
}

static void on_part_sent(void *arg, bool sent)
{
    struct sending *s = arg;
    if (!sent) {
        end_sending(s, RAFT_NOCONNECTION);
    } else if (s->at == s->state.len) {
        end_sending(s, 0);
    } else if (!send_part(s)) {
        end_sending(s, RAFT_NOCONNECTION);
    }
}

bool replica_state_send(struct replica_net *n,
                        struct raft_io_send *req,
                        const struct raft_message *m,
                        raft_io_send_cb cb)
{
    if (is_under_way(&n->states, m->server_id)) {
        return false;
    }
    struct sending *s = cb_calloc(1, sizeof *s);
    struct cb_buf head = CB_BUF_NULL;
    *s = (struct sending){.net = n, .to = m->server_id, .req = req, .cb = cb};
    s->state = cb_span(m->install_snapshot.data.base, m->install_snapshot.data.len);
    snprintf(s->address, sizeof s->address, "%s", m->server_address);
    cb_list_push_back(&n->states.sending, &s->link);
    replica_wire_head(m, &head);
    const struct link_message first = {.type = REPLICA_NET_STATE, .head = cb_buf_span(&head)};
    bool ok = link_send(n->link, s->to, s->address, &first, 1, on_part_sent, s);
    cb_buf_fini(&head);
    if (!ok) {
        cb_list_remove(&s->link);
        cb_free(s);
    }
    return ok;
}

/* --- receiving --- */

static void drop(struct replica_states *s)
{
    if (s->from != 0) {
        s->from = 0;
        replica_wire_free(&s->message);
    }
}

bool replica_state_begin(struct replica_net *n, uint64_t from, struct cb_span head)
{
    struct replica_states *s = &n->states;
    struct raft_message m;
    if (!replica_wire_decode_install_head(head, &m)) {
        return false;
    }
    if (m.install_snapshot.data.len == 0) {
        replica_wire_free(&m);
        return false;
    }
    drop(s);
    s->from = from;
    s->message = m;
    s->have = 0;
    s->cap = 0;
    return true;
}

/* Twice what has come, at most. */
static void make_room(struct replica_states *s, size_t len)
{
    struct raft_buffer *data = &s->message.install_snapshot.data;
    size_t cap = s->cap == 0 ? CB_RAFT_STATE_PART : s->cap;
    while (cap - s->have < len) {
        cap *= 2;
    }
    cap = cap < data->len ? cap : data->len;
    if (cap > s->cap) {
        data->base = replica_wire_realloc(data->base, cap);
        s->cap = cap;
    }
}

static void hand_on(struct replica_net *n, const char *address)
{
    struct raft_message m = n->states.message;
    m.server_id = n->states.from;
    m.server_address = address;
    n->states.from = 0; /* what it owns is libraft's now */
    n->recv(&n->io, &m);
}

bool replica_state_part(struct replica_net *n,
                        uint64_t from,
                        const char *address,
                        struct cb_span part)
{
    struct replica_states *s = &n->states;
    struct cb_reader r;
    cb_reader_init(&r, part);
    uint64_t offset = cb_get_u64(&r);
    size_t len = (size_t)(r.end - r.p);
    if (r.failed || len == 0) {
        return false;
    }
    if (s->from != from) {
        return true; /* another's has taken its place */
    }
    struct raft_buffer *data = &s->message.install_snapshot.data;
    if (offset != s->have || len > data->len - s->have) {
        return false;
    }
    make_room(s, len);
    memcpy((uint8_t *)data->base + s->have, r.p, len);
    s->have += len;
    if (s->have == data->len) {
        hand_on(n, address);
    }
    return true;
}

void replica_state_drop(struct replica_net *n, uint64_t from)
{
    if (n->states.from == from) {
        drop(&n->states);
    }
}

void replica_states_init(struct replica_states *s)
{
    *s = (struct replica_states){.from = 0};
    cb_list_init(&s->sending);
}

void replica_states_fini(struct replica_states *s)
{
    CB_ASSERT(cb_list_is_empty(&s->sending)); /* the link has called all of them back */
    drop(s);
}
