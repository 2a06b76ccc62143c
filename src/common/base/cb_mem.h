/* Memory that is there or the process is not (design D9: no memory never becomes a reply).
 *
 * Owns:     nothing; the caller owns what it gets and frees it with cb_free.
 * Threads:  any.
 * Errors:   none; when memory runs out the process ends with a sentence. */
#ifndef CB_COMMON_BASE_CB_MEM_H
#define CB_COMMON_BASE_CB_MEM_H

#include <stddef.h>

void *cb_malloc(size_t size) __attribute__((malloc, returns_nonnull));
void *cb_calloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* Also frees when `size` is 0, and returns NULL then. */
void *cb_realloc(void *p, size_t size);
/* `alignment` is a power of two that divides `size`. */
void *cb_aligned_malloc(size_t alignment, size_t size) __attribute__((malloc, returns_nonnull));
void *cb_memdup(const void *p, size_t size) __attribute__((returns_nonnull));
char *cb_strdup(const char *s) __attribute__((returns_nonnull));
void cb_free(void *p);
/* The system gets back what was freed; else the allocator keeps it for this process. Looks at all
 * that is free: for after much of it, on a thread that nobody waits for. */
void cb_mem_give_back(void);

#endif
