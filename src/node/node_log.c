/* Between log and machine: what the replica tells, and what the proposer asks of it. */
#include "node/node_internal.h"

#include <inttypes.h>

#include "common/sys/cb_log.h"

static void on_apply(void *data, const struct replica_entry *e)
{
    struct node *n = data;
    struct entry_header header;
    struct jsm_entry entry;
    enum entry_result result = entry_decode(&n->decoder, e->bytes, &header, &entry);
    if (result != ENTRY_OK) {
        cb_die("log entry %" PRIu64
               " cannot be read: it is %s; this node stops before it could differ "
               "from the others: upgrade it, or rebuild it under a new id",
               e->index, entry_strerror(result));
    }
    jsm_apply(n->machine, e->index, &entry);
    node_store_applied(n, e->index, e->term, e->live);
    proposer_applied(n->proposer, &header, e->live);
}

static void tell_role(struct node *n)
{
    const struct replica_view *v = &n->view;
    bool leading = v->role == REPLICA_LEADER;
    const char *leader = leading ? "" : node_grpc_of(n, v->leader_id);
    cb_log(CB_LOG_INFO, "raft.role", "role=%s term=%" PRIu64 " leader=%" PRIu64,
           leading                        ? "leader"
           : v->role == REPLICA_CANDIDATE ? "candidate"
                                          : "follower",
           v->term, v->leader_id);
    proposer_role(n->proposer, leading, v->term, leader);
}

static void on_role(void *data, const struct replica_view *view)
{
    struct node *n = data;
    n->view = *view;
    if (n->in_append) {
        n->role_is_pending = true;
        return;
    }
    tell_role(n);
}

void node_log_settle_role(struct node *n)
{
    if (n->role_is_pending) {
        n->role_is_pending = false;
        tell_role(n);
    }
}

static void on_turn(void *data)
{
    node_turn(data);
}

static void on_want_durable(void *data, uint64_t index)
{
    node_store_want(data, index);
}

static void on_lower_appended(void *data, struct replica_mark mark)
{
    (void)mark; /* replica_appended is that already */
    node_store_lower(data);
}

static void on_dump_state(void *data, uint64_t at_least, struct replica_dump *dump)
{
    node_transfer_dump(data, at_least, dump);
}

static void on_install_state(void *data, struct replica_mark mark, struct cb_span bytes)
{
    node_transfer_install(data, mark, bytes);
}

static void on_installed(void *data, struct replica_mark mark)
{
    node_transfer_installed(data, mark);
}

void node_log_events(struct node *n, struct replica_events *out)
{
    *out = (struct replica_events){
        .data = n,
        .apply = on_apply,
        .role = on_role,
        .turn = on_turn,
        .want_durable = on_want_durable,
        .lower_appended = on_lower_appended,
        .dump_state = on_dump_state,
        .install_state = on_install_state,
        .installed = on_installed,
    };
}

static enum proposer_append append(void *data, struct cb_span entry)
{
    struct node *n = data;
    n->in_append = true;
    enum replica_propose_result r = replica_propose(n->replica, entry);
    n->in_append = false;
    switch (r) {
    case REPLICA_PROPOSED:
        return PROPOSER_APPENDED;
    case REPLICA_NOT_LEADER:
        return PROPOSER_NOT_LEADER;
    case REPLICA_NO_SPACE:
        return PROPOSER_NO_SPACE;
    case REPLICA_BUSY:
        return PROPOSER_BUSY;
    }
    CB_UNREACHABLE("result of a proposal");
}

static bool must_wait(void *data)
{
    const struct node *n = data;
    return n->is_stopping || node_store_is_behind(n);
}

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

static void on_timer(uv_timer_t *timer);

/* Rounded up: a timer that came too early would have nothing to do. */
static void start_timer(struct node *n)
{
    uint64_t now = cb_clock_boottime_ns(n->clock);
    uint64_t ms = n->timer_ns > now ? (n->timer_ns - now + CB_NS_PER_MS - 1) / CB_NS_PER_MS : 1;
    uv_update_time(&n->loop);
    CB_ASSERT(uv_timer_start(&n->timer, on_timer, ms, 0) == 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct node *n = timer->data;
    if (cb_clock_boottime_ns(n->clock) < n->timer_ns) {
        start_timer(n);
        return;
    }
    node_turn(n);
}

static void set_timer(void *data, uint64_t at_ns)
{
    struct node *n = data;
    n->timer_ns = at_ns;
    if (at_ns == JSM_NEVER) {
        CB_ASSERT(uv_timer_stop(&n->timer) == 0);
    } else {
        start_timer(n);
    }
}

static void on_serving(void *data, bool serving)
{
    struct node *n = data;
    service_set_serving(n->service, serving);
}

static void on_log(void *data, enum proposer_log what, const char *text, uint64_t number)
{
    (void)data;
    switch (what) {
    case PROPOSER_LOG_SERVES:
        cb_log(CB_LOG_INFO, "node.serves", "term=%" PRIu64, number);
        return;
    case PROPOSER_LOG_STEPS_DOWN:
        cb_log(CB_LOG_INFO, "node.steps-down", "term=%" PRIu64 " leader=%s", number, text);
        return;
    case PROPOSER_LOG_NO_SPACE:
        cb_log(CB_LOG_ERROR, "log.full",
               "err=\"a majority has no room on disk; requests wait until there is\"");
        return;
    case PROPOSER_LOG_SPACE_AGAIN:
        cb_log(CB_LOG_INFO, "log.accepts", "msg=\"the log takes entries again\"");
        return;
    case PROPOSER_LOG_SESSION_OPENED:
        cb_log(CB_LOG_INFO, "session.opened", "session=%" PRIu64, number);
        return;
    case PROPOSER_LOG_SESSION_EXPIRED:
        cb_log(CB_LOG_WARN, "session.expires", "session=%" PRIu64, number);
        return;
    case PROPOSER_LOG_CLOCK_FROM_WALL:
        cb_log(CB_LOG_WARN, "clock.from-wall", "moved_s=%" PRIu64, number);
        return;
    case PROPOSER_LOG_STREAM_REFUSED:
        cb_log(CB_LOG_INFO, "stream.ended", "why=\"%s\"", text);
        return;
    }
    CB_UNREACHABLE("kind of log line");
}

void node_log_env(struct node *n, struct proposer_env *out)
{
    *out = (struct proposer_env){
        .data = n,
        .clock = n->clock,
        .append = append,
        .must_wait = must_wait,
        .send = stream_send,
        .can_send = stream_can_send,
        .end = stream_end,
        .set_reading = stream_set_reading,
        .set_timer = set_timer,
        .serving = on_serving,
        .log = on_log,
    };
}
