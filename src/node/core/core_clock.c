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

static struct core_asked *asked_of(struct core *c, uint64_t id)
{
    for (size_t i = 0; i < CB_RAFT_CONF_MAX; i++) {
        if (c->asked[i].id == id) {
            return &c->asked[i];
        }
    }
    return NULL;
}

/* Members change while a question is on its way: there is room for that, as for a while. */
static void ask(struct core *c, uint64_t id)
{
    struct core_asked *free_slot = asked_of(c, 0);
    if (asked_of(c, id) != NULL || free_slot == NULL) {
        return;
    }
    *free_slot = (struct core_asked){.id = id, .at_ns = cb_clock_boottime_ns(c->env.clock)};
    c->env.ask_clock(c->env.data, id);
}

void core_clock_turn(struct core *c)
{
    c->clock_is_settled = proposer_clock_is_settled(c->proposer);
    if (c->clock_is_settled) {
        return;
    }
    for (uint32_t i = 0; i < c->n_others; i++) {
        ask(c, c->others[i]);
    }
    set_timer(c);
}

void core_clock_applied(struct core *c)
{
    if (c->clock_is_settled) {
        core_clock_turn(c);
    }
}

struct prop_clock_word core_clock_tell(const struct core *c)
{
    return proposer_clock_tell(c->proposer);
}

/* Of this node's log; while it leads, as it was when it began: its own entries say nothing yet. */
static uint64_t newest_term(const struct core *c)
{
    bool leads = c->view.role == REPLICA_LEADER && c->view.term == c->led_term;
    return leads ? c->led_log_term : replica_appended(c->replica).term;
}

void core_clock_answered(struct core *c, uint64_t id, const struct prop_clock_word *word)
{
    struct core_asked *a = asked_of(c, id);
    uint64_t now = cb_clock_boottime_ns(c->env.clock);
    CB_ASSERT(id != 0 && a != NULL);
    a->id = 0;
    if (word == NULL || now - a->at_ns > CORE_CLOCK_LATE_NS) {
        return; /* asked again soon */
    }
    bool was_settled = proposer_clock_is_settled(c->proposer);
    proposer_clock_heard(c->proposer, id, word, newest_term(c));
    if (!was_settled && proposer_clock_is_settled(c->proposer)) {
        cb_log(CB_LOG_INFO, "clock.settled", "member=%" PRIu64, id);
    }
}
