/* Proves, for random orders of requests, applies, broken streams, full disks and lost leaders:
 * every request of a proxy that follows the protocol takes effect exactly once, every result
 * reaches it exactly once and in order, and every read is answered with at least what it follows.
 * The seed is printed; give it as the first argument to have a run again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/cb_rng.h"
#include "support/seed.h"
#include "unit/node/proposer/desk.h"

#define N_PROXIES 3
#define N_REQUESTS 60 /* of each proxy; all but the first are puts */
#define N_RUNS 150

/* What a proxy knows; it survives streams and leaders. */
struct proxy {
    char name[8];
    struct desk_stream stream;
    bool is_open;     /* a stream is there */
    bool is_attached; /* Attached has come on it */
    unsigned n_read;  /* messages of the stream looked at */
    uint64_t session;
    uint64_t seen;      /* results received */
    uint64_t made;      /* requests made */
    uint64_t next_send; /* next number to be sent on this stream */
    uint64_t applied;
    uint64_t read;       /* the one that is asked, 0: none */
    uint64_t read_after; /* puts that it must see */
};

static struct desk d;
static struct cb_rng rng;
static struct proxy proxies[N_PROXIES];
static uint64_t term;
static uint64_t first_seed;

static void drop_stream(struct proxy *p)
{
    desk_close(&d, &p->stream);
    p->is_open = false;
    p->is_attached = false;
    p->read = 0;
}

static void take_attached(struct proxy *p, const struct wire_attached *a)
{
    assert_true(p->session == 0 || p->session == a->session);
    assert_true(a->last_request >= p->applied && a->last_request <= p->made);
    p->session = a->session;
    p->is_attached = true;
    p->next_send = a->last_request + 1;
}

static void take_message(struct proxy *p, const struct wire_to_proxy *m)
{
    if (m->has_attached) {
        take_attached(p, &m->attached);
    }
    if (m->expect != 0) {
        p->next_send = m->expect;
    }
    assert_true(m->applied_request >= p->applied);
    p->applied = m->applied_request;
    for (uint32_t i = 0; i < m->n_results; i++) {
        assert_int_equal(m->results[i].number, p->seen + 1);
        assert_int_equal(m->results[i].request, p->seen + 2); /* request 1 has no answer */
        assert_int_equal(m->results[i].outcome, WIRE_INSERTED);
        p->seen++;
    }
    for (uint32_t i = 0; i < m->n_reads; i++) {
        assert_int_equal(m->reads[i].read, p->read);
        if (!m->reads[i].again) {
            assert_true(m->reads[i].stats.all.total_jobs >= p->read_after);
        }
        p->read = 0;
    }
}

static void look(struct proxy *p)
{
    while (p->n_read < p->stream.n_got) {
        take_message(p, &p->stream.got[p->n_read++].m);
    }
    if (p->is_open && p->stream.has_ended) {
        assert_int_not_equal(p->stream.why, PROPOSER_END_INVALID);
        assert_int_not_equal(p->stream.why, PROPOSER_END_SUPERSEDED);
        drop_stream(p);
    }
}

static void look_all(void)
{
    for (unsigned i = 0; i < N_PROXIES; i++) {
        look(&proxies[i]);
    }
}

static void attach(struct proxy *p)
{
    desk_attach(&d, &p->stream, p->name, 1, p->session, p->seen);
    p->is_open = true;
    p->n_read = 0;
}

/* Up to five requests from where the stream stands, now and then with one left out, and a read. */
static void talk(struct proxy *p)
{
    struct wire_request requests[5];
    struct wire_read read;
    struct wire_to_node m = {.acked_result = cb_rng_chance(&rng, 1, 2) ? p->seen : 0,
                             .resent = cb_rng_chance(&rng, 1, 4)};
    if (cb_rng_chance(&rng, 1, 20)) {
        p->next_send++;
    }
    uint64_t n = 1 + cb_rng_below(&rng, 5);
    for (uint64_t i = 0; i < n && p->next_send <= N_REQUESTS; i++) {
        uint64_t number = p->next_send++;
        requests[i] = (struct wire_request){.number = number, .conn = 1, .ttr = 1};
        requests[i].op = number == 1 ? WIRE_OP_CONN_OPEN : WIRE_OP_PUT;
        requests[i].body = number == 1 ? CB_SPAN_NULL : cb_span_str("body");
        requests[i].ttr = number == 1 ? 0 : 1;
        m.n_requests++;
        p->made = number > p->made ? number : p->made;
    }
    m.requests = requests;
    if (p->read == 0 && p->applied > 0 && cb_rng_chance(&rng, 1, 4)) {
        p->read = d.boot_ns; /* any number of its own */
        p->read_after = 0;
        for (unsigned i = 0; i < N_PROXIES; i++) {
            p->read_after += proxies[i].seen; /* what any client was told is there */
        }
        read = (struct wire_read){
            .read = p->read, .conn = 1, .kind = WIRE_READ_STATS, .after = p->applied};
        m.reads = &read;
        m.n_reads = 1;
    }
    desk_send(&d, &p->stream, &m);
}

static void lose_the_leader(void)
{
    if (cb_rng_chance(&rng, 1, 2)) {
        proposer_role(d.p, false, ++term, "");
        while (cb_rng_chance(&rng, 1, 2) && d.n_applied < d.n_log) {
            desk_apply(&d); /* the next leader has some of what was in flight */
        }
        look_all();
    }
    for (unsigned i = 0; i < N_PROXIES; i++) {
        if (proxies[i].is_open) {
            drop_stream(&proxies[i]);
        }
    }
    desk_restart(&d);
    proposer_role(d.p, true, ++term, "");
    proposer_turn(d.p);
}

static void step(void)
{
    struct proxy *p = &proxies[cb_rng_below(&rng, N_PROXIES)];
    desk_advance(&d, cb_rng_below(&rng, 50 * CB_NS_PER_MS) + 1);
    switch (cb_rng_below(&rng, 100)) {
    case 0:
        lose_the_leader();
        break;
    case 1:
        if (p->is_open) {
            drop_stream(p);
        }
        break;
    case 2:
        d.append_result = PROPOSER_NO_SPACE;
        break;
    case 3:
    case 4:
        d.append_result = PROPOSER_APPENDED;
        break;
    default:
        if (!p->is_open) {
            attach(p);
        } else if (p->is_attached && cb_rng_chance(&rng, 1, 2)) {
            talk(p);
        } else if (d.n_applied < d.n_log) {
            desk_apply(&d);
        }
    }
    look_all();
}

static bool all_done(void)
{
    for (unsigned i = 0; i < N_PROXIES; i++) {
        if (proxies[i].seen < N_REQUESTS - 1) {
            return false;
        }
    }
    return true;
}

static void one_run(uint64_t seed)
{
    cb_rng_init(&rng, seed);
    desk_init(&d);
    term = 1;
    proposer_role(d.p, true, term, "");
    proposer_turn(d.p);
    memset(proxies, 0, sizeof(proxies));
    for (unsigned i = 0; i < N_PROXIES; i++) {
        snprintf(proxies[i].name, sizeof(proxies[i].name), "p%u", i);
    }
    for (unsigned i = 0; !all_done(); i++) {
        if (i == 100000) {
            fail_msg("seed %" PRIu64 " does not come to an end", seed);
        }
        step();
    }
    struct jsm_view v;
    jsm_read_stats(d.machine, &v);
    if (v.total_jobs != N_PROXIES * (N_REQUESTS - 1)) {
        fail_msg("seed %" PRIu64 ": %" PRIu64 " jobs", seed, v.total_jobs);
    }
    for (unsigned i = 0; i < N_PROXIES; i++) {
        drop_stream(&proxies[i]);
    }
    desk_fini(&d);
}

static void exactly_once(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < N_RUNS; i++) {
        one_run(first_seed + i);
    }
}

int main(int argc, char **argv)
{
    first_seed = seed_of_test(argc, argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(exactly_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
