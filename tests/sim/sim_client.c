#include "sim/sim_client.h"

#include "common/base/cb_assert.h"
#include "common/base/cb_mem.h"
#include "sim/sim_client_internal.h"

/* How long it bears with an answer that does not come, or with a server that does not close. */
#define PATIENCE_NS (20 * CB_NS_PER_S)
#define QUOTED_MAX 120 /* bytes of a line or an answer, in a sentence */
#define WIND_DOWN_THINK_NS (20 * CB_NS_PER_MS)

/* ---- life ---- */

static struct sim_client *create(struct sim_client_shared *s,
                                 const struct sim_client_env *env,
                                 uint32_t conn,
                                 uint64_t now_ns)
{
    struct sim_client *c = cb_calloc(1, sizeof *c);
    c->shared = s;
    c->env = *env;
    c->conn = conn;
    c->n_watched = 1; /* the default tube, number 0, which it uses too */
    cb_buf_init(&c->out);
    cb_buf_init(&c->in);
    struct hist_record r = {.invoke_ns = now_ns,
                            .complete_ns = now_ns,
                            .conn = conn,
                            .op = HIST_CONNECT,
                            .timeout = -1};
    (void)history_invoke(s->history, &r);
    return c;
}

struct sim_client *sim_client_create(struct sim_client_shared *s,
                                     const struct sim_client_profile *profile,
                                     const struct sim_client_env *env,
                                     uint32_t conn,
                                     uint64_t seed,
                                     uint64_t now_ns)
{
    CB_ASSERT(profile->tubes >= 1 && profile->tubes <= SC_TUBES_MAX);
    CB_ASSERT(profile->depth_max >= 1 && profile->depth_max <= SC_PIPELINE_MAX);
    struct sim_client *c = create(s, env, conn, now_ns);
    c->profile = *profile;
    cb_rng_init(&c->rng, seed);
    c->phase = SC_WORKS;
    c->wake_ns = now_ns;
    return c;
}

struct sim_client *sim_client_create_drain(struct sim_client_shared *s,
                                           const struct sim_client_env *env,
                                           uint32_t conn,
                                           uint64_t quiet_ns,
                                           uint64_t now_ns)
{
    struct sim_client *c = create(s, env, conn, now_ns);
    c->phase = SC_DRAINS;
    c->wake_ns = UINT64_MAX;
    c->quiet_ns = quiet_ns;
    c->last_ns = now_ns;
    sc_drain_start(c, now_ns);
    return c;
}

void sim_client_destroy(struct sim_client *c)
{
    cb_buf_fini(&c->in);
    cb_buf_fini(&c->out);
    cb_free(c);
}

static void record_close(struct sim_client *c, bool by_server, uint64_t now_ns)
{
    if (!c->close_recorded) {
        c->close_recorded = true;
        struct hist_record r = {.invoke_ns = now_ns,
                                .complete_ns = HIST_NEVER,
                                .conn = c->conn,
                                .op = HIST_CLOSE,
                                .by_server = by_server,
                                .timeout = -1};
        (void)history_invoke(c->shared->history, &r);
    }
}

void sc_leave(struct sim_client *c, enum sim_client_wish wish, uint64_t now_ns)
{
    CB_ASSERT(c->phase != SC_LEAVES);
    c->phase = SC_LEAVES;
    c->wish = wish;
    c->wake_ns = wish == SIM_CLIENT_CLOSES ? UINT64_MAX : now_ns + PATIENCE_NS;
    record_close(c, false, now_ns);
}

void sim_client_closed(struct sim_client *c, uint64_t now_ns)
{
    record_close(c, true, now_ns);
}

/* ---- time ---- */

uint64_t sim_client_wake_ns(const struct sim_client *c)
{
    return c->is_broken ? UINT64_MAX : c->wake_ns;
}

static bool is_full(const struct sim_client *c)
{
    return c->n_sent >= c->profile.depth_max || !sc_may_send(c);
}

/* When it is full, the next answer wakes it, or the end of its patience. */
static void think(struct sim_client *c, uint64_t now_ns)
{
    uint64_t most = is_full(c) ? PATIENCE_NS : c->profile.think_ns_max;
    c->wake_ns = now_ns + cb_rng_below(&c->rng, most + 1);
}

static void work(struct sim_client *c, uint64_t now_ns)
{
    if (is_full(c)) {
        /* It has waited for long. */
        if (cb_rng_chance(&c->rng, c->profile.weight_leave, 30)) {
            sc_choose_leaving(c, now_ns);
        }
    } else {
        /* More than one at once now and then, so that pipelines fill. */
        uint64_t n = 1;
        if (cb_rng_chance(&c->rng, 1, 4)) {
            n += cb_rng_below(&c->rng, c->profile.depth_max);
        }
        for (; n > 0 && c->phase == SC_WORKS && !is_full(c); n--) {
            sc_choose(c, now_ns);
        }
    }
    if (c->phase == SC_WORKS) {
        think(c, now_ns);
    }
}

/* It does not wait for what may never come, and closes when nothing is left to end. */
static void wind_down(struct sim_client *c, uint64_t now_ns)
{
    if (c->n_reserves > 0) {
        bool half = cb_rng_chance(&c->rng, 1, 2);
        sc_leave(c, half ? SIM_CLIENT_HALF_CLOSES : SIM_CLIENT_CLOSES, now_ns);
        return;
    }
    while (sc_may_send(c) && sc_choose_ending(c, now_ns)) {
    }
    if (c->n_sent == 0) {
        sc_choose_leaving(c, now_ns);
    } else {
        c->wake_ns = now_ns + PATIENCE_NS;
    }
}

void sim_client_wake(struct sim_client *c, uint64_t now_ns)
{
    if (c->is_broken || now_ns < c->wake_ns) {
        return;
    }
    switch (c->phase) {
    case SC_WORKS:
        work(c, now_ns);
        break;
    case SC_WINDS_DOWN:
        wind_down(c, now_ns);
        break;
    case SC_LEAVES:
        c->wish = SIM_CLIENT_CLOSES; /* the server does not close */
        c->wake_ns = UINT64_MAX;
        break;
    case SC_DRAINS:
        break;
    }
}

void sim_client_wind_down(struct sim_client *c, uint64_t now_ns)
{
    if (c->phase == SC_WORKS) {
        c->phase = SC_WINDS_DOWN;
        c->wake_ns = now_ns + cb_rng_below(&c->rng, WIND_DOWN_THINK_NS);
    } else if (c->phase == SC_LEAVES && c->n_reserves > 0 && c->wish == SIM_CLIENT_STAYS) {
        c->wish = SIM_CLIENT_CLOSES; /* its quit stands behind a reserve */
        c->wake_ns = UINT64_MAX;
    }
}

/* ---- bytes ---- */

struct cb_buf *sim_client_output(struct sim_client *c)
{
    return &c->out;
}

enum sim_client_wish sim_client_wish(const struct sim_client *c)
{
    return c->wish;
}

void sim_client_received(struct sim_client *c, struct cb_span bytes, uint64_t now_ns)
{
    if (c->is_broken || c->wish == SIM_CLIENT_CLOSES) {
        return;
    }
    uint32_t before = c->n_sent;
    bool was_full = c->phase == SC_WORKS && is_full(c);
    cb_buf_append(&c->in, bytes.ptr, bytes.len);
    sc_read_answers(c, now_ns);
    if (c->n_sent == before || c->is_broken) {
        return;
    }
    if (was_full && !is_full(c)) {
        think(c, now_ns);
    } else if (c->phase == SC_WINDS_DOWN) {
        c->wake_ns = now_ns + cb_rng_below(&c->rng, WIND_DOWN_THINK_NS);
    }
}

static void quote(struct cb_buf *out, struct cb_span s)
{
    cb_buf_append_str(out, "\"");
    for (size_t i = 0; i < s.len && i < QUOTED_MAX; i++) {
        uint8_t b = s.ptr[i];
        if (b == '\r' || b == '\n') {
            cb_buf_append_str(out, b == '\r' ? "\\r" : "\\n");
        } else if (b < ' ' || b > '~') {
            cb_buf_printf(out, "\\x%02x", b);
        } else {
            cb_buf_append(out, &b, 1);
        }
    }
    cb_buf_append_str(out, s.len > QUOTED_MAX ? "...\"" : "\"");
}

void sc_say_broken(struct sim_client *c, const char *line, struct cb_span answer, const char *why)
{
    c->is_broken = true;
    struct cb_buf text = CB_BUF_NULL;
    cb_buf_printf(&text, "connection %u: to ", c->conn);
    quote(&text, cb_span_str(line));
    cb_buf_append_str(&text, " came ");
    quote(&text, answer);
    cb_buf_printf(&text, ": %s", why);
    cb_buf_append(&text, "", 1);
    c->env.broken(c->env.data, (const char *)text.base);
    cb_buf_fini(&text);
}
