/* Reads the beanstalkd protocol from one client connection, in pieces cut anywhere.
 *
 * Owns:      the line and the body that have arrived in part.
 * Does not:  know of sockets, time, tubes or draining; answer anything.
 * Threads:   one per parser.
 * Errors:    what the client wrote wrong is an outcome with the reply that it gets.
 * Source:    beanstalkd 1.13, doc/protocol.txt and prot.c. Two differences, where beanstalkd
 *            loses replies: a line of 223 bytes and one with a CR inside are BAD_FORMAT. */
#ifndef CB_PROXY_PROTOCOL_BS_PARSE_H
#define CB_PROXY_PROTOCOL_BS_PARSE_H

#include "common/base/cb_assert.h"
#include "common/base/cb_limits.h"
#include "proxy/protocol/bs_command.h"

enum bs_parse_result {
    BS_PARSE_MORE, /* all bytes were consumed; no outcome until more come */
    /* The line of a put was read: nothing to answer yet, but from now on the job's age counts, and
     * unless `too_big` is set the connection is a producer. The outcome of the put follows with the
     * same numbers: COMMAND, or ERROR with EXPECTED_CRLF (after `too_big`: with JOB_TOO_BIG). */
    BS_PARSE_PUT_LINE,
    BS_PARSE_COMMAND, /* a whole command */
    BS_PARSE_ERROR,   /* to be answered with `error`, in its turn */
};

enum bs_parse_state {
    BS_AT_LINE,      /* in a command line */
    BS_AT_LINE_REST, /* in what follows the first CB_LINE_MAX bytes of a line that is too long */
    BS_AT_BODY,      /* in a body */
    BS_AT_BODY_END,  /* in the two bytes behind a body */
    BS_AT_SKIP,      /* in a body that is too big, or in the two bytes behind it */
};

/* All fields are the parser's own. */
struct bs_parser {
    enum bs_parse_state state;
    uint32_t job_size_max;
    struct bs_command put; /* BODY, BODY_END, SKIP: what the line said */
    struct cb_buf body;    /* BODY, BODY_END: grows with what comes, not with what was announced */
    uint64_t skip_len;     /* SKIP: bytes still to throw away */
    uint8_t body_end_len;  /* BODY_END: how many of the two bytes have come */
    bool body_end_bad;     /* BODY_END: one of them was wrong */
    bool rest_after_cr;    /* LINE_REST: the byte before was a CR */
    uint8_t line_len;      /* LINE: bytes of a line that came in pieces */
    uint8_t line[CB_LINE_MAX];
};

/* A put of more than `job_size_max` bytes is JOB_TOO_BIG. */
void bs_parser_init(struct bs_parser *p, uint32_t job_size_max);
/* Drops what has arrived in part. */
void bs_parser_fini(struct bs_parser *p);

/* Reads from the front of `in` until there is one outcome or there are no more bytes; *consumed
 * says how far. Call again with the rest until BS_PARSE_MORE; or stop before, while a reserve
 * waits: the bytes behind it stay with the caller. After BS_OP_QUIT nothing more is to be read. */
CB_MUST_USE enum bs_parse_result
bs_parse(struct bs_parser *p, struct cb_span in, size_t *consumed, struct bs_command *command);

#endif
