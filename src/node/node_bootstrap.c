/* The first start of a cluster (design D12). An empty directory may be that of a new cluster or
 * that of a member that has lost its votes; only all members together can tell. In two steps:
 *
 *   EMPTY     asks all others until each says EMPTY or PREPARED, then notes PREPARED, durably;
 *   PREPARED  asks until all say PREPARED or BOOTSTRAPPED, or one says BOOTSTRAPPED (who got there
 *             has seen all of them prepared), then writes the first configuration and takes part.
 *
 * Nobody votes before all are PREPARED, and whoever is EMPTY after that has lost something: when a
 * member is BOOTSTRAPPED, an EMPTY one refuses. */
#include "node/node_internal.h"

#include <inttypes.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"

#define ASK_EVERY_MS 200
#define ASK_TIMEOUT_NS CB_NS_PER_S
#define LOG_EVERY_NS (5 * CB_NS_PER_S)

struct peer {
    struct node_bootstrap *b;
    struct rpc_client *client;
    struct rpc_unary *call; /* NULL: none is under way */
    const struct node_member *member;
    uint64_t id;
    uint32_t state; /* enum wire_identify_state; 0: no answer, or a wrong one */
    char why[160];  /* state 0 */
};

struct node_bootstrap {
    struct node *n;
    struct peer peers[CB_CLUSTER_NODES_MAX];
    size_t n_peers;
    size_t n_closed;
    uv_timer_t timer;
    uint64_t logged_ns;
};

static bool all_say(const struct node_bootstrap *b, uint32_t this, uint32_t or_that)
{
    for (size_t i = 0; i < b->n_peers; i++) {
        if (b->peers[i].state != this && b->peers[i].state != or_that) {
            return false;
        }
    }
    return true;
}

static const struct peer *bootstrapped_peer(const struct node_bootstrap *b)
{
    for (size_t i = 0; i < b->n_peers; i++) {
        if (b->peers[i].state == WIRE_IDENTIFY_BOOTSTRAPPED) {
            return &b->peers[i];
        }
    }
    return NULL;
}

static void on_client_closed(void *ctx)
{
    struct node_bootstrap *b = ctx;
    if (++b->n_closed == b->n_peers) {
        cb_free(b);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct node_bootstrap *b = handle->data;
    if (b->n_peers == 0) {
        cb_free(b);
        return;
    }
    for (size_t i = 0; i < b->n_peers; i++) {
        rpc_client_close(b->peers[i].client, on_client_closed, b);
    }
}

static void finish(struct node_bootstrap *b)
{
    struct node *n = b->n;
    n->bootstrap = NULL;
    b->timer.data = b;
    uv_close((uv_handle_t *)&b->timer, on_timer_closed);
    node_start_replica(n);
}

static void log_waiting(struct node_bootstrap *b)
{
    uint64_t now = cb_clock_monotonic_ns(b->n->clock);
    if (now - b->logged_ns < LOG_EVERY_NS) {
        return;
    }
    b->logged_ns = now;
    for (size_t i = 0; i < b->n_peers; i++) {
        const struct peer *p = &b->peers[i];
        if (p->state == 0) {
            cb_log(CB_LOG_INFO, "bootstrap.waits", "for=%s at=%s why=\"%s\"", p->member->name,
                   p->member->grpc, p->why);
        }
    }
}

static void refuse(const struct node_bootstrap *b, const struct peer *p)
{
    cb_die(
        "%s is empty, but %s (%s) is part of a running cluster: a node that has lost its "
        "directory has lost its votes, and comes back as a new one: start it with --join %s, and "
        "run 'coolbeans replace %s %s=%s'",
        b->n->options->data_dir, p->member->name, p->member->grpc, p->member->grpc,
        b->n->options->name, b->n->options->name, b->n->options->members[b->n->options->self].grpc);
}

static void decide(struct node_bootstrap *b)
{
    struct node *n = b->n;
    const struct peer *running = bootstrapped_peer(b);
    if (n->phase == NODE_EMPTY && running != NULL) {
        refuse(b, running);
    }
    if (n->phase == NODE_EMPTY && all_say(b, WIRE_IDENTIFY_EMPTY, WIRE_IDENTIFY_PREPARED)) {
        node_store_set_phase(n, NODE_PREPARED);
    }
    if (n->phase == NODE_PREPARED &&
        (running != NULL || all_say(b, WIRE_IDENTIFY_PREPARED, WIRE_IDENTIFY_BOOTSTRAPPED))) {
        finish(b);
        return;
    }
    log_waiting(b);
}

static void take_answer(struct peer *p, const struct wire_identify_reply *reply)
{
    p->state = 0;
    if (!cb_span_eq(reply->name, cb_span_str(p->member->name)) || reply->id != p->id) {
        snprintf(p->why, sizeof(p->why), "another node answers there: %.*s", (int)reply->name.len,
                 (const char *)reply->name.ptr);
    } else if (reply->cluster != p->b->n->cluster) {
        snprintf(p->why, sizeof(p->why), "it was started with another --cluster list");
    } else {
        p->state = reply->state;
    }
}

static void on_answer(void *ctx, const struct rpc_status *status, struct cb_span bytes)
{
    struct peer *p = ctx;
    p->call = NULL;
    if (p->b->n->bootstrap != p->b) {
        return; /* over; the client is being closed */
    }
    struct wire_identify_reply reply;
    if (status->code != RPC_OK) {
        p->state = 0;
        snprintf(p->why, sizeof(p->why), "%s", rpc_code_name(status->code));
    } else if (wire_identify_reply_decode(&reply, bytes) != WIRE_OK) {
        p->state = 0;
        snprintf(p->why, sizeof(p->why), "its answer is malformed");
    } else {
        take_answer(p, &reply);
    }
    decide(p->b);
}

static void ask(struct peer *p)
{
    const struct wire_identify_request q = {.cluster = p->b->n->cluster, .id = p->b->n->id};
    struct cb_buf bytes;
    cb_buf_init(&bytes);
    wire_identify_request_encode(&q, &bytes);
    p->call = rpc_client_call(p->client, "/coolbeans.v1.Cluster/Identify", &bytes, ASK_TIMEOUT_NS,
                              on_answer, p);
    cb_buf_fini(&bytes);
}

static void on_timer(uv_timer_t *timer)
{
    struct node_bootstrap *b = timer->data;
    for (size_t i = 0; i < b->n_peers; i++) {
        if (b->peers[i].call == NULL) {
            ask(&b->peers[i]);
        }
    }
    decide(b);
}

void node_bootstrap_start(struct node *n)
{
    struct node_bootstrap *b = cb_calloc(1, sizeof(*b));
    n->bootstrap = b;
    b->n = n;
    b->logged_ns = cb_clock_monotonic_ns(n->clock);
    for (size_t i = 0; i < n->n_members; i++) {
        if (n->members[i].id == n->id) {
            continue;
        }
        struct peer *p = &b->peers[b->n_peers++];
        p->b = b;
        p->member = &n->members[i];
        p->id = n->members[i].id;
        const struct rpc_client_config config = {.target = p->member->grpc};
        p->client = rpc_client_create(n->rpc, &config);
        snprintf(p->why, sizeof(p->why), "it has not answered yet");
    }
    CB_ASSERT(uv_timer_init(&n->loop, &b->timer) == 0);
    b->timer.data = b;
    CB_ASSERT(uv_timer_start(&b->timer, on_timer, 0, ASK_EVERY_MS) == 0);
}
