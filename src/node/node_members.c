/* Who belongs to the cluster, as this node knows it: what its log says, which it notes for its next
 * start; before it has a log, what a member told it; at the very first start --cluster. */
#include "node/node_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/sys/cb_log.h"

#define MEMBERS_KEY "members"
/* One that was removed is sent nothing any more, and hears of no leader. */
#define GONE_EVERY_MS 1000
#define GONE_AFTER_NS (3 * CB_NS_PER_S)
#define ASK_TIMEOUT_NS CB_NS_PER_S

/* ---- the note ---- */

/* "ID NAME HOST:PORT", a line for each. */
static void note(struct node *n)
{
    struct cb_buf text = CB_BUF_NULL;
    for (size_t i = 0; i < n->n_members; i++) {
        const struct node_member *m = &n->members[i];
        cb_buf_printf(&text, "%" PRIu64 " %s %s\n", m->id, m->name, m->grpc);
    }
    struct store_error err;
    enum store_result r = store_set_local(n->store, MEMBERS_KEY, cb_buf_span(&text), &err);
    if (r == STORE_FULL) { /* the log knows as well; the older note will do for a start */
        cb_log(CB_LOG_WARN, "node.members", "err=\"%s\"", err.text);
    } else if (r != STORE_OK) {
        cb_die("%s", err.text);
    }
    cb_buf_fini(&text);
}

/* The word up to `end`, which is overwritten; NULL when there is none. */
static char *take_word(char **at, char end)
{
    char *word = *at;
    char *stop = strchr(word, end);
    if (stop == NULL || stop == word) {
        return NULL;
    }
    *stop = '\0';
    *at = stop + 1;
    return word;
}

static bool parse_member(struct node_member *m, char **at)
{
    char *id = take_word(at, ' ');
    char *name = id != NULL ? take_word(at, ' ') : NULL;
    char *grpc = name != NULL ? take_word(at, '\n') : NULL;
    if (grpc == NULL || strlen(name) > CB_NODE_NAME_MAX) {
        return false;
    }
    m->id = strtoull(id, NULL, 10);
    memcpy(m->name, name, strlen(name) + 1);
    return m->id != 0 && node_addresses(grpc, m->grpc, m->raft);
}

static bool parse(struct node *n, char *text)
{
    n->n_members = 0;
    while (*text != '\0') {
        if (n->n_members == CB_CLUSTER_NODES_MAX ||
            !parse_member(&n->members[n->n_members++], &text)) {
            return false;
        }
    }
    return n->n_members > 0;
}

void node_members_load(struct node *n)
{
    struct cb_buf text = CB_BUF_NULL;
    if (!node_store_get_note(n, MEMBERS_KEY, &text)) {
        memcpy(n->members, n->options->members, sizeof(n->members));
        n->n_members = n->options->n_members;
        if (n->n_members == 0 && n->phase != NODE_JOINING) {
            cb_die("%s is that of a node of a new cluster: give --cluster as at its first start",
                   n->options->data_dir);
        }
        return;
    }
    cb_buf_append(&text, "", 1);
    if (!parse(n, (char *)text.base + (cb_buf_span(&text).ptr - text.base))) {
        cb_die("the note \"" MEMBERS_KEY "\" in %s/state is damaged; this node must be added under "
               "a new name",
               n->options->data_dir);
    }
    cb_buf_fini(&text);
}

/* ---- who they are ---- */

const struct node_member *node_member(const struct node *n, uint64_t id)
{
    for (size_t i = 0; i < n->n_members; i++) {
        if (n->members[i].id == id) {
            return &n->members[i];
        }
    }
    return NULL;
}

const char *node_grpc_of(const struct node *n, uint64_t id)
{
    const struct node_member *m = node_member(n, id);
    return m != NULL ? m->grpc : "";
}

static bool is_same(const struct node *n, const struct node_member *members, size_t count)
{
    bool same = n->n_members == count;
    for (size_t i = 0; same && i < count; i++) {
        same = n->members[i].id == members[i].id &&
               strcmp(n->members[i].name, members[i].name) == 0 &&
               strcmp(n->members[i].grpc, members[i].grpc) == 0;
    }
    return same;
}

void node_members_set(struct node *n, const struct node_member *members, size_t count)
{
    if (is_same(n, members, count)) {
        return;
    }
    memcpy(n->members, members, count * sizeof(members[0]));
    n->n_members = count;
    note(n);
    node_peers_changed(n);
    for (size_t i = 0; i < count; i++) {
        cb_log(CB_LOG_INFO, "node.member", "id=%" PRIu64 " name=%s at=%s", members[i].id,
               members[i].name, members[i].grpc);
    }
}

_Noreturn static void die_removed(const struct node *n)
{
    cb_die("this node (%s, id %" PRIu64 ") was removed from its cluster; to use the machine again, "
           "empty %s, start it with --join, and add it with 'coolbeans add'",
           n->options->name, n->id, n->options->data_dir);
}

/* Of lists that are committed alone: proxies go by the one with the highest index, and one that is
 * rolled back would keep them from the list that counts. */
static void tell_proxies(const struct node *n)
{
    const char *addresses[CB_CLUSTER_NODES_MAX];
    for (size_t i = 0; i < n->n_members; i++) {
        addresses[i] = n->members[i].grpc;
    }
    if (n->service != NULL && replica_members_are_settled(n->replica) &&
        replica_members_index(n->replica) != 0) {
        service_set_members(n->service, replica_members_index(n->replica), addresses,
                            (uint32_t)n->n_members);
    }
}

static bool has(const struct node_member *members, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (members[i].id == id) {
            return true;
        }
    }
    return false;
}

void node_members_changed(void *data)
{
    struct node *n = data;
    struct replica_member found[CB_CLUSTER_NODES_MAX];
    struct node_member members[CB_CLUSTER_NODES_MAX];
    size_t count = replica_members(n->replica, found);
    for (size_t i = 0; i < count; i++) {
        members[i] = (struct node_member){.id = found[i].id};
        memcpy(members[i].name, found[i].name, sizeof(members[i].name));
        memcpy(members[i].raft, found[i].address, sizeof(members[i].raft));
        node_grpc_of_raft(members[i].raft, members[i].grpc);
    }
    if (!has(members, count, n->id) && n->phase == NODE_JOINED) {
        return; /* the log here ends before it was added */
    }
    node_members_set(n, members, count);
    tell_proxies(n);
    if (n->phase == NODE_JOINED) {
        node_store_set_phase(n, NODE_BOOTSTRAPPED);
    }
    if (!has(members, count, n->id) && replica_members_are_settled(n->replica)) {
        die_removed(n);
    }
}

/* ---- was this one removed? ---- */

static void on_identified(void *ctx, const struct rpc_status *status, struct cb_span bytes)
{
    const struct node *n = ctx;
    struct wire_identify_reply reply;
    if (n->is_stopping || status->code != RPC_OK ||
        wire_identify_reply_decode(&reply, bytes) != WIRE_OK) {
        return;
    }
    if (reply.cluster == n->cluster && reply.is_gone && n->missed_ns != 0) {
        die_removed(n);
    }
}

static void ask_whether_gone(struct node *n)
{
    const struct wire_identify_request q = {.cluster = n->cluster, .id = n->id};
    for (size_t i = 0; i < n->n_members; i++) {
        if (n->members[i].id == n->id) {
            continue;
        }
        struct cb_buf bytes = CB_BUF_NULL;
        wire_identify_request_encode(&q, &bytes);
        (void)rpc_client_call(node_peer(n, n->members[i].id), "/coolbeans.v1.Cluster/Identify",
                              &bytes, ASK_TIMEOUT_NS, on_identified, n);
        cb_buf_fini(&bytes);
    }
}

static void on_gone_timer(uv_timer_t *timer)
{
    struct node *n = timer->data;
    uint64_t now = cb_clock_monotonic_ns(n->clock);
    if (core_view(n->core)->leader_id != 0 || core_view(n->core)->role == REPLICA_LEADER) {
        n->missed_ns = 0;
    } else if (n->missed_ns == 0) {
        n->missed_ns = now;
    } else if (now - n->missed_ns > GONE_AFTER_NS) {
        ask_whether_gone(n);
    }
}

void node_members_start(struct node *n)
{
    CB_ASSERT(uv_timer_init(&n->loop, &n->gone_timer) == 0);
    n->gone_timer.data = n;
    CB_ASSERT(uv_timer_start(&n->gone_timer, on_gone_timer, GONE_EVERY_MS, GONE_EVERY_MS) == 0);
}

void node_members_stop(struct node *n)
{
    if (n->gone_timer.data != NULL) {
        CB_ASSERT(uv_timer_stop(&n->gone_timer) == 0);
    }
}
