/* Where every page of an LMDB database is, before LMDB reads it: its list of free pages has no
 * checksum, and whoever believes a damaged one writes over pages that are in use.
 *
 * Each page from the first behind the two root pages to the last one is exactly one of: of a table
 * or of the tree of their names, of the list's own tree, or in the list. LMDB loses none: what a
 * transaction took from the list and did not use it writes back, what it freed stands under its
 * own number, and one that fails leaves the root page as it was. So a page that is left out is
 * damage too, and with it a changed number of the last page is found. The records of the list are
 * as mdb_freelist_save writes them: a count that fits, pages in falling order, under the number of
 * a transaction up to the root page's.
 *
 * Not looked at: the order of the tables' keys and their values (a load looks every key up and
 * verifies every value), the heads of values in pages of their own (the scrub).
 *
 * Owns:     a bit for each page while it runs.
 * Does not: look at a database that another process writes.
 * Threads:  any.
 * Errors:   STORE_CORRUPT: the sentence names file and page. STORE_IO: the disk refuses. */
#ifndef CB_NODE_STORE_STORE_FREE_H
#define CB_NODE_STORE_STORE_FREE_H

#include <stddef.h>
#include <stdint.h>

#include "node/store/store_result.h"

/* The newest state in the file that `fd` has open; `name` is for sentences. No page is behind
 * `size_max` or the end of the file, whichever is more. */
CB_MUST_USE enum store_result store_free_check(
    int fd, size_t page_size, uint64_t size_max, const char *name, struct store_error *err);

#endif
