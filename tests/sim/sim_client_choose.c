/* What a client does next. */
#include "common/base/cb_assert.h"
#include "sim/sim_client_internal.h"

#define HELD_ENOUGH 32 /* jobs held and asked for: then it finishes some first */
#define TIMEOUT_MAX_S 4
#define HUGE_NUMBER UINT32_MAX

static bool per_mille(struct sim_client *c, uint32_t n)
{
    return cb_rng_chance(&c->rng, n, 1000);
}

static uint32_t below(struct sim_client *c, uint32_t bound)
{
    return (uint32_t)cb_rng_below(&c->rng, bound);
}

static uint16_t pick_tube(struct sim_client *c)
{
    return (uint16_t)below(c, c->profile.tubes);
}

static uint64_t pick_id(struct sim_client *c)
{
    return sc_pick_id(c->shared, &c->rng, c->profile.guessed);
}

/* On both sides of what beanstalkd calls urgent, and the ends. */
static uint32_t pick_pri(struct sim_client *c)
{
    static const uint32_t pris[] = {1024, 1023, 0, UINT32_MAX, 5, 1, 100000, UINT32_C(1) << 31};
    uint32_t n = sizeof pris / sizeof pris[0];
    return pris[below(c, c->profile.priorities < n ? c->profile.priorities : n)];
}

/* From 1, the short ones more often. */
static uint32_t pick_short(struct sim_client *c, uint32_t max)
{
    uint32_t bound = cb_rng_chance(&c->rng, 2, 3) ? 2 : max;
    return 1 + below(c, bound < max ? bound : max);
}

static uint32_t pick_body_len(struct sim_client *c)
{
    uint32_t most = c->profile.body_max > SC_ID_LEN ? c->profile.body_max - SC_ID_LEN : 0;
    uint32_t what = below(c, 32);
    if (what == 0) {
        return SC_ID_LEN + most;
    }
    uint32_t bound = what < 4 || most < 64 ? most : 64;
    return SC_ID_LEN + below(c, bound + 1);
}

/* ---- jobs it holds ---- */

static struct sc_held *pick_held(struct sim_client *c, uint64_t now_ns, bool also_alone)
{
    if (c->n_held == 0) {
        return NULL;
    }
    uint32_t first = below(c, c->n_held);
    for (uint32_t i = 0; i < c->n_held; i++) {
        struct sc_held *h = &c->held[(first + i) % c->n_held];
        if (!h->is_ending && (also_alone || h->alone_ns <= now_ns)) {
            return h;
        }
    }
    return NULL;
}

static void send_ending(struct sim_client *c, struct sc_held *h, uint64_t now_ns)
{
    uint32_t what = below(c, 100);
    uint32_t pri = pick_pri(c);
    h->is_ending = true;
    if (what < 60) {
        sc_send_id(c, SC_DELETE, h->id, now_ns);
    } else if (what < 75) {
        sc_send_release(c, h->id, pri, 0, now_ns);
    } else if (what < 85) {
        sc_send_release(c, h->id, pri, pick_short(c, c->profile.delay_max_s), now_ns);
    } else {
        sc_send_bury(c, h->id, pri, now_ns);
    }
}

bool sc_choose_ending(struct sim_client *c, uint64_t now_ns)
{
    struct sc_held *h = pick_held(c, now_ns, true);
    if (h != NULL) {
        send_ending(c, h, now_ns);
    }
    return h != NULL;
}

static void choose_reserve(struct sim_client *c, uint64_t now_ns);

static void choose_finish(struct sim_client *c, uint64_t now_ns)
{
    bool must = c->n_held + c->n_reserves >= HELD_ENOUGH;
    struct sc_held *h = pick_held(c, now_ns, must);
    if (h == NULL) {
        if (!must) {
            choose_reserve(c, now_ns);
        }
        return;
    }
    uint32_t what = must ? 100 : below(c, 100);
    if (what < 18) {
        sc_send_id(c, SC_TOUCH, h->id, now_ns);
    } else if (what < 22) {
        h->alone_ns = h->end_ns - CB_NS_PER_S / 2; /* touched at the last moment, or finished */
    } else if (what < 28) {
        h->alone_ns = h->end_ns + below(c, 2000) * CB_NS_PER_MS; /* its ttr runs out */
    } else {
        send_ending(c, h, now_ns);
    }
}

static void choose_reserve(struct sim_client *c, uint64_t now_ns)
{
    if (c->n_held + c->n_reserves >= HELD_ENOUGH) {
        choose_finish(c, now_ns);
    } else if (per_mille(c, c->profile.reserve_job)) {
        sc_send_id(c, SC_RESERVE_JOB, pick_id(c), now_ns);
    } else if (per_mille(c, c->profile.with_timeout)) {
        uint32_t timeout_s = cb_rng_chance(&c->rng, 1, 2) ? 0 : pick_short(c, TIMEOUT_MAX_S);
        sc_send_reserve_timeout(c, timeout_s, now_ns);
    } else {
        sc_send_plain(c, SC_RESERVE, now_ns);
    }
}

/* ---- the rest ---- */

static void choose_put(struct sim_client *c, uint64_t now_ns)
{
    uint32_t delay_s = per_mille(c, c->profile.delayed) ? pick_short(c, c->profile.delay_max_s) : 0;
    uint32_t ttr_s = below(c, 32) == 0 ? 0 : pick_short(c, c->profile.ttr_max_s);
    uint32_t pri = pick_pri(c);
    sc_send_put(c, pri, delay_s, ttr_s, pick_body_len(c), now_ns);
}

static void choose_look(struct sim_client *c, uint64_t now_ns)
{
    static const enum sc_kind kinds[] = {
        SC_PEEK,        SC_PEEK,       SC_PEEK_READY, SC_PEEK_DELAYED,
        SC_PEEK_BURIED, SC_STATS_JOB,  SC_STATS_JOB,  SC_STATS_TUBE,
        SC_STATS,       SC_LIST_TUBES, SC_LIST_USED,  SC_LIST_WATCHED,
    };
    enum sc_kind kind = kinds[below(c, sizeof kinds / sizeof kinds[0])];
    if (kind == SC_PEEK || kind == SC_STATS_JOB) {
        sc_send_id(c, kind, pick_id(c), now_ns);
    } else if (kind == SC_STATS_TUBE) {
        sc_send_tube(c, kind, pick_tube(c), now_ns);
    } else {
        sc_send_plain(c, kind, now_ns);
    }
}

/* A command on a job that is, most likely, not its own. */
static void choose_foreign(struct sim_client *c, uint64_t now_ns)
{
    uint64_t id = pick_id(c);
    uint32_t pri = pick_pri(c);
    switch (below(c, 6)) {
    case 0:
        sc_send_id(c, SC_TOUCH, id, now_ns);
        break;
    case 1:
        sc_send_release(c, id, pri, below(c, 2), now_ns);
        break;
    case 2:
        sc_send_bury(c, id, pri, now_ns);
        break;
    default:
        sc_send_id(c, SC_DELETE, id, now_ns);
        break;
    }
}

static void choose_kick(struct sim_client *c, uint64_t now_ns)
{
    uint32_t what = below(c, 100);
    if (what < 40) {
        uint32_t bound = below(c, 16) == 0 ? HUGE_NUMBER : below(c, 6);
        sc_send_kick(c, bound, now_ns);
    } else if (what < 65) {
        sc_send_id(c, SC_KICK_JOB, pick_id(c), now_ns);
    } else if (what < 80) {
        choose_foreign(c, now_ns);
    } else {
        uint32_t delay_s = cb_rng_chance(&c->rng, 1, 2) ? 0 : pick_short(c, c->profile.delay_max_s);
        sc_send_pause(c, pick_tube(c), delay_s, now_ns);
    }
}

static void choose_tubes(struct sim_client *c, uint64_t now_ns)
{
    uint32_t what = below(c, 100);
    if (what < 30) {
        sc_send_tube(c, SC_USE, pick_tube(c), now_ns);
    } else if (what < 65) {
        sc_send_tube(c, SC_WATCH, pick_tube(c), now_ns);
    } else {
        bool is_watched = cb_rng_chance(&c->rng, 3, 4);
        uint16_t tube = is_watched ? c->watched[below(c, c->n_watched)] : pick_tube(c);
        sc_send_tube(c, SC_IGNORE, tube, now_ns);
    }
}

void sc_choose_leaving(struct sim_client *c, uint64_t now_ns)
{
    switch (below(c, 5)) {
    case 0:
        cb_buf_append_str(&c->out, below(c, 2) == 0 ? "quit\r\n" : "quit for good\r\n");
        sc_leave(c, SIM_CLIENT_STAYS, now_ns);
        break;
    case 1:
        sc_leave(c, SIM_CLIENT_HALF_CLOSES, now_ns);
        break;
    case 2:
        sc_append_beginning(c);
        sc_leave(c, SIM_CLIENT_HALF_CLOSES, now_ns);
        break;
    case 3:
        sc_append_beginning(c);
        sc_leave(c, SIM_CLIENT_CLOSES, now_ns);
        break;
    default:
        sc_leave(c, SIM_CLIENT_CLOSES, now_ns);
        break;
    }
}

void sc_choose(struct sim_client *c, uint64_t now_ns)
{
    const struct {
        uint32_t weight;
        void (*choose)(struct sim_client *, uint64_t);
    } ways[] = {
        {c->profile.weight_put, choose_put},
        {c->profile.weight_reserve, choose_reserve},
        {c->profile.weight_finish, choose_finish},
        {c->profile.weight_look, choose_look},
        {c->profile.weight_kick, choose_kick},
        {c->profile.weight_tubes, choose_tubes},
        {c->profile.weight_nonsense, sc_choose_nonsense},
        {c->profile.weight_leave, sc_choose_leaving},
    };
    const uint32_t n = sizeof ways / sizeof ways[0];
    uint32_t total = 0;
    for (uint32_t i = 0; i < n; i++) {
        total += ways[i].weight;
    }
    uint32_t at = below(c, total);
    uint32_t i = 0;
    while (at >= ways[i].weight) {
        at -= ways[i++].weight;
    }
    ways[i].choose(c, now_ns);
}
