/* The closed segments of the raft log, read again from the disk and checked. libraft reads them at
 * a start only, all of them, and has the entries in memory until then: one that is damaged harms
 * nobody before a restart, which it then makes impossible; and a later snapshot takes it away.
 *
 * Not checked by it: open segments, which are being written (before a start they are, see below);
 * the files with term and vote; snapshots, which are markers.
 *
 * Owns:     nothing between calls.
 * Threads:  any; libraft writes and removes files meanwhile.
 * Errors:   are what it looks for: a sentence for each. */
#ifndef CB_NODE_REPLICA_REPLICA_SCRUB_H
#define CB_NODE_REPLICA_REPLICA_SCRUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cb_assert.h"

#define REPLICA_SCRUB_TEXT_MAX 4608 /* a path and a few words */

struct replica_scrub_env {
    void *data;
    /* So many bytes were read: slows the scrub down. False: that is enough, it ends. */
    bool (*pace)(void *data, size_t bytes);
    /* A segment is not what was written; `sentence` names it. */
    void (*damaged)(void *data, const char *sentence);
};

/* One pass over the segments that are there, below the data directory `dir`; false when `pace`
 * ended it. */
bool replica_scrub_segments(const char *dir, const struct replica_scrub_env *env);

/* Before libraft reads them, when nobody uses the log: false when libraft would not survive an open
 * segment, or refuses it: a batch goes on behind the end of its file, or it does not begin as one;
 * `sentence` says which and where. What a crash leaves is sound, and ends where libraft cuts it
 * off; a rest of less than a batch's beginning, all zeros, is taken from the file. */
CB_MUST_USE bool replica_scrub_open_segments(const char *dir,
                                             char sentence[static REPLICA_SCRUB_TEXT_MAX]);

#endif
