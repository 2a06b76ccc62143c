/* What store_lmdb.c (calls), store_lmdb_state.c (copies, the incoming state, the swap),
 * store_writer.c (the thread) and store_settle.c (the directory at start and at a swap) share; for
 * these files alone. */
#ifndef CB_NODE_STORE_STORE_LMDB_INTERNAL_H
#define CB_NODE_STORE_STORE_LMDB_INTERNAL_H

#include <pthread.h>

#include "node/store/store_dir.h"
#include "node/store/store_env.h"
#include "node/store/store_lmdb.h"

struct lmdb_filling;

struct lmdb_store {
    struct store base;
    struct store_dir dir;
    size_t map_size;
    char *cluster;
    void (*notify)(void *data);
    void *notify_data;
    pthread_t writer;
    struct lmdb_filling *filling; /* an incoming state that is not whole; NULL: none. Its callers
                                   * take turns (store.h), so nothing guards it */

    pthread_mutex_t mu; /* guards all below */
    pthread_cond_t wake;
    pthread_cond_t idle;
    struct cb_list queue; /* of struct store_batch, not taken by the writer yet */
    size_t pending_bytes;
    uint64_t queued_index;
    bool is_busy; /* the writer has batches in hand */
    bool is_full;
    bool is_closing;
    struct store_meta durable;
    struct store_env *env;
    struct store_env *incoming; /* whole; NULL: none */
    struct store_env *retired;  /* after a swap, until the writer has removed it */
    unsigned copies;            /* that are open */
};

static inline struct lmdb_store *lmdb_of(struct store *s)
{
    return CB_CONTAINER(s, struct lmdb_store, base);
}

static inline void lmdb_lock(struct lmdb_store *s)
{
    (void)pthread_mutex_lock(&s->mu); /* fails on a bug only, which the sanitizers see */
}

static inline void lmdb_unlock(struct lmdb_store *s)
{
    (void)pthread_mutex_unlock(&s->mu);
}

/* The present database, to be given back with store_env_unref. */
struct store_env *lmdb_env_take(struct lmdb_store *s);

/* The operations of store_lmdb_state.c; see the functions of store.h of the same name. */
enum store_result
lmdb_copy_open(struct store *base, struct store_copy **out, struct store_error *err);
enum store_result lmdb_incoming_begin(struct store *base, struct store_error *err);
enum store_result lmdb_incoming_feed(struct store *base,
                                     struct cb_span bytes,
                                     bool *is_whole,
                                     struct store_error *err);
enum store_result lmdb_load_incoming(struct store *base,
                                     store_record_fn fn,
                                     void *data,
                                     struct store_meta *meta,
                                     struct store_error *err);
enum store_result lmdb_swap(struct store *base, struct store_error *err);
void lmdb_discard_incoming(struct store *base);
/* At the end of the store: what is not whole stays on the disk as a crash leaves it. */
void lmdb_filling_destroy(struct lmdb_filling *f);

/* Brings the directory to the state that it has one whole database, STORE_DB. */
enum store_result store_settle(const struct store_dir *d,
                               const struct store_lmdb_options *o,
                               size_t map_size,
                               struct store_error *err);
/* The renames of a swap. After a failure only store_settle knows what is there. */
enum store_result store_adopt(const struct store_dir *d, struct store_error *err);

void store_writer_start(struct lmdb_store *s);
/* Returns when the thread has ended. */
void store_writer_stop(struct lmdb_store *s);
/* Waits until nothing is queued, in hand or retired, with `mu` held; false while the disk is full.
 */
bool store_writer_wait_idle(struct lmdb_store *s);

#endif
