#include "support/fake_raft_io.h"

#include <stdio.h>
#include <string.h>

#include "support/fake_raft_internal.h"

struct event {
    struct cb_heap_node node;
    uint64_t at_ns;
    uint64_t seq;
    struct fake_process *target;
    uint64_t epoch;
    void (*run)(void *arg); /* NULL: run_in_node */
    void (*run_in_node)(struct fake_node *n, void *arg);
    void (*drop)(void *arg);
    void *arg;
};

/* --- memory: every block of libraft is on the list of its process --- */

#define POISON 0xa5

struct block {
    struct cb_list link;
    size_t size;
    size_t unused; /* for the alignment */
};
_Static_assert(sizeof(struct block) % 16 == 0, "blocks keep malloc's alignment");

static void *heap_malloc(void *data, size_t size)
{
    struct fake_world *w = data;
    CB_ASSERT(w->depth > 0);
    struct block *b = cb_malloc(sizeof *b + size);
    b->size = size;
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
        memset(p, POISON, b->size); /* so that who reads it still is found out */
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
    b->size = size;
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
    return x->at_ns != y->at_ns ? x->at_ns < y->at_ns : x->seq < y->seq;
}

static void schedule(struct fake_process *p, struct event e)
{
    struct event *copy = cb_memdup(&e, sizeof e);
    cb_heap_node_init(&copy->node);
    copy->seq = p->world->seq++;
    copy->target = p;
    copy->epoch = p->epoch;
    cb_heap_insert(&p->world->events, &copy->node);
}

void fake_schedule(struct fake_node *n,
                   uint64_t at_ns,
                   void (*run)(struct fake_node *, void *),
                   void (*drop)(void *),
                   void *arg)
{
    schedule(&n->process,
             (struct event){.at_ns = at_ns, .run_in_node = run, .drop = drop, .arg = arg});
}

void fake_at(
    struct fake_process *p, uint64_t at_ns, void (*run)(void *), void (*drop)(void *), void *arg)
{
    schedule(p, (struct event){.at_ns = at_ns, .run = run, .drop = drop, .arg = arg});
}

static void run_event(const struct event *e)
{
    struct fake_process *p = e->target;
    if (e->run != NULL) {
        e->run(e->arg);
    } else {
        e->run_in_node(p->node, e->arg);
    }
    if (p->after != NULL && p->up && p->epoch == e->epoch) {
        p->after(p->after_ctx);
    }
}

bool fake_world_step(struct fake_world *w)
{
    struct cb_heap_node *top = cb_heap_top(&w->events);
    if (top == NULL) {
        return false;
    }
    struct event *e = CB_CONTAINER(top, struct event, node);
    struct fake_process *p = e->target;
    bool is_gone = !p->up || p->epoch != e->epoch;
    cb_heap_remove(&w->events, top);
    if (!is_gone && p->paused_until_ns > e->at_ns) {
        e->at_ns = p->paused_until_ns; /* with its old number: the order stays */
        cb_heap_insert(&w->events, &e->node);
        return true;
    }
    struct event now = *e;
    cb_free(e);
    w->now_ns = now.at_ns > w->now_ns ? now.at_ns : w->now_ns;
    if (is_gone) {
        now.drop(now.arg);
    } else if (p->node != NULL) {
        fake_node_enter(p->node);
        run_event(&now);
        fake_node_leave(p->node);
    } else {
        run_event(&now);
    }
    return true;
}

uint64_t fake_world_next_ns(const struct fake_world *w)
{
    struct cb_heap_node *top = cb_heap_top(&w->events);
    return top == NULL ? UINT64_MAX : CB_CONTAINER(top, struct event, node)->at_ns;
}

void fake_world_run(struct fake_world *w, uint64_t ms)
{
    uint64_t end = w->now_ns + ms * FAKE_NS_PER_MS;
    while (fake_world_next_ns(w) <= end) {
        fake_world_step(w);
    }
    w->now_ns = end;
}

void fake_world_unwind(struct fake_world *w)
{
    w->depth = 0;
}

bool fake_chance(struct fake_world *w, unsigned per_mille)
{
    return per_mille > 0 && cb_rng_chance(&w->rng, per_mille, 1000);
}

uint64_t fake_between(struct fake_world *w, uint64_t min, uint64_t max)
{
    return min + cb_rng_below(&w->rng, max - min + 1);
}

/* --- processes and their clocks --- */

void fake_process_init(struct fake_process *p, struct fake_world *w)
{
    *p = (struct fake_process){.world = w};
}

void fake_process_start(struct fake_process *p)
{
    CB_ASSERT(!p->up);
    p->up = true;
    p->epoch++;
    p->paused_until_ns = 0;
}

void fake_process_end(struct fake_process *p)
{
    p->up = false;
}

#define PPM INT64_C(1000000)

uint64_t fake_local_ns(const struct fake_process *p)
{
    int64_t now = (int64_t)p->world->now_ns;
    return p->clock_offset_ns + (uint64_t)(now + now / PPM * p->drift_ppm);
}

uint64_t fake_moment_of_ns(const struct fake_process *p, uint64_t local_ns)
{
    if (local_ns <= fake_local_ns(p)) {
        return p->world->now_ns;
    }
    uint64_t left = local_ns - fake_local_ns(p);
    uint64_t scaled = left > UINT64_C(1) << 42 ? left / (uint64_t)(PPM + p->drift_ppm) * PPM
                                               : left * PPM / (uint64_t)(PPM + p->drift_ppm);
    return p->world->now_ns + scaled + 1;
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
    return fake_local_ns(&fake_node_of(io)->process) / FAKE_NS_PER_MS;
}

static int io_random(struct raft_io *io, int min, int max)
{
    return min + (int)cb_rng_below(&fake_node_of(io)->world->rng, (uint64_t)(max - min));
}

static void nothing(void *arg)
{
    (void)arg;
}

static uint64_t next_tick_ns(const struct fake_node *n)
{
    return fake_moment_of_ns(&n->process, fake_local_ns(&n->process) + n->tick_ms * FAKE_NS_PER_MS);
}

static void tick_run(struct fake_node *n, void *arg)
{
    fake_schedule(n, next_tick_ns(n), tick_run, nothing, arg);
    n->tick(&n->io);
}

static int io_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    struct fake_node *n = fake_node_of(io);
    n->tick = tick;
    n->recv = recv;
    n->tick_ms = msecs;
    fake_schedule(n, next_tick_ns(n), tick_run, nothing, NULL);
    return 0;
}

struct raft_io *fake_node_boot(struct fake_node *n)
{
    fake_process_start(&n->process);
    n->disk_busy_until_ns = 0;
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
    fake_disk_crash(n);
    while ((l = cb_list_first(&n->heap)) != NULL) {
        cb_list_remove(l);
        cb_free(CB_CONTAINER(l, struct block, link));
    }
    fake_process_end(&n->process);
    memset(n->world->link_held_ns[n->id], 0, sizeof n->world->link_held_ns[n->id]);
}

struct fake_node *fake_node_add(struct fake_world *w, raft_id id)
{
    CB_ASSERT(id > 0 && id <= FAKE_NODES_MAX && w->nodes[id] == NULL);
    struct fake_node *n = cb_calloc(1, sizeof *n);
    n->world = w;
    n->id = id;
    fake_process_init(&n->process, w);
    n->process.node = n;
    n->disk.first = 1;
    n->disk_ms = 1;
    n->snapshot_ms = 3;
    snprintf(n->address, sizeof n->address, "%llu", id);
    cb_list_init(&n->heap);
    cb_list_init(&n->writing);
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
    return w->now_ns / FAKE_NS_PER_MS;
}

uint64_t fake_now_ns(const struct fake_world *w)
{
    return w->now_ns;
}

struct fake_net_faults *fake_world_net(struct fake_world *w)
{
    return &w->net;
}

void fake_world_on_send(struct fake_world *w, fake_send_hook hook, void *ctx)
{
    w->on_send = hook;
    w->on_send_ctx = ctx;
}

void fake_world_on_vote(struct fake_world *w, fake_vote_hook hook, void *ctx)
{
    w->on_vote = hook;
    w->on_vote_ctx = ctx;
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
        if (n != NULL && n->process.up) {
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
