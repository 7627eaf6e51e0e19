#include "http/content_type.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "http/form.h"

/* A parameter: name=value or name="value". */
struct parameter {
    const char *name, *value;
    size_t name_length, value_length;
};

/* Reads the parameter at *at, which is behind a ';'. */
static bool next_parameter(const char **at, struct parameter *parameter_r)
{
    const char *next = *at + strspn(*at, " \t");
    parameter_r->name = next;
    parameter_r->name_length = strcspn(next, "=; \t\"");
    next += parameter_r->name_length;
    if (parameter_r->name_length == 0 || *next++ != '=')
        return false;
    bool quoted = *next == '"';
    parameter_r->value = next += quoted;
    parameter_r->value_length = strcspn(next, quoted ? "\"\\" : "; \t\",");
    next += parameter_r->value_length;
    if (quoted && *next++ != '"')
        return false;
    next += strspn(next, " \t");
    *at = next;
    return *next == ';' || *next == '\0';
}

static bool is_word(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && strncasecmp(text, word, length) == 0;
}

static bool is_boundary(const char *text, size_t length)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "'()+_,-./:=? ";
    return length > 0 && length <= FORM_MAX_BOUNDARY_BYTES && strspn(text, allowed) >= length &&
           text[length - 1] != ' ';
}

/* Reads the parameters behind the type's name. */
static int read_parameters(const char *at, struct content_type *type, struct problem *problem)
{
    while (*at == ';') {
        struct parameter parameter;
        at++;
        if (at[strspn(at, " \t")] == '\0')
            break;
        if (!next_parameter(&at, &parameter))
            return problem_set(problem, 400, "Content-Type", "a parameter is malformed");
        if (is_word(parameter.name, parameter.name_length, "charset")) {
            if (!is_word(parameter.value, parameter.value_length, "utf-8"))
                return problem_set(problem, 415, "Content-Type", "the charset must be utf-8");
        } else if (type->kind == CONTENT_MULTIPART) {
            if (!is_word(parameter.name, parameter.name_length, "boundary") ||
                type->boundary != NULL)
                return problem_set(problem, 400, "Content-Type",
                                   "expected one boundary and nothing else but a charset");
            type->boundary = parameter.value;
            type->boundary_length = parameter.value_length;
        }
    }
    return 1;
}

int content_type_read(const char *text, struct content_type *type_r, struct problem *problem)
{
    static const char *const names[] = {
        [CONTENT_JSON] = "application/json",
        [CONTENT_URLENCODED] = "application/x-www-form-urlencoded",
        [CONTENT_MULTIPART] = "multipart/form-data",
    };
    const char *name = text != NULL ? text : "";
    size_t length = strcspn(name, "; \t"), kind = 0;
    const char *behind = name + length + strspn(name + length, " \t");
    while (kind < countof(names) && !is_word(name, length, names[kind]))
        kind++;
    if (kind == countof(names) || (*behind != ';' && *behind != '\0'))
        return problem_set(problem, 415, "Content-Type", "expected %s, %s or %s", names[0],
                           names[1], names[2]);
    struct content_type type = {.kind = (enum content_kind)kind};
    if (!read_parameters(behind, &type, problem))
        return 0;
    if (type.kind == CONTENT_MULTIPART &&
        (type.boundary == NULL || !is_boundary(type.boundary, type.boundary_length)))
        return problem_set(problem, 400, "Content-Type",
                           "expected a boundary of 1 to %d characters", FORM_MAX_BOUNDARY_BYTES);
    *type_r = type;
    return 1;
}
