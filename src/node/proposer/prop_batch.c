/* What waits becomes log entries: at most CB_ENTRIES_IN_FLIGHT_MAX on their way, one a turn unless
 * one is full, and none at all when there is nothing that must be in the log (design D4). */
#include "node/proposer/prop_internal.h"

#include "common/base/cb_assert.h"

/* Of one session, before the next one has its turn. */
#define TURN_BYTES (8 * CB_KIB)
#define RETRY_NS (100 * CB_NS_PER_MS)
#define RETRY_BUSY_NS (5 * CB_NS_PER_MS)

/* An empty entry is due: none that reaches that stamp is on its way. */
static bool is_due(const struct proposer *p, uint64_t now_ns)
{
    uint64_t due = jsm_next_due_ns(p->machine);
    if (due == JSM_NEVER || due > prop_clock_now(&p->clock, now_ns)) {
        return false;
    }
    return p->n_flights == 0 || p->last_stamp_ns < due;
}

/* As the machine has them, or is about to. */
static bool limits_differ(const struct proposer *p)
{
    const struct jsm_limits *want = &p->config.limits;
    struct jsm_limits have = p->limits_proposed ? p->limits : jsm_limits_now(p->machine);
    return have.jobs != want->jobs || have.bytes != want->bytes;
}

static bool space_differs(const struct proposer *p)
{
    bool have = p->short_proposed ? p->short_told : jsm_is_short_of_space(p->machine);
    return p->knows_space && have != p->is_short;
}

static bool needs_entry(const struct proposer *p, uint64_t now_ns)
{
    if (p->is_built || !p->resume_proposed) {
        return true;
    }
    if (!p->is_serving) {
        return false; /* RESUME stands alone */
    }
    return !cb_list_is_empty(&p->queued) || !cb_list_is_empty(&p->opening) || p->n_expiring > 0 ||
           p->reads_batch > p->batch || p->ack_is_urgent || p->clock_begins || limits_differ(p) ||
           space_differs(p) || is_due(p, now_ns);
}

static void add_clock(struct proposer *p)
{
    if (p->clock_begins) {
        p->clock_begins = false;
        struct jsm_item item = {.kind = JSM_ITEM_CLOCK};
        entry_builder_add(&p->builder, &item);
    }
}

/* Ahead of the requests of the same entry. */
static void add_limits(struct proposer *p)
{
    if (limits_differ(p)) {
        p->limits = p->config.limits;
        p->limits_proposed = true;
        struct jsm_item item = {.kind = JSM_ITEM_LIMITS, .limits = p->limits};
        entry_builder_add(&p->builder, &item);
    }
}

/* The same. */
static void add_space(struct proposer *p)
{
    if (space_differs(p)) {
        p->short_proposed = true;
        p->short_told = p->is_short;
        struct jsm_item item = {.kind = JSM_ITEM_SPACE, .number = p->is_short};
        entry_builder_add(&p->builder, &item);
        p->env.log(p->env.data, PROPOSER_LOG_PUTS_REFUSED, "", p->is_short);
    }
}

static void add_acks(struct proposer *p)
{
    CB_LIST_FOREACH(it, &p->sessions)
    {
        struct prop_session *s = CB_CONTAINER(it, struct prop_session, link);
        if (s->acked > s->ack_proposed) {
            struct jsm_item item = {.kind = JSM_ITEM_ACK, .session = s->id, .number = s->acked};
            entry_builder_add(&p->builder, &item);
            s->ack_proposed = s->acked;
            s->ackable_bytes = 0;
        }
    }
    p->ack_is_urgent = false;
}

static void add_counts(struct proposer *p)
{
    for (unsigned c = 0; c < JSM_COUNTER_COUNT; c++) {
        if (p->counts[c] > 0) {
            struct jsm_item item = {
                .kind = JSM_ITEM_COUNTS, .counter = (enum jsm_counter)c, .number = p->counts[c]};
            entry_builder_add(&p->builder, &item);
            p->building.counts[c] = p->counts[c];
            p->counts[c] = 0;
        }
    }
}

static void add_expires(struct proposer *p)
{
    CB_LIST_FOREACH(it, &p->sessions)
    {
        struct prop_session *s = CB_CONTAINER(it, struct prop_session, link);
        if (s->is_expiring && !s->expire_proposed) {
            struct jsm_item item = {.kind = JSM_ITEM_EXPIRE, .session = s->id};
            entry_builder_add(&p->builder, &item);
            s->expire_proposed = true;
            p->n_expiring--;
            p->counters.sessions_expired++;
            p->env.log(p->env.data, PROPOSER_LOG_SESSION_EXPIRED, "", s->id);
        }
    }
}

/* One an entry: the session's id is the entry's index. */
static void add_open(struct proposer *p)
{
    struct cb_list *first = cb_list_first(&p->opening);
    if (first == NULL) {
        return;
    }
    struct proposer_stream *st = CB_CONTAINER(first, struct proposer_stream, opening);
    cb_list_remove(&st->opening);
    struct jsm_item item = {.kind = JSM_ITEM_OPEN,
                            .name = cb_span(st->name, st->name_len),
                            .address = cb_span(st->address, st->address_len),
                            .incarnation = st->incarnation};
    entry_builder_add(&p->builder, &item);
    st->open_batch = p->batch + 1;
}

/* True when the item may join; `alone`: no other request is in the entry. */
static bool has_room(const struct proposer *p, size_t len, bool alone)
{
    if (entry_builder_count(&p->builder) >= CB_ENTRY_COMMANDS_MAX) {
        return false;
    }
    return alone || entry_builder_size(&p->builder) + len <= CB_ENTRY_SIZE_SOFT;
}

/* Round robin over the sessions; who is next when the entry is full is first in the next one. */
static void add_requests(struct proposer *p)
{
    bool alone = true;
    struct cb_list *it;
    while ((it = cb_list_first(&p->queued)) != NULL) {
        struct prop_session *s = CB_CONTAINER(it, struct prop_session, queued);
        size_t taken = 0;
        while (cb_list_is_linked(&s->queued) && taken < TURN_BYTES) {
            struct cb_span item = prop_session_head(s);
            if (!has_room(p, item.len, alone)) {
                p->is_full = true;
                return;
            }
            entry_builder_add_encoded(&p->builder, item);
            alone = false;
            taken += item.len;
            prop_session_pop(s);
        }
        if (cb_list_is_linked(&s->queued)) {
            cb_list_remove(&s->queued);
            cb_list_push_back(&p->queued, &s->queued);
        }
    }
}

static void resume_reading(struct proposer *p)
{
    CB_LIST_FOREACH(it, &p->streams)
    {
        struct proposer_stream *st = CB_CONTAINER(it, struct proposer_stream, link);
        if (st->is_paused && st->state == PROP_STREAM_ATTACHED) {
            prop_stream_pace(p, st);
        }
    }
}

static void build(struct proposer *p)
{
    entry_builder_reset(&p->builder);
    memset(p->building.counts, 0, sizeof(p->building.counts));
    p->is_built = true;
    p->is_full = false;
    if (!p->resume_proposed) {
        struct jsm_item item = {.kind = JSM_ITEM_RESUME};
        entry_builder_add(&p->builder, &item);
        p->resume_proposed = true;
        return;
    }
    add_clock(p);
    add_limits(p);
    add_space(p);
    add_acks(p);
    add_counts(p);
    add_expires(p);
    add_open(p);
    add_requests(p);
    resume_reading(p);
}

static void note_proposed(struct proposer *p, uint64_t stamp_ns)
{
    p->batch++;
    p->last_stamp_ns = stamp_ns;
    p->building.batch = p->batch;
    p->flights[p->n_flights++] = p->building;
    p->is_built = false;
    p->retry_ns = 0;
    p->counters.entries_proposed++;
    p->counters.entries_empty += entry_builder_count(&p->builder) == 0;
    if (p->has_no_space) {
        p->has_no_space = false;
        p->env.log(p->env.data, PROPOSER_LOG_SPACE_AGAIN, "", 0);
    }
}

/* False: the log does not take it now; it is offered again. */
static bool propose(struct proposer *p, uint64_t now_ns)
{
    /* RESUME brings no time of its own: what lies before it in the log may say what the time is. */
    uint64_t stamp_ns =
        p->is_serving ? prop_clock_now(&p->clock, now_ns) : jsm_stamp_ns(p->machine);
    struct entry_header header = {
        .stamp_ns = stamp_ns, .term = p->term, .proposer = p->config.self, .batch = p->batch + 1};
    enum proposer_append r = p->env.append(p->env.data, entry_builder_finish(&p->builder, &header));
    if (r == PROPOSER_APPENDED) {
        note_proposed(p, header.stamp_ns);
        return true;
    }
    p->counters.appends_refused++;
    p->retry_ns = now_ns + (r == PROPOSER_BUSY ? RETRY_BUSY_NS : RETRY_NS);
    if (r == PROPOSER_NO_SPACE && !p->has_no_space) {
        p->has_no_space = true;
        p->env.log(p->env.data, PROPOSER_LOG_NO_SPACE, "", 0);
    }
    return false;
}

/* What waits would close an entry by its size. */
static bool fills_an_entry(const struct proposer *p)
{
    size_t sum = 0;
    CB_LIST_FOREACH(it, &p->queued)
    {
        sum += cb_buf_len(&CB_CONTAINER(it, struct prop_session, queued)->items);
        if (sum >= CB_ENTRY_SIZE_SOFT) {
            return true;
        }
    }
    return false;
}

/* An entry that is not full waits while others are on their way: each costs every node a write, and
 * whatever arrives meanwhile shares the next one. */
static bool is_blocked(const struct proposer *p)
{
    if (p->n_flights == CB_ENTRIES_IN_FLIGHT_MAX || p->env.must_wait(p->env.data)) {
        return true;
    }
    return p->n_flights >= CB_ENTRIES_IN_FLIGHT_PARTIAL && !p->is_built && !fills_an_entry(p);
}

bool prop_batch_get_clock(struct proposer *p, uint64_t boot_ns)
{
    uint64_t moved;
    bool may_wait = boot_ns < p->clock_until_ns;
    uint64_t wall_ns = cb_clock_wall_ns(p->env.clock);
    enum prop_clock_lead r = prop_clock_lead(&p->clock, may_wait, boot_ns, wall_ns, &moved);
    if (r == PROP_CLOCK_WAITS) {
        return false;
    }
    p->clock_begins = r != PROP_CLOCK_RUNS;
    if (r == PROP_CLOCK_FROM_WALL && moved > PROP_CLOCK_LOG_NS) {
        p->env.log(p->env.data, PROPOSER_LOG_CLOCK_FROM_WALL, "", moved / CB_NS_PER_S);
    } else if (r == PROP_CLOCK_STANDS) {
        p->env.log(p->env.data, PROPOSER_LOG_CLOCK_STANDS, "", 0);
    }
    return true;
}

void prop_batch_run(struct proposer *p)
{
    if (!p->is_leading) {
        return;
    }
    uint64_t now = prop_boottime(p);
    if (p->retry_ns > now) {
        return;
    }
    prop_session_check_leases(p, now);
    do {
        if (is_blocked(p) || !needs_entry(p, now)) {
            return;
        }
        if (!p->is_built) {
            build(p);
        }
        if (!propose(p, now)) {
            return;
        }
    } while (p->is_full);
}

void prop_batch_applied(struct proposer *p, uint64_t batch)
{
    CB_ASSERT(p->n_flights > 0 && p->flights[0].batch == batch);
    p->n_flights--;
    memmove(&p->flights[0], &p->flights[1], p->n_flights * sizeof(p->flights[0]));
    p->applied_batch = batch;
}

void prop_batch_reset(struct proposer *p)
{
    entry_builder_reset(&p->builder);
    p->is_built = false;
    p->is_full = false;
    p->resume_proposed = false;
    p->ack_is_urgent = false;
    p->clock_begins = false;
    p->limits_proposed = false;
    p->knows_space = false;
    p->short_proposed = false;
    p->n_flights = 0;
    p->applied_batch = 0;
    p->reads_batch = 0;
    p->last_stamp_ns = 0;
    p->retry_ns = 0;
    p->has_no_space = false;
    memset(p->counts, 0, sizeof(p->counts));
}

uint64_t prop_batch_next_ns(const struct proposer *p)
{
    if (!p->is_leading) {
        return JSM_NEVER;
    }
    if (p->retry_ns != 0) {
        return p->retry_ns;
    }
    if (p->is_resumed && !p->is_serving) {
        return p->clock_until_ns; /* an answer is a turn of its own */
    }
    if (is_blocked(p)) {
        return JSM_NEVER; /* an entry applied or records stored are turns of their own */
    }
    uint64_t next = p->is_serving ? p->lease_check_ns : JSM_NEVER;
    uint64_t due = p->is_serving ? jsm_next_due_ns(p->machine) : JSM_NEVER;
    if (due == JSM_NEVER || (p->n_flights > 0 && p->last_stamp_ns >= due)) {
        return next;
    }
    uint64_t boot = prop_boottime(p);
    uint64_t now = prop_clock_now(&p->clock, boot);
    uint64_t at = due > now ? boot + (due - now) : boot;
    return at < next ? at : next;
}

uint64_t prop_batch_count(const struct proposer *p, enum jsm_counter c)
{
    uint64_t n = p->counts[c] + (p->is_built ? p->building.counts[c] : 0);
    for (uint32_t i = 0; i < p->n_flights; i++) {
        n += p->flights[i].counts[c];
    }
    return n;
}
