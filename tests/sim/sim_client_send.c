/* Writes commands, and makes the record of each. */
#include "common/base/cb_assert.h"
#include "common/base/cb_hash.h"
#include "sim/sim_client_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static const enum hist_op op_of[SC_KIND_COUNT] = {
#define X(kind, op) [SC_##kind] = HIST_##op,
    SC_KINDS(X)
#undef X
};

/* The word of each, with the blank where something follows. */
static const char *const word_of[SC_KIND_COUNT] = {
    [SC_PUT] = "put ",
    [SC_USE] = "use ",
    [SC_WATCH] = "watch ",
    [SC_IGNORE] = "ignore ",
    [SC_RESERVE] = "reserve",
    [SC_RESERVE_TIMEOUT] = "reserve-with-timeout ",
    [SC_RESERVE_JOB] = "reserve-job ",
    [SC_DELETE] = "delete ",
    [SC_RELEASE] = "release ",
    [SC_BURY] = "bury ",
    [SC_TOUCH] = "touch ",
    [SC_KICK] = "kick ",
    [SC_KICK_JOB] = "kick-job ",
    [SC_PAUSE_TUBE] = "pause-tube ",
    [SC_PEEK] = "peek ",
    [SC_PEEK_READY] = "peek-ready",
    [SC_PEEK_DELAYED] = "peek-delayed",
    [SC_PEEK_BURIED] = "peek-buried",
    [SC_STATS_JOB] = "stats-job ",
    [SC_STATS_TUBE] = "stats-tube ",
    [SC_STATS] = "stats",
    [SC_LIST_TUBES] = "list-tubes",
    [SC_LIST_USED] = "list-tube-used",
    [SC_LIST_WATCHED] = "list-tubes-watched",
    [SC_OTHER] = "",
};

bool sc_may_send(const struct sim_client *c)
{
    return c->n_sent < SC_PIPELINE_MAX && cb_buf_len(&c->out) < SC_OUTPUT_MAX;
}

bool sc_brings_job(enum sc_kind kind)
{
    return kind == SC_RESERVE || kind == SC_RESERVE_TIMEOUT || kind == SC_RESERVE_JOB;
}

/* The next in the queue, with the command's text but its arguments. */
static struct sc_sent *begin(struct sim_client *c, enum sc_kind kind)
{
    CB_ASSERT(c->n_sent < SC_PIPELINE_MAX);
    CB_ASSERT(c->phase != SC_LEAVES);
    struct sc_sent *s = &c->sent[(c->sent_first + c->n_sent) % SC_PIPELINE_MAX];
    s->kind = kind;
    s->tube = 0;
    s->bound = 0;
    s->id = 0;
    s->expect = NULL;
    (void)snprintf(s->line, sizeof s->line, "%s", word_of[kind]);
    return s;
}

CB_PRINTF(2, 3) static void argue(struct sc_sent *s, const char *fmt, ...)
{
    size_t at = strlen(s->line);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(s->line + at, sizeof s->line - at, fmt, ap);
    va_end(ap);
    CB_ASSERT(n >= 0 && (size_t)n < sizeof s->line - at);
}

static void append_line(struct sim_client *c, const struct sc_sent *s)
{
    cb_buf_append_str(&c->out, s->line);
    cb_buf_append(&c->out, "\r\n", 2);
}

/* Every byte of it is in the output: from now on it may take effect. */
static void end(struct sim_client *c, struct sc_sent *s, struct hist_record *r, uint64_t now_ns)
{
    r->invoke_ns = now_ns;
    r->complete_ns = HIST_NEVER;
    r->conn = c->conn;
    r->op = op_of[s->kind];
    r->result = HIST_UNKNOWN;
    s->place = history_invoke(c->shared->history, r);
    c->n_sent++;
    if (sc_brings_job(s->kind)) {
        c->n_reserves++;
    }
}

static uint32_t used_number(struct sim_client *c)
{
    return sc_tube_number(c->shared, c->used_sent);
}

void sc_send_plain(struct sim_client *c, enum sc_kind kind, uint64_t now_ns)
{
    struct sc_sent *s = begin(c, kind);
    struct hist_record r = {.timeout = -1};
    if (kind == SC_PEEK_READY || kind == SC_PEEK_DELAYED || kind == SC_PEEK_BURIED) {
        r.tube = used_number(c);
    }
    append_line(c, s);
    end(c, s, &r, now_ns);
}

void sc_send_id(struct sim_client *c, enum sc_kind kind, uint64_t id, uint64_t now_ns)
{
    struct sc_sent *s = begin(c, kind);
    s->id = id;
    argue(s, "%" PRIu64, id);
    append_line(c, s);
    struct hist_record r = {.id = id, .timeout = -1};
    end(c, s, &r, now_ns);
}

void sc_send_tube(struct sim_client *c, enum sc_kind kind, uint16_t tube, uint64_t now_ns)
{
    struct sc_sent *s = begin(c, kind);
    s->tube = tube;
    argue(s, "%s", sc_tube_name(c->shared, tube));
    append_line(c, s);
    struct hist_record r = {.tube = sc_tube_number(c->shared, tube), .timeout = -1};
    end(c, s, &r, now_ns);
    if (kind == SC_USE) {
        c->used_sent = tube;
    }
}

void sc_send_put(struct sim_client *c,
                 uint32_t pri,
                 uint32_t delay_s,
                 uint32_t ttr_s,
                 uint32_t body_len,
                 uint64_t now_ns)
{
    struct sc_sent *s = begin(c, SC_PUT);
    argue(s, "%" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32, pri, delay_s, ttr_s, body_len);
    append_line(c, s);
    struct hist_record r = {
        .tube = used_number(c),
        .body_len = body_len,
        .pri = pri,
        .delay_s = delay_s,
        .ttr_s = ttr_s > 0 ? ttr_s : 1, /* as the server takes it */
        .timeout = -1,
    };
    history_token(++c->shared->tokens, r.token);
    sc_body_append(&c->out, r.token, body_len);
    r.body_hash = cb_hash(c->out.base + c->out.end - body_len, body_len);
    cb_buf_append(&c->out, "\r\n", 2);
    end(c, s, &r, now_ns);
}

void sc_send_reserve_timeout(struct sim_client *c, uint32_t timeout_s, uint64_t now_ns)
{
    struct sc_sent *s = begin(c, SC_RESERVE_TIMEOUT);
    argue(s, "%" PRIu32, timeout_s);
    append_line(c, s);
    struct hist_record r = {.timeout = timeout_s};
    end(c, s, &r, now_ns);
}

void sc_send_release(
    struct sim_client *c, uint64_t id, uint32_t pri, uint32_t delay_s, uint64_t now_ns)
{
    struct sc_sent *s = begin(c, SC_RELEASE);
    s->id = id;
    argue(s, "%" PRIu64 " %" PRIu32 " %" PRIu32, id, pri, delay_s);
    append_line(c, s);
    struct hist_record r = {.id = id, .pri = pri, .delay_s = delay_s, .timeout = -1};
    end(c, s, &r, now_ns);
}

void sc_send_bury(struct sim_client *c, uint64_t id, uint32_t pri, uint64_t now_ns)
{
    struct sc_sent *s = begin(c, SC_BURY);
    s->id = id;
    argue(s, "%" PRIu64 " %" PRIu32, id, pri);
    append_line(c, s);
    struct hist_record r = {.id = id, .pri = pri, .timeout = -1};
    end(c, s, &r, now_ns);
}

void sc_send_kick(struct sim_client *c, uint32_t bound, uint64_t now_ns)
{
    struct sc_sent *s = begin(c, SC_KICK);
    s->bound = bound;
    argue(s, "%" PRIu32, bound);
    append_line(c, s);
    struct hist_record r = {.tube = used_number(c), .bound = bound, .timeout = -1};
    end(c, s, &r, now_ns);
}

void sc_send_pause(struct sim_client *c, uint16_t tube, uint32_t delay_s, uint64_t now_ns)
{
    struct sc_sent *s = begin(c, SC_PAUSE_TUBE);
    s->tube = tube;
    argue(s, "%s %" PRIu32, sc_tube_name(c->shared, tube), delay_s);
    append_line(c, s);
    struct hist_record r = {
        .tube = sc_tube_number(c->shared, tube), .delay_s = delay_s, .timeout = -1};
    end(c, s, &r, now_ns);
}

void sc_send_other(struct sim_client *c, struct cb_span bytes, const char *expect, uint64_t now_ns)
{
    struct sc_sent *s = begin(c, SC_OTHER);
    s->expect = expect;
    size_t len = bytes.len < sizeof s->line ? bytes.len : sizeof s->line - 1;
    if (len > 0) {
        memcpy(s->line, bytes.ptr, len);
    }
    s->line[len] = '\0';
    cb_buf_append(&c->out, bytes.ptr, bytes.len);
    struct hist_record r = {.timeout = -1};
    end(c, s, &r, now_ns);
}
