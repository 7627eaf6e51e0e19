/* Small things that every module uses: sizes of arrays, allocation that
 * succeeds or aborts and cleanup attributes. */
#ifndef SENDGUARD_BASE_H
#define SENDGUARD_BASE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#define countof(array) (sizeof(array) / sizeof((array)[0]))

/* A result that must be looked at: 1 yes, 0 no, -1 don't know. */
#define must_check __attribute__((warn_unused_result))
#define printf_like(at, first) __attribute__((format(printf, at, first)))

/* `freed_by(x_free) struct x *x = NULL;` frees x at the end of its scope.
 * x_free(struct x **) accepts a NULL inside and sets NULL. */
#define freed_by(free_function) __attribute__((cleanup(free_function)))

/* Hand the pointer on and leave NULL behind, so that its cleanup does nothing. */
#define take(pointer)                  \
    __extension__({                    \
        typeof(pointer) taken_ = (pointer); \
        (pointer) = NULL;              \
        taken_;                        \
    })

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
enum { TRIES_MAX = 1000 }; /* of one thing that is allowed so often in a span of time */
#define UNTIL_LIFTED INT64_MAX /* an end, or a duration, that staff decides */

/* Allocation of sizes that are ours: never NULL, aborts when memory is out.
 * What a client sizes is limited before it gets here. */
void *xmalloc(size_t size) __attribute__((returns_nonnull, malloc));
void *xcalloc(size_t count, size_t size) __attribute__((returns_nonnull, malloc));
void *xrealloc(void *old, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *string) __attribute__((returns_nonnull, malloc));
char *xasprintf(const char *format, ...) printf_like(1, 2) __attribute__((returns_nonnull, malloc));
void free_string(char **string);

#endif
