/* What a member of staff looked at last: the way back to it, when a caller calls again. */
#include <string.h>

#include "base/json.h"
#include "desk/context.h"
#include "store/kept.h"

enum { LOOKED_MAX = 10 };
#define LOOKED_KEPT_MS (30 * DAY_MS)

/* What is kept, a list; an empty one where there is none. To be put. 1 or -1. */
static int read_list(const struct context *context, const struct person *person,
                     struct json_object **list_r)
{
    struct kept kept;
    int found = store_kept(context->desk->store, context->arena, KEPT_LOOKED, person->name,
                           context->now_ms, &kept);
    if (found < 0)
        return -1;
    *list_r = found > 0 ? json_read(kept.value) : NULL;
    if (!json_object_is_type(*list_r, json_type_array)) {
        json_put(list_r);
        *list_r = json_object_new_array();
    }
    return 1;
}

static bool is_that(struct json_object *one, const char *found, const char *key)
{
    return strcmp(json_string(one, "key", ""), key) == 0 &&
           strcmp(json_string(one, "found", ""), found) == 0;
}

int desk_looked_add(const struct desk *desk, const struct person *person, const char *found,
                    const char *key, int64_t now_ms)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    freed_by(json_put) struct json_object *before = NULL, *list = json_object_new_array();
    if (read_list(&context, person, &before) < 0)
        return -1;
    size_t count = json_object_array_length(before);
    if (count > 0 && is_that(json_object_array_get_idx(before, 0), found, key))
        return 1; /* looked at again: nothing to write */
    struct json_object *newest = json_object_new_object();
    json_add_string(newest, "found", found);
    json_add_string(newest, "key", key);
    json_add_moment(newest, "at", now_ms);
    json_object_array_add(list, newest);
    for (size_t i = 0; i < count && json_object_array_length(list) < LOOKED_MAX; i++) {
        struct json_object *one = json_object_array_get_idx(before, i);
        if (!is_that(one, found, key))
            json_object_array_add(list, json_object_get(one));
    }
    const struct kept kept = {person->name,
                              json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN),
                              now_ms + LOOKED_KEPT_MS};
    return store_keep(desk->store, KEPT_LOOKED, &kept, now_ms, NULL);
}

int desk_looked(const struct desk *desk, const struct person *person, int64_t now_ms,
                struct json_object **list_r)
{
    freed_by(context_end) struct context context = context_begin(desk, now_ms);
    return read_list(&context, person, list_r);
}
