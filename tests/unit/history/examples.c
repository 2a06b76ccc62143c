#include "unit/history/examples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cb_hash.h"
#include "history/history_file.h"

static void complete_record(struct hist_record *r)
{
    r->invoke_ns *= MS;
    r->complete_ns = r->complete_ns == HIST_NEVER ? HIST_NEVER : r->complete_ns * MS;
    if (r->body_len != 0) {
        history_token(r->body_len, r->token);
        r->body_hash = r->body_hash == 0 ? cb_hash_u64(r->body_len) : r->body_hash;
    }
}

static struct history *history_of(const char *lines)
{
    struct cb_buf text = CB_BUF_NULL;
    struct cb_buf error = CB_BUF_NULL;
    cb_buf_printf(&text, "coolbeans-history 1\n%s", lines);
    FILE *f = fmemopen(text.base + text.start, cb_buf_len(&text), "r");
    assert_non_null(f);
    struct history *h = history_file_read(f, &error);
    fclose(f);
    if (h == NULL) {
        fail_msg("%.*s in:\n%s", (int)cb_buf_len(&error), (char *)error.base, lines);
    }
    for (size_t i = 0; i < history_count(h); i++) {
        complete_record(history_at(h, i));
    }
    cb_buf_fini(&text);
    cb_buf_fini(&error);
    return h;
}

static void run(const struct example *e, enum hist_property property)
{
    struct history *h = history_of(e->lines);
    struct hist_verdict verdict;
    struct cb_buf text = CB_BUF_NULL;
    unsigned wrong = 0;
    bool good = history_check(h, &e->options, &verdict, &text);
    for (unsigned i = 0; i < HIST_PROPERTY_COUNT; i++) {
        wrong |= verdict.violations[i] != 0 ? 1u << i : 0;
    }
    if (wrong != e->wrong || good != (wrong == 0)) {
        cb_buf_append(&text, "", 1);
        fail_msg("%s: wrong are %x, not %x\n%s", e->what, wrong, e->wrong, (char *)text.base);
    }
    if ((wrong & 1u << property) != 0 && verdict.judged[property] == 0) {
        fail_msg("%s: violated and never judged", e->what);
    }
    cb_buf_fini(&text);
    history_destroy(h);
}

void examples_run(const struct example *examples, size_t count, enum hist_property property)
{
    for (size_t i = 0; i < count; i++) {
        run(&examples[i], property);
    }
}
