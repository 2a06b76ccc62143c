#include "unit/node/core/core_rig.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/cb_mem.h"

#define SESSION 1 /* opened by entry 1 */
#define CONN 1

/* ---- clocks, timers, threads ---- */

static uint64_t get_boot(void *ctx)
{
    return ((struct core_rig *)ctx)->boot_ns;
}

static uint64_t get_mono(void *ctx)
{
    return ((struct core_rig *)ctx)->mono_ns;
}

static uint64_t get_wall(void *ctx)
{
    return ((struct core_rig *)ctx)->wall_ns;
}

static uint64_t now_of(const struct core_rig *r, enum core_timer which)
{
    return which == CORE_TIMER_PROPOSER ? r->boot_ns : r->mono_ns;
}

static void set_timer(void *data, enum core_timer which, uint64_t at_ns)
{
    ((struct core_rig *)data)->timers[which] = at_ns;
}

static void move_clocks(struct core_rig *r, uint64_t ns)
{
    r->boot_ns += ns;
    r->mono_ns += ns;
    r->wall_ns += ns;
}

/* The timer that is reached first within `ns`, CORE_TIMER_COUNT when there is none. */
static enum core_timer next_timer(const struct core_rig *r, uint64_t *ns)
{
    enum core_timer next = CORE_TIMER_COUNT;
    for (enum core_timer i = 0; i < CORE_TIMER_COUNT; i++) {
        uint64_t now = now_of(r, i);
        uint64_t left = r->timers[i] > now ? r->timers[i] - now : 0;
        if (r->timers[i] != JSM_NEVER && left <= *ns) {
            *ns = left;
            next = i;
        }
    }
    return next;
}

void core_rig_advance(struct core_rig *r, uint64_t ns)
{
    uint64_t left = ns;
    for (;;) {
        uint64_t step = left;
        enum core_timer which = next_timer(r, &step);
        move_clocks(r, step);
        left -= step;
        if (which == CORE_TIMER_COUNT) {
            return;
        }
        r->timers[which] = JSM_NEVER;
        core_timer_fired(r->core, which);
    }
}

static void add_work(void *data, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
    struct core_rig *r = data;
    assert_true(r->n_works < RIG_WORKS_MAX);
    r->works[r->n_works++] = (struct rig_work){run, done, arg};
}

void core_rig_work(struct core_rig *r)
{
    assert_true(r->n_works > 0);
    struct rig_work w = r->works[0];
    r->n_works--;
    memmove(&r->works[0], &r->works[1], r->n_works * sizeof(w));
    w.run(w.arg);
    w.done(w.arg);
}

/* ---- the rest of the environment ---- */

static void stream_send(void *data, void *owner, const struct wire_to_proxy *message)
{
    (void)data;
    struct rig_stream *s = owner;
    assert_non_null(s);
    for (uint32_t i = 0; i < message->n_results; i++) {
        s->n_results++;
        s->last_id = message->results[i].id;
        s->last_body_len = message->results[i].body.len;
    }
}

static bool stream_can_send(void *data, void *owner)
{
    (void)data;
    const struct rig_stream *s = owner;
    return s != NULL && !s->is_full;
}

static void stream_end(void *data, void *owner, enum proposer_end why, const char *text)
{
    (void)data;
    (void)why;
    (void)text;
    ((struct rig_stream *)owner)->st = NULL;
}

static void stream_set_reading(void *data, void *owner, bool on)
{
    (void)data;
    (void)owner;
    (void)on;
}

static void on_serving(void *data, bool serving)
{
    ((struct core_rig *)data)->is_serving = serving;
}

static void on_led(void *data, uint64_t term, const char *leader)
{
    struct core_rig *r = data;
    r->led_term = term;
    snprintf(r->led_by, sizeof(r->led_by), "%s", leader);
}

static void on_stranger(void *data, uint64_t id, const char *address)
{
    (void)data;
    (void)id;
    (void)address;
}

static void on_members(void *data)
{
    ((struct core_rig *)data)->members_told++;
}

static bool must_wait(void *data)
{
    return ((struct core_rig *)data)->must_wait;
}

static const char *address_of(void *data, uint64_t id)
{
    struct core_rig *r = data;
    r->addresses_asked++;
    return id == 0 || id == r->unheard_of ? "" : "127.0.0.1:11301";
}

static void ask_digests(void *data, uint64_t id)
{
    assert_in_range(id, 1, 3);
    ((struct core_rig *)data)->digests_asked[id]++;
}

static void differs(void *data, const char *sentence)
{
    struct core_rig *r = data;
    snprintf(r->differs, sizeof(r->differs), "%s", sentence);
}

static void ask_clock(void *data, uint64_t id)
{
    assert_in_range(id, 1, 3);
    ((struct core_rig *)data)->clocks_asked[id]++;
}

static uint64_t free_space(void *data)
{
    return ((struct core_rig *)data)->free_space;
}

static void ask_space(void *data, uint64_t id)
{
    assert_in_range(id, 1, 3);
    ((struct core_rig *)data)->spaces_asked[id]++;
}

static void ask_state(void *data, uint64_t id, const struct core_state_ask *ask)
{
    struct core_rig *r = data;
    assert_false(r->asks_state);
    assert_true(id != RIG_SELF);
    r->asks_state = true;
    r->asked_member = id;
    r->asked = *ask;
}

static void answer_state(void *data, void *call, const struct core_state_part *part)
{
    struct core_rig *r = data;
    assert_true(r->n_answers < RIG_ANSWERS_MAX);
    struct rig_answer *a = &r->answers[r->n_answers++];
    *a = (struct rig_answer){.call = call, .part = *part};
    cb_buf_init(&a->bytes);
    cb_buf_append(&a->bytes, part->bytes.ptr, part->bytes.len);
}

struct rig_answer core_rig_answer(struct core_rig *r)
{
    assert_true(r->n_answers > 0);
    struct rig_answer a = r->answers[0];
    r->n_answers--;
    memmove(&r->answers[0], &r->answers[1], r->n_answers * sizeof(a));
    a.part.bytes = cb_buf_span(&a.bytes);
    return a;
}

void core_rig_came(struct core_rig *r, const struct rig_answer *a)
{
    assert_true(r->asks_state);
    r->asks_state = false;
    core_state_came(r->core, a != NULL ? &a->part : NULL);
}

static void drop_answers(struct core_rig *r)
{
    while (r->n_answers > 0) {
        struct rig_answer a = core_rig_answer(r);
        cb_buf_fini(&a.bytes);
    }
}

static void die(void *data, const char *sentence)
{
    const struct core_rig *r = data;
    if (r->die_fd < 0) {
        fail_msg("died: %s", sentence);
    }
    (void)!write(r->die_fd, sentence, strlen(sentence));
    _exit(1);
}

/* ---- the store ---- */

#define RIGS_MAX 2

static struct core_rig *rigs[RIGS_MAX]; /* that are open: the ops have no other way to them */

static struct core_rig *rig_of(const struct store *s)
{
    for (size_t i = 0; i < RIGS_MAX; i++) {
        if (rigs[i] != NULL && rigs[i]->store == s) {
            return rigs[i];
        }
    }
    fail_msg("a store that was not opened here");
    return NULL;
}

static void note_rig(struct core_rig *r)
{
    size_t i = 0;
    while (i < RIGS_MAX && rigs[i] != NULL && rigs[i] != r) {
        i++;
    }
    assert_true(i < RIGS_MAX);
    rigs[i] = r;
}

static void forget_rig(const struct core_rig *r)
{
    for (size_t i = 0; i < RIGS_MAX; i++) {
        rigs[i] = rigs[i] == r ? NULL : rigs[i];
    }
}

static enum store_result
feed(struct store *s, struct cb_span bytes, bool *is_whole, struct store_error *err)
{
    if (rig_of(s)->no_room_for_state) {
        store_discard_incoming(s);
        return store_fail(err, STORE_FULL, "no room for the state");
    }
    return rig_of(s)->real->incoming_feed(s, bytes, is_whole, err);
}

static enum store_result
copy_open(struct store *s, struct store_copy **out, struct store_error *err)
{
    if (rig_of(s)->is_unreadable) {
        return store_fail(err, STORE_CORRUPT, "a record is damaged");
    }
    return rig_of(s)->real->copy_open(s, out, err);
}

/* What is read is not what was written. */
struct bad_read {
    enum rig_reads how;
    store_value_fn fn;
    void *data;
};

static void give_bad_value(void *data, size_t i, bool is_there, struct cb_span value)
{
    const struct bad_read *b = data;
    size_t missing = b->how == RIG_READS_SHORTER;
    if (b->how == RIG_READS_NOTHING) {
        is_there = false;
        value = CB_SPAN_NULL;
    }
    b->fn(b->data, i, is_there, cb_span(value.ptr, value.len - missing));
}

static enum store_result read_many(struct store *s,
                                   const struct cb_span *keys,
                                   size_t n,
                                   store_value_fn fn,
                                   void *data,
                                   struct store_error *err)
{
    struct core_rig *r = rig_of(s);
    struct bad_read bad = {r->reads, fn, data};
    r->n_reads++;
    if (r->reads == RIG_READS_DAMAGE) {
        return store_fail(err, STORE_CORRUPT, "a body is damaged");
    }
    if (r->reads == RIG_READS_WELL) {
        return r->real->read_many(s, keys, n, fn, data, err);
    }
    return r->real->read_many(s, keys, n, give_bad_value, &bad, err);
}

static enum store_result swap(struct store *s, struct store_error *err)
{
    if (rig_of(s)->no_room_for_swap) {
        return store_fail(err, STORE_FULL, "no room for the swap");
    }
    return rig_of(s)->real->swap(s, err);
}

static void open_store(struct core_rig *r)
{
    const struct store_mem_options options = {.disk = r->disk};
    r->store = store_mem_open(&options);
    r->real = r->store->ops;
    r->store_ops = *r->real;
    r->store_ops.incoming_feed = feed;
    r->store_ops.copy_open = copy_open;
    r->store_ops.read_many = read_many;
    r->store_ops.swap = swap;
    r->store->ops = &r->store_ops;
    note_rig(r);
}

size_t core_rig_store(struct core_rig *r)
{
    size_t n = store_mem_step(r->store, SIZE_MAX);
    core_store_notified(r->core);
    return n;
}

bool core_rig_is_committing(const struct core_rig *r)
{
    return store_pending_bytes(r->store) > 0;
}

/* ---- life ---- */

void core_rig_init_disk(struct core_rig *r)
{
    memset(r, 0, sizeof(*r));
    r->disk = store_mem_disk_create("c1");
    r->boot_ns = 1000 * CB_NS_PER_S;
    r->mono_ns = 500 * CB_NS_PER_S;
    r->wall_ns = 5000000 * CB_NS_PER_S;
    r->clock = (struct cb_clock){get_boot, get_mono, get_wall, r};
    r->die_fd = -1;
    entry_builder_init(&r->builder);
}

static void reset_replica(struct core_rig *r)
{
    cb_buf_fini(&r->replica.proposed);
    r->replica = (struct replica){.appended = core_stored_appended(r->core)};
}

void core_rig_boot(struct core_rig *r)
{
    const struct core_config config = {.self = RIG_SELF,
                                       .members = {1, 3},
                                       .n_members = r->n_others,
                                       .session_timeout_ns = 30 * CB_NS_PER_S,
                                       .reserve_space = r->reserve_space,
                                       .body_cache = r->body_cache,
                                       .data_dir = "/the/dir"};
    const struct core_env env = {
        .data = r,
        .clock = &r->clock,
        .set_timer = set_timer,
        .work = add_work,
        .stream_send = stream_send,
        .stream_can_send = stream_can_send,
        .stream_end = stream_end,
        .stream_set_reading = stream_set_reading,
        .serving = on_serving,
        .led = on_led,
        .must_wait = must_wait,
        .members = on_members,
        .stranger = on_stranger,
        .address_of = address_of,
        .ask_clock = ask_clock,
        .ask_digests = ask_digests,
        .differs = differs,
        .free_space = free_space,
        .ask_space = ask_space,
        .ask_state = ask_state,
        .answer_state = answer_state,
        .die = die,
    };
    for (unsigned i = 0; i < CORE_TIMER_COUNT; i++) {
        r->timers[i] = JSM_NEVER;
    }
    r->n_works = 0;
    r->asks_state = false;
    drop_answers(r);
    memset(r->clocks_asked, 0, sizeof(r->clocks_asked));
    memset(r->digests_asked, 0, sizeof(r->digests_asked));
    r->differs[0] = '\0';
    memset(r->spaces_asked, 0, sizeof(r->spaces_asked));
    open_store(r);
    r->core = core_create(&config, &env, r->store);
    reset_replica(r);
    r->index = core_stored_applied(r->core).index;
    core_replica_events(r->core, &r->events);
    core_set_replica(r->core, &r->replica);
    core_started(r->core);
}

void core_rig_init(struct core_rig *r)
{
    core_rig_init_disk(r);
    core_rig_boot(r);
}

void core_rig_crash(struct core_rig *r)
{
    core_destroy(r->core);
    r->core = NULL;
    store_mem_crash(r->store);
}

void core_rig_fini(struct core_rig *r)
{
    forget_rig(r);
    if (r->core != NULL) {
        core_rig_crash(r);
    }
    cb_buf_fini(&r->replica.proposed);
    drop_answers(r);
    entry_builder_fini(&r->builder);
    store_mem_disk_destroy(r->disk);
}

/* ---- entries ---- */

struct cb_span core_rig_entry(struct core_rig *r, const struct jsm_item *items, uint32_t n)
{
    const struct entry_header h = {
        .stamp_ns = r->boot_ns, .term = RIG_TERM, .proposer = 9, .batch = r->index + 1};
    entry_builder_reset(&r->builder);
    for (uint32_t i = 0; i < n; i++) {
        entry_builder_add(&r->builder, &items[i]);
    }
    return entry_builder_finish(&r->builder, &h);
}

void core_rig_apply(struct core_rig *r, struct cb_span entry, bool live)
{
    const struct replica_entry e = {
        .index = ++r->index, .term = RIG_TERM, .live = live, .bytes = entry};
    r->replica.appended = (struct replica_mark){r->index, RIG_TERM};
    r->events.apply(r->events.data, &e);
}

void core_rig_open_session(struct core_rig *r)
{
    const struct jsm_item open = {.kind = JSM_ITEM_OPEN,
                                  .name = cb_span_str("p1"),
                                  .address = cb_span_str("127.0.0.1:11300"),
                                  .incarnation = {1, 1}};
    assert_int_equal(r->index + 1, SESSION);
    core_rig_apply(r, core_rig_entry(r, &open, 1), true);
    const struct jsm_item conn = {.kind = JSM_ITEM_REQUEST,
                                  .session = SESSION,
                                  .number = ++r->requests,
                                  .command = {.op = JSM_OP_CONN_OPEN, .conn = CONN}};
    core_rig_apply(r, core_rig_entry(r, &conn, 1), true);
}

void core_rig_put(struct core_rig *r, size_t len)
{
    uint8_t *body = cb_calloc(1, len);
    const struct jsm_item put = {
        .kind = JSM_ITEM_REQUEST,
        .session = SESSION,
        .number = ++r->requests,
        .command = {.op = JSM_OP_PUT, .conn = CONN, .ttr = 60, .body = cb_span(body, len)}};
    core_rig_apply(r, core_rig_entry(r, &put, 1), true);
    cb_free(body);
}

void core_rig_role(struct core_rig *r, enum replica_role role)
{
    const struct replica_view view = {
        .role = role, .term = RIG_TERM, .leader_id = role == REPLICA_LEADER ? RIG_SELF : 1};
    r->events.role(r->events.data, &view);
}

void core_rig_assert_dies(struct core_rig *r, void (*fn)(struct core_rig *r), const char *text)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        r->die_fd = fds[1];
        fn(r);
        _exit(0);
    }
    close(fds[1]);
    char said[1024] = {0};
    size_t len = 0;
    ssize_t n;
    while ((n = read(fds[0], said + len, sizeof(said) - 1 - len)) > 0) {
        len += (size_t)n;
    }
    close(fds[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 1 || strstr(said, text) == NULL) {
        fail_msg("expected a death with \"%s\", got status %d and: %s", text, status, said);
    }
}
