/* The room on the members' disks (design D9). While too few voters have --reserve-space free, the
 * log is told so and puts are refused, so that what makes room, deletes above all, still has some
 * to work with.
 *
 * The leader asks all of them, itself included, once a second. Entries need a majority, so that is
 * what must have room: one who does not answer for a while has none to offer, whatever lies on its
 * disk; but silence alone refuses nothing, a disk must have said that it is low. As long as those
 * of whom nothing is known could decide it either way, as at the start of a term, what the log says
 * stays. A disk that was low has to gain a quarter of the reserve more, so that answers do not
 * change with every file that comes and goes. */
#include <inttypes.h>

#include "common/sys/cb_log.h"
#include "node/core/core_internal.h"

static uint64_t now_of(const struct core *c)
{
    return cb_clock_monotonic_ns(c->env.clock);
}

static struct core_disk *disk_of(struct core *c, uint64_t id)
{
    for (size_t i = 0; i < CB_RAFT_CONF_MAX; i++) {
        if (c->space.disks[i].id == id) {
            return &c->space.disks[i];
        }
    }
    return NULL;
}

/* A question that is on its way keeps its slot, so that its answer finds one. */
static void forget(struct core *c)
{
    uint64_t now = now_of(c);
    for (size_t i = 0; i < CB_RAFT_CONF_MAX; i++) {
        struct core_disk *d = &c->space.disks[i];
        d->id = d->is_asked ? d->id : 0;
        d->is_known = false;
        d->heard_ns = now;
    }
}

static struct core_disk *disk_get_or_make(struct core *c, uint64_t id)
{
    struct core_disk *d = disk_of(c, id);
    if (d == NULL) {
        d = disk_of(c, 0);
        if (d == NULL) {
            return NULL; /* there will be one when those who have left have answered */
        }
        *d = (struct core_disk){.id = id, .heard_ns = now_of(c)};
    }
    return d;
}

/* Members come and go. */
static void drop_others(struct core *c, const struct replica_member *members, size_t n)
{
    for (size_t i = 0; i < CB_RAFT_CONF_MAX; i++) {
        struct core_disk *d = &c->space.disks[i];
        bool is_voter = d->is_asked;
        for (size_t k = 0; k < n && !is_voter; k++) {
            is_voter = members[k].id == d->id && members[k].role == REPLICA_VOTER;
        }
        d->id = is_voter ? d->id : 0;
    }
}

static void log_disk(uint64_t id, bool is_low, uint64_t free_bytes)
{
    cb_log(is_low ? CB_LOG_WARN : CB_LOG_INFO, is_low ? "space.low" : "space.room",
           "member=%" PRIu64 " free_mib=%" PRIu64, id, free_bytes / CB_MIB);
}

static void learn(struct core *c, struct core_disk *d, uint64_t free_bytes)
{
    uint64_t reserve = c->config.reserve_space;
    bool was_low = d->is_known ? d->is_low : jsm_is_short_of_space(c->machine);
    bool is_low = free_bytes < (was_low ? reserve + reserve / 4 : reserve);
    if (is_low != (d->is_known && d->is_low)) {
        log_disk(d->id, is_low, free_bytes);
    }
    d->is_known = true;
    d->is_low = is_low;
    d->heard_ns = now_of(c);
}

static void ask(struct core *c, uint64_t id)
{
    struct core_disk *d = disk_get_or_make(c, id);
    if (d == NULL || d->is_asked) {
        return;
    }
    if (id == c->config.self) {
        learn(c, d, c->env.free_space(c->env.data));
        return;
    }
    d->is_asked = true;
    c->env.ask_space(c->env.data, id);
}

/* Voters by what is known of their disks; of those that are in none nothing was heard for long. */
struct rooms {
    size_t room, low, unknown;
};

static void count(struct core *c, uint64_t id, struct rooms *n)
{
    const struct core_disk *d = disk_of(c, id);
    if (d == NULL) {
        n->unknown++;
    } else if (now_of(c) - d->heard_ns < CORE_SPACE_SILENT_NS) {
        n->unknown += !d->is_known;
        n->room += d->is_known && !d->is_low;
        n->low += d->is_known && d->is_low;
    }
}

static void decide(struct core *c, const struct replica_member *members, size_t n)
{
    size_t voters = 0;
    struct rooms found = {0};
    for (size_t i = 0; i < n; i++) {
        if (members[i].role == REPLICA_VOTER) {
            voters++;
            count(c, members[i].id, &found);
        }
    }
    size_t majority = voters / 2 + 1;
    if (c->config.reserve_space == 0 || found.room >= majority) {
        proposer_short_of_space(c->proposer, false);
    } else if (found.low > 0 && found.room + found.unknown < majority) {
        proposer_short_of_space(c->proposer, true);
    }
}

static void look(struct core *c)
{
    struct replica_member members[CB_CLUSTER_NODES_MAX];
    size_t n = replica_members(c->replica, members);
    if (c->space.term != c->view.term) {
        c->space.term = c->view.term;
        forget(c);
    }
    drop_others(c, members, n);
    for (size_t i = 0; i < n && c->config.reserve_space != 0; i++) {
        if (members[i].role == REPLICA_VOTER) {
            ask(c, members[i].id);
        }
    }
    decide(c, members, n);
}

void core_space_turn(struct core *c)
{
    if (c->view.role == REPLICA_LEADER && !c->is_stopped) {
        look(c);
    }
    c->env.set_timer(c->env.data, CORE_TIMER_SPACE, now_of(c) + CORE_SPACE_NS);
}

void core_space_answered(struct core *c, uint64_t id, const uint64_t *free_bytes)
{
    struct core_disk *d = disk_of(c, id);
    CB_ASSERT(id != 0 && d != NULL && d->is_asked);
    d->is_asked = false;
    if (free_bytes != NULL && c->view.role == REPLICA_LEADER && c->space.term == c->view.term) {
        learn(c, d, *free_bytes);
    }
}
