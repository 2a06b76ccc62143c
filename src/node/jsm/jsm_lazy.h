/* Work that takes effect at once, or in order, and is done over several entries, so that no apply
 * is long (design D1, ADR 13):
 *
 * - jsm_splice.c: a kick of more jobs than an entry has steps left. They are ready from then on;
 *   their records say so bit by bit.
 * - jsm_release.c: a connection or a session that ends with more than that. What it held becomes
 *   ready in one moment, when all of it is prepared.
 * - jsm_reserve.c: ready jobs and waiters that are many. Who waits keeps its place.
 *
 * A job that is ready by one of the first two, but whose record is not written yet, is "lazy"; the
 * tube's lots hold it, and whoever needs the job itself settles it first.
 * Threads:  one. */
#ifndef CB_NODE_JSM_JSM_LAZY_H
#define CB_NODE_JSM_JSM_LAZY_H

#include "common/base/cb_list.h"
#include "common/base/cb_map.h"
#include "node/jsm/jsm.h"
#include "node/jsm/jsm_row.h"

struct jsm_tube;
struct jsm_conn;

/* Splices of one tube; a further long kick moves one job. Each is a long kick of jobs that came
 * while the one before was not done. */
#define JSM_SPLICES_MAX 64

/* Jobs that were kicked together. A job of the tube is one of them when its state is `from`, it
 * got there before number `seq`, and its key is at most `limit`; the oldest such splice counts. */
struct jsm_splice {
    struct cb_list link;      /* tube->splices, oldest first */
    struct cb_heap_node node; /* jsm.splices, by seq */
    struct jsm_tube *tube;
    uint64_t seq;
    struct jsm_key limit;
    uint8_t from; /* enum jsm_job_state */
    struct jsm_row row;
};

enum jsm_release_phase {
    JSM_RELEASE_PREPARES = 1, /* its jobs are still reserved */
    JSM_RELEASE_CLOSES,       /* a session's connections go, one after the other */
    JSM_RELEASE_SETTLES       /* nothing is to be seen of it any more */
};

/* What an ended connection, or all of an ended session, gives back. */
struct jsm_release {
    struct cb_heap_node node; /* jsm.releases or, when it settles, jsm.settling; by seq */
    uint64_t seq;
    enum jsm_release_phase phase;
    uint64_t steps, done;        /* PREPARES: one for each job and each connection */
    struct jsm_conn *conn;       /* whose it is, if it is a connection's */
    struct jsm_session *session; /* the same for a session */
    struct cb_list *at;          /* a session's: the connection that is being prepared */
    struct cb_heap parts;        /* by tube id */
    struct cb_map part_by_tube;
};

/* ---- jsm_lazy.c ---- */

/* Ready, but not as its record has it. */
bool jsm_is_lazy(const struct jsm_job *j);
/* Makes the record of a lazy job say that it is ready. */
void jsm_settle(struct jsm_job *j);
/* The job, not lazy; NULL when there is none. */
struct jsm_job *jsm_job_settled(struct jsm *m, uint64_t id);
/* At the start of an entry, before and after what is due: what others can see. */
void jsm_lazy_begin(struct jsm *m);
/* With what is left of the entry's steps: what nobody sees. */
void jsm_lazy_finish(struct jsm *m);
bool jsm_lazy_is_empty(const struct jsm *m);

/* ---- jsm_splice.c ---- */

/* The first `n` of the row of that state, which are there, become ready. */
void jsm_splice_make(struct jsm_tube *t, enum jsm_job_state from, uint64_t n);
/* NULL: the job is in none. */
struct jsm_splice *jsm_splice_of(const struct jsm_job *j);
void jsm_splice_settle(struct jsm_splice *s, struct jsm_job *j);
/* For loading: one without jobs, and a job that is in it. */
struct jsm_splice *jsm_splice_create(struct jsm_tube *t, enum jsm_job_state from, uint64_t seq);
void jsm_splice_add(struct jsm_splice *s, struct jsm_job *j);
void jsm_splice_destroy(struct jsm_splice *s);
bool jsm_splice_less(const struct cb_heap_node *a, const struct cb_heap_node *b);

/* ---- jsm_release.c ---- */

/* The release that the connection's jobs belong to; NULL: it has not ended. */
struct jsm_release *jsm_release_of(const struct jsm_conn *c);
/* The connection has left everything but what it holds. */
void jsm_release_conn(struct jsm_conn *c);
/* The session's waits have ended, its results are gone. */
void jsm_release_session(struct jsm_session *s);
/* A reserved job of it is ready to others. */
static inline bool jsm_release_is_open(const struct jsm_release *r)
{
    return r != NULL && r->phase > JSM_RELEASE_PREPARES;
}
void jsm_release_settle(struct jsm_release *r, struct jsm_job *j);
/* True for one that others cannot tell from none, and that took no step to go on. */
bool jsm_release_is_idle(struct jsm_release *r);
/* One step of a release that does not settle yet, or that does. */
void jsm_release_step(struct jsm_release *r);
void jsm_release_settle_step(struct jsm_release *r);
/* For loading: exactly one of `c` and `s`; then its jobs, when it is open. */
struct jsm_release *jsm_release_create(struct jsm *m,
                                       struct jsm_conn *c,
                                       struct jsm_session *s,
                                       enum jsm_release_phase phase,
                                       uint64_t seq);
void jsm_release_add(struct jsm_release *r, struct jsm_job *j);
/* For loading, when all is there: does the steps that were done. False: it contradicts itself. */
bool jsm_release_catch_up(struct jsm_release *r);
void jsm_release_destroy(struct jsm *m, struct jsm_release *r);
bool jsm_release_less(const struct cb_heap_node *a, const struct cb_heap_node *b);

#endif
