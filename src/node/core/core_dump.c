/* The whole state to another member (design D7): made on a worker thread, while the loop goes on.
 */
#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"
#include "node/core/core_internal.h"

struct dump {
    struct cb_list link; /* in core.dumps */
    struct core *c;
    struct replica_dump *request;
    uint64_t at_least;
    uint64_t index;
    struct cb_buf bytes;
    bool is_started;
    bool is_good;
};

static bool append_bytes(void *data, struct cb_span bytes)
{
    struct dump *d = data;
    if (cb_buf_len(&d->bytes) + bytes.len > CB_RAFT_DUMP_MAX) {
        return false;
    }
    cb_buf_append(&d->bytes, bytes.ptr, bytes.len);
    return true;
}

static void make_dump(void *arg)
{
    struct dump *d = arg;
    struct store_error err;
    replica_dump_begin(&d->bytes);
    d->is_good = store_dump(d->c->store, append_bytes, d, &err) == STORE_OK;
    if (d->is_good) {
        replica_dump_seal(&d->bytes, d->index);
    } else {
        cb_log(CB_LOG_ERROR, "dump.failed", "err=\"%s\"", err.text);
    }
}

static void drop(struct dump *d)
{
    cb_list_remove(&d->link);
    cb_buf_fini(&d->bytes);
    cb_free(d);
}

static void on_dump_made(void *arg)
{
    struct dump *d = arg;
    replica_dump_done(d->c->replica, d->request, d->is_good ? &d->bytes : NULL);
    drop(d);
}

void core_dump_start(struct core *c, uint64_t at_least, struct replica_dump *request)
{
    struct dump *d = cb_calloc(1, sizeof(*d));
    d->c = c;
    d->request = request;
    d->at_least = at_least;
    cb_buf_init(&d->bytes);
    cb_list_push_back(&c->dumps, &d->link);
    core_span_want(c, at_least);
    core_dump_turn(c);
}

void core_dump_turn(struct core *c)
{
    CB_LIST_FOREACH(it, &c->dumps)
    {
        struct dump *d = CB_CONTAINER(it, struct dump, link);
        if (!d->is_started && c->spans.durable.index >= d->at_least) {
            d->is_started = true;
            d->index = c->spans.durable.index; /* what the dump will hold at least */
            c->env.work(c->env.data, make_dump, on_dump_made, d);
        }
    }
}

void core_dump_drop_all(struct core *c)
{
    CB_LIST_FOREACH_SAFE(it, tmp, &c->dumps)
    {
        drop(CB_CONTAINER(it, struct dump, link));
    }
}
