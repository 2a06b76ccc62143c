/* The whole state from another member (design D7): loaded on a worker thread, while the loop goes
 * on. */
#include <inttypes.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"
#include "node/core/core_internal.h"

#define RETRY_FULL_NS CB_NS_PER_S

struct core_install {
    struct core *c;
    struct replica_mark mark;
    uint64_t at_least;    /* the state must be at this index or above */
    struct cb_span bytes; /* what is left to be read */
    struct cb_span all;
    struct jsm *machine;
    struct store_meta meta;
    enum store_result result;
    struct store_error err;
    bool is_sound;
    bool is_own; /* this member's own state goes as far: nothing is loaded */
    bool is_told;
};

static ptrdiff_t read_bytes(void *data, uint8_t *buf, size_t cap)
{
    struct core_install *in = data;
    size_t len = in->bytes.len < cap ? in->bytes.len : cap;
    memcpy(buf, in->bytes.ptr, len);
    in->bytes.ptr += len;
    in->bytes.len -= len;
    return (ptrdiff_t)len;
}

static bool load_record(void *data, struct cb_span key, struct cb_span value)
{
    return jsm_load_record(((struct core_install *)data)->machine, key, value) == JSM_LOAD_OK;
}

static void load_state(void *arg)
{
    struct core_install *in = arg;
    struct store *store = in->c->store;
    in->bytes = in->all;
    in->result = store_load_dump(store, read_bytes, in, &in->meta, &in->err);
    if (in->result != STORE_OK) {
        return;
    }
    in->machine = jsm_create();
    in->result = store_load_incoming(store, load_record, in, NULL, &in->err);
    in->is_sound = in->result == STORE_OK && jsm_load_done(in->machine) == JSM_LOAD_OK &&
                   jsm_index(in->machine) == in->meta.index && in->meta.index >= in->at_least &&
                   jsm_state_digest(in->machine) == in->meta.state_digest;
}

static void on_loaded(void *arg)
{
    struct core_install *in = arg;
    struct core *c = in->c;
    if (in->result == STORE_FULL) {
        cb_log(CB_LOG_ERROR, "install.waits", "err=\"%s\"", in->err.text);
        uint64_t now = cb_clock_monotonic_ns(c->env.clock);
        c->env.set_timer(c->env.data, CORE_TIMER_INSTALL, now + RETRY_FULL_NS);
        return;
    }
    if (!in->is_sound) {
        core_die(c,
                 "the state that the leader sent cannot be used (%s); restart this node to fetch "
                 "it anew",
                 in->result == STORE_OK || in->result == STORE_STOPPED
                     ? "its records contradict each other"
                     : in->err.text);
    }
    cb_log(CB_LOG_INFO, "install.loaded", "index=%" PRIu64, in->meta.index);
    replica_install_done(c->replica,
                         (struct replica_mark){.index = in->meta.index, .term = in->meta.term});
}

void core_install_start(struct core *c,
                        struct replica_mark mark,
                        uint64_t at_least,
                        struct cb_span bytes)
{
    CB_ASSERT(c->install == NULL);
    struct core_install *in = cb_calloc(1, sizeof(*in));
    in->c = c;
    in->mark = mark;
    in->at_least = at_least;
    in->all = bytes;
    c->install = in;
    if (c->spans.applied.index >= at_least) {
        in->is_own = true;
        core_span_want(c, c->spans.applied.index);
        core_install_turn(c);
        return;
    }
    c->env.work(c->env.data, load_state, on_loaded, in);
}

/* A leader applies what the others have on disk before its own log has it; after a crash its state
 * can be ahead of the log, and of the snapshot that its log needs. To take that would be to go
 * back. */
void core_install_turn(struct core *c)
{
    struct core_install *in = c->install;
    const struct core_spans *s = &c->spans;
    if (in == NULL || !in->is_own || in->is_told || s->durable.index < s->applied.index) {
        return;
    }
    in->is_told = true;
    cb_log(CB_LOG_INFO, "install.own", "index=%" PRIu64, s->applied.index);
    replica_install_done(c->replica,
                         (struct replica_mark){.index = s->applied.index, .term = s->applied.term});
}

void core_install_retry(struct core *c)
{
    c->env.work(c->env.data, load_state, on_loaded, c->install);
}

/* ---- the machine that was replaced ---- */

struct grave {
    struct cb_list link; /* in core.graves */
    struct jsm *machine; /* NULL: gone */
};

static void free_machine(void *arg)
{
    struct grave *g = arg;
    jsm_destroy(g->machine);
    g->machine = NULL;
}

static void on_freed(void *arg)
{
    struct grave *g = arg;
    cb_list_remove(&g->link);
    cb_free(g);
}

/* Millions of jobs take a while. */
static void destroy_machine(struct core *c, struct jsm *machine)
{
    struct grave *g = cb_calloc(1, sizeof(*g));
    g->machine = machine;
    cb_list_push_back(&c->graves, &g->link);
    c->env.work(c->env.data, free_machine, on_freed, g);
}

static void swap(struct core *c, struct core_install *in)
{
    struct store_error err;
    if (store_swap(c->store, &err) != STORE_OK) {
        core_die(c, "%s", err.text); /* the next start goes on with the swap */
    }
    struct jsm *old = c->machine;
    c->machine = in->machine;
    proposer_set_machine(c->proposer, c->machine);
    destroy_machine(c, old);
    core_span_swapped(c);
    cb_log(CB_LOG_INFO, "install.done", "index=%" PRIu64, c->spans.durable.index);
    if (c->watch != NULL) {
        c->watch(c->watch_data, NULL, c->machine);
    }
}

void core_install_finish(struct core *c, struct replica_mark mark)
{
    struct core_install *in = c->install;
    CB_ASSERT(in != NULL && in->mark.index == mark.index);
    c->install = NULL;
    if (!in->is_own) {
        swap(c, in);
    }
    cb_free(in);
}

void core_install_drop_all(struct core *c)
{
    if (c->install != NULL) {
        jsm_destroy(c->install->machine);
        cb_free(c->install);
    }
    CB_LIST_FOREACH_SAFE(it, tmp, &c->graves)
    {
        struct grave *g = CB_CONTAINER(it, struct grave, link);
        jsm_destroy(g->machine);
        cb_free(g);
    }
}
