#include "common/wire/wire_arena.h"

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"

/* Holds a message of some commands. A chunk is as large as all before it, so that there are few,
 * until it is what may be kept. */
#define CHUNK_MIN ((size_t)16 * CB_KIB)
#define CHUNK_MAX ((size_t)CB_WIRE_ARENA_KEEP)
#define ALIGNMENT alignof(max_align_t)

static void add_chunk(struct wire_arena *a, size_t cap)
{
    struct wire_chunk *c = cb_malloc(sizeof(*c) + cap);
    c->next = a->chunks;
    c->used = 0;
    c->cap = cap;
    a->chunks = c;
}

static void free_chunks(struct wire_arena *a)
{
    while (a->chunks != NULL) {
        struct wire_chunk *c = a->chunks;
        a->chunks = c->next;
        cb_free(c);
    }
}

static size_t chunk_size(const struct wire_arena *a, size_t size)
{
    size_t cap = a->used < CHUNK_MIN ? CHUNK_MIN : a->used;
    cap = cap > CHUNK_MAX ? CHUNK_MAX : cap;
    return size > cap ? size : cap;
}

void *wire_arena_take(struct wire_arena *a, size_t size)
{
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (a->chunks == NULL || a->chunks->cap - a->chunks->used < size) {
        add_chunk(a, chunk_size(a, size));
    }
    struct wire_chunk *c = a->chunks;
    void *p = c->bytes + c->used;
    c->used += size;
    a->used += size;
    return p;
}

static void *allocator_alloc(void *data, size_t size)
{
    struct wire_arena *a = data;
    if (a->was_full || a->used > a->max || size > a->max - a->used) {
        a->was_full = true;
        return NULL;
    }
    return wire_arena_take(a, size);
}

static void allocator_free(void *data, void *p)
{
    (void)data; /* all of it goes at the reset */
    (void)p;
}

void wire_arena_init(struct wire_arena *a, size_t max)
{
    *a = (struct wire_arena){
        .allocator = {.alloc = allocator_alloc, .free = allocator_free, .allocator_data = a},
        .max = max,
    };
}

void wire_arena_fini(struct wire_arena *a)
{
    free_chunks(a);
}

void wire_arena_reset(struct wire_arena *a)
{
    size_t used = a->used;
    a->used = 0;
    a->was_full = false;
    if (a->chunks == NULL) {
        return;
    }
    if (a->chunks->next == NULL && a->chunks->cap <= CHUNK_MAX) {
        a->chunks->used = 0;
        return;
    }
    /* Several became too few: one that holds as much again. */
    free_chunks(a);
    add_chunk(a, used < CHUNK_MAX ? used : CHUNK_MAX);
}
