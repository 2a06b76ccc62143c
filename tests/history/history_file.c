#include "history/history_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cb_limits.h"

#define FIRST_LINE "coolbeans-history 1"
#define HASH_BASE 16

static const char *const op_names[HIST_OP_END] = {
    [HIST_CONNECT] = "connect",
    [HIST_CLOSE] = "close",
    [HIST_PUT] = "put",
    [HIST_USE] = "use",
    [HIST_WATCH] = "watch",
    [HIST_IGNORE] = "ignore",
    [HIST_RESERVE] = "reserve",
    [HIST_RESERVE_JOB] = "reserve-job",
    [HIST_DELETE] = "delete",
    [HIST_RELEASE] = "release",
    [HIST_BURY] = "bury",
    [HIST_TOUCH] = "touch",
    [HIST_KICK] = "kick",
    [HIST_KICK_JOB] = "kick-job",
    [HIST_PAUSE_TUBE] = "pause-tube",
    [HIST_PEEK] = "peek",
    [HIST_PEEK_READY] = "peek-ready",
    [HIST_PEEK_DELAYED] = "peek-delayed",
    [HIST_PEEK_BURIED] = "peek-buried",
    [HIST_STATS_JOB] = "stats-job",
    [HIST_STATS_TUBE] = "stats-tube",
    [HIST_STATS] = "stats",
    [HIST_LIST] = "list",
    [HIST_OTHER] = "other",
};

static const char *const result_names[HIST_RESULT_END] = {
    [HIST_UNKNOWN] = "unknown",         [HIST_OK] = "ok",
    [HIST_NOT_FOUND] = "not-found",     [HIST_INSERTED_BURIED] = "buried",
    [HIST_TIMED_OUT] = "timed-out",     [HIST_DEADLINE_SOON] = "deadline-soon",
    [HIST_NOT_IGNORED] = "not-ignored", [HIST_REJECTED] = "rejected",
    [HIST_NO_ROOM] = "no-room",         [HIST_ERROR] = "error",
};

static const char *const state_names[HIST_STATE_END] = {
    [HIST_READY] = "ready",
    [HIST_RESERVED] = "reserved",
    [HIST_DELAYED] = "delayed",
    [HIST_BURIED] = "buried",
};

static void write_number(struct cb_buf *out, const char *name, uint64_t value)
{
    if (value != 0) {
        cb_buf_printf(out, " %s=%" PRIu64, name, value);
    }
}

static void write_body(const struct hist_record *r, struct cb_buf *out)
{
    if (r->token[0] != 0 || r->token[1] != 0) {
        char text[33];
        history_token_text(r->token, text);
        cb_buf_printf(out, " token=%s", text);
    }
    if (r->body_hash != 0) {
        cb_buf_printf(out, " hash=%" PRIx64, r->body_hash);
    }
    write_number(out, "len", r->body_len);
}

static const char *name_or(const char *const *names, unsigned count, unsigned i)
{
    return i < count && names[i] != NULL ? names[i] : "?";
}

void history_file_line(const struct history *h, const struct hist_record *r, struct cb_buf *out)
{
    cb_buf_printf(out, "%" PRIu64 " ", r->invoke_ns);
    if (r->complete_ns == HIST_NEVER) {
        cb_buf_append_str(out, "-");
    } else {
        cb_buf_printf(out, "%" PRIu64, r->complete_ns);
    }
    cb_buf_printf(out, " %" PRIu32 " %s %s", r->conn, name_or(op_names, HIST_OP_END, r->op),
                  name_or(result_names, HIST_RESULT_END, r->result));
    if (r->tube != 0) {
        cb_buf_printf(out, " tube=%s", history_tube_name(h, r->tube));
    }
    write_number(out, "id", r->id);
    write_body(r, out);
    write_number(out, "pri", r->pri);
    write_number(out, "delay", r->delay_s);
    write_number(out, "ttr", r->ttr_s);
    write_number(out, "bound", r->bound);
    write_number(out, "count", r->count);
    if (r->timeout != 0) {
        cb_buf_printf(out, " timeout=%" PRId64, r->timeout);
    }
    if (r->has_jobs) {
        cb_buf_printf(out, " jobs=%" PRIu64, r->jobs);
    }
    if (r->state != HIST_STATE_NONE) {
        cb_buf_printf(out, " state=%s", name_or(state_names, HIST_STATE_END, r->state));
    }
    if (r->by_server) {
        cb_buf_append_str(out, " by=server");
    }
}

bool history_file_write(const struct history *h, FILE *to)
{
    struct cb_buf line = CB_BUF_NULL;
    const struct hist_record *records = history_records(h);
    fprintf(to, "%s\n", FIRST_LINE);
    for (size_t i = 0; i < history_count(h); i++) {
        cb_buf_clear(&line);
        history_file_line(h, &records[i], &line);
        cb_buf_append_str(&line, "\n");
        fwrite(cb_buf_span(&line).ptr, 1, cb_buf_len(&line), to);
    }
    cb_buf_fini(&line);
    return fflush(to) == 0 && ferror(to) == 0;
}

static bool read_u64(const char *text, int base, uint64_t max, uint64_t *value)
{
    char *end;
    *value = 0;
    if (text == NULL || *text == '\0' || *text == '-' || *text == '+' || *text == ' ') {
        return false;
    }
    errno = 0;
    unsigned long long v = strtoull(text, &end, base);
    *value = v;
    return errno == 0 && *end == '\0' && v <= max;
}

static bool read_u32(const char *text, uint32_t *value)
{
    uint64_t v;
    bool ok = read_u64(text, 10, UINT32_MAX, &v);
    *value = (uint32_t)v;
    return ok;
}

static bool read_name(const char *text, const char *const *names, unsigned count, unsigned *value)
{
    for (unsigned i = 0; text != NULL && i < count; i++) {
        if (names[i] != NULL && strcmp(names[i], text) == 0) {
            *value = i;
            return true;
        }
    }
    return false;
}

static bool read_timeout(const char *text, int64_t *timeout)
{
    uint64_t v;
    if (strcmp(text, "-1") == 0) {
        *timeout = -1;
        return true;
    }
    bool ok = read_u64(text, 10, CB_RESERVE_TIMEOUT_MAX, &v);
    *timeout = (int64_t)v;
    return ok;
}

static bool read_tube(struct history *h, const char *text, uint32_t *tube)
{
    *tube = *text == '\0' ? 0 : history_tube(h, text);
    return *tube != 0;
}

static bool read_state(const char *text, enum hist_state *state)
{
    unsigned v = 0;
    bool ok = read_name(text, state_names, HIST_STATE_END, &v);
    *state = (enum hist_state)v;
    return ok;
}

/* `field` is "NAME=VALUE" and is cut in two. */
static bool read_field(struct history *h, char *field, struct hist_record *r)
{
    char *value = strchr(field, '=');
    if (value == NULL) {
        return false;
    }
    *value++ = '\0';
    const struct {
        const char *name;
        uint32_t *to;
    } numbers[] = {
        {"len", &r->body_len}, {"pri", &r->pri},     {"delay", &r->delay_s},
        {"ttr", &r->ttr_s},    {"bound", &r->bound}, {"count", &r->count},
    };
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(field, numbers[i].name) == 0) {
            return read_u32(value, numbers[i].to);
        }
    }
    if (strcmp(field, "id") == 0) {
        return read_u64(value, 10, UINT64_MAX, &r->id);
    }
    if (strcmp(field, "token") == 0) {
        return strlen(value) == 32 && history_token_parse(value, 32, r->token);
    }
    if (strcmp(field, "hash") == 0) {
        return read_u64(value, HASH_BASE, UINT64_MAX, &r->body_hash);
    }
    if (strcmp(field, "jobs") == 0) {
        r->has_jobs = true;
        return read_u64(value, 10, UINT64_MAX, &r->jobs);
    }
    if (strcmp(field, "by") == 0) {
        r->by_server = true;
        return strcmp(value, "server") == 0;
    }
    return (strcmp(field, "tube") == 0 && read_tube(h, value, &r->tube)) ||
           (strcmp(field, "timeout") == 0 && read_timeout(value, &r->timeout)) ||
           (strcmp(field, "state") == 0 && read_state(value, &r->state));
}

/* An answer has a result, and what has no answer has none; but connect and close have none ever. */
static bool is_sound(const struct hist_record *r)
{
    if (r->tube == 0 && hist_op_needs_tube(r->op)) {
        return false;
    }
    if (r->op == HIST_CONNECT || r->op == HIST_CLOSE) {
        return r->result == HIST_UNKNOWN;
    }
    return (r->complete_ns == HIST_NEVER) == (r->result == HIST_UNKNOWN) &&
           r->complete_ns >= r->invoke_ns;
}

static bool read_record(struct history *h, char *line)
{
    struct hist_record r = {.complete_ns = HIST_NEVER};
    char *rest = line;
    unsigned op = 0;
    unsigned result = 0;
    bool ok = read_u64(strtok_r(NULL, " ", &rest), 10, HIST_NEVER - 1, &r.invoke_ns);
    const char *complete = ok ? strtok_r(NULL, " ", &rest) : NULL;
    ok = ok && complete != NULL &&
         (strcmp(complete, "-") == 0 || read_u64(complete, 10, HIST_NEVER - 1, &r.complete_ns)) &&
         read_u32(strtok_r(NULL, " ", &rest), &r.conn) &&
         read_name(strtok_r(NULL, " ", &rest), op_names, HIST_OP_END, &op) &&
         read_name(strtok_r(NULL, " ", &rest), result_names, HIST_RESULT_END, &result);
    for (char *field; ok && (field = strtok_r(NULL, " ", &rest)) != NULL;) {
        ok = read_field(h, field, &r);
    }
    r.op = (enum hist_op)op;
    r.result = (enum hist_result)result;
    if (!ok || !is_sound(&r)) {
        return false;
    }
    struct hist_record *kept = history_at(h, history_invoke(h, &r));
    kept->complete_ns = r.complete_ns;
    kept->result = r.result;
    return true;
}

static bool read_line(struct history *h, char *line, size_t number)
{
    if (number == 1) {
        return strcmp(line, FIRST_LINE) == 0;
    }
    return line[0] == '\0' || line[0] == '#' || read_record(h, line);
}

struct history *history_file_read(FILE *from, struct cb_buf *error)
{
    struct history *h = history_create();
    char *line = NULL;
    size_t cap = 0;
    size_t number = 0;
    bool ok = true;
    while (ok && getline(&line, &cap, from) >= 0) {
        line[strcspn(line, "\r\n")] = '\0';
        ok = read_line(h, line, ++number);
    }
    if (!ok) {
        cb_buf_printf(error, "line %zu is no record of a history", number);
    } else if (ferror(from) || number == 0) {
        cb_buf_printf(error, "no history could be read: %s", number == 0 ? "empty" : "I/O error");
        ok = false;
    }
    free(line);
    if (!ok) {
        history_destroy(h);
        return NULL;
    }
    return h;
}
