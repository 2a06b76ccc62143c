/* What calls between nodes have in common, each of which gRPC would send by itself. */
#include "sim/sim.h"

bool sim_call_is_lost(struct sim *s, const struct sim_node *from, const struct sim_node *to)
{
    return sim_link_is_cut(s, (unsigned)from->id, (unsigned)to->id) ||
           sim_between(s, 0, 999) < fake_world_net(s->world)->lost;
}

uint64_t sim_call_arrival_ns(struct sim *s)
{
    const struct fake_net_faults *net = fake_world_net(s->world);
    bool is_late = sim_between(s, 0, 999) < net->late;
    uint64_t ns = sim_between(s, net->min_ns, net->max_ns);
    return sim_now(s) + ns + (is_late ? sim_between(s, 0, net->late_max_ns) : 0);
}
