#include "common/rpc/rpc_health.h"

#include <string.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_bytes.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_list.h"
#include "common/base/cb_mem.h"

struct service {
    char name[CB_RPC_SERVICE_NAME_MAX + 1];
    enum rpc_health_status status;
};

struct rpc_health {
    struct service services[CB_RPC_HEALTH_SERVICES_MAX];
    size_t count;
    struct cb_list watchers;
};

struct watcher {
    struct rpc_health *health;
    struct cb_list link;
    struct rpc_stream *stream;
    bool asked; /* `name` is set */
    char name[CB_RPC_SERVICE_NAME_MAX + 1];
    int told; /* the last status sent; 0: none */
};

/* --- the two messages --- */

/* Protobuf wire format: key = field << 3 | type; type 0 varint, 1 eight bytes, 2 length and bytes,
 * 5 four bytes. Fields that are not known are skipped, the last of a repeated one counts. Unlike
 * ours, a varint may be written longer than needed. */
static uint64_t read_varint(struct cb_reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = cb_get_u8(r);
        if (shift == 63 && byte > 1) {
            break;
        }
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return v;
        }
    }
    r->failed = true;
    return 0;
}

static struct cb_span read_bytes(struct cb_reader *r)
{
    uint64_t len = read_varint(r);
    if (r->failed || len > (size_t)(r->end - r->p)) {
        r->failed = true;
        return CB_SPAN_NULL;
    }
    struct cb_span s = cb_span(r->p, (size_t)len);
    r->p += len;
    return s;
}

static void skip_field(struct cb_reader *r, unsigned type)
{
    switch (type) {
    case 0:
        (void)read_varint(r);
        return;
    case 1:
        (void)cb_get_u64(r);
        return;
    case 2:
        (void)read_bytes(r);
        return;
    case 5:
        (void)cb_get_u32(r);
        return;
    default: /* groups, which nobody uses, and types that do not exist */
        r->failed = true;
        return;
    }
}

/* HealthCheckRequest { string service = 1; } as a C string. */
static bool decode_request(struct cb_span message, char name[static CB_RPC_SERVICE_NAME_MAX + 1])
{
    struct cb_span service = CB_SPAN_NULL;
    struct cb_reader r;
    cb_reader_init(&r, message);
    while (!r.failed && r.p != r.end) {
        uint64_t key = read_varint(&r);
        if (key >> 3 == 0 || key >> 3 > UINT32_MAX >> 3) {
            r.failed = true;
        } else if (key == (1 << 3 | 2)) {
            service = read_bytes(&r);
        } else {
            skip_field(&r, (unsigned)(key & 7));
        }
    }
    if (!cb_reader_done(&r) || service.len > CB_RPC_SERVICE_NAME_MAX ||
        (service.len > 0 && memchr(service.ptr, '\0', service.len) != NULL)) {
        return false;
    }
    memset(name, 0, CB_RPC_SERVICE_NAME_MAX + 1);
    if (service.len > 0) {
        memcpy(name, service.ptr, service.len);
    }
    return true;
}

/* HealthCheckResponse { ServingStatus status = 1; } */
static struct cb_buf encode_response(enum rpc_health_status status)
{
    struct cb_buf b = CB_BUF_NULL;
    cb_put_u8(&b, 1 << 3 | 0);
    cb_put_varint(&b, (uint64_t)status);
    return b;
}

/* --- Check --- */

static struct service *find(struct rpc_health *h, const char *name)
{
    for (size_t i = 0; i < h->count; i++) {
        if (strcmp(h->services[i].name, name) == 0) {
            return &h->services[i];
        }
    }
    return NULL;
}

static void on_check(void *ctx, struct rpc_call *call, struct cb_span request)
{
    char name[CB_RPC_SERVICE_NAME_MAX + 1];
    if (!decode_request(request, name)) {
        rpc_call_fail(call, RPC_INVALID_ARGUMENT, "not a HealthCheckRequest");
        return;
    }
    const struct service *service = find(ctx, name);
    if (service == NULL) {
        rpc_call_fail(call, RPC_NOT_FOUND, "unknown service");
        return;
    }
    struct cb_buf reply = encode_response(service->status);
    rpc_call_reply(call, &reply);
}

/* --- Watch --- */

/* Sends the status if the watcher does not have it; what changes meanwhile is sent after that. */
static void tell(struct watcher *w)
{
    const struct service *service = find(w->health, w->name);
    enum rpc_health_status status = service != NULL ? service->status : RPC_HEALTH_SERVICE_UNKNOWN;
    if (!w->asked || w->told == (int)status || !rpc_stream_can_send(w->stream)) {
        return;
    }
    w->told = (int)status;
    struct cb_buf message = encode_response(status);
    rpc_stream_send(w->stream, &message);
}

static void watch_message(void *ctx, struct rpc_stream *s, struct cb_span message)
{
    struct watcher *w = ctx;
    if (w->asked || !decode_request(message, w->name)) {
        rpc_stream_finish(s, RPC_INVALID_ARGUMENT, "not one HealthCheckRequest", NULL);
        return;
    }
    w->asked = true;
    tell(w);
}

static void watch_writable(void *ctx, struct rpc_stream *s)
{
    (void)s;
    tell(ctx);
}

/* The client has asked and now listens. */
static void watch_end(void *ctx, struct rpc_stream *s)
{
    const struct watcher *w = ctx;
    if (!w->asked) {
        rpc_stream_finish(s, RPC_INVALID_ARGUMENT, "the request message is missing", NULL);
    }
}

static void watch_closed(void *ctx, struct rpc_stream *s, const struct rpc_status *status)
{
    (void)s;
    (void)status;
    struct watcher *w = ctx;
    cb_list_remove(&w->link);
    cb_free(w);
}

static const struct rpc_stream_callbacks watch_callbacks = {
    .on_message = watch_message,
    .on_writable = watch_writable,
    .on_end = watch_end,
    .on_closed = watch_closed,
};

static void on_watch(void *ctx, struct rpc_stream *s)
{
    struct rpc_health *h = ctx;
    struct watcher *w = cb_calloc(1, sizeof *w);
    w->health = h;
    w->stream = s;
    cb_list_push_back(&h->watchers, &w->link);
    rpc_stream_accept(s, &watch_callbacks, w);
}

/* --- */

struct rpc_health *rpc_health_create(struct rpc_server *server)
{
    struct rpc_health *h = cb_calloc(1, sizeof *h);
    cb_list_init(&h->watchers);
    const struct rpc_method methods[] = {
        {
            .path = "/grpc.health.v1.Health/Check",
            .kind = RPC_UNARY,
            .ctx = h,
            .on_call = on_check,
        },
        {
            .path = "/grpc.health.v1.Health/Watch",
            .kind = RPC_BIDI,
            .ctx = h,
            .on_stream = on_watch,
        },
    };
    rpc_server_add(server, methods, sizeof methods / sizeof methods[0]);
    return h;
}

void rpc_health_destroy(struct rpc_health *h)
{
    CB_ASSERT(cb_list_is_empty(&h->watchers));
    cb_free(h);
}

void rpc_health_set(struct rpc_health *h, const char *service, enum rpc_health_status status)
{
    struct service *s = find(h, service);
    if (s == NULL) {
        CB_ASSERT(h->count < CB_RPC_HEALTH_SERVICES_MAX);
        CB_ASSERT(strlen(service) <= CB_RPC_SERVICE_NAME_MAX);
        s = &h->services[h->count++];
        memcpy(s->name, service, strlen(service) + 1);
    }
    s->status = status;
    CB_LIST_FOREACH(link, &h->watchers)
    {
        tell(CB_CONTAINER(link, struct watcher, link));
    }
}
