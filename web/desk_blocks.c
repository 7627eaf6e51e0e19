#include <string.h>

#include "base/json.h"
#include "web/desk_views.h"

/* The block lists, by the API. */

int desk_blocks_view(struct exchange *exchange, struct json_object **view_r,
                     struct problem *problem)
{
    (void)problem;
    return desk_blocks(&exchange->web->desk, http_request_param(exchange->request, "q"),
                       http_request_param(exchange->request, "after"), exchange->now_ms, view_r);
}

int desk_blocks_act(struct exchange *exchange, struct json_object **view_r,
                    struct problem *problem)
{
    freed_by(json_put) struct json_object *request = json_object_new_object();
    struct json_object *preview = json_member(exchange->request->params, "preview");
    if (preview != NULL && !json_object_is_type(preview, json_type_boolean))
        return problem_set(problem, 400, "preview", "true or false was expected");
    json_object_object_foreach(exchange->request->params, name, value)
    {
        if (strcmp(name, "preview") != 0)
            json_object_object_add(request, name, json_object_get(value));
    }
    int answer = desk_block(&exchange->web->desk, &exchange->person, request,
                            json_object_get_boolean(preview), exchange->now_ms, view_r, problem);
    if (answer >= 0 || json_object_get_boolean(preview))
        return answer;
    reply_not_known(exchange);
    *view_r = NULL;
    return 1;
}
