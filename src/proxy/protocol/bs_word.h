/* The command words and reply words of the beanstalkd protocol, from the one list in bs_word.def.
 *
 * Owns:    the enumerations and the texts that belong to them.
 * Threads: any; all is constant.
 * Errors:  none. */
#ifndef CB_PROXY_PROTOCOL_BS_WORD_H
#define CB_PROXY_PROTOCOL_BS_WORD_H

#include "common/base/cb_span.h"

enum bs_op {
    BS_OP_NONE, /* no command; so that a zeroed struct names none */
#define BS_COMMAND(op, word, arguments, counter) BS_OP_##op,
#include "proxy/protocol/bs_word.def"
};

/* The size of an array that is indexed by enum bs_op. */
enum {
    BS_OP_COUNT = 1
#define BS_COMMAND(op, word, arguments, counter) +1
#include "proxy/protocol/bs_word.def"
};

/* The counters of commands in `stats`, numbered from 0 as everywhere in the system. */
enum bs_counter {
#define X(symbol, key) BS_COUNTER_##symbol,
#include "common/base/cb_counter.def"
#undef X
    BS_COUNTER_NONE, /* reserve-job, kick-job and quit have none */
};

enum { BS_COUNTER_COUNT = BS_COUNTER_NONE };

enum bs_reply {
    BS_REPLY_NONE,
#define BS_REPLY(word) BS_REPLY_##word,
#include "proxy/protocol/bs_word.def"
};

/* What must follow a command's word. A number is any count of blanks, then digits. */
enum bs_args {
    BS_ARGS_NONE,         /* nothing, not even a blank */
    BS_ARGS_ANYTHING,     /* whatever */
    BS_ARGS_ID,           /* u64 */
    BS_ARGS_ID_PRI,       /* u64 u32 */
    BS_ARGS_ID_PRI_DELAY, /* u64 u32 u32 */
    BS_ARGS_TIMEOUT,      /* u32 up to CB_RESERVE_TIMEOUT_MAX, then whatever */
    BS_ARGS_COUNT,        /* what strtoul reads, then whatever */
    BS_ARGS_TUBE,         /* a tube name */
    BS_ARGS_TUBE_DELAY,   /* any count of blanks, a tube name, u32 */
    BS_ARGS_PUT,          /* u32 u32 u32 u32; a body follows the line */
};

/* The command that `line` (without its CRLF) begins with; BS_OP_NONE when there is no such word.
 * The arguments start at *args_at. */
enum bs_op bs_word_match(struct cb_span line, size_t *args_at);
enum bs_args bs_word_args(enum bs_op op);
/* "put", "peek-ready", ...: for messages. */
struct cb_span bs_word_name(enum bs_op op);
/* BS_COUNTER_NONE also for BS_OP_NONE. */
enum bs_counter bs_word_counter(enum bs_op op);
/* "NOT_FOUND" */
struct cb_span bs_word_reply(enum bs_reply reply);

#endif
