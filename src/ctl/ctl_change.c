#include "ctl/ctl_change.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "common/rpc/rpc_client.h"

#define CHANGE_PATH "/coolbeans.v1.Cluster/Change"
/* The leader answers within 11 s. */
#define CHANGE_TIMEOUT_NS (15 * CB_NS_PER_S)
#define PAUSE_MS 250

void ctl_pause(unsigned ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&t, NULL); /* a signal makes it shorter, which is no harm */
}

static uint64_t now_ms(void)
{
    return uv_hrtime() / CB_NS_PER_MS;
}

/* ---- the leader ---- */

bool ctl_find_leader(const struct ctl_targets *t, struct ctl_status *s, struct cb_buf *error)
{
    uint64_t until = now_ms() + CTL_CHANGE_PATIENCE_MS;
    do {
        ctl_status_ask(s, t->v, t->n, CTL_STATUS_TIMEOUT_MS);
        if (s->leader[0] != '\0') {
            return true;
        }
        ctl_pause(PAUSE_MS);
    } while (now_ms() < until);
    cb_buf_append_str(error, "no leader serves: the members are changed by a majority of them; "
                             "'coolbeans status' says who is down");
    return false;
}

const struct ctl_member *ctl_find_member(const struct ctl_status *s, const char *name)
{
    for (unsigned i = 0; i < s->n; i++) {
        if (s->members[i].is_member && strcmp(s->members[i].name, name) == 0) {
            return &s->members[i];
        }
    }
    return NULL;
}

/* ---- one call ---- */

struct call {
    struct rpc_client *client;
    struct wire_change_reply *reply;
    bool is_answered;
    bool is_closed;
};

static void on_closed(void *ctx)
{
    ((struct call *)ctx)->is_closed = true;
}

static void on_answer(void *ctx, const struct rpc_status *status, struct cb_span bytes)
{
    struct call *c = ctx;
    c->is_answered = status->code == RPC_OK && wire_change_reply_decode(c->reply, bytes) == WIRE_OK;
    rpc_client_close(c->client, on_closed, c);
}

static void on_runtime_closed(void *ctx)
{
    (void)ctx; /* the loop ends by itself */
}

/* False: no answer, and nobody knows what came of it. */
static bool
call(const char *address, const struct wire_change_request *q, struct wire_change_reply *reply)
{
    uv_loop_t loop;
    CB_ASSERT(uv_loop_init(&loop) == 0);
    struct rpc *rpc = rpc_create(&loop);
    const struct rpc_client_config config = {.target = address};
    struct call c = {.client = rpc_client_create(rpc, &config), .reply = reply};
    struct cb_buf bytes = CB_BUF_NULL;
    wire_change_request_encode(q, &bytes);
    (void)rpc_client_call(c.client, CHANGE_PATH, &bytes, CHANGE_TIMEOUT_NS, on_answer, &c);
    while (!c.is_closed) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    cb_buf_fini(&bytes);
    rpc_close(rpc, on_runtime_closed, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT); /* until everything is closed */
    CB_ASSERT(uv_loop_close(&loop) == 0);
    return c.is_answered;
}

/* ---- until it is so ---- */

/* What a request asks for that was sent before, and of which no answer has come. */
static bool is_so(const struct ctl_status *s, const struct wire_change_request *q)
{
    return q->op == WIRE_CHANGE_REMOVE && ctl_find_member(s, q->name) == NULL;
}

static const char *leader_address(const struct ctl_status *s)
{
    const struct ctl_member *m = ctl_find_member(s, s->leader);
    return m != NULL ? m->grpc : "";
}

bool ctl_change(const struct ctl_targets *t,
                const struct wire_change_request *q,
                struct cb_buf *error)
{
    uint64_t until = now_ms() + CTL_CHANGE_PATIENCE_MS;
    char said[CB_CHANGE_TEXT_MAX] = "";
    for (unsigned attempt = 0; now_ms() < until; attempt++) {
        struct ctl_status s;
        struct wire_change_reply reply = {0};
        if (!ctl_find_leader(t, &s, error)) {
            return false;
        }
        if (attempt > 0 && is_so(&s, q)) {
            return true;
        }
        if (!call(leader_address(&s), q, &reply)) {
            (void)snprintf(reply.text, sizeof(reply.text), "%s does not answer", s.leader);
        }
        if (reply.result == WIRE_CHANGE_DONE) {
            return true;
        }
        if (reply.result == WIRE_CHANGE_REFUSED) {
            cb_buf_append_str(error, reply.text);
            return false;
        }
        if (strcmp(said, reply.text) != 0) {
            fprintf(stderr, "waiting: %s\n", reply.text);
            memcpy(said, reply.text, sizeof(said));
        }
        ctl_pause(PAUSE_MS);
    }
    cb_buf_printf(error, "given up after %d s: %s", CTL_CHANGE_PATIENCE_MS / 1000, said);
    return false;
}
