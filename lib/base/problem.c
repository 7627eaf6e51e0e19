#include "base/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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
