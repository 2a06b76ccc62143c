/* The delayed or buried jobs of a tube, in order, so that the first n of them can be cut off at
 * once, however many they are: a kick of a million is one cut (ADR 13).
 *
 * The order is that in which kick takes them: delayed ones by deadline, buried ones by burial.
 * They lie in chunks of at most JSM_CHUNK_JOBS, and each chunk knows which of its jobs would be
 * reserved first. Where one chunk ends and the next begins depends on how the row came about; only
 * what does not depend on that may reach a record or a result.
 * Owns:     its chunks; not the jobs.
 * Threads:  one. */
#ifndef CB_NODE_JSM_JSM_ROW_H
#define CB_NODE_JSM_JSM_ROW_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cb_heap.h"

struct jsm_job;

#define JSM_CHUNK_JOBS 32

/* The place of a job in its row. */
struct jsm_key {
    uint64_t a; /* deadline; number of the burial */
    uint64_t b; /* job id */
};

/* Ready jobs of a tube that are not in its heap. */
struct jsm_lot {
    struct cb_heap_node node; /* in the tube's lots, by `best` */
    struct jsm_job *best;     /* the first of them by priority and id */
};

struct jsm_chunk {
    struct jsm_lot lot; /* best: NULL in the first chunk of a row when it is not known */
    uint16_t n;
    uint16_t n_urgent;
    struct jsm_job *jobs[JSM_CHUNK_JOBS];
};

struct jsm_place {
    struct jsm_key first; /* key of the chunk's first job */
    struct jsm_chunk *chunk;
};

struct jsm_row {
    struct jsm_place *places; /* [first, first + n) are used */
    uint32_t first, n, cap;
    uint64_t len;         /* jobs */
    struct cb_heap *lots; /* the heap that the chunks are in, NULL: none */
};

struct jsm_key jsm_key_of(const struct jsm_job *j);
bool jsm_key_less(struct jsm_key x, struct jsm_key y);
bool jsm_lot_less(const struct cb_heap_node *a, const struct cb_heap_node *b);

void jsm_row_init(struct jsm_row *r);
/* Frees the chunks, which must be in no heap that is used any more. */
void jsm_row_fini(struct jsm_row *r);
/* The job's state, deadline and seq are set. */
void jsm_row_insert(struct jsm_row *r, struct jsm_job *j);
/* They are still as they were when it was inserted. */
void jsm_row_remove(struct jsm_row *r, struct jsm_job *j);
struct jsm_job *jsm_row_first(const struct jsm_row *r); /* NULL when empty */
/* Moves the first `n`, which are there, to the empty row `out`; returns the key of the last. */
struct jsm_key jsm_row_cut(struct jsm_row *r, uint64_t n, struct jsm_row *out);
/* Puts the chunks into this heap of lots, and keeps them there. */
void jsm_row_show(struct jsm_row *r, struct cb_heap *lots);
/* How many of its jobs are urgent. */
uint64_t jsm_row_urgent(const struct jsm_row *r);

#endif
