/* The three clocks of a process, behind pointers so that a test or a simulation can hand in its
 * own.
 *
 * Boot time goes on while the machine is suspended: leases and the cluster's clock use it (design
 * D2, D3). Monotonic time does not: it is for measuring work. Wall time may step in either
 * direction: it is for log lines, and for the one case of D2 where no peer knows the time.
 * Owns:      nothing.
 * Threads:   any, when the functions behind it allow any (the system's do).
 * Errors:    none; a kernel without these clocks ends the process. */
#ifndef CB_COMMON_SYS_CB_CLOCK_H
#define CB_COMMON_SYS_CB_CLOCK_H

#include <stdint.h>

struct cb_clock {
    uint64_t (*boottime_ns)(void *ctx);
    uint64_t (*monotonic_ns)(void *ctx);
    uint64_t (*wall_ns)(void *ctx); /* since 1970-01-01 UTC */
    void *ctx;
};

/* The kernel's clocks. Lives as long as the process. */
const struct cb_clock *cb_clock_system(void);

static inline uint64_t cb_clock_boottime_ns(const struct cb_clock *c)
{
    return c->boottime_ns(c->ctx);
}

static inline uint64_t cb_clock_monotonic_ns(const struct cb_clock *c)
{
    return c->monotonic_ns(c->ctx);
}

static inline uint64_t cb_clock_wall_ns(const struct cb_clock *c)
{
    return c->wall_ns(c->ctx);
}

#endif
