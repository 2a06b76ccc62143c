#include "node/core/core.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/cb_mem.h"
#include "node/core/core_internal.h"

void core_die(struct core *c, const char *fmt, ...)
{
    char sentence[CORE_SENTENCE_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(sentence, sizeof(sentence), fmt, ap);
    va_end(ap);
    if (c->env.die != NULL) {
        c->env.die(c->env.data, sentence);
    }
    cb_die("%s", sentence);
}

struct jsm *core_make_machine(const struct core *c)
{
    struct jsm *m = jsm_create();
    jsm_keep_bodies(m, c->config.body_cache);
    if (c->config.steps != 0) {
        jsm_set_steps(m, c->config.steps);
    }
    return m;
}

void core_note_longest(const struct core *c, uint64_t *longest, uint64_t since_ns)
{
    uint64_t took_ns = cb_clock_monotonic_ns(c->env.clock) - since_ns;
    *longest = took_ns > *longest ? took_ns : *longest;
}

struct core_longest core_longest(const struct core *c)
{
    return c->longest;
}

static void make_proposer(struct core *c)
{
    const struct proposer_config config = {
        .self = c->config.self,
        .session_timeout_ns = c->config.session_timeout_ns,
        .limits = c->config.limits,
        .stamp_wall_ns = c->spans.durable.wall_ns,
        .session_queue_bytes = c->config.session_queue_bytes,
    };
    struct proposer_env env;
    core_log_env(c, &env);
    c->proposer = proposer_create(&config, &env, c->machine);
    proposer_members(c->proposer, c->others, c->n_others);
}

void core_take_members(struct core *c, const uint64_t *ids, size_t count)
{
    c->n_others = 0;
    for (size_t i = 0; i < count; i++) {
        if (ids[i] != c->config.self) {
            CB_ASSERT(c->n_others < CB_CLUSTER_NODES_MAX);
            c->others[c->n_others++] = ids[i];
        }
    }
    if (c->proposer != NULL) {
        proposer_members(c->proposer, c->others, c->n_others);
    }
}

struct core *
core_create(const struct core_config *config, const struct core_env *env, struct store *store)
{
    struct core *c = cb_calloc(1, sizeof(*c));
    c->config = *config;
    if (config->state_part_size == 0) {
        c->config.state_part_size = CB_STATE_PART_SIZE;
    }
    CB_ASSERT(c->config.state_part_size <= CB_STATE_PART_SIZE);
    c->env = *env;
    c->store = store;
    cb_list_init(&c->copies);
    c->copy_number = cb_clock_boottime_ns(env->clock); /* none of a process before this one */
    cb_list_init(&c->graves);
    core_take_members(c, config->members, config->n_members);
    entry_decoder_init(&c->decoder);
    core_bodies_init(c);
    c->machine = core_make_machine(c);
    core_span_load(c);
    make_proposer(c);
    return c;
}

void core_destroy(struct core *c)
{
    core_copy_drop_all(c);
    core_install_drop_all(c);
    core_bodies_drop_all(c);
    proposer_destroy(c->proposer);
    jsm_destroy(c->machine);
    entry_decoder_fini(&c->decoder);
    cb_free(c);
}

bool core_is_busy(const struct core *c)
{
    return core_copy_is_busy(c) || core_install_is_busy(c) || core_bodies_is_busy(c);
}

void core_set_replica(struct core *c, struct replica *r)
{
    c->replica = r;
}

void core_started(struct core *c)
{
    replica_durable(c->replica, c->spans.durable.index);
    core_clock_turn(c);
    core_digest_turn(c);
    core_space_turn(c);
}

void core_turn(struct core *c)
{
    core_log_settle_role(c);
    if (c->replica != NULL) {
        proposer_turn(c->proposer);
    }
    core_log_settle_role(c);
    core_bodies_turn(c);
    core_span_turn(c);
}

void core_before_sleep(struct core *c)
{
    if (c->replica != NULL) {
        /* A follower whose store is behind slows its leader down by this (design D6). */
        replica_hold_appends(c->replica, core_span_is_behind(c));
    }
}

void core_timer_fired(struct core *c, enum core_timer which)
{
    switch (which) {
    case CORE_TIMER_PROPOSER:
        core_turn(c);
        return;
    case CORE_TIMER_SPAN:
        core_span_timer_fired(c);
        return;
    case CORE_TIMER_INSTALL:
        core_install_retry(c);
        return;
    case CORE_TIMER_COPY:
        core_copy_timer_fired(c);
        return;
    case CORE_TIMER_CLOCK:
        core_clock_turn(c);
        return;
    case CORE_TIMER_DIGEST:
        core_digest_turn(c);
        return;
    case CORE_TIMER_SPACE:
        core_space_turn(c);
        return;
    case CORE_TIMER_COUNT:
        break;
    }
    CB_UNREACHABLE("kind of timer");
}

struct proposer *core_proposer(struct core *c)
{
    return c->proposer;
}

const struct jsm *core_machine(const struct core *c)
{
    return c->machine;
}

const struct replica_view *core_view(const struct core *c)
{
    return &c->view;
}

const struct store_meta *core_applied(const struct core *c)
{
    return &c->spans.applied;
}

const struct store_meta *core_durable(const struct core *c)
{
    return &c->spans.durable;
}

struct replica_mark core_stored_applied(const struct core *c)
{
    const struct store_meta *m = &c->spans.durable;
    return (struct replica_mark){m->index, m->term};
}

struct replica_mark core_stored_appended(const struct core *c)
{
    const struct store_meta *m = &c->spans.durable;
    return (struct replica_mark){m->appended_index, m->appended_term};
}

void core_watch(struct core *c, core_watch_fn fn, void *data)
{
    c->watch = fn;
    c->watch_data = data;
}
