/* The log's disk: every error ends the process (guard g5, design D9), every late append too, and
 * the highest durable entry is recorded so that a log that loses entries is noticed (design D12).
 *
 * Calls reach the raft_io in libraft's order. A cut of what the owner may have recorded as durable
 * waits until it has recorded less, and all later calls wait behind it. */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"
#include "node/replica/replica_internal.h"

enum disk_op_kind {
    DISK_APPEND,
    DISK_TRUNCATE,
    DISK_CUT_FOR_INSTALL, /* no call follows: the snapshot does it */
};

struct disk_op {
    struct cb_list link;
    struct replica *r;
    enum disk_op_kind kind;
    bool must_lower;          /* a cut: not before replica_lowered */
    struct replica_mark mark; /* append: durable when done; cut: what the owner is to record */
    /* append */
    bool submitted;
    uint64_t seq;
    uint64_t submitted_ms;            /* of awake_ms */
    const struct raft_entry *entries; /* libraft's, valid until `cb` */
    unsigned n;
    struct raft_io_append *req;
    raft_io_append_cb cb;
    struct raft_io_append append; /* ours */
};

static struct disk_op *op_of(struct cb_list *l)
{
    return CB_CONTAINER(l, struct disk_op, link);
}

static struct disk_op *op_push(struct replica *r, enum disk_op_kind kind)
{
    struct disk_op *op = cb_calloc(1, sizeof *op);
    op->r = r;
    op->kind = kind;
    cb_list_push_back(&r->disk_ops, &op->link);
    return op;
}

static void op_free(struct disk_op *op)
{
    cb_list_remove(&op->link);
    cb_free(op);
}

void replica_disk_drop(struct replica *r)
{
    CB_LIST_FOREACH_SAFE(l, tmp, &r->disk_ops)
    {
        op_free(op_of(l));
    }
    CB_LIST_FOREACH_SAFE(l, tmp, &r->finished)
    {
        op_free(op_of(l));
    }
}

bool replica_disk_done_up_to(const struct replica *r, uint64_t seq)
{
    CB_LIST_FOREACH(l, &r->disk_ops)
    {
        const struct disk_op *op = op_of(l);
        if (op->kind == DISK_APPEND) {
            return op->seq > seq; /* the oldest; they end in order */
        }
    }
    return true;
}

/* --- appends --- */

static void raise_appended(struct replica *r, struct replica_mark mark)
{
    if (mark.index > r->appended.index) {
        r->appended = mark;
    }
}

/* A leader never holds its own back: it slows down what it proposes. While a snapshot is installed
 * libraft ignores the callback, and after it could take it for that of other entries. */
static bool is_held(struct replica *r)
{
    return r->hold_appends && raft_state(&r->raft) != RAFT_LEADER && !r->raft.snapshot.installing;
}

static void report_finished(struct replica *r)
{
    while (!cb_list_is_empty(&r->finished) && !is_held(r)) {
        struct disk_op *op = op_of(cb_list_first(&r->finished));
        struct raft_io_append *req = op->req;
        raft_io_append_cb cb = op->cb;
        op_free(op);
        replica_enter(r);
        cb(req, 0);
        replica_leave(r);
    }
}

void replica_hold_appends(struct replica *r, bool hold)
{
    CB_ASSERT(hold || r->depth == 0);
    r->hold_appends = hold;
    report_finished(r);
}

static void on_appended(struct raft_io_append *append, int status)
{
    struct disk_op *op = append->data;
    struct replica *r = op->r;
    if (status != 0) {
        replica_die(r,
                    "writing the raft log failed: %s (%s); check the disk, then restart this node",
                    r->raft_io->errmsg, raft_strerror(status));
    }
    raise_appended(r, op->mark);
    r->disk_moved_ms = r->awake_ms;
    cb_list_remove(&op->link);
    cb_list_push_back(&r->finished, &op->link);
    report_finished(r);
    replica_put_continue(r);
}

static void submit_append(struct replica *r, struct disk_op *op)
{
    op->submitted = true;
    op->submitted_ms = r->awake_ms;
    op->append.data = op;
    int rv = r->io.append(r->raft_io, &op->append, op->entries, op->n, on_appended);
    if (rv != 0) {
        replica_die(
            r, "the raft log takes no entries: %s (%s); check the disk, then restart this node",
            r->raft_io->errmsg, raft_strerror(rv));
    }
}

/* True when the operations after a cut may go on now. */
static bool do_cut(struct replica *r, struct disk_op *op)
{
    if (op->must_lower) {
        if (!r->lowering) {
            r->lowering = true;
            /* The owner may answer at once: then the nested call has done all that follows. */
            r->events.lower_appended(r->events.data, op->mark);
        }
        return false;
    }
    enum disk_op_kind kind = op->kind;
    raft_index index = op->mark.index + 1;
    op_free(op);
    if (kind == DISK_CUT_FOR_INSTALL) {
        r->put.cut_held = false;
        replica_put_continue(r);
        return true;
    }
    int rv = r->io.truncate(r->raft_io, index);
    if (rv != 0) {
        replica_die(r,
                    "cutting the raft log at %llu failed: %s (%s); check the disk, then restart "
                    "this node",
                    index, r->raft_io->errmsg, raft_strerror(rv));
    }
    return true;
}

static void disk_continue(struct replica *r)
{
    CB_LIST_FOREACH_SAFE(l, tmp, &r->disk_ops)
    {
        struct disk_op *op = op_of(l);
        if (op->kind != DISK_APPEND) {
            if (!do_cut(r, op)) {
                return;
            }
        } else if (!op->submitted) {
            submit_append(r, op);
        }
    }
}

int replica_io_append(struct raft_io *io,
                      struct raft_io_append *req,
                      const struct raft_entry entries[],
                      unsigned n,
                      raft_io_append_cb cb)
{
    struct replica *r = replica_of_io(io);
    CB_ASSERT(n > 0);
    struct disk_op *op = op_push(r, DISK_APPEND);
    for (unsigned i = 0; i < n; i++) {
        replica_size_note(r, r->next_index + i, entries[i].buf.len);
    }
    r->next_index += n;
    op->mark = (struct replica_mark){.index = r->next_index - 1, .term = entries[n - 1].term};
    op->seq = ++r->append_seq;
    op->entries = entries;
    op->n = n;
    op->req = req;
    op->cb = cb;
    disk_continue(r);
    return 0;
}

/* --- cuts --- */

/* From here on nothing above `last` is recorded, also not by appends that are still under way. */
static bool lower_recorded(struct replica *r, uint64_t last)
{
    CB_LIST_FOREACH(l, &r->disk_ops)
    {
        struct disk_op *op = op_of(l);
        if (op->kind == DISK_APPEND && op->mark.index > last) {
            op->mark = (struct replica_mark){.index = last};
        }
    }
    if (r->appended.index <= last) {
        return false;
    }
    /* Without a term: the pair must hold before the cut and after it, whatever a crash leaves. */
    r->appended = (struct replica_mark){.index = last};
    r->counters.truncates_held++;
    return true;
}

int replica_io_truncate(struct raft_io *io, raft_index index)
{
    struct replica *r = replica_of_io(io);
    CB_ASSERT(index > 0 && index <= r->next_index);
    if (index == r->next_index) {
        return 0; /* libraft calls this before every append */
    }
    r->next_index = index;
    bool held = lower_recorded(r, index - 1);
    struct disk_op *op = op_push(r, DISK_TRUNCATE);
    op->mark = (struct replica_mark){.index = index - 1};
    op->must_lower = held;
    disk_continue(r);
    return 0;
}

void replica_disk_cut_for_install(struct replica *r, struct replica_mark mark)
{
    CB_ASSERT(r->raft.legacy.snapshot_install);
    report_finished(r);
    bool other_term = r->appended.index == mark.index && r->appended.term != mark.term;
    bool lower = lower_recorded(r, other_term ? mark.index - 1 : mark.index);
    /* Also without that it goes through the queue: a cut before it may wait there. */
    r->put.cut_held = true;
    struct disk_op *op = op_push(r, DISK_CUT_FOR_INSTALL);
    op->mark = r->appended;
    op->must_lower = lower;
    disk_continue(r);
}

void replica_disk_installed(struct replica *r, struct replica_mark mark)
{
    r->next_index = mark.index + 1;
    r->appended = mark;
}

void replica_lowered(struct replica *r)
{
    CB_ASSERT(r->lowering);
    r->lowering = false;
    CB_LIST_FOREACH(l, &r->disk_ops)
    {
        if (op_of(l)->must_lower) {
            op_of(l)->must_lower = false;
            break;
        }
    }
    disk_continue(r);
}

/* --- the watchdog --- */

/* A tick that came later than this was held up, and with it the news that a write is done. */
#define AWAKE_STEP_MAX_MS 500
/* From here on it is asked whether the disk is full. */
#define LATE_MS 500
/* So many times as long as a write a snapshot may take while writes go on. */
#define PUT_TIMEOUTS 6

/* Time as this process has lived through it: a process that was frozen, or a host that was asleep,
 * learns of the writes that ended meanwhile only after the tick that wakes it. */
static void advance_awake(struct replica *r)
{
    uint64_t now_ms = replica_now_ms(r);
    uint64_t step = now_ms - r->last_tick_ms;
    r->awake_ms += step < AWAKE_STEP_MAX_MS ? step : AWAKE_STEP_MAX_MS;
    r->last_tick_ms = now_ms;
}

/* libraft retries a failed append with the wrong argument and corrupts its memory: the process has
 * to be gone by then. A failed snapshot it retries for ever. On a full disk it waits, rightly, and
 * once there is room the write has its whole time again: raft_uv tries only now and then. So have
 * those behind it once it is done. */
static void check_late(struct replica *r, const char *what, uint64_t since_ms, uint64_t allowed_ms)
{
    uint64_t late_ms = r->awake_ms - since_ms;
    if (late_ms < LATE_MS && late_ms < allowed_ms) {
        return;
    }
    if (r->env.free_bytes != NULL && r->env.free_bytes(r->env.data) < CB_RAFT_DISK_FULL_BELOW) {
        r->counters.disk_full_waits++;
        cb_log(CB_LOG_ERROR, "raft.disk-full", "err=\"%s waits for room on the disk\"", what);
        r->disk_moved_ms = r->disk_full_ms = r->awake_ms;
    } else if (late_ms >= allowed_ms) {
        replica_die(r,
                    "the raft log's disk has not finished %s for %" PRIu64
                    " ms, and it is not full; check the disk, then restart this node",
                    what, late_ms);
    }
}

static uint64_t later_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* It may wait behind appends. But that those end well does not prove that it ever will: libraft
 * tries a failed one again for ever, and all the while the log in memory grows. */
static void check_put(struct replica *r)
{
    uint64_t since_ms = r->put.submitted_ms;
    uint64_t allowed_ms = r->config.disk_timeout_ms;
    check_late(r, "a snapshot", later_of(since_ms, r->disk_moved_ms), allowed_ms);
    check_late(r, "a snapshot", later_of(since_ms, r->disk_full_ms), PUT_TIMEOUTS * allowed_ms);
}

void replica_disk_check(struct replica *r)
{
    advance_awake(r);
    report_finished(r); /* it may lead by now */
    struct cb_list *l = cb_list_first(&r->disk_ops);
    if (l != NULL && op_of(l)->submitted) {
        check_late(r, "a write", later_of(op_of(l)->submitted_ms, r->disk_moved_ms),
                   r->config.disk_timeout_ms);
    }
    if (r->put.active && r->put.submitted) {
        check_put(r);
    }
}

bool replica_waits_for_room(const struct replica *r)
{
    /* It is looked at each LATE_MS. */
    return r->disk_full_ms != 0 && r->awake_ms - r->disk_full_ms < 3 * LATE_MS;
}

/* --- term and vote --- */

int replica_io_set_term(struct raft_io *io, raft_term term)
{
    struct replica *r = replica_of_io(io);
    CB_ASSERT(term >= r->voted_term);
    if (term == r->voted_term) {
        /* libraft does this before each vote; storing a term erases the vote that was given in it,
         * and a crash before the next call would make that final. */
        return 0;
    }
    int rv = r->io.set_term(io, term);
    if (rv != 0) {
        replica_die(
            r, "storing raft term %llu failed: %s (%s); check the disk, then restart this node",
            term, io->errmsg, raft_strerror(rv));
    }
    r->voted_term = term;
    r->voted_for = 0;
    return 0;
}

int replica_io_set_vote(struct raft_io *io, raft_id id)
{
    struct replica *r = replica_of_io(io);
    /* Two votes in one term can make two leaders. */
    CB_ASSERT(r->voted_for == 0 || r->voted_for == id);
    int rv = r->io.set_vote(io, id);
    if (rv != 0) {
        replica_die(r,
                    "storing a raft vote failed: %s (%s); check the disk, then restart this node",
                    io->errmsg, raft_strerror(rv));
    }
    r->voted_for = id;
    return 0;
}

/* --- start --- */

/* Guard g12: one allocation for each entry and no batch, else a snapshot frees a batch of which an
 * entry is still being sent. */
static void unbatch(struct replica *r, struct raft_entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct raft_entry *e = &entries[i];
        void *copy = raft_malloc(e->buf.len == 0 ? 1 : e->buf.len);
        if (copy == NULL) {
            replica_die(r, "out of memory while loading the raft log (%zu entries)", n);
        }
        if (e->buf.len > 0) {
            memcpy(copy, e->buf.base, e->buf.len);
        }
        e->buf.base = copy;
        if (i + 1 == n || entries[i + 1].batch != e->batch) {
            raft_free(e->batch);
        }
        e->batch = NULL;
        r->counters.g12_entries_unbatched++;
    }
}

/* 0 when the loaded log does not say: what lies before its first entry. */
static uint64_t loaded_term(const struct raft_snapshot *snapshot,
                            uint64_t first,
                            const struct raft_entry *entries,
                            size_t n,
                            uint64_t index)
{
    if (index >= first && index - first < n) {
        return entries[index - first].term;
    }
    return snapshot != NULL && snapshot->index == index ? snapshot->term : 0;
}

static bool log_is_whole(struct replica *r, struct replica_mark last, uint64_t term_there)
{
    struct replica_mark stored = r->config.appended;
    if (stored.index > last.index) {
        snprintf(
            r->message, sizeof r->message,
            "the raft log ends at entry %" PRIu64 ", but this node had entry %" PRIu64
            " on disk and told others so: it must not vote; add it again under a new id with an "
            "empty directory",
            last.index, stored.index);
        return false;
    }
    if (stored.term != 0 && term_there != 0 && stored.term != term_there) {
        snprintf(
            r->message, sizeof r->message,
            "entry %" PRIu64 " of the raft log is of term %" PRIu64 ", but this node had one of "
            "term %" PRIu64 " on disk: the directory is not its own or an old copy; add it again "
            "under a new id with an empty directory",
            stored.index, term_there, stored.term);
        return false;
    }
    return true;
}

int replica_io_load(struct raft_io *io,
                    raft_term *term,
                    raft_id *voted_for,
                    struct raft_snapshot **snapshot,
                    raft_index *start_index,
                    struct raft_entry *entries[],
                    size_t *n_entries)
{
    struct replica *r = replica_of_io(io);
    int rv = r->io.load(io, term, voted_for, snapshot, start_index, entries, n_entries);
    if (rv != 0) {
        return rv;
    }
    struct replica_mark last = {.index = *start_index + *n_entries - 1};
    if (*snapshot != NULL && (*snapshot)->index > last.index) {
        last.index = (*snapshot)->index;
    }
    last.term = loaded_term(*snapshot, *start_index, *entries, *n_entries, last.index);
    uint64_t there =
        loaded_term(*snapshot, *start_index, *entries, *n_entries, r->config.appended.index);
    if (!log_is_whole(r, last, there)) {
        r->refusal = REPLICA_LOG_SHORTER;
        return RAFT_CORRUPT; /* what was loaded is left to the end of the process */
    }
    unbatch(r, *entries, *n_entries);
    for (size_t i = 0; i < *n_entries; i++) {
        replica_size_note(r, *start_index + i, (*entries)[i].buf.len);
    }
    r->next_index = last.index + 1;
    r->live_above = last.index;
    r->appended = last;
    r->voted_term = *term;
    r->voted_for = *voted_for;
    return 0;
}
