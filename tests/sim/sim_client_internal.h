/* What the files of sim_client share.
 *
 * A client is two state machines joined by a queue: what it has sent (sim_client_send.c, told what
 * by sim_client_choose.c or sim_client_drain.c), and what came back (sim_client_answer.c frames it,
 * sim_client_effect.c draws the conclusions). `used_sent` is as of the last command sent, all else
 * that it knows of itself is as of the last answer.
 *
 * Owns:     nothing.
 * Threads:  one. */
#ifndef CB_TESTS_SIM_SIM_CLIENT_INTERNAL_H
#define CB_TESTS_SIM_SIM_CLIENT_INTERNAL_H

#include "common/base/cb_limits.h"
#include "sim/sim_client.h"

#define SC_PIPELINE_MAX 64              /* commands on their way; more than any profile's depth */
#define SC_HELD_MAX 64                  /* jobs held, those about to be answered included */
#define SC_OUTPUT_MAX (256 * CB_KIB)    /* not taken by the owner: beyond it nothing new is sent */
#define SC_TUBES_MAX 64                 /* names of a run */
#define SC_SEEN_MAX 512                 /* ids remembered for commands on others' jobs */
#define SC_KNOWN_MAX 4096               /* ids whose ttr is remembered */
#define SC_LINE_MAX 512                 /* the longest line sent, also of nonsense */
#define SC_JOB_SIZE CB_JOB_SIZE_DEFAULT /* the server's limit */
#define SC_ID_LEN 32                    /* of the token that a body begins with */

/* X(kind, op of its record) */
#define SC_KINDS(X)                                                                                \
    X(PUT, PUT)                                                                                    \
    X(USE, USE)                                                                                    \
    X(WATCH, WATCH)                                                                                \
    X(IGNORE, IGNORE)                                                                              \
    X(RESERVE, RESERVE)                                                                            \
    X(RESERVE_TIMEOUT, RESERVE)                                                                    \
    X(RESERVE_JOB, RESERVE_JOB)                                                                    \
    X(DELETE, DELETE)                                                                              \
    X(RELEASE, RELEASE)                                                                            \
    X(BURY, BURY)                                                                                  \
    X(TOUCH, TOUCH)                                                                                \
    X(KICK, KICK)                                                                                  \
    X(KICK_JOB, KICK_JOB)                                                                          \
    X(PAUSE_TUBE, PAUSE_TUBE)                                                                      \
    X(PEEK, PEEK)                                                                                  \
    X(PEEK_READY, PEEK_READY)                                                                      \
    X(PEEK_DELAYED, PEEK_DELAYED)                                                                  \
    X(PEEK_BURIED, PEEK_BURIED)                                                                    \
    X(STATS_JOB, STATS_JOB)                                                                        \
    X(STATS_TUBE, STATS_TUBE)                                                                      \
    X(STATS, STATS)                                                                                \
    X(LIST_TUBES, LIST)                                                                            \
    X(LIST_USED, LIST)                                                                             \
    X(LIST_WATCHED, LIST)                                                                          \
    X(OTHER, OTHER)

enum sc_kind {
#define X(kind, op) SC_##kind,
    SC_KINDS(X)
#undef X
        SC_KIND_COUNT
};

/* A command on its way. */
struct sc_sent {
    enum sc_kind kind;
    size_t place;           /* of its record */
    uint16_t tube;          /* of the run; only where the command names one */
    uint32_t bound;         /* kick */
    uint64_t id;            /* commands on one job */
    const char *expect;     /* OTHER: the one answer, without its CRLF */
    char line[SC_LINE_MAX]; /* for messages */
};

/* A reservation, as far as the client knows: the ttr may have run out. */
struct sc_held {
    uint64_t id;
    uint64_t end_ns;   /* roughly */
    uint64_t alone_ns; /* it is left alone until then */
    uint32_t ttr_s;    /* a guess when another put it long ago */
    bool is_ending;    /* what ends it is on its way */
};

struct sc_known {
    uint64_t id;
    uint32_t ttr_s;
};

struct sim_client_shared {
    struct history *history;
    uint64_t tokens; /* given out */
    char tube_names[SC_TUBES_MAX][CB_TUBE_NAME_MAX + 1];
    uint32_t tube_numbers[SC_TUBES_MAX]; /* of the history, 0: not asked yet */
    bool tube_named[SC_TUBES_MAX];       /* somebody may have created it */
    uint64_t seen[SC_SEEN_MAX];          /* a ring */
    uint32_t seen_len, seen_next;
    uint64_t newest_id;
    struct sc_known known[SC_KNOWN_MAX]; /* by id */
};

enum sc_phase {
    SC_WORKS,
    SC_WINDS_DOWN,
    SC_LEAVES, /* its last command is sent */
    SC_DRAINS,
};

enum sc_drain_stage {
    SC_DRAIN_KICK,    /* uses, unpauses and kicks tube after tube */
    SC_DRAIN_WATCH,   /* watches tube after tube, once */
    SC_DRAIN_RESERVE, /* reserves and deletes; kicks again after each timeout */
    SC_DRAIN_STATS,
};

struct sim_client {
    struct sim_client_shared *shared;
    struct sim_client_profile profile;
    struct sim_client_env env;
    struct cb_rng rng;
    uint32_t conn;
    enum sc_phase phase;
    enum sim_client_wish wish;
    uint64_t wake_ns;
    bool is_broken;
    bool close_recorded;

    struct cb_buf out;
    uint16_t used_sent;                   /* as of what was sent */
    struct sc_sent sent[SC_PIPELINE_MAX]; /* a ring */
    uint32_t sent_first, n_sent;
    uint32_t n_reserves; /* of them, those that may bring a job */

    struct cb_buf in;
    size_t in_need; /* bytes of `in` before which no answer is whole */
    uint16_t used;
    uint16_t watched[SC_TUBES_MAX]; /* in the order of list-tubes-watched */
    uint32_t n_watched;
    struct sc_held held[SC_HELD_MAX];
    uint32_t n_held;

    enum sc_drain_stage drain_stage;
    uint16_t drain_tube;
    bool drain_watches; /* all tubes already */
    bool drain_burst;
    uint32_t drain_outstanding; /* reserves and deletes without an answer */
    uint64_t quiet_ns;
    uint64_t last_ns; /* when something last came out of the queue, or was kicked */
};

/* ---- sim_client.c ---- */

void sc_say_broken(struct sim_client *c, const char *line, struct cb_span answer, const char *why);
/* Nothing is sent after this; the record is made. */
void sc_leave(struct sim_client *c, enum sim_client_wish wish, uint64_t now_ns);

/* ---- sim_client_shared.c ---- */

const char *sc_tube_name(const struct sim_client_shared *s, uint16_t tube);
/* The history's number of it; from now on somebody may have created it. */
uint32_t sc_tube_number(struct sim_client_shared *s, uint16_t tube);
/* SC_TUBES_MAX: no tube of the run. */
uint16_t sc_tube_find(const struct sim_client_shared *s, struct cb_span name);
void sc_saw(struct sim_client_shared *s, uint64_t id);
void sc_learn_ttr(struct sim_client_shared *s, uint64_t id, uint32_t ttr_s);
/* 1 when it is not known. */
uint32_t sc_ttr_of(const struct sim_client_shared *s, uint64_t id);
/* Of a job that somebody saw, at times of none; `guessed` per mille: of one of the next puts. */
uint64_t sc_pick_id(const struct sim_client_shared *s, struct cb_rng *r, uint32_t guessed);

/* ---- sim_client_send.c: each appends one whole command and makes its record ---- */

bool sc_may_send(const struct sim_client *c);
bool sc_brings_job(enum sc_kind kind);
void sc_send_plain(struct sim_client *c, enum sc_kind kind, uint64_t now_ns);
void sc_send_id(struct sim_client *c, enum sc_kind kind, uint64_t id, uint64_t now_ns);
void sc_send_tube(struct sim_client *c, enum sc_kind kind, uint16_t tube, uint64_t now_ns);
void sc_send_put(struct sim_client *c,
                 uint32_t pri,
                 uint32_t delay_s,
                 uint32_t ttr_s,
                 uint32_t body_len,
                 uint64_t now_ns);
void sc_send_reserve_timeout(struct sim_client *c, uint32_t timeout_s, uint64_t now_ns);
void sc_send_release(
    struct sim_client *c, uint64_t id, uint32_t pri, uint32_t delay_s, uint64_t now_ns);
void sc_send_bury(struct sim_client *c, uint64_t id, uint32_t pri, uint64_t now_ns);
void sc_send_kick(struct sim_client *c, uint32_t bound, uint64_t now_ns);
void sc_send_pause(struct sim_client *c, uint16_t tube, uint32_t delay_s, uint64_t now_ns);
/* A line, or part of several, that is none of the above and gets `expect`. */
void sc_send_other(struct sim_client *c, struct cb_span bytes, const char *expect, uint64_t now_ns);

/* ---- sim_client_choose.c, sim_client_nonsense.c ---- */

/* Sends one command, or leaves. */
void sc_choose(struct sim_client *c, uint64_t now_ns);
/* Sends what ends one of the jobs held; false when all of them are on their way. */
bool sc_choose_ending(struct sim_client *c, uint64_t now_ns);
void sc_choose_leaving(struct sim_client *c, uint64_t now_ns);
void sc_choose_nonsense(struct sim_client *c, uint64_t now_ns);
/* The beginning of a command whose end never comes. */
void sc_append_beginning(struct sim_client *c);

/* ---- sim_client_answer.c ---- */

enum sc_shape {
    SC_WORD,   /* "DELETED" */
    SC_NUMBER, /* "INSERTED 1" */
    SC_TUBE,   /* "USING default" */
    SC_BODY,   /* "RESERVED 1 5", "FOUND 1 5" and a body */
    SC_YAML,   /* "OK 5" and a body */
    SC_TEXT,   /* OTHER: a given line */
};

struct sc_answer {
    struct cb_span whole; /* with every CRLF */
    enum sc_shape shape;
    enum hist_result result;
    uint64_t number;     /* NUMBER: the number; BODY: the id */
    struct cb_span text; /* TUBE: the name; BODY, YAML: the body */
};

/* Reads every answer that is whole. */
void sc_read_answers(struct sim_client *c, uint64_t now_ns);

/* ---- sim_client_effect.c ---- */

/* Completes the record. NULL, or what is wrong with the answer. */
const char *sc_take_effect(struct sim_client *c,
                           const struct sc_sent *s,
                           const struct sc_answer *a,
                           uint64_t now_ns);
struct sc_held *sc_held_find(struct sim_client *c, uint64_t id);

/* ---- sim_client_body.c ---- */

/* Appends the body of a token: what stands behind it follows from it. */
void sc_body_append(struct cb_buf *out, const uint64_t token[2], uint32_t len);
bool sc_body_is(struct cb_span body, const uint64_t token[2]);

/* ---- sim_client_yaml.c: NULL, or what is wrong with the body ---- */

const char *sc_yaml_stats(struct cb_span yaml, struct hist_record *record);
const char *sc_yaml_stats_tube(struct cb_span yaml, const char *name, struct hist_record *record);
const char *sc_yaml_stats_job(struct cb_span yaml,
                              const struct sim_client_shared *s,
                              struct hist_record *record);
/* Calls `each` for the names in order until it complains. */
const char *sc_yaml_list(struct cb_span yaml,
                         void *data,
                         const char *(*each)(void *data, uint32_t i, struct cb_span name));

/* ---- sim_client_drain.c ---- */

void sc_drain_start(struct sim_client *c, uint64_t now_ns);
/* After an answer: what comes next. */
void sc_drain_answered(struct sim_client *c,
                       enum sc_kind kind,
                       const struct hist_record *record,
                       uint64_t now_ns);

#endif
