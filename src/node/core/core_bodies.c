/* Bodies that are not in memory (ADR 14): fetched from the store on a worker thread, many with one
 * read transaction, when the proposer wants to send them; what has come is kept for a while. The
 * loop and the machine never wait for one.
 *
 * A body that is gone is no error to a read: its job was deleted meanwhile. One that an
 * unacknowledged result carries is in the store: otherwise the store is not what was written. */
#include <inttypes.h>

#include "common/base/cb_mem.h"
#include "node/core/core_internal.h"

enum state { BODY_WANTED, BODY_READING, BODY_HERE, BODY_GONE };

struct body {
    struct cb_list link; /* in core_bodies.wanted or .here; READING: none */
    uint64_t job;
    uint32_t len;
    enum state state;
    struct cb_buf bytes; /* HERE */
};

struct item {
    uint64_t job;
    uint32_t len; /* as the machine has it */
    uint8_t key[JSM_BODY_KEY_SIZE];
    bool is_there;
    struct cb_buf bytes;
};

/* The worker's while it runs. */
struct core_fetch {
    struct core *c;
    uint64_t generation;
    size_t n;
    struct item items[CB_BODY_FETCH_MAX];
    enum store_result result;
    struct store_error err;
};

void core_bodies_init(struct core *c)
{
    cb_map_init(&c->bodies.by_job);
    cb_list_init(&c->bodies.wanted);
    cb_list_init(&c->bodies.here);
}

static size_t size_of(const struct body *b)
{
    return sizeof(*b) + cb_buf_len(&b->bytes);
}

static void drop(struct core_bodies *s, struct body *b)
{
    if (b->state == BODY_HERE || b->state == BODY_GONE) {
        s->here_bytes -= size_of(b);
    }
    CB_ASSERT(cb_map_remove(&s->by_job, b->job) == b);
    cb_list_remove(&b->link);
    cb_buf_fini(&b->bytes);
    cb_free(b);
}

static void drop_list(struct core_bodies *s, struct cb_list *list)
{
    struct cb_list *it;
    while ((it = cb_list_first(list)) != NULL) {
        drop(s, CB_CONTAINER(it, struct body, link));
    }
}

/* Those that are being read are named by the fetch alone. */
static void drop_reading(struct core_bodies *s)
{
    for (size_t i = 0; s->fetch != NULL && i < s->fetch->n; i++) {
        struct body *b = cb_map_get(&s->by_job, s->fetch->items[i].job);
        if (b != NULL && b->state == BODY_READING) {
            drop(s, b);
        }
    }
}

void core_bodies_make_room(struct core *c)
{
    drop_list(&c->bodies, &c->bodies.here);
    if (c->config.body_cache == 0) {
        return;
    }
    jsm_keep_bodies(c->machine, 1);
    if (!c->spans.is_committing) { /* else once that is durable */
        jsm_shed_bodies(c->machine);
    }
}

void core_bodies_reset(struct core *c)
{
    struct core_bodies *s = &c->bodies;
    s->generation++;
    drop_list(s, &s->wanted);
    drop_list(s, &s->here);
    drop_reading(s);
    CB_ASSERT(s->by_job.len == 0);
}

static void free_fetch(struct core_fetch *f)
{
    for (size_t i = 0; i < f->n; i++) {
        cb_buf_fini(&f->items[i].bytes);
    }
    cb_free(f);
}

void core_bodies_drop_all(struct core *c)
{
    core_bodies_reset(c);
    cb_map_fini(&c->bodies.by_job);
    if (c->bodies.fetch != NULL) {
        free_fetch(c->bodies.fetch);
    }
}

bool core_bodies_is_busy(const struct core *c)
{
    return c->bodies.fetch != NULL;
}

/* ---- on the worker ---- */

static void take_value(void *data, size_t i, bool is_there, struct cb_span value)
{
    struct core_fetch *f = data;
    f->items[i].is_there = is_there;
    cb_buf_append(&f->items[i].bytes, value.ptr, value.len);
}

static void run_fetch(void *arg)
{
    struct core_fetch *f = arg;
    struct cb_span keys[CB_BODY_FETCH_MAX];
    for (size_t i = 0; i < f->n; i++) {
        keys[i] = cb_span(f->items[i].key, sizeof(f->items[i].key));
    }
    f->result = store_read_many(f->c->store, keys, f->n, take_value, f, &f->err);
}

/* ---- on the loop ---- */

static void arrive(struct core *c, struct item *item)
{
    struct core_bodies *s = &c->bodies;
    struct body *b = cb_map_get(&s->by_job, item->job);
    CB_ASSERT(b != NULL && b->state == BODY_READING);
    if (item->is_there && cb_buf_len(&item->bytes) != item->len) {
        core_die(c,
                 "the body of job %" PRIu64 " has %zu bytes in %s/state, and it was put with "
                 "%" PRIu32 ": the disk or the memory is damaged; rebuild this node under a new id",
                 item->job, cb_buf_len(&item->bytes), c->config.data_dir, item->len);
    }
    b->state = item->is_there ? BODY_HERE : BODY_GONE;
    b->bytes = cb_buf_take(&item->bytes);
    s->here_bytes += size_of(b);
    cb_list_push_back(&s->here, &b->link);
}

/* Those that came first go first; who still wants one asks again. What has just come stays: a fetch
 * is smaller than the bound. */
static void trim(struct core_bodies *s)
{
    while (s->here_bytes > CB_BODIES_HERE_BYTES_MAX) {
        drop(s, CB_CONTAINER(cb_list_first(&s->here), struct body, link));
    }
}

static void on_fetched(void *arg)
{
    struct core_fetch *f = arg;
    struct core *c = f->c;
    c->bodies.fetch = NULL;
    if (f->result != STORE_OK) {
        core_die(c, "cannot read the bodies of jobs: %s: check the disk and its file system",
                 f->err.text);
    }
    if (f->generation == c->bodies.generation) { /* else of a state that was replaced */
        for (size_t i = 0; i < f->n; i++) {
            arrive(c, &f->items[i]);
        }
        trim(&c->bodies);
        proposer_bodies_came(c->proposer);
    }
    free_fetch(f);
}

static void add_item(struct core_fetch *f, struct body *b)
{
    struct item *item = &f->items[f->n++];
    *item = (struct item){.job = b->job, .len = b->len};
    jsm_body_key(b->job, item->key);
    cb_buf_init(&item->bytes);
    cb_list_remove(&b->link);
    b->state = BODY_READING;
}

void core_bodies_turn(struct core *c)
{
    struct core_bodies *s = &c->bodies;
    struct cb_list *it = cb_list_first(&s->wanted);
    if (s->fetch != NULL || it == NULL || c->is_stopped) {
        return;
    }
    struct core_fetch *f = cb_calloc(1, sizeof(*f));
    f->c = c;
    f->generation = s->generation;
    for (size_t bytes = 0; it != NULL && f->n < CB_BODY_FETCH_MAX && bytes < CB_BODY_FETCH_BYTES;
         it = cb_list_first(&s->wanted)) {
        struct body *b = CB_CONTAINER(it, struct body, link);
        bytes += b->len;
        add_item(f, b);
    }
    s->fetch = f;
    c->env.work(c->env.data, run_fetch, on_fetched, f);
}

static void want(struct core_bodies *s, const struct proposer_body_ask *ask)
{
    struct body *b = cb_calloc(1, sizeof(*b));
    b->job = ask->job;
    b->len = ask->len;
    b->state = BODY_WANTED;
    cb_list_init(&b->link);
    cb_buf_init(&b->bytes);
    cb_map_put(&s->by_job, b->job, b);
    cb_list_push_back(&s->wanted, &b->link);
}

enum proposer_body
core_bodies_get(struct core *c, const struct proposer_body_ask *ask, struct cb_span *out)
{
    struct core_bodies *s = &c->bodies;
    struct body *b = cb_map_get(&s->by_job, ask->job);
    if (b == NULL) {
        want(s, ask);
        return PROPOSER_BODY_COMES;
    }
    if (b->state == BODY_HERE) {
        *out = cb_buf_span(&b->bytes);
        return PROPOSER_BODY_HERE;
    }
    if (b->state != BODY_GONE) {
        return PROPOSER_BODY_COMES;
    }
    if (ask->is_kept) {
        core_die(c,
                 "the body of job %" PRIu64 " is missing in %s/state, although a result that is "
                 "not acknowledged carries it: the disk or the memory is damaged; rebuild this "
                 "node under a new id",
                 ask->job, c->config.data_dir);
    }
    return PROPOSER_BODY_GONE; /* for ever: ids are not used again */
}
