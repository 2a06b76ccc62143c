/* How much of the log libraft keeps in memory, by entries and by bytes.
 *
 * libraft counts entries: a snapshot is taken after so many, and so many are kept behind it. Counts
 * that suit small entries would keep gigabytes of large jobs. So when the log has grown by its
 * share of bytes since the last snapshot, the next one is due after the fewest entries that
 * simulation has shown to be safe (docs/adr/0006), and what is kept is what fits. */
#include "node/replica/replica_internal.h"

#define MASK (REPLICA_SIZES - 1)
_Static_assert((REPLICA_SIZES & MASK) == 0, "an index is taken modulo a power of two");
_Static_assert(CB_RAFT_SNAPSHOT_THRESHOLD + CB_RAFT_SNAPSHOT_TRAILING <= REPLICA_SIZES,
               "the sizes of all entries that are kept are known");

/* While a member is sent the state the log may grow to a few times of what it may take else. */
#define PINNED_SHARES 12
/* libraft is sound only while what is kept is several times what is on its way. */
#define TRAILING_PER_INFLIGHT 8

static unsigned at_least(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

static unsigned at_most(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

void replica_size_note(struct replica *r, uint64_t index, size_t len)
{
    r->sizes[index & MASK] = (uint32_t)len;
}

/* How many entries up to the last one take at most `bytes`, up to `most` of them; `most` too when
 * the log has fewer and they fit. */
static unsigned entries_in(const struct replica *r, uint64_t bytes, unsigned most)
{
    uint64_t last = r->next_index - 1;
    uint64_t sum = 0;
    unsigned n = 0;
    for (; n < most && n < REPLICA_SIZES && n < last; n++) {
        sum += r->sizes[(last - n) & MASK];
        if (sum > bytes) {
            return n;
        }
    }
    return most;
}

/* The newest entries take more than that; what is older than REPLICA_SIZES of them is not known. */
static bool is_over(const struct replica *r, uint64_t bytes, uint64_t newest)
{
    unsigned n = entries_in(r, bytes, REPLICA_SIZES);
    return n < REPLICA_SIZES && n < newest;
}

void replica_threshold_set(struct replica *r, bool pinned)
{
    const struct replica_config *c = &r->config;
    uint64_t share = c->log_bytes / 3; /* one to grow by, two to keep */
    uint64_t since = r->next_index - 1 - r->raft.trail.snapshot.index;
    unsigned threshold = c->snapshot_threshold;
    unsigned trailing = entries_in(r, 2 * share, c->snapshot_trailing);
    unsigned trailing_min = at_most(CB_RAFT_SNAPSHOT_TRAILING_MIN, c->snapshot_trailing);
    if (is_over(r, share, since)) {
        threshold = at_most(CB_RAFT_SNAPSHOT_THRESHOLD_MIN, threshold);
    }
    if (pinned && !is_over(r, PINNED_SHARES * share, since) &&
        threshold < CB_RAFT_PINNED_ENTRIES_MAX) {
        threshold = CB_RAFT_PINNED_ENTRIES_MAX;
    }
    trailing = at_least(trailing, trailing_min);
    unsigned inflight = at_least(trailing / TRAILING_PER_INFLIGHT, CB_RAFT_INFLIGHT_MIN);
    raft_set_snapshot_threshold(&r->raft, threshold);
    raft_set_snapshot_trailing(&r->raft, trailing);
    raft_set_max_inflight_entries(&r->raft, at_most(inflight, c->inflight_max));
}
