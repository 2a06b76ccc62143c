/* A network in memory: each link keeps its order; what a crash or a cut catches on the way is lost.
 */
#include <stdio.h>
#include <string.h>

#include "support/fake_raft_internal.h"

#define MIN_NS FAKE_NS_PER_MS
#define STATE_MAX_NS (2000 * FAKE_NS_PER_MS)
#define MAX_NS (2 * FAKE_NS_PER_MS)
#define SOIL 0x5a
#define SOILED_SIZE 8192

/* --- struct raft_io: network --- */

/* A message outside of any process; what it points to is its own. */
struct packet {
    struct raft_message m;
    struct raft_buffer conf; /* of an InstallSnapshot, encoded */
    char address[32];
};

static void packet_drop(void *arg)
{
    struct packet *p = arg;
    if (p->m.type == RAFT_APPEND_ENTRIES && p->m.append_entries.n_entries > 0) {
        for (unsigned i = 0; i < p->m.append_entries.n_entries; i++) {
            cb_free(p->m.append_entries.entries[i].buf.base);
        }
        cb_free(p->m.append_entries.entries);
    } else if (p->m.type == RAFT_INSTALL_SNAPSHOT) {
        cb_free(p->m.install_snapshot.data.base);
        cb_free(p->conf.base);
    }
    cb_free(p);
}

static struct packet *packet_make(const struct raft_message *m)
{
    struct packet *p = cb_calloc(1, sizeof *p);
    p->m = *m;
    if (m->type == RAFT_APPEND_ENTRIES && m->append_entries.n_entries > 0) {
        struct raft_append_entries *a = &p->m.append_entries;
        a->entries = cb_memdup(a->entries, a->n_entries * sizeof a->entries[0]);
        for (unsigned i = 0; i < a->n_entries; i++) {
            a->entries[i].buf = fake_copy(a->entries[i].buf.base, a->entries[i].buf.len);
        }
    } else if (m->type == RAFT_INSTALL_SNAPSHOT) {
        struct raft_buffer conf;
        int rv = raft_configuration_encode(&m->install_snapshot.conf, &conf);
        CB_ASSERT(rv == 0);
        p->conf = fake_copy(conf.base, conf.len);
        raft_free(conf.base);
        p->m.install_snapshot.data =
            fake_copy(m->install_snapshot.data.base, m->install_snapshot.data.len);
    }
    return p;
}

/* As raft_uv hands entries over: one array, one batch, both libraft's from then on. */
static void own_entries(struct raft_append_entries *a)
{
    if (a->n_entries == 0) {
        a->entries = NULL;
        return;
    }
    size_t size = 0;
    for (unsigned i = 0; i < a->n_entries; i++) {
        size += a->entries[i].buf.len;
    }
    uint8_t *batch = raft_malloc(size == 0 ? 1 : size);
    uint8_t *at = batch;
    struct raft_entry *entries = raft_malloc(a->n_entries * sizeof *entries);
    for (unsigned i = 0; i < a->n_entries; i++) {
        const struct raft_buffer *from = &a->entries[i].buf;
        entries[i] = a->entries[i];
        entries[i].batch = batch;
        entries[i].buf.base = at;
        if (from->len > 0) {
            memcpy(at, from->base, from->len);
        }
        at += from->len;
    }
    a->entries = entries;
}

/* A variable that libraft forgets to set (guard g9) holds what the stack held, which in a test with
 * little else on it may well be the value that would be right. Here it is one that is wrong. */
static __attribute__((noinline)) void soil_stack(void)
{
    uint8_t rest[SOILED_SIZE];
    memset(rest, SOIL, sizeof rest);
    __asm__ volatile("" : : "r"(rest) : "memory");
}

static void packet_run(struct fake_node *n, void *arg)
{
    struct packet *p = arg;
    struct raft_message m = p->m;
    m.server_address = p->address;
    if (m.type == RAFT_APPEND_ENTRIES) {
        own_entries(&m.append_entries);
    } else if (m.type == RAFT_INSTALL_SNAPSHOT) {
        struct raft_install_snapshot *s = &m.install_snapshot;
        raft_configuration_init(&s->conf);
        int rv = raft_configuration_decode(&p->conf, &s->conf);
        CB_ASSERT(rv == 0);
        s->data.base = fake_raft_dup(s->data.base, s->data.len);
    }
    if (n->recv != NULL) {
        soil_stack();
        n->recv(&n->io, &m);
    }
    packet_drop(p);
}

void fake_deliver(struct fake_node *n, const struct raft_message *m)
{
    fake_node_enter(n);
    struct packet *p = packet_make(m);
    snprintf(p->address, sizeof p->address, "%llu", m->server_id);
    packet_run(n, p);
    fake_node_leave(n);
}

static void send_copy(struct fake_node *n, struct fake_node *to, const struct raft_message *m)
{
    struct fake_world *w = n->world;
    const struct fake_net_faults *f = &w->net;
    struct packet *p = packet_make(m);
    if (m->type == RAFT_INSTALL_SNAPSHOT && fake_chance(w, f->flipped)) {
        struct raft_buffer *b = &p->m.install_snapshot.data;
        uint8_t *byte = (uint8_t *)b->base + fake_between(w, 0, b->len - 1);
        *byte ^= (uint8_t)(1u << fake_between(w, 0, 7));
    }
    p->m.server_id = n->id;
    memcpy(p->address, n->address, sizeof p->address);
    uint64_t at = w->now_ns + (f->max_ns == 0 ? fake_between(w, MIN_NS, MAX_NS)
                                              : fake_between(w, f->min_ns, f->max_ns));
    if (m->type == RAFT_INSTALL_SNAPSHOT && f->max_ns > 0) {
        at += fake_between(w, 0, STATE_MAX_NS); /* it is large */
    }
    unsigned late = m->type == RAFT_INSTALL_SNAPSHOT ? 4 * f->late : f->late;
    if (fake_chance(w, late < 1000 ? late : 1000)) {
        at += fake_between(w, 0, f->late_max_ns);
    } else {
        uint64_t *busy = &w->link_busy_ns[n->id][to->id];
        at = *busy = at > *busy ? at : *busy; /* a link keeps its order */
    }
    fake_schedule(to, at, packet_run, packet_drop, p);
}

/* What libraft has handed over and was not yet told to be gone. The bytes are libraft's until then,
 * and are read at that time, as a real link reads them when its socket takes them (guard g12). */
struct sent {
    struct raft_message m; /* what it points to is the sender's */
    struct raft_io_send *req;
    raft_io_send_cb cb;
    bool is_lost;
    int status;
};

static void sent_run(struct fake_node *n, void *arg)
{
    struct sent *s = arg;
    struct fake_world *w = n->world;
    if (!s->is_lost) {
        struct fake_node *to = w->nodes[s->m.server_id];
        send_copy(n, to, &s->m);
        if (fake_chance(w, w->net.twice)) {
            send_copy(n, to, &s->m);
        }
    }
    s->cb(s->req, s->status);
    cb_free(s);
}

/* When the socket takes what is sent now: in the order of the link. */
static uint64_t taken_ns(struct fake_node *n, raft_id to)
{
    struct fake_world *w = n->world;
    uint64_t *held = &w->link_held_ns[n->id][to];
    if (*held <= w->now_ns) {
        *held = w->now_ns;
        if (fake_chance(w, w->net.held)) {
            *held += fake_between(w, 0, w->net.held_max_ns);
        }
    }
    return *held;
}

void fake_world_hold(struct fake_world *w, raft_id from, raft_id to, uint64_t ns)
{
    uint64_t *held = &w->link_held_ns[from][to];
    *held = *held > w->now_ns ? *held : w->now_ns + ns;
}

static int io_send(struct raft_io *io,
                   struct raft_io_send *req,
                   const struct raft_message *m,
                   raft_io_send_cb cb)
{
    struct fake_node *n = fake_node_of(io);
    struct fake_world *w = n->world;
    CB_ASSERT(m->server_id <= FAKE_NODES_MAX && m->server_address != NULL);
    if (w->on_send != NULL) {
        w->on_send(w->on_send_ctx, n->id, m);
    }
    struct fake_node *to = w->nodes[m->server_id];
    struct sent s = {.m = *m, .req = req, .cb = cb};
    s.is_lost =
        to == NULL || !to->process.up || n->cut_to[m->server_id] || fake_chance(w, w->net.lost);
    if (s.is_lost && fake_chance(w, w->net.told_lost)) {
        s.status = RAFT_NOCONNECTION;
    }
    req->cb = cb;
    fake_schedule(n, taken_ns(n, m->server_id), sent_run, cb_free, cb_memdup(&s, sizeof s));
    return 0;
}

void fake_net_use(struct raft_io *io)
{
    io->send = io_send;
}
