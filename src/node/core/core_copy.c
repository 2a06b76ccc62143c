/* The state on its way to other members (design D7): a copy for each that asks, in parts. A copy is
 * one read transaction of the store; its parts are made on a worker thread while the loop goes on,
 * each when it is asked for, so that a slow member costs the memory of one part. */
#include <inttypes.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"
#include "node/core/core_internal.h"

#define LOOK_NS (5 * CB_NS_PER_S)

struct copy {
    struct cb_list link; /* in core.copies */
    struct core *c;
    uint64_t member;
    uint64_t number;
    uint64_t at_least;
    uint64_t begun_ns, asked_ns; /* CLOCK_MONOTONIC */
    struct store_copy *records;  /* NULL: not open yet, or all was read */
    struct cb_buf bytes;         /* the part before `parts`, kept in case its answer was lost */
    uint64_t parts;              /* made */
    bool is_last;                /* that part was the last */
    bool is_working;             /* the worker has it: hands off */
    bool is_dropped;             /* it goes when the worker is done */
    void *call;                  /* the question for part `parts`, NULL: none waits */
    enum store_result result;
    struct store_error err;
};

static void answer(const struct core *c, void *call, const struct core_state_part *part)
{
    c->env.answer_state(c->env.data, call, part);
}

static void refuse(const struct core *c, void *call, enum core_state_result why)
{
    const struct core_state_part part = {.result = why};
    answer(c, call, &part);
}

static void answer_part(const struct copy *k, void *call)
{
    const struct core_state_part part = {
        .result = CORE_STATE_PART,
        .copy = k->number,
        .part = k->parts - 1,
        .is_last = k->is_last,
        .bytes = cb_buf_span(&k->bytes),
    };
    answer(k->c, call, &part);
}

/* ---- life ---- */

static void release(struct copy *k)
{
    cb_list_remove(&k->link);
    if (k->records != NULL) {
        store_copy_close(k->records);
    }
    cb_buf_fini(&k->bytes);
    cb_free(k);
}

static void drop(struct copy *k, enum core_state_result why)
{
    void *call = k->call;
    k->call = NULL;
    k->is_dropped = true;
    if (call != NULL) {
        refuse(k->c, call, why);
    }
    if (!k->is_working) {
        release(k);
    }
}

static struct copy *copy_for(const struct core *c, uint64_t member)
{
    CB_LIST_FOREACH(it, &c->copies)
    {
        struct copy *k = CB_CONTAINER(it, struct copy, link);
        if (k->member == member && !k->is_dropped) {
            return k;
        }
    }
    return NULL;
}

static void look_later(struct core *c)
{
    uint64_t at = JSM_NEVER;
    if (!cb_list_is_empty(&c->copies)) {
        at = cb_clock_monotonic_ns(c->env.clock) + LOOK_NS;
    }
    c->env.set_timer(c->env.data, CORE_TIMER_COPY, at);
}

static bool is_over(const struct copy *k, uint64_t now)
{
    return now - k->asked_ns > CB_STATE_COPY_IDLE_MS * CB_NS_PER_MS ||
           (!k->is_last && now - k->begun_ns > CB_STATE_COPY_MS * CB_NS_PER_MS);
}

void core_copy_timer_fired(struct core *c)
{
    uint64_t now = cb_clock_monotonic_ns(c->env.clock);
    CB_LIST_FOREACH_SAFE(it, tmp, &c->copies)
    {
        struct copy *k = CB_CONTAINER(it, struct copy, link);
        if (!k->is_dropped && is_over(k, now)) {
            cb_log(CB_LOG_WARN, "state.copy-ended", "member=%" PRIu64 " parts=%" PRIu64, k->member,
                   k->parts);
            drop(k, CORE_STATE_UNKNOWN);
        }
    }
    look_later(c);
}

/* ---- parts ---- */

static void make_part(void *arg)
{
    struct copy *k = arg;
    cb_buf_clear(&k->bytes);
    k->result = k->records == NULL ? store_copy_open(k->c->store, &k->records, &k->err) : STORE_OK;
    if (k->result == STORE_OK) {
        k->result = store_copy_next(k->records, k->c->config.state_part_size, &k->bytes,
                                    &k->is_last, &k->err);
    }
    if (k->records != NULL && (k->result != STORE_OK || k->is_last)) {
        store_copy_close(k->records); /* the database has its old pages back */
        k->records = NULL;
    }
}

static void on_part_made(void *arg)
{
    struct copy *k = arg;
    k->is_working = false;
    if (k->is_dropped) {
        release(k);
        return;
    }
    if (k->result != STORE_OK) {
        cb_log(CB_LOG_ERROR, "state.copy-failed", "member=%" PRIu64 " err=\"%s\"", k->member,
               k->err.text);
        drop(k, CORE_STATE_FAILED);
        return;
    }
    CB_ASSERT(cb_buf_len(&k->bytes) <= CB_STATE_PART_MAX);
    k->parts++;
    if (k->is_last) {
        cb_log(CB_LOG_INFO, "state.copy-read", "member=%" PRIu64 " parts=%" PRIu64, k->member,
               k->parts);
    }
    void *call = k->call;
    k->call = NULL;
    if (call != NULL) {
        answer_part(k, call);
    }
}

static void start_part(struct copy *k)
{
    k->is_working = true;
    k->c->env.work(k->c->env.data, make_part, on_part_made, k);
}

void core_copy_turn(struct core *c)
{
    CB_LIST_FOREACH(it, &c->copies)
    {
        struct copy *k = CB_CONTAINER(it, struct copy, link);
        bool waits = k->parts == 0 && !k->is_working && !k->is_dropped;
        if (waits && c->spans.durable.index >= k->at_least) {
            start_part(k);
        }
    }
}

/* ---- questions ---- */

static void begin(struct core *c, uint64_t member, const struct core_state_ask *ask, void *call)
{
    struct copy *old = copy_for(c, member);
    if (old != NULL) {
        drop(old, CORE_STATE_UNKNOWN);
    }
    if (ask->part != 0) {
        refuse(c, call, CORE_STATE_UNKNOWN);
        return;
    }
    if (c->spans.applied.index < ask->at_least) {
        refuse(c, call, CORE_STATE_BEHIND);
        return;
    }
    struct copy *k = cb_calloc(1, sizeof *k);
    k->c = c;
    k->member = member;
    k->number = ++c->copy_number;
    k->at_least = ask->at_least;
    k->begun_ns = k->asked_ns = cb_clock_monotonic_ns(c->env.clock);
    k->call = call;
    cb_buf_init(&k->bytes);
    cb_list_push_back(&c->copies, &k->link);
    cb_log(CB_LOG_INFO, "state.copy", "member=%" PRIu64 " at-least=%" PRIu64, member,
           ask->at_least);
    core_span_want(c, ask->at_least);
    look_later(c);
    core_copy_turn(c);
}

/* The asker has given up on the question before, if there is one. */
static void ask_next(struct copy *k, void *call)
{
    if (k->call != NULL) {
        refuse(k->c, k->call, CORE_STATE_UNKNOWN);
    }
    k->call = call;
    if (!k->is_working && k->parts > 0) {
        start_part(k);
    }
}

void core_state_asked(struct core *c, uint64_t from, const struct core_state_ask *ask, void *call)
{
    if (c->is_stopped) {
        refuse(c, call, CORE_STATE_UNKNOWN);
        return;
    }
    if (c->replica != NULL) {
        replica_state_asked(c->replica, from);
    }
    if (ask->copy == 0) {
        begin(c, from, ask, call);
        return;
    }
    struct copy *k = copy_for(c, from);
    if (k == NULL || k->number != ask->copy) {
        refuse(c, call, CORE_STATE_UNKNOWN);
        return;
    }
    k->asked_ns = cb_clock_monotonic_ns(c->env.clock);
    if (ask->part == k->parts && !k->is_last) {
        ask_next(k, call);
    } else if (ask->part + 1 == k->parts && !k->is_working) {
        answer_part(k, call);
    } else {
        refuse(c, call, CORE_STATE_UNKNOWN);
    }
}

void core_state_stop(struct core *c)
{
    c->is_stopped = true;
    CB_LIST_FOREACH_SAFE(it, tmp, &c->copies)
    {
        struct copy *k = CB_CONTAINER(it, struct copy, link);
        if (!k->is_dropped) {
            drop(k, CORE_STATE_UNKNOWN);
        }
    }
}

bool core_copy_is_busy(const struct core *c)
{
    return !cb_list_is_empty(&c->copies);
}

void core_copy_drop_all(struct core *c)
{
    CB_LIST_FOREACH_SAFE(it, tmp, &c->copies)
    {
        release(CB_CONTAINER(it, struct copy, link));
    }
}
