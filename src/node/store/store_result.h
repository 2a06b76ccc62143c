/* How calls of the store end, and the sentence that goes with it.
 * Threads: any. */
#ifndef CB_NODE_STORE_STORE_RESULT_H
#define CB_NODE_STORE_STORE_RESULT_H

#include "common/base/cb_assert.h"
#include "common/base/cb_limits.h"

enum store_result {
    STORE_OK,
    STORE_NOT_FOUND,
    STORE_MORE,           /* internal to a reader: bytes are missing; no call of store.h gives it */
    STORE_STOPPED,        /* the caller's own function said so */
    STORE_LOCKED,         /* another process has the directory */
    STORE_WRONG_IDENTITY, /* the directory belongs to another node or cluster */
    STORE_NEWER_FORMAT,   /* written by a later version of coolbeans */
    STORE_CORRUPT,        /* what lies on disk is not what was written */
    STORE_BAD_DUMP,       /* a dump that is cut short, damaged, or not one */
    STORE_FULL,           /* no room on the disk */
    STORE_IO,             /* any other refusal of the system */
};

#define STORE_ERROR_MAX 512

struct store_error {
    char text[STORE_ERROR_MAX]; /* one line, no newline; set unless STORE_OK */
};

/* "corrupt", "locked", ...: for logs. */
const char *store_result_name(enum store_result result);

/* Writes the sentence and returns `result`. `err` may be NULL. */
enum store_result
store_fail(struct store_error *err, enum store_result result, const char *fmt, ...) CB_PRINTF(3, 4);

/* Whose directory a store is. */
struct store_identity {
    char node[CB_STORE_IDENTITY_MAX + 1];
    char cluster[CB_STORE_IDENTITY_MAX + 1];
};

#endif
