#include "common/base/cb_assert.h"
#include "sim/sim_client_internal.h"

#define MS(n) ((n) * (uint32_t)CB_NS_PER_MS)

/* clang-format off */
static const struct sim_client_profile profiles[] = {
    { /* A worker: reserves, works, finishes; one command at a time. */
        .think_ns_max = MS(40), .depth_max = 1, .tubes = 4,
        .weight_put = 100, .weight_reserve = 450, .weight_finish = 420,
        .weight_look = 5, .weight_kick = 10, .weight_tubes = 30,
        .weight_nonsense = 2, .weight_leave = 4,
        .body_max = 300, .ttr_max_s = 40, .delay_max_s = 3,
        .delayed = 100, .with_timeout = 600, .reserve_job = 20, .priorities = 4,
        .guessed = 60,
    },
    { /* A producer. */
        .think_ns_max = MS(60), .depth_max = 4, .tubes = 4,
        .weight_put = 880, .weight_reserve = 20, .weight_finish = 20,
        .weight_look = 20, .weight_kick = 20, .weight_tubes = 50,
        .weight_nonsense = 3, .weight_leave = 4,
        .body_max = 2000, .ttr_max_s = 40, .delay_max_s = 5,
        .delayed = 250, .with_timeout = 1000, .reserve_job = 0, .priorities = 8,
        .guessed = 60,
    },
    { /* Everything at once, deep in the pipeline. */
        .think_ns_max = MS(150), .depth_max = 32, .tubes = 6,
        .weight_put = 250, .weight_reserve = 200, .weight_finish = 200,
        .weight_look = 100, .weight_kick = 100, .weight_tubes = 100,
        .weight_nonsense = 30, .weight_leave = 6,
        .body_max = 4000, .ttr_max_s = 5, .delay_max_s = 3,
        .delayed = 300, .with_timeout = 900, .reserve_job = 200, .priorities = 8,
        .guessed = 60,
    },
    { /* One who looks, and kicks what lies about. */
        .think_ns_max = MS(80), .depth_max = 8, .tubes = 6,
        .weight_put = 50, .weight_reserve = 20, .weight_finish = 20,
        .weight_look = 550, .weight_kick = 200, .weight_tubes = 140,
        .weight_nonsense = 15, .weight_leave = 5,
        .body_max = 300, .ttr_max_s = 10, .delay_max_s = 2,
        .delayed = 100, .with_timeout = 1000, .reserve_job = 500, .priorities = 4,
        .guessed = 60,
    },
    { /* One who holds jobs for long, often for too long. */
        .think_ns_max = MS(700), .depth_max = 2, .tubes = 3,
        .weight_put = 150, .weight_reserve = 450, .weight_finish = 200,
        .weight_look = 50, .weight_kick = 20, .weight_tubes = 30,
        .weight_nonsense = 5, .weight_leave = 10,
        .body_max = 300, .ttr_max_s = 6, .delay_max_s = 5,
        .delayed = 100, .with_timeout = 700, .reserve_job = 50, .priorities = 3,
        .guessed = 60,
    },
    { /* Large bodies, and some that are too large. */
        .think_ns_max = MS(400), .depth_max = 4, .tubes = 4,
        .weight_put = 350, .weight_reserve = 250, .weight_finish = 250,
        .weight_look = 80, .weight_kick = 10, .weight_tubes = 20,
        .weight_nonsense = 20, .weight_leave = 6,
        .body_max = SC_JOB_SIZE, .ttr_max_s = 10, .delay_max_s = 2,
        .delayed = 100, .with_timeout = 900, .reserve_job = 100, .priorities = 4,
        .guessed = 60, .too_big = true,
    },
    { /* A single busy tube. */
        .think_ns_max = MS(60), .depth_max = 6, .tubes = 1,
        .weight_put = 300, .weight_reserve = 300, .weight_finish = 320,
        .weight_look = 30, .weight_kick = 30, .weight_tubes = 5,
        .weight_nonsense = 5, .weight_leave = 5,
        .body_max = 200, .ttr_max_s = 4, .delay_max_s = 2,
        .delayed = 150, .with_timeout = 500, .reserve_job = 30, .priorities = 6,
        .guessed = 60,
    },
    { /* Many tubes that come and go. */
        .think_ns_max = MS(80), .depth_max = 16, .tubes = SC_TUBES_MAX,
        .weight_put = 200, .weight_reserve = 150, .weight_finish = 150,
        .weight_look = 100, .weight_kick = 70, .weight_tubes = 330,
        .weight_nonsense = 5, .weight_leave = 8,
        .body_max = 300, .ttr_max_s = 5, .delay_max_s = 2,
        .delayed = 150, .with_timeout = 950, .reserve_job = 100, .priorities = 4,
        .guessed = 60,
    },
};
/* clang-format on */

const uint32_t sim_client_profile_count = sizeof profiles / sizeof profiles[0];

const struct sim_client_profile *sim_client_profile(uint32_t number)
{
    CB_ASSERT(number < sim_client_profile_count);
    return &profiles[number];
}
