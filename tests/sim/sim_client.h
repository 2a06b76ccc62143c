/* A client of beanstalkd that nobody wrote by hand: from a seed it sends commands, many at once and
 * in random pieces, reads what comes back, and keeps the history of it. Sans I/O: whoever owns it
 * moves the bytes and the time, so that it can speak to a simulated proxy, or to a real one.
 *
 * It behaves as clients do: it holds jobs and finishes them in every possible way, waits, gives up,
 * half-closes, disconnects in the middle of a command, and now and then sends nonsense.
 *
 * Owns:     its buffers; records go to the history that it was given.
 * Threads:  one.
 * Errors:   an answer that no beanstalkd gives to that command is told to `broken`; no call may
 *           follow but sim_client_destroy. */
#ifndef CB_TESTS_SIM_SIM_CLIENT_H
#define CB_TESTS_SIM_SIM_CLIENT_H

#include "common/base/cb_buf.h"
#include "common/base/cb_rng.h"
#include "common/base/cb_span.h"
#include "history/history.h"

struct sim_client;

/* What the commands are like; each value is per mille unless said otherwise. */
struct sim_client_profile {
    uint32_t think_ns_max; /* between commands: uniform from 0 */
    uint32_t depth_max;    /* commands on their way at once, 1: no pipelining */
    uint32_t tubes;        /* how many names, shared by all clients */
    uint32_t weight_put, weight_reserve, weight_finish; /* finish: of a job it holds, any way */
    uint32_t weight_look;                               /* peeks, stats, lists */
    uint32_t weight_kick;                               /* kick, kick-job, pause-tube */
    uint32_t weight_tubes;                              /* use, watch, ignore */
    uint32_t weight_nonsense;                           /* lines that are refused */
    uint32_t weight_leave; /* half-close, disconnect, quit: with or without answers outstanding */
    uint32_t body_max;     /* bytes; most bodies are small, some this large */
    uint32_t ttr_max_s;    /* 1 to this, short ones more often */
    uint32_t delay_max_s;
    uint32_t delayed, with_timeout, reserve_job; /* of the puts, of the reserves */
    uint32_t priorities;                         /* how many different ones */
    uint32_t guessed; /* of the ids it asks for: those that nobody has seen yet */
    bool too_big;     /* some of the nonsense are jobs over the server's limit of 65,535 bytes */
};

/* Profiles by number, drawn per client; sim_client_profile_count of them: workers, producers, those
 * who do everything at once, those who look, those who hold jobs for long, large bodies, a single
 * busy tube, many tubes. */
extern const uint32_t sim_client_profile_count;
const struct sim_client_profile *sim_client_profile(uint32_t number);

/* What clients of one run know together: tubes, ids that were seen, tokens. */
struct sim_client_shared;

struct sim_client_shared *sim_client_shared_create(struct history *h);
void sim_client_shared_destroy(struct sim_client_shared *s);

struct sim_client_env {
    void *data;
    void (*broken)(void *data, const char *sentence);
};

/* `conn` is the history's number of the connection, which begins now. */
struct sim_client *sim_client_create(struct sim_client_shared *s,
                                     const struct sim_client_profile *profile,
                                     const struct sim_client_env *env,
                                     uint32_t conn,
                                     uint64_t seed,
                                     uint64_t now_ns);
/* The connection is gone for whatever reason, and told so before by sim_client_closed. */
void sim_client_destroy(struct sim_client *c);

/* When it next wants sim_client_wake; UINT64_MAX: only when something comes. */
uint64_t sim_client_wake_ns(const struct sim_client *c);
void sim_client_wake(struct sim_client *c, uint64_t now_ns);
/* What it has to send: the owner takes any part of the front, at its own pace, and consumes it. */
struct cb_buf *sim_client_output(struct sim_client *c);
void sim_client_received(struct sim_client *c, struct cb_span bytes, uint64_t now_ns);

enum sim_client_wish {
    SIM_CLIENT_STAYS,
    SIM_CLIENT_HALF_CLOSES, /* after its output is taken */
    SIM_CLIENT_CLOSES,      /* now */
};
enum sim_client_wish sim_client_wish(const struct sim_client *c);
/* It was told that it holds the job, and has not ended that since. */
bool sim_client_holds(const struct sim_client *c, uint64_t job);
/* The connection has ended; by itself, or the server closed it. Records HIST_CLOSE. */
void sim_client_closed(struct sim_client *c, uint64_t now_ns);

/* From now on: no new work but what ends what it holds; then it closes. For the end of a run. */
void sim_client_wind_down(struct sim_client *c, uint64_t now_ns);
/* A client that drains instead: kicks every tube known to `s`, reserves and deletes until nothing
 * has come for `quiet_ns`, looks at stats once, then closes. */
struct sim_client *sim_client_create_drain(struct sim_client_shared *s,
                                           const struct sim_client_env *env,
                                           uint32_t conn,
                                           uint64_t quiet_ns,
                                           uint64_t now_ns);

#endif
