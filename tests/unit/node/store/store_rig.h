/* What the store's tests share: a store on a directory of its own (or in memory), opened and closed
 * at will, and waiting for what is durable, with a deadline. */
#ifndef CB_TESTS_UNIT_NODE_STORE_STORE_RIG_H
#define CB_TESTS_UNIT_NODE_STORE_STORE_RIG_H

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/cb_rng.h"
#include "node/store/store_lmdb.h"
#include "support/store_mem.h"

#define RIG_PATH_MAX 512

struct rig {
    struct store *store;         /* NULL: closed */
    struct store_mem_disk *disk; /* NULL: it lies in `dir` */
    char base[RIG_PATH_MAX];     /* made by mkdtemp, removed at the end */
    char dir[RIG_PATH_MAX];      /* the store's, in `base` */
    struct store_lmdb_options options;
    struct store_error err;
    sem_t notified;
};

void rig_init(struct rig *r, bool in_memory);
void rig_fini(struct rig *r);
enum store_result rig_try_open(struct rig *r);
void rig_open(struct rig *r); /* asserts */
void rig_close(struct rig *r);
void rig_reopen(struct rig *r);

/* One batch with one record. */
void rig_put(struct rig *r, uint64_t index, const char *key, const char *value);
void rig_del(struct rig *r, uint64_t index, const char *key);
/* Until `index` is durable. */
void rig_wait(struct rig *r, uint64_t index);

/* All records as "key=value;key=value;", of a load that must succeed. */
void rig_contents(struct rig *r, struct cb_buf *out);
void rig_assert_contents(struct rig *r, const char *expected);

/* A record_fn that appends "key=value;" to a cb_buf. */
bool rig_append_record(void *data, struct cb_span key, struct cb_span value);

/* The whole state, as a copy gives it. */
enum store_result rig_dump(struct store *s, struct cb_buf *out, struct store_error *err);
/* An incoming state, fed in parts of `size` bytes, 0: in one. STORE_BAD_DUMP and no incoming state
 * when the dump ends before its end. */
enum store_result
rig_load_dump(struct store *s, struct cb_span dump, size_t size, struct store_error *err);

/* From SEED=, else 1, so that a red build means the change; printed. */
uint64_t rig_seed(const char *test);

/* Two rows of cmocka's table: the test with LMDB and with the double in memory. Its `*state`
 * points to what rig_init takes. */
extern const bool rig_on_disk, rig_in_memory;
#define BOTH(test)                                                                                 \
    {#test " (lmdb)", test, NULL, NULL, (void *)(uintptr_t)&rig_on_disk},                          \
    {                                                                                              \
#test " (memory)", test, NULL, NULL, (void *)(uintptr_t)&rig_in_memory                     \
    }

#endif
