/* What each kind of client does. */
#include "chaos/load.h"
#include "common/base/cb_assert.h"

#define PRI_BOUND 2000
#define PRODUCER_DEPTH 4 /* puts without an answer */
#define WAIT_S 2         /* of a worker's reserve */
#define LOOK_BURST 4
#define READS 600 /* of 1000 looks: they change nothing */

static uint64_t below(struct load_conn *c, uint64_t bound)
{
    return cb_rng_below(&c->rng, bound);
}

static bool chance(struct load_conn *c, uint64_t num, uint64_t den)
{
    return cb_rng_chance(&c->rng, num, den);
}

static uint32_t any_tube(struct load_conn *c)
{
    return c->load->tubes[below(c, LOAD_TUBES)];
}

static void use(struct load_conn *c, uint32_t tube)
{
    c->tube = tube;
    load_send_tube(c, HIST_USE, tube);
}

/* ---- producers ---- */

static void producer_turn(struct load_conn *c)
{
    const struct load_options *o = &c->load->options;
    uint64_t mean_ns = (uint64_t)(1e9 * o->producers / o->rate);
    if (!c->is_greeted) {
        c->is_greeted = true;
        use(c, any_tube(c));
    }
    /* From when it was due, so that the rate is kept; not from long ago: a pause is no debt. */
    uint64_t due = c->wake_ns + 200 * LOAD_MS < c->load->now_ns ? c->load->now_ns : c->wake_ns;
    c->wake_ns = due + below(c, 2 * mean_ns);
    bool is_backed_up = c->load->counts.acked > c->load->counts.deleted + LOAD_BACKLOG;
    if (c->count < PRODUCER_DEPTH && !is_backed_up) {
        load_send_put(c);
    }
}

/* ---- workers ---- */

static void reserve(struct load_conn *c)
{
    c->wake_ns = c->load->now_ns;
    if (c->load->phase == LOAD_WORKS) {
        c->reserves = true;
        c->wake_ns = LOAD_NEVER;
        load_send_reserve(c, chance(c, 1, 20) ? -1 : WAIT_S);
    }
}

/* Ends the hold in one of the ways there are, and asks for the next job at once. */
static void finish(struct load_conn *c)
{
    uint64_t luck = below(c, 1000);
    uint64_t id = c->job;
    c->job = 0;
    if (luck < 30) {
        load_send_job(c, HIST_TOUCH, id);
        load_send_job(c, HIST_DELETE, id);
    } else if (luck < 70) {
        load_send_release(c, id, (uint32_t)below(c, PRI_BOUND), luck < 40 ? 1 : 0);
    } else if (luck < 90) {
        load_send_bury(c, id, (uint32_t)below(c, PRI_BOUND));
    } else {
        load_send_job(c, HIST_DELETE, id);
    }
    reserve(c);
}

/* Longer than a session's lease, and shorter than the ttr. */
#define KEEP_MIN_NS (40 * LOAD_S)
#define KEEP_SPREAD_NS (50 * LOAD_S)

/* Some jobs are worked on for a while, and those with a short ttr at times too long. */
static uint64_t work_ns(struct load_conn *c)
{
    if (c->load->options.is_plain) {
        return 0;
    }
    if (c->role == LOAD_KEEPER && !c->is_short) {
        return KEEP_MIN_NS + below(c, KEEP_SPREAD_NS);
    }
    if (c->is_short && chance(c, 1, 3)) {
        return LOAD_S + below(c, 3 * LOAD_S);
    }
    return chance(c, 1, 20) ? below(c, 50 * LOAD_MS) : 0;
}

static void worker_got(struct load_conn *c, uint64_t id)
{
    c->job = id;
    if (!c->load->options.is_plain && chance(c, 1, 4000)) {
        load_conn_leave(c); /* with the job: it is ready again */
        return;
    }
    uint64_t ns = work_ns(c);
    if (ns == 0) {
        finish(c);
    } else {
        c->wake_ns = c->load->now_ns + ns;
    }
}

static void worker_turn(struct load_conn *c)
{
    if (!c->is_greeted) {
        c->is_greeted = true;
        for (unsigned i = 0; i < LOAD_TUBES; i++) {
            load_send_tube(c, HIST_WATCH, c->load->tubes[i]);
        }
        load_send_tube(c, HIST_IGNORE, HIST_TUBE_DEFAULT);
        reserve(c);
    } else if (c->job != 0) {
        finish(c);
    }
}

static void worker_answered(struct load_conn *c, const struct hist_record *r)
{
    if (r->op != HIST_RESERVE) {
        return;
    }
    c->reserves = false;
    if (r->result == HIST_OK) {
        worker_got(c, r->id);
    } else {
        reserve(c);
    }
}

/* ---- those who look ---- */

/* Every second time one of the newest: those change. */
static uint64_t recent(struct load_conn *c)
{
    const struct load *l = c->load;
    uint64_t known = l->n_recent < LOAD_RECENT ? l->n_recent : LOAD_RECENT;
    uint64_t newest = known < LOAD_NEWEST && known > 0 ? known : LOAD_NEWEST;
    if (known == 0) {
        return 1;
    }
    uint64_t back = 1 + below(c, chance(c, 1, 2) ? newest : known);
    return l->recent[(l->n_recent - back) % LOAD_RECENT];
}

static void look(struct load_conn *c)
{
    static const enum hist_op peeks[] = {HIST_PEEK_READY, HIST_PEEK_DELAYED, HIST_PEEK_BURIED};
    uint64_t luck = below(c, c->role == LOAD_READER ? READS : 1000);
    if (luck < 200) {
        load_send_job(c, HIST_PEEK, recent(c));
    } else if (luck < 350) {
        load_send_job(c, HIST_STATS_JOB, recent(c));
    } else if (luck < READS) {
        load_send_used(c, peeks[below(c, 3)], 0);
    } else if (luck < 750) {
        load_send_used(c, HIST_KICK, 1 + (uint32_t)below(c, 20));
    } else if (luck < 800) {
        load_send_job(c, HIST_KICK_JOB, recent(c));
    } else if (luck < 900) {
        use(c, any_tube(c));
    } else if (luck < 980) {
        load_send_tube(c, HIST_STATS_TUBE, any_tube(c));
    } else if (luck < 998 || c->load->options.is_plain) {
        load_send_stats(c);
    } else {
        load_send_pause(c, any_tube(c), 1);
    }
}

static void looker_turn(struct load_conn *c)
{
    if (!c->is_greeted) {
        c->is_greeted = true;
        use(c, any_tube(c));
    }
    c->wake_ns = c->load->now_ns + below(c, 40 * LOAD_MS);
    for (uint64_t n = 1 + below(c, LOOK_BURST); c->count == 0 && n > 0; n--) {
        look(c);
    }
    if (c->count > 0 && c->count < LOOK_BURST && chance(c, 1, 2)) {
        look(c); /* behind what has no answer yet */
    }
}

/* ---- all ---- */

/* Nothing new; when all is answered, or waits for what need not come, it ends. */
static void stop_turn(struct load_conn *c)
{
    bool waits_for_ever = c->count == 1 && c->reserves && c->pending[c->first].timeout < 0;
    if (c->job != 0 && !c->reserves) {
        load_send_job(c, HIST_DELETE, c->job);
        c->job = 0;
    } else if (c->count == 0 || waits_for_ever) {
        load_conn_leave(c);
        c->is_over = true;
        return;
    }
    c->wake_ns = c->load->now_ns + 5 * LOAD_MS;
}

void load_role_turn(struct load_conn *c)
{
    if (c->role == LOAD_DRAINER) {
        load_drain_turn(c);
    } else if (c->load->phase != LOAD_WORKS) {
        stop_turn(c);
    } else if (c->role == LOAD_PRODUCER) {
        producer_turn(c);
    } else if (c->role == LOAD_WORKER || c->role == LOAD_KEEPER) {
        worker_turn(c);
    } else {
        looker_turn(c);
    }
}

void load_role_answered(struct load_conn *c, const struct hist_record *r)
{
    if (c->role == LOAD_DRAINER) {
        load_drain_answered(c, r);
    } else if (c->role == LOAD_WORKER || c->role == LOAD_KEEPER) {
        worker_answered(c, r);
    }
}
