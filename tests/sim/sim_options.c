/* What a seed is like. */
#include <inttypes.h>
#include <stdio.h>

#include "sim/sim.h"

static const char *const fault_names[SIM_FAULT_COUNT] = {
#define X(symbol, name, what) name,
    SIM_FAULTS(X)
#undef X
};

const char *sim_fault_name(enum sim_fault f)
{
    return fault_names[f];
}

static uint64_t between(struct cb_rng *rng, uint64_t min, uint64_t max)
{
    return min + cb_rng_below(rng, max - min + 1);
}

/* Some seeds have one class of fault alone, a few none, most have half of them. */
static uint32_t draw_faults(struct cb_rng *rng)
{
    uint32_t all = (1u << SIM_FAULT_COUNT) - 1;
    switch (cb_rng_below(rng, 10)) {
    case 0:
        return 1u << cb_rng_below(rng, SIM_FAULT_COUNT);
    case 1:
        return cb_rng_chance(rng, 1, 3) ? 0 : all;
    default:
        return (uint32_t)cb_rng_u64(rng) & all;
    }
}

struct snapshots {
    unsigned threshold, trailing, inflight;
};

/* The last is what production runs with; the others make snapshots often, and have to be safe too
 * (docs/adr/0006). */
static const struct snapshots snapshot_choices[] = {
    {64, 128, 16},
    {64, 128, 16},
    {200, 400, 64},
    {CB_RAFT_SNAPSHOT_THRESHOLD, CB_RAFT_SNAPSHOT_TRAILING, CB_RAFT_INFLIGHT_MAX},
};

/* In one seed of three each node has its own, as in production, where memory decides: so that one
 * has let go of what another still has. */
#define DRAWN_NODES 5

static void draw_snapshots(struct sim_options *o, struct cb_rng *rng)
{
    bool is_mixed = cb_rng_chance(rng, 1, 3);
    const struct snapshots *c = &snapshot_choices[cb_rng_below(rng, 4)];
    o->inflight_max = is_mixed ? CB_RAFT_INFLIGHT_MIN : c->inflight;
    for (uint32_t id = 1; id <= DRAWN_NODES; id++) {
        o->snapshots[id].threshold = c->threshold;
        o->snapshots[id].trailing = c->trailing;
        if (is_mixed) {
            c = &snapshot_choices[cb_rng_below(rng, 4)];
        }
    }
    for (uint32_t id = DRAWN_NODES + 1; id <= SIM_NODES_MAX; id++) {
        o->snapshots[id] = o->snapshots[id - DRAWN_NODES];
    }
}

static void draw_cluster(struct sim_options *o, struct cb_rng *rng)
{
    uint64_t kind = cb_rng_below(rng, 20);
    o->first = kind <= 1 ? 1 : kind <= 3 ? 5 : 3;
    o->nodes = o->first;
    o->proxies = (uint32_t)between(rng, 1, SIM_PROXIES_MAX);
    o->clients = (uint32_t)between(rng, 1, 8);
    o->pace = (uint32_t[]){1, 3, 6}[cb_rng_below(rng, 3)];
    draw_snapshots(o, rng);
    o->log_bytes = (uint64_t[]){CB_RAFT_LOG_BYTES, CB_MIB, 100 * CB_KIB}[cb_rng_below(rng, 3)];
    o->session_timeout_ns = between(rng, 3, 12) * CB_NS_PER_S;
    o->lmdb = cb_rng_chance(rng, 1, 8);
    o->job_size_max = CB_JOB_SIZE_DEFAULT; /* what the clients count on */
}

void sim_options_draw(struct sim_options *o, uint64_t seed, uint32_t without)
{
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    *o = (struct sim_options){.seed = seed};
    o->drawn = draw_faults(&rng);
    o->faults = o->drawn & ~without;
    draw_cluster(o, &rng);
    o->duration_ns = between(&rng, 40, 90) * CB_NS_PER_S;
    o->fault_gap_ns = between(&rng, 1000, 12000) * CB_NS_PER_MS;
    o->net_ns = between(&rng, 50, 5000) * 1000;
    o->disk_ns = between(&rng, 50, 8000) * 1000;
    o->left_down = cb_rng_chance(&rng, 1, 2) ? (o->nodes - 1) / 2 : 0;
    o->part_size = (size_t[]){16 * CB_KIB, 64 * CB_KIB, CB_STATE_PART_SIZE}[cb_rng_below(&rng, 3)];
    o->queue_bytes = (size_t[]){2 * CB_KIB, 64 * CB_KIB, 0}[cb_rng_below(&rng, 3)];
    if (o->first != 5 && cb_rng_chance(&rng, o->first == 1 ? 2 : 1, 3)) {
        o->nodes += (uint32_t)between(&rng, 1, SIM_NODES_MAX - o->first);
        o->left_down = 0; /* what is a minority changes */
    }
    if (cb_rng_chance(&rng, 2, 5)) {
        o->body_cache = (uint64_t[]){1, 4 * CB_KIB, 64 * CB_KIB}[cb_rng_below(&rng, 3)];
    }
    o->steps = (uint32_t[]){0, 1, 2, 7}[cb_rng_below(&rng, 4)];
}

void sim_options_print(const struct sim_options *o)
{
    printf("seed %" PRIu64 ": %u nodes of %u, %u proxies, %u clients, %" PRIu64 " s, snapshots",
           o->seed, o->first, o->nodes, o->proxies, o->clients, o->duration_ns / CB_NS_PER_S);
    for (uint32_t id = 1; id <= o->nodes; id++) {
        printf(" %u/%u", o->snapshots[id].threshold, o->snapshots[id].trailing);
    }
    printf(", %s, session %" PRIu64 " s, net %" PRIu64 " us, disk %" PRIu64
           " us, parts of %zu KiB, queues of %zu KiB, %" PRIu64
           " bytes of bodies, %u steps, %u left down, a fault every %" PRIu64 " ms:",
           o->lmdb ? "LMDB" : "store in memory", o->session_timeout_ns / CB_NS_PER_S,
           o->net_ns / 1000, o->disk_ns / 1000, o->part_size / CB_KIB, o->queue_bytes / CB_KIB,
           o->body_cache, o->steps, o->left_down, o->fault_gap_ns / CB_NS_PER_MS);
    for (int f = 0; f < SIM_FAULT_COUNT; f++) {
        if ((o->faults >> f & 1) != 0) {
            printf(" %s", fault_names[f]);
        }
    }
    printf("%s\n", o->faults == 0 ? " none" : "");
}
