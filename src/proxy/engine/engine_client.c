/* One client: its bytes become commands, in order and within bounds; its end becomes requests. */
#include "common/base/cb_mem.h"
#include "proxy/engine/engine_internal.h"

/* ---- taking what was sent ---- */

static void block(struct engine_client *c)
{
    if (!cb_list_is_linked(&c->blocked)) {
        cb_list_push_back(&c->engine->blocked, &c->blocked);
    }
}

static bool can_take(struct engine_client *c)
{
    if (c->finishing || c->closing || c->waits || c->n_slots >= CB_CLIENT_PIPELINE_MAX ||
        c->out_pending > CB_CLIENT_OUTPUT_MAX) {
        return false;
    }
    if (!engine_has_room(c->engine)) {
        block(c);
        return false;
    }
    return true;
}

static void hold(struct engine_client *c, enum bs_parse_result what, struct bs_command *command)
{
    struct engine_held *h = cb_malloc(sizeof *h);
    h->what = what;
    h->command = *command;
    if (command->tube.len > 0) {
        CB_ASSERT(command->tube.len <= sizeof h->name);
        memcpy(h->name, command->tube.ptr, command->tube.len);
        h->command.tube.ptr = h->name;
    }
    c->held = h;
}

static void drop_held(struct engine_client *c)
{
    if (c->held != NULL) {
        cb_buf_fini(&c->held->command.body);
        cb_free(c->held);
        c->held = NULL;
    }
}

/* False when it must wait. */
static bool take_held(struct engine_client *c)
{
    if (!engine_command_may_go(c, c->held->what, &c->held->command)) {
        return false;
    }
    struct engine_held *h = c->held;
    c->held = NULL;
    engine_command_take(c, h->what, &h->command);
    cb_buf_fini(&h->command.body);
    cb_free(h);
    return true;
}

/* False when there is no whole command in `in`, or it must wait. */
static bool take_next(struct engine_client *c, struct cb_span *in)
{
    struct bs_command command = {0};
    size_t used = 0;
    enum bs_parse_result what = bs_parse(&c->parser, *in, &used, &command);
    in->ptr += used;
    in->len -= used;
    if (what == BS_PARSE_MORE) {
        return false;
    }
    if (!engine_command_may_go(c, what, &command)) {
        hold(c, what, &command);
        return false;
    }
    engine_command_take(c, what, &command);
    cb_buf_fini(&command.body);
    return true;
}

static void take_all(struct engine_client *c, struct cb_span *in)
{
    while (can_take(c)) {
        if (c->held != NULL) {
            if (!take_held(c)) {
                return;
            }
        } else if (in->len == 0 || !take_next(c, in)) {
            return;
        }
    }
}

/* ---- the end ---- */

static void drop_pipeline(struct engine_client *c)
{
    drop_held(c);
    engine_slots_drop(c);
    cb_list_remove(&c->blocked);
    cb_buf_fini(&c->in);
}

/* From now on the connection is no more, but for the bytes that are still to be written. */
static void close_client(struct engine_client *c, bool tell, bool flush)
{
    struct engine *e = c->engine;
    if (c->put_open) {
        engine_count(e, WIRE_CMD_PUT);
    }
    if (tell) {
        (void)engine_request_op(c, WIRE_OP_CONN_CLOSE);
    }
    drop_pipeline(c);
    (void)cb_map_remove(&e->by_conn, c->conn);
    c->closing = true;
    e->ops.client_close(e->ops.ctx, c->user, flush);
}

static void settle_end(struct engine_client *c, bool all_taken)
{
    if (c->eof && c->waits && !c->half_closed) {
        c->half_closed = true;
        (void)engine_request_op(c, WIRE_OP_CONN_HALF_CLOSE);
    }
    if (c->eof && all_taken) {
        c->finishing = true;
    }
    if (c->finishing && c->n_slots == 0) {
        close_client(c, true, true);
    }
}

static void settle_reading(struct engine_client *c)
{
    struct engine *e = c->engine;
    bool pause = c->eof || c->finishing || cb_buf_len(&c->in) >= CB_CLIENT_READ_SIZE;
    if (pause != c->paused) {
        c->paused = pause;
        e->ops.client_reading(e->ops.ctx, c->user, !pause);
    }
}

static void settle(struct engine_client *c)
{
    settle_end(c, cb_buf_len(&c->in) == 0 && c->held == NULL);
    if (!c->closing) {
        settle_reading(c);
    }
}

void engine_client_run(struct engine_client *c)
{
    if (c->closing) {
        return;
    }
    struct cb_span in = cb_buf_span(&c->in);
    size_t before = in.len;
    take_all(c, &in);
    /* What stands behind a quit is not for us. */
    cb_buf_consume(&c->in, c->finishing ? before : before - in.len);
    cb_buf_shrink(&c->in, 0);
    settle(c);
}

void engine_client_abort(struct engine_client *c, bool tell)
{
    if (!c->closing) {
        close_client(c, tell, false);
    }
}

uint32_t engine_abort_all(struct engine *e, bool tell)
{
    uint32_t n = 0;
    CB_LIST_FOREACH(it, &e->clients)
    {
        struct engine_client *c = CB_CONTAINER(it, struct engine_client, link);
        n += c->closing ? 0 : 1;
        engine_client_abort(c, tell);
    }
    return n;
}

void engine_unblock(struct engine *e)
{
    struct cb_list *first;
    while (engine_has_room(e) && (first = cb_list_first(&e->blocked)) != NULL) {
        cb_list_remove(first);
        engine_client_run(CB_CONTAINER(first, struct engine_client, blocked));
    }
}

/* ---- events ---- */

struct engine_client *engine_client_connected(struct engine *e, void *user, uint64_t now_ns)
{
    e->now_ns = now_ns;
    struct engine_client *c = cb_calloc(1, sizeof *c);
    c->engine = e;
    c->user = user;
    c->conn = ++e->last_conn;
    cb_list_push_back(&e->clients, &c->link);
    cb_list_init(&c->blocked);
    cb_list_init(&c->slots);
    bs_parser_init(&c->parser, e->config.job_size_max);
    cb_map_put(&e->by_conn, c->conn, c);
    e->n_clients++;
    (void)engine_request_op(c, WIRE_OP_CONN_OPEN);
    return c;
}

void engine_client_read(struct engine_client *c, struct cb_span bytes, uint64_t now_ns)
{
    c->engine->now_ns = now_ns;
    if (c->closing || c->finishing) {
        return;
    }
    if (cb_buf_len(&c->in) > 0) {
        cb_buf_append(&c->in, bytes.ptr, bytes.len);
        engine_client_run(c);
        return;
    }
    take_all(c, &bytes); /* without a copy of what is taken at once */
    if (!c->finishing) {
        cb_buf_append(&c->in, bytes.ptr, bytes.len);
    }
    settle(c);
}

void engine_client_eof(struct engine_client *c, uint64_t now_ns)
{
    c->engine->now_ns = now_ns;
    c->eof = true;
    engine_client_run(c);
}

struct cb_buf *engine_client_output(struct engine_client *c)
{
    return &c->out;
}

void engine_client_wrote(struct engine_client *c, size_t len, uint64_t now_ns)
{
    CB_ASSERT(len <= c->out_pending);
    c->engine->now_ns = now_ns;
    c->out_pending -= len;
    if (c->out_pending == 0) {
        cb_buf_shrink(&c->out, 0);
    }
    engine_client_run(c);
}

void engine_client_gone(struct engine_client *c, uint64_t now_ns)
{
    struct engine *e = c->engine;
    e->now_ns = now_ns;
    if (!c->closing) {
        if (c->put_open) {
            engine_count(e, WIRE_CMD_PUT);
        }
        (void)engine_request_op(c, WIRE_OP_CONN_CLOSE);
        drop_pipeline(c);
        (void)cb_map_remove(&e->by_conn, c->conn);
    }
    cb_list_remove(&c->link);
    e->n_clients--;
    cb_buf_fini(&c->out);
    bs_parser_fini(&c->parser);
    cb_free(c);
}
