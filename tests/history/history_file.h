/* A history as text, so that one program can write it and another judge it.
 *
 * The first line is "coolbeans-history 1". Each other line is a record, those of one connection
 * in the order of its commands:
 *
 *     INVOKE COMPLETE CONN OP RESULT [NAME=VALUE ...]
 *
 * INVOKE and COMPLETE are nanoseconds, COMPLETE is "-" when there was no answer. OP is connect
 * close put use watch ignore reserve reserve-job delete release bury touch kick kick-job pause-tube
 * peek peek-ready peek-delayed peek-buried stats-job stats-tube stats list other. RESULT is unknown
 * ok not-found buried timed-out deadline-soon not-ignored rejected no-room error (history.h says
 * which words of the protocol each stands for). The names, each at most once, 0 when missing:
 *
 *     tube=NAME id=N token=HEX32 hash=HEX len=N pri=N delay=N ttr=N bound=N count=N
 *     timeout=N (-1: none) jobs=N state=ready|reserved|delayed|buried by=server
 *
 * An empty line and a line that begins with '#' say nothing.
 *
 * Threads:  one. */
#ifndef CB_TESTS_HISTORY_HISTORY_FILE_H
#define CB_TESTS_HISTORY_HISTORY_FILE_H

#include <stdio.h>

#include "common/base/cb_buf.h"
#include "history/history.h"

/* One line without its end. */
void history_file_line(const struct history *h, const struct hist_record *r, struct cb_buf *out);
/* False when `to` could not be written. */
bool history_file_write(const struct history *h, FILE *to);
/* NULL and a sentence in `error` when a line is wrong or `from` could not be read. */
struct history *history_file_read(FILE *from, struct cb_buf *error);

#endif
