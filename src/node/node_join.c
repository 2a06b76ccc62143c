/* The first start of a node that is added to a cluster which exists (--join). It asks the members
 * that it was told of
 *
 *   which cluster theirs is (Identify), before there is anything on its disk;
 *   whether it is one of the members (Status), until an operator has added it.
 *
 * From the answer to the second it knows where the others are, takes part, and is sent the log and
 * the state like any member that was away. What it is added under is the id that it has drawn for
 * its directory: one that is lost cannot come back as the member that it was (design D12). */
#include "node/node_internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"

#define ASK_EVERY_MS 200
#define ASK_TIMEOUT_NS CB_NS_PER_S
#define LOG_EVERY_NS (5 * CB_NS_PER_S)

struct target {
    struct node_join *j;
    struct rpc_client *client;
    bool is_asked;
    const char *grpc;
    char why[160]; /* it has not answered yet, or of no use */
};

struct node_join {
    struct node *n;
    struct target targets[CB_CLUSTER_NODES_MAX];
    size_t n_targets;
    size_t n_closed;
    bool is_over; /* nothing is asked any more */
    const char *path;
    rpc_unary_fn answered;
    uv_timer_t timer;
    uint64_t logged_ns;
};

static void log_waiting(struct node_join *j)
{
    uint64_t now = cb_clock_monotonic_ns(j->n->clock);
    if (now - j->logged_ns < LOG_EVERY_NS) {
        return;
    }
    j->logged_ns = now;
    for (size_t i = 0; i < j->n_targets; i++) {
        cb_log(CB_LOG_INFO, "join.waits", "at=%s why=\"%s\"", j->targets[i].grpc,
               j->targets[i].why);
    }
}

static void on_client_closed(void *ctx)
{
    struct node_join *j = ctx;
    if (++j->n_closed == j->n_targets) {
        cb_free(j);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct node_join *j = handle->data;
    for (size_t i = 0; i < j->n_targets; i++) {
        rpc_client_close(j->targets[i].client, on_client_closed, j);
    }
}

static void finish(struct node_join *j)
{
    j->is_over = true;
    uv_close((uv_handle_t *)&j->timer, on_timer_closed);
}

static void ask(struct target *t)
{
    const struct node *n = t->j->n;
    const struct wire_identify_request q = {.cluster = n->cluster, .id = n->id};
    struct cb_buf bytes = CB_BUF_NULL;
    if (n->cluster == 0) {
        wire_identify_request_encode(&q, &bytes); /* a question for the status has no fields */
    }
    t->is_asked = true;
    (void)rpc_client_call(t->client, t->j->path, &bytes, ASK_TIMEOUT_NS, t->j->answered, t);
    cb_buf_fini(&bytes);
}

static void on_timer(uv_timer_t *timer)
{
    struct node_join *j = timer->data;
    for (size_t i = 0; i < j->n_targets; i++) {
        if (!j->targets[i].is_asked) {
            ask(&j->targets[i]);
        }
    }
    log_waiting(j);
}

static struct node_join *start(struct node *n, const char *path, rpc_unary_fn answered)
{
    struct node_join *j = cb_calloc(1, sizeof(*j));
    j->n = n;
    j->path = path;
    j->answered = answered;
    j->logged_ns = cb_clock_monotonic_ns(n->clock);
    for (size_t i = 0; i < n->options->n_join; i++) {
        struct target *t = &j->targets[j->n_targets++];
        const struct rpc_client_config config = {.target = n->options->join[i]};
        t->j = j;
        t->grpc = n->options->join[i];
        t->client = rpc_client_create(n->rpc, &config);
        (void)snprintf(t->why, sizeof(t->why), "it has not answered yet");
    }
    CB_ASSERT(uv_timer_init(&n->loop, &j->timer) == 0);
    j->timer.data = j;
    CB_ASSERT(uv_timer_start(&j->timer, on_timer, 0, ASK_EVERY_MS) == 0);
    return j;
}

/* False: there is no answer to look at. */
static bool has_answer(struct target *t, const struct rpc_status *status)
{
    t->is_asked = false;
    if (t->j->is_over) {
        return false;
    }
    if (status->code != RPC_OK) {
        (void)snprintf(t->why, sizeof(t->why), "%s", rpc_code_name(status->code));
    }
    return status->code == RPC_OK;
}

/* ---- which cluster? ---- */

static void on_identified(void *ctx, const struct rpc_status *status, struct cb_span bytes)
{
    struct target *t = ctx;
    struct wire_identify_reply reply;
    if (!has_answer(t, status)) {
        return;
    }
    if (wire_identify_reply_decode(&reply, bytes) != WIRE_OK || reply.cluster == 0) {
        (void)snprintf(t->why, sizeof(t->why), "its answer is malformed");
    } else if (reply.state != WIRE_IDENTIFY_BOOTSTRAPPED) {
        (void)snprintf(t->why, sizeof(t->why), "it is no member of a cluster yet itself");
    } else {
        t->j->n->cluster = reply.cluster;
        finish(t->j);
    }
}

void node_join_find_cluster(struct node *n)
{
    (void)start(n, "/coolbeans.v1.Cluster/Identify", on_identified);
    while (n->cluster == 0) {
        (void)uv_run(&n->loop, UV_RUN_ONCE); /* the answer says when it is enough */
    }
    cb_log(CB_LOG_INFO, "join.found", "cluster=%016" PRIx64, n->cluster);
}

/* ---- is this node one of them? ---- */

static bool copy_text(char *out, size_t cap, struct cb_span s)
{
    if (s.len >= cap) {
        return false;
    }
    memcpy(out, s.ptr, s.len);
    out[s.len] = '\0';
    return true;
}

/* How many; 0 when one of them makes no sense. */
static size_t members_of(const struct wire_status *s, struct node_member *out)
{
    for (uint32_t i = 0; i < s->n_members; i++) {
        const struct wire_member *m = &s->members[i];
        char grpc[CB_ADDRESS_MAX];
        out[i] = (struct node_member){.id = m->id};
        if (m->id == 0 || !copy_text(out[i].name, sizeof(out[i].name), m->name) ||
            !copy_text(grpc, sizeof(grpc), m->grpc) ||
            !node_addresses(grpc, out[i].grpc, out[i].raft)) {
            return 0;
        }
    }
    return s->n_members;
}

static void join(struct node_join *j, const struct node_member *members, size_t count)
{
    struct node *n = j->n;
    n->join = NULL;
    finish(j);
    node_members_set(n, members, count);
    node_store_set_phase(n, NODE_JOINED);
    node_start_replica(n);
}

static void take_status(struct target *t, const struct wire_status *s)
{
    struct node_member members[CB_CLUSTER_NODES_MAX];
    const struct node *n = t->j->n;
    size_t count = members_of(s, members);
    for (size_t i = 0; i < count; i++) {
        if (members[i].id == n->id) {
            join(t->j, members, count);
            return;
        }
    }
    (void)snprintf(t->why, sizeof(t->why),
                   "this node is no member yet: run 'coolbeans add %s=HOST:PORT' with the address "
                   "where others reach it",
                   n->options->name);
}

static void on_status(void *ctx, const struct rpc_status *status, struct cb_span bytes)
{
    struct target *t = ctx;
    struct wire_status s = {0};
    if (!has_answer(t, status)) {
        return;
    }
    if (wire_status_decode(&s, bytes) == WIRE_OK) {
        take_status(t, &s);
    } else {
        (void)snprintf(t->why, sizeof(t->why), "its answer is malformed");
    }
    wire_status_fini(&s);
}

void node_join_start(struct node *n)
{
    n->join = start(n, "/coolbeans.v1.Cluster/Status", on_status);
}
