#include "support/fake_raft_io.h"

#include <stdio.h>
#include <string.h>

#include "support/fake_raft_internal.h"

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

struct raft_buffer fake_copy(const void *p, size_t len)
{
    return (struct raft_buffer){.base = len == 0 ? NULL : cb_memdup(p, len), .len = len};
}

void *fake_raft_dup(const void *p, size_t len)
{
    void *copy = raft_malloc(len == 0 ? 1 : len);
    if (len > 0) {
        memcpy(copy, p, len);
    }
    return copy;
}

/* --- events --- */

static bool event_less(const struct cb_heap_node *a, const struct cb_heap_node *b)
{
    const struct event *x = CB_CONTAINER(a, struct event, node);
    const struct event *y = CB_CONTAINER(b, struct event, node);
    return x->at_ms != y->at_ms ? x->at_ms < y->at_ms : x->seq < y->seq;
}

void fake_schedule(struct fake_node *n,
                   uint64_t at_ms,
                   void (*run)(struct fake_node *, void *),
                   void (*drop)(void *),
                   void *arg)
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

/* --- machines --- */

static int io_init(struct raft_io *io, raft_id id, const char *address)
{
    (void)address;
    CB_ASSERT(fake_node_of(io)->id == id);
    return 0;
}

static void io_close(struct raft_io *io, raft_io_close_cb cb)
{
    cb(io);
}

static raft_time io_time(struct raft_io *io)
{
    return fake_node_of(io)->world->now_ms;
}

static int io_random(struct raft_io *io, int min, int max)
{
    return min + (int)cb_rng_below(&fake_node_of(io)->world->rng, (uint64_t)(max - min));
}

static void nothing(void *arg)
{
    (void)arg;
}

static void tick_run(struct fake_node *n, void *arg)
{
    fake_schedule(n, n->world->now_ms + n->tick_ms, tick_run, nothing, arg);
    n->tick(&n->io);
}

static int io_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    struct fake_node *n = fake_node_of(io);
    n->tick = tick;
    n->recv = recv;
    n->tick_ms = msecs;
    fake_schedule(n, n->world->now_ms + msecs, tick_run, nothing, NULL);
    return 0;
}

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
        .start = io_start,
        .time = io_time,
        .random = io_random,
    };
    fake_disk_use(&n->io);
    fake_net_use(&n->io);
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
            fake_disk_fini(&w->nodes[id]->disk);
            cb_free(w->nodes[id]);
        }
    }
    cb_heap_fini(&w->events);
    raft_heap_set_default();
    cb_free(w);
}
