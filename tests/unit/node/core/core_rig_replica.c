/* The double of the replica. */
#include "unit/node/core/core_rig.h"

enum replica_propose_result replica_propose(struct replica *r, struct cb_span bytes)
{
    if (r->in_propose != NULL) {
        r->in_propose(r->in_propose_data);
    }
    if (r->propose_result == REPLICA_PROPOSED) {
        cb_buf_clear(&r->proposed);
        cb_buf_append(&r->proposed, bytes.ptr, bytes.len);
        r->n_proposed++;
    }
    return r->propose_result;
}

size_t replica_members(const struct replica *r, struct replica_member *out)
{
    memcpy(out, r->members, r->n_members * sizeof(out[0]));
    return r->n_members;
}

bool replica_is_member(const struct replica *r, uint64_t id)
{
    for (size_t i = 0; i < r->n_members; i++) {
        if (r->members[i].id == id) {
            return true;
        }
    }
    return false;
}

struct replica_mark replica_appended(const struct replica *r)
{
    return r->appended;
}

void replica_durable(struct replica *r, uint64_t index)
{
    r->durable = index;
}

void replica_lowered(struct replica *r)
{
    r->lowered++;
}

void replica_hold_appends(struct replica *r, bool hold)
{
    r->holds_appends = hold;
}

bool replica_hears_leader(struct replica *r)
{
    return !r->is_without_leader;
}

void replica_state_asked(struct replica *r, uint64_t id)
{
    r->state_asked_by = id;
}

void replica_install_done(struct replica *r, struct replica_mark applied)
{
    r->installs++;
    r->install_applied = applied;
}
