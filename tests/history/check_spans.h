/* Intervals of time that are asked how many of them meet another, in O(log n).
 *
 * Owns:     its memory.
 * Threads:  one. */
#ifndef CB_TESTS_HISTORY_CHECK_SPANS_H
#define CB_TESTS_HISTORY_CHECK_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct check_span {
    uint64_t lo;
    uint64_t hi;
    size_t place; /* whatever its user wants */
};

struct check_spans {
    struct check_span *all; /* sealed: by lo */
    uint64_t *ends;         /* sealed: every hi, sorted */
    size_t count;
    size_t cap;
};

void check_spans_fini(struct check_spans *s);
void check_spans_add(struct check_spans *s, uint64_t lo, uint64_t hi, size_t place);
/* Once, after the last was added and before the first question. */
void check_spans_seal(struct check_spans *s);
/* How many begin before `t`, or at it too. */
size_t check_spans_begun(const struct check_spans *s, uint64_t t, bool or_at);
/* How many end before `t`, or at it too. */
size_t check_spans_ended(const struct check_spans *s, uint64_t t, bool or_at);
/* How many have a moment in common with [lo, hi]. */
size_t check_spans_meeting(const struct check_spans *s, uint64_t lo, uint64_t hi);

#endif
