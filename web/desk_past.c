/* How it stood with a mailbox at a moment of the past. */
#include "base/json.h"
#include "base/zone.h"
#include "web/desk_views.h"

/* A request holds one of the server's threads so long at most. */
enum { BUDGET_MS = 20 * SECOND_MS };

/* What was typed, and in which zone. */
static void add_form(const struct exchange *exchange, struct json_object *view)
{
    freed_by(json_put) struct json_object *request = desk_forms_typed(exchange);
    const char *zone = exchange->reader.zone;
    desk_forms_add_typed(view, request);
    json_add_string(view, "zone", zone != NULL ? zone : "UTC");
}

int desk_past_view(struct exchange *exchange, struct json_object **view_r,
                   struct problem *problem)
{
    freed_by(zone_free) struct zone *zone = zone_open(exchange->api ? NULL : exchange->reader.zone);
    const char *at = http_request_param(exchange->request, "at");
    int answer = desk_past(&exchange->web->desk, exchange->variable, at != NULL ? at : "", zone,
                           BUDGET_MS, exchange->now_ms, view_r, problem);
    if (answer < 0 || exchange->api)
        return answer;
    if (answer == 0) {
        struct json_object *view = json_object_new_object();
        json_add_string(view, "mailbox", exchange->variable);
        add_form(exchange, view);
        desk_forms_add_problem(view, problem);
        reply_page(exchange, problem->status, "desk_past", view);
        *view_r = NULL;
        return 1;
    }
    json_add_bool(*view_r, "answered", true);
    add_form(exchange, *view_r);
    desk_page_add_limit_rows(*view_r);
    return 1;
}
