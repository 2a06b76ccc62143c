/* The writer's thread: see store_lmdb.h. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"
#include "node/store/store_lmdb_internal.h"

#define RETRY_S 1 /* between tries on a full disk: soon enough for the operator who made room */

static void must(int rc, const char *what)
{
    if (rc != 0) {
        cb_die("cannot %s: %s: raise the limit on threads or memory", what, strerror(rc));
    }
}

static void take_queue(struct lmdb_store *s, struct cb_list *span)
{
    CB_LIST_FOREACH_SAFE(it, tmp, &s->queue)
    {
        cb_list_remove(it);
        cb_list_push_back(span, it);
    }
}

static size_t destroy_span(struct cb_list *span)
{
    size_t bytes = 0;
    CB_LIST_FOREACH_SAFE(it, tmp, span)
    {
        struct store_batch *b = CB_CONTAINER(it, struct store_batch, link);
        bytes += store_batch_bytes(b);
        cb_list_remove(it);
        store_batch_destroy(b);
    }
    return bytes;
}

static enum store_result apply_span(struct store_env *env,
                                    const struct cb_list *span,
                                    struct store_meta *meta,
                                    struct store_error *err)
{
    struct store_merge merge;
    *meta = CB_CONTAINER(cb_list_last(span), struct store_batch, link)->meta;
    store_merge_init(&merge, span);
    enum store_result result = store_env_apply(env, &merge, meta, err);
    store_merge_fini(&merge);
    return result;
}

/* Waits out the retry time or the end, then takes what has come since; false at the end. */
static bool wait_for_room(struct lmdb_store *s, struct cb_list *span)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until); /* can not fail on Linux */
    until.tv_sec += RETRY_S;
    (void)pthread_mutex_lock(&s->mu);
    s->is_full = true;
    (void)pthread_cond_broadcast(&s->idle);
    while (!s->is_closing && pthread_cond_timedwait(&s->wake, &s->mu, &until) != ETIMEDOUT) {
    }
    take_queue(s, span);
    bool go_on = !s->is_closing;
    (void)pthread_mutex_unlock(&s->mu);
    return go_on;
}

/* True when the span is durable, false when the store was closed while the disk was full. */
static bool commit_span(struct lmdb_store *s,
                        struct store_env *env,
                        struct cb_list *span,
                        struct store_meta *meta)
{
    struct store_error err;
    for (;;) {
        enum store_result result = apply_span(env, span, meta, &err);
        if (result == STORE_OK) {
            return true;
        }
        if (result == STORE_CORRUPT || result == STORE_NEWER_FORMAT) {
            cb_die("%s; the disk or the memory is damaged: rebuild this node under a new id",
                   err.text);
        }
        if (result != STORE_FULL) {
            cb_die("%s: check the disk and its file system, then start the node again", err.text);
        }
        cb_log(CB_LOG_WARN, "store.full", "dir=%s err=\"%s\" retry_s=%d", s->dir.path, err.text,
               RETRY_S);
        store_env_touch(env);
        if (!wait_for_room(s, span)) {
            cb_log(CB_LOG_WARN, "store.dropped", "dir=%s err=\"closed while the disk is full\"",
                   s->dir.path);
            return false;
        }
    }
}

/* With `mu` held, which is given back in between. */
static void work_off_queue(struct lmdb_store *s)
{
    struct cb_list span;
    struct store_meta meta;
    cb_list_init(&span);
    take_queue(s, &span);
    s->is_busy = true;
    struct store_env *env = s->env; /* a swap waits until the writer is idle */
    (void)pthread_mutex_unlock(&s->mu);

    bool is_durable = commit_span(s, env, &span, &meta);
    size_t bytes = destroy_span(&span);

    (void)pthread_mutex_lock(&s->mu);
    s->pending_bytes -= bytes;
    s->is_busy = false;
    s->is_full = false;
    if (is_durable) {
        s->durable = meta;
    }
    (void)pthread_cond_broadcast(&s->idle);
    (void)pthread_mutex_unlock(&s->mu);
    if (is_durable && s->notify != NULL) {
        s->notify(s->notify_data);
    }
    (void)pthread_mutex_lock(&s->mu);
}

/* Removing a large file takes long: so the loop leaves it to this thread. */
static void remove_retired(struct lmdb_store *s)
{
    struct store_error err;
    struct store_env *env = s->retired;
    (void)pthread_mutex_unlock(&s->mu);
    store_env_unref(env);
    if (store_dir_remove(&s->dir, STORE_DB_OLD, &err) != STORE_OK) {
        cb_die("%s: check the disk and its file system, then start the node again", err.text);
    }
    (void)pthread_mutex_lock(&s->mu);
    s->retired = NULL;
    (void)pthread_cond_broadcast(&s->idle);
}

static void *run_writer(void *arg)
{
    struct lmdb_store *s = arg;
    (void)pthread_mutex_lock(&s->mu);
    for (;;) {
        if (s->retired != NULL) {
            remove_retired(s);
        } else if (!cb_list_is_empty(&s->queue)) {
            work_off_queue(s);
        } else if (s->is_closing) {
            break;
        } else {
            (void)pthread_cond_wait(&s->wake, &s->mu);
        }
    }
    (void)pthread_mutex_unlock(&s->mu);
    return NULL;
}

bool store_writer_wait_idle(struct lmdb_store *s)
{
    while (s->is_busy || s->retired != NULL || !cb_list_is_empty(&s->queue)) {
        if (s->is_full) {
            return false;
        }
        (void)pthread_cond_wait(&s->idle, &s->mu);
    }
    return true;
}

void store_writer_start(struct lmdb_store *s)
{
    sigset_t all;
    sigset_t before;
    pthread_condattr_t monotonic;
    must(pthread_mutex_init(&s->mu, NULL), "create a mutex");
    must(pthread_condattr_init(&monotonic), "create a condition");
    must(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC), "create a condition");
    must(pthread_cond_init(&s->wake, &monotonic), "create a condition");
    must(pthread_cond_init(&s->idle, &monotonic), "create a condition");
    (void)pthread_condattr_destroy(&monotonic);
    /* Signals are the loop's: this thread has none. */
    (void)sigfillset(&all);
    must(pthread_sigmask(SIG_SETMASK, &all, &before), "block signals");
    must(pthread_create(&s->writer, NULL, run_writer, s), "start the store's thread");
    must(pthread_sigmask(SIG_SETMASK, &before, NULL), "unblock signals");
}

void store_writer_stop(struct lmdb_store *s)
{
    (void)pthread_mutex_lock(&s->mu);
    s->is_closing = true;
    (void)pthread_cond_signal(&s->wake);
    (void)pthread_mutex_unlock(&s->mu);
    must(pthread_join(s->writer, NULL), "end the store's thread");
    (void)pthread_cond_destroy(&s->idle);
    (void)pthread_cond_destroy(&s->wake);
    (void)pthread_mutex_destroy(&s->mu);
}
