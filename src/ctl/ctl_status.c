#include "ctl/ctl_status.h"

#include <string.h>
#include <uv.h>

#include "common/base/cb_mem.h"
#include "common/rpc/rpc_client.h"
#include "common/sys/cb_options.h"
#include "common/wire/wire_cluster.h"
#include "ctl/ctl_targets.h"

#define STATUS_PATH "/coolbeans.v1.Cluster/Status"

/* ---- asking ---- */

struct question {
    struct ctl_member *member;
    bool is_closed;
    struct rpc_client *client;
    struct wire_status *reply; /* kept until all are there: replies tell of members that are down */
};

static void copy_text(char *out, size_t cap, struct cb_span s)
{
    size_t n = s.len < cap ? s.len : cap - 1;
    if (n > 0) {
        memcpy(out, s.ptr, n);
    }
    out[n] = '\0';
}

static void take_reply(struct question *q)
{
    struct ctl_member *m = q->member;
    const struct wire_status *r = q->reply;
    m->alive = true;
    m->id = r->id;
    m->serving = r->serving;
    m->term = r->term;
    m->commit = r->commit;
    m->applied = r->applied;
    copy_text(m->name, sizeof(m->name), r->name);
    copy_text(m->role, sizeof(m->role), r->role);
    copy_text(m->version, sizeof(m->version), r->version);
    m->free_known = r->free_known;
    m->free = r->free;
    m->reserve = r->reserve;
    m->puts_refused = r->puts_refused;
    copy_text(m->waits, sizeof(m->waits), r->waits);
}

static void closed(void *ctx)
{
    struct question *q = ctx;
    q->is_closed = true;
}

static void runtime_closed(void *ctx)
{
    (void)ctx; /* the loop ends by itself */
}

static void answered(void *ctx, const struct rpc_status *status, struct cb_span reply)
{
    struct question *q = ctx;
    if (status->code == RPC_OK) {
        if (wire_status_decode(q->reply, reply) == WIRE_OK) {
            take_reply(q);
        } else {
            wire_status_clear(q->reply);
        }
    }
    rpc_client_close(q->client, closed, q);
}

static struct ctl_member *find(struct ctl_status *s, uint64_t id, struct cb_span grpc)
{
    for (unsigned i = 0; i < s->n; i++) {
        struct ctl_member *m = &s->members[i];
        if ((m->id != 0 && m->id == id) || cb_span_eq(cb_span_str(m->grpc), grpc)) {
            return m;
        }
    }
    return NULL;
}

/* The members that the leader names are all there are. */
static void forget_members(struct ctl_status *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        s->members[i].is_member = false;
        s->members[i].voter = false;
        s->members[i].votes[0] = '\0';
    }
}

/* Names, ids and roles that one node knows of all. */
static void learn(struct ctl_status *s, const struct wire_status *r)
{
    if (r->serving) {
        forget_members(s);
        s->has_led = true;
    }
    for (uint32_t i = 0; i < r->n_members; i++) {
        const struct wire_member *w = &r->members[i];
        struct ctl_member *m = find(s, w->id, w->grpc);
        if (m == NULL) {
            if (s->n == CB_CLUSTER_NODES_MAX) {
                continue;
            }
            m = &s->members[s->n++];
            *m = (struct ctl_member){.alive = false};
            copy_text(m->grpc, sizeof(m->grpc), w->grpc);
        }
        m->id = w->id;
        copy_text(m->grpc, sizeof(m->grpc), w->grpc);
        if (!s->has_led || r->serving) {
            m->voter = cb_span_eq(w->role, cb_span_str("voter"));
            m->is_member = true;
            copy_text(m->votes, sizeof(m->votes), w->role);
        }
        copy_text(m->name, sizeof(m->name), w->name);
    }
}

/* Asks the members [first, n) and learns from their answers; that may add members. */
static void ask_round(
    struct ctl_status *s, struct rpc *rpc, uv_loop_t *loop, unsigned first, unsigned timeout_ms)
{
    struct question questions[CB_CLUSTER_NODES_MAX];
    unsigned n = s->n;
    for (unsigned i = first; i < n; i++) {
        struct ctl_member *m = &s->members[i];
        questions[i] = (struct question){
            .member = m,
            .client = rpc_client_create(rpc, &(struct rpc_client_config){.target = m->grpc}),
            .reply = cb_calloc(1, sizeof(struct wire_status)),
        };
        struct cb_buf request = CB_BUF_NULL;
        (void)rpc_client_call(questions[i].client, /* it is never cancelled */
                              STATUS_PATH, &request, (uint64_t)timeout_ms * CB_NS_PER_MS, answered,
                              &questions[i]);
    }
    for (unsigned i = first; i < n; i++) {
        while (!questions[i].is_closed) {
            (void)uv_run(loop, UV_RUN_ONCE); /* the questions say when it is enough */
        }
    }
    for (unsigned i = first; i < n; i++) {
        learn(s, questions[i].reply);
        wire_status_fini(questions[i].reply);
        cb_free(questions[i].reply);
    }
}

void ctl_status_ask(struct ctl_status *s,
                    const char *const *addresses,
                    unsigned n,
                    unsigned timeout_ms)
{
    memset(s, 0, sizeof(*s));
    CB_ASSERT(n <= CB_CLUSTER_NODES_MAX);
    uv_loop_t loop;
    CB_ASSERT(uv_loop_init(&loop) == 0);
    struct rpc *rpc = rpc_create(&loop);
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(s->members[i].grpc, CB_ADDRESS_MAX, "%s",
                       addresses[i]); /* checked by the caller */
    }
    s->n = n;
    for (unsigned first = 0; first < s->n; first = n) {
        n = s->n;
        ask_round(s, rpc, &loop, first, timeout_ms);
    }
    rpc_close(rpc, runtime_closed, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT); /* until everything is closed */
    CB_ASSERT(uv_loop_close(&loop) == 0);
    ctl_status_conclude(s);
}

/* ---- the command ---- */

struct status_options {
    bool json;
    const char *dir;
    const char *nodes;
};

static const struct cb_option options[] = {
    {.long_name = "json",
     .kind = CB_OPTION_FLAG,
     .offset = offsetof(struct status_options, json),
     .help = "print JSON"},
    {.long_name = "dir",
     .kind = CB_OPTION_STRING,
     .arg = "DIR",
     .offset = offsetof(struct status_options, dir),
     .help = "ask the cluster that 'coolbeans dev' keeps in DIR (default: its default)"},
    {.long_name = "nodes",
     .kind = CB_OPTION_STRING,
     .arg = "HOST:PORT,...",
     .offset = offsetof(struct status_options, nodes),
     .help = "ask the nodes at these gRPC addresses; one that is up tells of the others"},
    {.short_name = 'h', .long_name = "help", .kind = CB_OPTION_HELP, .help = "show this help"},
};

static const struct cb_options spec = {
    .program = "coolbeans status",
    .summary =
        "Shows each member of a cluster, the dead ones included, and what it still survives.\n"
        "Exit status: 0 when a leader serves, 3 when none does.",
    .options = options,
    .count = sizeof(options) / sizeof(options[0]),
};

static int show(const struct status_options *o, struct cb_buf *error)
{
    struct ctl_targets t;
    int status = ctl_targets_find(&t, o->dir, o->nodes, error);
    if (status != 0) {
        return status;
    }
    struct ctl_status s;
    ctl_status_ask(&s, t.v, t.n, CTL_STATUS_TIMEOUT_MS);
    if (o->json) {
        ctl_status_print_json(&s, stdout);
    } else {
        ctl_status_print_table(&s, stdout);
    }
    return s.leader[0] != '\0' ? 0 : 3;
}

int ctl_status_main(int argc, char **argv)
{
    struct status_options o = {0};
    struct cb_buf text = CB_BUF_NULL;
    int status = 0;
    enum cb_options_result r = cb_options_parse(&spec, argc, argv, &o, NULL, &text);
    if (r == CB_OPTIONS_OK) {
        status = show(&o, &text);
    } else if (r == CB_OPTIONS_ERROR) {
        status = 2;
    } else {
        cb_options_help(&spec, &text);
        fwrite(cb_buf_span(&text).ptr, 1, cb_buf_len(&text), stdout);
        cb_buf_clear(&text);
    }
    if (cb_buf_len(&text) > 0) {
        struct cb_span s = cb_buf_span(&text);
        fprintf(stderr, "coolbeans status: %.*s\n", (int)s.len, (const char *)s.ptr);
    }
    cb_buf_fini(&text);
    return status;
}
