#include "common/wire/wire_digests.h"

#include "cluster.pb-c.h"
#include "common/wire/wire_pack.h"

#define BASE(name) PROTOBUF_C_MESSAGE_INIT(&coolbeans__v1__##name##__descriptor)

/* protobuf-c only reads them. */
static uint64_t *lend(const uint64_t *words)
{
    return (uint64_t *)(uintptr_t)words;
}

void wire_digests_request_encode(const struct wire_digests_request *m, struct cb_buf *out)
{
    const Coolbeans__V1__DigestsRequest p = {
        .base = BASE(digests_request), .cluster = m->cluster, .id = m->id};
    wire_pack(&p.base, out);
}

void wire_digests_reply_encode(const struct wire_digests_reply *m, struct cb_buf *out)
{
    CB_ASSERT(m->n <= CB_DIGESTS_TOLD);
    const Coolbeans__V1__DigestsReply p = {
        .base = BASE(digests_reply),
        .cluster = m->cluster,
        .id = m->id,
        .n_index = m->n,
        .index = lend(m->index),
        .n_digest = m->n,
        .digest = lend(m->digest),
    };
    wire_pack(&p.base, out);
}

static enum wire_error take_request(void *to, const void *from)
{
    struct wire_digests_request *m = to;
    const Coolbeans__V1__DigestsRequest *p = from;
    *m = (struct wire_digests_request){.cluster = p->cluster, .id = p->id};
    return WIRE_OK;
}

enum wire_error wire_digests_request_decode(struct wire_digests_request *m, struct cb_span bytes)
{
    *m = (struct wire_digests_request){0};
    return wire_decode_copied(m, &coolbeans__v1__digests_request__descriptor, bytes, take_request);
}

static enum wire_error take_reply(void *to, const void *from)
{
    struct wire_digests_reply *m = to;
    const Coolbeans__V1__DigestsReply *p = from;
    if (p->n_index > CB_DIGESTS_TOLD || p->n_digest != p->n_index) {
        return WIRE_BAD_RANGE;
    }
    m->cluster = p->cluster;
    m->id = p->id;
    m->n = (uint32_t)p->n_index;
    for (uint32_t i = 0; i < m->n; i++) {
        if (p->index[i] == 0 || (i > 0 && p->index[i] <= p->index[i - 1])) {
            return WIRE_BAD_RANGE;
        }
        m->index[i] = p->index[i];
        m->digest[i] = p->digest[i];
    }
    return WIRE_OK;
}

enum wire_error wire_digests_reply_decode(struct wire_digests_reply *m, struct cb_span bytes)
{
    *m = (struct wire_digests_reply){0};
    return wire_decode_copied(m, &coolbeans__v1__digests_reply__descriptor, bytes, take_reply);
}
