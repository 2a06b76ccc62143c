/* What the node says of itself. */
#include "node/node_internal.h"

#include "node/link/link.h"
#include "node/store/store_meta.h"

static const char *role_name(const struct node *n)
{
    if (n->replica == NULL) {
        return "starting";
    }
    switch (core_view(n->core)->role) {
    case REPLICA_LEADER:
        return "leader";
    case REPLICA_CANDIDATE:
        return "candidate";
    case REPLICA_FOLLOWER:
        return "follower";
    }
    CB_UNREACHABLE("role");
}

static void count(struct wire_status *out, const char *name, uint64_t value)
{
    struct wire_status_counter *c = wire_status_add_counter(out);
    c->name = cb_span_str(name);
    c->value = value;
}

/* Before this node takes part it knows of voters alone: those of a first list, or those that it was
 * told. */
static void fill_members(const struct node *n, struct wire_status *out)
{
    static const char *const roles[] = {
        [REPLICA_VOTER] = "voter", [REPLICA_STANDBY] = "standby", [REPLICA_SPARE] = "spare"};
    struct replica_status s = {.peer_count = 0};
    if (n->replica != NULL) {
        replica_status(n->replica, &s);
    }
    for (size_t i = 0; i < n->n_members; i++) {
        struct wire_member *m = wire_status_add_member(out);
        m->id = n->members[i].id;
        m->name = cb_span_str(n->members[i].name);
        m->grpc = cb_span_str(n->members[i].grpc);
        m->raft = cb_span_str(n->members[i].raft);
        m->role = cb_span_str(roles[i < s.peer_count ? s.peers[i].role : REPLICA_VOTER]);
    }
}

static void fill_replica(const struct node *n, struct wire_status *out)
{
    struct replica_status s;
    replica_status(n->replica, &s);
    out->term = s.view.term;
    out->leader = s.view.leader_id;
    out->commit = s.commit_index;
#define X(name, what) count(out, "replica_" #name, s.counters.name);
    REPLICA_COUNTERS(X)
#undef X
    const struct link_counters *l = replica_uv_link_counters(n->replica_uv);
#define X(name, what) count(out, "link_" #name, l->name);
    LINK_COUNTERS(X)
#undef X
#define X(name, what, todo) count(out, "link_refused_" #name, l->refused_##name);
    LINK_REFUSALS(X)
#undef X
}

static void fill_counters(const struct node *n, struct wire_status *out)
{
    const struct jsm *machine = core_machine(n->core);
    const struct proposer_counters *p = proposer_counters_get(core_proposer(n->core));
#define X(name, what) count(out, "proposer_" #name, p->name);
    PROPOSER_COUNTERS(X)
#undef X
    if (n->service != NULL) { /* it goes before the HTTP port does */
        const struct service_counters *s = service_counters_get(n->service);
        count(out, "service_streams", s->streams);
        count(out, "service_malformed", s->malformed);
    }
    count(out, "store_pending_bytes", store_pending_bytes(n->store));
    count(out, "store_dirty_bytes", jsm_dirty_bytes(machine));
    count(out, "store_full", store_is_full(n->store));
    count(out, "body_bytes", jsm_body_bytes(machine));
    struct jsm_body_use use = jsm_body_use(machine);
    count(out, "body_cache", n->options->body_cache);
    count(out, "bodies_resident_bytes", use.resident_bytes);
    count(out, "bodies_away", use.n_away);
    count(out, "max_jobs", jsm_limits_now(machine).jobs);
    count(out, "max_bytes", jsm_limits_now(machine).bytes);
    struct node_scrub_view scrub;
    node_scrub_view(n, &scrub);
    if (scrub.is_on) {
        count(out, "scrub_bytes", scrub.bytes);
        count(out, "scrub_passes", scrub.passes);
        count(out, "scrub_pass_age_s", scrub.age_s);
        count(out, "scrub_damaged_segments", scrub.damaged_segments);
    }
    count(out, "apply_longest_us", core_longest(n->core).apply_ns / 1000);
    count(out, "drain_longest_us", core_longest(n->core).drain_ns / 1000);
    count(out, "log_digest", jsm_log_digest(machine));
    const struct core_digest_counters *d = core_digest_counters_get(n->core);
    count(out, "digest_checkpoint", d->checkpoint);
    count(out, "digests_same", d->same);
    count(out, "digests_differ", d->differ);
}

static void fill_space(struct node *n, struct wire_status *out)
{
    uint64_t free_bytes = node_space_free(n);
    out->free_known = free_bytes != CORE_SPACE_UNKNOWN;
    out->free = out->free_known ? free_bytes : 0;
    out->reserve = n->options->reserve_space;
    out->puts_refused = jsm_is_short_of_space(core_machine(n->core));
    out->waits = cb_span_str(node_space_waits(n, n->waits_text));
}

void node_status_fill(void *data, struct wire_status *out)
{
    struct node *n = data;
    out->name = cb_span_str(n->options->name);
    out->id = n->id;
    out->role = cb_span_str(role_name(n));
    out->applied = core_applied(n->core)->index;
    out->durable = core_durable(n->core)->index;
    out->version = cb_span_str(CB_VERSION);
    out->protocol = WIRE_PROTOCOL_VERSION;
    out->entry_format = ENTRY_FORMAT;
    out->record_format = STORE_META_VERSION;
    out->serving = proposer_is_serving(core_proposer(n->core));
    fill_space(n, out);
    fill_members(n, out);
    if (n->replica != NULL) {
        fill_replica(n, out);
    }
    fill_counters(n, out);
}

/* Only who leads knows for sure. */
static bool is_gone(const struct node *n, uint64_t id)
{
    return id != 0 && n->replica != NULL && proposer_is_serving(core_proposer(n->core)) &&
           node_member(n, id) == NULL;
}

void node_status_identify(void *data,
                          const struct wire_identify_request *q,
                          struct wire_identify_reply *out)
{
    const struct node *n = data;
    static const uint32_t states[] = {
        [NODE_EMPTY] = WIRE_IDENTIFY_EMPTY,
        [NODE_PREPARED] = WIRE_IDENTIFY_PREPARED,
        [NODE_BOOTSTRAPPED] = WIRE_IDENTIFY_BOOTSTRAPPED,
        [NODE_JOINING] = WIRE_IDENTIFY_JOINING,
        [NODE_JOINED] = WIRE_IDENTIFY_BOOTSTRAPPED,
    };
    out->state = states[n->phase];
    out->cluster = n->cluster;
    out->id = n->id;
    out->name = cb_span_str(n->options->name);
    uint64_t free_bytes = node_space_free(data);
    out->free_known = free_bytes != CORE_SPACE_UNKNOWN;
    out->free = out->free_known ? free_bytes : 0;
    out->is_gone = q->cluster == n->cluster && is_gone(n, q->id);
}
