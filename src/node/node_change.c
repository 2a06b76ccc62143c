/* Cluster.Change: an operator adds or removes a member, or hands leadership over. The leader does
 * it, one change at a time, and answers once the log says so, or it leads no more.
 *
 * A node that is to be added has to run already and to wait there (node_join.c): it says which id
 * it has, and that it belongs to nothing else. */
#include "node/node_internal.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/cb_mem.h"
#include "common/rpc/rpc_server.h"
#include "common/sys/cb_log.h"

#define IDENTIFY_TIMEOUT_NS CB_NS_PER_S
/* For a node that was started just now. */
#define PATIENCE_NS (3 * CB_NS_PER_S)
#define ASK_AGAIN_MS 200
/* Between looks at how far it is. */
#define POLL_MS 20
/* Below the deadline that the tool has for the call. */
#define POLLS_MAX (8000 / POLL_MS)

struct node_change {
    struct node *n;
    struct rpc_call *call;
    struct wire_change_request q;
    struct node_member member; /* to be added */
    struct rpc_client *client; /* to that; NULL: none */
    uv_timer_t timer;
    uint64_t until_ns; /* is the node that is to be added waited for */
    uint64_t id;       /* to be removed or to lead */
    unsigned polls_left;
    bool is_over; /* answered */
};

/* ---- answers ---- */

static void
reply(struct node *n, struct rpc_call *call, enum wire_change_result result, const char *fmt, ...)
    CB_PRINTF(4, 5);

static void
reply(struct node *n, struct rpc_call *call, enum wire_change_result result, const char *fmt, ...)
{
    struct wire_change_reply m = {.result = result};
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(m.text, sizeof(m.text), fmt, ap);
    va_end(ap);
    if (result == WIRE_CHANGE_NOT_LEADER) {
        (void)snprintf(m.leader, sizeof(m.leader), "%s",
                       node_grpc_of(n, core_view(n->core)->leader_id));
    }
    service_change_reply(call, &m);
}

/* The answer to its question, if there is one under way, has come by then. */
static void on_client_closed(void *ctx)
{
    cb_free(ctx);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct node_change *c = handle->data;
    if (c->client != NULL) {
        rpc_client_close(c->client, on_client_closed, c);
    } else {
        cb_free(c);
    }
}

static void end(struct node_change *c)
{
    c->n->change = NULL;
    c->is_over = true;
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

#define ANSWER(c, ...)                                                                             \
    do {                                                                                           \
        reply((c)->n, (c)->call, __VA_ARGS__);                                                     \
        end(c);                                                                                    \
    } while (0)

/* What the log said to it. True: it is to be waited for. */
static bool is_begun(struct node_change *c, enum replica_change_result result)
{
    const char *name = c->q.name;
    switch (result) {
    case REPLICA_CHANGE_BEGUN:
        return true;
    case REPLICA_CHANGE_NEEDLESS:
        ANSWER(c, WIRE_CHANGE_DONE, "%s", "it is so already");
        break;
    case REPLICA_CHANGE_NOT_LEADER:
        ANSWER(c, WIRE_CHANGE_NOT_LEADER, "%s", "this node does not lead");
        break;
    case REPLICA_CHANGE_BUSY:
        ANSWER(c, WIRE_CHANGE_BUSY, "%s", "another change of the members is under way");
        break;
    case REPLICA_CHANGE_NO_SPACE:
        ANSWER(c, WIRE_CHANGE_REFUSED, "%s",
               "a majority of the members has no room on its disk: make some first");
        break;
    case REPLICA_CHANGE_TAKEN:
        ANSWER(c, WIRE_CHANGE_REFUSED,
               "another member has the name %s or the address %s: look at 'coolbeans members'; to "
               "put a new directory in its place run 'coolbeans replace'",
               name, c->q.grpc);
        break;
    case REPLICA_CHANGE_TOO_MANY:
        ANSWER(c, WIRE_CHANGE_REFUSED, "a cluster has at most %d members: remove one first",
               CB_CLUSTER_NODES_MAX);
        break;
    case REPLICA_CHANGE_UNSAFE:
        ANSWER(
            c, WIRE_CHANGE_REFUSED,
            "without %s there would be no majority of members that answer, and the cluster would "
            "stop: bring back a member that is down first, or remove that one",
            name);
        break;
    case REPLICA_CHANGE_SELF:
        CB_UNREACHABLE("the leader removes itself");
    }
    return false;
}

/* ---- until it is so ---- */

static bool leads(const struct node *n)
{
    return core_view(n->core)->role == REPLICA_LEADER;
}

static bool is_done(const struct node_change *c)
{
    const struct node *n = c->n;
    switch (c->q.op) {
    case WIRE_CHANGE_ADD:
        return node_member(n, c->member.id) != NULL && replica_members_are_settled(n->replica);
    case WIRE_CHANGE_REMOVE:
        return node_member(n, c->id) == NULL && replica_members_are_settled(n->replica);
    default:
        break;
    }
    uint64_t leader = leads(n) ? n->id : core_view(n->core)->leader_id;
    return c->id != 0 ? leader == c->id : leader != 0 && leader != n->id;
}

static void log_done(const struct node_change *c)
{
    static const char *const events[] = {[WIRE_CHANGE_ADD] = "member.added",
                                         [WIRE_CHANGE_REMOVE] = "member.removed",
                                         [WIRE_CHANGE_TRANSFER] = "leadership.handed-over"};
    cb_log(CB_LOG_INFO, events[c->q.op], "name=%s", c->q.name);
}

static void on_poll(uv_timer_t *timer)
{
    struct node_change *c = timer->data;
    bool is_transfer = c->q.op == WIRE_CHANGE_TRANSFER;
    if (is_done(c)) {
        log_done(c);
        ANSWER(c, WIRE_CHANGE_DONE, "%s", "");
    } else if (!is_transfer && !leads(c->n)) {
        ANSWER(c, WIRE_CHANGE_UNKNOWN, "%s",
               "the leader has changed meanwhile: look at 'coolbeans members', and ask again");
    } else if (--c->polls_left == 0) {
        ANSWER(c, WIRE_CHANGE_UNKNOWN, "%s",
               is_transfer ? "no other member has taken over: look at 'coolbeans members'"
                           : "a majority of the members does not answer: it will be so, or not, "
                             "once they do; look at 'coolbeans members'");
    }
}

static void wait(struct node_change *c)
{
    c->polls_left = POLLS_MAX;
    CB_ASSERT(uv_timer_start(&c->timer, on_poll, POLL_MS, POLL_MS) == 0);
}

/* ---- add ---- */

static void add(struct node_change *c, uint64_t id)
{
    struct replica_member m = {.id = id};
    c->member.id = id;
    memcpy(m.name, c->member.name, sizeof(m.name));
    memcpy(m.address, c->member.raft, sizeof(m.address));
    if (is_begun(c, replica_add(c->n->replica, &m))) {
        wait(c);
    }
}

static void take_identity(struct node_change *c, const struct wire_identify_reply *r)
{
    const char *name = c->q.name;
    const char *at = c->q.grpc;
    bool is_member = node_member(c->n, r->id) != NULL;
    if (!cb_span_eq(r->name, cb_span_str(name))) {
        ANSWER(c, WIRE_CHANGE_REFUSED, "the node at %s is %.*s, not %s", at, (int)r->name.len,
               (const char *)r->name.ptr, name);
    } else if (r->cluster != c->n->cluster) {
        ANSWER(c, WIRE_CHANGE_REFUSED,
               "%s at %s belongs to another cluster, or is about to make one: start it with --join "
               "and an empty directory",
               name, at);
    } else if (r->state == WIRE_IDENTIFY_JOINING || is_member) {
        add(c, r->id);
    } else {
        ANSWER(
            c, WIRE_CHANGE_REFUSED,
            "%s at %s was a member once, or was started with --cluster: start it with --join and "
            "an empty directory",
            name, at);
    }
}

static void ask(struct node_change *c);

static void on_ask_again(uv_timer_t *timer)
{
    ask(timer->data);
}

static void on_identified(void *ctx, const struct rpc_status *status, struct cb_span bytes)
{
    struct node_change *c = ctx;
    struct wire_identify_reply r;
    if (c->is_over) {
        return;
    }
    if (status->code != RPC_OK && cb_clock_monotonic_ns(c->n->clock) < c->until_ns) {
        CB_ASSERT(uv_timer_start(&c->timer, on_ask_again, ASK_AGAIN_MS, 0) == 0);
    } else if (status->code != RPC_OK) {
        ANSWER(c, WIRE_CHANGE_REFUSED,
               "no node answers at %s (%s): start coolbeans-node --name %s --join there first",
               c->q.grpc, rpc_code_name(status->code), c->q.name);
    } else if (wire_identify_reply_decode(&r, bytes) != WIRE_OK) {
        ANSWER(c, WIRE_CHANGE_REFUSED, "what answers at %s is no coolbeans-node", c->q.grpc);
    } else {
        take_identity(c, &r);
    }
}

static void ask(struct node_change *c)
{
    const struct wire_identify_request q = {.cluster = c->n->cluster, .id = c->n->id};
    struct cb_buf bytes = CB_BUF_NULL;
    wire_identify_request_encode(&q, &bytes);
    (void)rpc_client_call(c->client, "/coolbeans.v1.Cluster/Identify", &bytes, IDENTIFY_TIMEOUT_NS,
                          on_identified, c);
    cb_buf_fini(&bytes);
}

static void begin_add(struct node_change *c)
{
    memcpy(c->member.name, c->q.name, sizeof(c->member.name));
    if (strspn(c->q.name, CB_NODE_NAME_CHARS) != strlen(c->q.name) ||
        !node_addresses(c->q.grpc, c->member.grpc, c->member.raft)) {
        ANSWER(c, WIRE_CHANGE_REFUSED,
               "%s=%s is not NAME=HOST:PORT with a name of letters, digits and \"-_.\" and a port "
               "from 1 to 65534",
               c->q.name, c->q.grpc);
        return;
    }
    const struct rpc_client_config config = {.target = c->member.grpc};
    c->client = rpc_client_create(c->n->rpc, &config);
    c->until_ns = cb_clock_monotonic_ns(c->n->clock) + PATIENCE_NS;
    ask(c);
}

/* ---- remove, transfer ---- */

static const struct node_member *named(const struct node *n, const char *name)
{
    for (size_t i = 0; i < n->n_members; i++) {
        if (strcmp(n->members[i].name, name) == 0) {
            return &n->members[i];
        }
    }
    return NULL;
}

static void hand_over(struct node_change *c, uint64_t id)
{
    if (replica_transfer(c->n->replica, id)) {
        wait(c);
    } else {
        ANSWER(c, WIRE_CHANGE_BUSY, "%s", "leadership is being handed over");
    }
}

/* The one that leads goes last: another leads first, and is asked then. */
static void remove_self(struct node_change *c)
{
    if (c->n->n_members == 1) {
        ANSWER(c, WIRE_CHANGE_REFUSED, "%s", "it is the only member: a cluster has at least one");
        return;
    }
    bool began = replica_transfer(c->n->replica, 0);
    ANSWER(c, WIRE_CHANGE_BUSY, "%s",
           began ? "it leads, and hands leadership over first" : "leadership is being handed over");
}

static void begin_remove(struct node_change *c)
{
    const struct node_member *m = named(c->n, c->q.name);
    if (m == NULL) {
        ANSWER(c, WIRE_CHANGE_REFUSED, "there is no member %s: look at 'coolbeans members'",
               c->q.name);
    } else if (m->id == c->n->id) {
        remove_self(c);
    } else {
        c->id = m->id;
        if (is_begun(c, replica_remove(c->n->replica, m->id))) {
            wait(c);
        }
    }
}

static void begin_transfer(struct node_change *c)
{
    const struct node_member *m = named(c->n, c->q.name);
    if (c->q.name[0] == '\0') {
        hand_over(c, 0);
    } else if (m == NULL) {
        ANSWER(c, WIRE_CHANGE_REFUSED, "there is no member %s: look at 'coolbeans members'",
               c->q.name);
    } else if (m->id == c->n->id) {
        ANSWER(c, WIRE_CHANGE_DONE, "%s", "it leads already");
    } else {
        c->id = m->id;
        hand_over(c, m->id);
    }
}

/* ---- asked ---- */

static void begin(struct node *n, const struct wire_change_request *q, struct rpc_call *call)
{
    struct node_change *c = cb_calloc(1, sizeof(*c));
    *c = (struct node_change){.n = n, .call = call, .q = *q};
    n->change = c;
    CB_ASSERT(uv_timer_init(&n->loop, &c->timer) == 0);
    c->timer.data = c;
    switch (q->op) {
    case WIRE_CHANGE_ADD:
        begin_add(c);
        return;
    case WIRE_CHANGE_REMOVE:
        begin_remove(c);
        return;
    case WIRE_CHANGE_TRANSFER:
        begin_transfer(c);
        return;
    default:
        CB_UNREACHABLE("kind of change");
    }
}

void node_change_on_asked(void *data, const struct wire_change_request *q, struct rpc_call *call)
{
    struct node *n = data;
    if (n->replica == NULL || n->is_stopping || !leads(n)) {
        reply(n, call, WIRE_CHANGE_NOT_LEADER, "%s", "this node does not lead");
    } else if (n->change != NULL) {
        reply(n, call, WIRE_CHANGE_BUSY, "%s", "another change of the members is under way");
    } else {
        begin(n, q, call);
    }
}

void node_change_stop(struct node *n)
{
    if (n->change != NULL) {
        ANSWER(n->change, WIRE_CHANGE_UNKNOWN, "%s", "this node stops: look, and ask again");
    }
}
