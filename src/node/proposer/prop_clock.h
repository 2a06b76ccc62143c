/* The cluster clock as one node sees it (design D2): the last stamp applied, and the time since
 * then.
 *
 * A leader's clock runs from where it stood when it became leader: its own entries do not set it,
 * or their way through the log would be lost each time. Everybody else takes it anew from each
 * entry that is applied as it is committed, so that a slow or fast oscillator never adds up. A
 * node that has only replayed does not know how long it was away: the wall clock tells, forwards
 * only. (Its peers may: prop_clock_set is where their answer would go.)
 * Threads:   one. */
#ifndef CB_NODE_PROPOSER_PROP_CLOCK_H
#define CB_NODE_PROPOSER_PROP_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct prop_clock {
    uint64_t last_ns;  /* largest stamp applied: the clock never shows less */
    uint64_t stamp_ns; /* the clock's reading... */
    uint64_t boot_ns;  /* ...at this CLOCK_BOOTTIME; while `is_live` */
    uint64_t wall_ns;  /* ...at this wall time; while not, 0: unknown */
    bool is_live;
};

/* `stamp_ns` was stored when this node's wall clock showed `wall_ns`. */
void prop_clock_init(struct prop_clock *c, uint64_t stamp_ns, uint64_t wall_ns);
/* An entry with this stamp was applied; `own`: this node leads and has proposed it. */
void prop_clock_applied(
    struct prop_clock *c, uint64_t stamp_ns, bool live, bool own, uint64_t boot_ns);
/* The clock shows `stamp_ns` at `boot_ns`: a live entry said so. */
void prop_clock_set(struct prop_clock *c, uint64_t stamp_ns, uint64_t boot_ns);
/* This node leads from now on. How far the wall clock has moved the cluster's, 0 when it was live.
 */
uint64_t prop_clock_lead(struct prop_clock *c, uint64_t boot_ns, uint64_t wall_ns);
/* As a leader. */
uint64_t prop_clock_now(const struct prop_clock *c, uint64_t boot_ns);

#endif
