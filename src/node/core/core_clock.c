/* Asks the other members for their clocks (design D2; the rule stands in prop_clock.h): from the
 * start on, as long as none that knows has answered. */
#include <inttypes.h>

#include "common/sys/cb_log.h"
#include "node/core/core_internal.h"

static void set_timer(struct core *c)
{
    uint64_t now = cb_clock_monotonic_ns(c->env.clock);
    c->env.set_timer(c->env.data, CORE_TIMER_CLOCK, now + CORE_ASK_CLOCK_NS);
}

void core_clock_turn(struct core *c)
{
    if (proposer_clock_is_settled(c->proposer)) {
        return;
    }
    for (uint32_t i = 0; i < c->config.n_others; i++) {
        struct core_asked *a = &c->asked[i];
        if (!a->is_asked) {
            a->is_asked = true;
            a->at_ns = cb_clock_boottime_ns(c->env.clock);
            c->env.ask_clock(c->env.data, c->config.others[i]);
        }
    }
    set_timer(c);
}

struct prop_clock_word core_clock_tell(const struct core *c)
{
    return proposer_clock_tell(c->proposer);
}

static uint32_t place_of(const struct core *c, uint64_t id)
{
    for (uint32_t i = 0; i < c->config.n_others; i++) {
        if (c->config.others[i] == id) {
            return i;
        }
    }
    CB_UNREACHABLE("member that was asked");
}

void core_clock_answered(struct core *c, uint64_t id, const struct prop_clock_word *word)
{
    uint32_t who = place_of(c, id);
    struct core_asked *a = &c->asked[who];
    uint64_t now = cb_clock_boottime_ns(c->env.clock);
    CB_ASSERT(a->is_asked);
    a->is_asked = false;
    if (word == NULL || now - a->at_ns > CORE_CLOCK_LATE_NS) {
        return; /* asked again soon */
    }
    bool was_settled = proposer_clock_is_settled(c->proposer);
    proposer_clock_heard(c->proposer, who, word, replica_appended(c->replica).term);
    if (!was_settled && proposer_clock_is_settled(c->proposer)) {
        cb_log(CB_LOG_INFO, "clock.settled", "member=%" PRIu64, id);
    }
}
