/* What operators and `stats` learn about this process. */
#include <inttypes.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/cb_limits.h"
#include "common/sys/cb_log.h"
#include "proxy/proxy_internal.h"

/* An election is over in less; a longer time without a leader is worth a line. */
#define DETACHED_PATIENCE_NS (5 * CB_NS_PER_S)
/* What beanstalkd says without a log of its own. */
#define BINLOG_MAX_SIZE 10485760

static void attached(struct proxy *p, const char *node, uint64_t session)
{
    p->detached_ns = 0;
    p->told_detached = false;
    cb_log(CB_LOG_INFO, "upstream.attached", "node=%s session=%" PRIu64, node, session);
}

static void ended(struct proxy *p, const char *node, bool was_attached, const char *text)
{
    uint64_t now = cb_clock_boottime_ns(p->clock);
    cb_log(was_attached ? CB_LOG_WARN : CB_LOG_DEBUG, "upstream.ended", "node=%s reason=\"%s\"",
           node, text);
    if (p->detached_ns == 0) {
        p->detached_ns = now;
    }
    if (!p->told_detached && now - p->detached_ns > DETACHED_PATIENCE_NS) {
        p->told_detached = true;
        cb_log(CB_LOG_WARN, "upstream.no_leader", "node=%s reason=\"%s\" effect=\"clients wait\"",
               node, text);
    }
}

void proxy_note(void *ctx, enum engine_note note, uint32_t node, uint64_t number, const char *text)
{
    struct proxy *p = ctx;
    const char *name = engine_node_address(p->engine, node);
    switch (note) {
    case ENGINE_NOTE_ATTACHED:
        attached(p, name, number);
        break;
    case ENGINE_NOTE_STREAM_ENDED:
        ended(p, name, number != 0, text);
        break;
    case ENGINE_NOTE_STREAM_SILENT:
        ended(p, name, true, "does not answer");
        break;
    case ENGINE_NOTE_STREAM_LEFT:
        cb_log(CB_LOG_INFO, "upstream.left", "node=%s reason=\"another one leads\" term=%" PRIu64,
               name, number);
        break;
    case ENGINE_NOTE_BAD_MESSAGE:
        cb_log(CB_LOG_ERROR, "upstream.bad_message",
               "node=%s effect=\"its stream was closed\" hint=\"do node and proxy fit?\"", name);
        break;
    case ENGINE_NOTE_FENCED:
        cb_log(CB_LOG_ERROR, "proxy.fenced",
               "clients=%" PRIu64 " reason=\"no word from a leader within the lease\" "
               "effect=\"their connections were closed\"",
               number);
        break;
    case ENGINE_NOTE_SESSION_LOST:
        cb_log(CB_LOG_ERROR, "proxy.session_lost",
               "clients=%" PRIu64 " reason=\"the cluster had given this proxy up\" "
               "effect=\"their connections were closed\"",
               number);
        break;
    }
}

static uint64_t microseconds(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

void proxy_facts(void *ctx, struct bs_stats *out)
{
    struct proxy *p = ctx;
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_SELF, &usage); /* cannot fail for SELF */
    out->pid = (uint64_t)getpid();
    out->rusage_utime_us = microseconds(usage.ru_utime);
    out->rusage_stime_us = microseconds(usage.ru_stime);
    out->uptime_s = (cb_clock_boottime_ns(p->clock) - p->started_ns) / CB_NS_PER_S;
    out->binlog_max_size = BINLOG_MAX_SIZE;
    out->id = p->id;
    out->hostname = p->uname.nodename;
    out->os = p->uname.version;
    out->platform = p->uname.machine;
}
