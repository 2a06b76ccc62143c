/* Term and vote in a file of our own, RAFT/term-vote, with a checksum: libraft's two files have
 * none, and where the newer one is cut short it goes by the older one (design D12, ADR 16).
 *
 * It lies below the raft_io that raft_uv makes: what libraft stores goes here first, and what this
 * file says counts at a start. raft_uv leaves a file of this name in its folder alone.
 *
 * Owns:     nothing that is to be freed.
 * Threads:  the loop's; every call waits for the disk, as raft_uv's own do.
 * Errors:   a file that is damaged ends the process with a sentence that names it; one that cannot
 *           be written is libraft's RAFT_IOERR with a text in `io->errmsg`. */
#ifndef CB_NODE_REPLICA_REPLICA_VOTE_H
#define CB_NODE_REPLICA_REPLICA_VOTE_H

#include <raft.h>

#include <limits.h>

#define REPLICA_VOTE_FILE "term-vote"

struct replica_vote {
    struct raft_io io; /* the functions as raft_uv made them */
    char dir[PATH_MAX];
    bool is_stored; /* there is such a file; else libraft's word counts, and makes one */
    raft_term term;
    raft_id vote;
};

/* Reads the file. `io`: as raft_uv made it, its functions are copied; `dir`: raft_uv's folder. */
void replica_vote_open(struct replica_vote *v, const struct raft_io *io, const char *dir);
/* Stores a first term without a vote in a folder that nobody uses. */
void replica_vote_create(const char *dir, raft_term term);

/* What takes the place of the functions of the same names. */
int replica_vote_init(struct replica_vote *v, struct raft_io *io, raft_id id, const char *address);
int replica_vote_load(struct replica_vote *v,
                      struct raft_io *io,
                      raft_term *term,
                      raft_id *voted_for,
                      struct raft_snapshot **snapshot,
                      raft_index *start_index,
                      struct raft_entry *entries[],
                      size_t *n_entries);
int replica_vote_set_term(struct replica_vote *v, struct raft_io *io, raft_term term);
int replica_vote_set_vote(struct replica_vote *v, struct raft_io *io, raft_id id);

#endif
