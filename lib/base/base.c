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

char *path_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL   ? xstrdup(".")
           : slash == path ? xstrdup("/")
                           : xasprintf("%.*s", (int)(slash - path), path);
}

void free_string(char **string)
{
    free(*string);
    *string = NULL;
}

/* A character that was cut in two at the end would make the answer's JSON invalid. */
static void drop_broken_tail(char *text)
{
    size_t length = strlen(text), back = 0;
    while (back < 4 && back < length && ((unsigned char)text[length - 1 - back] & 0xC0) == 0x80)
        back++;
    if (back >= length)
        return;
    unsigned char lead = (unsigned char)text[length - 1 - back];
    size_t need = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    if (need > back)
        text[length - 1 - back] = '\0';
}

int problem_set(struct problem *problem, int status, const char *where, const char *format, ...)
{
    problem->status = status;
    snprintf(problem->where, sizeof problem->where, "%s", where);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
    drop_broken_tail(problem->where);
    drop_broken_tail(problem->text);
    return 0;
}
