#include "support/fake_raft_io.h"

#include <stdio.h>
#include <string.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_heap.h"
#include "common/base/cb_mem.h"

#define NETWORK_MS 1
#define LOAD_BATCH 4 /* entries that share an allocation when loaded, as raft_uv does */
#define STALL_RETRY_MS 10

struct event {
    struct cb_heap_node node;
    uint64_t at_ms;
    uint64_t seq;
    struct fake_node *target;
    uint64_t epoch; /* 0: of any process */
    void (*run)(struct fake_node *n, void *arg);
    void (*drop)(void *arg);
    void *arg;
};

struct fake_world {
    uint64_t now_ms;
    uint64_t seq;
    struct cb_heap events;
    struct cb_rng rng;
    struct raft_heap heap;
    struct fake_node *nodes[FAKE_NODES_MAX + 1];
    struct fake_node *inside[32]; /* whose memory is being allocated */
    unsigned depth;
    uint64_t link_busy_ms[FAKE_NODES_MAX + 1][FAKE_NODES_MAX + 1];
    fake_send_hook on_send;
    void *on_send_ctx;
};

/* --- memory: every block of libraft is on the list of its process --- */

struct block {
    struct cb_list link;
};
_Static_assert(sizeof(struct block) % 16 == 0, "blocks keep malloc's alignment");

static void *heap_malloc(void *data, size_t size)
{
    struct fake_world *w = data;
    CB_ASSERT(w->depth > 0);
    struct block *b = cb_malloc(sizeof *b + size);
    cb_list_init(&b->link);
    cb_list_push_back(&w->inside[w->depth - 1]->heap, &b->link);
    return b + 1;
}

static void heap_free(void *data, void *p)
{
    (void)data;
    if (p != NULL) {
        struct block *b = (struct block *)p - 1;
        cb_list_remove(&b->link);
        cb_free(b);
    }
}

static void *heap_calloc(void *data, size_t n, size_t size)
{
    void *p = heap_malloc(data, n * size);
    memset(p, 0, n * size);
    return p;
}

static void *heap_realloc(void *data, void *p, size_t size)
{
    if (p == NULL) {
        return heap_malloc(data, size);
    }
    struct block *b = (struct block *)p - 1;
    struct cb_list *before = b->link.prev;
    cb_list_remove(&b->link);
    b = cb_realloc(b, sizeof *b + size);
    cb_list_init(&b->link);
    cb_list_insert_before(before->next, &b->link);
    return b + 1;
}

static void *heap_aligned_alloc(void *data, size_t alignment, size_t size)
{
    CB_ASSERT(alignment <= 16);
    return heap_malloc(data, size);
}

static void heap_aligned_free(void *data, size_t alignment, void *p)
{
    (void)alignment;
    heap_free(data, p);
}

void fake_node_enter(struct fake_node *n)
{
    struct fake_world *w = n->world;
    CB_ASSERT(w->depth < sizeof w->inside / sizeof w->inside[0]);
    w->inside[w->depth++] = n;
}

void fake_node_leave(struct fake_node *n)
{
    struct fake_world *w = n->world;
    CB_ASSERT(w->depth > 0 && w->inside[w->depth - 1] == n);
    w->depth--;
}

/* --- events --- */

static bool event_less(const struct cb_heap_node *a, const struct cb_heap_node *b)
{
    const struct event *x = CB_CONTAINER(a, struct event, node);
    const struct event *y = CB_CONTAINER(b, struct event, node);
    return x->at_ms != y->at_ms ? x->at_ms < y->at_ms : x->seq < y->seq;
}

static void schedule(struct fake_node *n, uint64_t at_ms, void (*run)(struct fake_node *, void *),
                     void (*drop)(void *), void *arg)
{
    struct event *e = cb_calloc(1, sizeof *e);
    cb_heap_node_init(&e->node);
    e->at_ms = at_ms;
    e->seq = n->world->seq++;
    e->target = n;
    e->epoch = n->epoch;
    e->run = run;
    e->drop = drop;
    e->arg = arg;
    cb_heap_insert(&n->world->events, &e->node);
}

bool fake_world_step(struct fake_world *w)
{
    struct cb_heap_node *top = cb_heap_top(&w->events);
    if (top == NULL) {
        return false;
    }
    struct event e = *CB_CONTAINER(top, struct event, node);
    cb_heap_remove(&w->events, top);
    cb_free(CB_CONTAINER(top, struct event, node));
    w->now_ms = e.at_ms > w->now_ms ? e.at_ms : w->now_ms;
    if (!e.target->up || e.target->epoch != e.epoch) {
        e.drop(e.arg);
        return true;
    }
    fake_node_enter(e.target);
    e.run(e.target, e.arg);
    fake_node_leave(e.target);
    return true;
}

void fake_world_run(struct fake_world *w, uint64_t ms)
{
    uint64_t end = w->now_ms + ms;
    struct cb_heap_node *top;
    while ((top = cb_heap_top(&w->events)) != NULL &&
           CB_CONTAINER(top, struct event, node)->at_ms <= end) {
        fake_world_step(w);
    }
    w->now_ms = end;
}

/* --- disk image --- */

static struct raft_buffer copy_buffer(const void *p, size_t len)
{
    return (struct raft_buffer){.base = len == 0 ? NULL : cb_memdup(p, len), .len = len};
}

static void *raft_dup(const void *p, size_t len)
{
    void *copy = raft_malloc(len == 0 ? 1 : len);
    if (len > 0) {
        memcpy(copy, p, len);
    }
    return copy;
}

raft_index fake_disk_last(const struct fake_disk *d)
{
    raft_index last = d->first + d->count - 1;
    return d->snapshot_index > last ? d->snapshot_index : last;
}

void fake_disk_lose(struct fake_disk *d, size_t count)
{
    CB_ASSERT(count <= d->count);
    for (; count > 0; count--) {
        cb_free(d->entries[--d->count].data);
    }
}

static void disk_append(struct fake_disk *d, const struct raft_entry *e)
{
    if (d->count == d->cap) {
        d->cap = d->cap == 0 ? 64 : d->cap * 2;
        d->entries = cb_realloc(d->entries, d->cap * sizeof d->entries[0]);
    }
    struct raft_buffer copy = copy_buffer(e->buf.base, e->buf.len);
    d->entries[d->count++] =
        (struct fake_entry){.term = e->term, .type = e->type, .data = copy.base, .len = copy.len};
}

/* Entries before `first` go. */
static void disk_cut_front(struct fake_disk *d, raft_index first)
{
    size_t n = first <= d->first ? 0 : (size_t)(first - d->first);
    n = n > d->count ? d->count : n;
    for (size_t i = 0; i < n; i++) {
        cb_free(d->entries[i].data);
    }
    if (n > 0) {
        memmove(d->entries, d->entries + n, (d->count - n) * sizeof d->entries[0]);
        d->count -= n;
        d->first += n;
    }
}

static void disk_store_snapshot(struct fake_disk *d, const struct raft_snapshot *s,
                                unsigned trailing)
{
    struct raft_buffer conf;
    int rv = raft_configuration_encode(&s->configuration, &conf);
    CB_ASSERT(rv == 0 && s->n_bufs == 1);
    cb_free(d->snapshot_conf.base);
    cb_free(d->snapshot_data.base);
    d->snapshot_conf = copy_buffer(conf.base, conf.len);
    raft_free(conf.base);
    d->snapshot_data = copy_buffer(s->bufs[0].base, s->bufs[0].len);
    d->snapshot_index = s->index;
    d->snapshot_term = s->term;
    d->snapshot_conf_index = s->configuration_index;
    if (trailing == 0) {
        fake_disk_lose(d, d->count);
        d->first = s->index + 1;
    } else if (s->index > trailing) {
        disk_cut_front(d, s->index - trailing + 1);
    }
}

static struct raft_snapshot *disk_load_snapshot(const struct fake_disk *d)
{
    struct raft_snapshot *s = raft_calloc(1, sizeof *s);
    s->index = d->snapshot_index;
    s->term = d->snapshot_term;
    s->configuration_index = d->snapshot_conf_index;
    raft_configuration_init(&s->configuration);
    int rv = raft_configuration_decode(&d->snapshot_conf, &s->configuration);
    CB_ASSERT(rv == 0);
    s->bufs = raft_malloc(sizeof *s->bufs);
    s->bufs[0].base = raft_dup(d->snapshot_data.base, d->snapshot_data.len);
    s->bufs[0].len = d->snapshot_data.len;
    s->n_bufs = 1;
    return s;
}

static void disk_fini(struct fake_disk *d)
{
    fake_disk_lose(d, d->count);
    cb_free(d->entries);
    cb_free(d->snapshot_conf.base);
    cb_free(d->snapshot_data.base);
}

/* --- struct raft_io: disk --- */

static struct fake_node *node_of(const struct raft_io *io)
{
    return io->impl;
}

static int io_init(struct raft_io *io, raft_id id, const char *address)
{
    (void)address;
    CB_ASSERT(node_of(io)->id == id);
    return 0;
}

static void io_close(struct raft_io *io, raft_io_close_cb cb)
{
    cb(io);
}

static int io_load(struct raft_io *io, raft_term *term, raft_id *vote,
                   struct raft_snapshot **snapshot, raft_index *start, struct raft_entry **entries,
                   size_t *n)
{
    struct fake_disk *d = &node_of(io)->disk;
    *term = d->term;
    *vote = d->vote;
    *snapshot = d->snapshot_index == 0 ? NULL : disk_load_snapshot(d);
    *start = d->first;
    *n = d->count;
    *entries = d->count == 0 ? NULL : raft_malloc(d->count * sizeof **entries);
    for (size_t i = 0; i < d->count; i += LOAD_BATCH) {
        size_t end = i + LOAD_BATCH < d->count ? i + LOAD_BATCH : d->count;
        size_t size = 0;
        for (size_t j = i; j < end; j++) {
            size += d->entries[j].len;
        }
        uint8_t *batch = raft_malloc(size == 0 ? 1 : size);
        size_t at = 0;
        for (size_t j = i; j < end; j++) {
            const struct fake_entry *e = &d->entries[j];
            (*entries)[j] = (struct raft_entry){.term = e->term, .type = e->type, .batch = batch};
            (*entries)[j].buf = (struct raft_buffer){.base = batch + at, .len = e->len};
            memcpy(batch + at, e->data, e->len);
            at += e->len;
        }
    }
    return 0;
}

static int io_bootstrap(struct raft_io *io, const struct raft_configuration *conf)
{
    struct fake_disk *d = &node_of(io)->disk;
    if (d->term != 0) {
        return RAFT_CANTBOOTSTRAP;
    }
    struct raft_entry e = {.term = 1, .type = RAFT_CHANGE};
    int rv = raft_configuration_encode(conf, &e.buf);
    CB_ASSERT(rv == 0);
    d->term = 1;
    disk_append(d, &e);
    raft_free(e.buf.base);
    return 0;
}

static int io_recover(struct raft_io *io, const struct raft_configuration *conf)
{
    (void)io;
    (void)conf;
    return RAFT_INVALID;
}

static int io_set_term(struct raft_io *io, raft_term term)
{
    struct fake_node *n = node_of(io);
    if (n->set_term_rv != 0) {
        return n->set_term_rv;
    }
    n->disk.term = term;
    n->disk.vote = 0;
    return 0;
}

static int io_set_vote(struct raft_io *io, raft_id id)
{
    node_of(io)->disk.vote = id;
    return 0;
}

/* One write at a time, in order. */
struct disk_op {
    uint64_t seq; /* 0: not in order with the others */
    const struct raft_entry *entries; /* NULL: a cut or an installed snapshot */
    unsigned count;
    struct raft_io_append *append;
    raft_io_append_cb append_cb;
    raft_index truncate; /* != 0 */
    unsigned trailing;
    const struct raft_snapshot *snapshot;
    struct raft_io_snapshot_put *put;
    raft_io_snapshot_put_cb put_cb;
};

static void put_done(struct fake_node *n, struct disk_op *op)
{
    disk_store_snapshot(&n->disk, op->snapshot, op->trailing);
    n->puts++;
    op->put_cb(op->put, 0);
}

static void append_done(struct fake_node *n, struct disk_op *op)
{
    if (n->append_status == 0) {
        for (unsigned i = 0; i < op->count; i++) {
            disk_append(&n->disk, &op->entries[i]);
        }
    }
    op->append_cb(op->append, n->append_status);
}

static void disk_run(struct fake_node *n, void *arg)
{
    struct disk_op *op = arg;
    if (n->disk_stalled || (op->seq != 0 && op->seq != n->disk_done + 1)) {
        schedule(n, n->world->now_ms + STALL_RETRY_MS, disk_run, cb_free, op);
        return;
    }
    n->disk_done += op->seq != 0;
    if (op->entries != NULL) {
        append_done(n, op);
    } else if (op->truncate != 0) {
        raft_index last = n->disk.first + n->disk.count - 1;
        CB_ASSERT(op->truncate >= n->disk.first && op->truncate <= last + 1);
        fake_disk_lose(&n->disk, (size_t)(last + 1 - op->truncate));
    } else {
        put_done(n, op);
    }
    cb_free(op);
}

static void disk_submit(struct fake_node *n, unsigned ms, struct disk_op op)
{
    uint64_t from = n->disk_busy_until_ms > n->world->now_ms ? n->disk_busy_until_ms
                                                             : n->world->now_ms;
    n->disk_busy_until_ms = from + ms;
    op.seq = ++n->disk_submitted;
    schedule(n, n->disk_busy_until_ms, disk_run, cb_free, cb_memdup(&op, sizeof op));
}

static int io_append(struct raft_io *io, struct raft_io_append *req,
                     const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
    struct fake_node *node = node_of(io);
    for (unsigned i = 0; i < n; i++) {
        CB_ASSERT(entries[i].buf.len % 8 == 0);
    }
    req->cb = cb;
    disk_submit(node, node->disk_ms,
                (struct disk_op){.entries = entries, .count = n, .append = req, .append_cb = cb});
    return 0;
}

static int io_truncate(struct raft_io *io, raft_index index)
{
    disk_submit(node_of(io), 0, (struct disk_op){.truncate = index});
    return 0;
}

/* Taking a snapshot goes on beside the appends, installing one in order with them. */
static int io_snapshot_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *req,
                           const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
    struct fake_node *n = node_of(io);
    struct disk_op op = {.trailing = trailing, .snapshot = snapshot, .put = req, .put_cb = cb};
    req->cb = cb;
    if (trailing == 0) {
        disk_submit(n, n->snapshot_ms, op);
    } else {
        schedule(n, n->world->now_ms + n->snapshot_ms, disk_run, cb_free, cb_memdup(&op, sizeof op));
    }
    return 0;
}

struct get_op {
    struct raft_io_snapshot_get *req;
    raft_io_snapshot_get_cb cb;
};

static void get_run(struct fake_node *n, void *arg)
{
    struct get_op *op = arg;
    op->cb(op->req, disk_load_snapshot(&n->disk), 0);
    cb_free(op);
}

static int io_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *req,
                           raft_io_snapshot_get_cb cb)
{
    struct fake_node *n = node_of(io);
    struct get_op op = {.req = req, .cb = cb};
    schedule(n, n->world->now_ms + 1, get_run, cb_free, cb_memdup(&op, sizeof op));
    return 0;
}

static raft_time io_time(struct raft_io *io)
{
    return node_of(io)->world->now_ms;
}

static int io_random(struct raft_io *io, int min, int max)
{
    return min + (int)cb_rng_below(&node_of(io)->world->rng, (uint64_t)(max - min));
}

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
            a->entries[i].buf = copy_buffer(a->entries[i].buf.base, a->entries[i].buf.len);
        }
    } else if (m->type == RAFT_INSTALL_SNAPSHOT) {
        struct raft_buffer conf;
        int rv = raft_configuration_encode(&m->install_snapshot.conf, &conf);
        CB_ASSERT(rv == 0);
        p->conf = copy_buffer(conf.base, conf.len);
        raft_free(conf.base);
        p->m.install_snapshot.data =
            copy_buffer(m->install_snapshot.data.base, m->install_snapshot.data.len);
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
        s->data.base = raft_dup(s->data.base, s->data.len);
    }
    if (n->recv != NULL) {
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

struct sent {
    struct raft_io_send *req;
    raft_io_send_cb cb;
};

static void sent_run(struct fake_node *n, void *arg)
{
    (void)n;
    struct sent *s = arg;
    s->cb(s->req, 0);
    cb_free(s);
}

static int io_send(struct raft_io *io, struct raft_io_send *req, const struct raft_message *m,
                   raft_io_send_cb cb)
{
    struct fake_node *n = node_of(io);
    struct fake_world *w = n->world;
    CB_ASSERT(m->server_id <= FAKE_NODES_MAX && m->server_address != NULL);
    struct sent s = {.req = req, .cb = cb};
    req->cb = cb;
    schedule(n, w->now_ms, sent_run, cb_free, cb_memdup(&s, sizeof s));
    if (w->on_send != NULL) {
        w->on_send(w->on_send_ctx, n->id, m);
    }
    struct fake_node *to = w->nodes[m->server_id];
    if (to == NULL || !to->up || n->cut_to[m->server_id]) {
        return 0;
    }
    struct packet *p = packet_make(m);
    p->m.server_id = n->id;
    memcpy(p->address, n->address, sizeof p->address);
    uint64_t *busy = &w->link_busy_ms[n->id][to->id];
    uint64_t at = w->now_ms + NETWORK_MS + cb_rng_below(&w->rng, 2);
    *busy = at > *busy ? at : *busy; /* a link keeps its order */
    schedule(to, *busy, packet_run, packet_drop, p);
    return 0;
}

static void nothing(void *arg)
{
    (void)arg;
}

static void tick_run(struct fake_node *n, void *arg)
{
    schedule(n, n->world->now_ms + n->tick_ms, tick_run, nothing, arg);
    n->tick(&n->io);
}

static int io_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    struct fake_node *n = node_of(io);
    n->tick = tick;
    n->recv = recv;
    n->tick_ms = msecs;
    schedule(n, n->world->now_ms + msecs, tick_run, nothing, NULL);
    return 0;
}

/* --- machines --- */

struct raft_io *fake_node_boot(struct fake_node *n)
{
    CB_ASSERT(!n->up);
    n->up = true;
    n->epoch++;
    n->disk_busy_until_ms = 0;
    n->disk_submitted = 0;
    n->disk_done = 0;
    n->puts = 0;
    n->recv = NULL;
    n->io = (struct raft_io){
        .version = 1,
        .capacity = UINT16_MAX,
        .impl = n,
        .init = io_init,
        .close = io_close,
        .load = io_load,
        .start = io_start,
        .bootstrap = io_bootstrap,
        .recover = io_recover,
        .set_term = io_set_term,
        .set_vote = io_set_vote,
        .send = io_send,
        .append = io_append,
        .truncate = io_truncate,
        .snapshot_put = io_snapshot_put,
        .snapshot_get = io_snapshot_get,
        .time = io_time,
        .random = io_random,
    };
    return &n->io;
}

void fake_node_crash(struct fake_node *n)
{
    struct cb_list *l;
    while ((l = cb_list_first(&n->heap)) != NULL) {
        cb_list_remove(l);
        cb_free(CB_CONTAINER(l, struct block, link));
    }
    n->up = false;
}

struct fake_node *fake_node_add(struct fake_world *w, raft_id id)
{
    CB_ASSERT(id > 0 && id <= FAKE_NODES_MAX && w->nodes[id] == NULL);
    struct fake_node *n = cb_calloc(1, sizeof *n);
    n->world = w;
    n->id = id;
    n->disk.first = 1;
    n->disk_ms = 1;
    n->snapshot_ms = 3;
    snprintf(n->address, sizeof n->address, "%llu", id);
    cb_list_init(&n->heap);
    w->nodes[id] = n;
    return n;
}

void fake_cut_off(struct fake_node *n, bool cut)
{
    for (size_t id = 1; id <= FAKE_NODES_MAX; id++) {
        struct fake_node *other = n->world->nodes[id];
        n->cut_to[id] = cut;
        if (other != NULL) {
            other->cut_to[n->id] = cut;
        }
    }
}

uint64_t fake_now_ms(const struct fake_world *w)
{
    return w->now_ms;
}

void fake_world_on_send(struct fake_world *w, fake_send_hook hook, void *ctx)
{
    w->on_send = hook;
    w->on_send_ctx = ctx;
}

struct fake_world *fake_world_create(uint64_t seed)
{
    struct fake_world *w = cb_calloc(1, sizeof *w);
    cb_heap_init(&w->events, event_less);
    cb_rng_init(&w->rng, seed);
    w->heap = (struct raft_heap){
        .data = w,
        .malloc = heap_malloc,
        .free = heap_free,
        .calloc = heap_calloc,
        .realloc = heap_realloc,
        .aligned_alloc = heap_aligned_alloc,
        .aligned_free = heap_aligned_free,
    };
    raft_heap_set(&w->heap);
    return w;
}

void fake_world_destroy(struct fake_world *w)
{
    for (size_t id = 1; id <= FAKE_NODES_MAX; id++) {
        struct fake_node *n = w->nodes[id];
        if (n != NULL && n->up) {
            fake_node_crash(n);
        }
    }
    while (fake_world_step(w)) {
    }
    for (size_t id = 1; id <= FAKE_NODES_MAX; id++) {
        if (w->nodes[id] != NULL) {
            disk_fini(&w->nodes[id]->disk);
            cb_free(w->nodes[id]);
        }
    }
    cb_heap_fini(&w->events);
    raft_heap_set_default();
    cb_free(w);
}
