/* Sending the state to a member that is too far behind for the log.
 *
 * libraft sends a snapshot again whenever it has not heard from a member for one heartbeat, which
 * is what a large message causes: so there is one at a time to each member, and none again for
 * CB_RAFT_DUMP_RESEND_MS. While one is on its way no snapshot is taken, up to a bound, so that the
 * entries that follow it stay in the log. */
#include <inttypes.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"
#include "node/replica/replica_frame.h"
#include "node/replica/replica_internal.h"

/* How long the log is kept for a member that was sent the state and does not show up with it. */
#define PIN_AFTER_SEND_MS 60000

void replica_dump_begin(struct cb_buf *bytes)
{
    CB_ASSERT(cb_buf_len(bytes) == 0);
    memset(cb_buf_reserve(bytes, REPLICA_DUMP_HEADER_SIZE), 0, REPLICA_DUMP_HEADER_SIZE);
    cb_buf_commit(bytes, REPLICA_DUMP_HEADER_SIZE);
}

void replica_dump_seal(struct cb_buf *bytes, uint64_t index)
{
    CB_ASSERT(cb_buf_len(bytes) >= REPLICA_DUMP_HEADER_SIZE);
    uint8_t *header = bytes->base + bytes->start;
    replica_dump_header_write(
        header, index,
        cb_span(header + REPLICA_DUMP_HEADER_SIZE, cb_buf_len(bytes) - REPLICA_DUMP_HEADER_SIZE));
}

bool replica_dump_is_sound(struct cb_span frame)
{
    uint64_t index;
    struct cb_span bytes;
    return frame.len <= CB_RAFT_DUMP_MAX && replica_dump_read(frame, &index, &bytes);
}

static struct replica_peer *peer_of(struct replica *r, uint64_t id)
{
    struct replica_peer *spare = NULL;
    for (size_t i = 0; i < CB_CLUSTER_NODES_MAX; i++) {
        struct replica_peer *p = &r->peers[i];
        if (p->id == id) {
            return p;
        }
        /* A slot of an id that left the group may be taken. */
        if (spare == NULL && p->dump == NULL && (p->id == 0 || !replica_is_member(r, p->id))) {
            spare = p;
        }
    }
    CB_ASSERT(spare != NULL);
    *spare = (struct replica_peer){.id = id};
    return spare;
}

/* Ends the request: libraft frees its message in the callback. */
static void dump_end(struct replica_dump *d, int status)
{
    struct replica *r = d->r;
    d->peer->dump = NULL;
    cb_list_remove(&d->link);
    cb_buf_fini(&d->bytes);
    replica_enter(r);
    d->cb(d->req, status);
    replica_leave(r);
    cb_free(d);
}

static void on_dump_sent(struct raft_io_send *send, int status)
{
    struct replica_dump *d = send->data;
    /* After a broken connection it may go again at once. */
    d->peer->dump_sent_ms = status == 0 ? replica_now_ms(d->r) : 0;
    d->peer->dump_awaited = status == 0;
    dump_end(d, status);
}

void replica_send_state(struct replica *r,
                        struct raft_io_send *req,
                        const struct raft_message *message,
                        raft_io_send_cb cb)
{
    struct replica_peer *p = peer_of(r, message->server_id);
    bool recent =
        p->dump_sent_ms != 0 && replica_now_ms(r) - p->dump_sent_ms < CB_RAFT_DUMP_RESEND_MS;
    if (p->dump != NULL || recent) {
        r->counters.dumps_repeated++;
        cb(req, 0);
        return;
    }
    const struct raft_buffer *marker = &message->install_snapshot.data;
    struct replica_dump *d = cb_calloc(1, sizeof *d);
    if (!replica_marker_read(cb_span(marker->base, marker->len), &d->at_least)) {
        replica_die(r, "the raft snapshot has a wrong checksum: the disk is damaged; add this node "
                       "again under a new id with an empty directory");
    }
    d->r = r;
    d->peer = p;
    d->req = req;
    d->cb = cb;
    d->message = *message;
    d->send.data = d;
    cb_list_push_back(&r->dumps, &d->link);
    p->dump = d;
    p->dump_index = message->install_snapshot.last_index;
    r->counters.dumps_started++;
    replica_pin_log(r);
    r->events.dump_state(r->events.data, d->at_least, d);
}

static bool still_leads(const struct replica *r, const struct replica_dump *d)
{
    return r->raft.state == RAFT_LEADER && r->raft.current_term == d->message.install_snapshot.term;
}

/* False when the state is of no use any more, or too large for this way. */
static bool may_send(struct replica *r, struct replica_dump *d)
{
    uint64_t index;
    struct cb_span bytes;
    if (cb_buf_len(&d->bytes) > CB_RAFT_DUMP_MAX) {
        r->counters.dumps_too_big++;
        cb_log(CB_LOG_ERROR, "raft.state-too-big", "member=%" PRIu64 " bytes=%zu max=%" PRIu64,
               d->peer->id, cb_buf_len(&d->bytes), CB_RAFT_DUMP_MAX);
        return false;
    }
    CB_ASSERT(replica_dump_read_header(cb_buf_span(&d->bytes), &index, &bytes));
    CB_ASSERT(index >= d->at_least);
    d->message.server_address = replica_address_of(r, d->peer->id);
    return still_leads(r, d) && d->message.server_address != NULL;
}

void replica_dump_done(struct replica *r, struct replica_dump *d, struct cb_buf *bytes)
{
    if (bytes != NULL) {
        d->bytes = cb_buf_take(bytes);
    }
    if (bytes == NULL || !may_send(r, d)) {
        d->peer->dump_sent_ms = replica_now_ms(r); /* not asked for at every heartbeat */
        dump_end(d, RAFT_NOCONNECTION);
        return;
    }
    struct cb_span s = cb_buf_span(&d->bytes);
    d->message.install_snapshot.data =
        (struct raft_buffer){.base = d->bytes.base + d->bytes.start, .len = s.len};
    r->counters.dumps_sent++;
    cb_log(CB_LOG_INFO, "raft.state-sent", "member=%" PRIu64 " index=%" PRIu64 " bytes=%zu",
           d->peer->id, d->peer->dump_index, s.len);
    if (r->io.send(r->raft_io, &d->send, &d->message, on_dump_sent) != 0) {
        on_dump_sent(&d->send, RAFT_NOCONNECTION);
    }
}

static bool is_pinned_for(struct replica *r, struct replica_peer *p)
{
    if (p->dump != NULL) {
        return true;
    }
    raft_index match;
    if (p->dump_awaited &&
        (r->raft.state != RAFT_LEADER || replica_now_ms(r) - p->dump_sent_ms > PIN_AFTER_SEND_MS ||
         raft_match_index(&r->raft, p->id, &match) != 0 || match >= p->dump_index)) {
        p->dump_awaited = false;
    }
    return p->dump_awaited;
}

void replica_pin_log(struct replica *r)
{
    bool pinned = false;
    for (size_t i = 0; i < CB_CLUSTER_NODES_MAX; i++) {
        pinned |= is_pinned_for(r, &r->peers[i]);
    }
    replica_threshold_set(r, pinned);
}

void replica_dumps_drop(struct replica *r)
{
    CB_LIST_FOREACH_SAFE(l, tmp, &r->dumps)
    {
        struct replica_dump *d = CB_CONTAINER(l, struct replica_dump, link);
        cb_list_remove(l);
        cb_buf_fini(&d->bytes);
        cb_free(d);
    }
}
