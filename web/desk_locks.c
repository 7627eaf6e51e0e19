/* Locks of mailboxes whose password a stranger has, by the API and at the desk. */
#include <string.h>

#include "base/json.h"
#include "base/names.h"
#include "web/desk_views.h"

/* Boxes of the form that opens a mailbox again: all of them are one word of the action. */
static const char *const boxes[] = {"check_password", "check_rules", "check_sessions",
                                    "check_device"};

int desk_locks_view(struct exchange *exchange, struct json_object **view_r,
                    struct problem *problem)
{
    return desk_lock_view(&exchange->web->desk, exchange->variable, exchange->now_ms, view_r,
                          problem);
}

static int act(struct exchange *exchange, struct json_object *words, bool preview,
               struct json_object **view_r, struct problem *problem)
{
    return desk_lock_act(&exchange->web->desk, &exchange->person, exchange->variable, words,
                         preview, exchange->now_ms, view_r, problem);
}

/* ---- the API --------------------------------------------------------------------------------- */

/* action NULL: it is among the words. */
static int act_by_api(struct exchange *exchange, const char *action, bool preview,
                      struct json_object **view_r, struct problem *problem)
{
    freed_by(json_put) struct json_object *words = desk_forms_words(exchange);
    if (action != NULL && json_object_object_get_ex(words, "action", NULL))
        return problem_set(problem, 400, "action", "there is no such member");
    if (action != NULL)
        json_add_string(words, "action", action);
    return act(exchange, words, preview, view_r, problem);
}

/* ---- the desk -------------------------------------------------------------------------------- */

/* 1; 0 with *problem: a box is not ticked. */
static int read_form(struct json_object *typed, struct json_object *words, struct problem *problem)
{
    const char *action = json_string(typed, "action", "");
    size_t ticked = 0;
    json_object_object_foreach(typed, name, value)
    {
        if (names_find(boxes, countof(boxes), name) >= 0)
            ticked++;
        else
            json_object_object_add(words, name, json_object_get(value));
    }
    if (strcmp(action, "reopen") != 0 && strcmp(action, "open") != 0)
        return 1;
    json_add_bool(words, "checked", true);
    return ticked == countof(boxes) ||
           problem_set(problem, 400, "checked", "expected all four, each of them done");
}

static void add_form(struct exchange *exchange, struct json_object *view,
                     struct json_object *typed)
{
    const char *action = json_string(typed, "action", "");
    json_add_string(view, "action", action);
    json_add_string(view, "subject", exchange->variable);
    desk_forms_add_typed(view, typed);
}

/* The form again, with what is wrong. */
static void ask_again(struct exchange *exchange, struct json_object *typed,
                      const struct problem *problem)
{
    struct json_object *view = json_object_new_object();
    json_add_string(view, "mailbox", exchange->variable);
    json_add_string(view, "reopen_as", json_string(typed, "action", ""));
    add_form(exchange, view, typed);
    desk_forms_add_problem(view, problem);
    reply_page(exchange, problem->status, "desk_lock", view);
}

/* Nothing is done before its preview was seen. */
static int act_by_form(struct exchange *exchange, bool preview, struct json_object **view_r)
{
    freed_by(json_put) struct json_object *typed = desk_forms_typed(exchange);
    freed_by(json_put) struct json_object *words = json_object_new_object();
    struct problem problem = {0};
    int answer = read_form(typed, words, &problem);
    if (answer > 0)
        answer = act(exchange, words, preview, view_r, &problem);
    if (answer == 0) {
        ask_again(exchange, typed, &problem);
    } else if (answer > 0 && preview) {
        add_form(exchange, *view_r, typed);
        json_add_bool(*view_r, "allowed", true);
    } else if (answer > 0) {
        desk_routes_redirect(exchange, "/mailboxes/", json_string(*view_r, "mailbox", ""),
                             arena_printf(exchange->request->arena, "?done=%s",
                                          json_string(*view_r, "action", "")));
        json_put(view_r);
    }
    return answer < 0 ? -1 : 1;
}

void desk_locks_add_to_mailbox(struct json_object *view)
{
    struct json_object *lock = json_member(view, "lock");
    struct json_object *suspensions = json_member(view, "suspensions");
    size_t count = json_object_array_length(suspensions);
    const char *phase = json_string(lock, "phase", ""), *cause = json_string(lock, "cause", "");
    json_add_string(view, "reopen_as", strcmp(phase, "closed") == 0 ? "open" : "reopen");
    for (size_t i = 0; i < count; i++) {
        struct json_object *one = json_object_array_get_idx(suspensions, i);
        json_add_bool(one, "ends_lock", json_member(lock, "scope") != NULL &&
                                            strcmp(json_string(one, "cause", ""), cause) == 0);
    }
}

/* ---- both ------------------------------------------------------------------------------------ */

static int act_on_lock(struct exchange *exchange, const char *action, struct json_object **view_r,
                       struct problem *problem)
{
    bool preview;
    if (desk_forms_read_preview(exchange, &preview, problem) < 1)
        return 0;
    int answer = exchange->api ? act_by_api(exchange, action, preview, view_r, problem)
                               : act_by_form(exchange, preview, view_r);
    return desk_forms_outcome(exchange, answer, preview, view_r);
}

int desk_locks_act_many(struct exchange *exchange, struct json_object **view_r,
                        struct problem *problem)
{
    freed_by(json_put) struct json_object *words = desk_forms_words(exchange);
    bool preview;
    if (desk_forms_read_preview(exchange, &preview, problem) < 1)
        return 0;
    int answer = desk_lock_many(&exchange->web->desk, &exchange->person, words, preview,
                                exchange->now_ms, view_r, problem);
    return desk_forms_outcome(exchange, answer, preview, view_r);
}

int desk_locks_act(struct exchange *exchange, struct json_object **view_r,
                   struct problem *problem)
{
    return act_on_lock(exchange, NULL, view_r, problem);
}

int desk_locks_tell_password(struct exchange *exchange, struct json_object **view_r,
                             struct problem *problem)
{
    return act_on_lock(exchange, "password_changed", view_r, problem);
}
