/* A parsed command becomes a numbered request, a read beside the numbers, or an answer of our
 * own. */
#include "proxy/engine/engine_internal.h"

/* What a command is to the cluster. */
struct route {
    enum wire_op op;          /* not 0: a numbered request */
    enum wire_read_kind read; /* not 0: a read */
    bool big;                 /* its answer may be large: one at a time */
};

static const struct route routes[BS_OP_COUNT] = {
    [BS_OP_PUT] = {.op = WIRE_OP_PUT},
    [BS_OP_PEEK] = {.read = WIRE_READ_PEEK, .big = true},
    [BS_OP_PEEK_READY] = {.read = WIRE_READ_PEEK_READY, .big = true},
    [BS_OP_PEEK_DELAYED] = {.read = WIRE_READ_PEEK_DELAYED, .big = true},
    [BS_OP_PEEK_BURIED] = {.read = WIRE_READ_PEEK_BURIED, .big = true},
    [BS_OP_RESERVE_WITH_TIMEOUT] = {.op = WIRE_OP_RESERVE_WITH_TIMEOUT, .big = true},
    [BS_OP_RESERVE_JOB] = {.op = WIRE_OP_RESERVE_JOB, .big = true},
    [BS_OP_RESERVE] = {.op = WIRE_OP_RESERVE, .big = true},
    [BS_OP_DELETE] = {.op = WIRE_OP_DELETE},
    [BS_OP_RELEASE] = {.op = WIRE_OP_RELEASE},
    [BS_OP_BURY] = {.op = WIRE_OP_BURY},
    [BS_OP_KICK] = {.op = WIRE_OP_KICK},
    [BS_OP_KICK_JOB] = {.op = WIRE_OP_KICK_JOB},
    [BS_OP_TOUCH] = {.op = WIRE_OP_TOUCH},
    [BS_OP_STATS_JOB] = {.read = WIRE_READ_STATS_JOB},
    [BS_OP_STATS_TUBE] = {.read = WIRE_READ_STATS_TUBE},
    [BS_OP_STATS] = {.read = WIRE_READ_STATS},
    [BS_OP_USE] = {.op = WIRE_OP_USE},
    [BS_OP_WATCH] = {.op = WIRE_OP_WATCH},
    [BS_OP_IGNORE] = {.op = WIRE_OP_IGNORE},
    [BS_OP_LIST_TUBES_WATCHED] = {.read = WIRE_READ_LIST_TUBES_WATCHED, .big = true},
    [BS_OP_LIST_TUBE_USED] = {.read = WIRE_READ_LIST_TUBE_USED},
    [BS_OP_LIST_TUBES] = {.read = WIRE_READ_LIST_TUBES, .big = true},
    [BS_OP_PAUSE_TUBE] = {.op = WIRE_OP_PAUSE_TUBE},
};

bool engine_command_may_go(const struct engine_client *c,
                           enum bs_parse_result what,
                           const struct bs_command *command)
{
    if (what == BS_PARSE_ERROR) {
        /* A rejected put is told to the machine, so it keeps its place like a write. */
        return command->error != BS_REPLY_EXPECTED_CRLF || c->n_reads == 0;
    }
    if (what != BS_PARSE_COMMAND) {
        return true;
    }
    const struct route *r = &routes[command->op];
    if (r->op != 0 && c->n_reads > 0) {
        return false; /* the read must see the state before it */
    }
    return !(r->big && c->big);
}

static void answer_word(struct engine_client *c, enum bs_reply word)
{
    engine_answer_word(c, engine_slot_add(c, ENGINE_SLOT_ANSWERED, BS_OP_NONE), word);
}

static void reject_put(struct engine_client *c, enum bs_reply word)
{
    (void)engine_request_op(c, WIRE_OP_PUT_REJECTED);
    answer_word(c, word);
}

static void take_put_line(struct engine_client *c, const struct bs_command *command)
{
    c->put_line_ns = c->engine->now_ns;
    if (command->too_big) {
        engine_count(c->engine, WIRE_CMD_PUT);
    } else {
        c->put_open = true; /* counted with its request, or when the client goes before */
    }
}

static void take_error(struct engine_client *c, const struct bs_command *command)
{
    if (command->error == BS_REPLY_EXPECTED_CRLF) {
        c->put_open = false;
        reject_put(c, command->error);
        return;
    }
    /* Numbered alike: both come from cb_counter.def. */
    enum bs_counter counter = bs_word_counter(command->counted);
    if (counter != BS_COUNTER_NONE) {
        engine_count(c->engine, (enum wire_counter)counter);
    }
    answer_word(c, command->error);
}

static uint32_t count_of(const struct bs_command *command)
{
    return command->op == BS_OP_RESERVE_WITH_TIMEOUT ? command->timeout_s : command->count;
}

static void take_request(struct engine_client *c, struct bs_command *command)
{
    bool is_put = command->op == BS_OP_PUT;
    struct wire_request wire = {
        .op = routes[command->op].op,
        .id = command->id,
        .pri = command->pri,
        .delay = command->delay_s,
        .ttr = command->ttr_s,
        .count = count_of(command),
        .age_ns = is_put ? c->engine->now_ns - c->put_line_ns : 0,
        .tube = command->tube,
    };
    uint64_t number = engine_request(c, &wire, is_put ? &command->body : NULL);
    struct engine_slot *s = engine_slot_add(c, ENGINE_SLOT_REQUEST, command->op);
    s->request = number;
    s->big = routes[command->op].big;
    if (command->op ==
        BS_OP_USE) { /* the answer names it, and may come long after the request went */
        cb_buf_append(&s->text, command->tube.ptr, command->tube.len);
    }
    if (command->op == BS_OP_RESERVE || command->op == BS_OP_RESERVE_WITH_TIMEOUT) {
        c->waits = true;
    }
}

static void take_read(struct engine_client *c, const struct bs_command *command)
{
    struct wire_read wire = {
        .kind = routes[command->op].read, .id = command->id, .tube = command->tube};
    struct engine_slot *s = engine_slot_add(c, ENGINE_SLOT_READ, command->op);
    s->big = routes[command->op].big;
    s->read = engine_read_add(c, &wire);
    s->read->slot = s;
    c->n_reads++;
}

static void take_command(struct engine_client *c, struct bs_command *command)
{
    if (command->op == BS_OP_QUIT) {
        c->finishing = true;
        return;
    }
    if (command->op == BS_OP_PUT) {
        c->put_open = false;
        if (c->engine->draining) {
            reject_put(c, BS_REPLY_DRAINING);
            return;
        }
    }
    const struct route *r = &routes[command->op];
    c->big = c->big || r->big;
    if (r->op != 0) {
        take_request(c, command);
    } else {
        take_read(c, command);
    }
}

void engine_command_take(struct engine_client *c,
                         enum bs_parse_result what,
                         struct bs_command *command)
{
    switch (what) {
    case BS_PARSE_MORE:
        break;
    case BS_PARSE_PUT_LINE:
        take_put_line(c, command);
        break;
    case BS_PARSE_ERROR:
        take_error(c, command);
        break;
    case BS_PARSE_COMMAND:
        take_command(c, command);
        break;
    }
}
