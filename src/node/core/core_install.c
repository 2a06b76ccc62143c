/* The whole state from another member (design D7): fetched in parts, fed to the store on a worker
 * thread, then loaded there, while the loop goes on. One part is asked for while the one before is
 * fed, so that two are in memory. */
#include <inttypes.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"
#include "node/core/core_internal.h"

#define RETRY_NS (200 * CB_NS_PER_MS)
#define RETRY_FULL_NS CB_NS_PER_S
/* So long a copy is asked for again where it was begun: as long as it is kept there. */
#define RESUME_NS (CB_STATE_COPY_IDLE_MS * CB_NS_PER_MS)
#define STUCK_NS (2 * CB_NS_PER_S)

struct core_install {
    struct core *c;
    struct replica_mark mark;
    uint64_t at_least; /* the state must be at this index or above */
    bool is_own;       /* this member's own state goes as far: nothing is fetched */
    bool is_told;

    /* What is asked for. */
    uint64_t source;  /* the member */
    uint64_t copy;    /* as it names it; 0: not known yet */
    uint64_t part;    /* the next one */
    bool is_asking;   /* for that one */
    bool is_anew;     /* when nothing is under way any more: from the beginning */
    bool is_waiting;  /* for CORE_TIMER_INSTALL */
    uint64_t came_ns; /* CLOCK_MONOTONIC, the last part */
    uint32_t turn;    /* the next of the others */
    bool is_behind;   /* who answered since then has no such state */
    uint64_t behind_ns;

    /* What has come. */
    struct cb_buf next; /* a part that waits until the one before is fed */
    bool has_next;
    bool next_is_last;
    struct cb_buf fed; /* the part that is fed: the worker's while is_feeding */
    bool is_feeding;
    bool is_first; /* it is part 0: what was fed before goes */
    bool is_last;
    bool is_whole;

    bool is_loading; /* the worker has what follows */
    struct jsm *machine;
    struct store_meta meta;
    enum store_result result;
    struct store_error err;
    bool is_sound;
};

/* ---- the last step: a machine ---- */

static bool load_record(void *data, struct cb_span key, struct cb_span value)
{
    return jsm_load_record(((struct core_install *)data)->machine, key, value) == JSM_LOAD_OK;
}

static void load_state(void *arg)
{
    struct core_install *in = arg;
    cb_mem_give_back(); /* the bodies of the old machine */
    in->machine = core_make_machine(in->c);
    in->result = store_load_incoming(in->c->store, load_record, in, &in->meta, &in->err);
    in->is_sound = in->result == STORE_OK && jsm_load_done(in->machine) == JSM_LOAD_OK &&
                   jsm_index(in->machine) == in->meta.index && in->meta.index >= in->at_least &&
                   jsm_state_digest(in->machine) == in->meta.state_digest;
}

static void on_loaded(void *arg)
{
    struct core_install *in = arg;
    struct core *c = in->c;
    in->is_loading = false;
    if (!in->is_sound) {
        core_die(c,
                 "the state that member %" PRIu64 " sent cannot be used (%s); restart this node to "
                 "fetch it anew",
                 in->source,
                 in->result == STORE_OK || in->result == STORE_STOPPED
                     ? "its records contradict each other"
                     : in->err.text);
    }
    cb_log(CB_LOG_INFO, "install.loaded", "index=%" PRIu64, in->meta.index);
    replica_install_done(c->replica,
                         (struct replica_mark){.index = in->meta.index, .term = in->meta.term});
}

/* ---- asking ---- */

static void wait_for(struct core_install *in, uint64_t ns)
{
    struct core *c = in->c;
    in->is_waiting = true;
    c->env.set_timer(c->env.data, CORE_TIMER_INSTALL, cb_clock_monotonic_ns(c->env.clock) + ns);
}

static void ask(struct core_install *in)
{
    const struct core *c = in->c;
    const struct core_state_ask q = {
        .copy = in->copy, .part = in->part, .at_least = in->copy == 0 ? in->at_least : 0};
    if (c->is_stopped) {
        return;
    }
    in->is_asking = true;
    c->env.ask_state(c->env.data, in->source, &q);
}

/* The leader, and each second time another member; when it is gone, the others: this member is
 * needed to elect one, which libraft does not let it do before it has the state. */
static uint64_t next_source(struct core_install *in)
{
    const struct core *c = in->c;
    uint64_t leader = c->view.leader_id;
    bool is_there = leader != 0 && leader != c->config.self && replica_hears_leader(c->replica);
    if (is_there && in->source != leader) {
        return leader;
    }
    if (c->n_others == 0) {
        return leader; /* of a group that this member does not know yet; 0: nobody can be asked */
    }
    uint64_t next = c->others[in->turn++ % c->n_others];
    if (next == in->source) {
        next = c->others[in->turn++ % c->n_others];
    }
    return next;
}

static void begin_anew(struct core_install *in)
{
    in->is_anew = false;
    in->source = next_source(in);
    in->copy = 0;
    in->part = 0;
    in->has_next = false;
    cb_buf_clear(&in->next);
    if (in->source == 0) {
        in->is_anew = true;
        wait_for(in, RETRY_NS);
        return;
    }
    ask(in);
}

void core_install_retry(struct core *c)
{
    struct core_install *in = c->install;
    if (in == NULL || !in->is_waiting) {
        return;
    }
    in->is_waiting = false;
    if (in->is_asking || (in->is_anew && in->is_feeding)) {
        wait_for(in, RETRY_NS);
    } else if (in->is_anew) {
        begin_anew(in);
    } else {
        ask(in);
    }
}

static void fail(struct core_install *in, const char *why, uint64_t ns)
{
    cb_log(CB_LOG_WARN, "install.anew", "from=%" PRIu64 " parts=%" PRIu64 " why=\"%s\"", in->source,
           in->part, why);
    in->is_anew = true;
    wait_for(in, ns);
}

/* The leader may have died when a member that is left did not know, or not any more, that the
 * snapshot's last entry is committed. That one leads, and knows, as soon as this one votes for it;
 * libraft does not vote before it has the state, and after a restart it does. */
static void note_behind(struct core_install *in)
{
    uint64_t now = cb_clock_monotonic_ns(in->c->env.clock);
    if (replica_hears_leader(in->c->replica)) {
        in->is_behind = false; /* it has the state, or will have it */
    } else if (!in->is_behind) {
        in->is_behind = true;
        in->behind_ns = now;
    } else if (now - in->behind_ns > STUCK_NS) {
        core_die(in->c,
                 "this node is to fetch the state at log entry %" PRIu64 " or above; the leader is "
                 "gone, and no member that answers has it: it begins anew with its next start",
                 in->at_least);
    }
}

/* ---- what comes ---- */

static void feed(void *arg)
{
    struct core_install *in = arg;
    struct store *store = in->c->store;
    in->result = in->is_first ? store_incoming_begin(store, &in->err) : STORE_OK;
    if (in->result == STORE_OK) {
        in->result = store_incoming_feed(store, cb_buf_span(&in->fed), &in->is_whole, &in->err);
    }
}

static void feed_next(struct core_install *in);

static void on_fed(void *arg)
{
    struct core_install *in = arg;
    struct core *c = in->c;
    in->is_feeding = false;
    if (c->is_stopped) {
        return; /* the next start fetches anew */
    }
    if (in->result == STORE_FULL) {
        cb_log(CB_LOG_ERROR, "install.waits", "err=\"%s\"", in->err.text);
        fail(in, "the disk is full", RETRY_FULL_NS);
        return;
    }
    if (in->result == STORE_BAD_DUMP) {
        fail(in, in->err.text, RETRY_FULL_NS);
        return;
    }
    if (in->result != STORE_OK) {
        core_die(c, "the state that member %" PRIu64 " sent cannot be stored: %s", in->source,
                 in->err.text);
    }
    if (in->is_whole) {
        in->is_loading = true;
        core_bodies_make_room(c);
        c->env.work(c->env.data, load_state, on_loaded, in);
    } else if (in->is_last) {
        fail(in, "it has no end", RETRY_FULL_NS);
    } else if (!in->is_anew) {
        feed_next(in);
    }
}

/* And asks for the one after it. */
static void feed_next(struct core_install *in)
{
    if (!in->has_next || in->is_feeding) {
        return;
    }
    in->has_next = false;
    in->is_first = in->part == 1;
    in->is_last = in->next_is_last;
    cb_buf_fini(&in->fed);
    in->fed = cb_buf_take(&in->next);
    in->is_feeding = true;
    in->c->env.work(in->c->env.data, feed, on_fed, in);
    if (!in->is_last) {
        ask(in);
    }
}

static bool is_expected(const struct core_install *in, const struct core_state_part *p)
{
    return p->part == in->part && p->copy != 0 && (in->copy == 0 || p->copy == in->copy);
}

static void take(struct core_install *in, const struct core_state_part *p)
{
    if (in->part == 0) {
        cb_log(CB_LOG_INFO, "install.fetch", "index=%" PRIu64 " from=%" PRIu64, in->at_least,
               in->source);
    }
    in->is_behind = false;
    in->copy = p->copy;
    in->part++;
    in->came_ns = cb_clock_monotonic_ns(in->c->env.clock);
    cb_buf_append(&in->next, p->bytes.ptr, p->bytes.len);
    in->has_next = true;
    in->next_is_last = p->is_last;
    feed_next(in);
}

/* The question or its answer was lost. While the cluster has its leader the copy is worth a wait;
 * without, this member is needed, as soon as it can have the state. */
static void ask_again(struct core_install *in)
{
    struct core *c = in->c;
    uint64_t now = cb_clock_monotonic_ns(c->env.clock);
    bool is_kept = in->copy != 0 && now - in->came_ns <= RESUME_NS;
    if (is_kept && replica_hears_leader(c->replica)) {
        wait_for(in, RETRY_NS);
    } else {
        fail(in, "it does not answer", RETRY_NS);
    }
}

static void refused(struct core_install *in, const struct core_state_part *p)
{
    static const char *const words[] = {
        [CORE_STATE_PART] = "the answer is to another question",
        [CORE_STATE_BEHIND] = "its own state does not go as far",
        [CORE_STATE_UNKNOWN] = "it has no such copy",
        [CORE_STATE_FAILED] = "it cannot read its own state",
    };
    if (p->result == CORE_STATE_BEHIND) {
        note_behind(in);
    }
    fail(in, words[p->result], RETRY_NS);
}

void core_state_came(struct core *c, const struct core_state_part *p)
{
    struct core_install *in = c->install;
    CB_ASSERT(in != NULL && in->is_asking);
    in->is_asking = false;
    if (in->is_anew || c->is_stopped) {
        return; /* it is not wanted any more */
    }
    if (p == NULL) {
        ask_again(in);
    } else if (p->result == CORE_STATE_PART && is_expected(in, p)) {
        take(in, p);
    } else {
        refused(in, p);
    }
}

/* ---- from begin to end ---- */

void core_install_start(struct core *c, struct replica_mark mark, uint64_t at_least)
{
    CB_ASSERT(c->install == NULL);
    struct core_install *in = cb_calloc(1, sizeof(*in));
    in->c = c;
    in->mark = mark;
    in->at_least = at_least;
    cb_buf_init(&in->next);
    cb_buf_init(&in->fed);
    c->install = in;
    if (c->spans.applied.index >= at_least) {
        in->is_own = true;
        core_span_want(c, c->spans.applied.index);
        core_install_turn(c);
        return;
    }
    begin_anew(in);
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
    cb_mem_give_back();
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
    core_clock_applied(c);
    destroy_machine(c, old);
    core_bodies_reset(c);
    core_span_swapped(c);
    cb_log(CB_LOG_INFO, "install.done", "index=%" PRIu64, c->spans.durable.index);
    if (c->watch != NULL) {
        c->watch(c->watch_data, NULL, c->machine);
    }
}

static void free_install(struct core_install *in)
{
    cb_buf_fini(&in->next);
    cb_buf_fini(&in->fed);
    cb_free(in);
}

void core_install_finish(struct core *c, struct replica_mark mark)
{
    struct core_install *in = c->install;
    CB_ASSERT(in != NULL && in->mark.index == mark.index);
    c->install = NULL;
    if (!in->is_own) {
        swap(c, in);
    }
    free_install(in);
}

bool core_install_is_busy(const struct core *c)
{
    return c->install != NULL && (c->install->is_feeding || c->install->is_loading);
}

void core_install_drop_all(struct core *c)
{
    if (c->install != NULL) {
        jsm_destroy(c->install->machine);
        free_install(c->install);
    }
    CB_LIST_FOREACH_SAFE(it, tmp, &c->graves)
    {
        struct grave *g = CB_CONTAINER(it, struct grave, link);
        jsm_destroy(g->machine);
        cb_free(g);
    }
}
