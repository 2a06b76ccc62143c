/* The store that lies on disk, in LMDB (design D6): production's implementation of store.h.
 *
 * One thread of its own writes. It takes all batches that are queued, merges them, and commits them
 * in one transaction with the last one's meta record; while that runs, the next ones gather. When
 * the disk is full the same span, with what has come since, is tried again every second, with a log
 * line; since a merge nets out records that were put and deleted meanwhile, and deletes need less
 * room, it can fit without anybody's help. Any other refusal of the disk ends the process (D9):
 * after a failed fsync nobody knows what is on the disk, and only a restart reads it again.
 *
 * Owns:     the directory and its lock, the databases in it (store_dir.h, store_env.h), the thread.
 * Threads:  as store.h.
 * Errors:   of the open: see store_lmdb_open. */
#ifndef CB_NODE_STORE_STORE_LMDB_H
#define CB_NODE_STORE_STORE_LMDB_H

#include "node/store/store.h"

struct store_lmdb_options {
    const char *dir;
    const char *node;    /* whose directory it is: up to CB_STORE_IDENTITY_MAX bytes, no newline */
    const char *cluster; /* the same */
    /* Address space of the map, and the most that the database can grow to; 0: CB_STORE_MAP_SIZE.
     * It costs no memory and no disk, and can not be changed while there are readers: so it is
     * larger than any disk, and the disk is what gets full. Where that much address space is not to
     * be had, half of it is tried, and so on down to 1 GiB. */
    size_t map_size;
    /* Called on the writer's thread after each durable commit: wake the loop, which asks
     * store_durable. May be NULL. */
    void (*notify)(void *data);
    void *notify_data;
    /* For tests: called after each change of the directory with a name for it. NULL in production.
     */
    void (*on_step)(void *data, const char *step);
    void *step_data;
};

/* Reads that alone, also while another process has the store. STORE_NOT_FOUND: the directory is
 * new, or not there; else as of store_lmdb_open. */
CB_MUST_USE enum store_result
store_lmdb_identity(const char *dir, struct store_identity *out, struct store_error *err);

/* Opens the store, creating it when the directory is new, and finishes or discards a swap that was
 * under way. Before anything but the lock is written:
 * STORE_LOCKED          another process has it
 * STORE_WRONG_IDENTITY  it belongs to another node or cluster
 * STORE_NEWER_FORMAT    a later version of coolbeans wrote it
 * STORE_CORRUPT         it is damaged, or a part of it is missing
 * STORE_FULL, STORE_IO  the system refused
 * `err` has the sentence for the operator. `*out` is set on STORE_OK only. */
CB_MUST_USE enum store_result store_lmdb_open(const struct store_lmdb_options *options,
                                              struct store **out,
                                              struct store_error *err);

#endif
