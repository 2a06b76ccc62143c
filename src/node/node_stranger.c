/* Who speaks here and is no member as far as this node knows? The members that it knows are asked,
 * and the stranger itself: all that were members when this node last heard may have gone since. Its
 * word makes nothing true that is not, raft is safe whoever speaks; it keeps out what belongs to no
 * list of members, as a node that was not added yet. */
#include "node/node_internal.h"

#include <inttypes.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_log.h"

#define ASK_TIMEOUT_NS CB_NS_PER_S
/* What is refused tries again each second. */
#define ASK_EVERY_NS (500 * CB_NS_PER_MS)

/* The one that is asked about itself. */
struct node_stranger {
    struct node *n;
    struct rpc_client *client;
    uint64_t id;
};

static bool copy_text(char *out, size_t cap, struct cb_span s)
{
    if (s.len >= cap) {
        return false;
    }
    memcpy(out, s.ptr, s.len);
    out[s.len] = '\0';
    return true;
}

/* What one says of the members; `only` that id, unless 0. Those whom it names and this node does
 * not know yet may speak. */
static void take_names(struct node *n, struct cb_span bytes, uint64_t only)
{
    struct wire_status s = {0};
    bool is_status = wire_status_decode(&s, bytes) == WIRE_OK;
    for (uint32_t i = 0; is_status && i < s.n_members; i++) {
        const struct wire_member *m = &s.members[i];
        struct replica_member member = {.id = m->id};
        bool is_wanted = m->id != 0 && m->id != n->id && (only == 0 || m->id == only);
        if (is_wanted && node_member(n, m->id) == NULL &&
            copy_text(member.name, sizeof(member.name), m->name) &&
            copy_text(member.address, sizeof(member.address), m->raft)) {
            replica_know(n->replica, &member);
        }
    }
    wire_status_fini(&s);
}

static void ask(struct rpc_client *client, rpc_unary_fn done, void *ctx)
{
    struct cb_buf bytes = CB_BUF_NULL; /* StatusRequest has no fields */
    (void)rpc_client_call(client, "/coolbeans.v1.Cluster/Status", &bytes, ASK_TIMEOUT_NS, done,
                          ctx);
}

static void on_word(void *ctx, const struct rpc_status *status, struct cb_span bytes)
{
    struct node *n = ctx;
    if (!n->is_stopping && status->code == RPC_OK) {
        take_names(n, bytes, 0);
    }
}

/* ---- the stranger itself ---- */

static void on_client_closed(void *ctx)
{
    cb_free(ctx);
}

void node_stranger_stop(struct node *n)
{
    struct node_stranger *s = n->stranger;
    if (s != NULL) {
        n->stranger = NULL;
        rpc_client_close(s->client, on_client_closed, s);
    }
}

static void on_own_word(void *ctx, const struct rpc_status *status, struct cb_span bytes)
{
    struct node_stranger *s = ctx;
    struct node *n = s->n;
    if (n->stranger != s) {
        return; /* closed already */
    }
    if (!n->is_stopping && status->code == RPC_OK) {
        take_names(n, bytes, s->id);
    }
    node_stranger_stop(n);
}

static void ask_itself(struct node *n, uint64_t id, const char *raft)
{
    char grpc[CB_ADDRESS_MAX];
    if (n->stranger != NULL || raft == NULL || !node_grpc_of_told(raft, grpc)) {
        return; /* one at a time; it comes again */
    }
    struct node_stranger *s = cb_calloc(1, sizeof(*s));
    const struct rpc_client_config config = {.target = grpc};
    *s = (struct node_stranger){.n = n, .id = id, .client = rpc_client_create(n->rpc, &config)};
    n->stranger = s;
    ask(s->client, on_own_word, s);
}

void node_stranger_speaks(void *data, uint64_t id, const char *address)
{
    struct node *n = data;
    uint64_t now = cb_clock_monotonic_ns(n->clock);
    if (n->is_stopping || n->replica == NULL ||
        (n->asked_ns != 0 && now - n->asked_ns < ASK_EVERY_NS)) {
        return;
    }
    n->asked_ns = now;
    cb_log(CB_LOG_INFO, "node.stranger", "id=%" PRIu64 " at=%s effect=\"the members are asked\"",
           id, address != NULL ? address : "");
    for (size_t i = 0; i < n->n_members; i++) {
        if (n->members[i].id != n->id) {
            ask(node_peer(n, n->members[i].id), on_word, n);
        }
    }
    ask_itself(n, id, address);
}
