/* One outcome of the parser: a command as the client wrote it, or what is wrong with it.
 *
 * Owns:    the body of a put, see below.
 * Threads: as its parser.
 * Errors:  `error` is what the client did wrong. */
#ifndef CB_PROXY_PROTOCOL_BS_COMMAND_H
#define CB_PROXY_PROTOCOL_BS_COMMAND_H

#include "common/base/cb_buf.h"
#include "proxy/protocol/bs_word.h"

/* Fields that the command does not have are 0, and so are all but the first three after an error in
 * a line.
 *
 * `counted` says for which op a counter of `stats` goes up by one, if the op has one
 * (bs_word_counter), and is BS_OP_NONE when none does. In detail:
 * - Every BS_PARSE_COMMAND counts for its op, whatever its answer will be (NOT_FOUND, NOT_IGNORED,
 *   TIMED_OUT, DRAINING...); but a put counts at its BS_PARSE_PUT_LINE and not again.
 * - A BS_PARSE_ERROR counts in two cases only: a put with four good numbers and bytes behind them;
 *   a pause-tube with a good number and a name of good letters too long or starting with '-'. */
struct bs_command {
    enum bs_op op; /* BS_OP_NONE: an error in a line without a known word */
    enum bs_op counted;
    enum bs_reply error; /* BAD_FORMAT, UNKNOWN_COMMAND, JOB_TOO_BIG, EXPECTED_CRLF; or none */
    bool too_big;        /* put: the body is over the limit and is thrown away as it comes */
    uint32_t pri;        /* put, release, bury */
    uint32_t delay_s;    /* put, release; pause-tube: how long */
    uint32_t ttr_s;      /* put; at least 1 */
    uint32_t body_len;   /* put: as announced */
    uint32_t timeout_s;  /* reserve-with-timeout; at most CB_RESERVE_TIMEOUT_MAX */
    uint32_t count;      /* kick */
    uint64_t id;         /* commands on one job; any number that a client may write */
    struct cb_span tube; /* borrowed from the input or the parser until the next bs_parse */
    struct cb_buf body;  /* put, with BS_PARSE_COMMAND only: `body_len` bytes, now the caller's */
};

#endif
