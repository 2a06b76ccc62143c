#include "node/store/store_guard.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/cb_assert.h"

/* Made beforehand: a handler may not format. */
static char sentence[PATH_MAX + 256];

static void on_fault(int signal_number)
{
    (void)signal_number;
    /* There is nobody to tell of a failure. */
    (void)!write(STDERR_FILENO, sentence, strlen(sentence));
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
    (void)snprintf(sentence, /* cut if it is too long: it is for people */
                   sizeof(sentence),
                   "fatal: the database in %s is damaged: reading it faults; rebuild "
                   "this node under a new id\n",
                   dir);
    install(SIGSEGV, &g->segv);
    install(SIGBUS, &g->bus);
}

void store_guard_end(const struct store_guard *g)
{
    CB_ASSERT(sigaction(SIGSEGV, &g->segv, NULL) == 0);
    CB_ASSERT(sigaction(SIGBUS, &g->bus, NULL) == 0);
}
