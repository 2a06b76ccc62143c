/* What clients of the queue saw: one record per command of one connection, with the moments at
 * which it was sent and answered. The checkers of history_check.h judge it and nothing else, so
 * that they share no belief with the code under test (properties P1 to P12 and P14 of
 * docs/GUARANTEES.md).
 *
 * Job bodies under test begin with a token that no other put of the history has, so that a job is
 * known without its id.
 *
 * Owns:     its records.
 * Threads:  one.
 * Time:     nanoseconds of one clock, the observer's: not that of a node. */
#ifndef CB_TESTS_HISTORY_HISTORY_H
#define CB_TESTS_HISTORY_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HIST_NEVER UINT64_MAX /* not answered: the connection died first */

enum hist_op {
    HIST_CONNECT = 1, /* completes at once; the connection uses and watches "default" */
    HIST_CLOSE,       /* `invoke`: when the client closed it or, by_server, saw it closed. A quit or
                         a half-close counts as the client's close from when it was sent, although
                         answers may still come. The last record of a connection. The server may
                         see it at any time afterwards. */
    HIST_PUT,
    HIST_USE,
    HIST_WATCH,
    HIST_IGNORE,
    HIST_RESERVE, /* also with timeout: `timeout` */
    HIST_RESERVE_JOB,
    HIST_DELETE,
    HIST_RELEASE,
    HIST_BURY,
    HIST_TOUCH,
    HIST_KICK,
    HIST_KICK_JOB,
    HIST_PAUSE_TUBE,
    HIST_PEEK,         /* by id */
    HIST_PEEK_READY,   /* of the used tube */
    HIST_PEEK_DELAYED, /* of the used tube */
    HIST_PEEK_BURIED,  /* of the used tube */
    HIST_STATS_JOB,
    HIST_STATS_TUBE,
    HIST_STATS,
    HIST_LIST,  /* any of the list commands */
    HIST_OTHER, /* a line that has no effect: malformed, unknown, too big a job */
    HIST_OP_END
};

enum hist_result {
    HIST_UNKNOWN = 0, /* not answered; or HIST_CONNECT, HIST_CLOSE */
    HIST_OK, /* the word of success: INSERTED, RESERVED, FOUND, DELETED, RELEASED, BURIED, TOUCHED,
                KICKED, USING, WATCHING, PAUSED, OK */
    HIST_NOT_FOUND,
    HIST_INSERTED_BURIED, /* put: BURIED id. Release: BURIED */
    HIST_TIMED_OUT,
    HIST_DEADLINE_SOON,
    HIST_NOT_IGNORED,
    HIST_REJECTED, /* DRAINING, JOB_TOO_BIG, EXPECTED_CRLF, BAD_FORMAT, UNKNOWN_COMMAND */
    HIST_NO_ROOM,  /* put: OUT_OF_MEMORY, while the cluster may hold no more */
    HIST_ERROR,    /* OUT_OF_MEMORY else, INTERNAL_ERROR, or anything no client may see */
    HIST_RESULT_END
};

/* What stats-job says. */
enum hist_state {
    HIST_STATE_NONE = 0, /* not known */
    HIST_READY,
    HIST_RESERVED,
    HIST_DELAYED,
    HIST_BURIED,
    HIST_STATE_END
};

#define HIST_TUBE_DEFAULT 1 /* the number of "default" in every history */

struct hist_record {
    uint64_t invoke_ns;
    uint64_t complete_ns; /* HIST_NEVER */
    uint32_t conn;        /* never used again */
    enum hist_op op;
    enum hist_result result;
    uint32_t tube; /* of the op, or the used one (put, kick, peeks): history_tube's number; 0: none
                          */
    uint64_t id;   /* asked for, or answered */
    uint64_t
        token[2]; /* put: of the body. Reserves and peeks answered OK: what the body began with */
    uint64_t body_hash; /* the same: of the whole body (0: not known), and its length */
    uint32_t body_len;
    uint32_t pri;     /* put, release, bury */
    uint32_t delay_s; /* put, release, pause-tube */
    uint32_t ttr_s;   /* put */
    uint32_t bound;   /* kick */
    uint32_t count;   /* kick: answered */
    int64_t timeout;  /* reserve: seconds, -1: none */
    /* stats, stats-tube answered OK: current-jobs-ready, -reserved, -delayed, -buried together */
    uint64_t jobs;
    bool has_jobs;         /* `jobs` was read */
    bool by_server;        /* close: the client did nothing that makes a server close */
    enum hist_state state; /* stats-job answered OK */
};

/* A record of that command says which tube it is about. */
bool hist_op_needs_tube(enum hist_op op);

struct history;

struct history *history_create(void);
void history_destroy(struct history *h);

/* The number of a tube's name, from 1; the same for the same name. */
uint32_t history_tube(struct history *h, const char *name);
const char *history_tube_name(const struct history *h, uint32_t tube);
/* The record's place; those of one connection are in the order of its commands. `complete_ns` is
 * HIST_NEVER and `result` HIST_UNKNOWN until it is answered. */
size_t history_invoke(struct history *h, const struct hist_record *r);
/* To be completed by the caller; valid until the next history_invoke. */
struct hist_record *history_at(struct history *h, size_t place);
size_t history_count(const struct history *h);
/* All of them, by place; valid until the next history_invoke. */
const struct hist_record *history_records(const struct history *h);
/* Tubes are numbered from 1 to this. */
uint32_t history_tube_count(const struct history *h);

/* A bijection of `n` to tokens, and text of 32 hex digits that bodies begin with. */
void history_token(uint64_t n, uint64_t token[2]);
void history_token_text(const uint64_t token[2], char text[33]);
bool history_token_parse(const char *text, size_t len, uint64_t token[2]);

#endif
