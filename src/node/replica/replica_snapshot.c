/* Snapshots are markers (design D7): what a snapshot holds, on disk and on its way to a member that
 * is too far behind for the log, says only up to which index the owner's state goes; the state
 * itself is the owner's. A marker is stored once that state is durable; one of another member, once
 * the owner has fetched a state that goes as far. */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"
#include "node/replica/replica_frame.h"
#include "node/replica/replica_internal.h"

/* A snapshot file may be replaced while it is read; the next attempt reads the newer one. */
#define GET_ATTEMPTS 5

/* --- taking and storing --- */

static void *make_marker(struct replica *r, uint64_t index)
{
    uint8_t *p = raft_malloc(REPLICA_MARKER_SIZE);
    if (p == NULL) {
        replica_die(r, "out of memory for a snapshot marker");
    }
    replica_marker_write(p, index);
    return p;
}

/* The last entries up to `index` may be libraft's own, which never reach the owner. */
static uint64_t state_index_at(const struct replica *r, uint64_t index)
{
    return r->applied.index < index ? r->applied.index : index;
}

int replica_fsm_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    struct replica *r = fsm->data;
    *bufs = raft_malloc(sizeof **bufs);
    if (*bufs == NULL) {
        replica_die(r, "out of memory for a snapshot marker");
    }
    (*bufs)[0].base = make_marker(r, state_index_at(r, raft_last_applied(&r->raft)));
    (*bufs)[0].len = REPLICA_MARKER_SIZE;
    *n_bufs = 1;
    return 0;
}

/* g16: libraft applies what was committed, then settles the changes of the members among it one by
 * one, and may take a snapshot in between: with the members of before a change that it has applied.
 * A restart from that would go on with them, or find the change in the log and never settle it. */
static void mend_members(struct replica *r)
{
    struct replica_put *p = &r->put;
    const struct raft *raft = &r->raft;
    uint64_t change = raft->configuration_uncommitted_index;
    if (change == 0 || change > p->snapshot->index) {
        return;
    }
    p->mended = *p->snapshot;
    p->mended.configuration_index = change;
    raft_configuration_init(&p->mended.configuration);
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        const struct raft_server *s = &raft->configuration.servers[i];
        if (raft_configuration_add(&p->mended.configuration, s->id, s->address, s->role) != 0) {
            replica_die(r, "out of memory for the members in a snapshot");
        }
    }
    p->snapshot = &p->mended;
    r->counters.g16_members_of_snapshot++;
}

static void on_put_done(struct raft_io_snapshot_put *put, int status)
{
    struct replica *r = put->data;
    if (status != 0) {
        replica_die(
            r, "storing a raft snapshot failed: %s (%s); check the disk, then restart this node",
            r->raft_io->errmsg, raft_strerror(status));
    }
    struct replica_put done = r->put;
    r->put.active = false;
    raft_configuration_close(&done.mended.configuration); /* empty unless it was needed */
    if (done.install) {
        r->counters.installs++;
        replica_disk_installed(r, done.mark);
    } else {
        r->counters.snapshots++;
    }
    replica_enter(r);
    done.cb(done.req, 0);
    replica_leave(r);
}

/* g7: libraft's files may name entries that are not on disk yet. */
static bool appends_are_done(struct replica *r)
{
    if (replica_disk_done_up_to(r, r->put.after_append)) {
        return true;
    }
    if (!r->put.held_for_appends) {
        r->put.held_for_appends = true;
        r->counters.g7_put_held_for_appends++;
    }
    return false;
}

void replica_put_continue(struct replica *r)
{
    struct replica_put *p = &r->put;
    if (!p->active || p->submitted) {
        return;
    }
    bool ready =
        p->install ? p->state_ready && !p->cut_held : appends_are_done(r) && r->durable >= p->needs;
    if (!ready) {
        return;
    }
    p->submitted = true;
    p->submitted_ms = r->awake_ms;
    p->put.data = r;
    int rv = r->io.snapshot_put(r->raft_io, p->trailing, &p->put, p->snapshot, on_put_done);
    if (rv != 0) {
        replica_die(
            r, "storing a raft snapshot failed: %s (%s); check the disk, then restart this node",
            r->raft_io->errmsg, raft_strerror(rv));
    }
}

static void start_install(struct replica *r)
{
    const struct raft_buffer *buf = &r->put.snapshot->bufs[0];
    uint64_t index;
    bool sound = replica_marker_read(cb_span(buf->base, buf->len), &index);
    CB_ASSERT(sound); /* guard_install has seen it */
    r->put.needs = index < r->put.mark.index ? index : r->put.mark.index;
    cb_log(CB_LOG_INFO, "raft.install", "index=%" PRIu64, r->put.mark.index);
    replica_disk_cut_for_install(r, r->put.mark);
    r->events.install_state(r->events.data, r->put.mark, r->put.needs);
}

int replica_io_snapshot_put(struct raft_io *io,
                            unsigned trailing,
                            struct raft_io_snapshot_put *req,
                            const struct raft_snapshot *snapshot,
                            raft_io_snapshot_put_cb cb)
{
    struct replica *r = replica_of_io(io);
    CB_ASSERT(!r->put.active);
    r->put = (struct replica_put){
        .active = true,
        .install = trailing == 0,
        .trailing = trailing,
        .mark = {.index = snapshot->index, .term = snapshot->term},
        .needs = state_index_at(r, snapshot->index),
        .after_append = r->append_seq,
        .req = req,
        .snapshot = snapshot,
        .cb = cb,
    };
    if (r->put.install) {
        start_install(r);
        return 0;
    }
    mend_members(r);
    if (r->durable < r->put.needs) {
        r->counters.puts_held_for_store++;
        r->events.want_durable(r->events.data, r->put.needs);
    }
    replica_put_continue(r);
    return 0;
}

void replica_durable(struct replica *r, uint64_t index)
{
    if (index > r->durable) {
        r->durable = index;
        replica_put_continue(r);
    }
}

void replica_install_done(struct replica *r, struct replica_mark applied)
{
    struct replica_put *p = &r->put;
    CB_ASSERT(p->active && p->install && !p->state_ready);
    CB_ASSERT(applied.index >= p->needs);
    r->install_applied = applied;
    /* libraft keeps this buffer and hands it to replica_fsm_restore. */
    struct raft_buffer *buf = &p->snapshot->bufs[0];
    raft_free(buf->base);
    buf->base = make_marker(r, p->needs);
    buf->len = REPLICA_MARKER_SIZE;
    p->state_ready = true;
    replica_put_continue(r);
}

static int restore_at_start(struct replica *r, uint64_t index)
{
    if (r->applied.index < index) {
        snprintf(
            r->message, sizeof r->message,
            "the stored state ends at entry %" PRIu64 ", but the raft log begins after %" PRIu64
            ": what lies between is lost here; add this node again under a new id with an empty "
            "directory",
            r->applied.index, index);
        r->refusal = REPLICA_STATE_BEHIND;
        return RAFT_CORRUPT;
    }
    return 0;
}

int replica_fsm_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    struct replica *r = fsm->data;
    uint64_t index;
    if (!replica_marker_read(cb_span(buf->base, buf->len), &index)) {
        snprintf(r->message, sizeof r->message,
                 "the raft snapshot has a wrong checksum: the disk is damaged; add this node again "
                 "under a new id with an empty directory");
        r->refusal = REPLICA_LOG_UNREADABLE;
        return RAFT_CORRUPT;
    }
    if (!r->started) {
        if (restore_at_start(r, index) != 0) {
            return RAFT_CORRUPT;
        }
    } else {
        r->applied = r->install_applied;
        r->durable = r->install_applied.index;
        r->events.installed(r->events.data, r->put.mark);
    }
    r->delivered = index;
    raft_free(buf->base); /* ours on success */
    return 0;
}

/* --- loading for a member --- */

struct get {
    struct cb_list link;             /* in r->gets */
    struct raft_io_snapshot_get get; /* ours */
    struct replica *r;
    struct raft_io_snapshot_get *req;
    raft_io_snapshot_get_cb cb;
    unsigned attempts;
};

static void on_got(struct raft_io_snapshot_get *get, struct raft_snapshot *snapshot, int status);

/* libraft frees what it never set when this fails: it does not fail. */
static void get_start(struct get *g)
{
    struct replica *r = g->r;
    int rv =
        ++g->attempts > GET_ATTEMPTS ? RAFT_IOERR : r->io.snapshot_get(r->raft_io, &g->get, on_got);
    if (rv != 0) {
        replica_die(r,
                    "loading the raft snapshot failed: %s (%s); check the disk, then restart this "
                    "node",
                    r->raft_io->errmsg, raft_strerror(rv));
    }
}

static void on_got(struct raft_io_snapshot_get *get, struct raft_snapshot *snapshot, int status)
{
    struct get *g = get->data;
    struct replica *r = g->r;
    if (status != 0) {
        get_start(g);
        return;
    }
    r->loaded_snapshot = (struct replica_mark){snapshot->index, snapshot->term};
    replica_enter(r);
    g->cb(g->req, snapshot, 0); /* calls send with the message at once */
    replica_leave(r);
    r->loaded_snapshot = (struct replica_mark){0};
    cb_list_remove(&g->link);
    cb_free(g);
}

int replica_io_snapshot_get(struct raft_io *io,
                            struct raft_io_snapshot_get *req,
                            raft_io_snapshot_get_cb cb)
{
    struct replica *r = replica_of_io(io);
    struct get *g = cb_calloc(1, sizeof *g);
    g->r = r;
    g->req = req;
    g->cb = cb;
    g->get.data = g;
    cb_list_push_back(&r->gets, &g->link);
    get_start(g);
    return 0;
}

void replica_gets_drop(struct replica *r)
{
    CB_LIST_FOREACH_SAFE(l, tmp, &r->gets)
    {
        cb_list_remove(l);
        cb_free(CB_CONTAINER(l, struct get, link));
    }
}
