/* Addresses that staff lets a mailbox write as, by the API and at the desk. */
#include <string.h>

#include "base/json.h"
#include "web/desk_views.h"

int desk_permission_views_view(struct exchange *exchange, struct json_object **view_r,
                               struct problem *problem)
{
    return desk_permissions(&exchange->web->desk, exchange->variable, exchange->now_ms, view_r,
                            problem);
}

static int act(struct exchange *exchange, struct json_object *words, struct json_object **view_r,
               struct problem *problem)
{
    return desk_permissions_act(&exchange->web->desk, &exchange->person, exchange->variable, words,
                                exchange->now_ms, view_r, problem);
}

/* The form again, with what is wrong. */
static void ask_again(struct exchange *exchange, struct json_object *typed,
                      const struct problem *problem)
{
    struct json_object *view = json_object_new_object();
    json_add_string(view, "mailbox", exchange->variable);
    json_add_bool(view, "takes_back",
                  strcmp(json_string(typed, "action", ""), "disallow_from") == 0);
    desk_forms_add_typed(view, typed);
    desk_forms_add_problem(view, problem);
    reply_page(exchange, problem->status, "desk_permission", view);
}

static int act_by_form(struct exchange *exchange, struct json_object **view_r)
{
    freed_by(json_put) struct json_object *typed = desk_forms_typed(exchange);
    freed_by(json_put) struct json_object *done = NULL;
    struct problem problem = {0};
    int answer = act(exchange, typed, &done, &problem);
    *view_r = NULL;
    if (answer == 0)
        ask_again(exchange, typed, &problem);
    else if (answer > 0)
        desk_routes_redirect(exchange, "/mailboxes/", json_string(done, "mailbox", ""),
                             arena_printf(exchange->request->arena, "?done=%s",
                                          json_string(typed, "action", "")));
    return answer < 0 ? -1 : 1;
}

int desk_permission_views_act(struct exchange *exchange, struct json_object **view_r,
                              struct problem *problem)
{
    int answer = exchange->api ? act(exchange, exchange->request->params, view_r, problem)
                               : act_by_form(exchange, view_r);
    if (answer >= 0)
        return answer;
    reply_not_known(exchange);
    return 1;
}
