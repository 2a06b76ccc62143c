/* The core's environment in a daemon: libuv for time and threads, the service for streams. */
#include "common/base/cb_mem.h"
#include "node/node_internal.h"

/* ---- timers ---- */

static uint64_t now_of(const struct node_timer *t)
{
    const struct cb_clock *clock = t->n->clock;
    return t->which == CORE_TIMER_PROPOSER ? cb_clock_boottime_ns(clock)
                                           : cb_clock_monotonic_ns(clock);
}

static void on_timer(uv_timer_t *uv);

/* Rounded up: a timer that came too early would have nothing to do. */
static void start_timer(struct node_timer *t)
{
    uint64_t now = now_of(t);
    uint64_t ms = t->at_ns > now ? (t->at_ns - now + CB_NS_PER_MS - 1) / CB_NS_PER_MS : 1;
    uv_update_time(&t->n->loop);
    CB_ASSERT(uv_timer_start(&t->uv, on_timer, ms, 0) == 0);
}

static void on_timer(uv_timer_t *uv)
{
    struct node_timer *t = uv->data;
    if (now_of(t) < t->at_ns) {
        start_timer(t);
        return;
    }
    core_timer_fired(t->n->core, t->which);
}

static void set_timer(void *data, enum core_timer which, uint64_t at_ns)
{
    struct node *n = data;
    struct node_timer *t = &n->timers[which];
    t->at_ns = at_ns;
    if (at_ns == JSM_NEVER) {
        CB_ASSERT(uv_timer_stop(&t->uv) == 0);
    } else {
        start_timer(t);
    }
}

/* ---- threads ---- */

struct work {
    uv_work_t uv;
    void (*run)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

static void run_work(uv_work_t *uv)
{
    const struct work *w = uv->data;
    w->run(w->arg);
}

static void on_work_done(uv_work_t *uv, int status)
{
    CB_ASSERT(status == 0);
    struct work *w = uv->data;
    w->done(w->arg);
    cb_free(w);
}

static void start_work(void *data, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
    struct node *n = data;
    struct work *w = cb_calloc(1, sizeof(*w));
    *w = (struct work){.run = run, .done = done, .arg = arg};
    w->uv.data = w;
    CB_ASSERT(uv_queue_work(&n->loop, &w->uv, run_work, on_work_done) == 0);
}

void node_core_wake(struct node *n)
{
    CB_ASSERT(uv_async_send(&n->async) == 0);
}

static void on_wake(uv_async_t *async)
{
    const struct node *n = async->data;
    core_store_notified(n->core);
}

/* ---- streams and members ---- */

static void stream_send(void *data, void *owner, const struct wire_to_proxy *message)
{
    (void)data;
    service_stream_send(owner, message);
}

static bool stream_can_send(void *data, void *owner)
{
    (void)data;
    return service_stream_can_send(owner);
}

static void stream_end(void *data, void *owner, enum proposer_end why, const char *text)
{
    (void)data;
    service_stream_end(owner, why, text);
}

static void stream_set_reading(void *data, void *owner, bool on)
{
    (void)data;
    service_stream_set_reading(owner, on);
}

/* At the end of the process the service goes first: these two come even then. */
static void on_serving(void *data, bool serving)
{
    const struct node *n = data;
    if (n->service != NULL) {
        service_set_serving(n->service, serving);
    }
}

static void on_led(void *data, uint64_t term, const char *leader)
{
    const struct node *n = data;
    if (n->service != NULL) {
        service_set_leader(n->service, term, leader);
    }
}

static bool must_wait(void *data)
{
    const struct node *n = data;
    return n->is_stopping;
}

static const char *address_of(void *data, uint64_t id)
{
    return node_grpc_of(data, id);
}

/* ---- life ---- */

void node_core_init(struct node *n)
{
    CB_ASSERT(uv_async_init(&n->loop, &n->async, on_wake) == 0);
    n->async.data = n;
    for (enum core_timer i = 0; i < CORE_TIMER_COUNT; i++) {
        struct node_timer *t = &n->timers[i];
        t->n = n;
        t->which = i;
        CB_ASSERT(uv_timer_init(&n->loop, &t->uv) == 0);
        t->uv.data = t;
    }
    CB_ASSERT(uv_timer_init(&n->loop, &n->state_timer) == 0);
    n->state_timer.data = n;
}

void node_core_create(struct node *n)
{
    struct core_config config = {
        .self = n->id,
        .session_timeout_ns = n->options->session_timeout_ns,
        .limits = {.jobs = n->options->jobs_max, .bytes = n->options->bytes_max},
        .reserve_space = n->options->reserve_space,
        .body_cache = n->options->body_cache,
        .data_dir = n->options->data_dir,
    };
    for (size_t i = 0; i < n->n_members; i++) {
        config.members[config.n_members++] = n->members[i].id;
    }
    const struct core_env env = {
        .data = n,
        .clock = n->clock,
        .set_timer = set_timer,
        .work = start_work,
        .stream_send = stream_send,
        .stream_can_send = stream_can_send,
        .stream_end = stream_end,
        .stream_set_reading = stream_set_reading,
        .serving = on_serving,
        .led = on_led,
        .must_wait = must_wait,
        .members = node_members_changed,
        .stranger = node_stranger_speaks,
        .address_of = address_of,
        .ask_clock = node_clock_ask,
        .ask_digests = node_digest_ask,
        .differs = node_digest_differs,
        .free_space = node_space_free,
        .ask_space = node_space_ask,
        .ask_state = node_state_ask,
        .answer_state = node_state_answer,
    };
    n->core = core_create(&config, &env, n->store);
    service_set_proposer(n->service, core_proposer(n->core));
}
