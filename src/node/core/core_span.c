/* The machine's changed records on their way to the store: one commit at a time, the next one with
 * whatever has changed meanwhile (design D6). */
#include <inttypes.h>

#include "common/sys/cb_log.h"
#include "node/core/core_internal.h"

/* ---- load ---- */

static bool load_record(void *data, struct cb_span key, struct cb_span value)
{
    struct core *c = data;
    return jsm_load_record(c->machine, key, value) == JSM_LOAD_OK;
}

void core_span_load(struct core *c)
{
    struct store_error err;
    struct store_meta meta;
    uint64_t start = cb_clock_monotonic_ns(c->env.clock);
    enum store_result r = store_load(c->store, load_record, c, &meta, &err);
    if (r != STORE_OK && r != STORE_STOPPED) {
        core_die(c, "%s", err.text);
    }
    bool sound = r == STORE_OK && (meta.index == 0 || jsm_load_done(c->machine) == JSM_LOAD_OK);
    if (!sound || jsm_index(c->machine) != meta.index ||
        (meta.index > 0 && jsm_state_digest(c->machine) != meta.state_digest)) {
        core_die(c,
                 "the state in %s/state is not what was stored there: the disk or the memory is "
                 "damaged; "
                 "rebuild this node under a new id",
                 c->config.data_dir);
    }
    c->spans.applied = c->spans.durable = meta;
    cb_log(CB_LOG_INFO, "store.loaded", "index=%" PRIu64 " records=%" PRIu64 " ms=%" PRIu64,
           meta.index, meta.record_count,
           (cb_clock_monotonic_ns(c->env.clock) - start) / CB_NS_PER_MS);
}

/* ---- spans ---- */

void core_span_applied(struct core *c, uint64_t index, uint64_t term, bool live)
{
    struct store_meta *m = &c->spans.applied;
    uint64_t stamp_ns = jsm_stamp_ns(c->machine);
    bool has_begun = jsm_clock_index(c->machine) == index;
    if (live && (has_begun || stamp_ns > m->stamp_ns || m->wall_ns == 0)) {
        m->wall_ns = cb_clock_wall_ns(c->env.clock);
    } else if (!live && has_begun) {
        m->wall_ns = 0; /* nobody can say when that was */
    } else if (!live && m->wall_ns != 0) {
        /* Replayed: when it was stamped, not now, or the time that this node was away would be lost
         * to the cluster's clock (design D2). */
        m->wall_ns += stamp_ns - m->stamp_ns;
    }
    m->index = index;
    m->term = term;
    m->stamp_ns = stamp_ns;
}

bool core_span_is_behind(const struct core *c)
{
    return jsm_dirty_bytes(c->machine) + store_pending_bytes(c->store) > CB_STORE_DIRTY_BYTES_MAX;
}

static void put_record(void *data, struct cb_span key, struct cb_span value)
{
    store_batch_put(data, key, value);
}

static void del_record(void *data, struct cb_span key)
{
    store_batch_del(data, key);
}

static void commit(struct core *c)
{
    struct core_spans *s = &c->spans;
    struct store_batch *batch = store_batch_create();
    const struct jsm_record_sink sink = {batch, put_record, del_record};
    uint64_t begun_ns = cb_clock_monotonic_ns(c->env.clock);
    jsm_drain(c->machine, &sink);
    core_note_longest(c, &c->longest.drain_ns, begun_ns);
    s->committing = s->applied;
    s->committing.log_digest = jsm_log_digest(c->machine);
    s->committing.state_digest = jsm_state_digest(c->machine);
    if (c->replica != NULL) {
        struct replica_mark appended = replica_appended(c->replica);
        s->committing.appended_index = appended.index;
        s->committing.appended_term = appended.term;
    }
    s->is_committing = true;
    s->lowers = s->must_lower;
    s->last_ns = cb_clock_monotonic_ns(c->env.clock);
    store_commit(c->store, batch, &s->committing);
}

static bool is_urgent(const struct core *c, uint64_t now)
{
    const struct core_spans *s = &c->spans;
    return s->must_lower || s->wanted > s->durable.index || now - s->last_ns >= CORE_SPAN_NS ||
           jsm_dirty_bytes(c->machine) >= CORE_SPAN_BYTES;
}

void core_span_turn(struct core *c)
{
    struct core_spans *s = &c->spans;
    if (s->is_committing || (s->applied.index == s->durable.index && !s->must_lower)) {
        return;
    }
    if (is_urgent(c, cb_clock_monotonic_ns(c->env.clock))) {
        commit(c);
    } else if (!s->timer_is_set) {
        s->timer_is_set = true;
        c->env.set_timer(c->env.data, CORE_TIMER_SPAN, s->last_ns + CORE_SPAN_NS);
    }
}

void core_span_timer_fired(struct core *c)
{
    c->spans.timer_is_set = false;
    core_span_turn(c);
}

static bool has_arrived(const struct store_meta *durable, const struct store_meta *committing)
{
    return durable->index == committing->index &&
           durable->appended_index == committing->appended_index &&
           durable->appended_term == committing->appended_term;
}

void core_store_notified(struct core *c)
{
    struct core_spans *s = &c->spans;
    struct store_meta durable;
    store_durable(c->store, &durable);
    if (!s->is_committing || !has_arrived(&durable, &s->committing)) {
        return;
    }
    s->is_committing = false;
    s->durable = durable;
    jsm_shed_bodies(c->machine); /* nothing is drained that is not durable now */
    if (c->replica != NULL) {
        replica_durable(c->replica, durable.index);
    }
    if (s->lowers) {
        s->lowers = false;
        s->must_lower = false;
        replica_lowered(c->replica);
    }
    core_copy_turn(c);
    core_install_turn(c);
    core_span_turn(c);
}

void core_span_want(struct core *c, uint64_t index)
{
    if (index > c->spans.wanted) {
        c->spans.wanted = index;
    }
}

void core_span_lower(struct core *c)
{
    c->spans.must_lower = true;
}

void core_span_swapped(struct core *c)
{
    struct core_spans *s = &c->spans;
    store_durable(c->store, &s->durable);
    s->applied = s->durable;
    /* The stamp was reached by now, at another node: the cluster's clock can only be late by this,
     * never early (design D2). */
    s->applied.wall_ns = cb_clock_wall_ns(c->env.clock);
    s->is_committing = false;
    core_digest_swapped(c);
    replica_durable(c->replica, s->durable.index);
}

void core_commit_rest(struct core *c)
{
    if (c->spans.applied.index != c->spans.durable.index) {
        commit(c);
    }
}
