#include "guard/refill_steps.h"

#include "base/json.h"
#include "base/zone.h"

enum { STEPS_SHOWN = 3 }; /* the rest is one more line */

static int64_t minute_of(struct json_object *step)
{
    int64_t time_ms = 0;
    if (!zone_moment_read(json_string(step, "at", ""), &time_ms))
        return 0;
    return (time_ms + MINUTE_MS - 1) / MINUTE_MS;
}

static void add_to_step(struct json_object *step, struct json_object *more)
{
    json_add_int(step, "count", json_int(step, "count", 0) + json_int(more, "count", 0));
    json_add(step, "at", json_object_get(json_member(more, "at")));
}

void refill_steps_add(struct json_object *window)
{
    struct json_object *refill = json_member(window, "refill"), *last = NULL;
    struct json_object *steps = json_add_list(window, "steps");
    for (size_t i = 0; i < json_object_array_length(refill); i++) {
        struct json_object *more = json_object_array_get_idx(refill, i);
        size_t shown = json_object_array_length(steps);
        bool same = last != NULL && minute_of(last) == minute_of(more);
        if (!same && shown < STEPS_SHOWN) {
            last = json_object_new_object();
            json_object_array_add(steps, last);
        } else if (!same && json_member(window, "rest") == NULL) {
            last = json_add_object(window, "rest");
        }
        add_to_step(last, more);
    }
}
