#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "web/desk_views.h"

/* The block lists, by the API and on pages. */

/* "reasons": those of the settings, for the form. */
static void add_reasons(const struct exchange *exchange, struct json_object *view)
{
    const struct text_list *reasons = &exchange->settings->blocks_reasons;
    struct json_object *list = json_add_list(view, "reasons");
    for (size_t i = 0; i < reasons->count; i++) {
        const char *space = strchr(reasons->items[i], ' ');
        struct json_object *reason = json_object_new_object();
        json_add_string(reason, "name",
                        arena_strndup(exchange->request->arena, reasons->items[i],
                                      (size_t)(space - reasons->items[i])));
        json_add_string(reason, "text", space + 1);
        json_object_array_add(list, reason);
    }
}

/* "new", "replaced", "same": how many entries were imported. */
static bool add_imported(const struct exchange *exchange, struct json_object *view)
{
    static const char *const names[] = {"new", "replaced", "same"};
    for (size_t i = 0; i < countof(names); i++) {
        const char *text = http_request_param(exchange->request, names[i]);
        size_t length = text != NULL ? strspn(text, "0123456789") : 0;
        if (length < 1 || length > 6 || text[length] != '\0')
            return false;
        json_add_int(view, names[i], atoi(text));
    }
    return true;
}

static void add_words(struct exchange *exchange, struct json_object *view)
{
    desk_blocks_add_words(view, exchange->catalogue, exchange->request->arena,
                          exchange->reader.language);
}

int desk_blocks_view(struct exchange *exchange, struct json_object **view_r,
                     struct problem *problem)
{
    const char *query = http_request_param(exchange->request, "q");
    const char *done = http_request_param(exchange->request, "done");
    (void)problem;
    int answer = desk_blocks(&exchange->web->desk, query,
                             http_request_param(exchange->request, "after"), exchange->now_ms,
                             view_r);
    if (answer > 0)
        add_words(exchange, *view_r);
    if (answer < 1 || exchange->api)
        return answer;
    json_add_string(*view_r, "query", query != NULL ? query : "");
    if (done != NULL && (strcmp(done, "block") == 0 || strcmp(done, "unblock") == 0))
        json_add_string(*view_r, "done", done);
    if (done != NULL && strcmp(done, "import") == 0 && add_imported(exchange, *view_r))
        json_add_string(*view_r, "done", done);
    add_reasons(exchange, *view_r);
    return answer;
}

static int does(struct exchange *exchange, struct json_object *request, bool preview,
                struct json_object **view_r, struct problem *problem)
{
    int answer = desk_block(&exchange->web->desk, &exchange->person, request, preview,
                            exchange->now_ms, view_r, problem);
    if (answer > 0)
        add_words(exchange, *view_r);
    return answer;
}

static int act_by_api(struct exchange *exchange, bool preview, struct json_object **view_r,
                      struct problem *problem)
{
    freed_by(json_put) struct json_object *request = desk_forms_words(exchange);
    return does(exchange, request, preview, view_r, problem);
}

/* The form again, with what is wrong. */
static void ask_again(struct exchange *exchange, struct json_object *request,
                      const struct problem *problem)
{
    struct json_object *view = json_object_new_object();
    json_add_string(view, "action", json_string(request, "action", ""));
    json_add_string(view, "subject", json_string(request, "subject", ""));
    desk_forms_add_typed(view, request);
    desk_forms_add_problem(view, problem);
    add_reasons(exchange, view);
    reply_page(exchange, problem->status, "desk_block", view);
}

/* Nothing is done before its preview was seen. */
static int act_by_form(struct exchange *exchange, bool preview, struct json_object **view_r)
{
    freed_by(json_put) struct json_object *request = desk_forms_typed(exchange);
    struct problem problem = {0};
    int answer = does(exchange, request, preview, view_r, &problem);
    if (answer == 0) {
        ask_again(exchange, request, &problem);
    } else if (answer > 0 && preview) {
        json_add_string(*view_r, "subject", json_string(request, "subject", ""));
        desk_forms_add_typed(*view_r, request);
        add_reasons(exchange, *view_r);
    } else if (answer > 0) {
        desk_routes_redirect(exchange, "/blocks", "",
                             arena_printf(exchange->request->arena, "?done=%s",
                                          json_string(*view_r, "action", "")));
        json_put(view_r);
    }
    return answer < 0 ? -1 : 1;
}

int desk_blocks_act(struct exchange *exchange, struct json_object **view_r,
                    struct problem *problem)
{
    bool preview;
    if (desk_forms_read_preview(exchange, &preview, problem) < 1)
        return 0;
    int answer = exchange->api ? act_by_api(exchange, preview, view_r, problem)
                               : act_by_form(exchange, preview, view_r);
    return desk_forms_outcome(exchange, answer, preview, view_r);
}
