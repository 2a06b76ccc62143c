/* Disks in memory: what was reported as done is there after a crash. */
#include <string.h>

#include "support/fake_raft_internal.h"

#define LOAD_BATCH 64 /* entries that share an allocation when loaded, as raft_uv does */
#define STALL_RETRY_NS (10 * FAKE_NS_PER_MS)
#define GET_NS FAKE_NS_PER_MS
#define SLOW_SNAPSHOT 250 /* per mille */
#define FORGOTTEN_MAX 3   /* entries */

/* --- disk image --- */

raft_index fake_disk_last(const struct fake_disk *d)
{
    raft_index last = d->first + d->count - 1;
    return d->snapshot_index > last ? d->snapshot_index : last;
}

bool fake_disk_has(const struct fake_disk *d, raft_index index, raft_term term)
{
    if (index <= d->snapshot_index) {
        return true;
    }
    return index >= d->first && index < d->first + d->count &&
           d->entries[index - d->first].term == term;
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
    struct raft_buffer copy = fake_copy(e->buf.base, e->buf.len);
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

static void
disk_store_snapshot(struct fake_disk *d, const struct raft_snapshot *s, unsigned trailing)
{
    struct raft_buffer conf;
    int rv = raft_configuration_encode(&s->configuration, &conf);
    CB_ASSERT(rv == 0 && s->n_bufs == 1);
    cb_free(d->snapshot_conf.base);
    cb_free(d->snapshot_data.base);
    d->snapshot_conf = fake_copy(conf.base, conf.len);
    raft_free(conf.base);
    d->snapshot_data = fake_copy(s->bufs[0].base, s->bufs[0].len);
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
    s->bufs[0].base = fake_raft_dup(d->snapshot_data.base, d->snapshot_data.len);
    s->bufs[0].len = d->snapshot_data.len;
    s->n_bufs = 1;
    return s;
}

void fake_disk_fini(struct fake_disk *d)
{
    fake_disk_lose(d, d->count);
    cb_free(d->entries);
    cb_free(d->snapshot_conf.base);
    cb_free(d->snapshot_data.base);
}

/* --- struct raft_io: disk --- */

static int io_load(struct raft_io *io,
                   raft_term *term,
                   raft_id *vote,
                   struct raft_snapshot **snapshot,
                   raft_index *start,
                   struct raft_entry **entries,
                   size_t *n)
{
    struct fake_disk *d = &fake_node_of(io)->disk;
    if (fake_node_of(io)->faults.load_status != 0) {
        return fake_node_of(io)->faults.load_status;
    }
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
    struct fake_disk *d = &fake_node_of(io)->disk;
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
    struct fake_node *n = fake_node_of(io);
    if (n->set_term_rv != 0) {
        return n->set_term_rv;
    }
    if (n->world->on_vote != NULL && n->disk.vote != 0) {
        n->world->on_vote(n->world->on_vote_ctx, n->id, term, 0);
    }
    n->disk.term = term;
    n->disk.vote = 0;
    return 0;
}

static int io_set_vote(struct raft_io *io, raft_id id)
{
    struct fake_node *n = fake_node_of(io);
    if (n->world->on_vote != NULL) {
        n->world->on_vote(n->world->on_vote_ctx, n->id, n->disk.term, id);
    }
    n->disk.vote = id;
    return 0;
}

/* One write at a time, in order. */
struct disk_op {
    struct cb_list link;              /* in the node's `writing` */
    uint64_t seq;                     /* 0: not in order with the others */
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

/* The op's effect on the disk. */
static void op_persist(struct fake_node *n, const struct disk_op *op)
{
    struct fake_disk *d = &n->disk;
    if (op->entries != NULL) {
        for (unsigned i = 0; i < op->count; i++) {
            disk_append(d, &op->entries[i]);
        }
    } else if (op->truncate != 0) {
        raft_index last = d->first + d->count - 1;
        CB_ASSERT(op->truncate >= d->first && op->truncate <= last + 1);
        fake_disk_lose(d, (size_t)(last + 1 - op->truncate));
    } else {
        /* One that was taken covers what the log has; only an installed one goes beyond it. */
        CB_ASSERT(op->trailing == 0 || fake_disk_last(d) >= op->snapshot->index);
        disk_store_snapshot(d, op->snapshot, op->trailing);
    }
}

static void op_drop(void *arg)
{
    struct disk_op *op = arg;
    cb_list_remove(&op->link);
    cb_free(op);
}

static void disk_run(struct fake_node *n, void *arg)
{
    struct disk_op *op = arg;
    if (n->disk_stalled || (op->seq != 0 && op->seq != n->disk_done + 1)) {
        fake_schedule(n, n->world->now_ns + STALL_RETRY_NS, disk_run, op_drop, op);
        return;
    }
    struct disk_op done = *op;
    op_drop(op);
    n->disk_done += done.seq != 0;
    if (done.entries == NULL || n->append_status == 0) {
        op_persist(n, &done);
    }
    if (done.entries != NULL) {
        done.append_cb(done.append, n->append_status);
    } else if (done.truncate == 0) {
        n->puts++;
        done.put_cb(done.put, 0);
    }
}

/* The first few writes under way reach the disk, in their order; the next one may be torn, and a
 * torn write is none: raft_uv drops it at the next start by its checksum. */
void fake_disk_crash(struct fake_node *n)
{
    bool is_kept = n->append_status == 0; /* nothing is written behind a failure */
    fake_node_enter(n);
    CB_LIST_FOREACH_SAFE(it, tmp, &n->writing)
    {
        struct disk_op *op = CB_CONTAINER(it, struct disk_op, link);
        bool reaches = fake_chance(n->world, n->faults.crash_keeps);
        if (op->seq == 0 ? reaches : is_kept && reaches) {
            op_persist(n, op);
        } else if (op->seq != 0) {
            if (is_kept && op->entries != NULL && n->faults.torn != NULL) {
                n->faults.torn(n->faults.torn_ctx);
            }
            is_kept = false;
        }
        cb_list_remove(&op->link); /* its event frees it */
    }
    fake_node_leave(n);
    if (fake_chance(n->world, n->faults.crash_forgets)) {
        size_t n_max = n->disk.count > 1 ? n->disk.count - 1 : 0;
        size_t lost = (size_t)fake_between(n->world, 0, FORGOTTEN_MAX);
        fake_disk_lose(&n->disk, lost < n_max ? lost : n_max);
    }
}

static uint64_t write_ns(struct fake_node *n)
{
    const struct fake_disk_faults *f = &n->faults;
    return f->max_ns == 0 ? n->disk_ms * FAKE_NS_PER_MS
                          : fake_between(n->world, f->min_ns, f->max_ns);
}

static void op_schedule(struct fake_node *n, uint64_t at_ns, struct disk_op op)
{
    struct disk_op *copy = cb_memdup(&op, sizeof op);
    cb_list_init(&copy->link);
    cb_list_push_back(&n->writing, &copy->link);
    fake_schedule(n, at_ns, disk_run, op_drop, copy);
}

static void disk_submit(struct fake_node *n, uint64_t ns, struct disk_op op)
{
    uint64_t now = n->world->now_ns;
    uint64_t batch = now + 2 * (ns > n->faults.max_ns ? ns : n->faults.max_ns);
    n->disk_busy_until_ns = (n->disk_busy_until_ns > now ? n->disk_busy_until_ns : now) + ns;
    if (n->disk_busy_until_ns > batch) {
        n->disk_busy_until_ns = batch; /* what has gathered is written at once, as raft_uv does */
    }
    op.seq = ++n->disk_submitted;
    op_schedule(n, n->disk_busy_until_ns, op);
}

static int io_append(struct raft_io *io,
                     struct raft_io_append *req,
                     const struct raft_entry entries[],
                     unsigned n,
                     raft_io_append_cb cb)
{
    struct fake_node *node = fake_node_of(io);
    for (unsigned i = 0; i < n; i++) {
        CB_ASSERT(entries[i].buf.len % 8 == 0);
    }
    req->cb = cb;
    disk_submit(node, write_ns(node),
                (struct disk_op){.entries = entries, .count = n, .append = req, .append_cb = cb});
    return 0;
}

static int io_truncate(struct raft_io *io, raft_index index)
{
    disk_submit(fake_node_of(io), 0, (struct disk_op){.truncate = index});
    return 0;
}

/* Taking a snapshot goes on beside the appends, installing one in order with them. */
static int io_snapshot_put(struct raft_io *io,
                           unsigned trailing,
                           struct raft_io_snapshot_put *req,
                           const struct raft_snapshot *snapshot,
                           raft_io_snapshot_put_cb cb)
{
    struct fake_node *n = fake_node_of(io);
    struct disk_op op = {.trailing = trailing, .snapshot = snapshot, .put = req, .put_cb = cb};
    req->cb = cb;
    uint64_t ns = n->snapshot_ms * FAKE_NS_PER_MS;
    if (n->faults.snapshot_max_ns > 0 && fake_chance(n->world, SLOW_SNAPSHOT)) {
        ns = fake_between(n->world, 0, n->faults.snapshot_max_ns);
    }
    if (trailing == 0) {
        disk_submit(n, ns, op);
    } else {
        op_schedule(n, n->world->now_ns + ns, op);
    }
    return 0;
}

struct get_op {
    struct raft_io_snapshot_get *req;
    raft_io_snapshot_get_cb cb;
    unsigned puts;     /* of the node, at the call */
    uint64_t until_ns; /* a slow one ends then, or with the next that was stored */
};

static void get_run(struct fake_node *n, void *arg)
{
    struct get_op *op = arg;
    if (op->puts == n->puts && n->world->now_ns < op->until_ns) {
        fake_schedule(n, n->world->now_ns + GET_NS, get_run, cb_free, op);
        return;
    }
    op->cb(op->req, disk_load_snapshot(&n->disk), 0);
    cb_free(op);
}

static int
io_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *req, raft_io_snapshot_get_cb cb)
{
    struct fake_node *n = fake_node_of(io);
    struct get_op op = {.req = req, .cb = cb, .puts = n->puts};
    uint64_t max = n->faults.snapshot_max_ns;
    if (max > 0 && fake_chance(n->world, SLOW_SNAPSHOT)) {
        op.until_ns = n->world->now_ns + fake_between(n->world, 0, max / 4);
    }
    fake_schedule(n, n->world->now_ns + GET_NS, get_run, cb_free, cb_memdup(&op, sizeof op));
    return 0;
}

void fake_disk_use(struct raft_io *io)
{
    io->load = io_load;
    io->bootstrap = io_bootstrap;
    io->recover = io_recover;
    io->set_term = io_set_term;
    io->set_vote = io_set_vote;
    io->append = io_append;
    io->truncate = io_truncate;
    io->snapshot_put = io_snapshot_put;
    io->snapshot_get = io_snapshot_get;
}
