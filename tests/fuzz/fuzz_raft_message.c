/* Any bytes as a message of libraft: they decode or they do not, and what decodes has one form, so
 * that it encodes to the same bytes. */
#include "common/base/cb_limits.h"
#include "node/replica/replica_wire.h"

static void append_bodies(const struct raft_message *m, struct cb_buf *out)
{
    if (m->type == RAFT_APPEND_ENTRIES) {
        for (unsigned i = 0; i < m->append_entries.n_entries; i++) {
            const struct raft_entry *e = &m->append_entries.entries[i];
            CB_ASSERT(e->batch == m->append_entries.entries[0].batch && e->buf.len % 8 == 0);
            cb_buf_append(out, e->buf.base, e->buf.len);
        }
    } else if (m->type == RAFT_INSTALL_SNAPSHOT) {
        cb_buf_append(out, m->install_snapshot.data.base, m->install_snapshot.data.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cb_span in = cb_span(data, size);
    struct cb_buf again = CB_BUF_NULL;
    struct raft_message m;
    if (replica_wire_decode(in, &m)) {
        replica_wire_head(&m, &again);
        append_bodies(&m, &again);
        CB_ASSERT(cb_span_eq(cb_buf_span(&again), in));
        replica_wire_free(&m);
    }
    cb_buf_fini(&again);
    return 0;
}
