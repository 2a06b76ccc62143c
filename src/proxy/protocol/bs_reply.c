#include "proxy/protocol/bs_reply.h"

/* "18446744073709551615" */
#define DIGITS_MAX 20

static void append_span(struct cb_buf *out, struct cb_span s)
{
    cb_buf_append(out, s.ptr, s.len);
}

static void append_crlf(struct cb_buf *out)
{
    cb_buf_append(out, "\r\n", 2);
}

/* A blank and the number; by hand, since printf would be half the cost of a reply. */
static void append_number(struct cb_buf *out, uint64_t number)
{
    char text[1 + DIGITS_MAX];
    size_t at = sizeof(text);
    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    text[--at] = ' ';
    cb_buf_append(out, text + at, sizeof(text) - at);
}

void bs_reply_word(struct cb_buf *out, enum bs_reply word)
{
    append_span(out, bs_word_reply(word));
    append_crlf(out);
}

void bs_reply_number(struct cb_buf *out, enum bs_reply word, uint64_t number)
{
    append_span(out, bs_word_reply(word));
    append_number(out, number);
    append_crlf(out);
}

void bs_reply_using(struct cb_buf *out, struct cb_span tube)
{
    append_span(out, bs_word_reply(BS_REPLY_USING));
    cb_buf_append(out, " ", 1);
    append_span(out, tube);
    append_crlf(out);
}

static void append_body(struct cb_buf *out, struct cb_span body)
{
    append_number(out, body.len);
    append_crlf(out);
    append_span(out, body);
    append_crlf(out);
}

void bs_reply_job(struct cb_buf *out, enum bs_reply word, uint64_t id, struct cb_span body)
{
    append_span(out, bs_word_reply(word));
    append_number(out, id);
    append_body(out, body);
}

void bs_reply_ok(struct cb_buf *out, struct cb_span yaml)
{
    append_span(out, bs_word_reply(BS_REPLY_OK));
    append_body(out, yaml);
}
