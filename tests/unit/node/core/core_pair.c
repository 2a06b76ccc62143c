#include "unit/node/core/core_pair.h"

char core_pair_calls[8];

int core_pair_init(void **state)
{
    static struct core_pair two;
    core_rig_init(&two.leader);
    core_rig_init(&two.follower);
    core_rig_crash(&two.follower);
    two.follower.n_others = 2;
    core_rig_boot(&two.follower);
    *state = &two;
    return 0;
}

int core_pair_fini(void **state)
{
    struct core_pair *t = *state;
    core_rig_fini(&t->leader);
    core_rig_fini(&t->follower);
    return 0;
}

void core_pair_store(struct core_rig *r)
{
    r->events.want_durable(r->events.data, r->index);
    core_turn(r->core);
    core_rig_store(r);
    assert_int_equal(core_durable(r->core)->index, r->index);
}

/* The leader has some jobs, and the follower an entry that makes another state. */
void core_pair_fill(struct core_pair *t)
{
    core_rig_open_session(&t->leader);
    for (unsigned i = 0; i < JOBS; i++) {
        core_rig_put(&t->leader, JOB_SIZE + i);
    }
    core_pair_store(&t->leader);
    core_rig_open_session(&t->follower);
    core_pair_store(&t->follower);
    core_rig_role(&t->follower, REPLICA_FOLLOWER);
}

struct replica_mark core_pair_mark(const struct core_rig *r)
{
    return (struct replica_mark){r->index, RIG_TERM};
}

void core_pair_start(struct core_pair *t)
{
    struct core_rig *f = &t->follower;
    f->events.install_state(f->events.data, core_pair_mark(&t->leader), t->leader.index);
}

void core_pair_ask(struct core_rig *r, uint64_t from, const struct core_state_ask *ask, void *call)
{
    core_state_asked(r->core, from, ask, call);
    assert_int_equal(r->replica.state_asked_by, from);
}

/* The follower's question to the leader and its answer back. */
void core_pair_carry_one(struct core_pair *t)
{
    struct core_rig *l = &t->leader;
    core_pair_ask(l, FOLLOWER, &t->follower.asked, CALL(0));
    while (l->n_answers == 0) {
        core_rig_work(l);
    }
    struct rig_answer a = core_rig_answer(l);
    core_rig_came(&t->follower, &a);
    cb_buf_fini(&a.bytes);
}

/* Until the follower has the whole state. Returns how many parts that took. */
unsigned core_pair_carry(struct core_pair *t)
{
    struct core_rig *f = &t->follower;
    unsigned parts = 0;
    while (f->replica.installs == 0) {
        if (f->asks_state) {
            core_pair_carry_one(t);
            parts++;
        } else {
            core_rig_work(f);
        }
    }
    return parts;
}

void core_pair_install(struct core_pair *t)
{
    core_pair_start(t);
    assert_in_range(core_pair_carry(t), 4, 10);
    t->follower.events.installed(t->follower.events.data, core_pair_mark(&t->leader));
    core_rig_work(&t->follower); /* the old machine */
}
