/* Lines that beanstalkd refuses, and the answer that each gets. Where 1.12 and later differ, and
 * where beanstalkd loses an answer, nothing is asked. */
#include "sim/sim_client_internal.h"

#define ANSWERS_MAX 3

struct nonsense {
    const char *text;
    size_t len;
    const char *answers[ANSWERS_MAX];
};

#define NONSENSE(text, ...)                                                                        \
    {                                                                                              \
        (text), sizeof(text) - 1,                                                                  \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

#define BAD "BAD_FORMAT"
#define UNKNOWN "UNKNOWN_COMMAND"

static const struct nonsense table[] = {
    NONSENSE("\r\n", UNKNOWN),
    NONSENSE(" stats\r\n", UNKNOWN),
    NONSENSE("PUT 0 0 1 1\r\n", UNKNOWN),
    NONSENSE("put\r\n", UNKNOWN),
    NONSENSE("delete\r\n", UNKNOWN),
    NONSENSE("kick-jobs 1\r\n", UNKNOWN),
    NONSENSE("list-tube\r\n", UNKNOWN),
    NONSENSE("no such command\r\n", UNKNOWN),
    NONSENSE("stats\nfoo\r\n", BAD),
    NONSENSE("stats\0\r\n", BAD),
    NONSENSE("stats \r\n", BAD),
    NONSENSE("reservefoo\r\n", BAD),
    NONSENSE("reserve \r\n", BAD),
    NONSENSE("reserve-job\r\n", BAD),
    NONSENSE("stats-job\r\n", BAD),
    NONSENSE("stats-tube\r\n", BAD),
    NONSENSE("peek-readyx\r\n", BAD),
    NONSENSE("list-tube-used \r\n", BAD),
    NONSENSE("delete -1\r\n", BAD),
    NONSENSE("delete 0x1\r\n", BAD),
    NONSENSE("delete 18446744073709551616\r\n", BAD),
    NONSENSE("delete 1 \r\n", BAD),
    NONSENSE("release 1 2\r\n", BAD),
    NONSENSE("release 1 0 4294967296\r\n", BAD),
    NONSENSE("bury 1\r\n", BAD),
    NONSENSE("touch 1x\r\n", BAD),
    NONSENSE("kick x\r\n", BAD),
    NONSENSE("kick-job 1 \r\n", BAD),
    NONSENSE("use -a\r\n", BAD),
    NONSENSE("use a b\r\n", BAD),
    NONSENSE("watch a:b\r\n", BAD),
    NONSENSE("ignore \r\n", BAD),
    NONSENSE("pause-tube default\r\n", BAD),
    NONSENSE("pause-tube -a 0\r\n", BAD),
    /* Lax, and without effect: a server takes them for commands. */
    NONSENSE("delete 0000\r\n", "NOT_FOUND"),
    NONSENSE("kick 4294967296\r\n", "KICKED 0"),
    NONSENSE("kick +0 or so\r\n", "KICKED 0"),
    NONSENSE("pause-tubeno-such-tube 0\r\n", "NOT_FOUND"),
    /* A put that is none: what was meant as its body is read as lines. */
    NONSENSE("put 0 0 1\r\n", BAD),
    NONSENSE("put -1 0 1 1\r\nx\r\n", BAD, UNKNOWN),
    NONSENSE("put 0 0 1 3 zz\r\nabc\r\n", BAD, UNKNOWN),
    NONSENSE("put 0 0 1 9\r\nabc\r\nabcdeabc\r\n", "EXPECTED_CRLF", UNKNOWN),
    NONSENSE("put 0 0 1 3\r\nabcdef\r\n", "EXPECTED_CRLF", UNKNOWN),
    NONSENSE("put 0 0 1 3\r\nabc\n\rPUT\r\ndelete\r\n", "EXPECTED_CRLF", UNKNOWN, UNKNOWN),
};

static void send_table(struct sim_client *c, uint64_t now_ns)
{
    const struct nonsense *n = &table[cb_rng_below(&c->rng, sizeof table / sizeof table[0])];
    /* All of the bytes with the first answer: the others are to the rest of them. */
    sc_send_other(c, cb_span(n->text, n->len), n->answers[0], now_ns);
    for (unsigned i = 1; i < ANSWERS_MAX && n->answers[i] != NULL; i++) {
        sc_send_other(c, CB_SPAN_NULL, n->answers[i], now_ns);
    }
}

/* A line ends within 224 bytes; one that does not is answered once. Not with 447 bytes, of which
 * beanstalkd 1.12 loses the end. */
static void send_long_line(struct sim_client *c, uint64_t now_ns)
{
    uint8_t line[446];
    bool is_longest = cb_rng_chance(&c->rng, 1, 4);
    size_t len = is_longest ? 222 : 224 + cb_rng_below(&c->rng, 220);
    memset(line, 'a', len);
    memcpy(line + len, "\r\n", 2);
    sc_send_other(c, cb_span(line, len + 2), is_longest ? UNKNOWN : BAD, now_ns);
}

static void send_too_big(struct sim_client *c, uint64_t now_ns)
{
    uint32_t len = SC_JOB_SIZE + 1 + (uint32_t)cb_rng_below(&c->rng, 1000);
    struct cb_buf b = CB_BUF_NULL;
    cb_buf_printf(&b, "put 0 0 1 %u\r\n", len);
    /* Thrown away unread: also the CRLF, and what looks like one. */
    memset(cb_buf_reserve(&b, len + 2), cb_rng_chance(&c->rng, 1, 2) ? '\n' : 'b', len + 2);
    cb_buf_commit(&b, len + 2);
    sc_send_other(c, cb_buf_span(&b), "JOB_TOO_BIG", now_ns);
    cb_buf_fini(&b);
}

void sc_choose_nonsense(struct sim_client *c, uint64_t now_ns)
{
    uint64_t what = cb_rng_below(&c->rng, 16);
    if (c->profile.too_big && what < 6) {
        send_too_big(c, now_ns);
    } else if (what == 15) {
        send_long_line(c, now_ns);
    } else if (c->n_sent + ANSWERS_MAX <= SC_PIPELINE_MAX) {
        send_table(c, now_ns);
    }
}

void sc_append_beginning(struct sim_client *c)
{
    static const char *const beginnings[] = {
        "put 0 0 1 100\r\nthe first half of a body",
        "put 0 0 1 3\r\nabc\r",
        "put 0 0 1",
        "reserve-with-timeout 1\r",
        "delete 1",
        "qui",
    };
    size_t i = cb_rng_below(&c->rng, sizeof beginnings / sizeof beginnings[0]);
    cb_buf_append_str(&c->out, beginnings[i]);
}
