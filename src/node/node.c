#include "node/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"
#include "node/node_internal.h"

/* For the new leader to take over before this one stops. */
#define HANDOVER_MS 1000
#define HANDOVER_POLL_MS 10
/* For a worker that has the store. */
#define END_MS 5000
#define END_POLL_MS 10

/* What timers have done is looked at before the loop sleeps. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct node *n = prepare->data;
    core_turn(n->core);
    core_before_sleep(n->core);
}

/* ---- stop ---- */

_Noreturn static void end(const struct node *n)
{
    if (n->last_words[0] != '\0') {
        cb_die("%s", n->last_words);
    }
    _exit(0);
}

/* The rest of the process is made to be killed (replica.h, "Stops"). */
static void on_end_poll(uv_timer_t *timer)
{
    struct node *n = timer->data;
    if (core_is_busy(n->core)) {
        if (--n->end_polls == 0) {
            cb_log(CB_LOG_WARN, "node.stopped", "msg=\"without waiting for a state on its way\"");
            end(n); /* what is stored and in the log is enough */
        }
        return;
    }
    core_commit_rest(n->core);
    node_scrub_stop(n);
    store_close(n->store);
    cb_log(CB_LOG_INFO, "node.stopped", "applied=%" PRIu64, core_applied(n->core)->index);
    end(n);
}

static void on_rpc_closed(void *ctx)
{
    struct node *n = ctx;
    n->end_polls = END_MS / END_POLL_MS;
    CB_ASSERT(uv_timer_start(&n->stop_timer, on_end_poll, 0, END_POLL_MS) == 0);
}

static void on_service_closed(void *ctx)
{
    struct node *n = ctx;
    n->service = NULL;
    rpc_close(n->rpc, on_rpc_closed, n);
}

static void stop_serving(struct node *n)
{
    CB_ASSERT(uv_timer_stop(&n->stop_timer) == 0);
    node_change_stop(n);
    node_stranger_stop(n);
    node_peers_close(n);
    service_close(n->service, on_service_closed, n);
}

/* A member takes over only when it has the whole log on disk, and is asked only once: so nothing is
 * proposed any more, and what was is waited for. */
static void on_handover_poll(uv_timer_t *timer)
{
    struct node *n = timer->data;
    if (core_view(n->core)->role != REPLICA_LEADER || --n->handover_polls == 0) {
        stop_serving(n);
        return;
    }
    if (replica_backlog(n->replica) == 0 && replica_transfer(n->replica, 0)) {
        cb_log(CB_LOG_INFO, "node.hands-over", "term=%" PRIu64, core_view(n->core)->term);
    }
}

void node_stop(struct node *n, const char *why)
{
    if (n->is_stopping) {
        return;
    }
    n->is_stopping = true;
    cb_log(CB_LOG_INFO, "node.stops", "why=\"%s\"", why);
    node_ready_tell_stopping();
    if (n->bootstrap != NULL || n->join != NULL || n->room.is_waiting) {
        _exit(0); /* nothing is under way yet */
    }
    /* At once, since no question goes out while the node stops: the core must wait for no answer.
     * And before the service is closed, which waits for every call that the core holds. */
    core_state_stop(n->core);
    node_members_stop(n);
    node_selfcheck_stop(n->selfcheck);
    CB_ASSERT(uv_timer_init(&n->loop, &n->stop_timer) == 0);
    n->stop_timer.data = n;
    if (n->n_members > 1 && core_view(n->core)->role == REPLICA_LEADER) {
        n->handover_polls = HANDOVER_MS / HANDOVER_POLL_MS;
        CB_ASSERT(uv_timer_start(&n->stop_timer, on_handover_poll, 0, HANDOVER_POLL_MS) == 0);
    } else {
        stop_serving(n);
    }
}

static void on_signal(uv_signal_t *signal, int signum)
{
    node_stop(signal->data, signum == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* ---- start ---- */

static void init_loop(struct node *n)
{
    CB_ASSERT(uv_loop_init(&n->loop) == 0);
    CB_ASSERT(uv_prepare_init(&n->loop, &n->prepare) == 0);
    CB_ASSERT(uv_signal_init(&n->loop, &n->sigterm) == 0);
    CB_ASSERT(uv_signal_init(&n->loop, &n->sigint) == 0);
    n->prepare.data = n->sigterm.data = n->sigint.data = n;
}

static void take_ports(struct node *n)
{
    const struct service_source source = {n,
                                          node_status_fill,
                                          node_status_identify,
                                          node_clock_fill,
                                          node_digest_fill,
                                          node_state_on_asked,
                                          node_change_on_asked};
    struct cb_buf error;
    cb_buf_init(&error);
    /* gRPC's own complaint takes a screen, and the raft port is taken much later, when there may be
     * something on disk already. */
    node_ready_check_port(n->options->listen_grpc, "gRPC");
    node_ready_check_port(n->options->listen_raft, "raft, the port after gRPC's");
    node_http_open(n);
    n->rpc = rpc_create(&n->loop);
    node_peers_create(n);
    n->service = service_create(n->rpc, &source);
    if (!service_listen(n->service, n->options->listen_grpc, &error)) {
        cb_die("%.*s", (int)cb_buf_len(&error), (const char *)cb_buf_span(&error).ptr);
    }
    cb_buf_fini(&error);
}

static void
configure_replica(const struct node *n, struct replica_config *c, struct replica_member *members)
{
    replica_config_default(c);
    for (size_t i = 0; i < n->n_members; i++) {
        const struct node_member *m = &n->members[i];
        members[i].id = m->id;
        c->self = m->id == n->id ? i : c->self;
        snprintf(members[i].name, sizeof(members[i].name), "%s", m->name);
        snprintf(members[i].address, sizeof(members[i].address), "%s", m->raft);
    }
    c->members = members;
    c->member_count = n->n_members;
    c->election_ms = (unsigned)n->options->election_ms;
    c->heartbeat_ms = (unsigned)n->options->heartbeat_ms;
    c->applied = core_stored_applied(n->core);
    c->appended = core_stored_appended(n->core);
}

void node_start_replica(struct node *n)
{
    struct replica_member members[CB_CLUSTER_NODES_MAX];
    memset(members, 0, sizeof(members));
    struct replica_config config;
    configure_replica(n, &config, members);
    const char *dir = n->options->data_dir;
    if (n->phase == NODE_PREPARED) {
        if (replica_uv_is_empty(dir)) {
            replica_uv_bootstrap(dir, &config);
        }
        node_store_set_phase(n, NODE_BOOTSTRAPPED);
    }
    const struct replica_uv_config uv = {
        .dir = dir, .listen = n->options->listen_raft, .cluster = n->cluster};
    struct replica_events events;
    core_replica_events(n->core, &events);
    n->replica_uv = replica_uv_open(&n->loop, &uv, &config, &events);
    n->replica = replica_uv_replica(n->replica_uv);
    core_set_replica(n->core, n->replica);
    uv_update_time(
        &n->loop); /* loading took a while, which must not count as one without a leader */
    if (replica_uv_start(n->replica_uv) != REPLICA_STARTED) {
        cb_die("%s", replica_message(n->replica));
    }
    core_started(n->core);
    node_members_start(n);
}

/* What the two databases say together. One that was added may have been sent nothing yet. */
static void check_directory(const struct node *n)
{
    bool has_log = !replica_uv_is_empty(n->options->data_dir);
    struct store_meta stored;
    store_durable(n->store, &stored);
    bool had_log =
        n->phase == NODE_BOOTSTRAPPED || (n->phase == NODE_JOINED && stored.appended_index > 0);
    if (had_log && !has_log) {
        cb_die("%s has a state but no raft log: this node has lost its votes and must be added "
               "under a new "
               "name",
               n->options->data_dir);
    }
    if ((n->phase == NODE_EMPTY || n->phase == NODE_JOINING) && has_log) {
        cb_die("%s has a raft log, but %s/state/db knows of no cluster: it is damaged or was taken "
               "away; this node must be added under a new name",
               n->options->data_dir, n->options->data_dir);
    }
}

static void start_serving(struct node *n)
{
    const struct node_selfcheck_config check = {
        .loop = &n->loop, .rpc = n->rpc, .clock = n->clock, .listen = n->options->listen_grpc};
    service_start(n->service);
    n->selfcheck = node_selfcheck_start(&check);
}

/* The directory knows better than the command line, which was written for its first start. */
static void find_cluster(struct node *n)
{
    const struct node_options *o = n->options;
    if (node_store_find_cluster(n)) {
        if (o->cluster != 0 && o->cluster != n->cluster) {
            cb_log(
                CB_LOG_INFO, "node.cluster",
                "msg=\"--cluster is another list than at the first start, and is not looked at\"");
        }
    } else if (o->join_text != NULL) {
        node_join_find_cluster(n);
    } else {
        n->cluster = o->cluster;
    }
}

static void take_part(struct node *n)
{
    switch (n->phase) {
    case NODE_EMPTY:
    case NODE_PREPARED:
        node_bootstrap_start(n);
        return;
    case NODE_JOINING:
        node_join_start(n);
        return;
    case NODE_BOOTSTRAPPED:
    case NODE_JOINED:
        node_start_replica(n);
        return;
    }
}

_Noreturn void node_run(const struct node_options *options)
{
    struct node *n = cb_calloc(1, sizeof(*n));
    n->options = options;
    n->clock = cb_clock_system();
    init_loop(n);
    node_core_init(n);
    take_ports(n);
    node_room_prepare(n);
    find_cluster(n);
    node_store_open(n);
    node_digest_check(n);
    node_members_load(n);
    check_directory(n);
    node_core_create(n);
    CB_ASSERT(uv_signal_start(&n->sigterm, on_signal, SIGTERM) == 0);
    CB_ASSERT(uv_signal_start(&n->sigint, on_signal, SIGINT) == 0);
    CB_ASSERT(uv_prepare_start(&n->prepare, on_prepare) == 0);
    start_serving(n);
    node_scrub_start(n);
    cb_log(CB_LOG_INFO, "node.listens", "name=%s id=%" PRIu64 " grpc=%s raft=%s", options->name,
           n->id, options->listen_grpc, options->listen_raft);
    node_ready_tell(n);
    node_room_wait(n, take_part);
    uv_run(&n->loop, UV_RUN_DEFAULT);
    CB_UNREACHABLE("the loop has ended");
}
