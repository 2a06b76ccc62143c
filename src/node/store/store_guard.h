/* A sentence for a database that is so damaged that LMDB itself faults on it.
 *
 * LMDB trusts the numbers in its pages: one that is cut or flipped can send it outside of its map,
 * and the process dies by SIGSEGV or SIGBUS. Between begin and end it dies saying so instead, with
 * exit status 1, as for any other damage (design D9). Meant for opening, loading and copying, where
 * every page is looked at.
 *
 * Owns:      the handlers of SIGSEGV and SIGBUS, from the first begin to the last end in the
 *            process. A fault on a thread without a guard goes to who had them before.
 * Threads:   any, each for itself: begin and end on one thread, nested or not.
 * Errors:    none. */
#ifndef CB_NODE_STORE_STORE_GUARD_H
#define CB_NODE_STORE_STORE_GUARD_H

#include <limits.h>

struct store_guard {
    const struct store_guard *outer; /* of this thread; NULL: none */
    char sentence[PATH_MAX + 256];   /* made beforehand: a handler may not format */
};

/* `dir` is named in the sentence; it is copied. */
void store_guard_begin(struct store_guard *g, const char *dir);
void store_guard_end(const struct store_guard *g);

#endif
