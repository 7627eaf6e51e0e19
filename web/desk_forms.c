#include <json-c/json.h>
#include <string.h>

#include "desk_views.h"
#include "json.h"
#include "submission_json.h"

/* What staff fill in. A form that cannot be taken comes back as it was typed,
 * with what is wrong; nothing is done before its preview was seen. */

/* ---- what was typed ---------------------------------------------------------------------- */

static bool is_frame(const char *name)
{
    return strcmp(name, "csrf") == 0 || strcmp(name, "confirm") == 0 || strcmp(name, "done") == 0;
}

/* The fields that say something: a form sends its empty ones too. */
static struct json_object *typed(const struct exchange *exchange)
{
    struct json_object *wish = json_object_new_object();
    json_object_object_foreach(exchange->request->params, name, value)
    {
        const char *text = json_object_is_type(value, json_type_string)
                               ? json_object_get_string(value)
                               : "";
        if (!is_frame(name) && *text != '\0')
            json_object_object_add(wish, name, json_object_get(value));
    }
    return wish;
}

/* "wish": the fields by name; "fields": the same as a list, to be carried along unseen. */
static void add_typed(struct json_object *view, struct json_object *wish)
{
    struct json_object *fields = json_add_list(view, "fields");
    json_object_object_foreach(wish, name, value)
    {
        struct json_object *field = json_object_new_object();
        json_add_string(field, "name", name);
        json_add_string(field, "value", json_object_get_string(value));
        json_object_array_add(fields, field);
    }
    json_add(view, "wish", json_object_get(wish));
}

/* The form again, with what is wrong. */
static int form_again(struct exchange *exchange, const char *page, struct json_object *wish,
                      const struct problem *problem, struct json_object **view_r)
{
    struct json_object *view = json_object_new_object();
    struct json_object *wrong = json_add_object(view, "problem");
    json_add_string(wrong, "where", problem->where);
    json_add_string(wrong, "text", problem->text);
    json_add_string(view, "act", json_string(wish, "act", NULL));
    json_add_string(view, "subject", json_string(wish, "subject", NULL));
    add_typed(view, wish);
    reply_page(exchange, problem->status, page, view);
    *view_r = NULL;
    return 1;
}

static int form_first(const struct exchange *exchange, struct json_object **view_r)
{
    freed_by(json_put) struct json_object *wish = typed(exchange);
    struct json_object *view = json_object_new_object();
    json_add_string(view, "act", json_string(wish, "act", NULL));
    json_add_string(view, "subject", json_string(wish, "subject", NULL));
    add_typed(view, wish);
    *view_r = view;
    return 1;
}

/* ---- acts --------------------------------------------------------------------------------- */

int view_act_form(struct exchange *exchange, struct json_object **view_r,
                  struct problem *problem)
{
    (void)problem;
    return form_first(exchange, view_r);
}

static void show_subject(struct exchange *exchange, struct json_object *view)
{
    const char *subject = json_string(view, "subject", "");
    const char *done = arena_printf(exchange->request->arena, "?done=%s",
                                    json_string(view, "act", ""));
    if (*subject == '@')
        desk_redirect(exchange, "/domains/", subject + 1, done);
    else
        desk_redirect(exchange, "/mailboxes/", subject, done);
}

static int act_by_form(struct exchange *exchange, struct json_object **view_r)
{
    freed_by(json_put) struct json_object *wish = typed(exchange);
    const char *confirm = http_param(exchange->request, "confirm");
    bool confirmed = confirm != NULL && strcmp(confirm, "1") == 0;
    struct problem problem = {0};
    int answer = desk_act(&exchange->web->desk, &exchange->person, wish, !confirmed,
                          exchange->now_ms, view_r, &problem);
    if (answer < 0)
        return -1;
    if (answer == 0)
        return form_again(exchange, "desk_act", wish, &problem, view_r);
    if (!confirmed) {
        add_typed(*view_r, wish);
        return 1;
    }
    show_subject(exchange, *view_r);
    json_put(view_r);
    return 1;
}

static int act_by_api(struct exchange *exchange, struct json_object **view_r,
                      struct problem *problem)
{
    freed_by(json_put) struct json_object *wish = json_object_new_object();
    struct json_object *preview = json_member(exchange->request->params, "preview");
    if (preview != NULL && !json_object_is_type(preview, json_type_boolean))
        return problem_set(problem, 400, "preview", "true or false was expected");
    json_object_object_foreach(exchange->request->params, name, value)
    {
        if (strcmp(name, "preview") != 0)
            json_object_object_add(wish, name, json_object_get(value));
    }
    return desk_act(&exchange->web->desk, &exchange->person, wish,
                    json_object_get_boolean(preview), exchange->now_ms, view_r, problem);
}

int view_act(struct exchange *exchange, struct json_object **view_r, struct problem *problem)
{
    return exchange->api ? act_by_api(exchange, view_r, problem) : act_by_form(exchange, view_r);
}

/* ---- what a message would meet ----------------------------------------------------------------- */

static int read_door(const struct exchange *exchange, enum door *door_r, struct problem *problem)
{
    const char *name = json_string(exchange->request->params, "door", NULL);
    if (json_member(exchange->request->params, "door") == NULL || (name != NULL && *name == '\0'))
        name = door_names[DOOR_WEBMAIL];
    for (size_t door = 0; name != NULL && door < DOOR_COUNT; door++) {
        if (strcmp(name, door_names[door]) == 0) {
            *door_r = (enum door)door;
            return 1;
        }
    }
    return problem_set(problem, 400, "door", "webmail or smtp was expected");
}

static int set_claims(struct submission *submission, const struct submission_claims *claims,
                      struct problem *problem)
{
    if (claims->mailbox == NULL || *claims->mailbox == '\0')
        return problem_set(problem, 400, "mailbox", "is missing");
    if (submission_set_mailbox(submission, claims->mailbox, strlen(claims->mailbox), problem) < 1)
        return 0;
    if (claims->ip != NULL && *claims->ip != '\0' &&
        submission_set_ip(submission, claims->ip, strlen(claims->ip), problem) < 1)
        return 0;
    if (submission->id == NULL && submission_set_id(submission, "simulation", 10, problem) < 1)
        return 0;
    if (submission->recipient_count == 0)
        return problem_set(problem, 400, "to", "there is no recipient in to, cc or bcc");
    return 1;
}

static int read_submission(struct exchange *exchange, struct submission *submission,
                           struct problem *problem)
{
    enum door door = DOOR_WEBMAIL;
    struct submission_claims claims;
    if (read_door(exchange, &door, problem) < 1)
        return 0;
    submission_init(submission, exchange->request->arena, door);
    if (submission_from_json(submission, exchange->request->params, &claims, problem) < 1)
        return 0;
    return set_claims(submission, &claims, problem);
}

int view_simulate_form(struct exchange *exchange, struct json_object **view_r,
                       struct problem *problem)
{
    (void)problem;
    return form_first(exchange, view_r);
}

int view_simulate(struct exchange *exchange, struct json_object **view_r,
                  struct problem *problem)
{
    freed_by(json_put) struct json_object *wish = typed(exchange);
    struct submission submission;
    if (read_submission(exchange, &submission, problem) < 1)
        return exchange->api ? 0 : form_again(exchange, "desk_simulate", wish, problem, view_r);
    int answer =
        desk_simulate(&exchange->web->desk, &submission, exchange->now_ms, view_r);
    if (answer > 0 && !exchange->api) {
        json_add_bool(*view_r, "simulated", true);
        add_typed(*view_r, wish);
    }
    return answer;
}
