/* Answers: which they are, and the records that they complete. */
#include <inttypes.h>
#include <string.h>

#include "chaos/load.h"
#include "common/base/cb_assert.h"
#include "common/base/cb_hash.h"
#include "common/base/cb_limits.h"

#define LINE_MAX_LEN 512

/* How the answer of an op goes when it is OK, and which other words it may have. */
struct form {
    const char *word;
    bool has_id;     /* the word is followed by an id */
    bool has_body;   /* and by a length, and that by a body */
    bool has_number; /* the word is followed by a number that is kept, or by anything */
    bool may_be_missing;
};

static const struct form forms[HIST_OP_END] = {
    [HIST_PUT] = {"INSERTED", .has_id = true},
    [HIST_USE] = {"USING", .has_number = true},
    [HIST_WATCH] = {"WATCHING", .has_number = true},
    [HIST_IGNORE] = {"WATCHING", .has_number = true},
    [HIST_RESERVE] = {"RESERVED", .has_id = true, .has_body = true},
    [HIST_RESERVE_JOB] = {"RESERVED", .has_id = true, .has_body = true, .may_be_missing = true},
    [HIST_DELETE] = {"DELETED", .may_be_missing = true},
    [HIST_RELEASE] = {"RELEASED", .may_be_missing = true},
    [HIST_BURY] = {"BURIED", .may_be_missing = true},
    [HIST_TOUCH] = {"TOUCHED", .may_be_missing = true},
    [HIST_KICK] = {"KICKED", .has_number = true},
    [HIST_KICK_JOB] = {"KICKED", .may_be_missing = true},
    [HIST_PAUSE_TUBE] = {"PAUSED", .may_be_missing = true},
    [HIST_PEEK] = {"FOUND", .has_id = true, .has_body = true, .may_be_missing = true},
    [HIST_PEEK_READY] = {"FOUND", .has_id = true, .has_body = true, .may_be_missing = true},
    [HIST_PEEK_DELAYED] = {"FOUND", .has_id = true, .has_body = true, .may_be_missing = true},
    [HIST_PEEK_BURIED] = {"FOUND", .has_id = true, .has_body = true, .may_be_missing = true},
    [HIST_STATS_JOB] = {"OK", .has_body = true, .may_be_missing = true},
    [HIST_STATS_TUBE] = {"OK", .has_body = true, .may_be_missing = true},
    [HIST_STATS] = {"OK", .has_body = true},
};

struct answer {
    char line[LINE_MAX_LEN]; /* without its end */
    size_t whole_len;        /* of line and body in the stream */
    struct cb_span body;
    uint64_t id;
    uint64_t number;
};

/* "RESERVED 12 3", "FOUND 12 3", "OK 3": the only ones that have bodies. */
static bool find_body(struct answer *a, size_t line_len, struct cb_span in)
{
    uint64_t len;
    a->whole_len = line_len;
    if (sscanf(a->line, "RESERVED %" SCNu64 " %" SCNu64, &a->id, &len) != 2 &&
        sscanf(a->line, "FOUND %" SCNu64 " %" SCNu64, &a->id, &len) != 2 &&
        sscanf(a->line, "OK %" SCNu64, &len) != 1) {
        return true;
    }
    if (len > CB_JOB_SIZE_MAX) {
        return true; /* no body of ours: the line alone is the answer, and a wrong one */
    }
    a->whole_len += len + 2;
    a->body = cb_span(in.ptr + line_len, len);
    return in.len >= a->whole_len;
}

static bool read_answer(struct answer *a, struct cb_span in)
{
    const uint8_t *end = in.len > 0 ? memchr(in.ptr, '\n', in.len) : NULL;
    if (end == NULL) {
        return false;
    }
    size_t len = (size_t)(end - in.ptr) + 1;
    size_t shown = len < LINE_MAX_LEN ? len : LINE_MAX_LEN;
    memcpy(a->line, in.ptr, shown - 1);
    a->line[shown - 1] = '\0';
    a->line[strcspn(a->line, "\r")] = '\0';
    return find_body(a, len, in);
}

static bool is_word(const char *line, const char *word)
{
    size_t len = strlen(word);
    return strncmp(line, word, len) == 0 && (line[len] == '\0' || line[len] == ' ');
}

/* The whole line is the word of success of that op, with what has to follow it. */
static bool is_success(struct answer *a, const struct hist_record *r)
{
    const struct form *f = &forms[r->op];
    if (f->word == NULL || !is_word(a->line, f->word)) {
        return false;
    }
    const char *rest = a->line + strlen(f->word);
    if (f->has_body) {
        return a->body.ptr != NULL;
    }
    if (f->has_id) {
        return sscanf(rest, " %" SCNu64, &a->id) == 1;
    }
    if (f->has_number) {
        (void)sscanf(rest, " %" SCNu64, &a->number); /* USING has a name instead */
        return *rest == ' ';
    }
    return *rest == '\0';
}

/* What is not asked of that job, tube or connection belongs to another command. */
static bool is_of(const struct load_conn *c, const struct answer *a, const struct hist_record *r)
{
    switch ((int)r->op) {
    case HIST_PEEK:
    case HIST_RESERVE_JOB:
        return a->id == r->id;
    case HIST_USE:
        return strcmp(a->line + strlen("USING "), load_tube_name(c->load, r->tube)) == 0;
    default:
        return true;
    }
}

static enum hist_result
result_of(const struct load_conn *c, struct answer *a, const struct hist_record *r)
{
    if (is_success(a, r)) {
        return is_of(c, a, r) ? HIST_OK : HIST_ERROR;
    }
    if (forms[r->op].may_be_missing && strcmp(a->line, "NOT_FOUND") == 0) {
        return HIST_NOT_FOUND;
    }
    if (r->op == HIST_PUT && sscanf(a->line, "BURIED %" SCNu64, &a->id) == 1) {
        return HIST_INSERTED_BURIED;
    }
    if (r->op == HIST_PUT && strcmp(a->line, "OUT_OF_MEMORY") == 0) {
        return HIST_NO_ROOM;
    }
    if (r->op == HIST_RELEASE && strcmp(a->line, "BURIED") == 0) {
        return HIST_INSERTED_BURIED;
    }
    if (r->op == HIST_RESERVE && strcmp(a->line, "TIMED_OUT") == 0) {
        return HIST_TIMED_OUT;
    }
    if (r->op == HIST_RESERVE && strcmp(a->line, "DEADLINE_SOON") == 0) {
        return HIST_DEADLINE_SOON;
    }
    return HIST_ERROR;
}

/* The number behind "NAME: " in the YAML; false when it is not there. */
static bool yaml_number(struct cb_span body, const char *name, uint64_t *value)
{
    const char *at = memmem(body.ptr, body.len, name, strlen(name));
    char text[24] = "";
    if (at == NULL) {
        return false;
    }
    at += strlen(name);
    size_t left = body.len - (size_t)((const uint8_t *)at - body.ptr);
    memcpy(text, at, left < sizeof(text) - 1 ? left : sizeof(text) - 1);
    return sscanf(text, ": %" SCNu64, value) == 1;
}

static void read_counts(struct hist_record *r, struct cb_span body)
{
    static const char *const names[] = {"\ncurrent-jobs-ready", "\ncurrent-jobs-reserved",
                                        "\ncurrent-jobs-delayed", "\ncurrent-jobs-buried"};
    r->has_jobs = true;
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint64_t n = 0;
        r->has_jobs = r->has_jobs && yaml_number(body, names[i], &n);
        r->jobs += n;
    }
}

static enum hist_state state_of(struct cb_span body)
{
    static const char *const names[HIST_STATE_END] = {[HIST_READY] = "\nstate: ready",
                                                      [HIST_RESERVED] = "\nstate: reserved",
                                                      [HIST_DELAYED] = "\nstate: delayed",
                                                      [HIST_BURIED] = "\nstate: buried"};
    for (unsigned i = HIST_READY; i < HIST_STATE_END; i++) {
        if (memmem(body.ptr, body.len, names[i], strlen(names[i])) != NULL) {
            return (enum hist_state)i;
        }
    }
    return HIST_STATE_NONE;
}

static void complete(struct load_conn *c, struct hist_record *r, const struct answer *a)
{
    if (r->result != HIST_OK && r->result != HIST_INSERTED_BURIED) {
        return;
    }
    if (forms[r->op].has_id || r->result == HIST_INSERTED_BURIED) {
        r->id = r->op == HIST_RELEASE ? r->id : a->id;
    }
    if (r->op == HIST_KICK) {
        r->count = (uint32_t)a->number;
    } else if (r->op == HIST_STATS || r->op == HIST_STATS_TUBE) {
        read_counts(r, a->body);
    } else if (r->op == HIST_STATS_JOB) {
        r->state = state_of(a->body);
    } else if (forms[r->op].has_body) {
        (void)history_token_parse((const char *)a->body.ptr, a->body.len, r->token); /* P3 judges */
        r->body_hash = cb_hash(a->body.ptr, a->body.len);
        r->body_len = (uint32_t)a->body.len;
        c->is_short = a->body.len > LOAD_TOKEN_LEN && a->body.ptr[LOAD_TOKEN_LEN] == 'S';
    }
}

static bool is_error_word(const char *line)
{
    return strcmp(line, "OUT_OF_MEMORY") == 0 || strcmp(line, "INTERNAL_ERROR") == 0 ||
           strcmp(line, "DRAINING") == 0;
}

static void count(struct load_conn *c, const struct hist_record *r, const struct answer *a)
{
    struct load_counts *n = &c->load->counts;
    bool did = r->result == HIST_OK || r->result == HIST_INSERTED_BURIED;
    if (r->op == HIST_PUT && did) {
        n->acked++;
        n->newest_ns = r->invoke_ns > n->newest_ns ? r->invoke_ns : n->newest_ns;
        c->load->recent[c->load->n_recent++ % LOAD_RECENT] = r->id;
    }
    n->deleted += r->op == HIST_DELETE && did;
    n->reserved += r->op == HIST_RESERVE && did;
    if (r->result == HIST_ERROR) {
        n->errors++;
        n->misfits += !is_error_word(a->line);
        if (n->errors <= 20) {
            fprintf(stderr, "connection %" PRIu32 ": op %d answered \"%s\"\n", r->conn, (int)r->op,
                    a->line);
        }
    }
}

enum load_taken load_answer_take(struct load_conn *c)
{
    struct answer a = {.body = CB_SPAN_NULL};
    if (!read_answer(&a, cb_buf_span(&c->in))) {
        return LOAD_NOT_WHOLE;
    }
    if (c->count == 0) {
        c->load->counts.errors++;
        c->load->counts.misfits++;
        fprintf(stderr, "connection %" PRIu32 ": nobody asked for \"%s\"\n", c->number, a.line);
        cb_buf_consume(&c->in, a.whole_len);
        return LOAD_TAKEN;
    }
    struct hist_record r = c->pending[c->first];
    c->first = (c->first + 1) % LOAD_PENDING_MAX;
    c->count--;
    r.complete_ns = c->load->now_ns;
    r.result = result_of(c, &a, &r);
    complete(c, &r, &a);
    count(c, &r, &a);
    cb_buf_consume(&c->in, a.whole_len);
    load_conn_write(c, &r);
    load_role_answered(c, &r);
    return LOAD_TAKEN;
}
