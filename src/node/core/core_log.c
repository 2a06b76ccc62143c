/* Between log and machine: what the replica tells, and what the proposer asks of it. */
#include <inttypes.h>

#include "common/sys/cb_log.h"
#include "node/core/core_internal.h"

static void on_apply(void *data, const struct replica_entry *e)
{
    struct core *c = data;
    struct entry_header header;
    struct jsm_entry entry;
    enum entry_result result = entry_decode(&c->decoder, e->bytes, &header, &entry);
    if (result != ENTRY_OK) {
        core_die(c,
                 "log entry %" PRIu64
                 " cannot be read: it is %s; this node stops before it could differ "
                 "from the others: upgrade it, or rebuild it under a new id",
                 e->index, entry_strerror(result));
    }
    uint64_t begun_ns = cb_clock_monotonic_ns(c->env.clock);
    jsm_apply(c->machine, e->index, &entry);
    core_note_longest(c, &c->longest.apply_ns, begun_ns);
    core_span_applied(c, e->index, e->term, e->live);
    core_digest_note(c);
    if (c->watch != NULL) {
        c->watch(c->watch_data, e, c->machine);
    }
    proposer_applied(c->proposer, &header, e->live);
    core_clock_applied(c);
}

static void tell_role(struct core *c)
{
    const struct replica_view *v = &c->view;
    bool leading = v->role == REPLICA_LEADER;
    const char *leader = leading ? "" : c->env.address_of(c->env.data, v->leader_id);
    cb_log(CB_LOG_INFO, "raft.role", "role=%s term=%" PRIu64 " leader=%" PRIu64,
           leading                        ? "leader"
           : v->role == REPLICA_CANDIDATE ? "candidate"
                                          : "follower",
           v->term, v->leader_id);
    if (leading && v->term != c->led_term) {
        c->led_term = v->term;
        c->led_log_term = replica_appended(c->replica).term;
    }
    proposer_role(c->proposer, leading, v->term, leader);
    uint64_t leader_id = leading ? c->config.self : v->leader_id;
    if (leader_id != 0) {
        c->env.led(c->env.data, v->term, c->env.address_of(c->env.data, leader_id));
    }
}

static void on_role(void *data, const struct replica_view *view)
{
    struct core *c = data;
    c->view = *view;
    if (c->in_append) {
        c->role_is_pending = true;
        return;
    }
    tell_role(c);
}

void core_log_settle_role(struct core *c)
{
    if (c->role_is_pending) {
        c->role_is_pending = false;
        tell_role(c);
    }
}

/* A spare one has nothing to tell and nothing to give; and the list that came with a state may be
 * of before this member was added, and name one that the owner never knew and cannot ask. */
static void on_members(void *data)
{
    struct core *c = data;
    struct replica_member members[CB_CLUSTER_NODES_MAX];
    uint64_t ids[CB_CLUSTER_NODES_MAX];
    size_t n = replica_members(c->replica, members);
    size_t count = 0;
    c->env.members(c->env.data);
    for (size_t i = 0; i < n; i++) {
        uint64_t id = members[i].id;
        if (members[i].role != REPLICA_SPARE && c->env.address_of(c->env.data, id)[0] != '\0') {
            ids[count++] = id;
        }
    }
    core_take_members(c, ids, count);
}

static void on_stranger(void *data, uint64_t id, const char *address)
{
    const struct core *c = data;
    c->env.stranger(c->env.data, id, address);
}

static void on_turn(void *data)
{
    core_turn(data);
}

static void on_want_durable(void *data, uint64_t index)
{
    core_span_want(data, index);
}

static void on_lower_appended(void *data, struct replica_mark mark)
{
    (void)mark; /* replica_appended is that already */
    core_span_lower(data);
}

static void on_install_state(void *data, struct replica_mark mark, uint64_t at_least)
{
    core_install_start(data, mark, at_least);
}

static void on_installed(void *data, struct replica_mark mark)
{
    core_install_finish(data, mark);
}

void core_replica_events(struct core *c, struct replica_events *out)
{
    *out = (struct replica_events){
        .data = c,
        .apply = on_apply,
        .role = on_role,
        .members = on_members,
        .stranger = on_stranger,
        .turn = on_turn,
        .want_durable = on_want_durable,
        .lower_appended = on_lower_appended,
        .install_state = on_install_state,
        .installed = on_installed,
    };
}

static enum proposer_append append(void *data, struct cb_span entry)
{
    struct core *c = data;
    c->in_append = true;
    enum replica_propose_result r = replica_propose(c->replica, entry);
    c->in_append = false;
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
    const struct core *c = data;
    return c->env.must_wait(c->env.data) || core_span_is_behind(c);
}

static void stream_send(void *data, void *owner, const struct wire_to_proxy *message)
{
    const struct core *c = data;
    c->env.stream_send(c->env.data, owner, message);
}

static bool stream_can_send(void *data, void *owner)
{
    const struct core *c = data;
    return c->env.stream_can_send(c->env.data, owner);
}

static void stream_end(void *data, void *owner, enum proposer_end why, const char *text)
{
    const struct core *c = data;
    c->env.stream_end(c->env.data, owner, why, text);
}

static void stream_set_reading(void *data, void *owner, bool on)
{
    const struct core *c = data;
    c->env.stream_set_reading(c->env.data, owner, on);
}

static enum proposer_body body(void *data, const struct proposer_body_ask *ask, struct cb_span *out)
{
    return core_bodies_get(data, ask, out);
}

static void set_timer(void *data, uint64_t at_ns)
{
    const struct core *c = data;
    c->env.set_timer(c->env.data, CORE_TIMER_PROPOSER, at_ns);
}

static void on_serving(void *data, bool serving)
{
    const struct core *c = data;
    c->env.serving(c->env.data, serving);
}

static void log_space(bool is_short)
{
    if (is_short) {
        cb_log(CB_LOG_ERROR, "space.short",
               "err=\"too few members have --reserve-space free on their disks; puts are answered "
               "OUT_OF_MEMORY until enough of them have\"");
    } else {
        cb_log(CB_LOG_INFO, "space.enough", "msg=\"puts are taken again\"");
    }
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
    case PROPOSER_LOG_PUTS_REFUSED:
        log_space(number != 0);
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
    case PROPOSER_LOG_CLOCK_STANDS:
        cb_log(CB_LOG_WARN, "clock.stands",
               "msg=\"too few members answer: the cluster's clock goes on from the last stamp\"");
        return;
    case PROPOSER_LOG_CLOCK_DIFFERS:
        cb_log(CB_LOG_WARN, "clock.differs", "cluster=%s by_s=%" PRIu64, text, number);
        return;
    case PROPOSER_LOG_STREAM_REFUSED:
        cb_log(CB_LOG_INFO, "stream.ended", "why=\"%s\"", text);
        return;
    }
    CB_UNREACHABLE("kind of log line");
}

void core_log_env(struct core *c, struct proposer_env *out)
{
    *out = (struct proposer_env){
        .data = c,
        .clock = c->env.clock,
        .append = append,
        .must_wait = must_wait,
        .send = stream_send,
        .can_send = stream_can_send,
        .end = stream_end,
        .set_reading = stream_set_reading,
        .body = body,
        .set_timer = set_timer,
        .serving = on_serving,
        .log = on_log,
    };
}
