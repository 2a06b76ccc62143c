#include "proxy/protocol/bs_yaml.h"

#include <inttypes.h>

#define US_PER_S UINT64_C(1000000)

/* cb_counter.def has the keys in the order of stats. */
static const char *const counter_keys[BS_COUNTER_COUNT] = {
#define X(symbol, key) [BS_COUNTER_##symbol] = key,
#include "common/base/cb_counter.def"
#undef X
};

static void begin(struct cb_buf *out)
{
    cb_buf_append_str(out, "---\n");
}

static void add_number(struct cb_buf *out, const char *key, uint64_t value)
{
    cb_buf_printf(out, "%s: %" PRIu64 "\n", key, value);
}

static void add_plain(struct cb_buf *out, const char *key, const char *value)
{
    cb_buf_printf(out, "%s: %s\n", key, value);
}

/* Beanstalkd does not escape. A quote or backslash in a host's name would make the whole body
 * unreadable, so they are escaped here; tube names have none. */
static void add_quoted(struct cb_buf *out, const char *key, struct cb_span value)
{
    cb_buf_printf(out, "%s: \"", key);
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '"' || value.ptr[i] == '\\') {
            cb_buf_append(out, "\\", 1);
        }
        cb_buf_append(out, value.ptr + i, 1);
    }
    cb_buf_append_str(out, "\"\n");
}

static void add_us(struct cb_buf *out, const char *key, uint64_t us)
{
    cb_buf_printf(out, "%s: %" PRIu64 ".%06" PRIu64 "\n", key, us / US_PER_S, us % US_PER_S);
}

static void add_commands(struct cb_buf *out, const struct bs_stats *s)
{
    for (size_t i = 0; i < BS_COUNTER_COUNT; i++) {
        add_number(out, counter_keys[i], s->commands[i]);
    }
}

static void add_process(struct cb_buf *out, const struct bs_stats *s)
{
    add_number(out, "pid", s->pid);
    add_quoted(out, "version", cb_span_str(BS_VERSION));
    add_us(out, "rusage-utime", s->rusage_utime_us);
    add_us(out, "rusage-stime", s->rusage_stime_us);
    add_number(out, "uptime", s->uptime_s);
    add_number(out, "binlog-oldest-index", s->binlog_oldest_index);
    add_number(out, "binlog-current-index", s->binlog_current_index);
    add_number(out, "binlog-records-migrated", s->binlog_records_migrated);
    add_number(out, "binlog-records-written", s->binlog_records_written);
    add_number(out, "binlog-max-size", s->binlog_max_size);
    add_plain(out, "draining", s->draining ? "true" : "false");
    add_plain(out, "id", s->id);
    add_quoted(out, "hostname", cb_span_str(s->hostname));
    add_quoted(out, "os", cb_span_str(s->os));
    add_quoted(out, "platform", cb_span_str(s->platform));
}

void bs_yaml_stats(struct cb_buf *out, const struct bs_stats *s)
{
    begin(out);
    add_number(out, "current-jobs-urgent", s->current_jobs_urgent);
    add_number(out, "current-jobs-ready", s->current_jobs_ready);
    add_number(out, "current-jobs-reserved", s->current_jobs_reserved);
    add_number(out, "current-jobs-delayed", s->current_jobs_delayed);
    add_number(out, "current-jobs-buried", s->current_jobs_buried);
    add_commands(out, s);
    add_number(out, "job-timeouts", s->job_timeouts);
    add_number(out, "total-jobs", s->total_jobs);
    add_number(out, "max-job-size", s->max_job_size);
    add_number(out, "current-tubes", s->current_tubes);
    add_number(out, "current-connections", s->current_connections);
    add_number(out, "current-producers", s->current_producers);
    add_number(out, "current-workers", s->current_workers);
    add_number(out, "current-waiting", s->current_waiting);
    add_number(out, "total-connections", s->total_connections);
    add_process(out, s);
}

void bs_yaml_stats_tube(struct cb_buf *out, const struct bs_stats_tube *s)
{
    begin(out);
    add_quoted(out, "name", s->name);
    add_number(out, "current-jobs-urgent", s->current_jobs_urgent);
    add_number(out, "current-jobs-ready", s->current_jobs_ready);
    add_number(out, "current-jobs-reserved", s->current_jobs_reserved);
    add_number(out, "current-jobs-delayed", s->current_jobs_delayed);
    add_number(out, "current-jobs-buried", s->current_jobs_buried);
    add_number(out, "total-jobs", s->total_jobs);
    add_number(out, "current-using", s->current_using);
    add_number(out, "current-watching", s->current_watching);
    add_number(out, "current-waiting", s->current_waiting);
    add_number(out, "cmd-delete", s->cmd_delete);
    add_number(out, "cmd-pause-tube", s->cmd_pause_tube);
    add_number(out, "pause", s->pause_s);
    add_number(out, "pause-time-left", s->pause_time_left_s);
}

static const char *state_name(enum bs_job_state state)
{
    switch (state) {
    case BS_JOB_READY:
        return "ready";
    case BS_JOB_DELAYED:
        return "delayed";
    case BS_JOB_RESERVED:
        return "reserved";
    case BS_JOB_BURIED:
        return "buried";
    }
    CB_UNREACHABLE("job state");
}

void bs_yaml_stats_job(struct cb_buf *out, const struct bs_stats_job *s)
{
    begin(out);
    add_number(out, "id", s->id);
    add_quoted(out, "tube", s->tube);
    add_plain(out, "state", state_name(s->state));
    add_number(out, "pri", s->pri);
    add_number(out, "age", s->age_s);
    add_number(out, "delay", s->delay_s);
    add_number(out, "ttr", s->ttr_s);
    add_number(out, "time-left", s->time_left_s);
    add_number(out, "file", s->file);
    add_number(out, "reserves", s->reserves);
    add_number(out, "timeouts", s->timeouts);
    add_number(out, "releases", s->releases);
    add_number(out, "buries", s->buries);
    add_number(out, "kicks", s->kicks);
}

void bs_yaml_list_begin(struct cb_buf *out)
{
    begin(out);
}

void bs_yaml_list_add(struct cb_buf *out, struct cb_span tube)
{
    cb_buf_append(out, "- ", 2);
    cb_buf_append(out, tube.ptr, tube.len);
    cb_buf_append(out, "\n", 1);
}
