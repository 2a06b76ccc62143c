#include "node/store/store_result.h"

#include <stdarg.h>
#include <stdio.h>

const char *store_result_name(enum store_result result)
{
    switch (result) {
    case STORE_OK:
        return "ok";
    case STORE_NOT_FOUND:
        return "not-found";
    case STORE_MORE:
        return "more";
    case STORE_STOPPED:
        return "stopped";
    case STORE_LOCKED:
        return "locked";
    case STORE_WRONG_IDENTITY:
        return "wrong-identity";
    case STORE_NEWER_FORMAT:
        return "newer-format";
    case STORE_CORRUPT:
        return "corrupt";
    case STORE_BAD_DUMP:
        return "bad-dump";
    case STORE_FULL:
        return "full";
    case STORE_IO:
        return "io";
    }
    CB_UNREACHABLE("store_result");
}

enum store_result
store_fail(struct store_error *err, enum store_result result, const char *fmt, ...)
{
    if (err != NULL) {
        va_list ap;
        va_start(ap, fmt);
        (void)vsnprintf(err->text, sizeof(err->text), fmt, ap); /* a cut sentence is still one */
        va_end(ap);
    }
    return result;
}
