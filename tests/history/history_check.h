/* Judges a history by the properties of a work queue, from what clients saw alone.
 *
 * A record whose outcome is not known may have taken effect at any time from its invocation on, or
 * never; a checker complains only of what no order of effects explains. O(n log n).
 *
 * Threads:  one.
 * Errors:   violations are counted and described; the first few of each property with the records
 *           they are about. */
#ifndef CB_TESTS_HISTORY_HISTORY_CHECK_H
#define CB_TESTS_HISTORY_HISTORY_CHECK_H

#include "common/base/cb_buf.h"
#include "history/history.h"

/* X(symbol, name, what it says) */
#define HIST_PROPERTIES(X)                                                                         \
    X(P1, "no loss", "a job whose put was answered is deleted, or there in the end")               \
    X(P2, "at most once", "one put makes at most one job")                                         \
    X(P3, "no invention", "every job read was put, with these bytes, in this tube")                \
    X(P4, "no resurrection", "a deleted job is not seen by what is asked afterwards")              \
    X(P5, "exclusive", "two reservations of one job do not overlap")                               \
    X(P6, "ttr not cut", "nobody else gets a job before its holder's ttr has run out")             \
    X(P7, "authority", "what needs the reservation succeeds for its holder alone")                 \
    X(P8, "ids", "unique, and rising between puts that follow each other")                         \
    X(P9, "order", "smaller priority first, then smaller id")                                      \
    X(P10, "kick", "kicks what is there, up to the bound")                                         \
    X(P11, "conservation", "what stats count is what was put less what was deleted")               \
    X(P12, "delay", "not before its delay, and not long after it")                                 \
    X(P14, "invisible", "no error reply; no close that the client did not cause; no long stall")

enum hist_property {
#define X(symbol, name, what) HIST_##symbol,
    HIST_PROPERTIES(X)
#undef X
        HIST_PROPERTY_COUNT
};

struct hist_check_options {
    bool is_drained; /* the history ends with a reserve and delete of everything, every tube
                                 kicked and every delay waited for: P1 holds it to that */
    /* By how much the cluster's clock may be ahead or behind over one ttr, delay, pause or timeout:
     * drift times its length, and what a change of leader costs. */
    uint64_t clock_error_ns;
    uint64_t closes_allowed; /* P14: connections that a fault may have closed; UINT64_MAX: any. 0
                                 also says that who closed by itself was connected up to then */
    uint64_t stall_max_ns;   /* P14: the longest time to an answer that needs no waiting; 0: any */
    uint64_t late_max_ns;    /* P12: how late a delayed job may be ready; 0: any */
    /* The two below make the checkers see more; 0 is always safe. */
    uint64_t close_notice_ns; /* the longest time from when a server closes a connection, for
                                 whatever fault, until its client sees that, the longest time that
                                 a proxy stands still included; 0: not known. With
                                 closes_allowed, a silent holder is trusted up to then only */
    uint64_t forgotten_ns; /* so long after its close a connection holds nothing, waits for nothing,
                              and no command of it takes effect any more; 0: not known */
};

struct hist_verdict {
    uint64_t violations[HIST_PROPERTY_COUNT];
    uint64_t
        judged[HIST_PROPERTY_COUNT]; /* how often the property was put to the test: one that never
                                             was proves nothing */
};

/* True: no violation. `text` (may be NULL) gets a paragraph for each of the first few violations of
 * each property. */
bool history_check(const struct history *h,
                   const struct hist_check_options *options,
                   struct hist_verdict *out,
                   struct cb_buf *text);

/* "P1 no loss" and the like. */
const char *history_property_name(enum hist_property property);

#endif
