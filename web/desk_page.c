/* What pages of the desk show beside the facts: put together here, because a template cannot. */
#include <string.h>

#include "base/json.h"
#include "base/zone.h"
#include "web/desk_views.h"

/* ---- what the next message would meet -------------------------------------------------------- */

/* The next message is one, to one recipient: what is counted without it is used already. */
static void tell_used(struct json_object *reason)
{
    int rule = rule_by_name(json_string(reason, "rule", ""));
    int64_t count = json_int(reason, "count", 0);
    bool over_time = rule >= RULE_FIRST_OVER_TIME && count > 0;
    json_add_bool(reason, "used_told", over_time);
    if (over_time)
        json_add_int(reason, "used", count - 1);
}

void desk_page_add_used(struct json_object *next)
{
    struct json_object *reasons = json_member(next, "reasons");
    size_t count = reasons != NULL ? json_object_array_length(reasons) : 0;
    for (size_t i = 0; i < count; i++)
        tell_used(json_object_array_get_idx(reasons, i));
}

/* ---- moments ---------------------------------------------------------------------------------- */

void desk_page_add_full(const struct exchange *exchange, struct json_object *view)
{
    int64_t at_ms;
    if (zone_moment_read(json_string(view, "at", ""), &at_ms))
        json_add_string(view, "at_exact",
                        present_moment_exact(exchange->request->arena, &exchange->reader, at_ms));
}

/* ---- limits ---------------------------------------------------------------------------------- */

static bool is_adjusted(struct json_object *limit)
{
    return strcmp(json_string(limit, "source", "settings"), "settings") != 0 ||
           json_int(limit, "extra", 0) > 0;
}

/* The row of that rule, at the end when there is none yet. */
static struct json_object *row_of(struct json_object *rows, const char *rule)
{
    for (size_t i = 0; i < json_object_array_length(rows); i++) {
        struct json_object *row = json_object_array_get_idx(rows, i);
        if (strcmp(json_string(row, "rule", ""), rule) == 0)
            return row;
    }
    struct json_object *row = json_object_new_object();
    json_add_string(row, "rule", rule);
    json_add_list(row, "channels");
    json_object_array_add(rows, row);
    return row;
}

static void add_adjusted(struct json_object *view, struct json_object *rows)
{
    freed_by(json_put) struct json_object *adjusted = json_object_new_object();
    struct json_object *list = json_add_list(adjusted, "limit_rows");
    for (size_t i = 0; i < json_object_array_length(rows); i++) {
        struct json_object *row = json_object_array_get_idx(rows, i);
        if (json_is_true(row, "adjusted"))
            json_object_array_add(list, json_object_get(row));
    }
    json_add(adjusted, "forwarding", json_object_get(json_member(view, "forwarding")));
    bool any = json_object_array_length(list) > 0;
    json_add(view, "adjusted", any ? take(adjusted) : NULL);
}

void desk_page_add_limit_rows(struct json_object *view)
{
    struct json_object *limits = json_member(view, "limits");
    struct json_object *rows = json_add_list(view, "limit_rows");
    size_t count = limits != NULL ? json_object_array_length(limits) : 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *limit = json_object_array_get_idx(limits, i);
        struct json_object *row = row_of(rows, json_string(limit, "rule", ""));
        json_object_array_add(json_member(row, "channels"), json_object_get(limit));
        if (is_adjusted(limit))
            json_add_bool(row, "adjusted", true);
        if (strcmp(json_string(limit, "channel", ""), "forwarding") == 0)
            json_add_bool(view, "forwarding", true);
    }
    json_object_object_del(view, "limits");
    add_adjusted(view, rows);
}
