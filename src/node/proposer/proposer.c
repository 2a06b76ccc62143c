#include "node/proposer/proposer.h"

#include "common/base/cb_mem.h"
#include "node/proposer/prop_internal.h"

/* The last one applied. */
static struct prop_clock_entry entry_of_clock(const struct jsm *machine, uint64_t term)
{
    return (struct prop_clock_entry){.stamp_ns = jsm_stamp_ns(machine),
                                     .index = jsm_index(machine),
                                     .term = term,
                                     .begun = jsm_clock_index(machine)};
}

struct proposer *proposer_create(const struct proposer_config *config,
                                 const struct proposer_env *env,
                                 const struct jsm *machine)
{
    struct proposer *p = cb_calloc(1, sizeof(*p));
    p->config = *config;
    if (p->config.session_queue_bytes == 0) {
        p->config.session_queue_bytes = CB_SESSION_QUEUE_BYTES_MAX;
    }
    p->env = *env;
    p->machine = machine;
    cb_list_init(&p->streams);
    cb_list_init(&p->dirty);
    cb_list_init(&p->opening);
    cb_list_init(&p->sessions);
    cb_list_init(&p->queued);
    cb_map_init(&p->session_by_id);
    entry_builder_init(&p->builder);
    const struct prop_clock_entry last = entry_of_clock(machine, 0);
    prop_clock_init(&p->clock, &last, config->stamp_wall_ns);
    p->timer_ns = JSM_NEVER;
    return p;
}

/* What only a leader keeps. Streams are ended: a proxy asks the next leader. */
static void drop_leadership(struct proposer *p)
{
    struct cb_list *it;
    while ((it = cb_list_first(&p->streams)) != NULL) {
        prop_stream_end(p, CB_CONTAINER(it, struct proposer_stream, link), PROPOSER_END_NOT_LEADER,
                        p->leader);
    }
    while ((it = cb_list_first(&p->sessions)) != NULL) {
        prop_session_destroy(p, CB_CONTAINER(it, struct prop_session, link));
    }
    prop_batch_reset(p);
    if (p->is_serving) {
        p->is_serving = false;
        p->env.serving(p->env.data, false);
    }
    if (p->is_leading) {
        p->is_leading = false;
        p->is_resumed = false;
        prop_clock_yield(&p->clock);
        p->env.log(p->env.data, PROPOSER_LOG_STEPS_DOWN, p->leader, p->term);
    }
}

void proposer_destroy(struct proposer *p)
{
    struct cb_list *it;
    while ((it = cb_list_first(&p->streams)) != NULL) {
        proposer_stream_closed(p, CB_CONTAINER(it, struct proposer_stream, link));
    }
    while ((it = cb_list_first(&p->sessions)) != NULL) {
        prop_session_destroy(p, CB_CONTAINER(it, struct prop_session, link));
    }
    cb_map_fini(&p->session_by_id);
    entry_builder_fini(&p->builder);
    wire_to_proxy_fini(&p->message);
    cb_free(p->tubes);
    cb_free(p);
}

void proposer_set_machine(struct proposer *p, const struct jsm *machine)
{
    CB_ASSERT(!p->is_leading);
    p->machine = machine;
    const struct prop_clock_entry last = entry_of_clock(machine, 0);
    prop_clock_applied(&p->clock, &last, PROP_CLOCK_REPLAYED, prop_boottime(p));
}

static void lead(struct proposer *p)
{
    p->is_leading = true;
    p->clock_until_ns = prop_boottime(p) + PROP_CLOCK_WAIT_NS;
}

void proposer_role(struct proposer *p, bool leading, uint64_t term, const char *leader)
{
    size_t len = strnlen(leader, sizeof(p->leader) - 1);
    memcpy(p->leader, leader, len);
    p->leader[len] = '\0';
    bool same = p->is_leading == leading && (!leading || p->term == term);
    if (!same && p->is_leading) {
        drop_leadership(p);
    }
    p->term = term;
    if (!same && leading) {
        lead(p);
    }
}

static void clock_applied(struct proposer *p, uint64_t term, enum prop_clock_how how)
{
    const struct prop_clock_entry e = entry_of_clock(p->machine, term);
    prop_clock_applied(&p->clock, &e, how, prop_boottime(p));
}

/* Once the clock is known. Every session that the machine has gets a lease: it runs from now. */
static void serve(struct proposer *p)
{
    if (!prop_batch_get_clock(p, prop_boottime(p))) {
        return;
    }
    p->is_serving = true;
    if (!p->clock_begins) {
        clock_applied(p, p->term, PROP_CLOCK_OWN); /* it goes on from RESUME */
    }
    p->lease_check_ns = JSM_NEVER;
    for (const struct jsm_session *s = jsm_session_next(p->machine, NULL); s != NULL;
         s = jsm_session_next(p->machine, s)) {
        (void)prop_session_get_or_make(p, s); /* its lease is what is wanted */
    }
    p->env.serving(p->env.data, true);
    p->env.log(p->env.data, PROPOSER_LOG_SERVES, "", p->term);
}

static void look_at(struct proposer *p, uint64_t session)
{
    const struct jsm_session *from = jsm_session_get(p->machine, session);
    struct prop_session *s = prop_session_get(p, session);
    if (from == NULL) {
        if (s != NULL) {
            prop_attach_ended(p, s);
        }
        return;
    }
    if (s == NULL) {
        s = prop_session_get_or_make(p, from);
        p->env.log(p->env.data, PROPOSER_LOG_SESSION_OPENED, "", session);
    }
    if (s->stream != NULL) {
        prop_stream_mark(p, s->stream);
    }
}

static void look_at_touched(struct proposer *p)
{
    uint32_t n;
    const uint64_t *touched = jsm_touched_sessions(p->machine, &n);
    for (uint32_t i = 0; i < n; i++) {
        look_at(p, touched[i]);
    }
}

static void mark_readers(struct proposer *p)
{
    CB_LIST_FOREACH(it, &p->streams)
    {
        struct proposer_stream *st = CB_CONTAINER(it, struct proposer_stream, link);
        if (st->n_reads > 0) {
            prop_stream_mark(p, st);
        }
    }
}

void proposer_applied(struct proposer *p, const struct entry_header *header, bool live)
{
    bool own = p->is_leading && header->term == p->term && header->proposer == p->config.self;
    enum prop_clock_how how = own && p->is_serving ? PROP_CLOCK_OWN
                              : p->is_leading      ? PROP_CLOCK_LEADING
                              : live               ? PROP_CLOCK_LIVE
                                                   : PROP_CLOCK_REPLAYED;
    clock_applied(p, header->term, how);
    if (own) {
        prop_batch_applied(p, header->batch);
        if (!p->is_serving) {
            p->is_resumed = true;
            serve(p);
        }
    }
    if (!p->is_serving) {
        return;
    }
    look_at_touched(p);
    if (own) {
        prop_attach_retry(p);
        mark_readers(p);
    }
}

static void set_timer(struct proposer *p)
{
    uint64_t at = prop_batch_next_ns(p);
    if (at != p->timer_ns) {
        p->timer_ns = at;
        p->env.set_timer(p->env.data, at);
    }
}

void proposer_turn(struct proposer *p)
{
    if (p->is_resumed && !p->is_serving) {
        serve(p);
    }
    prop_batch_run(p);
    struct cb_list *it;
    while ((it = cb_list_first(&p->dirty)) != NULL) {
        cb_list_remove(it);
        prop_send_pump(p, CB_CONTAINER(it, struct proposer_stream, dirty));
    }
    set_timer(p);
}

void proposer_short_of_space(struct proposer *p, bool is_short)
{
    p->knows_space = p->is_leading;
    p->is_short = is_short;
}

/* ---- the clocks of other members ---- */

struct prop_clock_word proposer_clock_tell(const struct proposer *p)
{
    return prop_clock_tell(&p->clock, prop_boottime(p), cb_clock_wall_ns(p->env.clock));
}

static void compare_with_wall(struct proposer *p)
{
    uint64_t now = prop_clock_now(&p->clock, prop_boottime(p));
    uint64_t wall = prop_clock_by_wall(&p->clock, cb_clock_wall_ns(p->env.clock));
    uint64_t apart = now > wall ? now - wall : wall - now;
    if (wall != 0 && apart > PROP_CLOCK_LOG_NS) {
        p->env.log(p->env.data, PROPOSER_LOG_CLOCK_DIFFERS, now > wall ? "ahead" : "behind",
                   apart / CB_NS_PER_S);
    }
}

void proposer_members(struct proposer *p, const uint64_t *others, uint32_t count)
{
    prop_clock_members(&p->clock, others, count);
}

void proposer_clock_heard(struct proposer *p,
                          uint64_t id,
                          const struct prop_clock_word *word,
                          uint64_t log_term)
{
    if (p->is_serving) {
        return; /* the cluster's clock is this one */
    }
    if (prop_clock_heard(&p->clock, id, word, log_term, prop_boottime(p))) {
        compare_with_wall(p);
    }
}

bool proposer_clock_is_settled(const struct proposer *p)
{
    return prop_clock_is_settled(&p->clock);
}

bool proposer_is_serving(const struct proposer *p)
{
    return p->is_serving;
}

const struct proposer_counters *proposer_counters_get(const struct proposer *p)
{
    return &p->counters;
}
