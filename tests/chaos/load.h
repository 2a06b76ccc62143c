/* The load of the chaos rig: many connections that speak the beanstalkd protocol, and the history
 * of what they saw, streamed to a file (history_file.h).
 *
 * One thread, epoll. Each connection has a role (load_role.c) that says which commands it sends;
 * load_conn.c carries bytes, connects again what was closed, and has the line of commands without
 * an answer; load_answer.c makes records of answers; load_drain.c empties the queue at the end.
 *
 * Owns:     the connections and the history's file.
 * Threads:  one. */
#ifndef CB_TESTS_CHAOS_LOAD_H
#define CB_TESTS_CHAOS_LOAD_H

#include <netinet/in.h>
#include <stdio.h>

#include "common/base/cb_buf.h"
#include "common/base/cb_rng.h"
#include "history/history.h"

#define LOAD_MS UINT64_C(1000000)
#define LOAD_S (1000 * LOAD_MS)
#define LOAD_NEVER UINT64_MAX

#define LOAD_PENDING_MAX 16 /* commands without an answer, of one connection */
#define LOAD_TUBES 5        /* "default" is none of them: leftovers there are not ours */
#define LOAD_ADDRESSES_MAX 8
#define LOAD_RECENT 4096 /* ids that those who look know of */
#define LOAD_NEWEST 128
#define LOAD_DRAINERS 16
#define LOAD_BACKLOG                                                                               \
    10000 /* producers wait while so many jobs are there: a slow machine shall not
                              end with hours of draining */
#define LOAD_TOKEN_LEN 32

/* A keeper is a worker that says nothing for a long time while it holds a job: whoever believes it
 * dead and gives the job away is found out. A reader is a looker that changes nothing, so that it
 * waits for no entry: whoever answers it from what is old is found out. */
enum load_role { LOAD_PRODUCER, LOAD_WORKER, LOAD_KEEPER, LOAD_LOOKER, LOAD_READER, LOAD_DRAINER };

enum load_phase {
    LOAD_WORKS,
    LOAD_STOPS,  /* no new work; what is on its way is waited for */
    LOAD_DRAINS, /* a few connections take out what is left */
    LOAD_ENDED,
};

struct load_options {
    struct sockaddr_in addresses[LOAD_ADDRESSES_MAX];
    unsigned n_addresses;
    unsigned producers, workers, keepers, lookers, readers;
    double rate; /* puts a second of all producers together */
    uint64_t seed;
    const char *history;
    uint64_t patience_ns; /* how long a stop or a drain may take */
    bool is_plain; /* no pauses of tubes, no short ttrs, no connections that end by themselves */
};

struct load_counts {
    uint64_t acked, deleted, reserved;
    uint64_t errors;  /* replies that no client may see, misfits among them */
    uint64_t misfits; /* an answer that is none to the command whose turn it was */
    uint64_t closed;  /* by the server */
    uint64_t refused; /* connects that failed */
    uint64_t unanswered;
    uint64_t newest_ns; /* when the latest put that has its answer was sent */
};

struct load;

struct load_conn {
    struct load *load;
    enum load_role role;
    unsigned place;
    struct cb_rng rng;
    int fd; /* -1: not connected */
    bool is_open;
    bool is_over;     /* it will not connect again */
    uint32_t number;  /* of this connection in the history */
    uint64_t wake_ns; /* when its role, or the next connect, is due */
    struct hist_record pending[LOAD_PENDING_MAX];
    unsigned first, count;
    struct cb_buf in, out;
    /* of the role */
    uint32_t tube;     /* that it uses, a place in load.tubes */
    bool is_greeted;   /* its use and watch commands are sent */
    uint64_t job;      /* that it holds; 0: none */
    bool is_short;     /* that job's ttr is a short one */
    bool reserves;     /* a reserve is on its way */
    unsigned drain_at; /* what the drainer does next */
    uint64_t drain_kicked;
};

struct load {
    struct load_options options;
    struct load_counts counts;
    enum load_phase phase;
    uint64_t now_ns;
    uint64_t phase_since_ns;
    int epoll_fd;
    struct load_conn *conns;
    unsigned n_conns;
    struct load_conn drainers[LOAD_DRAINERS];
    struct history *names; /* numbers of tubes, no records */
    uint32_t tubes[LOAD_TUBES];
    FILE *file;
    struct cb_buf line;
    uint64_t tokens;
    uint32_t numbers;
    uint64_t recent[LOAD_RECENT];
    uint64_t n_recent;
    bool is_empty; /* a drainer has seen that no job is left */
};

uint64_t load_clock_ns(void);

/* ---- load_conn.c ---- */
void load_conn_init(struct load_conn *c, struct load *l, enum load_role role, unsigned place);
void load_conn_fini(struct load_conn *c);
/* Connects when that is due, and lets the role act when it is. */
void load_conn_turn(struct load_conn *c);
void load_conn_event(struct load_conn *c, uint32_t events);
/* Ends it by our own will: the record of the close is ours. */
void load_conn_leave(struct load_conn *c);
/* Puts the record at the end of the line; the caller has appended the command to c->out. */
void load_conn_sent(struct load_conn *c, const struct hist_record *r);
void load_conn_write(struct load_conn *c, const struct hist_record *r);
const char *load_tube_name(const struct load *l, uint32_t tube);

/* ---- load_answer.c ---- */
enum load_taken { LOAD_NOT_WHOLE, LOAD_TAKEN };
/* Takes one answer from the front of c->in, completes the oldest pending record with it, writes
 * that, and tells the role. */
enum load_taken load_answer_take(struct load_conn *c);

/* ---- load_role.c ---- */
void load_role_turn(struct load_conn *c);
void load_role_answered(struct load_conn *c, const struct hist_record *r);

/* ---- load_send.c: a command and its record ---- */
void load_send_put(struct load_conn *c);
void load_send_tube(struct load_conn *c, enum hist_op op, uint32_t tube);
/* timeout < 0: none. */
void load_send_reserve(struct load_conn *c, int64_t timeout);
/* peek, stats-job, delete, touch, kick-job, reserve-job */
void load_send_job(struct load_conn *c, enum hist_op op, uint64_t id);
void load_send_release(struct load_conn *c, uint64_t id, uint32_t pri, uint32_t delay_s);
void load_send_bury(struct load_conn *c, uint64_t id, uint32_t pri);
/* Of the used tube: kick (bound), peek-ready, peek-delayed, peek-buried. */
void load_send_used(struct load_conn *c, enum hist_op op, uint32_t bound);
void load_send_stats(struct load_conn *c);
void load_send_pause(struct load_conn *c, uint32_t tube, uint32_t delay_s);

/* ---- load_drain.c ---- */
void load_drain_turn(struct load_conn *c);
void load_drain_answered(struct load_conn *c, const struct hist_record *r);

#endif
