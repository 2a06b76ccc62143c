/* The queue of queue_sim.h: beanstalkd's rules, in the plainest form. */
#include "common/base/cb_mem.h"
#include "unit/history/queue_sim.h"

#define S UINT64_C(1000000000)
#define NONE SIZE_MAX

uint64_t queue_clock(const struct queue_sim *q)
{
    return (uint64_t)((int64_t)q->now + (int64_t)q->now / 1000 * q->drift);
}

/* One chance in `den` for the fault that is planted. */
static bool is_wrong(struct queue_sim *q, enum queue_fault fault, uint64_t den)
{
    if (q->fault != fault || !cb_rng_chance(&q->rng, 1, den)) {
        return false;
    }
    q->faults++;
    return true;
}

static struct queue_job *find(struct queue_sim *q, uint64_t id)
{
    for (size_t i = 0; i < q->jobs_count; i++) {
        if (q->jobs[i].id == id && q->jobs[i].state != JOB_GONE) {
            return &q->jobs[i];
        }
    }
    return NULL;
}

static void put_job(struct queue_sim *q, const struct hist_record *put, uint64_t id)
{
    if (q->jobs_count == q->jobs_cap) {
        q->jobs_cap = q->jobs_cap == 0 ? 64 : 2 * q->jobs_cap;
        q->jobs = cb_realloc(q->jobs, q->jobs_cap * sizeof(*q->jobs));
    }
    struct queue_job *j = &q->jobs[q->jobs_count++];
    *j = (struct queue_job){.id = id,
                            .tube = put->tube,
                            .pri = put->pri,
                            .ttr_s = put->ttr_s == 0 ? 1 : put->ttr_s,
                            .put = *put};
}

static void set_aside(struct queue_sim *q, struct queue_job *j, uint32_t delay_s)
{
    uint64_t delay = delay_s * S;
    j->state = delay_s == 0 ? JOB_READY : JOB_DELAYED;
    if (delay_s != 0) {
        delay = is_wrong(q, QUEUE_EARLY, 2) ? delay / 2 : delay;
        delay = is_wrong(q, QUEUE_LATE, 2) ? delay * 2 : delay;
    }
    j->due = queue_clock(q) + delay;
    j->is_shared = false;
}

static bool is_before(const struct queue_job *a, const struct queue_job *b)
{
    return a->pri != b->pri ? a->pri < b->pri : a->id < b->id;
}

static bool is_visible(const struct queue_sim *q, const struct queue_job *j, uint32_t tubes)
{
    return j->state == JOB_READY && (tubes >> j->tube & 1) != 0 &&
           q->paused_until[j->tube] <= queue_clock(q);
}

static struct queue_job *best(struct queue_sim *q, uint32_t tubes)
{
    bool reversed = is_wrong(q, QUEUE_ORDER, 4);
    struct queue_job *found = NULL;
    tubes = is_wrong(q, QUEUE_TUBE, 10) ? UINT32_MAX : tubes;
    for (size_t i = 0; i < q->jobs_count; i++) {
        struct queue_job *j = &q->jobs[i];
        if (is_visible(q, j, tubes) && (found == NULL || is_before(j, found) != reversed)) {
            found = j;
        }
    }
    return found;
}

/* A job that somebody else holds, for TWICE. */
static struct queue_job *held_by_other(struct queue_sim *q, uint32_t conn, uint32_t tubes)
{
    for (size_t i = 0; i < q->jobs_count; i++) {
        struct queue_job *j = &q->jobs[i];
        if (j->state == JOB_RESERVED && j->holder != conn && (tubes >> j->tube & 1) != 0) {
            return j;
        }
    }
    return NULL;
}

static void read_body(struct queue_sim *q, const struct queue_job *j, struct hist_record *a)
{
    a->result = HIST_OK;
    a->id = j->id;
    a->token[0] = j->put.token[0];
    a->token[1] = j->put.token[1];
    a->body_hash = j->put.body_hash + (is_wrong(q, QUEUE_BODY, 50) ? 1 : 0);
    a->body_len = j->put.body_len;
}

static uint64_t lease(struct queue_sim *q, const struct queue_job *j)
{
    uint64_t ttr = j->ttr_s * S;
    return queue_clock(q) + (is_wrong(q, QUEUE_TTR_CUT, 2) ? ttr / 2 : ttr);
}

static void
grant(struct queue_sim *q, uint32_t conn, size_t place, struct queue_job *j, struct hist_record *a)
{
    j->state = JOB_RESERVED;
    j->holder = conn;
    j->due = lease(q, j);
    read_body(q, j, a);
    queue_answer(q, conn, place, a);
}

static bool is_soon(const struct queue_sim *q, uint32_t conn)
{
    for (size_t i = 0; i < q->jobs_count; i++) {
        const struct queue_job *j = &q->jobs[i];
        if (j->state == JOB_RESERVED && j->holder == conn && j->due <= queue_clock(q) + S) {
            return true;
        }
    }
    return false;
}

/* True: answered. */
static bool reserve(struct queue_sim *q, uint32_t conn, size_t place)
{
    struct queue_conn *c = &q->conns[conn];
    struct hist_record a = *history_at(q->h, place);
    struct queue_job *j = best(q, c->watched);
    struct queue_job *other = held_by_other(q, conn, c->watched);
    if (other != NULL && is_wrong(q, QUEUE_TWICE, 5)) {
        grant(q, conn, place, other, &a);
        other->is_shared = true;
        return true;
    }
    if (j != NULL && a.timeout == 0 && is_wrong(q, QUEUE_MISS, 5)) {
        j = NULL;
    }
    if (j != NULL) {
        grant(q, conn, place, j, &a);
        return true;
    }
    bool is_over = c->is_ended || (a.timeout >= 0 && queue_clock(q) >= c->wait_until);
    if (!is_over && !is_soon(q, conn)) {
        return false;
    }
    a.result = is_over && !is_soon(q, conn) ? HIST_TIMED_OUT : HIST_DEADLINE_SOON;
    queue_answer(q, conn, place, &a);
    return true;
}

static void wake_waiters(struct queue_sim *q)
{
    for (uint32_t i = 0; i < q->conns_count; i++) {
        struct queue_conn *c = &q->conns[i];
        if (c->waiting != NONE && reserve(q, i, c->waiting)) {
            c->waiting = NONE;
            queue_run(q, i);
        }
    }
}

static bool holds(struct queue_sim *q, const struct queue_job *j, uint32_t conn)
{
    if (j->state != JOB_RESERVED) {
        return false;
    }
    if (j->holder != conn && !j->is_shared) {
        return is_wrong(q, QUEUE_ANYBODY, 2);
    }
    return !is_wrong(q, QUEUE_DENY, 5);
}

static void
delete_job(struct queue_sim *q, uint32_t conn, struct queue_job *j, struct hist_record *a)
{
    if (j->state == JOB_RESERVED && j->holder != conn && !j->is_shared) {
        return;
    }
    j->state = is_wrong(q, QUEUE_RESURRECT, 20) ? JOB_READY : JOB_GONE;
    a->result = HIST_OK;
}

static void finish(struct queue_sim *q, uint32_t conn, struct queue_job *j, struct hist_record *a)
{
    if (!holds(q, j, conn)) {
        return;
    }
    a->result = HIST_OK;
    if (a->op == HIST_TOUCH) {
        j->due = is_wrong(q, QUEUE_TTR_NO_TOUCH, 1) ? j->due : lease(q, j);
        return;
    }
    j->pri = is_wrong(q, QUEUE_PRI_LOST, 1) ? j->pri : a->pri;
    if (a->op == HIST_BURY) {
        j->state = JOB_BURIED;
        j->buried = ++q->last_buried;
        j->is_shared = false;
    } else {
        set_aside(q, j, a->delay_s);
    }
}

static void look(struct queue_sim *q, struct queue_job *j, struct hist_record *a)
{
    static const enum hist_state states[] = {HIST_READY, HIST_DELAYED, HIST_RESERVED, HIST_BURIED};
    if (a->op == HIST_PEEK) {
        read_body(q, j, a);
    } else {
        a->result = HIST_OK;
        a->state = states[j->state];
    }
}

static void by_id(struct queue_sim *q, uint32_t conn, size_t place, struct hist_record *a)
{
    struct queue_job *j = find(q, a->id);
    a->result = HIST_NOT_FOUND;
    if (j == NULL) {
        queue_answer(q, conn, place, a);
        return;
    }
    if (a->op == HIST_RESERVE_JOB && j->state != JOB_RESERVED) {
        grant(q, conn, place, j, a);
        return;
    }
    if (a->op == HIST_DELETE) {
        delete_job(q, conn, j, a);
    } else if (a->op == HIST_TOUCH || a->op == HIST_RELEASE || a->op == HIST_BURY) {
        finish(q, conn, j, a);
    } else if (a->op == HIST_KICK_JOB && (j->state == JOB_BURIED || j->state == JOB_DELAYED)) {
        j->state = JOB_READY;
        a->result = HIST_OK;
    } else if (a->op == HIST_PEEK || a->op == HIST_STATS_JOB) {
        look(q, j, a);
    }
    queue_answer(q, conn, place, a);
}

/* The first of a tube's jobs in that state. */
static struct queue_job *first(struct queue_sim *q, uint32_t tube, enum queue_job_state state)
{
    struct queue_job *found = NULL;
    for (size_t i = 0; i < q->jobs_count; i++) {
        struct queue_job *j = &q->jobs[i];
        if (j->tube != tube || j->state != state) {
            continue;
        }
        bool is_first = found == NULL || (state == JOB_READY    ? is_before(j, found)
                                          : state == JOB_BURIED ? j->buried < found->buried
                                                                : j->due < found->due);
        found = is_first ? j : found;
    }
    return found;
}

static void kick(struct queue_sim *q, struct hist_record *a)
{
    struct queue_job *j = first(q, a->tube, JOB_BURIED);
    enum queue_job_state state = j != NULL ? JOB_BURIED : JOB_DELAYED;
    uint32_t bound = a->bound + (is_wrong(q, QUEUE_KICK_MORE, 2) ? 1 : 0);
    bool less = is_wrong(q, QUEUE_KICK_LESS, 2);
    a->count = 0;
    a->result = HIST_OK;
    while (a->count < bound && (j = first(q, a->tube, state)) != NULL) {
        j->state = JOB_READY;
        a->count++;
        if (less) {
            break;
        }
    }
}

static uint64_t count(struct queue_sim *q, uint32_t tube)
{
    uint64_t n = is_wrong(q, QUEUE_COUNT, 5) ? 1 : 0;
    for (size_t i = 0; i < q->jobs_count; i++) {
        n += q->jobs[i].state != JOB_GONE && (tube == 0 || q->jobs[i].tube == tube) ? 1 : 0;
    }
    return n;
}

static void put(struct queue_sim *q, struct hist_record *a)
{
    q->last_id++;
    a->id = q->last_id > 5 && is_wrong(q, QUEUE_ID, 10) ? q->last_id - 5 : q->last_id;
    a->result = HIST_OK;
    put_job(q, a, a->id);
    set_aside(q, &q->jobs[q->jobs_count - 1], a->delay_s);
    if (is_wrong(q, QUEUE_DOUBLE, 20)) {
        put_job(q, a, ++q->last_id);
        set_aside(q, &q->jobs[q->jobs_count - 1], a->delay_s);
    }
}

static void of_tube(struct queue_sim *q, struct queue_conn *c, struct hist_record *a)
{
    static const enum queue_job_state peeked[HIST_OP_END] = {[HIST_PEEK_READY] = JOB_READY,
                                                             [HIST_PEEK_DELAYED] = JOB_DELAYED,
                                                             [HIST_PEEK_BURIED] = JOB_BURIED};
    uint32_t bit = UINT32_C(1) << a->tube;
    a->result = HIST_OK;
    if (a->op == HIST_WATCH) {
        c->watched |= bit;
    } else if (a->op == HIST_IGNORE && c->watched == bit) {
        a->result = HIST_NOT_IGNORED;
    } else if (a->op == HIST_IGNORE) {
        c->watched &= ~bit;
    } else if (a->op == HIST_PAUSE_TUBE) {
        q->paused_until[a->tube] = queue_clock(q) + a->delay_s * S;
    } else if (a->op == HIST_STATS || a->op == HIST_STATS_TUBE) {
        a->jobs = count(q, a->tube);
        a->has_jobs = true;
    } else if (a->op >= HIST_PEEK_READY && a->op <= HIST_PEEK_BURIED) {
        const struct queue_job *j = first(q, a->tube, peeked[a->op]);
        a->result = HIST_NOT_FOUND;
        if (j != NULL) {
            read_body(q, j, a);
        }
    }
}

static void run(struct queue_sim *q, uint32_t conn, size_t place)
{
    struct queue_conn *c = &q->conns[conn];
    struct hist_record a = *history_at(q->h, place);
    if (is_wrong(q, QUEUE_ERROR, 500)) {
        a.result = HIST_ERROR;
        queue_answer(q, conn, place, &a);
    } else if (a.op == HIST_RESERVE) {
        c->wait_until = queue_clock(q) + (a.timeout > 0 ? (uint64_t)a.timeout * S : 0);
        c->waiting = reserve(q, conn, place) ? NONE : place;
    } else if (a.op == HIST_PUT || a.op == HIST_KICK) {
        if (a.op == HIST_PUT) {
            put(q, &a);
        } else {
            kick(q, &a);
        }
        queue_answer(q, conn, place, &a);
    } else if (a.id != 0) {
        by_id(q, conn, place, &a);
    } else {
        of_tube(q, c, &a);
        queue_answer(q, conn, place, &a);
    }
}

/* NONE among the commands: the client's end of them. */
void queue_run(struct queue_sim *q, uint32_t conn)
{
    struct queue_conn *c = &q->conns[conn];
    while (c->is_open && c->arrived > 0 && c->waiting == NONE) {
        size_t place = c->sent[c->sent_first++];
        c->sent_count--;
        c->arrived--;
        if (place == NONE) {
            queue_close(q, conn);
        } else {
            run(q, conn, place);
        }
        wake_waiters(q);
    }
}

void queue_close(struct queue_sim *q, uint32_t conn)
{
    q->conns[conn].is_open = false;
    q->conns[conn].waiting = NONE;
    for (size_t i = 0; i < q->jobs_count; i++) {
        if (q->jobs[i].state == JOB_RESERVED && q->jobs[i].holder == conn) {
            q->jobs[i].state = JOB_READY;
        }
    }
}

void queue_tick(struct queue_sim *q)
{
    for (size_t i = 0; i < q->jobs_count; i++) {
        struct queue_job *j = &q->jobs[i];
        if ((j->state == JOB_DELAYED || j->state == JOB_RESERVED) && j->due <= queue_clock(q)) {
            j->state = JOB_READY;
        }
        if (j->state != JOB_GONE && is_wrong(q, QUEUE_LOSE, 3000)) {
            j->state = JOB_GONE;
        }
    }
    wake_waiters(q);
}
