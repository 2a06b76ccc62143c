/* The layout of an LMDB database (data format 1, 64-bit little-endian: mdb.c, MDB_page, MDB_node,
 * MDB_db, MDB_meta) and the pages of one file; for store_page.c, store_pages.c (the entries of a
 * table) and store_free.c (what becomes of every page) alone.
 *
 * Owns:     struct store_pages.
 * Does not: follow page numbers: its callers do.
 * Threads:  as store_pages.h.
 * Errors:   as store_pages.h. */
#ifndef CB_NODE_STORE_STORE_PAGE_H
#define CB_NODE_STORE_STORE_PAGE_H

#include "common/base/cb_bytes.h"
#include "node/store/store_pages.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "LMDB writes in the machine's own order");

#define STORE_PAGE_DEPTH_MAX 32 /* LMDB's CURSOR_STACK */

/* MDB_page */
#define PAGE_HEAD 16
#define PAGE_FLAGS_AT 10
#define PAGE_LOWER_AT 12
#define PAGE_UPPER_AT 14
#define PAGE_PAGES_AT 12 /* of an overflow page */
enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4, PAGE_META = 8 };

/* MDB_node */
#define NODE_HEAD 8
enum { NODE_BIG = 1, NODE_TABLE = 2 };

/* MDB_db */
#define TABLE_SIZE 48
#define TABLE_FLAGS_AT 4
#define TABLE_ENTRIES_AT 32
#define TABLE_ROOT_AT 40

/* MDB_meta, from the beginning of its page */
#define META_MAGIC_AT 16
#define META_MAGIC 0xBEEFC0DEu
#define META_VERSION_AT 20
#define META_VERSION 1u
#define META_FREE_AT 40 /* the MDB_db of the list of free pages */
#define META_MAIN_AT 88 /* the MDB_db of the tables' names */
#define META_LAST_PAGE_AT 136
#define META_TXN_AT 144
#define META_END 152

struct store_pages {
    int fd;
    bool is_direct;
    size_t page_size;
    char *name;
    uint64_t bytes;
    uint8_t *levels[STORE_PAGE_DEPTH_MAX];
    uint8_t *big; /* an overflow page and those behind it */
    size_t big_size;
};

static inline uint16_t store_u16(const uint8_t *p)
{
    return (uint16_t)cb_load_le(p, 2);
}

static inline uint32_t store_u32(const uint8_t *p)
{
    return (uint32_t)cb_load_le(p, 4);
}

static inline uint64_t store_u64(const uint8_t *p)
{
    return cb_load_le(p, 8);
}

/* To be given back with free(); whole pages can be read into it past the page cache. */
uint8_t *store_page_buffer(size_t size);
enum store_result store_page_damaged(const struct store_pages *p,
                                     uint64_t page,
                                     const char *what,
                                     struct store_error *err);
CB_MUST_USE enum store_result store_page_read(
    struct store_pages *p, uint64_t page, size_t count, uint8_t *to, struct store_error *err);
/* A page of a tree into p->levels[depth]. */
CB_MUST_USE enum store_result
store_page_level(struct store_pages *p, uint64_t page, unsigned depth, struct store_error *err);

struct store_page_node {
    unsigned flags;
    uint64_t child; /* of a branch */
    size_t size;    /* of a leaf's value */
    struct cb_span key;
    const uint8_t *data;
    size_t room; /* from there to the end of the page */
};

/* Of a page that store_page_level has read. */
size_t store_page_count(const uint8_t *page);
/* Borrowed from `page`; false: it is not within it. */
bool store_page_node(const struct store_pages *p,
                     const uint8_t *page,
                     size_t i,
                     struct store_page_node *out);

#endif
