/* Nodes check each other (design D8): each asks the others from time to time for the digests of
 * their last checkpoints. A digest is a chain over all entries, results and records, so that two
 * nodes which are equal at one checkpoint were equal at all before, and two which differ will never
 * be equal again. One that differs from a majority has a wrong state: memory or disk that changed a
 * bit, or a program of another version. It stops; where no majority agrees, all stop. */
#include <inttypes.h>
#include <stdio.h>

#include "common/sys/cb_log.h"
#include "node/core/core_internal.h"

/* ---- this node's own ---- */

void core_digest_note(struct core *c)
{
    struct core_digests *d = &c->digests;
    uint64_t digest;
    if (jsm_checkpoint(c->machine, &digest)) {
        d->counters.checkpoint = jsm_index(c->machine);
        d->kept[d->n++ % CB_DIGESTS_KEPT] = (struct core_checkpoint){jsm_index(c->machine), digest};
    }
}

void core_digest_swapped(struct core *c)
{
    c->digests.n = 0; /* those were of the old state */
}

uint32_t core_digests_tell(const struct core *c, struct core_checkpoint out[static CB_DIGESTS_TOLD])
{
    const struct core_digests *d = &c->digests;
    uint32_t n = d->n < CB_DIGESTS_TOLD ? (uint32_t)d->n : CB_DIGESTS_TOLD;
    for (uint32_t i = 0; i < n; i++) {
        out[i] = d->kept[(d->n - n + i) % CB_DIGESTS_KEPT];
    }
    return n;
}

/* NULL: it is not known any more, or not yet. Indexes rise. */
static const struct core_checkpoint *find(const struct core_digests *d, uint64_t index)
{
    uint64_t low = d->n > CB_DIGESTS_KEPT ? d->n - CB_DIGESTS_KEPT : 0;
    uint64_t high = d->n;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const struct core_checkpoint *p = &d->kept[middle % CB_DIGESTS_KEPT];
        if (p->index == index) {
            return p;
        }
        if (p->index < index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* ---- the others' ---- */

static struct core_digests_of *slot_of(struct core *c, uint64_t id)
{
    struct core_digests *d = &c->digests;
    struct core_digests_of *spare = NULL;
    for (size_t i = 0; i < CB_CLUSTER_NODES_MAX; i++) {
        if (d->others[i].id == id) {
            return &d->others[i];
        }
        bool is_left = !replica_is_member(c->replica, d->others[i].id);
        spare = is_left ? &d->others[i] : spare;
    }
    if (spare != NULL) {
        *spare = (struct core_digests_of){.id = id};
    }
    return spare;
}

/* The newest checkpoint of the other that this node has too; NULL: none. */
static const struct core_checkpoint *
common(const struct core *c, const struct core_digests_of *o, uint64_t *own)
{
    for (uint32_t i = o->n; i-- > 0;) {
        const struct core_checkpoint *p = find(&c->digests, o->told[i].index);
        if (p != NULL) {
            *own = p->digest;
            return &o->told[i];
        }
    }
    return NULL;
}

enum word { WORD_NONE, WORD_SAME, WORD_DIFFERS };

static enum word word_of(const struct core *c, const struct core_digests_of *o)
{
    uint64_t own;
    const struct core_checkpoint *p = common(c, o, &own);
    if (p == NULL) {
        return WORD_NONE;
    }
    return p->digest == own ? WORD_SAME : WORD_DIFFERS;
}

static bool agree(const struct core_digests_of *a, const struct core_digests_of *b)
{
    for (uint32_t i = a->n; i-- > 0;) {
        for (uint32_t k = b->n; k-- > 0;) {
            if (a->told[i].index == b->told[k].index) {
                return a->told[i].digest == b->told[k].digest;
            }
        }
    }
    return false;
}

/* ---- the verdict ---- */

struct count {
    const struct core_digests_of *differ[CB_CLUSTER_NODES_MAX];
    size_t n_differ;
    size_t voters, same, unknown; /* this node is one of the first two, if it votes */
};

static void count_voters(struct core *c, struct count *n)
{
    struct replica_member members[CB_CLUSTER_NODES_MAX];
    size_t n_members = replica_members(c->replica, members);
    for (size_t i = 0; i < n_members; i++) {
        if (members[i].role != REPLICA_VOTER) {
            continue;
        }
        n->voters++;
        if (members[i].id == c->config.self) {
            n->same++;
            continue;
        }
        const struct core_digests_of *o = slot_of(c, members[i].id);
        enum word word = o != NULL ? word_of(c, o) : WORD_NONE;
        n->same += word == WORD_SAME;
        n->unknown += word == WORD_NONE;
        if (word == WORD_DIFFERS) {
            n->differ[n->n_differ++] = o;
        }
    }
}

/* As many voters are of one mind, which is not this node's. */
static size_t largest_other(const struct count *n)
{
    size_t largest = 0;
    for (size_t i = 0; i < n->n_differ; i++) {
        size_t size = 1;
        for (size_t k = 0; k < n->n_differ; k++) {
            size += k != i && agree(n->differ[i], n->differ[k]);
        }
        largest = size > largest ? size : largest;
    }
    return largest;
}

static void stop(struct core *c, const struct count *n, bool is_outvoted)
{
    char sentence[CORE_SENTENCE_MAX];
    uint64_t own = 0;
    const struct core_checkpoint *p = common(c, n->differ[0], &own);
    snprintf(sentence, sizeof sentence,
             "the state of this node is not that of the others: at log entry %" PRIu64
             " its digest is %016" PRIx64 ", that of member %" PRIu64 " is %016" PRIx64
             "; %s. Its memory or its disk is damaged, or a node is of another version",
             p->index, own, n->differ[0]->id, p->digest,
             is_outvoted ? "a majority agrees with that one" : "and no majority agrees");
    c->digests.is_told = true;
    c->env.differs(c->env.data, sentence);
}

static void judge(struct core *c)
{
    struct count n = {0};
    if (c->digests.is_told) {
        return;
    }
    count_voters(c, &n);
    if (n.n_differ == 0) {
        return;
    }
    cb_log(CB_LOG_ERROR, "digest.differs", "member=%" PRIu64 " same=%zu differ=%zu unknown=%zu",
           n.differ[0]->id, n.same, n.n_differ, n.unknown);
    if (n.same > n.voters / 2) {
        return; /* it will find itself alone */
    }
    if (largest_other(&n) > n.voters / 2) {
        stop(c, &n, true);
    } else if (n.unknown == 0) {
        stop(c, &n, false);
    }
}

/* ---- questions ---- */

void core_digest_turn(struct core *c)
{
    for (uint32_t i = 0; i < c->n_others; i++) {
        c->env.ask_digests(c->env.data, c->others[i]);
    }
    c->env.set_timer(c->env.data, CORE_TIMER_DIGEST,
                     cb_clock_monotonic_ns(c->env.clock) + CORE_ASK_DIGESTS_NS);
}

void core_digests_answered(struct core *c,
                           uint64_t id,
                           const struct core_checkpoint *told,
                           uint32_t n)
{
    CB_ASSERT(id != 0 && id != c->config.self && n <= CB_DIGESTS_TOLD);
    struct core_digests_of *o = replica_is_member(c->replica, id) ? slot_of(c, id) : NULL;
    if (o != NULL) {
        o->n = n;
        for (uint32_t i = 0; i < n; i++) {
            o->told[i] = told[i];
        }
        enum word word = word_of(c, o);
        c->digests.counters.same += word == WORD_SAME;
        c->digests.counters.differ += word == WORD_DIFFERS;
        judge(c);
    }
}

const struct core_digest_counters *core_digest_counters_get(const struct core *c)
{
    return &c->digests.counters;
}
