#include "common/rpc/rpc_stream.h"

#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <stdio.h>
#include <string.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_mem.h"
#include "common/rpc/rpc_internal.h"

#define LEADER_KEY "cb-leader"

struct rpc_stream {
    struct rpc *rpc;
    grpc_call *call;
    bool server;
    const struct rpc_stream_callbacks *cb;
    void *ctx;
    struct cb_list link;
    void (*ended)(void *owner, struct cb_list *link);
    void *owner;

    /* One tag for each kind of operation that may be under way. The stream ends when all are back.
     */
    struct rpc_tag opened;  /* initial metadata */
    struct rpc_tag receive; /* RECV_MESSAGE */
    struct rpc_tag send;    /* SEND_MESSAGE */
    struct rpc_tag finish;  /* client: SEND_CLOSE; server: SEND_STATUS */
    struct rpc_tag close;   /* client: RECV_STATUS; server: RECV_CLOSE */
    unsigned outstanding;
    bool receiving;
    bool sending;

    bool paused;
    bool silent;        /* our side wants no more callbacks but on_closed */
    bool input_over;    /* the peer sends no more */
    bool finish_wanted; /* after the send that is under way */
    bool finishing;     /* SEND_CLOSE or SEND_STATUS was started */
    bool closed;        /* `close` is back: the call is over */

    grpc_byte_buffer *received; /* valid when `receive` is back; kept while paused */
    grpc_byte_buffer *sent;
    grpc_metadata_array initial;  /* client */
    grpc_metadata_array trailing; /* client */
    grpc_status_code code;        /* client: received; server: what finish said */
    grpc_slice details;           /* the same */
    grpc_slice leader;            /* server: in the trailing metadata; empty when none */
    int cancelled;                /* server */
};

static void start(struct rpc_stream *s, const grpc_op *op, size_t count, struct rpc_tag *tag)
{
    s->outstanding++;
    rpc_start_batch(s->rpc, s->call, op, count, tag);
}

/* --- the end --- */

static char *leader_of(const grpc_metadata_array *metadata)
{
    for (size_t i = 0; i < metadata->count; i++) {
        if (grpc_slice_str_cmp(metadata->metadata[i].key, LEADER_KEY) == 0) {
            return rpc_slice_str(metadata->metadata[i].value);
        }
    }
    return NULL;
}

static void report_closed(struct rpc_stream *s)
{
    bool lost = s->server && s->cancelled != 0;
    char *message = lost ? cb_strdup("the client has gone") : rpc_slice_str(s->details);
    char *leader = leader_of(&s->trailing);
    struct rpc_status status = {
        .code = lost ? RPC_CANCELLED : (enum rpc_code)s->code,
        .message = message,
        .leader = leader,
    };
    s->cb->on_closed(s->ctx, s, &status);
    cb_free(message);
    cb_free(leader);
}

static void stream_free(struct rpc_stream *s)
{
    if (s->received != NULL) {
        grpc_byte_buffer_destroy(s->received);
    }
    grpc_metadata_array_destroy(&s->initial);
    grpc_metadata_array_destroy(&s->trailing);
    grpc_slice_unref(s->details);
    grpc_slice_unref(s->leader);
    grpc_call_unref(s->call);
    cb_free(s);
}

static void hand_over(struct rpc_stream *s);

/* The last thing that a tag's function does. A message that was kept while reading was paused comes
 * before the end: nothing of it is lost. */
static void tag_over(struct rpc_stream *s)
{
    if (--s->outstanding > 0) {
        return;
    }
    CB_ASSERT(s->closed);
    if (s->received != NULL) {
        hand_over(s);
    }
    report_closed(s);
    s->ended(s->owner, &s->link);
    stream_free(s);
}

static void on_close(struct rpc_tag *tag, bool ok)
{
    (void)ok;
    struct rpc_stream *s = CB_CONTAINER(tag, struct rpc_stream, close);
    s->closed = true;
    tag_over(s);
}

static void on_finish(struct rpc_tag *tag, bool ok)
{
    (void)ok; /* whether it arrived is what `close` says */
    tag_over(CB_CONTAINER(tag, struct rpc_stream, finish));
}

static void send_close(struct rpc_stream *s)
{
    grpc_op op = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    start(s, &op, 1, &s->finish);
}

static void send_status(struct rpc_stream *s)
{
    grpc_metadata leader = {
        .key = grpc_slice_from_static_string(LEADER_KEY),
        .value = s->leader,
    };
    grpc_op op = {.op = GRPC_OP_SEND_STATUS_FROM_SERVER};
    op.data.send_status_from_server.status = s->code;
    op.data.send_status_from_server.status_details = &s->details;
    op.data.send_status_from_server.trailing_metadata = &leader;
    op.data.send_status_from_server.trailing_metadata_count =
        GRPC_SLICE_LENGTH(s->leader) > 0 ? 1 : 0;
    start(s, &op, 1, &s->finish);
}

static void finish_when_sent(struct rpc_stream *s)
{
    if (!s->finish_wanted || s->finishing || s->sending || s->closed) {
        return;
    }
    s->finishing = true;
    if (s->server) {
        send_status(s);
    } else {
        send_close(s);
    }
}

void rpc_stream_end(struct rpc_stream *s)
{
    CB_ASSERT(!s->server);
    s->finish_wanted = true;
    finish_when_sent(s);
}

void rpc_stream_finish(struct rpc_stream *s,
                       enum rpc_code code,
                       const char *message,
                       const char *leader)
{
    CB_ASSERT(s->server);
    if (s->finish_wanted || s->closed) {
        return;
    }
    s->code = (grpc_status_code)code;
    s->details = grpc_slice_from_copied_string(message);
    if (leader != NULL) {
        s->leader = grpc_slice_from_copied_string(leader);
        CB_ASSERT(grpc_header_nonbin_value_is_legal(s->leader));
    }
    s->silent = true;
    s->finish_wanted = true;
    finish_when_sent(s);
}

void rpc_stream_cancel(struct rpc_stream *s)
{
    s->silent = true;
    if (!s->closed) {
        (void)grpc_call_cancel(s->call, NULL); /* refused only for a NULL call */
    }
}

/* --- sending --- */

bool rpc_stream_can_send(const struct rpc_stream *s)
{
    return !s->sending && !s->silent && !s->finish_wanted && !s->closed;
}

void rpc_stream_send(struct rpc_stream *s, struct cb_buf *message)
{
    CB_ASSERT(rpc_stream_can_send(s));
    s->sending = true;
    s->sent = rpc_bytes_give(message);
    grpc_op op = {.op = GRPC_OP_SEND_MESSAGE};
    op.data.send_message.send_message = s->sent;
    start(s, &op, 1, &s->send);
}

static void on_send(struct rpc_tag *tag, bool ok)
{
    struct rpc_stream *s = CB_CONTAINER(tag, struct rpc_stream, send);
    s->sending = false;
    grpc_byte_buffer_destroy(s->sent);
    s->sent = NULL;
    finish_when_sent(s);
    if (ok && s->cb->on_writable != NULL && rpc_stream_can_send(s)) {
        s->cb->on_writable(s->ctx, s);
    }
    tag_over(s);
}

/* --- receiving --- */

static void receive_next(struct rpc_stream *s)
{
    if (s->receiving || s->paused || s->silent || s->input_over || s->closed) {
        return;
    }
    s->receiving = true;
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
    op.data.recv_message.recv_message = &s->received;
    start(s, &op, 1, &s->receive);
}

/* Nobody may compress: a small message could become a large one behind the limit's back. */
static void refuse_compressed(struct rpc_stream *s)
{
    if (s->server) {
        rpc_stream_finish(s, RPC_INVALID_ARGUMENT, "compressed messages are not accepted", NULL);
    } else {
        rpc_stream_cancel(s);
    }
}

static void hand_over(struct rpc_stream *s)
{
    grpc_byte_buffer *bytes = s->received;
    grpc_slice slice;
    s->received = NULL;
    if (s->silent) {
        grpc_byte_buffer_destroy(bytes);
        return;
    }
    if (rpc_bytes_borrow(bytes, &slice)) {
        s->cb->on_message(s->ctx, s, rpc_slice_span(&slice));
        grpc_slice_unref(slice);
    } else {
        refuse_compressed(s);
    }
    grpc_byte_buffer_destroy(bytes);
}

/* No message came: the peer has ended its side, or (`ok` is false) the call has failed. */
static void handle_end_of_input(struct rpc_stream *s, bool ok)
{
    s->input_over = true;
    if (!s->server || !ok || s->silent || s->closed) {
        return;
    }
    if (s->cb->on_end != NULL) {
        s->cb->on_end(s->ctx, s);
    } else {
        rpc_stream_finish(s, RPC_OK, "", NULL);
    }
}

static void on_receive(struct rpc_tag *tag, bool ok)
{
    struct rpc_stream *s = CB_CONTAINER(tag, struct rpc_stream, receive);
    s->receiving = false;
    if (s->received == NULL) {
        handle_end_of_input(s, ok);
    } else if (!s->paused || s->silent || s->closed) {
        hand_over(s);
        receive_next(s);
    }
    tag_over(s);
}

void rpc_stream_pause_reading(struct rpc_stream *s)
{
    s->paused = true;
}

/* A message that was kept is handed over from the loop, not from here. (`received` belongs to the
 * library while `receiving`.) */
void rpc_stream_resume_reading(struct rpc_stream *s)
{
    if (!s->paused) {
        return;
    }
    s->paused = false;
    if (!s->receiving && s->received != NULL) {
        s->receiving = true;
        s->outstanding++;
        rpc_defer(s->rpc, &s->receive);
    } else {
        receive_next(s);
    }
}

/* --- the beginning --- */

static void on_opened(struct rpc_tag *tag, bool ok)
{
    (void)ok; /* a call that fails says so in `close` */
    tag_over(CB_CONTAINER(tag, struct rpc_stream, opened));
}

struct rpc_stream *rpc_stream_open(struct rpc *rpc,
                                   grpc_call *call,
                                   bool server,
                                   void (*ended)(void *owner, struct cb_list *link),
                                   void *owner)
{
    struct rpc_stream *s = cb_calloc(1, sizeof *s);
    s->rpc = rpc;
    s->call = call;
    s->server = server;
    s->ended = ended;
    s->owner = owner;
    s->details = grpc_empty_slice();
    s->leader = grpc_empty_slice();
    cb_list_init(&s->link);
    grpc_metadata_array_init(&s->initial);
    grpc_metadata_array_init(&s->trailing);
    rpc_tag_init(&s->opened, on_opened);
    rpc_tag_init(&s->receive, on_receive);
    rpc_tag_init(&s->send, on_send);
    rpc_tag_init(&s->finish, on_finish);
    rpc_tag_init(&s->close, on_close);
    return s;
}

struct cb_list *rpc_stream_link(struct rpc_stream *s)
{
    return &s->link;
}

struct rpc_stream *rpc_stream_of_link(struct cb_list *link)
{
    return CB_CONTAINER(link, struct rpc_stream, link);
}

static void start_client(struct rpc_stream *s)
{
    grpc_op open[2] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_INITIAL_METADATA},
    };
    open[1].data.recv_initial_metadata.recv_initial_metadata = &s->initial;
    grpc_op close = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};
    close.data.recv_status_on_client.trailing_metadata = &s->trailing;
    close.data.recv_status_on_client.status = &s->code;
    close.data.recv_status_on_client.status_details = &s->details;
    start(s, &close, 1, &s->close);
    start(s, open, 2, &s->opened);
}

static void start_server(struct rpc_stream *s)
{
    grpc_op close = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    close.data.recv_close_on_server.cancelled = &s->cancelled;
    grpc_op open = {.op = GRPC_OP_SEND_INITIAL_METADATA};
    start(s, &close, 1, &s->close);
    start(s, &open, 1, &s->opened);
}

void rpc_stream_start(struct rpc_stream *s)
{
    if (s->server) {
        start_server(s);
    } else {
        start_client(s);
    }
    receive_next(s);
}

void rpc_stream_accept(struct rpc_stream *s,
                       const struct rpc_stream_callbacks *callbacks,
                       void *ctx)
{
    CB_ASSERT(callbacks->on_message != NULL && callbacks->on_closed != NULL);
    s->cb = callbacks;
    s->ctx = ctx;
}

bool rpc_stream_is_accepted(const struct rpc_stream *s)
{
    return s->cb != NULL;
}

void rpc_stream_peer(const struct rpc_stream *s, char out[static CB_ADDRESS_MAX])
{
    char *peer = grpc_call_get_peer(s->call);
    (void)snprintf(out, CB_ADDRESS_MAX, "%s", peer);
    gpr_free(peer);
}
