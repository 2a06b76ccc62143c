/* Queue.Watch: proxies that want to know who leads. */
#include <stdio.h>

#include "common/base/cb_mem.h"
#include "node/service/service_internal.h"

struct watcher {
    struct cb_list link; /* in service.watchers */
    struct service *service;
    struct rpc_stream *rpc;
    bool is_behind; /* something was to be said while a message was on its way */
};

static void tell(struct watcher *w)
{
    const struct wire_leadership *m = &w->service->leadership;
    w->is_behind = !rpc_stream_can_send(w->rpc);
    if (w->is_behind || m->leader[0] == '\0') {
        return;
    }
    struct cb_buf bytes;
    cb_buf_init(&bytes);
    wire_leadership_encode(m, &bytes);
    rpc_stream_send(w->rpc, &bytes);
    cb_buf_fini(&bytes);
}

static void tell_all(struct service *s)
{
    CB_LIST_FOREACH(it, &s->watchers)
    {
        tell(CB_CONTAINER(it, struct watcher, link));
    }
}

void service_set_members(struct service *s,
                         uint64_t index,
                         const char *const *addresses,
                         uint32_t count)
{
    struct wire_leadership *m = &s->leadership;
    CB_ASSERT(index > 0 && count <= CB_CLUSTER_NODES_MAX);
    m->members_index = index;
    m->n_members = count;
    for (uint32_t i = 0; i < count; i++) {
        snprintf(m->members[i], sizeof m->members[i], "%s", addresses[i]);
    }
    tell_all(s);
}

void service_set_leader(struct service *s, uint64_t term, const char *leader)
{
    s->leadership.term = term;
    snprintf(s->leadership.leader, sizeof s->leadership.leader, "%s", leader);
    tell_all(s);
}

static void on_message(void *ctx, struct rpc_stream *rpc, struct cb_span bytes)
{
    (void)ctx;
    (void)rpc;
    (void)bytes; /* WatchRequest has no fields */
}

static void on_writable(void *ctx, struct rpc_stream *rpc)
{
    (void)rpc;
    struct watcher *w = ctx;
    if (w->is_behind) {
        tell(w);
    }
}

/* It has said all that it has to say, and listens. */
static void on_end(void *ctx, struct rpc_stream *rpc)
{
    (void)ctx;
    (void)rpc;
}

static void on_closed(void *ctx, struct rpc_stream *rpc, const struct rpc_status *status)
{
    (void)rpc;
    (void)status;
    struct watcher *w = ctx;
    cb_list_remove(&w->link);
    cb_free(w);
}

static const struct rpc_stream_callbacks callbacks = {
    .on_message = on_message,
    .on_writable = on_writable,
    .on_end = on_end,
    .on_closed = on_closed,
};

void service_watch_on_stream(void *ctx, struct rpc_stream *rpc)
{
    struct service *s = ctx;
    struct watcher *w = cb_calloc(1, sizeof(*w));
    w->service = s;
    w->rpc = rpc;
    cb_list_push_back(&s->watchers, &w->link);
    rpc_stream_accept(rpc, &callbacks, w);
    tell(w);
}
