/* Undo: what an entry of the audit log did, and what is put back. */
#include <string.h>

#include "base/json.h"
#include "web/desk_views.h"

static bool asks_all(const struct exchange *exchange)
{
    const char *all = http_request_param(exchange->request, "all");
    return all != NULL && strcmp(all, "1") == 0;
}

/* What a page or its form asks for. To be put. */
static struct json_object *words_of_form(const struct exchange *exchange)
{
    struct json_object *words = json_object_new_object();
    const char *note = http_request_param(exchange->request, "note");
    if (note != NULL && exchange->request->method == METHOD_POST)
        json_add_string(words, "note", note);
    if (asks_all(exchange))
        json_add_bool(words, "all", true);
    return words;
}

/* The page; what cannot be undone says why. 1 or -1. */
static int show(struct exchange *exchange, bool preview, struct json_object **view_r)
{
    freed_by(json_put) struct json_object *words = words_of_form(exchange);
    struct problem problem = {0};
    int answer = desk_undo(&exchange->web->desk, &exchange->person, exchange->variable, words,
                           preview, exchange->now_ms, view_r, &problem);
    if (answer < 0)
        return -1;
    if (answer == 0)
        *view_r = json_object_new_object();
    json_add_string(*view_r, "number_text", exchange->variable);
    json_add_bool(*view_r, "all", asks_all(exchange));
    json_add_string(*view_r, "note_text", http_request_param(exchange->request, "note"));
    desk_page_add_used(json_member(json_member(*view_r, "before"), "next"));
    desk_page_add_used(json_member(json_member(*view_r, "after"), "next"));
    if (answer > 0)
        return 1;
    desk_forms_add_problem(*view_r, &problem);
    reply_page(exchange, problem.status, "desk_undo", take(*view_r));
    *view_r = NULL;
    return 1;
}

int desk_undo_view(struct exchange *exchange, struct json_object **view_r, struct problem *problem)
{
    (void)problem;
    return show(exchange, true, view_r);
}

static int act_by_form(struct exchange *exchange, struct json_object **view_r)
{
    int answer = show(exchange, false, view_r);
    if (answer < 0 || *view_r == NULL || asks_all(exchange))
        return answer;
    const char *subject = json_string(*view_r, "subject", "");
    if (json_member(*view_r, "before") == NULL) { /* of the block lists */
        desk_routes_redirect(exchange, "/audit", "", "");
        json_put(view_r);
        return 1;
    }
    desk_routes_redirect(exchange, *subject == '@' ? "/domains/" : "/mailboxes/",
                         *subject == '@' ? subject + 1 : subject, "?done=undo");
    json_put(view_r);
    return 1;
}

int desk_undo_act(struct exchange *exchange, struct json_object **view_r, struct problem *problem)
{
    bool preview = false;
    if (!exchange->api)
        return desk_forms_outcome(exchange, act_by_form(exchange, view_r), false, view_r);
    if (desk_forms_read_preview(exchange, &preview, problem) < 1)
        return 0;
    freed_by(json_put) struct json_object *words = desk_forms_words(exchange);
    int answer = desk_undo(&exchange->web->desk, &exchange->person, exchange->variable, words,
                           preview, exchange->now_ms, view_r, problem);
    return desk_forms_outcome(exchange, answer, preview, view_r);
}

int desk_undo_add_last(struct exchange *exchange, const struct audit_words *words,
                       struct json_object *view)
{
    freed_by(json_put) struct json_object *found = NULL;
    struct audit_filter filter;
    struct problem problem;
    if (desk_audit_filter_read(&exchange->web->desk, words, &filter, &problem) < 1)
        return 1;
    if (desk_audit_found(&exchange->web->desk, &filter, NULL, &found, &problem) < 1)
        return -1;
    struct json_object *list = json_member(found, "actions");
    desk_undo_mark(&exchange->person, list, exchange->now_ms);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        const char *number = json_string(json_object_array_get_idx(list, i), "undo", NULL);
        if (number == NULL)
            continue;
        json_add_string(view, "undo_last", number);
        break;
    }
    return 1;
}
