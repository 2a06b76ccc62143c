/* Writes the bodies of stats, stats-tube, stats-job and the list commands; bs_reply_ok frames them.
 *
 * Owns:     nothing; strings and names are borrowed for the call.
 * Does not: read a clock or ask the system: every value is handed in.
 * Threads:  one per buffer.
 * Errors:   none.
 * Source:   beanstalkd 1.13, prot.c: the keys, their order, what is quoted and what is not.
 *
 * Times are whole seconds, rounded down by the caller, who knows the clock. */
#ifndef CB_PROXY_PROTOCOL_BS_YAML_H
#define CB_PROXY_PROTOCOL_BS_YAML_H

#include "common/base/cb_buf.h"
#include "proxy/protocol/bs_word.h"

/* What clients see as the version of beanstalkd; some parse it, so it is a plain number. */
#define BS_VERSION "1.13"

struct bs_stats {
    /* Jobs of all tubes; urgent ones are ready with a priority under 1024. */
    uint64_t current_jobs_urgent;
    uint64_t current_jobs_ready;
    uint64_t current_jobs_reserved;
    uint64_t current_jobs_delayed;
    uint64_t current_jobs_buried;
    uint64_t commands[BS_COUNTER_COUNT]; /* commands so far, this stats included */
    uint64_t job_timeouts;               /* jobs whose ttr ran out */
    uint64_t total_jobs;                 /* jobs ever put */
    uint64_t max_job_size;               /* bytes */
    uint64_t current_tubes;
    uint64_t current_connections; /* the one that asks included */
    uint64_t current_producers;   /* connections that have put */
    uint64_t current_workers;     /* connections that have reserved */
    uint64_t current_waiting;     /* connections in a reserve */
    uint64_t total_connections;
    uint64_t pid;
    uint64_t rusage_utime_us; /* microseconds */
    uint64_t rusage_stime_us; /* microseconds */
    uint64_t uptime_s;
    uint64_t binlog_oldest_index;
    uint64_t binlog_current_index;
    uint64_t binlog_records_migrated;
    uint64_t binlog_records_written;
    uint64_t binlog_max_size; /* bytes */
    bool draining;
    const char *id;       /* 16 hexadecimal digits */
    const char *hostname; /* uname's nodename */
    const char *os;       /* uname's version */
    const char *platform; /* uname's machine */
};

struct bs_stats_tube {
    struct cb_span name;
    uint64_t current_jobs_urgent;
    uint64_t current_jobs_ready;
    uint64_t current_jobs_reserved;
    uint64_t current_jobs_delayed;
    uint64_t current_jobs_buried;
    uint64_t total_jobs;
    uint64_t current_using;    /* connections */
    uint64_t current_watching; /* connections */
    uint64_t current_waiting;  /* connections */
    uint64_t cmd_delete;       /* jobs deleted */
    uint64_t cmd_pause_tube;
    uint64_t pause_s;           /* as asked for; 0 when not paused */
    uint64_t pause_time_left_s; /* 0 when not paused */
};

enum bs_job_state {
    BS_JOB_READY,
    BS_JOB_DELAYED,
    BS_JOB_RESERVED,
    BS_JOB_BURIED,
};

struct bs_stats_job {
    uint64_t id;
    struct cb_span tube;
    enum bs_job_state state;
    uint32_t pri;
    uint64_t age_s;       /* since the put line */
    uint64_t delay_s;     /* as last given, also when the job is no longer delayed */
    uint64_t ttr_s;       /* as given */
    uint64_t time_left_s; /* delayed: until ready; reserved: until the ttr ends; else 0 */
    uint64_t file;        /* 0: there are no files to count */
    uint64_t reserves;
    uint64_t timeouts;
    uint64_t releases;
    uint64_t buries;
    uint64_t kicks;
};

void bs_yaml_stats(struct cb_buf *out, const struct bs_stats *stats);
void bs_yaml_stats_tube(struct cb_buf *out, const struct bs_stats_tube *stats);
void bs_yaml_stats_job(struct cb_buf *out, const struct bs_stats_job *stats);

/* list-tubes, list-tubes-watched: the head once, then each tube in order. */
void bs_yaml_list_begin(struct cb_buf *out);
void bs_yaml_list_add(struct cb_buf *out, struct cb_span tube);

#endif
