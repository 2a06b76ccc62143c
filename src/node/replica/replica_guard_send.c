/* What leaves: guards g6, g13 and g17, addresses by id. libraft learns nothing from a send that
 * fails (it is a lost message), so none is ever reported as an error. */
#include "node/replica/replica_internal.h"

/* g13: a refused pre-vote of an older term would let two candidates stay in pre-vote for ever. */
static void mend_vote_result(struct replica *r, struct raft_request_vote_result *v)
{
    if (v->pre_vote && !v->vote_granted && v->term < raft_current_term(&r->raft)) {
        v->term = raft_current_term(&r->raft);
        r->counters.g13_prevote_term++;
    }
}

/* g6: libraft sets last_index to that of the snapshot it loaded and leaves last_term as it was. */
static void mend_install(struct replica *r, struct raft_install_snapshot *s)
{
    CB_ASSERT(r->loaded_snapshot.index == s->last_index);
    if (s->last_term != r->loaded_snapshot.term) {
        s->last_term = r->loaded_snapshot.term;
        r->counters.g6_snapshot_term++;
    }
}

int replica_io_send(struct raft_io *io,
                    struct raft_io_send *req,
                    const struct raft_message *message,
                    raft_io_send_cb cb)
{
    struct replica *r = replica_of_io(io);
    struct raft_message m = *message;
    if (replica_alone_must_wait(r)) {
        cb(req, RAFT_NOCONNECTION);
        return 0;
    }
    /* The pointer in libraft's message may be of a configuration that is freed already. */
    m.server_address = replica_address_of(r, message->server_id);
    if (m.server_address == NULL) {
        r->counters.sends_to_unknown++;
        cb(req, RAFT_NOCONNECTION);
        return 0;
    }
    if (m.type == RAFT_INSTALL_SNAPSHOT) {
        mend_install(r, &m.install_snapshot);
        replica_send_install(r, req, &m, cb);
        return 0;
    }
    if (m.type == RAFT_REQUEST_VOTE_RESULT) {
        mend_vote_result(r, &m.request_vote_result);
    }
    if (r->io.send(io, req, &m, cb) != 0) {
        cb(req, RAFT_NOCONNECTION);
    }
    return 0;
}
