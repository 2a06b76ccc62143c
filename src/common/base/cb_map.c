#include "common/base/cb_map.h"

#include "common/base/cb_assert.h"
#include "common/base/cb_hash.h"
#include "common/base/cb_mem.h"

#define MAP_CAP_MIN 8u
/* A table of more slots is not moved at once but a few slots with each change, so that no single
 * one takes long. */
#define MAP_MOVE_AT_ONCE 256u
/* Slots moved with a change: all of them before the map can be full again, or shrink again. Of a
 * larger table each is a page that was never touched before, so as few as that takes. */
#define MAP_MOVE_GROWING 2u
#define MAP_MOVE_SHRINKING 16u

/* The value of a slot of the old table whose entry was moved or removed: runs go on behind it. */
static char gone;

void cb_map_init(struct cb_map *m)
{
    *m = (struct cb_map){0};
}

void cb_map_fini(struct cb_map *m)
{
    cb_free(m->slots);
    cb_free(m->old);
    cb_map_init(m);
}

static size_t home(size_t cap, uint64_t key)
{
    return (size_t)cb_hash_u64(key) & (cap - 1);
}

/* The slot of `key`, or the free one where it would go. */
static size_t find(const struct cb_map *m, uint64_t key)
{
    size_t i = home(m->cap, key);
    while (m->slots[i].value != NULL && m->slots[i].key != key) {
        i = (i + 1) & (m->cap - 1);
    }
    return i;
}

/* ---- the old table ---- */

/* NULL when the key is not in it. */
static struct cb_map_slot *find_old(const struct cb_map *m, uint64_t key)
{
    if (m->old == NULL) {
        return NULL;
    }
    size_t i = home(m->old_cap, key);
    while (m->old[i].value != NULL) {
        if (m->old[i].key == key && m->old[i].value != &gone) {
            return &m->old[i];
        }
        i = (i + 1) & (m->old_cap - 1);
    }
    return NULL;
}

static void move_slots(struct cb_map *m, size_t slots)
{
    size_t end = slots < m->old_cap - m->old_at ? m->old_at + slots : m->old_cap;
    for (; m->old_at < end; m->old_at++) {
        struct cb_map_slot *s = &m->old[m->old_at];
        if (s->value != NULL && s->value != &gone) {
            m->slots[find(m, s->key)] = *s;
            s->value = &gone;
        }
    }
    if (m->old_at == m->old_cap) {
        cb_free(m->old);
        m->old = NULL;
    }
}

static void move_some(struct cb_map *m)
{
    if (m->old != NULL) {
        move_slots(m, m->cap < m->old_cap ? MAP_MOVE_SHRINKING : MAP_MOVE_GROWING);
    }
}

void cb_map_settle(struct cb_map *m)
{
    if (m->old != NULL) {
        move_slots(m, SIZE_MAX);
    }
}

static void rehash(struct cb_map *m, size_t cap)
{
    cb_map_settle(m); /* done long ago, but for a map that grows and shrinks by turns */
    m->old = m->slots;
    m->old_cap = m->cap;
    m->old_at = 0;
    m->slots = cb_calloc(cap, sizeof(*m->slots));
    m->cap = cap;
    if (m->old_cap <= MAP_MOVE_AT_ONCE) {
        cb_map_settle(m);
    }
}

/* ---- the map ---- */

void *cb_map_get(const struct cb_map *m, uint64_t key)
{
    if (m->len == 0) {
        return NULL;
    }
    void *value = m->slots[find(m, key)].value;
    const struct cb_map_slot *old = value == NULL ? find_old(m, key) : NULL;
    return old != NULL ? old->value : value;
}

void cb_map_put(struct cb_map *m, uint64_t key, void *value)
{
    CB_ASSERT(value != NULL);
    if (m->cap == 0) {
        rehash(m, MAP_CAP_MIN);
    } else if (m->len + 1 > m->cap / 4 * 3) {
        rehash(m, m->cap * 2);
    }
    move_some(m);
    size_t i = find(m, key);
    CB_ASSERT(m->slots[i].value == NULL && find_old(m, key) == NULL);
    m->slots[i] = (struct cb_map_slot){key, value};
    m->len++;
}

/* Moves back each later entry of the run whose home is not behind the hole. */
static void close_hole(struct cb_map *m, size_t hole)
{
    size_t mask = m->cap - 1;
    for (size_t i = (hole + 1) & mask; m->slots[i].value != NULL; i = (i + 1) & mask) {
        size_t distance = (i - home(m->cap, m->slots[i].key)) & mask;
        if (distance >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct cb_map_slot){0, NULL};
}

void *cb_map_remove(struct cb_map *m, uint64_t key)
{
    if (m->len == 0) {
        return NULL;
    }
    move_some(m);
    size_t i = find(m, key);
    void *value = m->slots[i].value;
    if (value != NULL) {
        close_hole(m, i);
    } else {
        struct cb_map_slot *old = find_old(m, key);
        if (old == NULL) {
            return NULL;
        }
        value = old->value;
        old->value = &gone;
    }
    m->len--;
    if (m->cap > MAP_CAP_MIN && m->len < m->cap / 8 && m->old == NULL) {
        rehash(m, m->cap / 2);
    }
    return value;
}
