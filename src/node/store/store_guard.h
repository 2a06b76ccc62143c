/* A sentence for a database that is so damaged that LMDB itself faults on it.
 *
 * LMDB trusts the numbers in its pages: one that is cut or flipped can send it outside of its map,
 * and the process dies by SIGSEGV or SIGBUS. Between begin and end it dies saying so instead, with
 * exit status 1, as for any other damage (design D9). Meant for opening and loading, where every
 * page is looked at.
 * Owns:      the handlers of SIGSEGV and SIGBUS, between begin and end.
 * Threads:   one at a time in the process.
 * Errors:    none. */
#ifndef CB_NODE_STORE_STORE_GUARD_H
#define CB_NODE_STORE_STORE_GUARD_H

#include <signal.h>

struct store_guard {
    struct sigaction segv, bus; /* what stood before */
};

/* `dir` is named in the sentence; it is copied. */
void store_guard_begin(struct store_guard *g, const char *dir);
void store_guard_end(const struct store_guard *g);

#endif
