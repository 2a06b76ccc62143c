#include "node/proposer/prop_clock.h"

#include <string.h>

#include "common/base/cb_assert.h"

void prop_clock_init(struct prop_clock *c, const struct prop_clock_entry *last, uint64_t wall_ns)
{
    *c = (struct prop_clock){
        .last_ns = last->stamp_ns,
        .begun = last->begun,
        .stored_index = last->index,
        .stored_ns = last->stamp_ns,
        .stored_wall_ns = wall_ns,
    };
}

static struct prop_clock_other *other_of(struct prop_clock *c, uint64_t id)
{
    for (uint32_t i = 0; i < c->n_others; i++) {
        if (c->others[i].id == id) {
            return &c->others[i];
        }
    }
    return NULL;
}

void prop_clock_members(struct prop_clock *c, const uint64_t *ids, uint32_t count)
{
    CB_ASSERT(count < CB_CLUSTER_NODES_MAX);
    struct prop_clock_other others[CB_CLUSTER_NODES_MAX] = {{0}};
    for (uint32_t i = 0; i < count; i++) {
        const struct prop_clock_other *known = other_of(c, ids[i]);
        others[i] = known != NULL ? *known : (struct prop_clock_other){.id = ids[i]};
    }
    memcpy(c->others, others, sizeof others);
    c->n_others = count;
}

bool prop_clock_is_settled(const struct prop_clock *c)
{
    return c->is_settled || c->n_others == 0;
}

static uint64_t since(uint64_t then, uint64_t now)
{
    return now > then ? now - then : 0;
}

static void set(struct prop_clock *c, uint64_t now_ns, uint64_t boot_ns)
{
    c->is_known = true;
    c->now_ns = now_ns > c->last_ns ? now_ns : c->last_ns;
    c->boot_ns = boot_ns;
}

static uint64_t reading(const struct prop_clock *c, uint64_t boot_ns)
{
    return c->now_ns + since(c->boot_ns, boot_ns);
}

uint64_t prop_clock_now(const struct prop_clock *c, uint64_t boot_ns)
{
    CB_ASSERT(c->is_known);
    uint64_t now = reading(c, boot_ns);
    return now > c->last_ns ? now : c->last_ns;
}

uint64_t prop_clock_by_wall(const struct prop_clock *c, uint64_t wall_ns)
{
    if (c->stored_wall_ns == 0 || c->stored_index < c->begun) {
        return 0;
    }
    uint64_t now = c->stored_ns + since(c->stored_wall_ns, wall_ns);
    return now > c->last_ns ? now : c->last_ns;
}

/* ---- entries ---- */

/* What it knew follows from a time of which some was lost since. */
static void forget(struct prop_clock *c)
{
    c->is_known = false;
    c->is_guess = false;
    c->is_settled = false;
}

static void note_basis(struct prop_clock *c, const struct prop_clock_entry *e)
{
    c->index = e->index;
    c->term = e->term > c->term ? e->term : c->term;
}

void prop_clock_applied(struct prop_clock *c,
                        const struct prop_clock_entry *e,
                        enum prop_clock_how how,
                        uint64_t boot_ns)
{
    bool is_new = e->stamp_ns > c->last_ns || e->begun > c->begun; /* not a leader's first entry */
    c->last_ns = e->stamp_ns > c->last_ns ? e->stamp_ns : c->last_ns;
    c->begun = e->begun;
    switch (how) {
    case PROP_CLOCK_LIVE:
        if (e->index > c->index && (is_new || c->is_known)) {
            note_basis(c, e);
            set(c, is_new ? c->last_ns : reading(c, boot_ns), boot_ns);
            c->is_guess = false;
        }
        break;
    case PROP_CLOCK_OWN:
        note_basis(c, e);
        c->is_guess = false;
        c->is_settled = true;
        break;
    case PROP_CLOCK_REPLAYED:
    case PROP_CLOCK_LEADING:
        break;
    }
    if (c->is_known && !c->is_guess && c->index < c->begun) {
        forget(c);
    } else if (c->is_known && reading(c, boot_ns) < c->last_ns) {
        set(c, c->last_ns, boot_ns); /* or it would stand still until it has caught up */
    }
}

/* ---- other members ---- */

struct prop_clock_word
prop_clock_tell(const struct prop_clock *c, uint64_t boot_ns, uint64_t wall_ns)
{
    if (!c->is_known || c->is_guess) {
        uint64_t now = prop_clock_by_wall(c, wall_ns);
        return (struct prop_clock_word){.now_ns = now, .index = now == 0 ? 0 : c->stored_index};
    }
    return (struct prop_clock_word){
        .knows = true,
        .now_ns = prop_clock_now(c, boot_ns),
        .index = c->index,
        .term = c->term,
    };
}

/* A clock of rule 1. */
static void take(struct prop_clock *c, const struct prop_clock_word *word, uint64_t boot_ns)
{
    bool is_better = !c->is_known || word->term > c->term ||
                     (word->term == c->term && word->now_ns > prop_clock_now(c, boot_ns));
    if (is_better) {
        set(c, word->now_ns, boot_ns);
        c->index = word->index > c->index ? word->index : c->index;
        c->term = word->term;
    }
}

bool prop_clock_heard(struct prop_clock *c,
                      uint64_t id,
                      const struct prop_clock_word *word,
                      uint64_t log_term,
                      uint64_t boot_ns)
{
    struct prop_clock_other *other = other_of(c, id);
    CB_ASSERT(word->now_ns <= CB_CLUSTER_CLOCK_MAX);
    if (other == NULL) {
        return false;
    }
    bool was_known = c->is_known;
    other->has_answered = true;
    other->index = word->index;
    other->now_ns = word->now_ns;
    other->boot_ns = boot_ns;
    if (word->knows && word->term >= log_term && word->index >= c->begun && !c->is_guess) {
        take(c, word, boot_ns);
        c->is_settled = true;
    }
    return c->is_known && !was_known;
}

/* ---- leading without a clock ---- */

/* What the members say, from the least on. */
struct readings {
    uint64_t sorted[CB_CLUSTER_NODES_MAX];
    uint32_t n;
};

static void add(struct readings *r, uint64_t now_ns)
{
    uint32_t at = r->n++;
    for (; at > 0 && r->sorted[at - 1] > now_ns; at--) {
        r->sorted[at] = r->sorted[at - 1];
    }
    r->sorted[at] = now_ns;
}

/* By this node's wall clock, and by those of the others, or what one knows of an older leader. Who
 * has no idea, since the clock began anew neither, counts as one whose wall clock has not moved. */
static void
read_all(const struct prop_clock *c, uint64_t boot_ns, uint64_t wall_ns, struct readings *r)
{
    r->n = 0;
    add(r, prop_clock_by_wall(c, wall_ns));
    for (uint32_t i = 0; i < c->n_others; i++) {
        const struct prop_clock_other *o = &c->others[i];
        uint64_t age = since(o->boot_ns, boot_ns);
        if (o->has_answered && age <= PROP_CLOCK_FRESH_NS) {
            add(r, o->now_ns == 0 || o->index < c->begun ? 0 : o->now_ns + age);
        }
    }
}

enum prop_clock_lead prop_clock_lead(
    struct prop_clock *c, bool may_wait, uint64_t boot_ns, uint64_t wall_ns, uint64_t *moved_ns)
{
    *moved_ns = 0;
    if (c->is_known) {
        return PROP_CLOCK_RUNS;
    }
    struct readings all;
    uint32_t members = c->n_others + 1;
    read_all(c, boot_ns, wall_ns, &all);
    if (all.n < members && may_wait) {
        return PROP_CLOCK_WAITS;
    }
    uint64_t before = c->last_ns;
    bool is_majority = 2 * all.n > members;
    set(c, is_majority ? all.sorted[(all.n - 1) / 2] : before, boot_ns);
    c->is_guess = true;
    *moved_ns = c->now_ns - before;
    return is_majority ? PROP_CLOCK_FROM_WALL : PROP_CLOCK_STANDS;
}

void prop_clock_yield(struct prop_clock *c)
{
    if (c->is_guess) {
        c->is_guess = false;
        c->is_known = false;
    }
}
