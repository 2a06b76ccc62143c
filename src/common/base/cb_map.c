#include "common/base/cb_map.h"

#include "common/base/cb_assert.h"
#include "common/base/cb_hash.h"
#include "common/base/cb_mem.h"

#define MAP_CAP_MIN 8u

void cb_map_init(struct cb_map *m)
{
    *m = (struct cb_map){NULL, 0, 0};
}

void cb_map_fini(struct cb_map *m)
{
    cb_free(m->slots);
    cb_map_init(m);
}

static size_t home(const struct cb_map *m, uint64_t key)
{
    return (size_t)cb_hash_u64(key) & (m->cap - 1);
}

/* The slot of `key`, or the free one where it would go. */
static size_t find(const struct cb_map *m, uint64_t key)
{
    size_t i = home(m, key);
    while (m->slots[i].value != NULL && m->slots[i].key != key) {
        i = (i + 1) & (m->cap - 1);
    }
    return i;
}

static void rehash(struct cb_map *m, size_t cap)
{
    struct cb_map_slot *old = m->slots;
    size_t old_cap = m->cap;
    m->slots = cb_calloc(cap, sizeof(*m->slots));
    m->cap = cap;
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i].value != NULL) {
            m->slots[find(m, old[i].key)] = old[i];
        }
    }
    cb_free(old);
}

void *cb_map_get(const struct cb_map *m, uint64_t key)
{
    if (m->len == 0) {
        return NULL;
    }
    return m->slots[find(m, key)].value;
}

void cb_map_put(struct cb_map *m, uint64_t key, void *value)
{
    CB_ASSERT(value != NULL);
    if (m->cap == 0) {
        rehash(m, MAP_CAP_MIN);
    } else if (m->len + 1 > m->cap / 4 * 3) {
        rehash(m, m->cap * 2);
    }
    size_t i = find(m, key);
    CB_ASSERT(m->slots[i].value == NULL);
    m->slots[i] = (struct cb_map_slot){key, value};
    m->len++;
}

void *cb_map_remove(struct cb_map *m, uint64_t key)
{
    if (m->len == 0) {
        return NULL;
    }
    size_t hole = find(m, key);
    void *value = m->slots[hole].value;
    if (value == NULL) {
        return NULL;
    }
    /* Close the hole: move back each later entry of the run whose home is not behind the hole. */
    size_t mask = m->cap - 1;
    for (size_t i = (hole + 1) & mask; m->slots[i].value != NULL; i = (i + 1) & mask) {
        size_t distance = (i - home(m, m->slots[i].key)) & mask;
        if (distance >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct cb_map_slot){0, NULL};
    m->len--;
    if (m->cap > MAP_CAP_MIN && m->len < m->cap / 8) {
        rehash(m, m->cap / 2);
    }
    return value;
}
