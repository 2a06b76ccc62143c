#include "node/store/store_guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/cb_assert.h"

static _Thread_local const struct store_guard *volatile innermost; /* read by the handler */

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static unsigned n_guards; /* of all threads; guarded by `mu` */
/* What stood before the first of them; written only while the handler is not installed. */
static struct sigaction segv_before;
static struct sigaction bus_before;

static void on_fault(int signal_number)
{
    const struct store_guard *g = innermost;
    if (g == NULL) { /* the thread met no database: it meets its fault again, with who was before */
        (void)sigaction(signal_number, signal_number == SIGSEGV ? &segv_before : &bus_before, NULL);
        return;
    }
    /* There is nobody to tell of a failure. */
    (void)!write(STDERR_FILENO, g->sentence, strlen(g->sentence));
    _exit(1);
}

static void install(int signal_number, struct sigaction *before)
{
    struct sigaction a = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    CB_ASSERT(sigemptyset(&a.sa_mask) == 0);
    CB_ASSERT(sigaction(signal_number, &a, before) == 0);
}

void store_guard_begin(struct store_guard *g, const char *dir)
{
    (void)snprintf(g->sentence, /* cut if it is too long: it is for people */
                   sizeof(g->sentence),
                   "fatal: the database in %s is damaged: reading it faults; rebuild "
                   "this node under a new id\n",
                   dir);
    g->outer = innermost;
    (void)pthread_mutex_lock(&mu); /* fails on a bug only, which the sanitizers see */
    if (n_guards == 0) {
        install(SIGSEGV, &segv_before);
        install(SIGBUS, &bus_before);
    }
    n_guards++;
    (void)pthread_mutex_unlock(&mu);
    innermost = g;
}

void store_guard_end(const struct store_guard *g)
{
    CB_ASSERT(innermost == g);
    innermost = g->outer;
    (void)pthread_mutex_lock(&mu);
    n_guards--;
    if (n_guards == 0) {
        CB_ASSERT(sigaction(SIGSEGV, &segv_before, NULL) == 0);
        CB_ASSERT(sigaction(SIGBUS, &bus_before, NULL) == 0);
    }
    (void)pthread_mutex_unlock(&mu);
}
