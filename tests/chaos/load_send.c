/* Commands as bytes, each with its record. */
#include <inttypes.h>

#include "chaos/load.h"
#include "common/base/cb_assert.h"
#include "common/base/cb_hash.h"

#define TTR_S 120
#define SHORT_TTR_S 2
#define PRI_BOUND 2000
#define BODY_LEN_MIN (LOAD_TOKEN_LEN + 8)
#define BODY_LEN_SPREAD 300
#define BODY_LEN_LARGE 8192

static struct hist_record record(const struct load_conn *c, enum hist_op op)
{
    return (struct hist_record){
        .invoke_ns = load_clock_ns(), .complete_ns = HIST_NEVER, .conn = c->number, .op = op};
}

static uint32_t draw(struct load_conn *c, uint32_t bound)
{
    return (uint32_t)cb_rng_below(&c->rng, bound);
}

/* A token, a letter that says whether its ttr is short, and bytes that follow from the token. */
static void append_body(
    struct cb_buf *out, const uint64_t token[2], bool is_short, uint32_t len, uint64_t *hash)
{
    char text[LOAD_TOKEN_LEN + 1];
    history_token_text(token, text);
    uint8_t *p = cb_buf_reserve(out, len);
    memcpy(p, text, LOAD_TOKEN_LEN);
    p[LOAD_TOKEN_LEN] = is_short ? 'S' : 'L';
    uint64_t state = token[0];
    for (uint32_t i = LOAD_TOKEN_LEN + 1; i < len; i++) {
        if (i % 8 == 1) {
            state = cb_hash_u64(state + 1);
        }
        p[i] = (uint8_t)(state >> (i % 8 * 8)); /* any bytes: line ends among them */
    }
    *hash = cb_hash(p, len);
    cb_buf_commit(out, len);
}

void load_send_put(struct load_conn *c)
{
    struct hist_record r = record(c, HIST_PUT);
    bool is_short = !c->load->options.is_plain && cb_rng_chance(&c->rng, 1, 500);
    history_token(c->load->options.seed << 40 ^ ++c->load->tokens, r.token);
    r.tube = c->tube;
    r.pri = draw(c, PRI_BOUND);
    r.delay_s = cb_rng_chance(&c->rng, 1, 40) ? 1 + draw(c, 2) : 0;
    r.ttr_s = is_short ? SHORT_TTR_S : TTR_S;
    r.body_len =
        BODY_LEN_MIN + draw(c, cb_rng_chance(&c->rng, 1, 100) ? BODY_LEN_LARGE : BODY_LEN_SPREAD);
    cb_buf_printf(&c->out, "put %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 "\r\n", r.pri,
                  r.delay_s, r.ttr_s, r.body_len);
    append_body(&c->out, r.token, is_short, r.body_len, &r.body_hash);
    cb_buf_append_str(&c->out, "\r\n");
    load_conn_sent(c, &r);
}

void load_send_tube(struct load_conn *c, enum hist_op op, uint32_t tube)
{
    struct hist_record r = record(c, op);
    r.tube = tube;
    const char *word = op == HIST_USE      ? "use"
                       : op == HIST_WATCH  ? "watch"
                       : op == HIST_IGNORE ? "ignore"
                                           : "stats-tube";
    cb_buf_printf(&c->out, "%s %s\r\n", word, load_tube_name(c->load, tube));
    load_conn_sent(c, &r);
}

void load_send_reserve(struct load_conn *c, int64_t timeout)
{
    struct hist_record r = record(c, HIST_RESERVE);
    r.timeout = timeout < 0 ? -1 : timeout;
    if (timeout < 0) {
        cb_buf_append_str(&c->out, "reserve\r\n");
    } else {
        cb_buf_printf(&c->out, "reserve-with-timeout %" PRId64 "\r\n", timeout);
    }
    load_conn_sent(c, &r);
}

void load_send_job(struct load_conn *c, enum hist_op op, uint64_t id)
{
    static const char *const words[HIST_OP_END] = {
        [HIST_PEEK] = "peek",   [HIST_STATS_JOB] = "stats-job", [HIST_DELETE] = "delete",
        [HIST_TOUCH] = "touch", [HIST_KICK_JOB] = "kick-job",   [HIST_RESERVE_JOB] = "reserve-job"};
    struct hist_record r = record(c, op);
    r.id = id;
    CB_ASSERT(words[op] != NULL);
    cb_buf_printf(&c->out, "%s %" PRIu64 "\r\n", words[op], id);
    load_conn_sent(c, &r);
}

void load_send_release(struct load_conn *c, uint64_t id, uint32_t pri, uint32_t delay_s)
{
    struct hist_record r = record(c, HIST_RELEASE);
    r.id = id;
    r.pri = pri;
    r.delay_s = delay_s;
    cb_buf_printf(&c->out, "release %" PRIu64 " %" PRIu32 " %" PRIu32 "\r\n", id, pri, delay_s);
    load_conn_sent(c, &r);
}

void load_send_bury(struct load_conn *c, uint64_t id, uint32_t pri)
{
    struct hist_record r = record(c, HIST_BURY);
    r.id = id;
    r.pri = pri;
    cb_buf_printf(&c->out, "bury %" PRIu64 " %" PRIu32 "\r\n", id, pri);
    load_conn_sent(c, &r);
}

void load_send_used(struct load_conn *c, enum hist_op op, uint32_t bound)
{
    struct hist_record r = record(c, op);
    r.tube = c->tube;
    r.bound = bound;
    if (op == HIST_KICK) {
        cb_buf_printf(&c->out, "kick %" PRIu32 "\r\n", bound);
    } else {
        cb_buf_append_str(&c->out, op == HIST_PEEK_READY     ? "peek-ready\r\n"
                                   : op == HIST_PEEK_DELAYED ? "peek-delayed\r\n"
                                                             : "peek-buried\r\n");
    }
    load_conn_sent(c, &r);
}

void load_send_stats(struct load_conn *c)
{
    struct hist_record r = record(c, HIST_STATS);
    cb_buf_append_str(&c->out, "stats\r\n");
    load_conn_sent(c, &r);
}

void load_send_pause(struct load_conn *c, uint32_t tube, uint32_t delay_s)
{
    struct hist_record r = record(c, HIST_PAUSE_TUBE);
    r.tube = tube;
    r.delay_s = delay_s;
    cb_buf_printf(&c->out, "pause-tube %s %" PRIu32 "\r\n", load_tube_name(c->load, tube), delay_s);
    load_conn_sent(c, &r);
}
