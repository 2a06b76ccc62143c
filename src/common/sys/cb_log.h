/* The log: one line per event, logfmt, the event's name first.
 *
 *     cb_log(CB_LOG_WARN, "upstream.lost", "node=%s err=\"%s\"", name, err);
 *
 * prints `<4>upstream.lost node=n1 err="..."` when stderr is the journal's (which adds time and
 * level itself), else `upstream.lost time=2026-01-31T10:00:00.123Z level=warn node=n1 err="..."`.
 * Event names are the operator's interface: keep them. error: needs a human; warn: degraded,
 * recovers by itself; info: lifecycle; debug: per request. Bodies of jobs are never logged. A value
 * that may hold a space is written in quotes by the caller.
 *
 * An event that comes more often than CB_LOG_BURST times in CB_LOG_WINDOW_NS is cut off until the
 * window ends; the event's next line is preceded by a `log.suppressed event=... count=...`. Debug
 * lines are not cut off: who turns them on wants them.
 *
 * Owns:     a process-wide table of event names.
 * Threads:  any may log; cb_log_init and the setters are called before there is a second thread.
 * Errors:   a line that stderr does not take is lost. */
#ifndef CB_COMMON_SYS_CB_LOG_H
#define CB_COMMON_SYS_CB_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/cb_assert.h"
#include "common/sys/cb_clock.h"

enum cb_log_level {
    CB_LOG_ERROR,
    CB_LOG_WARN,
    CB_LOG_INFO,
    CB_LOG_DEBUG,
};

/* One whole line with its newline; called under the log's lock: it must not log. */
typedef void (*cb_log_sink_fn)(void *ctx, const char *line, size_t len);

struct cb_log_config {
    enum cb_log_level level;      /* what is more verbose is dropped */
    cb_log_sink_fn sink;          /* NULL: stderr */
    void *sink_ctx;               /* handed to `sink` */
    const struct cb_clock *clock; /* NULL: cb_clock_system() */
    bool journal;                 /* syslog prefix <N> instead of time and level */
};

/* Info level, stderr, and `journal` as JOURNAL_STREAM says: what holds until cb_log_init is called.
 */
struct cb_log_config cb_log_config_default(void);
/* Also forgets what was counted. */
void cb_log_init(const struct cb_log_config *config);

void cb_log_set_level(enum cb_log_level level);
/* So that a caller can skip the work of making the arguments. */
bool cb_log_enabled(enum cb_log_level level);
/* "error", "warn", "info" or "debug"; false for anything else. */
bool cb_log_level_parse(const char *text, enum cb_log_level *out);

/* `event` is a string literal: it is kept. Control characters in the line become '?'. */
void cb_log(enum cb_log_level level, const char *event, const char *fmt, ...) CB_PRINTF(3, 4);

#endif
