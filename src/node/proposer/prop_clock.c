#include "node/proposer/prop_clock.h"

#include "common/base/cb_assert.h"

void prop_clock_init(struct prop_clock *c, uint64_t stamp_ns, uint64_t wall_ns)
{
    *c = (struct prop_clock){.last_ns = stamp_ns, .stamp_ns = stamp_ns, .wall_ns = wall_ns};
}

void prop_clock_set(struct prop_clock *c, uint64_t stamp_ns, uint64_t boot_ns)
{
    c->is_live = true;
    c->stamp_ns = stamp_ns;
    c->boot_ns = boot_ns;
}

void prop_clock_applied(
    struct prop_clock *c, uint64_t stamp_ns, bool live, bool own, uint64_t boot_ns)
{
    if (stamp_ns > c->last_ns) {
        c->last_ns = stamp_ns;
    }
    if (live && !own) {
        prop_clock_set(c, c->last_ns, boot_ns);
    }
}

uint64_t prop_clock_lead(struct prop_clock *c, uint64_t boot_ns, uint64_t wall_ns)
{
    if (c->is_live) {
        return 0;
    }
    uint64_t away = c->wall_ns != 0 && wall_ns > c->wall_ns ? wall_ns - c->wall_ns : 0;
    uint64_t now = c->stamp_ns + away;
    uint64_t before = c->last_ns;
    prop_clock_set(c, now > before ? now : before, boot_ns);
    return c->stamp_ns - before;
}

uint64_t prop_clock_now(const struct prop_clock *c, uint64_t boot_ns)
{
    CB_ASSERT(c->is_live);
    uint64_t now = c->stamp_ns + (boot_ns > c->boot_ns ? boot_ns - c->boot_ns : 0);
    return now > c->last_ns ? now : c->last_ns;
}
