/* Fills a new database with records that come in the order of their keys, in durable transactions
 * of bounded size. The meta record comes with the last one: without it the database is not whole,
 * and an open drops it.
 *
 * Owns:     its transaction; borrows the environment, of STORE_ENV_NEW_BULK.
 * Threads:  any, one at a time.
 * Errors:   store_result. */
#ifndef CB_NODE_STORE_STORE_BULK_H
#define CB_NODE_STORE_STORE_BULK_H

#include "node/store/store_env.h"

struct store_bulk;

struct store_bulk *store_bulk_create(struct store_env *e);
/* What was not finished is not whole. */
void store_bulk_destroy(struct store_bulk *b);
/* STORE_BAD_DUMP when `key` is not above the last one. */
CB_MUST_USE enum store_result store_bulk_append(struct store_bulk *b,
                                                struct cb_span key,
                                                struct cb_span value,
                                                struct store_error *err);
/* STORE_BAD_DUMP when `meta` speaks of other records than those appended. */
CB_MUST_USE enum store_result
store_bulk_finish(struct store_bulk *b, const struct store_meta *meta, struct store_error *err);

#endif
