/* Cuts the bytes that come into answers and reads each as one of those that its command may get,
 * byte by byte: one blank, no leading zero, the length as announced, CRLF behind everything. */
#include "common/base/cb_assert.h"
#include "sim/sim_client_internal.h"

#define ANSWER_LINE_MAX 256 /* the longest is "USING" with a tube's name */
#define NUMBER_DIGITS_MAX 20

struct form {
    const char *word;
    enum sc_shape shape;
    enum hist_result result;
};

#define FORMS_MAX 5

static const struct form forms[SC_KIND_COUNT][FORMS_MAX] = {
    [SC_PUT] = {{"INSERTED", SC_NUMBER, HIST_OK},
                {"BURIED", SC_NUMBER, HIST_INSERTED_BURIED},
                {"DRAINING", SC_WORD, HIST_REJECTED},
                {"OUT_OF_MEMORY", SC_WORD, HIST_NO_ROOM}},
    [SC_USE] = {{"USING", SC_TUBE, HIST_OK}},
    [SC_WATCH] = {{"WATCHING", SC_NUMBER, HIST_OK}},
    [SC_IGNORE] = {{"WATCHING", SC_NUMBER, HIST_OK}, {"NOT_IGNORED", SC_WORD, HIST_NOT_IGNORED}},
    [SC_RESERVE] = {{"RESERVED", SC_BODY, HIST_OK},
                    {"DEADLINE_SOON", SC_WORD, HIST_DEADLINE_SOON},
                    {"TIMED_OUT", SC_WORD, HIST_TIMED_OUT}},
    [SC_RESERVE_TIMEOUT] = {{"RESERVED", SC_BODY, HIST_OK},
                            {"DEADLINE_SOON", SC_WORD, HIST_DEADLINE_SOON},
                            {"TIMED_OUT", SC_WORD, HIST_TIMED_OUT}},
    [SC_RESERVE_JOB] = {{"RESERVED", SC_BODY, HIST_OK}, {"NOT_FOUND", SC_WORD, HIST_NOT_FOUND}},
    [SC_DELETE] = {{"DELETED", SC_WORD, HIST_OK}, {"NOT_FOUND", SC_WORD, HIST_NOT_FOUND}},
    [SC_RELEASE] = {{"RELEASED", SC_WORD, HIST_OK},
                    {"BURIED", SC_WORD, HIST_INSERTED_BURIED},
                    {"NOT_FOUND", SC_WORD, HIST_NOT_FOUND}},
    [SC_BURY] = {{"BURIED", SC_WORD, HIST_OK}, {"NOT_FOUND", SC_WORD, HIST_NOT_FOUND}},
    [SC_TOUCH] = {{"TOUCHED", SC_WORD, HIST_OK}, {"NOT_FOUND", SC_WORD, HIST_NOT_FOUND}},
    [SC_KICK] = {{"KICKED", SC_NUMBER, HIST_OK}},
    [SC_KICK_JOB] = {{"KICKED", SC_WORD, HIST_OK}, {"NOT_FOUND", SC_WORD, HIST_NOT_FOUND}},
    [SC_PAUSE_TUBE] = {{"PAUSED", SC_WORD, HIST_OK}, {"NOT_FOUND", SC_WORD, HIST_NOT_FOUND}},
    [SC_PEEK] = {{"FOUND", SC_BODY, HIST_OK}, {"NOT_FOUND", SC_WORD, HIST_NOT_FOUND}},
    [SC_PEEK_READY] = {{"FOUND", SC_BODY, HIST_OK}, {"NOT_FOUND", SC_WORD, HIST_NOT_FOUND}},
    [SC_PEEK_DELAYED] = {{"FOUND", SC_BODY, HIST_OK}, {"NOT_FOUND", SC_WORD, HIST_NOT_FOUND}},
    [SC_PEEK_BURIED] = {{"FOUND", SC_BODY, HIST_OK}, {"NOT_FOUND", SC_WORD, HIST_NOT_FOUND}},
    [SC_STATS_JOB] = {{"OK", SC_YAML, HIST_OK}, {"NOT_FOUND", SC_WORD, HIST_NOT_FOUND}},
    [SC_STATS_TUBE] = {{"OK", SC_YAML, HIST_OK}, {"NOT_FOUND", SC_WORD, HIST_NOT_FOUND}},
    [SC_STATS] = {{"OK", SC_YAML, HIST_OK}},
    [SC_LIST_TUBES] = {{"OK", SC_YAML, HIST_OK}},
    [SC_LIST_USED] = {{"USING", SC_TUBE, HIST_OK}},
    [SC_LIST_WATCHED] = {{"OK", SC_YAML, HIST_OK}},
};

/* The protocol has them for every command, and no client should ever see one: the record says so,
 * property P14 judges. */
static const struct form errors[] = {{"OUT_OF_MEMORY", SC_WORD, HIST_ERROR},
                                     {"INTERNAL_ERROR", SC_WORD, HIST_ERROR}};

/* ---- a line ---- */

/* The rest of a line that is being read. */
static bool skip_text(struct cb_span *s, const char *text)
{
    size_t len = strlen(text);
    if (s->len < len || memcmp(s->ptr, text, len) != 0) {
        return false;
    }
    s->ptr += len;
    s->len -= len;
    return true;
}

static bool skip_number(struct cb_span *s, uint64_t *number)
{
    size_t n = 0;
    uint64_t v = 0;
    while (n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9') {
        uint64_t digit = (uint64_t)(s->ptr[n] - '0');
        if (n == NUMBER_DIGITS_MAX || v > (UINT64_MAX - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
        n++;
    }
    if (n == 0 || (n > 1 && s->ptr[0] == '0')) {
        return false;
    }
    s->ptr += n;
    s->len -= n;
    *number = v;
    return true;
}

/* `line` is without its CRLF. *body_len: of what follows the line, for BODY and YAML. */
static bool
line_has_form(struct cb_span line, const struct form *f, struct sc_answer *a, uint64_t *body_len)
{
    if (!skip_text(&line, f->word)) {
        return false;
    }
    a->shape = f->shape;
    a->result = f->result;
    switch (f->shape) {
    case SC_WORD:
    case SC_TEXT:
        break;
    case SC_NUMBER:
        if (!skip_text(&line, " ") || !skip_number(&line, &a->number)) {
            return false;
        }
        break;
    case SC_TUBE:
        if (!skip_text(&line, " ")) {
            return false;
        }
        a->text = line;
        return true;
    case SC_BODY:
    case SC_YAML:
        if (f->shape == SC_BODY && (!skip_text(&line, " ") || !skip_number(&line, &a->number))) {
            return false;
        }
        if (!skip_text(&line, " ") || !skip_number(&line, body_len)) {
            return false;
        }
        break;
    }
    return line.len == 0;
}

/* Most nonsense is refused; some a lax server takes for a command, without effect. */
static enum hist_result result_of_other(const char *expect)
{
    struct cb_span s = cb_span_str(expect);
    if (skip_text(&s, "NOT_FOUND")) {
        return HIST_NOT_FOUND;
    }
    return skip_text(&s, "KICKED") ? HIST_OK : HIST_REJECTED;
}

static bool
read_line(const struct sc_sent *s, struct cb_span line, struct sc_answer *a, uint64_t *body_len)
{
    if (s->kind == SC_OTHER) {
        struct form f = {s->expect, SC_TEXT, result_of_other(s->expect)};
        return line_has_form(line, &f, a, body_len);
    }
    for (unsigned i = 0; i < FORMS_MAX && forms[s->kind][i].word != NULL; i++) {
        if (line_has_form(line, &forms[s->kind][i], a, body_len)) {
            return true;
        }
    }
    for (unsigned i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (line_has_form(line, &errors[i], a, body_len)) {
            return true;
        }
    }
    return false;
}

/* ---- the stream ---- */

static void answered(struct sim_client *c, const struct sc_answer *a, uint64_t now_ns)
{
    const struct sc_sent *s = &c->sent[c->sent_first];
    c->sent_first = (c->sent_first + 1) % SC_PIPELINE_MAX;
    c->n_sent--;
    const char *wrong = sc_take_effect(c, s, a, now_ns);
    if (wrong != NULL) {
        sc_say_broken(c, s->line, a->whole, wrong);
    } else if (c->phase == SC_DRAINS) {
        sc_drain_answered(c, s->kind, history_at(c->shared->history, s->place), now_ns);
    }
}

/* One answer at the front of `in`, if it is whole. */
static bool read_answer(struct sim_client *c, struct cb_span in, uint64_t now_ns)
{
    const struct sc_sent *s = &c->sent[c->sent_first];
    const uint8_t *cr = memchr(in.ptr, '\r', in.len < ANSWER_LINE_MAX ? in.len : ANSWER_LINE_MAX);
    if (cr == NULL && in.len >= ANSWER_LINE_MAX) {
        sc_say_broken(c, s->line, in, "a line that does not end");
        return false;
    }
    size_t line_len = cr == NULL ? 0 : (size_t)(cr - in.ptr);
    if (cr == NULL || line_len + 2 > in.len) {
        return false;
    }
    struct sc_answer a = {.whole = {in.ptr, line_len + 2}};
    uint64_t body_len = 0;
    if (cr[1] != '\n' || !read_line(s, cb_span(in.ptr, line_len), &a, &body_len)) {
        sc_say_broken(c, s->line, a.whole, "not an answer to this command");
        return false;
    }
    if (a.shape == SC_BODY || a.shape == SC_YAML) {
        if (body_len > CB_JOB_SIZE_MAX) {
            sc_say_broken(c, s->line, a.whole, "more than there can be");
            return false;
        }
        size_t len = line_len + 2 + (size_t)body_len + 2;
        c->in_need = len;
        if (in.len < len) {
            return false;
        }
        a.whole.len = len;
        a.text = cb_span(in.ptr + line_len + 2, (size_t)body_len);
        if (memcmp(in.ptr + len - 2, "\r\n", 2) != 0) {
            sc_say_broken(c, s->line, a.whole, "no CRLF at the end of the announced length");
            return false;
        }
    }
    c->in_need = 0;
    answered(c, &a, now_ns);
    cb_buf_consume(&c->in, a.whole.len);
    return !c->is_broken;
}

void sc_read_answers(struct sim_client *c, uint64_t now_ns)
{
    while (cb_buf_len(&c->in) > 0 && cb_buf_len(&c->in) >= c->in_need) {
        if (c->n_sent == 0) {
            sc_say_broken(c, "", cb_buf_span(&c->in), "nothing was asked");
            return;
        }
        if (!read_answer(c, cb_buf_span(&c->in), now_ns)) {
            return;
        }
    }
}
