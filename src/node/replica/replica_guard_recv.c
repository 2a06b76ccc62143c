/* What arrives: each message is checked and mended before libraft sees it. The guards are named by
 * their counters; each has a test that shows what it does (tests/unit/node/replica).
 *
 * ci is the commit index here. To drop a message is to free what it owns. */
#include <inttypes.h>

#include "common/sys/cb_log.h"
#include "node/replica/replica_frame.h"
#include "node/replica/replica_internal.h"

static void free_entries(struct raft_append_entries *a)
{
    if (a->n_entries > 0) {
        raft_free(a->entries[0].batch); /* one for all entries of a message */
        raft_free(a->entries);
    }
    a->entries = NULL;
    a->n_entries = 0;
}

static bool drop_append(struct raft_append_entries *a, uint64_t *counter)
{
    (*counter)++;
    free_entries(a);
    return false;
}

static bool drop_install(struct raft_install_snapshot *s, uint64_t *counter)
{
    (*counter)++;
    raft_configuration_close(&s->conf);
    raft_free(s->data.base);
    return false;
}

static bool is_busy_with_snapshot(const struct replica *r)
{
    const struct raft *raft = &r->raft;
    return raft->legacy.snapshot_taking || raft->legacy.snapshot_install ||
           raft->snapshot.installing;
}

/* Only one leader can exist in a term, and a committed entry never changes. libraft asserts both,
 * and Debian builds it without assertions: it would go on with memory that it has misread. */
static void check_history(struct replica *r, const struct raft_message *m)
{
    const struct raft_append_entries *a = &m->append_entries;
    const struct raft *raft = &r->raft;
    if (a->term < raft->current_term || raft->snapshot.installing) {
        return;
    }
    if (a->term == raft->current_term && raft->state == RAFT_LEADER) {
        replica_die(r,
                    "member %llu leads in term %llu, as this node does: the cluster is split; stop "
                    "all nodes and compare their logs",
                    m->server_id, a->term);
    }
    for (unsigned i = 0; i <= a->n_entries; i++) {
        uint64_t index = a->prev_log_index + i;
        uint64_t theirs = i == 0 ? a->prev_log_term : a->entries[i - 1].term;
        if (index == 0) {
            continue;
        }
        if (index > raft->commit_index) {
            return;
        }
        uint64_t ours = replica_trail_term(raft, index);
        if (ours != 0 && ours != theirs) {
            replica_die(r,
                        "leader %llu has another entry %" PRIu64 " (term %" PRIu64
                        ") than the committed one here (term %" PRIu64 "): a node came back with "
                        "an old disk; stop all nodes and compare their logs",
                        m->server_id, index, theirs, ours);
        }
    }
}

/* g1: libraft records the wrong index for a change that is not the first new entry. The leader
 * sends the rest again. The loose entries live in the batch and go with it. */
static void cut_before_change(struct replica *r, struct raft_append_entries *a)
{
    for (unsigned k = 1; k < a->n_entries; k++) {
        if (a->entries[k].type == RAFT_CHANGE) {
            a->n_entries = k;
            r->counters.g1_cut_at_change++;
            return;
        }
    }
}

/* g14: the leader fell back to the beginning, which is compacted here: libraft skips the check of
 * the previous entry and would append the first entries at the end. Answer with where the log
 * begins. */
static void mend_from_zero(struct replica *r, struct raft_append_entries *a)
{
    const struct raft *raft = &r->raft;
    if (a->prev_log_index != 0 || a->n_entries == 0 || raft->trail.offset == 0 ||
        raft->snapshot.installing) {
        return;
    }
    free_entries(a);
    a->prev_log_index = raft->trail.snapshot.index;
    a->prev_log_term = raft->trail.snapshot.term;
    r->counters.g14_from_zero++;
}

static void clamp_commit(struct replica *r, struct raft_append_entries *a)
{
    uint64_t ci = raft_commit_index(&r->raft);
    if (a->leader_commit <= ci) {
        return;
    }
    if (a->prev_log_index + a->n_entries < ci) { /* g3: it would be lowered to that */
        a->leader_commit = ci;
        r->counters.g3_commit_would_go_back++;
    } else if (r->raft.snapshot.installing) { /* g10 */
        a->leader_commit = ci;
        r->counters.g10_commit_while_installing++;
    }
}

static bool guard_append(struct replica *r, struct raft_message *m)
{
    struct raft_append_entries *a = &m->append_entries;
    /* g9: libraft would answer with a last index that it never set. */
    if (a->prev_log_index == 0 && a->term < raft_current_term(&r->raft)) {
        return drop_append(a, &r->counters.g9_stale_leader);
    }
    check_history(r, m);
    cut_before_change(r, a);
    mend_from_zero(r, a);
    clamp_commit(r, a);
    return true;
}

static bool guard_install(struct replica *r, struct raft_install_snapshot *s)
{
    if (s->term < raft_current_term(&r->raft)) {
        return drop_install(s, &r->counters.g9_stale_leader);
    }
    /* g2: libraft dereferences NULL, or applies entries that were never committed. */
    if (is_busy_with_snapshot(r)) {
        return drop_install(s, &r->counters.g2_install_while_busy);
    }
    uint64_t index;
    if (!replica_marker_read(cb_span(s->data.base, s->data.len), &index)) {
        cb_log(CB_LOG_ERROR, "raft.marker-damaged", "index=%llu bytes=%zu", s->last_index,
               s->data.len);
        return drop_install(s, &r->counters.markers_bad);
    }
    return true;
}

/* g4: such a rejection is old, or its member has lost what it had confirmed; libraft would set
 * next_index at or below match_index. */
static bool guard_append_result(struct replica *r, const struct raft_message *m)
{
    const struct raft_append_entries_result *a = &m->append_entries_result;
    raft_index match;
    if (r->raft.state == RAFT_LEADER && a->term == r->raft.current_term && a->rejected > 0 &&
        raft_match_index(&r->raft, m->server_id, &match) == 0 && a->rejected <= match) {
        r->counters.g4_rejected_below_match++;
        return false;
    }
    return true;
}

/* g11: libraft reads a field of the candidate's state in whatever state it is. */
static bool guard_vote_result(struct replica *r)
{
    if (r->raft.state != RAFT_CANDIDATE) {
        r->counters.g11_vote_not_candidate++;
        return false;
    }
    return true;
}

static bool drop_unknown(struct replica *r, struct raft_message *m)
{
    uint64_t *counter = &r->counters.g0_unknown_sender;
    if (m->type == RAFT_APPEND_ENTRIES) {
        return drop_append(&m->append_entries, counter);
    }
    if (m->type == RAFT_INSTALL_SNAPSHOT) {
        return drop_install(&m->install_snapshot, counter);
    }
    (*counter)++;
    return false;
}

/* False: it is none of those that may speak, or answers what it was not asked. One that is known by
 * the word of others may lead (Raft thesis, section 4.1). */
static bool note_sender(struct replica *r, const struct raft_message *m)
{
    if (replica_is_member(r, m->server_id)) {
        replica_peer_of(r, m->server_id)->heard_ms = replica_now_ms(r);
        return true;
    }
    bool is_answer = m->type == RAFT_APPEND_ENTRIES_RESULT || m->type == RAFT_REQUEST_VOTE_RESULT;
    bool is_heard = !is_answer && replica_accepts(r, m->server_id, m->server_address);
    r->counters.heard_by_word += is_heard;
    return is_heard;
}

bool replica_guard_recv(struct replica *r, struct raft_message *m)
{
    if (m->server_id == r->raft.id || !note_sender(r, m)) {
        return drop_unknown(r, m);
    }
    switch (m->type) {
    case RAFT_APPEND_ENTRIES:
        replica_gone_heard_leader(r, m->append_entries.term);
        return guard_append(r, m);
    case RAFT_INSTALL_SNAPSHOT:
        replica_gone_heard_leader(r, m->install_snapshot.term);
        return guard_install(r, &m->install_snapshot);
    case RAFT_APPEND_ENTRIES_RESULT:
        return guard_append_result(r, m);
    case RAFT_REQUEST_VOTE_RESULT:
        return guard_vote_result(r);
    case RAFT_REQUEST_VOTE:
        replica_gone_vote_asked(r);
        return true;
    case RAFT_TIMEOUT_NOW:
        return true;
    }
    return drop_unknown(r, m);
}
