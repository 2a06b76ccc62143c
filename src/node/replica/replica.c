#include "node/replica/replica.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"
#include "node/replica/replica_internal.h"

/* After this libraft tries again a member that was sent the state and has not reached it. Nothing
 * else makes it: it is not told of a message that is lost, or dropped while another is on its way.
 * What comes while the member still installs is dropped there (g2). */
#define INSTALL_TIMEOUT_MS 30000
/* A new member may have to be sent the state within one round of catching up. */
#define CATCH_UP_ROUND_MS 600000
/* Between the ticks of one member and the next; seven members stay under half as much again. */
#define TICK_SPREAD_PERCENT 7

void replica_config_default(struct replica_config *c)
{
    *c = (struct replica_config){
        .election_ms = 500,
        .heartbeat_ms = 100,
        .snapshot_threshold = CB_RAFT_SNAPSHOT_THRESHOLD,
        .snapshot_trailing = CB_RAFT_SNAPSHOT_TRAILING,
        .log_bytes = CB_RAFT_LOG_BYTES,
        .inflight_max = CB_RAFT_INFLIGHT_MAX,
        .disk_timeout_ms = 10000,
    };
}

void replica_die(struct replica *r, const char *fmt, ...)
{
    char sentence[REPLICA_MESSAGE_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    if (r->env.die != NULL) {
        r->env.die(r->env.data, sentence);
    }
    cb_die("%s", sentence);
}

struct replica *replica_of_io(const struct raft_io *io)
{
    return CB_CONTAINER(io->data, struct replica, raft);
}

uint64_t replica_now_ms(struct replica *r)
{
    return r->io.time(r->raft_io);
}

static enum replica_role role_of(struct raft *raft)
{
    switch (raft_state(raft)) {
    case RAFT_LEADER:
        return REPLICA_LEADER;
    case RAFT_CANDIDATE:
        return REPLICA_CANDIDATE;
    case RAFT_FOLLOWER:
    case RAFT_UNAVAILABLE:
        break;
    }
    return REPLICA_FOLLOWER;
}

static bool view_differs(const struct replica_view *a, const struct replica_view *b)
{
    return a->role != b->role || a->term != b->term || a->leader_id != b->leader_id;
}

/* The owner may call back into libraft from `role`, which may change the view again. */
static void tell_view(struct replica *r)
{
    raft_id leader = 0;
    const char *address;
    raft_leader(&r->raft, &leader, &address);
    struct replica_view now = {
        .role = role_of(&r->raft),
        .term = raft_current_term(&r->raft),
        .leader_id = leader,
        .term_start_index = r->view.term_start_index,
    };
    if (!view_differs(&now, &r->view)) {
        return;
    }
    if (now.role == REPLICA_LEADER &&
        (r->view.role != REPLICA_LEADER || r->view.term != now.term)) {
        now.term_start_index = raft_last_index(&r->raft);
    }
    r->view = now;
    r->events.role(r->events.data, &now);
}

void replica_enter(struct replica *r)
{
    r->depth++;
}

void replica_leave(struct replica *r)
{
    CB_ASSERT(r->depth > 0);
    if (r->depth == 1 && r->started) {
        replica_gone_check(r);
        replica_alone_check(r);
    }
    r->depth--;
    if (r->depth == 0 && r->started) {
        replica_release_requests(r, raft_state(&r->raft) != RAFT_LEADER);
        tell_view(r);
        replica_members_tell(r);
    }
}

static void on_tick(struct raft_io *io)
{
    struct replica *r = replica_of_io(io);
    replica_disk_check(r);
    replica_pin_log(r);
    replica_enter(r);
    r->raft_tick(io);
    replica_leave(r);
    replica_members_tick(r);
}

static void on_recv(struct raft_io *io, struct raft_message *m)
{
    struct replica *r = replica_of_io(io);
    replica_enter(r);
    if (replica_guard_recv(r, m)) {
        replica_voteless_recv(r, io, m);
    }
    replica_leave(r);
}

/* libraft looks at timeouts on ticks alone, one for each heartbeat. Members that started together
 * would have their ticks together too, and two candidates would draw the same of five moments again
 * and again, and split the votes. So no two of them tick at one pace; none is faster than the
 * heartbeat, or every second one would be left out. */
static int io_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    struct replica *r = replica_of_io(io);
    unsigned percent = TICK_SPREAD_PERCENT * (unsigned)(r->config.self + 1);
    r->raft_tick = tick;
    r->raft_recv = recv;
    return r->io.start(io, msecs + msecs * percent / 100, on_tick, on_recv);
}

static void wrap_io(struct replica *r, struct raft_io *io)
{
    r->io = *io;
    r->raft_io = io;
    io->load = replica_io_load;
    io->start = io_start;
    io->set_term = replica_io_set_term;
    io->set_vote = replica_io_set_vote;
    io->send = replica_io_send;
    io->append = replica_io_append;
    io->truncate = replica_io_truncate;
    io->snapshot_put = replica_io_snapshot_put;
    io->snapshot_get = replica_io_snapshot_get;
}

static void check_config(const struct replica_config *c)
{
    CB_ASSERT(c->member_count > 0 && c->member_count <= CB_CLUSTER_NODES_MAX);
    CB_ASSERT(c->self < c->member_count);
    CB_ASSERT(c->heartbeat_ms > 0 && c->heartbeat_ms < c->election_ms);
    CB_ASSERT(c->snapshot_threshold > 0 && c->snapshot_trailing > 0);
    CB_ASSERT(c->inflight_max > 0 && c->disk_timeout_ms > 0);
}

struct replica *replica_create(const struct replica_config *config,
                               const struct replica_events *events,
                               const struct replica_env *env,
                               struct raft_io *io)
{
    check_config(config);
    struct replica *r = cb_calloc(1, sizeof *r);
    r->config = *config;
    memcpy(r->members, config->members, config->member_count * sizeof r->members[0]);
    r->config.members = r->members;
    r->events = *events;
    r->env = *env;
    r->applied = config->applied;
    r->durable = config->applied.index;
    cb_list_init(&r->requests);
    cb_list_init(&r->disk_ops);
    cb_list_init(&r->finished);
    cb_list_init(&r->tells);
    cb_list_init(&r->gets);
    wrap_io(r, io);
    r->fsm = (struct raft_fsm){
        .version = 1,
        .data = r,
        .apply = replica_fsm_apply,
        .snapshot = replica_fsm_snapshot,
        .restore = replica_fsm_restore,
    };
    return r;
}

static const struct replica_member *self_of(const struct replica *r)
{
    return &r->members[r->config.self];
}

static bool init_raft(struct replica *r)
{
    if (r->initialised) {
        return true;
    }
    int rv = raft_init(&r->raft, r->raft_io, &r->fsm, self_of(r)->id, self_of(r)->address);
    if (rv != 0) {
        snprintf(r->message, sizeof r->message, "cannot open the raft log: %s (%s)",
                 raft_errmsg(&r->raft), raft_strerror(rv));
        return false;
    }
    r->initialised = true;
    const struct replica_config *c = &r->config;
    r->raft.tracer = NULL; /* it would format every message even when nobody listens */
    raft_set_election_timeout(&r->raft, c->election_ms);
    raft_set_heartbeat_timeout(&r->raft, c->heartbeat_ms);
    raft_set_install_snapshot_timeout(&r->raft, INSTALL_TIMEOUT_MS);
    raft_set_max_catch_up_round_duration(&r->raft, CATCH_UP_ROUND_MS);
    raft_set_pre_vote(&r->raft, true);
    raft_set_max_inflight_entries(&r->raft, c->inflight_max);
    raft_set_snapshot_threshold(&r->raft, c->snapshot_threshold);
    raft_set_snapshot_trailing(&r->raft, c->snapshot_trailing);
    if (c->seed != 0) {
        raft_seed(&r->raft, c->seed);
    }
    return true;
}

void replica_configuration(const struct replica_config *c, struct raft_configuration *out)
{
    raft_configuration_init(out);
    for (size_t i = 0; i < c->member_count; i++) {
        const struct replica_member *m = &c->members[i];
        char text[CB_RAFT_SERVER_MAX];
        replica_member_text(m, text);
        int rv = raft_configuration_add(out, m->id, text, RAFT_VOTER);
        if (rv != 0) {
            cb_die(
                "member %s (id %llu, %s) cannot be added to the first configuration: %s; ids and "
                "addresses must differ",
                m->name, (unsigned long long)m->id, m->address, raft_strerror(rv));
        }
    }
}

bool replica_bootstrap(struct replica *r)
{
    if (!init_raft(r)) {
        return false;
    }
    struct raft_configuration conf;
    replica_configuration(&r->config, &conf);
    int rv = raft_bootstrap(&r->raft, &conf);
    raft_configuration_close(&conf);
    if (rv == RAFT_CANTBOOTSTRAP) {
        snprintf(r->message, sizeof r->message, "the raft log is not empty");
        return false;
    }
    if (rv != 0) {
        replica_die(r,
                    "cannot write the first configuration to the raft log: %s (%s); check the disk",
                    r->raft_io->errmsg, raft_strerror(rv));
    }
    return true;
}

enum replica_start_result replica_start(struct replica *r)
{
    CB_ASSERT(!r->started);
    if (!init_raft(r)) {
        return REPLICA_LOG_UNREADABLE;
    }
    r->refusal = REPLICA_STARTED;
    replica_enter(r);
    int rv = raft_start(&r->raft);
    if (rv == 0) {
        r->started = true;
        replica_leave(r);
        return REPLICA_STARTED;
    }
    r->depth = 0;
    if (r->refusal != REPLICA_STARTED) {
        return r->refusal;
    }
    snprintf(r->message, sizeof r->message,
             "cannot start from the raft log: %s (%s); if it is damaged, this member must be added "
             "again under a new id with an empty directory",
             raft_errmsg(&r->raft), raft_strerror(rv));
    return REPLICA_LOG_UNREADABLE;
}

const char *replica_message(const struct replica *r)
{
    return r->message;
}

void replica_turn(struct replica *r)
{
    if (r->started) {
        r->events.turn(r->events.data);
    }
}
