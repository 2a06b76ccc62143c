/* Connections, the windows of their commands, and what they watch. */
#include <string.h>

#include "common/base/cb_map.h"
#include "common/base/cb_mem.h"
#include "history/check_internal.h"

static uint32_t conn_place(struct check *c, struct cb_map *by_number, uint32_t number)
{
    /* The map's values are places + 1: NULL means none. */
    uintptr_t found = (uintptr_t)cb_map_get(by_number, number);
    if (found != 0) {
        return (uint32_t)(found - 1);
    }
    uint32_t place = c->conns_count++;
    c->conns[place] = (struct check_conn){
        .number = number, .alive_ns = HIST_NEVER, .gone_ns = HIST_NEVER, .watch = 0};
    cb_map_put(by_number, number, (void *)((uintptr_t)place + 1)); /* NOLINT: no pointer */
    return place;
}

static void note_end(struct check *c, uint64_t t)
{
    if (t != HIST_NEVER) {
        c->end_ns = check_max(c->end_ns, t);
    }
}

static void find_conns(struct check *c)
{
    struct cb_map by_number;
    cb_map_init(&by_number);
    c->conns = cb_calloc(c->count + 1, sizeof(*c->conns));
    for (size_t i = 0; i < c->count; i++) {
        const struct hist_record *r = &c->records[i];
        c->at[i].conn = conn_place(c, &by_number, r->conn);
        struct check_conn *conn = &c->conns[c->at[i].conn];
        note_end(c, r->invoke_ns);
        note_end(c, r->complete_ns);
        if (r->op == HIST_CLOSE) {
            conn->is_closed = true;
            conn->by_server = r->by_server;
            conn->closed_ns = r->invoke_ns;
        } else if (r->complete_ns != HIST_NEVER) {
            /* Its server had it open when the command took effect, so after this. */
            conn->answered_ns = check_max(conn->answered_ns, r->invoke_ns);
        }
    }
    cb_map_fini(&by_number);
}

/* A server that may close connections may have done so before its client saw that, or closed. */
static uint64_t alive_until(const struct check *c, const struct check_conn *conn)
{
    const struct hist_check_options *o = c->options;
    uint64_t end = conn->is_closed ? conn->closed_ns : HIST_NEVER;
    if (!conn->by_server && o->closes_allowed == 0) {
        return end;
    }
    if (o->close_notice_ns == 0) {
        return conn->answered_ns;
    }
    return check_max(conn->answered_ns, check_sub(check_min(end, c->end_ns), o->close_notice_ns));
}

static void bound_conns(struct check *c)
{
    for (uint32_t i = 0; i < c->conns_count; i++) {
        struct check_conn *conn = &c->conns[i];
        conn->alive_ns = alive_until(c, conn);
        if (conn->is_closed && c->options->forgotten_ns != 0) {
            conn->gone_ns = check_add(conn->closed_ns, c->options->forgotten_ns);
        }
    }
}

/* An error leaves open what happened, so it counts as no answer. */
static struct check_window window_of(const struct check_conn *conn, const struct hist_record *r)
{
    uint64_t hi = r->complete_ns;
    if (hi == HIST_NEVER || r->result == HIST_ERROR) {
        hi = conn->gone_ns;
    }
    return (struct check_window){r->invoke_ns, check_max(hi, r->invoke_ns)};
}

static void watched_push(struct check *c, uint32_t tube)
{
    if (c->watched_count == c->watched_cap) {
        c->watched_cap = c->watched_cap == 0 ? 256 : 2 * c->watched_cap;
        c->watched = cb_realloc(c->watched, c->watched_cap * sizeof(*c->watched));
    }
    c->watched[c->watched_count++] = tube;
}

static struct check_watch *watch_begin(struct check *c)
{
    if (c->watches_count == c->watches_cap) {
        c->watches_cap = c->watches_cap == 0 ? 64 : 2 * c->watches_cap;
        c->watches = cb_realloc(c->watches, c->watches_cap * sizeof(*c->watches));
    }
    c->watches[c->watches_count] = (struct check_watch){c->watched_count, 0};
    return &c->watches[c->watches_count++];
}

static bool is_watched(const struct check *c, struct check_watch w, uint32_t tube)
{
    for (size_t i = 0; i < w.count; i++) {
        if (c->watched[w.first + i] == tube) {
            return true;
        }
    }
    return false;
}

/* A new set: `old` without `tube`, or with it where it belongs. */
static uint32_t watch_change(struct check *c, uint32_t old_place, uint32_t tube, bool add)
{
    struct check_watch old = c->watches[old_place];
    if (is_watched(c, old, tube) == add || (!add && old.count == 1)) {
        return old_place; /* there is nothing to do, or it is the last */
    }
    struct check_watch *w = watch_begin(c);
    for (size_t i = 0; i < old.count; i++) {
        uint32_t t = c->watched[old.first + i];
        if (add && t > tube) {
            watched_push(c, tube);
            add = false;
        }
        if (t != tube) {
            watched_push(c, t);
        }
    }
    if (add) {
        watched_push(c, tube);
    }
    w->count = c->watched_count - w->first;
    return (uint32_t)(w - c->watches);
}

/* What was not answered is taken as done: when a later command of the connection took effect, it
 * did so too. */
static void follow_watch(struct check *c, struct check_conn *conn, const struct hist_record *r)
{
    if ((r->op != HIST_WATCH && r->op != HIST_IGNORE) || conn->watch == CHECK_WATCH_UNSURE) {
        return;
    }
    if (r->result == HIST_ERROR || r->tube == 0) {
        conn->watch = CHECK_WATCH_UNSURE;
    } else if (r->result == HIST_OK || r->result == HIST_UNKNOWN) {
        conn->watch = watch_change(c, conn->watch, r->tube, r->op == HIST_WATCH);
    }
}

void check_conns(struct check *c)
{
    find_conns(c);
    bound_conns(c);
    watch_begin(c)->count = 1;
    watched_push(c, HIST_TUBE_DEFAULT);
    for (size_t i = 0; i < c->count; i++) {
        struct check_conn *conn = &c->conns[c->at[i].conn];
        c->at[i].w = window_of(conn, &c->records[i]);
        c->at[i].watch = conn->watch;
        follow_watch(c, conn, &c->records[i]);
    }
}

bool check_watched(const struct check *c, size_t place, const uint32_t **tubes, size_t *count)
{
    uint32_t w = c->at[place].watch;
    if (w == CHECK_WATCH_UNSURE) {
        return false;
    }
    *tubes = c->watched + c->watches[w].first;
    *count = c->watches[w].count;
    return true;
}
