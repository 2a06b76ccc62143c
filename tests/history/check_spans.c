#include "history/check_spans.h"

#include <stdlib.h>

#include "common/base/cb_mem.h"

void check_spans_fini(struct check_spans *s)
{
    cb_free(s->all);
    cb_free(s->ends);
}

void check_spans_add(struct check_spans *s, uint64_t lo, uint64_t hi, size_t place)
{
    if (s->count == s->cap) {
        s->cap = s->cap == 0 ? 16 : 2 * s->cap;
        s->all = cb_realloc(s->all, s->cap * sizeof(*s->all));
    }
    s->all[s->count++] = (struct check_span){lo, hi, place};
}

static int compare_lo(const void *a, const void *b)
{
    const struct check_span *x = a;
    const struct check_span *y = b;
    if (x->lo != y->lo) {
        return x->lo < y->lo ? -1 : 1;
    }
    return (x->place > y->place) - (x->place < y->place);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void check_spans_seal(struct check_spans *s)
{
    if (s->count == 0) {
        return;
    }
    qsort(s->all, s->count, sizeof(*s->all), compare_lo);
    s->ends = cb_malloc(s->count * sizeof(*s->ends));
    for (size_t i = 0; i < s->count; i++) {
        s->ends[i] = s->all[i].hi;
    }
    qsort(s->ends, s->count, sizeof(*s->ends), compare_u64);
}

size_t check_spans_begun(const struct check_spans *s, uint64_t t, bool or_at)
{
    size_t low = 0;
    size_t high = s->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->all[mid].lo < t || (or_at && s->all[mid].lo == t)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

size_t check_spans_ended(const struct check_spans *s, uint64_t t, bool or_at)
{
    size_t low = 0;
    size_t high = s->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->ends[mid] < t || (or_at && s->ends[mid] == t)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

size_t check_spans_meeting(const struct check_spans *s, uint64_t lo, uint64_t hi)
{
    return check_spans_begun(s, hi, true) - check_spans_ended(s, lo, false);
}
