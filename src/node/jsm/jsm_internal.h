/* The parts of the job state machine, for the files of this folder only.
 *
 * Owns:     the layout of the machine; each object belongs to the machine and dies in the file that
 *           makes it (sessions in jsm_session.c, connections in jsm_conn.c, ...).
 * Threads:  one.
 * Errors:   none; a broken invariant asserts.
 *
 * Whoever changes a stored field of an object calls jsm_mark on it, before or after. */
#ifndef CB_NODE_JSM_JSM_INTERNAL_H
#define CB_NODE_JSM_JSM_INTERNAL_H

#include "common/base/cb_assert.h"
#include "common/base/cb_buf.h"
#include "common/base/cb_hash.h"
#include "common/base/cb_heap.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_list.h"
#include "common/base/cb_map.h"
#include "common/base/cb_mem.h"
#include "common/base/cb_pool.h"
#include "node/jsm/jsm.h"
#include "node/jsm/jsm_lazy.h"
#include "node/jsm/jsm_row.h"

/* uthash ends the process by itself when memory runs out; ours says why. */
#define uthash_malloc(size) cb_malloc(size)
#define uthash_free(ptr, size) cb_free(ptr)
#define uthash_fatal(msg) CB_UNREACHABLE(msg) /* cb_malloc does not return NULL */
#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = (unsigned)cb_hash(keyptr, keylen))
#include <uthash.h>

/* A job is "urgent" below this priority (protocol, "stats"). */
#define JSM_URGENT_BELOW 1024
/* A holder is warned in the last second of its reservation (protocol, DEADLINE_SOON). */
#define JSM_MARGIN_NS CB_NS_PER_S
/* Handing a job to one of many waiters costs about as much as so many other steps. */
#define JSM_MATCH_STEPS 4
/* Above this many watched tubes a connection finds one by map instead of by scan. */
#define JSM_WATCH_SCAN_MAX 16

/* ---- what lies in the store ---- */

/* The first byte of a record's key. Records are loaded in this order: each refers back only. */
enum jsm_record_kind {
    JSM_RECORD_GLOBALS = 1,
    JSM_RECORD_TUBE = 2,    /* tube id */
    JSM_RECORD_SESSION = 3, /* session id */
    JSM_RECORD_CONN = 4,    /* session id, connection number */
    JSM_RECORD_JOB = 5,     /* job id, 0; its body: job id, 1 */
    JSM_RECORD_RESULT = 6   /* session id, result number */
};

/* Part of every object that is one record. */
struct jsm_stored {
    uint64_t hash;      /* of the record as drained last; 0 when none is in the store */
    uint32_t dirty_pos; /* place in jsm.dirty; JSM_CLEAN when the store has this version */
    uint8_t kind;       /* enum jsm_record_kind */
    bool in_store;
};

#define JSM_CLEAN UINT32_MAX

/* ---- objects ---- */

/* The bytes of a job; shared by the job and by results that carry it. Written to the store once.
 * Whether they are in memory is for jsm_body.c alone to know. */
struct jsm_body {
    uint32_t refs;
    uint32_t len;
    bool in_store;
    bool is_counted; /* within jsm_digest_of_records */
    bool is_away;    /* the store alone has the bytes */
    bool is_listed;  /* its job is in jsm.sheddable */
};

/* A shorter body stays in memory: away it would take as much. */
#define JSM_BODY_AWAY_MIN 64
/* Places in the line of those that may leave which are of jobs that are gone. */
#define JSM_SHED_SLACK 1024

enum jsm_due_kind { /* the order of what is due at the same time */
                    JSM_DUE_PAUSE_END,
                    JSM_DUE_DELAY,
                    JSM_DUE_TTR,
                    JSM_DUE_MARGIN,
                    JSM_DUE_WAIT
};

/* The earliest thing that can happen to a tube or a connection by time alone. */
struct jsm_timer {
    struct cb_heap_node node;
    uint8_t kind; /* enum jsm_due_kind */
    uint64_t at_ns;
    uint64_t id; /* breaks ties: tube id, job id or arrival number */
};

struct jsm_tube {
    struct jsm_stored stored;
    struct jsm *machine;
    struct jsm_timer timer;
    uint64_t id;
    uint32_t place; /* in jsm.tubes */
    uint32_t pause; /* seconds, 0 when not paused */
    uint64_t pause_until_ns;
    struct cb_heap ready;          /* by pri, id */
    struct cb_heap lots;           /* of lazy jobs, which are ready too */
    struct jsm_row delayed;        /* by deadline, id */
    struct jsm_row buried;         /* by seq */
    struct cb_heap waiters;        /* watches of waiting connections, by arrival */
    struct cb_list splices;        /* oldest first */
    struct cb_heap_node unmatched; /* in jsm.unmatched: it has ready jobs and waiters for them */
    uint32_t n_splices;
    uint64_t n_lazy; /* jobs in lots */
    uint64_t n_reserved;
    uint64_t n_urgent;
    uint64_t n_using;
    uint64_t n_watching;
    uint64_t total_jobs, cmd_delete, cmd_pause_tube;
    UT_hash_handle hh; /* in jsm.tubes_by_name */
    uint8_t name_len;
    char name[CB_TUBE_NAME_MAX];
};

struct jsm_job {
    struct jsm_stored stored;
    uint64_t id;
    struct jsm_tube *tube;
    struct jsm_body *body;
    uint64_t created_ns;
    uint64_t deadline_ns;     /* delayed: when it is due; reserved: when the ttr ends; else 0 */
    uint64_t seq;             /* rises with each change to buried, reserved or delayed; else 0 */
    struct jsm_conn *holder;  /* reserved; else NULL */
    struct cb_heap_node node; /* in the queue of its state */
    uint32_t pri;
    uint32_t delay;
    uint32_t ttr;
    uint32_t reserves, timeouts, releases, buries, kicks;
    uint8_t state; /* enum jsm_job_state; only jsm_job.c assigns it */
};

/* A connection's watch of a tube. */
struct jsm_watch {
    struct jsm_conn *conn;
    struct jsm_tube *tube;
    struct cb_heap_node node; /* in tube->waiters while the connection waits */
    uint64_t order;           /* there: by arrival, who may not be served behind all others */
};

struct jsm_wait {
    bool active;
    bool has_deadline;
    uint64_t request;
    uint64_t arrival; /* earlier arrivals are served first */
    uint64_t deadline_ns;
};

struct jsm_conn {
    struct jsm_stored stored;
    struct jsm_session *session;
    uint64_t number;
    uint64_t seq;        /* order of opening */
    struct cb_list link; /* session->conns, in order of opening */
    struct jsm_timer timer;
    struct jsm_tube *used;
    struct jsm_watch **watches; /* in list order */
    uint32_t n_watches;
    uint32_t watches_cap;
    struct cb_map watch_by_tube; /* tube id -> watch; used above JSM_WATCH_SCAN_MAX */
    struct cb_heap held;         /* reserved jobs by deadline, id */
    struct jsm_wait wait;
    struct jsm_release *release; /* it has ended, but its jobs are not all given back */
    bool is_producer, is_worker, is_half_closed;
    bool is_hidden; /* it uses, watches and counts for nothing: its jobs alone name it */
};

struct jsm_kept {
    uint64_t hash; /* of its record when number <= session->stored_to */
    uint64_t request;
    uint64_t conn;
    uint64_t id;
    struct jsm_body *body;
    uint32_t count;
    uint8_t outcome;
};

struct jsm_session {
    struct jsm_stored stored;
    struct jsm *machine;
    uint64_t id;
    struct cb_list link; /* jsm.sessions, in order of opening */
    UT_hash_handle hh;   /* in jsm.sessions_by_name */
    struct jsm_incarnation incarnation;
    uint64_t last_request;
    uint64_t last_result;
    uint64_t acked_result;
    uint64_t stored_to;     /* results (acked_result, stored_to] have a record in the store */
    struct jsm_kept **kept; /* ring: result n lies at n & (kept_cap - 1) */
    uint32_t kept_cap;
    uint64_t kept_bytes; /* of bodies in unacknowledged results */
    uint64_t touched_at; /* index of the entry that touched it last */
    struct cb_list conns;
    struct cb_list hidden; /* connections, as jsm_conn.is_hidden */
    struct cb_map conn_by_number;
    uint32_t n_conns;
    uint64_t n_held;             /* by connections that have not ended */
    struct jsm_release *release; /* it has ended: nobody finds it any more */
    bool is_suspended;           /* its reservations do not expire */
    bool is_blocked;             /* too many unacknowledged results: no grants */
    bool is_hidden;              /* with a release: only that knows of it */
    uint16_t name_len;
    uint16_t address_len;
    char name[CB_PROXY_NAME_MAX];
    char address[CB_ADDRESS_MAX];
};

struct jsm {
    struct jsm_stored stored; /* the globals record */
    uint64_t index;
    uint64_t now_ns;
    uint64_t log_digest;
    uint64_t next_job_id;
    uint64_t next_tube_id;
    uint64_t next_seq; /* of burials, reservations, arrivals and openings */
    uint64_t counters[JSM_COUNTER_COUNT];
    uint64_t job_timeouts, total_jobs, total_connections;
    struct jsm_limits limits;
    bool is_short_of_space;
    uint64_t clock_index; /* as jsm_clock_index */

    struct cb_map jobs; /* id -> job */
    struct cb_pool job_pool;
    uint64_t body_bytes;     /* of all jobs */
    uint64_t resident_bytes; /* of the bodies in memory, those of results too */
    uint64_t body_cache;     /* as many of them stay there; 0: all */
    uint64_t n_away;
    struct cb_pool away_pool;
    struct cb_buf sheddable; /* ids of jobs, in the order in which the store got their bodies */
    size_t n_listed;         /* of them, those that count */
    uint64_t n_state[JSM_JOB_BURIED + 1];
    uint64_t n_urgent;
    struct jsm_tube **tubes; /* in list order; the first is default, which never dies */
    uint32_t n_tubes;
    uint32_t tubes_cap;
    struct jsm_tube *tubes_by_name;
    struct cb_map tubes_by_id;
    struct cb_list sessions;
    struct jsm_session *sessions_by_name;
    struct cb_map sessions_by_id;
    uint32_t n_sessions;
    uint64_t n_conns, n_producers, n_workers, n_waiting;
    struct cb_list ended; /* sessions with a release */
    struct cb_heap due;   /* timers */

    /* What is done over several entries. */
    uint32_t steps_max;       /* an entry; CB_DUE_PER_ENTRY_MAX but in tests */
    uint32_t steps;           /* left of them */
    struct cb_heap unmatched; /* tubes, by id */
    struct cb_heap releases;  /* that do not settle yet, by seq */
    struct cb_heap settling;  /* the others, by seq */
    struct cb_heap splices;   /* by seq */

    /* Of the last apply. */
    uint64_t *touched;
    uint32_t n_touched, touched_cap;
    uint64_t dropped_requests;
    bool is_checkpoint;

    /* Changes since the last drain. */
    struct jsm_stored **dirty;
    uint32_t n_dirty, dirty_cap;
    uint64_t dirty_bytes;
    struct cb_buf gone; /* keys to delete, each JSM_KEY_SIZE bytes */
    uint64_t
        digest_work; /* sum of the hashes of records in the store, deletions already taken off */
    uint64_t state_digest;        /* as of the last drain */
    struct cb_map loading_bodies; /* between jsm_load_record and jsm_load_done */
};

/* ---- jsm.c ---- */
void jsm_digest_fold(struct jsm *m, const uint64_t *words, uint32_t n);

/* ---- jsm_record.c: dirty tracking ---- */
/* What jsm_state_digest would be after a drain now. Takes as long as one. */
uint64_t jsm_digest_of_records(struct jsm *m);
#define JSM_KEY_SIZE 17 /* kind, two big-endian numbers */
void jsm_key_write(uint8_t key[JSM_KEY_SIZE], enum jsm_record_kind kind, uint64_t a, uint64_t b);
void jsm_stored_init(struct jsm_stored *s, enum jsm_record_kind kind);
void jsm_mark(struct jsm *m, struct jsm_stored *s);
/* The object dies: its record, if there is one, goes with the next drain. */
void jsm_forget(struct jsm *m, struct jsm_stored *s);
void jsm_forget_key(
    struct jsm *m, uint64_t hash, enum jsm_record_kind kind, uint64_t a, uint64_t b);
uint64_t jsm_record_hash(struct cb_span key, struct cb_span value);

/* ---- jsm_session.c ---- */
struct jsm_session *
jsm_session_create(struct jsm *m, uint64_t id, struct cb_span name, struct cb_span address);
void jsm_session_destroy(struct jsm_session *s);
/* Closes its connections in order of opening, then ends it; at once, or over several entries. */
void jsm_session_end(struct jsm_session *s);
/* Its release is done. */
void jsm_session_finish(struct jsm_session *s);
/* Nobody finds it any more, but its connections and jobs are there. */
void jsm_session_hide(struct jsm_session *s);
void jsm_session_touch(struct jsm_session *s);
void jsm_session_ack(struct jsm_session *s, uint64_t number);
void jsm_session_suspend(struct jsm_session *s, bool suspended);
void jsm_session_keep(struct jsm_session *s, uint64_t number, struct jsm_kept *k);
struct jsm_kept *jsm_session_kept(const struct jsm_session *s, uint64_t number);
/* Makes the next result of the connection's session. `job` is set for RESERVED only. */
void jsm_result(struct jsm_conn *c,
                uint64_t request,
                enum jsm_outcome outcome,
                uint64_t id,
                uint32_t count,
                const struct jsm_job *job);

/* ---- jsm_conn.c ---- */
struct jsm_conn *jsm_conn_create(struct jsm_session *s, uint64_t number, uint64_t seq);
/* Hidden ones too. */
struct jsm_conn *jsm_conn_get(const struct jsm_session *s, uint64_t number);
/* Releases what it holds, in the order of reservation, and frees it; or all of it in one moment
 * later, when that is much. */
void jsm_conn_close(struct jsm_conn *c);
/* Leaves the tubes and the counts; only its jobs know of it then. */
void jsm_conn_hide(struct jsm_conn *c);
/* The same for one that is in no tube. */
void jsm_conn_retire(struct jsm_conn *c);
/* It is hidden and its jobs are given back. */
void jsm_conn_finish(struct jsm_conn *c);
/* Frees it without any effect on others. */
void jsm_conn_destroy(struct jsm_conn *c);
void jsm_conn_use(struct jsm_conn *c, struct jsm_tube *t);
struct jsm_watch *jsm_conn_find_watch(const struct jsm_conn *c, const struct jsm_tube *t);
void jsm_conn_watch(struct jsm_conn *c, struct jsm_tube *t);
void jsm_conn_ignore(struct jsm_conn *c, struct jsm_watch *w);
void jsm_conn_set_producer(struct jsm_conn *c);
void jsm_conn_set_worker(struct jsm_conn *c);
/* To be called when a held job, the wait or the session's suspension changed. */
void jsm_conn_update_timer(struct jsm_conn *c);

/* ---- jsm_tube.c ---- */
struct jsm_tube *jsm_tube_create(struct jsm *m, uint64_t id, struct cb_span name, uint32_t place);
void jsm_tube_destroy(struct jsm_tube *t);
struct jsm_tube *jsm_tube_find(const struct jsm *m, struct cb_span name);
struct jsm_tube *jsm_tube_get_or_make(struct jsm *m, struct cb_span name);
/* Ends the tube when nothing refers to it any more. */
void jsm_tube_release(struct jsm_tube *t);
void jsm_tube_pause(struct jsm_tube *t, uint32_t seconds);
void jsm_tube_unpause(struct jsm_tube *t);
void jsm_tube_update_timer(struct jsm_tube *t);
uint64_t jsm_tube_n_jobs(const struct jsm_tube *t);
uint64_t jsm_tube_n_ready(const struct jsm_tube *t);
/* The first of its ready jobs by priority and id; NULL when there is none. */
struct jsm_job *jsm_tube_best(const struct jsm_tube *t);
/* As many jobs became ready, without entering the heap of those; their old state is uncounted. */
void jsm_tube_add_lazy(struct jsm_tube *t, uint64_t n, uint64_t urgent);
/* To be called when several jobs or waiters came: they are to be matched if they can be. */
void jsm_tube_note(struct jsm_tube *t);
void jsm_tube_set_unmatched(struct jsm_tube *t);
bool jsm_unmatched_less(const struct cb_heap_node *a, const struct cb_heap_node *b);
bool jsm_watch_less(const struct cb_heap_node *a, const struct cb_heap_node *b);

/* ---- jsm_job.c ---- */
struct jsm_job *jsm_job_create(struct jsm *m, uint64_t id, struct jsm_tube *t, struct jsm_body *b);
struct jsm_job *jsm_job_get(const struct jsm *m, uint64_t id);
/* From the queue of its state to another state's. READY does not look for waiters: who calls does.
 */
void jsm_job_to_ready(struct jsm_job *j);
void jsm_job_to_delayed(struct jsm_job *j, uint32_t delay);
void jsm_job_to_reserved(struct jsm_job *j, struct jsm_conn *c);
void jsm_job_to_buried(struct jsm_job *j);
/* For loading: enters the queue of `state` with deadline, seq and holder as set by the caller. */
void jsm_job_place(struct jsm_job *j, enum jsm_job_state state);
/* A lazy job, out of its lot, goes among the ready ones, as which it is counted already. */
void jsm_job_settle_ready(struct jsm_job *j);
void jsm_job_touch(struct jsm_job *j);
void jsm_job_delete(struct jsm_job *j);
void jsm_job_destroy(struct jsm_job *j);
bool jsm_held_less(const struct cb_heap_node *a, const struct cb_heap_node *b);
bool jsm_ready_less(const struct cb_heap_node *a, const struct cb_heap_node *b);

static inline struct jsm_job *jsm_job_of(struct cb_heap_node *n)
{
    return n == NULL ? NULL : CB_CONTAINER(n, struct jsm_job, node);
}

/* ---- jsm_body.c ---- */
void jsm_bodies_init(struct jsm *m);
void jsm_bodies_fini(struct jsm *m);
struct jsm_body *jsm_body_create(struct jsm *m, struct cb_span bytes);
/* As the store has it: away when there is no more room for it. */
struct jsm_body *jsm_body_load(struct jsm *m, struct cb_span bytes, uint64_t hash);
struct jsm_body *jsm_body_ref(struct jsm_body *b);
void jsm_body_unref(struct jsm *m, struct jsm_body *b, uint64_t job_id);
/* Whatever refers to it. */
void jsm_body_free(struct jsm *m, struct jsm_body *b);
/* The bytes; NULL and their length when they are away. */
struct cb_span jsm_body_span(const struct jsm_body *b);
/* Of its record. */
uint64_t jsm_body_hash(uint64_t job_id, const struct jsm_body *b);
/* The job's body is in the store, or about to be: from the next jsm_shed_bodies on it may leave. */
void jsm_body_list(struct jsm *m, const struct jsm_job *j);
/* The job dies. */
void jsm_body_unlist(struct jsm *m, struct jsm_body *b);

/* ---- jsm_reserve.c ---- */
void jsm_reserve(struct jsm_conn *c, uint64_t request, bool has_timeout, uint32_t seconds);
/* Ends the wait with this outcome. */
void jsm_wait_end(struct jsm_conn *c, enum jsm_outcome outcome);
/* Enters the wait of `c`, whose fields are set, in the tubes that it watches. */
void jsm_wait_enter(struct jsm_conn *c);
/* Takes `c` off the tubes' waiters, without an answer. */
void jsm_wait_leave(struct jsm_conn *c);
/* The job became ready in its tube: it goes to the longest waiter, if one may have it. */
void jsm_offer(struct jsm_job *j);
/* The longest waiter that may be served; NULL when there is none. */
struct jsm_conn *jsm_first_waiter(const struct jsm_tube *t);
/* Matches ready jobs and waiters of the unmatched tubes, a step each, as long as there are some. */
void jsm_match(struct jsm *m);
/* Others that wait in a tube of this connection are to be served first. */
bool jsm_must_queue(const struct jsm_conn *c);

/* ---- jsm_due.c ---- */
void jsm_timer_init(struct jsm_timer *t);
/* `at_ns` JSM_NEVER takes it out. */
void jsm_timer_set(
    struct jsm *m, struct jsm_timer *t, uint64_t at_ns, enum jsm_due_kind kind, uint64_t id);
bool jsm_timer_less(const struct cb_heap_node *a, const struct cb_heap_node *b);
void jsm_run_due(struct jsm *m);

/* ---- jsm_ops.c ---- */
void jsm_request(struct jsm_session *s, uint64_t number, const struct jsm_command *cmd);

/* a + b, or the greatest time short of JSM_NEVER. */
static inline uint64_t jsm_time_add(uint64_t a_ns, uint64_t b_ns)
{
    return b_ns > JSM_NEVER - 1 - a_ns ? JSM_NEVER - 1 : a_ns + b_ns;
}

static inline uint64_t jsm_seconds(uint32_t s)
{
    return (uint64_t)s * CB_NS_PER_S;
}

#endif
