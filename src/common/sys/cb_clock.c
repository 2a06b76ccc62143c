#include "common/sys/cb_clock.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_limits.h"

static uint64_t now_ns(clockid_t id)
{
    struct timespec ts;
    if (clock_gettime(id, &ts) != 0) {
        cb_die("the kernel does not offer clock %d (%s); coolbeans needs Linux 2.6.39 or later",
               (int)id, strerror(errno));
    }
    return (uint64_t)ts.tv_sec * CB_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t system_boottime_ns(void *ctx)
{
    (void)ctx;
    return now_ns(CLOCK_BOOTTIME);
}

static uint64_t system_monotonic_ns(void *ctx)
{
    (void)ctx;
    return now_ns(CLOCK_MONOTONIC);
}

static uint64_t system_wall_ns(void *ctx)
{
    (void)ctx;
    return now_ns(CLOCK_REALTIME);
}

const struct cb_clock *cb_clock_system(void)
{
    static const struct cb_clock system_clock = {
        .boottime_ns = system_boottime_ns,
        .monotonic_ns = system_monotonic_ns,
        .wall_ns = system_wall_ns,
        .ctx = NULL,
    };
    return &system_clock;
}
