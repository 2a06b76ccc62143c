/* The whole state to another node and from one (design D7): made and loaded on a worker thread,
 * while the loop goes on. */
#include "node/node_internal.h"

#include <inttypes.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"

#define RETRY_FULL_MS 1000

/* ---- out ---- */

struct dump {
    struct cb_list link; /* in node.dumps until the work begins */
    struct node *n;
    struct replica_dump *request;
    uint64_t at_least;
    uint64_t index;
    uv_work_t work;
    struct cb_buf bytes;
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

static void make_dump(uv_work_t *work)
{
    struct dump *d = work->data;
    struct store_error err;
    replica_dump_begin(&d->bytes);
    d->is_good = store_dump(d->n->store, append_bytes, d, &err) == STORE_OK;
    if (d->is_good) {
        replica_dump_seal(&d->bytes, d->index);
    } else {
        cb_log(CB_LOG_ERROR, "dump.failed", "err=\"%s\"", err.text);
    }
}

static void on_dump_made(uv_work_t *work, int status)
{
    CB_ASSERT(status == 0);
    struct dump *d = work->data;
    replica_dump_done(d->n->replica, d->request, d->is_good ? &d->bytes : NULL);
    cb_buf_fini(&d->bytes);
    cb_free(d);
}

static void start_dump(struct dump *d)
{
    cb_list_remove(&d->link);
    d->index = d->n->spans.durable.index; /* what the dump will hold at least */
    d->work.data = d;
    CB_ASSERT(uv_queue_work(&d->n->loop, &d->work, make_dump, on_dump_made) == 0);
}

void node_transfer_dump(struct node *n, uint64_t at_least, struct replica_dump *request)
{
    struct dump *d = cb_calloc(1, sizeof(*d));
    d->n = n;
    d->request = request;
    d->at_least = at_least;
    cb_buf_init(&d->bytes);
    cb_list_push_back(&n->dumps, &d->link);
    node_store_want(n, at_least);
    node_transfer_turn(n);
}

void node_transfer_turn(struct node *n)
{
    CB_LIST_FOREACH_SAFE(it, tmp, &n->dumps)
    {
        struct dump *d = CB_CONTAINER(it, struct dump, link);
        if (n->spans.durable.index >= d->at_least) {
            start_dump(d);
        }
    }
}

/* ---- in ---- */

struct install {
    struct node *n;
    struct replica_mark mark;
    struct cb_span bytes; /* what is left to be read */
    struct cb_span all;
    struct jsm *machine;
    struct store_meta meta;
    enum store_result result;
    struct store_error err;
    bool is_sound;
    uv_work_t work;
    uv_timer_t retry;
};

static ptrdiff_t read_bytes(void *data, uint8_t *buf, size_t cap)
{
    struct install *in = data;
    size_t len = in->bytes.len < cap ? in->bytes.len : cap;
    memcpy(buf, in->bytes.ptr, len);
    in->bytes.ptr += len;
    in->bytes.len -= len;
    return (ptrdiff_t)len;
}

static bool load_record(void *data, struct cb_span key, struct cb_span value)
{
    return jsm_load_record(((struct install *)data)->machine, key, value) == JSM_LOAD_OK;
}

static void load_state(uv_work_t *work)
{
    struct install *in = work->data;
    in->bytes = in->all;
    in->result = store_load_dump(in->n->store, read_bytes, in, &in->meta, &in->err);
    if (in->result != STORE_OK) {
        return;
    }
    in->machine = jsm_create();
    in->result = store_load_incoming(in->n->store, load_record, in, NULL, &in->err);
    in->is_sound = in->result == STORE_OK && jsm_load_done(in->machine) == JSM_LOAD_OK &&
                   jsm_index(in->machine) == in->meta.index && in->meta.index >= in->mark.index &&
                   jsm_state_digest(in->machine) == in->meta.state_digest;
}

static void on_loaded(uv_work_t *work, int status);

static void start_load(struct install *in)
{
    CB_ASSERT(uv_queue_work(&in->n->loop, &in->work, load_state, on_loaded) == 0);
}

static void on_retry(uv_timer_t *timer)
{
    start_load(timer->data);
}

static void on_loaded(uv_work_t *work, int status)
{
    CB_ASSERT(status == 0);
    struct install *in = work->data;
    if (in->result == STORE_FULL) {
        cb_log(CB_LOG_ERROR, "install.waits", "err=\"%s\"", in->err.text);
        CB_ASSERT(uv_timer_start(&in->retry, on_retry, RETRY_FULL_MS, 0) == 0);
        return;
    }
    if (!in->is_sound) {
        cb_die("the state that the leader sent cannot be used (%s); restart this node to fetch it "
               "anew",
               in->result == STORE_OK || in->result == STORE_STOPPED
                   ? "its records contradict each other"
                   : in->err.text);
    }
    cb_log(CB_LOG_INFO, "install.loaded", "index=%" PRIu64, in->meta.index);
    replica_install_done(in->n->replica,
                         (struct replica_mark){.index = in->meta.index, .term = in->meta.term});
}

void node_transfer_install(struct node *n, struct replica_mark mark, struct cb_span bytes)
{
    CB_ASSERT(n->install == NULL);
    struct install *in = cb_calloc(1, sizeof(*in));
    in->n = n;
    in->mark = mark;
    in->all = bytes;
    in->work.data = in;
    CB_ASSERT(uv_timer_init(&n->loop, &in->retry) == 0);
    in->retry.data = in;
    n->install = in;
    start_load(in);
}

static void free_machine(uv_work_t *work)
{
    jsm_destroy(work->data);
}

static void on_freed(uv_work_t *work, int status)
{
    (void)status;
    cb_free(work);
}

/* Millions of jobs take a while. */
static void destroy_machine(struct node *n, struct jsm *machine)
{
    uv_work_t *work = cb_calloc(1, sizeof(*work));
    work->data = machine;
    CB_ASSERT(uv_queue_work(&n->loop, work, free_machine, on_freed) == 0);
}

static void on_install_closed(uv_handle_t *handle)
{
    cb_free(handle->data);
}

void node_transfer_installed(struct node *n, struct replica_mark mark)
{
    struct install *in = n->install;
    CB_ASSERT(in != NULL && in->mark.index == mark.index);
    struct store_error err;
    if (store_swap(n->store, &err) != STORE_OK) {
        cb_die("%s", err.text); /* the next start goes on with the swap */
    }
    struct jsm *old = n->machine;
    n->machine = in->machine;
    proposer_set_machine(n->proposer, n->machine);
    destroy_machine(n, old);
    n->install = NULL;
    uv_close((uv_handle_t *)&in->retry, on_install_closed);
    node_store_swapped(n);
    cb_log(CB_LOG_INFO, "install.done", "index=%" PRIu64, n->spans.durable.index);
}
