#include "common/base/cb_assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void cb_assert_failed(const char *expr, const char *file, int line, const char *func)
{
    fprintf(stderr, "BUG: %s:%d: %s: assertion failed: %s\n", file, line, func, expr);
    fflush(stderr);
    abort();
}

void cb_die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("fatal: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    fflush(stderr);
    va_end(ap);
    /* Crash-only: no destructors, no flushing of state that may be wrong. */
    _exit(1);
}
