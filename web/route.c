/* Finds the route of a path: patterns of desk_routes[], piece by piece. */
#include <string.h>

#include "web/web.h"

/* Whether the path fits the pattern. {name} stands at a pattern's end, for all that is left, as
 * local parts of addresses may have slashes; but never for nothing. */
static bool fits(const char *pattern, const char *path, const char **variable_r)
{
    while (*pattern != '\0' && *pattern != '{') {
        if (*pattern++ != *path++)
            return false;
    }
    if (*pattern == '{') {
        *variable_r = path;
        return *path != '\0';
    }
    *variable_r = NULL;
    return *path == '\0';
}

const struct route *route_find(struct exchange *exchange, const char *path, bool *allowed_r)
{
    const struct route *variable_route = NULL;
    const char *rest = NULL;
    *allowed_r = false;
    for (size_t i = 0; i < desk_routes_count; i++) {
        const struct route *route = &desk_routes[i];
        const char *pattern = exchange->api ? route->api : route->desk, *variable;
        if (pattern == NULL || !fits(pattern, path, &variable))
            continue;
        *allowed_r = true;
        if (route->method != exchange->request->method)
            continue;
        if (variable == NULL) { /* a word beats a variable */
            exchange->variable = NULL;
            return route;
        }
        if (variable_route == NULL) {
            variable_route = route;
            rest = variable;
        }
    }
    exchange->variable = rest;
    return variable_route;
}
