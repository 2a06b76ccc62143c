#include "proxy/protocol/bs_parse.h"

#include "proxy/protocol/bs_line.h"

_Static_assert(CB_LINE_MAX <= UINT8_MAX, "line_len is one byte");

#define NOT_FOUND SIZE_MAX

static const uint8_t crlf[2] = {'\r', '\n'};

void bs_parser_init(struct bs_parser *p, uint32_t job_size_max)
{
    CB_ASSERT(job_size_max <= CB_JOB_SIZE_MAX);
    *p = (struct bs_parser){.state = BS_AT_LINE, .job_size_max = job_size_max};
}

void bs_parser_fini(struct bs_parser *p)
{
    cb_buf_fini(&p->body);
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Where the first CRLF at or after `from` starts. */
static size_t find_crlf(const uint8_t *p, size_t from, size_t len)
{
    while (from + 1 < len) {
        const uint8_t *cr = memchr(p + from, '\r', len - 1 - from);
        if (cr == NULL) {
            break;
        }
        if (cr[1] == '\n') {
            return (size_t)(cr - p);
        }
        from = (size_t)(cr - p) + 1;
    }
    return NOT_FOUND;
}

static enum bs_parse_result
finish_line(struct bs_parser *p, struct cb_span line, struct bs_command *c)
{
    if (!bs_line_parse(line, p->job_size_max, c)) {
        return BS_PARSE_ERROR;
    }
    if (c->op != BS_OP_PUT) {
        return BS_PARSE_COMMAND;
    }
    p->put = *c;
    p->put.counted = BS_OP_NONE;
    p->state = c->too_big ? BS_AT_SKIP : BS_AT_BODY;
    p->skip_len = (uint64_t)c->body_len + sizeof(crlf);
    return BS_PARSE_PUT_LINE;
}

static enum bs_parse_result
step_line(struct bs_parser *p, struct cb_span in, size_t *used, struct bs_command *c)
{
    size_t old_len = p->line_len;
    size_t len = old_len + min_size(in.len, CB_LINE_MAX - old_len);
    const uint8_t *text = in.ptr; /* a line that came whole is read where it lies */
    if (old_len > 0) {
        memcpy(p->line + old_len, in.ptr, len - old_len);
        text = p->line;
    }
    size_t end = find_crlf(text, old_len > 0 ? old_len - 1 : 0, len);
    if (end != NOT_FOUND) {
        *used = end + sizeof(crlf) - old_len;
        p->line_len = 0;
        return finish_line(p, cb_span(text, end), c);
    }
    *used = len - old_len;
    if (len == CB_LINE_MAX) {
        p->line_len = 0;
        p->rest_after_cr = text[len - 1] == '\r';
        p->state = BS_AT_LINE_REST;
        return BS_PARSE_MORE;
    }
    if (old_len == 0) {
        memcpy(p->line, in.ptr, len);
    }
    p->line_len = (uint8_t)len;
    return BS_PARSE_MORE;
}

static enum bs_parse_result
step_line_rest(struct bs_parser *p, struct cb_span in, size_t *used, struct bs_command *c)
{
    if (p->rest_after_cr && in.ptr[0] == '\n') {
        *used = 1;
    } else {
        size_t end = find_crlf(in.ptr, 0, in.len);
        if (end == NOT_FOUND) {
            *used = in.len;
            p->rest_after_cr = in.ptr[in.len - 1] == '\r';
            return BS_PARSE_MORE;
        }
        *used = end + sizeof(crlf);
    }
    p->state = BS_AT_LINE;
    c->error = BS_REPLY_BAD_FORMAT;
    return BS_PARSE_ERROR;
}

static enum bs_parse_result step_body(struct bs_parser *p, struct cb_span in, size_t *used)
{
    *used = min_size(in.len, p->put.body_len - cb_buf_len(&p->body));
    cb_buf_append(&p->body, in.ptr, *used);
    if (cb_buf_len(&p->body) == p->put.body_len) {
        p->state = BS_AT_BODY_END;
        p->body_end_len = 0;
        p->body_end_bad = false;
    }
    return BS_PARSE_MORE;
}

static enum bs_parse_result
step_body_end(struct bs_parser *p, struct cb_span in, size_t *used, struct bs_command *c)
{
    for (*used = 0; *used < in.len && p->body_end_len < sizeof(crlf); ++*used) {
        p->body_end_bad |= in.ptr[*used] != crlf[p->body_end_len++];
    }
    if (p->body_end_len < sizeof(crlf)) {
        return BS_PARSE_MORE;
    }
    p->state = BS_AT_LINE;
    *c = p->put;
    if (p->body_end_bad) {
        cb_buf_fini(&p->body);
        c->error = BS_REPLY_EXPECTED_CRLF;
        return BS_PARSE_ERROR;
    }
    c->body = cb_buf_take(&p->body);
    return BS_PARSE_COMMAND;
}

static enum bs_parse_result
step_skip(struct bs_parser *p, struct cb_span in, size_t *used, struct bs_command *c)
{
    *used = in.len < p->skip_len ? in.len : (size_t)p->skip_len;
    p->skip_len -= *used;
    if (p->skip_len > 0) {
        return BS_PARSE_MORE;
    }
    p->state = BS_AT_LINE;
    *c = p->put;
    c->error = BS_REPLY_JOB_TOO_BIG;
    return BS_PARSE_ERROR;
}

static enum bs_parse_result
step(struct bs_parser *p, struct cb_span in, size_t *used, struct bs_command *c)
{
    switch (p->state) {
    case BS_AT_LINE:
        return step_line(p, in, used, c);
    case BS_AT_LINE_REST:
        return step_line_rest(p, in, used, c);
    case BS_AT_BODY:
        return step_body(p, in, used);
    case BS_AT_BODY_END:
        return step_body_end(p, in, used, c);
    case BS_AT_SKIP:
        return step_skip(p, in, used, c);
    }
    CB_UNREACHABLE("parser state");
}

enum bs_parse_result
bs_parse(struct bs_parser *p, struct cb_span in, size_t *consumed, struct bs_command *command)
{
    *command = (struct bs_command){.op = BS_OP_NONE};
    size_t at = 0;
    enum bs_parse_result result = BS_PARSE_MORE;
    while (result == BS_PARSE_MORE && at < in.len) {
        size_t used = 0;
        result = step(p, cb_span(in.ptr + at, in.len - at), &used, command);
        at += used;
    }
    *consumed = at;
    return result;
}
