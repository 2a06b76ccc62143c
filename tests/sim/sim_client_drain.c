/* The client at the end of a run: it takes out of the queue whatever is there.
 *
 * A job may come back late, from a connection or a proxy whose end is not noticed yet; so it kicks
 * and reserves in turns until nothing has come for long. */
#include "sim/sim_client_internal.h"

#define KICK_BOUND 1000000
#define BURST 24 /* reserves on their way once there was one job */

static void kick_tube(struct sim_client *c, uint64_t now_ns)
{
    sc_send_tube(c, SC_USE, c->drain_tube, now_ns);
    sc_send_pause(c, c->drain_tube, 0, now_ns);
    sc_send_kick(c, KICK_BOUND, now_ns);
}

/* Waits for one job; when it comes there may be thousands, and they are asked for at once. */
static void reserve(struct sim_client *c, uint64_t now_ns)
{
    c->drain_stage = SC_DRAIN_RESERVE;
    c->drain_burst = false;
    c->drain_outstanding = 1;
    uint64_t quarter_s = c->quiet_ns / 4 / CB_NS_PER_S;
    sc_send_reserve_timeout(c, quarter_s > 1 ? (uint32_t)quarter_s : 1, now_ns);
}

/* The next tube that somebody named, from drain_tube on; false at the end. */
static bool find_named(struct sim_client *c)
{
    while (c->drain_tube < SC_TUBES_MAX && !c->shared->tube_named[c->drain_tube]) {
        c->drain_tube++;
    }
    return c->drain_tube < SC_TUBES_MAX;
}

void sc_drain_start(struct sim_client *c, uint64_t now_ns)
{
    c->drain_stage = SC_DRAIN_KICK;
    c->drain_tube = 0;
    kick_tube(c, now_ns);
}

static void watch_next(struct sim_client *c, uint64_t now_ns)
{
    if (find_named(c)) {
        sc_send_tube(c, SC_WATCH, c->drain_tube, now_ns);
    } else {
        c->drain_watches = true;
        reserve(c, now_ns);
    }
}

static void kicked(struct sim_client *c, uint32_t count, uint64_t now_ns)
{
    if (count > 0) {
        c->last_ns = now_ns;
        sc_send_kick(c, KICK_BOUND, now_ns); /* the buried ones first, then the delayed ones */
        return;
    }
    c->drain_tube++;
    if (find_named(c)) {
        kick_tube(c, now_ns);
    } else if (c->drain_watches) {
        reserve(c, now_ns);
    } else {
        c->drain_stage = SC_DRAIN_WATCH;
        c->drain_tube = 0;
        watch_next(c, now_ns);
    }
}

static void burst(struct sim_client *c, uint64_t now_ns)
{
    c->drain_burst = true;
    for (int i = 0; i < BURST; i++) {
        sc_send_reserve_timeout(c, 0, now_ns);
    }
    c->drain_outstanding += BURST;
}

static void reserved(struct sim_client *c, const struct hist_record *record, uint64_t now_ns)
{
    if (record->result == HIST_OK) {
        c->last_ns = now_ns;
        c->drain_outstanding++;
        sc_send_id(c, SC_DELETE, record->id, now_ns);
        if (!c->drain_burst) {
            burst(c, now_ns);
        }
    } else if (c->drain_burst) {
        return; /* there are no more now: the last answer of the burst goes on */
    } else if (now_ns - c->last_ns < c->quiet_ns) {
        sc_drain_start(c, now_ns);
    } else {
        c->drain_stage = SC_DRAIN_STATS;
        sc_send_plain(c, SC_STATS, now_ns);
    }
}

void sc_drain_answered(struct sim_client *c,
                       enum sc_kind kind,
                       const struct hist_record *record,
                       uint64_t now_ns)
{
    switch (c->drain_stage) {
    case SC_DRAIN_KICK:
        if (kind == SC_KICK) {
            kicked(c, record->count, now_ns);
        }
        break;
    case SC_DRAIN_WATCH:
        c->drain_tube++;
        watch_next(c, now_ns);
        break;
    case SC_DRAIN_RESERVE:
        c->drain_outstanding--;
        if (kind != SC_DELETE) {
            reserved(c, record, now_ns);
        }
        if (c->drain_burst && c->drain_outstanding == 0) {
            reserve(c, now_ns);
        }
        break;
    case SC_DRAIN_STATS:
        sc_leave(c, SIM_CLIENT_CLOSES, now_ns);
        break;
    }
}
