/* A map from a 64-bit number to a pointer: open addressing, linear probing, 16 bytes a slot.
 *
 * It grows and shrinks a few slots at a time, so that no put or remove takes long.
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
    /* The table before it grew or shrank, while entries are still moved out of it. */
    struct cb_map_slot *old; /* NULL: none */
    size_t old_cap;
    size_t old_at; /* all slots below are moved */
};

void cb_map_init(struct cb_map *m);
void cb_map_fini(struct cb_map *m);
/* NULL when there is none. */
void *cb_map_get(const struct cb_map *m, uint64_t key);
/* `key` must not be in the map; `value` must not be NULL. */
void cb_map_put(struct cb_map *m, uint64_t key, void *value);
/* Returns what was there, NULL when nothing was. */
void *cb_map_remove(struct cb_map *m, uint64_t key);
/* Moves what is left in the old table, so that `slots` has all; as long as the map is large. */
void cb_map_settle(struct cb_map *m);

#endif
