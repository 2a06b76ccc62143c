#include "unit/node/proposer/desk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "node/entry/entry_builder.h"

static uint64_t get_boot(void *ctx)
{
    return ((struct desk *)ctx)->boot_ns;
}

static uint64_t get_wall(void *ctx)
{
    return ((struct desk *)ctx)->wall_ns;
}

static enum proposer_append append(void *data, struct cb_span entry)
{
    struct desk *d = data;
    if (d->append_result != PROPOSER_APPENDED) {
        return d->append_result;
    }
    assert_true(d->n_log < DESK_LOG_MAX);
    cb_buf_append(&d->log[d->n_log++], entry.ptr, entry.len);
    return PROPOSER_APPENDED;
}

static bool must_wait(void *data)
{
    return ((struct desk *)data)->store_is_behind;
}

static void send(void *data, void *owner, const struct wire_to_proxy *message)
{
    (void)data;
    struct desk_stream *s = owner;
    assert_false(s->is_busy);
    assert_true(s->n_got < DESK_MESSAGES_MAX);
    struct desk_message *g = &s->got[s->n_got++];
    wire_to_proxy_encode(message, &g->bytes);
    assert_int_equal(wire_to_proxy_decode(&g->m, cb_buf_span(&g->bytes)), WIRE_OK);
    s->is_busy = s->is_slow;
}

static bool can_send(void *data, void *owner)
{
    (void)data;
    return !((struct desk_stream *)owner)->is_busy;
}

static void end(void *data, void *owner, enum proposer_end why, const char *text)
{
    (void)data;
    struct desk_stream *s = owner;
    assert_false(s->has_ended);
    s->has_ended = true;
    s->why = why;
    snprintf(s->text, sizeof(s->text), "%s", text);
    s->st = NULL;
}

static void set_reading(void *data, void *owner, bool on)
{
    (void)data;
    ((struct desk_stream *)owner)->is_reading = on;
}

/* ---- bodies that are not in memory ---- */

static const struct jsm_store_record *stored_body(const struct desk *d, uint64_t job)
{
    uint8_t key[JSM_BODY_KEY_SIZE];
    jsm_body_key(job, key);
    for (uint32_t i = 0; i < d->store.n; i++) {
        const struct jsm_store_record *r = &d->store.records[i];
        if (r->key_len == sizeof(key) && memcmp(r->key, key, sizeof(key)) == 0) {
            return r;
        }
    }
    return NULL;
}

static struct desk_body *body_of(struct desk *d, uint64_t job)
{
    for (unsigned i = 0; i < d->n_bodies; i++) {
        if (d->bodies[i].job == job) {
            return &d->bodies[i];
        }
    }
    return NULL;
}

static enum proposer_body body(void *data, const struct proposer_body_ask *ask, struct cb_span *out)
{
    struct desk *d = data;
    struct desk_body *b = body_of(d, ask->job);
    if (b == NULL) {
        assert_true(d->n_bodies < DESK_BODIES_MAX);
        d->bodies[d->n_bodies++] = (struct desk_body){.job = ask->job, .was_kept = ask->is_kept};
        return PROPOSER_BODY_COMES;
    }
    if (!b->is_here) {
        return PROPOSER_BODY_COMES;
    }
    if (b->is_gone) {
        assert_false(ask->is_kept);
        return PROPOSER_BODY_GONE;
    }
    const struct jsm_store_record *r = stored_body(d, ask->job);
    assert_non_null(r);
    assert_int_equal(r->value_len, ask->len);
    *out = cb_span(r->value, r->value_len);
    return PROPOSER_BODY_HERE;
}

void desk_shed(struct desk *d)
{
    jsm_store_drain(&d->store, d->machine);
    jsm_shed_bodies(d->machine);
}

unsigned desk_bodies_come(struct desk *d)
{
    unsigned n = 0;
    for (unsigned i = 0; i < d->n_bodies; i++) {
        struct desk_body *b = &d->bodies[i];
        n += !b->is_here;
        b->is_gone = b->is_gone || (!b->is_here && stored_body(d, b->job) == NULL);
        b->is_here = true;
    }
    proposer_bodies_came(d->p);
    proposer_turn(d->p);
    return n;
}

void desk_bodies_forget(struct desk *d)
{
    d->n_bodies = 0;
}

static void set_timer(void *data, uint64_t at_ns)
{
    ((struct desk *)data)->timer_ns = at_ns;
}

static void serving(void *data, bool is_serving)
{
    ((struct desk *)data)->is_serving = is_serving;
}

static void no_log(void *data, enum proposer_log what, const char *text, uint64_t number)
{
    (void)data;
    (void)what;
    (void)text;
    (void)number;
}

static void make_proposer(struct desk *d)
{
    const struct proposer_config config = {.self = DESK_SELF,
                                           .session_timeout_ns = DESK_TIMEOUT_NS,
                                           .limits = d->limits,
                                           .stamp_wall_ns = d->wall_ns};
    const struct proposer_env env = {.data = d,
                                     .clock = &d->clock,
                                     .append = append,
                                     .must_wait = must_wait,
                                     .send = send,
                                     .can_send = can_send,
                                     .end = end,
                                     .set_reading = set_reading,
                                     .body = body,
                                     .set_timer = set_timer,
                                     .serving = serving,
                                     .log = no_log};
    static const uint64_t others[] = {1, 2};
    d->p = proposer_create(&config, &env, d->machine);
    proposer_members(d->p, others, d->n_others);
}

void desk_init(struct desk *d)
{
    memset(d, 0, sizeof(*d));
    d->boot_ns = 1000 * CB_NS_PER_S;
    d->wall_ns = 5000000 * CB_NS_PER_S;
    d->clock = (struct cb_clock){get_boot, get_boot, get_wall, d};
    d->timer_ns = JSM_NEVER;
    d->machine = jsm_create();
    entry_decoder_init(&d->decoder);
    make_proposer(d);
}

static void drop_log(struct desk *d, unsigned from)
{
    for (unsigned i = from; i < d->n_log; i++) {
        cb_buf_fini(&d->log[i]);
    }
    d->n_log = from;
}

void desk_fini(struct desk *d)
{
    proposer_destroy(d->p);
    jsm_destroy(d->machine);
    entry_decoder_fini(&d->decoder);
    drop_log(d, 0);
    jsm_store_fini(&d->store);
}

void desk_restart(struct desk *d)
{
    proposer_destroy(d->p);
    drop_log(d, d->n_applied);
    d->is_serving = false;
    d->timer_ns = JSM_NEVER;
    make_proposer(d);
}

void desk_serve(struct desk *d, uint64_t term)
{
    proposer_role(d->p, true, term, "");
    proposer_turn(d->p);
    desk_apply_all(d);
    assert_true(d->is_serving);
}

struct jsm_entry desk_entry(struct desk *d, unsigned i, struct entry_header *h)
{
    struct jsm_entry e;
    assert_true(i < d->n_log);
    assert_int_equal(entry_decode(&d->decoder, cb_buf_span(&d->log[i]), h, &e), ENTRY_OK);
    return e;
}

void desk_log_clock(struct desk *d, uint64_t term, uint64_t stamp_ns)
{
    const struct entry_header h = {.stamp_ns = stamp_ns, .term = term, .proposer = 1, .batch = 1};
    const struct jsm_item item = {.kind = JSM_ITEM_CLOCK};
    struct entry_builder b;
    entry_builder_init(&b);
    entry_builder_add(&b, &item);
    assert_int_equal(append(d, entry_builder_finish(&b, &h)), PROPOSER_APPENDED);
    entry_builder_fini(&b);
}

unsigned desk_last_items(struct desk *d)
{
    struct entry_header h;
    return desk_entry(d, d->n_log - 1, &h).n_items;
}

void desk_apply(struct desk *d)
{
    struct entry_header h;
    struct jsm_entry e = desk_entry(d, d->n_applied++, &h);
    jsm_apply(d->machine, ++d->index, &e);
    proposer_applied(d->p, &h, true);
    proposer_turn(d->p);
}

void desk_apply_all(struct desk *d)
{
    while (d->n_applied < d->n_log) {
        desk_apply(d);
    }
}

void desk_open(struct desk *d, struct desk_stream *s)
{
    memset(s, 0, sizeof(*s));
    s->is_reading = true;
    s->st = proposer_stream_open(d->p, s);
}

void desk_close(struct desk *d, struct desk_stream *s)
{
    if (s->st != NULL) {
        proposer_stream_closed(d->p, s->st);
        s->st = NULL;
    }
    for (unsigned i = 0; i < s->n_got; i++) {
        wire_to_proxy_fini(&s->got[i].m);
        cb_buf_fini(&s->got[i].bytes);
    }
    s->n_got = 0;
}

void desk_send(struct desk *d, struct desk_stream *s, struct wire_to_node *m)
{
    m->seq = ++s->seq;
    (void)proposer_stream_message(d->p, s->st, m); /* a stream that ended says so in `has_ended` */
    proposer_turn(d->p);
}

void desk_attach(struct desk *d,
                 struct desk_stream *s,
                 const char *name,
                 uint64_t started,
                 uint64_t session,
                 uint64_t seen)
{
    desk_open(d, s);
    struct wire_to_node m = {.has_attach = true,
                             .attach = {.version = 1,
                                        .name = cb_span_str(name),
                                        .started_ns = started,
                                        .random = 1,
                                        .address = cb_span_str("127.0.0.1:11300"),
                                        .session = session,
                                        .number = ++d->attach_number,
                                        .seen_result = seen}};
    desk_send(d, s, &m);
}

uint64_t desk_join(struct desk *d, struct desk_stream *s, const char *name)
{
    desk_attach(d, s, name, 1, 0, 0);
    desk_apply_all(d);
    assert_true(s->n_got > 0 && s->got[0].m.has_attached);
    return s->got[0].m.attached.session;
}

void desk_request(struct desk *d, struct desk_stream *s, uint64_t number, const char *body)
{
    struct wire_request r = {.number = number, .conn = 1, .op = WIRE_OP_CONN_OPEN};
    if (body != NULL) {
        r.op = WIRE_OP_PUT;
        r.ttr = 60;
        r.body = cb_span_str(body);
    }
    struct wire_to_node m = {.requests = &r, .n_requests = 1};
    desk_send(d, s, &m);
}

void desk_read(struct desk *d, struct desk_stream *s, uint64_t read, uint32_t kind, uint64_t after)
{
    struct wire_read r = {.read = read, .conn = 1, .kind = kind, .after = after};
    struct wire_to_node m = {.reads = &r, .n_reads = 1};
    desk_send(d, s, &m);
}

void desk_ack(struct desk *d, struct desk_stream *s, uint64_t number)
{
    struct wire_to_node m = {.acked_result = number};
    desk_send(d, s, &m);
}

void desk_advance(struct desk *d, uint64_t ns)
{
    d->boot_ns += ns;
    d->wall_ns += ns;
    if (d->boot_ns >= d->timer_ns) {
        d->timer_ns = JSM_NEVER;
        proposer_turn(d->p);
    }
}

const struct wire_to_proxy *desk_last(const struct desk_stream *s)
{
    assert_true(s->n_got > 0);
    return &s->got[s->n_got - 1].m;
}

unsigned desk_count_results(const struct desk_stream *s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->n_got; i++) {
        n += s->got[i].m.n_results;
    }
    return n;
}

const struct wire_read_result *desk_find_read(const struct desk_stream *s, uint64_t read)
{
    for (unsigned i = 0; i < s->n_got; i++) {
        for (uint32_t k = 0; k < s->got[i].m.n_reads; k++) {
            if (s->got[i].m.reads[k].read == read) {
                return &s->got[i].m.reads[k];
            }
        }
    }
    return NULL;
}

unsigned desk_count_expects(const struct desk_stream *s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->n_got; i++) {
        n += s->got[i].m.expect != 0;
    }
    return n;
}
