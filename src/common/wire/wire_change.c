#include "common/wire/wire_change.h"

#include "cluster.pb-c.h"
#include "common/wire/wire_pack.h"

#define BASE(name) PROTOBUF_C_MESSAGE_INIT(&coolbeans__v1__##name##__descriptor)

/* protobuf-c only reads them. */
static char *lend(const char *s)
{
    return (char *)(uintptr_t)s;
}

void wire_change_request_encode(const struct wire_change_request *m, struct cb_buf *out)
{
    const Coolbeans__V1__ChangeRequest p = {
        .base = BASE(change_request),
        .op = (Coolbeans__V1__ChangeRequest__Op)m->op,
        .name = lend(m->name),
        .grpc = lend(m->grpc),
    };
    wire_pack(&p.base, out);
}

void wire_change_reply_encode(const struct wire_change_reply *m, struct cb_buf *out)
{
    const Coolbeans__V1__ChangeReply p = {
        .base = BASE(change_reply),
        .result = (Coolbeans__V1__ChangeReply__Result)m->result,
        .leader = lend(m->leader),
        .text = lend(m->text),
    };
    wire_pack(&p.base, out);
}

/* With its NUL it takes `cap` bytes at most. */
static enum wire_error take_text(char *out, size_t cap, const char *text)
{
    struct cb_span s = cb_span_str(text);
    enum wire_error e = wire_check_text(s, cap - 1);
    if (e == WIRE_OK) {
        memcpy(out, text, s.len + 1);
    }
    return e;
}

static enum wire_error take_request(void *to, const void *from)
{
    struct wire_change_request *m = to;
    const Coolbeans__V1__ChangeRequest *p = from;
    m->op = (uint32_t)p->op;
    if (m->op == 0 || m->op >= WIRE_CHANGE_OP_END) {
        return WIRE_BAD_OP;
    }
    enum wire_error e = take_text(m->name, sizeof(m->name), p->name);
    e = e == WIRE_OK ? take_text(m->grpc, sizeof(m->grpc), p->grpc) : e;
    if (e != WIRE_OK) {
        return e;
    }
    bool needs_name = m->op != WIRE_CHANGE_TRANSFER;
    bool needs_grpc = m->op == WIRE_CHANGE_ADD;
    bool is_whole = (!needs_name || m->name[0] != '\0') && needs_grpc == (m->grpc[0] != '\0');
    return is_whole ? WIRE_OK : WIRE_BAD_RANGE;
}

enum wire_error wire_change_request_decode(struct wire_change_request *m, struct cb_span bytes)
{
    *m = (struct wire_change_request){0};
    return wire_decode_copied(m, &coolbeans__v1__change_request__descriptor, bytes, take_request);
}

static enum wire_error take_reply(void *to, const void *from)
{
    struct wire_change_reply *m = to;
    const Coolbeans__V1__ChangeReply *p = from;
    m->result = (uint32_t)p->result;
    if (m->result == 0 || m->result >= WIRE_CHANGE_RESULT_END) {
        return WIRE_BAD_OP;
    }
    enum wire_error e = take_text(m->leader, sizeof(m->leader), p->leader);
    return e == WIRE_OK ? take_text(m->text, sizeof(m->text), p->text) : e;
}

enum wire_error wire_change_reply_decode(struct wire_change_reply *m, struct cb_span bytes)
{
    *m = (struct wire_change_reply){0};
    return wire_decode_copied(m, &coolbeans__v1__change_reply__descriptor, bytes, take_reply);
}
