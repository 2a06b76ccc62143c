#include "history/history_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/cb_mem.h"
#include "history/check_internal.h"
#include "history/history_file.h"

/* Described of each property; the rest is counted. */
#define DESCRIBED_MAX 5
#define SENTENCE_MAX 300

static const char *const property_names[HIST_PROPERTY_COUNT] = {
#define X(symbol, name, what) [HIST_##symbol] = #symbol " " name,
    HIST_PROPERTIES(X)
#undef X
};

const char *history_property_name(enum hist_property property)
{
    return property_names[property];
}

static void describe(struct check *c,
                     enum hist_property property,
                     const struct hist_record *const records[3],
                     const char *sentence)
{
    cb_buf_printf(c->text, "%s: %s\n", property_names[property], sentence);
    for (unsigned i = 0; i < 3; i++) {
        if (records[i] != NULL) {
            cb_buf_printf(c->text, "    record %zu: ", check_place(c, records[i]));
            history_file_line(c->history, records[i], c->text);
            cb_buf_append_str(c->text, "\n");
        }
    }
}

void check_fail(struct check *c,
                enum hist_property property,
                const struct hist_record *const records[3],
                const char *format,
                ...)
{
    char sentence[SENTENCE_MAX];
    va_list args;
    if (c->out->violations[property]++ >= DESCRIBED_MAX || c->text == NULL) {
        return;
    }
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    describe(c, property, records, sentence);
}

static void check_fini(struct check *c)
{
    for (uint32_t i = 0; i < c->tubes_count; i++) {
        struct check_tube *t = &c->tubes[i];
        struct check_spans *spans[] = {&t->pauses,      &t->kicks,       &t->reserves,
                                       &t->jobs_may,    &t->jobs_must,   &t->buried_may,
                                       &t->delayed_may, &t->buried_must, &t->delayed_must};
        for (unsigned s = 0; s < sizeof(spans) / sizeof(spans[0]); s++) {
            check_spans_fini(spans[s]);
        }
    }
    cb_free(c->tubes);
    cb_free(c->unresolved);
    cb_free(c->certain);
    cb_free(c->holds);
    cb_free(c->jobs);
    cb_free(c->events);
    cb_free(c->watched);
    cb_free(c->watches);
    cb_free(c->conns);
    cb_free(c->at);
}

bool history_check(const struct history *h,
                   const struct hist_check_options *options,
                   struct hist_verdict *out,
                   struct cb_buf *text)
{
    static void (*const steps[])(struct check *) = {
        check_conns, check_jobs,  check_life,  check_holds,  check_tubes,  check_states,
        check_by_id, check_order, check_kicks, check_counts, check_delays, check_service};
    struct check c = {.history = h,
                      .options = options,
                      .out = out,
                      .text = text,
                      .records = history_records(h),
                      .count = history_count(h)};
    *out = (struct hist_verdict){0};
    c.at = cb_calloc(c.count + 1, sizeof(*c.at));
    c.events_cap = c.count + 1; /* each record is one at most */
    c.events = cb_malloc(c.events_cap * sizeof(*c.events));
    c.certain_cap = 2 * c.count + 1; /* a delay makes two */
    c.certain = cb_malloc(c.certain_cap * sizeof(*c.certain));
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        steps[i](&c);
    }
    check_fini(&c);
    uint64_t violations = 0;
    for (unsigned i = 0; i < HIST_PROPERTY_COUNT; i++) {
        violations += out->violations[i];
    }
    return violations == 0;
}
