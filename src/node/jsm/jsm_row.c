#include "node/jsm/jsm_row.h"

#include "node/jsm/jsm_internal.h"

#define PLACES_MIN 4u
/* Neighbours that have no more than this together become one chunk. */
#define MERGE_MAX (JSM_CHUNK_JOBS / 2)

struct jsm_key jsm_key_of(const struct jsm_job *j)
{
    return (struct jsm_key){j->state == JSM_JOB_DELAYED ? j->deadline_ns : j->seq, j->id};
}

bool jsm_key_less(struct jsm_key x, struct jsm_key y)
{
    return x.a != y.a ? x.a < y.a : x.b < y.b;
}

bool jsm_lot_less(const struct cb_heap_node *a, const struct cb_heap_node *b)
{
    const struct jsm_job *x = CB_CONTAINER(a, const struct jsm_lot, node)->best;
    const struct jsm_job *y = CB_CONTAINER(b, const struct jsm_lot, node)->best;
    return jsm_ready_less(&x->node, &y->node);
}

void jsm_row_init(struct jsm_row *r)
{
    *r = (struct jsm_row){0};
}

static struct jsm_place *place_at(const struct jsm_row *r, uint32_t i)
{
    return &r->places[r->first + i];
}

void jsm_row_fini(struct jsm_row *r)
{
    for (uint32_t i = 0; i < r->n; i++) {
        cb_free(place_at(r, i)->chunk);
    }
    cb_free(r->places);
    jsm_row_init(r);
}

/* ---- chunks ---- */

static bool is_urgent(const struct jsm_job *j)
{
    return j->pri < JSM_URGENT_BELOW;
}

static void choose_best(struct jsm_chunk *c)
{
    struct jsm_job *best = c->jobs[0];
    for (uint32_t i = 1; i < c->n; i++) {
        if (jsm_ready_less(&c->jobs[i]->node, &best->node)) {
            best = c->jobs[i];
        }
    }
    c->lot.best = best;
}

/* What follows from its jobs, when several have come or gone. */
static void look_over(struct jsm_chunk *c)
{
    c->n_urgent = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        c->n_urgent = (uint16_t)(c->n_urgent + is_urgent(c->jobs[i]));
    }
    choose_best(c);
}

static struct jsm_chunk *new_chunk(struct jsm_job *const *jobs, uint32_t n)
{
    struct jsm_chunk *c = cb_malloc(sizeof(*c));
    cb_heap_node_init(&c->lot.node);
    c->n = (uint16_t)n;
    memcpy(c->jobs, jobs, n * sizeof(struct jsm_job *));
    look_over(c);
    return c;
}

/* The first of its jobs that does not come before `k`. */
static uint32_t find_slot(const struct jsm_chunk *c, struct jsm_key k)
{
    uint32_t lo = 0;
    uint32_t hi = c->n;
    if (jsm_key_less(jsm_key_of(c->jobs[hi - 1]), k)) {
        return hi; /* most come at the end */
    }
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (jsm_key_less(jsm_key_of(c->jobs[mid]), k)) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* ---- places ---- */

/* The last place that begins at or before `k`, else the first; the row is not empty. */
static uint32_t find_place(const struct jsm_row *r, struct jsm_key k)
{
    uint32_t lo = 0;
    uint32_t hi = r->n;
    if (!jsm_key_less(k, place_at(r, hi - 1)->first)) {
        return hi - 1;
    }
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (jsm_key_less(k, place_at(r, mid)->first)) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return lo == 0 ? 0 : lo - 1;
}

static void move_places(struct jsm_row *r, uint32_t cap)
{
    struct jsm_place *places = cb_malloc(cap * sizeof(*places));
    if (r->n > 0) {
        memcpy(places, place_at(r, 0), r->n * sizeof(*places));
    }
    cb_free(r->places);
    r->places = places;
    r->first = 0;
    r->cap = cap;
}

static void insert_place(struct jsm_row *r, uint32_t i, struct jsm_chunk *c)
{
    if (r->first + r->n == r->cap) {
        move_places(r, r->n < PLACES_MIN / 2 ? PLACES_MIN : r->n * 2);
    }
    struct jsm_place *p = place_at(r, i);
    memmove(p + 1, p, (r->n - i) * sizeof(*p));
    *p = (struct jsm_place){jsm_key_of(c->jobs[0]), c};
    r->n++;
    if (r->lots != NULL) {
        cb_heap_insert(r->lots, &c->lot.node);
    }
}

static void remove_place(struct jsm_row *r, uint32_t i)
{
    struct jsm_place *p = place_at(r, i);
    if (r->lots != NULL) {
        cb_heap_remove(r->lots, &p->chunk->lot.node);
    }
    cb_free(p->chunk);
    if (i == 0) {
        r->first++;
    } else {
        memmove(p, p + 1, (r->n - i - 1) * sizeof(*p));
    }
    r->n--;
    if (r->n == 0) {
        cb_free(r->places); /* most rows are empty most of the time */
        r->places = NULL;
        r->first = r->cap = 0;
    } else if (r->n < r->cap / 4 && r->cap > PLACES_MIN) {
        move_places(r, r->cap / 2);
    }
}

static void best_changed(struct jsm_row *r, struct jsm_chunk *c)
{
    if (r->lots != NULL) {
        cb_heap_update(r->lots, &c->lot.node);
    }
}

/* ---- insert ---- */

/* Makes room in a full chunk; returns the place where the job belongs now. */
static uint32_t split(struct jsm_row *r, uint32_t i, struct jsm_key k)
{
    struct jsm_chunk *c = place_at(r, i)->chunk;
    const uint32_t half = JSM_CHUNK_JOBS / 2;
    struct jsm_chunk *behind = new_chunk(&c->jobs[half], JSM_CHUNK_JOBS - half);
    c->n = (uint16_t)half;
    look_over(c);
    best_changed(r, c);
    insert_place(r, i + 1, behind);
    return jsm_key_less(k, place_at(r, i + 1)->first) ? i : i + 1;
}

void jsm_row_insert(struct jsm_row *r, struct jsm_job *j)
{
    struct jsm_key k = jsm_key_of(j);
    uint32_t i = r->n == 0 ? 0 : find_place(r, k);
    struct jsm_chunk *c = r->n == 0 ? NULL : place_at(r, i)->chunk;
    r->len++;
    if (c == NULL || (c->n == JSM_CHUNK_JOBS && i == r->n - 1 && find_slot(c, k) == c->n)) {
        insert_place(r, r->n, new_chunk(&j, 1)); /* at the end: full chunks, one behind the other */
        return;
    }
    if (c->n == JSM_CHUNK_JOBS) {
        i = split(r, i, k);
        c = place_at(r, i)->chunk;
    }
    uint32_t at = find_slot(c, k);
    memmove(&c->jobs[at + 1], &c->jobs[at], (c->n - at) * sizeof(struct jsm_job *));
    c->jobs[at] = j;
    c->n++;
    c->n_urgent = (uint16_t)(c->n_urgent + is_urgent(j));
    if (at == 0) {
        place_at(r, i)->first = k;
    }
    if (c->lot.best != NULL && jsm_ready_less(&j->node, &c->lot.best->node)) {
        c->lot.best = j;
        best_changed(r, c);
    }
}

/* ---- remove ---- */

static void merge(struct jsm_row *r, uint32_t i)
{
    struct jsm_chunk *c = place_at(r, i)->chunk;
    const struct jsm_chunk *behind = place_at(r, i + 1)->chunk;
    memcpy(&c->jobs[c->n], behind->jobs, behind->n * sizeof(struct jsm_job *));
    c->n = (uint16_t)(c->n + behind->n);
    look_over(c);
    best_changed(r, c);
    remove_place(r, i + 1);
}

void jsm_row_remove(struct jsm_row *r, struct jsm_job *j)
{
    struct jsm_key k = jsm_key_of(j);
    CB_ASSERT(r->len > 0);
    uint32_t i = find_place(r, k);
    struct jsm_chunk *c = place_at(r, i)->chunk;
    uint32_t at = find_slot(c, k);
    CB_ASSERT(at < c->n && c->jobs[at] == j);
    r->len--;
    if (c->n == 1) {
        remove_place(r, i);
        return;
    }
    c->n--;
    c->n_urgent = (uint16_t)(c->n_urgent - is_urgent(j));
    memmove(&c->jobs[at], &c->jobs[at + 1], (c->n - at) * sizeof(struct jsm_job *));
    if (at == 0) {
        place_at(r, i)->first = jsm_key_of(c->jobs[0]);
    }
    if (c->lot.best == j) {
        c->lot.best = NULL;
        if (i > 0 || r->lots != NULL) { /* from the first chunk job after job is taken */
            choose_best(c);
            best_changed(r, c);
        }
    }
    if (i + 1 < r->n && c->n + place_at(r, i + 1)->chunk->n <= MERGE_MAX) {
        merge(r, i);
    }
}

struct jsm_job *jsm_row_first(const struct jsm_row *r)
{
    return r->n == 0 ? NULL : place_at(r, 0)->chunk->jobs[0];
}

/* ---- cut ---- */

/* The first `n` jobs of the first chunk, which has more, go to the end of `out`. */
static void cut_chunk(struct jsm_row *r, uint32_t n, struct jsm_row *out)
{
    struct jsm_chunk *c = place_at(r, 0)->chunk;
    insert_place(out, out->n, new_chunk(c->jobs, n));
    c->n = (uint16_t)(c->n - n);
    memmove(c->jobs, &c->jobs[n], c->n * sizeof(struct jsm_job *));
    look_over(c);
    place_at(r, 0)->first = jsm_key_of(c->jobs[0]);
}

struct jsm_key jsm_row_cut(struct jsm_row *r, uint64_t n, struct jsm_row *out)
{
    CB_ASSERT(n > 0 && n <= r->len && out->n == 0 && r->lots == NULL && out->lots == NULL);
    uint32_t whole = 0;
    uint64_t cut = 0;
    while (whole < r->n && cut + place_at(r, whole)->chunk->n <= n) {
        cut += place_at(r, whole)->chunk->n;
        whole++;
    }
    struct jsm_chunk *front = place_at(r, 0)->chunk;
    if (front->lot.best == NULL) {
        choose_best(front);
    }
    move_places(out, whole + 1);
    memcpy(out->places, place_at(r, 0), whole * sizeof(*out->places));
    out->n = whole;
    r->first += whole;
    r->n -= whole;
    if (cut < n) {
        cut_chunk(r, (uint32_t)(n - cut), out);
    }
    out->len = n;
    r->len -= n;
    if (r->n == 0) {
        jsm_row_fini(r);
    } else {
        move_places(r, r->n + PLACES_MIN);
    }
    const struct jsm_chunk *last = place_at(out, out->n - 1)->chunk;
    return jsm_key_of(last->jobs[last->n - 1]);
}

void jsm_row_show(struct jsm_row *r, struct cb_heap *lots)
{
    CB_ASSERT(r->lots == NULL);
    r->lots = lots;
    for (uint32_t i = 0; i < r->n; i++) {
        cb_heap_insert(lots, &place_at(r, i)->chunk->lot.node);
    }
}

uint64_t jsm_row_urgent(const struct jsm_row *r)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < r->n; i++) {
        n += place_at(r, i)->chunk->n_urgent;
    }
    return n;
}
