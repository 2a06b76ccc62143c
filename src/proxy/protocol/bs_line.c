#include "proxy/protocol/bs_line.h"

#include "common/base/cb_limits.h"
#include "common/base/cb_tube_name.h"

/* The arguments that were not read yet. */
struct rest {
    const uint8_t *p;
    const uint8_t *end;
};

static void skip_blanks(struct rest *r)
{
    while (r->p < r->end && *r->p == ' ') {
        r->p++;
    }
}

static bool at_digit(const struct rest *r)
{
    return r->p < r->end && *r->p >= '0' && *r->p <= '9';
}

/* One digit or more; false when there is none or the number does not fit. */
static bool read_digits(struct rest *r, uint64_t *number)
{
    if (!at_digit(r)) {
        return false;
    }
    uint64_t v = 0;
    for (; at_digit(r); r->p++) {
        uint64_t digit = (uint64_t)(*r->p - '0');
        if (v > (UINT64_MAX - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
    }
    *number = v;
    return true;
}

static bool read_u64(struct rest *r, uint64_t *number)
{
    skip_blanks(r);
    return read_digits(r, number);
}

static bool read_u32(struct rest *r, uint32_t *number)
{
    uint64_t v;
    if (!read_u64(r, &v) || v > UINT32_MAX) {
        return false;
    }
    *number = (uint32_t)v;
    return true;
}

/* The job limit comes before what stands behind the numbers: the body of a put that is too big is
 * thrown away, while the body behind a bad line is read as commands. */
static bool read_put(struct rest *r, uint32_t job_size_max, struct bs_command *c)
{
    if (!read_u32(r, &c->pri) || !read_u32(r, &c->delay_s) || !read_u32(r, &c->ttr_s) ||
        !read_u32(r, &c->body_len)) {
        return false;
    }
    c->counted = BS_OP_PUT;
    if (c->ttr_s == 0) {
        c->ttr_s = 1;
    }
    c->too_big = c->body_len > job_size_max;
    return c->too_big || r->p == r->end;
}

static bool read_timeout(struct rest *r, struct bs_command *c)
{
    return read_u32(r, &c->timeout_s) && c->timeout_s <= CB_RESERVE_TIMEOUT_MAX;
}

/* As strtoul into 32 bits: white space, a sign, digits; a negative number wraps around. A CR, which
 * strtoul would skip as well, does not come here. */
static bool read_count(struct rest *r, struct bs_command *c)
{
    while (r->p < r->end && (*r->p == ' ' || (*r->p >= '\t' && *r->p <= '\r'))) {
        r->p++;
    }
    bool is_negative = r->p < r->end && *r->p == '-';
    if (is_negative || (r->p < r->end && *r->p == '+')) {
        r->p++;
    }
    uint64_t v;
    if (!read_digits(r, &v)) {
        return false;
    }
    c->count = (uint32_t)(is_negative ? 0 - v : v);
    return true;
}

static bool read_tube(struct rest *r, struct bs_command *c)
{
    c->tube = cb_span(r->p, (size_t)(r->end - r->p));
    return cb_tube_name_is_valid(c->tube);
}

/* The number is read before the name's length and first letter are looked at, and the command
 * counts in between. */
static bool read_tube_delay(struct rest *r, struct bs_command *c)
{
    skip_blanks(r);
    struct cb_span all = cb_span(r->p, (size_t)(r->end - r->p));
    c->tube = cb_span(r->p, cb_tube_name_prefix(all));
    r->p += c->tube.len;
    if (!read_u32(r, &c->delay_s) || r->p != r->end) {
        return false;
    }
    c->counted = BS_OP_PAUSE_TUBE;
    return cb_tube_name_is_valid(c->tube);
}

static bool read_args(struct rest *r, uint32_t job_size_max, struct bs_command *c)
{
    switch (bs_word_args(c->op)) {
    case BS_ARGS_NONE:
        return r->p == r->end;
    case BS_ARGS_ANYTHING:
        return true;
    case BS_ARGS_ID:
        return read_u64(r, &c->id) && r->p == r->end;
    case BS_ARGS_ID_PRI:
        return read_u64(r, &c->id) && read_u32(r, &c->pri) && r->p == r->end;
    case BS_ARGS_ID_PRI_DELAY:
        return read_u64(r, &c->id) && read_u32(r, &c->pri) && read_u32(r, &c->delay_s) &&
               r->p == r->end;
    case BS_ARGS_TIMEOUT:
        return read_timeout(r, c);
    case BS_ARGS_COUNT:
        return read_count(r, c);
    case BS_ARGS_TUBE:
        return read_tube(r, c);
    case BS_ARGS_TUBE_DELAY:
        return read_tube_delay(r, c);
    case BS_ARGS_PUT:
        return read_put(r, job_size_max, c);
    }
    CB_UNREACHABLE("arguments");
}

static bool fail(struct bs_command *c, enum bs_reply error)
{
    *c = (struct bs_command){.op = c->op, .counted = c->counted, .error = error};
    return false;
}

bool bs_line_parse(struct cb_span line, uint32_t job_size_max, struct bs_command *c)
{
    if (line.len == 0) {
        return fail(c, BS_REPLY_UNKNOWN_COMMAND);
    }
    if (memchr(line.ptr, '\0', line.len) != NULL || memchr(line.ptr, '\r', line.len) != NULL) {
        return fail(c, BS_REPLY_BAD_FORMAT);
    }
    size_t args_at;
    c->op = bs_word_match(line, &args_at);
    if (c->op == BS_OP_NONE) {
        return fail(c, BS_REPLY_UNKNOWN_COMMAND);
    }
    struct rest r = {line.ptr + args_at, line.ptr + line.len};
    if (!read_args(&r, job_size_max, c)) {
        return fail(c, BS_REPLY_BAD_FORMAT);
    }
    c->counted = c->op;
    return true;
}
