/* Entries on their way in (raft_apply) and out (fsm->apply). */
#include <inttypes.h>

#include "common/base/cb_mem.h"
#include "node/replica/replica_frame.h"
#include "node/replica/replica_internal.h"

/* libraft keeps a pointer to `apply` until the entry is applied or leadership is lost. Its callback
 * is NULL (the owner learns from its own apply), so that it is found out here when that is over. */
struct request {
    struct cb_list link;
    struct raft_apply apply;
};

void replica_release_requests(struct replica *r, bool all)
{
    uint64_t applied = raft_last_applied(&r->raft);
    struct cb_list *l;
    while ((l = cb_list_first(&r->requests)) != NULL) {
        struct request *q = CB_CONTAINER(l, struct request, link);
        if (!all && q->apply.index > applied) {
            return;
        }
        cb_list_remove(l);
        cb_free(q);
    }
}

uint64_t replica_backlog(struct replica *r)
{
    return raft_last_index(&r->raft) - raft_commit_index(&r->raft);
}

/* libraft may refuse before it takes the buffer; any other error may have left the entry in its log
 * and the buffer freed. */
static enum replica_propose_result refused(struct replica *r, int rv, struct raft_buffer *buf)
{
    if (rv != RAFT_NOTLEADER && rv != RAFT_NOSPACE) {
        replica_die(r, "libraft failed to take an entry: %s (%s); restart this node",
                    raft_errmsg(&r->raft), raft_strerror(rv));
    }
    raft_free(buf->base);
    return rv == RAFT_NOSPACE ? REPLICA_NO_SPACE : REPLICA_NOT_LEADER;
}

enum replica_propose_result replica_propose(struct replica *r, struct cb_span bytes)
{
    CB_ASSERT(r->started && r->depth == 0);
    CB_ASSERT(bytes.len > 0 && bytes.len <= CB_ENTRY_SIZE_MAX);
    if (raft_state(&r->raft) != RAFT_LEADER) {
        return REPLICA_NOT_LEADER;
    }
    if (replica_backlog(r) >= CB_RAFT_BACKLOG_MAX || !replica_has_pin_room(r)) {
        return REPLICA_BUSY;
    }
    uint64_t index = raft_last_index(&r->raft) + 1;
    if (index <= r->applied.index) {
        /* Such an entry would be taken for one that the state holds already. */
        replica_die(r,
                    "this leader's log ends at index %" PRIu64 ", its state at %" PRIu64
                    ": committed entries are lost on a majority; restore from a backup",
                    index - 1, r->applied.index);
    }
    struct raft_buffer buf = {.len = replica_entry_frame_size(bytes.len)};
    buf.base = raft_malloc(buf.len);
    if (buf.base == NULL) {
        replica_die(r, "out of memory for an entry of %zu bytes", buf.len);
    }
    replica_entry_frame_write(buf.base, bytes);
    struct request *q = cb_calloc(1, sizeof *q);
    enum replica_propose_result result = REPLICA_PROPOSED;
    replica_enter(r);
    int rv = raft_apply(&r->raft, &q->apply, &buf, 1, NULL);
    if (rv == 0) {
        /* Else libraft would keep `q` beyond the moment at which it is freed here. */
        CB_ASSERT(raft_state(&r->raft) == RAFT_LEADER && raft_last_applied(&r->raft) < index);
        CB_ASSERT(q->apply.index == index);
        cb_list_push_back(&r->requests, &q->link);
        replica_pin_room_taken(r, bytes.len);
    } else {
        cb_free(q);
        result = refused(r, rv, &buf);
    }
    replica_leave(r);
    return result;
}

bool replica_transfer(struct replica *r, uint64_t id)
{
    CB_ASSERT(r->started && r->depth == 0);
    if (raft_state(&r->raft) != RAFT_LEADER || r->raft.transfer != NULL) {
        return false;
    }
    replica_enter(r);
    int rv = raft_transfer(&r->raft, &r->transfer, id, NULL);
    replica_leave(r);
    return rv == 0;
}

/* The entry that the owner's state ends with must be the log's own at that index. */
static void check_skipped(struct replica *r, uint64_t index, uint64_t term)
{
    if (index == r->applied.index && r->applied.term != 0 && r->applied.term != term) {
        replica_die(r,
                    "entry %" PRIu64 " is of term %" PRIu64 " in the log, of term %" PRIu64
                    " in the stored state: they are not of one history; rebuild this node under a "
                    "new id",
                    index, term, r->applied.term);
    }
    r->counters.entries_skipped++;
}

int replica_fsm_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct replica *r = fsm->data;
    /* libraft raises last_applied after this call, for entries of every kind. */
    uint64_t index = raft_last_applied(&r->raft) + 1;
    CB_ASSERT(index > r->delivered);
    r->delivered = index;
    *result = NULL;
    uint64_t term = replica_trail_term(&r->raft, index);
    CB_ASSERT(term != 0);
    if (index <= r->applied.index) {
        check_skipped(r, index, term);
        return 0;
    }
    struct replica_entry e = {.index = index, .term = term, .live = index > r->live_above};
    if (!replica_entry_frame_read(cb_span(buf->base, buf->len), &e.bytes)) {
        replica_die(r,
                    "entry %" PRIu64 " of term %" PRIu64
                    " in the raft log has a wrong checksum: the "
                    "disk or the memory is damaged; rebuild this node under a new id",
                    index, term);
    }
    r->applied = (struct replica_mark){.index = index, .term = term};
    r->counters.entries_applied++;
    r->events.apply(r->events.data, &e);
    return 0;
}
