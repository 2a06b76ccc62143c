#include "sim/sim_oracle.h"

#include "common/base/cb_bytes.h"
#include "common/base/cb_hash.h"
#include "common/base/cb_mem.h"
#include "sim/sim_oracle_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { COMPARE_EVERY = 256, SENTENCE_MAX = 1024 };

_Noreturn void
sim_oracle_violated(const struct sim_oracle *o, const char *property, const char *fmt, ...)
{
    char sentence[SENTENCE_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    o->env.fail(o->env.data, property, sentence);
    CB_UNREACHABLE("fail has returned");
}

/* ---- what was at each index ---- */

static struct sim_oracle_mark *newest(const struct sim_oracle *o)
{
    return &o->marks[o->n_marks - 1];
}

static void append_mark(struct sim_oracle *o, struct sim_oracle_mark mark)
{
    if (o->n_marks == o->cap_marks) {
        o->cap_marks = o->cap_marks == 0 ? 1024 : 2 * o->cap_marks;
        o->marks = cb_realloc(o->marks, o->cap_marks * sizeof *o->marks);
    }
    o->marks[o->n_marks++] = mark;
}

/* The first mark at or above the index; n_marks when all are below. */
static size_t place_of(const struct sim_oracle *o, uint64_t index)
{
    size_t low = 0, high = o->n_marks;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (o->marks[mid].index < index) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static bool is_known(const struct sim_oracle *o, size_t place, uint64_t index)
{
    return place < o->n_marks && o->marks[place].index == index;
}

static struct sim_oracle_node *node_of(struct sim_oracle *o, uint64_t id)
{
    for (size_t i = 0; i < o->n_nodes; i++) {
        if (o->nodes[i].id == id) {
            return &o->nodes[i];
        }
    }
    o->nodes = cb_realloc(o->nodes, (o->n_nodes + 1) * sizeof *o->nodes);
    o->nodes[o->n_nodes] = (struct sim_oracle_node){.id = id};
    return &o->nodes[o->n_nodes++];
}

/* Of the entry alone: the same entry has padding after it or not, as it came to the node. */
static uint64_t hash_of(struct cb_span bytes)
{
    struct cb_reader r;
    cb_reader_init(&r, bytes);
    (void)cb_get_u32(&r);
    size_t len = cb_get_u32(&r);
    return cb_hash(bytes.ptr, len < bytes.len ? len : bytes.len);
}

/* ---- entries ---- */

/* An entry that libraft made for itself is applied by nobody; any other by everybody. */
static void check_sequence(const struct sim_oracle *o,
                           const struct sim_oracle_node *n,
                           size_t place,
                           uint64_t index)
{
    const struct sim_oracle_mark *at = &o->marks[n->at];
    if (index <= at->index) {
        sim_oracle_violated(o, "P15",
                            "log went back: node %" PRIu64 " applied index %" PRIu64
                            " when its machine was at index %" PRIu64,
                            n->id, index, at->index);
    }
    if (place < o->n_marks && o->marks[place].index != index) {
        sim_oracle_violated(
            o, "P15",
            "entry put in: node %" PRIu64 " applied index %" PRIu64 ", which node %" PRIu64
            " never applied between %" PRIu64 " and %" PRIu64,
            n->id, index, o->marks[place].node, o->marks[place - 1].index, o->marks[place].index);
    }
    if (place != n->at + 1) {
        const struct sim_oracle_mark *next = &o->marks[n->at + 1];
        sim_oracle_violated(o, "P15",
                            "entry left out: node %" PRIu64 " at index %" PRIu64
                            " applied index %" PRIu64 " without index %" PRIu64 " (term %" PRIu64
                            "), which node %" PRIu64 " applied",
                            n->id, at->index, index, next->index, next->term, next->node);
    }
}

static void check_durable(const struct sim_oracle *o, uint64_t node, uint64_t index, uint64_t term)
{
    unsigned on;
    unsigned of;
    if (!o->env.is_durable(o->env.data, index, term, &on, &of)) {
        sim_oracle_violated(o, "P16",
                            "applied before it was durable: node %" PRIu64 " applied index %" PRIu64
                            " of term %" PRIu64 ", which is durable on %u members of %u",
                            node, index, term, on, of);
    }
}

static void applied_first(struct sim_oracle *o,
                          uint64_t node,
                          uint64_t index,
                          uint64_t term,
                          struct cb_span bytes,
                          const struct jsm *machine)
{
    if (term < newest(o)->term) {
        sim_oracle_violated(o, "P15",
                            "terms fall: node %" PRIu64 " applied index %" PRIu64
                            " of term %" PRIu64 " after index %" PRIu64 " of term %" PRIu64,
                            node, index, term, newest(o)->index, newest(o)->term);
    }
    check_durable(o, node, index, term);
    o->counters.entries++;
    sim_oracle_apply_entry(o, node, index, bytes, machine);
    append_mark(o, (struct sim_oracle_mark){
                       .index = index,
                       .term = term,
                       .node = node,
                       .bytes_hash = hash_of(bytes),
                       .log_digest = jsm_log_digest(machine),
                       .jobs = sim_oracle_jobs(machine),
                   });
    if (o->counters.entries % COMPARE_EVERY == 0) {
        sim_oracle_compare_state(o, node, machine);
    }
}

static void check_jobs(const struct sim_oracle *o,
                       uint64_t node,
                       const struct sim_oracle_mark *m,
                       const struct jsm *machine)
{
    uint64_t jobs = sim_oracle_jobs(machine);
    if (jobs != m->jobs) {
        sim_oracle_violated(o, "P11",
                            "jobs not conserved: node %" PRIu64 " has %" PRIu64
                            " jobs at index %" PRIu64 ", node %" PRIu64 " had %" PRIu64,
                            node, jobs, m->index, m->node, m->jobs);
    }
}

static void applied_again(struct sim_oracle *o,
                          uint64_t node,
                          const struct sim_oracle_mark *m,
                          uint64_t term,
                          struct cb_span bytes,
                          const struct jsm *machine)
{
    uint64_t hash = hash_of(bytes);
    bool same_entry = term == m->term && hash == m->bytes_hash;
    if (!same_entry || jsm_index(machine) != m->index || jsm_log_digest(machine) != m->log_digest) {
        sim_oracle_violated(o, "P15",
                            "%s: node %" PRIu64 " applied index %" PRIu64 " of term %" PRIu64
                            ", entry %016" PRIx64 ", and its machine is at index %" PRIu64
                            " with log digest %016" PRIx64 "; node %" PRIu64 " had term %" PRIu64
                            ", entry %016" PRIx64 ", log digest %016" PRIx64,
                            same_entry ? "replicas differ" : "committed entry replaced", node,
                            m->index, term, hash, jsm_index(machine), jsm_log_digest(machine),
                            m->node, m->term, m->bytes_hash, m->log_digest);
    }
    check_jobs(o, node, m, machine);
    o->counters.entries_again++;
}

void sim_oracle_applied(struct sim_oracle *o,
                        uint64_t node,
                        uint64_t index,
                        uint64_t term,
                        struct cb_span bytes,
                        const struct jsm *machine)
{
    struct sim_oracle_node *n = node_of(o, node);
    bool is_next = is_known(o, n->at + 1, index);
    size_t place = is_next ? n->at + 1 : place_of(o, index);
    check_sequence(o, n, place, index);
    if (place == o->n_marks) {
        applied_first(o, node, index, term, bytes, machine);
    } else {
        applied_again(o, node, &o->marks[place], term, bytes, machine);
    }
    n->at = place;
}

/* ---- states ---- */

static void check_state_digest(const struct sim_oracle *o,
                               uint64_t node,
                               struct sim_oracle_mark *m,
                               uint64_t digest)
{
    if (!m->has_state_digest) {
        m->has_state_digest = true;
        m->state_digest = digest;
    }
    if (m->state_digest != digest) {
        sim_oracle_violated(o, "P15",
                            "states differ: node %" PRIu64 " loaded index %" PRIu64
                            " with state digest %016" PRIx64
                            "; the first machine loaded there had %016" PRIx64,
                            node, m->index, digest, m->state_digest);
    }
}

/* The mark of the machine's index, which it must agree with. */
static size_t check_known(const struct sim_oracle *o, uint64_t node, const struct jsm *machine)
{
    uint64_t index = jsm_index(machine);
    size_t place = place_of(o, index);
    if (!is_known(o, place, index)) {
        sim_oracle_violated(o, "P15",
                            "state from nowhere: the machine of node %" PRIu64
                            " is at index %" PRIu64 ", which nobody has applied",
                            node, index);
    }
    const struct sim_oracle_mark *m = &o->marks[place];
    if (jsm_log_digest(machine) != m->log_digest) {
        sim_oracle_violated(o, "P15",
                            "replicas differ: the machine of node %" PRIu64 " has at index %" PRIu64
                            " log digest %016" PRIx64 "; node %" PRIu64 " had term %" PRIu64
                            ", log digest %016" PRIx64,
                            node, index, jsm_log_digest(machine), m->node, m->term, m->log_digest);
    }
    check_jobs(o, node, m, machine);
    return place;
}

/* Returns the place of a machine that has just been loaded. */
static size_t check_loaded(struct sim_oracle *o, uint64_t node, const struct jsm *machine)
{
    size_t place = check_known(o, node, machine);
    check_state_digest(o, node, &o->marks[place], jsm_state_digest(machine));
    if (place + 1 == o->n_marks) {
        sim_oracle_compare_state(o, node, machine);
    }
    return place;
}

void sim_oracle_loaded(struct sim_oracle *o, uint64_t node, const struct jsm *machine)
{
    if (jsm_index(machine) == 0) {
        /* Nothing was stored yet: not even the tube that the first entry finds. */
        node_of(o, node)->at = 0;
        return;
    }
    node_of(o, node)->at = check_loaded(o, node, machine);
    o->counters.states_loaded++;
}

void sim_oracle_installed(struct sim_oracle *o, uint64_t node, const struct jsm *machine)
{
    struct sim_oracle_node *n = node_of(o, node);
    size_t place = check_loaded(o, node, machine);
    if (place < n->at) {
        sim_oracle_violated(o, "P15",
                            "log went back: node %" PRIu64 " at index %" PRIu64
                            " took over a state of index %" PRIu64,
                            node, o->marks[n->at].index, o->marks[place].index);
    }
    n->at = place;
    o->counters.states_installed++;
}

void sim_oracle_compare(struct sim_oracle *o, uint64_t node, const struct jsm *machine)
{
    if (check_known(o, node, machine) + 1 == o->n_marks) {
        sim_oracle_compare_state(o, node, machine);
    }
}

/* ---- life ---- */

struct sim_oracle *sim_oracle_create(const struct sim_oracle_env *env)
{
    struct sim_oracle *o = cb_calloc(1, sizeof *o);
    struct jsm *fresh = jsm_create();
    o->env = *env;
    o->model = model_create();
    o->model->steps_max = env->steps != 0 ? env->steps : o->model->steps_max;
    o->model->on_answer = sim_oracle_answered;
    o->model->on_answer_data = o;
    entry_decoder_init(&o->decoder);
    append_mark(o, (struct sim_oracle_mark){.log_digest = jsm_log_digest(fresh)});
    jsm_destroy(fresh);
    return o;
}

void sim_oracle_destroy(struct sim_oracle *o)
{
    o->model->on_answer = NULL; /* its sessions end */
    model_destroy(o->model);
    entry_decoder_fini(&o->decoder);
    cb_free(o->marks);
    cb_free(o->nodes);
    cb_free(o->answers);
    cb_free(o);
}

uint64_t sim_oracle_index(const struct sim_oracle *o)
{
    return newest(o)->index;
}

const struct model *sim_oracle_model(const struct sim_oracle *o)
{
    return o->model;
}

const struct sim_oracle_counters *sim_oracle_counters_get(const struct sim_oracle *o)
{
    return &o->counters;
}
