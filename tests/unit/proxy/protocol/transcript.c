#include "unit/proxy/protocol/transcript.h"

#include <inttypes.h>

static void append_span(struct cb_buf *out, struct cb_span s)
{
    cb_buf_append(out, s.ptr, s.len);
}

static void append_numbers(struct cb_buf *out, const struct bs_command *c)
{
    switch (bs_word_args(c->op)) {
    case BS_ARGS_NONE:
    case BS_ARGS_ANYTHING:
        return;
    case BS_ARGS_ID:
        cb_buf_printf(out, " %" PRIu64, c->id);
        return;
    case BS_ARGS_ID_PRI:
        cb_buf_printf(out, " %" PRIu64 " %" PRIu32, c->id, c->pri);
        return;
    case BS_ARGS_ID_PRI_DELAY:
        cb_buf_printf(out, " %" PRIu64 " %" PRIu32 " %" PRIu32, c->id, c->pri, c->delay_s);
        return;
    case BS_ARGS_TIMEOUT:
        cb_buf_printf(out, " %" PRIu32, c->timeout_s);
        return;
    case BS_ARGS_COUNT:
        cb_buf_printf(out, " %" PRIu32, c->count);
        return;
    case BS_ARGS_TUBE:
    case BS_ARGS_TUBE_DELAY:
        cb_buf_append(out, " ", 1);
        append_span(out, c->tube);
        if (c->op == BS_OP_PAUSE_TUBE) {
            cb_buf_printf(out, " %" PRIu32, c->delay_s);
        }
        return;
    case BS_ARGS_PUT:
        cb_buf_printf(out, " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32, c->pri, c->delay_s,
                      c->ttr_s, c->body_len);
        return;
    }
    CB_UNREACHABLE("arguments");
}

static void append_counted(struct cb_buf *out, const struct bs_command *c)
{
    if (c->counted != BS_OP_NONE) {
        cb_buf_append(out, " +", 2);
        append_span(out, bs_word_name(c->counted));
    }
}

static void append_put_line(struct cb_buf *out, const struct bs_command *c)
{
    CB_ASSERT(c->op == BS_OP_PUT && c->counted == BS_OP_PUT && c->error == BS_REPLY_NONE);
    CB_ASSERT(c->body.base == NULL && c->ttr_s > 0);
    cb_buf_append_str(out, "put-line");
    append_numbers(out, c);
    if (c->too_big) {
        cb_buf_append_str(out, " too-big");
    }
    append_counted(out, c);
}

static void append_command(struct cb_buf *out, struct bs_command *c)
{
    CB_ASSERT(c->error == BS_REPLY_NONE && !c->too_big);
    CB_ASSERT(c->counted == (c->op == BS_OP_PUT ? BS_OP_NONE : c->op));
    append_span(out, bs_word_name(c->op));
    append_numbers(out, c);
    if (c->op == BS_OP_PUT) {
        CB_ASSERT(cb_buf_len(&c->body) == c->body_len);
        cb_buf_append_str(out, " [");
        append_span(out, cb_buf_span(&c->body));
        cb_buf_append_str(out, "]");
    }
    cb_buf_fini(&c->body);
}

static void append_error(struct cb_buf *out, const struct bs_command *c)
{
    CB_ASSERT(c->body.base == NULL);
    CB_ASSERT(c->too_big == (c->error == BS_REPLY_JOB_TOO_BIG));
    append_span(out, bs_word_reply(c->error));
    append_counted(out, c);
}

void transcript_feed(struct cb_buf *out, struct bs_parser *p, struct cb_span piece)
{
    for (;;) {
        struct bs_command c;
        size_t consumed = SIZE_MAX;
        enum bs_parse_result result = bs_parse(p, piece, &consumed, &c);
        CB_ASSERT(consumed <= piece.len);
        if (result == BS_PARSE_MORE) {
            CB_ASSERT(consumed == piece.len);
            return;
        }
        CB_ASSERT(consumed > 0);
        piece = cb_span(piece.ptr + consumed, piece.len - consumed);
        if (cb_buf_len(out) > 0) {
            cb_buf_append_str(out, "; ");
        }
        if (result == BS_PARSE_PUT_LINE) {
            append_put_line(out, &c);
        } else if (result == BS_PARSE_COMMAND) {
            append_command(out, &c);
        } else {
            append_error(out, &c);
        }
    }
}
