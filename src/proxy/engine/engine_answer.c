/* Answers in the order of their commands: each has a slot, and is written when all before it
 * are. */
#include "common/base/cb_mem.h"
#include "proxy/engine/engine_internal.h"

struct engine_slot *
engine_slot_add(struct engine_client *c, enum engine_slot_kind kind, enum bs_op op)
{
    struct engine_slot *s = cb_malloc(sizeof *s);
    *s = (struct engine_slot){.kind = kind, .op = op};
    cb_list_push_back(&c->slots, &s->link);
    c->n_slots++;
    return s;
}

static void slot_remove(struct engine_client *c, struct engine_slot *s)
{
    if (s->read != NULL) {
        engine_read_remove(s->read);
    }
    cb_list_remove(&s->link);
    c->n_slots--;
    cb_buf_fini(&s->text);
    cb_free(s);
}

void engine_slots_drop(struct engine_client *c)
{
    CB_LIST_FOREACH_SAFE(it, tmp, &c->slots)
    {
        slot_remove(c, CB_CONTAINER(it, struct engine_slot, link));
    }
    c->n_reads = 0;
}

static struct engine_slot *first_slot(const struct engine_client *c)
{
    struct cb_list *first = cb_list_first(&c->slots);
    return first == NULL ? NULL : CB_CONTAINER(first, struct engine_slot, link);
}

/* Where the answer of `s` is to be written: to the client when it is the next in order. */
static struct cb_buf *begin(struct engine_client *c, struct engine_slot *s)
{
    return first_slot(c) == s ? &c->out : &s->text;
}

/* What is answered at the front of the order goes out. */
static void emit(struct engine_client *c)
{
    struct engine_slot *s;
    while ((s = first_slot(c)) != NULL && s->kind == ENGINE_SLOT_ANSWERED) {
        struct cb_span text = cb_buf_span(&s->text);
        cb_buf_append(&c->out, text.ptr, text.len);
        slot_remove(c, s);
    }
}

static void end(struct engine_client *c, struct engine_slot *s, size_t out_before)
{
    if (s->kind == ENGINE_SLOT_READ) {
        c->n_reads--;
        engine_read_remove(s->read);
        s->read = NULL;
    }
    if (s->big) {
        c->big = false;
    }
    if (s->op == BS_OP_RESERVE || s->op == BS_OP_RESERVE_WITH_TIMEOUT) {
        c->waits = false;
    }
    s->kind = ENGINE_SLOT_ANSWERED;
    emit(c);
    size_t written = cb_buf_len(&c->out) - out_before;
    if (written > 0) {
        c->out_pending += written;
        c->engine->ops.client_output(c->engine->ops.ctx, c->user);
    }
}

void engine_answer_word(struct engine_client *c, struct engine_slot *s, enum bs_reply word)
{
    size_t before = cb_buf_len(&c->out);
    bs_reply_word(begin(c, s), word);
    end(c, s, before);
}

static enum bs_reply word_of(enum wire_outcome outcome)
{
    switch (outcome) {
    case WIRE_NOT_IGNORED:
        return BS_REPLY_NOT_IGNORED;
    case WIRE_DEADLINE_SOON:
        return BS_REPLY_DEADLINE_SOON;
    case WIRE_TIMED_OUT:
        return BS_REPLY_TIMED_OUT;
    case WIRE_DELETED:
        return BS_REPLY_DELETED;
    case WIRE_NOT_FOUND:
        return BS_REPLY_NOT_FOUND;
    case WIRE_RELEASED:
        return BS_REPLY_RELEASED;
    case WIRE_BURIED:
        return BS_REPLY_BURIED;
    case WIRE_TOUCHED:
        return BS_REPLY_TOUCHED;
    case WIRE_KICKED_JOB:
        return BS_REPLY_KICKED;
    case WIRE_PAUSED:
        return BS_REPLY_PAUSED;
    case WIRE_OUT_OF_MEMORY:
        return BS_REPLY_OUT_OF_MEMORY;
    case WIRE_INSERTED:
    case WIRE_USING:
    case WIRE_WATCHING:
    case WIRE_RESERVED:
    case WIRE_KICKED:
    case WIRE_OUTCOME_END:
        break;
    }
    CB_UNREACHABLE("an outcome with more than a word");
}

void engine_answer_result(struct engine_client *c,
                          struct engine_slot *s,
                          const struct wire_result *r)
{
    size_t before = cb_buf_len(&c->out);
    struct cb_buf tube = cb_buf_take(&s->text);
    struct cb_buf *out = begin(c, s);
    switch (r->outcome) {
    case WIRE_INSERTED:
        bs_reply_number(out, BS_REPLY_INSERTED, r->id);
        break;
    case WIRE_USING:
        bs_reply_using(out, cb_buf_span(&tube));
        break;
    case WIRE_WATCHING:
        bs_reply_number(out, BS_REPLY_WATCHING, r->count);
        break;
    case WIRE_RESERVED:
        bs_reply_job(out, BS_REPLY_RESERVED, r->id, r->body);
        break;
    case WIRE_KICKED:
        bs_reply_number(out, BS_REPLY_KICKED, r->count);
        break;
    default:
        bs_reply_word(out, word_of((enum wire_outcome)r->outcome));
        break;
    }
    cb_buf_fini(&tube);
    end(c, s, before);
}

static void write_list(struct cb_buf *out, const struct wire_read_result *r)
{
    struct cb_buf yaml = CB_BUF_NULL;
    bs_yaml_list_begin(&yaml);
    for (uint32_t i = 0; i < r->n_tubes; i++) {
        bs_yaml_list_add(&yaml, r->tubes[i]);
    }
    bs_reply_ok(out, cb_buf_span(&yaml));
    cb_buf_fini(&yaml);
}

static void
write_stats(const struct engine *e, struct cb_buf *out, const struct wire_read_result *r)
{
    struct cb_buf yaml = CB_BUF_NULL;
    engine_stats_write(e, &yaml, r);
    bs_reply_ok(out, cb_buf_span(&yaml));
    cb_buf_fini(&yaml);
}

void engine_answer_read(struct engine_client *c,
                        struct engine_slot *s,
                        const struct wire_read_result *r)
{
    size_t before = cb_buf_len(&c->out);
    struct cb_buf *out = begin(c, s);
    if (!r->found) {
        bs_reply_word(out, BS_REPLY_NOT_FOUND);
    } else if (r->stats_kind != WIRE_STATS_NONE) {
        write_stats(c->engine, out, r);
    } else if (s->op == BS_OP_LIST_TUBE_USED && r->n_tubes > 0) {
        bs_reply_using(out, r->tubes[0]);
    } else if (s->op == BS_OP_LIST_TUBES || s->op == BS_OP_LIST_TUBES_WATCHED) {
        write_list(out, r);
    } else {
        bs_reply_job(out, BS_REPLY_FOUND, r->id, r->body);
    }
    end(c, s, before);
}
