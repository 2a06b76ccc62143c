/* The durable state of a node: records (key, value) and one meta record, committed together.
 *
 * The store knows nothing of jobs or raft. Its user, the loop, gathers changed records in a
 * store_batch and hands it over with the meta record of the same moment; some time later that span
 * is durable, whole or not at all, and what a load finds is always the state after some number of
 * whole batches, in the order of their commits: never part of one.
 *
 * This is the interface; store_lmdb.h opens the one that lies on disk, the tests have one in
 * memory.
 *
 * Owns:     the records, from store_commit on.
 * Does not: interpret keys or values, keep any of them in memory, or block the loop (but see
 *           "start" and "swap" below).
 * Threads:  store_commit, store_swap and store_close: the loop. store_durable, store_pending_bytes,
 *           store_is_full, store_read, store_read_many, store_copy_open: any. A copy: any, one at a
 *           time. store_incoming_*, store_load_incoming, store_discard_incoming: any, one at a
 *           time.
 *           `notify` is called on the store's own thread.
 * Errors:   a store_result with a sentence in a store_error. A commit has no error: a full disk is
 *           waited out (design D9), everything else that the disk refuses ends the process. */
#ifndef CB_NODE_STORE_STORE_H
#define CB_NODE_STORE_STORE_H

#include "common/base/cb_assert.h"
#include "common/base/cb_buf.h"
#include "common/base/cb_span.h"
#include "node/store/store_batch.h"
#include "node/store/store_meta.h"
#include "node/store/store_result.h"

struct store;
struct store_copy;

/* Gets every record in the order of its key (memcmp); borrowed for the call. False stops. */
typedef bool (*store_record_fn)(void *data, struct cb_span key, struct cb_span value);
/* Gets the value of the i-th key, borrowed for the call; not `is_there`: it has none. */
typedef void (*store_value_fn)(void *data, size_t i, bool is_there, struct cb_span value);
/* One row per operation; see the functions of the same name. */
struct store_ops {
    void (*commit)(struct store *s, struct store_batch *batch, const struct store_meta *meta);
    void (*durable)(struct store *s, struct store_meta *out);
    size_t (*pending_bytes)(struct store *s);
    bool (*is_full)(struct store *s);
    enum store_result (*load)(struct store *s,
                              store_record_fn fn,
                              void *data,
                              struct store_meta *meta,
                              struct store_error *err);
    enum store_result (*read)(struct store *s,
                              struct cb_span key,
                              struct cb_buf *out,
                              struct store_error *err);
    enum store_result (*read_many)(struct store *s,
                                   const struct cb_span *keys,
                                   size_t n,
                                   store_value_fn fn,
                                   void *data,
                                   struct store_error *err);
    enum store_result (*set_local)(struct store *s,
                                   const char *name,
                                   struct cb_span value,
                                   struct store_error *err);
    enum store_result (*get_local)(struct store *s,
                                   const char *name,
                                   struct cb_buf *out,
                                   struct store_error *err);
    enum store_result (*copy_open)(struct store *s,
                                   struct store_copy **out,
                                   struct store_error *err);
    enum store_result (*incoming_begin)(struct store *s, struct store_error *err);
    enum store_result (*incoming_feed)(struct store *s,
                                       struct cb_span bytes,
                                       bool *is_whole,
                                       struct store_error *err);
    enum store_result (*load_incoming)(struct store *s,
                                       store_record_fn fn,
                                       void *data,
                                       struct store_meta *meta,
                                       struct store_error *err);
    enum store_result (*swap)(struct store *s, struct store_error *err);
    void (*discard_incoming)(struct store *s);
    void (*close)(struct store *s);
};

/* The first member of every implementation. */
struct store {
    const struct store_ops *ops;
};

struct store_copy_ops {
    enum store_result (*next)(struct store_copy *c,
                              size_t size,
                              struct cb_buf *out,
                              bool *is_last,
                              struct store_error *err);
    void (*close)(struct store_copy *c);
};

/* The first member of every implementation's copy. */
struct store_copy {
    const struct store_copy_ops *ops;
    struct store_meta meta;
    bool is_over; /* store.c's own: the last part was given, or a failure */
};

/* --- commits --- */

/* Queues the batch, which the store now owns, and the meta record to be committed with it.
 * meta->index must not be below that of the commit before. An empty batch is allowed: it makes a
 * new meta record durable. `record_count` and `record_sum` of `meta` are the store's own and
 * ignored. */
void store_commit(struct store *s, struct store_batch *batch, const struct store_meta *meta);
/* The meta record of the last commit that is durable: a crash now can not undo it. */
void store_durable(struct store *s, struct store_meta *out);
/* Bytes of the batches that are not durable yet; the caller keeps them under
 * CB_STORE_DIRTY_BYTES_MAX by slowing down, the store does not refuse. */
size_t store_pending_bytes(struct store *s);
/* True while commits wait for room on the disk. */
bool store_is_full(struct store *s);

/* --- reading --- */

/* Every record, verified, and the meta record that was committed with them. Damage is
 * STORE_CORRUPT, and then nothing of what `fn` has been given may be used. `meta` may be NULL. */
CB_MUST_USE enum store_result store_load(struct store *s,
                                         store_record_fn fn,
                                         void *data,
                                         struct store_meta *meta,
                                         struct store_error *err);
/* Appends the durable value of `key` to `out`. STORE_NOT_FOUND, STORE_CORRUPT: `out` is unchanged.
 */
CB_MUST_USE enum store_result
store_read(struct store *s, struct cb_span key, struct cb_buf *out, struct store_error *err);

/* The durable values of `n` keys, all of one moment, in the order given; each is verified. After
 * anything but STORE_OK nothing of what `fn` has been given may be used. */
CB_MUST_USE enum store_result store_read_many(struct store *s,
                                              const struct cb_span *keys,
                                              size_t n,
                                              store_value_fn fn,
                                              void *data,
                                              struct store_error *err);

/* --- start: values that belong to this node alone; they are in no dump and survive a swap --- */

/* Durable on return. Blocks: for the start of a node only. */
CB_MUST_USE enum store_result
store_set_local(struct store *s, const char *name, struct cb_span value, struct store_error *err);
CB_MUST_USE enum store_result
store_get_local(struct store *s, const char *name, struct cb_buf *out, struct store_error *err);

/* --- the state's way to another node (design D7) --- */

/* A consistent copy of the records and their meta record, read out in parts from one read
 * transaction. As long as it is open the database can only grow: whoever opened it closes it when
 * it takes too long. It goes on with the old state after a swap, and is closed before the store.
 * STORE_IO also when CB_STORE_COPIES_MAX are open. `*out` is set on STORE_OK only. */
CB_MUST_USE enum store_result
store_copy_open(struct store *s, struct store_copy **out, struct store_error *err);
/* The meta record of that state; borrowed until the close. */
const struct store_meta *store_copy_meta(const struct store_copy *c);
/* Appends the next bytes of the copy to `out`: whole records, the header counting as one, and no
 * more of them than it takes to make `size` bytes (> 0), so that a part is at most one record
 * larger. Less than `size` only at the end. `*is_last`: that was the end, the trailer included.
 * Reads the disk, waits for nothing else. Not bound to the thread of the call before. Every record
 * is verified as by store_load; damage is STORE_CORRUPT. After anything but STORE_OK what was
 * appended may not be used; then, and after the last part, only store_copy_close follows. */
CB_MUST_USE enum store_result store_copy_next(
    struct store_copy *c, size_t size, struct cb_buf *out, bool *is_last, struct store_error *err);
void store_copy_close(struct store_copy *c);

/* The other way: a new database beside the present one, which stays as it is; an earlier incoming
 * one is dropped, whole or not. After anything but STORE_OK there is none. */
CB_MUST_USE enum store_result store_incoming_begin(struct store *s, struct store_error *err);
/* The next bytes of such a copy, cut anywhere; borrowed for the call. `*is_whole`: they were the
 * last ones, and the incoming state is durable and whole; if the node dies before store_swap, the
 * next open swaps it in when its index is above the present one's, since such a state is committed
 * in the cluster. One that is not whole goes with the node or with store_close. After anything but
 * STORE_OK (bad bytes, a full disk, another cluster's) there is no incoming state any more. Bytes
 * after the end are STORE_BAD_DUMP; when there are no more before the end, the dump is cut short,
 * and that is for the caller to see and to discard. Waits for the disk. Not bound to the thread of
 * the call before. There must be an incoming state. */
CB_MUST_USE enum store_result
store_incoming_feed(struct store *s, struct cb_span bytes, bool *is_whole, struct store_error *err);
/* Drops the incoming state, whole or not; there may be none. */
void store_discard_incoming(struct store *s);

/* As store_load, from the incoming database, which must be whole. */
CB_MUST_USE enum store_result store_load_incoming(struct store *s,
                                                  store_record_fn fn,
                                                  void *data,
                                                  struct store_meta *meta,
                                                  struct store_error *err);
/* The incoming database becomes the present one, atomically. Local values and `appended_*` of the
 * meta record stay this node's. Waits for queued commits; STORE_FULL when they have no room, and
 * then nothing has changed. There must be an incoming database that is whole and whose index is not
 * below the present one's. Reads and copies that run go on with the old state. */
CB_MUST_USE enum store_result store_swap(struct store *s, struct store_error *err);

/* Waits until what was queued is durable; while the disk is full it is dropped instead, as by a
 * crash. No other call may be running and no copy be open. */
void store_close(struct store *s);

#endif
