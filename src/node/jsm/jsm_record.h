/* Numbers in stored records that writing (jsm_record.c) and loading (jsm_load.c) share.
 *
 * Owns: the record format's version. A change of any layout raises it and keeps the old reader.
 * Threads: any. */
#ifndef CB_NODE_JSM_JSM_RECORD_H
#define CB_NODE_JSM_JSM_RECORD_H

#define JSM_RECORD_FORMAT 4
#define JSM_RECORD_FORMAT_LIMITS 2 /* since when the globals hold the limits */
#define JSM_RECORD_FORMAT_SPACE 3  /* and whether the disks are short of space */
#define JSM_RECORD_FORMAT_CLOCK 4  /* and with which entry the clock began */
/* Since 3: splices of tubes, releases, hidden objects, the seq of delayed jobs. What a record of
 * before does not have is absent from one of now too when it is empty, so that one reader does. */

enum {
    JSM_SESSION_SUSPENDED = 1,
    JSM_SESSION_BLOCKED = 2,
    JSM_SESSION_ENDED = 4, /* a release follows */
    JSM_SESSION_FLAGS = 7
};

enum {
    JSM_CONN_PRODUCER = 1,
    JSM_CONN_WORKER = 2,
    JSM_CONN_HALF_CLOSED = 4,
    JSM_CONN_WAITING = 8,
    JSM_CONN_TIMED = 16,
    JSM_CONN_HIDDEN = 32,
    JSM_CONN_ENDED = 64, /* a release follows */
    JSM_CONN_FLAGS = 127
};

#endif
