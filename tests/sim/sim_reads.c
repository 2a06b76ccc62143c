/* Reads are linearizable (design D5): the machine that answers one has applied everything that any
 * node had applied when the read was sent. */
#include <inttypes.h>

#include "common/base/cb_mem.h"
#include "sim/sim.h"

struct sim_read {
    uint64_t read;
    uint64_t index; /* the newest applied anywhere when it was sent */
};

void sim_reads_asked(struct sim *s, struct sim_reads *r, const struct wire_to_node *m)
{
    for (uint32_t i = 0; i < m->n_reads; i++) {
        if (r->n == r->cap) {
            r->cap = r->cap == 0 ? 16 : 2 * r->cap;
            r->asked = cb_realloc(r->asked, r->cap * sizeof r->asked[0]);
        }
        r->asked[r->n++] = (struct sim_read){m->reads[i].read, sim_oracle_index(s->oracle)};
    }
}

/* Takes it out. */
static struct sim_read *find(struct sim_reads *r, uint64_t read)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->asked[i].read == read) {
            struct sim_read found = r->asked[i];
            r->asked[i] = r->asked[--r->n];
            r->asked[r->n] = found;
            return &r->asked[r->n];
        }
    }
    return NULL;
}

void sim_reads_answered(const struct sim_node *n,
                        struct sim_reads *r,
                        const struct wire_to_proxy *m)
{
    for (uint32_t i = 0; i < m->n_reads; i++) {
        const struct sim_read *asked = find(r, m->reads[i].read);
        uint64_t index = core_applied(n->core)->index;
        if (asked == NULL) {
            sim_fail(n->sim, "D5", "node %" PRIu64 " answers read %" PRIu64 ", which nobody asked",
                     n->id, m->reads[i].read);
        }
        n->sim->counters.reads_compared++;
        if (!m->reads[i].again && index < asked->index) {
            sim_fail(n->sim, "D5",
                     "node %" PRIu64 " answers read %" PRIu64 " with what was at index %" PRIu64
                     ", but index %" PRIu64 " was applied before the read was sent",
                     n->id, m->reads[i].read, index, asked->index);
        }
    }
}

void sim_reads_fini(struct sim_reads *r)
{
    cb_free(r->asked);
    *r = (struct sim_reads){0};
}
