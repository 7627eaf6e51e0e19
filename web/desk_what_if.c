/* Whom another limit would have stopped: a form, and below it the table. */
#include <string.h>

#include "base/json.h"
#include "base/zone.h"
#include "web/desk_views.h"

/* A request holds one of the server's threads so long at most. */
enum { BUDGET_MS = 20 * SECOND_MS };

static int ask(struct exchange *exchange, struct json_object **view_r, struct problem *problem)
{
    freed_by(zone_free) struct zone *zone = zone_open(exchange->api ? NULL : exchange->reader.zone);
    const struct desk_what_if words = {
        .rule = http_request_param(exchange->request, "rule"),
        .value = http_request_param(exchange->request, "value"),
        .subject = http_request_param(exchange->request, "subject"),
        .since = http_request_param(exchange->request, "since"),
        .zone = zone,
    };
    return desk_what_if(&exchange->web->desk, &words, BUDGET_MS, exchange->now_ms, view_r,
                        problem);
}

/* What was typed, and in which zone. */
static void add_form(const struct exchange *exchange, struct json_object *view,
                     struct json_object *request)
{
    const char *zone = exchange->reader.zone;
    desk_forms_add_typed(view, request);
    json_add_string(view, "zone", zone != NULL ? zone : "UTC");
}

int desk_what_if_view(struct exchange *exchange, struct json_object **view_r,
                      struct problem *problem)
{
    if (exchange->api)
        return ask(exchange, view_r, problem);
    freed_by(json_put) struct json_object *request = desk_forms_typed(exchange);
    int answer = 1;
    if (http_request_param(exchange->request, "rule") == NULL)
        *view_r = json_object_new_object();
    else if ((answer = ask(exchange, view_r, problem)) > 0)
        json_add_bool(*view_r, "answered", true);
    if (answer < 0)
        return -1;
    if (answer == 0) {
        struct json_object *view = json_object_new_object();
        add_form(exchange, view, request);
        desk_forms_add_problem(view, problem);
        reply_page(exchange, problem->status, "desk_what_if", view);
        *view_r = NULL;
        return 1;
    }
    add_form(exchange, *view_r, request);
    return 1;
}
