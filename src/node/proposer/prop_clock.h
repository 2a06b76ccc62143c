/* The cluster clock as one node sees it (design D2): the last stamp applied, and the time since
 * then.
 *
 * A leader's clock runs from where it stood when it became leader: its own entries do not set it,
 * or their way through the log would be lost each time. Everybody else takes it anew from each
 * entry that is applied as it is committed, so that a slow or fast oscillator never adds up.
 *
 * Where a leader had to guess, time may have been lost, and lost time is never made up for: what
 * was reserved meanwhile would run out early. So it says in the log that the clock begins anew
 * (JSM_ITEM_CLOCK), and what follows from an earlier entry counts no more, neither of others nor of
 * this node. A leader knows that only when it has applied all that came before it: so its first
 * entry bears no new stamp, and its clock is settled when that one is applied.
 *
 * A node that has only replayed does not know how long it was away. It asks the other members, from
 * its start on and in the background, until one that knows has told it: so at an election the
 * answer is at hand, and a failover does not wait for it. The rule:
 *
 *   1. A member's clock counts when it follows from an entry of the newest term in this node's own
 *      log, or a later one. In one term there is one leader and one clock; a leader that has begun
 *      since may have lost time without knowing it. Of two clocks of one term the later one is
 *      nearer to the truth: each error makes a clock late, never early: the way of the entry, and
 *      that of the answer, by less than its round trip. (Oscillators aside: one that is fast is
 *      early by what it gains from entry to entry.) Entries up to the one it follows from set it no
 *      more: they are old, this node is catching up.
 *   2. When this node leads and knows no clock, it proposes nothing after its first entry until
 *      every other member has answered, PROP_CLOCK_WAIT_NS at most: so long only after a majority
 *      was down, and some of it still is.
 *   3. When none of those that answer knows, and they are a majority with this node, their wall
 *      clocks count: each says what its own makes of the time since its last stored stamp, never
 *      less than nothing, and the lower median holds; one whose stamp is of before the clock began
 *      anew has no idea. So no wall clock alone moves anything: a step ahead needs two of them, and
 *      a single node has nobody else to ask. (A member that knows by an older leader is one voice
 *      among these. One that is silent is taken for one that is down: after a power failure the
 *      last one may come back much later, or never. If it is cut off instead, and knows, two wall
 *      clocks that were put forward lead away from it.)
 *   4. Else the clock stands at the last stamp: late by as long as the cluster was away, so that
 *      nothing is early.
 *   5. From then on its clock is the cluster's: no answer moves it any more. Where 3 or 4 gave it
 *      the next entry says so; if that one is never applied, the guess is forgotten with the
 *      leadership.
 *
 * What a member says is believed up to CB_CLUSTER_CLOCK_MAX: one whose clock is wrong would stamp
 * entries with it when it leads. Where it is over a minute away from this node's wall clock, a line
 * in the log says so.
 * Threads:   one. */
#ifndef CB_NODE_PROPOSER_PROP_CLOCK_H
#define CB_NODE_PROPOSER_PROP_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cb_limits.h"

/* For the members that have not answered a leader without a clock: two attempts of gRPC to reach
 * one that has just started. */
#define PROP_CLOCK_WAIT_NS CB_NS_PER_S
/* An answer that is older says nothing of its member any more: it may have learned meanwhile. */
#define PROP_CLOCK_FRESH_NS (2 * CB_NS_PER_S)
/* What a wall clock has moved, or is away, by more than this is told to the operator. */
#define PROP_CLOCK_LOG_NS (60 * CB_NS_PER_S)

/* What a node says of its clock to another. */
struct prop_clock_word {
    bool knows;
    uint64_t now_ns; /* its clock; unless it knows, what its wall clock makes of it, 0: it has no
                        idea */
    uint64_t index;  /* of the entry that its clock follows from, or whose stamp its wall clock goes
                        on from */
    uint64_t term;   /* while it knows: of that entry */
};

/* An entry that was applied. */
struct prop_clock_entry {
    uint64_t stamp_ns;
    uint64_t index;
    uint64_t term;
    uint64_t begun; /* the clock began anew with the entry of this index, this one or an earlier; 0:
                       it never has */
};

enum prop_clock_how {
    PROP_CLOCK_REPLAYED, /* it lay in the log when the process started, or came within a state */
    PROP_CLOCK_LIVE,     /* as it was committed */
    PROP_CLOCK_LEADING,  /* the same, of an earlier leader, while this node leads; and its first
                            entry, until the clock is settled */
    PROP_CLOCK_OWN,      /* of this node as the present leader */
};

struct prop_clock_other {
    uint64_t id;
    bool has_answered;
    uint64_t index;   /* as it said */
    uint64_t now_ns;  /* the same, 0: it has no idea; ... */
    uint64_t boot_ns; /* ...came at this CLOCK_BOOTTIME */
};

struct prop_clock {
    uint64_t last_ns; /* largest stamp applied: the clock never shows less */
    uint64_t begun;   /* as of the last entry applied */
    bool is_known;    /* the next four hold */
    bool is_guess;    /* by rule 3 or 4, and the entry that says so is not applied */
    uint64_t now_ns;  /* the clock's reading... */
    uint64_t boot_ns; /* ...at this CLOCK_BOOTTIME */
    uint64_t index;   /* it follows from this entry */
    uint64_t term;
    bool is_settled;         /* a member that knows has answered, or this node has led */
    uint64_t stored_index;   /* of the entry whose... */
    uint64_t stored_ns;      /* ...stamp was stored... */
    uint64_t stored_wall_ns; /* ...when the wall clock showed this; 0: unknown */
    uint32_t n_others;
    struct prop_clock_other others[CB_CLUSTER_NODES_MAX];
};

/* `last`, whose term does not matter, was stored when this node's wall clock showed `wall_ns`.
 * There is no other member. */
void prop_clock_init(struct prop_clock *c, const struct prop_clock_entry *last, uint64_t wall_ns);
/* These are the other members; what those that stay have answered stays. */
void prop_clock_members(struct prop_clock *c, const uint64_t *ids, uint32_t count);
void prop_clock_applied(struct prop_clock *c,
                        const struct prop_clock_entry *e,
                        enum prop_clock_how how,
                        uint64_t boot_ns);

/* Nobody needs to be asked. */
bool prop_clock_is_settled(const struct prop_clock *c);

/* What this node says when it is asked. */
struct prop_clock_word
prop_clock_tell(const struct prop_clock *c, uint64_t boot_ns, uint64_t wall_ns);
/* Member `id` has said this; of one that is none it is ignored. The newest entry of this node's log
 * is of `log_term`. True: the clock was not known, and is. */
bool prop_clock_heard(struct prop_clock *c,
                      uint64_t id,
                      const struct prop_clock_word *word,
                      uint64_t log_term,
                      uint64_t boot_ns);

enum prop_clock_lead {
    PROP_CLOCK_WAITS,     /* for answers */
    PROP_CLOCK_RUNS,      /* it was known */
    PROP_CLOCK_FROM_WALL, /* rule 3: it has moved by `*moved_ns` */
    PROP_CLOCK_STANDS,    /* rule 4 */
};

/* This node leads and has applied its first entry; `may_wait`: PROP_CLOCK_WAIT_NS have not passed
 * since it leads. Unless it waits the clock is known after that: when it runs, prop_clock_applied
 * is told of that entry as its own; otherwise the next one has a JSM_ITEM_CLOCK. */
enum prop_clock_lead prop_clock_lead(
    struct prop_clock *c, bool may_wait, uint64_t boot_ns, uint64_t wall_ns, uint64_t *moved_ns);
/* It leads no more. */
void prop_clock_yield(struct prop_clock *c);
/* While it is known. */
uint64_t prop_clock_now(const struct prop_clock *c, uint64_t boot_ns);
/* What the wall clock alone makes of it; 0: nothing. */
uint64_t prop_clock_by_wall(const struct prop_clock *c, uint64_t wall_ns);

#endif
