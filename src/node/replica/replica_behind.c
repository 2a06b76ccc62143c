/* Members that are too far behind for the log: each is told to fetch the state (design D7), and the
 * log is kept for it meanwhile.
 *
 * libraft sends a snapshot again whenever it has not heard from a member for one heartbeat, which
 * is what the message itself causes: so there is one at a time to each member, and none again for
 * CB_RAFT_INSTALL_RESEND_MS. While a member fetches the state no snapshot is taken here, up to a
 * bound, so that the entries that follow it stay in the log. When that was not enough, and it has
 * to fetch the state again, proposals are slowed the second time: else, beside enough load, it
 * would never be there. */
#include <inttypes.h>

#include "common/base/cb_mem.h"
#include "node/replica/replica_frame.h"
#include "node/replica/replica_internal.h"

/* An InstallSnapshot on its way. */
struct tell {
    struct cb_list link; /* in r->tells */
    struct replica *r;
    uint64_t to;
    struct raft_io_send *req; /* libraft's */
    raft_io_send_cb cb;
    struct raft_io_send send; /* ours */
};

struct replica_peer *replica_peer_of(struct replica *r, uint64_t id)
{
    struct replica_peer *spare = NULL;
    for (size_t i = 0; i < CB_CLUSTER_NODES_MAX; i++) {
        struct replica_peer *p = &r->peers[i];
        if (p->id == id) {
            return p;
        }
        /* A slot of an id that left the group may be taken. */
        if (spare == NULL && (p->id == 0 || !replica_is_member(r, p->id))) {
            spare = p;
        }
    }
    CB_ASSERT(spare != NULL);
    *spare = (struct replica_peer){.id = id};
    return spare;
}

static void on_told(struct raft_io_send *send, int status)
{
    struct tell *t = send->data;
    struct replica *r = t->r;
    if (status != 0 && replica_is_member(r, t->to)) {
        replica_peer_of(r, t->to)->told_ms =
            0; /* after a broken connection it may go again at once */
    }
    cb_list_remove(&t->link);
    replica_enter(r);
    t->cb(t->req, status);
    replica_leave(r);
    cb_free(t);
}

static void tell(struct replica *r,
                 struct raft_io_send *req,
                 const struct raft_message *message,
                 raft_io_send_cb cb)
{
    struct tell *t = cb_calloc(1, sizeof *t);
    *t = (struct tell){.r = r, .to = message->server_id, .req = req, .cb = cb};
    t->send.data = t;
    cb_list_push_back(&r->tells, &t->link);
    if (r->io.send(r->raft_io, &t->send, message, on_told) != 0) {
        on_told(&t->send, RAFT_NOCONNECTION);
    }
}

void replica_send_install(struct replica *r,
                          struct raft_io_send *req,
                          const struct raft_message *message,
                          raft_io_send_cb cb)
{
    const struct raft_buffer *marker = &message->install_snapshot.data;
    struct replica_peer *p = replica_peer_of(r, message->server_id);
    uint64_t now = replica_now_ms(r);
    uint64_t index;
    if (p->told_ms != 0 && now - p->told_ms < CB_RAFT_INSTALL_RESEND_MS) {
        r->counters.installs_repeated++;
        cb(req, 0);
        return;
    }
    if (!replica_marker_read(cb_span(marker->base, marker->len), &index)) {
        replica_die(r, "the raft snapshot has a wrong checksum: the disk is damaged; add this node "
                       "again under a new id with an empty directory");
    }
    p->told_ms = p->wanted_ms = now;
    p->is_slow |= p->told_index != 0 && p->had >= p->told_index;
    p->told_index = message->install_snapshot.last_index;
    p->had = 0;
    p->is_behind = true;
    r->counters.installs_sent++;
    replica_pin_log(r);
    tell(r, req, message, cb);
}

void replica_state_asked(struct replica *r, uint64_t id)
{
    if (replica_is_member(r, id)) {
        replica_peer_of(r, id)->wanted_ms = replica_now_ms(r);
    }
}

/* It has the state, and what a snapshot taken now would leave of the log is enough for it. */
static bool has_caught_up(const struct replica *r, const struct replica_peer *p)
{
    return p->had >= p->told_index && r->next_index - 1 - p->had < CB_RAFT_SNAPSHOT_TRAILING_MIN;
}

/* This node leads, and the member takes what it is sent, and not all of it yet. */
static bool is_still_behind(struct replica *r, struct replica_peer *p)
{
    raft_index match;
    if (r->raft.state != RAFT_LEADER || raft_match_index(&r->raft, p->id, &match) != 0) {
        return false;
    }
    if (match > p->had) {
        p->had = match;
        p->wanted_ms = replica_now_ms(r);
    }
    return replica_now_ms(r) - p->wanted_ms <= CB_RAFT_PIN_MS && !has_caught_up(r, p);
}

static bool is_pinned_for(struct replica *r, struct replica_peer *p)
{
    if (!p->is_behind) {
        return false;
    }
    p->is_behind = is_still_behind(r, p);
    if (!p->is_behind) {
        p->is_slow = false;
        p->told_index = 0;
    }
    return p->is_behind;
}

void replica_pin_log(struct replica *r)
{
    bool pinned = false;
    r->is_slow = false;
    for (size_t i = 0; i < CB_CLUSTER_NODES_MAX; i++) {
        pinned |= is_pinned_for(r, &r->peers[i]);
        r->is_slow |= r->peers[i].is_slow;
    }
    replica_threshold_set(r, pinned);
}

bool replica_has_pin_room(struct replica *r)
{
    return !r->is_slow || r->pin_room == 0 || replica_now_ms(r) >= r->propose_at_ms;
}

/* So slowly that what is left would last for CB_RAFT_SLOW_MS, at any moment: it never ends. */
void replica_pin_room_taken(struct replica *r, size_t len)
{
    if (!r->is_slow || r->pin_room == 0) {
        return;
    }
    uint64_t wait_ms = CB_RAFT_SLOW_MS * len / r->pin_room;
    r->propose_at_ms =
        replica_now_ms(r) + (wait_ms < CB_RAFT_SLOWEST_MS ? wait_ms : CB_RAFT_SLOWEST_MS);
    r->pin_room = r->pin_room > len ? r->pin_room - len : 1;
    r->counters.proposals_slowed += wait_ms > 0;
}

void replica_tells_drop(struct replica *r)
{
    CB_LIST_FOREACH_SAFE(l, tmp, &r->tells)
    {
        cb_list_remove(l);
        cb_free(CB_CONTAINER(l, struct tell, link));
    }
}
