/* The texts of stats, stats-tube and stats-job: the cluster's numbers, the process's facts. */
#include "proxy/engine/engine_internal.h"

_Static_assert((int)BS_COUNTER_COUNT == (int)WIRE_COUNTER_COUNT, "both from cb_counter.def");

static void write_all(const struct engine *e, struct cb_buf *out, const struct wire_stats *s)
{
    struct bs_stats text = {
        .current_jobs_urgent = s->urgent,
        .current_jobs_ready = s->ready,
        .current_jobs_reserved = s->reserved,
        .current_jobs_delayed = s->delayed,
        .current_jobs_buried = s->buried,
        .job_timeouts = s->job_timeouts,
        .total_jobs = s->total_jobs,
        .max_job_size = e->config.job_size_max,
        .current_tubes = s->tubes,
        .current_connections = s->connections,
        .current_producers = s->producers,
        .current_workers = s->workers,
        .current_waiting = s->waiting,
        .total_connections = s->total_connections,
        .draining = e->draining,
    };
    memcpy(text.commands, s->counters, sizeof text.commands);
    e->ops.facts(e->ops.ctx, &text);
    bs_yaml_stats(out, &text);
}

static void write_tube(struct cb_buf *out, const struct wire_tube_stats *s)
{
    struct bs_stats_tube text = {
        .name = s->name,
        .current_jobs_urgent = s->urgent,
        .current_jobs_ready = s->ready,
        .current_jobs_reserved = s->reserved,
        .current_jobs_delayed = s->delayed,
        .current_jobs_buried = s->buried,
        .total_jobs = s->total_jobs,
        .current_using = s->using,
        .current_watching = s->watching,
        .current_waiting = s->waiting,
        .cmd_delete = s->cmd_delete,
        .cmd_pause_tube = s->cmd_pause_tube,
        .pause_s = s->pause,
        .pause_time_left_s = s->pause_left_ns / CB_NS_PER_S,
    };
    bs_yaml_stats_tube(out, &text);
}

static enum bs_job_state state_of(uint32_t state)
{
    switch (state) {
    case WIRE_JOB_READY:
        return BS_JOB_READY;
    case WIRE_JOB_DELAYED:
        return BS_JOB_DELAYED;
    case WIRE_JOB_RESERVED:
        return BS_JOB_RESERVED;
    case WIRE_JOB_BURIED:
        return BS_JOB_BURIED;
    default:
        CB_UNREACHABLE("state of a job"); /* checked when it was decoded */
    }
}

static void write_job(struct cb_buf *out, const struct wire_job_stats *s)
{
    struct bs_stats_job text = {
        .id = s->id,
        .tube = s->tube,
        .state = state_of(s->state),
        .pri = s->pri,
        .age_s = s->age_ns / CB_NS_PER_S,
        .delay_s = s->delay,
        .ttr_s = s->ttr,
        .time_left_s = s->left_ns / CB_NS_PER_S,
        .reserves = s->reserves,
        .timeouts = s->timeouts,
        .releases = s->releases,
        .buries = s->buries,
        .kicks = s->kicks,
    };
    bs_yaml_stats_job(out, &text);
}

void engine_stats_write(const struct engine *e,
                        struct cb_buf *out,
                        const struct wire_read_result *r)
{
    switch (r->stats_kind) {
    case WIRE_STATS_NONE:
        break;
    case WIRE_STATS_ALL:
        write_all(e, out, &r->stats.all);
        break;
    case WIRE_STATS_TUBE:
        write_tube(out, &r->stats.tube);
        break;
    case WIRE_STATS_JOB:
        write_job(out, &r->stats.job);
        break;
    }
}
