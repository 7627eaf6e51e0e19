/* Messages that Postfix holds, by the API and at the desk. */
#include <string.h>

#include "base/json.h"
#include "web/desk_views.h"
#include "web/logins_pages.h"

enum { SIGNINS_SHOWN = 20 }; /* of the first mailboxes on the page */

/* For the page: each mailbox gets "number", from `first` on, and, the first ones, its last sign-ins. 1 or
 * -1. */
static int complete(struct exchange *exchange, struct json_object *list, size_t first)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        json_add_int(one, "number", (int64_t)(first + i));
        if (i < SIGNINS_SHOWN &&
            logins_pages_add(exchange, json_string(one, "mailbox", ""), NULL, one) < 0)
            return -1;
    }
    return 1;
}

/* What was done: "done_release" and others. */
static void add_done(struct exchange *exchange, struct json_object *view)
{
    static const char *const answers[] = {"release", "reject", "usual", "locked"};
    const char *done = http_request_param(exchange->request, "done");
    for (size_t i = 0; i < countof(answers); i++)
        json_add_bool(view, arena_printf(exchange->request->arena, "done_%s", answers[i]),
                      done != NULL && strcmp(done, answers[i]) == 0);
}

int desk_held_view(struct exchange *exchange, struct json_object **view_r, struct problem *problem)
{
    (void)problem;
    int answer = desk_held(&exchange->web->desk, exchange->now_ms, view_r);
    if (answer < 1 || exchange->api)
        return answer;
    struct json_object *held = json_member(*view_r, "held");
    add_done(exchange, *view_r);
    if (complete(exchange, held, 1) > 0 &&
        complete(exchange, json_member(*view_r, "lately"),
                 json_object_array_length(held) + 1) > 0)
        return 1;
    json_put(view_r);
    return -1;
}

static int act(struct exchange *exchange, struct json_object *words, bool preview,
               struct json_object **view_r, struct problem *problem)
{
    return desk_held_act(&exchange->web->desk, &exchange->person, exchange->variable, words,
                         preview, exchange->now_ms, view_r, problem);
}

static int act_by_api(struct exchange *exchange, bool preview, struct json_object **view_r,
                      struct problem *problem)
{
    freed_by(json_put) struct json_object *words = desk_forms_words(exchange);
    return act(exchange, words, preview, view_r, problem);
}

static void add_form(struct exchange *exchange, struct json_object *view,
                     struct json_object *typed)
{
    json_add_string(view, "mailbox", exchange->variable);
    json_add_string(view, "action", json_string(typed, "action", ""));
    desk_forms_add_typed(view, typed);
}

static void ask_again(struct exchange *exchange, struct json_object *typed,
                      const struct problem *problem)
{
    struct json_object *view = json_object_new_object();
    add_form(exchange, view, typed);
    desk_forms_add_problem(view, problem);
    reply_page(exchange, problem->status, "desk_held_answer", view);
}

/* What a form has as text; "seen" is of the frame of all forms. */
static struct json_object *words_of(const struct exchange *exchange, struct json_object *typed)
{
    struct json_object *words = json_object_new_object();
    json_object_object_foreach(typed, name, value)
        if (strcmp(name, "by_hand") != 0)
            json_object_object_add(words, name, json_object_get(value));
    if (json_object_object_get_ex(typed, "by_hand", NULL))
        json_add_bool(words, "by_hand", true);
    json_add_string(words, "seen", http_request_param(exchange->request, "seen"));
    return words;
}

static int act_by_form(struct exchange *exchange, bool preview, struct json_object **view_r)
{
    freed_by(json_put) struct json_object *typed = desk_forms_typed(exchange);
    freed_by(json_put) struct json_object *words = words_of(exchange, typed);
    struct problem problem = {0};
    int answer = act(exchange, words, preview, view_r, &problem);
    if (answer == 0) {
        ask_again(exchange, typed, &problem);
    } else if (answer > 0 && preview) {
        add_form(exchange, *view_r, typed);
        json_add_bool(*view_r, "allowed", true);
        json_add_bool(*view_r, "waited", strcmp(json_string(*view_r, "was", ""), "hold") == 0);
        json_add_bool(*view_r, "locked", json_member(*view_r, "lock") != NULL &&
                                             strcmp(json_string(*view_r, "lock", ""), "none") != 0);
    } else if (answer > 0) {
        bool released = strcmp(json_string(*view_r, "action", ""), "release") == 0;
        bool waited = strcmp(json_string(*view_r, "was", ""), "hold") == 0;
        desk_routes_redirect(exchange, "/held?done=",
                             waited ? (released ? "release" : "reject")
                                    : (released ? "usual" : "locked"), "");
        json_put(view_r);
    }
    return answer < 0 ? -1 : 1;
}

int desk_held_answer(struct exchange *exchange, struct json_object **view_r,
                     struct problem *problem)
{
    bool preview;
    if (desk_forms_read_preview(exchange, &preview, problem) < 1)
        return 0;
    int answer = exchange->api ? act_by_api(exchange, preview, view_r, problem)
                               : act_by_form(exchange, preview, view_r);
    return desk_forms_outcome(exchange, answer, preview, view_r);
}
