/* Memory of one request: taken piece by piece, given back all at once.
 * Under AddressSanitizer every piece is a malloc of its own, so that an
 * overrun is seen. Not thread-safe: one arena a worker. */
#ifndef SENDGUARD_ARENA_H
#define SENDGUARD_ARENA_H

#include "base/base.h"

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena **arena);

/* Forget everything taken so far; keeps one block for the next request. */
void arena_reset(struct arena *arena);

/* Memory aligned for any type, zeroed; lives until arena_reset or arena_free. Never NULL. */
void *arena_alloc(struct arena *arena, size_t size) __attribute__((returns_nonnull));

/* A copy of `length` bytes with a NUL behind it. */
char *arena_strndup(struct arena *arena, const char *bytes, size_t length)
    __attribute__((returns_nonnull));
char *arena_strdup(struct arena *arena, const char *string) __attribute__((returns_nonnull));
char *arena_printf(struct arena *arena, const char *format, ...) printf_like(2, 3)
    __attribute__((returns_nonnull));

#endif
