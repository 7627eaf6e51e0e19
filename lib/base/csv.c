#include "base/csv.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* The rest of a line. */
struct csv_rest {
    const char *next, *end;
};

static int wrong(struct problem *problem, size_t number, const char *text)
{
    char where[sizeof problem->where];
    snprintf(where, sizeof where, "cell %zu", number);
    return problem_set(problem, 400, where, "%s", text);
}

/* What stands between quotation marks; *closed_r: there is a second one. */
static size_t unquote(struct csv_rest *rest, char *to, bool *closed_r)
{
    char *at = to;
    *closed_r = false;
    for (rest->next++; rest->next < rest->end && !*closed_r; rest->next++) {
        bool mark = *rest->next == '"';
        bool twice = mark && rest->next + 1 < rest->end && rest->next[1] == '"';
        *closed_r = mark && !twice;
        if (!*closed_r)
            *at++ = *rest->next;
        rest->next += twice;
    }
    return (size_t)(at - to);
}

static int read_cell(struct arena *arena, struct csv_rest *rest, size_t number, char **cell_r,
                     struct problem *problem)
{
    size_t left = (size_t)(rest->end - rest->next), length;
    bool quoted = left > 0 && *rest->next == '"', closed = true;
    if (quoted) {
        *cell_r = arena_alloc(arena, left);
        length = unquote(rest, *cell_r, &closed);
        (*cell_r)[length] = '\0';
    } else {
        const char *comma = memchr(rest->next, ',', left);
        length = comma != NULL ? (size_t)(comma - rest->next) : left;
        *cell_r = arena_strndup(arena, rest->next, length);
        rest->next += length;
    }
    if (!closed)
        return wrong(problem, number, "a quotation mark is missing at its end");
    if (rest->next < rest->end && *rest->next != ',')
        return wrong(problem, number, "expected a comma behind its quotation mark");
    if (!quoted && memchr(*cell_r, '"', length) != NULL)
        return wrong(problem, number,
                     "a quotation mark stands within it, but none at its beginning");
    if (strlen(*cell_r) != length)
        return wrong(problem, number, "it holds a NUL");
    text_plain_of_csv(*cell_r);
    return 1;
}

int csv_line_read(struct arena *arena, const char *line, size_t length, char **cells_r, size_t max,
                  size_t *count_r, struct problem *problem)
{
    struct csv_rest rest = {line, line + length};
    for (size_t count = 0; count < max; count++) {
        if (!read_cell(arena, &rest, count + 1, &cells_r[count], problem))
            return 0;
        *count_r = count + 1;
        if (rest.next == rest.end)
            return 1;
        rest.next++; /* the comma */
    }
    return wrong(problem, max + 1, "there are more cells than columns");
}
