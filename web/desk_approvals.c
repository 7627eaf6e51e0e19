/* What waits for a second person: the list, and one of them with what it would do, to be answered. */
#include <string.h>

#include "base/json.h"
#include "web/desk_views.h"

int desk_approvals_view(struct exchange *exchange, struct json_object **view_r,
                        struct problem *problem)
{
    (void)problem;
    int answer = desk_approvals(&exchange->web->desk, &exchange->person, exchange->now_ms, view_r);
    if (answer > 0 && !exchange->api) {
        json_add_string(*view_r, "done", http_request_param(exchange->request, "done"));
        json_add_string(*view_r, "subject", http_request_param(exchange->request, "about"));
    }
    return answer;
}

void desk_approvals_redirect(struct exchange *exchange, const char *done, const char *subject)
{
    freed_by(text_free) struct text more = {0};
    text_addf(&more, "?done=%s&about=", done);
    text_add_url(&more, subject);
    desk_routes_redirect(exchange, "/approvals", "", text_string(&more));
}

int desk_approvals_add_to_home(struct exchange *exchange, struct json_object *view)
{
    freed_by(json_put) struct json_object *waiting = NULL;
    if (desk_approvals(&exchange->web->desk, &exchange->person, exchange->now_ms, &waiting) < 0)
        return -1;
    json_add_int(view, "approvals_waiting",
                 (int64_t)json_object_array_length(json_member(waiting, "approvals")));
    return 1;
}

int desk_approvals_one(struct exchange *exchange, struct json_object **view_r,
                       struct problem *problem)
{
    int answer = desk_approval(&exchange->web->desk, &exchange->person, exchange->variable,
                               exchange->now_ms, view_r, problem);
    if (answer < 1)
        return answer;
    struct json_object *approval = json_member(*view_r, "approval");
    json_add_string(*view_r, "action", json_string(approval, "action", ""));
    json_add_string(*view_r, "subject", json_string(approval, "subject", ""));
    desk_forms_add_preview(*view_r, json_member(approval, "request"));
    return 1;
}

/* The page again, with what is wrong; gone: the list. */
static int show_wrong(struct exchange *exchange, const struct problem *problem,
                      struct json_object **view_r)
{
    struct json_object *view = NULL;
    struct problem gone = {0};
    int answer = desk_approvals_one(exchange, &view, &gone);
    *view_r = NULL;
    if (answer < 0)
        return -1;
    const char *page = "desk_approval";
    if (answer == 0) {
        page = "desk_approvals";
        if (desk_approvals_view(exchange, &view, &gone) < 0)
            return -1;
    }
    desk_forms_add_problem(view, problem);
    reply_page(exchange, problem->status, page, view);
    return 1;
}

int desk_approvals_act(struct exchange *exchange, struct json_object **view_r,
                       struct problem *problem)
{
    freed_by(json_put) struct json_object *words = desk_forms_typed(exchange), *view = NULL;
    int answer = desk_approval_answer(&exchange->web->desk, &exchange->person, exchange->variable,
                                      words, exchange->now_ms, &view, problem);
    *view_r = NULL;
    if (answer < 0)
        reply_not_known(exchange);
    else if (answer == 0)
        return show_wrong(exchange, problem, view_r);
    else
        desk_approvals_redirect(exchange,
                                json_is_true(view, "done") ? "approval_give" : "approval_refuse",
                                json_string(view, "subject", ""));
    return 1;
}
