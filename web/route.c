/* Finds the route of a path: patterns of desk_routes[], piece by piece. */
#include <stdint.h>
#include <string.h>

#include "web/web.h"

/* How well the path fits the pattern: 0 not at all; the more, the more of it the pattern says. {name}
 * stands for all between what is before and behind it, as local parts of addresses may have
 * slashes; but never for nothing. *variable_r: what it stands for, in `arena`; NULL: it has none. */
static size_t fits(struct arena *arena, const char *pattern, const char *path,
                   const char **variable_r)
{
    size_t before = strcspn(pattern, "{"), length = strlen(path);
    *variable_r = NULL;
    if (pattern[before] == '\0')
        return strcmp(pattern, path) == 0 ? SIZE_MAX : 0;
    const char *behind = strchr(pattern + before, '}') + 1;
    size_t around = before + strlen(behind);
    if (length <= around || strncmp(pattern, path, before) != 0 ||
        strcmp(path + length - strlen(behind), behind) != 0)
        return 0;
    *variable_r = arena_strndup(arena, path + before, length - around);
    return around;
}

const struct route *route_find(struct exchange *exchange, const char *path, bool *allowed_r)
{
    const struct route *found = NULL;
    size_t best = 0;
    for (size_t i = 0; i < desk_routes_count; i++) {
        const struct route *route = &desk_routes[i];
        const char *pattern = exchange->api ? route->api : route->desk, *variable;
        size_t fit = pattern != NULL
                         ? fits(exchange->request->arena, pattern, path, &variable)
                         : 0;
        if (fit == 0 || fit < best)
            continue;
        if (fit > best)
            found = NULL;
        best = fit;
        if (found != NULL || route->method != exchange->request->method)
            continue;
        found = route;
        exchange->variable = variable;
    }
    *allowed_r = best > 0;
    return found;
}
