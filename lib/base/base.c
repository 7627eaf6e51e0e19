#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *or_abort(void *memory)
{
    if (memory == NULL) {
        fputs("sendguard: out of memory\n", stderr);
        abort();
    }
    return memory;
}

void *xmalloc(size_t size) { return or_abort(malloc(size > 0 ? size : 1)); }

void *xcalloc(size_t count, size_t size)
{
    return or_abort(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *xrealloc(void *old, size_t size) { return or_abort(realloc(old, size > 0 ? size : 1)); }

char *xstrdup(const char *string) { return or_abort(strdup(string)); }

char *xasprintf(const char *format, ...)
{
    char *string = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&string, format, arguments);
    va_end(arguments);
    return or_abort(length < 0 ? NULL : string);
}

void free_string(char **string)
{
    free(*string);
    *string = NULL;
}
