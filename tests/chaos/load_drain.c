/* The end of a run: kicks every tube, takes out and deletes what is there, until the stats say that
 * nothing is left. Jobs that nobody can have yet (delays, leases of sessions that are gone) are
 * waited for. */
#include "chaos/load.h"
#include "common/base/cb_assert.h"

#define KICK_BOUND 1000000
#define AGAIN_NS (100 * LOAD_MS)

static void begin(struct load_conn *c)
{
    c->drain_at = 0;
    c->wake_ns = c->load->now_ns;
}

/* One tube after the other, then the reserves. */
static void next_tube(struct load_conn *c)
{
    c->wake_ns = LOAD_NEVER;
    if (c->drain_at == LOAD_TUBES) {
        load_send_reserve(c, 0);
        return;
    }
    c->tube = c->load->tubes[c->drain_at++];
    load_send_tube(c, HIST_USE, c->tube);
    load_send_used(c, HIST_KICK, KICK_BOUND);
    load_send_used(c, HIST_KICK, KICK_BOUND); /* the delayed ones, behind the buried ones */
}

void load_drain_turn(struct load_conn *c)
{
    if (!c->is_greeted) {
        c->is_greeted = true;
        for (unsigned i = 0; i < LOAD_TUBES; i++) {
            load_send_tube(c, HIST_WATCH, c->load->tubes[i]);
        }
        begin(c);
    }
    if (c->count <= LOAD_TUBES) {
        next_tube(c);
    }
}

static void counted(struct load_conn *c, const struct hist_record *r)
{
    if (r->result == HIST_OK && r->has_jobs && r->jobs == 0) {
        c->load->is_empty = true;
        load_conn_leave(c);
        c->is_over = true;
        return;
    }
    begin(c);
    c->wake_ns = c->load->now_ns + AGAIN_NS;
}

void load_drain_answered(struct load_conn *c, const struct hist_record *r)
{
    if (r->op == HIST_RESERVE && r->result == HIST_OK) {
        load_send_job(c, HIST_DELETE, r->id);
        load_send_reserve(c, 0);
    } else if (r->op == HIST_RESERVE) {
        load_send_stats(c);
    } else if (r->op == HIST_STATS) {
        counted(c, r);
    } else if (r->op == HIST_KICK && c->count == 0) {
        c->wake_ns = c->load->now_ns;
    }
}
