/* Records in the order of their keys, in memory: what store_mem.c keeps its states in.
 *
 * Owns:     copies of keys and values.
 * Threads:  one.
 * Errors:   none. */
#ifndef CB_TESTS_SUPPORT_STORE_MEM_TABLE_H
#define CB_TESTS_SUPPORT_STORE_MEM_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cb_span.h"

struct mem_blob {
    uint8_t *ptr;
    size_t len;
};

struct mem_record {
    struct mem_blob key;
    struct mem_blob value;
    uint64_t checksum;
};

/* Records in the order of their keys. */
struct mem_table {
    struct mem_record *records;
    size_t n;
    size_t cap;
    uint64_t sum; /* of the checksums */
};

static inline struct cb_span mem_span(struct mem_blob b)
{
    return cb_span(b.ptr, b.len);
}

/* Leaves an empty table, which is all zero bytes. */
void mem_table_fini(struct mem_table *t);
/* NULL: there is none. */
struct mem_record *mem_table_find(const struct mem_table *t, struct cb_span key);
void mem_table_put(struct mem_table *t, struct cb_span key, struct cb_span value);
void mem_table_del(struct mem_table *t, struct cb_span key);
/* False, and nothing is done, when `key` is not above all others. */
bool mem_table_add_last(struct mem_table *t, struct cb_span key, struct cb_span value);

#endif
