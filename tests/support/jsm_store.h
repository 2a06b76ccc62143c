/* A store of the machine's records in memory: what node/store does with LMDB, for tests.
 *
 * Owns:     the records, in key order.
 * Threads:  one.
 * Errors:   a deletion of a record that is not there is counted: a drain should have none. */
#ifndef CB_TESTS_SUPPORT_JSM_STORE_H
#define CB_TESTS_SUPPORT_JSM_STORE_H

#include "node/jsm/jsm.h"

struct jsm_store_record {
    uint8_t *key, *value; /* value NULL: deleted by the drain that is going on */
    size_t key_len, value_len;
};

struct jsm_store {
    struct jsm_store_record *records;
    uint32_t n, cap, n_sorted; /* between drains all are sorted */
    uint64_t stream;           /* a rolling digest of everything that was drained, in order */
    uint64_t idle_deletions;   /* of records that were not there */
};

/* Drains `m` into the store. */
void jsm_store_drain(struct jsm_store *s, struct jsm *m);
/* A new machine from the records; NULL when it refuses them. */
struct jsm *jsm_store_load(const struct jsm_store *s);
/* The same, which keeps bodies as jsm_keep_bodies says. */
struct jsm *jsm_store_load_keeping(const struct jsm_store *s, uint64_t bytes);
bool jsm_store_eq(const struct jsm_store *a, const struct jsm_store *b);
void jsm_store_fini(struct jsm_store *s);

#endif
