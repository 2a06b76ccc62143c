/* A stream of a proxy to a node, as gRPC gives it: whole messages in order, one at a time in the
 * hands of the sender, flow control, and an end that either side learns of in its own time. Between
 * the two lies a network that stops, delays and resets. */
#include <stdio.h>
#include <string.h>

#include "common/base/cb_mem.h"
#include "sim/sim.h"

#define IN_FLIGHT_MAX 4 /* messages that the transport takes before the receiver has read */
#define WRITE_MAX_NS 100000
#define TEXT_MAX 400

enum frame_kind { FRAME_OPEN, FRAME_MESSAGE, FRAME_END };

struct frame {
    struct cb_list link;
    enum frame_kind kind;
    uint64_t at_ns; /* when it arrives, if nothing stops it */
    struct cb_buf bytes;
    char text[TEXT_MAX]; /* of an end */
    char leader[32];
};

/* One way. */
struct lane {
    struct cb_list frames;
    unsigned n_messages;
    uint64_t last_ns;
    bool pump_is_due;
    bool sender_waits; /* for the room that flow control gives */
    bool is_writing;   /* a message is in the sender's hands */
    bool is_broken;    /* what is sent from now on goes nowhere */
};

struct sim_stream {
    struct cb_list link;    /* in sim.streams */
    struct cb_list at_node; /* in node.streams, while the node knows it */
    struct sim *sim;
    struct sim_proxy *proxy; /* NULL: it has left */
    struct sim_node *node;
    unsigned proxy_place, node_place;
    struct proposer_stream *st; /* NULL: the proposer does not know it, or not any more */
    bool node_has_it;           /* the process that took it still runs */
    bool node_is_reading;
    bool is_ended; /* by the node: nothing more goes down */
    struct lane up, down;
    struct cb_list lost; /* frames: sent after it broke */
    struct sim_reads reads;
    bool omits_request; /* the next message that has requests loses one */
    unsigned events;    /* that name it */
};

/* ---- memory: a stream goes when no side and no event knows it ---- */

static void frame_free(struct frame *f)
{
    cb_list_remove(&f->link);
    cb_buf_fini(&f->bytes);
    cb_free(f);
}

static void frames_free(struct cb_list *frames)
{
    struct cb_list *f;
    while ((f = cb_list_first(frames)) != NULL) {
        frame_free(CB_CONTAINER(f, struct frame, link));
    }
}

static void lane_clear(struct lane *l)
{
    frames_free(&l->frames);
    l->n_messages = 0;
}

static void release(struct sim_stream *st)
{
    if (st->proxy != NULL || st->node_has_it || st->events > 0) {
        return;
    }
    frames_free(&st->lost);
    sim_reads_fini(&st->reads);
    lane_clear(&st->up);
    lane_clear(&st->down);
    cb_list_remove(&st->link);
    cb_list_remove(&st->at_node);
    cb_free(st);
}

static void later(struct sim_stream *st, uint64_t at_ns, void (*run)(void *))
{
    st->events++;
    sim_at(st->sim, at_ns, run, st);
}

/* ---- what the sides are told ---- */

static void node_forgets(struct sim_stream *st)
{
    if (st->st != NULL) {
        struct proposer_stream *p = st->st;
        st->st = NULL;
        if (sim_node_is_up(st->node)) {
            proposer_stream_closed(core_proposer(st->node->core), p);
        }
    }
    st->node_has_it = false;
    cb_list_remove(&st->at_node);
    lane_clear(&st->up);
}

static void proxy_is_told(struct sim_stream *st, const char *text, const char *leader)
{
    struct sim_proxy *p = st->proxy;
    if (p != NULL) {
        st->proxy = NULL;
        lane_clear(&st->down);
        sim_proxy_stream_closed(p, st, text, leader);
    }
}

static void on_told_dropped(void *arg)
{
    struct sim_stream *st = arg;
    st->events--;
    release(st);
}

static void on_proxy_hears_of_loss(void *arg)
{
    struct sim_stream *st = arg;
    st->events--;
    proxy_is_told(st, "connection lost", NULL);
    release(st);
}

static void tell_proxy_later(struct sim_stream *st, uint64_t in_ns)
{
    if (st->proxy != NULL) {
        st->events++;
        fake_at(&st->proxy->process, sim_now(st->sim) + in_ns, on_proxy_hears_of_loss,
                on_told_dropped, st);
    }
}

/* ---- frames on their way ---- */

static void pump(struct sim_stream *st, struct lane *l);

static void on_pump_up(void *arg)
{
    struct sim_stream *st = arg;
    st->events--;
    st->up.pump_is_due = false;
    pump(st, &st->up);
    release(st);
}

static void on_pump_down(void *arg)
{
    struct sim_stream *st = arg;
    st->events--;
    st->down.pump_is_due = false;
    pump(st, &st->down);
    release(st);
}

static void schedule_pump(struct sim_stream *st, struct lane *l)
{
    struct cb_list *first = cb_list_first(&l->frames);
    if (first != NULL && !l->pump_is_due) {
        uint64_t at = CB_CONTAINER(first, struct frame, link)->at_ns;
        l->pump_is_due = true;
        later(st, at > sim_now(st->sim) ? at : sim_now(st->sim),
              l == &st->up ? on_pump_up : on_pump_down);
    }
}

static bool is_stopped(const struct sim_stream *st, const struct lane *l)
{
    return l == &st->up ? sim_link_is_cut(st->sim, st->proxy_place, st->node_place)
                        : sim_link_is_cut(st->sim, st->node_place, st->proxy_place);
}

static void tell_writable(struct sim_stream *st, struct lane *l);

static void on_open(struct sim_stream *st)
{
    struct sim_node *n = st->node;
    if (st->proxy == NULL || !n->is_started) {
        tell_proxy_later(st, sim_latency(st->sim));
        return;
    }
    st->node_has_it = true;
    st->node_is_reading = true;
    cb_list_push_back(&n->streams, &st->at_node);
    st->st = proposer_stream_open(core_proposer(n->core), st);
}

/* As by a proxy that counts wrongly: the stream lacks a number, its messages are all there. Not the
 * last one: nobody could know of it before the next. */
static void omit_request(struct sim_stream *st, struct wire_to_node *m)
{
    if (st->omits_request && m->n_requests > 1) {
        uint32_t at = (uint32_t)sim_between(st->sim, 0, m->n_requests - 2);
        m->n_requests--;
        memmove(&m->requests[at], &m->requests[at + 1],
                (m->n_requests - at) * sizeof m->requests[0]);
        st->omits_request = false;
        st->sim->counters.requests_left_out++;
    }
}

static void up_message(struct sim_stream *st, struct cb_span bytes)
{
    static struct wire_to_node m;
    if (st->st == NULL) {
        return;
    }
    if (wire_to_node_decode(&m, bytes) != WIRE_OK) {
        sim_fail(st->sim, "wire", "a proxy sent what is no message");
    }
    omit_request(st, &m);
    /* Whether it ended the stream is known by st->st: sim_stream_end was called then. */
    (void)proposer_stream_message(core_proposer(st->node->core), st->st, &m);
}

static void deliver(struct sim_stream *st, struct lane *l, struct frame *f)
{
    if (f->kind == FRAME_OPEN) {
        on_open(st);
    } else if (f->kind == FRAME_END) {
        proxy_is_told(st, f->text, f->leader[0] != '\0' ? f->leader : NULL);
    } else if (l == &st->up) {
        up_message(st, cb_buf_span(&f->bytes));
    } else if (st->proxy != NULL) {
        sim_proxy_message(st->proxy, st, cb_buf_span(&f->bytes));
    }
}

/* A frame arrives as an event of the process that it goes to: a process that stands still gets it
 * when it goes on, one that has died never. */
struct arrival {
    struct sim_stream *st;
    struct lane *lane;
    struct frame *frame;
};

static void arrival_end(struct arrival *a)
{
    struct sim_stream *st = a->st;
    frame_free(a->frame);
    cb_free(a);
    st->events--;
    release(st);
}

static void on_arrival(void *arg)
{
    struct arrival *a = arg;
    struct sim_stream *st = a->st;
    bool is_wanted =
        a->lane == &st->up ? a->frame->kind == FRAME_OPEN || st->node_has_it : st->proxy != NULL;
    if (is_wanted) {
        deliver(st, a->lane, a->frame);
    }
    tell_writable(st, a->lane);
    schedule_pump(st, a->lane);
    arrival_end(a);
}

static void on_arrival_dropped(void *arg)
{
    struct arrival *a = arg;
    if (a->frame->kind == FRAME_OPEN) {
        tell_proxy_later(a->st, sim_latency(a->st->sim)); /* nobody listens */
    }
    arrival_end(a);
}

static struct fake_process *receiver(struct sim_stream *st, const struct lane *l)
{
    return l == &st->up ? &st->node->fake->process : &st->proxy->process;
}

static void pump(struct sim_stream *st, struct lane *l)
{
    uint64_t now = sim_now(st->sim);
    while (!cb_list_is_empty(&l->frames)) {
        struct frame *f = CB_CONTAINER(cb_list_first(&l->frames), struct frame, link);
        bool is_held = l == &st->up && f->kind == FRAME_MESSAGE && !st->node_is_reading;
        if (f->at_ns > now || is_stopped(st, l) || is_held) {
            if (f->at_ns > now) {
                schedule_pump(st, l);
            }
            return;
        }
        if (l == &st->down && st->proxy == NULL) {
            lane_clear(l);
            return;
        }
        struct arrival *a = cb_calloc(1, sizeof *a);
        *a = (struct arrival){st, l, f};
        cb_list_remove(&f->link);
        l->n_messages -= f->kind == FRAME_MESSAGE;
        st->events++;
        fake_at(receiver(st, l), now, on_arrival, on_arrival_dropped, a);
    }
}

static struct frame *add_frame(struct sim_stream *st, struct lane *l, enum frame_kind kind)
{
    struct frame *f = cb_calloc(1, sizeof *f);
    uint64_t at = sim_now(st->sim) + sim_latency(st->sim);
    f->kind = kind;
    f->at_ns = at > l->last_ns ? at : l->last_ns;
    l->last_ns = f->at_ns;
    cb_buf_init(&f->bytes);
    cb_list_init(&f->link);
    if (l->is_broken) {
        cb_list_push_back(&st->lost, &f->link);
        return f;
    }
    cb_list_push_back(&l->frames, &f->link);
    l->n_messages += kind == FRAME_MESSAGE;
    schedule_pump(st, l);
    return f;
}

/* ---- flow control ---- */

static void on_node_writable(void *arg)
{
    struct sim_stream *st = arg;
    st->down.is_writing = false;
    st->events--;
    if (st->st != NULL) {
        proposer_stream_writable(core_proposer(st->node->core), st->st);
    }
    release(st);
}

static void on_proxy_writable(void *arg)
{
    struct sim_stream *st = arg;
    st->up.is_writing = false;
    st->events--;
    if (st->proxy != NULL) {
        sim_proxy_writable(st->proxy, st);
    }
    release(st);
}

static void tell_writable(struct sim_stream *st, struct lane *l)
{
    if (!l->sender_waits || l->n_messages >= IN_FLIGHT_MAX) {
        return;
    }
    l->sender_waits = false;
    uint64_t at = sim_now(st->sim) + sim_between(st->sim, 0, WRITE_MAX_NS);
    if (l == &st->up && st->proxy != NULL) {
        st->events++;
        fake_at(&st->proxy->process, at, on_proxy_writable, on_told_dropped, st);
    } else if (l == &st->down && st->node_has_it) {
        st->events++;
        fake_at(&st->node->fake->process, at, on_node_writable, on_told_dropped, st);
    }
}

bool sim_stream_node_can_send(const struct sim_stream *st)
{
    return !st->down.is_writing && !st->is_ended;
}

void sim_stream_down(struct sim_stream *st, const struct wire_to_proxy *m)
{
    CB_ASSERT(sim_stream_node_can_send(st));
    sim_reads_answered(st->node, &st->reads, m);
    struct frame *f = add_frame(st, &st->down, FRAME_MESSAGE);
    wire_to_proxy_encode(m, &f->bytes);
    st->down.is_writing = true;
    st->down.sender_waits = true;
    tell_writable(st, &st->down);
}

void sim_stream_up(struct sim_stream *st, const struct wire_to_node *m)
{
    CB_ASSERT(!st->up.is_writing);
    sim_reads_asked(st->sim, &st->reads, m);
    struct frame *f = add_frame(st, &st->up, FRAME_MESSAGE);
    wire_to_node_encode(m, &f->bytes);
    st->up.is_writing = true;
    st->up.sender_waits = true;
    tell_writable(st, &st->up);
}

void sim_stream_set_reading(struct sim_stream *st, bool on)
{
    st->node_is_reading = on;
    if (on) {
        schedule_pump(st, &st->up);
    }
}

/* ---- begin and end ---- */

void sim_stream_open(struct sim_proxy *p, struct sim_node *n)
{
    struct sim_stream *st = cb_calloc(1, sizeof *st);
    st->sim = p->sim;
    st->proxy = p;
    st->node = n;
    st->proxy_place = sim_place_of_proxy(p);
    st->node_place = (unsigned)n->id;
    cb_list_init(&st->link);
    cb_list_init(&st->at_node);
    cb_list_init(&st->up.frames);
    cb_list_init(&st->down.frames);
    cb_list_init(&st->lost);
    cb_list_push_back(&p->sim->streams, &st->link);
    p->stream = st;
    p->sim->counters.streams++;
    (void)add_frame(st, &st->up, FRAME_OPEN);
    sim_streams_links_changed(p->sim);
}

static void on_node_hears_of_leaving(void *arg)
{
    struct sim_stream *st = arg;
    st->events--;
    node_forgets(st);
    release(st);
}

/* The node learns that the other end is gone. */
static void tell_node_later(struct sim_stream *st, uint64_t in_ns)
{
    if (st->node_has_it) {
        st->events++;
        fake_at(&st->node->fake->process, sim_now(st->sim) + in_ns, on_node_hears_of_leaving,
                on_told_dropped, st);
    }
}

void sim_stream_leave(struct sim_stream *st)
{
    st->proxy = NULL;
    lane_clear(&st->down);
    bool is_cut = is_stopped(st, &st->up);
    tell_node_later(st, is_cut ? sim_between(st->sim, SIM_KEEPALIVE_MIN_NS, SIM_KEEPALIVE_MAX_NS)
                               : sim_latency(st->sim));
    release(st);
}

static const char *text_of(enum proposer_end why, const char *text)
{
    return why == PROPOSER_END_NOT_LEADER ? "not the leader" : text;
}

void sim_stream_end(struct sim_stream *st, enum proposer_end why, const char *text)
{
    struct frame *f = add_frame(st, &st->down, FRAME_END);
    st->st = NULL;
    st->is_ended = true;
    snprintf(f->text, sizeof f->text, "%s", text_of(why, text));
    if (why == PROPOSER_END_NOT_LEADER) {
        snprintf(f->leader, sizeof f->leader, "%s", text);
    }
    sim_trace(st->sim, "n%u ends a stream: %s", st->node_place, f->text);
    st->node_has_it = false;
    cb_list_remove(&st->at_node);
}

/* ---- faults ---- */

/* The last messages on the way are lost, and both ends hear of it, each for itself. */
static void lose_tail(struct sim_stream *st, struct lane *l)
{
    unsigned keep = (unsigned)sim_between(st->sim, 0, l->n_messages);
    while (l->n_messages > keep) {
        struct frame *f = CB_CONTAINER(cb_list_last(&l->frames), struct frame, link);
        l->n_messages -= f->kind == FRAME_MESSAGE;
        st->sim->counters.messages_cut += f->kind == FRAME_MESSAGE;
        frame_free(f);
    }
}

void sim_stream_break(struct sim_stream *st)
{
    st->sim->counters.streams_cut++;
    lose_tail(st, &st->up);
    lose_tail(st, &st->down);
    st->up.is_broken = st->down.is_broken = true;
    tell_node_later(st, sim_latency(st->sim) * 2);
    tell_proxy_later(st, sim_latency(st->sim) * 2);
}

void sim_stream_leave_out(struct sim_stream *st)
{
    if (sim_one_in(st->sim, 2)) {
        st->omits_request = true;
        return;
    }
    uint64_t skip = sim_between(st->sim, 0, IN_FLIGHT_MAX);
    CB_LIST_FOREACH_SAFE(it, tmp, &st->up.frames)
    {
        struct frame *f = CB_CONTAINER(it, struct frame, link);
        if (f->kind == FRAME_MESSAGE && skip-- == 0) {
            st->up.n_messages--;
            st->sim->counters.messages_left_out++;
            frame_free(f);
            tell_writable(st, &st->up);
            return;
        }
    }
}

void sim_streams_of_node_lost(struct sim_node *n)
{
    CB_LIST_FOREACH_SAFE(it, tmp, &n->streams)
    {
        struct sim_stream *st = CB_CONTAINER(it, struct sim_stream, at_node);
        bool is_cut = is_stopped(st, &st->down);
        st->st = NULL; /* freed with its proposer */
        st->node_has_it = false;
        cb_list_remove(&st->at_node);
        st->events++; /* until the next line's own */
        lose_tail(st, &st->down);
        tell_proxy_later(st, is_cut
                                 ? sim_between(n->sim, SIM_KEEPALIVE_MIN_NS, SIM_KEEPALIVE_MAX_NS)
                                 : 2 * sim_latency(n->sim));
        st->events--;
        release(st);
    }
}

void sim_stream_of_proxy_lost(struct sim_proxy *p)
{
    struct sim_stream *st = p->stream;
    if (st != NULL) {
        p->stream = NULL;
        lose_tail(st, &st->up);
        sim_stream_leave(st);
    }
}

/* ---- a network that is cut ---- */

static bool stands_still(const struct fake_process *p)
{
    return p->up && p->paused_until_ns > fake_now_ns(p->world);
}

/* No ping comes back: a link is cut, or an end stands still. */
static bool is_silent(const struct sim_stream *st)
{
    return is_stopped(st, &st->up) || is_stopped(st, &st->down) ||
           stands_still(&st->node->fake->process) ||
           (st->proxy != NULL && stands_still(&st->proxy->process));
}

/* Each end has its own pings: it gives up when nothing has come through for so long. */
static void on_keepalive(void *arg)
{
    struct sim_stream *st = arg;
    st->events--;
    if (is_silent(st)) {
        tell_node_later(st, sim_between(st->sim, 0, SIM_KEEPALIVE_MIN_NS));
        tell_proxy_later(st, sim_between(st->sim, 0, SIM_KEEPALIVE_MIN_NS));
    }
    release(st);
}

void sim_streams_links_changed(struct sim *s)
{
    CB_LIST_FOREACH_SAFE(it, tmp, &s->streams)
    {
        struct sim_stream *st = CB_CONTAINER(it, struct sim_stream, link);
        if (is_silent(st)) {
            later(st, sim_now(s) + sim_between(s, SIM_KEEPALIVE_MIN_NS, SIM_KEEPALIVE_MAX_NS),
                  on_keepalive);
        } else {
            schedule_pump(st, &st->up);
            schedule_pump(st, &st->down);
        }
    }
}

uint32_t sim_stream_node_number(const struct sim_stream *st)
{
    return st->node_place - 1;
}
