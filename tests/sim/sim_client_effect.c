/* What an answer says, given what the client knows for certain: its own tubes, and that its
 * commands are done in their order. */
#include "common/base/cb_assert.h"
#include "common/base/cb_hash.h"
#include "sim/sim_client_internal.h"

/* ---- the jobs it holds ---- */

static uint32_t held_place(const struct sim_client *c, uint64_t id)
{
    uint32_t i = 0;
    while (i < c->n_held && c->held[i].id != id) {
        i++;
    }
    return i;
}

struct sc_held *sc_held_find(struct sim_client *c, uint64_t id)
{
    uint32_t i = held_place(c, id);
    return i < c->n_held ? &c->held[i] : NULL;
}

bool sim_client_holds(const struct sim_client *c, uint64_t job)
{
    return held_place(c, job) < c->n_held;
}

static void held_end(struct sim_client *c, uint64_t id)
{
    struct sc_held *h = sc_held_find(c, id);
    if (h != NULL) {
        *h = c->held[--c->n_held];
    }
}

static void held_begin(struct sim_client *c, uint64_t id, uint64_t now_ns)
{
    held_end(c, id); /* its ttr had run out, and it came again */
    CB_ASSERT(c->n_held < SC_HELD_MAX);
    uint32_t ttr_s = sc_ttr_of(c->shared, id);
    c->held[c->n_held++] =
        (struct sc_held){.id = id, .ttr_s = ttr_s, .end_ns = now_ns + ttr_s * CB_NS_PER_S};
}

/* ---- tubes ---- */

static uint32_t watch_place(const struct sim_client *c, uint16_t tube)
{
    uint32_t i = 0;
    while (i < c->n_watched && c->watched[i] != tube) {
        i++;
    }
    return i;
}

/* The client's own connection keeps it alive. */
static bool must_exist(const struct sim_client *c, uint16_t tube)
{
    return tube == 0 || tube == c->used || watch_place(c, tube) < c->n_watched;
}

static const char *using(const struct sim_client *c, struct cb_span name)
{
    return cb_span_eq(name, cb_span_str(sc_tube_name(c->shared, c->used))) ? NULL : "another tube";
}

static const char *watched(struct sim_client *c, uint16_t tube, uint64_t count)
{
    if (watch_place(c, tube) == c->n_watched) {
        CB_ASSERT(c->n_watched < SC_TUBES_MAX);
        c->watched[c->n_watched++] = tube;
    }
    return count == c->n_watched ? NULL : "it watches another number of tubes";
}

static const char *ignored(struct sim_client *c, uint16_t tube, const struct sc_answer *a)
{
    uint32_t i = watch_place(c, tube);
    bool is_last = i < c->n_watched && c->n_watched == 1;
    if (is_last != (a->result == HIST_NOT_IGNORED)) {
        return "it watches another number of tubes";
    }
    if (!is_last && i < c->n_watched) {
        c->watched[i] = c->watched[--c->n_watched]; /* as beanstalkd's order goes */
    }
    return is_last || a->number == c->n_watched ? NULL : "it watches another number of tubes";
}

struct listing {
    const struct sim_client *c;
    bool seen[SC_TUBES_MAX];
    uint32_t count;
};

static const char *list_watched(void *data, uint32_t i, struct cb_span name)
{
    struct listing *l = data;
    l->count = i + 1;
    if (i >= l->c->n_watched ||
        !cb_span_eq(name, cb_span_str(sc_tube_name(l->c->shared, l->c->watched[i])))) {
        return "not the tubes it watches, in their order";
    }
    return NULL;
}

static const char *list_any(void *data, uint32_t i, struct cb_span name)
{
    struct listing *l = data;
    uint16_t tube = sc_tube_find(l->c->shared, name);
    if (tube == SC_TUBES_MAX || !l->c->shared->tube_named[tube]) {
        return "a tube that nobody named";
    }
    if (l->seen[tube] || (i == 0) != (tube == 0)) {
        return "a tube twice, or the default not first";
    }
    l->seen[tube] = true;
    return NULL;
}

static const char *listed_watched(const struct sim_client *c, struct cb_span yaml)
{
    struct listing l = {.c = c};
    const char *wrong = sc_yaml_list(yaml, &l, list_watched);
    if (wrong == NULL && l.count != c->n_watched) {
        return "not all of the tubes it watches";
    }
    return wrong;
}

static const char *listed_tubes(const struct sim_client *c, struct cb_span yaml)
{
    struct listing l = {.c = c};
    const char *wrong = sc_yaml_list(yaml, &l, list_any);
    for (uint16_t i = 0; wrong == NULL && i < SC_TUBES_MAX; i++) {
        if (must_exist(c, i) && !l.seen[i]) {
            wrong = "not all of the tubes it uses and watches";
        }
    }
    return wrong;
}

/* ---- jobs ---- */

static const char *
job_came(struct sim_client *c, const struct sc_sent *s, const struct sc_answer *a)
{
    struct hist_record *r = history_at(c->shared->history, s->place);
    bool by_id = s->kind == SC_PEEK || s->kind == SC_RESERVE_JOB;
    if (by_id ? a->number != s->id : a->number == 0) {
        return "another id";
    }
    if (!history_token_parse((const char *)a->text.ptr, a->text.len, r->token)) {
        return "a body that nobody put";
    }
    if (!sc_body_is(a->text, r->token)) {
        return "a body with other bytes behind the token";
    }
    r->id = a->number;
    r->body_len = (uint32_t)a->text.len;
    r->body_hash = cb_hash(a->text.ptr, a->text.len);
    sc_saw(c->shared, a->number);
    return NULL;
}

static const char *
reserved(struct sim_client *c, const struct sc_sent *s, const struct sc_answer *a, uint64_t now_ns)
{
    if (a->result == HIST_OK) {
        const char *wrong = job_came(c, s, a);
        if (wrong == NULL) {
            held_begin(c, a->number, now_ns);
        }
        return wrong;
    }
    if (a->result == HIST_DEADLINE_SOON && c->n_held == 0) {
        return "it holds no job";
    }
    if (a->result == HIST_TIMED_OUT && s->kind == SC_RESERVE && c->wish != SIM_CLIENT_HALF_CLOSES) {
        return "it waits for ever";
    }
    return NULL;
}

static const char *
put_done(struct sim_client *c, const struct sc_sent *s, const struct sc_answer *a)
{
    if (a->shape != SC_NUMBER) {
        return NULL;
    }
    if (a->number == 0) {
        return "no id";
    }
    struct hist_record *r = history_at(c->shared->history, s->place);
    r->id = a->number;
    sc_saw(c->shared, a->number);
    sc_learn_ttr(c->shared, a->number, r->ttr_s);
    return NULL;
}

static const char *
touched(struct sim_client *c, const struct sc_sent *s, const struct sc_answer *a, uint64_t now_ns)
{
    if (a->result == HIST_NOT_FOUND) {
        held_end(c, s->id);
        return NULL;
    }
    struct sc_held *h = sc_held_find(c, s->id);
    if (h == NULL) {
        return "it does not hold that job";
    }
    h->end_ns = now_ns + h->ttr_s * CB_NS_PER_S;
    return NULL;
}

/* Release, bury: the holder's alone. Done or NOT_FOUND: it is not held any more. */
static const char *
given_back(struct sim_client *c, const struct sc_sent *s, const struct sc_answer *a)
{
    bool is_holder = sc_held_find(c, s->id) != NULL;
    held_end(c, s->id);
    return a->result != HIST_NOT_FOUND && !is_holder ? "it does not hold that job" : NULL;
}

static const char *kicked(struct sim_client *c, const struct sc_sent *s, const struct sc_answer *a)
{
    if (a->number > s->bound) {
        return "more than asked for";
    }
    history_at(c->shared->history, s->place)->count = (uint32_t)a->number;
    return NULL;
}

static const char *
tube_or_none(const struct sim_client *c, const struct sc_sent *s, const struct sc_answer *a)
{
    return a->result == HIST_NOT_FOUND && must_exist(c, s->tube) ? "its own tube" : NULL;
}

/* ---- all of them ---- */

static const char *yaml_came(struct sim_client *c, const struct sc_sent *s, struct cb_span yaml)
{
    struct hist_record *r = history_at(c->shared->history, s->place);
    switch ((unsigned)s->kind) {
    case SC_STATS_JOB:
        return sc_yaml_stats_job(yaml, c->shared, r);
    case SC_STATS_TUBE:
        return sc_yaml_stats_tube(yaml, sc_tube_name(c->shared, s->tube), r);
    case SC_STATS:
        return sc_yaml_stats(yaml, r);
    case SC_LIST_TUBES:
        return listed_tubes(c, yaml);
    default:
        CB_ASSERT(s->kind == SC_LIST_WATCHED);
        return listed_watched(c, yaml);
    }
}

static const char *
conclude(struct sim_client *c, const struct sc_sent *s, const struct sc_answer *a, uint64_t now_ns)
{
    if (a->shape == SC_YAML) {
        return yaml_came(c, s, a->text);
    }
    switch ((unsigned)s->kind) {
    case SC_PUT:
        return put_done(c, s, a);
    case SC_USE:
        c->used = s->tube;
        return using(c, a->text);
    case SC_LIST_USED:
        return using(c, a->text);
    case SC_WATCH:
        return watched(c, s->tube, a->number);
    case SC_IGNORE:
        return ignored(c, s->tube, a);
    case SC_RESERVE:
    case SC_RESERVE_TIMEOUT:
    case SC_RESERVE_JOB:
        return reserved(c, s, a, now_ns);
    case SC_DELETE:
        held_end(c, s->id);
        return NULL;
    case SC_RELEASE:
    case SC_BURY:
        return given_back(c, s, a);
    case SC_TOUCH:
        return touched(c, s, a, now_ns);
    case SC_KICK:
        return kicked(c, s, a);
    case SC_PAUSE_TUBE:
    case SC_STATS_TUBE:
        return tube_or_none(c, s, a);
    default:
        return a->shape == SC_BODY ? job_came(c, s, a) : NULL;
    }
}

const char *sc_take_effect(struct sim_client *c,
                           const struct sc_sent *s,
                           const struct sc_answer *a,
                           uint64_t now_ns)
{
    struct hist_record *r = history_at(c->shared->history, s->place);
    r->complete_ns = now_ns;
    r->result = a->result;
    if (sc_brings_job(s->kind)) {
        c->n_reserves--;
    }
    if (a->result == HIST_ERROR || a->result == HIST_NO_ROOM) {
        return NULL; /* nothing was done */
    }
    return conclude(c, s, a, now_ns);
}
