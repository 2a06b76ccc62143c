#include "common/base/cb_mem.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cb_assert.h"

static _Noreturn void out_of_memory(size_t size)
{
    cb_die("out of memory (%zu bytes asked for): give the machine or the unit more memory", size);
}

void *cb_malloc(size_t size)
{
    void *p = malloc(size > 0 ? size : 1);
    if (p == NULL) {
        out_of_memory(size);
    }
    return p;
}

void *cb_calloc(size_t count, size_t size)
{
    void *p = calloc(count > 0 ? count : 1, size > 0 ? size : 1);
    if (p == NULL) {
        out_of_memory(count * size);
    }
    return p;
}

void *cb_realloc(void *p, size_t size)
{
    if (size == 0) {
        free(p);
        return NULL;
    }
    void *q = realloc(p, size);
    if (q == NULL) {
        out_of_memory(size);
    }
    return q;
}

void *cb_aligned_malloc(size_t alignment, size_t size)
{
    void *p = aligned_alloc(alignment, size);
    if (p == NULL) {
        out_of_memory(size);
    }
    return p;
}

void *cb_memdup(const void *p, size_t size)
{
    void *q = cb_malloc(size);
    if (size > 0) {
        memcpy(q, p, size);
    }
    return q;
}

char *cb_strdup(const char *s)
{
    return cb_memdup(s, strlen(s) + 1);
}

void cb_free(void *p)
{
    free(p);
}

void cb_mem_give_back(void)
{
    (void)malloc_trim(0); /* whether there was anything */
}
