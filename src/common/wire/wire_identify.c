/* Cluster.Identify, of wire_cluster.h. */
#include "cluster.pb-c.h"
#include "common/base/cb_limits.h"
#include "common/wire/wire_arena.h"
#include "common/wire/wire_cluster.h"
#include "common/wire/wire_pack.h"

#define BASE(name) PROTOBUF_C_MESSAGE_INIT(&coolbeans__v1__##name##__descriptor)

void wire_identify_request_encode(const struct wire_identify_request *m, struct cb_buf *out)
{
    const Coolbeans__V1__IdentifyRequest p = {
        .base = BASE(identify_request),
        .cluster = m->cluster,
        .id = m->id,
    };
    wire_pack(&p.base, out);
}

void wire_identify_reply_encode(const struct wire_identify_reply *m, struct cb_buf *out)
{
    struct wire_arena a;
    wire_arena_init(&a, 0);
    const Coolbeans__V1__IdentifyReply p = {
        .base = BASE(identify_reply),
        .state = (Coolbeans__V1__IdentifyReply__State)m->state,
        .cluster = m->cluster,
        .id = m->id,
        .name = wire_text(&a, m->name),
        .gone = m->is_gone,
        .free_known = m->free_known,
        .free = m->free,
    };
    wire_pack(&p.base, out);
    wire_arena_fini(&a);
}

static enum wire_error take_identify_request(void *to, const void *from)
{
    struct wire_identify_request *m = to;
    const Coolbeans__V1__IdentifyRequest *p = from;
    *m = (struct wire_identify_request){.cluster = p->cluster, .id = p->id};
    return WIRE_OK;
}

enum wire_error wire_identify_request_decode(struct wire_identify_request *m, struct cb_span bytes)
{
    *m = (struct wire_identify_request){0};
    return wire_decode_copied(m, &coolbeans__v1__identify_request__descriptor, bytes,
                              take_identify_request);
}

static enum wire_error take_identify_reply(void *to, const void *from)
{
    struct wire_identify_reply *m = to;
    const Coolbeans__V1__IdentifyReply *p = from;
    struct cb_span name = cb_span_str(p->name);
    m->state = (uint32_t)p->state;
    m->cluster = p->cluster;
    m->id = p->id;
    m->is_gone = p->gone != 0;
    m->free_known = p->free_known != 0;
    m->free = p->free;
    if (m->state == 0 || m->state >= WIRE_IDENTIFY_STATE_END) {
        return WIRE_BAD_OP;
    }
    enum wire_error e = wire_check_text(name, CB_NODE_NAME_MAX);
    if (e == WIRE_OK) {
        memcpy(m->name_bytes, name.ptr, name.len);
        m->name = cb_span(m->name_bytes, name.len);
    }
    return e;
}

enum wire_error wire_identify_reply_decode(struct wire_identify_reply *m, struct cb_span bytes)
{
    *m = (struct wire_identify_reply){0};
    return wire_decode_copied(m, &coolbeans__v1__identify_reply__descriptor, bytes,
                              take_identify_reply);
}
