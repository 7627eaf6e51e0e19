#include "guard/problem_place.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "message/submission.h"

/* The field of "to[1]" and its number from 1; 0: another place. */
static unsigned long recipient_of(const char *where, int *field_r)
{
    for (int field = 0; field < FIELD_COUNT; field++) {
        size_t length = strlen(field_names[field]);
        char *end = NULL;
        if (strncmp(where, field_names[field], length) != 0 || where[length] != '[')
            continue;
        unsigned long index = strtoul(where + length + 1, &end, 10);
        *field_r = field;
        return strcmp(end, "]") == 0 ? index + 1 : 0;
    }
    return 0;
}

/* Which text has its ordinal: 1st alone, 21st, 2nd, 3rd, 4th and 11th. */
static const char *ordinal(unsigned long number)
{
    unsigned long last = number % 100 / 10 == 1 ? 0 : number % 10;
    return number == 1 ? "first" : last == 1 ? "one" : last == 2 ? "two" : last == 3 ? "few" : "other";
}

const char *problem_place_text(const struct catalogue *catalogue, struct arena *arena,
                               const char *language, const char *where)
{
    int field = 0;
    unsigned long number = recipient_of(where, &field);
    if (number == 0)
        return NULL;
    freed_by(json_put) struct json_object *values = json_object_new_object();
    const char *key = arena_printf(arena, "field.%s", field_names[field]);
    json_add_string(values, "field", catalogue_text(catalogue, arena, language, key, NULL));
    json_add_int(values, "number", (int64_t)number);
    key = arena_printf(arena, "problem.recipient_%s", ordinal(number));
    return catalogue_text(catalogue, arena, language, key, values);
}
