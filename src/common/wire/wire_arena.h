/* Memory of one message: taken piece by piece, given back all at once. Internal to this folder.
 *
 * Owns:     what was taken from it, until it is reset or destroyed.
 * Does not: free single pieces, so that protobuf-c's many small ones cost next to nothing.
 * Threads:  one.
 * Errors:   protobuf-c is refused more than the arena's bound, so that a small message cannot
 *           become a huge one; our own code, which knows what it asks for, never is. */
#ifndef CB_COMMON_WIRE_WIRE_ARENA_H
#define CB_COMMON_WIRE_WIRE_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_chunk {
    struct wire_chunk *next;
    size_t used;
    size_t cap;
    alignas(max_align_t) uint8_t bytes[];
};

struct wire_arena {
    ProtobufCAllocator allocator; /* for protobuf-c; refuses above `max` */
    size_t max;
    size_t used;
    bool was_full;             /* the allocator refused since the last reset */
    struct wire_chunk *chunks; /* the newest first; only that one has room */
};

/* `max` bounds what the allocator gives out between two resets. */
void wire_arena_init(struct wire_arena *a, size_t max);
void wire_arena_fini(struct wire_arena *a);
/* Everything taken is gone. Memory is kept for the next message, up to CB_WIRE_ARENA_KEEP. */
void wire_arena_reset(struct wire_arena *a);
/* Uninitialised, aligned for any field of a message. */
void *wire_arena_take(struct wire_arena *a, size_t size);

#endif
