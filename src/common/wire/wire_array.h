/* Arrays of a message that grow by one. Internal to this folder. */
#ifndef CB_COMMON_WIRE_WIRE_ARRAY_H
#define CB_COMMON_WIRE_WIRE_ARRAY_H

#include <stdint.h>
#include <string.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_mem.h"

/* For a member `name` with its `n_name` and `cap_name`: a zeroed new element. */
#define WIRE_ARRAY_ADD(m, name)                                                                    \
    ((m)->name = wire_array_grow((m)->name, (m)->n_##name, &(m)->cap_##name, sizeof *(m)->name),   \
     memset(&(m)->name[(m)->n_##name], 0, sizeof *(m)->name), &(m)->name[(m)->n_##name++])

/* Room for one more than `n`. */
static inline void *wire_array_grow(void *items, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap) {
        return items;
    }
    CB_ASSERT(*cap <= UINT32_MAX / 2);
    *cap = *cap == 0 ? 16 : 2 * *cap;
    return cb_realloc(items, *cap * size);
}

#endif
