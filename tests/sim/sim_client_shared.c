#include "common/base/cb_assert.h"
#include "common/base/cb_mem.h"
#include "sim/sim_client_internal.h"

#include <stdio.h>

/* Names of every kind that the protocol allows: the default, one with each kind of letter, one of
 * the greatest length; the rest are plain. */
static void name_tubes(struct sim_client_shared *s)
{
    for (uint32_t i = 0; i < SC_TUBES_MAX; i++) {
        (void)snprintf(s->tube_names[i], sizeof s->tube_names[i], "tube-%u", i);
    }
    memcpy(s->tube_names[0], "default", sizeof "default");
    memcpy(s->tube_names[2], "aZ09-+/;.$_()", sizeof "aZ09-+/;.$_()");
    memset(s->tube_names[3], 'n', CB_TUBE_NAME_MAX);
    s->tube_names[3][CB_TUBE_NAME_MAX] = '\0';
}

struct sim_client_shared *sim_client_shared_create(struct history *h)
{
    struct sim_client_shared *s = cb_calloc(1, sizeof *s);
    s->history = h;
    name_tubes(s);
    (void)sc_tube_number(s, 0);
    return s;
}

void sim_client_shared_destroy(struct sim_client_shared *s)
{
    cb_free(s);
}

const char *sc_tube_name(const struct sim_client_shared *s, uint16_t tube)
{
    CB_ASSERT(tube < SC_TUBES_MAX);
    return s->tube_names[tube];
}

uint32_t sc_tube_number(struct sim_client_shared *s, uint16_t tube)
{
    if (!s->tube_named[tube]) {
        s->tube_named[tube] = true;
        s->tube_numbers[tube] = history_tube(s->history, sc_tube_name(s, tube));
    }
    return s->tube_numbers[tube];
}

uint16_t sc_tube_find(const struct sim_client_shared *s, struct cb_span name)
{
    uint16_t i = 0;
    while (i < SC_TUBES_MAX && !cb_span_eq(name, cb_span_str(s->tube_names[i]))) {
        i++;
    }
    return i;
}

void sc_saw(struct sim_client_shared *s, uint64_t id)
{
    s->seen[s->seen_next] = id;
    s->seen_next = (s->seen_next + 1) % SC_SEEN_MAX;
    if (s->seen_len < SC_SEEN_MAX) {
        s->seen_len++;
    }
    if (id > s->newest_id) {
        s->newest_id = id;
    }
}

void sc_learn_ttr(struct sim_client_shared *s, uint64_t id, uint32_t ttr_s)
{
    s->known[id % SC_KNOWN_MAX] = (struct sc_known){id, ttr_s};
}

uint32_t sc_ttr_of(const struct sim_client_shared *s, uint64_t id)
{
    const struct sc_known *k = &s->known[id % SC_KNOWN_MAX];
    return k->id == id && id != 0 ? k->ttr_s : 1;
}

/* Half of the time one of the last few: they are likely to be there still. */
static uint64_t pick_seen(const struct sim_client_shared *s, struct cb_rng *r)
{
    uint64_t back = cb_rng_below(r, s->seen_len);
    if (cb_rng_chance(r, 1, 2)) {
        back %= 16;
    }
    return s->seen[(s->seen_next + SC_SEEN_MAX - 1 - back) % SC_SEEN_MAX];
}

uint64_t sc_pick_id(const struct sim_client_shared *s, struct cb_rng *r, uint32_t guessed)
{
    if (cb_rng_chance(r, guessed, 1000)) {
        return s->newest_id + 1 + cb_rng_below(r, 4);
    }
    if (cb_rng_chance(r, 1, 32) || s->seen_len == 0) {
        return cb_rng_chance(r, 1, 2) ? 0 : UINT64_MAX;
    }
    return pick_seen(s, r);
}
