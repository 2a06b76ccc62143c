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

/* ---- how large entries are ---- */

/* Of all entries whose sizes were noted in a row, up to that one. It is one of the newest
 * REPLICA_SIZES, or none of them. */
static uint64_t bytes_to(const struct replica_sizes *s, uint64_t index)
{
    return index < s->first ? 0 : s->to[index & MASK];
}

void replica_size_note(struct replica *r, uint64_t index, size_t len)
{
    struct replica_sizes *s = &r->sizes;
    bool is_known = s->first <= index && index <= s->next && s->next < index + REPLICA_SIZES;
    if (s->next == 0 || !is_known) {
        *s = (struct replica_sizes){.first = index}; /* behind a state that was installed */
    }
    s->to[index & MASK] = (index == s->first ? 0 : bytes_to(s, index - 1)) + len;
    s->next = index + 1;
}

/* How many entries up to the last one take at most `bytes`, up to `most` of them; `most` too when
 * the log has fewer and they fit. */
static unsigned entries_in(const struct replica *r, uint64_t bytes, unsigned most)
{
    const struct replica_sizes *s = &r->sizes;
    uint64_t last = r->next_index - 1;
    for (unsigned n = 0; n < most && n < REPLICA_SIZES - 1 && n < last; n++) {
        if (last - n >= s->next) {
            continue; /* nothing was noted since a state was installed */
        }
        if (bytes_to(s, s->next - 1) - bytes_to(s, last - n - 1) > bytes) {
            return n;
        }
    }
    return most;
}

/* Since the last snapshot. What was behind it before it was taken is remembered when it is first
 * seen, which is soon after. */
static uint64_t bytes_since(struct replica *r)
{
    struct replica_sizes *s = &r->sizes;
    uint64_t at = r->raft.trail.snapshot.index;
    uint64_t oldest = s->next > REPLICA_SIZES ? s->next - REPLICA_SIZES : 0;
    if (s->next == 0) {
        return 0;
    }
    if (s->snapshot != at || s->before > bytes_to(s, s->next - 1)) {
        uint64_t known = at < oldest ? oldest : at >= s->next ? s->next - 1 : at;
        s->snapshot = at;
        s->before = bytes_to(s, known);
    }
    return bytes_to(s, s->next - 1) - s->before;
}

/* ---- what libraft is told ---- */

void replica_threshold_set(struct replica *r, bool pinned)
{
    const struct replica_config *c = &r->config;
    uint64_t share = c->log_bytes / 3; /* one to grow by, two to keep */
    uint64_t since = bytes_since(r);
    uint64_t pinned_most = PINNED_SHARES * share;
    unsigned threshold = c->snapshot_threshold;
    unsigned trailing = entries_in(r, 2 * share, c->snapshot_trailing);
    unsigned trailing_min = at_most(CB_RAFT_SNAPSHOT_TRAILING_MIN, c->snapshot_trailing);
    if (since > share) {
        threshold = at_most(CB_RAFT_SNAPSHOT_THRESHOLD_MIN, threshold);
    }
    r->pin_room = pinned && since < pinned_most ? pinned_most - since : 0;
    if (r->pin_room > 0 && threshold < CB_RAFT_PINNED_ENTRIES_MAX) {
        threshold = CB_RAFT_PINNED_ENTRIES_MAX;
    }
    trailing = at_least(trailing, trailing_min);
    unsigned inflight = at_least(trailing / TRAILING_PER_INFLIGHT, CB_RAFT_INFLIGHT_MIN);
    raft_set_snapshot_threshold(&r->raft, threshold);
    raft_set_snapshot_trailing(&r->raft, trailing);
    raft_set_max_inflight_entries(&r->raft, at_most(inflight, c->inflight_max));
}
