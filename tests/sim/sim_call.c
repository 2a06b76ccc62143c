/* What calls between nodes have in common, each of which gRPC would send by itself. */
#include "common/base/cb_mem.h"
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

/* ---- a question that is answered in time, or not ---- */

struct call {
    const struct sim_method *method;
    struct sim_node *from, *to;
    uint64_t number;     /* of the asker, by `to` */
    struct cb_buf bytes; /* of the answer */
};

static struct call *make_call(const struct call *k)
{
    return cb_memdup(k, sizeof *k);
}

static void drop_call(void *arg)
{
    struct call *k = arg;
    cb_buf_fini(&k->bytes);
    cb_free(k);
}

/* The answer, or that there is none: what comes first counts. */
static void ends(const struct call *k, struct cb_span answer)
{
    struct sim_node *n = k->from;
    uint64_t *number = &n->calls[k->method->kind][k->to->id];
    if (n->core != NULL && n->is_started && *number == k->number) {
        ++*number;
        k->method->take(n, k->to->id, answer);
    }
}

static void on_answer(void *arg)
{
    struct call *k = arg;
    struct call here = *k; /* a process that ends leaves no time to free it */
    cb_free(k);
    uint8_t bytes[SIM_ANSWER_MAX];
    size_t len = cb_buf_len(&here.bytes);
    CB_ASSERT(len > 0 && len <= sizeof bytes);
    memcpy(bytes, cb_buf_span(&here.bytes).ptr, len);
    cb_buf_fini(&here.bytes);
    ends(&here, cb_span(bytes, len));
}

static void on_deadline(void *arg)
{
    struct call k = *(struct call *)arg;
    drop_call(arg);
    ends(&k, CB_SPAN_NULL);
}

static void on_asked(void *arg)
{
    struct call *k = arg;
    struct sim *s = k->to->sim;
    if (k->to->core == NULL || sim_call_is_lost(s, k->to, k->from)) {
        drop_call(k);
        return;
    }
    k->method->tell(k->to, &k->bytes);
    fake_at(&k->from->fake->process, sim_call_arrival_ns(s), on_answer, drop_call, k);
}

void sim_call_ask(struct sim_node *n, uint64_t id, const struct sim_method *method)
{
    struct sim *s = n->sim;
    struct call k = {.method = method,
                     .from = n,
                     .to = &s->nodes[id],
                     .number = n->calls[method->kind][id],
                     .bytes = CB_BUF_NULL};
    fake_at(&n->fake->process, sim_now(s) + method->late_ns, on_deadline, drop_call, make_call(&k));
    if (sim_node_is_up(k.to) && !sim_call_is_lost(s, k.from, k.to)) {
        fake_at(&k.to->fake->process, sim_call_arrival_ns(s), on_asked, drop_call, make_call(&k));
    }
}
