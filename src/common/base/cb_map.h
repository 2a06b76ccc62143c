/* A map from a 64-bit number to a pointer: open addressing, linear probing, 16 bytes a slot.
 *
 * It cannot be iterated, on purpose: an order by hash must never reach the state machine. Who needs
 * an order keeps a list beside it.
 * Owns:     its slots; not the values.
 * Threads:  one. */
#ifndef CB_COMMON_BASE_CB_MAP_H
#define CB_COMMON_BASE_CB_MAP_H

#include <stddef.h>
#include <stdint.h>

struct cb_map_slot {
    uint64_t key;
    void *value; /* NULL: the slot is free */
};

struct cb_map {
    struct cb_map_slot *slots;
    size_t len;
    size_t cap; /* 0 or a power of two */
};

void cb_map_init(struct cb_map *m);
void cb_map_fini(struct cb_map *m);
/* NULL when there is none. */
void *cb_map_get(const struct cb_map *m, uint64_t key);
/* `key` must not be in the map; `value` must not be NULL. */
void cb_map_put(struct cb_map *m, uint64_t key, void *value);
/* Returns what was there, NULL when nothing was. */
void *cb_map_remove(struct cb_map *m, uint64_t key);

#endif
