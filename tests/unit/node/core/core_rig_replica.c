/* The double of the replica. Where the real one has a frame around a state there are 8 bytes here,
 * the index. */
#include "common/base/cb_bytes.h"
#include "unit/node/core/core_rig.h"

#define HEADER_SIZE 8

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

void replica_dump_begin(struct cb_buf *bytes)
{
    assert_int_equal(cb_buf_len(bytes), 0);
    cb_put_u64(bytes, 0);
}

void replica_dump_seal(struct cb_buf *bytes, uint64_t index)
{
    memcpy(bytes->base + bytes->start, &index, sizeof(index));
}

void replica_dump_done(struct replica *r, struct replica_dump *dump, struct cb_buf *bytes)
{
    r->dump_request = dump;
    if (bytes == NULL) {
        r->dumps_failed++;
        return;
    }
    r->dumps_made++;
    memcpy(&r->dump_index, bytes->base + bytes->start, sizeof(r->dump_index));
    cb_buf_fini(&r->dump);
    r->dump = cb_buf_take(bytes);
    cb_buf_consume(&r->dump, HEADER_SIZE);
}

void replica_install_done(struct replica *r, struct replica_mark applied)
{
    r->installs++;
    r->install_applied = applied;
}
